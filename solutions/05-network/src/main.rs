//! `network --rootfs DIR CMD ARGS…`: a container with a network of its own.

fn main() {}
