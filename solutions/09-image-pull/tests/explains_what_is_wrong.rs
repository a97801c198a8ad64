//! Wrong input and how the program answers: it fails, names what is wrong, and leaves nothing.

#[path = "made/made.rs"]
mod made;

use made::layout::{self, Compression, Layout};
use made::tar::Tar;
use made::{Place, said};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    sources_of_another_form_are_refused,
    a_folder_that_is_no_layout_is_said_to_be_none,
    an_unknown_tag_lists_the_tags,
    several_images_ask_for_a_tag,
    an_unknown_platform_lists_the_platforms,
    the_image_for_the_platform_is_taken,
    a_single_image_for_another_platform_is_refused,
    damaged_blobs_are_found => 120,
    missing_blobs_are_named,
    documents_that_make_no_sense_are_refused,
    absurd_numbers_are_refused,
    a_fifo_in_place_of_a_file_does_not_hang,
    the_target_folder_must_be_empty,
    the_program_prints_folders_digests_and_errors,
    an_ordinary_user_is_told_what_needs_root,
);

fn pull(place: &Place, source: &str) -> anyhow::Result<image::Image> {
    image::pull(&place.store(), source, &image::Platform::host())
}

fn one_file() -> Vec<u8> {
    Tar::new().file("x", b"x").finish()
}

fn one_image(place: &Place) -> Layout {
    layout::one_image(&place.path("layout"), &[one_file()])
}

fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

fn sources_of_another_form_are_refused() {
    let place = Place::new();
    for source in ["", "/tmp", "docker://alpine", "OCI:/tmp", "Alpine", "a b"] {
        assert_says(&said(pull(&place, source)), &["is no name of an image", "oci:DIR"]);
    }
}

fn a_folder_that_is_no_layout_is_said_to_be_none() {
    let place = Place::new();
    assert_says(&said(pull(&place, "oci:/no/such/folder:x")), &["/no/such/folder: no such folder"]);
    assert_says(&said(pull(&place, "oci:")), &["no such folder"]);
    let outside = format!("oci:{}", place.canary.folder.display());
    assert_says(&said(pull(&place, &outside)), &["is not an OCI image layout", "hint: "]);
    let layout = one_image(&place);
    let file = layout.folder.join("oci-layout");
    for (text, expected) in [
        (r#"{"imageLayoutVersion":"2.0.0"}"#, "version 2.0.0"),
        ("{}", "imageLayoutVersion"),
        ("", "oci-layout"),
    ] {
        fs::write(&file, text).unwrap();
        assert_says(&said(pull(&place, &layout.source(""))), &[expected]);
    }
    fs::write(&file, r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    for (text, expected) in [
        ("not json", "it is not the JSON document"),
        (r#"{"schemaVersion":2}"#, "manifests"),
        (r#"{"schemaVersion":1,"manifests":[]}"#, "schemaVersion is 1"),
        (r#"{"schemaVersion":2,"manifests":[]}"#, "there is no image in"),
    ] {
        fs::write(layout.folder.join("index.json"), text).unwrap();
        assert_says(&said(pull(&place, &layout.source(""))), &[expected]);
    }
    fs::remove_file(layout.folder.join("index.json")).unwrap();
    assert_says(&said(pull(&place, &layout.source(""))), &["index.json", "No such file"]);
}

fn an_unknown_tag_lists_the_tags() {
    let place = Place::new();
    let mut layout = one_image(&place);
    let image = layout.image("linux/amd64", &[(one_file(), Compression::None)]);
    layout.list("localhost:5000/a/b:1.2", image.clone());
    let text = said(pull(&place, &layout.source("lates")));
    assert_says(&text, &["no tag \"lates\"", ":latest", ":localhost:5000/a/b:1.2", "hint: "]);
    assert!(pull(&place, &layout.source("localhost:5000/a/b:1.2")).is_ok());
    let mut untagged = Layout::new(&place.path("untagged"));
    let image =
        untagged.image(&image::Platform::host().to_string(), &[(one_file(), Compression::None)]);
    untagged.list("", image);
    assert_says(&said(pull(&place, &untagged.source("x"))), &["nor any other"]);
    assert!(pull(&place, &untagged.source("")).is_ok());
    // A folder with a colon in its name.
    let odd = place.path("a:b");
    fs::rename(&untagged.folder, &odd).unwrap();
    assert!(pull(&place, &format!("oci:{}", odd.display())).is_ok());
}

fn several_images_ask_for_a_tag() {
    let place = Place::new();
    let mut layout = one_image(&place);
    let image = layout.image("linux/amd64", &[]);
    layout.list("second", image);
    assert_says(&said(pull(&place, &layout.source(""))), &["several images", ":latest", ":second"]);
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
    let text = said(pull(&place, &layout.source("x")));
    assert_says(&text, &["the image is for linux/s390x", "hint: --platform linux/s390x"]);
    let image = image::pull(&place.store(), layout.source("x"), &"linux/s390x".parse().unwrap());
    assert!(image.is_ok());
}

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
            let changes: [(&str, Vec<u8>); 5] = [
                ("cut off", right[..middle].to_vec()),
                ("empty", Vec::new()),
                ("longer", [&right[..], b"x"].concat()),
                (
                    "one bit",
                    right
                        .iter()
                        .enumerate()
                        .map(|(at, b)| if at == middle { b ^ 1 } else { *b })
                        .collect(),
                ),
                (
                    "last byte",
                    right
                        .iter()
                        .enumerate()
                        .map(|(at, b)| if at + 1 == right.len() { b ^ 1 } else { *b })
                        .collect(),
                ),
            ];
            for (change, wrong) in changes {
                fs::write(&path, &wrong).unwrap();
                place.clear();
                let text = said(pull(&place, &layout.source("x")));
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
        pull(&place, &layout.source("x")).unwrap();
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
    assert_says(&said(pull(&place, &layout.source("x"))), &["hash to", &layout::digest(&tar)]);
}

fn missing_blobs_are_named() {
    let place = Place::new();
    let layout = one_image(&place);
    for name in made::names(&layout.folder.join("blobs/sha256")) {
        let path = layout.folder.join("blobs/sha256").join(&name);
        let right = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_says(&said(pull(&place, &layout.source("latest"))), &[&name, "No such file"]);
        fs::write(&path, right).unwrap();
    }
}

/// Pulls an image whose manifest is `manifest`.
fn pull_manifest(place: &Place, manifest: &[u8]) -> String {
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.blob("application/vnd.oci.image.manifest.v1+json", manifest);
    layout.list("x", image);
    let text = said(pull(place, &layout.source("x")));
    fs::remove_dir_all(&layout.folder).unwrap();
    text
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
    assert_says(&said(pull(&place, &layout.source("x"))), &["names 1 layers and the config 0"]);
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
    let layout = one_image(&place);
    fs::write(layout.folder.join("index.json"), " ".repeat(5 << 20)).unwrap();
    assert_says(&said(pull(&place, &layout.source(""))), &["more than 4194304 bytes"]);
}

fn a_fifo_in_place_of_a_file_does_not_hang() {
    let place = Place::new();
    let layout = one_image(&place);
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
        assert_says(&said(pull(&place, &layout.source(""))), &["it is not a regular file"]);
    }
}

fn the_target_folder_must_be_empty() {
    let place = Place::new();
    let layout = one_image(&place);
    let flat =
        |target: &Path| image::pull_flat(layout.source(""), &image::Platform::host(), target);
    assert_says(&said(flat(&place.canary.folder)), &["it is not empty", "hint: "]);
    place.canary.assert_untouched();
    assert_says(&said(flat(&place.canary.folder.join("secret"))), &["Not a directory"]);
    assert_says(&said(flat(Path::new("/no/such/folder"))), &["/no/such/folder: No such file"]);
    let empty = place.path("empty");
    fs::create_dir(&empty).unwrap();
    flat(&empty).unwrap();
    assert_says(&said(flat(&empty)), &["it is not empty"]);
    // What a killed run left is no reason to refuse.
    let killed = place.path("killed");
    fs::create_dir_all(killed.join(".image-pull-unpacking/root/half")).unwrap();
    flat(&killed).unwrap();
    assert_eq!(made::names(&killed), ["x"]);
    // The folder that one stands in, and a mount point.
    std::env::set_current_dir(place.path("store").parent().unwrap()).unwrap();
    fs::create_dir("here").unwrap();
    std::env::set_current_dir("here").unwrap();
    flat(Path::new(".")).unwrap();
    assert_eq!(made::names(Path::new(".")), ["x"]);
    let mounted = place.path("mounted");
    fs::create_dir(&mounted).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&mounted).status();
    assert!(mount.unwrap().success());
    flat(&mounted).unwrap();
    assert_eq!(made::names(&mounted), ["x"]);
    assert!(Command::new("umount").arg(&mounted).status().unwrap().success());
}

fn the_program_prints_folders_digests_and_errors() {
    let place = Place::new();
    let layout =
        layout::one_image(&place.path("layout"), &[one_file(), Tar::new().file("y", b"").finish()]);
    let run = |args: &[&str]| {
        let mut program = Command::new(harness::bin("image-pull"));
        harness::run(program.args(args).env("CORACLE_ROOT", place.path("store")))
    };
    let output = run(&[&layout.source("latest")]);
    assert!(output.status.success(), "{}", output.stderr);
    let lines: Vec<&str> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(Path::new(lines[0]).join("x").exists() && Path::new(lines[1]).join("y").exists());
    assert!(layout.path_of(lines[2]).exists(), "the manifest's digest");
    let target = place.path("root").display().to_string();
    let output = run(&[&layout.source(""), "--to", &target]);
    assert_eq!(output.stdout.lines().next(), Some(target.as_str()));
    assert_eq!(made::names(Path::new(&target)), ["x", "y"]);
    let output = run(&[&layout.source("nosuch")]);
    assert!(!output.status.success() && output.stdout.is_empty());
    let lines: Vec<&str> = output.stderr.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("image-pull: there is no tag"), "{lines:?}");
    assert!(lines[1].starts_with("hint: "), "{lines:?}");
    for wrong in [&["--platform", "linux", "oci:x"][..], &[], &["a", "b"], &["--nonsense"]] {
        let output = run(wrong);
        assert!(!output.status.success() && !output.stderr.is_empty(), "{wrong:?}");
    }
}

fn an_ordinary_user_is_told_what_needs_root() {
    let place = Place::new();
    let layout = one_image(&place);
    fs::set_permissions(&place.folder, std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .unwrap();
    let program = place.path("program");
    fs::copy(harness::bin("image-pull"), &program).unwrap();
    let run = |args: &[&str]| {
        let mut user = Command::new(&program);
        std::os::unix::process::CommandExt::uid(&mut user, 65534);
        std::os::unix::process::CommandExt::gid(&mut user, 65534);
        harness::run(user.args(args))
    };
    let target = place.path("flat").display().to_string();
    let output = run(&[&layout.source(""), "--to", &target]);
    assert!(!output.status.success());
    assert_says(
        &output.stderr,
        &["entry x: cannot give it to user 0", "Operation not permitted", "\nhint: only root"],
    );
    assert!(!Path::new(&target).exists());
    let output = run(&[&layout.source(""), "--root", "/var/lib/no-such-store"]);
    assert_says(&output.stderr, &["cannot open the store /var/lib/no-such-store", "\nhint: "]);
    // Files that belong to the user need no root.
    let mine = Tar::new().entry(b'0', b"mine", b"", b"", |header| {
        header.set_uid(65534);
        header.set_gid(65534);
    });
    fs::remove_dir_all(&layout.folder).unwrap();
    let layout = layout::one_image(&place.path("layout"), &[mine.finish()]);
    let output = run(&[&layout.source(""), "--to", &target]);
    assert!(output.status.success(), "{}", output.stderr);
}
