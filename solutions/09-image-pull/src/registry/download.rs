//! Reads a blob to its end although connections break: what is missing is asked for again, from
//! where it broke off (RFC 9110, section 14, "Range Requests").
//!
//! Nothing of what comes is believed here. Whoever reads puts [`crate::verified`] around it.

use super::Registry;
use super::failure::{Failure, patiently, pause_before_next};
use super::http::Response;
use crate::documents::Descriptor;
use crate::parallel::Over;
use anyhow::{Context, Result, anyhow};
use std::io::{self, Read};
use ureq::BodyReader;

/// A connection that brought less than this does not count as an improvement on the last one.
const PROGRESS: u64 = 256 << 10;

/// A blob on its way.
pub(crate) struct Download<'a> {
    registry: &'a Registry,
    blob: &'a Descriptor,
    over: &'a Over,
    body: BodyReader<'static>,
    /// How many bytes of the blob are behind us, and where this connection began.
    at: u64,
    began_at: u64,
    /// How many connections in a row brought next to nothing.
    in_vain: u32,
}

impl<'a> Download<'a> {
    /// Asks for a blob from byte `from` on. When it is `over`, nothing is tried again.
    pub fn start(
        registry: &'a Registry,
        blob: &'a Descriptor,
        from: u64,
        over: &'a Over,
    ) -> Result<Self> {
        let body = open(registry, blob, from, over)?;
        Ok(Download { registry, blob, over, body, at: from, began_at: from, in_vain: 0 })
    }

    /// After a break: waits a little and goes on from where it broke.
    fn resume(&mut self, broken: io::Error) -> io::Result<()> {
        let has_moved = self.at - self.began_at >= PROGRESS;
        self.in_vain = if has_moved { 1 } else { self.in_vain + 1 };
        let (at, size) = (self.at, self.blob.size);
        let Some(pause) = pause_before_next(self.in_vain) else {
            return Err(io::Error::other(anyhow::Error::from(broken).context(format!(
                "the connection to {} breaks again and again, the last time after {at} of {size} bytes\n\
                 hint: try again: what is here already is not fetched again",
                self.registry.host()
            ))));
        };
        self.over.pause(pause);
        if self.over.is_set() {
            return Err(broken);
        }
        self.began_at = at;
        self.body = open(self.registry, self.blob, at, self.over).map_err(io::Error::other)?;
        Ok(())
    }
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let broken = match self.body.read(buffer) {
                Ok(0) if self.at < self.blob.size && !buffer.is_empty() => {
                    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends before its end")
                }
                Ok(count) => {
                    self.at += count as u64;
                    return Ok(count);
                }
                Err(_) if self.at >= self.blob.size => return Ok(0), // all that counts is here
                Err(error) => error,
            };
            self.resume(broken)?;
        }
    }
}

fn open(
    registry: &Registry,
    blob: &Descriptor,
    from: u64,
    over: &Over,
) -> Result<BodyReader<'static>> {
    let digest = &blob.digest;
    let range = format!("bytes={from}-");
    let range = [("range", range.as_str())];
    let headers = if from == 0 { &[][..] } else { &range[..] };
    let what = format!("cannot get blob {digest} from {}", registry.host());
    patiently(over, || {
        let response = registry.get(&format!("blobs/{digest}"), headers, &what)?;
        let skipped = match response.status {
            206 => begin_of_range(&response, blob, from).with_context(|| what.clone())?,
            _ => {
                check_length(response.length(), blob.size).with_context(|| what.clone())?;
                0 // it knows no ranges
            }
        };
        let mut body = response.reader();
        io::copy(&mut (&mut body).take(from - skipped), &mut io::sink())
            .map_err(|error| Failure::passing(anyhow::Error::from(error).context(what.clone())))?;
        Ok(body)
    })
}

/// The first byte that a partial answer brings, if it goes with what we asked for.
fn begin_of_range(response: &Response, blob: &Descriptor, from: u64) -> Result<u64> {
    let header = response.header("content-range").unwrap_or_default();
    let wrong = || anyhow!("asked for the bytes from {from} on, it sends {header:?}");
    let (range, total) =
        header.strip_prefix("bytes ").and_then(|range| range.split_once('/')).ok_or_else(wrong)?;
    let begin: u64 =
        range.split_once('-').and_then(|(from, _)| from.parse().ok()).ok_or_else(wrong)?;
    check_length(total.parse().ok(), blob.size)?;
    if begin > from {
        return Err(wrong());
    }
    Ok(begin)
}

/// A length that is not what the manifest says: one of them is wrong, and asking again won't help.
fn check_length(announced: Option<u64>, size: u64) -> Result<()> {
    match announced {
        Some(length) if length != size => {
            Err(anyhow!("it has {length} bytes there, and the manifest says {size}"))
        }
        _ => Ok(()),
    }
}
