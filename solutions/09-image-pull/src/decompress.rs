//! Undoes a layer's compression: gzip, zstd or none.

mod windows;

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};
use windows::Windows;

/// Bytes between the file and the decoder: few calls, and still a fraction of a processor's cache.
const BUFFER: usize = 128 << 10;

/// Gzip makes nothing smaller than a 1032nd of it (deflate's longest match is 258 bytes, in two
/// bits). zstd can, without limit, so a blob of kilobytes may stand for terabytes: a bomb. An image
/// does not say how large its layers are unpacked, so there is nothing to check them against but
/// this: what no gzip could do, no honest layer does.
const MOST_EXPANSION: u64 = 1032;

/// A layer may unpack to so many bytes however small it is: a file with holes, a few empty blocks.
const ALWAYS_ALLOWED: u64 = 64 << 20;

/// Looks at the first bytes of `blob`, which has `size` bytes, and returns a reader of what was
/// compressed. It fails where more comes out than an honest layer holds.
///
/// A decoder has 8 MiB of memory, or 128 MiB in one layer at a time (`windows.rs`).
///
/// Compressed files may be several put end to end: pigz and stargz make such gzip files, and
/// zstd:chunked such zstd files.
pub(crate) fn decompress<'a>(
    blob: impl Read + Send + 'a,
    size: u64,
) -> Result<impl Read + Send + 'a> {
    let mut blob = BufReader::with_capacity(BUFFER, blob);
    let first = fill(&mut blob).context("cannot read the layer")?;
    let inner: Box<dyn Read + Send + 'a> = match first {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(blob)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(zstd::Decoder::with_buffer(Windows::new(blob)).context("cannot start zstd")?)
        }
        _ => Box::new(blob),
    };
    let left = size.saturating_mul(MOST_EXPANSION).saturating_add(ALWAYS_ALLOWED);
    Ok(Bounded { inner, left })
}

/// A reader that has so many bytes left to give, and fails if there are more.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(
                "it unpacks to more than 1032 times its size, which no honest layer does: a bomb",
            )
        })?;
        Ok(count)
    }
}

fn fill(blob: &mut impl BufRead) -> io::Result<&[u8]> {
    blob.fill_buf()
}
