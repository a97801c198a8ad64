//! Bad input, and a machine on which it can't be done: refused with words, and nothing is left.

mod container;

use container::{Waiting, assert_refused, ip, rootfs, says, sh};

harness::kernel_tests!(
    when_all_addresses_are_in_use_the_next_is_refused_until_one_is_free,
    a_bridge_of_somebody_else_is_not_touched,
    a_range_that_leads_elsewhere_is_refused_and_avoided,
    a_range_in_use_is_not_exchanged_below_a_container,
    what_is_no_range_is_refused,
    an_ordinary_user_is_told_who_may,
);

fn when_all_addresses_are_in_use_the_next_is_refused_until_one_is_free() {
    let rootfs = rootfs();
    let small = ["--subnet", "10.9.8.0/29"]; // eight less three
    let mut all: Vec<Waiting> = (0..5).map(|_| Waiting::after(&rootfs, &small, "true")).collect();
    let output = sh(&rootfs, &small, "echo ran");
    assert_refused(&output, &["all 5 addresses of 10.9.8.0/29 are in use"]);
    let free = all.remove(2).address(4);
    let line = says(&rootfs, &small, "ip -4 -o address show dev eth0");
    assert!(line.contains(&free), "{line}");
}

fn a_bridge_of_somebody_else_is_not_touched() {
    let rootfs = rootfs();
    ip("link add coracle0 type bridge");
    ip("address add 10.1.2.3/24 dev coracle0");
    let before = ip("-o address show dev coracle0");
    assert_refused(
        &sh(&rootfs, &[], "echo ran"),
        &["there is a bridge coracle0 already", "not ours"],
    );
    assert_eq!(ip("-o address show dev coracle0"), before);
    ip("link delete coracle0");
    says(&rootfs, &[], "true");
}

fn a_range_that_leads_elsewhere_is_refused_and_avoided() {
    let rootfs = rootfs();
    ip("link add vpn0 type veth peer name vpn1");
    ip("address add 10.63.7.1/24 dev vpn0");
    ip("link set vpn0 up");
    ip("route add 10.64.0.0/14 dev vpn0 table 52"); // as VPNs do that choose by rules
    let words = ["10.63.0.0/16 overlap 10.63.7.0/24", "vpn0"];
    assert_refused(&sh(&rootfs, &["--subnet", "10.63.0.0/16"], "echo ran"), &words);
    let line = says(&rootfs, &[], "ip -4 -o address show dev eth0");
    let second: u8 = line.split(" 10.").nth(1).unwrap().split('.').next().unwrap().parse().unwrap();
    assert!(!(63..=67).contains(&second), "{line}");
    ip("link delete vpn0");
}

fn a_range_in_use_is_not_exchanged_below_a_container() {
    let rootfs = rootfs();
    let waiting = Waiting::after(&rootfs, &[], "true");
    let output = sh(&rootfs, &["--subnet", "10.9.8.0/24"], "echo ran");
    assert_refused(&output, &["are in use"]);
    drop(waiting);
    let line = says(&rootfs, &["--subnet", "10.9.8.0/24"], "ip -4 -o address show dev eth0");
    assert!(line.contains(" 10.9.8."), "{line}");
}

fn what_is_no_range_is_refused() {
    let rootfs = rootfs();
    for bad in ["", "x", "10.9.8.7/24", "10.9.8.0/31", "127.0.0.0/8", "300.0.0.0/8", "fd00::/64"] {
        let output = sh(&rootfs, &["--subnet", bad], "echo ran");
        assert_eq!(output.status.code(), Some(125), "{bad}: {output:?}");
        assert!(output.stderr.contains("hint: ") && output.stdout.is_empty(), "{bad}: {output:?}");
    }
}

fn an_ordinary_user_is_told_who_may() {
    let mut command = container::command(&rootfs(), &[], "echo ran");
    std::os::unix::process::CommandExt::uid(&mut command, 12345);
    let output = harness::run(&mut command);
    assert_refused(&output, &["sudo"]);
}
