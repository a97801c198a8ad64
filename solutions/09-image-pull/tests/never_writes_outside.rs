//! Random sequences of hostile entries: whatever they are, nothing outside of the layer's folder
//! changes, nothing panics, and nothing is left in the store's workplace.

#[path = "made/made.rs"]
mod made;

use made::Place;
use made::tar::Tar;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

harness::kernel_tests!(random_entries_stay_inside => 300, random_bytes_stay_inside => 300);

/// One entry: its kind, name and link, as numbers into what follows.
#[derive(Clone, Debug)]
struct Piece {
    kind: u8,
    name: String,
    link: String,
    mode: u32,
}

/// Names from few letters, so that they meet again; `OUT` is the way to the canary.
fn name() -> impl Strategy<Value = String> {
    let step = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c"]),
        2 => prop::sample::select(vec!["..", ".", "", "OUT", "secret", "deep", "link"]),
        1 => prop::sample::select(vec![".wh.a", ".wh.b", ".wh..wh..opq", ".wh..", ".wh...", ".wh.", "proc/self/root"]),
    ];
    (prop::collection::vec(step, 1..5), any::<bool>()).prop_map(|(steps, absolute)| {
        format!("{}{}", if absolute { "/" } else { "" }, steps.join("/"))
    })
}

/// Where links lead: to some name, or to the canary by one way or another.
fn link() -> impl Strategy<Value = String> {
    let outside =
        prop::sample::select(vec!["OUT", "OUT/deep", "OUT/secret", "UP/OUT", "UP/OUT/deep/.."]);
    prop_oneof![2 => name(), 1 => outside.prop_map(str::to_owned)]
}

fn piece() -> impl Strategy<Value = Piece> {
    let kind = prop::sample::select(b"0000055552222211111634xgLK7S".to_vec());
    (kind, name(), link(), 0..0o10000_u32).prop_map(|(kind, name, link, mode)| Piece {
        kind,
        name,
        link,
        mode,
    })
}

fn archive(pieces: &[Piece], outside: &str) -> Vec<u8> {
    let mut tar = Tar::new();
    for piece in pieces {
        let name = piece.name.replace("OUT", outside.trim_start_matches('/'));
        let link = piece.link.replace("UP/OUT", &format!("{}{outside}", "../".repeat(12)));
        let link = link.replace("OUT", outside);
        let content: &[u8] = if b"0xgLK7S".contains(&piece.kind) { link.as_bytes() } else { b"" };
        tar = tar.entry(piece.kind, name.as_bytes(), link.as_bytes(), content, |header| {
            header.set_mode(piece.mode);
            if b"34".contains(&piece.kind) {
                header.set_device_major(piece.mode & 1).unwrap();
                header.set_device_minor(piece.mode & 3).unwrap();
            }
        });
    }
    tar.finish()
}

/// Pulls the layers both ways; only that nothing outside changes is asked.
fn assert_harmless(place: &Place, layers: &[Vec<u8>]) {
    place.clear();
    let _ = place.pull(layers);
    let _ = place.pull_flat(layers);
    place.canary.assert_untouched();
    place.clear();
    assert_eq!(made::names(&place.folder), ["outside"]);
}

fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config =
        Config { cases, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    let tested = TestRunner::new(config).run(&strategy, |value| {
        test(value);
        Ok(())
    });
    tested.unwrap();
}

fn random_entries_stay_inside() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let layers = prop::collection::vec(prop::collection::vec(piece(), 0..12), 1..3);
    let (made, pulled) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    run(1500, layers, |layers| {
        let layers: Vec<_> = layers.iter().map(|pieces| archive(pieces, &outside)).collect();
        assert_harmless(&place, &layers);
        made.set(made.get() + 1);
        pulled.set(pulled.get() + u32::from(place.pull(&layers).is_ok()));
    });
    // If hardly one were accepted, this would test the refusals alone.
    let (made, pulled) = (made.get(), pulled.get());
    println!("{pulled} of {made} images were accepted");
    assert!(pulled > made / 20, "{pulled} of {made}");
}

fn random_bytes_stay_inside() {
    let place = Place::new();
    let outside = place.canary.folder.display().to_string();
    let entries = prop::collection::vec(piece(), 1..6);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20);
    run(1500, (entries, changes), |(pieces, changes)| {
        let mut bytes = archive(&pieces, &outside);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        right_checksums(&mut bytes);
        assert_harmless(&place, &[bytes]);
    });
}

/// Gives each block the checksum that it would have as a header; else few would get any further.
fn right_checksums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        let mut header = tar::Header::from_byte_slice(block).clone();
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
    }
}
