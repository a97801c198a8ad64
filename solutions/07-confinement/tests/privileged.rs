//! `--privileged`: the whole machine, for programs that are meant to work on it.

mod container;

use container::*;
use harness::run;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    nothing_is_filtered,
    nothing_of_the_kernel_is_hidden_or_read_only,
    groups_can_be_made_below_its_own,
    it_can_do_what_others_cannot,
    every_device_is_there_with_its_owner_and_mode,
    devices_can_be_opened,
    what_the_host_sees_stays_as_it_is,
    a_volume_in_dev_is_not_filled,
    a_filter_of_ones_own_still_counts,
);

fn nothing_is_filtered() {
    let text = says(&rootfs(), &["--privileged"], "cat /proc/self/status");
    assert!(text.contains("Seccomp:\t0\n"), "{text}");
}

fn nothing_of_the_kernel_is_hidden_or_read_only() {
    let mounts = says(&rootfs(), &["--privileged"], "cat /proc/self/mountinfo");
    let kernels = mounts.lines().filter(|line| line.contains(" /proc") || line.contains(" /sys "));
    let kernels: Vec<&str> = kernels.collect();
    assert_eq!(kernels.len(), 2, "{mounts}");
    assert!(kernels.iter().all(|line| line.contains(" rw,")), "{kernels:?}");
    // The second word is the file system's own lock.
    assert!(kernels.iter().all(|line| line.split(" - ").nth(1).unwrap().contains(" rw")));
    let confined = says(&rootfs(), &[], "cat /proc/self/mountinfo");
    let sys = confined.lines().find(|line| line.contains(" /sys ")).expect("/sys");
    assert!(sys.contains(" ro,"), "{sys}");
}

/// Who runs containers in there makes groups for them, below the container's own. What is left of
/// them goes with it.
fn groups_can_be_made_below_its_own() {
    let script = "for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
            [ ! -e $top/cgroup.procs ] || mkdir $top/mine || exit 1
            [ ! -e $top/mine/cpuset.cpus ] || cat $top/cpuset.cpus > $top/mine/cpuset.cpus
            [ ! -e $top/mine/cpuset.mems ] || cat $top/cpuset.mems > $top/mine/cpuset.mems
            [ ! -e $top/mine/cgroup.procs ] || echo 0 > $top/mine/cgroup.procs || exit 1
        done
        grep -c /mine /proc/self/cgroup";
    let count: u32 = says(&rootfs(), &["--privileged"], script).trim().parse().unwrap();
    assert!(count > 0);
    let refused = sh(&rootfs(), &["--cap-add", "ALL"], script);
    assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
    let find = ["/sys/fs/cgroup", "-name", "mine"];
    assert_eq!(run(Command::new("find").args(find)).stdout, "");
}

fn it_can_do_what_others_cannot() {
    let rootfs = rootfs();
    let mount = "mount -t tmpfs none /tmp";
    let set = "cp /proc/sys/kernel/panic /tmp/value && cat /tmp/value > /proc/sys/kernel/panic";
    for script in [mount, set] {
        success(sh(&rootfs, &["--privileged"], script));
        assert!(!sh(&rootfs, &[], script).status.success(), "{script}");
    }
}

fn every_device_is_there_with_its_owner_and_mode() {
    let text = says(
        &rootfs(),
        &["--privileged"],
        "find /dev ! -path '/dev/pts/*' '(' -type c -o -type b ')' -exec stat -c '%n %u:%g %f %t:%T' '{}' +",
    );
    let mut count = 0;
    for_each_device(Path::new("/dev"), &mut |path, status| {
        let (major, minor) = (nix::sys::stat::major, nix::sys::stat::minor);
        let line = format!(
            "{} {}:{} {:x} {:x}:{:x}\n",
            path.display(),
            status.uid(),
            status.gid(),
            status.mode(),
            major(status.rdev()),
            minor(status.rdev())
        );
        count += 1;
        assert!(text.contains(&line), "{line} is not in\n{text}");
    });
    assert!(count > 5, "{count}");
}

fn for_each_device(folder: &Path, look: &mut impl FnMut(&Path, &fs::Metadata)) {
    let own = ["pts", "shm", "mqueue", "console", "ptmx", "core", "fd", "stdin", "stdout"];
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let Ok(status) = fs::symlink_metadata(&path) else { continue };
        let kind = status.file_type();
        if own.iter().any(|own| entry.file_name() == *own) {
        } else if kind.is_dir() {
            for_each_device(&path, look);
        } else if kind.is_char_device() || kind.is_block_device() {
            look(&path, &status);
        }
    }
}

/// The log of the kernel is a device whose number is the same everywhere.
fn devices_can_be_opened() {
    let rootfs = rootfs();
    let open = "mknod /tmp/kmsg c 1 11 && exec 3< /tmp/kmsg; s=$?; rm -f /tmp/kmsg; exit $s";
    if fs::File::open("/dev/kmsg").is_err() {
        harness::not_run("no /dev/kmsg here to be opened: run it where root may");
    }
    success(sh(&rootfs, &["--privileged"], open));
    let output = sh(&rootfs, &[], open);
    assert!(output.stderr.contains("Operation not permitted"), "{output:?}");
}

fn what_the_host_sees_stays_as_it_is() {
    let sys = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().filter(|line| line.contains(" /sys")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = sys();
    success(sh(&rootfs(), &["--privileged"], "true"));
    assert_eq!(sys(), before);
}

fn a_volume_in_dev_is_not_filled() {
    let folder = std::env::temp_dir().join("volume");
    fs::create_dir(&folder).unwrap();
    let Some(there) = fs::read_dir("/dev").unwrap().flatten().find(|entry| {
        entry.file_type().unwrap().is_dir()
            && !["pts", "shm", "mqueue"].iter().any(|own| entry.file_name() == *own)
    }) else {
        harness::not_run("this machine has no folder in /dev")
    };
    let volume = format!("{}:{}", folder.display(), there.path().display());
    success(sh(&rootfs(), &["--privileged", "-v", &volume], "true"));
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

fn a_filter_of_ones_own_still_counts() {
    let rootfs = rootfs();
    let options = ["--privileged", "--security-opt", "seccomp=builtin"];
    let text = says(&rootfs, &options, "cat /proc/self/status");
    assert!(text.contains("Seccomp:\t2\n"), "{text}");
    let unfiltered = ["--security-opt", "seccomp=unconfined"];
    let text = says(&rootfs, &unfiltered, "cat /proc/self/status");
    assert!(text.contains("Seccomp:\t0\n"), "{text}");
    // Without the filter it is the capability that is missing.
    let output = sh(&rootfs, &unfiltered, "unshare -m true");
    assert!(output.stderr.contains("Operation not permitted"), "{output:?}");
    let _ = run(&mut Command::new("true"));
}
