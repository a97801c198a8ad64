//! What the meaning of a profile depends on, beside what it says.

use super::architecture::Architecture;
use super::profile::Machines;
use anyhow::{Context, Result};
use xray::capabilities::{self, Set};

/// A machine and a container on it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The kernel's own architecture.
    pub architecture: Architecture,
    /// Its version.
    pub kernel: (u32, u32),
    /// The container's bounding set: the most that it will ever have.
    pub capabilities: Set,
}

impl Machine {
    /// The one that we run on.
    pub fn this(capabilities: Set) -> Result<Machine> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let kernel =
            version(&release).with_context(|| format!("the kernel's version {release}"))?;
        Ok(Machine { architecture: Architecture::NATIVE, kernel, capabilities })
    }

    /// Is a rule for this machine? `includes` wants all of its capabilities, `excludes` none.
    pub(super) fn suits(
        &self,
        includes: Option<&Machines>,
        excludes: Option<&Machines>,
    ) -> Result<bool> {
        if let Some(Machines { caps, arches, min_kernel }) = includes {
            let all = caps.iter().flatten().all(|name| self.may(name));
            let here = arches.as_ref().is_none_or(|list| list.is_empty() || self.is_one_of(list));
            if !all || !here || !self.is_since(min_kernel.as_deref())?.unwrap_or(true) {
                return Ok(false);
            }
        }
        if let Some(Machines { caps, arches, min_kernel }) = excludes {
            let any = caps.iter().flatten().any(|name| self.may(name));
            let here = arches.as_ref().is_some_and(|list| self.is_one_of(list));
            if any || here || self.is_since(min_kernel.as_deref())?.unwrap_or(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A capability that nobody knows nobody has.
    fn may(&self, capability: &str) -> bool {
        let number = capabilities::number(capability);
        number.is_some_and(|number| self.capabilities.0 & 1 << number != 0)
    }

    fn is_one_of(&self, architectures: &[String]) -> bool {
        architectures.iter().any(|name| name == self.architecture.docker_name())
    }

    fn is_since(&self, wanted: Option<&str>) -> Result<Option<bool>> {
        let Some(text) = wanted else { return Ok(None) };
        let wanted = version(text)
            .with_context(|| format!("minKernel {text:?} is no version\nhint: such as \"5.10\""))?;
        Ok(Some(self.kernel >= wanted))
    }
}

/// Major and minor of `5.10`, `6.18.3-arch1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split(|digit: char| !digit.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        let capabilities = Set(1 << 21); // CAP_SYS_ADMIN
        Machine { architecture: Architecture::X86_64, kernel: (5, 10), capabilities }
    }

    fn suits(includes: &str, excludes: &str) -> bool {
        let [includes, excludes] =
            [includes, excludes].map(|text| serde_json::from_str(text).unwrap());
        machine().suits(Some(&includes), Some(&excludes)).unwrap()
    }

    #[test]
    fn a_rule_is_for_machines_that_are_included_and_not_excluded() {
        assert!(suits("{}", "{}"));
        assert!(suits(r#"{"arches": []}"#, r#"{"arches": []}"#));
        assert!(suits(r#"{"arches": ["arm64", "amd64"]}"#, r#"{"arches": ["arm64"]}"#));
        assert!(!suits(r#"{"arches": ["arm64"]}"#, "{}"));
        assert!(!suits("{}", r#"{"arches": ["amd64"]}"#));
        assert!(suits(r#"{"caps": ["CAP_SYS_ADMIN"]}"#, r#"{"caps": ["CAP_BPF"]}"#));
        assert!(!suits(r#"{"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}"#, "{}"));
        assert!(!suits("{}", r#"{"caps": ["CAP_BPF", "CAP_SYS_ADMIN"]}"#));
        assert!(!suits(r#"{"caps": ["CAP_OF_TOMORROW"]}"#, "{}"));
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(suits(r#"{"minKernel": "5.9"}"#, "{}"));
        assert!(suits(r#"{"minKernel": "5.10"}"#, r#"{"minKernel": "5.11"}"#));
        assert!(!suits(r#"{"minKernel": "5.11"}"#, "{}"));
        assert!(!suits("{}", r#"{"minKernel": "4.8"}"#));
        assert_eq!(version("6.18.44-x-v6"), Some((6, 18)));
        assert_eq!(version("6.1-rc3"), Some((6, 1)));
        for bad in ["", "5", "five.ten", "5.", "-1.2"] {
            assert_eq!(version(bad), None, "{bad}");
        }
    }
}
