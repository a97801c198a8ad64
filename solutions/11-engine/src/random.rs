//! Random bytes from the kernel: for IDs that nobody guesses and names that seldom meet.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::Read;

/// Bytes of random(4).
pub(crate) fn bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.context("cannot read /dev/urandom")?;
    Ok(bytes)
}

/// A new container's ID: 64 hexadecimal digits, as docker's are.
pub(crate) fn id() -> Result<String> {
    Ok(bytes::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}
