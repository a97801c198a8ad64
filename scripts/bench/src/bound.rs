//! States a bound in words and judges results by it.

use crate::table::{Summary, memory, time};
use anyhow::{Context, Error, Result, bail};
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

/// `NAME cpu|wall|peak <|<= NUMBER s|ms|MiB|OTHER`: the median of one command must stay
/// under a time, or under a multiple of what another command takes; its peak memory under a size.
/// `NAME=BASE` in the place of a name is what NAME takes more than BASE.
#[derive(Clone)]
pub struct Bound {
    command: String,
    measure: Measure,
    strict: bool,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Measure {
    Cpu,
    Wall,
    Peak,
}

#[derive(Clone)]
enum Limit {
    /// In seconds or KiB.
    Absolute(f64),
    Multiple {
        factor: f64,
        of: String,
    },
}

/// What came of a bound.
pub enum Verdict {
    /// It holds.
    Held(String),
    /// It does not, and by how much.
    Broken(String),
    /// This command was not measured.
    NotRun(String),
}

impl Bound {
    /// Compares medians.
    pub fn judge(&self, results: &[Summary]) -> Verdict {
        let of_one = |name: &str| {
            let found = results.iter().find(|result| result.name == name);
            found.and_then(|result| self.measure.median(result)).ok_or_else(|| name.to_owned())
        };
        let median = |name: &str| match name.split_once('=') {
            Some((name, base)) => Ok(of_one(name)? - of_one(base)?),
            None => of_one(name),
        };
        let measured = match median(&self.command) {
            Ok(measured) => measured,
            Err(missing) => return Verdict::NotRun(missing),
        };
        let (value, limit, shown) = match &self.limit {
            Limit::Absolute(limit) => (measured, *limit, self.measure.show(measured)),
            Limit::Multiple { factor, of } => match median(of) {
                Ok(base) if base > 0.0 => {
                    (measured / base, *factor, format!("{:.2}", measured / base))
                }
                // A difference that noise has swallowed is nothing to compare with.
                Ok(_) => return Verdict::NotRun(format!("{} beyond the noise", in_words(of))),
                Err(missing) => return Verdict::NotRun(missing),
            },
        };
        if value < limit || (value == limit && !self.strict) {
            Verdict::Held(shown)
        } else {
            Verdict::Broken(shown)
        }
    }
}

impl Measure {
    /// Seconds, or KiB; `None` if it was not measured.
    fn median(self, result: &Summary) -> Option<f64> {
        match self {
            Measure::Cpu => Some(result.cpu.median.as_secs_f64()),
            Measure::Wall => Some(result.wall.median.as_secs_f64()),
            Measure::Peak => result.peak.map(|kib| kib as f64),
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Measure::Cpu | Measure::Wall => time(Duration::from_secs_f64(value)),
            Measure::Peak => memory(Some(value as u64)),
        }
    }
}

impl FromStr for Bound {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [command, measure, sign, number, unit] = words[..] else {
            bail!("not of the form `NAME cpu|wall|peak <|<= NUMBER s|ms|MiB|OTHER`");
        };
        let number: f64 = number.parse().with_context(|| format!("not a number: {number}"))?;
        Ok(Self {
            command: command.to_owned(),
            measure: match measure {
                "cpu" => Measure::Cpu,
                "wall" => Measure::Wall,
                "peak" => Measure::Peak,
                other => bail!("neither cpu nor wall nor peak: {other}"),
            },
            strict: match sign {
                "<" => true,
                "<=" => false,
                other => bail!("neither < nor <=: {other}"),
            },
            limit: match unit {
                "s" => Limit::Absolute(number),
                "ms" => Limit::Absolute(number / 1000.0),
                "MiB" => Limit::Absolute(number * 1024.0),
                of => Limit::Multiple { factor: number, of: of.to_owned() },
            },
        })
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = match self.measure {
            Measure::Cpu => "CPU",
            Measure::Wall => "wall time",
            Measure::Peak => "peak memory",
        };
        let sign = if self.strict { "below" } else { "at most" };
        write!(f, "{measure} of {} is {sign} ", in_words(&self.command))?;
        match &self.limit {
            Limit::Absolute(limit) => f.write_str(&self.measure.show(*limit)),
            Limit::Multiple { factor, of } => write!(f, "{factor} × that of {}", in_words(of)),
        }
    }
}

fn in_words(name: &str) -> String {
    name.replacen('=', " over ", 1)
}

impl Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Verdict::Held(value) => format!("ok ({value})"),
            Verdict::Broken(value) => format!("too much ({value})"),
            Verdict::NotRun(name) => format!("not run (no {name})"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Spread;

    fn result(name: &str, millis: u64) -> Summary {
        let median = Duration::from_millis(millis);
        let spread = Spread { best: Duration::ZERO, median };
        Summary { name: name.to_owned(), cpu: spread, wall: spread, peak: Some(millis * 1024) }
    }

    fn verdict(bound: &str) -> String {
        let results =
            [result("ours", 6), result("floor", 3), result("peer", 6), result("more", 11)];
        bound.parse::<Bound>().unwrap().judge(&results).to_string()
    }

    #[test]
    fn judges_ratios_and_times() {
        assert_eq!(verdict("ours cpu <= 2 floor"), "ok (2.00)");
        assert_eq!(verdict("ours cpu <= 1.9 floor"), "too much (2.00)");
        assert_eq!(verdict("ours cpu < 1 peer"), "too much (1.00)");
        assert_eq!(verdict("ours wall < 7 ms"), "ok (6.00 ms)");
        assert_eq!(verdict("ours wall < 0.005 s"), "too much (6.00 ms)");
        assert_eq!(verdict("ours peak <= 6 MiB"), "ok (6.0 MiB)");
        assert_eq!(verdict("ours peak < 1 floor"), "too much (2.00)");
        assert_eq!(verdict("more=ours cpu <= 2 ours=floor"), "ok (1.67)");
        assert_eq!(verdict("more=ours wall < 4 ms"), "too much (5.00 ms)");
    }

    #[test]
    fn does_not_judge_what_was_not_measured() {
        assert_eq!(verdict("ours cpu < 1 absent"), "not run (no absent)");
        assert_eq!(verdict("absent wall < 1 s"), "not run (no absent)");
        assert_eq!(verdict("ours=absent wall < 1 s"), "not run (no absent)");
        let lost = "not run (no ours over peer beyond the noise)";
        assert_eq!(verdict("more=ours cpu <= 2 ours=peer"), lost);
    }

    #[test]
    fn refuses_nonsense() {
        for text in ["", "ours cpu < 2", "ours ram < 2 s", "ours cpu > 2 s", "ours cpu < x s"] {
            assert!(text.parse::<Bound>().is_err(), "{text}");
        }
    }
}
