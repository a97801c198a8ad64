//! Remembers how far the learner has come: `.course/progress.json`.
//!
//! Small and honest: which exercise passed, when, and what the code was then. It is a convenience
//! and never in the way: if it can't be read it is set aside, if it can't be written the check has
//! still told its verdict.

use crate::look;
use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder with all that the tool keeps in the checkout.
pub const FOLDER: &str = ".course";

/// All that is remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The chapters whose page was opened.
    pub pages: BTreeSet<String>,
    /// What is known of each exercise, by its name.
    pub exercises: BTreeMap<String, Exercise>,
}

/// What is remembered of an exercise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exercise {
    /// The check that it passed last.
    pub passed: Option<Pass>,
    /// Whether a later check did not let it pass.
    pub lapsed: bool,
    /// How many hints were shown.
    pub hints: usize,
    /// Whether the solution was shown before it had passed.
    pub spoiled: bool,
}

/// A check that an exercise passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// When, in seconds after 1970.
    pub at: u64,
    /// The [`fingerprint`] of the chapter's sources then.
    pub sources: String,
}

impl Progress {
    /// What is known of an exercise; nothing at first.
    pub fn of(&self, exercise: &str) -> Exercise {
        self.exercises.get(exercise).cloned().unwrap_or_default()
    }

    /// Has it passed, also by the last check that judged it?
    pub fn has_passed(&self, exercise: &str) -> bool {
        let known = self.of(exercise);
        known.passed.is_some() && !known.lapsed
    }

    /// What is known of an exercise, to be changed.
    pub fn change(&mut self, exercise: &str) -> &mut Exercise {
        self.exercises.entry(exercise.to_owned()).or_default()
    }
}

/// Reads what is remembered. A damaged file is set aside under another name.
pub fn read(checkout: &Path) -> Progress {
    let file = file_in(checkout);
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Progress::default(),
        Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
        Err(error) => {
            look::remark(&format!("cannot read your progress: {}: {error}", file.display()));
            return Progress::default();
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| {
        set_aside(&file, &error.to_string());
        Progress::default()
    })
}

/// Changes what is remembered; says so if it could not be kept.
pub fn keep(checkout: &Path, change: impl FnOnce(&mut Progress)) {
    if let Err(error) = update(checkout, change) {
        look::remark(&format!("note: this progress was not kept: {error:#}"));
    }
}

fn update(checkout: &Path, change: impl FnOnce(&mut Progress)) -> Result<()> {
    let folder = checkout.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Two checks at once must not undo one another's notes.
    let _lock = lock(&folder.join("lock"))?;
    let before = read(checkout);
    let mut progress = before.clone();
    change(&mut progress);
    if progress == before {
        return Ok(());
    }
    let text = serde_json::to_string_pretty(&progress)? + "\n";
    write_by_rename(&file_in(checkout), &text)
}

fn lock(path: &Path) -> Result<Flock<File>> {
    let options = OpenOptions::new().create(true).append(true).open(path);
    let file = options.with_context(|| format!("cannot open {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusive)
        .map_err(|(_, error)| error)
        .with_context(|| format!("cannot lock {}", path.display()))
}

/// A reader sees the old file or the new one, also if the disk is full or we are killed.
fn write_by_rename(file: &Path, text: &str) -> Result<()> {
    let fresh = file.with_extension("json.new");
    let written = File::create(&fresh)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&fresh, file));
    written.with_context(|| {
        let _ = fs::remove_file(&fresh);
        format!("cannot write {}", file.display())
    })
}

fn set_aside(file: &Path, reason: &str) {
    let aside = file.with_file_name(format!("progress.damaged-{}.json", now()));
    let done = match fs::rename(file, &aside) {
        Ok(()) => format!("It is now {}.", aside.display()),
        Err(error) => format!("It could not be renamed: {error}."),
    };
    look::remark(&format!(
        "note: {} is damaged ({reason}). {done} Your code is as it was; \
         `cargo course check` finds out anew what has passed.",
        file.display()
    ));
}

fn file_in(checkout: &Path) -> PathBuf {
    checkout.join(FOLDER).join("progress.json")
}

/// Seconds after 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs())
}

/// A short name for the content of files, the same for the same content. It tells that something
/// was changed, not that nobody cheated: FNV-1a, 64 bits.
pub fn fingerprint<'a>(files: impl IntoIterator<Item = (&'a PathBuf, &'a String)>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for (path, text) in files {
        let bytes = path.as_os_str().as_encoded_bytes().iter().chain(&[0]);
        for byte in bytes.chain(text.as_bytes()).chain(&[0]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_was_kept_is_there() {
        let checkout = checkout();
        update(checkout.path(), |progress| progress.change("a").hints = 2).unwrap();
        update(checkout.path(), |progress| progress.change("b").spoiled = true).unwrap();
        let progress = read(checkout.path());
        assert_eq!((progress.of("a").hints, progress.of("b").spoiled), (2, true));
        assert!(!progress.has_passed("a"));
    }

    #[test]
    fn what_a_later_check_did_not_let_pass_has_not_passed() {
        let mut progress = Progress::default();
        let pass = Pass { at: 1, sources: "0".to_owned() };
        progress.change("a").passed = Some(pass);
        assert!(progress.has_passed("a"));
        progress.change("a").lapsed = true;
        assert!(!progress.has_passed("a"));
    }

    #[test]
    fn a_damaged_file_is_set_aside_and_all_begins_anew() {
        let checkout = checkout();
        update(checkout.path(), |progress| progress.change("a").hints = 2).unwrap();
        for damage in [&b"{"[..], b"\xff\xfe", b""] {
            fs::write(file_in(checkout.path()), damage).unwrap();
            assert_eq!(read(checkout.path()), Progress::default());
            assert!(!file_in(checkout.path()).exists());
        }
        update(checkout.path(), |progress| progress.change("a").hints = 1).unwrap();
        assert_eq!(read(checkout.path()).of("a").hints, 1);
    }

    #[test]
    fn two_at_once_lose_nothing() {
        let checkout = checkout();
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let path = checkout.path();
                scope.spawn(move || {
                    for _ in 0..20 {
                        update(path, |progress| progress.change(name).hints += 1).unwrap();
                    }
                });
            }
        });
        let progress = read(checkout.path());
        assert!(["a", "b", "c", "d"].iter().all(|name| progress.of(name).hints == 20));
    }

    #[test]
    fn a_fingerprint_tells_files_apart() {
        let print =
            |path: &str, text: &str| fingerprint([(&PathBuf::from(path), &text.to_owned())]);
        assert_eq!(print("a", "b"), print("a", "b"));
        assert_ne!(print("a", "b"), print("a", "c"));
        assert_ne!(print("ab", "c"), print("a", "bc"));
    }
}
