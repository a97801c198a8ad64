//! The table of packet filters as the kernel lists it: what comes into it, what goes again, and
//! whatever others do to it.

mod machines;

use machines::{TABLE, Tidy, first, host, ip, listing, port, require, sh, tcp};
use network::nftables;
use network::ports::Protocol;
use std::net::IpAddr;

harness::kernel_tests!(
    the_kernel_has_the_rules_as_one_would_type_them,
    what_was_published_is_taken_back_and_the_rest_stays,
    what_is_taken_back_nobody_waits_for,
    what_a_dead_container_left_is_replaced,
    thousands_of_ports_come_and_go_at_once,
    others_tables_stay_as_they_are,
    a_table_that_somebody_threw_away_is_made_again,
    a_table_with_rules_of_another_version_is_exchanged_at_once,
    many_at_once_open_one_table,
    who_may_not_is_told_so,
);

fn the_kernel_has_the_rules_as_one_would_type_them() {
    let _host = host();
    nftables::publish(
        TABLE,
        &[tcp(7001, 80), port(Some("198.51.100.1"), 53, 53, Protocol::Udp)],
        &first(),
    )
    .unwrap();
    let listing = listing();
    println!("{listing}");
    for line in [
        "iifname @bridges oifname != @bridges masquerade",
        "iifname @bridges ct status dnat masquerade",
        "ip daddr 127.0.0.0/8 return",
        "ip6 daddr ::1 return",
        "ip6 daddr fe80::/10 return",
        "fib daddr type local jump published",
        "dnat ip to ip daddr . meta l4proto . th dport map @ports_at_ip",
        "dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports_at_ip6",
        "dnat ip to meta l4proto . th dport map @ports_ip",
        "iifname . oifname @pairs accept",
        "meta nfproto ipv4 iifname @apart oifname @apart drop",
        "oifname \"docker*\" jump docker",
        "oifname \"br-*\" oifname != @uplinks jump docker",
        "iifname @internal meta mark set meta nfproto . meta l4proto . th dport map @proxied drop",
        "iifname @internal meta mark set ip6 daddr . meta l4proto . th dport map @proxied_at_ip6 drop",
        "ipv4 . tcp . 7001 : 0x0a3f0002",
        "ipv6 . tcp . 7001 : 0x0a3f0002",
        "iifname @internal drop",
        "oifname @internal drop",
        "ct state established,related accept",
        "ct status dnat accept",
        "oifname @bridges drop",
        "elements = { tcp . 7001 : 10.63.0.2 . 80 }",
        "elements = { tcp . 7001 : fd63::2 . 80 }",
        "elements = { 198.51.100.1 . udp . 53 : 10.63.0.2 . 53 }",
        "elements = { \"coracle0\" }",
    ] {
        assert!(listing.contains(line), "{line} is not in {listing}");
    }
    // What nft lists nft can read: nothing of it is only ours to understand.
    let file = std::env::temp_dir().join("ruleset.nft");
    std::fs::write(&file, &listing).unwrap();
    sh(&format!("nft --check -f {}", file.display()));
}

fn what_was_published_is_taken_back_and_the_rest_stays() {
    let _host = host();
    let empty = listing();
    let second = [ip("10.63.0.3"), ip("fd63::3")];
    nftables::publish(TABLE, &[tcp(7003, 80)], &second).unwrap();
    let one = listing();
    nftables::publish(
        TABLE,
        &[tcp(7001, 80), port(Some("198.51.100.1"), 7002, 80, Protocol::Udp)],
        &first(),
    )
    .unwrap();
    assert_ne!(listing(), one);
    nftables::forget(TABLE, &first()).unwrap();
    assert_eq!(listing(), one);
    nftables::forget(TABLE, &first()).unwrap(); // nothing to do is no error
    nftables::forget(TABLE, &second).unwrap();
    assert_eq!(listing(), empty);
    nftables::open(TABLE, "inner0", true).unwrap();
    nftables::close(TABLE, "inner0").unwrap();
    nftables::close(TABLE, "inner0").unwrap();
    assert_eq!(listing(), empty);
    nftables::remove(TABLE).unwrap();
    assert_eq!(listing(), "");
    nftables::remove(TABLE).unwrap();
    nftables::forget(TABLE, &first()).unwrap();
    assert!(!nftables::exists(TABLE).unwrap());
}

/// The kernel frees what was removed some ms later, and whoever closes his line before that waits:
/// so another process does, which has nothing else open than that.
fn what_is_taken_back_nobody_waits_for() {
    let _host = host();
    let empty = listing();
    let open = |pid: u32| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        open.map(|entry| std::fs::read_link(entry.path()).ok()).collect::<Option<Vec<_>>>()
    };
    let us = std::process::id();
    // It does not stay for long, and begins by closing all else: on a slow machine it takes more than
    // one look.
    let (ours, theirs) = (0..50)
        .find_map(|_| {
            nftables::publish(TABLE, &[tcp(7001, 80)], &first()).unwrap();
            nftables::forget(TABLE, &first()).unwrap();
            let closer = *harness::children_of(us).last()?;
            let theirs = open(closer).filter(|theirs| theirs.len() == 1)?;
            let ours = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            let ours = ours.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            Some((ours.collect::<Vec<_>>(), theirs))
        })
        .expect("a process that has one thing open, to close it");
    let theirs = &theirs[0];
    assert!(theirs.to_str().unwrap().starts_with("socket:") && !ours.contains(theirs));
    assert_eq!(listing(), empty, "nothing is left to be done");
}

fn what_a_dead_container_left_is_replaced() {
    let _host = host();
    nftables::publish(TABLE, &[tcp(7001, 80), tcp(7002, 80)], &[ip("10.63.0.9")]).unwrap();
    nftables::publish(TABLE, &[tcp(7001, 81), tcp(7003, 83)], &first()).unwrap();
    let listing = listing();
    for line in
        ["tcp . 7001 : 10.63.0.2 . 81", "tcp . 7002 : 10.63.0.9 . 80", "tcp . 7003 : fd63::2 . 83"]
    {
        assert!(listing.contains(line), "{line}: {listing}");
    }
    assert!(
        !listing.contains("10.63.0.9 . 80,") || !listing.contains("7001 : 10.63.0.9"),
        "{listing}"
    );
}

fn thousands_of_ports_come_and_go_at_once() {
    let _host = host();
    let empty = listing();
    let ports: Vec<_> = (10_000..13_000).map(|number| tcp(number, number)).collect();
    nftables::publish(TABLE, &ports, &[ip("10.63.0.9"), ip("fd63::9")]).unwrap(); // and it dies
    nftables::publish(TABLE, &ports, &first()).unwrap();
    assert_eq!(listing().matches(": 10.63.0.2").count(), 3000);
    nftables::publish(TABLE, &ports, &first()).unwrap();
    nftables::forget(TABLE, &[ip("10.63.0.9"), ip("fd63::9")]).unwrap();
    nftables::forget(TABLE, &first()).unwrap();
    assert_eq!(listing(), empty);
}

fn others_tables_stay_as_they_are() {
    require("nft");
    let _tidy = Tidy;
    sh("nft add table inet other; nft add chain inet other c '{ type nat hook prerouting priority -100; }'
        nft add rule inet other c tcp dport 1 dnat ip to 192.0.2.1
        iptables-nft -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE; nft add table ip coracle");
    let before = listing();
    nftables::open(TABLE, "coracle0", true).unwrap();
    nftables::publish(TABLE, &[tcp(7001, 80)], &first()).unwrap();
    nftables::forget(TABLE, &first()).unwrap();
    assert!(listing().len() > before.len());
    nftables::remove(TABLE).unwrap();
    assert_eq!(listing(), before);
}

fn a_table_that_somebody_threw_away_is_made_again() {
    let host = host();
    let whole = listing();
    sh("nft flush ruleset");
    assert!(!nftables::exists(TABLE).unwrap());
    nftables::open(TABLE, "coracle0", false).unwrap();
    assert_eq!(listing(), whole);
    nftables::open(TABLE, "coracle0", false).unwrap();
    assert_eq!(listing(), whole, "twice is once");
    sh("nft flush ruleset; nft add table inet coracle"); // half of it, or of another version
    nftables::open(TABLE, "coracle0", false).unwrap();
    nftables::open(TABLE, "coracle0", false).unwrap();
    assert_eq!(listing(), whole);
    drop(host);
}

fn a_table_with_rules_of_another_version_is_exchanged_at_once() {
    let host = host();
    let whole = listing();
    nftables::publish(TABLE, &[tcp(7001, 80)], &first()).unwrap();
    sh("nft add chain inet coracle old '{ type filter hook forward priority 5; policy drop; }'
        nft list table inet coracle | sed 's/comment \"rules .*\"/comment \"rules of old\"/' > $TMPDIR/old.nft
        nft delete table inet coracle; nft -f $TMPDIR/old.nft");
    assert!(listing().contains("chain old") && listing().contains("rules of old"));
    assert!(nftables::open(TABLE, "coracle0", false).unwrap(), "nothing else is in it");
    assert_eq!(listing(), whole);
    assert!(!nftables::open(TABLE, "coracle0", false).unwrap());
    drop(host);
}

fn many_at_once_open_one_table() {
    require("nft");
    let _tidy = Tidy;
    nftables::open(TABLE, "coracle0", false).unwrap();
    let whole = listing();
    nftables::remove(TABLE).unwrap();
    let all: Vec<_> = (0..24)
        .map(|n| {
            std::thread::spawn(move || {
                let address = [IpAddr::from([10, 63, 0, n + 2])];
                nftables::open(TABLE, "coracle0", false).unwrap();
                nftables::publish(TABLE, &[tcp(7000 + u16::from(n), 80)], &address).unwrap();
                nftables::forget(TABLE, &address).unwrap();
            })
        })
        .collect();
    all.into_iter().for_each(|one| one.join().unwrap());
    assert_eq!(listing(), whole);
}

fn who_may_not_is_told_so() {
    nix::unistd::setresuid(65534.into(), 65534.into(), 65534.into()).unwrap();
    let error = format!("{:#}", nftables::open(TABLE, "coracle0", false).unwrap_err());
    assert!(error.contains("hint: only root may"), "{error}");
}
