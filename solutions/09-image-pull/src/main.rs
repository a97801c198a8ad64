//! `image-pull REF`: brings an image here and unpacks it, checking every byte of it.

use anyhow::{Context, Result};
use clap::Parser;
use image::{Access, Image, Platform, Progress, Store, Wanted};
use std::io::{self, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Pull an image: each layer into a folder of the store, or all of them into one folder.
///
/// Prints the folders, lowest layer first, and last the digest of the manifest. Credentials are
/// those that `docker login` has left.
#[derive(Parser)]
#[command(version, after_help = "Example: sudo image-pull alpine --to /tmp/rootfs")]
struct Args {
    /// The image: a name such as alpine or host:5000/a/b:tag, or oci:DIR[:TAG],
    /// oci-archive:FILE[:TAG], docker-archive:FILE[:NAME]
    #[arg(value_name = "REF")]
    source: String,
    /// The machine that the image should be for [default: this one]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Unpack all layers into this folder, which must be empty or absent; the store is not used
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Say nothing of what is on its way
    #[arg(short, long)]
    quiet: bool,
    /// Plain HTTP, and certificates that nobody vouches for, will do
    #[arg(long)]
    insecure: bool,
    /// The folder of the store
    #[arg(long, env = "CORACLE_ROOT", default_value = "/var/lib/coracle", value_name = "DIR")]
    root: PathBuf,
}

fn main() -> ExitCode {
    process::finish(run(&process::parse()))
}

fn run(args: &Args) -> Result<u8> {
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let progress = if args.quiet { Progress::Quiet } else { Progress::on_stderr() };
    let access = Access { insecure: args.insecure, ..Access::default() };
    let wanted = Wanted { source: args.source.clone(), access, progress, here: None };
    let image = match &args.to {
        Some(folder) => image::pull_flat(wanted, &platform, folder)?,
        None => image::pull(&Store::open(&args.root)?, wanted, &platform)?,
    };
    report(&image).context("cannot write to standard output")?;
    Ok(0)
}

/// The folders on lines of their own, lowest layer first, and last what names the whole image.
fn report(image: &Image) -> io::Result<()> {
    let mut stdout = stdout();
    for layer in &image.layers {
        writeln!(stdout, "{}", layer.display())?;
    }
    writeln!(stdout, "{}", image.digest)
}
