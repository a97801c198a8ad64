//! How patient a test is: more on a slow machine, and more on a busy one.
//!
//! A limit of time is there to end what would never end, and not to measure. So it is the longer the
//! less of the machine a test gets: as long as limits alone depend on it, nothing that is wrong passes
//! for right.

use std::fs;
use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

/// So many times as patient a test is at most, because of others.
const MOST: u32 = 5;

/// How long a process must have run, or waited to run, before its waiting tells anything: ns.
const ENOUGH: u64 = 100_000_000;

/// `limit`, or as many times as much as this machine is slow or busy: for the time limits of tests.
///
/// `HARNESS_PATIENCE` says that it is slow. The lab, where starting a process takes 30 times as long,
/// sets it to 10.
pub fn patient(limit: Duration) -> Duration {
    limit * slowness().max(busyness())
}

/// [`patient`] as to a slow machine alone: for a judge, whom a program may make believe that it is busy.
pub(crate) fn unmoved(limit: Duration) -> Duration {
    limit * slowness()
}

/// How often to repeat what must hold each time: `wanted`, or as many times less as
/// `HARNESS_PATIENCE` says.
pub fn rounds(wanted: u32) -> u32 {
    wanted.div_ceil(slowness())
}

fn slowness() -> u32 {
    let patience = std::env::var("HARNESS_PATIENCE").ok().and_then(|times| times.parse().ok());
    patience.filter(|times| *times > 0).unwrap_or(1)
}

/// How many times as long as alone on its machine a test may take, by the worst that this process has
/// seen: who was kept from running before is late now.
fn busyness() -> u32 {
    static WORST: AtomicU32 = AtomicU32::new(1);
    let now = crowd().max(delay()).clamp(1, MOST);
    WORST.fetch_max(now, Ordering::Relaxed).max(now)
}

/// How many want to run for each processor, now or on average of the last minute: proc_loadavg(5).
fn crowd() -> u32 {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let count = || available_parallelism().map_or(1, NonZero::get);
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    crowd_of(&text, *PROCESSORS.get_or_init(count))
}

/// `0.20 0.18 0.12 1/80 11206`: averages of three spans of time, who runs of how many, the last PID.
fn crowd_of(loadavg: &str, processors: usize) -> u32 {
    let mut words = loadavg.split([' ', '/']);
    let mut number =
        |skip| words.nth(skip).and_then(|word| word.parse::<f64>().ok()).unwrap_or(0.0);
    let (last_minute, now) = (number(0), number(2));
    (last_minute.max(now) / processors as f64).ceil() as u32
}

/// How many times as long as it ran this process took for it, since it had to wait for a processor:
/// who is nice or has a small share waits where others run. `/proc/PID/schedstat`, in the kernel's
/// Documentation/scheduler/sched-stats.rst.
fn delay() -> u32 {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let mut times = text.split(' ').map_while(|time| time.parse::<u64>().ok());
    match (times.next(), times.next()) {
        (Some(ran), Some(waited)) if ran + waited >= ENOUGH => {
            ((ran + waited) / ran.max(1)).min(MOST.into()) as u32
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_those_who_run_and_those_who_ran_for_each_processor() {
        assert_eq!(crowd_of("0.20 0.18 0.12 1/80 11206\n", 2), 1);
        assert_eq!(crowd_of("0.20 0.18 0.12 9/80 11206\n", 2), 5);
        assert_eq!(crowd_of("7.90 0.18 0.12 1/80 11206\n", 2), 4);
        assert_eq!(crowd_of("7.90 0.18 0.12 1/80 11206\n", 64), 1);
        assert_eq!(crowd_of("", 2), 0);
    }

    #[test]
    fn a_busy_machine_gives_more_time_and_never_less() {
        let limit = Duration::from_secs(1);
        let first = patient(limit);
        assert!((limit..=limit * MOST.max(slowness())).contains(&first));
        assert!(patient(limit) >= first);
    }
}
