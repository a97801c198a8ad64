//! Looks at mounts with the kernel's eyes: mountinfo, of a process or of its whole namespace.

use nix::fcntl::{OFlag, open, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use xray::mounts::Mount;

/// One line of a mountinfo, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it says.
    pub mount: Mount,
}

impl Line {
    /// For people, who need not read all of it: `/run/x (tmpfs), shared:34`.
    pub fn short(&self) -> String {
        let kind = match self.mount.propagation.join(" ") {
            none if none.is_empty() => "private".into(),
            some => some,
        };
        format!("{}, {kind}", self.name())
    }

    /// The same where the options are the point: `/run/x (tmpfs), rw,nosuid`.
    pub fn with_options(&self) -> String {
        format!("{}, {}", self.name(), self.mount.options.join(","))
    }

    /// Its flags, but for whether it can be written to, and the way to keep times that is usual.
    pub fn flags(&self) -> Vec<&str> {
        let options = self.mount.options.iter().map(String::as_str);
        options.filter(|one| !["rw", "ro", "relatime"].contains(one)).collect()
    }

    fn name(&self) -> String {
        format!("{} ({})", self.mount.point.display(), self.mount.file_system)
    }

    /// The `shared:7` or `master:7` that ties it to others; `None` if it is private.
    pub fn tie(&self) -> Option<&str> {
        let ties = |field: &&String| field.starts_with("shared:") || field.starts_with("master:");
        self.mount.propagation.iter().find(ties).map(String::as_str)
    }

    /// Is it private, and refuses besides to be bound anywhere?
    pub fn is_unbindable(&self) -> bool {
        self.mount.propagation.iter().any(|field| field == "unbindable")
    }

    /// Does this one mount have the option, whatever the file system below it has?
    pub fn has(&self, option: &str) -> bool {
        self.mount.options.iter().any(|one| one == option)
    }
}

/// The lines of a mountinfo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mounts(pub Vec<Line>);

impl Mounts {
    /// The mounts that a process sees; none if it is gone.
    pub fn of(process: &str) -> Mounts {
        Mounts::read(&fs::read_to_string(format!("/proc/{process}/mountinfo")).unwrap_or_default())
    }

    fn read(text: &str) -> Mounts {
        let line =
            |text: &str| Some(Line { mount: xray::mounts::parse(text.as_bytes()).ok()?.pop()? });
        Mounts(text.lines().filter_map(line).collect())
    }

    /// What lies on top at this place.
    pub fn at(&self, point: &Path) -> Option<&Line> {
        self.0.iter().rfind(|line| line.mount.point == point)
    }

    /// The mounts that are not in `before`.
    pub fn new_since(&self, before: &Mounts) -> Vec<&Line> {
        let known = |id| before.0.iter().any(|line| line.mount.id == id);
        self.0.iter().filter(|line| !known(line.mount.id)).collect()
    }
}

/// A process of a container, seen from outside.
pub struct Inside {
    /// Its number here, outside.
    pub pid: u32,
    /// What it sees itself: only what can be reached from its root.
    pub mounts: Mounts,
    /// Everything in its namespace, as whoever enters it sees it.
    pub namespace: Mounts,
    /// Is the folder that was named its root already?
    pub has_root: bool,
    /// What the forbidden file held, read from the root of its namespace.
    pub stolen: Option<String>,
    root: PathBuf,
}

impl Inside {
    /// Looks at process `pid`, which was given the folder `root` as its root, and tries to read
    /// `forbidden`, a file of the host, as a root in there could: by entering its own namespace.
    /// `None` if it has ended.
    pub fn of(pid: u32, root: &Path, forbidden: &Path) -> Option<Inside> {
        let (namespace, stolen) = enter(pid, forbidden)?;
        let has_root = is_same(Path::new(&format!("/proc/{pid}/root/")), root);
        let mounts = Mounts::of(&pid.to_string());
        let root = root.to_owned();
        (!mounts.0.is_empty()).then_some(Inside { pid, mounts, namespace, has_root, stolen, root })
    }

    /// Where a path of the container is at the moment: below the folder, until that is the root.
    pub fn place(&self, name: &str) -> PathBuf {
        if self.has_root { Path::new("/").join(name) } else { self.root.join(name) }
    }

    /// A path by which we, outside, reach what is `name` in the new root.
    pub fn reach(&self, name: &str) -> PathBuf {
        let place = self.place(name);
        PathBuf::from(format!("/proc/{}/root", self.pid))
            .join(place.strip_prefix("/").unwrap_or(&place))
    }

    /// The mount that the process finds at `name` in the new root, whatever lies below it. Asked of
    /// the kernel: after a mistake, two mounts of one name may stand in the list.
    pub fn mounted_on(&self, name: &str) -> Option<&Line> {
        let (id, place) = (mount_of(&self.reach(name))?, self.place(name));
        self.mounts.0.iter().find(|line| line.mount.id == id && line.mount.point == place)
    }

    /// Is it in a namespace of its own, of this kind: `mnt`, `pid`?
    pub fn has_own(&self, kind: &str) -> bool {
        namespace(self.pid, kind) != fs::read_link(format!("/proc/self/ns/{kind}")).ok()
    }
}

/// `pid:[4026531836]`, the name of a namespace.
pub fn namespace(pid: u32, kind: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()
}

/// Do two paths lead to one file?
pub fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    identity(one).is_some() && identity(one) == identity(other)
}

/// The number of the mount on which a file or folder lies: proc_pid_fdinfo(5).
pub fn mount_of(path: &Path) -> Option<u64> {
    let file = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

/// Reads a file as a root in there could who takes away what covers the old root: the new one may have
/// been moved onto it (MS_MOVE) and not have taken its place. In a copy of the namespace, so that the
/// container keeps its own; in a thread of our own, which ends there. `None` if there is no such file.
pub fn uncover(pid: u32, file: &Path) -> Option<String> {
    let target = File::open(format!("/proc/{pid}/ns/mnt")).ok()?;
    let proc = open("/proc", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let (proc, file, none) = (proc.ok()?, file.to_owned(), None::<&str>);
    let visit = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_FS).ok()?;
        setns(&target, CloneFlags::CLONE_NEWNS).ok()?;
        unshare(CloneFlags::CLONE_NEWNS).ok()?;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).ok()?;
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let copy = openat(&proc, "thread-self/ns/mnt", flags, Mode::empty()).ok()?;
        umount2("/", MntFlags::MNT_DETACH).ok()?;
        setns(&copy, CloneFlags::CLONE_NEWNS).ok()?; // to the root that is left
        fs::read_to_string(file).ok()
    });
    visit.join().ok()?
}

/// Enters the mount namespace of a process, in a thread of our own that ends there, and reads its
/// mountinfo and a file. Entering takes us to the root of the *namespace*, wherever a chroot has
/// put the root of the process: setns(2).
fn enter(pid: u32, file: &Path) -> Option<(Mounts, Option<String>)> {
    let target = File::open(format!("/proc/{pid}/ns/mnt")).ok()?;
    let proc = open("/proc", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let proc = proc.ok()?; // ours: inside there may be none yet
    let file = file.to_owned();
    let visit = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_FS).ok()?; // the root of this thread alone shall change
        setns(&target, CloneFlags::CLONE_NEWNS).ok()?;
        let mut text = String::new();
        let path = "thread-self/mountinfo";
        let opened = openat(&proc, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        File::from(opened.ok()?).read_to_string(&mut text).ok()?;
        Some((Mounts::read(&text), fs::read_to_string(file).ok()))
    });
    visit.join().ok()?
}
