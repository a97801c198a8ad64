//! Says of a full disk how much is missing on it, which is what the person in front of it wants to
//! know.
//!
//! What an image takes unpacked stands nowhere in it. When a layer did not fit it is unpacked once
//! more, into nothing, to be measured.

use crate::decompress::decompress;
use crate::documents::Descriptor;
use crate::source::Source;
use anyhow::{Error, Result};
use rustix::fs::statvfs;
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::path::Path;

/// Bytes for which there has to be room, and what they are, as a note on an error.
#[derive(Debug)]
struct Needs(u64, &'static str);

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} MiB", self.1, self.0.div_ceil(1 << 20))
    }
}

/// The explanation, as a note on an error: whoever sees it has nothing to add.
#[derive(Debug)]
struct Explained(String);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// If `error` says that the disk is full, adds what the layer in `blob` would have needed.
pub(crate) fn measure(error: Error, source: &Source, blob: &Descriptor) -> Error {
    if !is_full(&error) {
        return error;
    }
    let size = || -> Result<u64> {
        let mut archive = decompress(source.blob(blob)?, blob.size)?;
        Ok(io::copy(&mut archive, &mut io::sink())?)
    };
    match size() {
        Ok(size) => error.context(Needs(size, "unpacked the layer has")),
        Err(_) => error, // the one that we have is the one that counts
    }
}

/// If `error` says that the disk below `folder` is full, explains it to who wanted to write so many
/// more bytes of a blob there.
pub(crate) fn explain_full_for(error: Error, folder: &Path, rest: u64) -> Error {
    if !is_full(&error) {
        return error;
    }
    explain_full(error.context(Needs(rest, "still to come are")), folder)
}

/// If `error` says that the disk is full, adds which one, how much is free without the layer, and
/// how much is missing. Who is closest to the fault explains it; others leave that as it is.
pub(crate) fn explain_full(error: Error, folder: &Path) -> Error {
    if error.is::<Explained>() {
        return error;
    }
    let (true, Ok(disk)) = (is_full(&error), statvfs(folder)) else { return error };
    let (free, files) = (disk.f_bavail * disk.f_frsize, disk.f_favail);
    let missing = error.downcast_ref::<Needs>().map(|needs| needs.0.saturating_sub(free));
    let missing = match missing.filter(|missing| *missing > 0) {
        Some(missing) => format!(", and {} MiB are missing", missing.div_ceil(1 << 20)),
        None => ", and that is not enough".to_owned(),
    };
    let (mib, folder) = (free >> 20, folder.display());
    error.context(Explained(format!(
        "there is no room left in {folder}\nhint: {mib} MiB and {files} files are free there now{missing}; \
         make room, or use a folder on another disk"
    )))
}

/// Does it say that there is no room?
pub(crate) fn is_full(error: &Error) -> bool {
    let full = |errno: i32| [Errno::NOSPC, Errno::DQUOT].map(Errno::raw_os_error).contains(&errno);
    error.chain().any(|cause| {
        let errno = cause.downcast_ref::<Errno>().map(|errno| errno.raw_os_error());
        let io_error = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        errno.or(io_error).is_some_and(full)
    })
}
