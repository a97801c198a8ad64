//! Reads the fields of a header (tar(5)): what an entry is, and numbers in the ways there are to
//! write them.

use super::sparse::Sparse;
use super::{Entry, Kind};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use tar::Header;

/// What a header says that its entry is.
pub(super) fn kind(header: &Header, entry: &Entry, link: PathBuf) -> Result<Kind> {
    let device = || -> Result<(u32, u32)> {
        let ustar = header.as_ustar().map(|u| (u.dev_major, u.dev_minor));
        let gnu = header.as_gnu().map(|g| (g.dev_major, g.dev_minor));
        let (major, minor) = ustar.or(gnu).context("a device without a number")?;
        Ok((u32::try_from(number(&major)?)?, u32::try_from(number(&minor)?)?))
    };
    Ok(match header.as_old().linkflag[0] {
        // The oldest archives know folders only by the slash at the end.
        0 if entry.name.as_os_str().as_encoded_bytes().ends_with(b"/") => Kind::Folder,
        0 | b'0' => Kind::File,
        b'1' => Kind::HardLink(link),
        b'2' => Kind::Symlink(link),
        b'3' => device().map(|(major, minor)| Kind::CharDevice(major, minor))?,
        b'4' => device().map(|(major, minor)| Kind::BlockDevice(major, minor))?,
        b'5' => Kind::Folder,
        b'6' => Kind::Fifo,
        b'S' => Kind::SparseFile(Sparse::new(0)),
        other => {
            bail!("{}: entries of type {:?} are not supported", entry.name.display(), other as char)
        }
    })
}

/// The sum of the header's bytes, with spaces where the sum itself stands.
pub(super) fn checksum_is_right(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let sum = |part: &[u8]| part.iter().map(|b| u64::from(*b)).sum::<u64>();
    let sum = sum(&bytes[..148]) + 8 * u64::from(b' ') + sum(&bytes[156..]);
    number(&header.as_old().cksum).is_ok_and(|written| written == sum)
}

/// A number as headers have them: octal digits, or binary if the first bit is set (GNU).
pub(super) fn number(field: &[u8]) -> Result<u64> {
    if field[0] & 0x80 != 0 {
        let (head, tail) = field.split_at(field.len() - 8);
        let mut tail: [u8; 8] = tail.try_into()?;
        if head.is_empty() {
            tail[0] &= 0x7f;
        }
        return Ok(u64::from_be_bytes(tail));
    }
    let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
    let digits = std::str::from_utf8(&field[..end])?.trim();
    if digits.is_empty() {
        return Ok(0);
    }
    u64::from_str_radix(digits, 8).with_context(|| format!("{digits:?} is no octal number"))
}

/// A user or group; the highest number means "leave it as it is" to chown(2), so no one has it.
pub(super) fn id(number: u64) -> Result<u32> {
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.with_context(|| format!("there is no user or group {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary_or_nothing() {
        assert_eq!(number(b"0000755\0").unwrap(), 0o755);
        assert_eq!(number(b"   755 \0").unwrap(), 0o755);
        assert_eq!(number(&[0; 8]).unwrap(), 0);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 1, 0]).unwrap(), 256);
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]).unwrap(), (2 << 32) + 1);
        assert_eq!(number(&[0xff; 12]).unwrap() as i64, -1);
        assert!(number(b"99").is_err());
    }
}
