//! What a group may use at most, as it was asked for.

use crate::files::{has, write};
use crate::{size, weights};
use anyhow::{Result, bail};
use std::fmt;
use std::path::Path;

/// Limits of a group. `None` is no limit. The weights are those of version 1, as people write them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, the page cache of files included.
    pub memory: Option<u64>,
    /// Bytes beyond which memory is taken back before anybody else's. Version 2 only.
    pub memory_high: Option<u64>,
    /// Bytes that are left alone as long as others have more to give.
    pub memory_reservation: Option<u64>,
    /// Bytes of swap, beside the memory.
    pub swap: Option<u64>,
    /// Nobody asked for that limit of swap: docker gives as much swap as memory.
    pub swap_by_default: bool,
    /// Let those wait who find no memory, in place of killing one. Version 1 only.
    pub oom_kill_disable: bool,
    /// CPU time and the period in which it may be used, in microseconds: two CPUs are twice as
    /// much as the period.
    pub cpu_max: Option<(u64, u64)>,
    /// `cpu.shares`: 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// The CPUs to run on: `0-3,7`.
    pub cpus: Option<String>,
    /// The nodes to take memory from.
    pub memory_nodes: Option<String>,
    /// The number of processes and threads.
    pub pids: Option<u64>,
    /// `blkio.weight`: 10 to 1000.
    pub io_weight: Option<u64>,
    /// How fast disks may be read and written.
    pub io_max: Vec<IoLimit>,
}

/// The speed of one disk, in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoLimit {
    /// Major and minor number.
    pub disk: (u64, u64),
    /// What is counted.
    pub what: Io,
    /// Bytes or operations a second.
    pub rate: u64,
}

/// What of a disk's work is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// Bytes read.
    ReadBytes,
    /// Bytes written.
    WriteBytes,
    /// Reads.
    Reads,
    /// Writes.
    Writes,
}

impl Limits {
    /// The controllers that these limits need.
    pub fn controllers(&self) -> Vec<&'static str> {
        let memory = [self.memory, self.memory_high, self.memory_reservation, self.swap];
        let needed = [
            ("memory", memory.iter().any(Option::is_some) || self.oom_kill_disable),
            ("cpu", self.cpu_max.is_some() || self.cpu_shares.is_some()),
            ("cpuset", self.cpus.is_some() || self.memory_nodes.is_some()),
            ("pids", self.pids.is_some()),
            ("io", self.io_weight.is_some() || !self.io_max.is_empty()),
        ];
        needed.iter().filter(|(_, needed)| *needed).map(|(name, _)| *name).collect()
    }

    /// Is nothing limited?
    pub fn is_empty(&self) -> bool {
        self.controllers().is_empty()
    }

    /// Writes what [`crate::limit`] leaves: the limits that do not say "no more".
    pub(crate) fn write_softer_ones(&self, folder: &Path) -> Result<()> {
        if self.oom_kill_disable {
            bail!(
                "the OOM killer can't be switched off\n\
                 hint: cgroups of version 2 have no such thing; leave --oom-kill-disable out"
            );
        }
        if let Some(bytes) = self.memory_high {
            write(folder, "memory.high", bytes)?;
        }
        if let Some(bytes) = self.memory_reservation {
            write(folder, "memory.low", bytes)?;
        }
        if let Some(shares) = self.cpu_shares {
            write(folder, "cpu.weight", weights::cpu(shares))?;
        }
        if let Some(cpus) = &self.cpus {
            write(folder, "cpuset.cpus", cpus)?;
        }
        if let Some(nodes) = &self.memory_nodes {
            write(folder, "cpuset.mems", nodes)?;
        }
        match self.io_weight {
            Some(weight) if has(folder, "io.bfq.weight") => write(folder, "io.bfq.weight", weight)?,
            Some(weight) => write(folder, "io.weight", weights::io(weight))?,
            None => {}
        }
        for IoLimit { disk: (major, minor), what, rate } in &self.io_max {
            let what = match what {
                Io::ReadBytes => "rbps",
                Io::WriteBytes => "wbps",
                Io::Reads => "riops",
                Io::Writes => "wiops",
            };
            write(folder, "io.max", format!("{major}:{minor} {what}={rate}"))?;
        }
        Ok(())
    }
}

impl fmt::Display for Limits {
    /// The hard limits in a few words: `64.0 MiB of memory, 0.50 CPUs, 20 processes`.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let words = [
            self.memory.map(|bytes| format!("{} of memory", size::show(bytes))),
            self.cpu_max.map(|(quota, period)| format!("{:.2} CPUs", quota as f64 / period as f64)),
            self.pids.map(|count| format!("{count} processes")),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        write!(out, "{}", if words.is_empty() { "none".to_owned() } else { words.join(", ") })
    }
}
