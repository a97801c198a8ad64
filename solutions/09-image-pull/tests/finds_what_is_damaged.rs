//! Blobs and documents that are not what they should be: damaged, missing, absurd. They are named,
//! and nothing of them is kept.

#[path = "made/made.rs"]
mod made;

use made::layout::{self, Compression, Layout};
use made::tar::Tar;
use made::{Place, assert_says, one_file, one_small_image, said};
use serde_json::json;
use std::fs;

harness::kernel_tests!(
    damaged_blobs_are_found => 120,
    missing_blobs_are_named,
    documents_that_make_no_sense_are_refused,
    absurd_numbers_are_refused,
    a_fifo_in_place_of_a_file_does_not_hang,
);

fn damaged_blobs_are_found() {
    let place = Place::new();
    let noise: Vec<u8> =
        (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let tar = Tar::new().file("x", &noise).finish();
    for how in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut layout = Layout::new(&place.path("layout"));
        let image = layout.image(&image::Platform::host().to_string(), &[(tar.clone(), how)]);
        layout.list("x", image.clone());
        let blobs = layout.folder.join("blobs/sha256");
        for entry in fs::read_dir(&blobs).unwrap() {
            let path = entry.unwrap().path();
            let right = fs::read(&path).unwrap();
            let middle = right.len() / 2;
            let flipped = |at: usize| {
                let mut bytes = right.clone();
                bytes[at] ^= 1;
                bytes
            };
            let changes = [
                ("cut off", right[..middle].to_vec()),
                ("empty", Vec::new()),
                ("longer", [&right[..], b"x"].concat()),
                ("one bit", flipped(middle)),
                ("last byte", flipped(right.len() - 1)),
            ];
            for (change, wrong) in changes {
                fs::write(&path, &wrong).unwrap();
                place.clear();
                let text = said(place.pull_from(&layout.source("x")));
                let name = path.file_name().unwrap().to_str().unwrap();
                let expected =
                    if wrong.len() == right.len() { "hash to sha256:" } else { "and should have" };
                assert_says(&text, &[expected, name]);
                assert!(place.remains().is_empty(), "{how:?} {change}");
                assert!(
                    made::names(&place.path("store/layers/sha256")).is_empty(),
                    "{how:?} {change}"
                );
            }
            fs::write(&path, right).unwrap();
        }
        place.pull_from(&layout.source("x")).unwrap();
        fs::remove_dir_all(&layout.folder).unwrap();
    }
    // A blob that is what the manifest names, but does not unpack to what the config names.
    let mut layout = Layout::new(&place.path("layout"));
    let config = json!({
        "os": "linux", "architecture": image::Platform::host().architecture,
        "rootfs": { "diff_ids": [layout::digest(b"something else")] },
    });
    let blob = layout.blob("application/vnd.oci.image.layer.v1.tar", &tar);
    let image = layout.manifest(&config, vec![blob]);
    layout.list("x", image);
    assert_says(&said(place.pull_from(&layout.source("x"))), &["hash to", &layout::digest(&tar)]);
}

fn missing_blobs_are_named() {
    let place = Place::new();
    let layout = one_small_image(&place.path("layout"));
    for name in made::names(&layout.folder.join("blobs/sha256")) {
        let path = layout.folder.join("blobs/sha256").join(&name);
        let right = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_says(&said(place.pull_from(&layout.source("latest"))), &[&name, "No such file"]);
        fs::write(&path, right).unwrap();
    }
}

fn documents_that_make_no_sense_are_refused() {
    let place = Place::new();
    for (manifest, expected) in [
        ("{", "JSON"),
        ("[]", "JSON"),
        ("\u{0}\u{1}", "JSON"),
        (r#"{"schemaVersion":1,"fsLayers":[]}"#, "schemaVersion is 1"),
        ("{}", "schemaVersion is missing"),
        (r#"{"schemaVersion":2}"#, "config"),
        (
            r#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}}"#,
            "no container image",
        ),
        (
            r#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:../../../../etc/passwd","size":2}}"#,
            "64 lower-case hexadecimal digits",
        ),
        (
            r#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"md5:0","size":-1}}"#,
            "JSON",
        ),
    ] {
        assert_says(
            &pull_manifest(&place, manifest.as_bytes()),
            &[expected, "cannot read manifest"],
        );
    }
    let mut layout = Layout::new(&place.path("layout"));
    let config = json!({ "os": "linux", "architecture": image::Platform::host().architecture, "rootfs": { "diff_ids": [] } });
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar", &one_file());
    let image = layout.manifest(&config, vec![layer]);
    layout.list("x", image);
    assert_says(&said(place.pull_from(&layout.source("x"))), &["names 1 layers and the config 0"]);
}

fn absurd_numbers_are_refused() {
    let place = Place::new();
    let config = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":SIZE}"#;
    let manifest = format!(r#"{{"schemaVersion":2,"layers":[],"config":{config}}}"#);
    for size in ["18446744073709551615", "4194305"] {
        let text = pull_manifest(&place, manifest.replace("SIZE", size).as_bytes());
        assert_says(&text, &["are not accepted", size]);
    }
    let text = pull_manifest(&place, manifest.replace("SIZE", "18446744073709551616").as_bytes());
    assert_says(&text, &["JSON"]);
    let layer = r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":9}"#;
    let many = manifest
        .replace("SIZE", "2")
        .replace("\"layers\":[]", &format!("\"layers\":[{}]", vec![layer; 10_000].join(",")));
    assert_says(&pull_manifest(&place, many.as_bytes()), &["10000 layers"]);
    // A document larger than any, and one nested deeper than any.
    let text = pull_manifest(&place, " ".repeat(5 << 20).as_bytes());
    assert_says(&text, &["are not accepted"]);
    assert_says(&pull_manifest(&place, "[".repeat(1 << 20).as_bytes()), &["JSON"]);
    let layout = one_small_image(&place.path("layout"));
    fs::write(layout.folder.join("index.json"), " ".repeat(5 << 20)).unwrap();
    assert_says(&said(place.pull_from(&layout.source(""))), &["more than 4194304 bytes"]);
}

fn a_fifo_in_place_of_a_file_does_not_hang() {
    let place = Place::new();
    let layout = one_small_image(&place.path("layout"));
    let layer = layout.path_of(&layout::digest(&one_file()));
    for path in [layer, layout.folder.join("index.json"), layout.folder.join("oci-layout")] {
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &path,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        assert_says(&said(place.pull_from(&layout.source(""))), &["it is not a regular file"]);
    }
}

/// Pulls an image whose manifest is `manifest`.
fn pull_manifest(place: &Place, manifest: &[u8]) -> String {
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.blob("application/vnd.oci.image.manifest.v1+json", manifest);
    layout.list("x", image);
    let text = said(place.pull_from(&layout.source("x")));
    fs::remove_dir_all(&layout.folder).unwrap();
    text
}
