//! `network --rootfs DIR CMD ARGS…`: a container with a network of its own.

use anyhow::Result;
use clap::Parser;
use network::files::Resolver;
use network::ports::Publish;
use network::{Network, Wanted, etc};
use nix::sched::CloneFlags;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a command in a container with a network of its own, on a bridge with others.
///
/// Exits with the command's status; 128+N if signal N ended it, 127 if it was not found, 126 if
/// it could not be executed, 125 if the container could not be made.
#[derive(Parser)]
#[command(version, after_help = "Example: sudo network --rootfs ./busybox ip address")]
struct Args {
    /// The folder that becomes the root; it needs proc, sys and dev in it
    #[arg(long, value_name = "DIR")]
    rootfs: PathBuf,
    /// The container's host name
    #[arg(long, value_name = "NAME", default_value = "coracle")]
    hostname: String,
    #[command(flatten)]
    network: Wanted,
    /// Lead a port of this machine to one of the container: 8080:80, 127.0.0.1:8080:80/udp, 80
    #[arg(short, long, value_name = "[[ADDRESS:]PORT:]PORT[/udp]")]
    publish: Vec<Publish>,
    #[command(flatten)]
    container: rootfs::Options,
}

fn main() -> ExitCode {
    process::finish(run())
}

fn run() -> Result<u8> {
    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let Args { rootfs, hostname, network, publish, container } = process::parse();
    rootfs::own_executable::protect()?;
    let root = rootfs::options::root_folder(&rootfs)?;
    let terminal = container.terminal()?;
    let ports = network::ports::reserve(&publish)?; // before anything is there
    let namespaces = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | identity::NAMESPACES
        | network::NAMESPACE;

    // ANCHOR: steps
    let lease = Network::open(&network)?.lease(ports)?;
    let files = etc::texts(&hostname, Some(&lease.terms.cable), &Resolver::default(), &[]).0;
    let plug_in = |pid| lease.plug_in(pid); // while the child waits
    container.run_prepared(namespaces, terminal.as_ref(), plug_in, || {
        network::up(&lease.terms.cable)?; // our end of the cable
        rootfs::private()?; //               from here on, nobody outside sees our mounts
        rootfs::bind_root(&root)?; //        pivot_root moves mounts, not folders
        etc::mount(&root, &files)?; //       hosts, hostname and resolv.conf: names for addresses
        rootfs::standard_mounts(&root)?; //  /proc, /sys, /dev
        identity::mqueue(&root)?; //         the mailboxes of our own IPC namespace
        identity::names(&hostname, None)?; // of our own UTS namespace
        container.volumes.iter().try_for_each(|volume| volume.mount(&root))?;
        rootfs::hide(&root)?; //             what knows or changes the whole machine
        terminal.iter().try_for_each(|terminal| terminal.attach(&root))?;
        rootfs::pivot(&root)?; //            the old root is gone
        container.become_command()
    })
    // ANCHOR_END: steps
}
