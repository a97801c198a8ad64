//! A container as files: what exists of it on the host, so that it can be found and removed.
//!
//! ```text
//! /run/coracle/ID/state.json         what it is and how it is; written first, removed last
//! /run/coracle/ID/lock               held (flock(2)) by the program that runs it
//! /var/lib/coracle/containers/ID/    its upper layer and overlayfs's workbench
//! ```
//!
//! `CORACLE_RUN` and `CORACLE_ROOT` name other places. The kernel drops a lock when its holder
//! dies, however it dies: a lock that can be taken is a container that nobody runs any more, and
//! whoever comes next tidies up after it.

use crate::Request;
use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;
use overlay::Upper;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where images and upper layers are.
pub fn root_folder() -> PathBuf {
    std::env::var_os("CORACLE_ROOT").map_or("/var/lib/coracle".into(), PathBuf::from)
}

/// Where the state of running containers is; a tmpfs on most systems.
pub fn run_folder() -> PathBuf {
    std::env::var_os("CORACLE_RUN").map_or("/run/coracle".into(), PathBuf::from)
}

/// The content of `state.json`. Fields may be added; none changes its meaning.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique among all containers.
    pub name: String,
    /// The image as it was asked for.
    pub image: String,
    /// Seconds since 1970.
    pub created: u64,
    /// Whether it lives.
    pub status: Status,
    /// Process ID on the host, once it runs.
    pub pid: Option<i32>,
    /// The exit status, once it has ended.
    pub exit_code: Option<u8>,
    /// Is it to be removed at its end (`--rm`)?
    pub remove: bool,
}

/// The stations of a container's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being prepared.
    Created,
    /// Its command runs.
    Running,
    /// Its command has ended.
    Exited,
}

/// A container that this process runs. Dropped before its end, it is removed.
pub struct Container {
    state: State,
    folder: PathBuf,
    run: PathBuf,
    /// Set when the container shall stay although this value goes.
    keep: Cell<bool>,
    _lock: Flock<File>,
}

impl Container {
    /// Reserves a name, writes the state down, and makes the folders; in this order, so that
    /// nothing exists that is not written down.
    pub fn create(request: &Request, image: &str) -> Result<Container> {
        let _registry = lock_registry()?;
        let others = sweep()?;
        let name = match &request.name {
            Some(name) => match others.iter().find(|other| other.name == *name) {
                Some(other) => bail!(
                    "the name {name} is taken by container {}\nhint: choose another, or remove that one: coracle rm {name}",
                    &other.id[..12]
                ),
                None => name.clone(),
            },
            None => unused_name(&others)?,
        };
        let id = hexadecimal(&random_bytes::<32>()?);
        let run = run_folder().join(&id);
        fs::create_dir(&run).with_context(|| format!("cannot create {}", run.display()))?;
        let lock = lock(&run.join("lock"), FlockArg::LockExclusiveNonblock)?
            .context("somebody else holds the lock of a new container")?;
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let state = State {
            id: id.clone(),
            name,
            image: image.to_owned(),
            created,
            status: Status::Created,
            pid: None,
            exit_code: None,
            remove: request.rm,
        };
        let folder = root_folder().join("containers").join(&id);
        let container = Container { state, folder, run, keep: Cell::new(false), _lock: lock };
        write_state(&container.run, &container.state)?;
        for folder in [&container.upper().upper, &container.upper().work] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(container)
    }

    /// The first 12 digits of the ID, which people use.
    pub fn short_id(&self) -> &str {
        &self.state.id[..12]
    }

    /// The folder of the container, on which its root is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The container's own layer.
    pub fn upper(&self) -> Upper {
        Upper { upper: self.folder.join("upper"), work: self.folder.join("work") }
    }

    /// Notes that the command is about to run.
    pub fn started(&self, pid: Pid) -> Result<()> {
        let state =
            State { status: Status::Running, pid: Some(pid.as_raw()), ..self.state.clone() };
        write_state(&self.run, &state)
    }

    /// Notes the end, and removes the container if that was asked for.
    pub fn ended(self, exit_code: u8) -> Result<()> {
        if self.state.remove {
            return self.remove();
        }
        let state =
            State { status: Status::Exited, exit_code: Some(exit_code), ..self.state.clone() };
        self.keep.set(true);
        write_state(&self.run, &state)
    }

    fn remove(&self) -> Result<()> {
        self.keep.set(true); // tried once is enough
        remove_files(&self.state.id)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.keep.get() {
            let _ = self.remove();
        }
    }
}

/// All containers, the newest first.
pub fn list() -> Result<Vec<State>> {
    let _registry = lock_registry()?;
    let mut states = sweep()?;
    states.sort_by_key(|state| std::cmp::Reverse(state.created));
    Ok(states)
}

/// Removes a container that has ended, by its name, its ID or the beginning of its ID.
pub fn remove(wanted: &str) -> Result<()> {
    let _registry = lock_registry()?;
    let states = sweep()?;
    let by_name = states.iter().find(|state| state.name == wanted || state.id == wanted);
    let mut by_id =
        states.iter().filter(|state| !wanted.is_empty() && state.id.starts_with(wanted));
    let found = match (by_name, by_id.next(), by_id.next()) {
        (Some(state), _, _) | (None, Some(state), None) => state,
        (None, Some(_), Some(_)) => {
            bail!("more than one container has an ID that begins with {wanted}")
        }
        (None, None, _) => bail!("there is no container {wanted}\nhint: coracle ps lists them"),
    };
    ensure!(
        found.status == Status::Exited,
        "the container {wanted} is running\nhint: stop its command first"
    );
    remove_files(&found.id)
}

/// Reads all states, and tidies up after programs that were killed: their containers are dead,
/// since PID 1 dies with its parent. To be called with the registry locked.
fn sweep() -> Result<Vec<State>> {
    let mut states = Vec::new();
    let runs = run_folder();
    for entry in fs::read_dir(&runs).with_context(|| format!("cannot read {}", runs.display()))? {
        let run = entry?.path();
        if !run.is_dir() {
            continue;
        }
        let Some(id) = run.file_name().and_then(|name| name.to_str()).filter(|name| is_id(name))
        else {
            continue; // not ours
        };
        let state = read_state(&run);
        match lock(&run.join("lock"), FlockArg::LockExclusiveNonblock)? {
            None => states.extend(state), // somebody runs it
            Some(_held) => match state {
                Some(state) if state.status == Status::Exited => states.push(state),
                Some(state) if state.status == Status::Running && !state.remove => {
                    let state = State { status: Status::Exited, exit_code: Some(137), ..state };
                    write_state(&run, &state)?;
                    states.push(state);
                }
                _ => remove_files(id)?, // half made, or to be removed at its end
            },
        }
    }
    Ok(states)
}

/// Removes all that exists of a container, the record of it last.
fn remove_files(id: &str) -> Result<()> {
    for folder in [root_folder().join("containers").join(id), run_folder().join(id)] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Held while names are compared and folders come and go.
fn lock_registry() -> Result<Flock<File>> {
    let run = run_folder();
    fs::create_dir_all(&run).with_context(|| {
        format!("cannot create {}\nhint: run it again with sudo, or set CORACLE_RUN", run.display())
    })?;
    lock(&run.join("lock"), FlockArg::LockExclusive)?.context("cannot lock the list of containers")
}

/// Takes a lock; `None` if somebody else holds it.
fn lock(path: &Path, how: FlockArg) -> Result<Option<Flock<File>>> {
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(path);
    let file = open.with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, how) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno).with_context(|| format!("cannot lock {}", path.display())),
    }
}

/// Writes beside the old state and renames, so that a reader sees the old or the new, whole.
fn write_state(run: &Path, state: &State) -> Result<()> {
    let (new, path) = (run.join("state.json.new"), run.join("state.json"));
    fs::write(&new, serde_json::to_vec_pretty(state)?)
        .and_then(|()| fs::rename(&new, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn read_state(run: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(run.join("state.json")).ok()?).ok()
}

/// Checks a name as docker does: letters, digits, `_`, `.` and `-`, the first a letter or digit.
pub(crate) fn parse_name(name: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.len() > 1
        && name.chars().all(fine)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
    {
        Ok(name.to_owned())
    } else {
        Err("a name has two or more letters, digits, _ . and -, and begins with a letter or digit"
            .into())
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

const HOW: [&str; 16] = [
    "brave", "calm", "clever", "eager", "gentle", "happy", "jolly", "keen", "lively", "merry",
    "patient", "quiet", "swift", "steady", "sunny", "wise",
];
const WHO: [&str; 16] = [
    "auk",
    "curlew",
    "dipper",
    "eider",
    "gannet",
    "grebe",
    "heron",
    "kittiwake",
    "lapwing",
    "ouzel",
    "petrel",
    "plover",
    "puffin",
    "sandpiper",
    "tern",
    "wigeon",
];

/// Two words, and a number once those are used up.
fn unused_name(others: &[State]) -> Result<String> {
    for attempt in 0_u32.. {
        let [how, who] = random_bytes::<2>()?.map(|byte| usize::from(byte) % 16);
        let number = if attempt < 10 { String::new() } else { attempt.to_string() };
        let name = format!("{}_{}{number}", HOW[how], WHO[who]);
        if others.iter().all(|other| other.name != name) {
            return Ok(name);
        }
    }
    bail!("all names are in use")
}

fn random_bytes<const COUNT: usize>() -> Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    let read = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.context("cannot read /dev/urandom")?;
    Ok(bytes)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_docker_takes() {
        for name in ["ab", "a1", "web-1.example_x"] {
            parse_name(name).unwrap();
        }
        for name in ["", "a", "-ab", "a b", "a/b", "..", "é1"] {
            assert!(parse_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_random_name_passes_its_own_check() {
        parse_name(&unused_name(&[]).unwrap()).unwrap();
    }
}
