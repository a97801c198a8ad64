//! Judges the exercises of chapter 02 by what the kernel lists as mounted, inside and outside.
//!
//! Each check starts the program on a root file system of its own and looks at it where it stands
//! still ([`standstill`]): at its command, or at a later hole. So the same check judges a program
//! that is finished and one that has come only so far. Before that, every mount of the sandbox is
//! made *shared*, as systemd does at boot: some mistakes show only then.

mod pivot;
mod place;
mod private;
mod proc;
mod read_only;
mod standstill;
mod view;

use super::{Diagnosis, Finding, Program};
use crate::checks;
use nix::errno::Errno;
use place::{Place, Scene};
use standstill::{Run, Stand};

/// Judges `root_private`: nothing that is mounted in the container may appear outside, and nothing
/// that is mounted outside in the container.
pub fn root_private(program: &Program) -> Result<(), Finding> {
    judge(program, Place::prepare, private::is_private)
        .map_err(|finding| private::explain(finding, program))
}

/// Judges `root_proc`: the new root has a /proc, and it is that of the container's PID namespace.
pub fn root_proc(program: &Program) -> Result<(), Finding> {
    judge(program, Place::prepare, |place, scene| proc::is_own(program, place, scene))?;
    proc::stays_in_the_root(program)
}

/// Judges `bind_ro`: a volume with `ro` can't be written to by the container, and by the host it can.
pub fn bind_ro(program: &Program) -> Result<(), Finding> {
    judge(program, Place::with_volume, read_only::is_read_only)
        .map_err(|finding| read_only::explain(finding, program))?;
    judge(program, Place::with_other_volume, read_only::is_read_only)
}

/// Judges `root_pivot`: the folder is the root of the whole namespace, and the old root is gone.
pub fn root_pivot(program: &Program) -> Result<(), Finding> {
    let place = Place::prepare();
    let (run, scene) = place.run(program, &[]);
    let result = settle(&place, run, scene, &pivot::has_no_way_back);
    result.map_err(|finding| blame_the_error(pivot::explain(finding, program)))?;
    (0..3).for_each(|_| place.kill_half_way(program)); // the sandbox counts what survives
    Ok(())
}

/// Judges a run by `rule`. A mistake of a later exercise may end the program before there is a
/// container to look at. With `--chroot` it gets past the last exercise; past the others it does
/// not, and then what counts is whether there was a moment at which this one was right.
fn judge(
    program: &Program,
    prepare: fn() -> Place,
    rule: impl Fn(&Place, &Scene) -> Result<(), Finding>,
) -> Result<(), Finding> {
    let place = prepare();
    let (run, scene) = place.run(program, &[]);
    if scene.inside.is_some() || scene.stand != Stand::Message {
        return settle(&place, run, scene, &rule);
    }
    let second = prepare();
    let (again, seen) = second.run(program, &["--chroot"]);
    if seen.inside.is_some() {
        drop(run);
        place.tidy_up();
        return settle(&second, again, seen, &rule);
    }
    if second.has_moment(program, |scene| rule(&second, scene).is_ok()) {
        return Ok(());
    }
    settle(&place, run, scene, &rule).map_err(blame_the_error)
}

/// Judges one run. A program that said something and went on, because it likes to talk, is judged
/// where it comes to stand in the end.
fn settle(
    place: &Place,
    mut run: Run,
    scene: Scene,
    rule: &impl Fn(&Place, &Scene) -> Result<(), Finding>,
) -> Result<(), Finding> {
    let Err(mut finding) = rule(place, &scene) else { return Ok(()) };
    if scene.stand == Stand::Message {
        let (said, stand) = run.listen();
        if stand == Stand::Command {
            return rule(place, &place.look(&run, stand));
        }
        finding = add_what_it_said(finding, &said);
        finding.diagnosis = finding.diagnosis.or_else(|| checks::panicked(&said));
    }
    drop(run);
    place.tidy_up(); // what the finding names need not be named again as left behind
    Err(finding)
}

/// Without anything to look at, there is still what the program said.
fn blame_the_error(finding: Finding) -> Finding {
    let number = finding.seen.rsplit_once("(os error ").and_then(|(_, rest)| rest.split_once(')'));
    let number = number.and_then(|(number, _)| number.parse().ok());
    let (Some(number), None) = (number, &finding.diagnosis) else { return finding };
    let errno = Errno::from_raw(number);
    let text = format!(
        "The kernel has refused a call with {errno:?}, and that ended your program{}. \
         The page says what each call checks, in which order.",
        meaning(errno)
    );
    because(finding, "refused", text)
}

/// What an errno says in this chapter, where that is one thing.
fn meaning(errno: Errno) -> &'static str {
    match errno {
        Errno::ENODEV => ": it knows no file system of that type",
        Errno::ENOENT => ": there is nothing at a path that the call was given",
        Errno::ENOTDIR => ": a path that the call was given leads to no folder",
        Errno::EINVAL => ": these arguments make no sense together, or not at this place",
        _ => "",
    }
}

/// What a program said last is the best clue to why it went no further.
fn add_what_it_said(finding: Finding, said: &str) -> Finding {
    let hole = said.split("not yet implemented: ").nth(1).and_then(|rest| rest.lines().next());
    let seen = match (hole, said.lines().next()) {
        (Some(hole), _) => format!("{}; it stopped at todo!({hole:?})", finding.seen),
        (None, Some(_)) if checks::panicked(said).is_some() => {
            format!("{}; it said: {}", finding.seen, checks::words_of_panic(said))
        }
        (None, Some(first)) => format!("{}; it said: {first}", finding.seen),
        (None, None) => return finding,
    };
    Finding { seen, ..finding }
}

fn finding(expected: impl Into<String>, seen: impl Into<String>, why: &str) -> Finding {
    Finding { expected: expected.into(), seen: seen.into(), why: why.into(), diagnosis: None }
}

fn because(finding: Finding, id: &str, text: impl Into<String>) -> Finding {
    Finding { diagnosis: Some(Diagnosis { id: id.into(), text: text.into() }), ..finding }
}
