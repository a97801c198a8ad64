//! An ordinary user with an image, and `coracle` in this user's hands.

#![allow(dead_code, reason = "each test file uses a part of it")]

use crate::machine::layout::{made, tar_of};
use crate::machine::{folder, scratch, wait_for};
use harness::{Account, Output, children_of, run_within};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A user with a folder of images, made of busybox, where files belong to three users.
pub struct Sailor {
    pub account: Account,
    pub image: String,
    pub coracle: PathBuf,
}

impl Sailor {
    pub fn new() -> Sailor {
        for program in ["newuidmap", "newgidmap"] {
            if !Path::new("/usr/bin").join(program).exists() {
                harness::not_run(format!("no {program}: install uidmap"));
            }
        }
        let mut account = Account::new();
        let rootfs = folder("rootfs");
        harness::busybox_rootfs(&rootfs);
        for (file, owner, group, mode) in [
            ("home/app/mine", 1000, 1000, 0o600),
            ("var-mail", 8, 12, 0o2775),
            ("nobody", 65534, 65534, 0o4755),
        ] {
            fs::write(rootfs.join(file), file).unwrap();
            std::os::unix::fs::chown(rootfs.join(file), Some(owner), Some(group)).unwrap();
            fs::set_permissions(rootfs.join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        std::os::unix::fs::chown(rootfs.join("home/app"), Some(1000), Some(1000)).unwrap();
        let source = made::one_image(&scratch().join("image"), &[tar_of(&rootfs)]).source("latest");
        fs::remove_dir_all(&rootfs).unwrap();
        let coracle = account.bin("coracle");
        Sailor { account, image: source, coracle }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.account.command(&self.coracle);
        command.args(arguments);
        command
    }

    pub fn coracle(&self, arguments: &[&str]) -> Output {
        run_within(&mut self.command(arguments), Duration::from_secs(50))
    }

    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.coracle(arguments);
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    /// What a script in a container prints.
    pub fn says(&self, options: &[&str], script: &str) -> String {
        let run = ["run", "--rm", "--network", "host"];
        self.succeeds(&[&run, options, &[&self.image, "sh", "-c", script]].concat())
    }

    pub fn store(&self) -> PathBuf {
        self.account.home.join(".local/share/coracle")
    }

    pub fn runs(&self) -> PathBuf {
        self.account.runtime_folder().join("coracle")
    }

    /// A container whose script has made `ready` in the home folder; its program.
    pub fn background(&self, options: &[&str], script: &str) -> Child {
        let ready = self.account.home.join("ready");
        let _ = fs::remove_file(&ready);
        let volume = format!("{}:/shared", self.account.home.display());
        let run = ["run", "--network", "host", "-v", &volume];
        let script = format!("{script}\ntouch /shared/ready; exec sleep 1000");
        let all = [&run, options, &[&self.image, "sh", "-c", &script]].concat();
        let mut program = self.command(&all).stdin(Stdio::null()).spawn().unwrap();
        wait_for("the container", || {
            assert_eq!(program.try_wait().unwrap(), None, "it has ended");
            ready.exists()
        });
        program
    }

    pub fn states(&self) -> Vec<Value> {
        let runs = fs::read_dir(self.runs()).unwrap().flatten();
        let states = runs.map(|run| fs::read(run.path().join("state.json")).unwrap());
        states.map(|text| serde_json::from_slice(&text).unwrap()).collect()
    }
}

/// The first process of the container that `program` has started: below the program is itself once
/// more, as root of the user namespace, and below that the container.
pub fn first_process(program: &Child) -> u32 {
    children_of(children_of(program.id())[0])[0]
}
