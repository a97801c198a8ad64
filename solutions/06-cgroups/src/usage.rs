//! Reads the bill of a group: what its processes have used, those that have ended included.

use crate::files::{keyed, number, read};
use crate::hierarchies::{self, Hierarchies};
use crate::{Limits, size, v1};
use anyhow::{Context, Result};
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// What a group has used. `None` where the kernel does not count it: `memory.peak` and `pids.peak`
/// are younger than the oldest kernel, and a controller may not have been handed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time, of all CPUs together.
    pub cpu: Option<Duration>,
    /// How long it had to wait because its CPU time was used up.
    pub throttled: Option<Duration>,
    /// How long all its processes stood still for want of memory, pressure in PSI's words.
    pub stalled: Option<Duration>,
    /// Bytes of memory at most, at one time.
    pub memory_peak: Option<u64>,
    /// Processes and threads at most, at one time.
    pub processes_peak: Option<u64>,
    /// How often it was refused another process.
    pub refused_processes: Option<u64>,
    /// Bytes read from and written to disks.
    pub io: Option<(u64, u64)>,
    /// How many processes the kernel killed because memory ran out.
    pub oom_kills: u64,
}

impl Usage {
    /// Reads the files of a group of version 2.
    pub(crate) fn read(folder: &Path) -> Usage {
        let micros = |key| keyed(folder, "cpu.stat", key).map(Duration::from_micros);
        Usage {
            cpu: micros("usage_usec"),
            throttled: micros("throttled_usec"),
            stalled: pressure(&read(folder, "memory.pressure").unwrap_or_default()),
            memory_peak: number(folder, "memory.peak"),
            processes_peak: number(folder, "pids.peak"),
            refused_processes: keyed(folder, "pids.events", "max"),
            io: read(folder, "io.stat").ok().map(|text| io(&text)),
            oom_kills: keyed(folder, "memory.events", "oom_kill").unwrap_or_default(),
        }
    }
}

impl Usage {
    /// What to tell people where the kernel had to kill for want of memory.
    pub fn out_of_memory(&self, limits: &Limits) -> Option<String> {
        let who = match self.oom_kills {
            0 => return None,
            1 => "a process".to_owned(),
            many => format!("{many} processes"),
        };
        let limit = limits.memory.map_or("the limit of a cgroup above it".to_owned(), |bytes| {
            format!("its limit is {}", size::show(bytes))
        });
        Some(format!("out of memory: the kernel killed {who} of the container; {limit}"))
    }
}

/// The sum of `io.stat`, which has a line for each disk: `8:0 rbytes=4096 wbytes=0 rios=1 …`.
fn io(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let words = text.split_whitespace().filter_map(|word| word.strip_prefix(key));
        words.filter_map(|number| number.parse::<u64>().ok()).sum()
    };
    (sum("rbytes="), sum("wbytes="))
}

/// The time of the line `full avg10=0.00 avg60=0.00 avg300=0.00 total=123`, in microseconds.
fn pressure(text: &str) -> Option<Duration> {
    let full = text.lines().find(|line| line.starts_with("full "))?;
    full.rsplit_once("total=")?.1.parse().ok().map(Duration::from_micros)
}

impl fmt::Display for Usage {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let cpu = self.cpu.map(|cpu| match self.throttled.filter(|time| !time.is_zero()) {
            Some(waited) => {
                format!("{}, and waited {} for its share", seconds(cpu), seconds(waited))
            }
            None => seconds(cpu),
        });
        let stalled = self.stalled.filter(|time| time.as_millis() > 9);
        let memory = self.memory_peak.map(|peak| match stalled {
            Some(time) => format!(
                "{} at most, and stood still {} for want of it",
                size::show(peak),
                seconds(time)
            ),
            None => format!("{} at most", size::show(peak)),
        });
        let processes = self.processes_peak.map(|peak| match self.refused_processes {
            Some(refused) if refused > 0 => {
                format!("{peak} at most, and {refused} more were refused")
            }
            _ => format!("{peak} at most"),
        });
        let io = self.io.map(|(read, written)| {
            format!("{} read, {} written", size::show(read), size::show(written))
        });
        let rows = [("cpu", cpu), ("memory", memory), ("processes", processes), ("disks", io)];
        for (name, value) in rows {
            writeln!(out, "  {name:9}  {}", value.as_deref().unwrap_or("not counted here"))?;
        }
        Ok(())
    }
}

/// What the group of some process is limited to, and uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Bytes of memory, and the limit.
    pub memory: (Option<u64>, Option<u64>),
    /// CPU time so far, and the limit as quota and period in microseconds.
    pub cpu: (Option<Duration>, Option<(u64, u64)>),
    /// Processes and threads, and the limit.
    pub processes: (Option<u64>, Option<u64>),
}

/// Reads the group that process `pid` is in, as far as its folder can be seen from here.
pub fn live(pid: u32) -> Result<Live> {
    let groups = xray::cgroups::of(pid)?;
    let found = hierarchies::find()?.context("no cgroups are mounted here")?;
    match found {
        Hierarchies::V2(tree) => {
            let folder = tree.folder(groups.v2.as_deref().unwrap_or("/"));
            let cpu_max = read(&folder, "cpu.max").ok().and_then(|text| {
                let (quota, period) = text.split_once(' ')?;
                Some((quota.parse().ok()?, period.parse().ok()?))
            });
            let cpu = keyed(&folder, "cpu.stat", "usage_usec").map(Duration::from_micros);
            Ok(Live {
                memory: (number(&folder, "memory.current"), number(&folder, "memory.max")),
                cpu: (cpu, cpu_max),
                processes: (number(&folder, "pids.current"), number(&folder, "pids.max")),
            })
        }
        Hierarchies::V1(trees) => Ok(v1::live(&trees, |tree| {
            let controller = tree.controllers.first()?;
            Some(tree.folder(groups.v1.get(controller)?))
        })),
    }
}

impl fmt::Display for Live {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let of =
            |limit: Option<String>| limit.map_or(String::new(), |limit| format!(" of {limit}"));
        let (memory, processes) = (self.memory, self.processes);
        let cpus = self.cpu.1.map(|(quota, period)| quota as f64 / period as f64);
        let words = [
            memory.0.map(|now| {
                format!("{}{} of memory", size::show(now), of(memory.1.map(size::show)))
            }),
            processes.0.map(|now| {
                format!("{now}{} processes", of(processes.1.map(|limit| limit.to_string())))
            }),
            self.cpu.0.map(|used| match cpus {
                Some(cpus) => {
                    format!("{:.2} s of CPU time, {cpus:.2} CPUs at most", used.as_secs_f64())
                }
                None => format!("{:.2} s of CPU time", used.as_secs_f64()),
            }),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        write!(out, "{}", words.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_added_up() {
        let text =
            "8:0 rbytes=4096 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2\n";
        assert_eq!(io(text), (4097, 3));
        assert_eq!(io(""), (0, 0));
    }

    #[test]
    fn pressure_is_the_time_in_which_all_stood_still() {
        let text = "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7";
        assert_eq!(pressure(text), Some(Duration::from_micros(7)));
        assert_eq!(pressure(""), None);
    }
}
