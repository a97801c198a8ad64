//! A container has a loopback, an address and a cable to all others.

mod container;

use container::{Waiting, command, ip, rootfs, says, sh};
use std::collections::BTreeSet;
use std::fs;

harness::kernel_tests!(
    its_network_is_its_own,
    the_loopback_answers,
    one_cable_has_one_end_inside_and_one_on_the_bridge,
    all_else_goes_over_the_bridge,
    two_containers_reach_each_other,
    packets_are_as_large_as_those_of_the_host,
    nobody_inside_can_say_where_packets_go,
    what_the_host_has_stays_as_it_is,
    a_hundred_at_once_have_a_hundred_addresses => 180,
    an_address_is_not_given_away_again_at_once,
    a_bridge_that_was_removed_is_made_again,
    where_ipv6_is_switched_off_there_is_ipv4_alone,
    a_link_too_narrow_for_ipv6_carries_ipv4_alone,
);

fn its_network_is_its_own() {
    let inside = says(&rootfs(), &[], "readlink /proc/self/ns/net");
    assert_ne!(inside.trim_end(), fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
}

fn the_loopback_answers() {
    says(&rootfs(), &[], "ping -c1 -W5 127.0.0.1 && ping -c1 -W5 ::1");
}

fn one_cable_has_one_end_inside_and_one_on_the_bridge() {
    let waiting = Waiting::after(&rootfs(), &[], "true");
    // 2: eth0@if7: <…> … link/ether …
    let line = waiting.net("ip -o link show dev eth0");
    assert!(line.contains("UP,LOWER_UP"), "{line}");
    let outer = line.split("@if").nth(1).unwrap().split(':').next().unwrap();
    let line = ip("-o link show master coracle0");
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with(&format!("{outer}: ")) && line.contains("UP,LOWER_UP"), "{line}");
    assert!(line.contains("@if2:"), "the other end is number 2 in there: {line}");
    let all = waiting.net("ip -o link");
    assert_eq!(all.lines().count(), 2, "lo and eth0: {all}");
}

fn all_else_goes_over_the_bridge() {
    let rootfs = rootfs();
    let waiting = Waiting::after(&rootfs, &[], "true");
    let line = ip("-4 -o address show dev coracle0");
    let bridge = line.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
    let ways = waiting.net("ip -4 route show default");
    assert!(ways.starts_with(&format!("default via {bridge} dev eth0")), "{ways}");
    waiting.ping(&rootfs, bridge);
}

fn two_containers_reach_each_other() {
    let rootfs = rootfs();
    let [one, two] = [(); 2].map(|()| Waiting::after(&rootfs, &[], "true"));
    for family in [4, 6] {
        assert_ne!(one.address(family), two.address(family));
        let [there, back] = [&two, &one].map(|other| other.address(family));
        one.ping(&rootfs, &there);
        two.ping(&rootfs, &back);
    }
}

fn packets_are_as_large_as_those_of_the_host() {
    ip("link add up0 mtu 1337 type veth peer name up1");
    ip("address add 192.0.2.2/24 dev up0");
    ip("link set up0 up");
    ip("link set up1 up");
    ip("route add default via 192.0.2.1");
    let waiting = Waiting::after(&rootfs(), &[], "true");
    for line in [waiting.net("ip -o link show dev eth0"), ip("-o link show dev coracle0")] {
        assert!(line.contains("mtu 1337"), "{line}");
    }
    drop(waiting);
    ip("link delete up0");
}

/// CVE-2020-13401: a container that says to be a router.
fn nobody_inside_can_say_where_packets_go() {
    let waiting = Waiting::after(&rootfs(), &[], "true");
    let path = |link| format!("/proc/sys/net/ipv6/conf/{link}/accept_ra");
    assert_eq!(fs::read_to_string(path("coracle0")).unwrap(), "0\n");
    assert_eq!(waiting.net(&format!("cat {}", path("eth0"))), "0\n");
}

fn what_the_host_has_stays_as_it_is() {
    let read = || {
        [ip("-o address"), ip("-o route"), ip("-6 -o route")].map(|text| {
            let others =
                text.lines().filter(|line| !line.contains("coracle0") && !line.contains(" co0"));
            others.map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let before = read();
    let waiting = Waiting::after(&rootfs(), &[], "true");
    assert_eq!(read(), before);
    drop(waiting);
    assert_eq!(read(), before);
}

fn a_hundred_at_once_have_a_hundred_addresses() {
    let rootfs = rootfs();
    let script = "echo ready; cat > /dev/null";
    let mut all: Vec<Waiting> =
        (0..100).map(|_| Waiting::begin(command(&rootfs, &[], script))).collect();
    all.iter_mut().for_each(|waiting| waiting.until_ready());
    let addresses: BTreeSet<String> = all.iter().map(|one| one.address(4)).collect();
    assert_eq!(addresses.len(), 100);
    assert_eq!(ip("-o link show master coracle0").lines().count(), 100);
}

fn an_address_is_not_given_away_again_at_once() {
    let rootfs = rootfs();
    let show = "ip -4 -o address show dev eth0";
    assert_ne!(says(&rootfs, &[], show), says(&rootfs, &[], show));
}

fn a_bridge_that_was_removed_is_made_again() {
    let rootfs = rootfs();
    says(&rootfs, &[], "true");
    ip("link delete coracle0");
    assert!(
        sh(&rootfs, &[], "ping -c1 -W5 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')")
            .status
            .success()
    );
}

fn where_ipv6_is_switched_off_there_is_ipv4_alone() {
    let rootfs = rootfs();
    let switch_off = |value: &str| {
        for link in ["all", "default"] {
            fs::write(format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6"), value).unwrap();
        }
    };
    let show = "ip -o address show dev eth0 scope global";
    assert!(says(&rootfs, &[], show).contains("inet6 "));
    switch_off("1");
    for what_the_bridge_does in ["it stays", "it is made anew"] {
        let waiting = Waiting::after(&rootfs, &[], "true");
        let addresses = waiting.net(show);
        assert!(addresses.contains("inet ") && !addresses.contains("inet6 "), "{addresses}");
        let bridge = ip("-4 -o address show dev coracle0");
        let bridge = bridge.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
        waiting.ping(&rootfs, bridge);
        drop(waiting);
        println!("{what_the_bridge_does}");
        ip("link delete coracle0");
    }
    network::networks::prune().unwrap();
    says(&rootfs, &[], "true"); // the first network of a machine
    network::networks::prune().unwrap();
    switch_off("0");
    assert!(says(&rootfs, &[], show).contains("inet6 "));
}

fn a_link_too_narrow_for_ipv6_carries_ipv4_alone() {
    ip("link add up0 mtu 1279 type veth peer name up1");
    ip("address add 192.0.2.2/24 dev up0");
    ip("link set up0 up");
    ip("route add default via 192.0.2.1");
    let addresses = says(&rootfs(), &[], "ip -o address show dev eth0 scope global");
    assert!(addresses.contains("inet ") && !addresses.contains("inet6 "), "{addresses}");
    ip("link delete up0");
}
