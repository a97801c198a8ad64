//! Reads ahead on a thread of its own, so that two halves of one job keep two processors busy.
//!
//! A layer is one long chain of steps: read, hash, inflate, hash, write files. Each needs what the
//! step before it has made, but not all of it: while these bytes are written, the next can be
//! inflated. What passes between the two threads is a handful of buffers that go round, so memory
//! stays the same however long the layer is, and the faster half waits for the slower one.

use std::io::{self, ErrorKind, Read};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Builder};

/// Bytes in a buffer: enough that handing it over costs nothing beside filling it.
const BUFFER: usize = 128 << 10;

/// Buffers that go round.
const BUFFERS: usize = 4;

/// A buffer and how much of it is filled: nothing at the end. An error is the last thing to come.
type Piece = io::Result<(Vec<u8>, usize)>;

/// Calls `work` with a reader of what `source` gives, while another thread reads from `source`.
///
/// An error of `source` comes out of the reader in its place. When `work` returns early nothing
/// more is read. The thread has ended when this returns; if it panicked, so does this. Where no
/// thread is to be had (a limit on processes counts them, too), `work` reads by itself.
pub(crate) fn read_ahead<T>(source: impl Read + Send, work: impl FnOnce(&mut dyn Read) -> T) -> T {
    let source = Mutex::new(Some(source)); // whose thread takes it is known when there is one
    let take = || source.lock().expect("no holder panics").take().expect("it is taken once");
    let ((used, empty), (filled, pieces)) = (channel(), channel());
    for _ in 0..BUFFERS {
        used.send(vec![0; BUFFER]).expect("its other end is here");
    }
    let mut ahead = Ahead { pieces, used, piece: Vec::new(), at: 0, end: 0, is_over: false };
    thread::scope(|scope| {
        let read = || {
            let source = take();
            read_all(source, empty, filled);
        };
        let Ok(reader) = Builder::new().spawn_scoped(scope, read) else { return work(&mut take()) };
        let done = work(&mut ahead);
        drop(ahead); // nobody wants more: the thread ends
        reader.join().unwrap_or_else(|panic| resume_unwind(panic));
        done
    })
}

/// Fills buffers until there is nothing more to read, or nobody to read it.
fn read_all(mut source: impl Read, empty: Receiver<Vec<u8>>, filled: Sender<Piece>) {
    while let Ok(mut buffer) = empty.recv() {
        let read = loop {
            match source.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let is_last = !matches!(read, Ok(1..));
        if filled.send(read.map(|count| (buffer, count))).is_err() || is_last {
            return;
        }
    }
}

/// The reader's end.
struct Ahead {
    pieces: Receiver<Piece>,
    used: Sender<Vec<u8>>,
    piece: Vec<u8>,
    /// What has not been read of the piece: from here to there.
    at: usize,
    end: usize,
    is_over: bool,
}

impl Ahead {
    /// Gives the buffer back and waits for the next one.
    fn next(&mut self) -> io::Result<()> {
        if self.piece.capacity() > 0 {
            let _ = self.used.send(std::mem::take(&mut self.piece)); // none is wanted at the end
        }
        let gone = || io::Error::other("its bytes stopped coming"); // never a quiet end
        let piece = self.pieces.recv().unwrap_or_else(|_| Err(gone()));
        (self.piece, self.end) = piece?;
        (self.at, self.is_over) = (0, self.end == 0);
        Ok(())
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.end && !self.is_over && !buffer.is_empty() {
            self.next()?;
        }
        let count = buffer.len().min(self.end - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Gives its bytes in pieces of many sizes, and counts what it is asked for.
    struct Slowly<'a> {
        bytes: &'a [u8],
        asked: &'a AtomicUsize,
    }

    impl Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let count = buffer.len().min(asked * 7919 % 100_000 + 1);
            self.bytes.read(&mut buffer[..count])
        }
    }

    /// Gives some bytes and then something else.
    fn and_then<R: Read>(end: R) -> impl Read {
        io::repeat(7).take(1_000_000).chain(end)
    }

    struct Fails;

    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::new(ErrorKind::InvalidData, "wrong"))
        }
    }

    struct Panics;

    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("out of the source")
        }
    }

    #[test]
    fn all_bytes_come_in_their_order() {
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let source = Slowly { bytes: &bytes, asked: &AtomicUsize::new(0) };
        let mut read = Vec::new();
        read_ahead(source, |ahead| {
            ahead.read_to_end(&mut read).unwrap();
            assert_eq!(ahead.read(&mut [0; 10]).unwrap(), 0, "its end stays its end");
        });
        assert!(read == bytes);
        assert_eq!(read_ahead(io::empty(), |ahead| ahead.read(&mut [0]).unwrap()), 0);
    }

    #[test]
    fn an_error_comes_in_its_place_and_once_more_is_no_end() {
        let mut read = Vec::new();
        read_ahead(and_then(Fails), |ahead| {
            let error = ahead.read_to_end(&mut read).unwrap_err();
            assert_eq!(
                (error.kind(), error.to_string().as_str()),
                (ErrorKind::InvalidData, "wrong")
            );
            assert!(ahead.read(&mut [0]).is_err());
        });
        assert_eq!(read, [7; 1_000_000]);
    }

    #[test]
    fn who_stops_reading_ends_the_thread() {
        let asked = AtomicUsize::new(0);
        let source = Slowly { bytes: &[1; 10_000_000], asked: &asked };
        let first = read_ahead(source, |ahead| {
            let mut first = [0; 3];
            ahead.read_exact(&mut first).unwrap();
            first
        });
        assert_eq!(first, [1; 3]);
        assert!(
            asked.load(Ordering::Relaxed) <= 2 * BUFFERS,
            "it reads no further than its buffers"
        );
        read_ahead(io::repeat(0), |_| ());
    }

    #[test]
    #[should_panic(expected = "out of the source")]
    fn a_panic_is_not_lost() {
        read_ahead(and_then(Panics), |ahead| ahead.read_to_end(&mut Vec::new()).is_ok());
    }
}
