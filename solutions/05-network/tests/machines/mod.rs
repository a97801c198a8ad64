//! Machines for a test: network namespaces, joined by cables. The sandbox is the host.
#![allow(dead_code, reason = "each test file uses its part")]

use network::nftables;
use network::ports::{Protocol, Published};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Nothing here takes so long, also on a busy machine.
pub fn patience() -> Duration {
    harness::patient(Duration::from_secs(20))
}
/// After so long we believe that nothing comes. The first packet over a link that has just come up
/// may be lost, and TCP tries again after one second.
pub const SILENCE: Duration = Duration::from_millis(1600);

/// Runs a shell command, which has to succeed, and returns what it printed.
pub fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn require(program: &str) {
    if Command::new(program).arg("--version").output().is_err() {
        harness::not_run(format!("no {program}: apt-get install nftables iptables iproute2"));
    }
}

/// A machine beside the sandbox.
pub struct Machine {
    namespace: File,
    sleeper: Child,
}

fn own_namespace() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

impl Machine {
    pub fn new() -> Machine {
        let ours = own_namespace();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        sh("ip link set lo up");
        let namespace = own_namespace();
        let sleeper = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        setns(ours, CloneFlags::CLONE_NEWNET).unwrap();
        Machine { namespace, sleeper }
    }

    /// Does something on that machine: sockets made there stay there.
    pub fn within<T>(&self, act: impl FnOnce() -> T) -> T {
        let ours = own_namespace();
        setns(&self.namespace, CloneFlags::CLONE_NEWNET).unwrap();
        let outcome = act();
        setns(ours, CloneFlags::CLONE_NEWNET).unwrap();
        outcome
    }

    /// A machine behind a cable of the host's: `link` here, `eth0` there. `addresses` are ours and
    /// theirs, IPv4 and IPv6, as 198.51.100.1/24.
    pub fn cabled(link: &str, addresses: [(&str, &str); 2]) -> Machine {
        let machine = Machine::plugged(link, &addresses.map(|(_, theirs)| theirs));
        for (ours, _) in addresses {
            sh(&format!(
                "ip address add {ours} dev {link} nodad 2> /dev/null || ip address add {ours} dev {link}"
            ));
        }
        machine
    }

    /// A machine with these addresses; our end of the cable has none.
    pub fn plugged(link: &str, addresses: &[&str]) -> Machine {
        let machine = Machine::new();
        let pid = machine.sleeper.id();
        sh(&format!("ip link add {link} up type veth peer name eth0 netns {pid}"));
        machine.within(|| {
            sh("ip link set eth0 up");
            for address in addresses {
                let nodad = if address.contains("::") { "nodad" } else { "" };
                sh(&format!("ip address add {address} dev eth0 {nodad}"));
            }
        });
        machine
    }

    pub fn sh(&self, script: &str) -> String {
        self.within(|| sh(script))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.sleeper.kill();
        let _ = self.sleeper.wait();
    }
}

pub fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

pub fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn connect(to: &str) -> TcpStream {
    let stream = TcpStream::connect_timeout(&at(to), patience())
        .unwrap_or_else(|error| panic!("{to}: {error}"));
    stream.set_read_timeout(Some(patience())).unwrap();
    stream.set_write_timeout(Some(patience())).unwrap();
    stream
}

/// Does a connection come about? For those who should not be let: it is soon given up.
pub fn is_reachable(to: &str) -> bool {
    TcpStream::connect_timeout(&at(to), SILENCE).is_ok()
}

/// Does a connection come about, sooner or later? For those who should be let: also where packets
/// are late.
pub fn becomes_reachable(to: &str) -> bool {
    let started = std::time::Instant::now();
    while !is_reachable(to) {
        if started.elapsed() > patience() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The one or the other, by what is expected.
pub fn answers(to: &str, expected: bool) -> bool {
    if expected { becomes_reachable(to) } else { is_reachable(to) }
}

/// Accepts one connection, and says who it seems to come from.
pub fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let (stream, from) = listener.accept().unwrap();
    stream.set_read_timeout(Some(patience())).unwrap();
    (stream, from)
}

/// What one says the other hears, both ways; then both end.
pub fn talk(mut one: TcpStream, mut other: TcpStream) {
    let word = harness::random_name("word");
    for (from, to) in [(0, 1), (1, 0)] {
        let both = [&mut one, &mut other];
        let [first, second] = both;
        let (from, to) = if from < to { (first, second) } else { (second, first) };
        from.write_all(word.as_bytes()).unwrap();
        from.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = String::new();
        to.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, word);
    }
}

pub fn udp(at_address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(at(at_address)).unwrap();
    socket.set_read_timeout(Some(patience())).unwrap();
    socket
}

/// Sends a message and says from whom it was received.
pub fn ask(client: &UdpSocket, to: &str, server: &UdpSocket) -> SocketAddr {
    let word = harness::random_name("word");
    match client.peer_addr() {
        Ok(_) => client.send(word.as_bytes()).unwrap(),
        Err(_) => client.send_to(word.as_bytes(), at(to)).unwrap(),
    };
    let mut buffer = [0; 100];
    let from = loop {
        let (length, from) = server.recv_from(&mut buffer).unwrap();
        if &buffer[..length] == word.as_bytes() {
            break from; // what came before was meant for nobody
        }
    };
    let answer = harness::random_name("answer");
    server.send_to(answer.as_bytes(), from).unwrap();
    let (length, _) = client.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], answer.as_bytes());
    from
}

/// What stays behind in the sandbox is what a program left, not what a test made for it.
pub struct Tidy;

impl Drop for Tidy {
    fn drop(&mut self) {
        sh("nft flush ruleset; echo 0 > /proc/sys/net/ipv4/ip_forward
            for link in /sys/class/net/*; do
              link=${link##*/}; [ $link = lo ] || ip link delete $link 2> /dev/null || true
            done");
    }
}

/// A machine behind a cable, which knows the way to everybody here.
pub fn far() -> Machine {
    sh("ip link set lo up; sysctl -qw net.ipv6.conf.all.forwarding=1");
    let addresses = [("198.51.100.1/24", "198.51.100.9/24"), ("2001:db8::1/64", "2001:db8::9/64")];
    let far = Machine::cabled("uplink", addresses);
    far.sh("ip route add default via 198.51.100.1; ip route add default via 2001:db8::1");
    far
}

/// Our table.
pub const TABLE: &str = "coracle";

/// The sandbox as a host that sends packets on, with a bridge coracle0 and a far machine.
pub struct Host {
    pub far: Machine,
    _tidy: Tidy,
}

pub fn host() -> Host {
    require("nft");
    sh("ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    let far = [("198.51.100.1/24", "198.51.100.9/24"), ("2001:db8::1/64", "2001:db8::9/64")];
    let host = Host { far: Machine::cabled("uplink", far), _tidy: Tidy };
    bridge("coracle0", 63);
    nftables::open(TABLE, "coracle0", false).unwrap();
    host
}

pub fn bridge(name: &str, number: u8) {
    sh(&format!(
        "ip link add {name} address 02:c0:0a:{number:02x}:00:01 type bridge; ip link set {name} up
         ip address add 10.{number}.0.1/24 dev {name}
         ip address add fd{number}::1/64 dev {name} nodad"
    ));
}

/// A machine with the addresses 10.NUMBER.0.PLACE and fdNUMBER::PLACE.
pub fn container(bridge: &str, number: u8, place: u8) -> Machine {
    let link = format!("veth{number}x{place}");
    let addresses = [format!("10.{number}.0.{place}/24"), format!("fd{number}::{place}/64")];
    let machine = Machine::plugged(&link, &addresses.each_ref().map(String::as_str));
    sh(&format!("ip link set {link} master {bridge}"));
    machine.sh(&format!(
        "ip route add default via 10.{number}.0.1; ip route add default via fd{number}::1"
    ));
    machine
}

pub fn listen(machine: &Machine, address: &str) -> TcpListener {
    machine.within(|| TcpListener::bind(at(address)).unwrap())
}

/// A published port.
pub fn port(on: Option<&str>, port: u16, to: u16, protocol: Protocol) -> Published {
    Published { on: on.map(ip), port, to, protocol }
}

/// One that is published on all addresses.
pub fn tcp(number: u16, to: u16) -> Published {
    port(None, number, to, Protocol::Tcp)
}

/// The addresses of the first container.
pub fn first() -> [std::net::IpAddr; 2] {
    [ip("10.63.0.2"), ip("fd63::2")]
}

/// All rules of this machine.
pub fn listing() -> String {
    sh("nft -s list ruleset")
}
