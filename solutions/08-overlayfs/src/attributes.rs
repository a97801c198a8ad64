//! Where overlayfs keeps its own notes on a file: in extended attributes (xattr(7)).
//!
//! Those that begin with `trusted.` only root of the machine may see. Root of a user namespace has
//! the file's owner's, which begin with `user.`; the mount must be told (`userxattr`, since Linux
//! 5.11, which is also the first that lets a user namespace mount overlays).

/// The attribute that hides what lower layers have in a folder.
pub(crate) fn opaque() -> &'static str {
    if users::is_initial() { "trusted.overlay.opaque" } else { "user.overlay.opaque" }
}

/// An attribute that means nothing, to find out whether a file system keeps such attributes.
pub(crate) fn probe() -> &'static str {
    if users::is_initial() { "trusted.coracle" } else { "user.coracle" }
}

/// The option of the mount.
pub(crate) fn option() -> &'static str {
    if users::is_initial() { "" } else { ",userxattr" }
}
