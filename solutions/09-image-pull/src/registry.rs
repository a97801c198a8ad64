//! Talks to a registry: a web server with four kinds of address, two of which are enough to pull
//! (distribution specification, "Pulling").
//!
//! ```text
//! GET /v2/<repository>/manifests/<tag or digest>     an index, or a manifest
//! GET /v2/<repository>/blobs/<digest>                a config, or a layer
//! ```
//!
//! What comes by its digest is checked by its digest, whoever sent it. A tag alone is a question
//! of trust: TLS tells that the answer is the registry's, and nothing more can be known.

mod address;
mod certificates;
pub(crate) mod challenge;
mod credentials;
mod download;
mod failure;
mod http;
mod retry_after;
mod token;

pub use challenge::Challenge;
pub(crate) use download::Download;
pub use http::Access;

use crate::documents::{Descriptor, LARGEST_DOCUMENT};
use crate::parallel::Over;
use crate::verified::Verified;
use crate::{Digest, Reference};
use anyhow::{Context, Result, anyhow, ensure};
use credentials::Credentials;
use failure::{Failure, patiently};
use http::{Http, Response};
use serde::Deserialize;
use std::io::Read;
use std::sync::{Mutex, MutexGuard};
use token::get_token;

/// All that we can read, in one header: a registry that is not told sends what is older.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// One repository of a registry.
pub(crate) struct Registry {
    reference: Reference,
    /// `https://host/v2/library/alpine/`
    base: String,
    http: Http,
    credentials: Option<Credentials>,
    /// What has opened the door last time.
    authorization: Mutex<Option<String>>,
}

impl Registry {
    pub fn open(reference: &Reference, access: Access) -> Result<Registry> {
        let host = reference.registry();
        let http = Http::new(access, host)?;
        let base = format!("{}://{host}/v2/{}/", http.scheme_of(host), reference.repository);
        let credentials = Credentials::find(&reference.host)?;
        let authorization = match &credentials {
            Some(Credentials::RegistryToken(token)) => Some(format!("Bearer {token}")),
            _ => None,
        };
        let reference = reference.clone();
        Ok(Registry { reference, base, http, credentials, authorization: authorization.into() })
    }

    /// The registry's name, as it is in the reference.
    pub fn host(&self) -> &str {
        &self.reference.host
    }

    /// What the reference names: the bytes of an index or a manifest, and what to call them.
    pub fn top(&self) -> Result<(Descriptor, Vec<u8>)> {
        let wanted = self.reference.wanted();
        let what = format!("cannot get {}", self.reference.familiar());
        let (response, json) = self.manifest(&wanted, &what)?;
        let digest = Digest::of(&json);
        // A registry that says one thing and sends another is broken; docker believes neither, too.
        let said = response.docker_content_digest.unwrap_or_else(|| digest.to_string());
        let meant = self.reference.digest.as_ref().map_or(said, Digest::to_string);
        ensure!(
            digest.to_string() == meant,
            "{what}: the bytes hash to {digest} instead of {meant}"
        );
        let media_type = media_type(&json).or(response.content_type).unwrap_or_default();
        let size = json.len() as u64;
        Ok((Descriptor::new(media_type, digest, size), json))
    }

    /// An index, manifest or config by its digest, checked.
    pub fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let (digest, size) = (&descriptor.digest, descriptor.size);
        ensure!(
            size <= LARGEST_DOCUMENT,
            "document {digest} is said to have {size} bytes; more than {LARGEST_DOCUMENT} are not accepted"
        );
        let mut json = Vec::new();
        if descriptor.is_image_config() {
            let alone = Over::default();
            let blob = Download::start(self, descriptor, 0, &alone)?;
            Verified::new(blob, digest, Some(size)).read_to_end(&mut json)?;
        } else {
            let what = format!("cannot get manifest {digest} from {}", self.host());
            let bytes = self.manifest(&digest.to_string(), &what)?.1;
            Verified::new(bytes.as_slice(), digest, Some(size)).read_to_end(&mut json)?;
        }
        Ok(json)
    }

    fn manifest(&self, wanted: &str, what: &str) -> Result<(Headers, Vec<u8>)> {
        let path = format!("manifests/{wanted}");
        patiently(&Over::default(), || {
            let response = self.get(&path, &[("accept", MANIFESTS)], what)?;
            let header = |name| response.header(name).map(str::to_owned);
            let docker_content_digest = header("docker-content-digest");
            let content_type = header("content-type");
            let json = response.bytes(LARGEST_DOCUMENT).with_context(|| what.to_owned());
            Ok((Headers { docker_content_digest, content_type }, json.map_err(Failure::passing)?))
        })
    }

    /// Asks once, and once more after a log-in if the registry wants one. Anything but success is
    /// an error that says what to do.
    fn get(&self, path: &str, headers: &[(&str, &str)], what: &str) -> Result<Response, Failure> {
        let url = format!("{}{path}", self.base);
        let known = self.authorization().clone();
        let mut response = self.http.get(&url, headers, known.as_deref())?;
        if response.status == 401 && !response.has_left {
            let authorization = self.log_in(&response, known)?;
            response = self.http.get(&url, headers, Some(&authorization))?;
        }
        match response.status {
            200 | 206 => Ok(response),
            _ => Err(self.explain(response, what)),
        }
    }

    fn authorization(&self) -> MutexGuard<'_, Option<String>> {
        self.authorization.lock().expect("no holder panics")
    }

    /// Gets what opens the door. One thread does it for all: the others wait and take the same.
    fn log_in(&self, response: &Response, known: Option<String>) -> Result<String, Failure> {
        let mut authorization = self.authorization();
        if let Some(new) = authorization.as_ref().filter(|new| Some(*new) != known.as_ref()) {
            return Ok(new.clone());
        }
        let headers = response.headers.get_all("www-authenticate").iter();
        let challenges: Vec<Challenge> =
            headers.filter_map(|h| h.to_str().ok()).flat_map(Challenge::all).collect();
        let find = |scheme: &str| challenges.iter().find(|one| one.scheme == scheme);
        let new = if let Some(bearer) = find("bearer") {
            let mut bearer = bearer.clone();
            let scope = || format!("repository:{}:pull", self.reference.repository);
            bearer.parameters.entry("scope".into()).or_insert_with(scope);
            format!("Bearer {}", get_token(&self.http, &bearer, self.credentials.as_ref())?)
        } else if find("basic").is_some() {
            let basic = self.credentials.as_ref().and_then(Credentials::basic);
            basic.ok_or_else(|| self.refusal(401, ""))?
        } else {
            let schemes: Vec<_> = challenges.iter().map(|one| one.scheme.as_str()).collect();
            let schemes = schemes.join(", ");
            return Err(anyhow!(
                "{} wants a log-in of a kind that is not known here: {schemes:?}",
                self.host()
            )
            .into());
        };
        *authorization = Some(new.clone());
        Ok(new)
    }

    fn explain(&self, response: Response, what: &str) -> Failure {
        let (status, has_left) = (response.status, response.has_left);
        let wait = response.header("retry-after").map(str::to_owned);
        let said = response.bytes(64 << 10).map(|body| errors_in(&body)).unwrap_or_default();
        match status {
            401 | 403 if !has_left => self.refusal(status, &said),
            404 if !has_left => {
                let said = if said.is_empty() { said } else { format!(" ({said})") };
                Failure::from(anyhow!(
                    "{what}: there is none{said}\nhint: check its spelling and its tag"
                ))
            }
            _ => failure::status(status, wait.as_deref(), &said, what),
        }
    }

    /// docker's sentence for it: a registry does not tell strangers what it has.
    fn refusal(&self, status: u16, said: &str) -> Failure {
        let (name, host) = (self.reference.familiar_repository(), self.host());
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let login = if host == "docker.io" {
            "docker login".into()
        } else {
            format!("docker login {host}")
        };
        let hint = match self.credentials {
            Some(_) => format!("the credentials for {host} were not accepted; {login} renews them"),
            None => format!("{login} leaves credentials that are used here, too"),
        };
        Failure::from(anyhow!(
            "{host} denies access to {name} ({status}{said}): it does not exist, or not for you\nhint: {hint}"
        ))
    }
}

struct Headers {
    docker_content_digest: Option<String>,
    content_type: Option<String>,
}

/// The media type that a document gives itself.
fn media_type(json: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: Option<String>,
    }
    serde_json::from_slice::<Typed>(json).ok()?.media_type
}

/// The reasons in a registry's answer (distribution specification, "Error Codes"), fit to be shown.
fn errors_in(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(Errors { errors }) = serde_json::from_slice(body) else { return String::new() };
    let say = |one: Reason| if one.message.is_empty() { one.code } else { one.message };
    let all = errors.into_iter().map(say).collect::<Vec<_>>().join("; ");
    all.chars().take(300).flat_map(char::escape_debug).collect()
}
