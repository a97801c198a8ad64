//! Keeps the disk busy while files are written.
//!
//! The kernel leaves what is written in memory for up to thirty seconds, until somebody insists.
//! We do, before a layer or a blob gets its name, and would then wait for the disk with idle
//! processors. So a thread insists all along, and at the end little is left to wait for. It is a
//! matter of time alone: what has to be on the disk is still asked for by whoever names it.

use crate::Store;
use crate::documents::Layer;
use rustix::fs::syncfs;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Between two requests. A disk writes some tens of megabytes meanwhile.
const PAUSE: Duration = Duration::from_millis(100);

impl Store {
    /// Does `work`, which brings `layers` here; what it writes goes to the disk meanwhile.
    pub(crate) fn write_behind<T>(&self, layers: &[Layer], work: impl FnOnce() -> T) -> T {
        if layers.iter().all(|layer| self.has(layer)) {
            return work(); // there is nothing to write
        }
        let (end, ended) = channel::<()>();
        thread::scope(|scope| {
            let writer = scope.spawn(move || {
                while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    let _ = syncfs(&self.lock); // each descriptor is told of an error for itself
                }
            });
            let end = end; // dropped also where `work` panics
            let done = work();
            drop(end);
            writer.join().expect("it does not panic");
            done
        })
    }

    fn has(&self, layer: &Layer) -> bool {
        self.layers().join(layer.diff_id.hex()).exists()
            || self.chains().join(layer.chain_id.hex()).exists()
    }
}
