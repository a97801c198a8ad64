//! `names_of` tells what another process believes its machine to be called.

mod container;

use container::{rootfs, sh, waiting_after};
use harness::{Leaks, random_name, run};
use identity::{Names, names_of};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

harness::kernel_tests!(
    the_names_inside_a_container_are_told_from_outside,
    our_own_names_are_told_and_we_stay_where_we_are,
    any_process_of_a_container_will_do,
    names_that_nobody_should_choose_are_told_too,
    a_process_that_is_gone_or_a_zombie_is_an_error,
    nothing_is_left_running,
);

fn own_namespace() -> PathBuf {
    fs::read_link("/proc/self/ns/uts").unwrap()
}

fn own_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim_end().to_owned()
}

fn the_names_inside_a_container_are_told_from_outside() {
    let [host, domain] = ["host", "domain"].map(random_name);
    let options = ["--hostname", &host, "--domainname", &domain];
    let waiting = waiting_after(&rootfs(), &options, "true");
    let (namespace, name) = (own_namespace(), own_name());
    assert_eq!(names_of(waiting.pid as i32).unwrap(), Names { host, domain });
    assert_eq!((own_namespace(), own_name()), (namespace, name));
}

fn our_own_names_are_told_and_we_stay_where_we_are() {
    let domain = random_name("domain");
    fs::write("/proc/sys/kernel/domainname", &domain).unwrap();
    let namespace = own_namespace();
    let pid = std::process::id() as i32;
    assert_eq!(names_of(pid).unwrap(), Names { host: own_name(), domain });
    assert_eq!(own_namespace(), namespace);
}

fn any_process_of_a_container_will_do() {
    let host = random_name("host");
    // The container's first process is an init here, and the shell runs below it.
    let waiting = waiting_after(&rootfs(), &["--init", "--hostname", &host], "sleep 60 & true");
    let target = format!("--target={}", waiting.pid);
    let pids = run(Command::new("nsenter").args([&target, "--pid", "--mount", "ps", "-o", "pid"]));
    assert!(pids.stdout.lines().count() > 3, "{pids:?}");
    let outside: Vec<i32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().ok())
        .filter(|pid| {
            let link = |pid: &i32| fs::read_link(format!("/proc/{pid}/ns/uts")).ok();
            link(pid).is_some() && link(pid) == link(&(waiting.pid as i32))
        })
        .collect();
    assert!(outside.len() >= 3, "{outside:?}");
    for pid in outside {
        assert_eq!(names_of(pid).unwrap().host, host);
    }
}

/// Root inside may choose any bytes, also those that look like the end of an answer.
fn names_that_nobody_should_choose_are_told_too() {
    for name in ["two\nlines", "\n", " ", "tab\tand bell\u{7}"] {
        let script = format!("hostname '{name}'");
        let waiting = waiting_after(&rootfs(), &["--domainname", "fine"], &script);
        let expected = Names { host: name.into(), domain: "fine".into() };
        assert_eq!(names_of(waiting.pid as i32).unwrap(), expected);
    }
}

fn a_process_that_is_gone_or_a_zombie_is_an_error() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id() as i32;
    let status = format!("/proc/{pid}/status");
    while !fs::read_to_string(&status).unwrap().contains("State:\tZ") {}
    for _ in 0..2 {
        let error = names_of(pid).unwrap_err();
        let words = format!("cannot open /proc/{pid}/ns/uts\nhint: has process {pid} ended?");
        assert_eq!(error.to_string(), words);
        child.wait().unwrap(); // now it is gone
    }
    assert!(names_of(0).is_err() && names_of(-1).is_err() && names_of(i32::MAX).is_err());
}

fn nothing_is_left_running() {
    let rootfs = rootfs();
    let waiting = waiting_after(&rootfs, &[], "true");
    let before = Leaks::snapshot();
    let open = || fs::read_dir("/proc/self/fd").unwrap().count();
    let descriptors = open();
    for _ in 0..20 {
        names_of(waiting.pid as i32).unwrap();
    }
    assert_eq!(open(), descriptors);
    assert_eq!(before.left_behind_of(&["process", "mount"]), [""; 0]);
    assert!(sh(&rootfs, &[], "true").status.success(), "and we can still start containers");
}
