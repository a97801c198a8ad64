//! Programs that mean to deceive, and programs that mean harm.
//!
//! A *cheat* prints what it thinks that the check wants to hear; a *hostile* program does what only
//! malice or a bad mistake does. They are shell scripts with a head of comments: the exercises for
//! which each must fail, and what it does. Where only the script can tell whether its harm was
//! done, it goes on as the solution then, and would pass. Started by itself such a script ends at
//! once: `@HELD@` is a command only where [`Attack::attempt`] has put one.

use super::Proof;
use super::workshop::{Workshop, files_below};
use crate::catalogue::{Chapter, Exercise};
use crate::checks;
use crate::judge::{Line, Outcome};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a verdict may take on top of the check's own limit: the sandbox is torn down.
const GRACE: Duration = Duration::from_secs(10);

/// The most that may come back of what a program prints, in bytes.
const MOST_OUTPUT: usize = 1 << 20;

/// The name by which everything that a hostile program makes can be found.
pub const MARK: &str = "coracle-hostile";

/// One program to be held.
pub struct Attack<'a> {
    name: String,
    claims: Vec<&'a Exercise>,
    script: String,
}

impl Attack<'_> {
    /// The attacks that claim exercises of a chapter.
    ///
    /// # Errors
    /// One can't be read, or claims what is no exercise.
    pub fn read_all<'a>(workshop: &Workshop, chapter: &'a Chapter) -> Result<Vec<Attack<'a>>> {
        let mut attacks = Vec::new();
        for kind in ["cheats", "hostile"] {
            for path in files_below(&workshop.checkout.join("scripts/course").join(kind))? {
                let attack = read(&path, kind, chapter)?;
                attacks.extend(attack.filter(|attack| !attack.claims.is_empty()));
            }
        }
        Ok(attacks)
    }

    /// Has it judged and sees that it has not passed, in time, with a reason.
    pub fn attempt(&self, workshop: &Workshop, chapter: &Chapter) -> Result<Proof> {
        let program = workshop.program(chapter, &self.name.replace(": ", "-").replace(' ', "-"));
        fs::create_dir_all(program.parent().unwrap_or(&program))?;
        let solution = workshop.program(chapter, "solution");
        let script = self
            .script
            .replace("@SOLUTION@", &solution.to_string_lossy())
            .replace("@CANARY@", &workshop.canary().to_string_lossy())
            .replace("@MARK@", MARK)
            .replace("@HELD@", "true");
        let _ = fs::remove_file(&program);
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;

        let started = Instant::now();
        let lines = workshop.judge(&program, chapter, &self.claims)?;
        let wrong = self.what_is_wrong(&lines, started.elapsed());
        let names: Vec<&str> = self.claims.iter().map(|claim| claim.name.as_str()).collect();
        Ok(Proof {
            chapter: chapter.folder.clone(),
            exercise: match names[..] {
                [name] => name.to_owned(),
                _ => format!("{} of them", names.len()),
            },
            tried: self.name.clone(),
            expected: "failed, and held".to_owned(),
            got: match wrong.is_empty() {
                true => format!("failed in {:.1} s", started.elapsed().as_secs_f64()),
                false => wrong.join("; "),
            },
            held: wrong.is_empty(),
            details: lines.iter().flat_map(super::expect::explain).collect(),
        })
    }

    fn what_is_wrong(&self, lines: &[Line], took: Duration) -> Vec<String> {
        let mut wrong = Vec::new();
        for line in lines {
            let is_clear =
                line.finding.is_some() || line.reason.is_some() || !line.leaks.is_empty();
            match line.outcome {
                Outcome::Passed => wrong.push(format!("{} passed", line.exercise)),
                Outcome::NotRun => wrong.push(format!("{} did not run", line.exercise)),
                Outcome::Failed | Outcome::Died if !is_clear => {
                    wrong.push(format!("{} failed without a reason", line.exercise));
                }
                Outcome::Failed | Outcome::Died => {}
            }
            if line.output.len() > MOST_OUTPUT {
                wrong.push(format!("{} bytes of output came back", line.output.len()));
            }
        }
        let limits = self.claims.iter().filter_map(|claim| {
            checks::ALL.iter().find(|check| check.name == claim.name).map(|check| check.time_limit)
        });
        if took > limits.max().unwrap_or_default() + harness::patient(GRACE) {
            wrong.push(format!("held up the judge for {} s", took.as_secs()));
        }
        wrong
    }
}

/// Reads one; none if it is for another chapter.
fn read<'a>(path: &Path, kind: &str, chapter: &'a Chapter) -> Result<Option<Attack<'a>>> {
    let script = fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?;
    let claims = script.lines().find_map(|line| line.strip_prefix("# claims:"));
    let claims = claims.with_context(|| format!("{} has no line # claims: …", path.display()))?;
    let known = |name: &str| checks::ALL.iter().any(|check| check.name == name);
    for name in claims.split_whitespace() {
        ensure!(known(name), "{} claims {name}, which is no exercise", path.display());
    }
    let is_claimed = |exercise: &&Exercise| claims.split_whitespace().any(|it| it == exercise.name);
    let claims: Vec<&Exercise> = chapter.exercises.iter().filter(is_claimed).collect();
    let kind = if kind == "cheats" { "cheat" } else { "hostile" };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', " ");
    Ok(Some(Attack { name: format!("{kind}: {stem}"), claims, script }))
}
