//! Furnishes a sandbox: what a small machine of its own has.

use crate::safety_cgroup;
use crate::stages::at;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The words for the kinds of [`crate::Host`] that differ in here.
pub const READ_ONLY: &str = "read-only";
pub const BARE: &str = "bare";

/// The environment variable with the files and folders that stay to be seen.
pub const KEPT: &str = "SANDBOX_KEPT";

/// Where the programs under test keep their state inside, and where tests put their files.
const FOLDERS: [(&str, &str); 3] =
    [("CORACLE_ROOT", "/run/lib/coracle"), ("CORACLE_RUN", "/run/coracle"), ("TMPDIR", "/run/tmp")];

/// The environment of what runs inside.
pub fn environment(host: &str) -> &'static [(&'static str, &'static str)] {
    if host == BARE { &[] } else { &FOLDERS }
}

/// Gives the sandbox what a small machine of its own has.
pub fn furnish(host: &str) -> io::Result<()> {
    if host == BARE {
        return Ok(());
    }
    mount_at("proc", "/proc", "")?; // of the new PID namespace
    mount_sys()?; // of the new network and cgroup namespaces
    if host == READ_ONLY {
        let kept = open_kept(); // before their paths are covered
        make_all_read_only()?;
        mount_at("tmpfs", "/tmp", "mode=1777,size=512m")?;
        furnish_run()?;
        return show_again(&kept);
    }
    furnish_run()
}

fn furnish_run() -> io::Result<()> {
    mount_at("tmpfs", "/run", "mode=755,size=512m")?;
    for (_, folder) in FOLDERS {
        fs::create_dir_all(folder)?;
    }
    fs::set_permissions("/run/tmp", fs::Permissions::from_mode(0o1777))?;
    nix::unistd::sethostname(crate::random_name("sandbox"))?;
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    Ok(())
}

/// Mounts a fresh /sys and on it each cgroup hierarchy where it was before: in the new cgroup
/// namespace its root is the sandbox's own folder, and the limits above it are out of reach.
fn mount_sys() -> io::Result<()> {
    let hierarchies = safety_cgroup::hierarchies(); // read before /sys covers them
    mount_at("sysfs", "/sys", "")?;
    let base = Path::new("/sys/fs/cgroup");
    let below: Vec<_> =
        hierarchies.iter().filter(|one| one.mount_point.starts_with(base)).collect();
    if below.iter().all(|one| one.mount_point != base) {
        mount_at("tmpfs", "/sys/fs/cgroup", "mode=755")?;
    }
    for hierarchy in below {
        fs::create_dir_all(&hierarchy.mount_point)?;
        let target = hierarchy.mount_point.to_string_lossy();
        match hierarchy.v2 {
            true => mount_at("cgroup2", &target, "")?,
            false => mount_at("cgroup", &target, &hierarchy.options)?,
        }
    }
    Ok(())
}

fn mount_at(file_system: &str, target: &str, options: &str) -> io::Result<()> {
    mount(Some(file_system), Path::new(target), Some(file_system), MsFlags::empty(), Some(options))
        .map_err(|error| at(&format!("cannot mount {file_system} on {target}"))(error.into()))
}

/// What the kernel says of a mount that not even root reaches: another one covers it, its file is
/// gone, its server is, or it is a file system in user space that its user keeps for himself.
const OUT_OF_REACH: [Errno; 6] =
    [Errno::ENOENT, Errno::EINVAL, Errno::ENOTDIR, Errno::EACCES, Errno::ENOTCONN, Errno::ESTALE];

/// Makes every mount that came from the host read-only. Its other flags stay: a remount replaces
/// all of them. The processes' and the kernel's own file systems are those of the sandbox.
fn make_all_read_only() -> io::Result<()> {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo")?;
    for line in mountinfo.lines() {
        let mut fields = line.split(' ').skip(4); // proc_pid_mountinfo(5)
        let (point, options) = (fields.next().unwrap_or("/"), fields.next().unwrap_or_default());
        let point = unescape(point);
        if ["/proc", "/sys", "/dev/pts"].iter().any(|own| point.starts_with(own)) {
            continue;
        }
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY | flags_of(options);
        match mount(None::<&str>, &point, None::<&str>, flags, None::<&str>) {
            Ok(()) => {}
            Err(error) if OUT_OF_REACH.contains(&error) => {}
            Err(error) => {
                let what = format!("cannot make {} read-only", point.display());
                return Err(at(&what)(error.into()));
            }
        }
    }
    Ok(())
}

fn flags_of(options: &str) -> MsFlags {
    let flags = options.split(',').map(|option| match option {
        "nosuid" => MsFlags::MS_NOSUID,
        "nodev" => MsFlags::MS_NODEV,
        "noexec" => MsFlags::MS_NOEXEC,
        "noatime" => MsFlags::MS_NOATIME,
        "nodiratime" => MsFlags::MS_NODIRATIME,
        "relatime" => MsFlags::MS_RELATIME,
        _ => MsFlags::empty(),
    });
    flags.fold(MsFlags::empty(), |all, flag| all | flag)
}

/// The kernel writes blanks in paths as `\040`.
fn unescape(path: &str) -> PathBuf {
    let codes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    let path = codes.iter().fold(path.to_owned(), |path, (code, text)| path.replace(code, text));
    PathBuf::from(path)
}

/// A file or folder that stays to be seen, held by a descriptor.
type Kept = (PathBuf, OwnedFd);

fn open_kept() -> Vec<Kept> {
    let listed = std::env::var_os(KEPT).unwrap_or_default();
    let folders = std::env::split_paths(&listed).filter(|folder| folder.is_absolute());
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    folders
        .filter_map(|folder| open(&folder, flags, Mode::empty()).ok().map(|open| (folder, open)))
        .collect()
}

/// Binds those again whose way has been covered.
fn show_again(kept: &[Kept]) -> io::Result<()> {
    for (folder, open) in kept.iter().filter(|(path, _)| !path.exists()) {
        let what = format!("cannot show {} in the sandbox", folder.display());
        let source = format!("/proc/self/fd/{}", open.as_raw_fd());
        make_target(folder, Path::new(&source).is_dir()).map_err(at(&what))?;
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(source.as_str()), folder, None::<&str>, flags, None::<&str>)
            .map_err(|error| at(&what)(error.into()))?;
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
        mount(None::<&str>, folder, None::<&str>, flags, None::<&str>)
            .map_err(|error| at(&what)(error.into()))?;
    }
    Ok(())
}

fn make_target(path: &Path, is_folder: bool) -> io::Result<()> {
    if is_folder {
        return fs::create_dir_all(path);
    }
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_in_a_path_is_a_blank() {
        assert_eq!(unescape("/a\\040b"), Path::new("/a b"));
    }

    #[test]
    fn flags_stay_as_they_are() {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_RELATIME;
        assert_eq!(flags_of("rw,nosuid,relatime"), flags);
    }
}
