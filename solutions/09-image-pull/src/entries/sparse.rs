//! Reads where the pieces of a file with holes belong.
//!
//! `tar -S` leaves the holes of a file out and writes a map of what is between them: GNU tar into
//! the header and blocks after it (old format), or as text before the content (pax format 1.0,
//! bsdtar's too). See "Storing Sparse Files" in the manual of GNU tar.

use super::{Entries, Entry, Kind, ends_early};
use anyhow::{Context, Result, bail, ensure};
use std::io::Read;
use std::path::PathBuf;
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

/// No more pieces than this are accepted: the map has to be kept in memory.
const MOST_PIECES: u64 = 1 << 16;

/// A file with holes: its whole size, and offset and length of each piece that is stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sparse {
    pub size: u64,
    pub pieces: Vec<(u64, u64)>,
}

impl Sparse {
    pub fn new(size: u64) -> Sparse {
        Sparse { size, pieces: Vec::new() }
    }

    /// Adds the pieces that a GNU header lists.
    pub fn add_gnu(&mut self, pieces: &[GnuSparseHeader]) -> Result<()> {
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            self.add(piece.offset()?, piece.length()?)?;
        }
        Ok(())
    }

    /// Adds the pieces of the blocks after a GNU header; `next_block` reads one.
    pub fn add_gnu_blocks(
        &mut self,
        mut next_block: impl FnMut(&mut [u8; 512]) -> Result<()>,
    ) -> Result<()> {
        loop {
            let mut block = GnuExtSparseHeader::new();
            next_block(block.as_mut_bytes())?;
            self.add_gnu(block.sparse())?;
            if !block.is_extended() {
                return Ok(());
            }
        }
    }

    /// Reads a map of pax format 1.0 from the beginning of the content: how many pieces, then
    /// their offsets and lengths, each number on a line, filled up to whole blocks.
    pub fn read_pax(size: u64, content: impl Read) -> Result<Sparse> {
        let mut sparse = Sparse::new(size);
        let mut numbers = Numbers { content, block: [0; 512], used: 512 };
        let count = numbers.next()?;
        ensure!(count <= MOST_PIECES, "it has {count} pieces, more than {MOST_PIECES}");
        for _ in 0..count {
            sparse.add(numbers.next()?, numbers.next()?)?;
        }
        Ok(sparse)
    }

    fn add(&mut self, offset: u64, length: u64) -> Result<()> {
        let end = self.pieces.last().map_or(0, |(offset, length)| offset + length);
        let fits = offset.checked_add(length).is_some_and(|end| end <= self.size);
        ensure!(offset >= end && fits, "its pieces overlap or lie outside of it");
        ensure!((self.pieces.len() as u64) < MOST_PIECES, "it has more than {MOST_PIECES} pieces");
        self.pieces.push((offset, length));
        Ok(())
    }

    /// The bytes that are stored.
    pub fn stored(&self) -> u64 {
        self.pieces.iter().map(|(_, length)| length).sum() // no overflow: they don't overlap
    }
}

/// Decimal numbers, each on a line, in blocks of which the last is used in part.
struct Numbers<R> {
    content: R,
    block: [u8; 512],
    used: usize,
}

impl<R: Read> Numbers<R> {
    fn next(&mut self) -> Result<u64> {
        let mut digits = String::new();
        loop {
            if self.used == self.block.len() {
                self.content.read_exact(&mut self.block).context("cannot read its map")?;
                self.used = 0;
            }
            let byte = self.block[self.used];
            self.used += 1;
            if byte == b'\n' {
                return digits.parse().context("its map is malformed");
            }
            ensure!(byte.is_ascii_digit() && digits.len() < 20, "its map is malformed");
            digits.push(byte.into());
        }
    }
}

/// What pax records say of a file with holes.
#[derive(Default)]
pub(super) struct PaxHoles {
    pub version: (Option<u64>, Option<u64>),
    pub name: Option<PathBuf>,
    pub size: Option<u64>,
    pub is_old: bool,
}

impl<R: Read> Entries<R> {
    /// If the entry is a file with holes, reads where they are.
    pub(super) fn find_holes(
        &mut self,
        header: &Header,
        entry: &mut Entry,
        pax: PaxHoles,
    ) -> Result<()> {
        match (&mut entry.kind, pax.version) {
            (Kind::SparseFile(sparse), _) => {
                let gnu = header.as_gnu().context("its header is not GNU's")?;
                sparse.size = gnu.real_size()?;
                sparse.add_gnu(&gnu.sparse)?;
                if gnu.is_extended() {
                    sparse.add_gnu_blocks(|block| match self.block(block) {
                        Ok(false) => Err(ends_early().into()),
                        read => read.map(drop).map_err(Into::into),
                    })?;
                }
                ensure!(sparse.stored() == self.content, "its pieces do not add up");
            }
            (Kind::File, (Some(1), Some(0))) => {
                let sparse = Sparse::read_pax(pax.size.context("it has no size")?, &mut *self)?;
                ensure!(sparse.stored() == self.content, "its pieces do not add up");
                entry.kind = Kind::SparseFile(sparse);
                entry.name = pax.name.unwrap_or_else(|| entry.name.clone());
            }
            (_, (None, None)) if !pax.is_old => {}
            _ => bail!("only the old format and pax format 1.0 are supported"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_may_go_over_several_blocks() {
        let pieces: Vec<(u64, u64)> = (0..200).map(|n| (n * 1_000_000, 4096)).collect();
        let mut text = format!("{}\n", pieces.len());
        pieces.iter().for_each(|(offset, length)| text += &format!("{offset}\n{length}\n"));
        let mut bytes = text.into_bytes();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(b"the content");
        let mut content = bytes.as_slice();
        let sparse = Sparse::read_pax(200_000_000, &mut content).unwrap();
        assert_eq!((sparse.stored(), &sparse.pieces), (200 * 4096, &pieces));
        assert_eq!(content, b"the content");
    }

    #[test]
    fn maps_that_make_no_sense_are_refused() {
        let read = |text: &str| {
            let mut block = text.as_bytes().to_vec();
            block.resize(512, 0);
            Sparse::read_pax(1000, block.as_slice())
        };
        assert!(read("1\n0\n1000\n").is_ok());
        for bad in [
            "",
            "x\n",
            "-1\n",
            "1\n0\n1001\n",
            "1\n999\n2\n",
            "2\n10\n10\n15\n10\n",
            "2\n10\n10\n0\n5\n",
            "1\n18446744073709551615\n2\n",
            "99999999999\n",
            "111111111111111111111111\n",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
