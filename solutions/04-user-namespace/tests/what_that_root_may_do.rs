//! The table of what root of a user namespace may do, as `examples/powers.rs` tries it: with one
//! number, with a range, and for comparison without a user namespace.

mod inside;

use harness::{Account, run};
use inside::{account, command, sh};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    each_power_is_answered_as_the_table_says,
    set_user_id_programs_of_the_host_give_nothing_away,
    set_user_id_programs_of_the_namespace_work_in_it,
    other_users_of_the_range_are_no_danger_to_the_host,
);

/// What is tried, and the answers: to an ordinary user, to root of one number, to root of a range.
const ON_THE_HOST: [(&str, &str, &str, &str); 17] = [
    ("mount a tmpfs", "EPERM", "EPERM", "EPERM"),
    ("rename the machine", "EPERM", "EPERM", "EPERM"),
    ("open a raw socket", "EPERM", "EPERM", "EPERM"),
    ("listen on port 80", "EACCES", "EACCES", "EACCES"),
    ("open /etc/shadow to write", "EACCES", "EACCES", "EACCES"),
    ("open /proc/sys/kernel/panic to write", "EACCES", "EACCES", "EACCES"),
    ("signal process 1", "EPERM", "EPERM", "EPERM"),
    ("enter the mounts of process 1", "EACCES", "EACCES", "EACCES"),
    ("make a device", "EPERM", "EPERM", "EPERM"),
    ("give a file to user 5", "EPERM", "EINVAL", "ok"),
    ("give a file to user 1234567", "EPERM", "EINVAL", "EINVAL"),
    ("load a module", "EPERM", "EPERM", "EPERM"),
    ("set the clock", "EPERM", "EPERM", "EPERM"),
    ("raise a hard limit", "EPERM", "EPERM", "EPERM"),
    ("be nicer to ourselves", "EACCES", "EACCES", "EACCES"),
    ("become user 5", "EPERM", "EINVAL", "ok"),
    ("chroot", "EPERM", "ok", "ok"),
];

/// The same for what belongs to the user namespace. An ordinary user has nothing that does.
const IN_OUR_OWN: [(&str, &str); 8] = [
    ("mount a tmpfs", "ok"),
    ("make a device on it", "EPERM"),
    ("mount a disk", "EPERM"),
    ("bind a folder", "ok"),
    ("unmount the host's /proc", "EINVAL"),
    ("rename the machine", "ok"),
    ("open a raw socket", "ok"),
    ("listen on port 80", "ok"),
];

type Answers = Vec<(String, String)>;

fn answers(output: &str) -> (Answers, Answers) {
    let (host, own) = output.split_once("in our own:\n").unwrap_or((output, ""));
    let read = |part: &str| {
        let lines = part.lines().filter_map(|line| line.trim().rsplit_once(' '));
        lines.map(|(what, answer)| (what.trim_end().to_owned(), answer.to_owned())).collect()
    };
    (read(host.split_once('\n').unwrap().1), read(own))
}

/// The table; where the kernel has no modules, that is what it says.
fn expected(
    column: impl Fn(&(&str, &'static str, &'static str, &'static str)) -> &'static str,
) -> Answers {
    let modules = Path::new("/proc/modules").exists();
    let rows = ON_THE_HOST.iter().map(|row| {
        let answer = if row.0 == "load a module" && !modules { "ENOSYS" } else { column(row) };
        (row.0.to_owned(), answer.to_owned())
    });
    rows.collect()
}

fn each_power_is_answered_as_the_table_says() {
    let mut account = account();
    fs::write("/etc/shadow", "").unwrap(); // the sandbox's own
    let powers = account.bin("examples/powers");
    let name = || fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let before = name();
    let own: Answers = IN_OUR_OWN.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect();
    for (map, want) in [("--single", expected(|row| row.2)), ("--range", expected(|row| row.3))] {
        let output = run(&mut command(&mut account, &[map, powers.to_str().unwrap()]));
        let (host, ours) = answers(&output.stdout);
        assert_eq!(host, want, "{map}: {output:?}");
        assert_eq!(ours, own, "{map}: {output:?}");
    }
    let (host, ours) = answers(&run(&mut account.command(&powers)).stdout);
    let mut want = expected(|row| row.1);
    want.push(("none of our own:".into(), "EPERM".into()));
    assert_eq!((host, ours), (want, Vec::new()));
    assert_eq!(name(), before);
}

/// A copy of `id` that is set-user-ID. The kernel looks at the bit where it knows owner and group.
fn set_user_id(account: &Account, owner: u32, group: u32) -> PathBuf {
    let copy = account.home.with_file_name(format!("id-of-{owner}"));
    fs::copy("/usr/bin/id", &copy).unwrap();
    chown(&copy, Some(owner), Some(group)).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    copy
}

/// The owner, root of the host, is nobody inside.
fn set_user_id_programs_of_the_host_give_nothing_away() {
    let mut account = account();
    let copy = set_user_id(&account, 0, 0);
    let plain = run(account.command(&copy).arg("-u"));
    assert_eq!(plain.stdout, "0\n", "outside the bit works: {plain:?}");
    // Inside, as user 5, a program of root inside would make root of us. This is no such one.
    let script = format!("setpriv --reuid 5 --regid 5 --clear-groups {} -u", copy.display());
    let inside = sh(&mut account, &["--range"], &script);
    assert_eq!(inside.stdout, "5\n", "{inside:?}");
}

fn set_user_id_programs_of_the_namespace_work_in_it() {
    let mut account = account();
    let copy = set_user_id(&account, account.first_subuid + 6, account.first_subgid);
    let inside = sh(&mut account, &["--range"], &format!("{} -u", copy.display()));
    assert_eq!(inside.stdout, "7\n", "{inside:?}");
    let single = sh(&mut account, &["--single"], &format!("{} -u", copy.display()));
    assert_eq!(single.stdout, "0\n", "there is no 7: {single:?}");
}

/// Whoever breaks out of the container as one of its users finds nothing that is theirs.
fn other_users_of_the_range_are_no_danger_to_the_host() {
    let mut account = account();
    let secret = account.home.join("secret");
    fs::write(&secret, "the user's own").unwrap();
    account.own(&secret);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&account.home, fs::Permissions::from_mode(0o711)).unwrap();
    let mut neighbour = Command::new("sleep");
    let mut neighbour = neighbour.arg("60").spawn().unwrap();
    let script = format!(
        "setpriv --reuid 5 --regid 5 --clear-groups sh -c 'cat {}; kill {}'; kill {}",
        secret.display(),
        std::process::id(),
        neighbour.id(),
    );
    let output = sh(&mut account, &["--range"], &script);
    assert_eq!(output.stdout, "");
    assert_eq!(output.stderr.matches("ermission denied").count(), 1, "{output:?}");
    assert_eq!(output.stderr.matches("not permitted").count(), 2, "{output:?}");
    assert!(neighbour.try_wait().unwrap().is_none());
    neighbour.kill().unwrap();
    neighbour.wait().unwrap();
}
