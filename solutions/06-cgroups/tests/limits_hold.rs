//! What the kernel makes of each limit, seen from outside.

mod group;

use group::{Disk, cpu_time, in_the_midst_of, is_v2, keyed, read, sh, wait_for, waiting_after};
use harness::Output;
use std::thread::sleep;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    a_memory_hog_dies_alone,
    a_hog_that_is_not_the_first_process_dies_alone,
    swap_is_no_way_out,
    a_fork_bomb_stops_at_its_limit,
    half_a_cpu_is_half_a_cpu,
    of_two_the_heavier_gets_more,
    it_runs_on_the_cpus_that_it_was_given,
    a_disk_is_read_no_faster_than_allowed,
);

/// A string that doubles until there is no more memory.
const HOG: &str = "x=0123456789abcdef; while :; do x=$x$x; done";

fn is_killed_for_memory(output: &Output) -> bool {
    output.status.code() == Some(137) && output.stderr.contains("out of memory")
}

fn a_memory_hog_dies_alone() {
    let mut neighbour = waiting_after(&["--memory", "32m"], "true");
    let outside = std::process::id();
    let hog = sh(&["--memory", "24m"], HOG);
    assert!(is_killed_for_memory(&hog), "{hog:?}");
    assert!(neighbour.is_running(), "the neighbour has died");
    let kills =
        keyed(neighbour.pid, ("memory.oom_control", "oom_kill"), ("memory.events", "oom_kill"));
    assert_eq!((kills, std::process::id()), (0, outside));
}

fn a_hog_that_is_not_the_first_process_dies_alone() {
    let script =
        format!("sh -c '{HOG}'; echo the hog ended with $? >&2; echo ready; cat > /dev/null");
    let mut container = in_the_midst_of(&["--memory", "24m"], &script);
    let kills =
        keyed(container.pid, ("memory.oom_control", "oom_kill"), ("memory.events", "oom_kill"));
    assert_eq!(kills, 1);
    assert!(container.is_running(), "the shell that started it has died");
}

/// Docker gives as much swap as memory, and we do; `--memory-swap` of the same size gives none.
fn swap_is_no_way_out() {
    let [half, none] = [&["--memory", "24m"][..], &["--memory", "24m", "--memory-swap", "24m"]];
    for (options, more) in [(half, 24_u64 << 20), (none, 0)] {
        let container = waiting_after(options, "true");
        let limit = read(container.pid, "memory.memsw.limit_in_bytes", "memory.swap.max");
        let both = if is_v2() { more } else { (24 << 20) + more };
        assert_eq!(limit, both.to_string());
    }
}

fn a_fork_bomb_stops_at_its_limit() {
    // It ends when its input does: a bomb that nobody watches would be no good neighbour.
    // The first shell forks but once, while there is room: whom a fork fails ends.
    let script = "b() { b | b & }; b & echo ready; read -r _ || true";
    let mut bomb = in_the_midst_of(&["--pids", "30"], script);
    let mut most = 0;
    wait_for("the bomb to reach its limit", || {
        let now = read(bomb.pid, "pids.current", "pids.current").parse().unwrap();
        most = most.max(now);
        keyed(bomb.pid, ("pids.events", "max"), ("pids.events", "max")) > 0
    });
    for _ in 0..100 {
        most = most.max(read(bomb.pid, "pids.current", "pids.current").parse().unwrap());
    }
    assert!((2..=30).contains(&most), "{most} processes");
    assert!(bomb.is_running());
    assert!(std::process::Command::new("true").status().is_ok(), "we can still start programs");
}

/// Two loops want two CPUs and get half of one. The limit is the kernel's upper bound. That it is
/// reached is certain in each period in which the group was held back: on a busy machine, where it
/// gets less than its share, there are few of them.
fn half_a_cpu_is_half_a_cpu() {
    let script =
        "(while :; do :; done) & (while :; do :; done) & echo ready; cat > /dev/null; kill %1 %2";
    let loops = in_the_midst_of(&["--cpus", "0.5"], script);
    sleep(Duration::from_millis(300));
    let periods = |key| keyed(loops.pid, ("cpu.stat", key), ("cpu.stat", key));
    // Between two looks nobody knows how long we are kept from the second: the time of what was used
    // begins before the first look and ends after the last, and the periods lie within it.
    let (started, before) = (Instant::now(), cpu_time(loops.pid));
    let (all, held_back) = (periods("nr_periods"), periods("nr_throttled"));
    sleep(Duration::from_secs(4));
    let (all, held_back) = (periods("nr_periods") - all, periods("nr_throttled") - held_back);
    let (used, took) = (cpu_time(loops.pid) - before, started.elapsed());
    println!("{used:?} in {took:?}; held back in {held_back} of {all} periods of 100 ms");
    assert!(used < took.mul_f64(0.55), "{used:?} in {took:?}");
    // The first and the last of them may lie in part outside of it.
    let at_least = Duration::from_millis(45) * (held_back as u32).saturating_sub(2);
    assert!(used > at_least, "{used:?}, although held back in {held_back} periods");
    assert!(all > 5, "the loops hardly ran: {all} periods");
}

/// On one CPU, four times the weight is four times the time; enough that nobody takes it for chance.
fn of_two_the_heavier_gets_more() {
    let script = "echo ready; while :; do :; done";
    let one = &cpus()[0];
    let start = |weight| in_the_midst_of(&["--cpuset-cpus", one, "--cpu-shares", weight], script);
    let (light, heavy) = (start("256"), start("8192"));
    sleep(Duration::from_millis(200));
    let before = [cpu_time(light.pid), cpu_time(heavy.pid)];
    sleep(Duration::from_secs(2));
    let [light_used, heavy_used] =
        [cpu_time(light.pid) - before[0], cpu_time(heavy.pid) - before[1]];
    light.kill();
    heavy.kill();
    println!("{light_used:?} and {heavy_used:?}");
    assert!(heavy_used > light_used * 3, "{light_used:?} and {heavy_used:?}");
}

/// Those that we may run on, the first and the last of each range: `0-3,8` are 0, 3 and 8.
fn cpus() -> Vec<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    list.trim().split([',', '-']).map(str::to_owned).collect()
}

fn it_runs_on_the_cpus_that_it_was_given() {
    let last = cpus().pop().unwrap();
    let container = waiting_after(&["--cpuset-cpus", &last, "--cpuset-mems", "0"], "true");
    let status = std::fs::read_to_string(format!("/proc/{}/status", container.pid)).unwrap();
    assert!(status.contains(&format!("Cpus_allowed_list:\t{last}\n")), "{status}");
    assert_eq!(read(container.pid, "cpuset.cpus", "cpuset.cpus"), last);
    assert_eq!(read(container.pid, "cpuset.mems", "cpuset.mems"), "0");
}

/// A file on a loop device, so that the disk is ours alone; direct reads, so that no cache answers.
fn a_disk_is_read_no_faster_than_allowed() {
    let disk = Disk::find();
    let limit = format!("{}:1m", disk.path);
    let started = Instant::now();
    // The rules for devices forbid reading it, and rightly so: the descriptor is opened outside.
    let mut command = group::command(
        &["--device-read-bps", &limit],
        "dd of=/dev/null bs=64k count=48 iflag=direct 2>&1",
    );
    let opened = std::fs::OpenOptions::new().read(true).open(&disk.path).unwrap();
    command.stdin(opened);
    let output = harness::run_within(&mut command, Duration::from_secs(40));
    let took = started.elapsed();
    assert!(output.status.success(), "{output:?}");
    assert!(took > Duration::from_secs(2), "3 MiB at 1 MiB/s took {took:?}: {output:?}");
}
