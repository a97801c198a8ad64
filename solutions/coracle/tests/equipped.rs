//! An ordinary user who has the programs that lead out of a network of their own, or has none.

use crate::far::sh;
use crate::machine::{folder, success, wait_for};
use crate::sailor::Sailor;
use harness::{Output, run, run_within};
use nix::mount::{MsFlags, mount};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Prints where a program is that may be unpacked below target/peers.
pub fn peer_script() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the checkout");
    checkout.join("scripts/bench/peer")
}

/// Where a program gets a network card of its own making.
pub const TUN: &str = "/dev/net/tun";

/// A user who has these programs and no other of this kind.
pub struct User {
    pub sailor: Sailor,
    pub programs: PathBuf,
    /// Is there a device of ours in the place of the machine's?
    covered: bool,
}

impl User {
    pub fn with(programs: &[&str]) -> User {
        let sailor = Sailor::new();
        let place = sailor.account.home.with_file_name("programs");
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        for program in ["newuidmap", "newgidmap"] {
            symlink(Path::new("/usr/bin").join(program), place.join(program)).unwrap();
        }
        for program in programs {
            let found = run(Command::new(peer_script()).arg(program)).stdout;
            let Some((path, libraries)) = found.trim_end().split_once('\n') else {
                harness::not_run(format!("no {program}: install it"));
            };
            // The checkout may lie in a folder that is closed to others.
            sh(&format!(
                "cp -L {path} {}; cp -L {libraries}/libslirp* {0} || true",
                place.display()
            ));
        }
        let mut covered = false;
        if !programs.is_empty() {
            let tun = fs::metadata(TUN);
            let Ok(tun) = tun else { harness::not_run("no /dev/net/tun: modprobe tun") };
            covered = tun.mode() & 0o666 != 0o666;
            if covered {
                open_to_all(TUN, tun.rdev());
            }
        }
        let user = User { sailor, programs: place, covered };
        success(user.coracle(&["pull", "--quiet", &user.sailor.image]));
        user
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sailor.command(arguments);
        command.env("PATH", &self.programs).env("LD_LIBRARY_PATH", &self.programs);
        command
    }

    pub fn coracle(&self, arguments: &[&str]) -> Output {
        run_within(&mut self.command(arguments), Duration::from_secs(50))
    }

    pub fn run(&self, options: &[&str], script: &str) -> Output {
        let image = &*self.sailor.image;
        self.coracle(&[&["run", "--rm"], options, &[image, "sh", "-ec", script]].concat())
    }

    pub fn says(&self, options: &[&str], script: &str) -> String {
        success(self.run(options, script))
    }

    /// A container whose script has run, and which now sleeps.
    pub fn background(&self, options: &[&str], script: &str) -> Running {
        let home = &self.sailor.account.home;
        let (ready, volume) = (home.join("ready"), format!("{}:/shared", home.display()));
        let _ = fs::remove_file(&ready);
        let script = format!("{script}\ntouch /shared/ready; exec sleep 1000");
        let run = ["run", "--rm", "-v", &volume];
        let all = [&run, options, &[&self.sailor.image, "sh", "-c", &script]].concat();
        let mut program = self.command(&all).stdin(Stdio::null()).spawn().unwrap();
        wait_for("the container", || {
            assert_eq!(program.try_wait().unwrap(), None, "it has ended");
            ready.exists()
        });
        Running(program)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if self.covered {
            let _ = Command::new("umount").args([Path::new(TUN), &folder("devices")]).status();
        }
    }
}

/// A container's program; ended with this value.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// On most machines everybody may have network cards that are programs; on some root alone.
pub fn open_to_all(path: &str, number: u64) {
    let place = folder("devices");
    mount(Some("tmpfs"), &place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let (device, kind) = (place.join("device"), nix::sys::stat::SFlag::S_IFCHR);
    nix::sys::stat::mknod(&device, kind, nix::sys::stat::Mode::empty(), number).unwrap();
    fs::set_permissions(&device, fs::Permissions::from_mode(0o666)).unwrap();
    mount(Some(&device), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
}
