//! The network of an ordinary user's container: through pasta, through slirp4netns, and without
//! either. Both are unpacked into target/peers by scripts/bench/peer before the tests, as sandboxes
//! have no network. What is a machine's network here is the sandbox's.

mod equipped;
mod far;
mod machine;
mod sailor;

use equipped::{User, peer_script};
use far::*;
use harness::{Leaks, Test, children_of, kill_evenly, run};
use machine::{folder, success, wait_for};
use sailor::first_process;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

// As kernel_tests!( … ) would list them, but each for both programs.
static TESTS: &[Test] = &[
    test("through_pasta_it_reaches_another_machine", || reaches_another_machine("pasta")),
    test("through_slirp4netns_it_reaches_another_machine", || reaches_another_machine(SLIRP)),
    test("through_pasta_names_are_looked_up", || names_are_looked_up("pasta")),
    test("through_slirp4netns_names_are_looked_up", || names_are_looked_up(SLIRP)),
    test("through_pasta_it_speaks_ipv6", it_speaks_ipv6),
    test("beside_pasta_published_ports_are_reached", || published_ports_are_reached(Some("pasta"))),
    test("beside_slirp4netns_published_ports_are_reached", || {
        published_ports_are_reached(Some(SLIRP))
    }),
    test("without_either_published_ports_are_reached", || published_ports_are_reached(None)),
    test("beside_pasta_this_machines_loopback_is_its_own", || the_loopback_is_its_own("pasta")),
    test("beside_slirp4netns_this_machines_loopback_is_its_own", || the_loopback_is_its_own(SLIRP)),
    test("pasta_ends_with_the_container", || it_ends_with_the_container("pasta")),
    test("slirp4netns_ends_with_the_container", || it_ends_with_the_container(SLIRP)),
    test("killed_beside_pasta_it_leaves_nothing", || killed_it_leaves_nothing("pasta")),
    test("killed_beside_slirp4netns_it_leaves_nothing", || killed_it_leaves_nothing(SLIRP)),
    test("without_either_it_says_so_and_has_a_loopback", without_either_it_says_so),
    test("without_a_default_route_slirp4netns_is_taken", without_a_default_route),
    test("a_range_of_addresses_that_is_in_use_is_left_alone", a_range_in_use_is_left_alone),
    test("a_program_that_fails_is_quoted", a_program_that_fails_is_quoted),
    test("a_program_that_forgets_to_die_with_us_is_ended", a_program_that_forgets_is_ended),
    test("what_can_not_be_published_is_refused", what_can_not_be_published_is_refused),
    test("xray_shows_links_and_ports_to_their_user", xray_shows_links_and_ports),
    test("ten_at_once_have_a_network", ten_at_once_have_a_network),
];

const SLIRP: &str = "slirp4netns";

const fn test(name: &'static str, function: fn()) -> Test {
    Test { name, function, time_limit: Duration::from_secs(120) }
}

fn main() -> ExitCode {
    let is_stage = std::env::args().nth(1).is_some_and(|argument| argument.starts_with("--"));
    if !is_stage {
        for program in ["pasta", SLIRP] {
            let _ = Command::new(peer_script()).arg(program).output(); // the test says if it is missing
        }
    }
    harness::main(TESTS)
}

/// A web server that answers one question with the client's address.
fn whoami(listener: &TcpListener) -> String {
    let (mut client, from) = listener.accept().unwrap();
    let mut question = [0; 1000];
    let _ = client.read(&mut question).unwrap();
    client.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n").unwrap();
    from.ip().to_string()
}

fn reaches_another_machine(program: &str) {
    let user = User::with(&[program]);
    let far = Far::new();
    let (ready, go) = std::sync::mpsc::channel();
    let server = far.serve(move || {
        let listener = TcpListener::bind((THEIRS, 7000)).unwrap();
        ready.send(()).unwrap();
        whoami(&listener)
    });
    go.recv().unwrap();
    let name = harness::random_name("boat");
    let script = format!(
        "timeout 20 wget -q -O - http://{THEIRS}:7000/; ip -4 -o address show dev eth0; cat /etc/hosts"
    );
    let said = user.says(&["--hostname", &name], &script);
    assert!(said.starts_with("hello\n"), "{said}");
    assert_eq!(server.join().unwrap(), OURS, "as if it were a program of this machine");
    let address = said.split("inet ").nth(1).unwrap().split('/').next().unwrap();
    assert!(said.lines().any(|line| line == format!("{address}\t{name}")), "{said}");
}

/// This machine asks that server for names.
fn ask(server: &str) {
    let named = folder("etc").join("resolv.conf");
    fs::write(&named, format!("nameserver {server}\n")).unwrap();
    sh(&format!("mount --bind {} $(readlink -f /etc/resolv.conf)", named.display()));
}

fn names_are_looked_up(program: &str) {
    let user = User::with(&[program]);
    let far = Far::new();
    far.answers_names();
    let name = harness::random_name("boat");
    let look_up = format!("nslookup {name}.example; cat /etc/resolv.conf");
    ask(THEIRS);
    let said = user.says(&[], &look_up);
    assert!(
        said.contains("192.0.2.77") && said.contains(&format!("nameserver {THEIRS}")),
        "{said}"
    );
    sh("umount $(readlink -f /etc/resolv.conf)");
    // A server on this machine's loopback, which is not the container's.
    let socket = UdpSocket::bind("127.0.0.53:53").unwrap();
    std::thread::spawn(move || answer_names(&socket));
    ask("127.0.0.53");
    let said = user.says(&[], &look_up);
    assert!(said.contains("192.0.2.77") && !said.contains("nameserver 127"), "{said}");
    let said = user.says(&["--dns", THEIRS], &look_up);
    assert!(
        said.contains("192.0.2.77") && said.contains(&format!("nameserver {THEIRS}")),
        "{said}"
    );
    sh("umount $(readlink -f /etc/resolv.conf)");
}

fn it_speaks_ipv6() {
    let user = User::with(&["pasta"]);
    let far = Far::new();
    sh("ip address add fd77::2/64 dev up0 nodad; ip -6 route add default via fd77::9");
    far.sh("ip address add fd77::9/64 dev eth0 nodad");
    let (ready, go) = std::sync::mpsc::channel();
    let server = far.serve(move || {
        let listener = TcpListener::bind("[fd77::9]:7000").unwrap();
        ready.send(()).unwrap();
        whoami(&listener)
    });
    go.recv().unwrap();
    let said = user.says(&[], "timeout 20 wget -q -O - http://[fd77::9]:7000/");
    assert_eq!((said.as_str(), server.join().unwrap().as_str()), ("hello\n", "fd77::2"));
}

/// Sends messages back that come to port 53 of the network of a process.
fn echoes_in(pid: u32) {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    std::thread::spawn(move || {
        nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        let socket = UdpSocket::bind("[::]:53").unwrap();
        let mut message = [0; 99];
        while let Ok((length, from)) = socket.recv_from(&mut message) {
            let _ = socket.send_to(&message[..length], from);
        }
    });
}

fn published_ports_are_reached(program: Option<&str>) {
    let user = User::with(program.as_slice());
    let far = Far::new();
    let options = ["--name", "web", "-p", "8080:80", "-p", "127.0.0.1::53/udp"];
    let container = user.background(&options, SERVE);
    for from in ["127.0.0.1:8080", "[::1]:8080", &format!("{OURS}:8080")] {
        assert_eq!(sh(&get(from)), "hello\n", "{from}");
    }
    assert_eq!(far.sh(&get(&format!("{OURS}:8080"))), "hello\n");
    if program.is_some() {
        let script = format!("timeout 20 wget -q -O - http://{OURS}:8080/");
        assert_eq!(user.says(&[], &script), "hello\n", "from another container");
    }
    let said = success(user.coracle(&["port", "web"]));
    let udp = said.lines().find_map(|line| line.strip_prefix("53/udp -> ")).expect("its port");
    echoes_in(first_process(&container.0));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut answer = [0; 9];
    wait_for("an answer", || {
        socket.send_to(b"hello", udp).unwrap();
        socket.recv(&mut answer).is_ok_and(|length| &answer[..length] == b"hello")
    });
    let listed = success(user.coracle(&["ps"]));
    let ports =
        format!("127.0.0.1:{}->53/udp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", &udp[10..]);
    assert!(listed.lines().nth(1).unwrap().ends_with(&ports), "no {ports:?} in {listed}");
    // Ours until it ends, and free then.
    let taken = user.run(&["-p", "8080:80"], "echo ran");
    assert_eq!((taken.status.code(), &*taken.stdout), (Some(125), ""), "{taken:?}");
    assert!(taken.stderr.contains("cannot take port 8080/tcp"), "{taken:?}");
    drop(container);
    wait_for("the port", || TcpListener::bind("0.0.0.0:8080").is_ok());
}

fn the_loopback_is_its_own(program: &str) {
    let user = User::with(&[program]);
    let _far = Far::new();
    let here = TcpListener::bind("127.0.0.1:7001").unwrap();
    here.set_nonblocking(true).unwrap();
    let script = "for to in 127.0.0.1 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); do
        timeout 3 wget -q -O - http://$to:7001/ && echo reached $to; done; true";
    assert_eq!(user.says(&[], script), "");
    assert!(here.accept().is_err(), "somebody has come");
    // And what listens for all is there for it, too.
    let everywhere = TcpListener::bind("0.0.0.0:7002").unwrap();
    let server = std::thread::spawn(move || whoami(&everywhere));
    let said = user.says(
        &["--add-host", "machine:host-gateway"],
        "timeout 20 wget -q -O - http://machine:7002/",
    );
    assert_eq!(said, "hello\n");
    server.join().unwrap();
}

/// The processes of this name, with their numbers.
fn processes(name: &str) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let is_it = |path: &PathBuf| {
        fs::read(path.join("cmdline")).is_ok_and(|line| {
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            program.ends_with(format!("/{name}").as_bytes())
        })
    };
    all.filter(is_it).collect()
}

fn it_ends_with_the_container(program: &str) {
    let user = User::with(&[program]);
    let _far = Far::new();
    user.says(&[], "true");
    assert_eq!(processes(program), Vec::<PathBuf>::new());
    for victim in 0..3 {
        let before = Leaks::snapshot();
        let mut container = user.background(&["-p", "8080:80"], "true");
        let all = processes(program);
        assert_eq!(all.len(), 1, "{all:?}");
        // It has no right that counts, not even in the user namespace.
        // It gives up the last of them when it has said that the container's card is there.
        wait_for("its rights to be gone", || {
            let status = fs::read_to_string(all[0].join("status")).unwrap();
            status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2")
        });
        let inner = children_of(container.0.id())[0];
        let pid = [container.0.id(), inner, first_process(&container.0)][victim];
        let pid = nix::unistd::Pid::from_raw(pid as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        container.0.wait().unwrap();
        assert_eq!(before.left_behind_of(&["process", "mount"]), [""; 0], "victim {victim}");
        success(user.coracle(&["ps"]));
    }
}

fn killed_it_leaves_nothing(program: &str) {
    let user = User::with(&[program]);
    let _far = Far::new();
    let make = || {
        let mut command = user.command(&["run", "--rm", "-p", "8080:80", &user.sailor.image]);
        command.args(["sleep", "0.05"]);
        command
    };
    let check = || {
        success(user.coracle(&["ps", "-a"])); // tidies up
        assert_eq!(fs::read_dir(user.sailor.runs()).unwrap().count(), 0);
        assert!(TcpListener::bind("0.0.0.0:8080").is_ok(), "the port is free");
    };
    kill_evenly(make, 20, check);
}

fn without_either_it_says_so() {
    let user = User::with(&[]);
    let _far = Far::new();
    let output = user.run(&[], "ip -o link; cat /etc/hosts; ping -c1 -W5 127.0.0.1 > /dev/null");
    for words in ["neither pasta nor slirp4netns is installed", "\nhint: install the package passt"]
    {
        assert!(output.stderr.contains(words), "{output:?}");
    }
    let said = success(output);
    assert!(said.contains("lo: <LOOPBACK,UP") && !said.contains("eth0"), "{said}");
    assert!(said.contains("127.0.0.1\tlocalhost"), "{said}");
    let output = user.run(&["-p", "8080:80"], "true");
    assert!(output.stderr.contains("published ports and no way out"), "{output:?}");
    // Who asks for nothing is told nothing.
    let output = user.run(&["--network", "none"], "true");
    assert_eq!((output.status.code(), &*output.stderr), (Some(0), ""), "{output:?}");
}

fn without_a_default_route() {
    let user = User::with(&["pasta", SLIRP]);
    let has = "ip -4 -o address show dev eth0 | wc -l; exec sleep 0.1";
    assert_eq!(user.says(&[], has), "1\n");
    fs::remove_file(user.programs.join(SLIRP)).unwrap();
    let output = user.run(&[], "ip -o link | wc -l");
    assert!(output.stderr.contains("this machine has no default route"), "{output:?}");
    assert_eq!(success(output), "1\n");
    // With one, pasta is.
    let _far = Far::new();
    assert_eq!(user.says(&[], has), "1\n");
}

fn a_range_in_use_is_left_alone() {
    let user = User::with(&["pasta"]);
    let _far = Far::new();
    sh(
        "ip link add lan0 type veth peer name lan1; ip address add 10.0.2.15/24 dev lan0; ip link set lan0 up",
    );
    let said = user.says(&[], "ip -4 -o address show dev eth0");
    sh("ip link delete lan0");
    assert!(said.contains("inet 10.0.3.100/24 "), "{said}");
}

fn a_program_that_fails_is_quoted() {
    let user = User::with(&[]);
    let _far = Far::new();
    let program = user.programs.join("pasta");
    let reason = harness::random_name("no-oars");
    let write = |text: &str| {
        fs::write(&program, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let before = Leaks::snapshot();
    for text in [format!("echo {reason} >&2; exit 3"), "kill -9 $$".to_owned()] {
        write(&text);
        let output = user.run(&["-p", "8080:80"], "echo ran");
        assert_eq!((output.status.code(), &*output.stdout), (Some(125), ""), "{output:?}");
        assert!(output.stderr.contains("could not connect the container: "), "{output:?}");
        assert!(output.stderr.contains("\nhint: "), "{output:?}");
        assert_eq!(output.stderr.contains(&reason), text.contains(&reason), "{output:?}");
        assert_eq!(before.left_behind_of(&["process", "mount"]), [""; 0]);
        assert_eq!(fs::read_dir(user.sailor.runs()).unwrap().count(), 0);
    }
}

/// Some systems make a program forget that wish as it is executed.
fn a_program_that_forgets_is_ended() {
    let user = User::with(&[]);
    let _far = Far::new();
    let program = user.programs.join("pasta");
    let forget = "#!/bin/sh\nexec /usr/bin/setpriv --pdeathsig clear /bin/sh -c \
                  'echo $$; exec /bin/sleep 1000'\n";
    fs::write(&program, forget).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let before = Leaks::snapshot();
    let container = user.background(&[], "true");
    wait_for("the program to sleep", || processes("sleep").len() == 1);
    drop(container);
    assert_eq!(before.left_behind_of(&["process", "mount"]), [""; 0]);
}

fn what_can_not_be_published_is_refused() {
    let user = User::with(&[]);
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "1000").unwrap();
    let low = user.run(&["-p", "999:80"], "echo ran");
    assert_eq!((low.status.code(), &*low.stdout), (Some(125), ""), "{low:?}");
    for words in ["cannot take port 999/tcp", "\nhint: ports below 1000 are root's", "_start=999"] {
        assert!(low.stderr.contains(words), "no {words:?} in {}", low.stderr);
    }
    assert_eq!(user.says(&["-p", "1000:80"], "echo ran"), "ran\n");
}

fn xray_shows_links_and_ports() {
    let user = User::with(&[]);
    let container = user.background(&["-p", "127.0.0.1:8080:80"], "true");
    let pid = first_process(&container.0).to_string();
    let told = success(user.coracle(&["xray", "--json", &pid]));
    let report: serde_json::Value = serde_json::from_str(&told).unwrap();
    let row = |name: &str| report["rows"][name]["value"].to_string();
    assert!(row("links").contains("lo"), "{}", row("links"));
    assert!(row("ports").contains("127.0.0.1:8080->80/tcp"), "{}", row("ports"));
    // Root of the machine is told the same.
    let told = success(run(&mut machine::coracle(&["xray", "--json", &pid])));
    assert!(told.contains("127.0.0.1:8080->80/tcp"), "{told}");
}

fn ten_at_once_have_a_network() {
    let user = User::with(&["pasta"]);
    let _far = Far::new();
    let start = |_| {
        let mut command = user.command(&["run", "--rm", &user.sailor.image]);
        command.args(["sh", "-c", "ip -4 -o address show dev eth0; ip route"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<Child> = (0..10).map(start).collect();
    let ended: Vec<_> = all.into_iter().map(|one| one.wait_with_output().unwrap()).collect();
    for output in ended {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(said.contains("inet 10.0.2.100/24"), "{said}");
        assert!(said.contains("default via 10.0.2.2"), "{said}");
    }
    assert_eq!(processes("pasta"), Vec::<PathBuf>::new());
}
