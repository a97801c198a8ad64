//! Takes from root what a container does not need.

pub mod seccomp;
