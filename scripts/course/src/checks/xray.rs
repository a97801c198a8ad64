//! Judges the exercises of one chapter.

use super::{Finding, Program};

/// Judges `same_ns`.
pub fn same_ns(_program: &Program) -> Result<(), Finding> {
    harness::not_run("this check is not written yet")
}

/// Judges `pid_chain`.
pub fn pid_chain(_program: &Program) -> Result<(), Finding> {
    harness::not_run("this check is not written yet")
}
