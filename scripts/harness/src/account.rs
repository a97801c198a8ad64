//! An ordinary user of the sandbox, made for one test: for programs that must work without root.

use crate::command::{bin, random_name};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Gid, Uid, chown};
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user with a home folder, known to this sandbox alone: its `/etc` is covered by a copy that can
/// be written. Gone with this value.
pub struct Account {
    /// The login name.
    pub name: String,
    /// The user's number, which is not that of the group.
    pub uid: u32,
    /// The number of the user's group.
    pub gid: u32,
    /// The first of 65536 user numbers set aside in `/etc/subuid`.
    pub first_subuid: u32,
    /// The first of 65536 group numbers set aside in `/etc/subgid`.
    pub first_subgid: u32,
    /// The home folder, for this user alone.
    pub home: PathBuf,
    mounts: Vec<PathBuf>,
}

impl Account {
    /// Makes a user.
    ///
    /// # Panics
    /// If `/etc` can't be covered.
    pub fn new() -> Account {
        let random = u32::from_str_radix(&random_name("")[1..5], 16).expect("hexadecimal");
        let name = random_name("user");
        let base = place().join(&name);
        let mut account = Account {
            uid: 20_000 + random % 5_000,
            gid: 30_000 + random % 3_000,
            first_subuid: 1_000_000 + 100 * random,
            first_subgid: 20_000_000 + 100 * random,
            home: base.join("home"),
            name,
            mounts: Vec::new(),
        };
        account.cover_etc(&base.join("etc"));
        let Account { name, uid, gid, first_subuid, first_subgid, home, .. } = &account;
        let shown = home.display();
        append("/etc/passwd", &format!("{name}:x:{uid}:{gid}:a test:{shown}:/bin/sh"));
        append("/etc/group", &format!("{name}:x:{gid}:"));
        append("/etc/subuid", &format!("{name}:{first_subuid}:65536"));
        append("/etc/subgid", &format!("{name}:{first_subgid}:65536"));
        account.own_folder(&account.home);
        account.own_folder(&account.runtime_folder());
        account
    }

    /// `/run/user/UID`, as at a login.
    pub fn runtime_folder(&self) -> PathBuf {
        format!("/run/user/{}", self.uid).into()
    }

    /// Makes a folder that nobody else may enter.
    ///
    /// # Panics
    /// If that fails.
    pub fn own_folder(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("a folder of the sandbox");
        fs::set_permissions(folder, Permissions::from_mode(0o700)).expect("our own folder");
        self.own(folder);
    }

    /// Gives a file to this user.
    ///
    /// # Panics
    /// If that fails.
    pub fn own(&self, file: &Path) {
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        chown(file, Some(uid), Some(gid)).expect("root gives files away");
    }

    /// A built program of the workspace, at a place that this user can reach: the checkout may lie
    /// in a folder that is closed to others.
    ///
    /// # Panics
    /// If it is not built.
    pub fn bin(&mut self, name: &str) -> PathBuf {
        let name_alone = Path::new(name).file_name().unwrap_or_default();
        let place = self.home.with_file_name(name_alone);
        if !place.exists() {
            fs::write(&place, "").expect("a file of the sandbox");
            let flags = MsFlags::MS_BIND;
            mount(Some(&bin(name)), &place, None::<&str>, flags, None::<&str>).expect("a bind");
            self.mounts.push(place.clone());
        }
        place
    }

    /// A program run by this user: with no privilege, in the home folder, with the variables of a
    /// login and none of ours.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.uid(self.uid).gid(self.gid).current_dir(&self.home).env_clear();
        command.env("HOME", &self.home).env("USER", &self.name);
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("XDG_RUNTIME_DIR", self.runtime_folder());
        command
    }

    /// Overlays `/etc`; where that can't be, copies it.
    fn cover_etc(&mut self, upper: &Path) {
        let work = upper.with_file_name("work-of-etc");
        fs::create_dir_all(&work).expect("a folder of the sandbox");
        fs::create_dir_all(upper).expect("a folder of the sandbox");
        let (shown, work) = (upper.display(), work.display());
        let options = format!("lowerdir=/etc,upperdir={shown},workdir={work}");
        let overlay = Some("overlay");
        if mount(overlay, "/etc", overlay, MsFlags::empty(), Some(options.as_str())).is_err() {
            let copied = Command::new("cp").args(["-a", "/etc/."]).arg(upper).status();
            assert!(copied.is_ok_and(|status| status.success()), "cannot copy /etc");
            let flags = MsFlags::MS_BIND;
            mount(Some(upper), "/etc", None::<&str>, flags, None::<&str>).expect("a bind");
        }
        self.mounts.push("/etc".into());
    }
}

impl Default for Account {
    fn default() -> Account {
        Account::new()
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        for place in self.mounts.iter().rev() {
            let _ = umount2(place, MntFlags::MNT_DETACH);
        }
        let _ = fs::remove_dir_all(self.home.parent().expect("made by us"));
    }
}

/// A container's upper layer needs `user.` attributes, which a tmpfs has since Linux 6.6. In the lab
/// there is a disk.
fn place() -> PathBuf {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 6) {
        return std::env::temp_dir();
    }
    ["/lab", "/var/tmp"].map(PathBuf::from).into_iter().find(|p| p.is_dir()).expect("/var/tmp")
}

fn append(path: &str, line: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("our own /etc");
    writeln!(file, "{line}").expect("our own /etc");
}
