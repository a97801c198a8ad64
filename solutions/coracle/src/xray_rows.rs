//! The rows of `coracle xray` that chapter 00 can't read from `/proc` alone.

use anyhow::{Context, Result};
use identity::{Names, names_of};
use network::seen::Network;
use serde_json::{Value, json};
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
    network_rows(report);
    report.rows.push(cgroups::row(report.subject.pid, report.reference.pid));
    Ok(())
}

/// Its links with both ends, its ways out, and the ports that lead in.
fn network_rows(report: &mut Report) {
    let seen = [report.subject.pid, report.reference.pid].map(|pid| {
        let pid = i32::try_from(pid).context("no such PID")?;
        network::network_of(pid)
    });
    let here = network::seen::network_here().unwrap_or_default();
    let pids = [report.subject.pid, report.reference.pid];
    let mut push = |name: &str, read: &dyn Fn(&Network, u32) -> (String, Value)| {
        let [own, other] = seen.each_ref().map(Result::as_ref);
        let facts = [own.map(|seen| read(seen, pids[0])), other.map(|seen| read(seen, pids[1]))];
        let verdict = match &facts {
            [Ok(own), Ok(other)] if own == other => Verdict::Shared,
            [Ok(_), Ok(_)] => Verdict::Own,
            _ => Verdict::Unknown,
        };
        let [value, reference] = facts.map(|fact| match fact {
            Ok((text, data)) => Fact::known(text, data),
            Err(error) => Fact::unknown(error),
        });
        let (name, group) = (name.to_owned(), Group::Network);
        report.rows.push(Row { name, group, verdict, value, reference });
    };
    push("links", &|seen, _| {
        let links = seen.links_beside(&here);
        (links.to_string(), json!(links))
    });
    push("routes", &|seen, _| {
        let ways = seen.ways();
        (ways.to_string(), json!(ways))
    });
    push("ports", &|seen, pid| {
        let of_users = i32::try_from(pid).ok().and_then(engine::ports_of);
        let of_root = || Some(seen.own_addresses().find_map(network::leases::of)?.ports);
        let ports = of_users.or_else(of_root).unwrap_or_default();
        let texts: Vec<String> = ports.iter().map(ToString::to_string).collect();
        let text = if texts.is_empty() { "none".to_owned() } else { texts.join("\n") };
        (text, json!(texts))
    });
}

fn names(pid: u32) -> Result<Names> {
    names_of(i32::try_from(pid).context("no such PID")?)
}
