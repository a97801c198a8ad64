//! The group of a chapter's program, from its making to the bill at the end.
//!
//! It is named after us, `coracle-cgroups-…`, and locked as long as we live (flock(2) works on the
//! kernel's folders, too). One whose lock is free belongs to a program that was killed: the next
//! one removes it.

use crate::{Devices, Group, Ledger, Limits};
use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io::{Write, stderr};
use std::ops::Deref;
use std::path::Path;

const PREFIX: &str = "coracle-cgroups-";

/// A group, removed when dropped.
pub struct Account {
    group: Group,
    ledger: Ledger,
    _lock: Option<Flock<File>>,
}

impl Account {
    /// Makes the group.
    pub fn open(parent: Option<&Path>, limits: &Limits, devices: &Devices) -> Result<Account> {
        let uuid =
            fs::read_to_string("/proc/sys/kernel/random/uuid").context("cannot read /proc")?;
        let name = format!("{PREFIX}{}", &uuid[..8]);
        let group = Group::plan(Some(parent.unwrap_or(Path::new("/"))), &name)?;
        let ledger = group.ledger();
        // Of several trees the first one has it first and loses it last: there it is looked for.
        let first = ledger.0.iter().find(|folder| folder.ends_with(&name)).cloned();
        let first = first.context("a group has a folder")?;
        let _turn = first.parent().and_then(|parent| lock(parent, FlockArg::LockExclusive));
        sweep(&ledger, &first); // it is our turn, so none is found between its making and its locking
        let mut account = Account { group, ledger, _lock: None };
        account.group.create(limits, devices)?; // an error drops `account`, and that removes it
        account._lock = lock(&first, FlockArg::LockExclusiveNonblock);
        Ok(account)
    }

    /// Tells what it used, and whether the kernel had to step in.
    pub fn settle(self, limits: &Limits) -> Result<()> {
        let usage = self.group.usage();
        // Not `eprintln!`, which panics where standard error is full or gone: the status counts.
        let mut out = stderr().lock();
        let _ = writeln!(out, "cgroups: limits: {limits}; used:");
        let _ = write!(out, "{usage}");
        if let Some(words) = usage.out_of_memory(limits) {
            let _ = writeln!(out, "cgroups: {words}");
        }
        self.ledger.remove()
    }
}

/// Removes what programs that were killed have left beside our group.
fn sweep(ours: &Ledger, first: &Path) {
    let beside = first.parent().and_then(|parent| fs::read_dir(parent).ok());
    for entry in beside.into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        if let Some(_free) = lock(&entry.path(), FlockArg::LockExclusiveNonblock) {
            let own = ours.0.iter().filter(|folder| folder.file_name() == first.file_name());
            let _ = Ledger(own.map(|folder| folder.with_file_name(&name)).collect()).remove();
        }
    }
}

fn lock(folder: &Path, how: FlockArg) -> Option<Flock<File>> {
    Flock::lock(File::open(folder).ok()?, how).ok()
}

impl Deref for Account {
    type Target = Group;

    fn deref(&self) -> &Group {
        &self.group
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let _ = self.ledger.remove();
    }
}
