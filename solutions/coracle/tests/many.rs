//! Many containers at once.

mod machine;

use harness::Waiting;
use machine::*;
use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};

harness::kernel_tests!(
    a_hundred_with_networks_start_as_fast_as_one_and_have_addresses_of_their_own => 120,
    twenty_start_at_once_from_an_image_that_nobody_has_unpacked => 120,
    they_come_and_go_while_others_look => 120,
    what_one_writes_no_other_sees,
);

fn start(arguments: &[&str]) -> Child {
    let mut command = coracle(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text_of(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A container with a published port.
fn waits() -> Waiting {
    let script = harness::AND_WAIT;
    Waiting::begin(coracle(&["run", "--rm", "-i", "-p", "80", IMAGE, "sh", "-c", script]))
}

/// Starts one, and says what CPU time that took of all its processes, in microseconds: other than
/// the time on the clock it does not depend on who else is at work.
fn started() -> (Waiting, u64) {
    let mut one = waits();
    one.until_ready();
    let took = |pid: u32| {
        // A helper that has ended by now has nothing more to say.
        let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
        text.split(' ').next().unwrap().parse::<u64>().unwrap_or(0) / 1000
    };
    if !fs::exists("/proc/self/schedstat").unwrap() {
        harness::not_run("no /proc/self/schedstat: a kernel without CONFIG_SCHED_INFO");
    }
    let helpers: u64 = harness::children_of(one.program()).into_iter().map(took).sum();
    let sum = helpers + took(one.program());
    (one, sum)
}

/// Its addresses, as the kernel knows them in its namespace, but not those of the loopback.
fn addresses(one: &Waiting) -> Vec<String> {
    let v6 = one.proc("net/if_inet6");
    let v6 = v6.lines().filter(|line| line.ends_with(" eth0") && !line.starts_with("fe80"));
    let trie = one.proc("net/fib_trie"); // an address, and on the next line that it is ours
    let lines: Vec<&str> = trie.lines().map(str::trim).collect();
    let ours = lines.windows(2).filter(|two| two[1] == "/32 host LOCAL");
    let v4: BTreeSet<&str> = ours.map(|two| two[0].trim_start_matches("|-- ")).collect();
    let v4 = v4.into_iter().filter(|ip| !ip.starts_with("127."));
    v6.map(|line| line[..32].to_owned()).chain(v4.map(str::to_owned)).collect()
}

fn a_hundred_with_networks_start_as_fast_as_one_and_have_addresses_of_their_own() {
    busybox();
    drop(started()); // unpacks the image and makes the network
    // What others do to the processors' caches only adds to a time: the best one is the start's own.
    let best = |times: &[u64]| *times.iter().min().expect("ten of them");
    let (mut all, first): (Vec<Waiting>, Vec<u64>) = (0..10).map(|_| started()).unzip();
    for _ in 0..8 {
        let mut ten: Vec<Waiting> = (0..10).map(|_| waits()).collect();
        ten.iter_mut().for_each(Waiting::until_ready);
        all.extend(ten);
    }
    let (others, last): (Vec<Waiting>, Vec<u64>) = (0..10).map(|_| started()).unzip();
    all.extend(others);

    let addresses: Vec<String> = all.iter().flat_map(addresses).collect();
    let each = addresses.len() / 100;
    assert!((1..=2).contains(&each), "IPv4, and IPv6 where the kernel has it: {addresses:?}");
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), each * 100, "{addresses:?}");
    let (first, last) = (best(&first), best(&last));
    println!(
        "CPU of a start: {first} µs among the first ten, {last} µs among the last of a hundred"
    );
    assert!(last < first * 2, "{first} µs, then {last} µs");

    drop(all); // each in its turn, while the others live
    let left = fs::read_dir("/run/coracle/networks/coracle0/leases").unwrap().count();
    assert_eq!(left, 0);
    let rules =
        success(harness::run(Command::new("nft").args(["list", "table", "inet", "coracle"])));
    assert!(!rules.contains("elements = { tcp"), "{rules}");
    assert_nothing_left();
}

fn twenty_start_at_once_from_an_image_that_nobody_has_unpacked() {
    busybox();
    let script = "echo $$ $HOSTNAME; ls / | wc -l";
    let all: Vec<Child> = (0..20)
        .map(|_| start(&["run", "--rm", "--network", "none", IMAGE, "sh", "-c", script]))
        .collect();
    let said: BTreeSet<String> = all.into_iter().map(text_of).collect();
    assert_eq!(said.len(), 20, "each has a name of its own");
    assert!(said.iter().all(|text| text.starts_with("1 ")), "{said:?}");
    assert_nothing_left();
    let layers = std::fs::read_dir(root_folder().join("layers/sha256")).unwrap().count();
    assert_eq!(layers, 1);
    assert_eq!(std::fs::read_dir(root_folder().join("unpacking")).unwrap().count(), 0);
}

/// Each start and each end sweeps or removes in the folders that all the others read.
fn they_come_and_go_while_others_look() {
    busybox();
    success(run_rm(&[], &["true"])); // says what it turns for the network
    for round in 0..10 {
        let mut all: Vec<Child> = (0..8).map(|_| start(&["run", "--rm", IMAGE, "true"])).collect();
        all.push(start(&["run", "--name", &format!("kept{round}"), IMAGE, "sh", "-c", "exit 0"]));
        all.extend((0..4).map(|_| start(&["ps", "-a"])));
        all.into_iter().for_each(|child| drop(text_of(child)));
    }
    let left = text_of(start(&["ps", "-a"]));
    assert_eq!(left.matches("exited 0").count(), 10, "{left}");
    for round in 0..10 {
        text_of(start(&["rm", &format!("kept{round}")]));
    }
    assert_nothing_left();
}

fn what_one_writes_no_other_sees() {
    busybox();
    let _first = Background::start(&[], "echo mine > /tmp/secret; echo mine > /dev/shm/secret");
    let script = "ls /tmp/secret /dev/shm/secret 2>&1 | grep -c 'No such file'
        ps > /tmp/seen; wc -l < /tmp/seen"; // one after the other: a pipe's end may come late
    assert_eq!(says(&[], script), "2\n3\n", "no file, and sh, ps and a heading alone");
}
