//! A port that is published is ours alone, and known to be before anything starts.

mod machines;

use machines::{at, sh};
use network::ports::{Publish, Reserved, reserve};
use std::net::{TcpListener, UdpSocket};

harness::kernel_tests!(
    a_reserved_port_is_taken_on_all_addresses,
    a_reserved_port_of_one_address_leaves_the_others_alone,
    a_port_that_is_taken_is_an_error_that_says_what_to_do,
    of_many_ports_all_are_taken_or_none,
    any_free_port_is_free_for_both_kinds_of_address,
    of_a_range_the_first_free_one_is_taken,
    an_address_that_is_not_ours_is_refused,
    without_ipv6_there_are_still_ports,
    a_port_is_free_again_when_it_is_given_back,
);

fn ports(texts: &[&str]) -> anyhow::Result<Vec<Reserved>> {
    reserve(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Publish>>())
}

fn tcp_is_free(address: &str) -> bool {
    TcpListener::bind(at(address)).is_ok()
}

fn refusal(texts: &[&str]) -> String {
    format!("{:#}", ports(texts).unwrap_err())
}

fn a_reserved_port_is_taken_on_all_addresses() {
    sh("ip link set lo up");
    let _reserved = ports(&["7001:80", "7002:53/udp"]).unwrap();
    for address in ["127.0.0.1", "127.5.5.5", "[::1]", "0.0.0.0", "[::]"] {
        assert!(!tcp_is_free(&format!("{address}:7001")), "{address}");
        assert!(UdpSocket::bind(at(&format!("{address}:7002"))).is_err(), "{address}");
    }
    assert!(tcp_is_free("127.0.0.1:7002"), "the same number of the other protocol is free");
}

fn a_reserved_port_of_one_address_leaves_the_others_alone() {
    sh("ip link set lo up");
    let _reserved = ports(&["127.0.0.1:7001:80", "[::1]:7002:80"]).unwrap();
    assert!(!tcp_is_free("127.0.0.1:7001") && tcp_is_free("127.0.0.2:7001"));
    assert!(tcp_is_free("[::1]:7001") && !tcp_is_free("[::1]:7002"));
}

fn a_port_that_is_taken_is_an_error_that_says_what_to_do() {
    sh("ip link set lo up");
    let _other = TcpListener::bind("127.0.0.1:7001").unwrap();
    assert_eq!(
        refusal(&["7001:80"]),
        "cannot take port 7001/tcp\nhint: take another port; `ss -lntp sport = :7001` tells who \
         has it: EADDRINUSE: Address already in use"
    );
    let _other = UdpSocket::bind("[::1]:7002").unwrap();
    assert!(refusal(&["[::1]:7002:80/udp"]).starts_with("cannot take port 7002/udp on ::1\n"));
    assert!(refusal(&["7003:80", "7003:81"]).starts_with("cannot take port 7003/tcp\n"));
}

fn of_many_ports_all_are_taken_or_none() {
    sh("ip link set lo up");
    let other = TcpListener::bind("127.0.0.1:7005").unwrap();
    refusal(&["7000-7009:80-89"]);
    assert!(tcp_is_free("127.0.0.1:7000") && tcp_is_free("[::]:7004"));
    drop(other);
    let reserved = ports(&["7000-7009:80-89"]).unwrap();
    let pairs: Vec<_> = reserved.iter().map(|one| (one.port.port, one.port.to)).collect();
    assert_eq!(pairs, (0..10).map(|n| (7000 + n, 80 + n)).collect::<Vec<_>>());
}

fn any_free_port_is_free_for_both_kinds_of_address() {
    sh("ip link set lo up; echo 40000 40009 > /proc/sys/net/ipv4/ip_local_port_range");
    let _others: Vec<_> =
        (40000..40008).map(|port| UdpSocket::bind(("::1", port)).unwrap()).collect();
    let reserved = ports(&["53/udp", "127.0.0.1::54/udp"]).unwrap();
    assert!((40008..40010).contains(&reserved[0].port.port), "{reserved:?}");
    assert_eq!((reserved[0].port.to, reserved[1].port.to), (53, 54));
    assert_ne!(reserved[1].port.port, 0);
}

fn of_a_range_the_first_free_one_is_taken() {
    sh("ip link set lo up");
    let _other = TcpListener::bind("127.0.0.1:7000").unwrap();
    let reserved = ports(&["7000-7002:80", "7000-7002:80"]).unwrap();
    assert_eq!((reserved[0].port.port, reserved[1].port.port), (7001, 7002));
    assert_eq!(refusal(&["7000-7002:80"]), "all ports from 7000 to 7002 of this machine are taken");
}

fn an_address_that_is_not_ours_is_refused() {
    sh("ip link set lo up");
    for (text, address) in
        [("192.0.2.1:7001:80", "192.0.2.1"), ("[2001:db8::1]:7001:80", "2001:db8::1")]
    {
        let refusal = refusal(&[text]);
        assert!(refusal.contains(&format!("this machine has no address {address}")), "{refusal}");
    }
}

fn without_ipv6_there_are_still_ports() {
    sh("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set lo up");
    let _reserved = ports(&["7001:80"]).unwrap();
    assert!(!tcp_is_free("127.0.0.1:7001"));
}

fn a_port_is_free_again_when_it_is_given_back() {
    sh("ip link set lo up");
    let reserved = ports(&["7001:80", "7001:80/udp"]).unwrap();
    let client = machines::connect("127.0.0.1:7001"); // answered by the kernel's queue
    drop((reserved, client));
    assert!(ports(&["7001:80", "7001:80/udp"]).is_ok());
    assert!(UdpSocket::bind("0.0.0.0:7001").is_ok());
}
