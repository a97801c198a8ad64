//! What is there already is not fetched again: half a blob, the same by ten at once, and all of it
//! where there is no room.

#[path = "made/made.rs"]
mod made;

use image::Platform;
use made::layout::{self, Compression, Layout};
use made::mounts::{mount_tmpfs, unmount};
use made::server::{Answer, Server, usual};
use made::tar::Tar;
use made::tree::{assert_same, look};
use made::{Place, assert_says, large_image, names, noise, said};
use std::fs;
use std::path::Path;

harness::kernel_tests!(
    a_disk_that_is_too_small_is_known_before,
    a_disk_that_fills_meanwhile_is_explained_too,
    ten_pulls_at_once_fetch_once => 120,
    the_next_pull_goes_on_where_a_killed_one_was => 300,
    half_a_blob_of_somebody_else_does_no_harm,
    a_blob_whose_puller_died_after_its_last_byte_is_not_asked_for,
);

fn a_disk_that_is_too_small_is_known_before() {
    let place = Place::new();
    let store = place.path("store");
    mount_tmpfs(&store, "size=8m");
    let layers: Vec<_> = (0..3)
        .map(|n| (Tar::new().file(&format!("f{n}"), &noise(5 << 20)).finish(), Compression::None))
        .collect();
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.image(&Platform::host().to_string(), &layers);
    layout.list("large", image);
    let server = Server::good(&layout.folder);
    let text = said(place.pull_from(&server.image("large")));
    assert_says(&text, &["does not fit", "16 MiB", "7 MiB are free", "8 MiB are missing"]);
    assert_eq!(server.blobs().len(), 1, "the config alone was fetched");
    // Room for the layer as it comes, and none for the files in it.
    let mut layout = Layout::new(&place.path("other"));
    let image = layout.image(&Platform::host().to_string(), &layers[..1]);
    layout.list("medium", image);
    let server = Server::good(&layout.folder);
    let text = said(place.pull_from(&server.image("medium")));
    assert_says(&text, &["no room left", "MiB are missing", "No space left on device"]);
    assert!(place.remains().is_empty() && place.store().images().unwrap().is_empty());
    unmount(&store);
}

/// There was room when the download began, and somebody else has taken it.
fn a_disk_that_fills_meanwhile_is_explained_too() {
    let place = Place::new();
    let store = place.path("store");
    mount_tmpfs(&store, "size=8m");
    let tar = Tar::new().file("large", &noise(5 << 20)).finish();
    let layout = layout::one_image(&place.path("layout"), &[tar]);
    let (folder, others) = (layout.folder.clone(), store.join("others"));
    let server = Server::start(&layout.folder, move |request, _| {
        if request.is_blob() && usual(&folder, request).len() > 5 << 20 {
            fs::write(&others, noise(5 << 20)).unwrap();
        }
        Answer::Usual
    });
    let text = said(place.pull_from(&server.image("latest")));
    let words = ["cannot store blob", "no room left", "MiB are missing", "No space left on"];
    assert_says(&text, &words);
    assert_eq!(text.matches("hint: ").count(), 1, "{text}");
    // What has come is not fetched again when there is room.
    fs::remove_file(store.join("others")).unwrap();
    let half = names(&store.join("downloading"));
    assert_eq!(half.len(), 1);
    let from = fs::metadata(store.join("downloading").join(&half[0])).unwrap().len();
    said(place.pull_from(&server.image("latest"))); // now it lacks room for the files in it
    let range = format!("bytes={from}-");
    assert!(server.requests().iter().any(|request| request.header("range") == Some(&range)));
    unmount(&store);
}

fn ten_pulls_at_once_fetch_once() {
    let place = Place::new();
    let layout = several_layers(&place);
    let server = Server::good(&layout.folder);
    place.run_ten_at_once(&server.image("several"));
    let mut blobs = server.blobs();
    let all = blobs.len();
    blobs.sort();
    blobs.dedup();
    // Layers come once. The config is asked for by whoever does not find it yet.
    assert_eq!(blobs.len(), 7);
    assert!(all < 7 + 10, "{all} requests for 7 blobs");
    let layers = blobs.iter().filter(|path| {
        server.requests().iter().filter(|request| request.path == **path).count() > 1
    });
    assert!(layers.count() <= 1, "{:?}", server.blobs());
    assert!(place.remains().is_empty() && names(&place.path("store/downloading")).is_empty());
    assert_eq!(place.store().images().unwrap().len(), 1);
}

fn the_next_pull_goes_on_where_a_killed_one_was() {
    let place = Place::new();
    let layout = several_layers(&place);
    let server = Server::good(&layout.folder);
    let right = image::pull_flat(layout.source("several"), &Platform::host(), &place.path("right"))
        .unwrap();
    let right = look(&right.layers[0]);
    let command = || {
        let _ = fs::remove_dir_all(place.path("store"));
        place.program(&server.image("several"))
    };
    let (mut halves, mut listed) = (0, 0);
    harness::kill_evenly(command, 60, || {
        let store = place.path("store");
        if store.join("blobs/sha256").exists() {
            for name in names(&store.join("blobs/sha256")) {
                let bytes = fs::read(store.join("blobs/sha256").join(&name)).unwrap();
                assert_eq!(layout::digest(&bytes), format!("sha256:{name}"));
            }
        }
        if store.join("downloading").exists() {
            halves += names(&store.join("downloading")).len();
        }
        listed += place.store().images().unwrap().len();
        let image = place.pull_from(&server.image("several")).unwrap();
        assert!(place.remains().is_empty() && names(&store.join("downloading")).is_empty());
        let mut all = made::tree::Tree::new();
        image.layers.iter().for_each(|layer| all.extend(look(layer)));
        assert_same(&right, &all);
    });
    println!("{halves} halves of blobs were found, and {listed} times the image was listed");
    assert!(halves > 0, "no kill came in the middle of a download");
}

fn several_layers(place: &Place) -> Layout {
    let layers: Vec<_> = (0..6)
        .map(|n| {
            let tar = (0..20).fold(Tar::new().folder("./").folder("d"), |tar, file| {
                tar.file(&format!("d/{n}-{file}"), &noise(30_000))
            });
            (tar.finish(), Compression::Gzip)
        })
        .collect();
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.image(&Platform::host().to_string(), &layers);
    layout.list("several", image);
    layout
}

fn half_a_blob_of_somebody_else_does_no_harm() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let server = Server::good(&layout.folder);
    drop(place.store());
    let name = layout::digest(&fs::read(largest(&layout.folder.join("blobs/sha256"))).unwrap());
    let half = place.path("store/downloading").join(&name["sha256:".len()..]);
    for wrong in [noise(1000), noise(3 << 20), Vec::new()] {
        fs::write(&half, wrong).unwrap();
        let image = place.pull_from(&server.image("latest")).unwrap();
        assert_eq!(fs::metadata(image.layers[0].join("large")).unwrap().len(), 1 << 20);
        fs::remove_file(place.path("store/blobs/sha256").join(&name["sha256:".len()..])).unwrap();
        assert!(names(&place.path("store/downloading")).is_empty());
    }
}

fn a_blob_whose_puller_died_after_its_last_byte_is_not_asked_for() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let server = Server::good(&layout.folder);
    drop(place.store());
    let blob = fs::read(largest(&layout.folder.join("blobs/sha256"))).unwrap();
    let name = layout::digest(&blob);
    let hex = &name["sha256:".len()..];
    let asked = || server.requests().iter().filter(|request| request.path.ends_with(hex)).count();
    let left = place.path("store/downloading").join(hex);
    fs::write(&left, &blob).unwrap();
    place.pull_from(&server.image("latest")).unwrap();
    assert_eq!((asked(), left.exists()), (0, false));
    // As long, but not the same: once more, from its beginning.
    fs::remove_file(place.path("store/blobs/sha256").join(hex)).unwrap();
    fs::write(&left, noise(blob.len())).unwrap();
    place.pull_from(&server.image("latest")).unwrap();
    assert_eq!((asked(), left.exists()), (1, false));
}

fn largest(folder: &Path) -> std::path::PathBuf {
    let files = names(folder).into_iter().map(|name| folder.join(name));
    files.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
}
