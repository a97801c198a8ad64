//! Mounts for the tests: layers over each other, as a container would see them, and small disks.

use super::Place;
use super::tree::Tree;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounts layers over each other, as a container would see them.
pub fn overlay(place: &Place, layers: &[PathBuf]) -> PathBuf {
    let (target, empty) = (place.path("merged"), place.path("empty"));
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(&empty).unwrap(); // overlayfs wants at least two
    let folders: Vec<String> =
        layers.iter().rev().chain([&empty]).map(|layer| layer.display().to_string()).collect();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "overlay", "overlay", "-o"])
        .arg(format!("ro,lowerdir={}", folders.join(":")));
    harness::success(harness::run(mount.arg(&target)));
    target
}

/// Mounts an empty file system in memory on a new folder.
pub fn mount_tmpfs(target: &Path, options: &str) {
    fs::create_dir(target).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(target);
    harness::success(harness::run(&mut mount));
}

pub fn unmount(target: &Path) {
    harness::success(harness::run(Command::new("umount").arg(target)));
}

/// The root itself has the time of the unpacking where no layer describes it.
pub fn without_root(mut tree: Tree) -> Tree {
    tree.remove(Path::new(""));
    tree
}
