//! Images whose links try to lead a mount out of the root, or beside what it should cover.
//!
//! CVE-2021-30465 (a volume lands on the host) and CVE-2019-19921 (/proc is mounted where the image
//! says, and what should hide parts of it covers something else).

mod container;

use container::{command, folder, mounts, rootfs, says, says_with};
use harness::run;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

harness::kernel_tests!(
    a_volume_never_lands_on_the_host,
    a_volume_below_a_link_lands_inside,
    a_volume_through_a_magic_link_is_refused,
    a_volume_that_is_exchanged_for_a_link_stays_inside => 120,
    a_mount_point_that_is_a_link_is_refused,
    a_missing_part_of_dev_makes_no_difference,
);

/// A folder of the host that nothing may be mounted on or made in.
fn canary() -> PathBuf {
    let canary = folder("canary");
    fs::write(canary.join("alive"), "").expect("ours");
    canary
}

fn assert_untouched(canary: &Path) {
    let names: Vec<_> =
        fs::read_dir(canary).expect("there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["alive"], "something was made on the host");
}

fn source() -> PathBuf {
    let source = folder("source");
    fs::write(source.join("mark"), "mark\n").expect("ours");
    source
}

fn up(path: &Path) -> String {
    format!("../../../../../../../..{}", path.display())
}

/// Each link, as the target itself and as its parent: where the volume is to be seen, if anywhere,
/// is what the link means to a process *inside*.
fn a_volume_never_lands_on_the_host() {
    let (canary, source) = (canary(), source());
    let there = canary.to_string_lossy().into_owned();
    for (name, target) in
        [("absolute", there.clone()), ("dots", up(&canary)), ("proc", "/proc/1/root".into())]
    {
        for rest in ["", "/sub", "/sub/deeper"] {
            let root = rootfs();
            fs::create_dir_all(root.join("data")).expect("ours");
            let link = root.join("data").join(name);
            let _ = fs::remove_file(&link);
            symlink(&target, &link).expect("ours");
            let volume = format!("{}:/data/{name}{rest}", source.display());
            let output = run(&mut command(&root, &["-v", &volume, "cat", "/proc/self/mountinfo"]));
            assert_untouched(&canary);
            // Refused with a reason, or mounted inside: never "mounted" where nobody sees it.
            if output.status.success() {
                let visible =
                    mounts(&output.stdout).iter().any(|mount| mount.root.ends_with("/source"));
                assert!(visible, "{name}{rest}: not inside: {output:?}");
            } else {
                assert_eq!(output.status.code(), Some(125), "{output:?}");
                assert!(output.stderr.contains("data"), "{output:?}");
            }
            fs::remove_dir_all(&root).expect("ours");
        }
    }
}

fn a_volume_below_a_link_lands_inside() {
    let (root, canary, source) = (rootfs(), canary(), source());
    // Inside, the canary's path is an ordinary folder of the image.
    fs::create_dir_all(root.join(canary.strip_prefix("/").expect("absolute"))).expect("ours");
    for (name, target) in
        [("absolute", canary.to_string_lossy().into_owned()), ("dots", up(&canary))]
    {
        symlink(target, root.join(name)).expect("ours");
        let volume = format!("{}:/{name}", source.display());
        let said = says_with(&root, &["-v", &volume], &format!("cat {}/mark", canary.display()));
        assert_eq!(said, "mark\n");
        let volume = format!("{}:/{name}/new/folder", source.display());
        let said = says_with(
            &root,
            &["-v", &volume],
            &format!("cat {}/new/folder/mark", canary.display()),
        );
        assert_eq!(said, "mark\n");
    }
    assert_untouched(&canary);
}

fn a_volume_through_a_magic_link_is_refused() {
    let (root, canary, source) = (rootfs(), canary(), source());
    for target in ["/proc/self/root", "/proc/self/cwd", "/proc/self/exe", "/proc/1/fd/0"] {
        let volume = format!("{}:{target}{}", source.display(), canary.display());
        let output = run(&mut command(&root, &["-v", &volume, "true"]));
        assert_eq!(output.status.code(), Some(125), "{target}: {output:?}");
    }
    assert_untouched(&canary);
}

/// The attack itself: another container that shares the volume exchanges a folder for a link to the
/// host, thousands of times in a second, while we mount on it.
fn a_volume_that_is_exchanged_for_a_link_stays_inside() {
    let (root, canary, source) = (rootfs(), canary(), source());
    fs::create_dir_all(root.join("shared/good/sub")).expect("ours");
    symlink(&canary, root.join("shared/link")).expect("ours");
    let attacker = Attacker::start(root.join("shared/good"), root.join("shared/link"));
    let volume = format!("{}:/shared/good/sub/new:ro", source.display());
    let (mut mounted, mut refused) = (0, 0);
    for _ in 0..60 {
        let output = run(&mut command(&root, &["-v", &volume, "cat", "/proc/self/mountinfo"]));
        assert_untouched(&canary);
        if output.status.success() {
            let mounts = mounts(&output.stdout);
            let seen: Vec<_> =
                mounts.iter().filter(|mount| mount.root.ends_with("/source")).collect();
            assert!(seen.len() == 1 && seen[0].options.contains(&"ro".into()), "{output:?}");
            mounted += 1;
        } else {
            refused += 1;
        }
    }
    println!("mounted {mounted} times, refused {refused}; {} exchanges", attacker.stop());
    assert!(mounted + refused == 60 && mounted > 0);
}

/// A thread that does nothing but renameat2(2) with RENAME_EXCHANGE.
struct Attacker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Attacker {
    fn start(good: PathBuf, link: PathBuf) -> Attacker {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut exchanges = 0;
            while !stopped.load(Ordering::Relaxed) {
                renameat_with(CWD, &good, CWD, &link, RenameFlags::EXCHANGE).expect("ours");
                exchanges += 1;
            }
            exchanges
        });
        Attacker { stop, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it ends")
    }
}

fn a_mount_point_that_is_a_link_is_refused() {
    for (name, target) in
        [("proc", "tmp/fake"), ("proc", "/tmp/fake"), ("sys", "/tmp/fake"), ("dev", "tmp/fake")]
    {
        let root = rootfs();
        fs::create_dir_all(root.join("tmp/fake")).expect("ours");
        fs::remove_dir(root.join(name)).expect("ours");
        symlink(target, root.join(name)).expect("ours");
        let output = run(&mut command(&root, &["true"]));
        assert_eq!(
            output.status.code(),
            Some(125),
            "/{name} was mounted through a link: {output:?}"
        );
        assert!(
            output.stderr.contains(&format!("cannot mount on {}", root.join(name).display())),
            "{output:?}"
        );
        assert!(output.stderr.contains("hint: a symbolic link"), "{output:?}");
        fs::remove_dir_all(&root).expect("ours");
    }
}

/// What an image has in its own /dev is covered: links there lead nowhere.
fn a_missing_part_of_dev_makes_no_difference() {
    let (root, canary) = (rootfs(), canary());
    symlink(&canary, root.join("dev/pts")).expect("ours");
    symlink(&canary, root.join("dev/shm")).expect("ours");
    symlink(canary.join("console"), root.join("dev/console")).expect("ours");
    assert_eq!(says(&root, "stat -c %F /dev/pts /dev/shm"), "directory\ndirectory\n");
    assert_untouched(&canary);
}
