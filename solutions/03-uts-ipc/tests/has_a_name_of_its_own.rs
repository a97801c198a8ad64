//! The container may call itself what it likes, and the host keeps its name.

mod container;

use container::{rootfs, says, sh, waiting_after};
use harness::{random_name, run};
use std::fs;
use std::process::Command;

harness::kernel_tests!(
    the_names_are_seen_inside_and_not_outside,
    without_options_it_has_a_default_name_and_the_domain_of_the_host,
    root_inside_renames_only_itself,
    two_containers_have_two_names,
    both_namespaces_are_its_own,
    the_longest_name_fits,
    bad_names_are_refused_before_anything_runs,
);

/// Host and domain name, as this process sees them.
fn names() -> [String; 2] {
    ["hostname", "domainname"].map(|name| {
        fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap().trim_end().to_owned()
    })
}

const SHOW: &str = "hostname; cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname";

fn the_names_are_seen_inside_and_not_outside() {
    let before = names();
    let (host, domain) = (random_name("boat"), random_name("river"));
    let options = ["--hostname", &host, "--domainname", &domain];
    let script = format!("{SHOW}; uname -n");
    let inside = says(&rootfs(), &options, &script);
    assert_eq!(inside, format!("{host}\n{host}\n{domain}\n{host}\n"));
    assert_eq!(names(), before);
}

fn without_options_it_has_a_default_name_and_the_domain_of_the_host() {
    let domain = random_name("river");
    fs::write("/proc/sys/kernel/domainname", &domain).unwrap();
    assert_eq!(says(&rootfs(), &[], SHOW), format!("coracle\ncoracle\n{domain}\n"));
}

fn root_inside_renames_only_itself() {
    let before = names();
    let name = random_name("renamed");
    let script = format!("hostname {name} && hostname");
    assert_eq!(says(&rootfs(), &[], &script), format!("{name}\n"));
    assert_eq!(names(), before);
}

fn two_containers_have_two_names() {
    let rootfs = rootfs();
    let [one, two] = ["one", "two"].map(random_name);
    let waiting = waiting_after(&rootfs, &["--hostname", &one], "true");
    assert_eq!(says(&rootfs, &["--hostname", &two], "hostname"), format!("{two}\n"));
    let target = format!("--target={}", waiting.pid);
    let first = run(Command::new("nsenter").args([&target, "--uts", "uname", "-n"]));
    assert_eq!(first.stdout, format!("{one}\n"), "{first:?}");
}

fn both_namespaces_are_its_own() {
    let inside = says(&rootfs(), &[], "readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc");
    let inside: Vec<&str> = inside.lines().collect();
    for (name, inside) in ["uts", "ipc"].iter().zip(inside) {
        let outside = fs::read_link(format!("/proc/self/ns/{name}")).unwrap();
        assert!(inside.starts_with(&format!("{name}:[")), "{inside}");
        assert_ne!(outside.to_str(), Some(inside));
    }
}

fn the_longest_name_fits() {
    let name = random_name("x").repeat(10)[..64].to_owned();
    let options = ["--hostname", &name, "--domainname", &name];
    assert_eq!(says(&rootfs(), &options, SHOW), format!("{name}\n{name}\n{name}\n"));
}

fn bad_names_are_refused_before_anything_runs() {
    let rootfs = rootfs();
    let long = "x".repeat(65);
    for bad in ["", "a b", "a\nb", "höst", "a/b", "a;b", &long] {
        for (option, what) in [("--hostname", "host name"), ("--domainname", "domain name")] {
            let output = sh(&rootfs, &[option, bad], "echo ran");
            assert_eq!(output.status.code(), Some(125), "{output:?}");
            assert_eq!(output.stdout, "");
            let expected = format!(
                "uts-ipc: {bad:?} is no {what}\n\
                 hint: 1 to 64 letters, digits, dots, hyphens and underscores\n"
            );
            assert_eq!(output.stderr, expected);
        }
    }
}
