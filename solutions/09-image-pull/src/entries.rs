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

mod header;
mod pax;
mod sparse;

use anyhow::{Context, Result, ensure};
use header::{checksum_is_right, id, kind, number};
use pax::{decimal, time};
use rustix::fs::Timespec;
use sparse::{PaxHoles, Sparse};
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
    /// A file with holes; what is between them is read next.
    SparseFile(Sparse),
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

    /// What the archive is read from.
    pub fn archive(&self) -> &R {
        &self.tar
    }

    /// Bytes of the entry's content that have not been read.
    pub fn left(&self) -> u64 {
        self.content
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
        if !self.skip_rest().context("cannot read on")? {
            return Ok(None);
        }
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

    /// `false`: after the content there was nothing, not even what fills its last block. umoci
    /// 0.4.7 ends an archive so, and Go takes it for an end.
    fn skip_rest(&mut self) -> io::Result<bool> {
        io::copy(self, &mut io::sink())?;
        let padding = io::copy(&mut self.tar.by_ref().take(self.padding), &mut io::sink())?;
        let goes_on = padding == self.padding;
        self.padding = 0;
        Ok(goes_on)
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
        let (mut accessed, mut holes) = (None, PaxHoles::default());
        let (mut size, mut uid, mut gid) = (size, number(&old.uid)?, number(&old.gid)?);
        for record in pax::records(&extensions.pax) {
            let (key, value) = record?;
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                let name = OsString::from_vec(name.to_vec());
                entry.xattrs.push((name, value.to_vec()));
                continue;
            }
            match key {
                _ if value.is_empty() => {} // says "as if this record were not here"
                b"path" => entry.name = path(value.to_vec()),
                b"linkpath" => link = value.to_vec(),
                b"size" => size = decimal(value).context("bad size")?,
                b"uid" => uid = decimal(value).context("bad owner")?,
                b"gid" => gid = decimal(value).context("bad group")?,
                b"mtime" => entry.modified = time(value).context("bad time")?,
                b"atime" => accessed = Some(time(value).context("bad time")?),
                b"GNU.sparse.major" => holes.version.0 = Some(decimal(value)?),
                b"GNU.sparse.minor" => holes.version.1 = Some(decimal(value)?),
                b"GNU.sparse.name" => holes.name = Some(path(value.to_vec())),
                b"GNU.sparse.realsize" => holes.size = Some(decimal(value)?),
                _ if key.starts_with(b"GNU.sparse.") => holes.is_old = true,
                _ => {}
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
        let has_content = matches!(entry.kind, Kind::File | Kind::SparseFile(_));
        self.starts(if has_content { size } else { 0 });
        let name = entry.name.clone();
        self.find_holes(header, &mut entry, holes)
            .with_context(|| format!("sparse file {}", name.display()))?;
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

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    name.truncate(name.iter().position(|b| *b == 0).unwrap_or(name.len()));
    name
}

fn path(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}
