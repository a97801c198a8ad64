//! Starts processes to look at, and looks at them with the built program.

#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A process that waits; killed when this goes out of scope.
pub struct Sleeper {
    child: Child,
    /// The process that waits. It is a descendant of the one that was started if that forks.
    pub pid: u32,
}

impl Sleeper {
    /// Starts `words`, a command line such as `unshare -m`, with a shell at its end that runs
    /// `script` and then waits. Returns when the script has run.
    pub fn start(words: &str, script: &str) -> Sleeper {
        let words: Vec<&str> = words.split_whitespace().chain(["/bin/sh", "-c"]).collect();
        let script = format!("set -e; {script}\necho ready; exec sleep 1000");
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .arg(script)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {words:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{words:?} did not get as far as to wait");
        let pid = youngest_descendant(child.id());
        Sleeper { child, pid }
    }

    /// The process that was started, an ancestor of the one that waits or the same.
    pub fn ancestor(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // The waiting process is at hand by its number alone, but its ancestor still holds it.
        let _ = Command::new("kill").args(["-KILL", &self.pid.to_string()]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn youngest_descendant(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    match children.split_whitespace().next() {
        Some(child) => youngest_descendant(child.parse().unwrap()),
        None => pid,
    }
}

/// The `xray` that cargo has just built.
pub fn xray() -> Command {
    Command::new(env!("CARGO_BIN_EXE_xray"))
}

/// What `xray --json PID` says, parsed.
pub fn look_at(pid: u32) -> Value {
    let output = harness::run(xray().arg("--json").arg(pid.to_string()));
    assert!(output.status.success(), "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}
