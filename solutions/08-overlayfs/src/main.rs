//! `overlayfs --lower DIR… [--upper DIR] CMD ARGS…`: a container on a pile of layers.

mod workbench;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use nix::sched::CloneFlags;
use overlay::Change;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use workbench::Workbench;

/// Run a command in a container whose root is a pile of layers.
///
/// Exits with the command's status; 128+N if signal N ended it, 127 if it was not found, 126 if
/// it could not be executed, 125 if the container could not be made.
#[derive(Parser)]
#[command(
    version,
    after_help = "Example: sudo overlayfs --lower ./busybox --upper ./mine --changes touch /new"
)]
struct Args {
    /// A layer, the lowest first; may be given many times
    #[arg(long = "lower", value_name = "DIR", required = true)]
    layers: Vec<PathBuf>,
    /// The folder that takes the changes; without it they are kept in memory and vanish
    #[arg(long, value_name = "DIR")]
    upper: Option<PathBuf>,
    /// At the end, list what was added (A), changed (C) and deleted (D), as `docker diff` does
    #[arg(long, requires = "upper")]
    changes: bool,
    /// The container's host name
    #[arg(long, value_name = "NAME", default_value = "coracle")]
    hostname: String,
    #[command(flatten)]
    container: rootfs::Options,
}

fn main() -> ExitCode {
    process::finish(run())
}

fn run() -> Result<u8> {
    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let Args { layers, upper, changes, hostname, container } = process::parse();
    rootfs::own_executable::protect()?;
    let layers = layers.iter().map(|layer| folder(layer)).collect::<Result<Vec<_>>>()?;
    let root = layers[0].clone(); // mounts are private: any folder will do to mount on
    let terminal = container.terminal()?;
    let bench = upper.map(|upper| Workbench::beside(&upper)).transpose()?;
    let namespaces = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | identity::NAMESPACES;

    // ANCHOR: steps
    let status = container.run(namespaces, terminal.as_ref(), || {
        rootfs::private()?; //               from here on, nobody outside sees our mounts
        match &bench {
            Some(bench) => overlay::mount(&layers, Some(&bench.upper), &root)?,
            None => overlay::mount_with_memory(&layers, &root)?,
        }
        rootfs::make_mount_points(&root)?; // in the upper layer: layers need not have them
        rootfs::standard_mounts(&root)?; //  /proc, /sys, /dev
        identity::mqueue(&root)?; //         the mailboxes of our own IPC namespace
        identity::names(&hostname, None)?;
        container.volumes.iter().try_for_each(|volume| volume.mount(&root))?;
        rootfs::hide(&root)?; //             what knows or changes the whole machine
        terminal.iter().try_for_each(|terminal| terminal.attach(&root))?;
        rootfs::pivot(&root)?; //            the old root is gone
        container.become_command()
    });
    // ANCHOR_END: steps

    let Some(bench) = bench else { return status };
    let changes = match changes && status.is_ok() {
        true => overlay::changes(&layers, &bench.upper.upper),
        false => Ok(Vec::new()),
    };
    let tidied = bench.tidy_up();
    let status = status?; // what went wrong first is told first
    print(&changes?).context("cannot print the changes")?;
    tidied?;
    Ok(status)
}

/// Not `println!`, which panics when the reader has gone, as in `overlayfs … | head -1`.
fn print(changes: &[Change]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    changes.iter().try_for_each(|change| writeln!(out, "{change}"))
}

fn folder(path: &Path) -> Result<PathBuf> {
    let absolute =
        path.canonicalize().with_context(|| format!("cannot use {} as a layer", path.display()))?;
    ensure!(absolute.is_dir(), "cannot use {} as a layer: it is not a folder", path.display());
    ensure!(
        absolute != Path::new("/"),
        "cannot use / as a layer: a process keeps its root, whatever is mounted over it\n\
         hint: bind it elsewhere first: mount --bind / /mnt"
    );
    Ok(absolute)
}
