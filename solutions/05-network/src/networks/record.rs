//! What is written down of a network, before it is made: `network.json`.

use super::{FOLDER, Name};
use crate::Bridge;
use crate::neighbours::Place;
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The content of `network.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The switch.
    pub bridge: Bridge,
    /// Is it complete?
    pub(super) made: bool,
    /// Where other firewalls were asked to let it pass.
    #[serde(default)]
    pub(super) places: Vec<Place>,
}

impl Record {
    /// Of a bridge that is not made yet.
    pub(super) fn of(bridge: Bridge) -> Record {
        Record { bridge, made: false, places: Vec::new() }
    }

    pub(super) fn read(folder: &Path) -> Result<Option<Record>> {
        read(&folder.join("network.json"))
    }

    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        write(&folder.join("network.json"), self)
    }
}

/// The networks that there are, in the order of their names.
pub fn names() -> Vec<Name> {
    let entries = fs::read_dir(FOLDER).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let names = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut names: Vec<Name> = names.collect();
    names.sort();
    names
}

/// What is written down of all networks but this one.
pub fn others(name: &Name) -> Result<Vec<(Name, Record)>> {
    let mut found = Vec::new();
    for other in names().into_iter().filter(|other| other != name) {
        if let Some(record) = Record::read(&Path::new(FOLDER).join(&other))? {
            found.push((other, record));
        }
    }
    Ok(found)
}

/// What a file holds; `None` if there is no such file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let value = serde_json::from_slice(&text);
    value.map(Some).with_context(|| format!("cannot understand {}", path.display()))
}

/// Writes beside the old file and renames, so that a reader sees the old or the new, whole.
pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, serde_json::to_vec_pretty(value)?)
        .and_then(|()| fs::rename(&new, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
