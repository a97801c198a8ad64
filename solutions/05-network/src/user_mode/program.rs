//! Starts pasta(1) or slirp4netns(1) for a network namespace, and ends it.
//!
//! Both want to be root of the user namespace to which the network namespace belongs, which we are,
//! and give that up themselves as soon as the network card is theirs. Each says in its own way when
//! the container's network is ready: the one writes its PID to a file, the other writes to a
//! descriptor. Here both are one pipe. They run in the foreground, as our children: what has gone to
//! the background is hard to find and to end.

use super::place::{GATEWAY6, Place, gateway};
use crate::Address;
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::unistd::{
    AccessFlags, access, chdir, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid,
};
use process::{Child, Guard};
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

/// The largest packet: no wire limits it, and each one costs the program the same.
const MTU: &str = "65520";

/// By which a program gets a network card of its own making.
const TUN: &str = "/dev/net/tun";

/// How long we wait for the card.
const PATIENCE: u16 = 30_000; // milliseconds

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pasta,
    Slirp,
}

impl Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Kind::Pasta { "pasta" } else { "slirp4netns" })
    }
}

/// One that is installed.
pub struct Program {
    pub kind: Kind,
    path: PathBuf,
}

/// One that speaks for a container, for as long as this value lives; and who ends it if we can't,
/// because some systems make it forget the wish to die with us (a profile of AppArmor does).
pub struct Running {
    _program: Child,
    _guard: Guard,
    /// What it would still say is dropped here; without a reader it would be ended by SIGPIPE.
    _complaints: OwnedFd,
}

impl Program {
    /// Looks in PATH.
    pub fn find(kind: Kind) -> Option<Program> {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::env::split_paths(&folders).map(|folder| folder.join(kind.to_string()));
        let mut usable = paths.filter(|path| {
            path.is_absolute() && path.is_file() && access(path, AccessFlags::X_OK).is_ok()
        });
        usable.next().map(|path| Program { kind, path })
    }

    /// Starts it and waits until the container's network card is there, with its addresses.
    pub fn start(&self, namespace: &File, place: &Place) -> Result<Running> {
        let pipe = |flags| pipe2(OFlag::O_CLOEXEC | flags).context("cannot make a pipe");
        let (ready, say_ready) = pipe(OFlag::empty())?;
        // Who complains a lot does not wait for us to read it.
        let (complaints, complain) = pipe(OFlag::O_NONBLOCK)?;
        let arguments = process::cstrings(&self.arguments(place, &say_ready))?;
        let mut guard = Guard::default();
        let become_it = || {
            setsid().context("cannot begin a session")?; // away from Ctrl-C, which is the command's
            chdir("/").context("cannot go to /")?; // nothing of our caller's stays in use
            dup2_stdin(namespace).context("cannot hand the namespace over")?;
            let output = if self.kind == Kind::Pasta { &say_ready } else { &complain };
            dup2_stdout(output).and_then(|()| dup2_stderr(&complain)).context("cannot listen")?;
            if self.kind == Kind::Slirp {
                fcntl(&say_ready, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot listen")?;
            }
            process::exec(&arguments, &process::environment())
        };
        let watch = |pid| guard.watch_over(pid);
        let program = process::start(CloneFlags::empty(), watch, become_it)?;
        drop((say_ready, complain));
        let mut word = [PollFd::new(ready.as_fd(), PollFlags::POLLIN)];
        let what = || format!("cannot wait for {}", self.kind);
        ensure!(
            poll(&mut word, PollTimeout::from(PATIENCE)).with_context(what)? == 1,
            "{} has not connected the container in 30 seconds",
            self.kind
        );
        let mut first = [0];
        if File::from(ready).read(&mut first).with_context(what)? == 0 {
            bail!(
                "{} could not connect the container: {}\nhint: {}",
                self.path.display(),
                said(complaints),
                hint()
            );
        }
        Ok(Running { _program: program, _guard: guard, _complaints: complaints })
    }

    fn arguments(&self, place: &Place, ready: &OwnedFd) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec![self.path.clone().into()];
        let mut add = |words: &[&str]| all.extend(words.iter().map(OsString::from));
        // A path to the namespace that needs no right to look at the process in there.
        const NAMESPACE: &str = "/proc/self/fd/0";
        match self.kind {
            Kind::Pasta => {
                add(&["--foreground", "--quiet", "--pid", "/proc/self/fd/1"]);
                add(&["--netns", NAMESPACE, "--no-netns-quit", "--config-net"]);
                add(&["--ns-ifname", "eth0", "--mtu", MTU]);
                for Address { ip, prefix } in &place.addresses {
                    add(&["--address", &ip.to_string()]);
                    if ip.is_ipv4() {
                        add(&["--netmask", &prefix.to_string()]);
                        add(&["--gateway", &gateway(place.range).to_string()]);
                    } else {
                        add(&["--gateway", &GATEWAY6.to_string()]);
                    }
                }
                match place.addresses[..] {
                    [Address { ip, .. }] if ip.is_ipv4() => add(&["--ipv4-only"]),
                    [_] => add(&["--ipv6-only"]),
                    _ => (),
                }
                if let Some(forwarder) = place.surroundings.forwarder {
                    add(&["--dns-forward", &forwarder.to_string()]);
                }
                // What listens on a loopback, ours or its, is nobody's business on the other side.
                add(&["--no-map-gw", "--no-dhcp", "--no-dhcpv6", "--no-ra"]);
                add(&["-t", "none", "-u", "none", "-T", "none", "-U", "none"]);
            }
            Kind::Slirp => {
                add(&["--configure", "--mtu", MTU, "--cidr", &place.range.to_string()]);
                add(&["--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"]);
                add(&["--ready-fd", &ready.as_raw_fd().to_string()]);
                add(&["--netns-type", "path", NAMESPACE, "eth0"]);
            }
        }
        all
    }
}

/// What could be done, where we can tell.
fn hint() -> &'static str {
    match access(TUN, AccessFlags::R_OK | AccessFlags::W_OK) {
        Err(Errno::ENOENT) => "it needs /dev/net/tun: sudo modprobe tun",
        Err(_) => "it must be allowed to open /dev/net/tun: sudo chmod 666 /dev/net/tun",
        Ok(()) => "run it with --network none or host",
    }
}

/// What it has complained of, in one line. Whoever does not know an option tells all that it knows.
fn said(complaints: OwnedFd) -> String {
    let (mut file, mut bytes) = (File::from(complaints), Vec::new());
    match file.read_to_end(&mut bytes) {
        Err(error) if error.raw_os_error() != Some(Errno::EAGAIN as i32) => {
            return error.to_string();
        }
        _ => (), // what was read before is kept
    }
    let text = String::from_utf8_lossy(&bytes);
    let is_telling = |line: &&str| !line.is_empty() && !line.ends_with("bytes to syslog");
    let lines = text.lines().map(str::trim).filter(is_telling);
    let lines: Vec<&str> = lines.take(3).collect();
    if lines.is_empty() { "it does not say why".to_owned() } else { lines.join("; ") }
}
