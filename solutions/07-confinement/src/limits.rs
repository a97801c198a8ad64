//! Limits of what one process may use: `--ulimit NAME=SOFT[:HARD]`, setrlimit(2).

use anyhow::{Context, Result};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::str::FromStr;

/// The names of `--ulimit` and, in capitals after `RLIMIT_`, of setrlimit(2).
const NAMES: [(&str, Resource); 16] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("locks", Resource::Locks),
    ("memlock", Resource::Memlock),
    ("msgqueue", Resource::Msgqueue),
    ("nice", Resource::Nice),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("rtprio", Resource::Rtprio),
    ("rttime", Resource::Rttime),
    ("sigpending", Resource::Sigpending),
    ("stack", Resource::Stack),
];

/// One limit, in the unit that setrlimit(2) gives it: mostly bytes, seconds, or just a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    name: &'static str,
    resource: Resource,
    /// Where the kernel says no; `None` is never.
    soft: Option<u64>,
    /// How far the process may raise the soft limit by itself.
    hard: Option<u64>,
}

impl Limit {
    /// Sets it for this process and all that it becomes and starts.
    pub fn set(&self) -> Result<()> {
        let limit = Rlimit { current: self.soft, maximum: self.hard };
        setrlimit(self.resource, limit).map_err(|errno| {
            let most = getrlimit(self.resource).maximum;
            let most = most.map_or("unlimited".to_owned(), |number| number.to_string());
            let hint = match errno {
                Errno::PERM => format!("\nhint: only CAP_SYS_RESOURCE may raise it above {most}"),
                _ => String::new(),
            };
            anyhow::Error::new(errno).context(format!("cannot set the limit {}{hint}", self.name))
        })
    }
}

impl FromStr for Limit {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Limit> {
        let (name, values) = text.split_once('=').context("a limit is NAME=SOFT[:HARD]")?;
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let (name, resource) = *known.with_context(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("there is no limit {name:?}; the names are {}", names.join(", "))
        })?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let (soft, hard) = (value(soft)?, value(hard)?);
        let above = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        anyhow::ensure!(above(soft) <= above(hard), "the soft limit is above the hard one");
        Ok(Limit { name, resource, soft, hard })
    }
}

fn value(text: &str) -> Result<Option<u64>> {
    match text {
        "unlimited" | "-1" => Ok(None),
        number => {
            let number: u64 = number
                .parse()
                .with_context(|| format!("{number:?} is neither a number nor unlimited"))?;
            Ok((number != u64::MAX).then_some(number)) // RLIM_INFINITY
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_is_both_limits() {
        let limit = |text: &str| text.parse::<Limit>().map(|limit| (limit.soft, limit.hard));
        assert_eq!(limit("nofile=7").unwrap(), (Some(7), Some(7)));
        assert_eq!(limit("nofile=7:9").unwrap(), (Some(7), Some(9)));
        assert_eq!(limit("core=0:unlimited").unwrap(), (Some(0), None));
        assert_eq!(limit("core=-1").unwrap(), (None, None));
        for bad in
            ["", "nofile", "nofile=", "nofile=x", "files=1", "nofile=2:1", "nofile=-1:5", "cpu=-2"]
        {
            assert!(limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_limit_that_is_shown_can_be_set() {
        for (_, name) in xray::limits::NAMES {
            assert!(NAMES.iter().any(|(known, _)| *known == name), "{name}");
        }
    }
}
