//! `user-namespace CMD ARGS…`: an ordinary user runs a command as root of a small world.

use anyhow::{Result, ensure};
use clap::Parser;
use nix::sched::CloneFlags;
use std::path::PathBuf;
use std::process::ExitCode;
use users::{Maps, Subordinate};

/// Run a command as root of a new user namespace, without being root.
///
/// With --rootfs in a container, in new PID, mount, UTS and IPC namespaces. Exits with the command's
/// status; 128+N if signal N ended it, 127 if it was not found, 126 if it could not be executed, 125
/// if the container could not be made.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples: user-namespace id\n          \
                  user-namespace --rootfs ./busybox sh\n\n\
                  Not with sudo: root outside would be root inside, and own your files in there."
)]
struct Args {
    /// The folder that becomes the root; it needs proc, sys and dev in it
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// The container's host name
    #[arg(long, value_name = "NAME", default_value = "coracle", requires = "rootfs")]
    hostname: String,
    /// Have all users that /etc/subuid and /etc/subgid give you, or fail [default: if they do]
    #[arg(long, conflicts_with = "single")]
    range: bool,
    /// Have one user inside: root, who is you
    #[arg(long)]
    single: bool,
    #[command(flatten)]
    container: rootfs::Options,
}

fn main() -> ExitCode {
    process::finish(run())
}

fn run() -> Result<u8> {
    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let Args { rootfs, hostname, range, single, container } = process::parse();
    rootfs::own_executable::protect()?;
    let maps = match (range, single) {
        (true, _) => Maps::Range(Subordinate::of_caller()?),
        (_, true) => Maps::OnlyMe,
        _ => Maps::widest(),
    };
    let Some(root) = rootfs else { return on_the_hosts_files(&maps, &container) };
    let root = rootfs::options::root_folder(&root)?;
    let terminal = container.terminal()?;
    let namespaces = users::NAMESPACE
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | identity::NAMESPACES;
    let write_maps = |pid| maps.write(pid);

    // ANCHOR: steps
    let status = container.run_prepared(namespaces, terminal.as_ref(), write_maps, || {
        users::become_root()?; //            the maps are written: we are somebody
        rootfs::private()?; //               from here on, nobody outside sees our mounts
        rootfs::bind_root(&root)?; //        pivot_root moves mounts, not folders
        rootfs::standard_mounts(&root)?; //  /proc, /sys, /dev
        identity::mqueue(&root)?; //         the mailboxes of our own IPC namespace
        identity::names(&hostname, None)?; // of our own UTS namespace
        container.volumes.iter().try_for_each(|volume| volume.mount(&root))?;
        rootfs::hide(&root)?; //             what knows or changes the whole machine
        terminal.iter().try_for_each(|terminal| terminal.attach(&root))?;
        rootfs::pivot(&root)?; //            the old root is gone
        container.become_command()
    });
    // ANCHOR_END: steps
    status.map_err(users::explain)
}

/// A user namespace and nothing else: the shortest way to look at one.
fn on_the_hosts_files(maps: &Maps, container: &rootfs::Options) -> Result<u8> {
    ensure!(
        container.volumes.is_empty() && !container.tty,
        "-v and -t are for a container\nhint: --rootfs gives it a root"
    );
    let write_maps = |pid| maps.write(pid);
    // ANCHOR: alone
    let status = container.run_prepared(users::NAMESPACE, None, write_maps, || {
        users::become_root()?;
        container.become_command()
    });
    // ANCHOR_END: alone
    status.map_err(users::explain)
}
