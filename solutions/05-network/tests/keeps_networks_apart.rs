//! Networks are apart from each other, and an internal one leads nowhere.

mod container;
mod machines;

use container::{Waiting, assert_refused, ip, rootfs, serve, sh as run_sh, within};
use machines::{answers, at, becomes_reachable, far, is_reachable, listen, require, sh, udp};
use std::net::TcpListener;

harness::kernel_tests!(
    nothing_passes_from_one_to_another_but_what_is_published,
    internal_cannot_leave,
    an_internal_one_is_reached_by_no_published_port,
    who_is_on_an_internal_one_does_not_leave_by_the_proxy => 90,
);

fn nothing_passes_from_one_to_another_but_what_is_published() {
    require("nft");
    sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
    let rootfs = rootfs();
    let server = Waiting::after(&rootfs, &["--bridge", "one", "-p", "7001:80"], "true");
    let [neighbour, stranger] =
        ["one", "two"].map(|name| Waiting::after(&rootfs, &["--bridge", name], "true"));
    let _listener = serve(&server, 80);
    for address in [format!("{}:80", server.address(4)), format!("[{}]:80", server.address(6))] {
        assert!(within(&neighbour, || becomes_reachable(&address)), "{address}");
        assert!(!within(&stranger, || is_reachable(&address)), "{address}");
    }
    let gateway = stranger.net("ip -4 route show default");
    let gateway = gateway.split(' ').nth(2).unwrap();
    assert!(within(&stranger, || becomes_reachable(&format!("{gateway}:7001"))));
}

fn internal_cannot_leave() {
    require("nft");
    let rootfs = rootfs();
    let far = far();
    let out = ["198.51.100.9:80", "[2001:db8::9]:80"];
    let _servers = out.map(|address| listen(&far, address));
    let options = ["--bridge", "inner", "--internal"];
    let [one, two] = [(); 2].map(|()| Waiting::after(&rootfs, &options, "true"));
    let open = Waiting::after(&rootfs, &["--bridge", "outer"], "true");
    assert_eq!(one.net("ip route show default; ip -6 route show default"), "");
    one.ping(&rootfs, &two.address(4));
    one.ping(&rootfs, &two.address(6));
    let _listeners = [serve(&open, 80), serve(&one, 80), serve(&two, 80)];
    let neighbour = format!("{}:80", two.address(4));
    assert!(within(&one, || becomes_reachable(&neighbour)));
    // A container that may change its routes finds the way itself, and is stopped on it.
    for (family, bridge) in [("-4", "co-inner"), ("-6", "co-inner")] {
        let line = ip(&format!("{family} -o address show dev {bridge} scope global"));
        let gateway = line.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
        one.net(&format!("ip {family} route add default via {gateway}"));
    }
    let elsewhere = [format!("{}:80", open.address(4)), format!("[{}]:80", open.address(6))];
    for address in out.iter().map(ToString::to_string).chain(elsewhere) {
        assert!(!within(&one, || is_reachable(&address)), "{address}");
    }
    assert!(
        out.iter().all(|address| within(&open, || becomes_reachable(address))),
        "the others may"
    );
    // Not even one way: whoever listens out there hears the others alone.
    for (to, from) in [("198.51.100.9:53", "0.0.0.0:0"), ("[2001:db8::9]:53", "[::]:0")] {
        let hears = far.within(|| udp(to));
        for (waiting, word) in [(&one, "from within"), (&open, "from the other")] {
            within(waiting, || udp(from).send_to(word.as_bytes(), at(to)).unwrap());
        }
        let mut heard = [0; 100];
        let length = hears.recv(&mut heard).unwrap();
        assert_eq!(std::str::from_utf8(&heard[..length]).unwrap(), "from the other");
    }
    // Nor does anybody come in who knows the way.
    for address in [format!("{}:80", one.address(4)), format!("[{}]:80", one.address(6))] {
        assert!(!far.within(|| is_reachable(&address)), "{address}");
        assert!(!within(&open, || is_reachable(&address)), "{address}");
        assert!(becomes_reachable(&address), "{address}: this machine hears it");
    }
    sh("ip link delete uplink");
}

fn an_internal_one_is_reached_by_no_published_port() {
    require("nft");
    let rootfs = rootfs();
    let options = ["--bridge", "inner", "--internal"];
    let output = run_sh(&rootfs, &[&options[..], &["-p", "7001:80"]].concat(), "echo ran");
    assert_refused(&output, &["the network inner is internal"]);
    assert!(TcpListener::bind("0.0.0.0:7001").is_ok(), "the port is free again");
    assert!(!sh("nft list ruleset").contains("7001"));
    // One who is on it does not reach the ports of others either.
    let server = Waiting::after(&rootfs, &["-p", "7001:80"], "true");
    let inner = Waiting::after(&rootfs, &options, "true");
    let _listener = serve(&server, 80);
    let line = ip("-4 -o address show dev co-inner");
    let gateway = line.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
    assert!(becomes_reachable(&format!("{gateway}:7001")));
    assert!(!within(&inner, || is_reachable(&format!("{gateway}:7001"))));
}

/// The proxy listens on all addresses, also on those whose packets are not sent on: IPv6 where the
/// machine does not forward it, addresses of one link, and those of everybody.
fn who_is_on_an_internal_one_does_not_leave_by_the_proxy() {
    require("nft");
    let rootfs = rootfs();
    sh("ip link add stub type veth peer name butt; ip link set stub up; ip link set butt up
        ip address add 2001:db8:5::1/64 dev stub nodad");
    let ports = ["-p", "7001:80", "-p", "7001:80/udp", "-p", "[2001:db8:5::1]:7002:80"];
    for forwarding in ["0", "1"] {
        sh(&format!("sysctl -qw net.ipv6.conf.all.forwarding={forwarding}"));
        let server = Waiting::after(&rootfs, &ports, "true");
        let _listener = serve(&server, 80);
        let hears = within(&server, || udp("[::]:80"));
        let _ours = TcpListener::bind("[::]:7009").unwrap();
        let inner = Waiting::after(&rootfs, &["--bridge", "inner", "--internal"], "true");
        let outer = Waiting::after(&rootfs, &["--bridge", "outer"], "true");
        for (waiting, bridge, may) in [(&inner, "co-inner", false), (&outer, "co-outer", true)] {
            let gateway = |which: &str| {
                let line = ip(&format!("-o {which} address show dev {bridge} scope global"));
                line.split_whitespace().nth(3).unwrap().split('/').next().unwrap().to_owned()
            };
            let (v4, v6) = (gateway("-4"), gateway("-6"));
            waiting.net(&format!("ip -6 route replace default via {v6}"));
            // Both ends need a moment until they are sure that nobody else has their address.
            let near = settled(|| ip(&format!("-6 -o address show dev {bridge} scope link")));
            settled(|| waiting.net("ip -6 -o address show dev eth0 scope link"));
            let link = within(waiting, || nix::net::if_::if_nametoindex("eth0").unwrap());
            let here = format!("[{near}%{link}]");
            for to in [
                format!("{v4}:7001"),
                format!("[{v6}]:7001"),
                format!("{here}:7001"),
                "[2001:db8:5::1]:7002".to_owned(),
            ] {
                assert_eq!(within(waiting, || answers(&to, may)), may, "{to} {forwarding}");
            }
            for to in [format!("[{v6}]:7009"), format!("{here}:7009")] {
                assert!(within(waiting, || becomes_reachable(&to)), "{to}: this machine hears it");
            }
            within(waiting, || {
                let [one, two] = ["0.0.0.0:0", "[::]:0"].map(udp);
                one.set_broadcast(true).unwrap();
                let everybody = format!("{}.255.255:7001", v4.rsplitn(3, '.').last().unwrap());
                one.send_to(bridge.as_bytes(), at(&everybody)).unwrap();
                two.send_to(bridge.as_bytes(), at(&format!("[ff02::1%{link}]:7001"))).unwrap();
            });
        }
        for _ in 0..2 {
            let mut heard = [0; 100];
            let length = hears.recv(&mut heard).unwrap();
            assert_eq!(std::str::from_utf8(&heard[..length]).unwrap(), "co-outer");
        }
    }
    sh("ip link delete stub; sysctl -qw net.ipv6.conf.all.forwarding=0");
}

/// The address that ip(8) shows, as soon as it may be used.
fn settled(show: impl Fn() -> String) -> String {
    let started = std::time::Instant::now();
    loop {
        let line = show();
        if let Some(address) =
            line.split_whitespace().nth(3).filter(|_| !line.contains("tentative"))
        {
            return address.split('/').next().unwrap().to_owned();
        }
        assert!(started.elapsed() < machines::patience(), "{line}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
