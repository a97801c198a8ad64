//! Says of each exercise how it stands: what the judge found, seen together with what is still open
//! and with what depends on what.

use crate::catalogue::{Chapter, Exercise};
use crate::judge::{Line, Outcome};

/// How an exercise stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The kernel shows what it should.
    Passed,
    /// It does not.
    Failed,
    /// It can't be judged before exercise N passes.
    Blocked(usize),
    /// Nothing is written yet.
    Open,
    /// It can't be judged here.
    NotRun,
}

/// An exercise, and how it stands.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// Which one of the chapter, counted from one.
    pub number: usize,
    /// The exercise.
    pub exercise: &'a Exercise,
    /// How it stands.
    pub state: State,
    /// What the judge said, if it was asked and its word counts.
    pub line: Option<Line>,
}

/// Puts together what is open and what the judge said.
pub fn of<'a>(
    chapter: &'a Chapter,
    is_open: impl Fn(&str) -> bool,
    lines: &[Line],
) -> Vec<Verdict<'a>> {
    let mut verdicts: Vec<Verdict<'a>> = Vec::new();
    for (index, exercise) in chapter.exercises.iter().enumerate() {
        let line = lines.iter().find(|line| line.exercise == exercise.name);
        let state = match blocker(&verdicts, exercise) {
            _ if is_open(&exercise.name) || line.is_some_and(is_unwritten) => State::Open,
            Some(number) => State::Blocked(number),
            None => line.map_or(State::NotRun, state_of),
        };
        let line = line.filter(|_| !matches!(state, State::Open | State::Blocked(_))).cloned();
        verdicts.push(Verdict { number: index + 1, exercise, state, line });
    }
    verdicts
}

/// The exercises that can be judged: not open, and not behind one that is.
pub fn to_judge(chapter: &Chapter, is_open: impl Fn(&str) -> bool) -> Vec<&Exercise> {
    let verdicts = of(chapter, is_open, &[]);
    let free = verdicts.iter().filter(|verdict| verdict.state == State::NotRun);
    free.map(|verdict| verdict.exercise).collect()
}

/// The exercise that has to pass first: the first in the chain of what is needed.
fn blocker(before: &[Verdict], exercise: &Exercise) -> Option<usize> {
    let needed = before.iter().filter(|other| exercise.needs.contains(&other.exercise.name));
    needed
        .filter_map(|other| match other.state {
            State::Failed | State::Open => Some(other.number),
            State::Blocked(number) => Some(number),
            State::Passed | State::NotRun => None,
        })
        .min()
}

fn state_of(line: &Line) -> State {
    match line.outcome {
        Outcome::Passed => State::Passed,
        Outcome::Failed | Outcome::Died => State::Failed,
        Outcome::NotRun => State::NotRun,
    }
}

/// A program whose source we don't have says itself that it met a hole.
fn is_unwritten(line: &Line) -> bool {
    let mark = format!("not yet implemented: {}", line.exercise);
    let seen = line.finding.as_ref().map(|finding| finding.seen.as_str()).unwrap_or_default();
    let says = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").contains(&mark);
    line.outcome != Outcome::Passed && (says(&line.output) || says(seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapter() -> Chapter {
        let exercise = |name: &str, needs: &str| {
            format!(
                "[[exercise]]\nname='{name}'\ntitle='T'\nminutes=1\nneeds=[{needs}]\nhints=['a','b','c']\n"
            )
        };
        let head = "title='T'\nabout='A'\nprogram='p'\npage='p.md'\n".to_owned();
        let text = head + &exercise("a", "") + &exercise("b", "'a'") + &exercise("c", "'b'");
        toml::from_str(&(text + &exercise("d", ""))).unwrap()
    }

    fn line(exercise: &str, outcome: Outcome, output: &str) -> Line {
        Line {
            exercise: exercise.to_owned(),
            outcome,
            finding: None,
            reason: None,
            leaks: Vec::new(),
            output: output.to_owned(),
            seconds: 0.0,
        }
    }

    fn states(open: &[&str], lines: &[Line]) -> Vec<State> {
        let chapter = chapter();
        let verdicts = of(&chapter, |name| open.contains(&name), lines);
        verdicts.iter().map(|verdict| verdict.state).collect()
    }

    use State::*;

    #[test]
    fn what_depends_on_a_failure_is_blocked_by_its_root() {
        let lines = [
            line("a", Outcome::Failed, ""),
            line("b", Outcome::Passed, ""),
            line("c", Outcome::Failed, ""),
            line("d", Outcome::Passed, ""),
        ];
        assert_eq!(states(&[], &lines), [Failed, Blocked(1), Blocked(1), Passed]);
    }

    #[test]
    fn what_is_open_blocks_and_is_not_judged() {
        let chapter = chapter();
        let free = to_judge(&chapter, |name| name == "b");
        assert_eq!(free.iter().map(|one| &one.name).collect::<Vec<_>>(), ["a", "d"]);
        let lines = [line("a", Outcome::Passed, ""), line("d", Outcome::NotRun, "")];
        assert_eq!(states(&["b"], &lines), [Passed, Open, Blocked(2), NotRun]);
    }

    #[test]
    fn an_open_exercise_is_open_also_behind_another() {
        assert_eq!(states(&["a", "b"], &[]), [Open, Open, Blocked(2), NotRun]);
    }

    #[test]
    fn a_program_without_source_says_what_is_open() {
        let lines = [line("a", Outcome::Failed, "not yet implemented: a\n")];
        assert_eq!(states(&[], &lines)[..2], [Open, Blocked(1)]);
    }
}
