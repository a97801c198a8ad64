//! Of the images behind one name the one for the platform is taken, and no other.

#[path = "made/made.rs"]
mod made;

use made::layout::{self, Compression, Layout};
use made::tar::Tar;
use made::{Place, assert_says, one_file, said};
use serde_json::{Value, json};
use std::fs;

harness::kernel_tests!(
    the_image_for_the_platform_is_taken,
    an_unknown_platform_lists_the_platforms,
    a_single_image_for_another_platform_is_refused,
);

fn the_image_for_the_platform_is_taken() {
    let place = Place::new();
    let layout = multi(
        &place,
        &[
            "linux/386",
            "linux/arm/v6",
            "linux/arm/v7",
            "linux/arm/v5",
            "linux/arm64/v8",
            "linux/amd64",
            "windows/amd64",
            "linux/amd64/v3",
        ],
    );
    let store = place.store();
    for (wanted, got) in [
        ("linux/amd64", "linux/amd64"),
        ("linux/amd64/v2", "linux/amd64"),
        ("linux/amd64/v4", "linux/amd64/v3"),
        ("linux/arm64", "linux/arm64/v8"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm/v8", "linux/arm/v7"),
        ("linux/arm", "linux/arm/v7"),
        ("windows/amd64", "windows/amd64"),
    ] {
        let image = image::pull(&store, layout.source("multi"), &wanted.parse().unwrap()).unwrap();
        assert_eq!(fs::read_to_string(image.layers[0].join("x")).unwrap(), got, "{wanted}");
    }
}

fn an_unknown_platform_lists_the_platforms() {
    let place = Place::new();
    let layout = multi(&place, &["linux/arm64/v8", "linux/s390x"]);
    let amd64 = "linux/amd64".parse().unwrap();
    let text = said(image::pull(&place.store(), layout.source("multi"), &amd64));
    assert_says(&text, &["no image for linux/amd64", "linux/arm64/v8", "linux/s390x", "hint: "]);
    assert!(!text.contains("unknown"), "{text}");
}

fn a_single_image_for_another_platform_is_refused() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.image("linux/s390x", &[(one_file(), Compression::None)]);
    layout.list("x", image);
    let text = said(place.pull_from(&layout.source("x")));
    assert_says(&text, &["the image is for linux/s390x", "hint: --platform linux/s390x"]);
    let image = image::pull(&place.store(), layout.source("x"), &"linux/s390x".parse().unwrap());
    assert!(image.is_ok());
}

/// A layout whose tag `multi` has an image for each platform; their file `x` names it.
fn multi(place: &Place, platforms: &[&str]) -> Layout {
    let mut layout = Layout::new(&place.path("multi"));
    let manifests = platforms.iter().map(|platform| {
        let parts: Vec<&str> = platform.split('/').collect();
        let tar = Tar::new().file("x", platform.as_bytes()).finish();
        let config = json!({
            "os": parts[0], "architecture": parts[1], "variant": parts.get(2),
            "rootfs": { "diff_ids": [layout::digest(&tar)] },
        });
        let layer = layout.blob("application/vnd.oci.image.layer.v1.tar", &tar);
        let mut image = layout.manifest(&config, vec![layer]);
        image["platform"] =
            json!({ "os": parts[0], "architecture": parts[1], "variant": parts.get(2) });
        image
    });
    let mut manifests: Vec<Value> = manifests.collect();
    // What docker's builder adds to each image; nobody runs it.
    let mut attestation = layout.manifest(&json!({}), vec![]);
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    manifests.insert(0, attestation);
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = layout.blob(kind, index.to_string().as_bytes());
    layout.list("multi", index);
    layout
}
