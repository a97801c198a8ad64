//! Networks of several names: made, used, changed and removed, beside each other and what others have.

mod container;
mod machines;

use container::{Waiting, assert_refused, ip, rootfs, says, sh as run_sh, within};
use harness::{Leaks, random_name};
use machines::{
    Machine, TABLE, accept, becomes_reachable, connect, container as container_on, far,
    is_reachable, listen, require, sh,
};
use network::networks::{FOLDER, Network, Wanted, prune};
use network::{nftables, ports};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

harness::kernel_tests!(
    each_has_a_bridge_and_addresses_of_its_own,
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
    let [v4, v6] = &second.1;
    let reached = || far.within(|| [is_reachable(v4), becomes_reachable(v6)]);
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
