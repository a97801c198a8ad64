//! Mounts more layers than fit into one page of options, and folders with odd names.
//!
//! mount(2) cuts its options at one page, 4096 bytes, and an image may have 127 layers in folders
//! with names of 64 digits. Since Linux 6.8 each layer can be given by a call of its own, but ours
//! go back to 5.10. So each folder is opened, and from inside `/proc/self/fd` its path is just the
//! descriptor's number: the kernel's own limit of 500 layers takes 2000 bytes.

use crate::{EACH_FILE_WHOLE, Upper, attributes};
use anyhow::{Context, Result};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, fchdir};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One page, less the byte that ends the string.
const MOST: usize = 4095;

/// Can these options be given as they are?
pub(crate) fn not_needed(layers: &[PathBuf], upper: Option<&Upper>, options: &OsStr) -> bool {
    let plain =
        |path: &Path| !path.as_os_str().as_bytes().iter().any(|byte| b":,\\".contains(byte));
    let mut paths = layers.iter().chain(upper.iter().flat_map(|upper| [&upper.upper, &upper.work]));
    options.len() <= MOST && paths.all(|path| plain(path))
}

/// Calls `mount` with options that name each folder by a descriptor's number.
pub(crate) fn with<T>(
    layers: &[PathBuf],
    upper: Option<&Upper>,
    mount: impl FnOnce(&OsStr) -> T,
) -> Result<T> {
    let open = |path: &PathBuf| folder(path); // all stay open until the mount is made
    let lower = layers.iter().rev().map(open).collect::<Result<Vec<_>>>()?;
    let numbers: Vec<String> = lower.iter().map(|layer| layer.as_raw_fd().to_string()).collect();
    let mut options = format!("lowerdir={}", numbers.join(":"));
    let top = upper.iter().flat_map(|upper| [&upper.upper, &upper.work]).map(open);
    let top = top.collect::<Result<Vec<_>>>()?;
    if let [upper, work] = &top[..] {
        options += &format!(",upperdir={},workdir={}", upper.as_raw_fd(), work.as_raw_fd());
    }
    options += EACH_FILE_WHOLE;
    options += upper.map_or("", Upper::durability);
    options += attributes::option();
    let here = folder(Path::new("."))?;
    chdir("/proc/self/fd").context("cannot enter /proc/self/fd\nhint: mount /proc first")?;
    let result = mount(&OsString::from(options));
    fchdir(&here).context("cannot return to the working folder")?;
    Ok(result)
}

/// A descriptor that keeps a folder reachable, whatever is mounted over its path.
pub(crate) fn folder(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        .with_context(|| format!("cannot open the layer {}", path.display()))
}

#[cfg(test)]
mod tests {
    use crate::options;

    #[test]
    fn paths_that_would_be_misread_are_not_written_out() {
        for path in ["/a:b", "/a,b", "/a\\b", &"/long".repeat(1000)] {
            assert_eq!(options(&["/base".into(), path.into()], None), None, "{path}");
        }
    }
}
