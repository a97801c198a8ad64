//! Asks the user's systemd for a group that is ours alone.
//!
//! Who comes in by a terminal or ssh is in a group that belongs to root. But a login also starts a
//! systemd of the user's own, `user@1000.service`, and that has a part of the tree. A *scope* is a
//! group which it makes there for processes that run already (systemd.scope(5)): this one moves in,
//! stays who it was, with its terminal and whoever waits for it, and all that it starts is born
//! there. With the last of them the scope goes. `systemd-run --scope` does the same for others.
//!
//! The question is a D-Bus call, StartTransientUnit of org.freedesktop.systemd1(5); busctl(1), which
//! comes with systemd, speaks it for us.

use anyhow::{Context, Result, bail};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio, id};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PREFIX: &str = "coracle-";

/// Is there somebody to ask? A user's systemd and message bus have their sockets in the folder of the
/// login. Our number means us only to who sees us by it: a systemd outside of our PID namespace is
/// no process that we know (unix(7), SO_PEERCRED).
pub fn is_possible(folder_of_login: &Path) -> bool {
    let systemd = UnixStream::connect(folder_of_login.join("systemd/private"));
    let known =
        systemd.is_ok_and(|it| getsockopt(&it, PeerCredentials).is_ok_and(|of| of.pid() > 0));
    known && folder_of_login.join("bus").exists()
}

/// Is this a scope that we asked for?
pub fn is_ours(group: &Path) -> bool {
    let name = group.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(PREFIX) && name.ends_with(".scope")
}

/// Moves the calling process into a scope of its own.
pub fn enter(folder_of_login: &Path) -> Result<()> {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot read /proc")?;
    let name = format!("{PREFIX}{}.scope", &uuid[..8]);
    let systemd = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1"];
    let call = ["org.freedesktop.systemd1.Manager", "StartTransientUnit", "ssa(sv)a(sa(sv))"];
    let output = Command::new("busctl")
        .args(["--user", "call"])
        .args(systemd.iter().chain(&call))
        .args([&name, "fail", "4"]) // fail if there is such a job; 4 properties
        .args(["Description", "s", "coracle and its container"])
        .args(["PIDs", "au", "1", &id().to_string()])
        .args(["Delegate", "b", "true"]) //               what is below it is ours, all controllers
        .args(["CollectMode", "s", "inactive-or-failed"]) // forget it, however it ends
        .arg("0") //                                      no other units
        .env("XDG_RUNTIME_DIR", folder_of_login)
        .env_remove("DBUS_SESSION_BUS_ADDRESS") // may be that of another bus, which knows no systemd
        .stdin(Stdio::null())
        .output()
        .context("cannot run busctl, which speaks to systemd")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.lines().last().unwrap_or("busctl does not say why").trim());
    }
    // That was the promise. The kernel says when it is done.
    let asked = Instant::now();
    while !xray::cgroups::of(id())?.v2.unwrap_or_default().ends_with(&name) {
        if asked.elapsed() > Duration::from_secs(30) {
            bail!("{name} has not come after 30 seconds: journalctl --user may tell why");
        }
        sleep(Duration::from_millis(1));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_of_ours_is_told_from_others() {
        let found = ["coracle-1f.scope", "coracle-itself", "run-coracle-1.scope", "app.slice"]
            .map(|name| is_ours(&Path::new("/sys/fs/cgroup").join(name)));
        assert_eq!(found, [true, false, false, false]);
    }
}
