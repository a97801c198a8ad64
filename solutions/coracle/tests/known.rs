//! In what a container of ours is known to differ from podman's and Docker's, with the reasons.

use std::path::Path;

/// What differs, and why. A name may end in `*`.
pub type Known = &'static [(&'static str, &'static str)];

pub const PODMAN: Known = &[
    ("file /etc/resolv.conf", "podman gives a container without a network none"),
    ("mount /etc/*", ETC),
    ("mount /", NODEV),
    (
        "mount /dev",
        "podman mounts it noexec; docker and we do not, as the OCI specification has it",
    ),
    ("mount /proc/interrupts", INTERRUPTS),
    (KCORE, "it is /dev/null of that /dev"),
    ("mount /proc/keys", "the same"),
    ("mount /proc/timer_list", "the same"),
    ("mount /run/.containerenv", "podman's own mark"),
    ("file /run", "made for it"),
    ("mount /sys/dev/block", "podman hides the list of disks; docker and we do not"),
    (GROUPS[0], CGROUP_ROOT),
    (GROUPS[1], SYSTEMD),
    (GROUPS[2], CGROUP_NAMESPACE),
    ("status Groups:", "podman leaves root without a group; docker and we give it group 0"),
    ("status SigIgn:", GO),
    ("sysctl net/ipv4/ip_unprivileged_port_start", PORTS),
    ("sysctl net/ipv4/ping_group_range", PORTS),
    ("xray ids", "the groups above"),
    ("variable TERM", "podman sets it without a terminal, too"),
    ("variable container", "podman's own mark"),
];

pub const DOCKER: Known = &[
    ("mount /etc/*", ETC),
    ("file /.dockerenv", "docker's own mark"),
    ("mount /", NODEV),
    ("mount /proc/interrupts", INTERRUPTS),
    (GROUPS[0], CGROUP_ROOT),
    (GROUPS[1], SYSTEMD),
    (GROUPS[2], CGROUP_NAMESPACE),
    ("status SigIgn:", GO),
    ("xray links", "docker switches IPv6 off where no network has it, also on the loopback"),
];

/// Not every machine has it.
const KCORE: &str = "mount /proc/kcore";

/// With version 2 they are the same.
const GROUPS: [&str; 3] =
    ["mount /sys/fs/cgroup", "mount /sys/fs/cgroup/systemd", "namespace cgroup"];

/// Can this machine show that difference?
pub fn is_here(difference: &str) -> bool {
    let is_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    match difference {
        KCORE => Path::new("/proc/kcore").exists(),
        other => !(is_v2 && GROUPS.contains(&other)),
    }
}

const PORTS: &str = "docker and we let every user listen on low ports and ping, podman does not";
const ETC: &str = "ours are nosuid, nodev and noexec: a list of names is no program";
const NODEV: &str = "a device node of an image is dead here, whatever the device filter says of it";
const INTERRUPTS: &str = "hidden by newer releases of docker, and by us: GHSA-6fw5-f8r9-fgfm";
const CGROUP_ROOT: &str = "version 1: the folder with the hierarchies is read-only here";
const SYSTEMD: &str = "version 1: the hierarchy of systemd limits nothing, and is not mounted";
const CGROUP_NAMESPACE: &str = "version 1: they leave the host's names of groups to be seen";
const GO: &str = "a signal of the threads of Go's runtime, which their parents ignore";
