//! Honest layers: everything they say arrives, in the store and in one folder; random layers and a
//! real distribution become the same files as umoci makes of them, and as overlayfs shows them.

#[path = "made/made.rs"]
mod made;

use made::layout::{self, Compression, Layout};
use made::tar::Tar;
use made::tree::{Tree, assert_same, look};
use made::{Place, names};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    owners_modes_times_and_attributes_arrive,
    the_umask_changes_nothing,
    file_capabilities_survive_whatever_bytes_they_have,
    times_of_folders_are_theirs_and_not_of_their_making,
    hard_links_are_one_file,
    gzip_zstd_and_plain_layers_hold_the_same,
    files_with_holes_get_their_holes_back,
    the_oldest_kinds_of_archives_are_read,
    docker_media_types_mean_the_same,
    a_layer_is_unpacked_once_for_all_images,
    a_layer_that_leaves_folders_out_takes_them_from_below,
    markers_mean_the_layers_below_wherever_they_stand,
    a_new_folder_is_not_the_symlink_that_was_below,
    random_layers_look_like_umocis_and_like_an_overlay => 300,
    the_files_of_this_machine_look_like_umocis => 300,
    an_archive_may_end_with_its_last_byte_of_content,
);

/// Pulls one layer both ways and returns the folder of each.
fn unpacked(place: &Place, tar: Tar) -> [PathBuf; 2] {
    place.clear();
    let layers = [tar.finish()];
    [place.pull(&layers), place.pull_flat(&layers)].map(|image| image.unwrap().layers[0].clone())
}

fn owners_modes_times_and_attributes_arrive() {
    let place = Place::new();
    let all: &[(&str, &[u8])] = &[
        ("mtime", b"1234567890.123456789"),
        ("SCHILY.xattr.trusted.binary", b"\0\n=\xff\n12 a=b\n"),
        ("SCHILY.xattr.trusted.empty", b""),
        ("SCHILY.xattr.user.colour", b"green"), // the kernel allows it on files and folders alone
    ];
    let mut tar = Tar::new();
    for (kind, name) in [(b'0', "file"), (b'5', "folder"), (b'2', "symlink"), (b'6', "fifo")] {
        let records = if b"05".contains(&kind) { all } else { &all[..3] };
        tar = tar.pax(records).entry(kind, name.as_bytes(), b"target", b"", |header| {
            header.set_uid(70_000);
            header.set_gid(80_000);
            header.set_mode(0o106751); // old tars have the kind in it too
        });
    }
    for root in unpacked(&place, tar) {
        for (path, seen) in look(&root).into_iter().skip(1) {
            let user = if path == Path::new("file") || path == Path::new("folder") {
                ", user.colour=[103, 114, 101, 101, 110]"
            } else {
                ""
            };
            let mode = if path == Path::new("symlink") { "777" } else { "6751" };
            let links = if path == Path::new("folder") { 0 } else { 1 };
            let end = format!(
                ", mode {mode}, owner 70000:80000, links {links}, modified 1234567890.123456789, \
                 trusted.binary=[0, 10, 61, 255, 10, 49, 50, 32, 97, 61, 98, 10], trusted.empty=[]{user}"
            );
            assert!(seen.ends_with(&end), "{}: {seen}\n{end}", path.display());
        }
    }
}

fn the_umask_changes_nothing() {
    let place = Place::new();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o777));
    let open = |h: &mut ::tar::Header| h.set_mode(0o7777);
    let tar = Tar::new()
        .entry(b'5', b"d", b"", b"", open)
        .entry(b'0', b"d/f", b"", b"", open)
        .entry(b'6', b"d/p", b"", b"", open)
        .file("implied/f", b"");
    for root in unpacked(&place, tar) {
        for (name, mode) in
            [("", 0o755), ("d", 0o7777), ("d/f", 0o7777), ("d/p", 0o7777), ("implied", 0o755)]
        {
            assert_eq!(fs::metadata(root.join(name)).unwrap().mode() & 0o7777, mode, "{name}");
        }
    }
    let mode = fs::metadata(place.path("store")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

fn file_capabilities_survive_whatever_bytes_they_have() {
    let place = Place::new();
    // cap_dac_override,cap_fowner+ep: bits 1 and 3 are the byte 0x0a, which is a line end.
    let capability = [1, 0, 0, 2, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let records: &[(&str, &[u8])] = &[("SCHILY.xattr.security.capability", &capability)];
    let tar = Tar::new()
        .pax(records)
        .entry(b'0', b"tool", b"", b"program", |h| {
            h.set_uid(5);
            h.set_mode(0o4755);
        })
        .entry(b'1', b"second", b"tool", b"", |h| h.set_uid(6));
    for root in unpacked(&place, tar) {
        let tool = &look(&root)[Path::new("tool")];
        assert!(tool.contains("mode 4755, owner 5:0, links 2"), "{tool}");
        assert!(tool.contains(&format!("security.capability={capability:?}")), "{tool}");
    }
}

fn times_of_folders_are_theirs_and_not_of_their_making() {
    let place = Place::new();
    let tar = Tar::new()
        .folder(".")
        .folder("d")
        .folder("d/e")
        .file("d/e/f", b"")
        .file("d/e/f", b"again")
        .file("d/late", b"")
        .folder("d/e")
        .file("d/e/.wh.gone", b"")
        .file("d/.wh..wh..opq", b"")
        .symlink("l", "d/e")
        .file("l/through", b"");
    for root in unpacked(&place, tar) {
        for name in ["", "d", "d/e"] {
            let metadata = fs::metadata(root.join(name)).unwrap();
            assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_600_000_000, 0), "{name:?}");
        }
    }
    let before_1970 = Tar::new().pax(&[("mtime", b"-1.25")]).file("f", b"");
    for root in unpacked(&place, before_1970) {
        let metadata = fs::metadata(root.join("f")).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-2, 750_000_000));
    }
}

fn hard_links_are_one_file() {
    let place = Place::new();
    let tar =
        Tar::new().file("a", b"x").hard_link("b", "a").folder("d").hard_link("d/c", "./d/../b");
    for root in unpacked(&place, tar.symlink("s", "a").hard_link("t", "s")) {
        let at = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
        assert_eq!((at("a").ino(), at("a").nlink()), (at("d/c").ino(), 3));
        assert_eq!((at("s").ino(), at("s").nlink()), (at("t").ino(), 2));
    }
}

/// Stores these bytes as the one layer of an image and returns the folder it is unpacked to.
fn pull_stored(
    place: &Place,
    stored: &[u8],
    media_type: &str,
    tar: &[u8],
) -> anyhow::Result<PathBuf> {
    place.clear();
    let mut layout = Layout::new(&place.path("layout"));
    let config = serde_json::json!({
        "os": "linux", "architecture": image::Platform::host().architecture,
        "rootfs": { "type": "layers", "diff_ids": [layout::digest(tar)] },
    });
    let image = layout.manifest(&config, vec![layout.blob(media_type, stored)]);
    layout.list("x", image);
    let image = image::pull(&place.store(), layout.source("x"), &image::Platform::host());
    fs::remove_dir_all(place.path("layout")).unwrap();
    Ok(image?.layers.remove(0))
}

fn gzip_zstd_and_plain_layers_hold_the_same() {
    let place = Place::new();
    let content: Vec<u8> =
        (0..3_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let tar = Tar::new().file("big", &content).file("empty", b"").finish();
    let (first, second) = tar.split_at(1_000_000);
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for (stored, kind) in [
        (tar.clone(), ""),
        (layout::gzip(&tar), "+gzip"),
        (zstd(&tar), "+zstd"),
        // Several streams end to end are one, in both formats.
        ([layout::gzip(first), layout::gzip(second)].concat(), "+gzip"),
        ([zstd(first), skippable.clone(), zstd(second)].concat(), "+zstd"),
        ([skippable, zstd(&tar)].concat(), "+zstd"),
        // A wrong label does not matter, as for docker.
        (layout::gzip(&tar), ""),
        (tar.clone(), "+zstd"),
    ] {
        let kind = format!("application/vnd.oci.image.layer.v1.tar{kind}");
        let root = pull_stored(&place, &stored, &kind, &tar).unwrap();
        assert_eq!(fs::read(root.join("big")).unwrap(), content);
        assert_eq!(names(&root), ["big", "empty"]);
    }
}

fn docker_media_types_mean_the_same() {
    let place = Place::new();
    let tar = Tar::new().file("x", b"").finish();
    for (kind, stored) in [
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", layout::gzip(&tar)),
        ("application/vnd.docker.image.rootfs.diff.tar", tar.clone()),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", layout::gzip(&tar)),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", layout::gzip(&tar)),
    ] {
        assert!(pull_stored(&place, &stored, kind, &tar).unwrap().join("x").exists());
    }
    for kind in ["application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "text/plain", ""] {
        let said = made::said(pull_stored(&place, &tar, kind, &tar));
        assert!(said.contains("not a tar archive"), "{said}");
    }
}

fn files_with_holes_get_their_holes_back() {
    let place = Place::new();
    let folder = place.path("sparse");
    fs::create_dir(&folder).unwrap();
    // More pieces than a header has room for: the map goes on in blocks of its own.
    let mut content = vec![0; 64 << 20];
    for piece in 0..40 {
        content[piece * 1_000_000 + 4096..][..20_000].fill(piece as u8 + 1);
    }
    let file = fs::File::create(folder.join("file")).unwrap();
    for piece in 0..40_u64 {
        let at = piece * 1_000_000 + 4096;
        std::os::unix::fs::FileExt::write_all_at(&file, &content[at as usize..][..20_000], at)
            .unwrap();
    }
    file.set_len(content.len() as u64).unwrap();
    fs::write(folder.join("after"), "the entry after it").unwrap();
    for format in ["--format=gnu", "--format=posix"] {
        let mut tar = Command::new("tar");
        tar.args(["-S", format, "-cf", "-", "-C"]).arg(&folder).args(["file", "after"]);
        let Ok(tar) = tar.output() else { harness::not_run("no tar: apt-get install tar") };
        assert!(tar.status.success() && tar.stdout.len() < 4 << 20, "it stores no holes");
        place.clear();
        let root = place.pull(std::slice::from_ref(&tar.stdout)).unwrap().layers[0].clone();
        assert!(fs::read(root.join("file")).unwrap() == content, "{format}");
        assert_eq!(fs::read(root.join("after")).unwrap(), b"the entry after it");
        let blocks = fs::metadata(root.join("file")).unwrap().blocks();
        assert!(blocks * 512 < 4 << 20, "{format}: it takes {blocks} blocks");
    }
    let tar =
        Tar::new().pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9")]).file("x", b"1");
    let said = made::said(place.pull(&[tar.finish()]));
    assert!(said.contains("pax format 1.0"), "{said}");
}

fn the_oldest_kinds_of_archives_are_read() {
    let place = Place::new();
    let folder = place.path("old");
    fs::create_dir_all(folder.join("d")).unwrap();
    fs::write(folder.join("d/f"), "content").unwrap();
    fs::write(folder.join("d").join("n".repeat(90)), "long").unwrap();
    for format in ["v7", "oldgnu", "gnu", "ustar", "posix"] {
        let mut tar = Command::new("tar");
        tar.args(["-cf", "-", "--format", format, "-C"]).arg(&folder).arg(".");
        let Ok(tar) = tar.output() else { harness::not_run("no tar: apt-get install tar") };
        place.clear();
        let root = place.pull(&[tar.stdout]).unwrap().layers[0].clone();
        assert_eq!(fs::read(root.join("d/f")).unwrap(), b"content", "{format}");
        assert_eq!(names(&root.join("d")).len(), 2, "{format}");
    }
    // A folder that only its slash shows, and GNU's long names.
    let name = format!("{}/f", "long/".repeat(40));
    let tar = Tar::new()
        .entry(0, b"slash/", b"", b"", |_| {})
        .entry(b'L', b"././@LongLink", b"", format!("{name}\0").as_bytes(), |_| {})
        .file("short", b"content")
        .entry(b'K', b"././@LongLink", b"", format!("{name}\0").as_bytes(), |_| {})
        .symlink("link", "short");
    place.clear();
    let root = place.pull(&[tar.finish()]).unwrap().layers[0].clone();
    assert!(root.join("slash").is_dir());
    assert_eq!(fs::read(root.join("link")).unwrap(), b"content");
}

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

/// What is in the image both ways: as an overlay of its layers, and in one folder.
fn both(place: &Place, layers: &[Vec<u8>]) -> [Vec<PathBuf>; 2] {
    place.clear();
    let paths = |folder: &Path| without_root(look(folder)).into_keys().collect();
    let merged = overlay(place, &place.pull(layers).unwrap().layers);
    let seen = paths(&merged);
    unmount(&merged);
    [seen, paths(&place.pull_flat(layers).unwrap().layers[0])]
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

/// Mounts layers over each other, as a container would see them.
fn overlay(place: &Place, layers: &[PathBuf]) -> PathBuf {
    let (target, empty) = (place.path("merged"), place.path("empty"));
    fs::create_dir_all(&target).unwrap();
    fs::create_dir_all(&empty).unwrap(); // overlayfs wants at least two
    let folders: Vec<String> =
        layers.iter().rev().chain([&empty]).map(|layer| layer.display().to_string()).collect();
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "overlay", "overlay", "-o"])
        .arg(format!("ro,lowerdir={}", folders.join(":")));
    let output = harness::run(mount.arg(&target));
    assert!(output.status.success(), "{}", output.stderr);
    target
}

fn unmount(target: &Path) {
    assert!(harness::run(Command::new("umount").arg(target)).status.success());
}

/// umoci's unpacking of the image `latest`.
fn umoci(place: &Place, layout: &Path) -> PathBuf {
    let target = place.path("umoci");
    let mut umoci = Command::new("umoci");
    umoci
        .args(["raw", "unpack", "--image"])
        .arg(format!("{}:latest", layout.display()))
        .arg(&target);
    match umoci.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr))
        }
        Err(_) => harness::not_run("no umoci: apt-get install umoci"),
    }
    target
}

fn random_layers_look_like_umocis_and_like_an_overlay() {
    let place = Place::new();
    // Set IMAGE_SEED to what a failure printed to see it again.
    let seed = std::env::var("IMAGE_SEED").unwrap_or_else(|_| harness::random_name("")[1..].into());
    let seed = u64::from_str_radix(&seed, 16).unwrap();
    println!("IMAGE_SEED={seed:x}");
    let mut random = Random(seed | 1);
    for _ in 0..30 {
        let layers: Vec<Vec<u8>> =
            (0..1 + random.below(5)).map(|_| random_layer(&mut random)).collect();
        let stored: Vec<_> = layers
            .iter()
            .map(|tar| {
                (
                    tar.clone(),
                    [Compression::None, Compression::Gzip, Compression::Zstd][random.below(2)],
                )
            })
            .collect();
        place.clear();
        let mut layout = Layout::new(&place.path("layout"));
        let image = layout.image(&image::Platform::host().to_string(), &stored);
        layout.list("latest", image);
        let host = image::Platform::host();
        let image = image::pull(&place.store(), layout.source("latest"), &host).unwrap();
        image::pull_flat(layout.source("latest"), &host, &place.path("flat")).unwrap();
        let umoci = umoci(&place, &layout.folder);
        let merged = overlay(&place, &image.layers);
        let (flat, merged_tree) =
            (without_root(look(&place.path("flat"))), without_root(look(&merged)));
        unmount(&merged);
        assert_same(&flat, &with_times_that_umoci_forgot(without_root(look(&umoci)), &flat));
        assert_same(&without_links(flat), &without_links(merged_tree));
        fs::remove_dir_all(umoci).unwrap();
        fs::remove_dir_all(&layout.folder).unwrap();
    }
}

/// umoci sets the time of some folders before it is done with them (IMAGE_SEED=a9697654), and they
/// are left with that of the unpacking. Of such a folder the overlay alone tells the right time.
fn with_times_that_umoci_forgot(mut umocis: Tree, ours: &Tree) -> Tree {
    let time = |seen: &str| -> Option<(usize, usize, u64)> {
        let start = seen.find("modified ")? + "modified ".len();
        let end = start + seen[start..].find(',').unwrap_or(seen.len() - start);
        Some((start, end, seen[start..end].split('.').next()?.parse().ok()?))
    };
    let an_hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let recently = an_hour_ago.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (path, seen) in umocis.iter_mut().filter(|(_, seen)| seen.starts_with("folder")) {
        let Some(ours) = ours.get(path) else { continue };
        if let (Some((start, end, seconds)), Some((from, to, _))) = (time(seen), time(ours)) {
            if seconds >= recently {
                seen.replace_range(start..end, &ours[from..to]);
            }
        }
    }
    umocis
}

/// The root itself has the time of the unpacking where no layer describes it.
fn without_root(mut tree: Tree) -> Tree {
    tree.remove(Path::new(""));
    tree
}

/// In an overlay a file counts the names that an upper layer hides too.
fn without_links(tree: Tree) -> Tree {
    let strip = |seen: String| -> String {
        let parts = seen.split(", ").filter(|part| !part.starts_with("links "));
        parts.collect::<Vec<_>>().join(", ")
    };
    tree.into_iter().map(|(path, seen)| (path, strip(seen))).collect()
}

/// A small random number generator (xorshift64*): a failure prints its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }
}

/// A layer as honest tools write it: each path once, folders before what is in them, and no marker
/// for what it has itself.
fn random_layer(random: &mut Random) -> Vec<u8> {
    let mut tar = Tar::new();
    let mut folders = vec![String::new()];
    let mut used = std::collections::BTreeSet::new();
    let mut files: Vec<String> = Vec::new();
    for _ in 0..random.below(30) {
        let folder = folders[random.below(folders.len())].clone();
        let path =
            format!("{folder}{}", ["a", "b", "c", "d", "ümlaut", "with space"][random.below(6)]);
        if !used.insert(path.clone()) {
            continue;
        }
        let time = format!("{}.{:09}", random.below(2_000_000_000), random.below(1_000_000_000));
        let value: Vec<u8> = (0..1 + random.below(40)).map(|_| random.below(256) as u8).collect();
        let mut records: Vec<(&str, &[u8])> = vec![("mtime", time.as_bytes())];
        if random.below(4) == 0 {
            records.push(("SCHILY.xattr.trusted.random", &value));
        }
        let content: Vec<u8> = (0..random.below(3000)).map(|_| random.below(256) as u8).collect();
        let (mode, uid, gid) =
            (random.below(0o10000) as u32, random.below(100_000), random.below(100_000));
        let entry = |tar: Tar, kind: u8, link: &str, content: &[u8]| {
            tar.pax(&records).entry(kind, path.as_bytes(), link.as_bytes(), content, |header| {
                header.set_mode(mode);
                header.set_uid(uid as u64);
                header.set_gid(gid as u64);
                if kind == b'3' {
                    header.set_device_major(1).unwrap();
                    header.set_device_minor(3).unwrap();
                }
            })
        };
        tar = match random.below(12) {
            0..=3 => {
                folders.push(format!("{path}/"));
                entry(tar, b'5', "", b"")
            }
            4..=6 => {
                files.push(path.clone());
                entry(tar, b'0', "", &content)
            }
            7 => entry(tar, b'2', ["../a", "/b", "nowhere"][mode as usize % 3], b""),
            8 if !files.is_empty() => tar.hard_link(&path, &files[mode as usize % files.len()]),
            9 => entry(tar, [b'3', b'6'][mode as usize % 2], "", b""),
            10 => tar.file(&format!("{folder}.wh.{}", &path[folder.len()..]), b""),
            11 if !folder.is_empty() => {
                used.remove(&path);
                if used.insert(format!("{folder}.wh..wh..opq")) {
                    tar.file(&format!("{folder}.wh..wh..opq"), b"")
                } else {
                    tar
                }
            }
            _ => tar,
        };
    }
    tar.finish()
}

fn the_files_of_this_machine_look_like_umocis() {
    let place = Place::new();
    let tar = Command::new("tar")
        .args(["--xattrs", "--xattrs-include=*", "--numeric-owner", "--format=posix", "-cf", "-"])
        .args(["-C", "/", "etc", "usr/sbin", "usr/share/zoneinfo", "usr/share/perl5"])
        .output();
    let Ok(tar) = tar else { harness::not_run("no tar: apt-get install tar") };
    let mut layout = Layout::new(&place.path("layout"));
    let platform = image::Platform::host();
    let image = layout.image(&platform.to_string(), &[(tar.stdout, Compression::Gzip)]);
    layout.list("latest", image);
    image::pull_flat(layout.source("latest"), &platform, &place.path("flat")).unwrap();
    let umoci = umoci(&place, &layout.folder);
    let (ours, theirs) = (without_root(look(&place.path("flat"))), without_root(look(&umoci)));
    assert!(ours.len() > 1000, "only {} files", ours.len());
    // The archive leaves out folders that are therefore as young as the unpacking.
    let described = |mut tree: Tree| {
        tree.retain(|path, _| path != Path::new("usr") && path != Path::new("usr/share"));
        tree
    };
    assert_same(&described(ours), &described(theirs));
}

/// As `umoci insert` of version 0.4.7 ends one: without what fills the last block, and without the
/// empty blocks after it. Docker takes that for an end.
fn an_archive_may_end_with_its_last_byte_of_content() {
    let place = Place::new();
    let mut tar = Tar::new().file("x", b"content").finish();
    tar.truncate(512 + b"content".len());
    let image = place.pull(&[tar.clone()]).unwrap();
    assert_eq!(fs::read(image.layers[0].join("x")).unwrap(), b"content");
    tar.truncate(512 + 3); // but not in the middle of it
    assert!(place.pull(&[tar]).is_err());
}
