//! Keeps the disk busy while files are written.
//!
//! The kernel leaves what is written in memory for up to thirty seconds, until somebody insists.
//! We do, before a layer or a blob gets its name, and would then wait for the disk with idle
//! processors. So a thread insists all along, and at the end little is left to wait for. It is a
//! matter of time alone: what has to be on the disk is still asked for by whoever names it. A request
//! is for all that anybody writes on that file system, so it is made for much at once.

use crate::Store;
use crate::documents::Layer;
use rustix::fs::syncfs;
use std::fs;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, Builder};
use std::time::Duration;

/// Between two requests. A disk writes some tens of megabytes meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

/// Less than this is not worth a request: the disk has it in a moment.
const MUCH: u64 = 8 << 20;

impl Store {
    /// Does `work`, which brings `layers` here; what it writes goes to the disk meanwhile.
    pub(crate) fn write_behind<T>(&self, layers: &[Layer], work: impl FnOnce() -> T) -> T {
        if layers.iter().all(|layer| self.has(layer)) {
            return work(); // there is nothing to write
        }
        let (end, ended) = channel::<()>();
        thread::scope(|scope| {
            let write = move || {
                let mut before = written();
                while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    let now = written();
                    if now.zip(before).is_none_or(|(now, before)| now - before >= MUCH) {
                        before = now;
                        let _ = syncfs(&self.lock); // each descriptor is told of an error for itself
                    }
                }
            };
            let writer = Builder::new().spawn_scoped(scope, write); // without it, it takes longer
            let end = end; // dropped also where `work` panics
            let done = work();
            drop(end);
            writer.into_iter().for_each(|writer| writer.join().expect("it does not panic"));
            done
        })
    }

    fn has(&self, layer: &Layer) -> bool {
        self.layers().join(layer.diff_id.hex()).exists()
            || self.chains().join(layer.chain_id.hex()).exists()
    }
}

/// How many bytes this process has written so far, to whatever it was (proc_pid_io(5)). `None`: the
/// kernel does not count.
fn written() -> Option<u64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_counted() {
        let Some(before) = written() else { return }; // not this kernel
        fs::write("/dev/null", vec![0; 1 << 20]).unwrap();
        assert!(written().unwrap() - before >= 1 << 20);
    }
}
