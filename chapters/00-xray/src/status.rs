//! Reads `/proc/PID/status`: some sixty lines of `Name: value`, readable by everyone.
//!
//! Lines come and go with the kernel's version and configuration (`proc_pid_status(5)`), so they
//! are looked up by name and one that is missing is an error of that line alone.

use crate::procfs;
use anyhow::{Context, Result};

/// One reading of `/proc/PID/status`, so that rows made of several lines agree with each other.
#[derive(Debug, Clone)]
pub struct Status {
    text: String,
}

impl Status {
    /// Reads the file once; errors as in [`procfs::read`].
    pub fn read(pid: u32) -> Result<Status> {
        Ok(Status { text: procfs::read(pid, "status")? })
    }

    /// The value of the line `NAME:` without the white space around it.
    ///
    /// # Errors
    /// This kernel prints no such line.
    pub fn field(&self, name: &str) -> Result<&str> {
        self.text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .with_context(|| format!("this kernel shows no {name} in /proc/PID/status"))
    }

    /// The decimal number in the line `NAME:`; errors as in [`Status::field`].
    pub fn number(&self, name: &str) -> Result<u32> {
        let value = self.field(name)?;
        value.parse().with_context(|| format!("{name} is {value:?}, not a number"))
    }

    /// The numbers in the line `NAME:`, of which there may be none; errors as in
    /// [`Status::field`].
    pub fn numbers(&self, name: &str) -> Result<Vec<u32>> {
        let numbers = self.field(name)?.split_whitespace();
        numbers
            .map(|number| number.parse().with_context(|| format!("{name} holds {number:?}")))
            .collect()
    }

    /// The set of bits that the line `NAME:` writes as hexadecimal digits; errors as in
    /// [`Status::field`].
    pub fn bits(&self, name: &str) -> Result<u64> {
        let value = self.field(name)?;
        u64::from_str_radix(value, 16).with_context(|| format!("{name} is {value:?}, not a mask"))
    }
}

impl From<&str> for Status {
    /// Takes a text that was read elsewhere, such as a saved one.
    fn from(text: &str) -> Status {
        Status { text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_whole() {
        let status = Status::from("Seccomp_filters:\t3\nSeccomp:\t2\n");
        assert_eq!(status.number("Seccomp").unwrap(), 2);
        assert_eq!(status.number("Seccomp_filters").unwrap(), 3);
        assert!(status.field("Sec").is_err());
    }

    #[test]
    fn an_empty_line_is_no_numbers_and_a_missing_one_an_error() {
        let status = Status::from("Groups:\t \nUid:\t0\t1\t2\t3\n");
        assert!(status.numbers("Groups").unwrap().is_empty());
        assert_eq!(status.numbers("Uid").unwrap(), [0, 1, 2, 3]);
        assert!(status.numbers("Gid").is_err());
    }

    #[test]
    fn masks_are_hexadecimal() {
        let status = Status::from("CapEff:\t000001fffeffffff\n");
        assert_eq!(status.bits("CapEff").unwrap(), 0x1ff_feff_ffff);
    }
}
