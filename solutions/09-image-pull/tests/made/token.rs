//! A token server for a real registry: it signs JSON web tokens as the registry's configuration wants
//! them (docker's spec/auth/jwt.md).

use super::Place;
use super::certificates::openssl;
use super::server::{Request, Server, answer};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub struct TokenServer {
    pub server: Server,
    /// Who signs.
    pub certificate: PathBuf,
}

impl TokenServer {
    pub const SERVICE: &str = "harbour";
    pub const ISSUER: &str = "harbour master";

    /// Whoever knows the password may do what is asked for. Others may pull what begins with
    /// `public/`, and get a token for nothing where they ask for more, as from Docker Hub.
    pub fn start(place: &Place, user: &str, password: &str) -> TokenServer {
        let new = "req -x509 -newkey rsa:2048 -nodes -days 2 -keyout token.key -out token.pem";
        openssl(&place.folder, &format!("{new} -subj /CN=tokens"), b"");
        let certificate = place.path("token.pem");
        let known = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let folder = place.folder.clone();
        let server = Server::start(&place.folder, move |request, _| {
            let is_known = match request.header("authorization") {
                Some(who) if *who != known => return answer(401, "", b""),
                who => who.is_some(),
            };
            let token = token(&folder, request, is_known);
            answer(
                200,
                "Content-Type: application/json",
                json!({ "token": token }).to_string().as_bytes(),
            )
        });
        TokenServer { server, certificate }
    }

    pub fn realm(&self) -> String {
        format!("http://{}/token", self.server.address)
    }
}

fn token(folder: &Path, request: &Request, is_known: bool) -> String {
    let scope = |text: &str| {
        let text = text.replace("%3A", ":").replace("%2C", ",").replace("%2F", "/");
        let mut parts = text.split(':').map(str::to_owned);
        let (kind, name, actions) = (parts.next()?, parts.next()?, parts.next()?);
        let is_public = name.starts_with("public/") && actions == "pull";
        let actions: Vec<&str> = actions.split(',').collect();
        (is_known || is_public).then(|| json!({ "type": kind, "name": name, "actions": actions }))
    };
    let query = request.path.split_once('?').map_or("", |(_, query)| query);
    let scopes = query.split('&').filter_map(|one| one.strip_prefix("scope="));
    let access: Vec<_> = scopes.filter_map(scope).collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let (now, later) = (now.as_secs(), (now + Duration::from_secs(60)).as_secs());
    let pem = fs::read_to_string(folder.join("token.pem")).unwrap();
    let certificate: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [certificate] });
    let claims = json!({
        "iss": TokenServer::ISSUER, "aud": TokenServer::SERVICE, "sub": "captain",
        "jti": "1", "iat": now, "nbf": now - 60, "exp": later, "access": access,
    });
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text = [header, claims].map(|json| encode(json.to_string().as_bytes())).join(".");
    let signature = openssl(folder, "dgst -sha256 -sign token.key", text.as_bytes());
    format!("{text}.{}", encode(&signature))
}
