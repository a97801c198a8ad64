//! Feeds archives to the unpacker, into the store and into one folder. Whatever they say, nothing
//! outside may change. Run it by `fuzz/run`, which takes away what a mistake could harm.
//!
//! The first byte chooses: an archive byte by byte, its checksums put right, or a list of entries in
//! few letters, so that names meet; and how many layers it is cut into.

#![no_main]

#[allow(dead_code, reason = "the tests use the rest of it")]
#[path = "../../tests/made"]
mod made {
    pub mod layout;
    pub mod tar;
    pub mod tree;
}

use image::{Platform, Store};
use libfuzzer_sys::fuzz_target;
use made::layout::one_image;
use made::tar::Tar;
use made::tree::Canary;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

static PLACE: LazyLock<(PathBuf, Canary)> = LazyLock::new(|| {
    let place = std::env::temp_dir().join(format!("fuzz-{}", std::process::id()));
    let canary = Canary::new(&place.join("outside"));
    (place, canary)
});

const STEPS: [&str; 16] = [
    "a",
    "b",
    "c",
    "a",
    "b",
    "..",
    ".",
    "",
    "OUT",
    "secret",
    "deep",
    "link",
    ".wh.a",
    ".wh.b",
    ".wh..wh..opq",
    ".wh..",
];
const KINDS: [u8; 16] = *b"00005552211134xL";

fuzz_target!(|input: &[u8]| {
    let Some((how, input)) = input.split_first() else { return };
    let (first, second) = input.split_at(if how & 2 == 0 { 0 } else { input.len() / 2 });
    let layers: Vec<Vec<u8>> = [first, second]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| if how & 1 == 0 { entries(part) } else { headers(part) })
        .collect();
    pull(&layers);
});

fn pull(layers: &[Vec<u8>]) {
    let (place, canary) = &*PLACE;
    let layout = one_image(&place.join("layout"), layers);
    let store = Store::open(&place.join("store")).unwrap();
    let _ = image::pull(&store, &layout.source("latest"), &Platform::host());
    let _ = image::pull_flat(&layout.source("latest"), &Platform::host(), &place.join("flat"));
    canary.assert_untouched();
    for name in ["layout", "store", "flat"] {
        let folder = place.join(name);
        if folder.exists() {
            fs::remove_dir_all(folder).unwrap();
        }
    }
    let left = fs::read_dir(place).unwrap().count();
    assert_eq!(left, 1, "something beside the canary");
}

/// Six bytes are an entry: its kind, its mode, two steps of its name, two of its link.
fn entries(input: &[u8]) -> Vec<u8> {
    let outside = PLACE.1.folder.display().to_string();
    let step = |byte: u8| STEPS[usize::from(byte % 16)];
    let path = |first: u8, second: u8| {
        let start = if first & 0x80 == 0 { "" } else { "/" };
        let name = if second & 0x80 == 0 {
            format!("{start}{}/{}", step(first), step(second))
        } else {
            format!("{start}{}/{}/{}", step(first), step(first >> 3), step(second))
        };
        name.replace("OUT", &format!("../../../../../../..{outside}"))
    };
    let mut tar = Tar::new();
    for piece in input.chunks_exact(6) {
        let kind = KINDS[usize::from(piece[0] % 16)];
        let (name, link) = (path(piece[2], piece[3]), path(piece[4], piece[5]));
        let content: &[u8] = if b"0xL".contains(&kind) { link.as_bytes() } else { b"" };
        tar = tar.entry(kind, name.as_bytes(), link.as_bytes(), content, |header| {
            header.set_mode(u32::from(piece[1]) << 4);
            if b"34".contains(&kind) {
                header.set_device_major(u32::from(piece[1] & 1)).unwrap();
                header.set_device_minor(u32::from(piece[1] & 2)).unwrap();
            }
        });
    }
    tar.finish()
}

/// The bytes as they are, but every block has the checksum that it would need as a header.
fn headers(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
    for block in bytes.chunks_exact_mut(512).filter(|block| block.iter().any(|byte| *byte != 0)) {
        let mut header = tar::Header::from_byte_slice(block).clone();
        header.set_cksum();
        block.copy_from_slice(header.as_bytes());
    }
    bytes
}
