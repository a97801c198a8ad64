//! `mount-namespace --rootfs DIR CMD ARGS…`: runs a command in a root file system of its own.

use anyhow::Result;
use clap::Parser;
use nix::sched::CloneFlags;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a command in new PID and mount namespaces, with DIR as its root file system.
///
/// Exits with the command's status; 128+N if signal N ended it, 127 if it was not found, 126 if
/// it could not be executed, 125 if the container could not be made.
#[derive(Parser)]
#[command(version, after_help = "Example: sudo mount-namespace --rootfs ./busybox -t sh")]
struct Args {
    /// The folder that becomes the root; it needs proc, sys and dev in it
    #[arg(long, value_name = "DIR")]
    rootfs: PathBuf,
    /// Show the naive way: chroot(2) in place of pivot_root(2), which can be escaped
    #[arg(long)]
    chroot: bool,
    #[command(flatten)]
    container: rootfs::Options,
}

fn main() -> ExitCode {
    process::finish(run())
}

fn run() -> Result<u8> {
    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let Args { rootfs, chroot, container } = process::parse();
    rootfs::own_executable::protect()?;
    let root = rootfs::options::root_folder(&rootfs)?;
    let terminal = container.terminal()?;
    let namespaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;

    container.run(namespaces, terminal.as_ref(), || {
        rootfs::private()?; //               from here on, nobody outside sees our mounts
        rootfs::bind_root(&root)?; //        pivot_root moves mounts, not folders
        rootfs::standard_mounts(&root)?; //  /proc, /sys, /dev
        container.volumes.iter().try_for_each(|volume| volume.mount(&root))?;
        rootfs::hide(&root)?; //             what knows or changes the whole machine
        terminal.iter().try_for_each(|terminal| terminal.attach(&root))?;
        if chroot {
            rootfs::chroot(&root)?
        } else {
            rootfs::pivot(&root)?
        }
        container.become_command()
    })
}
