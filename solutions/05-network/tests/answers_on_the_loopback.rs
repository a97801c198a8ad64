//! A published port is answered on the host's own loopback: by a process of ours.

mod machines;

use machines::{Machine, accept, ask, at, connect, ip, sh, talk, udp};
use network::ports::reserve;
use network::proxy::{self, Proxy};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

harness::kernel_tests!(
    connections_are_carried_both_ways_on_both_loopbacks,
    an_end_of_one_direction_leaves_the_other_open,
    the_server_may_speak_first,
    who_vanishes_without_a_word_is_missed,
    megabytes_arrive_unchanged_although_both_are_slow,
    a_container_that_does_not_listen_breaks_the_connection,
    a_connection_that_breaks_breaks_on_the_other_side,
    messages_find_their_way_back_to_who_asked,
    more_connections_than_descriptors_wait_for_their_turn,
    the_process_ends_with_us_and_the_port_is_free,
    it_has_a_name_and_holds_nothing_of_its_callers,
);

/// A container at 10.63.0.2 and fd00::2, of which the host knows.
fn container() -> Machine {
    sh("ip link set lo up");
    Machine::cabled("cable", [("10.63.0.1/24", "10.63.0.2/24"), ("fd00::1/64", "fd00::2/64")])
}

fn proxy(ports: &[&str], container: &[&str]) -> Proxy {
    let ports: Vec<_> = ports.iter().map(|text| text.parse().unwrap()).collect();
    let container: Vec<_> = container.iter().map(|text| ip(text)).collect();
    proxy::start(reserve(&ports).unwrap(), &container).unwrap()
}

const BOTH: [&str; 2] = ["10.63.0.2", "fd00::2"];

fn server(container: &Machine, address: &str) -> TcpListener {
    container.within(|| TcpListener::bind(at(address)).unwrap())
}

fn connections_are_carried_both_ways_on_both_loopbacks() {
    let container = container();
    let (v4, v6) = (server(&container, "0.0.0.0:80"), server(&container, "[fd00::2]:80"));
    let _proxy = proxy(&["7001:80"], &BOTH);
    let client = connect("127.0.0.1:7001");
    let (served, from) = accept(&v4);
    assert_eq!(from.ip(), ip("10.63.0.1"), "the host's own address on this link");
    talk(client, served);
    let client = connect("[::1]:7001");
    let (served, from) = accept(&v6);
    assert_eq!(from.ip(), ip("fd00::1"));
    talk(client, served);

    let _v4_alone = proxy(&["7002:80"], &BOTH[..1]);
    let client = connect("[::1]:7002"); // the container has no such address: the other will do
    talk(client, accept(&v4).0);
}

fn an_end_of_one_direction_leaves_the_other_open() {
    let container = container();
    let listener = server(&container, "0.0.0.0:80");
    let _proxy = proxy(&["7001:80"], &BOTH);
    let mut client = connect("127.0.0.1:7001");
    client.shutdown(Shutdown::Write).unwrap(); // at once, perhaps before it has connected
    let (mut served, _) = accept(&listener);
    assert_eq!(served.read(&mut [0; 10]).unwrap(), 0);
    served.write_all(b"still here").unwrap();
    drop(served);
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "still here");
}

fn the_server_may_speak_first() {
    let container = container();
    let listener = server(&container, "0.0.0.0:80");
    let _proxy = proxy(&["127.0.0.1:7001:80"], &BOTH);
    let mut client = connect("127.0.0.1:7001");
    let (mut served, _) = accept(&listener);
    served.write_all(b"220 ready").unwrap();
    let mut heard = [0; 9];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"220 ready");
    talk(client, served);
}

/// The kernel asks from time to time whether the other side is still there.
fn who_vanishes_without_a_word_is_missed() {
    let container = container();
    let listener = server(&container, "0.0.0.0:80");
    let _proxy = proxy(&["7001:80"], &BOTH);
    let _both = (connect("127.0.0.1:7001"), accept(&listener));
    let asked = || sh("ss -Htno state established").matches("timer:(keepalive,").count();
    let started = std::time::Instant::now();
    while asked() != 2 && started.elapsed() < machines::patience() {
        std::thread::sleep(std::time::Duration::from_millis(20)); // what was sent is acknowledged first
    }
    assert_eq!(asked(), 2, "{}", sh("ss -tno"));
}

fn megabytes_arrive_unchanged_although_both_are_slow() {
    const SIZE: usize = 24 << 20;
    let container = container();
    let listener = server(&container, "0.0.0.0:80");
    let _proxy = proxy(&["7001:80"], &BOTH);
    let client = connect("127.0.0.1:7001");
    let (served, _) = accept(&listener);
    let bytes = |seed: usize| (0..SIZE).map(move |n| (n.wrapping_mul(31) >> 7) as u8 ^ seed as u8);
    let speak = |mut stream: TcpStream, seed| {
        std::thread::spawn(move || {
            for chunk in bytes(seed).collect::<Vec<_>>().chunks(100_000) {
                stream.write_all(chunk).unwrap();
            }
            stream.shutdown(Shutdown::Write).unwrap();
        })
    };
    let hear = |mut stream: TcpStream, seed| {
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(200)); // all buffers are full
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).unwrap();
            assert!(heard.into_iter().eq(bytes(seed)));
        })
    };
    let all = [
        speak(client.try_clone().unwrap(), 1),
        speak(served.try_clone().unwrap(), 2),
        hear(client, 2),
        hear(served, 1),
    ];
    all.into_iter().for_each(|one| one.join().unwrap());
}

fn a_container_that_does_not_listen_breaks_the_connection() {
    let _container = container();
    let _proxy = proxy(&["7001:80"], &BOTH);
    for _ in 0..2 {
        // On a slow machine the connection is broken before this thread learns that it was made.
        let client = TcpStream::connect("127.0.0.1:7001");
        let error = client.and_then(|mut client| client.read(&mut [0; 10])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "and the next one is answered again");
    }
}

fn a_connection_that_breaks_breaks_on_the_other_side() {
    let container = container();
    let listener = server(&container, "0.0.0.0:80");
    let _proxy = proxy(&["7001:80"], &BOTH);
    let mut client = connect("127.0.0.1:7001");
    let (served, _) = accept(&listener);
    client.write_all(b"x").unwrap();
    served.peek(&mut [0]).unwrap();
    drop(served); // with something unread: a reset, no end
    assert_eq!(client.read(&mut [0; 10]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn messages_find_their_way_back_to_who_asked() {
    let container = container();
    let (v4, v6) = container.within(|| (udp("10.63.0.2:53"), udp("[fd00::2]:53")));
    let _proxy = proxy(&["7001:53/udp"], &BOTH);
    let (one, other, third) = (udp("127.0.0.1:0"), udp("127.0.0.1:0"), udp("[::1]:0"));
    let first = ask(&one, "127.0.0.1:7001", &v4);
    let second = ask(&other, "127.0.0.1:7001", &v4);
    assert_ne!(first, second, "two clients are two for the server");
    assert_eq!(ask(&one, "127.0.0.1:7001", &v4), first, "and each stays the same");
    assert_eq!(ask(&third, "[::1]:7001", &v6).ip(), ip("fd00::1"));

    let other_address = udp("127.0.0.1:0");
    other_address.connect(at("127.5.5.5:7001")).unwrap();
    ask(&other_address, "127.5.5.5:7001", &v4); // hears nobody but whom it asked

    let long = vec![7; 60_000];
    one.send_to(&long, at("127.0.0.1:7001")).unwrap();
    let mut buffer = vec![0; 65_536];
    assert_eq!(v4.recv(&mut buffer).unwrap(), long.len());
    one.send_to(&[], at("127.0.0.1:7001")).unwrap();
    assert_eq!(v4.recv(&mut buffer).unwrap(), 0, "an empty message is a message");

    drop(v4); // nobody listens; then somebody does again
    one.send_to(b"lost", at("127.0.0.1:7001")).unwrap();
    let again = container.within(|| udp("10.63.0.2:53"));
    ask(&one, "127.0.0.1:7001", &again);
}

fn more_connections_than_descriptors_wait_for_their_turn() {
    use nix::sys::resource::{Resource, setrlimit};
    let container = container();
    let listener = server(&container, "0.0.0.0:80");
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap(); // 23 connections, and what it needs itself
    let _proxy = proxy(&["127.0.0.1:7001:80"], &BOTH);
    let mut clients: Vec<_> = (0..23).map(|_| connect("127.0.0.1:7001")).collect();
    let mut served: Vec<_> = clients.iter().map(|_| accept(&listener).0).collect();
    let mut late = connect("127.0.0.1:7001"); // the kernel's queue took it
    late.write_all(b"late").unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::sleep(machines::SILENCE);
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    talk(clients.pop().unwrap(), served.pop().unwrap()); // the others go on; this one ends
    listener.set_nonblocking(false).unwrap();
    let (mut now_served, _) = accept(&listener);
    let mut heard = [0; 4];
    now_served.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"late");
}

fn the_process_ends_with_us_and_the_port_is_free() {
    sh("ip link set lo up");
    let before = harness::Leaks::snapshot();
    for _ in 0..5 {
        let (mut ready, said) = UnixStream::pair().unwrap();
        let parent = match sys::clone3(0, None).unwrap() {
            sys::Fork::Child => {
                let _proxy = proxy(&["7001:80", "7001:80/udp"], &BOTH);
                (&said).write_all(b"r").unwrap();
                std::thread::sleep(machines::patience());
                sys::exit_now(1)
            }
            sys::Fork::Parent { pid, pidfd } => {
                process::Child { pid: nix::unistd::Pid::from_raw(pid), pidfd }
            }
        };
        ready.read_exact(&mut [0]).unwrap();
        harness::child_running("port-proxy", parent.pid.as_raw() as u32);
        assert!(TcpListener::bind("127.0.0.1:7001").is_err());
        drop(parent); // by SIGKILL
        let left = before.left_behind_of(&["process"]);
        assert!(left.is_empty(), "{left:?}");
        assert!(TcpListener::bind("127.0.0.1:7001").is_ok());
        udp("127.0.0.1:7001");
    }
}

fn it_has_a_name_and_holds_nothing_of_its_callers() {
    sh("ip link set lo up");
    let (_kept, _open) = UnixStream::pair().unwrap();
    let _proxy = proxy(&["7001:80"], &BOTH);
    let pid = harness::child_running("port-proxy", std::process::id());
    let sockets = || {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().filter_map(|entry| {
            let entry = entry.unwrap();
            let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
            let to = std::fs::read_link(entry.path()).ok()?; // it is just closing the others
            Some((number, to.to_str().unwrap().to_owned()))
        });
        let mut open: Vec<_> = open.filter(|(number, _)| *number > 2).map(|(_, to)| to).collect();
        open.sort();
        open.iter().map(|to| to.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["anon_inode", "anon_inode", "socket", "socket"];
    harness::wait_for("nothing to be open but what it needs", || sockets() == all);
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), std::path::Path::new("/"));
}
