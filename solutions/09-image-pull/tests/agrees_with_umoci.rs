//! Random layers and a real distribution become the same files as umoci makes of them, and as
//! overlayfs shows them.

#[path = "made/made.rs"]
mod made;

use made::Place;
use made::layout::{Compression, Layout};
use made::mounts::{overlay, unmount, without_root};
use made::random::{Random, random_layer};
use made::tree::{Tree, assert_same, look};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    random_layers_look_like_umocis_and_like_an_overlay => 300,
    the_files_of_this_machine_look_like_umocis => 300,
);

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
            .map(|tar| (tar.clone(), [Compression::None, Compression::Gzip][random.below(2)]))
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

/// In an overlay a file counts the names that an upper layer hides too.
fn without_links(tree: Tree) -> Tree {
    let strip = |seen: String| -> String {
        let parts = seen.split(", ").filter(|part| !part.starts_with("links "));
        parts.collect::<Vec<_>>().join(", ")
    };
    tree.into_iter().map(|(path, seen)| (path, strip(seen))).collect()
}
