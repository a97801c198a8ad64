//! Layers that try to get at the host. Each is pulled into the store and into one folder; after
//! each, a folder beside them must be as it was to the last bit.

#[path = "made/made.rs"]
mod made;

use made::tar::Tar;
use made::{Place, names, said};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

harness::kernel_tests!(
    names_that_climb_are_refused,
    absolute_names_mean_the_layers_root,
    nothing_is_written_through_a_symlink,
    symlinked_folders_lead_no_further_than_the_root,
    hard_links_reach_no_file_of_the_host,
    a_marker_cannot_name_another_folder,
    a_marker_cannot_hold_anything,
    overlay_attributes_cannot_be_forged,
    a_whiteout_device_cannot_be_forged,
    devices_and_fifos_are_made_and_not_opened,
    the_root_is_always_a_folder,
    what_comes_later_replaces_what_was_there,
    long_names_work_and_longer_ones_are_refused,
    a_tree_deeper_than_a_process_has_descriptors_is_made_and_removed => 120,
    unknown_kinds_of_entries_are_refused,
    owners_that_cannot_be_are_refused,
    two_hundred_thousand_entries_need_no_more_memory_than_a_tenth_of_them => 300,
);

/// Pulls a layer both ways and looks at the canary; returns what went wrong each time.
fn attack(place: &Place, layers: &[Vec<u8>]) -> [anyhow::Result<image::Image>; 2] {
    place.clear();
    let results = [place.pull(layers), place.pull_flat(layers)];
    place.canary.assert_untouched();
    let beside = names(&place.folder);
    assert!(
        beside.iter().all(|name| ["flat", "outside", "store"].contains(&name.as_str())),
        "{beside:?}"
    );
    results
}

fn assert_refused(place: &Place, tar: Tar, because: &str) {
    for result in attack(place, &[tar.finish()]) {
        let said = said(result);
        assert!(said.contains(because), "{said}");
    }
}

/// Both folders into which the layer was unpacked.
fn unpacked(place: &Place, tar: Tar) -> [std::path::PathBuf; 2] {
    attack(place, &[tar.finish()]).map(|result| result.unwrap().layers[0].clone())
}

fn names_that_climb_are_refused() {
    let place = Place::new();
    for name in ["../x", "..", "a/../../x", "./../outside/secret", "/../x", "a/b/../../../x"] {
        let tar = Tar::new().folder("a").file(name, b"owned");
        assert_refused(&place, tar, "leads out of the layer");
    }
    for depth in 1..12 {
        let name = format!("{}outside/secret", "../".repeat(depth));
        assert_refused(&place, Tar::new().file(&name, b"owned"), "leads out of the layer");
        let tar = Tar::new().file("x", b"").hard_link("y", &name);
        assert_refused(&place, tar, "leads out of the layer");
    }
    // What only looks like climbing stays allowed.
    for root in unpacked(&place, Tar::new().folder("a").file("a/../b", b"b").file("a/...", b"c")) {
        assert_eq!(names(&root), ["a", "b"]);
        assert_eq!(names(&root.join("a")), ["..."]);
    }
}

fn absolute_names_mean_the_layers_root() {
    let place = Place::new();
    let secret = place.canary.folder.join("secret").display().to_string();
    for root in unpacked(&place, Tar::new().file(&secret, b"mine").file("//x", b"x")) {
        assert_eq!(fs::read(root.join(&secret[1..])).unwrap(), b"mine");
        assert_eq!(fs::read(root.join("x")).unwrap(), b"x");
    }
}

fn nothing_is_written_through_a_symlink() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let climbs = |to: &str| format!("{}{to}", "../".repeat(20));
    for target in [format!("{outside}/secret"), climbs(&format!("{outside}/secret"))] {
        let tar = || Tar::new().symlink("x", &target);
        for root in unpacked(&place, tar().file("x", b"owned")) {
            assert!(fs::symlink_metadata(root.join("x")).unwrap().is_file());
        }
        for root in unpacked(&place, tar().folder("x").file("x/y", b"owned")) {
            assert!(fs::symlink_metadata(root.join("x")).unwrap().is_dir());
        }
        for root in unpacked(&place, tar().device(b'6', "x", 0, 0)) {
            assert!(fs::symlink_metadata(root.join("x")).unwrap().file_type().is_fifo());
        }
        // Owner, permissions, times and attributes of the link itself must not reach its target.
        let tar = Tar::new().pax(&[("SCHILY.xattr.trusted.t", b"t"), ("mtime", b"1.5")]);
        let tar = tar.entry(b'2', b"x", target.as_bytes(), b"", |header| {
            header.set_uid(77);
            header.set_mode(0o4777);
        });
        for root in unpacked(&place, tar) {
            let link = fs::symlink_metadata(root.join("x")).unwrap();
            assert_eq!((link.uid(), link.mtime(), link.mtime_nsec()), (77, 1, 500_000_000));
        }
    }
}

fn symlinked_folders_lead_no_further_than_the_root() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let up = "../".repeat(30);
    for target in [outside.clone(), format!("{up}{outside}"), "/proc/self/root".into(), up.clone()]
    {
        let tar = Tar::new()
            .symlink("a", &target)
            .symlink("b", "a")
            .folder("c")
            .symlink("c/d", "../b")
            .file("a/secret", b"owned")
            .file("b/secret", b"owned")
            .file("c/d/deep/er/file", b"owned")
            .folder("a/deep")
            .symlink("b/link", "/");
        for result in attack(&place, &[tar.finish()]) {
            let root = result.unwrap().layers[0].clone();
            let inside = root.join(target.trim_start_matches("../").trim_start_matches('/'));
            assert_eq!(fs::read(inside.join("secret")).unwrap(), b"owned");
        }
    }
    assert_refused(&place, Tar::new().symlink("a", "a").file("a/x", b""), "symbolic link");
    let tar = Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"");
    assert_refused(&place, tar, "symbolic link");
}

fn hard_links_reach_no_file_of_the_host() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let secret = format!("{outside}/secret");
    assert_refused(&place, Tar::new().hard_link("x", &secret), "No such file");
    let tar = Tar::new().symlink("s", &outside).hard_link("x", "s/secret");
    assert_refused(&place, tar, "No such file");
    // A hard link to a symlink is the symlink, so the next entry replaces it.
    let tar = Tar::new().symlink("s", &secret).hard_link("x", "s").file("x", b"owned");
    for root in unpacked(&place, tar) {
        assert!(fs::symlink_metadata(root.join("x")).unwrap().is_file());
        assert!(fs::symlink_metadata(root.join("s")).unwrap().is_symlink());
    }
    let tar = Tar::new().folder("d").hard_link("x", "d");
    assert_refused(&place, tar, "cannot link it");
    assert_refused(&place, Tar::new().file("x", b"").hard_link("x", "x"), "cannot link it");
}

fn a_marker_cannot_name_another_folder() {
    let place = Place::new();
    for name in [".wh.", ".wh..", ".wh...", "a/.wh..", "a/.wh...", "a/b/.wh..."] {
        let tar = Tar::new().folder("a").folder("a/b").file("a/keep", b"").file(name, b"");
        assert_refused(&place, tar, "whiteout");
    }
    // In the second layer of a flat pull the marker acts on what is there.
    let outside = place.canary.folder.display().to_string();
    let below = Tar::new().symlink("s", &outside).symlink("t", "../../../..").finish();
    for name in ["s/.wh.secret", "s/.wh..wh..opq", "t/.wh.outside", "t/.wh..wh..opq", ".wh.s"] {
        for result in attack(&place, &[below.clone(), Tar::new().file(name, b"").finish()]) {
            result.unwrap();
        }
    }
    let climbs = Tar::new().file("../.wh.outside", b"").finish();
    for result in attack(&place, &[below, climbs]) {
        assert!(said(result).contains("leads out of the layer"));
    }
}

fn a_marker_cannot_hold_anything() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let tar = Tar::new().symlink(".wh.s", &outside).file(".wh.s/secret", b"owned");
    assert_refused(&place, tar, "nothing in a whiteout");
    let tar = Tar::new().folder(".wh.s").file(".wh.s/secret", b"owned");
    assert_refused(&place, tar, "nothing in a whiteout");
    // Whatever kind of entry it is, a marker is a marker.
    for tar in [
        Tar::new().symlink(".wh.s", &outside),
        Tar::new().hard_link(".wh.s", &outside),
        Tar::new().folder(".wh.s"),
        Tar::new().device(b'3', ".wh.s", 1, 3),
    ] {
        let [apart, flat] = unpacked(&place, tar);
        let whiteout = fs::symlink_metadata(apart.join("s")).unwrap();
        assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
        assert!(names(&flat).is_empty());
    }
}

fn overlay_attributes_cannot_be_forged() {
    let place = Place::new();
    let forged: &[(&str, &[u8])] = &[
        ("SCHILY.xattr.trusted.overlay.redirect", b"/outside"),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.trusted.overlay.metacopy", b""),
        ("SCHILY.xattr.user.overlay.whiteout", b"y"),
        ("SCHILY.xattr.trusted.mine", b"kept"),
    ];
    let tar = Tar::new()
        .pax(forged)
        .folder("d")
        .pax(forged)
        .file("d/f", b"")
        .pax(forged)
        .symlink("s", "d");
    for root in unpacked(&place, tar) {
        for (path, seen) in made::tree::look(&root) {
            assert!(!seen.contains("overlay"), "{}: {seen}", path.display());
            assert!(path.as_os_str().is_empty() || seen.contains("trusted.mine"), "{seen}");
        }
    }
}

fn a_whiteout_device_cannot_be_forged() {
    let place = Place::new();
    assert_refused(&place, Tar::new().device(b'3', "x", 0, 0), "whiteout");
    let tar = Tar::new().file(".wh.x", b"").hard_link("y", "x");
    let [apart, flat] = attack(&place, &[tar.finish()]);
    assert!(said(apart).contains("the layer has removed it"));
    assert!(said(flat).contains("No such file"));
}

fn devices_and_fifos_are_made_and_not_opened() {
    let place = Place::new();
    // A FIFO that were opened for writing would keep us for ever; so would a later entry through it.
    let tar = Tar::new()
        .device(b'6', "fifo", 0, 0)
        .hard_link("second", "fifo")
        .device(b'3', "null", 1, 3)
        .device(b'4', "disk", 7, 200)
        .device(b'6', "replaced", 0, 0)
        .file("replaced", b"a file now");
    for root in unpacked(&place, tar) {
        let at = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
        assert!(at("fifo").file_type().is_fifo() && at("fifo").ino() == at("second").ino());
        assert!(at("null").file_type().is_char_device() && at("null").rdev() == 0x103);
        assert!(at("disk").file_type().is_block_device() && at("disk").rdev() == 0x7c8);
        assert_eq!(fs::read(root.join("replaced")).unwrap(), b"a file now");
        assert_eq!(at("null").permissions().mode() & 0o7777, 0o644);
    }
    let mode = fs::metadata(place.path("store")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700, "nobody else may reach what an image brings");
}

fn the_root_is_always_a_folder() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    for name in ["", ".", "/", "./", "a/.."] {
        let because = "only a folder can be the layer's root";
        assert_refused(&place, Tar::new().symlink(name, &outside), because);
        assert_refused(&place, Tar::new().file(name, b"x"), because);
        assert_refused(&place, Tar::new().file("a", b"").hard_link(name, "a"), because);
        assert_refused(&place, Tar::new().device(b'6', name, 0, 0), because);
        let tar = Tar::new().entry(b'5', name.as_bytes(), b"", b"", |h| h.set_mode(0o1750));
        for root in unpacked(&place, tar.file("x", b"")) {
            let metadata = fs::metadata(root).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o1750, "{name:?}");
            assert_eq!(metadata.mtime(), 1_600_000_000);
        }
    }
}

fn what_comes_later_replaces_what_was_there() {
    let place = Place::new();
    let tar = || Tar::new().folder("d").folder("d/e").file("d/e/f", b"1").symlink("s", "d");
    for root in unpacked(&place, tar().file("d", b"a file").folder("s").file("s/x", b"2")) {
        assert_eq!(fs::read(root.join("d")).unwrap(), b"a file");
        assert_eq!(names(&root.join("s")), ["x"]);
    }
    for root in unpacked(&place, tar().symlink("d", "s").symlink("s", "d")) {
        assert_eq!(fs::read_link(root.join("d")).unwrap(), Path::new("s"));
    }
    // A folder again: it keeps what is in it. A file again: the last one counts.
    let tar =
        tar().folder("d").file("d/e/f", b"longer").file("d/e/f", b"3").hard_link("s", "d/e/f");
    for root in unpacked(&place, tar) {
        assert_eq!(fs::read(root.join("d/e/f")).unwrap(), b"3");
        assert_eq!(fs::read(root.join("s")).unwrap(), b"3");
    }
    // A file is no folder for what comes after it.
    assert_refused(&place, Tar::new().file("a", b"").file("a/b", b""), "folder");
    // A second name does not become a way to change the first.
    let tar = Tar::new().file("a", b"one").hard_link("b", "a").file("b", b"two");
    for root in unpacked(&place, tar) {
        assert_eq!(fs::read(root.join("a")).unwrap(), b"one");
    }
}

fn long_names_work_and_longer_ones_are_refused() {
    let place = Place::new();
    let longest = "n".repeat(255);
    let path = vec![longest.as_str(); 15].join("/");
    for root in unpacked(&place, Tar::new().file(&path, b"deep").symlink("s", &"t".repeat(4095))) {
        assert_eq!(fs::read_link(root.join("s")).unwrap().as_os_str().len(), 4095);
        let folder = made::tree::look(&root);
        assert!(folder.contains_key(Path::new(&path)));
    }
    assert_refused(&place, Tar::new().file(&"n".repeat(256), b""), "File name too long");
    assert_refused(&place, Tar::new().file(&"n/".repeat(2050), b""), "Linux takes 4095");
    assert_refused(&place, Tar::new().symlink("s", &"t".repeat(4096)), "File name too long");
    let tar = Tar::new().file("x", b"").hard_link("y", &"t/".repeat(3000));
    assert_refused(&place, tar, "Linux takes 4095");
    // A name of a megabyte is read, refused, and not printed; a longer one is not even read.
    let [said_first, said_second] =
        attack(&place, &[Tar::new().file(&"n".repeat(1_000_000), b"").finish()]).map(said);
    assert!(said_first.len() < 1000 && said_second.len() < 1000, "{said_first}");
    assert_refused(&place, Tar::new().file(&"n".repeat(1 << 20), b""), "describe one entry");
    let endless = Tar::new().entry(b'x', b"x", b"", b"", |header| header.set_size(1 << 40));
    assert_refused(&place, endless, "describe one entry");
    let tar = Tar::new().pax(&[("path", b"a\0b")]).file("x", b"");
    assert_refused(&place, tar, "NUL");
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
    for root in unpacked(&place, tar.clone()) {
        assert!(root.join("s0").join("d/".repeat(500)).is_dir());
    }
    for root in unpacked(&place, tar.clone().file("s0", b"flat")) {
        assert_eq!(fs::read(root.join("s0")).unwrap(), b"flat");
    }
    for result in attack(&place, &[tar.clone().finish(), Tar::new().file(".wh.s0", b"").finish()]) {
        result.unwrap();
    }
    // The remains of a killed or failed pull are as deep.
    assert_refused(&place, tar.file("../x", b""), "leads out of the layer");
    // Folders that only a name implies can be as deep as a path is long.
    let tar =
        Tar::new().symlink("s", &"d/".repeat(2000)).file(&format!("s/{}", "d/".repeat(500)), b"");
    assert_refused(&place, tar, "File name too long");
}

fn unknown_kinds_of_entries_are_refused() {
    let place = Place::new();
    for kind in *b"7DMNVXAz\xff" {
        let tar = Tar::new().entry(kind, b"x", b"", b"", |_| {});
        assert_refused(&place, tar, "not supported");
    }
    assert_refused(&place, Tar::new().raw(&[7; 512]), "checksum");
    let ends_early = Tar::new().entry(b'0', b"x", b"", b"short", |header| header.set_size(1 << 30));
    assert_refused(&place, ends_early, "ends in the middle");
    let lonely = Tar::new().file("x", b"").raw(&[0; 512]).file("y", b"");
    assert_refused(&place, lonely, "empty block");
    // Global pax records and what follows the end are ignored, as docker does.
    let tar = Tar::new().entry(b'g', b"x", b"", b"19 path=../../owned\n", |_| {}).file("x", b"");
    let tar = tar.raw(&[0; 1024]).file("../y", b"");
    for root in unpacked(&place, tar) {
        assert_eq!(names(&root), ["x"]);
    }
}

fn owners_that_cannot_be_are_refused() {
    let place = Place::new();
    for id in [&b"4294967295"[..], b"4294967296", b"18446744073709551615"] {
        let tar = || Tar::new().pax(&[("uid", id)]).file("x", b"");
        assert_refused(&place, tar(), "there is no user or group");
    }
    for root in unpacked(&place, Tar::new().pax(&[("uid", b"4294967294")]).file("x", b"")) {
        assert_eq!(fs::metadata(root.join("x")).unwrap().uid(), u32::MAX - 1);
    }
    assert_refused(&place, Tar::new().pax(&[("uid", b"-1")]).file("x", b""), "bad owner");
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
        let layout = made::layout::Layout::new(&place.path("layout"));
        let mut layout = layout;
        let platform = image::Platform::host().to_string();
        let image = layout.image(&platform, &[(tar.finish(), made::layout::Compression::Gzip)]);
        layout.list("latest", image);
        // In a process of its own, whose peak is its own: the archive was made in this one.
        let mut pull = std::process::Command::new("/usr/bin/env");
        pull.arg(harness::bin("image-pull")).arg(layout.source("latest"));
        pull.arg("--root").arg(place.path("store"));
        let peak = peak_of(pull);
        fs::remove_dir_all(place.path("layout")).unwrap();
        peak
    };
    let (some, many) = (grown(20_000), grown(200_000));
    println!("peak: {some} KiB for 20,000 entries, {many} KiB for 200,000");
    assert!(many < some + 1024, "{many} KiB after {some} KiB");
    assert!(many < 16 * 1024, "{many} KiB");
}

/// Runs a program to its end and returns the most memory it had, in KiB.
fn peak_of(mut command: std::process::Command) -> u64 {
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
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
