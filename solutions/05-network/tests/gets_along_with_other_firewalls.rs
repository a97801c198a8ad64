//! Docker, ufw and firewalld drop what is not theirs: our rule stands where they want it to. Their
//! rules are made by scripts here; the programs themselves are in `beside_real_firewalls.rs`.

mod machines;

use machines::{
    Host, Machine, TABLE, answers, connect, container, host, is_reachable, listen, require, sh,
};
use network::neighbours::{Way, look, make_way, take_back};
use network::nftables::{publish, remove};
use network::ports::{Protocol, Published};
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

harness::kernel_tests!(
    where_nobody_drops_nothing_is_done,
    beside_docker_containers_have_their_way,
    beside_ufw_containers_have_their_way,
    beside_docker_and_ufw_one_place_will_do,
    beside_firewalld_containers_have_their_way,
    beside_firewalld_with_iptables_containers_have_their_way,
    a_firewalld_that_guards_its_table_is_left_to_its_owner,
    a_chain_of_nobody_we_know_is_left_to_its_owner,
    a_rule_that_refuses_the_rest_is_told_of,
    legacy_rules_are_left_to_their_owner,
    our_own_chains_are_no_neighbours,
    beside_docker_nobody_gets_where_it_lets_nobody,
    rules_of_an_older_version_are_exchanged,
    what_we_put_there_iptables_can_read,
);

/// As the Docker daemon makes them when it starts, for both families.
const DOCKER: &str = "
for iptables in iptables-nft ip6tables-nft; do
  $iptables -P FORWARD DROP
  for chain in DOCKER DOCKER-ISOLATION-STAGE-1 DOCKER-ISOLATION-STAGE-2; do
    $iptables -N $chain 2> /dev/null || $iptables -F $chain
  done
  $iptables -N DOCKER-USER 2> /dev/null && $iptables -A DOCKER-USER -j RETURN || true
  $iptables -C FORWARD -j DOCKER-USER 2> /dev/null || {
    $iptables -I FORWARD -o docker0 -j DOCKER
    $iptables -I FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    $iptables -I FORWARD -j DOCKER-ISOLATION-STAGE-1
    $iptables -I FORWARD -j DOCKER-USER
  }
done";

/// As `ufw enable` and `ufw reload` make them: both restore whole files.
const UFW: &str = "
for way in '' 6; do
  ip${way}tables-nft-restore << END
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:ufw$way-before-forward - [0:0]
:ufw$way-user-forward - [0:0]
-A FORWARD -j ufw$way-before-forward
-A ufw$way-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw$way-before-forward -j ufw$way-user-forward
COMMIT
END
done";

/// As firewalld makes its table when it starts and when it reloads, as far as it is about us.
const FIREWALLD: &str = "table inet firewalld
delete table inet firewalld
table inet firewalld {
  FLAGS
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname \"lo\" accept
    jump filter_FORWARD_ZONES
    reject with icmpx type admin-prohibited
  }
  chain filter_FORWARD_ZONES { goto filter_FWD_public; }
  chain filter_FWD_public { meta l4proto { icmp, ipv6-icmp } accept; }
}
";

fn firewalld() {
    let file = std::env::temp_dir().join("firewalld.nft");
    std::fs::write(&file, FIREWALLD.replace("FLAGS", "")).unwrap();
    sh(&format!("nft -f {}", file.display()));
}

/// As firewalld makes its rules where its backend is iptables: it refuses, too, but by a rule.
const FIREWALLD_WITH_IPTABLES: &str = "
for iptables in iptables-nft ip6tables-nft; do
  $iptables -F; $iptables -X
  $iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
  $iptables -A FORWARD -i lo -j ACCEPT
  $iptables -A FORWARD -m conntrack --ctstate INVALID -j DROP
  for chain in FORWARD_direct FORWARD_ZONES; do
    $iptables -N $chain
    $iptables -A FORWARD -j $chain
  done
  $iptables -A FORWARD -j REJECT
done";

/// A container that wants out, and one whose port is published.
struct Scene {
    host: Host,
    container: Machine,
    _servers: [TcpListener; 4],
}

fn scene() -> Scene {
    require("iptables-nft");
    let host = host();
    let container = container("coracle0", 63, 2);
    let servers = [
        listen(&host.far, "198.51.100.9:80"),
        listen(&host.far, "[2001:db8::9]:80"),
        listen(&container, "10.63.0.2:80"),
        listen(&container, "[fd63::2]:80"),
    ];
    let port = Published { on: None, port: 7001, to: 80, protocol: Protocol::Tcp };
    let addresses = ["10.63.0.2", "fd63::2"].map(machines::ip);
    publish(TABLE, &[port], &addresses).unwrap();
    container.within(|| ["198.51.100.9:80", "[2001:db8::9]:80"].map(connect)); // the links are up
    Scene { host, container, _servers: servers }
}

impl Scene {
    /// Out and in, IPv4 and IPv6; those that are expected are waited for.
    fn ways(&self, expected: [bool; 4]) -> [bool; 4] {
        let out = ["198.51.100.9:80", "[2001:db8::9]:80"];
        let into = ["198.51.100.1:7001", "[2001:db8::1]:7001"];
        let out = |n: usize| self.container.within(|| answers(out[n], expected[n]));
        let into = |n: usize| self.host.far.within(|| answers(into[n], expected[2 + n]));
        [out(0), out(1), into(0), into(1)]
    }

    /// Our rules bring the way back, once, and after `reload` has thrown them away again.
    fn gets_along_with(&self, make: impl Fn(), reload: impl Fn(), place: &str) {
        const ALL: [bool; 4] = [true; 4];
        assert_eq!(self.ways(ALL), ALL, "before there is anybody else");
        make();
        let theirs = sh("nft -s list ruleset");
        assert_eq!(self.ways([false; 4])[..2], [false; 2], "this one does not drop anything");
        let way = look(TABLE, "coracle0").unwrap();
        let names: Vec<String> = way.places.iter().map(ToString::to_string).collect();
        assert!(names.iter().any(|name| name == place), "{names:?}");
        assert!(way.remarks.is_empty(), "{:?}", way.remarks);
        assert_eq!(sh("nft -s list ruleset"), theirs, "who looks changes nothing");
        make_way(&way.places, "coracle0").unwrap();
        assert_eq!(self.ways(ALL), ALL);
        let made = sh("nft -s list ruleset");
        make_way(&way.places, "coracle0").unwrap();
        assert_eq!(sh("nft -s list ruleset"), made, "twice is once");
        self.still_protects();

        reload();
        let way = look(TABLE, "coracle0").unwrap();
        make_way(&way.places, "coracle0").unwrap();
        assert_eq!(self.ways(ALL), ALL, "after they have reloaded");

        take_back(&way.places, "coracle0").unwrap();
        take_back(&way.places, "coracle0").unwrap();
        assert_eq!(sh("nft -s list ruleset"), theirs);
    }

    /// What we have others accept, our own table still drops.
    fn still_protects(&self) {
        self.host.far.sh("ip route replace 10.63.0.0/24 via 198.51.100.1");
        assert!(!self.host.far.within(|| is_reachable("10.63.0.2:80")));
    }
}

fn where_nobody_drops_nothing_is_done() {
    let scene = scene();
    assert_eq!(look(TABLE, "coracle0").unwrap(), Way::default());
    sh("iptables-nft -A FORWARD -i other0 -j DROP; nft add table inet firewalld");
    assert_eq!(look(TABLE, "coracle0").unwrap(), Way::default());
    drop(scene);
}

fn beside_docker_containers_have_their_way() {
    let reload = || {
        sh("for way in '' 6; do ip${way}tables-nft -F; ip${way}tables-nft -X; done");
        sh(DOCKER);
    };
    scene().gets_along_with(|| drop(sh(DOCKER)), reload, "ip filter DOCKER-USER");
}

fn beside_ufw_containers_have_their_way() {
    let ufw = || drop(sh(UFW));
    scene().gets_along_with(ufw, ufw, "ip6 filter ufw6-user-forward");
}

fn beside_docker_and_ufw_one_place_will_do() {
    let both = || drop(sh(&format!("{UFW}\n{DOCKER}")));
    scene().gets_along_with(both, both, "ip6 filter DOCKER-USER");
}

fn beside_firewalld_containers_have_their_way() {
    scene().gets_along_with(firewalld, firewalld, "inet firewalld filter_FORWARD");
}

fn beside_firewalld_with_iptables_containers_have_their_way() {
    let firewalld = || drop(sh(FIREWALLD_WITH_IPTABLES));
    scene().gets_along_with(firewalld, firewalld, "ip6 filter FORWARD_direct");
}

/// A table belongs to the program that made it as long as that holds its socket.
struct Owner(Child);

impl Owner {
    fn of(rules: &str) -> Owner {
        let nft = Command::new("nft").arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut nft = nft.unwrap();
        let one_line = rules.replace("}\n", "};").replace("{\n", "{").replace('\n', ";");
        writeln!(nft.stdin.as_mut().unwrap(), "{one_line}").unwrap();
        let started = std::time::Instant::now();
        while !sh("nft list tables").contains("firewalld") {
            assert!(started.elapsed() < machines::patience(), "nft -i did not make the table");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Owner(nft)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn a_firewalld_that_guards_its_table_is_left_to_its_owner() {
    let scene = scene();
    let rules = FIREWALLD.split_once("delete table inet firewalld\n").unwrap().1;
    let _owner = Owner::of(&rules.replace("FLAGS", "flags owner"));
    let way = look(TABLE, "coracle0").unwrap();
    assert_eq!(way.places, []);
    let [remark] = &way.remarks[..] else { panic!("{:?}", way.remarks) };
    assert!(
        remark.contains("\nhint: firewall-cmd --permanent --zone=trusted --add-interface=coracle0"),
        "{remark}"
    );
    drop(scene);
}

fn a_chain_of_nobody_we_know_is_left_to_its_owner() {
    let scene = scene();
    sh("nft add table inet filter
        nft add chain inet filter forward '{ type filter hook forward priority 0; policy drop; }'
        nft add rule inet filter forward ct state established,related accept");
    let before = sh("nft -s list ruleset");
    assert_eq!(scene.ways([false; 4]), [false; 4]);
    let way = look(TABLE, "coracle0").unwrap();
    make_way(&way.places, "coracle0").unwrap();
    assert_eq!(sh("nft -s list ruleset"), before);
    let [remark] = &way.remarks[..] else { panic!("{:?}", way.remarks) };
    assert!(remark.starts_with("the chain inet filter forward drops"), "{remark}");
    // Whoever does what the hint says has a way out, and is not told again.
    let (_, hint) = remark.split_once("hint: `").unwrap();
    sh(hint.split_once('`').unwrap().0);
    assert_eq!(scene.ways([true; 4]), [true; 4]);
    assert_eq!(look(TABLE, "coracle0").unwrap(), Way::default());
}

fn a_rule_that_refuses_the_rest_is_told_of() {
    let scene = scene();
    let places = ["log drop", "counter reject", "iifname != other0 drop", "counter accept"];
    let told = places.map(|rule| {
        sh(&format!(
            "nft add table inet theirs
             nft flush table inet theirs
             nft add chain inet theirs forward '{{ type filter hook forward priority 0; }}'
             nft add rule inet theirs forward {rule}"
        ));
        look(TABLE, "coracle0").unwrap().remarks.len()
    });
    assert_eq!(told, [1, 1, 0, 0], "what asks something first may not be about us");
    sh("nft delete table inet theirs; iptables-nft -A FORWARD -j REJECT");
    assert!(!scene.ways([false; 4])[0]);
    let [remark] = &look(TABLE, "coracle0").unwrap().remarks[..] else { panic!("no remark") };
    let (_, hint) = remark.split_once("hint: `").unwrap();
    sh(hint.split_once('`').unwrap().0);
    assert!(scene.ways([true; 4])[0]);
}

fn legacy_rules_are_left_to_their_owner() {
    let scene = scene();
    let legacy = Command::new("iptables-legacy").args(["-P", "FORWARD", "DROP"]).output();
    if !legacy.is_ok_and(|output| output.status.success()) {
        harness::not_run("no iptables-legacy here, or a kernel without ip_tables");
    }
    assert!(!scene.ways([false; 4])[0]);
    let way = look(TABLE, "coracle0").unwrap();
    assert_eq!(way.places, []);
    let [remark] = &way.remarks[..] else { panic!("{:?}", way.remarks) };
    let (_, hint) = remark.split_once("no way out: `").unwrap();
    sh(hint.split_once('`').unwrap().0);
    assert!(scene.ways([true; 4])[0]);
    sh("iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F");
}

fn our_own_chains_are_no_neighbours() {
    let scene = scene();
    sh("nft chain inet coracle forward '{ policy drop; }'");
    assert_eq!(look(TABLE, "coracle0").unwrap(), Way::default());
    remove(TABLE).unwrap();
    drop(scene);
}

/// Docker before version 28 protects its containers by its FORWARD policy, if it has set one.
fn beside_docker_nobody_gets_where_it_lets_nobody() {
    let scene = scene();
    sh(DOCKER);
    let networks = [(66, "docker0"), (67, "br-0123456789ab")];
    for (number, bridge) in networks {
        machines::bridge(bridge, number);
        sh(&format!(
            "iptables-nft -t nat -A PREROUTING ! -i {bridge} -p tcp --dport 80{number} -j DNAT --to 10.{number}.0.2:81
             iptables-nft -A DOCKER -d 10.{number}.0.2/32 ! -i {bridge} -o {bridge} -p tcp --dport 81 -j ACCEPT
             iptables-nft -C FORWARD -o {bridge} -j DOCKER 2> /dev/null || iptables-nft -A FORWARD -o {bridge} -j DOCKER
             iptables-nft -A FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
             iptables-nft -A FORWARD -i {bridge} ! -o {bridge} -j ACCEPT"
        ));
    }
    make_way(&look(TABLE, "coracle0").unwrap().places, "coracle0").unwrap();
    let all = networks.map(|(number, bridge)| (number, container(bridge, number, 2)));
    for policy in ["DROP", "ACCEPT"] {
        sh(&format!("iptables-nft -P FORWARD {policy}"));
        assert_eq!(scene.ways([true; 4]), [true; 4]);
        for (number, dockers) in &all {
            let to = |port| format!("10.{number}.0.2:{port}");
            let _servers = [80, 81].map(|port| listen(dockers, &to(port)));
            let published = format!("198.51.100.1:80{number}");
            scene.container.within(|| connect(&published));
            assert!(!scene.container.within(|| is_reachable(&to(80))), "{policy}: and no more");
            dockers.within(|| connect("198.51.100.1:7001")); // what we publish
            assert!(!dockers.within(|| is_reachable("10.63.0.2:80")), "{policy}: and no more");
        }
    }
}

fn rules_of_an_older_version_are_exchanged() {
    let scene = scene();
    sh(DOCKER);
    let way = look(TABLE, "coracle0").unwrap();
    make_way(&way.places, "coracle0").unwrap();
    let whole = sh("nft -s list ruleset");
    for chain in ["ip filter", "ip6 filter"] {
        let handles = sh(&format!("nft -a list chain {chain} DOCKER-USER"));
        let ours = handles.lines().filter(|line| line.contains("coracle: coracle0"));
        let first = ours.take(1).filter_map(|line| line.rsplit(' ').next());
        first.for_each(|handle| {
            drop(sh(&format!("nft delete rule {chain} DOCKER-USER handle {handle}")))
        });
    }
    assert_ne!(sh("nft -s list ruleset"), whole);
    make_way(&way.places, "coracle0").unwrap();
    assert_eq!(sh("nft -s list ruleset"), whole);
    drop(scene);
}

fn what_we_put_there_iptables_can_read() {
    let scene = scene();
    sh(DOCKER);
    make_way(&look(TABLE, "coracle0").unwrap().places, "coracle0").unwrap();
    for iptables in ["iptables-nft", "ip6tables-nft"] {
        let rules = sh(&format!("{iptables} -S DOCKER-USER"));
        println!("{rules}");
        for side in ["-i", "-o"] {
            let rule = format!("-A DOCKER-USER {side} coracle0 ");
            assert!(
                rules.lines().any(|line| line.starts_with(&rule) && line.ends_with("-j ACCEPT")),
                "{rules}"
            );
        }
        assert!(sh(&format!("{iptables}-save")).contains("-i coracle0"), "and save");
        sh(&format!("{iptables}-save | {iptables}-restore"));
    }
    drop(scene);
}
