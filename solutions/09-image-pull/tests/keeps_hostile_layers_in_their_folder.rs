//! Layers that try to get at the host. Each is pulled into the store and into one folder; after
//! each, a folder beside them must be as it was to the last bit.

#[path = "made/made.rs"]
mod made;

use made::tar::Tar;
use made::{Place, names, said};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

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
);

fn names_that_climb_are_refused() {
    let place = Place::new();
    for name in ["../x", "..", "a/../../x", "./../outside/secret", "/../x", "a/b/../../../x"] {
        let tar = Tar::new().folder("a").file(name, b"owned");
        place.assert_refused(tar, "leads out of the layer");
    }
    for depth in 1..12 {
        let name = format!("{}outside/secret", "../".repeat(depth));
        place.assert_refused(Tar::new().file(&name, b"owned"), "leads out of the layer");
        let tar = Tar::new().file("x", b"").hard_link("y", &name);
        place.assert_refused(tar, "leads out of the layer");
    }
    // What only looks like climbing stays allowed.
    for root in place.unpacked(Tar::new().folder("a").file("a/../b", b"b").file("a/...", b"c")) {
        assert_eq!(names(&root), ["a", "b"]);
        assert_eq!(names(&root.join("a")), ["..."]);
    }
}

fn absolute_names_mean_the_layers_root() {
    let place = Place::new();
    let secret = place.canary.folder.join("secret").display().to_string();
    for root in place.unpacked(Tar::new().file(&secret, b"mine").file("//x", b"x")) {
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
        for root in place.unpacked(tar().file("x", b"owned")) {
            assert!(fs::symlink_metadata(root.join("x")).unwrap().is_file());
        }
        for root in place.unpacked(tar().folder("x").file("x/y", b"owned")) {
            assert!(fs::symlink_metadata(root.join("x")).unwrap().is_dir());
        }
        for root in place.unpacked(tar().device(b'6', "x", 0, 0)) {
            assert!(fs::symlink_metadata(root.join("x")).unwrap().file_type().is_fifo());
        }
        // Owner, permissions, times and attributes of the link itself must not reach its target.
        let tar = Tar::new().pax(&[("SCHILY.xattr.trusted.t", b"t"), ("mtime", b"1.5")]);
        let tar = tar.entry(b'2', b"x", target.as_bytes(), b"", |header| {
            header.set_uid(77);
            header.set_mode(0o4777);
        });
        for root in place.unpacked(tar) {
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
        for result in place.pull_both(&[tar.finish()]) {
            let root = result.unwrap().layers[0].clone();
            let inside = root.join(target.trim_start_matches("../").trim_start_matches('/'));
            assert_eq!(fs::read(inside.join("secret")).unwrap(), b"owned");
        }
    }
    place.assert_refused(Tar::new().symlink("a", "a").file("a/x", b""), "symbolic link");
    let tar = Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b"");
    place.assert_refused(tar, "symbolic link");
}

fn hard_links_reach_no_file_of_the_host() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let secret = format!("{outside}/secret");
    place.assert_refused(Tar::new().hard_link("x", &secret), "No such file");
    let tar = Tar::new().symlink("s", &outside).hard_link("x", "s/secret");
    place.assert_refused(tar, "No such file");
    // A hard link to a symlink is the symlink, so the next entry replaces it.
    let tar = Tar::new().symlink("s", &secret).hard_link("x", "s").file("x", b"owned");
    for root in place.unpacked(tar) {
        assert!(fs::symlink_metadata(root.join("x")).unwrap().is_file());
        assert!(fs::symlink_metadata(root.join("s")).unwrap().is_symlink());
    }
    let tar = Tar::new().folder("d").hard_link("x", "d");
    place.assert_refused(tar, "cannot link it");
    place.assert_refused(Tar::new().file("x", b"").hard_link("x", "x"), "cannot link it");
}

fn a_marker_cannot_name_another_folder() {
    let place = Place::new();
    for name in [".wh.", ".wh..", ".wh...", "a/.wh..", "a/.wh...", "a/b/.wh..."] {
        let tar = Tar::new().folder("a").folder("a/b").file("a/keep", b"").file(name, b"");
        place.assert_refused(tar, "whiteout");
    }
    // In the second layer of a flat pull the marker acts on what is there.
    let outside = place.canary.folder.display().to_string();
    let below = Tar::new().symlink("s", &outside).symlink("t", "../../../..").finish();
    for name in ["s/.wh.secret", "s/.wh..wh..opq", "t/.wh.outside", "t/.wh..wh..opq", ".wh.s"] {
        for result in place.pull_both(&[below.clone(), Tar::new().file(name, b"").finish()]) {
            result.unwrap();
        }
    }
    let climbs = Tar::new().file("../.wh.outside", b"").finish();
    for result in place.pull_both(&[below, climbs]) {
        assert!(said(result).contains("leads out of the layer"));
    }
}

fn a_marker_cannot_hold_anything() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let tar = Tar::new().symlink(".wh.s", &outside).file(".wh.s/secret", b"owned");
    place.assert_refused(tar, "nothing in a whiteout");
    let tar = Tar::new().folder(".wh.s").file(".wh.s/secret", b"owned");
    place.assert_refused(tar, "nothing in a whiteout");
    // Whatever kind of entry it is, a marker is a marker.
    for tar in [
        Tar::new().symlink(".wh.s", &outside),
        Tar::new().hard_link(".wh.s", &outside),
        Tar::new().folder(".wh.s"),
        Tar::new().device(b'3', ".wh.s", 1, 3),
    ] {
        let [apart, flat] = place.unpacked(tar);
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
    for root in place.unpacked(tar) {
        for (path, seen) in made::tree::look(&root) {
            assert!(!seen.contains("overlay"), "{}: {seen}", path.display());
            assert!(path.as_os_str().is_empty() || seen.contains("trusted.mine"), "{seen}");
        }
    }
}

fn a_whiteout_device_cannot_be_forged() {
    let place = Place::new();
    place.assert_refused(Tar::new().device(b'3', "x", 0, 0), "whiteout");
    let tar = Tar::new().file(".wh.x", b"").hard_link("y", "x");
    let [apart, flat] = place.pull_both(&[tar.finish()]);
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
    for root in place.unpacked(tar) {
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
        place.assert_refused(Tar::new().symlink(name, &outside), because);
        place.assert_refused(Tar::new().file(name, b"x"), because);
        place.assert_refused(Tar::new().file("a", b"").hard_link(name, "a"), because);
        place.assert_refused(Tar::new().device(b'6', name, 0, 0), because);
        let tar = Tar::new().entry(b'5', name.as_bytes(), b"", b"", |h| h.set_mode(0o1750));
        for root in place.unpacked(tar.file("x", b"")) {
            let metadata = fs::metadata(root).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o1750, "{name:?}");
            assert_eq!(metadata.mtime(), 1_600_000_000);
        }
    }
}
