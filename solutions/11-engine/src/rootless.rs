//! For an ordinary user: everything as before, by root of a user namespace.
//!
//! Unpacking gives files to other users, mounting an overlay takes CAP_SYS_ADMIN. So where we are
//! not root, the whole program executes itself once more, as root of a user namespace in which the
//! user's own numbers and those set aside for it are known. What runs in there needs to know
//! nothing of it. Out here one process waits, passes signals on, and takes all with it when it
//! goes. Each call makes a namespace of its own; since the maps are the same, so are the owners of
//! files. But root of one such namespace is nobody in another. So who wants something of a running
//! container, its network, enters the namespace of that one.

use crate::Request;
use crate::registry::{ROOT, RUN};
use crate::share::Share;
use crate::state::{Process, State, Status};
use anyhow::{Context, Result, ensure};
use network::ports::Published;
use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Uid, geteuid};
use process::{Guard, Signals};
use rootfs::own_executable;
use std::env::var_os;
use std::ffi::{CString, OsString};
use std::fs::{self, DirBuilder, File, Metadata};
use std::io::Read;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use users::Maps;

/// Becomes root if we are not: of a new namespace, or of that of the running container which the one
/// that is `wanted` is to share a network with. `None`: we are, go on. Else it has been done in there,
/// and with this status. To be called while the process has one thread and no other descriptors.
pub fn be_root(wanted: Option<&Request>) -> Result<Option<u8>> {
    if geteuid().is_root() {
        return Ok(None);
    }
    if let Some(request) = wanted {
        Share::find_room(request, folder_of_login(geteuid()).as_deref())?;
    }
    let environment = with_folders_of(geteuid())?;
    let signals = Signals::block()?;
    let mut guard = Guard::default();
    let become_root = || {
        users::become_root()?;
        own_executable::execute_again(&environment)
    };
    let started = match wanted.and_then(Request::shares_with).and_then(namespace_of) {
        None => process::start(
            users::NAMESPACE | CloneFlags::CLONE_NEWNS,
            |pid| Maps::widest().write(pid).and_then(|()| guard.watch_over(pid)), // the child waits
            become_root,
        ),
        Some(namespace) => process::start(
            CloneFlags::empty(),
            |pid| guard.watch_over(pid),
            || {
                setns(namespace, CloneFlags::CLONE_NEWUSER).context("cannot join the container")?;
                unshare(CloneFlags::CLONE_NEWNS).context("cannot unshare the mounts")?;
                become_root()
            },
        ),
    };
    let child = started.map_err(users::explain)?;
    signals.pass_on_to(&child)?;
    process::wait(&child).map(Some)
}

/// The user namespace of the user's running container of this name, ID, or beginning of an ID. If
/// there is none, whoever asks for it in a new one will learn why.
fn namespace_of(container: &str) -> Option<File> {
    let all = running(&folder_of_states(geteuid())).filter(|(_, process)| process.lives());
    let process = named(&all.collect::<Vec<_>>(), container)?;
    let namespace = File::open(format!("/proc/{}/ns/user", process.pid)).ok()?;
    process.lives().then_some(namespace) // and not another has its number
}

/// A name goes before the beginning of an ID, which may be the same.
fn named(all: &[(State, Process)], wanted: &str) -> Option<Process> {
    let by_name = all.iter().find(|(state, _)| state.name == wanted || state.id == wanted);
    let by_id = || all.iter().find(|(state, _)| state.id.starts_with(wanted));
    by_name.or_else(by_id).map(|(_, process)| *process)
}

/// The ports of this machine that lead to the network of process `pid`, as far as they are written
/// down with a user's container. Root looks where the user of that process has them by default.
pub fn ports_of(pid: i32) -> Option<Vec<Published>> {
    let network_of =
        |pid: i32| fs::metadata(format!("/proc/{pid}/ns/net")).map(|net| net.ino()).ok();
    let network = network_of(pid)?;
    let user =
        if geteuid().is_root() { root_of(pid).filter(|user| !user.is_root())? } else { geteuid() };
    let is_it = |(_, process): &(State, Process)| network_of(process.pid) == Some(network);
    // Several may share a network; one of them has its ports.
    let all = running(&folder_of_states(user)).filter(is_it);
    all.map(|(state, _)| state.ports().to_vec()).find(|ports| !ports.is_empty())
}

/// Who is root in the user namespace of a process: the first line of its map.
fn root_of(pid: i32) -> Option<Uid> {
    let map = fs::read_to_string(format!("/proc/{pid}/uid_map")).ok()?;
    map.split_whitespace().nth(1)?.parse().ok().map(Uid::from_raw)
}

fn folder_of_states(user: Uid) -> PathBuf {
    if user != geteuid() {
        return format!("/run/user/{user}/coracle").into();
    }
    let said = var_os(RUN).filter(|said| !said.is_empty()).map(PathBuf::from);
    let of_login = || folder_of_login(user).map(|folder| folder.join("coracle"));
    said.or_else(of_login).unwrap_or_else(|| folder_without_login(user))
}

/// The containers whose states in a folder say that they run. The folder may be another user's, who
/// could have put anything there: no state that is a link is opened, nobody waited for, and nothing
/// endless read.
fn running(folder: &Path) -> impl Iterator<Item = (State, Process)> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        let path = entry.path().join("state.json");
        let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
        file.metadata().ok().filter(Metadata::is_file)?;
        let state: State = serde_json::from_reader(file.take(1 << 20)).ok()?;
        let process = state.process.filter(|_| state.status == Status::Running)?;
        Some((state, process))
    })
}

/// Our environment, which also says where the user's images and containers are.
fn with_folders_of(user: Uid) -> Result<Vec<CString>> {
    let mut added = Vec::new();
    for (name, folder) in [(ROOT, data_folder as fn(Uid) -> Result<PathBuf>), (RUN, run_folder)] {
        if var_os(name).is_none_or(|said| said.is_empty()) {
            let mut variable = OsString::from(format!("{name}="));
            variable.push(folder(user)?);
            added.push(variable);
        }
    }
    let mut all = process::cstrings(&added)?;
    all.extend(process::environment());
    Ok(all)
}

/// Where a user keeps what programs store (XDG Base Directory Specification).
fn data_folder(_user: Uid) -> Result<PathBuf> {
    let data = absolute("XDG_DATA_HOME");
    let data = data.or_else(|| Some(absolute("HOME")?.join(".local/share")));
    let data = data
        .with_context(|| format!("there is no HOME to keep images in\nhint: set HOME or {ROOT}"))?;
    Ok(data.join("coracle"))
}

/// Where a user keeps what ends with the session. Without a login there may be no such folder; then
/// one in `/tmp`, where others could have made one of that name first.
fn run_folder(user: Uid) -> Result<PathBuf> {
    if let Some(folder) = folder_of_login(user) {
        return Ok(folder.join("coracle"));
    }
    let folder = folder_without_login(user);
    let _ = DirBuilder::new().mode(0o700).create(&folder);
    let is_ours = is_ours(&folder, user);
    ensure!(is_ours, "{} is not ours alone\nhint: set XDG_RUNTIME_DIR or {RUN}", folder.display());
    Ok(folder)
}

fn folder_of_login(user: Uid) -> Option<PathBuf> {
    let usual = PathBuf::from(format!("/run/user/{user}"));
    let folders = [absolute("XDG_RUNTIME_DIR"), Some(usual)];
    folders.into_iter().flatten().find(|folder| is_ours(folder, user))
}

fn folder_without_login(user: Uid) -> PathBuf {
    std::env::temp_dir().join(format!("coracle-{user}"))
}

/// A folder, no link to one, that belongs to the user and that nobody else may write to.
fn is_ours(folder: &Path, user: Uid) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| {
        found.is_dir() && found.uid() == user.as_raw() && found.mode() & 0o022 == 0
    })
}

/// A relative path in one of these variables is to be ignored, says the specification.
fn absolute(variable: &str) -> Option<PathBuf> {
    var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_the_beginning_of_an_id() {
        let one = |digit: &str, name: &str, pid| {
            let state = State { name: name.to_owned(), ..State::unreadable(&digit.repeat(64)) };
            (state, Process { pid, start_ticks: 1 })
        };
        let mut all = [one("a", "web", 1), one("b", "aa", 2), one("c", "db", 3)];
        for _ in 0..2 {
            let found = |wanted| named(&all, wanted).map(|process| process.pid);
            let asked = ["aa", "aaa", "web", "db", "cc", "moon"].map(found);
            assert_eq!(asked, [Some(2), Some(1), Some(1), Some(3), Some(3), None]);
            all.reverse();
        }
    }
}
