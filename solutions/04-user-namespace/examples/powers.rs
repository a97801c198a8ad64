//! Tries what root may do on a machine, and prints the kernel's answer to each: `ok` or an errno.
//!
//! `user-namespace target/debug/examples/powers`, and for comparison without `user-namespace`.
//! Nothing here changes anything, even where it succeeds: it may not be tried as root all the same,
//! so it refuses to be.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::kill;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::time::{ClockId, clock_gettime, clock_settime};
use nix::unistd::{Gid, Pid, Uid, chown, chroot, gethostname, sethostname};
use std::path::Path;

type Power = (&'static str, fn() -> nix::Result<()>);

const NONE: Option<&str> = None;

/// As we were born: in a user namespace of our own, and in the host's mounts, names and network.
const ON_THE_HOST: [Power; 17] = [
    ("mount a tmpfs", tmpfs),
    ("rename the machine", rename),
    ("open a raw socket", raw_socket),
    ("listen on port 80", port_80),
    ("open /etc/shadow to write", || open_to_write("/etc/shadow")),
    ("open /proc/sys/kernel/panic to write", || open_to_write("/proc/sys/kernel/panic")),
    ("signal process 1", || kill(Pid::from_raw(1), None)),
    ("enter the mounts of process 1", || {
        setns(open("/proc/1/ns/mnt", OFlag::O_RDONLY, Mode::empty())?, CloneFlags::CLONE_NEWNS)
    }),
    ("make a device", || {
        mknod("device", SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 3)).inspect(|()| remove("device"))
    }),
    ("give a file to user 5", || give_away(5)),
    ("give a file to user 1234567", || give_away(1_234_567)),
    ("load a module", || {
        finit_module(
            open("/dev/null", OFlag::O_RDONLY, Mode::empty())?,
            c"",
            ModuleInitFlags::empty(),
        )
    }),
    ("set the clock", || clock_settime(ClockId::CLOCK_REALTIME, now()?)),
    ("raise a hard limit", || {
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, most, most + 1)
    }),
    ("be nicer to ourselves", nicer),
    ("become user 5", || with_saved_root(5)),
    ("chroot", || chroot("/")),
];

/// After `unshare`: mounts, names and network that belong to our user namespace.
const IN_OUR_OWN: [Power; 8] = [
    ("mount a tmpfs", tmpfs),
    ("make a device on it", || mknod("/tmp/device", SFlag::S_IFCHR, Mode::S_IRUSR, makedev(1, 3))),
    ("mount a disk", || {
        let target = Path::new("/tmp");
        mount(Some("/dev/null"), target, Some("ext4"), MsFlags::MS_RDONLY, NONE)
    }),
    ("bind a folder", || {
        mount(Some("/usr"), "/tmp", NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
    }),
    ("unmount the host's /proc", || umount2("/proc", MntFlags::MNT_DETACH)),
    ("rename the machine", rename),
    ("open a raw socket", raw_socket),
    ("listen on port 80", port_80),
];

fn main() {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if map.ends_with(" 4294967295\n") && Uid::effective().is_root() {
        eprintln!("powers: not as root of the machine, please\nhint: user-namespace powers");
        std::process::exit(125);
    }
    println!("in the host's namespaces:");
    ON_THE_HOST.iter().for_each(tell);
    let own = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWNET;
    match unshare(own) {
        Ok(()) => println!("in our own:"),
        Err(errno) => return println!("  none of our own: {errno:?}"),
    }
    IN_OUR_OWN.iter().for_each(tell);
}

fn tell((what, attempt): &Power) {
    let answer = attempt().map_or_else(|errno| format!("{errno:?}"), |()| "ok".into());
    println!("  {what:40} {answer}");
}

fn tmpfs() -> nix::Result<()> {
    mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), NONE)
}

/// To the name that it has.
fn rename() -> nix::Result<()> {
    sethostname(gethostname()?)
}

fn raw_socket() -> nix::Result<()> {
    socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).map(drop)
}

fn port_80() -> nix::Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    bind(fd, &SockaddrIn::new(127, 0, 0, 1, 80))
}

fn open_to_write(path: &str) -> nix::Result<()> {
    open(path, OFlag::O_WRONLY, Mode::empty()).map(drop)
}

fn give_away(user: u32) -> nix::Result<()> {
    let file = "to-be-given-away";
    open(file, OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRUSR)?;
    let given = chown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)));
    remove(file);
    given
}

fn remove(file: &str) {
    let _ = std::fs::remove_file(file);
}

/// The saved number stays 0, so there is a way back.
fn with_saved_root(user: u32) -> nix::Result<()> {
    let (user, root) = (Uid::from_raw(user), Uid::from_raw(0));
    nix::unistd::setresuid(root, user, root)?;
    nix::unistd::setresuid(root, root, root)
}

fn now() -> nix::Result<nix::sys::time::TimeSpec> {
    clock_gettime(ClockId::CLOCK_REALTIME)
}

/// A lower number is more of the processor.
fn nicer() -> nix::Result<()> {
    let priority = rustix::process::getpriority_process(None);
    let lower = priority.map_err(|e| Errno::from_raw(e.raw_os_error()))? - 1;
    rustix::process::setpriority_process(None, lower).map_err(|e| Errno::from_raw(e.raw_os_error()))
}
