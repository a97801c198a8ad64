//! Speaks HTTP as a stranger should be spoken to: with patience that ends, and with credentials for
//! nobody but whom they are for.
//!
//! Registries send blobs from other hosts by redirects. A library that follows them takes headers
//! along, so they are followed here by hand: what authorises us goes to the host that we were asked
//! to talk to, and to no other (compare CVE-2020-15157 of containerd). Plain HTTP is for this
//! machine alone, or for who says `--insecure`.

use super::address::Address;
use super::certificates::Certificates;
use super::failure::{Failure, explain, is_about_tls};
use anyhow::{Context, Result, anyhow, ensure};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::Duration;
use ureq::config::Config;
use ureq::http::{HeaderMap, header};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, BodyReader, http};

/// More redirects than this lead nowhere.
const MOST_REDIRECTS: usize = 10;

/// How long a connection may take, with its TLS.
const TO_CONNECT: Duration = Duration::from_secs(15);

/// How long a registry may take to be reached when we only want to know how it speaks.
const TO_FIND_OUT: Duration = Duration::from_secs(3);

/// How to talk to registries.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Plain HTTP, and certificates that nobody vouches for, will do.
    pub insecure: bool,
    /// A connection on which nothing comes for so long is given up, and tried again.
    pub silence: Duration,
}

impl Default for Access {
    fn default() -> Self {
        Access { insecure: false, silence: Duration::from_secs(30) }
    }
}

pub(crate) struct Http {
    agent: Agent,
    /// For the registry itself, if somebody has put certificates for it on this machine.
    trusted: Option<(String, Agent)>,
    access: Access,
}

/// An answer, of whatever status.
pub(crate) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// Whether redirects led to another host: what it says of our credentials means nothing.
    pub has_left: bool,
    body: Body,
}

impl Http {
    /// `host` is the registry's: a proxy is never asked for this machine itself.
    pub fn new(access: Access, host: &str) -> Result<Http> {
        let trusted = Certificates::find(host)?.map(|certificates| {
            let agent = agent(access, host, certificates);
            (host.to_ascii_lowercase(), agent)
        });
        Ok(Http { agent: agent(access, host, Certificates::default()), trusted, access })
    }

    /// The one to ask for this address.
    fn agent(&self, address: &Address) -> &Agent {
        let trusted =
            self.trusted.iter().find(|(host, _)| address.is_same_host(&Address::host(host)));
        trusted.map_or(&self.agent, |(_, agent)| agent)
    }

    /// How a registry is spoken to: `https`, unless plain HTTP is allowed and understood there.
    ///
    /// On this machine nobody listens on the way, so plain HTTP is tried first. Who speaks TLS says
    /// so: with an error, or with status 400 as Go's servers do.
    pub fn scheme_of(&self, host: &str) -> &'static str {
        let ask = |scheme: &str| {
            let agent = self.agent(&Address::host(host));
            let request = agent.get(format!("{scheme}://{host}/v2/"));
            request.config().timeout_connect(Some(TO_FIND_OUT)).build().call()
        };
        if Address::host(host).is_this_machine() {
            return match ask("http") {
                Ok(answer) if answer.status() != 400 => "http",
                Err(error) if !is_protocol(&error) => "http", // nobody is there: say so
                _ => "https",
            };
        }
        match self.access.insecure.then(|| ask("https")) {
            Some(Err(error)) if !is_about_tls(&error) => "http",
            _ => "https",
        }
    }

    /// Asks for `url` and follows redirects. `authorization` goes to the host of `url` alone.
    pub fn get(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        authorization: Option<&str>,
    ) -> Result<Response, Failure> {
        let first = Address::parse(url)?;
        let mut address = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            self.check(&address)?;
            let mut request = self.agent(&address).get(address.url());
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let is_first = address.is_same_host(&first);
            if let Some(authorization) = authorization.filter(|_| is_first) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let answer = request.call().map_err(|error| explain(error, &address))?;
            match redirect(&answer) {
                Some(location) => address = address.follow(location)?,
                None => return Ok(Response::new(answer, !is_first)),
            }
        }
        Err(anyhow!("{first} redirects more than {MOST_REDIRECTS} times: it leads nowhere").into())
    }

    /// Sends a form. A redirect is no answer: the form is for who was asked and for nobody else.
    pub fn post(&self, url: &str, form: &[(&str, &str)]) -> Result<Response, Failure> {
        let address = Address::parse(url)?;
        self.check(&address)?;
        let sent = self.agent(&address).post(address.url()).send_form(form.iter().copied());
        Ok(Response::new(sent.map_err(|error| explain(error, &address))?, false))
    }

    fn check(&self, address: &Address) -> Result<()> {
        ensure!(
            address.is_https() || self.access.insecure || address.is_this_machine(),
            "{address} would be asked over plain HTTP, where anybody on the way can read and change it\nhint: --insecure allows it"
        );
        Ok(())
    }
}

fn agent(access: Access, host: &str, certificates: Certificates) -> Agent {
    let Certificates { authorities, ours } = certificates;
    let roots = match authorities.is_empty() {
        true => RootCerts::PlatformVerifier, // SSL_CERT_FILE, else this machine's
        false => RootCerts::Specific(Arc::new(authorities)),
    };
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(roots)
        .client_cert(ours)
        .disable_verification(access.insecure)
        .build();
    let mut config = Config::builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("coracle/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(TO_CONNECT))
        .timeout_per_read(Some(access.silence))
        .timeout_per_write(Some(access.silence));
    if Address::host(host).is_this_machine() {
        config = config.proxy(None);
    }
    config.build().into()
}

/// Did somebody answer, but not in HTTP?
fn is_protocol(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => !matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::TimedOut
        ),
        ureq::Error::Timeout(_) | ureq::Error::HostNotFound => false,
        _ => true,
    }
}

fn redirect(answer: &http::Response<Body>) -> Option<&str> {
    let is_one = matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = answer.headers().get(header::LOCATION).filter(|_| is_one)?;
    Some(location.to_str().unwrap_or_default()) // an empty one is refused
}

impl Response {
    fn new(answer: http::Response<Body>, has_left: bool) -> Response {
        let (parts, body) = answer.into_parts();
        Response { status: parts.status.as_u16(), headers: parts.headers, has_left, body }
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The length that the server has announced.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    /// The whole body, if it has no more than `most` bytes.
    pub fn bytes(self, most: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.reader().take(most + 1).read_to_end(&mut bytes).context("the answer breaks off")?;
        ensure!(bytes.len() as u64 <= most, "the answer has more than {most} bytes");
        Ok(bytes)
    }

    /// The body as it comes, which may be without end.
    pub fn reader(self) -> BodyReader<'static> {
        self.body.into_reader()
    }
}
