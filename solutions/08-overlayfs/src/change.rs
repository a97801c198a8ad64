//! What happened to a path, as `docker diff` tells it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// What happened to one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No lower layer has it.
    Added,
    /// A lower layer has it too, and other; or it is a folder in which something happened.
    Changed,
    /// A lower layer has it, the container no more. What was in a deleted folder is not listed.
    Deleted,
}

/// One line of `docker diff`: `C /etc/hosts`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute, as the container sees it.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: Kind,
}

/// Adds the folders in which something happened, and sorts by path. As in Docker, `/` goes
/// without saying.
pub(crate) fn with_folders(found: BTreeMap<PathBuf, Kind>) -> Vec<Change> {
    let mut all = found.clone();
    for path in found.keys() {
        for folder in path.ancestors().skip(1).filter(|folder| *folder != Path::new("/")) {
            all.entry(folder.to_owned()).or_insert(Kind::Changed);
        }
    }
    all.into_iter().map(|(path, kind)| Change { path, kind }).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let letter = match self.kind {
            Kind::Added => 'A',
            Kind::Changed => 'C',
            Kind::Deleted => 'D',
        };
        write!(f, "{letter} {}", self.path.display())
    }
}
