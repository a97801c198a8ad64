//! Killed at any moment: no process, no mount and no link stay, and the address is free again.

mod container;

use container::{Waiting, command, ip, rootfs, says};
use harness::{Leaks, kill_evenly};
use std::fs;

harness::kernel_tests!(
    nothing_stays_at_any_moment => 240,
    the_next_one_tidies_up,
);

fn leases() -> usize {
    fs::read_dir("/run/coracle/networks/coracle0/leases").unwrap().count()
}

/// The only address, and a port.
const ONLY: [&str; 4] = ["--subnet", "10.9.8.0/30", "--publish", "7001:80"];

fn nothing_stays_at_any_moment() {
    let rootfs = rootfs();
    let before = Leaks::snapshot();
    // Beginning with the first of all, which makes the bridge.
    let next_one_runs = || {
        says(&rootfs, &ONLY, "ping -c1 -W5 10.9.8.1");
        assert_eq!(leases(), 0);
        assert_eq!(before.left_behind_of(&["link", "state", "nft"]), Vec::<String>::new());
        let _ = harness::run(std::process::Command::new("ip").args(["link", "del", "coracle0"]));
    };
    let make = || command(&rootfs, &ONLY, "sleep 0.01");
    kill_evenly(make, 100, next_one_runs);
}

fn the_next_one_tidies_up() {
    let rootfs = rootfs();
    let mut waiting = Waiting::after(&rootfs, &[], "true");
    let link = ip("-o link show master coracle0");
    let link = link.split(['@', ' ']).nth(1).unwrap();
    waiting.kill();
    assert_eq!(leases(), 1);
    says(&rootfs, &[], "true");
    assert_eq!(leases(), 0);
    assert!(link.starts_with("co") && !ip("-o link").contains(link), "{link} is still there");
}
