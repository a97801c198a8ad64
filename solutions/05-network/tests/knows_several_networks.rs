//! Networks are apart from each other, and an internal one leads nowhere.

mod container;
mod machines;

use container::{Waiting, assert_refused, ip, rootfs, says, sh as run_sh};
use harness::{Leaks, random_name};
use machines::{
    Machine, TABLE, accept, at, connect, container as container_on, is_reachable, listen, require,
    sh, udp,
};
use network::networks::{FOLDER, Network, Wanted, prune};
use network::{nftables, ports};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

harness::kernel_tests!(
    each_has_a_bridge_and_addresses_of_its_own,
    nothing_passes_from_one_to_another_but_what_is_published,
    internal_cannot_leave,
    an_internal_one_is_reached_by_no_published_port,
    who_is_on_an_internal_one_does_not_leave_by_the_proxy => 90,
    a_network_becomes_internal_only_when_nobody_is_on_it,
    a_name_as_long_as_a_link_may_have_and_a_longer_one,
    a_network_may_have_the_name_of_any_of_our_files,
    what_is_no_name_and_a_bridge_of_somebody_else_are_refused,
    one_that_is_used_stays_and_the_others_go,
    the_switch_stays_turned_as_long_as_any_network_needs_it,
    links_that_come_later_are_not_kept_apart,
    what_docker_does_not_publish_is_not_reached_over_a_switch_that_we_turned,
    an_uplink_with_a_name_as_dockers_stays_one,
    many_at_once_make_different_networks => 120,
    in_a_table_that_is_new_all_networks_are_there_again,
    who_ends_meanwhile_is_not_published_again,
);

fn named(name: &str) -> Wanted {
    Wanted { name: name.parse().unwrap(), ..Wanted::default() }
}

fn internal(name: &str) -> Wanted {
    Wanted { internal: true, ..named(name) }
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(FOLDER).join(name)
}

fn forwards() -> String {
    fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim().to_owned()
}

/// Listens in a container on all of its addresses.
fn serve(waiting: &Waiting, port: u16) -> TcpListener {
    within(waiting, || TcpListener::bind(("::", port)).unwrap())
}

fn within<T>(waiting: &Waiting, act: impl FnOnce() -> T) -> T {
    let enter = |path: &str| {
        let namespace = fs::File::open(path).unwrap();
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    };
    let ours = format!("/proc/{}/ns/net", std::process::id());
    let ours = fs::File::open(ours).unwrap();
    enter(&format!("/proc/{}/ns/net", waiting.pid));
    let outcome = act();
    nix::sched::setns(ours, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    outcome
}

fn each_has_a_bridge_and_addresses_of_its_own() {
    let rootfs = rootfs();
    let [one, two] =
        ["one", "two"].map(|name| Waiting::after(&rootfs, &["--bridge", name], "true"));
    for (waiting, bridge) in [(&one, "co-one"), (&two, "co-two")] {
        assert_eq!(ip(&format!("-o link show master {bridge}")).lines().count(), 1);
        let gateway = ip(&format!("-4 -o address show dev {bridge}"));
        let gateway = gateway.split_whitespace().nth(3).unwrap().split('/').next().unwrap();
        assert!(waiting.net("ip route").contains(&format!("default via {gateway} ")));
        waiting.ping(&rootfs, gateway);
    }
    let net =
        |waiting: &Waiting| waiting.address(4).split('.').take(2).collect::<Vec<_>>().join(".");
    assert_ne!(net(&one), net(&two));
    for (name, waiting) in [("one", &one), ("two", &two)] {
        assert!(folder(name).join("leases").join(waiting.address(4)).exists());
    }
}

fn nothing_passes_from_one_to_another_but_what_is_published() {
    require("nft");
    sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
    let rootfs = rootfs();
    let server = Waiting::after(&rootfs, &["--bridge", "one", "-p", "7001:80"], "true");
    let [neighbour, stranger] =
        ["one", "two"].map(|name| Waiting::after(&rootfs, &["--bridge", name], "true"));
    let _listener = serve(&server, 80);
    for address in [format!("{}:80", server.address(4)), format!("[{}]:80", server.address(6))] {
        assert!(within(&neighbour, || is_reachable(&address)), "{address}");
        assert!(!within(&stranger, || is_reachable(&address)), "{address}");
    }
    let gateway = stranger.net("ip -4 route show default");
    let gateway = gateway.split(' ').nth(2).unwrap();
    assert!(within(&stranger, || is_reachable(&format!("{gateway}:7001"))));
}

/// A machine behind a cable, which knows the way to everybody here.
fn far() -> Machine {
    sh("ip link set lo up; sysctl -qw net.ipv6.conf.all.forwarding=1");
    let addresses = [("198.51.100.1/24", "198.51.100.9/24"), ("2001:db8::1/64", "2001:db8::9/64")];
    let far = Machine::cabled("uplink", addresses);
    far.sh("ip route add default via 198.51.100.1; ip route add default via 2001:db8::1");
    far
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
    assert!(within(&one, || is_reachable(&neighbour)));
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
    assert!(out.iter().all(|address| within(&open, || is_reachable(address))), "the others may");
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
        assert!(is_reachable(&address), "{address}: this machine hears it");
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
    assert!(is_reachable(&format!("{gateway}:7001")));
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
                assert_eq!(within(waiting, || is_reachable(&to)), may, "{to} {forwarding}");
            }
            for to in [format!("[{v6}]:7009"), format!("{here}:7009")] {
                assert!(within(waiting, || is_reachable(&to)), "{to}: this machine hears it");
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

fn a_network_becomes_internal_only_when_nobody_is_on_it() {
    require("nft");
    let rootfs = rootfs();
    let open = ["--bridge", "boat"];
    let shut = ["--bridge", "boat", "--internal"];
    let way = |options: &[&str]| says(&rootfs, options, "ip route | grep ^default || true");
    let waiting = Waiting::after(&rootfs, &open, "true");
    assert_refused(&run_sh(&rootfs, &shut, "echo ran"), &["boat has a way out and is in use"]);
    drop(waiting);
    assert_eq!(way(&shut), "");
    assert!(sh("nft list set inet coracle internal").contains("co-boat"));
    let waiting = Waiting::after(&rootfs, &shut, "true");
    assert_refused(&run_sh(&rootfs, &open, "echo ran"), &["boat is internal and in use"]);
    drop(waiting);
    assert!(way(&open).starts_with("default via "));
    assert!(!sh("nft list set inet coracle internal").contains("co-boat"));
}

fn a_name_as_long_as_a_link_may_have_and_a_longer_one() {
    let rootfs = rootfs();
    for (name, link) in [("twelve_chars", Some("co-twelve_chars")), ("thirteen.char", None)] {
        let waiting = Waiting::after(&rootfs, &["--bridge", name], "true");
        let links = ip("-o link show type bridge");
        let found = links.split(": ").find(|word| word.starts_with("co-")).unwrap();
        assert!(found.len() == 15 && link.is_none_or(|link| link == found), "{links}");
        waiting.ping(&rootfs, waiting.net("ip route show default").split(' ').nth(2).unwrap());
        drop(waiting);
        prune().unwrap();
        assert_eq!(ip("-o link show type bridge"), "");
    }
}

/// What is ours alone beside the networks begins with a dot, as no name does.
fn a_network_may_have_the_name_of_any_of_our_files() {
    require("nft");
    let rootfs = rootfs();
    for name in ["machine.json", "machine.new", "network.json", "leases"] {
        says(&rootfs, &["--bridge", name], "true");
        assert_eq!(forwards(), "1");
        says(&rootfs, &["--bridge", "other"], "true");
        prune().unwrap();
        assert_eq!(forwards(), "0");
        assert!(!Path::new(FOLDER).exists(), "{name}");
    }
    drop(Network::open(&named("boat")).unwrap());
    let ours = fs::read_dir(FOLDER).unwrap().map(|one| one.unwrap().file_name());
    let ours = ours.map(|name| name.into_string().unwrap()).filter(|name| name != "boat");
    let ours: Vec<String> = ours.collect();
    assert!(!ours.is_empty() && ours.iter().all(|name| name.starts_with('.')), "{ours:?}");
    prune().unwrap();
}

fn what_is_no_name_and_a_bridge_of_somebody_else_are_refused() {
    let rootfs = rootfs();
    for bad in ["", "..", "a/b", "-x", "a b", &"a".repeat(65)] {
        let output = run_sh(&rootfs, &[&format!("--bridge={bad}")], "echo ran");
        assert_eq!(output.status.code(), Some(125), "{bad}: {output:?}");
        assert!(output.stderr.contains("hint: ") && output.stdout.is_empty(), "{bad}: {output:?}");
    }
    assert!(!Path::new(FOLDER).exists());
    ip("link add co-boat type bridge");
    let output = run_sh(&rootfs, &["--bridge", "boat"], "echo ran");
    assert_refused(&output, &["there is a bridge co-boat already", "not ours"]);
    assert!(!Path::new(FOLDER).exists());
    ip("link delete co-boat");
    says(&rootfs, &["--bridge", "boat"], "true");
}

fn one_that_is_used_stays_and_the_others_go() {
    let rootfs = rootfs();
    let before = Leaks::snapshot();
    let waiting = Waiting::after(&rootfs, &["--bridge", "used"], "true");
    says(&rootfs, &["--bridge", "idle"], "true");
    says(&rootfs, &["--bridge", "shut", "--internal"], "true");
    assert!(Network::remove(&"nobody".parse().unwrap()).is_ok());
    let error = format!("{:#}", prune().unwrap_err());
    assert!(error.contains("the network used is in use\nhint: "), "{error}");
    let links = ip("-o link show type bridge");
    assert!(links.contains("co-used") && !links.contains("co-idle") && !links.contains("co-shut"));
    assert!(folder("used").exists() && !folder("idle").exists() && !folder("shut").exists());
    drop(waiting);
    prune().unwrap();
    assert!(!Path::new(FOLDER).exists());
    assert_eq!(before.left_behind(), Vec::<String>::new());
}

fn the_switch_stays_turned_as_long_as_any_network_needs_it() {
    require("nft");
    assert_eq!(forwards(), "0");
    drop(Network::open(&internal("inner")).unwrap());
    assert_eq!(forwards(), "0", "an internal one needs nothing");
    drop(Network::open(&named("one")).unwrap());
    drop(Network::open(&named("two")).unwrap());
    assert_eq!(forwards(), "1");
    Network::remove(&named("one").name).unwrap();
    assert_eq!(forwards(), "1");
    Network::remove(&named("two").name).unwrap();
    assert_eq!(forwards(), "0");
    assert!(sh("nft list set inet coracle internal").contains("co-inner"));
    Network::remove(&named("inner").name).unwrap();
    assert_eq!(sh("nft list ruleset"), "");
    assert!(!Path::new(FOLDER).exists());
}

fn links_that_come_later_are_not_kept_apart() {
    require("nft");
    let far = far();
    let cabled = |link: &str, number: u8| {
        let [v4, v6] = [format!("203.0.{number}"), format!("2001:db8:{number}:")];
        let (ours, theirs) = (
            (format!("{v4}.1/24"), format!("{v6}:1/64")),
            (format!("{v4}.9/24"), format!("{v6}:9/64")),
        );
        let machine = Machine::cabled(link, [(&ours.0, &theirs.0), (&ours.1, &theirs.1)]);
        machine.sh(&format!("ip route add default via {v4}.1; ip route add default via {v6}:1"));
        let addresses = [format!("{v4}.9:80"), format!("[{v6}:9]:80")];
        let servers = addresses.each_ref().map(|address| listen(&machine, address));
        (machine, addresses, servers)
    };
    let second = cabled("second", 113);
    sh("ip link add docker0 type bridge; ip link set docker0 up");
    let reached = || far.within(|| second.1.each_ref().map(|address| is_reachable(address)));
    assert_eq!(reached(), [false, true], "IPv4 is not sent on, and IPv6 is");
    drop(Network::open(&named("boat")).unwrap());
    assert_eq!(forwards(), "1");
    assert_eq!(reached(), [false, true], "as before");

    // Whoever comes later, and whose program finds the switch turned, has their way.
    let later = cabled("later", 114);
    let reaches_later = || far.within(|| later.1.each_ref().map(|address| connect(address)));
    reaches_later();
    sh("nft flush ruleset");
    drop(Network::open(&named("boat")).unwrap());
    reaches_later(); // also when our rules had to be made again
    assert_eq!(reached(), [false, true]);
    let apart = sh("nft list set inet coracle apart");
    assert!(apart.contains("uplink") && apart.contains("second"), "{apart}");
    assert!(!apart.contains("docker0") && !apart.contains("later"), "{apart}");
    prune().unwrap();
    sh("for link in uplink second later docker0; do ip link delete $link; done
        sysctl -qw net.ipv6.conf.all.forwarding=0");
}

/// Docker before version 28 leaves a machine open that sends packets on already.
fn what_docker_does_not_publish_is_not_reached_over_a_switch_that_we_turned() {
    require("nft");
    let far = far();
    drop(Network::open(&named("boat")).unwrap());
    machines::bridge("docker0", 66);
    let dockers = container_on("docker0", 66, 2);
    let _servers = [listen(&far, "198.51.100.9:80"), listen(&dockers, "10.66.0.2:80")];
    dockers.within(|| connect("198.51.100.9:80")); // its own way out is Docker's business
    assert!(!far.within(|| is_reachable("10.66.0.2:80")));
    sh("nft add table ip nat; nft add chain ip nat prerouting '{ type nat hook prerouting priority -100; }'
        nft add rule ip nat prerouting tcp dport 8066 dnat to 10.66.0.2:80");
    far.within(|| connect("198.51.100.1:8066"));
    prune().unwrap();
    sh("nft delete table ip nat; ip link delete uplink; ip link delete docker0
        sysctl -qw net.ipv6.conf.all.forwarding=0");
}

fn an_uplink_with_a_name_as_dockers_stays_one() {
    let rootfs = rootfs();
    let addresses =
        [("203.0.113.1/24", "203.0.113.9/24"), ("2001:db8:1::1/64", "2001:db8:1::9/64")];
    let other = Machine::cabled("br-lan", addresses);
    machines::bridge("br-0123456789ab", 67);
    let dockers = container_on("br-0123456789ab", 67, 2);
    let _servers = [listen(&other, "203.0.113.9:80"), listen(&dockers, "10.67.0.2:80")];
    let waiting = Waiting::after(&rootfs, &[], "true");
    within(&waiting, || connect("203.0.113.9:80"));
    assert!(!within(&waiting, || is_reachable("10.67.0.2:80")));
    // One that comes when the network is there already is known to the next container.
    let addresses =
        [("203.0.114.1/24", "203.0.114.9/24"), ("2001:db8:2::1/64", "2001:db8:2::9/64")];
    let later = Machine::cabled("br-later", addresses);
    let _server = listen(&later, "203.0.114.9:80");
    let next = Waiting::after(&rootfs, &[], "true");
    for waiting in [&waiting, &next] {
        within(waiting, || connect("203.0.114.9:80"));
        assert!(!within(waiting, || is_reachable("10.67.0.2:80")));
    }
    sh("ip link delete br-later; ip link delete br-lan; ip link delete br-0123456789ab");
}

fn many_at_once_make_different_networks() {
    let rootfs = rootfs();
    let script = "echo ready; cat > /dev/null";
    let names: Vec<String> = (0..8).map(|_| random_name("n")).collect();
    let mut all: Vec<Waiting> = names
        .iter()
        .map(|name| Waiting::begin(container::command(&rootfs, &["--bridge", name], script)))
        .collect();
    all.iter_mut().for_each(|waiting| waiting.until_ready());
    let first_two = |ip: String| ip.split('.').take(2).collect::<Vec<_>>().join(".");
    let nets: BTreeSet<String> = all.iter().map(|one| first_two(one.address(4))).collect();
    assert_eq!(nets.len(), 8, "{nets:?}");
    drop(all);
    prune().unwrap();
}

fn in_a_table_that_is_new_all_networks_are_there_again() {
    require("nft");
    let rootfs = rootfs();
    let server = Waiting::after(&rootfs, &["--bridge", "one", "-p", "7001:80"], "true");
    let listener = within(&server, || TcpListener::bind("0.0.0.0:80").unwrap());
    let far = far();
    let seen = || {
        let _client = far.within(|| connect("198.51.100.1:7001"));
        accept(&listener).1.ip().to_string()
    };
    assert_eq!(seen(), "198.51.100.9");
    for loss in ["true", "nft add table inet coracle '{ comment \"rules 0\" ; }'"] {
        sh(&format!("nft flush ruleset; {loss}"));
        assert_ne!(seen(), "198.51.100.9", "the proxy alone answers");
        says(&rootfs, &["--bridge", "two"], "true");
        assert_eq!(seen(), "198.51.100.9", "{loss}");
        assert!(sh("nft list set inet coracle bridges").contains("co-one"));
    }
    sh("ip link delete uplink; sysctl -qw net.ipv6.conf.all.forwarding=0");
}

/// Whoever fills the table again finds them alive, but each takes its ports back by itself.
fn who_ends_meanwhile_is_not_published_again() {
    require("nft");
    for _ in 0..10 {
        let network = Network::open(&named("one")).unwrap();
        let lease = |number| {
            let wanted = [format!("{number}:80").parse().unwrap()];
            let lease = network.lease(ports::reserve(&wanted).unwrap()).unwrap();
            nftables::publish(TABLE, &lease.terms.ports, &lease.terms.cable.ips()).unwrap();
            lease
        };
        let leases: Vec<_> = (7001..7021).map(lease).collect();
        drop(network);
        let stays = leases.len() - 1;
        let held = std::thread::scope(|scope| {
            let fills_again = scope.spawn(|| {
                nftables::remove(TABLE).unwrap();
                drop(Network::open(&named("two")).unwrap());
            });
            let mut leases = leases;
            leases.drain(..stays);
            fills_again.join().unwrap();
            leases
        });
        let (listing, mark) = (sh("nft list ruleset"), "tcp . 70");
        assert!(listing.contains(&format!("{mark}20")), "{listing}");
        assert_eq!(listing.matches(mark).count(), 3, "IPv4 sent on, both proxied: {listing}");
        drop(held);
        assert!(!sh("nft list ruleset").contains(mark));
    }
    prune().unwrap();
}
