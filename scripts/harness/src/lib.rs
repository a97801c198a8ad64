//! Runs tests that need a kernel, each in a throw-away machine of its own.
//!
//! A kernel test is a test target with `harness = false` and this in place of `main`:
//!
//! ```no_run
//! harness::kernel_tests!(hides_host_processes, survives_a_fork_bomb => 120);
//!
//! fn hides_host_processes() {
//!     let output = harness::run(&mut std::process::Command::new("true"));
//!     assert!(output.status.success());
//! }
//! # fn survives_a_fork_bomb() {}
//! ```
//!
//! The code under test is wrong most of the time and runs as root: a forgotten flag renames the
//! laptop. So each test runs in a child process of its own, in fresh namespaces, under a limit of
//! processes, memory and time ([`sandbox`], [`safety_cgroup`]); what it leaves behind is
//! named and fails it ([`Leaks`]). "The host" is, for a test, that sandbox.
//!
//! A test passes, fails, or says that it could not run here and why ([`not_run`]). The third is
//! never counted as the first.

mod furnish;
mod janitor;
mod lab;
mod safety_cgroup;
mod sandbox;
mod scratch;
mod stages;

mod account;
mod busybox;
mod command;
mod family;
mod kill;
mod leaks;
mod patience;
mod waiting;

pub use account::Account;
pub use busybox::{busybox_rootfs, busybox_rootfs_from, new_rootfs};
pub use command::{Output, assert_refused, bin, random_name, run, run_within, success};
pub use family::{child_running, children_of};
pub use janitor::{Janitor, end_with};
pub use kill::{kill_at_each_syscall, kill_evenly};
pub use lab::lab_only;
pub use leaks::Leaks;
pub use patience::{patient, rounds};
pub use sandbox::{Host, Judgement, Verdict, enter, judge, judge_on, judge_while};
pub use stages::stage;
pub use waiting::{AND_WAIT, Waiting, wait_for};

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;
use std::time::Duration;

/// A test as [`kernel_tests!`] lists it.
#[derive(Clone, Copy, Debug)]
pub struct Test {
    /// The function's name, which `cargo test NAME` filters by.
    pub name: &'static str,
    /// What runs in the sandbox, as its PID 1.
    pub function: fn(),
    /// How long it may take before it is killed and has failed.
    pub time_limit: Duration,
}

/// Writes the `main` of a test target. `name => seconds` gives a test more time than a minute.
#[macro_export]
macro_rules! kernel_tests {
    ($($test:ident $(=> $seconds:literal)?),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            static TESTS: &[$crate::Test] = &[$($crate::Test {
                name: stringify!($test),
                function: $test,
                time_limit: $crate::seconds(&[60 $(, $seconds)?]),
            }),+];
            $crate::main(TESTS)
        }
    };
}

/// The last of `list`: the default of [`kernel_tests!`], or what was written in its place.
#[doc(hidden)]
pub const fn seconds(list: &[u64]) -> Duration {
    Duration::from_secs(list[list.len() - 1])
}

/// What [`not_run`] and [`fail_with`] throw and the sandbox catches.
enum Thrown {
    NotRun(String),
    Failed(String),
}

/// Ends the test: it cannot run here. Say why and what would make it run, in one line:
/// `no static busybox: apt-get install busybox-static`.
pub fn not_run(reason: impl Into<String>) -> ! {
    // Not `panic!`: nothing is wrong, so no message and no backtrace.
    std::panic::resume_unwind(Box::new(Thrown::NotRun(reason.into())))
}

/// Ends the test as failed, for a reason that the caller of [`judge`] can read: a test that only
/// people read about panics instead, as in any other test.
pub fn fail_with(reason: impl Into<String>) -> ! {
    std::panic::resume_unwind(Box::new(Thrown::Failed(reason.into())))
}

/// Removes what test programs and checks have left that were killed before they could.
pub fn sweep() {
    safety_cgroup::sweep(); // with the processes that may still write
    scratch::sweep();
}

/// Runs the tests that the command line asks for, in parallel; the body of `kernel_tests!`.
/// `--nocapture` shows what tests print, also when they pass.
pub fn main(tests: &'static [Test]) -> ExitCode {
    if let Some(status) = stages::stage(tests) {
        return status; // this process is one that `sandbox::run` started
    }
    let arguments = Arguments::from_args();
    let shows_output = arguments.nocapture || arguments.show_output;
    if !arguments.list && nix::unistd::geteuid().is_root() {
        sweep();
    }
    let trial = |test: &'static Test| {
        Trial::ignorable_test(test.name, move || {
            let (completion, output) = sandbox::run(test)?;
            if shows_output && !output.is_empty() {
                println!("---- {} prints ----\n{output}", test.name);
            }
            Ok(completion)
        })
    };
    libtest_mimic::run(&arguments, tests.iter().map(trial).collect()).exit_code()
}
