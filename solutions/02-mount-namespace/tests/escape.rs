//! Attack, then defend: examples/escape.rs walks out of a chroot and not out of a pivot.

mod container;

use container::{command, rootfs, scratch, success};
use harness::{Output, bin, run};
use std::fs;
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(chroot_lets_it_out, pivot_root_keeps_it_in);

/// Copies the attack into the rootfs, with the libraries that ldd(1) names.
fn install_escape(root: &Path) {
    let escape = bin("examples/escape");
    fs::copy(&escape, root.join("escape")).expect("a copy");
    let libraries = run(Command::new("ldd").arg(&escape)).stdout;
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(&library[1..]);
        fs::create_dir_all(place.parent().expect("a folder")).expect("ours");
        fs::copy(library, place).expect("a copy");
    }
}

/// Tries to read a file of the host that has a fresh random text.
fn attack(options: &[&str]) -> (Output, String) {
    let root = rootfs();
    install_escape(&root);
    let secret = harness::random_name("secret");
    fs::write(scratch().join("secret"), &secret).expect("ours");
    let path = scratch().join("secret").to_string_lossy().into_owned();
    let output = run(&mut command(&root, &[options, &["/escape", &path]].concat()));
    (output, secret)
}

fn chroot_lets_it_out() {
    let (output, secret) = attack(&["--chroot"]);
    assert_eq!(success(output), secret);
}

fn pivot_root_keeps_it_in() {
    let (output, secret) = attack(&[]);
    assert!(!output.stdout.contains(&secret), "escaped: {output:?}");
    // It ran, and went up as far as it gets: to the root of the container.
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.starts_with("escape: cannot read "), "{output:?}");
    assert!(output.stderr.contains("No such file or directory"), "{output:?}");
}
