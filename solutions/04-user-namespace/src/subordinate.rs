//! The numbers that an administrator has set aside for a user: `/etc/subuid`, `/etc/subgid`.
//!
//! A line is `NAME:FIRST:COUNT`, also with the user's number for the name (subuid(5)); a user may
//! have several. `useradd` writes one for each new user on most distributions. Nobody else is given
//! those numbers, so what belongs to them outside is that user's alone.

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::{Pid, Uid, User, geteuid};
use std::env::{split_paths, var_os};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use xray::id_maps::{self, Range};

/// The most ranges that we hand on. The kernel takes 340 lines (user_namespaces(7)).
const MOST: usize = 300;

/// What is set aside for one user, laid out from 1 on. None of the two is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subordinate {
    /// User numbers.
    pub users: Vec<Range>,
    /// Group numbers.
    pub groups: Vec<Range>,
}

impl Subordinate {
    /// What the caller may use; the error says what is missing for it.
    pub fn of_caller() -> Result<Subordinate> {
        Subordinate::of(geteuid())
    }

    fn of(user: Uid) -> Result<Subordinate> {
        let name = User::from_uid(user).ok().flatten().map(|user| user.name);
        let ranges = |path: &str| {
            let text = match fs::read_to_string(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
                text => text.with_context(|| format!("cannot read {path}"))?,
            };
            let ranges = parse(&text, user.as_raw(), name.as_deref());
            let shown = name.clone().unwrap_or_else(|| user.to_string());
            ensure!(
                !ranges.is_empty(),
                "{path} has no line for {shown}\nhint: sudo usermod --add-subuids 100000-165535 \
                 --add-subgids 100000-165535 {shown}, with numbers that no other line has"
            );
            Ok(ranges)
        };
        let found = Subordinate { users: ranges("/etc/subuid")?, groups: ranges("/etc/subgid")? };
        for program in ["newuidmap", "newgidmap"] {
            find(program)?;
        }
        Ok(found)
    }
}

/// The ranges of one user in the text of a file, one after the other from 1 on.
fn parse(text: &str, user: u32, name: Option<&str>) -> Vec<Range> {
    let mut next = 1u32;
    let mut ranges = Vec::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [whose, first, count] = fields[..] else { continue };
        if Some(whose) != name && whose.parse() != Ok(user) {
            continue;
        }
        let (Ok(outside), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else {
            continue;
        };
        // 4294967295 is no user: it means "leave it as it is" to chown(2).
        let count = count.min(u32::MAX - outside).min(u32::MAX - next);
        if count > 0 && ranges.len() < MOST {
            ranges.push(Range { inside: next, outside, count });
            next += count;
        }
    }
    ranges
}

/// Runs `newuidmap PID INSIDE OUTSIDE COUNT …` or `newgidmap`, with root inside first.
pub(crate) fn run_with_ranges(program: &str, pid: Pid, root: u32, ranges: &[Range]) -> Result<()> {
    let path = find(program)?;
    let mut command = Command::new(&path);
    command.arg(pid.to_string());
    for Range { inside, outside, count } in
        [Range { inside: 0, outside: root, count: 1 }].iter().chain(ranges)
    {
        command.args([inside, outside, count].map(u32::to_string));
    }
    let output = command.output().with_context(|| format!("cannot run {}", path.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it does not say why").trim();
    let hint = reason(&path, said).map(|reason| format!("\nhint: {reason}"));
    bail!("cannot write the maps: {said}{}", hint.unwrap_or_default())
}

/// Why one of the programs failed, where that can be seen.
fn reason(path: &PathBuf, said: &str) -> Option<String> {
    let shown = path.display();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    if status.lines().any(|line| line.split_whitespace().eq(["NoNewPrivs:", "1"])) {
        return Some(
            "this process may gain no privileges (no_new_privs), so no set-user-ID program works"
                .into(),
        );
    }
    if said.contains("Operation not permitted") && !has_powers(path) {
        return Some(format!(
            "it must be set-user-ID root: sudo chown root {shown}; sudo chmod u+s {shown}"
        ));
    }
    let reasons = [
        (
            "not allowed",
            "the lines of /etc/subuid and /etc/subgid are not what it wants: does a range overlap \
             another, or has it changed?",
        ),
        (
            "Invalid argument", // the kernel's word, for a number that is mapped twice
            "two lines of /etc/subuid or /etc/subgid give this user the same number, or one gives \
             the user's own",
        ),
        (
            "owned by a different user",
            "our group is not the one of our account: newgrp or sg has changed it",
        ),
    ];
    let reason = reasons.iter().find(|(word, _)| said.contains(word));
    reason.map(|(_, reason)| (*reason).into())
}

/// Set-user-ID root, or with capabilities in its file: distributions do either.
fn has_powers(path: &PathBuf) -> bool {
    use std::os::unix::fs::MetadataExt;
    let set_uid = fs::metadata(path)
        .is_ok_and(|file| file.permissions().mode() & 0o4000 != 0 && file.uid() == 0);
    let mut value = [0; 64];
    set_uid || rustix::fs::getxattr(path, "security.capability", &mut value[..]).is_ok()
}

/// A program on the PATH, or where root's programs are.
fn find(program: &str) -> Result<PathBuf> {
    let path = var_os("PATH").unwrap_or_default();
    let folders = split_paths(&path).chain(["/usr/bin".into(), "/usr/sbin".into()]);
    let found = folders.map(|folder| folder.join(program)).find(|path| path.is_file());
    found.with_context(|| {
        format!(
            "there is no {program} here\nhint: install it: apt-get install uidmap, \
             dnf install shadow-utils, or pacman -S shadow"
        )
    })
}

/// For an error about a user or group that this user namespace does not have: a hint, after a line
/// break. `None` in the first user namespace, which has all.
pub fn who_is_missing() -> Option<String> {
    if crate::is_initial() {
        return None;
    }
    let map = id_maps::of(std::process::id(), "uid_map").ok()?;
    let numbers: u64 = map.ranges.iter().map(|range| u64::from(range.count)).sum();
    if numbers > 1 {
        return Some(format!(
            "\nhint: this user namespace has {numbers} users; /etc/subuid and /etc/subgid could give it more"
        ));
    }
    let missing = Subordinate::of(Uid::from_raw(map.outside(0)?)).err();
    let why =
        missing.map_or("\nhint: it was made for one user".into(), |error| format!(": {error}"));
    Some(format!(": this user namespace has one user only{why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_of_a_user_follow_each_other_from_1_on() {
        let text = "other:1:5\nme:100000:65536\n\n# me:1:1\nme:x:y\n1000:300000:10\nme:1:2:3\n";
        let first = Range { inside: 1, outside: 100_000, count: 65536 };
        let second = Range { inside: 65537, outside: 300_000, count: 10 };
        assert_eq!(parse(text, 1000, Some("me")), [first, second]);
        assert_eq!(parse(text, 1000, None), [Range { inside: 1, ..second }]);
        assert_eq!(parse(text, 1001, Some("nobody")), []);
    }

    #[test]
    fn no_range_is_longer_than_there_are_numbers() {
        let all = parse("me:4294967290:4294967295\nme:5:0\nme:7:4294967295\n", 1, Some("me"));
        assert_eq!(all[0], Range { inside: 1, outside: 4_294_967_290, count: 5 });
        assert_eq!(all[1], Range { inside: 6, outside: 7, count: u32::MAX - 7 });
        let many = "me:100000:1\n".repeat(400);
        assert_eq!(parse(&many, 1, Some("me")).len(), MOST);
    }
}
