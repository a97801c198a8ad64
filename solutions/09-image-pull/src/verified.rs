//! Checks bytes while they pass: the second thing that an image is not trusted with.
//!
//! Whoever checks a file first and reads it afterwards can be given another file in between, and
//! whoever unpacks first and checks afterwards has read what nobody vouched for as long as memory
//! and disk last. So the check is a reader: what comes out of it went through the hash, and the
//! last read fails if the hash, or the size, is not what was promised (OCI image specification,
//! descriptor.md, "Digests" and "Verification").

use crate::Digest;
use anyhow::Result;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};

/// A reader that lets bytes pass while it counts and hashes them, and that ends in an error if
/// they were not the right ones. What has been read is worth nothing before that end is reached.
pub(crate) struct Verified<'a, R> {
    inner: R,
    digest: &'a Digest,
    size: Option<u64>,
    hasher: Sha256,
    seen: u64,
}

impl<'a, R: Read> Verified<'a, R> {
    /// Expects bytes that hash to `digest` and, if it is known, exactly `size` of them.
    pub fn new(inner: R, digest: &'a Digest, size: Option<u64>) -> Self {
        Verified { inner, digest, size, hasher: Sha256::new(), seen: 0 }
    }

    /// Reads what is left, so that the end is seen and checked.
    pub fn finish(mut self) -> Result<()> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(())
    }
}

impl<R: Read> Read for Verified<'_, R> {
    // ANCHOR: verified
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        // ANCHOR: todo_digest_check: hash and count what passes; too many bytes, too few at the end, or a wrong hash there are errors
        self.hasher.update(&buffer[..count]);
        self.seen += count as u64;
        let (digest, seen) = (self.digest, self.seen);
        if self.size.is_some_and(|size| seen > size) {
            return Err(damaged(format!("{digest} goes on after the bytes it should have")));
        }
        if count == 0 && !buffer.is_empty() {
            if self.size.is_some_and(|size| seen < size) {
                return Err(damaged(format!("{digest} ends after {seen} bytes")));
            }
            let is = Digest::from(self.hasher.clone());
            if is != *digest {
                return Err(damaged(format!("the bytes hash to {is} instead of {digest}")));
            }
        }
        // ANCHOR_END: todo_digest_check
        Ok(count)
    }
    // ANCHOR_END: verified
}

fn damaged(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
