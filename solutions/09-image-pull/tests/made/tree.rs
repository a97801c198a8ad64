//! Writes down all that can be seen of a tree of files, to compare it with another.

use rustix::fs::{lgetxattr, llistxattr};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What there is at each path.
pub type Tree = BTreeMap<PathBuf, String>;

/// Looks at everything below `root`, and at `root` itself under the empty path.
pub fn look(root: &Path) -> Tree {
    let (mut tree, mut inodes) = (Tree::new(), BTreeMap::new());
    let mut todo = vec![PathBuf::new()];
    while let Some(path) = todo.pop() {
        let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(&path) };
        // overlayfs lists a whiteout that has nothing to cover, but there is nothing to be found.
        let Ok(metadata) = fs::symlink_metadata(&full) else { continue };
        if metadata.is_dir() {
            let entries = fs::read_dir(&full).unwrap();
            todo.extend(entries.map(|entry| path.join(entry.unwrap().file_name())));
        }
        tree.insert(path.clone(), describe(&full, &metadata));
        if metadata.nlink() > 1 && !metadata.is_dir() {
            inodes.entry(metadata.ino()).or_insert_with(Vec::new).push(path);
        }
    }
    assert!(!tree.is_empty(), "there is no {}", root.display());
    // Which names are one file: each says the first of them.
    for names in inodes.values_mut().filter(|names| names.len() > 1) {
        names.sort();
        for name in &*names {
            tree.get_mut(name).unwrap().push_str(&format!(" same as {}", names[0].display()));
        }
    }
    tree
}

fn describe(path: &Path, metadata: &fs::Metadata) -> String {
    let kind = metadata.file_type();
    let what = if kind.is_symlink() {
        format!("symlink to {:?}", fs::read_link(path).unwrap())
    } else if kind.is_dir() {
        "folder".into()
    } else if kind.is_file() {
        let digest = super::layout::digest(&fs::read(path).unwrap());
        format!("file of {} bytes, {digest}", metadata.len())
    } else if kind.is_fifo() {
        "fifo".into()
    } else {
        let letter = if kind.is_char_device() { 'c' } else { 'b' };
        format!("device {letter} {:x}", metadata.rdev())
    };
    format!(
        "{what}, mode {:o}, owner {}:{}, links {}, modified {}.{:09}{}",
        metadata.mode() & 0o7777,
        metadata.uid(),
        metadata.gid(),
        if kind.is_dir() { 0 } else { metadata.nlink() },
        metadata.mtime(),
        metadata.mtime_nsec(),
        xattrs(path)
    )
}

fn xattrs(path: &Path) -> String {
    let mut list = vec![0; 4096];
    let Ok(length) = llistxattr(path, &mut list[..]) else { return String::new() };
    let mut found: Vec<String> = Vec::new();
    for name in list[..length].split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let name = std::ffi::OsStr::from_bytes(name);
        let mut value = vec![0; 65536];
        let length = lgetxattr(path, name, &mut value[..]).unwrap();
        found.push(format!(", {}={:?}", name.to_string_lossy(), &value[..length]));
    }
    found.sort();
    found.concat()
}

/// Fails with the differences if two trees differ.
pub fn assert_same(left: &Tree, right: &Tree) {
    let paths = left.keys().chain(right.keys().filter(|path| !left.contains_key(*path)));
    let differences = paths.filter(|path| left.get(*path) != right.get(*path)).map(|path| {
        format!("{}\n  {:?}\n  {:?}\n", path.display(), left.get(path), right.get(path))
    });
    let differences: Vec<String> = differences.take(20).collect();
    assert!(differences.is_empty(), "{}", differences.concat());
}

/// A folder with a file, a folder, a symlink and a device that no test may change.
pub struct Canary {
    pub folder: PathBuf,
    before: Tree,
}

impl Canary {
    pub fn new(folder: &Path) -> Canary {
        fs::create_dir_all(folder.join("deep/er")).unwrap();
        fs::write(folder.join("secret"), "nobody may read or change this").unwrap();
        fs::write(folder.join("deep/er/file"), "nor this").unwrap();
        std::os::unix::fs::symlink("secret", folder.join("link")).unwrap();
        Canary { folder: folder.to_owned(), before: look(folder) }
    }

    pub fn assert_untouched(&self) {
        assert_same(&self.before, &look(&self.folder));
    }
}
