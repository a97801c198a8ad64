//! `image-pull oci:DIR[:TAG]`: unpacks an image, checking every byte of it.

use anyhow::{Context, Result};
use clap::Parser;
use image::{Image, Platform, Store};
use std::io::{self, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

/// Unpack an image: each layer into a folder of the store, or all of them into one folder.
#[derive(Parser)]
#[command(version, after_help = "Example: sudo image-pull oci:/tmp/debian:latest --to /tmp/rootfs")]
struct Args {
    /// The image: oci:DIR or oci:DIR:TAG, an OCI image layout on disk
    source: String,
    /// The machine that the image should be for [default: this one]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
    /// Unpack all layers into this folder, which must be empty or absent; the store is not used
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// The folder of the store
    #[arg(long, env = "CORACLE_ROOT", default_value = "/var/lib/coracle", value_name = "DIR")]
    root: PathBuf,
}

fn main() -> ExitCode {
    process::finish(run(&process::parse()))
}

fn run(args: &Args) -> Result<u8> {
    let platform = args.platform.clone().unwrap_or_else(Platform::host);
    let image = match &args.to {
        Some(folder) => image::pull_flat(&args.source, &platform, folder)?,
        None => image::pull(&Store::open(&args.root)?, &args.source, &platform)?,
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
