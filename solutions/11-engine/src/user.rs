//! Finds the user that the container's command runs as.
//!
//! The kernel knows numbers only. Names are looked up in the image's own `/etc/passwd` and
//! `/etc/group`, so this runs inside, after the pivot, where those paths can't lead astray.

use anyhow::{Context, Result, ensure};
use confine::User;
use nix::fcntl::OFlag;
use nix::unistd::{Uid, fchown};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, stdin};
use std::os::unix::fs::OpenOptionsExt;

/// Whose terminal standard input is, if it is one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// The container's (`-t`).
    OfItsOwn,
    /// The host's: nothing to give away.
    OfTheHost,
}

/// Finds `USER[:GROUP]`, root if there is none, and the groups that were asked for besides; and
/// gives the terminal to that user.
pub fn find_user(user: Option<&str>, groups: &[String], terminal: Terminal) -> Result<Account> {
    if let [first, ..] = groups {
        let missing = || users::who_is_missing().unwrap_or_default();
        ensure!(!users::groups_are_fixed(), "cannot add group {first}{}", missing());
    }
    let (passwd, group) = (read("/etc/passwd")?, read("/etc/group")?);
    let account = Account::find(user.unwrap_or("0"), groups, &passwd, &group)?;
    if terminal == Terminal::OfItsOwn && account.user.uid != 0 {
        // Like a login: whoever sits at the terminal owns it.
        fchown(stdin(), Some(Uid::from_raw(account.user.uid)), None)
            .context("cannot give /dev/pts/0 away")?;
    }
    Ok(account)
}

/// The most that a user database may have, in bytes.
const LARGEST: u64 = 1 << 20;

/// A file of the image; one that is missing is empty. Whoever made the image may have put a FIFO
/// there, or a link to /dev/zero: neither may we wait for the one nor fill the memory with the other.
fn read(path: &str) -> Result<String> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits()).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        other => other.with_context(|| format!("cannot open the image's {path}"))?,
    };
    let metadata = file.metadata()?;
    ensure!(
        metadata.is_file() && metadata.len() <= LARGEST,
        "the image's {path} is no file of users"
    );
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).with_context(|| format!("cannot read {path}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What the image's files say about a user.
#[derive(Debug, PartialEq, Eq)]
pub struct Account {
    /// Its numbers.
    pub user: User,
    /// Its home folder.
    pub home: String,
}

impl Account {
    /// Finds `USER[:GROUP]`, names or numbers, in the texts of passwd(5) and group(5).
    ///
    /// As docker does it: a number need not be listed; without `:GROUP` the user's own group and
    /// all that name the user as a member count, with it only that one; those in `added` always.
    fn find(wanted: &str, added: &[String], passwd: &str, group: &str) -> Result<Account> {
        let (user, wanted_group) = match wanted.split_once(':') {
            Some((user, group)) => (if user.is_empty() { "0" } else { user }, Some(group)),
            None => (wanted, None),
        };
        let listed =
            lines(passwd).find(|line| line.len() >= 6 && (line[0] == user || line[2] == user));
        let uid = listed.as_ref().map_or_else(|| number(user), |line| number(line[2]));
        let uid = uid.with_context(|| {
            format!("the image has no user {user}\nhint: name one of its /etc/passwd, or a number")
        })?;
        let name = listed.as_ref().map_or("", |line| line[0]);
        let mut groups = Vec::new();
        let gid = match wanted_group.filter(|group| !group.is_empty()) {
            Some(wanted) => group_id(wanted, group)?,
            None => {
                let has_member = |line: &Vec<&str>| {
                    line.len() >= 4 && line[3].split(',').any(|member| member == name)
                };
                let memberships = lines(group).filter(|line| !name.is_empty() && has_member(line));
                groups.extend(memberships.filter_map(|line| number(line[2])));
                listed.as_ref().and_then(|line| number(line[3])).unwrap_or(0)
            }
        };
        if !groups.contains(&gid) {
            groups.insert(0, gid);
        }
        for added in added {
            let gid = group_id(added, group)?;
            if !groups.contains(&gid) {
                groups.push(gid);
            }
        }
        let home = listed.map(|line| line[5]).filter(|home| !home.is_empty()).unwrap_or("/");
        Ok(Account { user: User { uid, gid, groups }, home: home.to_owned() })
    }
}

/// A number that somebody can be: the highest of all means "leave it as it is" to setresuid(2).
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

/// The number of a group that is listed, or any number.
fn group_id(wanted: &str, group: &str) -> Result<u32> {
    let listed =
        lines(group).find(|line| line.len() >= 3 && (line[0] == wanted || line[2] == wanted));
    listed.map_or_else(|| number(wanted), |line| number(line[2])).with_context(|| {
        format!("the image has no group {wanted}\nhint: name one of its /etc/group, or a number")
    })
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\nwww:x:34:\nlogs:x:4:other,web\nstaff:x:50:\n";

    fn find(wanted: &str) -> Account {
        Account::find(wanted, &[], PASSWD, GROUP).unwrap()
    }

    fn account(uid: u32, gid: u32, groups: &[u32], home: &str) -> Account {
        Account { user: User { uid, gid, groups: groups.to_vec() }, home: home.to_owned() }
    }

    #[test]
    fn a_user_brings_its_group_its_memberships_and_its_home() {
        let web = account(33, 34, &[34, 4], "/srv");
        assert_eq!(find("web"), web);
        assert_eq!(find("33"), web);
    }

    #[test]
    fn a_number_need_not_be_listed() {
        assert_eq!(find("4711"), account(4711, 0, &[0], "/"));
    }

    #[test]
    fn a_given_group_is_the_only_one() {
        assert_eq!(find("web:staff").user.groups, [50]);
        assert_eq!(find("web:77").user.groups, [77]);
        assert_eq!(find(":staff").user.uid, 0);
    }

    #[test]
    fn a_group_that_is_added_comes_on_top() {
        let find = |wanted: &str, added: &[&str]| {
            let added: Vec<String> = added.iter().map(ToString::to_string).collect();
            Account::find(wanted, &added, PASSWD, GROUP).map(|account| account.user.groups)
        };
        assert_eq!(find("web", &["staff", "7", "logs"]).unwrap(), [34, 4, 50, 7]);
        assert_eq!(find("web:77", &["staff"]).unwrap(), [77, 50]);
        assert!(find("web", &["no-group"]).is_err());
    }

    #[test]
    fn a_name_must_be_listed() {
        for wanted in ["nobody-here", "web:nogroup", "4294967295", "0:4294967295", "-1"] {
            let error = Account::find(wanted, &[], PASSWD, GROUP).unwrap_err();
            assert!(error.to_string().contains("\nhint: "), "{error}");
        }
    }
}
