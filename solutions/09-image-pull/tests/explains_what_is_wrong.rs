//! Wrong input and how the program answers: it fails, names what is wrong, and leaves nothing.

#[path = "made/made.rs"]
mod made;

use made::layout::{self, Compression, Layout};
use made::mounts::{mount_tmpfs, unmount};
use made::tar::Tar;
use made::{Place, assert_says, one_file, one_small_image, said};
use std::fs;
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    sources_of_another_form_are_refused,
    a_folder_that_is_no_layout_is_said_to_be_none,
    an_unknown_tag_lists_the_tags,
    several_images_ask_for_a_tag,
    the_target_folder_must_be_empty,
    the_program_prints_folders_digests_and_errors,
    an_ordinary_user_is_told_what_needs_root,
);

fn sources_of_another_form_are_refused() {
    let place = Place::new();
    for source in ["", "/tmp", "docker://alpine", "OCI:/tmp", "Alpine", "a b"] {
        assert_says(&said(place.pull_from(source)), &["is no name of an image", "oci:DIR"]);
    }
}

fn a_folder_that_is_no_layout_is_said_to_be_none() {
    let place = Place::new();
    assert_says(
        &said(place.pull_from("oci:/no/such/folder:x")),
        &["/no/such/folder: no such folder"],
    );
    assert_says(&said(place.pull_from("oci:")), &["no such folder"]);
    let outside = format!("oci:{}", place.canary.folder.display());
    assert_says(&said(place.pull_from(&outside)), &["is not an OCI image layout", "hint: "]);
    let layout = one_small_image(&place.path("layout"));
    let file = layout.folder.join("oci-layout");
    for (text, expected) in [
        (r#"{"imageLayoutVersion":"2.0.0"}"#, "version 2.0.0"),
        ("{}", "imageLayoutVersion"),
        ("", "oci-layout"),
    ] {
        fs::write(&file, text).unwrap();
        assert_says(&said(place.pull_from(&layout.source(""))), &[expected]);
    }
    fs::write(&file, r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    for (text, expected) in [
        ("not json", "it is not the JSON document"),
        (r#"{"schemaVersion":2}"#, "manifests"),
        (r#"{"schemaVersion":1,"manifests":[]}"#, "schemaVersion is 1"),
        (r#"{"schemaVersion":2,"manifests":[]}"#, "there is no image in"),
    ] {
        fs::write(layout.folder.join("index.json"), text).unwrap();
        assert_says(&said(place.pull_from(&layout.source(""))), &[expected]);
    }
    fs::remove_file(layout.folder.join("index.json")).unwrap();
    assert_says(&said(place.pull_from(&layout.source(""))), &["index.json", "No such file"]);
}

fn an_unknown_tag_lists_the_tags() {
    let place = Place::new();
    let mut layout = one_small_image(&place.path("layout"));
    let image = layout.image("linux/amd64", &[(one_file(), Compression::None)]);
    layout.list("localhost:5000/a/b:1.2", image.clone());
    let text = said(place.pull_from(&layout.source("lates")));
    assert_says(&text, &["no tag \"lates\"", ":latest", ":localhost:5000/a/b:1.2", "hint: "]);
    assert!(place.pull_from(&layout.source("localhost:5000/a/b:1.2")).is_ok());
    let mut untagged = Layout::new(&place.path("untagged"));
    let image =
        untagged.image(&image::Platform::host().to_string(), &[(one_file(), Compression::None)]);
    untagged.list("", image);
    assert_says(&said(place.pull_from(&untagged.source("x"))), &["nor any other"]);
    assert!(place.pull_from(&untagged.source("")).is_ok());
    // A folder with a colon in its name.
    let odd = place.path("a:b");
    fs::rename(&untagged.folder, &odd).unwrap();
    assert!(place.pull_from(&format!("oci:{}", odd.display())).is_ok());
}

fn several_images_ask_for_a_tag() {
    let place = Place::new();
    let mut layout = one_small_image(&place.path("layout"));
    let image = layout.image("linux/amd64", &[]);
    layout.list("second", image);
    assert_says(
        &said(place.pull_from(&layout.source(""))),
        &["several images", ":latest", ":second"],
    );
}

fn the_target_folder_must_be_empty() {
    let place = Place::new();
    let layout = one_small_image(&place.path("layout"));
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
    mount_tmpfs(&mounted, "size=1m");
    flat(&mounted).unwrap();
    assert_eq!(made::names(&mounted), ["x"]);
    unmount(&mounted);
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
    let layout = one_small_image(&place.path("layout"));
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
