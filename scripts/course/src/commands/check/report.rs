//! What a check says to the learner.

use super::Checked;
use crate::course::Course;
use crate::judge::{Line, Outcome};
use crate::look::{BAD, BOLD, DIM, GOOD, TODO, TYPE, labelled, minutes, paragraph, to_type};
use crate::progress::Progress;
use crate::starters;
use crate::verdict::{State, Verdict};
use std::path::Path;

/// How many lines of a program's output are shown.
const SHOWN: usize = 8;

/// All of it.
pub fn of(
    checked: &Checked,
    course: &Course,
    program: Option<&Path>,
    progress: &Progress,
) -> String {
    let chapter = checked.chapter;
    let number = chapter.number();
    let Some(verdicts) = &checked.verdicts else {
        return format!(
            "\n{BAD}✗ chapter {number} does not compile yet{BAD:#}: the compiler says why, above.\n"
        );
    };
    let mut text = format!("\n{BOLD}Chapter {number}{BOLD:#}  {}\n\n", chapter.title);
    text += &verdicts.iter().map(row).collect::<String>();
    text.push('\n');
    text += &match first_to_mend(verdicts) {
        None => done(course, number),
        Some(verdict) if verdict.state == State::Open => open(verdict, checked, course, program),
        Some(verdict) if verdict.state == State::NotRun => not_run(verdict),
        Some(verdict) => failed(verdict, checked, progress.of(&verdict.exercise.name).hints),
    };
    text
}

/// The first that failed; else the first that is open, or else that was not run.
fn first_to_mend<'a>(verdicts: &'a [Verdict]) -> Option<&'a Verdict<'a>> {
    let first = |state| verdicts.iter().find(|verdict| verdict.state == state);
    first(State::Failed).or(first(State::NotRun)).or(first(State::Open))
}

fn row(verdict: &Verdict) -> String {
    let (style, word) = match verdict.state {
        State::Passed => (GOOD, "✓ passed".to_owned()),
        State::Failed => (BAD, "✗ failed".to_owned()),
        State::Blocked(number) => (DIM, format!("· blocked by {number}")),
        State::Open => (TODO, "○ open".to_owned()),
        State::NotRun => (TODO, "? not run".to_owned()),
    };
    let Verdict { number, exercise, .. } = verdict;
    format!("  {style}{word:<16}{style:#}{number}  {}\n", exercise.title)
}

fn done(course: &Course, number: &str) -> String {
    let mut text = format!("{GOOD}All of chapter {number} has passed.{GOOD:#} ");
    text += "Attack again, at the end of its page. And look:\n\n";
    text +=
        &to_type(&format!("cargo course xray {number:<18} what is its own, and what the host's"));
    text += &to_type(&format!(
        "cargo course diff {number} --solution      your code beside the solution"
    ));
    let next = course.chapters.iter().find(|chapter| chapter.number() > number);
    match next {
        Some(next) => {
            text += &format!("\nNext is chapter {}. Begin with its page:\n\n", next.number());
            text += &to_type(&format!("cargo course book {}", next.number()));
        }
        None => text += "\nThat was the last chapter so far.\n",
    }
    text
}

fn open(verdict: &Verdict, checked: &Checked, course: &Course, program: Option<&Path>) -> String {
    let Verdict { number, exercise, .. } = verdict;
    let mut text = format!("{BOLD}Exercise {number} is still open{BOLD:#}: {}\n\n", exercise.title);
    if program.is_none() {
        let place = place(course, checked, &exercise.name);
        text += &labelled("where", &place, DIM);
    }
    text += &labelled("time", &format!("about {}", minutes(exercise.minutes)), DIM);
    text += "\nWrite it, then check again. If you are stuck:\n\n";
    text + &to_type(&format!("cargo course hint {}", checked.chapter.number()))
}

/// Where the learner's own `todo!` stands.
fn place(course: &Course, checked: &Checked, exercise: &str) -> String {
    let folder = course.starter(checked.chapter);
    let sources = starters::sources(&folder).unwrap_or_default();
    let mark = format!("todo!(\"{exercise}\")");
    let found = sources.iter().find_map(|(path, text)| {
        let index = text.lines().position(|line| line.contains(&mark))?;
        Some(format!("chapters/{}/{}:{}", checked.chapter.folder, path.display(), index + 1))
    });
    found.unwrap_or_else(|| format!("chapters/{}", checked.chapter.folder))
}

fn not_run(verdict: &Verdict) -> String {
    let reason = verdict.line.as_ref().and_then(|line| line.reason.as_deref());
    let mut text = format!("{BOLD}Not run{BOLD:#}, so neither right nor wrong:\n\n");
    text += &paragraph(reason.unwrap_or("the judge gave no reason"), 2);
    text += "\nWhat this machine lacks, and what to type:\n\n";
    text + &to_type("cargo course doctor")
}

/// The first hint comes by itself; who has read it already has seen this failure before.
fn failed(verdict: &Verdict, checked: &Checked, hints_read: usize) -> String {
    let Verdict { number, exercise, .. } = verdict;
    let mut text = format!("{BOLD}Exercise {number}{BOLD:#}: {}\n\n", exercise.title);
    if let Some(line) = &verdict.line {
        text += &explained(line);
    }
    let which = format!("{} {number}", checked.chapter.number());
    if hints_read <= 1 {
        text += &labelled("hint 1 of 3", &exercise.hints[0], TODO);
    }
    text + &match hints_read {
        3.. => labelled("all 3 hints", &format!("cargo course solution {which} --spoil"), TYPE),
        read => labelled(
            &format!("hint {} of 3", read.max(1) + 1),
            &format!("cargo course hint {which}"),
            TYPE,
        ),
    }
}

fn explained(line: &Line) -> String {
    let mut text = String::new();
    match &line.finding {
        Some(finding) => {
            text += &labelled("expected", &finding.expected, GOOD);
            text += &labelled("kernel shows", &finding.seen, BAD);
            text += &labelled("why", &finding.why, DIM);
            text.push('\n');
            if let Some(diagnosis) = &finding.diagnosis {
                text += &labelled("diagnosis", &diagnosis.text, BOLD);
                text.push('\n');
            }
        }
        None if line.outcome == Outcome::Died => {
            text += &labelled("ended", line.reason.as_deref().unwrap_or("without a verdict"), BAD);
            text += &output(&line.output);
            text.push('\n');
        }
        None => {
            text += &labelled("almost", "it does what it should, but not all of it ended.", TODO)
        }
    }
    if !line.leaks.is_empty() {
        for thing in &line.leaks {
            text += &labelled("left behind", thing, BAD);
        }
        text.push('\n');
    }
    text
}

/// The last lines of what the program printed.
fn output(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(SHOWN)..];
    last.iter().map(|line| labelled("it printed", line, DIM)).collect()
}
