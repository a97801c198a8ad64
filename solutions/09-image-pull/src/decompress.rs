//! Undoes a layer's compression: gzip, zstd or none.

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// Bytes between the file and the decoder: few calls, and still a fraction of a processor's cache.
const BUFFER: usize = 128 << 10;

/// Looks at the first bytes of `blob` and returns a reader of what was compressed.
///
/// Compressed files may be several put end to end: pigz and stargz make such gzip files, and
/// zstd:chunked such zstd files.
pub(crate) fn decompress<'a>(blob: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    let mut blob = BufReader::with_capacity(BUFFER, blob);
    let first = fill(&mut blob).context("cannot read the layer")?;
    Ok(match first {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(blob)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(zstd::Decoder::with_buffer(blob).context("cannot start zstd")?)
        }
        _ => Box::new(blob),
    })
}

fn fill(blob: &mut impl BufRead) -> io::Result<&[u8]> {
    blob.fill_buf()
}
