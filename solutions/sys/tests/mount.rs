//! What `sys::mount_setattr` changes: every mount of a tree.

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use sys::{MountAttributes, mount_setattr};

harness::kernel_tests!(
    a_tree_becomes_read_only_with_all_below_it,
    a_folder_that_is_no_mount_is_an_error,
);

fn tmpfs(target: &Path) {
    fs::create_dir_all(target).expect("ours");
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("root");
}

fn tree() -> (PathBuf, PathBuf) {
    let (root, below) =
        (std::env::temp_dir().join("tree"), std::env::temp_dir().join("tree/below"));
    tmpfs(&root);
    tmpfs(&below);
    (root, below)
}

fn errno(result: std::io::Result<()>) -> Option<Errno> {
    result.err().and_then(|error| error.raw_os_error()).map(Errno::from_raw)
}

fn a_tree_becomes_read_only_with_all_below_it() {
    let (root, below) = tree();
    fs::write(root.join("before"), "").expect("writable");
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let opened = open_tree(rustix::fs::CWD, &root, flags).expect("since 5.2");
    match mount_setattr(opened.as_fd(), &MountAttributes::read_only()) {
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOSYS) => {
            unmount(&root);
            harness::not_run("mount_setattr needs Linux 5.12")
        }
        other => other.expect("a tree of mounts"),
    }
    for folder in [&root, &below] {
        assert_eq!(errno(fs::write(folder.join("after"), "")), Some(Errno::EROFS));
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
        let line = mounts.lines().find(|line| line.split(' ').nth(4) == folder.to_str());
        assert!(line.expect("mounted").split(' ').nth(5).expect("options").starts_with("ro,"));
    }
    unmount(&root);
}

fn a_folder_that_is_no_mount_is_an_error() {
    let folder = File::open(std::env::temp_dir()).expect("there");
    let result = mount_setattr(folder.as_fd(), &MountAttributes::read_only());
    assert_eq!(errno(result), Some(Errno::EINVAL));
    fs::write(std::env::temp_dir().join("still-writable"), "").expect("nothing has changed");
}

fn unmount(root: &Path) {
    nix::mount::umount2(root, nix::mount::MntFlags::MNT_DETACH).expect("ours");
}
