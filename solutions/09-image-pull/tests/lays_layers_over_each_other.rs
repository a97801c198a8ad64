//! Several layers: what one says of those below it holds in an overlay of them and in one folder.

#[path = "made/made.rs"]
mod made;

use made::Place;
use made::layout;
use made::mounts::{overlay, unmount, without_root};
use made::names;
use made::tar::Tar;
use made::tree::look;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

harness::kernel_tests!(
    a_layer_is_unpacked_once_for_all_images,
    a_layer_that_leaves_folders_out_takes_them_from_below,
    markers_mean_the_layers_below_wherever_they_stand,
    a_new_folder_is_not_the_symlink_that_was_below,
);

fn a_layer_is_unpacked_once_for_all_images() {
    let place = Place::new();
    let layer = |n: u8| Tar::new().file("x", &[n; 100]).finish();
    let first = place.pull(&[layer(1), layer(2), layer(1)]).unwrap();
    // overlayfs refuses the same folder twice; the topmost shows all that the others would.
    assert_eq!(first.layers.len(), 2);
    let merged = overlay(&place, &first.layers);
    assert_eq!(fs::read(merged.join("x")).unwrap(), [1; 100]);
    unmount(&merged);
    let ino = |path: &Path| fs::metadata(path).unwrap().ino();
    let before: Vec<u64> = first.layers.iter().map(|layer| ino(layer)).collect();
    let second = place.pull(&[layer(2), layer(3)]).unwrap();
    assert_eq!(ino(&second.layers[0]), before[0]);
    assert_eq!(names(&place.path("store/layers/sha256")).len(), 3);
    // What is there is not read again: its blob may be gone.
    let layout = layout::one_image(&place.path("layout"), &[layer(3)]);
    fs::remove_file(layout.path_of(&layout::digest(&layer(3)))).unwrap();
    let third = image::pull(&place.store(), layout.source("latest"), &image::Platform::host());
    assert_eq!(third.unwrap().layers[0], second.layers[1]);
}

fn a_layer_that_leaves_folders_out_takes_them_from_below() {
    let place = Place::new();
    let base = Tar::new()
        .pax(&[("SCHILY.xattr.trusted.t", b"t"), ("mtime", b"77.5")])
        .entry(b'5', b"tmp", b"", b"", |h| h.set_mode(0o1777))
        .folder("usr")
        .folder("usr/bin")
        .file("usr/bin/sh", b"sh")
        .symlink("bin", "usr/bin")
        .folder("gone")
        .file("gone/old", b"")
        .finish();
    let middle =
        Tar::new().folder("srv").symlink("loop", "bin").file("tmp/.wh.nothing", b"").finish();
    let top = Tar::new()
        .file("tmp/x", b"x")
        .file("bin/tool", b"tool")
        .hard_link("bin/again", "bin/tool")
        .file("loop/third", b"third")
        .file("new/folder/f", b"f")
        .file(".wh.gone", b"")
        .file("gone/new", b"")
        .finish();
    let image = place.pull(&[base.clone(), middle.clone(), top.clone()]).unwrap();
    let merged = overlay(&place, &image.layers);
    let seen = look(&merged);
    let at = |path: &str| seen.get(Path::new(path)).unwrap_or_else(|| panic!("no {path}")).as_str();
    assert!(
        at("tmp").contains("mode 1777") && at("tmp").contains("modified 77.5"),
        "{}",
        at("tmp")
    );
    assert!(at("tmp").contains("trusted.t"), "{}", at("tmp"));
    assert!(at("bin").starts_with("symlink"), "{}", at("bin"));
    for path in
        ["usr/bin/sh", "usr/bin/tool", "usr/bin/again", "usr/bin/third", "tmp/x", "gone/new"]
    {
        at(path);
    }
    assert!(at("new/folder").contains("mode 755, owner 0:0"), "{}", at("new/folder"));
    assert!(!seen.contains_key(Path::new("gone/old")));
    unmount(&merged);
    // On top of something else the same layer looks different, and the first stays as it is.
    let other = Tar::new().entry(b'5', b"tmp", b"", b"", |h| h.set_mode(0o700)).finish();
    let second = place.pull(&[other, top.clone()]).unwrap();
    let mode =
        |layer: &Path| fs::metadata(layer.join("tmp")).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&second.layers[1]), mode(&image.layers[2])), (0o700, 0o1777));
    let again = place.pull(&[base, middle, top]).unwrap();
    assert_eq!(again.layers, image.layers);
}

fn markers_mean_the_layers_below_wherever_they_stand() {
    let place = Place::new();
    let below = Tar::new()
        .folder("d")
        .file("d/old", b"")
        .folder("d/sub")
        .file("d/sub/old", b"")
        .file("f", b"old")
        .symlink("s", "d")
        .finish();
    let folder = |tar: Tar| tar.folder("d").file("d/new", b"");
    let opaque = |tar: Tar| tar.file("d/.wh..wh..opq", b"");
    let removed = |tar: Tar| tar.file(".wh.d", b"");
    let sees = |tar: Tar, expected: &[&str]| {
        for seen in both(&place, &[below.clone(), tar.clone().finish()]) {
            assert_eq!(seen, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    };
    sees(removed(Tar::new()), &["f", "s"]);
    sees(removed(folder(Tar::new())), &["d", "d/new", "f", "s"]);
    sees(folder(removed(Tar::new())), &["d", "d/new", "f", "s"]);
    sees(opaque(folder(Tar::new())), &["d", "d/new", "f", "s"]);
    sees(folder(opaque(Tar::new())), &["d", "d/new", "f", "s"]);
    sees(removed(removed(folder(Tar::new()))), &["d", "d/new", "f", "s"]);
    // The folder is not described, only what is in it.
    sees(Tar::new().file(".wh.d", b"").file("d/new", b""), &["d", "d/new", "f", "s"]);
    sees(folder(Tar::new()), &["d", "d/new", "d/old", "d/sub", "d/sub/old", "f", "s"]);
    sees(
        Tar::new().file(".wh.f", b"").file("f", b"new"),
        &["d", "d/old", "d/sub", "d/sub/old", "f", "s"],
    );
    sees(
        Tar::new().file("f", b"new").file(".wh.f", b""),
        &["d", "d/old", "d/sub", "d/sub/old", "f", "s"],
    );
    sees(removed(Tar::new().file("d", b"a file now")), &["d", "f", "s"]);
    sees(
        Tar::new().folder("d").folder("d/sub").file("d/sub/.wh.old", b""),
        &["d", "d/old", "d/sub", "f", "s"],
    );
    // What aufs left behind means nothing.
    sees(
        Tar::new().folder(".wh..wh.plnk").file(".wh..wh.plnk/7.8", b"").file(".wh..wh.aufs", b""),
        &["d", "d/old", "d/sub", "d/sub/old", "f", "s"],
    );
}

fn a_new_folder_is_not_the_symlink_that_was_below() {
    let place = Place::new();
    let below = Tar::new().folder("a").file("a/x", b"").file("a/y", b"").symlink("b", "a").finish();
    for marker in ["b/.wh.x", "b/.wh..wh..opq"] {
        let tar = Tar::new().folder("b").file(marker, b"").file("b/new", b"").finish();
        for seen in both(&place, &[below.clone(), tar]) {
            assert_eq!(seen, ["a", "a/x", "a/y", "b", "b/new"].map(PathBuf::from), "{marker}");
        }
    }
}

/// What is in the image both ways: as an overlay of its layers, and in one folder.
fn both(place: &Place, layers: &[Vec<u8>]) -> [Vec<PathBuf>; 2] {
    place.clear();
    let paths = |folder: &Path| without_root(look(folder)).into_keys().collect();
    let merged = overlay(place, &place.pull(layers).unwrap().layers);
    let seen = paths(&merged);
    unmount(&merged);
    [seen, paths(&place.pull_flat(layers).unwrap().layers[0])]
}
