//! A full disk, a kill at any moment, several at once: the store is never wrong and the next pull
//! works.

#[path = "made/made.rs"]
mod made;

use made::layout::{self, Compression, Layout};
use made::mounts::{mount_tmpfs, unmount};
use made::tar::Tar;
use made::tree::{assert_same, look};
use made::{Place, assert_says, names, noise, said};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

harness::kernel_tests!(
    a_full_disk_is_named_and_nothing_stays,
    a_disk_without_inodes_is_named_too,
    the_next_pull_clears_what_a_kill_left => 300,
    a_flat_unpacking_that_was_killed_can_be_repeated => 300,
    ten_pulls_at_once_unpack_each_layer_once,
    a_layer_in_work_is_not_cleared_away,
    no_thread_is_left_after_a_pull,
    a_pull_needs_no_thread_but_its_own,
);

fn a_full_disk_is_named_and_nothing_stays() {
    let place = Place::new();
    let store = place.path("store");
    mount_tmpfs(&store, "size=16m");
    let small = Tar::new().file("small", &noise(1 << 20)).finish();
    let large = Tar::new().file("a", &noise(10 << 20)).file("b", &noise(10 << 20)).finish();
    let text = said(place.pull(&[small.clone(), large]));
    let words = ["there is no room left in", "hint: ", "MiB and", "No space left on", "entry b"];
    assert_says(&text, &words);
    // The other layer may be there, complete; nothing else is.
    let layers = names(&store.join("layers/sha256"));
    assert!(layers.len() <= 1, "{layers:?}");
    let free = text.split("hint: ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(["14", "15"].contains(&free), "it says {free} MiB, counted after clearing up");
    assert_eq!(
        fs::read(place.pull(&[small]).unwrap().layers[0].join("small")).unwrap().len(),
        1 << 20
    );
    unmount(&store);
    // The same into one folder.
    mount_tmpfs(&place.path("full"), "size=16m");
    let layout = layout::one_image(
        &place.path("layout"),
        &[Tar::new().file("a", &noise(20 << 20)).finish()],
    );
    let host = image::Platform::host();
    let text = said(image::pull_flat(layout.source(""), &host, &place.path("full")));
    assert!(text.contains("no room left in") && text.contains("16 MiB"), "{text}");
    assert!(names(&place.path("full")).is_empty());
    unmount(&place.path("full"));
}

fn a_disk_without_inodes_is_named_too() {
    let place = Place::new();
    let store = place.path("store");
    mount_tmpfs(&store, "size=64m,nr_inodes=100");
    let tar = (0..200).fold(Tar::new(), |tar, n| tar.file(&format!("f{n}"), b""));
    let text = said(place.pull(&[tar.finish()]));
    assert!(text.contains("no room left in") && text.contains(" files are free"), "{text}");
    assert!(names(&store.join("layers/sha256")).is_empty());
    unmount(&store);
    // Nor is there room for the store itself.
    for (name, options) in [("no-inodes", "size=1m,nr_inodes=4"), ("no-bytes", "size=4k")] {
        let store = place.path(name);
        mount_tmpfs(&store, options);
        fs::write(store.join("full"), [0; 4096]).unwrap();
        let text = said(image::Store::open(&store));
        assert!(text.contains("no room left in") && !text.contains("as root"), "{text}");
        unmount(&store);
    }
}

/// An image whose pull takes long enough to be killed in the middle of it.
fn four_layers(place: &Place) -> Layout {
    let layers: Vec<_> = (0..4)
        .map(|layer| {
            let tar = (0..400).fold(Tar::new().folder("d"), |tar, n| {
                tar.file(&format!("d/{layer}-{n}"), &noise(3000))
            });
            (tar.file(&format!(".wh.gone{layer}"), b"").finish(), Compression::Gzip)
        })
        .collect();
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.image(&image::Platform::host().to_string(), &layers);
    layout.list("latest", image);
    layout
}

fn the_next_pull_clears_what_a_kill_left() {
    let place = Place::new();
    let layout = four_layers(&place);
    let host = image::Platform::host();
    let right = image::pull(&place.store(), layout.source(""), &host).unwrap();
    // Whiteouts, and a root that the layer does not describe, are as old as the unpacking.
    let described = |layer: &Path| {
        let mut tree = look(layer);
        tree.retain(|path, _| path.starts_with("d"));
        tree
    };
    let expected: Vec<_> = right.layers.iter().map(|layer| described(layer)).collect();
    let command = || {
        let _ = fs::remove_dir_all(place.path("store"));
        place.program(&layout.source(""))
    };
    let (mut complete, mut remains) = (0, 0);
    harness::kill_evenly(command, 60, || {
        // What has a layer's name is a layer, at every moment.
        let layers = place.path("store/layers/sha256");
        for name in if layers.exists() { names(&layers) } else { Vec::new() } {
            let at = right.layers.iter().position(|layer| layer.ends_with(&name)).unwrap();
            assert_same(&expected[at], &described(&layers.join(name)));
            complete += 1;
        }
        if place.path("store/unpacking").exists() {
            remains += place.remains().len();
        }
        let again = image::pull(&place.store(), layout.source(""), &host).unwrap();
        assert!(place.remains().is_empty());
        for (layer, expected) in again.layers.iter().zip(&expected) {
            assert_same(expected, &described(layer));
        }
    });
    println!("{complete} complete layers and {remains} unfinished ones were found after the kills");
    assert!(remains > 0, "no kill came in the middle of an unpacking");
}

fn a_flat_unpacking_that_was_killed_can_be_repeated() {
    let place = Place::new();
    let layout = four_layers(&place);
    let host = image::Platform::host();
    let target = place.path("flat");
    image::pull_flat(layout.source(""), &host, &target).unwrap();
    let without_root = |folder: &Path| {
        let mut tree = look(folder);
        tree.remove(Path::new("")); // its time is that of the unpacking
        tree
    };
    let expected = without_root(&target);
    let command = || {
        fs::remove_dir_all(&target).unwrap();
        let mut command = Command::new(harness::bin("image-pull"));
        command.arg(layout.source("")).arg("--to").arg(&target);
        command
    };
    let mut refused = 0;
    harness::kill_evenly(command, 30, || {
        match image::pull_flat(layout.source(""), &host, &target) {
            Ok(_) => {}
            // Killed when the files were being moved to where they belong, or later.
            Err(error) => {
                assert!(format!("{error:#}").contains("it is not empty"), "{error:#}");
                refused += 1;
                fs::remove_dir_all(&target).unwrap();
                image::pull_flat(layout.source(""), &host, &target).unwrap();
            }
        }
        assert_same(&expected, &without_root(&target));
    });
    println!("{refused} were found in the moment when they appear");
}

fn ten_pulls_at_once_unpack_each_layer_once() {
    let place = Place::new();
    let layout = four_layers(&place);
    place.run_ten_at_once(&layout.source(""));
    assert!(place.remains().is_empty());
    let expected =
        image::pull_flat(layout.source(""), &image::Platform::host(), &place.path("flat"));
    let flat = look(&expected.unwrap().layers[0]);
    for layer in names(&place.path("store/layers/sha256")) {
        let mut layer = look(&place.path("store/layers/sha256").join(layer));
        layer
            .retain(|path, _| !path.to_string_lossy().starts_with("gone") && path != Path::new(""));
        for (path, seen) in layer {
            assert_eq!(Some(&seen), flat.get(&path), "{}", path.display());
        }
    }
}

fn a_layer_in_work_is_not_cleared_away() {
    let place = Place::new();
    let tar = Tar::new().file("x", b"x").finish();
    let name = layout::digest(&tar)["sha256:".len()..].to_owned();
    drop(place.store());
    let work = place.path("store/unpacking").join(&name);
    fs::create_dir_all(work.join("root")).unwrap();
    fs::write(work.join("root/half"), "").unwrap();
    let lock = fs::File::open(&work).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    drop(place.store());
    assert!(work.join("root/half").exists(), "its holder is at work");
    // A pull of that layer waits for the holder, and then does not trust what it left.
    let layout = layout::one_image(&place.path("layout"), &[tar]);
    let mut program = place.program(&layout.source(""));
    let mut pull = program.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(pull.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("Waiting for another pull that brings it")));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(pull.try_wait().unwrap().is_none(), "it should wait");
    drop(lock);
    assert!(lines.any(|line| line.ends_with("Pull complete")));
    assert!(pull.wait().unwrap().success());
    assert_eq!(names(&place.path("store/layers/sha256").join(name)), ["x"]);
    assert!(place.remains().is_empty());
}

fn no_thread_is_left_after_a_pull() {
    let place = Place::new();
    let layers: Vec<_> = (0..20).map(|n| Tar::new().file("x", &[n; 100_000]).finish()).collect();
    let threads = || names(Path::new("/proc/self/task")).len();
    let before = threads();
    // A thread that was joined may take a moment to leave the kernel.
    let assert_as_before =
        || harness::wait_for("the threads of a pull to leave", || threads() <= before);
    place.pull(&layers).unwrap();
    assert_as_before();
    let broken = Tar::new().file("../x", b"").finish();
    place.clear();
    said(place.pull(&[layers, vec![broken]].concat()));
    assert_as_before();
}

/// A limit on processes counts threads, too. Root is above it, so their stacks are made too large
/// for any machine: clone(2) is not even reached, and the library says EAGAIN all the same.
fn a_pull_needs_no_thread_but_its_own() {
    let place = Place::new();
    let layout = four_layers(&place);
    let without_threads = |program: &mut Command| {
        program.env("RUST_MIN_STACK", (1_u64 << 50).to_string());
        let output = program.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    without_threads(&mut place.program(&layout.source("")));
    let flat = place.path("flat");
    without_threads(place.program(&layout.source("")).arg("--to").arg(&flat));
    assert_eq!(names(&place.path("store/layers/sha256")).len(), 4);
    assert_eq!(names(&flat.join("d")).len(), 4 * 400);
}
