//! Honest layers: everything that an archive says of its files arrives, in the store and in one
//! folder, in whatever kind of archive and compression it comes.

#[path = "made/made.rs"]
mod made;

use made::Place;
use made::layout::{self, Layout};
use made::names;
use made::tar::Tar;
use made::tree::look;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    owners_modes_times_and_attributes_arrive,
    the_umask_changes_nothing,
    file_capabilities_survive_whatever_bytes_they_have,
    times_of_folders_are_theirs_and_not_of_their_making,
    hard_links_are_one_file,
    gzip_zstd_and_plain_layers_hold_the_same,
    docker_media_types_mean_the_same,
    files_with_holes_get_their_holes_back,
    the_oldest_kinds_of_archives_are_read,
    an_archive_may_end_with_its_last_byte_of_content,
);

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
    for root in place.unpacked(tar) {
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
    for root in place.unpacked(tar) {
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
    for root in place.unpacked(tar) {
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
    for root in place.unpacked(tar) {
        for name in ["", "d", "d/e"] {
            let metadata = fs::metadata(root.join(name)).unwrap();
            assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_600_000_000, 0), "{name:?}");
        }
    }
    let before_1970 = Tar::new().pax(&[("mtime", b"-1.25")]).file("f", b"");
    for root in place.unpacked(before_1970) {
        let metadata = fs::metadata(root.join("f")).unwrap();
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (-2, 750_000_000));
    }
}

fn hard_links_are_one_file() {
    let place = Place::new();
    let tar =
        Tar::new().file("a", b"x").hard_link("b", "a").folder("d").hard_link("d/c", "./d/../b");
    for root in place.unpacked(tar.symlink("s", "a").hard_link("t", "s")) {
        let at = |name: &str| fs::symlink_metadata(root.join(name)).unwrap();
        assert_eq!((at("a").ino(), at("a").nlink()), (at("d/c").ino(), 3));
        assert_eq!((at("s").ino(), at("s").nlink()), (at("t").ino(), 2));
    }
}

fn gzip_zstd_and_plain_layers_hold_the_same() {
    let place = Place::new();
    let content: Vec<u8> =
        (0..1_000_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
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
