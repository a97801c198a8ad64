//! Images made for the tests: archives byte by byte, layouts, and a look at what became of them.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod certificates;
pub mod layout;
pub mod mounts;
pub mod random;
pub mod registry;
pub mod server;
pub mod tar;
pub mod token;
pub mod tree;

use image::{Access, Image, Platform, Progress, Store, Wanted};
use layout::{Layout, one_image};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tar::Tar;
use tree::Canary;

/// A folder of a test's own, with a canary in it that nothing may touch.
pub struct Place {
    pub folder: PathBuf,
    pub canary: Canary,
}

impl Place {
    pub fn new() -> Place {
        let folder = std::env::temp_dir().join(harness::random_name("image"));
        fs::create_dir_all(&folder).unwrap();
        Place { canary: Canary::new(&folder.join("outside")), folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn store(&self) -> Store {
        Store::open(&self.path("store")).unwrap()
    }

    /// The folders in the store's `unpacking`, where nothing may be left after a pull.
    pub fn remains(&self) -> Vec<String> {
        names(&self.path("store/unpacking"))
    }

    /// Makes an image of these layers and pulls it into the store.
    pub fn pull(&self, layers: &[Vec<u8>]) -> anyhow::Result<Image> {
        let layout = layout::one_image(&self.path("layout"), layers);
        let pulled = image::pull(&self.store(), layout.source("latest"), &Platform::host());
        fs::remove_dir_all(self.path("layout")).unwrap();
        assert!(self.remains().is_empty(), "left in unpacking: {:?}", self.remains());
        pulled
    }

    /// The same into a new folder `flat`.
    pub fn pull_flat(&self, layers: &[Vec<u8>]) -> anyhow::Result<Image> {
        let layout = layout::one_image(&self.path("layout"), layers);
        let target = self.path("flat");
        let pulled = image::pull_flat(layout.source(""), &Platform::host(), &target);
        fs::remove_dir_all(self.path("layout")).unwrap();
        assert_eq!(target.exists(), pulled.is_ok(), "a failure leaves nothing");
        pulled
    }

    /// Pulls a layer both ways and looks at the canary; returns what went wrong each time.
    pub fn pull_both(&self, layers: &[Vec<u8>]) -> [anyhow::Result<Image>; 2] {
        self.clear();
        let results = [self.pull(layers), self.pull_flat(layers)];
        self.canary.assert_untouched();
        let ours = ["flat", "outside", "store"];
        let beside = names(&self.folder);
        assert!(beside.iter().all(|name| ours.contains(&name.as_str())), "{beside:?}");
        results
    }

    /// Both folders into which the layer was unpacked.
    pub fn unpacked(&self, tar: Tar) -> [PathBuf; 2] {
        self.pull_both(&[tar.finish()]).map(|image| image.unwrap().layers[0].clone())
    }

    /// The layer is refused both ways, with these words.
    pub fn assert_refused(&self, tar: Tar, because: &str) {
        for result in self.pull_both(&[tar.finish()]) {
            assert_says(&said(result), &[because]);
        }
    }

    /// Pulls what has this name into the store.
    pub fn pull_from(&self, source: &str) -> anyhow::Result<Image> {
        self.pull_within(source, harness::patient(Duration::from_secs(5)))
    }

    /// The same, from somebody who may be silent for so long.
    pub fn pull_within(&self, source: &str, silence: Duration) -> anyhow::Result<Image> {
        let access = Access { insecure: false, silence };
        let source = source.into();
        let wanted = Wanted { source, access, progress: Progress::Quiet, here: None };
        image::pull(&self.store(), wanted, &Platform::host())
    }

    /// `image-pull SOURCE` into the store.
    pub fn program(&self, source: &str) -> Command {
        let mut program = Command::new(harness::bin("image-pull"));
        program.arg(source).arg("--root").arg(self.path("store"));
        program
    }

    /// The same ten times at once: all must succeed, and print the same.
    pub fn run_ten_at_once(&self, source: &str) {
        let pulls: Vec<_> = (0..10)
            .map(|_| self.program(source).stdout(Stdio::piped()).spawn().expect("it starts"))
            .collect();
        let outputs: Vec<_> = pulls.into_iter().map(|p| p.wait_with_output().unwrap()).collect();
        for output in &outputs {
            assert!(output.status.success(), "{output:?}");
            assert_eq!(output.stdout, outputs[0].stdout);
        }
    }

    /// Nothing is listed, unpacked or half there.
    pub fn assert_clean(&self) {
        for folder in ["unpacking", "downloading", "layers/sha256"] {
            assert_eq!(names(&self.path("store").join(folder)), [""; 0], "in {folder}");
        }
        assert!(self.store().images().unwrap().is_empty());
    }

    /// Empties the place for the next try, without the canary.
    pub fn clear(&self) {
        for name in ["store", "flat"] {
            if self.path(name).exists() {
                fs::remove_dir_all(self.path(name)).unwrap();
            }
        }
    }
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The error as the person at the prompt reads it, on one line.
pub fn said<T>(result: anyhow::Result<T>) -> String {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => format!("{error:#}"),
    }
}

pub fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

/// Bytes that no compression makes fewer.
pub fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut urandom = fs::File::open("/dev/urandom").unwrap();
    std::io::Read::read_exact(&mut urandom, &mut bytes).unwrap();
    bytes
}

/// A layer with nothing but a small file `x`.
pub fn one_file() -> Vec<u8> {
    Tar::new().file("x", b"x").finish()
}

/// An image of that.
pub fn one_small_image(folder: &Path) -> Layout {
    one_image(folder, &[one_file()])
}

/// An image of one layer that has about a megabyte however it is compressed.
pub fn large_image(folder: &Path) -> Layout {
    one_image(folder, &[Tar::new().file("large", &noise(1 << 20)).finish()])
}
