//! Finds the checkout and says what is in it: chapters, starters, solutions.

use crate::catalogue::{self, Chapter};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// What a folder must have to be the checkout.
const MARKS: [&str; 3] = ["solutions", "scripts/course/chapters", "scripts/as-user"];

/// The checkout that we are in, and its chapters.
pub struct Course {
    /// The folder that has `solutions`, `chapters` and `scripts`.
    pub checkout: PathBuf,
    /// The chapters that can be done, in order.
    pub chapters: Vec<Chapter>,
}

impl Course {
    /// The course of the checkout that the current folder is in.
    ///
    /// # Errors
    /// We are not in a checkout, or its catalogue can't be read.
    pub fn here() -> Result<Course> {
        let folder = std::env::current_dir().context("cannot tell the current folder")?;
        let Some(checkout) = checkout_around(&folder) else {
            bail!(
                "{} is not in a checkout of Coracle\n\
                 hint: go to the folder that you cloned, or to any folder below it",
                folder.display()
            )
        };
        Course::of(&checkout)
    }

    /// The course of a checkout.
    ///
    /// # Errors
    /// Its catalogue can't be read.
    pub fn of(checkout: &Path) -> Result<Course> {
        let chapters = catalogue::read(checkout)?;
        Ok(Course { checkout: checkout.to_path_buf(), chapters })
    }

    /// Where a chapter's solution is.
    pub fn solution(&self, chapter: &Chapter) -> PathBuf {
        self.checkout.join("solutions").join(&chapter.folder)
    }

    /// Where the learner's copy of a chapter is.
    pub fn starter(&self, chapter: &Chapter) -> PathBuf {
        self.checkout.join("chapters").join(&chapter.folder)
    }
}

fn checkout_around(folder: &Path) -> Option<PathBuf> {
    let is_checkout = |folder: &&Path| MARKS.iter().all(|mark| folder.join(mark).exists());
    folder.ancestors().find(is_checkout).map(Path::to_path_buf)
}
