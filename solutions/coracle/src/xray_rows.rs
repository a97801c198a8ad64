//! The rows of `coracle xray` that chapter 00 can't read from `/proc` alone.

use anyhow::{Context, Result};
use identity::{Names, names_of};
use xray::{Fact, Group, Report, Row, Verdict};

/// Adds them to a report.
pub fn add(report: &mut Report) -> Result<()> {
    let [value, reference] = [report.subject.pid, report.reference.pid].map(names);
    let verdict = match (&value, &reference) {
        (Ok(own), Ok(other)) if own == other => Verdict::Shared,
        (Ok(_), Ok(_)) => Verdict::Own,
        _ => Verdict::Unknown,
    };
    let [value, reference] = [value, reference].map(|names| match names {
        Ok(names) => Fact::known(&names.host, &names.host),
        Err(error) => Fact::unknown(&error),
    });
    let name = "hostname".into();
    report.rows.push(Row { name, group: Group::Identity, verdict, value, reference });
    report.rows.push(cgroups::row(report.subject.pid, report.reference.pid));
    Ok(())
}

fn names(pid: u32) -> Result<Names> {
    names_of(i32::try_from(pid).context("no such PID")?)
}
