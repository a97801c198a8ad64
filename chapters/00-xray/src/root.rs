//! Finds the mount that is a process's root, and the layers if it is an overlay.
//!
//! After `pivot_root(2)` the root of a process is a mount of its own. After a mere `chroot(2)` it
//! is a folder inside some mount, and mountinfo, which shows only what can be reached from there,
//! has no line for `/`: that is how the two are told apart.

use crate::mounts::{self, Mount};
use crate::{Fact, Group, Row, Verdict, procfs};
use anyhow::Result;
use serde::Serialize;
use std::fmt;

/// What a process's `/` is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Root {
    /// A mount.
    Mount {
        /// The type, such as `ext4` or `overlay`.
        file_system: String,
        /// What is mounted: a device, or a word.
        source: String,
        /// The device number, `major:minor`.
        device: String,
        /// Which folder of the file system; `/` unless it is a bind mount.
        folder: String,
        /// The layers, if it is an overlay.
        layers: Option<Layers>,
    },
    /// A folder that is not a mount: the process was put there by `chroot(2)`.
    Folder(
        /// Its path in the mount namespace of the process.
        String,
    ),
}

/// What an overlay is made of, as its options name it: paths may be relative to a folder that
/// only its creator knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Layers {
    /// Where changes are written; none if the overlay is read-only.
    pub upper: Option<String>,
    /// The folder that overlayfs works in.
    pub work: Option<String>,
    /// The read-only layers, the top one first.
    pub lower: Vec<String>,
}

impl PartialEq for Root {
    /// Two roots are the same if they are the same folder of the same file system, however it
    /// came to be mounted: a new mount namespace alone changes nothing that can be seen.
    fn eq(&self, other: &Root) -> bool {
        match (self, other) {
            (
                Root::Mount { device, folder, .. },
                Root::Mount { device: other_device, folder: other_folder, .. },
            ) => device == other_device && folder == other_folder,
            (Root::Folder(path), Root::Folder(other)) => path == other,
            _ => false,
        }
    }
}

impl Root {
    /// Reads what the root of a process is; errors as in [`procfs::read`].
    pub fn of(pid: u32) -> Result<Root> {
        let mounts = mounts::of(pid)?;
        let Some(mount) = find(&mounts) else {
            return Ok(Root::Folder(procfs::read_link(pid, "root")?));
        };
        Ok(Root::Mount {
            file_system: mount.file_system.clone(),
            source: mount.source.to_string_lossy().into_owned(),
            device: mount.device.clone(),
            folder: mount.root.to_string_lossy().into_owned(),
            layers: layers(mount),
        })
    }
}

/// The mount that is the root. Several may stand at `/`, one on the other; all the rest hangs
/// from the process's root, so it is the one whose parent is out of sight.
pub fn find(mounts: &[Mount]) -> Option<&Mount> {
    let in_sight = |id| mounts.iter().any(|mount| mount.id == id);
    mounts.iter().find(|mount| {
        mount.point.as_os_str() == "/" && (mount.parent == mount.id || !in_sight(mount.parent))
    })
}

/// The layers of an overlay mount; none if it is of another type.
pub fn layers(mount: &Mount) -> Option<Layers> {
    if mount.file_system != "overlay" {
        return None;
    }
    let mut layers = Layers { upper: None, work: None, lower: Vec::new() };
    for option in &mount.super_options {
        match option.split_once('=') {
            Some(("upperdir", path)) => layers.upper = Some(unescape(path)),
            Some(("workdir", path)) => layers.work = Some(unescape(path)),
            Some(("lowerdir", paths)) => layers.lower.extend(split_layers(paths)),
            // Since Linux 6.5 layers can be given one by one, without a list and its colons.
            Some(("lowerdir+" | "datadir+", path)) => layers.lower.push(path.to_owned()),
            _ => {}
        }
    }
    Some(layers)
}

/// Splits `a:b`. A double colon, before layers that hold data only, is one as well.
fn split_layers(list: &str) -> Vec<String> {
    let mut escaped = false;
    let between = |character| {
        let is_colon = character == ':' && !escaped;
        escaped = character == '\\' && !escaped;
        is_colon
    };
    list.split(between).filter(|layer| !layer.is_empty()).map(unescape).collect()
}

/// Undoes overlayfs's own escapes: it keeps a path as it was given to mount(2), where a colon or
/// a comma of a name has a backslash before it.
fn unescape(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    plain
}

impl fmt::Display for Root {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Root::Folder(path) => write!(out, "the folder {path}, by chroot: no mount"),
            Root::Mount { layers: Some(layers), .. } => write!(out, "{layers}"),
            Root::Mount { file_system, source, folder, .. } if folder == "/" => {
                write!(out, "{file_system} {source}")
            }
            Root::Mount { file_system, source, folder, .. } => {
                write!(out, "{file_system} {source}\nfolder {folder}")
            }
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        const SHOWN: usize = 4;
        let count = self.lower.len();
        write!(out, "overlay of {count} layer{}", if count == 1 { "" } else { "s" })?;
        match &self.upper {
            Some(upper) => write!(out, "\nupper {upper}")?,
            None => write!(out, "\nread-only")?,
        }
        for layer in self.lower.iter().take(SHOWN) {
            write!(out, "\nlower {layer}")?;
        }
        if count > SHOWN {
            write!(out, "\nand {} more below", count - SHOWN)?;
        }
        Ok(())
    }
}

/// The row `root`.
pub fn row(pid: u32, other: u32) -> Row {
    let (root, others) = (Root::of(pid), Root::of(other));
    Row {
        name: "root".to_owned(),
        group: Group::Files,
        verdict: Verdict::of_equals(&root, &others),
        value: Fact::of(root),
        reference: Fact::of(others),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn overlay(options: &str) -> Layers {
        let line = format!("9 8 0:44 / / rw - overlay overlay {options}");
        layers(&mounts::parse(line.as_bytes()).unwrap()[0]).unwrap()
    }

    #[test]
    fn the_root_is_the_mount_whose_parent_is_out_of_sight() {
        let stacked = b"30 29 0:9 / / rw - overlay o rw\n31 30 0:10 / / rw - tmpfs t rw\n";
        let mounts = mounts::parse(stacked).unwrap();
        assert_eq!(find(&mounts).unwrap().id, 30);
    }

    #[test]
    fn a_chroot_into_a_folder_has_no_root_mount() {
        let mounts = mounts::parse(b"40 29 0:9 / /proc rw - proc proc rw\n").unwrap();
        assert!(find(&mounts).is_none());
    }

    #[test]
    fn a_bind_mount_of_another_folder_is_another_root() {
        let root = |folder: &str| Root::Mount {
            file_system: "ext4".into(),
            source: "/dev/vda".into(),
            device: "254:0".into(),
            folder: folder.into(),
            layers: None,
        };
        assert_eq!(root("/"), root("/"));
        assert_ne!(root("/"), root("/srv/root"));
    }

    #[test]
    fn reads_layers_given_as_a_list_and_one_by_one() {
        let listed = overlay(r"rw,lowerdir=/a\134:b:/c,upperdir=/u\134\054v,workdir=/w");
        assert_eq!(listed.lower, ["/a:b", "/c"]);
        assert_eq!(listed.upper.as_deref(), Some("/u,v"));
        let single = overlay("ro,lowerdir+=/a:b,lowerdir+=/c,datadir+=/d");
        assert_eq!(single.lower, ["/a:b", "/c", "/d"]);
        assert_eq!(single.upper, None);
    }

    proptest! {
        #[test]
        fn a_list_of_layers_comes_back(layers in prop::collection::vec("[^\0]{1,12}", 1..9)) {
            let list: Vec<String> = layers
                .iter()
                .map(|layer| layer.replace('\\', r"\\").replace(':', r"\:"))
                .collect();
            prop_assert_eq!(split_layers(&list.join(":")), layers);
        }
    }
}
