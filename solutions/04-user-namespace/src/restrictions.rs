//! Says why this machine makes no user namespace. The kernel has one word for most reasons, EPERM;
//! the settings that lead to it can be read.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::unistd::chroot;
use std::fs;
use std::io;

/// Adds the reason to the error of a start that failed at the clone; another error stays as it is.
pub fn explain(error: anyhow::Error) -> anyhow::Error {
    let at_the_clone = error.to_string() == "cannot start a process";
    let cause = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
    match cause.filter(|_| at_the_clone).and_then(|errno| reason(Errno::from_raw(errno))) {
        Some(reason) => error.context(format!("no user namespace here\nhint: {reason}")),
        None => error,
    }
}

/// What stands in the way; `None` where nothing is known of it.
fn reason(errno: Errno) -> Option<String> {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let says = |path: &str, value: &str| file(&format!("/proc/sys/{path}")) == value;
    let reason = match errno {
        Errno::ENOSPC if says("user/max_user_namespaces", "0") => {
            "they are switched off: sudo sysctl user.max_user_namespaces=15000"
        }
        Errno::ENOSPC | Errno::EUSERS => {
            "they nest 32 deep at most, and there are as many as user.max_user_namespaces says"
        }
        Errno::EINVAL => "this kernel was built without them (CONFIG_USER_NS)",
        Errno::EPERM | Errno::EACCES if says("kernel/unprivileged_userns_clone", "0") => {
            "this kernel leaves them to root: sudo sysctl kernel.unprivileged_userns_clone=1"
        }
        Errno::EPERM | Errno::EACCES if is_restricted_by_apparmor() => APPARMOR,
        Errno::EPERM if is_in_chroot() => "nobody may make one in a chroot",
        Errno::EPERM if is_filtered() => {
            "a seccomp filter forbids them, as in a container: \
             for docker and podman run, --security-opt seccomp=unconfined takes it away"
        }
        Errno::EPERM => "the caller has no number in the user namespace that it is in",
        Errno::EACCES => "a security module forbids them; for SELinux, sudo ausearch -m avc tells",
        _ => return None,
    };
    Some(reason.to_owned())
}

/// Ubuntu, since 23.10.
const APPARMOR: &str = "AppArmor takes its powers from it: \
     sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, \
     or write a profile with the rule `userns,` for this program (apparmor.d(5))";

fn is_restricted_by_apparmor() -> bool {
    fs::read_to_string("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
        .is_ok_and(|value| value.trim() == "1")
}

/// AppArmor lets the namespace be made, and then forbids every use of its capabilities. So where it
/// may, one is used that changes nothing: the root stays what it is.
pub(crate) fn check_powers() -> Result<()> {
    if !is_restricted_by_apparmor() {
        return Ok(());
    }
    chroot("/").with_context(|| format!("this user namespace has no powers\nhint: {APPARMOR}"))
}

/// Whose root is not the root of the mount namespace sees no mount at `/`.
fn is_in_chroot() -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    !mounts.is_empty() && !mounts.lines().any(|line| line.split(' ').nth(4) == Some("/"))
}

fn is_filtered() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.split_whitespace().eq(["Seccomp:", "2"]))
}
