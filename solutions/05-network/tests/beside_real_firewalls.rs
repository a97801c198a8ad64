//! ufw and firewalld themselves, as Debian has them: containers have their way before and after they
//! start, reload and end, and nothing of ours stays in their rules.
//!
//! They are unpacked into target/peers by scripts/bench/peer before the tests, as sandboxes have no
//! network, and laid over the machine's folders within a sandbox.

mod container;
mod machines;

use container::{Waiting, rootfs, says, serve, within};
use harness::Test;
use machines::{
    Machine, Tidy, becomes_reachable, far, is_reachable, listen, listing, patience, require, sh,
};
use network::networks;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(180);

static TESTS: &[Test] = &[
    Test { name: "beside_ufw", function: beside_ufw, time_limit: LIMIT },
    Test { name: "beside_firewalld", function: beside_firewalld, time_limit: LIMIT },
    Test {
        name: "beside_firewalld_that_uses_iptables",
        function: beside_firewalld_that_uses_iptables,
        time_limit: LIMIT,
    },
];

/// What `harness::kernel_tests!(…)` writes, and one thing before it.
fn main() -> ExitCode {
    let is_stage = std::env::args().nth(1).is_some_and(|argument| argument.starts_with("--"));
    if !is_stage {
        for peer in ["ufw", "firewalld"] {
            let _ = Command::new(checkout().join("scripts/bench/peer")).arg(peer).output(); // else not run
        }
    }
    harness::main(TESTS)
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the checkout").to_owned()
}

/// A program's files over /usr and /etc, for this sandbox alone, as long as this value lives.
struct LaidOut;

impl Drop for LaidOut {
    fn drop(&mut self) {
        sh("umount -l /usr /etc /var/log");
    }
}

/// With the settings that it has when it was just installed.
fn lay_out(program: &str) -> LaidOut {
    for needed in ["iptables-nft", "nft", "/usr/bin/python3"] {
        require(needed);
    }
    let folder = checkout().join("target/peers").join(program);
    sh(&format!(
        "mkdir -p /tmp/peer /tmp/over
         cp -a {}/. /tmp/peer 2> /dev/null || true # or it is installed
         cd /tmp/peer; mkdir -p usr/lib etc
         [ ! -d lib ] || cp -a lib/. usr/lib
         mount -t tmpfs tmpfs /var/log
         for top in usr etc; do
           mkdir -p /tmp/over/$top/upper /tmp/over/$top/work
           mount -t overlay -o lowerdir=/tmp/peer/$top:/$top,upperdir=/tmp/over/$top/upper,workdir=/tmp/over/$top/work overlay /$top
         done
         for family in '' 6; do
           for what in '' -save -restore; do
             ln -sf ip${{family}}tables-nft$what /usr/sbin/ip${{family}}tables$what
           done
         done
         ln -sf /bin/true /usr/sbin/modprobe",
        folder.display()
    ));
    let laid_out = LaidOut;
    let found = Path::new("/usr/sbin").join(program).is_file();
    if !found {
        harness::not_run(format!("no {program}: scripts/bench/peer {program}"));
    }
    laid_out
}

/// Two containers, the first with its port 80 published as 8080; and a machine far away.
struct Scene {
    rootfs: PathBuf,
    far: Machine,
    _far_listens: [TcpListener; 2],
    _tidy: Tidy, // of what the firewalls leave
}

struct Containers {
    one: Waiting,
    two: Waiting,
    _one_listens: TcpListener,
}

impl Scene {
    fn new() -> Scene {
        let far = far();
        let listens = ["198.51.100.9:80", "[2001:db8::9]:80"].map(|at| listen(&far, at));
        Scene { rootfs: rootfs(), far, _far_listens: listens, _tidy: Tidy }
    }

    fn containers(&self) -> Containers {
        let one = Waiting::after(&self.rootfs, &["-p", "8080:80"], "true");
        let two = Waiting::after(&self.rootfs, &[], "true");
        Containers { _one_listens: serve(&one, 80), one, two }
    }

    /// All that has a way finds it: out, in, to a neighbour, and to what a neighbour publishes.
    fn is_open(&self, Containers { one, two, .. }: &Containers) {
        let own = [format!("{}:80", one.address(4)), format!("[{}]:80", one.address(6))];
        let own = own.each_ref().map(String::as_str);
        let outside = ["198.51.100.9:80", "[2001:db8::9]:80"];
        let published = ["198.51.100.1:8080", "[2001:db8::1]:8080"];
        let reach = |to: [&str; 2]| to.map(|to| assert!(becomes_reachable(to), "{to}"));
        within(one, || reach(outside));
        self.far.within(|| reach(published));
        within(two, || reach(published));
        within(two, || reach(own));
        reach(["127.0.0.1:8080", "[::1]:8080"]);
    }

    /// What we have them accept, our own table still drops.
    fn is_closed(&self, Containers { one, .. }: &Containers) {
        let own = format!("{}:80", one.address(4));
        assert!(!self.far.within(|| is_reachable(&own)), "what is not published is reached");
    }

    /// `start` brings a firewall, which does drop; each of `reloads` throws our rules away.
    fn gets_along(&self, start: impl Fn(), reloads: &[&str], end: impl Fn()) {
        let all = self.containers();
        self.is_open(&all);
        start();
        let out = || within(&all.one, || is_reachable("198.51.100.9:80"));
        assert!(!out(), "it drops nothing");
        let start_another = || drop(says(&self.rootfs, &[], "true"));
        start_another();
        self.is_open(&all);
        self.is_closed(&all);
        for (number, reload) in reloads.iter().enumerate() {
            sh(reload);
            assert!(!listing().contains("coracle: coracle0"), "{reload} throws nothing away");
            match number {
                0 => networks::reload().unwrap(), // as `coracle network reload` does
                _ => start_another(),
            }
            self.is_open(&all);
        }
        drop(all);
        leaves_nothing();

        let all = self.containers(); // with it there from the first
        self.is_open(&all);
        end();
        self.is_open(&all);
        drop(all);
        leaves_nothing();
    }
}

/// When the networks go, nothing of ours stays.
fn leaves_nothing() {
    let started = Instant::now();
    while let Err(error) = networks::prune() {
        assert!(started.elapsed() < patience(), "{error:#}"); // the containers are on their way out
        std::thread::sleep(Duration::from_millis(50));
    }
    let rules = listing();
    assert!(!rules.contains("coracle"), "{rules}");
    assert_eq!(sh("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
    assert!(!Path::new("/sys/class/net/coracle0").exists());
}

fn beside_ufw() {
    let _laid_out = lay_out("ufw");
    sh("cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/*.init /usr/share/ufw/ufw.conf /etc/ufw
        chmod 640 /etc/ufw/*.rules /etc/ufw/*.init");
    let start = || drop(sh("ufw --force enable"));
    let again = "ufw disable; ufw --force enable";
    Scene::new().gets_along(start, &["ufw reload", again], || drop(sh("ufw disable")));
}

/// firewalld with a message bus of its own; both end with this value.
struct Firewalld([Child; 2]);

const BUS: &str = "<busconfig><type>system</type><listen>unix:path=/tmp/bus</listen>
<auth>EXTERNAL</auth><policy context='default'><allow own='*'/><allow send_destination='*'/>
<allow eavesdrop='true'/></policy></busconfig>";

impl Firewalld {
    fn start(backend: &str) -> Firewalld {
        sh("rm -rf /etc/firewalld; mkdir /etc/firewalld");
        let settings = format!("DefaultZone=public\nFirewallBackend={backend}\n");
        std::fs::write("/etc/firewalld/firewalld.conf", settings).unwrap();
        std::fs::write("/tmp/bus.conf", BUS).unwrap();
        let begin = |command: &str| {
            Command::new("sh").args(["-c", command]).stdin(Stdio::null()).spawn().unwrap()
        };
        let bus = begin("exec dbus-daemon --nofork --nopidfile --config-file=/tmp/bus.conf");
        wait_for("test -S /tmp/bus");
        let program = "exec /usr/bin/python3 /usr/sbin/firewalld --nofork --nopid";
        let firewalld = Firewalld([begin(&format!("{ON_THE_BUS}; {program}")), bus]);
        wait_for(&format!("{ON_THE_BUS}; firewall-cmd --state"));
        firewalld
    }
}

const ON_THE_BUS: &str = "export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/tmp/bus";

impl Drop for Firewalld {
    fn drop(&mut self) {
        for child in &mut self.0 {
            sh(&format!("kill {}", child.id())); // it removes its rules
            child.wait().unwrap();
        }
    }
}

fn wait_for(condition: &str) {
    let started = Instant::now();
    let holds = || Command::new("sh").args(["-c", condition]).output().unwrap().status.success();
    while !holds() {
        assert!(started.elapsed() < patience(), "{condition}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn with_firewalld(backend: &str) {
    let _laid_out = lay_out("firewalld");
    let imports = "import dbus, gi, nftables, firewall.core.fw";
    let python = harness::run(Command::new("/usr/bin/python3").args(["-c", imports]));
    if !python.status.success() {
        harness::not_run(format!("firewalld can't start here: {}", python.stderr));
    }
    let firewalld = std::cell::Cell::new(None);
    let reload = |how: &str| format!("{ON_THE_BUS}; firewall-cmd --{how}");
    let reloads = ["reload", "complete-reload"].map(reload);
    Scene::new().gets_along(
        || firewalld.set(Some(Firewalld::start(backend))),
        &reloads.each_ref().map(String::as_str),
        || drop(firewalld.take()),
    );
}

fn beside_firewalld() {
    with_firewalld("nftables");
}

fn beside_firewalld_that_uses_iptables() {
    with_firewalld("iptables");
}
