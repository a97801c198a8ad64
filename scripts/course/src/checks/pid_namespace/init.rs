//! The init: collects whoever has ended, passes signals on, and ends with the command.

use super::super::run::{
    PATIENCE, Run, find, folder, lives, name, numbers, patient, random, run, state, until,
};
use super::super::{Finding, Program};
use super::{command, described, diagnosis, finding, instead, send};
use nix::sys::signal::Signal;
use std::thread::sleep;
use std::time::Duration;

const A_ZOMBIE: &str = "each zombie keeps a number; when none is left, nothing can be started";

/// Looks at an init with a command that collects nobody, then at how it ends.
pub fn judge(program: &Program) -> Result<(), Finding> {
    collects(program)?;
    ends_with_the_command(program)?;
    passes_on(program)
}

/// A container with an init, a command, and orphans.
struct Family {
    run: Run,
    init: u32,
    command: u32,
    orphans: Vec<u32>,
}

impl Family {
    /// Each orphan's parent, a subshell, ends at once; the command becomes a program that
    /// collects nobody.
    fn start(program: &Program, orphans: u32) -> Result<Family, Finding> {
        let many = format!("i=0; while [ $i -lt {orphans} ]; do (sleep 1000 &); i=$((i+1)); done");
        let script = format!("{many}; exec tail -f /dev/null");
        let mut run = Run::start(&mut command(program, &["--init", "sh", "-c", &script]));
        let found = run.until(|program| {
            Some((*harness::children_of(program).first()?, find("tail", program)?))
        });
        // The orphans are there before the command is `tail`, but may still have another name.
        let (init, command) = found.ok_or_else(|| {
            let expected = format!("an init, a command and {orphans} orphans run");
            finding(expected, instead(&mut run), "an init is PID 1 for a command", None)
        })?;
        let adopted = until(PATIENCE, || {
            let children = harness::children_of(init).into_iter();
            let sleepers: Vec<u32> = children.filter(|pid| name(*pid) == "sleep").collect();
            (sleepers.len() == orphans as usize).then_some(sleepers)
        });
        let orphans = adopted.unwrap_or_default();
        Ok(Family { run, init, command, orphans })
    }

    fn zombies(&self) -> Vec<u32> {
        let children = harness::children_of(self.init).into_iter();
        children.filter(|child| state(*child) == Some('Z')).collect()
    }
}

fn collects(program: &Program) -> Result<(), Finding> {
    let many = random(5, 12);
    let mut family = Family::start(program, many)?;
    let (init, command) = (family.init, family.command);
    let seen = (numbers(init), numbers(command), family.orphans.len());
    if seen != (vec![init, 1], vec![command, 2], many as usize) {
        let is_nested = seen.1.len() > seen.0.len();
        let diagnosis = match is_nested {
            true => diagnosis(
                "namespace-of-its-own",
                "The command is number 1 of one more namespace. `init` asks `start` for none: \
                 hand on `namespaces`, whatever they are.",
            ),
            false => None,
        };
        return Err(finding(
            format!("process {init} is number 1, {command} number 2, and 1 adopts {many} orphans"),
            format!("NSpid says {:?} and {:?}, and {} orphans", seen.0, seen.1, seen.2),
            "orphans become children of PID 1 of their namespace",
            diagnosis,
        ));
    }
    rests(&family)?;
    one_orphan(&mut family)?;
    all_at_once(&mut family)?;

    let members = [init, command];
    family.run.kill();
    let left = || members.iter().find(|pid| lives(**pid)).copied();
    match until(Duration::from_secs(1), || left().is_none().then_some(())) {
        Some(()) => Ok(()),
        None => Err(finding(
            "after SIGKILL to the program, nothing of the container runs",
            format!("{:?} runs on", left().map(name)),
            "a container that nobody runs any more is stopped by nobody",
            None,
        )),
    }
}

/// While nothing happens, a process that waits is asleep. One that asks all the time never is.
fn rests(family: &Family) -> Result<(), Finding> {
    until(Duration::from_millis(100), || (state(family.init) == Some('S')).then_some(()));
    let looks = (0..20).map(|_| {
        sleep(Duration::from_millis(2));
        state(family.init)
    });
    let awake = looks.filter(|state| *state == Some('R')).count();
    if awake < 10 {
        return Ok(());
    }
    Err(finding(
        format!("process {}, the init, sleeps while nothing happens", family.init),
        format!("{awake} of 20 times /proc/{}/status said State: R (running)", family.init),
        "every container would cost a processor",
        diagnosis(
            "busy-loop",
            "Your loop asks again and again whether somebody has ended. \
             Wait for the signal that says so: `signals.read()` sleeps until one comes.",
        ),
    ))
}

/// One orphan ends, as one does; the command runs on.
fn one_orphan(family: &mut Family) -> Result<(), Finding> {
    let orphan = family.orphans.swap_remove(0);
    send(orphan, Signal::SIGTERM);
    let collected = until(Duration::from_secs(1), || state(orphan).is_none().then_some(()));
    sleep(patient(Duration::from_millis(20))); // to make a mistake
    if let Some(ended) = family.run.ended() {
        return Err(finding(
            format!("orphan {orphan} has ended, and the command, {}, runs on", family.command),
            described(&ended),
            "with PID 1 the whole container ends: any orphan could end it",
            diagnosis(
                "exits-with-first-orphan",
                "Your init ended when an orphan did, and with the orphan's status. \
                 Compare the PID with `command.pid`: only that end is yours.",
            ),
        ));
    }
    if collected.is_some() {
        return Ok(());
    }
    Err(finding(
        format!("orphan {orphan} has ended and is collected: /proc/{orphan} is gone"),
        format!("/proc/{orphan}/status says State: Z (zombie), PPid: {}", family.init),
        A_ZOMBIE,
        diagnosis(
            "waits-for-the-command-only",
            "Nobody collects the orphan. `reap` collects any child, adopted ones too: \
             call it whenever SIGCHLD comes.",
        ),
    ))
}

/// All others end while the init is held: of the signals that tell it one is left.
fn all_at_once(family: &mut Family) -> Result<(), Finding> {
    send(family.init, Signal::SIGSTOP);
    until(PATIENCE, || (state(family.init) == Some('T')).then_some(()));
    for orphan in &family.orphans {
        send(*orphan, Signal::SIGKILL);
    }
    let many = family.orphans.len();
    until(PATIENCE, || (family.zombies().len() == many).then_some(()));
    send(family.init, Signal::SIGCONT);
    let none = until(Duration::from_secs(1), || family.zombies().is_empty().then_some(()));
    if none.is_some() && family.run.ended().is_none() {
        return Ok(());
    }
    let left = family.zombies().len();
    Err(finding(
        format!("{many} orphans end at the same moment, and none stays a zombie"),
        match family.run.ended() {
            Some(ended) => described(&ended),
            None => format!("{left} of them are still zombies, children of {}", family.init),
        },
        A_ZOMBIE,
        diagnosis(
            "one-per-signal",
            "You collect one child for each SIGCHLD. Signals of one kind do not queue: one may \
             stand for many ends. Collect until `reap` returns `None`.",
        ),
    ))
}

/// SIGTERM to the program reaches the command.
fn passes_on(program: &Program) -> Result<(), Finding> {
    let status = random(3, 99);
    let ready = folder().join(harness::random_name("ready"));
    let script = format!(
        "trap 'exit {status}' TERM; echo > {}; while :; do sleep 0.01; done",
        ready.display()
    );
    let mut run = Run::start(&mut command(program, &["--init", "sh", "-c", &script]));
    until(PATIENCE, || ready.exists().then_some(()));
    send(run.pid(), Signal::SIGTERM);
    let ended = until(Duration::from_secs(1), || run.ended());
    if ended.as_ref().is_some_and(|ended| ended.code == status as i32) {
        return Ok(());
    }
    let diagnosis = match &ended {
        None => diagnosis(
            "signals-not-passed-on",
            "The signal reached your init, and there it stayed. \
             What is not SIGCHLD is meant for the command: `received.pass_on_to(&command)?`.",
        ),
        Some(_) => None,
    };
    Err(finding(
        format!("SIGTERM to the program reaches the command, whose handler exits with {status}"),
        match &ended {
            Some(ended) => described(ended),
            None => "a second later the command still runs".to_owned(),
        },
        "who can't be asked to stop is killed, and loses what it had not written",
        diagnosis,
    ))
}

/// The command's status, whatever orphans do before it and after.
fn ends_with_the_command(program: &Program) -> Result<(), Finding> {
    let status = random(2, 99) as i32;
    let signal = [1, 2, 9, 10, 12, 14, 15][random(0, 6) as usize];
    for (expected, last) in
        [(status, format!("exit {status}")), (128 + signal, format!("kill -{signal} $$"))]
    {
        let orphan = random(100, 199);
        let script = format!("(sh -c 'exit {orphan}' &); (sleep 1000 &); sleep 0.02; {last}");
        let ended = run(&mut command(program, &["--init", "sh", "-c", &script]));
        if ended.as_ref().is_some_and(|ended| ended.code == expected) {
            continue;
        }
        let diagnosis = match &ended {
            None => diagnosis(
                "waits-for-all",
                "Your init waits for an orphan that runs on. The container ends with the command: \
                 exit as soon as that is collected.",
            ),
            Some(ended) if ended.code == orphan as i32 => diagnosis(
                "exits-with-first-orphan",
                "Your init ended when an orphan did, and with the orphan's status. \
                 Compare the PID with `command.pid`: only that end is yours.",
            ),
            Some(ended) if ended.code == 0 => diagnosis(
                "status-forgotten",
                "Your init exits with 0, whatever the command's status was. \
                 `reap` gives you the exit code beside the PID: exit with that.",
            ),
            Some(_) => None,
        };
        return Err(finding(
            format!("the command does `{last}`, and the program ends with {expected}"),
            match &ended {
                Some(ended) => described(ended),
                None => "two seconds later the program still runs".to_owned(),
            },
            "with an init or without one, a script decides by the command's own status",
            diagnosis,
        ));
    }
    Ok(())
}
