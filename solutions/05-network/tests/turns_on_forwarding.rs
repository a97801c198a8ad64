//! The machine becomes a router only when it has to, and hears its own router all the same.

mod machines;

use machines::{Machine, sh};
use network::forwarding::{Turned, needed, put_back, turn};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn6, sendto, setsockopt,
    socket, sockopt,
};
use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::AsRawFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    what_is_off_is_turned_on_and_put_back,
    what_the_kernel_turns_with_it_is_put_back,
    what_is_on_is_left_alone,
    what_somebody_else_has_turned_since_is_left_alone,
    a_machine_that_sends_ipv6_on_forgets_the_way_that_a_router_told_of,
    what_may_not_be_written_is_explained,
);

fn value(switch: &str) -> String {
    fs::read_to_string(format!("/proc/sys/net/{switch}")).unwrap().trim().to_owned()
}

fn set(switch: &str, value: &str) {
    fs::write(format!("/proc/sys/net/{switch}"), value).unwrap();
}

const V4: &str = "ipv4/ip_forward";
const V6: &str = "ipv6/conf/all/forwarding";

fn off() {
    set(V4, "0");
    set(V6, "0");
}

fn names(turned: &[Turned]) -> Vec<String> {
    turned.iter().map(ToString::to_string).collect()
}

fn what_is_off_is_turned_on_and_put_back() {
    off();
    let turned = needed().unwrap();
    assert_eq!(names(&turned), ["net.ipv4.ip_forward = 1 (was 0)"]);
    assert_eq!(value(V4), "0", "who asks changes nothing");
    turn(&turned).unwrap();
    assert_eq!((&*value(V4), &*value(V6)), ("1", "0"));
    put_back(&turned).unwrap();
    assert_eq!((&*value(V4), &*value(V6)), ("0", "0"));
}

/// Of each link `forwarding` and `accept_redirects`, and whether packets are sent on.
fn all_of_ipv4() -> Vec<String> {
    let mut all = vec![value(V4)];
    let links = fs::read_dir("/proc/sys/net/ipv4/conf").unwrap();
    for link in links.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        for switch in ["forwarding", "accept_redirects"] {
            let value = value(&format!("ipv4/conf/{link}/{switch}"));
            all.push(format!("{link}/{switch} = {value}"));
        }
    }
    all.sort();
    all
}

fn what_the_kernel_turns_with_it_is_put_back() {
    sh("ip link add one0 type veth peer name one1");
    for redirects in ["0", "1"] {
        off();
        set("ipv4/conf/all/accept_redirects", redirects);
        set("ipv4/conf/one0/forwarding", "1");
        let before = all_of_ipv4();
        let turned = needed().unwrap();
        turn(&turned).unwrap();
        put_back(&turned).unwrap();
        assert_eq!(all_of_ipv4(), before);

        // Killed when the switch was back already.
        turn(&turned).unwrap();
        off();
        put_back(&turned).unwrap();
        assert_eq!(all_of_ipv4(), before);

        // What somebody else has turned since stays.
        turn(&turned).unwrap();
        set("ipv4/conf/one0/forwarding", "0");
        put_back(&turned).unwrap();
        assert_eq!(value("ipv4/conf/one0/forwarding"), "0");
    }
    set("ipv4/conf/one0/forwarding", "1");
    let turned = needed().unwrap();
    turn(&turned).unwrap();
    sh("ip link delete one0");
    put_back(&turned).unwrap(); // a link that has gone is no error
}

fn what_is_on_is_left_alone() {
    off();
    set(V4, "1");
    assert_eq!(needed().unwrap(), []);
    off();
}

fn what_somebody_else_has_turned_since_is_left_alone() {
    off();
    let turned = needed().unwrap();
    turn(&turned).unwrap();
    set(V4, "0");
    put_back(&turned).unwrap();
    assert_eq!(value(V4), "0");
}

/// Says to `to` on eth0: "I am a router", as RFC 4861 has it in 4.2.
fn advertise(to: Ipv6Addr) {
    let socket =
        socket(AddressFamily::Inet6, SockType::Raw, SockFlag::empty(), SockProtocol::IcmpV6);
    let socket = socket.unwrap();
    setsockopt(&socket, sockopt::Ipv6Ttl, &255).unwrap(); // it comes from this very link
    let eth0 = nix::net::if_::if_nametoindex("eth0").unwrap();
    let lifetime = 1800_u16.to_be_bytes();
    let advertisement = [134, 0, 0, 0, 64, 0, lifetime[0], lifetime[1], 0, 0, 0, 0, 0, 0, 0, 0];
    let to = SockaddrIn6::from(SocketAddrV6::new(to, 0, 0, eth0));
    sendto(socket.as_raw_fd(), &advertisement, &to, MsgFlags::empty()).unwrap();
}

/// A machine whose router says that it is one; how it now leaves.
fn behind_a_router() -> Machine {
    off();
    let router = Machine::plugged("uplink", &["fe80::9/64"]);
    sh("ip address add fe80::5/64 dev uplink nodad");
    let started = Instant::now();
    while !way().contains("via fe80::9") {
        assert!(started.elapsed() < machines::patience(), "no way: {}", sh("ip -6 route"));
        router.within(|| advertise("fe80::5".parse().unwrap()));
        sleep(Duration::from_millis(50));
    }
    router
}

fn way() -> String {
    sh("ip -6 route show default")
}

/// Why IPv6 is never turned, and IPv4 may be.
fn a_machine_that_sends_ipv6_on_forgets_the_way_that_a_router_told_of() {
    let router = behind_a_router();
    let turned = needed().unwrap();
    turn(&turned).unwrap();
    assert!(way().contains("via fe80::9"), "the host has lost its way");
    put_back(&turned).unwrap();
    set(V6, "1");
    assert_eq!(way(), "");
    sh("ip link delete uplink");
    off();
    drop(router);
}

fn what_may_not_be_written_is_explained() {
    off();
    let turned = needed().unwrap();
    sh(
        "mount -o bind,ro /proc/sys /proc/sys 2> /dev/null || { mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; }",
    );
    let error = format!("{:#}", turn(&turned).unwrap_err());
    sh("umount /proc/sys");
    assert!(error.contains("cannot write 1 to /proc/sys/net/ipv4/ip_forward"), "{error}");
    assert!(error.contains("\nhint: `sysctl -w net.ipv4.ip_forward=1`"), "{error}");
}
