//! `coracle run --network` and `-p`, seen from the loopback, from this machine's own address, from
//! another machine, and from inside.

mod far;
mod machine;

use far::*;
use machine::*;
use std::fs;

harness::kernel_tests!(
    a_published_port_is_reached_from_everywhere,
    an_other_machine_sees_this_ones_address,
    a_name_is_looked_up_by_the_server_that_this_machine_has,
    the_files_that_name_names_are_its_own,
    without_a_network_there_is_a_loopback,
    where_no_switch_can_be_turned_there_is_a_loopback_all_the_same,
    the_hosts_network_is_the_hosts,
    on_the_hosts_network_names_can_be_added,
    a_port_that_is_taken_is_an_error_before_anything_starts,
    ports_that_the_image_exposes_are_published_on_free_ones,
    ports_are_listed_as_docker_does,
    after_a_kill_the_address_and_the_port_are_free,
    the_port_of_one_is_the_next_ones_at_once,
    what_is_turned_on_this_machine_is_said,
    what_can_not_be_is_refused_with_words,
    what_somebody_has_thrown_away_is_put_back,
    pruned_the_machine_is_as_it_was,
    who_may_miss_a_switch_that_is_turned_back_is_named,
);

fn a_published_port_is_reached_from_everywhere() {
    busybox();
    let far = Far::new();
    let container = Background::start(&["-p", "8080:80"], SERVE);
    for from in ["127.0.0.1:8080", "[::1]:8080", &format!("{OURS}:8080")] {
        assert_eq!(sh(&get(from)), "hello\n", "{from}");
    }
    assert_eq!(far.sh(&get(&format!("{OURS}:8080"))), "hello\n");
    let script = format!("timeout 20 wget -q -O - http://{OURS}:8080/");
    assert_eq!(says(&[], &script), "hello\n", "from another container");
    // Nobody's address was exchanged for another on the way in.
    let log = fs::read_to_string(container.shared.join("log")).unwrap();
    assert!(log.contains(&format!("{THEIRS}]:")) && log.contains(&format!("{OURS}]:")), "{log}");
}

fn an_other_machine_sees_this_ones_address() {
    busybox();
    let far = Far::new();
    let (ready, go) = std::sync::mpsc::channel();
    let server = far.serve(move || {
        let listener = std::net::TcpListener::bind((THEIRS, 7000)).unwrap();
        ready.send(()).unwrap();
        listener.accept().unwrap().1.ip().to_string()
    });
    go.recv().unwrap();
    says(&[], &format!("echo hello | timeout 20 nc {THEIRS} 7000"));
    assert_eq!(server.join().unwrap(), OURS);
}

fn a_name_is_looked_up_by_the_server_that_this_machine_has() {
    busybox();
    let far = Far::new();
    far.answers_names();
    let named = folder("etc").join("resolv.conf");
    fs::write(&named, format!("nameserver {THEIRS}\n")).unwrap();
    sh(&format!("mount --bind {} $(readlink -f /etc/resolv.conf)", named.display()));
    let name = harness::random_name("boat");
    let said = says(&[], &format!("nslookup {name}.example"));
    sh("umount $(readlink -f /etc/resolv.conf)");
    assert!(said.contains("192.0.2.77"), "{said}");
}

fn the_files_that_name_names_are_its_own() {
    busybox_changed(serde_json::json!({ "Cmd": ["sh"] }), |rootfs| {
        fs::create_dir_all(rootfs.join("etc")).unwrap();
        fs::write(rootfs.join("etc/hosts"), "of the image\n").unwrap();
    });
    let name = harness::random_name("boat");
    let options = ["--hostname", &name, "--add-host", "far:192.0.2.9", "--dns", "192.0.2.53"];
    let script = "cat /etc/hosts /etc/resolv.conf /etc/hostname
        ip -4 -o address show dev eth0; stat -c %a:%u:%g /etc/hosts; echo x >> /etc/hosts";
    let said = says(&options, script);
    let address = said.split("inet ").nth(1).unwrap().split('/').next().unwrap();
    for line in
        [&format!("{address}\t{name}"), "192.0.2.9\tfar", "nameserver 192.0.2.53", "644:0:0"]
    {
        assert!(said.lines().any(|one| one == line), "no {line:?} in {said}");
    }
    // The image's own file stays as it is, and what we made is no change of the container's.
    success(harness::run(&mut coracle(&["run", "--name", "kept", IMAGE, "touch", "/etc/mine"])));
    let changes = success(harness::run(&mut coracle(&["diff", "kept"])));
    assert_eq!(changes, "C /etc\nA /etc/mine\n");
    success(harness::run(&mut coracle(&["rm", "kept"])));
}

fn without_a_network_there_is_a_loopback() {
    busybox();
    let said = says(
        &["--network", "none"],
        "ip -o link; ping -c1 -W5 127.0.0.1 > /dev/null; cat /etc/hosts",
    );
    assert!(said.contains("lo: <LOOPBACK,UP") && !said.contains("eth0"), "{said}");
    assert!(said.contains("127.0.0.1\tlocalhost"), "{said}");
}

/// As inside another container.
fn where_no_switch_can_be_turned_there_is_a_loopback_all_the_same() {
    busybox();
    sh("mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys");
    let output = run_rm(&["--network", "none"], &["ping", "-c1", "-W5", "127.0.0.1"]);
    sh("umount /proc/sys");
    success(output);
}

fn the_hosts_network_is_the_hosts() {
    busybox();
    let inside = says(&["--network", "host"], "readlink /proc/self/ns/net");
    assert_eq!(inside.trim_end(), fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
    // As docker does, which says so: what listens in there listens on the host anyway.
    let output = run_rm(&["--network", "host", "-p", "8083:80"], &["netstat", "-ltn"]);
    assert!(output.stderr.contains("8083:80"), "{output:?}");
    assert!(!success(output).contains("8083"));
}

/// They are this machine's names and servers, and what was added.
fn on_the_hosts_network_names_can_be_added() {
    busybox();
    let files = "cat /etc/hosts /etc/resolv.conf";
    let own = sh(files);
    assert_eq!(says(&["--network", "host"], files), own);
    let options =
        ["--network", "host", "--add-host", "far:192.0.2.9", "--add-host", "here:host-gateway"];
    let (hosts, resolv_conf) = (sh("cat /etc/hosts"), sh("cat /etc/resolv.conf"));
    let expected = format!("{hosts}192.0.2.9\tfar\n127.0.0.1\there\n{resolv_conf}");
    assert_eq!(says(&options, files), expected);
    let options = ["--network", "host", "--dns", "192.0.2.53", "--dns-search", "x.example"];
    let said = says(&options, "cat /etc/resolv.conf");
    assert!(said.starts_with("nameserver 192.0.2.53\nsearch x.example\n"), "{said}");
    // Those on the loopback are at hand.
    let named = folder("etc").join("resolv.conf");
    fs::write(&named, "nameserver 127.0.0.53\nsearch lan\n").unwrap();
    sh(&format!("mount --bind {} $(readlink -f /etc/resolv.conf)", named.display()));
    let said = says(&["--network", "host", "--dns-search", "x.example"], "cat /etc/resolv.conf");
    sh("umount $(readlink -f /etc/resolv.conf)");
    assert_eq!(said, "nameserver 127.0.0.53\nsearch x.example\n");
}

fn a_port_that_is_taken_is_an_error_before_anything_starts() {
    busybox();
    let _taken = std::net::TcpListener::bind("127.0.0.1:8081").unwrap();
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    // Nor is anything of this machine changed.
    let machine = || sh("cat /proc/sys/net/ipv4/ip_forward; ip -o link; nft list ruleset");
    let before = machine();
    let output = run_rm(&["-p", "8081:80"], &["echo", "ran"]);
    assert_refused(&output, &["8081", "in use", "\nhint: "]);
    assert_eq!(machine(), before);
    assert!(!fs::exists("/run/coracle/networks").unwrap());
}

fn ports_that_the_image_exposes_are_published_on_free_ones() {
    busybox_with(serde_json::json!({ "Cmd": ["sh"], "ExposedPorts": { "80/tcp": {} } }));
    for options in [&["-P", "--name", "web"][..], &["-p", "0:80", "--name", "web"]] {
        reached_on_a_free_port(options);
    }
}

fn reached_on_a_free_port(options: &[&str]) {
    let _container = Background::start(options, SERVE);
    let said = success(harness::run(&mut coracle(&["port", "web"])));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("80/tcp -> 0.0.0.0:"), "{said}");
    let port = lines[0].rsplit(':').next().unwrap();
    assert_eq!(lines[1], format!("80/tcp -> [::]:{port}"));
    assert_eq!(sh(&get(&format!("127.0.0.1:{port}"))), "hello\n");
}

fn ports_are_listed_as_docker_does() {
    busybox_with(serde_json::json!({
        "Cmd": ["sh"], "ExposedPorts": { "80/tcp": {}, "53/udp": {}, "443/tcp": {} }
    }));
    let listed = |options: &[&str]| {
        let _container = Background::start(options, "");
        let table = success(harness::run(&mut coracle(&["ps"])));
        let column = table.lines().next().unwrap().find("PORTS").unwrap();
        let line = table.lines().nth(1).unwrap();
        line.get(column..).unwrap_or_default().to_owned()
    };
    assert_eq!(listed(&[]), "53/udp, 80/tcp, 443/tcp");
    assert_eq!(
        listed(&["-p", "8080:80", "-p", "127.0.0.1:7000-7002:9000-9002"]),
        "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 127.0.0.1:7000-7002->9000-9002/tcp, \
         53/udp, 443/tcp"
    );
    assert_eq!(listed(&["--network", "none"]), "");
}

fn after_a_kill_the_address_and_the_port_are_free() {
    busybox();
    for _ in 0..3 {
        let mut container = Background::start(&["-p", "8082:80"], SERVE);
        assert_eq!(sh(&get("127.0.0.1:8082")), "hello\n");
        container.kill();
        wait_for("the port", || std::net::TcpListener::bind("0.0.0.0:8082").is_ok());
        // Whoever looks at containers tidies up, also if their own are others.
        let elsewhere = folder("elsewhere");
        success(harness::run(coracle(&["ps"]).env("CORACLE_RUN", &elsewhere)));
        let rules = sh("nft list ruleset");
        assert!(!rules.contains("8082"), "{rules}");
    }
    assert_eq!(fs::read_dir("/run/coracle/networks/coracle0/leases").unwrap().count(), 0);
    success(harness::run(&mut coracle(&["ps"])));
}

/// On standard error and once, also where no terminal is.
fn what_is_turned_on_this_machine_is_said() {
    busybox();
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let said = || run_rm(&[], &["true"]).stderr;
    let first = said();
    assert!(first.contains("net.ipv4.ip_forward = 1 (was 0)"), "{first}");
    assert_eq!((said(), said()), (String::new(), String::new()));
}

/// The kernel is still at work on what the last one left, and nothing of that concerns the next.
fn the_port_of_one_is_the_next_ones_at_once() {
    busybox();
    let far = Far::new();
    for _ in 0..10 {
        success(run_rm(&["-p", "8084:80", "-p", "8084:53/udp"], &["true"]));
        assert!(!sh("nft list ruleset").contains("8084"));
        std::net::TcpListener::bind("0.0.0.0:8084").expect("it is free");
        std::net::UdpSocket::bind("0.0.0.0:8084").expect("it is free");
    }
    success(run_rm(&["-p", "8084:80"], &["true"]));
    let _next = Background::start(&["-p", "8084:80"], SERVE);
    assert_eq!(far.sh(&get(&format!("{OURS}:8084"))), "hello\n");
    let rules = sh("nft list map inet coracle ports_ip");
    assert!(rules.contains("tcp . 8084 : 10."), "{rules}");
}

fn what_can_not_be_is_refused_with_words() {
    busybox();
    for (options, word) in [
        (&["--network", "moon"][..], "moon"),
        (&["--network", "none", "-p", "80:80"], "--network none"),
        (&["-p", "80:80:80:80"], "80:80:80:80"),
        (&["-p", "99999:80"], "99999"),
        (&["--add-host", "nobody"], "nobody"),
    ] {
        let output = run_rm(options, &["echo", "ran"]);
        assert_refused(&output, &[word, "hint: "]);
    }
}

fn what_somebody_has_thrown_away_is_put_back() {
    busybox();
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let far = Far::new();
    let container = Background::start(&["-p", "8080:80"], SERVE);
    let table = || sh("nft -s list ruleset");
    let before = table();
    sh("nft flush ruleset; echo 0 > /proc/sys/net/ipv4/ip_forward");
    success(harness::run(&mut coracle(&["network", "reload"])));
    assert_eq!(table(), before);
    assert_eq!(far.sh(&get(&format!("{OURS}:8080"))), "hello\n");
    let log = fs::read_to_string(container.shared.join("log")).unwrap();
    assert!(log.contains(&format!("{THEIRS}]:")), "by a rule, and not by the proxy: {log}");
}

fn pruned_the_machine_is_as_it_was() {
    busybox();
    let forwards = || fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    let ipv4 = "/proc/sys/net/ipv4";
    fs::write(format!("{ipv4}/ip_forward"), "0").unwrap();
    fs::write(format!("{ipv4}/conf/all/accept_redirects"), "0").unwrap();
    fs::write(format!("{ipv4}/conf/lo/forwarding"), "1").unwrap();
    let all = || {
        let lines = sh(&format!("grep . {ipv4}/conf/*/accept_redirects {ipv4}/conf/*/forwarding"));
        let others = lines.lines().filter(|line| !line.contains("/co0")); // a cable goes slowly
        others.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = all();
    let container = Background::start(&[], "");
    assert_eq!(forwards(), "1\n");
    let refused = harness::run(&mut coracle(&["network", "prune"]));
    assert!(refused.stderr.contains("in use"), "{refused:?}");
    drop(container);
    success(harness::run(&mut coracle(&["network", "prune"])));
    assert_eq!(forwards(), "0\n");
    assert_eq!(all(), before);
    assert!(!sh("ip -o link").contains("coracle0"));
    assert!(!sh("nft list ruleset").contains("coracle"));
    assert!(!fs::exists("/run/coracle/networks").unwrap());
}

/// Its program found the switch turned, and so never turned it.
fn who_may_miss_a_switch_that_is_turned_back_is_named() {
    busybox();
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    let prune = || harness::run(&mut coracle(&["network", "prune"]));
    prune();
    for bridge in ["", "virbr7"] {
        says(&[], "true");
        if !bridge.is_empty() {
            sh(&format!("ip link add {bridge} type bridge"));
        }
        let said = prune().stderr;
        assert_eq!(
            said.contains("net.ipv4.ip_forward is turned back, "),
            !bridge.is_empty(),
            "{said}"
        );
        assert!(said.contains(bridge), "{said}");
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "0\n");
    }
    sh("ip link delete virbr7");
}
