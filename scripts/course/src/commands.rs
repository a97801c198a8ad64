//! The commands of `cargo course`, one file each.

pub mod book;
pub mod check;
pub mod diff;
pub mod doctor;
pub mod hint;
pub mod list;
pub mod reset;
pub mod rootfs;
pub mod run;
pub mod shell;
pub mod solution;
pub mod start;
pub mod xray;
