//! Finds the credentials that `docker login` has left: docker's config.json, and the programs that
//! it names (docker-login(1), "Credential stores" and "Credential helpers").
//!
//! Ours are docker's: no second place for a password, and nothing to log in to again.

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Under this name docker keeps the credentials of Docker Hub, for its age.
const HUB: &str = "https://index.docker.io/v1/";

/// Who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// To be exchanged for an access token (docker's spec/auth/oauth.md).
    IdentityToken(String),
    /// An access token as it is.
    RegistryToken(String),
}

impl fmt::Debug for Credentials {
    /// Secrets stay out of logs and error messages.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("credentials")
    }
}

impl Credentials {
    /// The value of an Authorization header, where a name and password will do.
    pub fn basic(&self) -> Option<String> {
        let Credentials::Password { user, password } = self else { return None };
        Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
    }

    /// Those for the registry `host`; `None` where nobody has logged in.
    pub fn find(host: &str) -> Result<Option<Credentials>> {
        let Some(folder) = config_folder() else { return Ok(None) };
        let path = folder.join("config.json");
        let json = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            json => json.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let config: Config = serde_json::from_slice(&json)
            .with_context(|| format!("cannot understand {}", path.display()))?;
        config.find(host).with_context(|| {
            format!("cannot get the credentials for {host} by way of {}", path.display())
        })
    }
}

fn config_folder() -> Option<PathBuf> {
    let said = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    said("DOCKER_CONFIG").or_else(|| Some(said("HOME")?.join(".docker")))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl Config {
    fn find(&self, host: &str) -> Result<Option<Credentials>> {
        let server = if host == "docker.io" { HUB } else { host };
        let helper = self.cred_helpers.iter().flatten().find(|(name, _)| is_of(name, host));
        let store = self.creds_store.as_ref().filter(|store| !store.is_empty());
        if let Some(helper) = helper.map(|(_, helper)| helper).or(store) {
            if let Some(found) = ask(helper, server)? {
                return Ok(Some(found));
            }
        }
        let auths = || self.auths.iter().flatten();
        let exact = auths().find(|(name, _)| *name == server);
        let entry = exact.or_else(|| auths().find(|(name, _)| is_of(name, host)));
        entry.map_or(Ok(None), |(_, entry)| entry.credentials())
    }
}

/// Is this entry's name that of the host? It may be an address: `https://host/v1/`.
fn is_of(name: &str, host: &str) -> bool {
    let bare = name.strip_prefix("https://").or(name.strip_prefix("http://")).unwrap_or(name);
    let bare = bare.split('/').next().unwrap_or_default();
    bare == host || host == "docker.io" && bare == "index.docker.io"
}

impl Entry {
    fn credentials(&self) -> Result<Option<Credentials>> {
        let given = |field: &Option<String>| field.clone().filter(|value| !value.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credentials::IdentityToken(token)));
        }
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credentials::RegistryToken(token)));
        }
        if let (Some(user), Some(password)) = (given(&self.username), given(&self.password)) {
            return Ok(Some(Credentials::Password { user, password }));
        }
        let Some(auth) = given(&self.auth) else { return Ok(None) };
        let text = BASE64_STANDARD.decode(auth.trim()).ok();
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) = pair.context("`auth` is not user:password in base64")?;
        // docker takes NUL bytes off the end, which some tools have written
        let password = password.trim_end_matches('\0').to_owned();
        Ok(Some(Credentials::Password { user: user.to_owned(), password }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks the program `docker-credential-HELPER`: the server's name to its standard input, JSON from
/// its standard output (github.com/docker/docker-credential-helpers, README, "Development").
fn ask(helper: &str, server: &str) -> Result<Option<Credentials>> {
    let program = format!("docker-credential-{helper}");
    ensure!(Path::new(&program).components().count() == 1, "{program:?} is no program's name");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("cannot start {program}\nhint: install it, or take it out of config.json")
        })?;
    let mut input = child.stdin.take().expect("it was asked for");
    let _ = input.write_all(server.as_bytes()); // one that knows the answer need not listen
    drop(input);
    let output = child.wait_with_output().with_context(|| format!("cannot wait for {program}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        if said.contains("credentials not found") {
            return Ok(None);
        }
        bail!("{program} failed ({}): {}", output.status, said.trim());
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("cannot understand what {program} says"))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credentials::IdentityToken(answer.secret),
        _ => Credentials::Password { user: answer.username, password: answer.secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, host: &str) -> Option<Credentials> {
        serde_json::from_str::<Config>(config).unwrap().find(host).unwrap()
    }

    fn password(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Password { user: user.into(), password: password.into() })
    }

    #[test]
    fn docker_login_is_understood() {
        // "me:pa:ss" and "hub:x"
        let config = r#"{"auths": {
            "host:5000": {"auth": "bWU6cGE6c3M="},
            "https://old.example/v1/": {"username": "u", "password": "p"},
            "https://index.docker.io/v1/": {"auth": "aHViOng="},
            "token.example": {"identitytoken": "t"},
            "empty.example": {}
        }}"#;
        assert_eq!(found(config, "host:5000"), password("me", "pa:ss"));
        assert_eq!(found(config, "old.example"), password("u", "p"));
        assert_eq!(found(config, "docker.io"), password("hub", "x"));
        assert_eq!(found(config, "token.example"), Some(Credentials::IdentityToken("t".into())));
        for none in ["empty.example", "host", "host:5001", "example", "evil-host:5000"] {
            assert_eq!(found(config, none), None, "{none}");
        }
        assert_eq!(found("{}", "x"), None);
        assert_eq!(found(r#"{"auths": null, "credsStore": ""}"#, "x"), None);
    }

    #[test]
    fn a_broken_entry_is_an_error_that_does_not_show_it() {
        let config: Config =
            serde_json::from_str(r#"{"auths": {"h": {"auth": "c2VjcmV0"}}}"#).unwrap();
        let error = format!("{:#}", config.find("h").unwrap_err());
        assert!(error.contains("user:password") && !error.contains("c2Vj"), "{error}");
        assert!(!format!("{:?}", password("me", "secret")).contains("secret"));
    }

    #[test]
    fn a_helper_that_is_not_there_is_named() {
        let config: Config =
            serde_json::from_str(r#"{"credHelpers": {"h": "does-not-exist"}}"#).unwrap();
        let error = format!("{:#}", config.find("h").unwrap_err());
        assert!(error.contains("docker-credential-does-not-exist"), "{error}");
    }
}
