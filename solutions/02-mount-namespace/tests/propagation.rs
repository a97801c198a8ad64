//! Whose mounts appear where: nothing of a container outside, nothing of the outside in it.

mod container;

use container::{Background, mounts, our_mounts, rootfs, says, scratch};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

harness::kernel_tests!(
    its_mounts_do_not_appear_outside,
    a_mount_made_outside_does_not_appear_inside,
    a_mount_made_inside_does_not_appear_outside,
    leaves_the_hosts_mounts_as_they_were,
    leaves_no_mount_point_behind,
    the_old_root_is_not_mounted_inside,
    dot_dot_ends_at_the_root,
);

/// As systemd does on a real host; the sandbox starts private.
fn share_all_mounts() {
    container::host("mount", &["--make-rshared", "/"]);
}

fn ids() -> BTreeSet<u32> {
    our_mounts().iter().map(|mount| mount.id).collect()
}

fn its_mounts_do_not_appear_outside() {
    let root = rootfs();
    share_all_mounts();
    let before = ids();
    let running = Background::start(&root, &["-v", "/usr:/mnt"], "");
    assert_eq!(ids(), before);
    let inside = fs::read_to_string(format!("/proc/{}/mountinfo", running.first_process()));
    assert!(mounts(&inside.expect("it runs")).len() > 8, "it does have mounts");
    drop(running);
    assert_eq!(ids(), before);
}

fn a_mount_made_outside_does_not_appear_inside() {
    let root = rootfs();
    fs::create_dir(root.join("later")).expect("ours");
    share_all_mounts();
    let running = Background::start(&root, &[], "");
    let place = root.join("later");
    container::host("mount", &["-t", "tmpfs", "later", &place.to_string_lossy()]);
    fs::write(place.join("file"), "").expect("ours");
    let inside = format!("/proc/{}", running.first_process());
    let seen = Path::new(&format!("{inside}/root/later/file")).exists();
    let mountinfo = fs::read_to_string(format!("{inside}/mountinfo")).expect("it runs");
    container::host("umount", &[&place.to_string_lossy()]);
    assert!(!seen && !mountinfo.contains("/later"), "{mountinfo}");
}

fn a_mount_made_inside_does_not_appear_outside() {
    let root = rootfs();
    share_all_mounts();
    let before = ids();
    let running = Background::start(
        &root,
        &[],
        "mount -t tmpfs mine /mnt 2>&- || mkdir /mnt && mount -t tmpfs mine /mnt",
    );
    let mountinfo = fs::read_to_string(format!("/proc/{}/mountinfo", running.first_process()));
    assert!(mountinfo.expect("it runs").contains(" /mnt "), "it is mounted inside");
    assert_eq!(ids(), before);
}

fn leaves_the_hosts_mounts_as_they_were() {
    let root = rootfs();
    share_all_mounts();
    let state = || {
        let propagation = |mount: container::Mount| (mount.id, mount.propagation, mount.options);
        our_mounts().into_iter().map(propagation).collect::<Vec<_>>()
    };
    let before = state();
    assert!(before[0].1[0].starts_with("shared:"), "{before:?}");
    says(&root, "true");
    assert_eq!(state(), before);
}

fn leaves_no_mount_point_behind() {
    let root = rootfs();
    let names = |folder: &Path| {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        entries.map(|entry| entry.file_name()).collect::<BTreeSet<_>>()
    };
    let before = (names(&root), names(&root.join("dev")), names(&scratch()), ids());
    says(&root, "true");
    assert_eq!((names(&root), names(&root.join("dev")), names(&scratch()), ids()), before);
}

fn the_old_root_is_not_mounted_inside() {
    let root = rootfs();
    let inside = mounts(&says(&root, "cat /proc/self/mountinfo"));
    let roots: Vec<_> = inside.iter().filter(|mount| mount.point == "/").collect();
    assert_eq!(roots.len(), 1, "{inside:?}");
    assert_eq!(
        roots[0].root,
        root.strip_prefix("/run").map(|path| format!("/{}", path.display())).expect("TMPDIR")
    );
    // Everything else hangs below that one, and nothing is private to us and shared with others.
    let known: BTreeSet<u32> = inside.iter().map(|mount| mount.id).collect();
    for mount in inside.iter().filter(|mount| mount.point != "/") {
        assert!(known.contains(&mount.parent), "{mount:?}");
        let expected = ["/proc", "/sys", "/dev"];
        assert!(expected.iter().any(|start| mount.point.starts_with(start)), "{mount:?}");
    }
    assert!(inside.iter().all(|mount| mount.propagation.is_empty()), "{inside:?}");
}

fn dot_dot_ends_at_the_root() {
    let root = rootfs();
    let up = "cd /; cd ../../../../..; pwd; stat -c %i . /";
    let said = says(&root, up);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "/");
    assert_eq!(lines[1], lines[2], "the same folder");
    assert_eq!(says(&root, "ls /../../.."), says(&root, "ls /"));
}
