//! Layers that no honest tool writes: too long, too deep, too many, of unknown kinds, and one entry
//! over another.

#[path = "made/made.rs"]
mod made;

use made::layout::{Compression, Layout};
use made::tar::Tar;
use made::{Place, names, said};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

harness::kernel_tests!(
    what_comes_later_replaces_what_was_there,
    long_names_work_and_longer_ones_are_refused,
    a_tree_deeper_than_a_process_has_descriptors_is_made_and_removed => 120,
    unknown_kinds_of_entries_are_refused,
    owners_that_cannot_be_are_refused,
    two_hundred_thousand_entries_need_no_more_memory_than_a_tenth_of_them => 300,
);

fn what_comes_later_replaces_what_was_there() {
    let place = Place::new();
    let tar = || Tar::new().folder("d").folder("d/e").file("d/e/f", b"1").symlink("s", "d");
    for root in place.unpacked(tar().file("d", b"a file").folder("s").file("s/x", b"2")) {
        assert_eq!(fs::read(root.join("d")).unwrap(), b"a file");
        assert_eq!(names(&root.join("s")), ["x"]);
    }
    for root in place.unpacked(tar().symlink("d", "s").symlink("s", "d")) {
        assert_eq!(fs::read_link(root.join("d")).unwrap(), Path::new("s"));
    }
    // A folder again: it keeps what is in it. A file again: the last one counts.
    let tar =
        tar().folder("d").file("d/e/f", b"longer").file("d/e/f", b"3").hard_link("s", "d/e/f");
    for root in place.unpacked(tar) {
        assert_eq!(fs::read(root.join("d/e/f")).unwrap(), b"3");
        assert_eq!(fs::read(root.join("s")).unwrap(), b"3");
    }
    // A file is no folder for what comes after it.
    place.assert_refused(Tar::new().file("a", b"").file("a/b", b""), "folder");
    // A second name does not become a way to change the first.
    let tar = Tar::new().file("a", b"one").hard_link("b", "a").file("b", b"two");
    for root in place.unpacked(tar) {
        assert_eq!(fs::read(root.join("a")).unwrap(), b"one");
    }
}

fn long_names_work_and_longer_ones_are_refused() {
    let place = Place::new();
    let longest = "n".repeat(255);
    let path = vec![longest.as_str(); 15].join("/");
    for root in place.unpacked(Tar::new().file(&path, b"deep").symlink("s", &"t".repeat(4095))) {
        assert_eq!(fs::read_link(root.join("s")).unwrap().as_os_str().len(), 4095);
        let folder = made::tree::look(&root);
        assert!(folder.contains_key(Path::new(&path)));
    }
    place.assert_refused(Tar::new().file(&"n".repeat(256), b""), "File name too long");
    place.assert_refused(Tar::new().file(&"n/".repeat(2050), b""), "Linux takes 4095");
    place.assert_refused(Tar::new().symlink("s", &"t".repeat(4096)), "File name too long");
    let tar = Tar::new().file("x", b"").hard_link("y", &"t/".repeat(3000));
    place.assert_refused(tar, "Linux takes 4095");
    // A name of a megabyte is read, refused, and not printed; a longer one is not even read.
    let [said_first, said_second] =
        place.pull_both(&[Tar::new().file(&"n".repeat(1_000_000), b"").finish()]).map(said);
    assert!(said_first.len() < 1000 && said_second.len() < 1000, "{said_first}");
    place.assert_refused(Tar::new().file(&"n".repeat(1 << 20), b""), "describe one entry");
    let endless = Tar::new().entry(b'x', b"x", b"", b"", |header| header.set_size(1 << 40));
    place.assert_refused(endless, "describe one entry");
    let tar = Tar::new().pax(&[("path", b"a\0b")]).file("x", b"");
    place.assert_refused(tar, "NUL");
}

fn a_tree_deeper_than_a_process_has_descriptors_is_made_and_removed() {
    let place = Place::new();
    // Each symlink leads 500 levels further down.
    let mut tar = Tar::new().folder("s0");
    for level in 0..8 {
        let mut folder = format!("s{level}");
        for _ in 0..500 {
            folder += "/d";
            tar = tar.folder(&folder);
        }
        tar = tar.symlink(&format!("s{}", level + 1), &folder);
    }
    let tar = tar.file("s8/bottom", b"4,000 levels down");
    for root in place.unpacked(tar.clone()) {
        assert!(root.join("s0").join("d/".repeat(500)).is_dir());
    }
    for root in place.unpacked(tar.clone().file("s0", b"flat")) {
        assert_eq!(fs::read(root.join("s0")).unwrap(), b"flat");
    }
    for result in place.pull_both(&[tar.clone().finish(), Tar::new().file(".wh.s0", b"").finish()])
    {
        result.unwrap();
    }
    // The remains of a killed or failed pull are as deep.
    place.assert_refused(tar.file("../x", b""), "leads out of the layer");
    // Folders that only a name implies can be as deep as a path is long.
    let tar =
        Tar::new().symlink("s", &"d/".repeat(2000)).file(&format!("s/{}", "d/".repeat(500)), b"");
    place.assert_refused(tar, "File name too long");
}

fn unknown_kinds_of_entries_are_refused() {
    let place = Place::new();
    for kind in *b"7DMNVXAz\xff" {
        let tar = Tar::new().entry(kind, b"x", b"", b"", |_| {});
        place.assert_refused(tar, "not supported");
    }
    place.assert_refused(Tar::new().raw(&[7; 512]), "checksum");
    let ends_early = Tar::new().entry(b'0', b"x", b"", b"short", |header| header.set_size(1 << 30));
    place.assert_refused(ends_early, "ends in the middle");
    let lonely = Tar::new().file("x", b"").raw(&[0; 512]).file("y", b"");
    place.assert_refused(lonely, "empty block");
    // Global pax records and what follows the end are ignored, as docker does.
    let tar = Tar::new().entry(b'g', b"x", b"", b"19 path=../../owned\n", |_| {}).file("x", b"");
    let tar = tar.raw(&[0; 1024]).file("../y", b"");
    for root in place.unpacked(tar) {
        assert_eq!(names(&root), ["x"]);
    }
}

fn owners_that_cannot_be_are_refused() {
    let place = Place::new();
    for id in [&b"4294967295"[..], b"4294967296", b"18446744073709551615"] {
        let tar = || Tar::new().pax(&[("uid", id)]).file("x", b"");
        place.assert_refused(tar(), "there is no user or group");
    }
    for root in place.unpacked(Tar::new().pax(&[("uid", b"4294967294")]).file("x", b"")) {
        assert_eq!(fs::metadata(root.join("x")).unwrap().uid(), u32::MAX - 1);
    }
    place.assert_refused(Tar::new().pax(&[("uid", b"-1")]).file("x", b""), "bad owner");
}

fn two_hundred_thousand_entries_need_no_more_memory_than_a_tenth_of_them() {
    let place = Place::new();
    let grown = |entries: u32| {
        let mut tar = Tar::new();
        for number in 0..entries {
            let folder = format!("f{}", number / 500);
            if number % 500 == 0 {
                tar = tar.folder(&folder);
            }
            tar = tar.symlink(&format!("{folder}/e{number}"), "x");
        }
        place.clear();
        let mut layout = Layout::new(&place.path("layout"));
        let platform = image::Platform::host().to_string();
        let image = layout.image(&platform, &[(tar.finish(), Compression::Gzip)]);
        layout.list("latest", image);
        // In a process of its own, whose peak is its own: the archive was made in this one.
        let mut pull = Command::new("/usr/bin/env");
        pull.arg(harness::bin("image-pull")).arg(layout.source("latest"));
        pull.arg("--root").arg(place.path("store"));
        let peak = peak_of(pull);
        fs::remove_dir_all(place.path("layout")).unwrap();
        peak
    };
    // How much at once is in hand depends on which thread is ahead: the short one is tried often.
    let some = (0..3).map(|_| grown(20_000)).max().unwrap();
    let many = grown(200_000);
    println!("peak: {some} KiB for 20,000 entries, {many} KiB for 200,000");
    assert!(many < some + 1024, "{many} KiB after {some} KiB");
    assert!(many < 16 * 1024, "{many} KiB");
}

/// Runs a program to its end and returns the most memory it had, in KiB.
fn peak_of(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut peak = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(line) = line {
            peak = peak.max(line.trim().trim_end_matches(" kB").parse().unwrap());
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            return peak;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
