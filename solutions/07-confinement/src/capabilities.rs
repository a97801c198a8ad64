//! Which capabilities a container gets: docker's fourteen, more, fewer, or all that we have.

use crate::{Sets, User};
use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{CapabilitySets, capability_is_in_bounding_set, set_capabilities};
use std::str::FromStr;
use xray::capabilities::{NAMES, Set, name, number};

/// What docker gives to a container: enough to install packages and to become another user.
const DEFAULT: [&str; 14] = [
    "CAP_AUDIT_WRITE",      //      write to the log of logins
    "CAP_CHOWN",            //            give files away
    "CAP_DAC_OVERRIDE",     //     read and write what permissions forbid
    "CAP_FOWNER",           //           change modes of other users' files
    "CAP_FSETID",           //           keep set-user-ID bits when a file is changed
    "CAP_KILL",             //             signal other users' processes
    "CAP_MKNOD", //            make device nodes, which the device rules of chapter 06 guard
    "CAP_NET_BIND_SERVICE", // listen on ports below 1024
    "CAP_NET_RAW", //          ping, and send any packet
    "CAP_SETFCAP", //          give files capabilities, of the bounding set
    "CAP_SETGID", //           take any group
    "CAP_SETPCAP", //          give up capabilities, as we do
    "CAP_SETUID", //           become any user
    "CAP_SYS_CHROOT", //       chroot
];

/// A name after `--cap-add` or `--cap-drop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// `ALL`
    All,
    /// One, by its number.
    One(u32),
}

impl FromStr for Named {
    type Err = String;

    /// With or without `CAP_`, in any case: `SYS_PTRACE`, `cap_sys_ptrace`.
    fn from_str(text: &str) -> Result<Named, String> {
        if text.eq_ignore_ascii_case("ALL") || text.eq_ignore_ascii_case("CAP_ALL") {
            return Ok(Named::All);
        }
        number(text).map(Named::One).ok_or_else(|| match nearest(text) {
            Some(known) => format!("there is no capability of this name; did you mean {known}?"),
            None => "there is no capability of this name; capabilities(7) lists them".into(),
        })
    }
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The most that there will be in the container, and what root has.
    pub most: Set,
    /// Those of them that were named: another user gets these and no others.
    pub named: Set,
}

impl Capabilities {
    /// Docker's fourteen, or with `privileged` all of `ours`, without `drop` and with `add`.
    ///
    /// A name outweighs ALL, and to add outweighs to drop. We cannot give what we don't have: of
    /// the fourteen that is left out, and of what was named it is an error.
    pub fn choose(
        privileged: bool,
        add: &[Named],
        drop: &[Named],
        ours: Set,
    ) -> Result<Capabilities> {
        let (add_all, drop_all) = (add.contains(&Named::All), drop.contains(&Named::All));
        ensure!(!(add_all && drop_all), "--cap-add ALL and --cap-drop ALL contradict each other");
        let (add, drop) = (named(add), named(drop));
        let missing = Set(add.0 & !ours.0);
        if let Some(name) = missing.names().first() {
            bail!(
                "cannot give {name}, which we don't have\nhint: xray shows what we have: row bounding"
            );
        }
        let start = match (drop_all, privileged || add_all) {
            (true, _) => Set(0),
            (false, true) => ours,
            (false, false) => Set(named_set(&DEFAULT).0 & ours.0),
        };
        Ok(Capabilities { most: Set(start.0 & !drop.0 | add.0), named: add })
    }

    /// What that means for `user`. Root has them all. Whoever is not root has, as ever, none; but
    /// a capability that somebody named is meant for the command, whoever it runs as.
    pub fn of(&self, user: &User) -> Sets {
        let (held, handed_on) = match user.uid {
            0 => (self.most, Set(0)),
            _ => (self.named, self.named),
        };
        Sets { bounding: self.most, held, handed_on }
    }
}

fn named(list: &[Named]) -> Set {
    list.iter().fold(Set(0), |set, named| match named {
        Named::One(number) => Set(set.0 | 1 << number),
        Named::All => set,
    })
}

fn named_set(names: &[&str]) -> Set {
    Set(names.iter().filter_map(|name| number(name)).fold(0, |bits, number| bits | 1 << number))
}

/// The capabilities that this process could hand on: those that it holds and that are in its
/// bounding set.
pub fn ours() -> Result<Set> {
    let held = rustix::thread::capabilities(None).context("cannot read our capabilities")?;
    Ok(Set(held.permitted.bits() & bounding().0))
}

/// Our bounding set. The kernel is asked for each, because no file outside of /proc lists them,
/// and what is in /proc is up to who mounts.
pub fn bounding() -> Set {
    let bits = (0..64).map(|number| 1 << number);
    let has =
        |bit: &u64| matches!(capability_is_in_bounding_set(crate::flags(Set(*bit))), Ok(true));
    Set(bits.filter(has).sum())
}

/// Makes effective what is permitted.
pub(crate) fn take_up_all() -> Result<()> {
    let sets = rustix::thread::capabilities(None).context("cannot read our capabilities")?;
    set_capabilities(None, CapabilitySets { effective: sets.permitted, ..sets })
        .context("cannot make our capabilities effective")
}

/// The name that was probably meant: the one with the fewest letters to change, if few.
fn nearest(text: &str) -> Option<String> {
    let text = text.to_ascii_uppercase();
    let text = text.strip_prefix("CAP_").unwrap_or(&text);
    let distance = |known: &str| {
        let known = &known[4..];
        let part = !text.is_empty() && known.split('_').any(|word| word == text);
        if part { 1 } else { edits(text, known) }
    };
    let (index, distance) =
        NAMES.iter().map(|known| distance(known)).enumerate().min_by_key(|(_, edits)| *edits)?;
    (distance <= 3 && distance < text.len()).then(|| name(index as u32)[4..].to_owned())
}

/// How many letters to change, add or leave away to make one word of the other (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, wanted) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(letter != wanted);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVERYTHING: Set = Set(0x1ff_ffff_ffff);

    fn choose(add: &[&str], drop: &[&str]) -> Result<Capabilities> {
        let parse = |names: &[&str]| -> Vec<Named> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        Capabilities::choose(false, &parse(add), &parse(drop), EVERYTHING)
    }

    fn most(add: &[&str], drop: &[&str]) -> Set {
        choose(add, drop).unwrap().most
    }

    #[test]
    fn the_default_is_dockers() {
        // CapBnd in /proc/1/status of any docker container
        assert_eq!(most(&[], &[]), Set(0xa804_25fb));
    }

    #[test]
    fn a_name_outweighs_all_and_to_add_outweighs_to_drop() {
        assert_eq!(most(&["net_raw"], &["ALL"]), named_set(&["NET_RAW"]));
        assert_eq!(most(&["all"], &["CAP_SYS_ADMIN"]), Set(EVERYTHING.0 & !(1 << 21)));
        assert_eq!(most(&["Chown"], &["CHOWN"]), most(&[], &[]));
        assert!(choose(&["ALL"], &["ALL"]).is_err());
    }

    #[test]
    fn what_we_do_not_have_is_left_out_or_refused() {
        let ours = named_set(&["CHOWN", "SYS_ADMIN"]);
        let choose = |privileged, add: &[Named]| Capabilities::choose(privileged, add, &[], ours);
        assert_eq!(choose(false, &[]).unwrap().most, named_set(&["CHOWN"]));
        assert_eq!(choose(true, &[]).unwrap().most, ours);
        assert_eq!(choose(false, &[Named::All]).unwrap().most, ours);
        let error = choose(true, &[Named::One(24)]).unwrap_err().to_string();
        assert!(error.starts_with("cannot give CAP_SYS_RESOURCE, "), "{error}");
    }

    #[test]
    fn a_user_who_is_not_root_gets_what_was_named() {
        let chosen = choose(&["NET_ADMIN"], &[]).unwrap();
        let (root, other) = (chosen.of(&User::default()), chosen.of(&"7".parse().unwrap()));
        assert_eq!((root.held, root.handed_on), (chosen.most, Set(0)));
        assert_eq!(other.bounding, root.bounding);
        let named = named_set(&["NET_ADMIN"]);
        assert_eq!((other.held, other.handed_on), (named, named));
        assert_eq!(most(&[], &[]), choose(&[], &[]).unwrap().of(&User::default()).held);
    }

    #[test]
    fn a_name_that_does_not_exist_is_answered_with_the_one_that_was_meant() {
        for (wrong, meant) in [
            ("SYS_PTRAC", "SYS_PTRACE"),
            ("cap_net_amdin", "NET_ADMIN"),
            ("SYSADMIN", "SYS_ADMIN"),
            ("CHMOD", "CHOWN"),
            ("ptrace", "SYS_PTRACE"),
        ] {
            let error = wrong.parse::<Named>().unwrap_err();
            assert!(error.ends_with(&format!("did you mean {meant}?")), "{wrong}: {error}");
        }
        for wrong in ["", "x", "CAP_", "everything-there-is", "ALLES"] {
            let error = wrong.parse::<Named>().unwrap_err();
            assert!(error.ends_with("lists them"), "{wrong}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_more_than_we_have_and_never_what_was_dropped(
            ours in 0u64..1 << 41, add in 0u32..41, drop in 0u32..41, privileged: bool, all: bool,
        ) {
            let ours = Set(ours);
            let mut dropped = vec![Named::One(drop)];
            dropped.extend(all.then_some(Named::All));
            if let Ok(chosen) = Capabilities::choose(privileged, &[Named::One(add)], &dropped, ours) {
                prop_assert_eq!(chosen.most.0 & !ours.0, 0);
                prop_assert!(chosen.most.0 & (1 << add) != 0);
                prop_assert!(add == drop || chosen.most.0 & (1 << drop) == 0);
                prop_assert!(!all || chosen.most == chosen.named);
                let sets = chosen.of(&User { uid: 1, ..User::default() });
                prop_assert_eq!(sets.held.0 & !sets.bounding.0, 0);
            } else {
                prop_assert!(ours.0 & (1 << add) == 0);
            }
        }

        #[test]
        fn names_are_taken_as_people_write_them(index in 0usize..41, prefix: bool, lower: bool) {
            let name = if prefix { NAMES[index] } else { &NAMES[index][4..] };
            let name = if lower { name.to_lowercase() } else { name.to_owned() };
            prop_assert_eq!(name.parse(), Ok(Named::One(index as u32)));
        }

        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = text.parse::<Named>();
        }
    }
}
