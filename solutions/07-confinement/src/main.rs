//! `confinement --rootfs DIR CMD ARGS…`: a container whose root is not almighty.

fn main() {}
