//! Sums up the samples and prints them as a table.

use crate::run::{Candidate, Sample};
use anyhow::{Context, Result};
use std::time::Duration;

/// What is known of one command at the end.
pub struct Summary {
    /// The name that bounds refer to.
    pub name: String,
    /// CPU time of a run.
    pub cpu: Spread,
    /// Wall time of a run.
    pub wall: Spread,
    /// Resident set of its largest process, in KiB; not measured without a warm-up.
    pub peak: Option<u64>,
}

/// The two figures of a series that noise distorts least.
#[derive(Clone, Copy)]
pub struct Spread {
    /// What it takes when nothing gets in the way.
    pub best: Duration,
    /// What it usually takes here. Ratios and bounds use this one: the commands
    /// took turns, so the noise in it is the same for all.
    pub median: Duration,
}

impl Spread {
    fn of(samples: &[Sample], part: fn(&Sample) -> Duration) -> Self {
        let mut times: Vec<Duration> = samples.iter().map(part).collect();
        times.sort_unstable();
        // Of an even number of times the two in the middle have equal claims.
        let (low, high) = (times[(times.len() - 1) / 2], times[times.len() / 2]);
        Self { best: times[0], median: (low + high) / 2 }
    }
}

/// One summary per candidate, in the same order; `samples` must not be empty.
pub fn results(
    candidates: &[Candidate],
    samples: &[Vec<Sample>],
    peaks: Vec<Option<u64>>,
) -> Vec<Summary> {
    let rows = candidates.iter().zip(samples).zip(peaks);
    rows.map(|((candidate, samples), peak)| Summary {
        name: candidate.name.clone(),
        cpu: Spread::of(samples, |sample| sample.cpu),
        wall: Spread::of(samples, |sample| sample.wall),
        peak,
    })
    .collect()
}

/// Prints a row per command, with its median CPU as a multiple of each baseline's.
pub fn print(results: &[Summary], baselines: &[String]) {
    let baselines: Vec<&Summary> =
        baselines.iter().filter_map(|name| results.iter().find(|r| r.name == *name)).collect();
    let widest = results.iter().map(|r| r.name.len()).max().unwrap_or(0);
    let title = format!("{:>widest$}  {:^20}  {:^20}  {:>8}", "", "CPU", "wall", "peak");
    let ratios: String = baselines.iter().map(|b| format!("  {}", b.name)).collect();
    let over = if baselines.is_empty() { "" } else { "  CPU over that of" };
    println!("{title}{over}");
    println!(
        "{:>widest$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>8}{ratios}",
        "", "best", "median", "best", "median", "memory"
    );

    for row in results {
        let Summary { name, cpu, wall, .. } = row;
        let ratios: String = baselines
            .iter()
            .map(|base| format!("  {:>1$.2}", ratio(cpu.median, base.cpu.median), base.name.len()))
            .collect();
        println!(
            "{name:<widest$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>8}{ratios}",
            time(cpu.best),
            time(cpu.median),
            time(wall.best),
            time(wall.median),
            memory(row.peak)
        );
    }
}

/// Prints for each `name=base` by how much the median of the first is above that of the second. A
/// command that was not measured, since it is not installed here, has no line.
pub fn print_extras(results: &[Summary], extras: &[String]) -> Result<()> {
    for extra in extras {
        let (name, base) = extra.split_once('=').context("--extra takes NAME=BASE")?;
        let find = |name: &str| results.iter().find(|result| result.name == name);
        let (Some(one), Some(other)) = (find(name), find(base)) else { continue };
        let [cpu, wall] = [(one.cpu, other.cpu), (one.wall, other.wall)]
            .map(|(one, other)| (one.median.as_secs_f64() - other.median.as_secs_f64()) * 1000.0);
        println!("{name} over {base}: {cpu:+.2} ms CPU, {wall:+.2} ms wall");
    }
    Ok(())
}

/// How many times `whole` fits into `part`'s place; infinite for a zero `whole`.
pub fn ratio(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64()
}

/// `2.71 ms` or, from one second on, `2.71 s`.
pub fn time(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.2} ms", seconds * 1000.0),
        seconds => format!("{seconds:.2} s"),
    }
}

/// `12.3 MiB`.
pub fn memory(peak: Option<u64>) -> String {
    peak.map_or("-".to_owned(), |kib| format!("{:.1} MiB", kib as f64 / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_best_and_median() {
        let samples = |times: &[u64]| -> Vec<Sample> {
            let millis = times.iter().copied().map(Duration::from_millis);
            millis.map(|time| Sample { wall: time, cpu: time }).collect()
        };
        let odd = Spread::of(&samples(&[9, 1, 3]), |s| s.cpu);
        assert_eq!((odd.best.as_millis(), odd.median.as_millis()), (1, 3));
        let even = Spread::of(&samples(&[8, 2, 4, 6]), |s| s.wall);
        assert_eq!((even.best.as_millis(), even.median.as_millis()), (2, 5));
    }
}
