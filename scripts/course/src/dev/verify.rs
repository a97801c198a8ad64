//! `cargo course dev verify`: proves that the course's checks can tell right from wrong.
//!
//! A check that cannot fail proves nothing. So each is tried on programs of which we know what it
//! must say: the solution; the starter; the solution with one hole reopened; wrong answers that
//! people give; cheats that print the right words; and programs that mean harm. Then the machine
//! is looked at as it was before all of that.
//!
//! The variants of a chapter are built one after another in a copy of the checkout, where each
//! build has little to do; while the next one is built, the last one is judged.

mod attacks;
mod expect;
mod machine;
mod workshop;

use crate::catalogue::Chapter;
use crate::course::Course;
use crate::dev::verify::attacks::Attack;
use crate::dev::verify::machine::Machine;
use crate::dev::verify::workshop::{Built, Change, Variant, Workshop};
use crate::look;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

/// How long it may take on two processors that have nothing else to do.
const LIMIT: Duration = Duration::from_secs(300);

/// The arguments of the command.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Chapters to prove, such as 01 [default: all that have exercises]
    #[arg(value_name = "NN")]
    chapters: Vec<String>,
    /// Print one line of JSON for each proof
    #[arg(long)]
    json: bool,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// `01-pid-namespace`, or empty for what is about none.
    pub chapter: String,
    /// `pid_start`, or empty for what is about all.
    pub exercise: String,
    /// What was done.
    pub tried: String,
    /// What should come of it.
    pub expected: String,
    /// What came of it.
    pub got: String,
    /// Whether that is the same.
    pub held: bool,
    /// What helps to find the reason where it is not.
    pub details: Vec<String>,
}

/// Proves it all and prints the table; fails if anything is not as it should be.
///
/// # Errors
/// The proofs could not be tried at all.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let started = Instant::now();
    let asked_for = |chapter: &&Chapter| is_asked_for(chapter, &arguments.chapters);
    let chapters: Vec<&Chapter> = course.chapters.iter().filter(asked_for).collect();
    ensure!(!chapters.is_empty(), "no such chapter\nhint: cargo course list shows them");
    let workshop = Workshop::prepare(&course.checkout)?;
    let before = Machine::survey(&workshop);
    let table = Table { json: arguments.json, proofs: Mutex::default() };

    table.head();
    for chapter in &chapters {
        chapter_by_variants(&workshop, chapter, &table)?;
    }
    for chapter in &chapters {
        chapter_by_attacks(&workshop, chapter, &table)?;
    }
    table.add(machine_afterwards(&before, &workshop));
    Ok(table.sum(started.elapsed()))
}

/// `01`, `1` or `01-pid-namespace`; everything if nothing was asked for.
fn is_asked_for(chapter: &Chapter, wanted: &[String]) -> bool {
    let is = |name: &String| *name == chapter.folder || format!("{name:0>2}") == chapter.number();
    wanted.is_empty() || wanted.iter().any(is)
}

/// The solution, the starter, each hole reopened, each wrong answer.
fn chapter_by_variants(workshop: &Workshop, chapter: &Chapter, table: &Table) -> Result<()> {
    let wrong = workshop::wrong_answers(&workshop.checkout, chapter)?;
    for exercise in &chapter.exercises {
        let answers = wrong.iter().filter(|answer| answer.exercise == exercise.name).count();
        table.add(expect::enough_wrong_answers(chapter, exercise, answers));
    }
    let mut variants = vec![Change::Nothing, Change::Starter];
    variants.extend(chapter.exercises.iter().map(Change::Reopened));
    variants.extend(wrong.iter().map(Change::Wrong));

    // One program waits to be judged while the next is built, no more: they take their turns.
    let (built, to_judge) = sync_channel::<Result<(Variant, Built)>>(1);
    thread::scope(|scope| {
        scope.spawn(|| {
            let built = built; // closed with this thread
            for change in variants {
                let variant = Variant { chapter, change };
                let result = workshop.build(&variant).map(|program| (variant, program));
                if built.send(result).is_err() {
                    return; // the judge has given up
                }
            }
        });
        for result in to_judge {
            let (variant, built) = result?;
            for proof in expect::judged(workshop, &variant, &built)? {
                table.add(proof);
            }
        }
        Ok(())
    })
}

/// Cheats and hostile programs, a few at once: most of them make the judge wait.
fn chapter_by_attacks(workshop: &Workshop, chapter: &Chapter, table: &Table) -> Result<()> {
    let attacks = Mutex::new(Attack::read_all(workshop, chapter)?.into_iter());
    let next = || attacks.lock().expect("no thread panics").next();
    let work = || -> Result<()> {
        while let Some(attack) = next() {
            table.add(attack.attempt(workshop, chapter)?);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })
}

/// What all of that has left on the machine.
fn machine_afterwards(before: &Machine, workshop: &Workshop) -> Proof {
    let changed = before.changed_since(workshop);
    Proof {
        chapter: String::new(),
        exercise: String::new(),
        tried: "the machine, after all of that".to_owned(),
        expected: "as it was before".to_owned(),
        got: if changed.is_empty() { "as it was before" } else { "changed" }.to_owned(),
        held: changed.is_empty(),
        details: changed,
    }
}

/// Prints each proof as it comes, and the sum.
struct Table {
    json: bool,
    proofs: Mutex<Vec<Proof>>,
}

impl Table {
    fn head(&self) {
        if !self.json {
            line(&format!("   chapter  {:13} {:36} {:34} got", "exercise", "tried", "expected"));
        }
    }

    fn add(&self, proof: Proof) {
        let mut proofs = self.proofs.lock().expect("no thread panics");
        if self.json {
            line(&serde_json::to_string(&proof).expect("a proof is plain text"));
        } else {
            let Proof { chapter, exercise, tried, expected, got, held, details } = &proof;
            let mark = if *held { "✓ " } else { "✗ MISSED " };
            let number = chapter.split('-').next().unwrap_or_default();
            line(&format!("{mark} {number:8} {exercise:13} {tried:36} {expected:34} {got}"));
            for detail in details.iter().filter(|_| !held).flat_map(|detail| detail.lines()) {
                line(&format!("     {detail}"));
            }
        }
        proofs.push(proof);
    }

    fn sum(&self, took: Duration) -> ExitCode {
        let proofs = self.proofs.lock().expect("no thread panics");
        let missed = proofs.iter().filter(|proof| !proof.held).count();
        if !self.json {
            let held = proofs.len() - missed;
            let (all, seconds) = (proofs.len(), took.as_secs());
            let late = match took > LIMIT {
                true => format!(", longer than the {} s of a quiet machine", LIMIT.as_secs()),
                false => String::new(),
            };
            line(&format!("{held} of {all} proofs held, {missed} missed, in {seconds} s{late}"));
        }
        if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn line(text: &str) {
    look::say(&format!("{text}\n"));
}

/// Runs a command to its end; what it said is the error if it fails.
fn must(command: &mut std::process::Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{program} failed: {}", said.trim());
    Ok(())
}
