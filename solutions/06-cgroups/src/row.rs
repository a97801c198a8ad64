//! The row `usage` of `coracle xray`: what the group of a process may use, and uses now.

use crate::usage::{Live, live};
use serde_json::json;
use xray::{Fact, Group, Row, Verdict};

/// Compares two processes. Those in one group share a bill.
pub fn row(pid: u32, other: u32) -> Row {
    let [groups, others] = [pid, other].map(xray::cgroups::of);
    let verdict = match (&groups, &others) {
        (Ok(groups), Ok(others)) if groups == others => Verdict::Shared,
        (Ok(_), Ok(_)) => Verdict::Own,
        _ => Verdict::Unknown,
    };
    let [value, reference] = [pid, other].map(|pid| match live(pid) {
        Ok(live) => Fact::known(live.to_string(), data(&live)),
        Err(error) => Fact::unknown(&error),
    });
    Row { name: "usage".into(), group: Group::Resources, verdict, value, reference }
}

fn data(live: &Live) -> serde_json::Value {
    let Live { memory, cpu: (used, cpu_max), processes } = live;
    json!({
        "memory": memory.0,
        "memoryLimit": memory.1,
        "cpuSeconds": used.map(|used| used.as_secs_f64()),
        "cpuLimit": cpu_max.map(|(quota, period)| quota as f64 / period as f64),
        "processes": processes.0,
        "processLimit": processes.1,
    })
}
