//! `cgroups [--rootfs DIR] --memory SIZE CMD ARGS…`: a container with limits, and its bill.

use anyhow::Result;
use cgroups::bill::Account;
use cgroups::{Devices, Options};
use clap::Parser;
use nix::sched::CloneFlags;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a command in a cgroup of its own, and tell at the end what it used.
///
/// With --rootfs it gets all that the chapters before have made; without, it sees the host's files.
///
/// Exits with the command's status; 128+N if signal N ended it, 127 if it was not found, 126 if
/// it could not be executed, 125 if the container could not be made.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: sudo cgroups --memory 64m --cpus 0.5 --pids 20 sh -c 'echo $((1 + 1))'"
)]
struct Args {
    /// The folder that becomes the root; it needs proc, sys and dev in it
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// The container's host name
    #[arg(long, value_name = "NAME", default_value = "coracle")]
    hostname: String,
    /// Memory beyond which its processes are slowed down and have to give some back
    #[arg(long, value_name = "SIZE", value_parser = cgroups::size)]
    memory_high: Option<u64>,
    #[command(flatten)]
    container: rootfs::Options,
    #[command(flatten)]
    limits: Options,
}

fn main() -> ExitCode {
    process::finish(run())
}

fn run() -> Result<u8> {
    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let Args { rootfs, hostname, memory_high, limits: options, container } = process::parse();
    rootfs::own_executable::protect()?;
    let root = rootfs.as_deref().map(rootfs::options::root_folder).transpose()?;
    let limits = cgroups::Limits { memory_high, ..options.limits()? };
    let group = Account::open(options.cgroup_parent.as_deref(), &limits, &Devices::default())?;
    let terminal = container.terminal()?;
    let mut namespaces = CloneFlags::CLONE_NEWPID;
    if root.is_some() {
        namespaces |= CloneFlags::CLONE_NEWNS | identity::NAMESPACES;
    }

    // ANCHOR: steps
    let status = container.run(group.birthplace(namespaces)?, terminal.as_ref(), || {
        group.enter()?; //                   if it was not born there (version 1)
        cgroups::namespace()?; //            from here on it is the root of all groups
        let Some(root) = &root else { return container.become_command() };
        rootfs::private()?; //               from here on, nobody outside sees our mounts
        rootfs::bind_root(root)?; //         pivot_root moves mounts, not folders
        rootfs::standard_mounts(root)?; //   /proc, /sys, /dev
        group.mount(root)?; //               /sys/fs/cgroup: its own limits, to be read
        identity::mqueue(root)?; //          the mailboxes of our own IPC namespace
        identity::names(&hostname, None)?;
        container.volumes.iter().try_for_each(|volume| volume.mount(root))?;
        rootfs::hide(root)?; //              what knows or changes the whole machine
        terminal.iter().try_for_each(|terminal| terminal.attach(root))?;
        rootfs::pivot(root)?; //             the old root is gone
        container.become_command()
    })?;
    // ANCHOR_END: steps
    group.settle(&limits)?;
    Ok(status)
}
