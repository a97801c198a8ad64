//! Runs the program on commands whose cost is known in advance.

use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `dd` fills a buffer of 16 MiB; the shell that waits for it stays small.
#[test]
fn finds_the_largest_process() {
    let dd = "dd if=/dev/zero of=/dev/null bs=16M count=1 2>/dev/null; :";
    let kib = |script| text(&bench(&["peak", "sh", "-c", script]).stdout).trim().parse().unwrap();
    let (large, small): (u64, u64) = (kib(dd), kib(":"));
    assert!((16 * 1024..32 * 1024).contains(&large), "{large}");
    assert!(small < 8 * 1024, "{small}");
}

#[test]
fn judges_bounds_by_its_exit_status() {
    let compare = |bound| {
        let options = ["compare", "--rounds=3", "--warmup=1", "--pause=0", "--baseline=quick"];
        let commands = ["::", "quick", "true", "::", "slow", "sleep", "0.3"];
        bench(&[&options[..], &["--require", bound], &commands[..]].concat())
    };
    let held = compare("slow wall < 5 s");
    assert!(held.status.success() && text(&held.stdout).contains("ok ("), "{held:?}");
    let broken = compare("slow wall <= 1 quick");
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(text(&broken.stdout).contains("too much ("), "{broken:?}");
}

#[test]
fn a_daemons_work_is_its_clients() {
    let mut daemon = Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
    let compare = |daemon: String| {
        let options = ["compare", "--rounds=1", "--warmup=0", "--pause=0", "--daemon", &daemon];
        let bound = ["--require", "client cpu < 30 ms", "::", "client", "sleep", "1"];
        bench(&[&options[..], &bound[..]].concat())
    };
    let (its, anothers) =
        (compare(format!("client={}", daemon.id())), compare(format!("other={}", daemon.id())));
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(anothers.status.success(), "{anothers:?}");
    assert!(text(&its.stdout).contains("too much ("), "{its:?}");
}

#[test]
fn what_comes_before_a_run_is_not_measured() {
    let options = ["compare", "--rounds=1", "--warmup=1", "--pause=0", "--before", "sleep 3"];
    let bound = ["--require", "quick wall < 3 s", "--require", "quick peak < 100 MiB"];
    let output = bench(&[&options[..], &bound[..], &["::", "quick", "true"]].concat());
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn names_the_command_that_fails() {
    let output = bench(&["compare", "--warmup=0", "--pause=0", "::", "liar", "false"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("liar failed"), "{output:?}");
}

#[test]
fn refuses_a_command_that_leaves_a_process() {
    let script = "sleep 10 >/dev/null 2>&1 &";
    let output = bench(&["compare", "--warmup=0", "--pause=0", "::", "litter", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("litter left a process running"), "{output:?}");
}

#[test]
fn the_price_of_something_is_a_difference() {
    let options = ["compare", "--rounds=1", "--warmup=0", "--pause=0"];
    let extras = ["--extra=slow=quick", "--extra=slow=not-here"];
    let commands = ["::", "quick", "true", "::", "slow", "sleep", "2"];
    let output = bench(&[&options[..], &extras[..], &commands[..]].concat());
    let text = text(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("slow over quick: ")).expect("a line");
    let wall: f64 = line.rsplit_once(", +").unwrap().1.split(' ').next().unwrap().parse().unwrap();
    assert!((1000.0..10_000.0).contains(&wall), "{text}"); // ms, of two seconds less what `true` took
    assert!(!text.contains("not-here"), "{text}");
}

#[test]
fn what_is_carried_there_comes_back() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap().to_string();
    drop(free);
    let mut receiver =
        Command::new(env!("CARGO_BIN_EXE_bench")).args(["receive", &at]).spawn().unwrap();
    let started = std::time::Instant::now();
    while std::net::TcpStream::connect(&at).is_err() {
        assert!(started.elapsed().as_secs() < 20, "nobody listens");
    }
    let output = bench(&["send", &at, "3"]);
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    assert!(output.status.success(), "{output:?}");
    let output = bench(&["send", &at, "3"]);
    assert!(text(&output.stderr).contains("cannot connect to 127.0.0.1"), "{output:?}");
}
