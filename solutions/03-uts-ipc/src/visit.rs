//! Asks in the namespace of another process.
//!
//! Much is answered for whoever asks, the host name, the links of a network, and no file under
//! `/proc/PID` tells what another would hear. So a child goes over there for a moment (setns(2)),
//! asks, and reports back through a pipe; we never leave our own namespaces.

use anyhow::{Context, Result, ensure};
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns};
use nix::unistd::pipe2;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// What `ask` answers in the namespace of process `pid`, of the `kind` that `/proc/PID/ns` calls so.
/// Another's needs CAP_SYS_ADMIN there, or a user namespace of the caller's.
pub fn visit(pid: i32, kind: &str, ask: impl FnOnce() -> Result<Vec<u8>>) -> Result<Vec<u8>> {
    let path = format!("/proc/{pid}/ns/{kind}");
    let namespace = File::open(&path)
        .with_context(|| format!("cannot open {path}\nhint: has process {pid} ended?"))?;
    let (answer, say) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    let (mut answer, mut say) = (File::from(answer), File::from(say));
    let visitor = || -> Result<Infallible> {
        enter(pid, kind, &namespace).with_context(|| format!("cannot enter {path}"))?;
        let said = ask()?;
        sys::close_all_but(&[say.as_fd()])?; // the one who waits for us goes on, and reads
        say.write_all(&said)?;
        sys::exit_now(0)
    };
    let child = process::start(CloneFlags::empty(), |_pid| Ok(()), visitor)?;
    drop(say);
    let mut said = Vec::new();
    answer.read_to_end(&mut said).context("cannot read the answer")?;
    ensure!(process::wait(&child)? == 0, "the process that asked in {path} was killed");
    Ok(said)
}

/// Enters a namespace. An ordinary user may not enter their own, having no right in it, and is there
/// already; and has all rights in a user namespace that is theirs (chapter 04), and so over what a
/// container in there has, after having entered it, too.
fn enter(pid: i32, kind: &str, namespace: &File) -> nix::Result<()> {
    let inode = |path: &str| fs::metadata(path).map(|file| file.ino()).ok();
    if inode(&format!("/proc/{pid}/ns/{kind}")) == inode(&format!("/proc/self/ns/{kind}")) {
        return Ok(());
    }
    let as_it_is = CloneFlags::empty(); // whatever kind the file is of
    let entered = setns(namespace, as_it_is);
    if entered.is_ok() {
        return entered;
    }
    let users = File::open(format!("/proc/{pid}/ns/user"));
    users.map_or(entered, |users| {
        setns(users, CloneFlags::CLONE_NEWUSER)?;
        setns(namespace, as_it_is)
    })
}
