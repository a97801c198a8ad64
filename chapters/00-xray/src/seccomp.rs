//! Reads two locks that a process can only close: no_new_privs and seccomp.
//!
//! With `no_new_privs` an exec gives no more power than there was before it, whatever setuid bit
//! the program has (`PR_SET_NO_NEW_PRIVS(2const)`). Seccomp filters are small programs that decide
//! about each system call (`seccomp(2)`). Neither can be taken back; children inherit both.

use crate::{Group, Row, status::Status};
use anyhow::Result;
use serde::Serialize;
use std::fmt;

/// The names of the modes, by their number in the line `Seccomp` of `/proc/PID/status`.
pub const MODES: [&str; 3] = ["disabled", "strict", "filter"];

/// What seccomp does for a process.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Seccomp {
    /// One of [`MODES`], or the number of one that is not known here.
    pub mode: String,
    /// How many filters each system call has to pass; none where the kernel (before 5.9) does
    /// not say.
    pub filters: Option<u32>,
}

impl Seccomp {
    /// Reads the two lines.
    ///
    /// # Errors
    /// The kernel was built without seccomp and prints no such line.
    pub fn of(status: &Status) -> Result<Seccomp> {
        let mode = status.number("Seccomp")?;
        Ok(Seccomp {
            mode: MODES.get(mode as usize).map_or(mode.to_string(), |name| (*name).to_owned()),
            filters: status.number("Seccomp_filters").ok(),
        })
    }
}

impl fmt::Display for Seccomp {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match (self.mode.as_str(), self.filters) {
            ("filter", Some(1)) => write!(out, "1 filter"),
            ("filter", Some(count)) => write!(out, "{count} filters"),
            (mode, _) => write!(out, "{mode}"),
        }
    }
}

#[derive(PartialEq, Serialize)]
#[serde(transparent)]
struct NoNewPrivs(bool);

impl fmt::Display for NoNewPrivs {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(if self.0 { "set" } else { "not set" })
    }
}

/// The row `no_new_privs`.
pub fn no_new_privs_row(status: &Status, others: &Status) -> Row {
    let flag = |status: &Status| Ok(NoNewPrivs(status.number("NoNewPrivs")? != 0));
    Row::compare("no_new_privs", Group::Confinement, flag(status), flag(others))
}

/// The row `seccomp`.
pub fn row(status: &Status, others: &Status) -> Row {
    Row::compare("seccomp", Group::Confinement, Seccomp::of(status), Seccomp::of(others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_modes() {
        let text = |status: &str| Seccomp::of(&Status::from(status)).unwrap().to_string();
        assert_eq!(text("Seccomp:\t0\nSeccomp_filters:\t0\n"), "disabled");
        assert_eq!(text("Seccomp:\t1\n"), "strict");
        assert_eq!(text("Seccomp:\t2\nSeccomp_filters:\t2\n"), "2 filters");
        assert_eq!(text("Seccomp:\t2\n"), "filter");
        assert_eq!(text("Seccomp:\t9\n"), "9");
    }

    #[test]
    fn a_kernel_without_seccomp_is_unknown_and_not_unfiltered() {
        assert!(Seccomp::of(&Status::from("Name:\tx\n")).is_err());
    }
}
