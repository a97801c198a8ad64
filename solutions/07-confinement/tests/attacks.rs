//! What root tries in a container: each attack works in chapter 02's, and fails in this one.
//!
//! The attacker is one static program (attacks.c), which exits with the errno that stopped it. An
//! attack that fails even without a container, as the machine lacks what is attacked, is not run:
//! it would prove nothing.

use harness::{bin, busybox_rootfs, not_run, run};
use nix::errno::Errno;
use std::env::temp_dir;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    reads_no_disk,
    reads_no_kernel_log_by_a_device,
    mounts_nothing,
    mounts_nothing_in_the_new_way,
    uncovers_nothing,
    makes_no_setting_writable,
    traces_no_neighbour,
    reads_no_neighbours_memory,
    loads_no_module,
    unshares_no_mounts,
    unshares_no_users,
    clones_no_users,
    joins_no_namespace,
    reads_no_keyring,
    adds_no_key,
    reads_no_kernel_log,
    loads_no_bpf,
    watches_no_machine,
    handles_no_page_faults,
    opens_no_file_by_its_number,
    sets_no_interface,
    does_not_come_first,
    is_not_real_time,
    adds_no_swap,
    stops_no_accounting,
    renames_nothing,
    makes_nothing_immutable,
    what_chapter_02_hides_stays_hidden,
);

fn reads_no_disk() {
    fails_with(Errno::EPERM, "read-disk", &first_disk()); // the device filter of chapter 06
}

fn reads_no_kernel_log_by_a_device() {
    fails_with(Errno::EPERM, "read-kmsg", ""); // the same
}

fn mounts_nothing() {
    fails_with(Errno::EPERM, "mount", "");
}

fn mounts_nothing_in_the_new_way() {
    fails_with(Errno::EPERM, "fsopen", "");
}

fn uncovers_nothing() {
    fails_with(Errno::EPERM, "uncover", "");
}

fn makes_no_setting_writable() {
    fails_with(Errno::EPERM, "write-proc-sys", "");
}

fn traces_no_neighbour() {
    fails_with(Errno::EPERM, "trace-neighbour", "");
}

fn reads_no_neighbours_memory() {
    fails_with(Errno::EPERM, "read-neighbour", "");
}

fn loads_no_module() {
    fails_with(Errno::EPERM, "load-module", "");
}

fn unshares_no_mounts() {
    fails_with(Errno::EPERM, "unshare-mounts", "");
}

fn unshares_no_users() {
    fails_with(Errno::EPERM, "unshare-user", ""); // the filter alone: everybody may, elsewhere
}

fn clones_no_users() {
    fails_with(Errno::EPERM, "clone-user", "");
}

fn joins_no_namespace() {
    fails_with(Errno::EPERM, "setns", "");
}

fn reads_no_keyring() {
    fails_with(Errno::EPERM, "read-keyring", "");
}

fn adds_no_key() {
    fails_with(Errno::EPERM, "add-key", "");
}

fn reads_no_kernel_log() {
    fails_with(Errno::EPERM, "dmesg", "");
}

fn loads_no_bpf() {
    fails_with(Errno::EPERM, "bpf", "");
}

fn watches_no_machine() {
    fails_with(Errno::EPERM, "perf", "");
}

fn handles_no_page_faults() {
    fails_with(Errno::EPERM, "userfaultfd", "");
}

/// The way in which containers have really been left ("shocker", 2014).
fn opens_no_file_by_its_number() {
    let secret = temp_dir().join("secret");
    fs::write(&secret, "of the host").expect("a folder of our own");
    let handle = run(Command::new(attacker()).arg("handle-of").arg(&secret));
    assert!(handle.status.success(), "{handle:?}");
    fails_with(Errno::EPERM, "open-by-handle", &handle.stdout);
}

fn sets_no_interface() {
    fails_with(Errno::EPERM, "set-interface", "");
}

fn does_not_come_first() {
    fails_with(Errno::EACCES, "nice", ""); // setpriority(2): not EPERM
}

fn is_not_real_time() {
    fails_with(Errno::EPERM, "real-time", "");
}

fn adds_no_swap() {
    fails_with(Errno::EPERM, "swapon", "");
}

fn stops_no_accounting() {
    fails_with(Errno::EPERM, "acct", "");
}

fn renames_nothing() {
    fails_with(Errno::EPERM, "rename-machine", "");
}

fn makes_nothing_immutable() {
    fails_with(Errno::EPERM, "immutable", "");
}

/// The read-only /proc/sys needs no capability to stand, only to fall.
fn what_chapter_02_hides_stays_hidden() {
    let rootfs = rootfs();
    assert_eq!(attack("mount-namespace", &rootfs, "write-core-pattern", ""), Errno::EROFS as i32);
    assert_eq!(attack("confinement", &rootfs, "write-core-pattern", ""), Errno::EROFS as i32);
}

fn fails_with(errno: Errno, word: &str, argument: &str) {
    let rootfs = rootfs();
    let before = attack("mount-namespace", &rootfs, word, argument);
    let after = attack("confinement", &rootfs, word, argument);
    let name = |status: i32| match status {
        0 => "it worked".to_owned(),
        errno => Errno::from_raw(errno).to_string(),
    };
    assert_eq!(name(after), name(errno as i32), "{word}, confined");
    if before != 0 && !is_about_the_container(word) {
        let outside = run(Command::new(attacker()).args([word, argument]));
        if !outside.status.success() {
            not_run(format!("{word} works nowhere on this machine: {}", outside.stdout.trim()));
        }
    }
    assert_eq!(name(before), "it worked", "{word} in chapter 02's container");
}

/// Attacks on what only a container has fail outside of one for want of a target.
fn is_about_the_container(word: &str) -> bool {
    ["uncover", "write-proc-sys", "open-by-handle"].contains(&word)
}

/// The exit status of an attack in the container of a chapter's program.
fn attack(program: &str, rootfs: &Path, word: &str, argument: &str) -> i32 {
    let mut command = Command::new(bin(program));
    command.arg("--rootfs").arg(rootfs).args(["/attack", word, argument]);
    let output = run(&mut command);
    let status = output.status.code().unwrap_or(-1);
    assert!((0..125).contains(&status), "{word} in {program}: {output:?}");
    status
}

fn rootfs() -> PathBuf {
    let rootfs = temp_dir().join("rootfs");
    busybox_rootfs(&rootfs);
    fs::copy(attacker(), rootfs.join("attack")).expect("it can be copied");
    rootfs
}

/// Compiles it, once in each sandbox: it takes a fifth of a second.
fn attacker() -> PathBuf {
    let program = temp_dir().join("attack");
    if !program.exists() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/attacks.c");
        let compiled =
            run(Command::new("cc").args(["-O1", "-static", "-o"]).args([&program, &source]));
        assert!(compiled.status.success(), "{compiled:?}");
    }
    program
}

/// `MAJOR:MINOR` of the first block device that the kernel knows.
fn first_disk() -> String {
    let listed = fs::read_to_string("/proc/partitions").unwrap_or_default();
    let fields = listed.lines().nth(2).map(|line| line.split_whitespace().take(2));
    let Some(fields) = fields else { not_run("this machine has no disk") };
    fields.collect::<Vec<_>>().join(":")
}
