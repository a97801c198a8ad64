//! Shows how far a pull is: bars on a terminal, plain lines elsewhere, in docker's words.

use crate::documents::Layer;
use crate::{Digest, Store};
use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{IsTerminal, Write, stderr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Mutex;

/// Where a layer is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// It is here already, unpacked and all.
    Exists,
    /// Another pull works on it: what that brings is enough for both.
    Waiting,
    /// So many bytes are to come.
    Downloading(u64),
    Downloaded,
    Extracting,
    Complete,
}

/// Tells a person what a pull is doing. Standard output is left to results.
pub enum Progress {
    /// Nothing at all.
    Quiet,
    /// A line a step, on standard error.
    Lines,
    /// A bar a layer, on standard error.
    Bars(Bars),
}

/// Bars under each other, by their layers.
pub struct Bars {
    all: MultiProgress,
    layers: Mutex<BTreeMap<Digest, ProgressBar>>,
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Progress")
    }
}

impl Progress {
    /// What suits standard error.
    pub fn on_stderr() -> Progress {
        if !stderr().is_terminal() {
            return Progress::Lines;
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Progress::Bars(Bars { all, layers: Mutex::default() })
    }

    /// A sentence about the pull as a whole.
    pub(crate) fn say(&self, text: &str) {
        match self {
            Progress::Quiet => {}
            // Not `eprintln!`, which panics where standard error is gone: the pull goes on.
            Progress::Lines => drop(writeln!(stderr(), "{text}")),
            Progress::Bars(bars) => drop(bars.all.println(text)),
        }
    }

    pub(crate) fn layer(&self, digest: &Digest, step: Step) {
        match self {
            Progress::Quiet => {}
            Progress::Lines => self.say(&format!("{}: {step}", short(digest))),
            Progress::Bars(bars) => bars.show(digest, step),
        }
    }

    /// Has a layer unpacked into the store, and tells how that goes. One that needs those below it
    /// has no folder yet, so it is not at its end.
    pub(crate) fn unpacking(
        &self,
        store: &Store,
        layer: &Layer,
        unpack: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<Option<PathBuf>> {
        let mut end = Step::Exists;
        let folder = store.layer(layer, self, self.extracting(layer, &mut end, unpack))?;
        if folder.is_some() {
            self.layer(&layer.blob.digest, end);
        }
        Ok(folder)
    }

    /// The same for a layer onto those below.
    pub(crate) fn unpacking_on_others(
        &self,
        store: &Store,
        layer: &Layer,
        unpack: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<PathBuf> {
        let mut end = Step::Exists;
        let folder =
            store.layer_on_others(layer, self, self.extracting(layer, &mut end, unpack))?;
        self.layer(&layer.blob.digest, end);
        Ok(folder)
    }

    fn extracting(
        &self,
        layer: &Layer,
        end: &mut Step,
        unpack: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> impl FnOnce(&OwnedFd) -> Result<()> {
        move |folder| {
            *end = Step::Complete;
            self.layer(&layer.blob.digest, Step::Extracting);
            unpack(folder)
        }
    }

    /// So many more bytes of a layer have come.
    pub(crate) fn advance(&self, digest: &Digest, bytes: u64) {
        if let Progress::Bars(bars) = self {
            let layers = bars.layers.lock().expect("no holder panics");
            layers.get(digest).iter().for_each(|bar| bar.inc(bytes));
        }
    }
}

impl Bars {
    fn show(&self, digest: &Digest, step: Step) {
        let mut layers = self.layers.lock().expect("no holder panics");
        let new = || self.all.add(ProgressBar::new(0).with_prefix(short(digest).to_owned()));
        let bar = layers.entry(digest.clone()).or_insert_with(new);
        let style = match step {
            Step::Downloading(_) => {
                "{prefix}: {msg} [{bar:30.=>}] {bytes}/{total_bytes} {bytes_per_sec}"
            }
            _ => "{prefix}: {msg}",
        };
        let style = ProgressStyle::with_template(style).expect("a template of ours");
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(step.to_string());
        match step {
            Step::Downloading(size) => {
                bar.set_length(size);
                bar.reset_eta();
            }
            Step::Complete | Step::Exists => bar.finish(),
            Step::Waiting | Step::Downloaded | Step::Extracting => bar.tick(),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Step::Exists => "Already exists",
            Step::Waiting => "Waiting for another pull that brings it",
            Step::Downloading(_) => "Downloading",
            Step::Downloaded => "Download complete",
            Step::Extracting => "Extracting",
            Step::Complete => "Pull complete",
        })
    }
}

/// The first twelve digits, by which people know a layer.
fn short(digest: &Digest) -> &str {
    &digest.hex()[..12]
}
