//! `--security-opt`, as docker-run(1) has it.

use super::{Filter, Machine, Profile, compile, standard};
use anyhow::{Context, Result, ensure};
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::str::FromStr;
use xray::capabilities::Set;

/// One `--security-opt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurityOption {
    /// `seccomp=`
    Seccomp(Chosen),
    /// `no-new-privileges`
    NoNewPrivileges(bool),
}

/// Which calls a container may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// `builtin`: those of our own profile.
    Builtin,
    /// `unconfined`: all.
    Unconfined,
    /// Those of the profile in this file.
    File(PathBuf),
}

impl FromStr for SecurityOption {
    type Err = String;

    fn from_str(text: &str) -> Result<SecurityOption, String> {
        // docker takes a colon too, from times of old
        let at = text.find(['=', ':']).unwrap_or(text.len());
        let (name, value) = (&text[..at], text.get(at + 1..));
        match (name, value) {
            ("seccomp", Some("unconfined")) => Ok(SecurityOption::Seccomp(Chosen::Unconfined)),
            ("seccomp", Some("builtin")) => Ok(SecurityOption::Seccomp(Chosen::Builtin)),
            ("seccomp", Some(file)) if !file.is_empty() => {
                Ok(SecurityOption::Seccomp(Chosen::File(file.into())))
            }
            ("no-new-privileges", None | Some("true")) => Ok(SecurityOption::NoNewPrivileges(true)),
            ("no-new-privileges", Some("false")) => Ok(SecurityOption::NoNewPrivileges(false)),
            _ => {
                Err("seccomp=unconfined, seccomp=builtin, seccomp=FILE or no-new-privileges".into())
            }
        }
    }
}

/// Is `no-new-privileges` among them? The last one counts.
pub fn no_new_privileges(options: &[SecurityOption]) -> bool {
    let flag = |option: &SecurityOption| match option {
        SecurityOption::NoNewPrivileges(flag) => Some(*flag),
        SecurityOption::Seccomp(_) => None,
    };
    options.iter().rev().find_map(flag).unwrap_or(false)
}

/// The filter that was asked for, or `otherwise` if none was. The last one counts; `None` is no
/// filter at all.
pub fn filter(
    options: &[SecurityOption],
    otherwise: Chosen,
    capabilities: Set,
) -> Result<Option<Filter>> {
    let chosen = options.iter().rev().find_map(|option| match option {
        SecurityOption::Seccomp(chosen) => Some(chosen),
        SecurityOption::NoNewPrivileges(_) => None,
    });
    match chosen.unwrap_or(&otherwise) {
        Chosen::Unconfined => Ok(None),
        Chosen::Builtin => standard::filter(capabilities).map(Some),
        Chosen::File(path) => {
            let profile = Profile::read(path)?;
            let place = || format!("the seccomp profile {}", path.display());
            let policy = profile.policy(&Machine::this(capabilities)?).with_context(place)?;
            ensure!(
                !policy.notifies,
                "{}: SCMP_ACT_NOTIFY asks a supervisor, and there is none\n\
                 hint: no container of these chapters has one yet; allow the call or refuse it",
                place()
            );
            ensure!(
                !(policy.refuses("execve") && policy.refuses("write")),
                "{} lets neither execve nor write through: no command could be started, and no \
                 error be told\n\
                 hint: let through what a command needs to begin, to run and to end",
                place()
            );
            for name in profile.unknown_refusals() {
                // Not `eprintln!`, which panics where standard error is full or gone.
                let _ = writeln!(
                    stderr(),
                    "warning: {} refuses {name}, and no call has this name here: nothing is refused",
                    place()
                );
            }
            compile(&policy).with_context(place).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_docker_takes() {
        let parse = |text: &str| text.parse::<SecurityOption>();
        let seccomp = |chosen| Ok(SecurityOption::Seccomp(chosen));
        assert_eq!(parse("seccomp=unconfined"), seccomp(Chosen::Unconfined));
        assert_eq!(parse("seccomp:unconfined"), seccomp(Chosen::Unconfined));
        assert_eq!(parse("seccomp=builtin"), seccomp(Chosen::Builtin));
        assert_eq!(parse("seccomp=a=b:c.json"), seccomp(Chosen::File("a=b:c.json".into())));
        for yes in ["no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"] {
            assert_eq!(parse(yes), Ok(SecurityOption::NoNewPrivileges(true)));
        }
        assert_eq!(parse("no-new-privileges=false"), Ok(SecurityOption::NoNewPrivileges(false)));
        for bad in ["", "seccomp", "seccomp=", "seccomp:", "no-new-privileges=maybe", "apparmor=x"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_one_counts() {
        let options = ["no-new-privileges", "seccomp=unconfined", "no-new-privileges=false"];
        let options = options.map(|text| text.parse().unwrap());
        assert!(!no_new_privileges(&options));
        assert!(no_new_privileges(&options[..2]));
        assert!(filter(&options, Chosen::Builtin, Set(0)).unwrap().is_none());
        assert!(filter(&options[..1], Chosen::Builtin, Set(0)).unwrap().is_some());
        assert!(filter(&options[..1], Chosen::Unconfined, Set(0)).unwrap().is_none());
    }
}
