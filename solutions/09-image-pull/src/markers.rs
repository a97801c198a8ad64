//! Reads a layer's `.wh.` markers, which stand for what the layer removes
//! (OCI image specification, layer.md, "Whiteouts").
//!
//! A marker means the layers below only, wherever in the archive it stands: an entry of the same
//! layer under the same name stays. How overlayfs stores "nothing" is chapter 08's.

use crate::remove::open_folder;
use anyhow::{Result, bail, ensure};
use rustix::fs::{AtFlags, FileType, Stat, statat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// What a name stands for.
pub(crate) enum Meaning {
    Thing,
    /// Something that the layer removes.
    Marker,
    /// What aufs, Docker's first storage, kept for itself; old images still have it.
    Leftover,
}

/// Names that begin with `.wh.` are reserved for markers.
pub(crate) fn meaning(name: &Path) -> Result<Meaning> {
    let mut steps = name.components().peekable();
    while let Some(step) = steps.next() {
        let is_last = steps.peek().is_none();
        let Component::Normal(step) = step else { continue };
        let bytes = step.as_encoded_bytes();
        match bytes {
            b".wh..wh..opq" if is_last => return Ok(Meaning::Marker),
            _ if bytes.starts_with(b".wh..wh.") => return Ok(Meaning::Leftover),
            _ if !bytes.starts_with(b".wh.") => {}
            _ if is_last => return marked(step).map(|_| Meaning::Marker),
            _ => bail!("there can be nothing in a whiteout"),
        }
    }
    Ok(Meaning::Thing)
}

/// What a marker names in its folder; `None` means all that is below the folder.
pub(crate) fn marked(marker: &OsStr) -> Result<Option<&OsStr>> {
    if marker == ".wh..wh..opq" {
        return Ok(None);
    }
    let name = marker.as_bytes().strip_prefix(b".wh.").map(OsStr::from_bytes).unwrap_or_default();
    ensure!(
        ![OsStr::new(""), ".".as_ref(), "..".as_ref()].contains(&name),
        "it is a whiteout of nothing"
    );
    Ok(Some(name))
}

/// Turns a marker into what overlayfs understands, unless this layer has something of that name.
///
/// A file or symlink of this layer hides what is below by itself; a folder would be merged with
/// the one below.
pub(crate) fn convert(folder: &OwnedFd, marker: &OsStr) -> Result<()> {
    if let Some(name) = marked(marker)? {
        match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if is_folder(&there) => {
                return hide_what_is_below(&open_folder(folder, name)?);
            }
            Ok(_) => return Ok(()),
            Err(_) => {}
        }
    }
    overlay::whiteout(folder.as_fd(), marker)?;
    Ok(())
}

/// Keeps the folder of the layers below from showing through this one.
pub(crate) fn hide_what_is_below(folder: &OwnedFd) -> Result<()> {
    overlay::whiteout(folder.as_fd(), OsStr::new(".wh..wh..opq"))?;
    Ok(())
}

pub(crate) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether this is how overlayfs stores "nothing". No entry of an image can make one.
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_step_of_a_name_can_be_a_marker() {
        let is = |name: &str| match meaning(Path::new(name)) {
            Ok(Meaning::Thing) => "thing",
            Ok(Meaning::Marker) => "marker",
            Ok(Meaning::Leftover) => "leftover",
            Err(_) => "error",
        };
        for (name, what) in [
            ("a/b", "thing"),
            ("a/wh.b", "thing"),
            (".whx", "thing"),
            ("", "thing"),
            ("a/.wh.b", "marker"),
            ("/.wh.b/", "marker"),
            (".wh..wh..opq", "marker"),
            (".wh..wh.plnk/12.34", "leftover"),
            (".wh..wh.aufs", "leftover"),
            (".wh..wh..opq/x", "leftover"),
            (".wh.a/b", "error"),
            ("x/.wh.a/../b", "error"),
        ] {
            assert_eq!(is(name), what, "{name}");
        }
    }

    #[test]
    fn a_marker_names_one_entry_of_its_own_folder() {
        assert_eq!(marked(OsStr::new(".wh.a")).unwrap(), Some(OsStr::new("a")));
        assert_eq!(marked(OsStr::new(".wh..wh..opq")).unwrap(), None);
        for nonsense in [".wh.", ".wh..", ".wh..."] {
            assert!(marked(OsStr::new(nonsense)).is_err(), "{nonsense}");
        }
    }
}
