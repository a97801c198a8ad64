//! Feeds texts to what reads them first of all: names of images, what registries answer to a
//! stranger, and the documents of an image. Nothing may panic; what is read as a name must be
//! harmless and mean the same when it is written and read again.
//!
//! The first byte chooses the reader.

#![no_main]

use image::{Challenge, Config, Index, Manifest, Reference};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    match which % 5 {
        0 => drop(Manifest::parse(bytes)),
        1 => drop(Index::parse(bytes)),
        2 => drop(Config::parse(bytes)),
        3 => String::from_utf8_lossy(bytes).parse::<Reference>().into_iter().for_each(check),
        _ => {
            for challenge in Challenge::all(&String::from_utf8_lossy(bytes)) {
                assert!(!challenge.scheme.is_empty());
            }
        }
    }
});

fn check(reference: Reference) {
    for again in [reference.to_string(), reference.familiar()] {
        assert_eq!(again.parse::<Reference>().unwrap(), reference);
    }
    let name = format!("{}/{}", reference.host, reference.repository);
    assert!(name.bytes().all(|b| b.is_ascii_graphic()) && !name.contains("..") && !name.contains("//"));
}
