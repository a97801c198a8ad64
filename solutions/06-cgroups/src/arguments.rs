//! The flags by which people limit a container: docker-run(1)'s, with its units and its rules.

mod values;

use crate::limits::{Io, IoLimit, Limits};
use crate::{cpu_list, size};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use values::{at_least_lowest, cgroup_path, io_limit, on_this_machine, or_minus_one, quota, whole};

/// The period of `--cpus` and the kernel's own, in microseconds.
const PERIOD: u64 = 100_000;

/// More processes the kernel can't number on any machine: `PID_MAX_LIMIT` of linux/threads.h.
const MOST_PIDS: u64 = 4_194_304;

/// The limits of a container.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Limits")]
#[group(skip)]
pub struct Options {
    /// Memory at most, such as 64m; who wants more is killed
    #[arg(short, long, value_name = "SIZE", value_parser = size::parse)]
    pub memory: Option<u64>,
    /// Memory and swap together at most; -1 for any amount [default: twice the memory]
    #[arg(long, value_name = "SIZE", value_parser = or_minus_one, allow_hyphen_values = true)]
    pub memory_swap: Option<Any>,
    /// Memory that is left alone as long as others have more to give
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub memory_reservation: Option<u64>,
    /// Let those wait who find no memory, in place of killing one; cgroup version 1 only
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// How many CPUs' time at most, such as 0.5
    #[arg(long, value_name = "NUMBER", value_parser = quota)]
    pub cpus: Option<u64>,
    /// The period of --cpu-quota, in microseconds [default: 100000]
    #[arg(long, value_name = "MICROSECONDS", value_parser = whole, allow_hyphen_values = true)]
    pub cpu_period: Option<u64>,
    /// CPU time in each period at most, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,
    /// Weight among those that want the same CPU [default: 1024]
    #[arg(short = 'c', long, value_name = "WEIGHT", value_parser = whole, allow_hyphen_values = true)]
    pub cpu_shares: Option<u64>,
    /// The CPUs to run on, such as 0-3,7
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// The memory nodes to take memory from
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<String>,
    /// Processes and threads at most; -1 for any number
    #[arg(long, visible_alias = "pids", value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Weight among those that want the same disk, 10 to 1000
    #[arg(long, value_name = "WEIGHT", value_parser = whole, allow_hyphen_values = true)]
    pub blkio_weight: Option<u64>,
    /// Bytes a second to read from a disk
    #[arg(long, value_name = "DISK:SIZE")]
    pub device_read_bps: Vec<String>,
    /// Bytes a second to write to a disk
    #[arg(long, value_name = "DISK:SIZE")]
    pub device_write_bps: Vec<String>,
    /// Reads a second from a disk
    #[arg(long, value_name = "DISK:NUMBER")]
    pub device_read_iops: Vec<String>,
    /// Writes a second to a disk
    #[arg(long, value_name = "DISK:NUMBER")]
    pub device_write_iops: Vec<String>,
    /// The cgroup below which the container gets its own
    #[arg(long, value_name = "PATH", value_parser = cgroup_path)]
    pub cgroup_parent: Option<PathBuf>,
}

/// A size, or any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Any {
    /// No limit.
    Unlimited,
    /// So many bytes.
    Bytes(u64),
}

impl Options {
    /// The limits that are asked for, after a look at what this machine has.
    pub fn limits(&self) -> Result<Limits> {
        let (swap, swap_by_default) = self.swap()?;
        Ok(Limits {
            memory: self.memory()?,
            memory_high: None,
            memory_reservation: self.memory_reservation()?,
            swap,
            swap_by_default,
            oom_kill_disable: self.oom_kill_disable,
            cpu_max: self.cpu_max()?,
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0).map(|s| s.clamp(2, 262_144)),
            cpus: on_this_machine(&self.cpuset_cpus, "--cpuset-cpus", &cpu_list::cpus())?,
            memory_nodes: on_this_machine(
                &self.cpuset_mems,
                "--cpuset-mems",
                &cpu_list::memory_nodes(),
            )?,
            pids: self.pids()?,
            io_weight: self.io_weight()?,
            io_max: self.io_max()?,
        })
    }

    fn memory(&self) -> Result<Option<u64>> {
        let memory = self.memory.filter(|bytes| *bytes > 0); // docker: 0 is no limit
        at_least_lowest("--memory", memory)?;
        Ok(memory)
    }

    fn memory_reservation(&self) -> Result<Option<u64>> {
        let reservation = self.memory_reservation.filter(|bytes| *bytes > 0);
        at_least_lowest("--memory-reservation", reservation)?;
        if let (Some(memory), Some(reservation)) = (self.memory()?, reservation) {
            ensure!(
                reservation <= memory,
                "--memory-reservation, {}, is more than --memory, {}\n\
                 hint: it is what is left alone when others want memory, a part of the whole",
                size::show(reservation),
                size::show(memory)
            );
        }
        Ok(reservation)
    }

    /// Swap alone, and whether nobody asked for it. What people write is memory and swap together.
    fn swap(&self) -> Result<(Option<u64>, bool)> {
        let memory = self.memory()?;
        match (memory, self.memory_swap) {
            (None, None | Some(Any::Bytes(0) | Any::Unlimited)) => Ok((None, false)),
            (None, Some(Any::Bytes(_))) => {
                bail!("--memory-swap counts memory and swap together\nhint: give --memory too")
            }
            (Some(memory), None | Some(Any::Bytes(0))) => Ok((Some(memory), true)),
            (Some(_), Some(Any::Unlimited)) => Ok((None, false)),
            (Some(memory), Some(Any::Bytes(both))) => match both.checked_sub(memory) {
                Some(swap) => Ok((Some(swap), false)),
                None => bail!(
                    "--memory-swap, {}, is less than --memory, {}\n\
                     hint: it counts memory and swap together; as much as --memory is no swap",
                    size::show(both),
                    size::show(memory)
                ),
            },
        }
    }

    fn cpu_max(&self) -> Result<Option<(u64, u64)>> {
        let quota = self.cpu_quota.filter(|quota| *quota > 0); // docker: 0 and less is no limit
        let period = self.cpu_period.filter(|period| *period > 0);
        if let Some(asked) = self.cpus.filter(|asked| *asked > 0) {
            ensure!(
                quota.is_none() && period.is_none(),
                "--cpus says the same as --cpu-period and --cpu-quota\nhint: give the one or the others"
            );
            let machine = cpu_list::parse(&cpu_list::cpus()).map_or(1, |cpus| cpus.len()) as u64;
            ensure!(
                asked <= machine * PERIOD,
                "--cpus {} is more than this machine has\nhint: 0.01 to {machine}",
                asked as f64 / PERIOD as f64
            );
            return Ok(Some((asked, PERIOD)));
        }
        if let Some(period) = period {
            ensure!(
                (1_000..=1_000_000).contains(&period),
                "--cpu-period {period} is out of range\nhint: 1000 to 1000000 microseconds"
            );
        }
        let Some(quota) = quota else { return Ok(None) }; // a period alone limits nothing
        ensure!(
            quota >= 1_000,
            "--cpu-quota {quota} is too short\nhint: the least is 1000 microseconds"
        );
        Ok(Some((quota.unsigned_abs(), period.unwrap_or(PERIOD))))
    }

    fn pids(&self) -> Result<Option<u64>> {
        let pids = self.pids_limit.filter(|count| *count != 0 && *count != -1);
        pids.map(|count| {
            u64::try_from(count).ok().filter(|count| *count <= MOST_PIDS).with_context(|| {
                format!(
                    "--pids-limit {count} is no number of processes\n\
                     hint: -1 is any number, {MOST_PIDS} the highest"
                )
            })
        })
        .transpose()
    }

    fn io_weight(&self) -> Result<Option<u64>> {
        let weight = self.blkio_weight.filter(|weight| *weight > 0);
        if let Some(weight) = weight {
            ensure!(
                (10..=1000).contains(&weight),
                "--blkio-weight {weight} is out of range\nhint: 10 to 1000"
            );
        }
        Ok(weight)
    }

    fn io_max(&self) -> Result<Vec<IoLimit>> {
        let given = [
            (&self.device_read_bps, Io::ReadBytes, "--device-read-bps"),
            (&self.device_write_bps, Io::WriteBytes, "--device-write-bps"),
            (&self.device_read_iops, Io::Reads, "--device-read-iops"),
            (&self.device_write_iops, Io::Writes, "--device-write-iops"),
        ];
        let mut limits = Vec::new();
        for (texts, what, flag) in given {
            for text in texts {
                limits.push(io_limit(text, what).with_context(|| format!("{flag} {text}"))?);
            }
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        options: Options,
    }

    /// The limits, or the whole error.
    fn limits(words: &str) -> Result<Limits, String> {
        let words = words.split(' ').filter(|word| !word.is_empty());
        let program = Program::try_parse_from(["program"].into_iter().chain(words))
            .map_err(|error| error.to_string())?;
        program.options.limits().map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn without_flags_there_are_no_limits() {
        assert!(limits("").unwrap().is_empty());
        let all = "--memory 0 --memory-swap -1 --cpus 0 --cpu-quota -1 --pids-limit -1 --cpu-shares 0 --blkio-weight 0";
        assert!(limits(all).unwrap().is_empty());
    }

    #[test]
    fn memory_and_swap_are_counted_together_and_limited_apart() {
        let of = |words| {
            limits(words).map(|limits| (limits.memory, limits.swap, limits.swap_by_default))
        };
        let (m64, m32) = (Some(64 << 20), Some(32 << 20));
        assert_eq!(of("-m 64m"), Ok((m64, m64, true)));
        assert_eq!(of("-m 64m --memory-swap 96m"), Ok((m64, m32, false)));
        assert_eq!(of("-m 64m --memory-swap 64m"), Ok((m64, Some(0), false)));
        assert_eq!(of("-m 64m --memory-swap -1"), Ok((m64, None, false)));
        assert_eq!(of("-m 64m --memory-swap=-1"), Ok((m64, None, false)));
        for (words, why) in [
            ("-m 64m --memory-swap 32m", "less than --memory"),
            ("--memory-swap 32m", "give --memory"),
            ("-m 5m", "the least is 6m"),
            ("-m 100", "the least is 6m"),
            ("-m 64m --memory-reservation 65m", "more than --memory"),
            ("--memory-reservation 1m", "the least is 6m"),
            ("-m lots", "no size"),
            ("-m -1", "-1"),
        ] {
            let error = of(words).unwrap_err();
            assert!(error.contains(why), "{words}: {error}");
        }
    }

    #[test]
    fn cpus_are_a_quota_in_a_period() {
        let of = |words| limits(words).map(|limits| limits.cpu_max);
        assert_eq!(of("--cpus 0.5"), Ok(Some((50_000, 100_000))));
        assert_eq!(of("--cpus .25"), Ok(Some((25_000, 100_000))));
        assert_eq!(of("--cpus 0.125"), Ok(Some((12_500, 100_000))));
        assert_eq!(of("--cpu-quota 20000"), Ok(Some((20_000, 100_000))));
        assert_eq!(of("--cpu-quota 20000 --cpu-period 10000"), Ok(Some((20_000, 10_000))));
        assert_eq!(of("--cpu-period 10000"), Ok(None));
        for (words, why) in [
            ("--cpus 99999", "more than this machine has"),
            ("--cpus 0.5 --cpu-quota 1000", "the one or the others"),
            ("--cpus 0.005", "the least is 0.01"),
            ("--cpus half", "no number"),
            ("--cpus nan", "no number"),
            ("--cpus 1e3", "no number"),
            ("--cpu-quota 999", "too short"),
            ("--cpu-quota 20000 --cpu-period 999", "out of range"),
            ("--cpu-period 1000001", "out of range"),
        ] {
            let error = of(words).unwrap_err();
            assert!(error.contains(why), "{words}: {error}");
        }
    }

    #[test]
    fn cpus_and_nodes_that_are_not_there_are_refused() {
        assert_eq!(limits("--cpuset-cpus 0").unwrap().cpus.as_deref(), Some("0"));
        for (words, why) in [
            ("--cpuset-cpus 60000", "does not have"),
            ("--cpuset-mems 60000", "does not have"),
            ("--cpuset-cpus 1-0", "no list"),
            ("--cpuset-cpus all", "no list"),
        ] {
            let error = limits(words).unwrap_err();
            assert!(error.contains(why), "{words}: {error}");
        }
    }

    #[test]
    fn other_numbers_have_their_ranges() {
        assert_eq!(limits("--pids 20").unwrap().pids, Some(20));
        assert_eq!(limits("--cpu-shares 1").unwrap().cpu_shares, Some(2));
        assert_eq!(limits("--cpu-shares 999999").unwrap().cpu_shares, Some(262_144));
        for (words, why) in [
            ("--pids-limit -2", "-1 is any number"),
            ("--pids-limit 4194305", "4194304 the highest"),
            ("--cpu-shares -1", "no whole number"),
            ("--cpu-period half", "no whole number"),
            ("--blkio-weight 9", "10 to 1000"),
            ("--blkio-weight 1001", "10 to 1000"),
            ("--device-read-bps /dev/null:1m", "no disk"),
            ("--device-read-bps /dev/there-is-no-such-disk:1m", "No such file"),
            ("--device-read-bps /etc/passwd:1m", "begins with /dev/"),
            ("--device-read-bps 1m", "expected DISK:RATE"),
            ("--device-read-iops /dev/null:1m", "no number of operations"),
            ("--device-write-bps /dev/null:0", "for ever"),
            ("--cgroup-parent mine", "absolute"),
            ("--cgroup-parent /", "absolute"),
            ("--cgroup-parent /a/../..", "absolute"),
        ] {
            let error = limits(words).unwrap_err();
            assert!(error.contains(why), "{words}: {error}");
        }
    }
}
