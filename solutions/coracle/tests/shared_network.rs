//! `coracle run --network container:NAME`: what two containers share, and what becomes of it.

mod equipped;
mod far;
mod machine;
mod sailor;

use equipped::{Running, User};
use far::*;
use machine::*;
use std::fs;

harness::kernel_tests!(
    a_container_may_share_anothers_network,
    what_a_shared_network_has_already_is_refused,
    who_shares_a_network_does_not_wait_for_what_was_put_in_a_files_place,
    a_network_ends_for_all_with_the_container_that_it_was_made_for,
    an_ordinary_users_container_may_share_anothers_network,
    the_hosts_network_may_be_shared_too,
    xray_shows_the_ports_of_a_network_that_several_share,
);

fn a_container_may_share_anothers_network() {
    busybox();
    let name = harness::random_name("boat");
    let _first = Background::start(&["--name", "first", "--hostname", &name], SERVE);
    let options = ["--network", "container:first"];
    assert_eq!(says(&options, "timeout 20 wget -q -O - http://127.0.0.1/"), "hello\n");
    let said =
        says(&options, "hostname; cat /etc/hostname; echo $HOSTNAME; grep -c $HOSTNAME /etc/hosts");
    let names = format!("{name}\n").repeat(3);
    assert!(said.starts_with(&names) && !said.ends_with("\n0\n"), "{said}");
    let other = run_rm(&["--network", "container:nobody"], &["true"]);
    assert_eq!(other.status.code(), Some(125), "{other:?}");
}

fn what_a_shared_network_has_already_is_refused() {
    busybox();
    let first = Background::start(&["--name", "first"], "");
    for option in [
        &["-p", "8090:80"][..],
        &["-P"],
        &["--hostname", "skiff"],
        &["--dns", "192.0.2.53"],
        &["--dns-search", "x.example"],
        &["--add-host", "far:192.0.2.9"],
    ] {
        let output =
            run_rm(&[&["--network", "container:first"], option].concat(), &["echo", "ran"]);
        assert_eq!((output.status.code(), &*output.stdout), (Some(125), ""), "{output:?}");
        for words in ["conflicts with --network container:first", "\nhint: give --"] {
            assert!(output.stderr.contains(words), "no {words:?} in {}", output.stderr);
        }
    }
    drop(first);
    assert_nothing_left();
}

fn who_shares_a_network_does_not_wait_for_what_was_put_in_a_files_place() {
    busybox();
    let script = "umount /etc/hosts && rm -f /etc/hosts && mkfifo /etc/hosts";
    let _first = Background::start(&["--name", "first", "--cap-add", "SYS_ADMIN"], script);
    let output = run_rm(&["--network", "container:first"], &["echo", "ran"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let error = &output.stderr;
    assert!(error.contains("hosts of the other container is no file\nhint: "), "{error}");
}

/// The other ends of cables, as this machine names them.
fn cables() -> Vec<String> {
    let links = fs::read_dir("/sys/class/net").unwrap().flatten();
    let names = links.map(|link| link.file_name().into_string().unwrap());
    names.filter(|name| name.len() == 10 && name.starts_with("co")).collect()
}

/// Whether it is ended or killed; whoever shared the network lives on without it.
fn a_network_ends_for_all_with_the_container_that_it_was_made_for() {
    busybox();
    let leases = || fs::read_dir("/run/coracle/networks/coracle0/leases").unwrap().count();
    for killed in [false, true] {
        let mut first = Background::start(&["--name", "first", "-p", "8080:80"], SERVE);
        let second = Background::start(&["--name", "second", "--network", "container:first"], "");
        let third = Background::start(&["--network", "container:second"], "");
        let net = format!("nsenter --net --target {}", third.first_process());
        assert!(sh(&format!("{net} ip -o link")).contains("eth0"));
        assert_eq!((cables().len(), leases()), (1, 1));
        drop(second); // who has not made it can go
        assert_eq!(sh(&get("127.0.0.1:8080")), "hello\n");
        if killed {
            first.kill();
            success(harness::run(&mut coracle(&["ps"]))); // tidies up
        } else {
            drop(first);
        }
        assert_eq!((cables(), leases()), (vec![], 0));
        let links = sh(&format!("{net} ip -o link"));
        assert!(links.contains("lo:") && !links.contains("eth0"), "{links}");
        assert!(!sh("nft list ruleset").contains("8080"));
        // Nobody is on the bridge any more, and the next one has its address to itself.
        success(harness::run(&mut coracle(&["network", "prune"])));
        let _next = Background::start(&["-p", "8080:80"], SERVE);
        drop(third);
        assert_eq!((cables().len(), leases()), (1, 1));
        assert_eq!(sh(&get("127.0.0.1:8080")), "hello\n");
    }
    assert_nothing_left();
}

fn an_ordinary_users_container_may_share_anothers_network() {
    let user = User::with(&[]);
    let _first = user.background(&["--name", "first", "--hostname", "skiff"], SERVE);
    let options = ["--network", "container:first"];
    let said = user.says(&options, "timeout 20 wget -q -O - http://127.0.0.1/; hostname");
    assert_eq!(said, "hello\nskiff\n");
    let other = user.run(&["--network", "container:nobody"], "true");
    assert_eq!(other.status.code(), Some(125), "{other:?}");
    assert!(other.stderr.contains("there is no container nobody\nhint: "), "{other:?}");
}

fn the_hosts_network_may_be_shared_too() {
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    let own = format!("{}\n", own.display());
    let user = User::with(&[]);
    let _first = user.background(&["--name", "first", "--network", "host"], "");
    let said = user.says(&["--network", "container:first"], "readlink /proc/self/ns/net");
    assert_eq!(said, own);
    busybox();
    let _first = Background::start(&["--name", "first", "--network", "host"], "");
    assert_eq!(says(&["--network", "container:first"], "readlink /proc/self/ns/net"), own);
}

fn xray_shows_the_ports_of_a_network_that_several_share() {
    let user = User::with(&[]);
    let first = user.background(&["--name", "first", "-p", "127.0.0.1:8080:80"], "");
    let others = [(); 3].map(|()| user.background(&["--network", "container:first"], ""));
    for Running(program) in others.iter().chain([&first]) {
        let pid = sailor::first_process(program).to_string();
        for mut command in
            [user.command(&["xray", "--json", &pid]), coracle(&["xray", "--json", &pid])]
        {
            let told = success(harness::run(&mut command));
            assert!(told.contains("127.0.0.1:8080->80/tcp"), "{told}");
        }
    }
}
