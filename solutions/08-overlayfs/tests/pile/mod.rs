//! A pile of layers in a folder of the test's own, the lowest a busybox.

use harness::{Output, bin, busybox_rootfs, random_name, run, success};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Pile {
    pub folder: PathBuf,
    pub layers: Vec<PathBuf>,
}

impl Pile {
    /// One layer, `base`, with programs in it.
    pub fn new() -> Pile {
        let folder = Path::new(&std::env::var("TMPDIR").unwrap()).join(random_name("pile"));
        busybox_rootfs(&folder.join("base"));
        Pile { layers: vec![folder.join("base")], folder }
    }

    /// Puts one more layer on top, in the folder `name`.
    pub fn layer(&mut self, name: impl AsRef<OsStr>) -> PathBuf {
        let layer = self.new_folder(name);
        self.layers.push(layer.clone());
        layer
    }

    pub fn new_folder(&self, name: impl AsRef<OsStr>) -> PathBuf {
        let folder = self.folder.join(name.as_ref());
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// `overlayfs --lower …` for all layers; options and the command are still to come.
    pub fn command(&self) -> Command {
        let mut command = Command::new(bin("overlayfs"));
        command.current_dir(&self.folder);
        for layer in &self.layers {
            command.arg("--lower").arg(layer);
        }
        command
    }

    /// Runs a shell script on the pile, with these options.
    pub fn sh(&self, options: &[&str], script: &str) -> Output {
        run(self.command().args(options).args(["sh", "-c", script]))
    }

    /// What the script prints; it has to succeed.
    pub fn says(&self, options: &[&str], script: &str) -> String {
        success(self.sh(options, script))
    }
}

/// Writes a file, and the folders it is in.
pub fn write(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
