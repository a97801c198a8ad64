//! Says what a variant must come to, and compares.

use super::Proof;
use super::workshop::{Built, Change, Variant, Workshop, WrongAnswer};
use crate::catalogue::{Chapter, Exercise};
use crate::judge::{self, Line, Outcome};
use crate::verdict::{self, State};
use anyhow::Result;
use std::time::Duration;

/// At least two wrong answers to each exercise.
const ENOUGH: usize = 2;

/// Whether the catalogue of wrong answers has enough for an exercise.
pub fn enough_wrong_answers(chapter: &Chapter, exercise: &Exercise, count: usize) -> Proof {
    Proof {
        chapter: chapter.folder.clone(),
        exercise: exercise.name.clone(),
        tried: "count its wrong answers".to_owned(),
        expected: format!("{ENOUGH} or more"),
        got: count.to_string(),
        held: count >= ENOUGH,
        details: Vec::new(),
    }
}

/// What the judge says of a program, of all exercises of its chapter, and what a learner is told.
struct Judged<'a> {
    chapter: &'a Chapter,
    lines: Vec<Line>,
    states: Vec<State>,
}

/// Judges what was built and compares it with what it must come to.
pub fn judged(workshop: &Workshop, variant: &Variant, built: &Built) -> Result<Vec<Proof>> {
    let chapter = variant.chapter;
    let Some(program) = &built.program else { return Ok(vec![does_not_compile(variant, built)]) };
    let exercises: Vec<_> = chapter.exercises.iter().collect();
    let lines = workshop.judge(program, chapter, &exercises)?;
    let verdicts = verdict::of(chapter, |name| built.open.contains(name), &lines);
    let states = verdicts.iter().map(|verdict| verdict.state).collect();
    let judged = Judged { chapter, lines, states };
    Ok(match variant.change {
        Change::Nothing => judged.solution(),
        Change::Starter => judged.starter(built),
        Change::Reopened(exercise) => vec![judged.reopened(exercise)],
        Change::Wrong(wrong) => vec![judged.wrong(wrong)],
    })
}

fn does_not_compile(variant: &Variant, built: &Built) -> Proof {
    Proof {
        chapter: variant.chapter.folder.clone(),
        exercise: variant.exercise().to_owned(),
        tried: variant.words(),
        expected: "it compiles".to_owned(),
        got: "it does not".to_owned(),
        held: false,
        details: built.complaints.clone(),
    }
}

impl Judged<'_> {
    fn proof(&self, exercise: &str, tried: String, expected: &str, wrong: &[String]) -> Proof {
        let got = if wrong.is_empty() { expected.to_owned() } else { wrong.join("; ") };
        Proof {
            chapter: self.chapter.folder.clone(),
            exercise: exercise.to_owned(),
            tried,
            expected: expected.to_owned(),
            got,
            held: wrong.is_empty(),
            details: self.lines.iter().flat_map(explain).collect(),
        }
    }

    fn of(&self, exercise: &str) -> (&Line, State) {
        let index = self.chapter.number_of(exercise).expect("an exercise of this chapter") - 1;
        (&self.lines[index], self.states[index])
    }

    fn solution(&self) -> Vec<Proof> {
        let prove = |exercise: &Exercise| {
            let (line, state) = self.of(&exercise.name);
            let wrong = (state != State::Passed).then(|| word(line, state));
            let wrong: Vec<String> = wrong.into_iter().collect();
            let tried = Change::Nothing.words();
            Proof { details: explain(line), ..self.proof(&exercise.name, tried, "passed", &wrong) }
        };
        self.chapter.exercises.iter().map(prove).collect()
    }

    /// Each exercise is open. And its check, which does not know that, does not let it pass.
    fn starter(&self, built: &Built) -> Vec<Proof> {
        let mut wrong = Vec::new();
        for exercise in &self.chapter.exercises {
            let (line, state) = self.of(&exercise.name);
            if state != State::Open {
                wrong.push(format!("{}: {}", exercise.name, word(line, state)));
            } else if line.outcome == Outcome::Passed {
                wrong.push(format!("the check of {} lets it pass", exercise.name));
            }
        }
        let warnings = built.complaints.len();
        let quiet = (warnings != 0).then(|| format!("{warnings} warnings"));
        let build = Proof {
            details: built.complaints.clone(),
            ..self.proof("", "the starter, built".to_owned(), "no warnings", &Vec::from_iter(quiet))
        };
        vec![build, self.proof("", Change::Starter.words(), "every exercise open", &wrong)]
    }

    fn reopened(&self, exercise: &Exercise) -> Proof {
        let mut wrong = self.others_that_differ(&exercise.name);
        let (line, state) = self.of(&exercise.name);
        if state != State::Open {
            wrong.push(word(line, state));
        } else if line.outcome == Outcome::Passed {
            wrong.push("its check lets it pass".to_owned());
        }
        let expected = format!("open, {}", self.blocks(&exercise.name));
        self.proof(&exercise.name, Change::Reopened(exercise).words(), &expected, &wrong)
    }

    fn wrong(&self, answer: &WrongAnswer) -> Proof {
        let mut wrong = self.others_that_differ(&answer.exercise);
        wrong.extend(self.others_that_kept_us_waiting(&answer.exercise));
        let (line, state) = self.of(&answer.exercise);
        let finding = line.finding.as_ref();
        let id = finding.and_then(|finding| finding.diagnosis.as_ref()).map(|it| it.id.as_str());
        if state != State::Failed {
            wrong.push(word(line, state));
        } else if id != Some(&answer.diagnosis) {
            wrong.push(format!("failed, {}", id.unwrap_or("no diagnosis")));
        }
        let expected = format!("failed, {}", answer.diagnosis);
        self.proof(&answer.exercise, Change::Wrong(answer).words(), &expected, &wrong)
    }

    /// Those that stand on the exercise must be blocked by it; all others must pass.
    fn others_that_differ(&self, exercise: &str) -> Vec<String> {
        let others = self.chapter.exercises.iter().filter(|other| other.name != exercise);
        let differs = |other: &Exercise| {
            let (line, state) = self.of(&other.name);
            let right = match self.chapter.stands_on(&other.name, exercise) {
                true => matches!(state, State::Blocked(_)),
                false => state == State::Passed,
            };
            (!right).then(|| format!("{}: {}", other.name, word(line, state)))
        };
        others.filter_map(differs).collect()
    }

    /// The learner waits for all of them. But there is nothing to wait for in those that are blocked.
    fn others_that_kept_us_waiting(&self, exercise: &str) -> Option<String> {
        let blocked =
            self.lines.iter().filter(|other| self.chapter.stands_on(&other.exercise, exercise));
        let last = blocked.map(|other| other.seconds).fold(0.0, f64::max);
        let wait = last - self.of(exercise).0.seconds;
        let most = judge::REMAINDER + harness::patient(Duration::from_secs(5));
        (wait > most.as_secs_f64()).then(|| format!("waited {wait:.0} s for blocked ones"))
    }

    /// "3 blocked, the others pass", in as many words as there is something to say.
    fn blocks(&self, exercise: &str) -> String {
        let others = self.chapter.exercises.iter().filter(|other| other.name != exercise);
        let blocked = others.filter(|other| self.chapter.stands_on(&other.name, exercise)).count();
        match (blocked, self.chapter.exercises.len() - 1 - blocked) {
            (blocked, 0) => format!("{blocked} blocked"),
            (0, _) => "the others pass".to_owned(),
            (blocked, passed) => format!("{blocked} blocked, {passed} pass"),
        }
    }
}

/// How it went, in a word or two.
fn word(line: &Line, state: State) -> String {
    match state {
        State::Passed => "passed".to_owned(),
        State::Open => "open".to_owned(),
        State::Blocked(_) => "blocked".to_owned(),
        State::Failed => match line.finding.as_ref().and_then(|it| it.diagnosis.as_ref()) {
            Some(diagnosis) => format!("failed, {}", diagnosis.id),
            None => "failed, no diagnosis".to_owned(),
        },
        State::NotRun => "not run".to_owned(),
    }
}

/// All that the judge knows of an exercise that has not passed.
pub fn explain(line: &Line) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(finding) = &line.finding {
        let diagnosis = finding.diagnosis.as_ref().map_or("none", |diagnosis| &diagnosis.text);
        said.push(format!(
            "expected {}; seen {}; diagnosis: {diagnosis}",
            finding.expected, finding.seen
        ));
    }
    said.extend(line.reason.clone());
    said.extend(line.leaks.iter().map(|leak| format!("left behind: {leak}")));
    if line.outcome != Outcome::Passed && !line.output.is_empty() {
        said.push(format!("it printed: {}", line.output.chars().take(600).collect::<String>()));
    }
    said.into_iter().map(|text| format!("{}: {text}", line.exercise)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Diagnosis, Finding};

    fn chapter() -> Chapter {
        let exercise = |name: &str, needs: &str| {
            format!(
                "[[exercise]]\nname='{name}'\ntitle='T'\nminutes=1\nneeds=[{needs}]\n\
                 hints=['a','b','c']\n"
            )
        };
        let head = "title='T'\nabout='A'\nprogram='p'\npage='p.md'\n".to_owned();
        let text = head + &exercise("a", "") + &exercise("b", "'a'") + &exercise("c", "");
        toml::from_str(&text).unwrap()
    }

    fn line(exercise: &str, diagnosis: Option<&str>) -> Line {
        let finding = |id: &str| Finding {
            expected: String::new(),
            seen: String::new(),
            why: String::new(),
            diagnosis: Some(Diagnosis { id: id.to_owned(), text: String::new() }),
        };
        Line {
            exercise: exercise.to_owned(),
            outcome: if diagnosis.is_none() { Outcome::Passed } else { Outcome::Failed },
            finding: diagnosis.map(finding),
            reason: None,
            leaks: Vec::new(),
            output: String::new(),
            seconds: 0.0,
        }
    }

    fn answer() -> WrongAnswer {
        let (exercise, diagnosis) = ("a".to_owned(), "right-id".to_owned());
        WrongAnswer { exercise, diagnosis, name: "n".to_owned(), patch: "n.patch".into() }
    }

    /// Whether the wrong answer to `a` counts as caught, when the judge says this of a, b and c.
    fn caught(said: [Option<&str>; 3]) -> bool {
        let chapter = chapter();
        let names = ["a", "b", "c"];
        let lines: Vec<Line> =
            names.iter().zip(said).map(|(name, diagnosis)| line(name, diagnosis)).collect();
        let verdicts = verdict::of(&chapter, |_| false, &lines);
        let states = verdicts.iter().map(|verdict| verdict.state).collect();
        Judged { chapter: &chapter, lines, states }.wrong(&answer()).held
    }

    #[test]
    fn a_wrong_answer_is_caught_by_its_own_check_and_answered_by_its_own_diagnosis() {
        assert!(caught([Some("right-id"), None, None]));
        assert!(caught([Some("right-id"), Some("any"), None]), "what stands on it is blocked");
        assert!(!caught([None, None, None]), "it passed");
        assert!(!caught([Some("wrong-id"), None, None]), "the learner is told something else");
        assert!(!caught([Some("right-id"), None, Some("any")]), "another check fails too");
    }

    #[test]
    fn a_hole_must_be_open_and_its_check_must_see_it() {
        let chapter = chapter();
        let reopened = |said: Option<&str>| {
            let lines = vec![line("a", said), line("b", None), line("c", None)];
            let verdicts = verdict::of(&chapter, |name| name == "a", &lines);
            let states = verdicts.iter().map(|verdict| verdict.state).collect();
            Judged { chapter: &chapter, lines, states }.reopened(&chapter.exercises[0])
        };
        assert!(reopened(Some("any")).held);
        assert_eq!(reopened(None).got, "its check lets it pass");
        assert_eq!(reopened(Some("any")).expected, "open, 1 blocked, 1 pass");
    }
}
