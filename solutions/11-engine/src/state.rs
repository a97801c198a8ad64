//! What is written down of a container: `state.json`.

use anyhow::{Context, Result, ensure};
use network::ports::Published;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A container and its name.
pub(crate) struct Named {
    pub id: String,
    pub name: String,
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
    /// The digest of the image's manifest.
    #[serde(default)]
    pub image_digest: Option<String>,
    /// The folders of the image's layers, lowest first.
    pub layers: Vec<PathBuf>,
    /// Seconds since 1970.
    pub created: u64,
    /// Whether it lives.
    pub status: Status,
    /// Its PID 1, once it runs: `pid` and `startTicks`.
    #[serde(flatten)]
    pub process: Option<Process>,
    /// The exit status, once it has ended.
    pub exit_code: Option<u8>,
    /// Is it to be removed at its end (`--rm`)?
    pub remove: bool,
    /// The folders of its cgroup, those above it that are ours too first; empty when they are gone.
    #[serde(default)]
    pub cgroups: Vec<PathBuf>,
    /// Did the kernel kill one of its processes because memory ran out?
    #[serde(default)]
    pub oom_killed: bool,
    /// Its address and its cable, if it has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<network::leases::Terms>,
    /// Who speaks for it, if it can have no cable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_mode: Option<network::user_mode::Terms>,
    /// The ports that its image names, `80/tcp`, if it has a network of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<String>,
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
    /// It has ended, and its record can't be read or its files could not be removed.
    Dead,
}

/// A process as the host knows it. The number alone may mean another process later: the kernel
/// gives it away again, but never with the same start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Process ID.
    pub pid: i32,
    /// In clock ticks after boot: proc_pid_stat(5), field 22.
    pub start_ticks: u64,
}

impl State {
    /// The first 12 digits of the ID, which people use.
    pub fn short_id(&self) -> &str {
        &self.id[..12]
    }

    /// All its ports in one line, as `docker ps` has them; none unless it runs.
    pub fn ports_line(&self) -> String {
        let is_there = self.status == Status::Running;
        if is_there { network::ports::listed(self.ports(), &self.exposed) } else { String::new() }
    }

    /// The ports of this machine that lead to it, as long as it runs.
    pub fn ports(&self) -> &[Published] {
        let of_cable = self.network.as_ref().map(|terms| &terms.ports);
        let of_program = self.user_mode.as_ref().map(|terms| &terms.ports);
        let is_there = self.status == Status::Running;
        of_cable.or(of_program).filter(|_| is_there).map_or(&[], Vec::as_slice)
    }

    /// Reads the state in the folder `run` of container `id`; `None` if it was never written.
    pub(crate) fn read(run: &Path, id: &str) -> Result<Option<State>> {
        let path = run.join("state.json");
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let state: State = serde_json::from_slice(&text)
            .with_context(|| format!("cannot understand {}", path.display()))?;
        ensure!(state.id == id, "{} tells of another container", path.display());
        Ok(Some(state))
    }

    /// Writes beside the old state and renames, so that a reader sees the old or the new, whole.
    pub(crate) fn write(&self, run: &Path) -> Result<()> {
        let (new, path) = (run.join("state.json.new"), run.join("state.json"));
        fs::write(&new, serde_json::to_vec_pretty(self)?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the name, which never changes, once more where it is read in one call.
    pub(crate) fn write_name(&self, run: &Path) -> Result<()> {
        let path = run.join("name");
        symlink(&self.name, &path).with_context(|| format!("cannot make {}", path.display()))
    }

    /// The name alone; from the record, if its program was killed or is about to write it.
    pub(crate) fn name_of(run: &Path, id: &str) -> Option<Named> {
        let name = fs::read_link(run.join("name"))
            .ok()
            .and_then(|name| name.into_os_string().into_string().ok());
        let name = name.or_else(|| Some(State::read(run, id).ok()??.name))?;
        Some(Named { id: id.to_owned(), name })
    }

    /// What there is to say of a container whose record can't be read.
    pub(crate) fn unreadable(id: &str) -> State {
        State {
            id: id.to_owned(),
            name: id[..12].to_owned(),
            image: "unknown".to_owned(),
            image_digest: None,
            layers: Vec::new(),
            created: 0,
            status: Status::Dead,
            process: None,
            exit_code: None,
            remove: false,
            cgroups: Vec::new(),
            oom_killed: false,
            network: None,
            user_mode: None,
            exposed: Vec::new(),
        }
    }
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn of(pid: Pid) -> Result<Process> {
        let start_ticks = xray::stat::start_ticks(pid.as_raw().unsigned_abs())?;
        Ok(Process { pid: pid.as_raw(), start_ticks })
    }

    /// Kills it and waits for its end, if it still lives.
    pub(crate) fn kill(self) -> Result<()> {
        let Some(pidfd) = self.open() else { return Ok(()) };
        // EPERM: it has become another user, of another user namespace of ours. Its guard ends it.
        let (sent, patience) = match pidfd_send_signal(&pidfd, Signal::KILL) {
            Err(Errno::PERM) => (Err(Errno::PERM), PollTimeout::from(2000u16)),
            _ => (Ok(()), PollTimeout::NONE), // it may have ended a moment ago
        };
        let mut end = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        let pid = self.pid;
        let ended = poll(&mut end, patience).with_context(|| format!("cannot wait for {pid}"))?;
        if ended == 0 {
            sent.with_context(|| {
                format!(
                    "cannot end process {pid}\n\
                     hint: nsenter --user --preserve-credentials --target {pid} kill -KILL {pid}"
                )
            })?;
        }
        Ok(())
    }

    /// Is it there, and not another of this number?
    pub(crate) fn lives(self) -> bool {
        self.open().is_some()
    }

    /// The descriptor first, then the look at the start: what it means can't change in between.
    fn open(self) -> Option<OwnedFd> {
        let pidfd =
            pidfd_open(rustix::process::Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        let now = Process::of(Pid::from_raw(self.pid)).ok()?;
        (now == self).then_some(pidfd)
    }
}
