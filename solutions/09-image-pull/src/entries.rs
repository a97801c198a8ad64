//! Reads a tar archive entry by entry, in bounded memory however long it is.
//!
//! An entry is a block of 512 bytes, its header, and then its content, padded to full blocks. What
//! does not fit into a header (long names, nanoseconds, extended attributes) comes before it in
//! entries of its own: as *pax* records `LENGTH KEY=VALUE\n`, or as GNU's long names (tar(5)).
//!
//! The `tar` crate knows the header's fields. Its iterator is not used: it reads pax records and
//! long names of any length into memory, it splits records at line ends, which a binary value such
//! as `security.capability` may contain, and it then overlooks the rest. In doubt this reads an
//! archive as Go's archive/tar does, so that an image means here what it means to docker.

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::Timespec;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use tar::Header;

const BLOCK: usize = 512;

/// The longest pax record block or GNU name, in bytes; Go has the same bound.
const LARGEST_EXTENSION: u64 = 1 << 20;

/// One thing in an archive, with all that is known of it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub kind: Kind,
    /// As the archive has it: not to be believed.
    pub name: PathBuf,
    /// Permissions with set-user-id, set-group-id and sticky bit.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub accessed: Timespec,
    pub modified: Timespec,
    /// Extended attributes, by name.
    pub xattrs: Vec<(OsString, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Its content is what [`Entries`] reads next.
    File,
    Folder,
    Symlink(PathBuf),
    /// To an earlier entry of this name.
    HardLink(PathBuf),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// The archive; between two calls of [`Entries::next`] it reads as the content of the entry.
pub(crate) struct Entries<R> {
    tar: R,
    content: u64,
    padding: u64,
}

/// What the entries before an entry say of it.
#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Vec<u8>,
}

impl<R: Read> Entries<R> {
    pub fn new(tar: R) -> Self {
        Entries { tar, content: 0, padding: 0 }
    }

    /// The next entry, or `None` at the end of the archive.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        while let Some(header) = self.header()? {
            let size = number(&header.as_old().size).context("bad size")?;
            match header.as_old().linkflag[0] {
                b'L' => extensions.name = Some(until_nul(self.extension(size)?)),
                b'K' => extensions.link = Some(until_nul(self.extension(size)?)),
                b'x' => extensions.pax = self.extension(size)?,
                // Defaults for all entries after it. Docker ignores them; git writes a comment.
                b'g' => drop(self.extension(size)?),
                _ => return self.entry(&header, size, extensions).map(Some),
            }
        }
        Ok(None)
    }

    /// Skips what is left of the last entry and reads the next header.
    fn header(&mut self) -> Result<Option<Header>> {
        self.skip_rest().context("cannot read on")?;
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes()).context("cannot read a header")? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|b| *b == 0) {
            // Two empty blocks end an archive. What comes after them is no part of it.
            let mut second = [0; BLOCK];
            self.block(&mut second).context("cannot read the archive's end")?;
            ensure!(second.iter().all(|b| *b == 0), "there is an empty block amid the archive");
            return Ok(None);
        }
        ensure!(checksum_is_right(&header), "a header's checksum is wrong: this is no tar archive");
        Ok(Some(header))
    }

    /// Fills a block. `false`: the archive was at its end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.tar.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(ends_early()),
                count => filled += count,
            }
        }
        Ok(true)
    }

    fn starts(&mut self, size: u64) {
        self.content = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    /// Reads the whole content of an entry that describes another.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        ensure!(
            size <= LARGEST_EXTENSION,
            "{size} bytes describe one entry; more than {LARGEST_EXTENSION} are not accepted"
        );
        self.starts(size);
        let mut content = Vec::new();
        self.read_to_end(&mut content).context("cannot read what describes an entry")?;
        Ok(content)
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink())?;
        let padding = io::copy(&mut self.tar.by_ref().take(self.padding), &mut io::sink())?;
        if padding < self.padding {
            return Err(ends_early());
        }
        self.padding = 0;
        Ok(())
    }

    fn entry(&mut self, header: &Header, size: u64, extensions: Extensions) -> Result<Entry> {
        let old = header.as_old();
        let mut link = header.link_name_bytes().unwrap_or_default().into_owned();
        let modified =
            Timespec { tv_sec: number(&old.mtime).context("bad time")? as i64, tv_nsec: 0 };
        let mut entry = Entry {
            kind: Kind::File,
            name: path(header.path_bytes().into_owned()),
            mode: number(&old.mode).context("bad mode")? as u32 & 0o7777,
            uid: 0,
            gid: 0,
            accessed: modified,
            modified,
            xattrs: Vec::new(),
        };
        let mut accessed = None;
        let (mut size, mut uid, mut gid) = (size, number(&old.uid)?, number(&old.gid)?);
        for record in pax_records(&extensions.pax) {
            let (key, value) = record?;
            match key {
                _ if value.is_empty() => {} // says "as if this record were not here"
                b"path" => entry.name = path(value.to_vec()),
                b"linkpath" => link = value.to_vec(),
                b"size" => size = decimal(value).context("bad size")?,
                b"uid" => uid = decimal(value).context("bad owner")?,
                b"gid" => gid = decimal(value).context("bad group")?,
                b"mtime" => entry.modified = time(value).context("bad time")?,
                b"atime" => accessed = Some(time(value).context("bad time")?),
                _ if key.starts_with(b"GNU.sparse.") => {
                    bail!("{}: it is a sparse file, which is not supported", entry.name.display())
                }
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        let name = OsString::from_vec(name.to_vec());
                        entry.xattrs.push((name, value.to_vec()));
                    }
                }
            }
        }
        entry.accessed = accessed.unwrap_or(entry.modified);
        if let Some(name) = extensions.name {
            entry.name = path(name);
        }
        if let Some(name) = extensions.link {
            link = name;
        }
        (entry.uid, entry.gid) = (id(uid).context("bad owner")?, id(gid).context("bad group")?);
        entry.kind = kind(header, &entry, path(link))?;
        // Only files have content. A size on anything else means nothing, as for Go.
        self.starts(if entry.kind == Kind::File { size } else { 0 });
        Ok(entry)
    }
}

impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.content.min(buffer.len() as u64) as usize;
        let count = self.tar.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(ends_early());
        }
        self.content -= count as u64;
        Ok(count)
    }
}

fn ends_early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends in the middle of an entry")
}

fn kind(header: &Header, entry: &Entry, link: PathBuf) -> Result<Kind> {
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
        b'S' => bail!("{}: it is a sparse file, which is not supported", entry.name.display()),
        other => {
            bail!("{}: entries of type {:?} are not supported", entry.name.display(), other as char)
        }
    })
}

/// The sum of the header's bytes, with spaces where the sum itself stands.
fn checksum_is_right(header: &Header) -> bool {
    let bytes = header.as_bytes();
    let sum = |part: &[u8]| part.iter().map(|b| u64::from(*b)).sum::<u64>();
    let sum = sum(&bytes[..148]) + 8 * u64::from(b' ') + sum(&bytes[156..]);
    number(&header.as_old().cksum).is_ok_and(|written| written == sum)
}

/// A number as headers have them: octal digits, or binary if the first bit is set (GNU).
fn number(field: &[u8]) -> Result<u64> {
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

/// Takes pax records apart. Each begins with its own length, so its value may hold anything.
fn pax_records(mut rest: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = pax_record(&mut rest);
        if record.is_none() {
            rest = &[];
        }
        Some(record.context("malformed pax record"))
    })
}

fn pax_record<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let space = rest.iter().position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&rest[..space]).ok()?.parse().ok()?;
    let record = rest.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    *rest = &rest[length..];
    Some((&record[..equals], &record[equals + 1..]))
}

fn decimal(value: &[u8]) -> Result<u64> {
    Ok(std::str::from_utf8(value)?.parse()?)
}

/// A time in seconds with a fraction: `1700000000.123456789`, `-0.5`.
fn time(value: &[u8]) -> Result<Timespec> {
    let text = std::str::from_utf8(value)?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (mut tv_sec, mut tv_nsec) = (seconds.parse::<i64>()?, i64::from(digits.parse::<u32>()?));
    if text.starts_with('-') && tv_nsec > 0 {
        // The kernel counts nanoseconds forward from the second before.
        (tv_sec, tv_nsec) = (tv_sec.checked_sub(1).context("too early")?, 1_000_000_000 - tv_nsec);
    }
    Ok(Timespec { tv_sec, tv_nsec })
}

/// A user or group; the highest number means "leave it as it is" to chown(2), so no one has it.
fn id(number: u64) -> Result<u32> {
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.with_context(|| format!("there is no user or group {number}"))
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
    name
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pax_value_may_hold_line_ends_and_equal_signs() {
        let records = b"12 a=b\n=c\nd\n8 key=v\n";
        let records: Vec<_> = pax_records(records).map(Result::unwrap).collect();
        assert_eq!(records, [(&b"a"[..], &b"b\n=c\nd"[..]), (b"key", b"v")]);
    }

    #[test]
    fn malformed_pax_records_are_errors() {
        for bad in ["x", "5 a=b\n", "99 a=b\n", "6 a=b", "0 a=b\n", "1 a=b\n", "6 abcd\n", " =\n"] {
            assert!(pax_records(bad.as_bytes()).any(|r| r.is_err()), "{bad:?}");
        }
    }

    #[test]
    fn times_before_1970_count_forward_from_the_second_before() {
        let time = |text: &str| time(text.as_bytes()).map(|t| (t.tv_sec, t.tv_nsec)).unwrap();
        assert_eq!(time("12"), (12, 0));
        assert_eq!(time("12.5"), (12, 500_000_000));
        assert_eq!(time("1.0000000019"), (1, 1));
        assert_eq!(time("-0.25"), (-1, 750_000_000));
        assert_eq!(time("-3"), (-3, 0));
    }

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
