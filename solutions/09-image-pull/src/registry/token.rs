//! Gets a token for one repository: the door at which a registry sends us to another house.
//!
//! ```text
//! we        ──▶ registry        give me alpine
//! registry  ──▶ we              401, WWW-Authenticate: Bearer realm="https://auth…",scope="…"
//! we        ──▶ token server    a token for this scope, please; I am … (or nobody in particular)
//! we        ──▶ registry        give me alpine, Authorization: Bearer <token>
//! ```
//!
//! Docker Hub works so for everybody, also without an account (docker's spec/auth/token.md). The
//! token opens one repository for minutes; the password goes to the token server alone.

use super::address::with_query;
use super::challenge::Challenge;
use super::credentials::Credentials;
use super::failure::{self, Failure};
use super::http::{Http, Response};
use anyhow::{Context, Result, anyhow};
use serde::Deserialize;

/// No honest token comes near this many bytes.
const LARGEST_ANSWER: u64 = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    /// OAuth 2.0's name for the same.
    access_token: Option<String>,
}

/// Asks the token server that the challenge names for a token.
// ANCHOR: get_token
pub(crate) fn get_token(
    http: &Http,
    challenge: &Challenge,
    credentials: Option<&Credentials>,
) -> Result<String, Failure> {
    // ANCHOR: todo_get_token: ask the address that the challenge calls its realm, naming its service and each of its scopes; who we are is for its eyes only
    let realm = challenge.parameter("realm").context("the registry names no token server")?;
    let mut query: Vec<(&str, &str)> = Vec::new();
    query.extend(challenge.parameter("service").map(|service| ("service", service)));
    let scopes = challenge.parameter("scope").unwrap_or_default().split_whitespace();
    query.extend(scopes.map(|scope| ("scope", scope)));
    let response = match credentials {
        Some(Credentials::IdentityToken(token)) => with_identity(http, realm, &query, token)?,
        other => {
            let basic = other.and_then(Credentials::basic);
            http.get(&with_query(realm, &query), &[], basic.as_deref())?
        }
    };
    read_token(response, realm, credentials.is_some())
    // ANCHOR_END: todo_get_token
}
// ANCHOR_END: get_token

/// Exchanges what `docker login` was given in place of a password (docker's spec/auth/oauth.md).
fn with_identity(
    http: &Http,
    realm: &str,
    query: &[(&str, &str)],
    token: &str,
) -> Result<Response, Failure> {
    let scopes = query.iter().filter(|(name, _)| *name == "scope").map(|(_, scope)| *scope);
    let scope = scopes.collect::<Vec<_>>().join(" ");
    let service = query.iter().find(|(name, _)| *name == "service").map_or("", |(_, value)| value);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "coracle"),
        ("service", service),
        ("scope", &scope),
    ];
    http.post(realm, &form)
}

fn read_token(response: Response, realm: &str, is_known: bool) -> Result<String, Failure> {
    let what = format!("cannot get a token from {realm}");
    match response.status {
        200 => {}
        401 | 403 if is_known => {
            let hint = "hint: docker login again: the credentials that it left are not accepted";
            return Err(anyhow!("{what}: it answers {}\n{hint}", response.status).into());
        }
        401 | 403 => {
            let hint = "hint: docker login leaves credentials that are used here";
            return Err(anyhow!(
                "{what} without an account: it answers {}\n{hint}",
                response.status
            )
            .into());
        }
        other => {
            let wait = response.header("retry-after").map(str::to_owned);
            return Err(failure::status(other, wait.as_deref(), "", &what));
        }
    }
    let json = response.bytes(LARGEST_ANSWER).map_err(Failure::passing)?;
    let answer: Answer = serde_json::from_slice(&json).with_context(|| what.clone())?;
    let token = [answer.token, answer.access_token].into_iter().flatten();
    // It becomes part of a header, and must not be able to begin another one.
    let token = token
        .into_iter()
        .find(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic()));
    Ok(token.with_context(|| format!("{what}: there is none in its answer"))?)
}
