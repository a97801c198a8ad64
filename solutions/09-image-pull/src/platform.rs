//! Names the machine an image is made for, as Go and therefore OCI spell it: `linux/arm64/v8`.

use anyhow::{Error, Result, bail};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// An operating system, a processor architecture and, where one is told apart, its variant
/// (OCI image specification, image-index.md, "platform").
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux`, `windows`, …
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `v7`, `v8`, …
    pub variant: Option<String>,
}

impl Platform {
    /// The machine that this program was built for.
    pub fn host() -> Platform {
        // `uname -m` and Rust speak the processor makers' names, images speak Go's.
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            same => same,
        };
        Platform { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// Whether an image for `self` runs on `wanted`, and how well: the greater the better.
    ///
    /// A newer variant of an architecture runs what was made for an older one, not the reverse.
    pub fn suits(&self, wanted: &Platform) -> Option<u32> {
        let same = self.os == wanted.os && self.architecture == wanted.architecture;
        (same && self.generation()? <= wanted.generation()?).then_some(self.generation()?)
    }

    /// The number in `v7`; without a variant, the one that the architecture began with in images.
    fn generation(&self) -> Option<u32> {
        match (self.variant.as_deref(), self.architecture.as_str()) {
            (None | Some(""), "arm") => Some(7),
            (None | Some(""), "arm64") => Some(8),
            (None | Some(""), _) => Some(1),
            (Some(variant), _) => variant.strip_prefix('v')?.parse().ok(),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Platform> {
        let mut parts = text.split('/').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(os), Some(architecture), variant, None)
                if !os.is_empty() && !architecture.is_empty() =>
            {
                Ok(Platform { os, architecture, variant })
            }
            _ => bail!(
                "platform {text:?} is not of the form OS/ARCH or OS/ARCH/VARIANT\nhint: for example linux/amd64 or linux/arm/v7"
            ),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().filter(|v| !v.is_empty()).try_for_each(|v| write!(f, "/{v}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suits(image: &str, machine: &str) -> bool {
        image.parse::<Platform>().unwrap().suits(&machine.parse().unwrap()).is_some()
    }

    #[test]
    fn reads_what_it_writes() {
        for text in ["linux/amd64", "linux/arm64/v8", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_machine_runs_its_own_variant_and_older_ones() {
        assert!(suits("linux/arm/v6", "linux/arm/v7"));
        assert!(!suits("linux/arm/v7", "linux/arm/v6"));
        assert!(suits("linux/arm64", "linux/arm64/v8"));
        assert!(suits("linux/arm64/v8", "linux/arm64"));
        assert!(!suits("linux/amd64/v3", "linux/amd64"));
        assert!(!suits("linux/arm64", "linux/amd64"));
        assert!(!suits("windows/amd64", "linux/amd64"));
    }
}
