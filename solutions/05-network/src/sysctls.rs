//! Switches of a network namespace, in `/proc/sys/net`, which shows each reader the switches of the
//! namespace it is in (proc_sys_net(5)).

use anyhow::{Context, Result};
use std::fs;
use std::io::ErrorKind;

/// Says that nobody on this link may tell us where to send our packets. By default IPv6 believes
/// whoever says to be a router, also a container (CVE-2020-13401).
pub fn ignore_router_advertisements(link: &str) -> Result<()> {
    write(&format!("net/ipv6/conf/{link}/accept_ra"), "0")
}

/// Lets ordinary users in the container use ports below 1024, and ask "are you there?" (icmp(7)),
/// without a privilege: with a network of their own they can't take anybody's place. As docker does.
///
/// Where it can't be, it stays as it is: inside another container /proc/sys is read-only, and a user
/// namespace does not know all of these groups. Nobody is less safe by it.
pub fn allow_what_harms_nobody() {
    let _ = write("net/ipv4/ip_unprivileged_port_start", "0");
    let _ = write("net/ipv4/ping_group_range", "0 2147483647");
}

/// The lowest port that who is not root may take: ip(7).
pub fn first_port_of_everybody() -> u16 {
    let value = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    value.ok().and_then(|value| value.trim().parse().ok()).unwrap_or(1024)
}

/// A kernel without IPv6 has no such file, and nobody to believe.
fn write(switch: &str, value: &str) -> Result<()> {
    let path = format!("/proc/sys/{switch}");
    match fs::write(&path, value) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome.with_context(|| format!("cannot write {value} to {path}")),
    }
}
