//! Through the table of packet filters: out with the host's address, in by published ports, and no
//! further.

mod machines;

use machines::{
    Machine, TABLE, accept, answers, ask, becomes_reachable, bridge, connect, container, first,
    host, ip, is_reachable, listen, port, sh, talk, tcp, udp,
};
use network::nftables;
use network::ports::Protocol;

harness::kernel_tests!(
    who_leaves_has_the_hosts_address,
    a_published_port_shows_the_real_client,
    a_port_is_published_on_the_hosts_own_address_for_the_host_itself,
    a_port_of_one_address_is_published_there_alone,
    containers_reach_published_ports_of_each_other_and_of_themselves,
    nobody_else_gets_in,
    an_internal_bridge_has_no_way_out_and_none_in,
    links_that_were_apart_stay_apart,
    a_udp_client_who_keeps_asking_reaches_the_next_container,
    a_udp_client_who_asked_too_early_reaches_the_container,
    who_asks_elsewhere_is_remembered,
    where_ipv6_is_not_sent_on_it_is_left_to_the_proxy,
);

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
        assert!(becomes_reachable("198.51.100.2:7001") && !is_reachable("198.51.100.1:7001"));
        assert!(!is_reachable("198.51.100.1:7002"));
        assert!(becomes_reachable("198.51.100.1:7003") && !is_reachable("[2001:db8::1]:7003"));
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
        assert!(
            neighbour.within(|| becomes_reachable(address)),
            "{address}: a neighbour is let in"
        );
        assert!(becomes_reachable(address), "{address}: the host is let in");
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
    assert!(other.within(|| becomes_reachable("10.65.0.2:80")));
    assert!(!one.within(|| is_reachable("198.51.100.9:80")));
    assert!(!one.within(|| is_reachable("10.63.0.2:80")));
    assert!(!outside.within(|| is_reachable("10.65.0.2:80")));
    assert!(
        outside.within(|| becomes_reachable("198.51.100.9:80")),
        "the other bridge has its way out"
    );
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
    let ways = |v4_expected| host.far.within(|| [answers(v4, v4_expected), becomes_reachable(v6)]);
    host.far.within(|| [v4, v6].map(connect)); // the links are up
    nftables::keep_apart(TABLE, &links).unwrap();
    assert_eq!(ways(false), [false, true], "IPv6 was never ours to turn");
    nftables::let_pass(TABLE, &links).unwrap();
    assert_eq!(ways(true), [true, true]);
    nftables::keep_apart(TABLE, &links).unwrap();
    let container = container("coracle0", 63, 2);
    assert!(
        container.within(|| becomes_reachable("203.0.113.9:80")),
        "containers have their way out"
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

/// The same port of another machine is no business of ours: a firewall lets in what was asked for.
fn who_asks_elsewhere_is_remembered() {
    let host = host();
    let _container = container("coracle0", 63, 2);
    for (server, client) in [("198.51.100.9", "0.0.0.0:0"), ("[2001:db8::9]", "[::]:0")] {
        sh("nft add table inet guard
            nft 'add chain inet guard input { type filter hook input priority 10; }'
            nft add rule inet guard input meta l4proto udp ct state new drop");
        let to = format!("{server}:7001");
        let resolver = host.far.within(|| udp(&to));
        let asks = udp(client);
        asks.send_to(b"first", machines::at(&to)).unwrap();
        let mut heard = [0; 100];
        let (_, from) = resolver.recv_from(&mut heard).unwrap();
        let any = if client.starts_with('[') { "::" } else { "0.0.0.0" };
        for on in [None, Some(any)] {
            let published = port(on, 7001, 53, Protocol::Udp);
            nftables::publish(TABLE, &[published], &first()).unwrap();
            resolver.send_to(b"answer", from).unwrap();
            let (length, _) = asks.recv_from(&mut heard).unwrap();
            assert_eq!(&heard[..length], b"answer");
            nftables::forget(TABLE, &first()).unwrap();
        }
        sh("nft delete table inet guard");
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
