//! Keeps the memory of zstd's decoders small although several layers are unpacked at once.
//!
//! Each frame of a zstd file says how far back its bytes refer, its *window* (RFC 8878, 3.1.1.1.2),
//! and the decoder keeps so much of what came out. Every decoder should bear 8 MiB, and compressors
//! stay below that unless they are told otherwise; 128 MiB are the most that are accepted. Layers
//! with windows above 8 MiB take turns: one at a time, however many are in work. So all decoders
//! together have 24 MiB and, while there is such a layer, 128 more.

use std::io::{self, BufRead, Read};
use std::sync::{Condvar, Mutex};

/// What each layer may have for itself.
const USUAL: u64 = 8 << 20;

/// What one at a time may have.
const MOST: u64 = 128 << 20;

/// Is it somebody's turn?
static TAKEN: Mutex<bool> = Mutex::new(false);
static FREE: Condvar = Condvar::new();

/// The right to a large window, until it is dropped.
struct Turn;

impl Turn {
    /// Waits until nobody has it. Who has it waits for nobody else's layer, so it comes.
    fn take() -> Turn {
        let taken = TAKEN.lock().expect("no holder panics");
        *FREE.wait_while(taken, |taken| *taken).expect("no holder panics") = true;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().expect("no holder panics") = false;
        FREE.notify_one();
    }
}

/// What the scan expects next. Where it sees what is no zstd it stops: the decoder will say why.
enum Next {
    Frame,
    Block { has_checksum: bool },
    Unknown,
}

/// A reader of a zstd file that looks at the heads of its frames and blocks before the decoder does.
pub(crate) struct Windows<R> {
    inner: R,
    next: Next,
    /// The bytes of the head that is being read, and how many to skip before the next.
    head: Vec<u8>,
    skip: u64,
    /// How much of the buffer has been looked at.
    seen: usize,
    turn: Option<Turn>,
}

impl<R: BufRead> Windows<R> {
    pub fn new(inner: R) -> Windows<R> {
        let (head, skip, seen, turn) = (Vec::new(), 0, 0, None);
        Windows { inner, next: Next::Frame, head, skip, seen, turn }
    }
}

impl<R: BufRead> BufRead for Windows<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.inner.fill_buf()?;
        let mut new = &bytes[self.seen..];
        self.seen = bytes.len();
        while let [first, rest @ ..] = new {
            if matches!(self.next, Next::Unknown) {
                break;
            }
            let skipped = new.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            if skipped > 0 {
                self.skip -= skipped as u64;
                new = &new[skipped..];
                continue;
            }
            self.head.push(*first);
            new = rest;
            let Some(head) = read_head(&self.next, &self.head) else { continue };
            if head.window > MOST {
                return Err(io::Error::other(format!(
                    "a decoder would need {} MiB of memory for it, and has {} at most\n\
                     hint: have it compressed without --long, or with a window that is smaller",
                    head.window.div_ceil(1 << 20),
                    MOST >> 20
                )));
            }
            if head.window > USUAL && self.turn.is_none() {
                self.turn = Some(Turn::take());
            }
            (self.next, self.skip) = (head.next, head.skip);
            self.head.clear();
        }
        self.inner.fill_buf() // the same once more, without reading
    }

    fn consume(&mut self, count: usize) {
        self.seen -= count;
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for Windows<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

/// What the head of a frame or a block says.
struct Head {
    window: u64,
    next: Next,
    skip: u64,
}

/// Reads a head. `None`: it is not complete yet.
fn read_head(what: &Next, head: &[u8]) -> Option<Head> {
    let number = |bytes: &[u8]| {
        bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let Next::Frame = what else {
        let Next::Block { has_checksum } = *what else { return None };
        let block = number(head.get(..3)?);
        let (is_last, is_repeated) = (block & 1 == 1, block >> 1 & 3 == 1);
        let size = if is_repeated { 1 } else { block >> 3 };
        return Some(match is_last {
            true => Head { window: 0, next: Next::Frame, skip: size + 4 * u64::from(has_checksum) },
            false => Head { window: 0, next: Next::Block { has_checksum }, skip: size },
        });
    };
    match head.get(..4)? {
        [0x28, 0xb5, 0x2f, 0xfd] => {}
        [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
            return Some(Head { window: 0, next: Next::Frame, skip: number(head.get(4..8)?) });
        }
        _ => return Some(Head { window: 0, next: Next::Unknown, skip: 0 }),
    }
    let descriptor = *head.get(4)?;
    let is_single = descriptor & 0x20 != 0; // the whole content is one segment: no window is named
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let content = [usize::from(is_single), 2, 4, 8][usize::from(descriptor >> 6)];
    let at = 5 + usize::from(!is_single) + dictionary;
    let content = number(head.get(at..at + content)?);
    let window = match is_single {
        true => content,
        false => {
            let (exponent, eighths) = (head[5] >> 3, head[5] & 7);
            let base = 1_u64 << (10 + exponent);
            base + base / 8 * u64::from(eighths)
        }
    };
    let has_checksum = descriptor & 4 != 0;
    Some(Head { window, next: Next::Block { has_checksum }, skip: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufReader, Write};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// Frames of both kinds, with and without a checksum and a known size; the window of one.
    fn frames(log: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (log, checksum) in [(17, true), (20, false), (log, true), (17, false)] {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.include_checksum(checksum).unwrap();
            let content: Vec<u8> =
                (0..300_000_u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
            encoder.write_all(&content).unwrap();
            encoder.write_all(&[0; 1 << 20]).unwrap();
            bytes.extend(encoder.finish().unwrap());
            bytes.extend([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
            bytes.extend(zstd::bulk::compress(&content[..5000], 3).unwrap());
        }
        bytes
    }

    #[test]
    fn a_frame_with_a_large_window_is_found_wherever_it_is() {
        for (log, is_large) in [(23, false), (24, true), (27, true)] {
            for capacity in [1, 7, 1000, 128 << 10] {
                let bytes = frames(log);
                let mut windows = Windows::new(BufReader::with_capacity(capacity, &bytes[..]));
                let mut all = Vec::new();
                windows.read_to_end(&mut all).unwrap();
                assert!(all == bytes);
                assert_eq!(windows.turn.is_some(), is_large, "{log}, {capacity}");
                assert!(matches!(windows.next, Next::Frame) && windows.head.is_empty());
            }
        }
    }

    #[test]
    fn a_window_beyond_all_measure_is_refused() {
        let bytes = frames(28);
        let error = Windows::new(&bytes[..]).read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("256 MiB") && error.to_string().contains("hint: "));
    }

    #[test]
    fn one_large_window_waits_for_another() {
        let is_free = AtomicBool::new(false);
        let first = Turn::take();
        thread::scope(|scope| {
            let second = scope.spawn(|| {
                drop(Turn::take());
                is_free.load(Ordering::Relaxed)
            });
            is_free.store(true, Ordering::Relaxed);
            drop(first);
            assert!(second.join().unwrap());
        });
    }

    #[test]
    fn what_is_no_zstd_passes() {
        for bytes in [&b"hello, this is text"[..], &[], &[0x28, 0xb5, 0x2f, 0xfd], &[0x50, 0x2a]] {
            let mut all = Vec::new();
            Windows::new(bytes).read_to_end(&mut all).unwrap();
            assert_eq!(all, bytes);
        }
    }
}
