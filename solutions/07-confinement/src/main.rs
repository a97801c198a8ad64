//! `confinement --rootfs DIR CMD ARGS…`: a container whose root is not almighty.

use anyhow::Result;
use cgroups::Limits;
use cgroups::bill::Account;
use clap::Parser;
use confine::User;
use nix::sched::CloneFlags;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a command in a container that may do what docker's may, or what the options say.
///
/// Exits with the command's status; 128+N if signal N ended it, 127 if it was not found, 126 if
/// it could not be executed, 125 if the container could not be made.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: sudo confinement --rootfs ./busybox --cap-drop ALL mount -t tmpfs none /tmp"
)]
struct Args {
    /// The folder that becomes the root; it needs proc, sys and dev in it
    #[arg(long, value_name = "DIR")]
    rootfs: PathBuf,
    /// The container's host name
    #[arg(long, value_name = "NAME", default_value = "coracle")]
    hostname: String,
    /// Run as this user, by its number
    #[arg(short, long, value_name = "UID[:GID]", default_value = "0")]
    user: User,
    /// Put the command into this group too, by its number
    #[arg(long = "group-add", value_name = "GID")]
    groups: Vec<u32>,
    #[command(flatten)]
    rights: confine::Rights,
    #[command(flatten)]
    container: rootfs::Options,
}

fn main() -> ExitCode {
    process::finish(run())
}

fn run() -> Result<u8> {
    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let Args { rootfs, hostname, mut user, groups, rights, container } = process::parse();
    user.groups.extend(groups);
    rootfs::own_executable::protect()?;
    let root = rootfs::options::root_folder(&rootfs)?;
    let confinement = rights.confinement(confine::capabilities::ours()?)?;
    let group = Account::open(None, &Limits::default(), &rights.devices(&[])?)?;
    let terminal = container.terminal()?;
    let namespaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | identity::NAMESPACES;

    // ANCHOR: steps
    container.run(group.birthplace(namespaces)?, terminal.as_ref(), || {
        group.enter()?; //                   if it was not born there (version 1)
        cgroups::namespace()?; //            from here on it is the root of all groups
        rootfs::private()?; //               from here on, nobody outside sees our mounts
        rootfs::bind_root(&root)?; //        pivot_root moves mounts, not folders
        rootfs::standard_mounts(&root)?; //  /proc, /sys, /dev
        group.mount(&root)?; //              /sys/fs/cgroup: its own limits, to be read
        identity::mqueue(&root)?; //         the mailboxes of our own IPC namespace
        identity::names(&hostname, None)?; // of our own UTS namespace
        rights.show(&root)?; //              --privileged: the whole machine
        container.volumes.iter().try_for_each(|volume| volume.mount(&root))?;
        rights.hide(&root)?; //              what knows or changes the whole machine
        terminal.iter().try_for_each(|terminal| terminal.attach(&root))?;
        rootfs::pivot(&root)?; //            the old root is gone
        confine::confine(&confinement, &user)?; // and now most of root's power
        container.become_command()
    })
    // ANCHOR_END: steps
}
