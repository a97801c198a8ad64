//! The table of packet filters: out with the host's address, in by published ports, and no further.

mod machines;

use machines::{
    Machine, TABLE, Tidy, accept, ask, bridge, connect, container, host, ip, is_reachable, listen,
    require, sh, talk, udp,
};
use network::nftables;
use network::ports::{Protocol, Published};
use std::net::IpAddr;

harness::kernel_tests!(
    the_kernel_has_the_rules_as_one_would_type_them,
    who_leaves_has_the_hosts_address,
    a_published_port_shows_the_real_client,
    a_port_is_published_on_the_hosts_own_address_for_the_host_itself,
    a_port_of_one_address_is_published_there_alone,
    containers_reach_published_ports_of_each_other_and_of_themselves,
    nobody_else_gets_in,
    an_internal_bridge_has_no_way_out_and_none_in,
    links_that_were_apart_stay_apart,
    what_was_published_is_taken_back_and_the_rest_stays,
    what_is_taken_back_nobody_waits_for,
    what_a_dead_container_left_is_replaced,
    a_udp_client_who_keeps_asking_reaches_the_next_container,
    a_udp_client_who_asked_too_early_reaches_the_container,
    where_ipv6_is_not_sent_on_it_is_left_to_the_proxy,
    hundreds_of_ports_come_and_go_at_once,
    others_tables_stay_as_they_are,
    a_table_that_somebody_threw_away_is_made_again,
    a_table_with_rules_of_another_version_is_exchanged_at_once,
    many_at_once_open_one_table,
    who_may_not_is_told_so,
);

fn port(on: Option<&str>, port: u16, to: u16, protocol: Protocol) -> Published {
    Published { on: on.map(ip), port, to, protocol }
}

fn tcp(number: u16, to: u16) -> Published {
    port(None, number, to, Protocol::Tcp)
}

fn first() -> [IpAddr; 2] {
    [ip("10.63.0.2"), ip("fd63::2")]
}

fn listing() -> String {
    sh("nft -s list ruleset")
}

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
    std::fs::write("/tmp/ruleset.nft", &listing).unwrap();
    sh("nft --check -f /tmp/ruleset.nft");
}

fn who_leaves_has_the_hosts_address() {
    let host = host();
    let container = container("coracle0", 63, 2);
    for (server, seen) in [("198.51.100.9", "198.51.100.1"), ("[2001:db8::9]", "2001:db8::1")] {
        let listener = listen(&host.far, &format!("{server}:80"));
        let client = container.within(|| connect(&format!("{server}:80")));
        let (served, from) = accept(&listener);
        assert_eq!(from.ip(), ip(seen));
        talk(client, served);
        let resolver = host.far.within(|| udp(&format!("{server}:53")));
        let client =
            container.within(|| udp(if server.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" }));
        assert_eq!(ask(&client, &format!("{server}:53"), &resolver).ip(), ip(seen));
    }
}

fn a_published_port_shows_the_real_client() {
    let host = host();
    let container = container("coracle0", 63, 2);
    nftables::publish(TABLE, &[tcp(7001, 80), port(None, 7001, 53, Protocol::Udp)], &first())
        .unwrap();
    for (server, inside, client) in [
        ("198.51.100.1", "10.63.0.2", "198.51.100.9"),
        ("[2001:db8::1]", "[fd63::2]", "2001:db8::9"),
    ] {
        let listener = listen(&container, &format!("{inside}:80"));
        let stream = host.far.within(|| connect(&format!("{server}:7001")));
        let (served, from) = accept(&listener);
        assert_eq!(from.ip(), ip(client));
        talk(stream, served);
        let resolver = container.within(|| udp(&format!("{inside}:53")));
        let asks =
            host.far.within(|| udp(if server.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" }));
        assert_eq!(ask(&asks, &format!("{server}:7001"), &resolver).ip(), ip(client));
    }
}

fn a_port_is_published_on_the_hosts_own_address_for_the_host_itself() {
    let _host = host();
    let container = container("coracle0", 63, 2);
    nftables::publish(TABLE, &[tcp(7001, 80)], &first()).unwrap();
    for (server, inside) in [("198.51.100.1", "10.63.0.2"), ("[2001:db8::1]", "[fd63::2]")] {
        let listener = listen(&container, &format!("{inside}:80"));
        let client = connect(&format!("{server}:7001"));
        talk(client, accept(&listener).0);
    }
    assert!(!is_reachable("127.0.0.1:7001") && !is_reachable("[::1]:7001"), "that is the proxy's");
}

fn a_port_of_one_address_is_published_there_alone() {
    let host = host();
    sh("ip address add 198.51.100.2/24 dev uplink");
    let container = container("coracle0", 63, 2);
    let _listener = listen(&container, "10.63.0.2:80");
    let on = |ip, number| port(Some(ip), number, 80, Protocol::Tcp);
    let ports = [on("198.51.100.2", 7001), on("127.0.0.1", 7002), on("0.0.0.0", 7003)];
    nftables::publish(TABLE, &ports, &first()).unwrap();
    host.far.within(|| {
        assert!(is_reachable("198.51.100.2:7001") && !is_reachable("198.51.100.1:7001"));
        assert!(!is_reachable("198.51.100.1:7002"));
        assert!(is_reachable("198.51.100.1:7003") && !is_reachable("[2001:db8::1]:7003"));
    });
}

fn containers_reach_published_ports_of_each_other_and_of_themselves() {
    let _host = host();
    bridge("coracle1", 64);
    nftables::open(TABLE, "coracle1", false).unwrap();
    let server = container("coracle0", 63, 2);
    let (neighbour, stranger) = (container("coracle0", 63, 3), container("coracle1", 64, 2));
    nftables::publish(TABLE, &[tcp(7001, 80), port(None, 53, 53, Protocol::Udp)], &first())
        .unwrap();
    let listener = listen(&server, "0.0.0.0:80");
    let resolver = server.within(|| udp("0.0.0.0:53"));
    // Where bridges are filtered, too (bridge-nf-call-iptables), the way back to oneself is a port of
    // the bridge that sends what it receives.
    sh("ip link set veth63x2 type bridge_slave hairpin on");
    for is_filtered in ["1", "0"] {
        let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", is_filtered);
        for client in [&server, &neighbour, &stranger] {
            for address in ["198.51.100.1", "10.63.0.1"] {
                let stream = client.within(|| connect(&format!("{address}:7001")));
                talk(stream, accept(&listener).0);
            }
            ask(&client.within(|| udp("0.0.0.0:0")), "198.51.100.1:53", &resolver);
        }
    }
    let v6 = listen(&server, "[fd63::2]:80");
    for client in [&server, &neighbour, &stranger] {
        talk(client.within(|| connect("[2001:db8::1]:7001")), accept(&v6).0);
    }
}

fn nobody_else_gets_in() {
    let host = host();
    bridge("coracle1", 64);
    nftables::open(TABLE, "coracle1", false).unwrap();
    let server = container("coracle0", 63, 2);
    let (neighbour, stranger) = (container("coracle0", 63, 3), container("coracle1", 64, 2));
    let _listeners = [listen(&server, "0.0.0.0:80"), listen(&server, "[fd63::2]:80")];
    // The far machine knows a way to the containers; it is not to be had.
    host.far
        .sh("ip route add 10.63.0.0/24 via 198.51.100.1; ip route add fd63::/64 via 2001:db8::1");
    for address in ["10.63.0.2:80", "[fd63::2]:80"] {
        assert!(neighbour.within(|| is_reachable(address)), "{address}: a neighbour is let in");
        assert!(is_reachable(address), "{address}: the host is let in");
        assert!(!stranger.within(|| is_reachable(address)), "{address}: another bridge is not");
        assert!(!host.far.within(|| is_reachable(address)), "{address}: another machine is not");
    }
}

fn an_internal_bridge_has_no_way_out_and_none_in() {
    let host = host();
    bridge("inner0", 65);
    nftables::open(TABLE, "inner0", true).unwrap();
    let [one, other] = [2, 3].map(|place| container("inner0", 65, place));
    let outside = container("coracle0", 63, 2);
    let _listeners = [
        listen(&host.far, "198.51.100.9:80"),
        listen(&outside, "10.63.0.2:80"),
        listen(&one, "10.65.0.2:80"),
    ];
    assert!(other.within(|| is_reachable("10.65.0.2:80")));
    assert!(!one.within(|| is_reachable("198.51.100.9:80")));
    assert!(!one.within(|| is_reachable("10.63.0.2:80")));
    assert!(!outside.within(|| is_reachable("10.65.0.2:80")));
    assert!(outside.within(|| is_reachable("198.51.100.9:80")), "the other bridge has its way out");
}

fn links_that_were_apart_stay_apart() {
    let host = host();
    let second = Machine::cabled(
        "second",
        [("203.0.113.1/24", "203.0.113.9/24"), ("2001:db8:1::1/64", "2001:db8:1::9/64")],
    );
    host.far.sh("ip route add default via 198.51.100.1");
    second.sh("ip route add default via 203.0.113.1");
    host.far.sh("ip route add default via 2001:db8::1");
    second.sh("ip route add default via 2001:db8:1::1");
    let (v4, v6) = ("203.0.113.9:80", "[2001:db8:1::9]:80");
    let _listeners = [listen(&second, v4), listen(&second, v6)];
    let links = ["uplink".to_owned(), "second".to_owned()];
    let ways = || host.far.within(|| [is_reachable(v4), is_reachable(v6)]);
    host.far.within(|| [v4, v6].map(connect)); // the links are up
    nftables::keep_apart(TABLE, &links).unwrap();
    assert_eq!(ways(), [false, true], "IPv6 was never ours to turn");
    nftables::let_pass(TABLE, &links).unwrap();
    assert_eq!(ways(), [true, true]);
    nftables::keep_apart(TABLE, &links).unwrap();
    let container = container("coracle0", 63, 2);
    assert!(container.within(|| is_reachable("203.0.113.9:80")), "containers have their way out");
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

/// The kernel frees what was removed some ms later, and whoever closes his line before that waits.
fn what_is_taken_back_nobody_waits_for() {
    let host = host();
    let empty = listing();
    nftables::publish(TABLE, &[tcp(7001, 80)], &first()).unwrap();
    nftables::forget(TABLE, &first()).unwrap();
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().flatten().map(|entry| entry.path());
    let sockets = || {
        let to = open().filter_map(|path| std::fs::read_link(path).ok());
        to.filter(|to| to.to_str().unwrap().starts_with("socket:")).collect::<Vec<_>>()
    };
    let ours = sockets();
    let closer = harness::child_running("nft-closer", std::process::id());
    assert_eq!(listing(), empty, "nothing is left to be done");
    let theirs = format!("/proc/{closer}/fd");
    // Nothing but one socket, and that is not ours any more: nobody waits for it.
    let only = || {
        let open = std::fs::read_dir(&theirs).ok()?.flatten().map(|entry| entry.path());
        let open: Option<Vec<_>> = open.map(|path| std::fs::read_link(path).ok()).collect();
        let [one] = &open?[..] else { return None };
        Some(one.clone())
    };
    let started = std::time::Instant::now();
    while only().is_none_or(|one| ours.contains(&one)) {
        assert!(std::path::Path::new(&theirs).exists(), "it has ended with more than a socket");
        assert!(started.elapsed() < machines::PATIENCE, "{:?}", only());
    }
    drop(host);
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

fn a_udp_client_who_keeps_asking_reaches_the_next_container() {
    let host = host();
    let old = container("coracle0", 63, 2);
    let published = [port(None, 7001, 53, Protocol::Udp)];
    for (server, client, place) in
        [("198.51.100.1", "0.0.0.0:0", 2), ("[2001:db8::1]", "[::]:0", 3)]
    {
        let to = format!("{server}:7001");
        let asks = host.far.within(|| udp(client));
        let inside = |ip: u8| {
            format!(
                "{}:53",
                if place == 2 { format!("10.63.0.{ip}") } else { format!("[fd63::{ip}]") }
            )
        };
        nftables::publish(TABLE, &published, &first()).unwrap();
        let resolver = old.within(|| udp(&inside(2)));
        let client = ask(&asks, &to, &resolver);
        nftables::forget(TABLE, &first()).unwrap();
        let other = place + 5;
        let new = container("coracle0", 63, other);
        let addresses = [ip(&format!("10.63.0.{other}")), ip(&format!("fd63::{other}"))];
        nftables::publish(TABLE, &published, &addresses).unwrap();
        let resolver = new.within(|| udp(&inside(other)));
        assert_eq!(ask(&asks, &to, &resolver), client);
        nftables::forget(TABLE, &addresses).unwrap();
    }
}

/// The kernel remembers who asked and sends what they ask to the same place, with and without a rule.
fn a_udp_client_who_asked_too_early_reaches_the_container() {
    let host = host();
    let container = container("coracle0", 63, 2);
    for (on, anywhere, inside, seen) in [
        ("198.51.100.1", "0.0.0.0", "10.63.0.2", "198.51.100.9"),
        ("[2001:db8::1]", "[::]", "[fd63::2]", "2001:db8::9"),
    ] {
        let to = format!("{on}:7001");
        let here = udp(&format!("{anywhere}:7001")); // as the proxy does
        let [early, stranger] = [(); 2].map(|()| host.far.within(|| udp(&format!("{anywhere}:0"))));
        let elsewhere = udp(&format!("{anywhere}:7002"));
        ask(&early, &to, &here);
        ask(&stranger, &format!("{on}:7002"), &elsewhere);
        let published = [port(None, 7001, 53, Protocol::Udp), port(None, 7003, 53, Protocol::Udp)];
        nftables::publish(TABLE, &published, &first()).unwrap();
        let resolver = container.within(|| udp(&format!("{inside}:53")));
        assert_eq!(ask(&early, &to, &resolver).ip(), ip(seen), "it is told who asks");
        ask(&stranger, &format!("{on}:7002"), &elsewhere);
        nftables::forget(TABLE, &first()).unwrap();
    }
}

fn where_ipv6_is_not_sent_on_it_is_left_to_the_proxy() {
    use network::{ports, proxy};
    let host = host();
    sh(
        "sysctl -qw net.ipv6.conf.all.forwarding=0; ip address add 2001:db8::77/64 dev uplink nodad",
    );
    let server = container("coracle0", 63, 2);
    let wanted = ["7001:80", "7001:53/udp"].map(|text| text.parse().unwrap());
    let reserved = ports::reserve(&wanted).unwrap();
    let published: Vec<_> = reserved.iter().map(|one| one.port.clone()).collect();
    nftables::publish(TABLE, &published, &first()).unwrap();
    let _proxy = proxy::start(reserved, &first()).unwrap();
    let listener = listen(&server, "[fd63::2]:80");
    let resolver = server.within(|| udp("[fd63::2]:53"));
    for address in ["[2001:db8::1]", "[2001:db8::77]"] {
        talk(host.far.within(|| connect(&format!("{address}:7001"))), accept(&listener).0);
        // A connected socket hears nobody but whom it asked: the answer has the right sender.
        let asks = host.far.within(|| udp("[::]:0"));
        asks.connect(machines::at(&format!("{address}:7001"))).unwrap();
        ask(&asks, &format!("{address}:7001"), &resolver);
    }
    let v4 = listen(&server, "10.63.0.2:80");
    let client = host.far.within(|| connect("198.51.100.1:7001"));
    let (served, from) = accept(&v4);
    assert_eq!(from.ip(), ip("198.51.100.9"), "IPv4 is sent on");
    talk(client, served);
}

fn hundreds_of_ports_come_and_go_at_once() {
    let _host = host();
    let empty = listing();
    let ports: Vec<_> = (10_000..11_200).map(|number| tcp(number, number)).collect();
    nftables::publish(TABLE, &ports, &first()).unwrap();
    assert_eq!(listing().matches(": 10.63.0.2").count(), 1200);
    nftables::publish(TABLE, &ports, &first()).unwrap();
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
        nft list table inet coracle | sed 's/comment \"rules .*\"/comment \"rules of old\"/' > /tmp/old.nft
        nft delete table inet coracle; nft -f /tmp/old.nft");
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
