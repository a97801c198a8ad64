//! Finds the certificates that docker's users keep for a registry of their own.
//!
//! ```text
//! /etc/docker/certs.d/HOST[:PORT]/*.crt              authorities that vouch for this registry
//! /etc/docker/certs.d/HOST[:PORT]/NAME.cert, .key    who we are to it, and the key that proves it
//! ```
//!
//! They mean this registry and no other host, neither one that it redirects to (docker's manual,
//! "Verify repository client with certificates").

use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, parse_pem};

const FOLDER: &str = "/etc/docker/certs.d";

/// What there is for one registry.
#[derive(Default)]
pub(crate) struct Certificates {
    /// If there are any, those whom this machine believes anyway are among them, as for docker.
    pub authorities: Vec<Certificate<'static>>,
    /// What we show if we are asked who we are.
    pub ours: Option<ClientCert>,
}

impl Certificates {
    /// Those for the registry `host`; `None` where nobody keeps any.
    pub fn find(host: &str) -> Result<Option<Certificates>> {
        let folder = Path::new(FOLDER).join(host);
        let cannot = || format!("cannot read {}", folder.display());
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            entries => entries.with_context(cannot)?,
        };
        let paths = entries.map(|entry| Ok(entry?.path()));
        let mut paths: Vec<PathBuf> = paths.collect::<Result<_>>().with_context(cannot)?;
        paths.sort();
        let mut found = Certificates::default();
        for path in paths {
            let extension = path.extension().unwrap_or_default();
            if extension == "crt" {
                found.authorities.extend(certificates(&path)?);
            } else if extension == "cert" && found.ours.is_none() {
                let key = key(&path.with_extension("key"))?;
                found.ours = Some(ClientCert::new_with_certs(&certificates(&path)?, key));
            }
        }
        if !found.authorities.is_empty() {
            found.authorities.extend(of_this_machine());
        }
        Ok(Some(found))
    }
}

/// Whom this machine believes; what cannot be read of it vouches for nobody.
fn of_this_machine() -> impl Iterator<Item = Certificate<'static>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.into_iter().map(|certificate| Certificate::from_der(&certificate).to_owned())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let cannot = || format!("cannot read the certificates in {}", path.display());
    let pem = fs::read(path).with_context(cannot)?;
    let items = parse_pem(&pem).map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Ok(Some(certificate)),
        Ok(_) => Ok(None),
        Err(error) => Err(error),
    });
    let found: Vec<_> =
        items.filter_map(Result::transpose).collect::<Result<_, _>>().with_context(cannot)?;
    anyhow::ensure!(!found.is_empty(), "{}: there is none", cannot());
    Ok(found)
}

fn key(path: &Path) -> Result<PrivateKey<'static>> {
    let cannot = || {
        format!(
            "cannot read the key {}\nhint: a NAME.cert has its NAME.key beside it; authorities are in NAME.crt",
            path.display()
        )
    };
    PrivateKey::from_pem(&fs::read(path).with_context(cannot)?).with_context(cannot)
}
