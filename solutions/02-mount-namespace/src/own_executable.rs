//! Keeps the program that makes containers from being overwritten by one.
//!
//! While a process of ours lives inside a container (an init does), root in there can open
//! `/proc/PID/exe`: the very file of this program on the host. The kernel refuses to write to a
//! program that is running, but not once it has ended, and the next start would run the
//! attacker's code as root of the host (CVE-2019-5736). So before any container exists we execute
//! ourselves again through a mount of our own file that nobody can write through: a detached one,
//! which is in no namespace and can't be remounted. Older kernels get a sealed copy in memory.

use anyhow::{Context, Result, ensure};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::fexecve;
use rustix::mount::{OpenTreeFlags, open_tree};
use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

const OWN_EXECUTABLE: &str = "/proc/self/exe";

/// Makes sure that this program runs from a file that can't be written, by executing it again if
/// need be. To be called first in `main`, while there is nothing to lose.
pub fn protect() -> Result<()> {
    if is_protected()? {
        return restore_name();
    }
    match execute_again(&process::environment())? {}
}

/// Executes this program anew, with the same arguments, from a file that can't be written.
pub fn execute_again(environment: &[CString]) -> Result<Infallible> {
    let executable = read_only_mount().or_else(|_| sealed_copy())?;
    let arguments: Vec<OsString> = std::env::args_os().collect();
    fexecve(&executable, &process::cstrings(&arguments)?, environment)
        .context("cannot execute this program again")
}

/// Either kind of copy can be told from the program as it was installed.
fn is_protected() -> Result<bool> {
    let path = std::fs::read_link(OWN_EXECUTABLE)
        .context("cannot read /proc/self/exe\nhint: mount /proc first")?;
    let flags = statvfs(OWN_EXECUTABLE).context("cannot look at /proc/self/exe")?.flags();
    Ok(flags.contains(FsFlags::ST_RDONLY) || path.starts_with("/memfd:coracle (deleted)"))
}

/// A detached, read-only bind mount of our file: open_tree(2), and mount_setattr(2) of Linux 5.12.
fn read_only_mount() -> Result<OwnedFd> {
    let clone = |path: &Path| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        open_tree(rustix::fs::CWD, path, flags)
    };
    let tree = match clone(OWN_EXECUTABLE.as_ref()) {
        // We were executed in another mount namespace, and its mounts can't be cloned from ours.
        Err(rustix::io::Errno::INVAL) => {
            let tree = clone(&std::fs::read_link(OWN_EXECUTABLE)?)?;
            let (ours, found) = (rustix::fs::stat(OWN_EXECUTABLE)?, rustix::fs::fstat(&tree)?);
            let is_ours = (ours.st_dev, ours.st_ino) == (found.st_dev, found.st_ino);
            ensure!(is_ours, "another file has our name");
            tree
        }
        tree => tree?,
    };
    sys::mount_setattr(tree.as_fd(), &sys::MountAttributes::read_only())?;
    // The tree's own descriptor is O_PATH; the kernel executes from a real one just as well.
    let through = crate::inside::through_descriptor(&tree);
    Ok(open(&through, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// A copy in memory that is sealed against every change: memfd_create(2).
fn sealed_copy() -> Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let copy = memfd_create("coracle", flags).context("cannot make a copy in memory")?;
    let mut copy = File::from(copy);
    std::io::copy(&mut File::open(OWN_EXECUTABLE)?, &mut copy)
        .context("cannot copy this program")?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals)).context("cannot seal the copy")?;
    // A descriptor that is open for writing can't be executed (ETXTBSY), so open it once more.
    let through = crate::inside::through_descriptor(&copy);
    Ok(open(&through, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// After an exec through a descriptor, `ps` would show its number or the memory's as our name.
fn restore_name() -> Result<()> {
    let first = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&first).file_name().unwrap_or_default().to_owned();
    let name = process::cstrings(&[name])?.remove(0);
    nix::sys::prctl::set_name(&name).context("cannot set the name of this process")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inside::through_descriptor;
    use std::io::Write;

    #[test]
    fn a_sealed_copy_can_be_read_and_run_and_not_be_changed() {
        let copy = sealed_copy().unwrap();
        let file = through_descriptor(&copy);
        assert!(std::fs::read(&file).unwrap() == std::fs::read(OWN_EXECUTABLE).unwrap());
        let mut writer = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        let refused = Some(nix::Error::EPERM as i32);
        assert_eq!(writer.write(b"evil").unwrap_err().raw_os_error(), refused);
        assert_eq!(writer.set_len(0).unwrap_err().raw_os_error(), refused);
        assert_eq!(writer.set_len(1 << 30).unwrap_err().raw_os_error(), refused);
        drop(writer); // or running it would be ETXTBSY
        let seals = SealFlag::from_bits_truncate(fcntl(&copy, FcntlArg::F_GET_SEALS).unwrap());
        assert!(seals.contains(SealFlag::F_SEAL_SEAL), "the seals could be broken: {seals:?}");
        let listed = std::process::Command::new(&file).arg("--list").output().unwrap();
        assert!(listed.status.success() && !listed.stdout.is_empty(), "{listed:?}");
    }
}
