//! Who a command runs as, in the kernel's terms: numbers only.

use std::str::FromStr;

/// A user with all that makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User ID; 0 is root.
    pub uid: u32,
    /// The group of the files that it makes.
    pub gid: u32,
    /// All groups whose files it may use, supplementary ones; those of our caller are given up.
    pub groups: Vec<u32>,
}

/// −1 is nobody: setresuid(2) and chown(2) take it for "leave it as it is".
const HIGHEST: u32 = u32::MAX - 1;

impl FromStr for User {
    type Err = String;

    /// `UID[:GID]`; without a group it is that of root, as docker has it for a number.
    fn from_str(text: &str) -> Result<User, String> {
        let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
        let number = |text: &str| text.parse().ok().filter(|number| *number <= HIGHEST);
        match (number(uid), number(gid)) {
            (Some(uid), Some(gid)) => Ok(User { uid, gid, groups: vec![gid] }),
            _ => Err(format!("a number, or two as in 1000:100, up to {HIGHEST}")),
        }
    }
}

/// Says who we could not become, and where a user namespace lacks them, what to do about it.
pub(crate) fn cannot_be(what: &str, id: u32) -> String {
    format!("cannot become {what} {id}{}", users::who_is_missing().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_a_number_or_two() {
        assert_eq!("7".parse(), Ok(User { uid: 7, gid: 0, groups: vec![0] }));
        assert_eq!("7:8".parse(), Ok(User { uid: 7, gid: 8, groups: vec![8] }));
        for bad in ["", "root", "-1", "7:", ":7", "7:8:9", "4294967295", "1:4294967295"] {
            assert!(bad.parse::<User>().is_err(), "{bad}");
        }
    }
}
