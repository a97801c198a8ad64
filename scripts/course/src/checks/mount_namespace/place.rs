//! Arranges the host for a run, and holds what there is to see of it.

use super::finding;
use super::standstill::{Run, Stand, random};
use super::view::{Inside, Mounts};
use crate::checks::{Finding, Program};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const NONE: Option<&str> = None;

/// The host as a check has arranged it.
pub struct Place {
    /// The system that becomes the root.
    pub rootfs: PathBuf,
    /// The folder from which the program is started.
    pub start: PathBuf,
    /// A file of the host that no container may read, in `start`.
    pub secret: PathBuf,
    /// What it holds.
    pub text: String,
    /// The volume that the program is told to mount read-only.
    pub volume: Option<Volume>,
    /// What was mounted before the program ran.
    pub before: Mounts,
}

/// A folder of the host, on a file system whose mount has flags of its own.
pub struct Volume {
    /// The folder, a mount point.
    pub source: PathBuf,
    /// A file in it.
    pub file: PathBuf,
    /// Where the container shall see it, without the leading slash.
    pub target: String,
}

/// What there is to see when a program stands still.
pub struct Scene {
    /// Where the program stands.
    pub stand: Stand,
    /// The process in the container, if it came so far and still lives.
    pub inside: Option<Inside>,
    /// What is mounted outside meanwhile.
    pub outside: Mounts,
}

impl Place {
    /// A system to run, a secret, and mounts that are all shared.
    pub fn prepare() -> Place {
        let scratch = std::env::temp_dir();
        let rootfs = scratch.join(harness::random_name("rootfs"));
        harness::busybox_rootfs(&rootfs);
        let start = scratch.join(harness::random_name("start"));
        fs::create_dir(&start).expect("a folder of our own");
        let (secret, text) = (start.join("secret"), harness::random_name("secret"));
        fs::write(&secret, &text).expect("a file of our own");
        let shared = MsFlags::MS_REC | MsFlags::MS_SHARED;
        mount(NONE, "/", NONE, shared, NONE).expect("mounts can be shared");
        Place { rootfs, start, secret, text, volume: None, before: Mounts::of("self") }
    }

    /// The same, with an image that has a symbolic link for its /proc; and the folder of the host
    /// to which that leads whoever follows it from outside.
    pub fn with_linked_proc() -> (Place, PathBuf) {
        let place = Place::prepare();
        let (link, aside) = (place.rootfs.join("proc"), place.start.join("aside"));
        fs::create_dir(&aside).expect("a folder of our own");
        let _ = fs::remove_dir(&link); // if the image has one
        symlink(&aside, &link).expect("a link of our own");
        (place, aside)
    }

    /// The same, with a volume whose mount has the flags that are common where nobody trusts it.
    pub fn with_volume() -> Place {
        Place::with_volume_of(MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC)
    }

    /// The same, with a volume whose mount has none of those flags, but another.
    pub fn with_other_volume() -> Place {
        Place::with_volume_of(MsFlags::MS_NOATIME)
    }

    fn with_volume_of(flags: MsFlags) -> Place {
        let mut place = Place::prepare();
        place.volume = Some(Volume::mount(&place.start, flags));
        place.before = Mounts::of("self");
        place
    }

    fn command(&self, program: &Program) -> Command {
        let mut command = Command::new(&program.path);
        command.current_dir(&self.start).arg("--rootfs").arg(&self.rootfs);
        if let Some(Volume { source, target, .. }) = &self.volume {
            // `bind`: then the remount of the exercise is all that makes it read-only, and not the
            // call for the mounts below it.
            command.args(["-v", &format!("{}:/{target}:ro,bind", source.display())]);
        }
        command
    }

    /// Starts the program once more and kills it at some moment of its first milliseconds.
    pub fn kill_half_way(&self, program: &Program) {
        let mut command = self.command(program);
        command.args(["sleep", "1000"]).stdin(Stdio::null()).stderr(Stdio::null());
        let mut started = command.spawn().expect("the program starts");
        sleep(Duration::from_micros(u64::from(random()) / 8));
        let _ = started.kill();
        let _ = started.wait();
    }

    /// Starts the program, and looks when it stands still.
    pub fn run(&self, program: &Program, options: &[&str]) -> (Run, Scene) {
        let mut command = self.command(program);
        command.args(options);
        let (run, stand) = Run::start(&mut command);
        let scene = self.look(&run, stand);
        (run, scene)
    }

    /// Starts the program, and looks after each system call of its container. Is there a moment that is
    /// right by this `rule`?
    pub fn has_moment(&self, program: &Program, rule: impl Fn(&Scene) -> bool) -> bool {
        let mut command = self.command(program);
        let mut last = Mounts::default();
        let is_right = |run: &Run| {
            let now = Mounts::of(&run.container()?.to_string());
            if now == last {
                return None; // that call has mounted nothing, and looking closer takes time
            }
            last = now;
            let scene = self.look(run, Stand::Message);
            (scene.inside.is_some() && rule(&scene)).then_some(())
        };
        Run::step(&mut command, is_right).is_some()
    }

    /// Looks at a program that stands still.
    pub fn look(&self, run: &Run, stand: Stand) -> Scene {
        let inside = run.container().and_then(|pid| Inside::of(pid, &self.rootfs, &self.secret));
        Scene { stand, inside, outside: Mounts::of("self") }
    }

    /// Unmounts what has been mounted outside since, the last first.
    pub fn tidy_up(&self) {
        for line in Mounts::of("self").new_since(&self.before).into_iter().rev() {
            let _ = umount2(&line.mount.point, MntFlags::MNT_DETACH);
        }
    }
}

impl Volume {
    fn mount(start: &Path, flags: MsFlags) -> Volume {
        let source = start.join(harness::random_name("source"));
        fs::create_dir(&source).expect("a folder of our own");
        mount(Some("source"), &source, Some("tmpfs"), flags, NONE).expect("a tmpfs can be mounted");
        let file = source.join(harness::random_name("file"));
        fs::write(&file, "of the host").expect("a file of our own");
        Volume { source, file, target: harness::random_name("volume") }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = umount2(&self.source, MntFlags::MNT_DETACH);
    }
}

impl Scene {
    /// The process in the container; without one, what was `expected` can't be.
    pub fn inside(&self, expected: &str) -> Result<&Inside, Finding> {
        self.inside.as_ref().ok_or_else(|| {
            let seen = match self.stand {
                Stand::Nowhere => "it neither starts the command nor ends",
                _ => "it gave up before the command could start",
            };
            finding(expected, seen, "The command never runs.")
        })
    }
}
