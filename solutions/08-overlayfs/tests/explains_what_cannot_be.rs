//! Folders that can't be layers: status 125, the reason, what to do, and nothing left behind.

mod pile;

use harness::{Leaks, Output, run};
use overlay::{Fate, Upper};
use pile::{Pile, write};
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    an_upper_layer_on_an_overlay,
    an_upper_layer_on_ramfs,
    an_upper_layer_on_vfat,
    an_upper_layer_on_a_read_only_mount,
    an_upper_layer_in_proc_or_sys,
    an_upper_layer_that_is_a_mount_point,
    an_upper_layer_that_is_a_bind_mount,
    an_upper_layer_inside_a_lower_one,
    an_upper_layer_around_a_lower_one,
    an_upper_layer_that_is_a_lower_one,
    an_upper_layer_that_is_missing_or_a_file_or_the_root,
    a_layer_given_twice,
    a_layer_inside_a_layer,
    a_layer_that_is_missing_or_a_file,
    a_layer_that_is_the_root,
    layers_that_are_overlays_of_overlays,
    the_library_says_the_same_to_other_callers,
);

fn tool(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
}

/// Mounts on the folder `name` of the pile, and unmounts when dropped.
struct Mounted(String);

impl Mounted {
    fn new(pile: &Pile, name: &str, arguments: &[&str]) -> Mounted {
        let point = pile.new_folder(name).display().to_string();
        let output =
            run(Command::new("mount").current_dir(&pile.folder).args(arguments).arg(&point));
        assert!(output.status.success(), "{output:?}");
        Mounted(point)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        assert!(tool("umount", &[&self.0]), "{}", self.0);
    }
}

fn assert_explained(output: &Output, reason: &str) {
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(
        output.stderr.starts_with("overlayfs: cannot")
            || output.stderr.starts_with("overlayfs: the")
    );
    assert!(output.stderr.contains(reason), "not there: {reason}: {output:?}");
    assert!(output.stderr.contains("\nhint: "), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
}

/// Runs on `upper`, which must be refused for `reason` and stay empty and alone.
fn refuses_upper(pile: &Pile, upper: &str, reason: &str) {
    let before = Leaks::snapshot();
    let around = Path::new(&pile.folder).join(upper).join("..");
    let names = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    let count = names(&around);
    assert_explained(&pile.sh(&["--upper", upper], "echo ran"), reason);
    assert_eq!(names(&around), count, "something is left beside {upper}");
    assert_eq!(names(&pile.folder.join(upper)), 0);
    assert_eq!(before.left_behind_of(&["mount", "process"]), [""; 0]);
}

fn an_upper_layer_on_an_overlay() {
    let pile = Pile::new();
    for name in ["low", "up", "work"] {
        pile.new_folder(name);
    }
    let options = "lowerdir=low,upperdir=up,workdir=work";
    let _mounted = Mounted::new(&pile, "merged", &["-t", "overlay", "none", "-o", options]);
    pile.new_folder("merged/upper");
    refuses_upper(&pile, "merged/upper", "hint: the upper layer");
    refuses_upper(&pile, "merged/upper", "/merged/upper is on overlay");
}

/// The kernel would mount it, and then fail in the container (EIO) when a folder is removed.
fn an_upper_layer_on_ramfs() {
    let pile = Pile::new();
    let _mounted = Mounted::new(&pile, "memory", &["-t", "ramfs", "none"]);
    pile.new_folder("memory/upper");
    refuses_upper(&pile, "memory/upper", "/memory/upper is on ramfs");
}

fn an_upper_layer_on_vfat() {
    let pile = Pile::new();
    let disk = pile.folder.join("disk").display().to_string();
    std::fs::File::create(&disk).unwrap().set_len(16 << 20).unwrap();
    if !tool("mkfs.vfat", &[&disk]) {
        harness::not_run("no mkfs.vfat: install dosfstools");
    }
    let point = pile.new_folder("fat").display().to_string();
    if !tool("mount", &["-o", "loop", &disk, &point]) {
        harness::not_run("no loop device or no vfat in this kernel: modprobe loop vfat");
    }
    let _mounted = Mounted(point);
    pile.new_folder("fat/upper");
    refuses_upper(&pile, "fat/upper", "/fat/upper is on vfat");
}

fn an_upper_layer_on_a_read_only_mount() {
    let pile = Pile::new();
    let mounted = Mounted::new(&pile, "sealed", &["-t", "tmpfs", "none"]);
    pile.new_folder("sealed/upper");
    assert!(tool("mount", &["-o", "remount,ro", &mounted.0]));
    refuses_upper(
        &pile,
        "sealed/upper",
        "hint: the upper layer must be on a mount that can be written",
    );
}

fn an_upper_layer_in_proc_or_sys() {
    let pile = Pile::new();
    for upper in ["/proc/self", "/proc/sys/kernel", "/sys/kernel"] {
        assert_explained(&pile.sh(&["--upper", upper], "echo ran"), ".work-of-");
    }
}

fn an_upper_layer_that_is_a_mount_point() {
    let pile = Pile::new();
    let _mounted = Mounted::new(&pile, "upper", &["-t", "tmpfs", "none"]);
    refuses_upper(
        &pile,
        "upper",
        "must be on the same mount: if the upper layer is a mount point, take a folder inside",
    );
}

/// The same file system, and yet not the same mount: the kernel wants both.
fn an_upper_layer_that_is_a_bind_mount() {
    let pile = Pile::new();
    let source = pile.new_folder("source").display().to_string();
    let _mounted = Mounted::new(&pile, "upper", &["--bind", &source]);
    refuses_upper(&pile, "upper", "must be on the same mount");
}

/// The kernel would mount it, and each write would change a lower layer under its feet.
fn an_upper_layer_inside_a_lower_one() {
    let mut pile = Pile::new();
    let layer = pile.layer("layer");
    std::fs::create_dir_all(layer.join("srv/upper")).unwrap();
    refuses_upper(&pile, "layer/srv/upper", "layer/srv/upper is inside the layer ");
    // Also when it is given by another name.
    std::os::unix::fs::symlink(layer.join("srv"), pile.folder.join("link")).unwrap();
    refuses_upper(&pile, "link/upper", "is inside the layer ");
}

fn an_upper_layer_around_a_lower_one() {
    let mut pile = Pile::new();
    pile.layer("upper/layer");
    let output = pile.sh(&["--upper", "upper"], "echo ran");
    assert_explained(&output, "hint: layers can't be inside each other: ");
    assert!(!pile.folder.join(".work-of-upper").exists());
}

fn an_upper_layer_that_is_a_lower_one() {
    let mut pile = Pile::new();
    pile.layer("layer");
    refuses_upper(&pile, "layer", "is inside the layer ");
}

fn an_upper_layer_that_is_missing_or_a_file_or_the_root() {
    let pile = Pile::new();
    write(pile.folder.join("file"), "");
    let output = pile.sh(&["--upper", "missing"], "echo ran");
    assert_explained(&output, "cannot use missing as the upper layer: No such file or directory");
    assert!(output.stderr.contains("hint: mkdir missing"), "{output:?}");
    for upper in ["file", "/"] {
        let output = pile.sh(&["--upper", upper], "echo ran");
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        assert!(output.stderr.contains("upper layer"), "{output:?}");
    }
    assert!(!pile.folder.join(".work-of-file").exists());
}

fn a_layer_given_twice() {
    let mut pile = Pile::new();
    pile.new_folder("upper");
    pile.layers.push(pile.folder.join("./base"));
    for options in [&[][..], &["--upper", "upper"]] {
        assert_explained(&pile.sh(options, "echo ran"), "/base is given twice");
    }
    assert!(!pile.folder.join(".work-of-upper").exists());
}

fn a_layer_inside_a_layer() {
    let mut pile = Pile::new();
    pile.layer("outer");
    pile.layer("outer/inner");
    for _ in 0..2 {
        let output = pile.sh(&[], "echo ran");
        assert_explained(&output, "hint: layers can't be inside each other: ");
        assert!(output.stderr.contains("/outer/inner"), "{output:?}");
        pile.layers.reverse(); // the first is also where the overlay is mounted
    }
}

fn a_layer_that_is_missing_or_a_file() {
    let mut pile = Pile::new();
    write(pile.folder.join("file"), "");
    for (name, reason) in [("missing", "No such file or directory"), ("file", "it is not a folder")]
    {
        pile.layers.push(name.into());
        let output = pile.sh(&[], "echo ran");
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        let words = format!("overlayfs: cannot use {name} as a layer: {reason}");
        assert!(output.stderr.starts_with(&words), "{output:?}");
        pile.layers.pop();
    }
}

fn a_layer_that_is_the_root() {
    let mut pile = Pile::new();
    pile.layers = vec!["/".into()];
    assert_explained(&pile.sh(&[], "echo ran"), "cannot use / as a layer");
}

/// The kernel stacks two overlays, not three.
fn layers_that_are_overlays_of_overlays() {
    let mut pile = Pile::new();
    pile.new_folder("empty");
    let base = pile.layers[0].display().to_string();
    let once = format!("lowerdir={base}:empty");
    let _once = Mounted::new(&pile, "once", &["-t", "overlay", "none", "-o", &once]);
    pile.layers = vec![pile.folder.join("once")];
    assert_eq!(pile.says(&[], "echo ran"), "ran\n");
    let _twice =
        Mounted::new(&pile, "twice", &["-t", "overlay", "none", "-o", "lowerdir=once:empty"]);
    pile.layers = vec![pile.folder.join("twice")];
    assert_explained(&pile.sh(&[], "echo ran"), "hint: the kernel's log says why");
}

fn the_library_says_the_same_to_other_callers() {
    let pile = Pile::new();
    let target = pile.new_folder("target");
    let mounted = Mounted::new(&pile, "sealed", &["-t", "tmpfs", "none"]);
    let [upper, work] = ["sealed/upper", "sealed/work"].map(|name| pile.new_folder(name));
    assert!(tool("mount", &["-o", "remount,ro", &mounted.0]));
    let error =
        overlay::mount(&pile.layers, Some(&Upper { upper, work, fate: Fate::Kept }), &target)
            .unwrap_err();
    assert!(error.to_string().contains("sealed/upper is on a read-only mount"), "{error:#}");
    let missing = overlay::mount(&["/no-such-layer".into()], None, &target).unwrap_err();
    assert!(missing.to_string().contains("hint: the layer /no-such-layer is not a folder"));
}
