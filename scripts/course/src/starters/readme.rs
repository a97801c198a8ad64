//! Writes the README of a starter: enough to begin, and the way to the page.

use crate::catalogue::Chapter;
use crate::course::Course;
use crate::text::wrap;
use std::fmt::Write;

const WIDTH: usize = 100;

/// The text of a chapter's `README.md`.
pub fn of(course: &Course, chapter: &Chapter) -> String {
    let number = chapter.number();
    let mut text = format!("# Chapter {number}: {}\n\n", chapter.title);
    for paragraph in chapter.about.trim().split("\n\n") {
        text += &wrap(paragraph, WIDTH).join("\n");
        text += "\n\n";
    }
    let page = &chapter.page;
    text += &format!(
        "Read the page first: [book/src/{page}](../../book/src/{page}), or in a browser \
         `cargo course book {number}`.\n\n"
    );
    text += "| | exercise | minutes | where |\n|---|---|---|---|\n";
    let places = crate::starters::places(course, chapter).unwrap_or_default();
    for (index, exercise) in chapter.exercises.iter().enumerate() {
        let place = places.iter().find(|place| place.hole.name == exercise.name);
        let file = place.map(|place| place.file.to_string_lossy()).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} (`{}`) | {} | [{file}]({file}) |",
            index + 1,
            exercise.title,
            exercise.name,
            exercise.minutes
        );
    }
    text + &commands(number)
}

fn commands(number: &str) -> String {
    format!(
        "\n\
Each exercise is a `todo!` under a comment that says what to write.

```sh
cargo course check {number}            # is it right? the kernel decides
cargo course check {number} --watch    # the same, each time you save
cargo course hint {number}             # the next of three hints
cargo course run {number} -- --help    # run your program, in a sandbox
cargo course reset {number}            # this chapter as it was; your work is kept in a backup
```
"
    )
}
