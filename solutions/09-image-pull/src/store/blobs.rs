//! Keeps blobs under their digests, and takes in new ones so that none is ever wrong or half there.
//!
//! ```text
//! ROOT/blobs/sha256/<hex>     a blob: as soon as its name is there, all of it is, and checked
//! ROOT/downloading/<hex>      one on its way; locked (flock(2)) by who brings it
//! ```
//!
//! Of several who want the same blob one fetches it, the others wait for the lock and find it
//! there. Who is killed leaves what has come so far: the next one reads that into the hash and asks
//! only for the rest.

use crate::Digest;
use crate::documents::{Descriptor, LARGEST_DOCUMENT};
use crate::room::explain_full_for;
use crate::verified::Verified;
use anyhow::{Context, Result, anyhow};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, openat, stat, statvfs};
use rustix::io::{Errno, retry_on_intr};
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Bytes that are read from the network and written at a time.
const BUFFER: usize = 128 << 10;

/// A folder of blobs, and beside it one for those that come.
#[derive(Clone, Debug)]
pub(crate) struct Blobs {
    root: PathBuf,
}

impl Blobs {
    /// Makes what is missing in the folder `root`.
    pub fn open(root: &Path) -> Result<Blobs> {
        let blobs = Blobs::of(root);
        for folder in [blobs.folder(), blobs.coming()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(blobs)
    }

    /// Those in a folder that has been opened before.
    pub fn of(root: &Path) -> Blobs {
        Blobs { root: root.to_owned() }
    }

    pub fn folder(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub fn coming(&self) -> PathBuf {
        self.root.join("downloading")
    }

    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder().join(digest.hex())
    }

    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Stores a document that has been checked.
    pub fn add(&self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let size = bytes.len() as u64;
        let blob = Descriptor::new(String::new(), digest.clone(), size);
        self.take_in(&blob, |from| Ok(&bytes[from as usize..]), |_| Ok(()), || ())
    }

    /// Takes in a blob, unless it is here. `fetch` opens it from a byte on; `seen` is told of each
    /// piece that came, and may stop it all. `waiting` is told that somebody else brings it.
    pub fn take_in<R: Read>(
        &self,
        blob: &Descriptor,
        fetch: impl Fn(u64) -> Result<R>,
        seen: impl Fn(u64) -> Result<()>,
        waiting: impl Fn(),
    ) -> Result<()> {
        if self.has(&blob.digest) {
            return Ok(());
        }
        let Some(mut file) = self.lock(&blob.digest, waiting)? else { return Ok(()) };
        let name = self.coming().join(blob.digest.hex());
        let mut begun = file.metadata()?.len();
        if begun > blob.size {
            file.set_len(0)?;
            begun = 0;
        }
        let mut taken = fill(&mut file, blob, begun, &fetch, &seen);
        if begun > 0 && taken.as_ref().is_err_and(is_damage) {
            // What an earlier one left may have been the wrong part. Once more, from the beginning.
            file.set_len(0).and_then(|()| file.rewind())?;
            taken = fill(&mut file, blob, 0, &fetch, &seen);
        }
        let is_nothing = || file.metadata().is_ok_and(|file| file.len() == 0);
        if taken.as_ref().is_err_and(|error| is_damage(error) || is_nothing()) {
            fs::remove_file(&name)?; // nobody should go on from here
        }
        let stored = taken.and_then(|()| self.put_into_place(&file, &name, &blob.digest));
        let rest = || blob.size.saturating_sub(file.metadata().map_or(0, |file| file.len()));
        stored
            .map_err(|error| explain_full_for(error, &self.root, rest()))
            .with_context(|| format!("cannot store blob {}", blob.digest))
    }

    /// It has to be on the disk before its name is: after a power cut, too, a blob that is there is
    /// whole. The name itself may wait until an image is listed that needs it.
    fn put_into_place(&self, file: &File, name: &Path, digest: &Digest) -> Result<()> {
        let to = self.path(digest);
        file.sync_data()
            .and_then(|()| fs::rename(name, &to))
            .with_context(|| format!("cannot write {} to the disk", to.display()))
    }

    /// The file of a blob that comes, locked. `None`: it has come while we waited for the lock.
    fn lock(&self, digest: &Digest, waiting: impl Fn()) -> Result<Option<File>> {
        let path = self.coming().join(digest.hex());
        let cannot = || format!("cannot open {}", path.display());
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR).with_context(cannot)?;
            let lock = |how| retry_on_intr(|| flock(&file, how));
            match lock(FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => {
                    waiting();
                    lock(FlockOperation::LockExclusive)
                }
                locked => locked,
            }
            .with_context(cannot)?;
            if self.has(digest) {
                // Who had the lock has renamed it; this one is empty and nobody's.
                let _ = fs::remove_file(&path);
                return Ok(None);
            }
            let (mine, there) = (fstat(&file).with_context(cannot)?, stat(&path));
            if there.is_ok_and(|there| (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)) {
                return Ok(Some(file.into()));
            }
        }
    }

    /// Says how much room is missing before anything is fetched that will not fit.
    pub fn check_room<'a>(&self, blobs: impl Iterator<Item = &'a Descriptor>) -> Result<()> {
        let mut missing: Vec<&Descriptor> = blobs.filter(|blob| !self.has(&blob.digest)).collect();
        missing.sort_by_key(|blob| &blob.digest);
        missing.dedup_by_key(|blob| &blob.digest);
        let here = |blob: &Descriptor| {
            fs::metadata(self.coming().join(blob.digest.hex())).map_or(0, |file| file.len())
        };
        let rest = missing.iter().map(|blob| blob.size.saturating_sub(here(blob)));
        let wanted = rest.fold(0, u64::saturating_add);
        let disk = statvfs(&self.root)
            .with_context(|| format!("cannot look at {}", self.root.display()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if wanted > free {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let root = self.root.display();
            return Err(anyhow!(
                "the image does not fit into {root}: it wants {} MiB before it is even unpacked\n\
                 hint: {} MiB are free there, so {} MiB are missing; make room, or use a folder on another disk",
                mib(wanted),
                free >> 20,
                mib(wanted - free)
            ));
        }
        Ok(())
    }
}

/// Writes the rest of a blob after the `begun` bytes that are in the file, and checks the whole.
fn fill<R: Read>(
    file: &mut File,
    blob: &Descriptor,
    begun: u64,
    fetch: &impl Fn(u64) -> Result<R>,
    seen: &impl Fn(u64) -> Result<()>,
) -> Result<()> {
    let old = file.try_clone()?.take(begun); // the same position: reading takes us to the end
    file.seek(SeekFrom::Start(0))?;
    // After its last byte there is nothing to ask for: a registry would refuse it (status 416).
    let most = if begun < blob.size { u64::MAX } else { 0 };
    let rest = Lazy { fetch: || fetch(begun), opened: None }.take(most);
    let mut whole = Verified::new(old.chain(rest), &blob.digest, Some(blob.size));
    let mut buffer = vec![0; BUFFER.min(LARGEST_DOCUMENT as usize)];
    let mut at = 0;
    loop {
        let most = if at < begun { buffer.len().min((begun - at) as usize) } else { buffer.len() };
        let count = whole.read(&mut buffer[..most])?;
        if count == 0 {
            return Ok(());
        }
        if at >= begun {
            file.write_all(&buffer[..count])?;
        }
        at += count as u64;
        seen(count as u64)?;
    }
}

/// Opens what it reads from when the first byte is wanted: a blob that has come to its last byte
/// but was not checked any more needs nobody to be asked.
struct Lazy<F, R> {
    fetch: F,
    opened: Option<R>,
}

impl<F: Fn() -> Result<R>, R: Read> Read for Lazy<F, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.opened.is_none() {
            self.opened = Some((self.fetch)().map_err(io::Error::other)?);
        }
        self.opened.as_mut().expect("opened a line before").read(buffer)
    }
}

/// Were the bytes wrong, not only missing?
fn is_damage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::InvalidData)
    })
}
