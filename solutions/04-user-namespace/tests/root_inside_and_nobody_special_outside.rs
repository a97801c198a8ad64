//! Who is root inside is an ordinary user outside, and the kernel says so on both sides.

mod inside;

use harness::{Account, random_name, run};
use inside::{account, command, rootfs, says, sh, waiting_after};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    one_number_is_mapped_without_help,
    ranges_are_mapped_where_they_are_set_aside,
    the_process_is_an_ordinary_user_for_the_host,
    files_made_inside_belong_to_the_user_and_to_the_numbers_set_aside,
    the_groups_of_the_caller_are_left_where_that_is_allowed,
    a_group_that_is_kept_out_stays_out,
    a_container_of_ones_own_needs_no_root_anywhere,
    volumes_and_terminals_work_without_root,
    xray_shows_the_user_namespace_as_its_own,
    the_status_is_that_of_the_command,
    root_may_do_it_too,
);

fn numbers(map: &str) -> Vec<Vec<u32>> {
    map.lines().map(|l| l.split_whitespace().map(|n| n.parse().unwrap()).collect()).collect()
}

fn one_number_is_mapped_without_help() {
    let mut account = Account::new();
    let waiting = waiting_after(&mut account, &["--single"], "true");
    assert_eq!(numbers(&waiting.proc("uid_map")), [[0, account.uid, 1]]);
    assert_eq!(numbers(&waiting.proc("gid_map")), [[0, account.gid, 1]]);
    assert_eq!(waiting.proc("setgroups"), "deny\n");
    drop(waiting);
    let ids = says(&mut account, &["--single"], "id -u; id -g; readlink /proc/self/ns/user");
    let host = fs::read_link("/proc/self/ns/user").unwrap();
    let namespace = ids.strip_prefix("0\n0\n").unwrap().trim_end();
    assert!(namespace.starts_with("user:[") && Some(namespace) != host.to_str(), "{ids}");
}

fn ranges_are_mapped_where_they_are_set_aside() {
    let mut account = account();
    for options in [&["--range"][..], &[]] {
        let waiting = waiting_after(&mut account, options, "true");
        let users = [[0, account.uid, 1], [1, account.first_subuid, 65536]];
        let groups = [[0, account.gid, 1], [1, account.first_subgid, 65536]];
        assert_eq!(numbers(&waiting.proc("uid_map")), users);
        assert_eq!(numbers(&waiting.proc("gid_map")), groups);
        assert_eq!(waiting.proc("setgroups"), "allow\n");
    }
    // A second line, by number.
    let more = format!("{}:90000:10\n", account.uid);
    let before = fs::read_to_string("/etc/subuid").unwrap();
    fs::write("/etc/subuid", before + &more).unwrap();
    let waiting = waiting_after(&mut account, &[], "true");
    assert_eq!(numbers(&waiting.proc("uid_map"))[2], [65537, 90000, 10]);
}

fn the_process_is_an_ordinary_user_for_the_host() {
    let mut account = account();
    for options in [&["--single"][..], &["--range"]] {
        let waiting = waiting_after(&mut account, options, "true");
        let status = waiting.proc("status");
        let line =
            |name: &str, number: u32| format!("{name}:\t{number}\t{number}\t{number}\t{number}\n");
        assert!(status.contains(&line("Uid", account.uid)), "{status}");
        assert!(status.contains(&line("Gid", account.gid)), "{status}");
        assert!(!status.contains("CapEff:\t0000000000000000"), "powerless inside: {status}");
    }
}

fn files_made_inside_belong_to_the_user_and_to_the_numbers_set_aside() {
    let mut account = account();
    says(
        &mut account,
        &[],
        "touch root; touch five; chown 5:7 five; ls -ln five | cut -d' ' -f3,4",
    );
    let owner = |name: &str| {
        let file = account.home.join(name).metadata().unwrap();
        (file.uid(), file.gid())
    };
    assert_eq!(owner("root"), (account.uid, account.gid));
    assert_eq!(owner("five"), (account.first_subuid + 4, account.first_subgid + 6));
    // One number alone: there is no user 5 to give it to.
    let refused = sh(&mut account, &["--single"], "touch x; chown 5 x");
    assert!(
        !refused.status.success() && refused.stderr.contains("Invalid argument"),
        "{refused:?}"
    );
}

/// The command as this user, with two more groups.
fn with_groups(account: &mut Account, arguments: &[&str]) -> Command {
    let program = account.bin("user-namespace");
    let (user, group) = (account.uid.to_string(), account.gid.to_string());
    let plain = account.command("setpriv");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &group, "--groups", "4,24"]).arg(program);
    command.args(arguments).current_dir(&account.home).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

fn the_groups_of_the_caller_are_left_where_that_is_allowed() {
    let mut account = account();
    let groups = ["sh", "-c", "grep Groups: /proc/self/status"];
    let left = run(&mut with_groups(&mut account, &[&["--range"], &groups[..]].concat()));
    assert_eq!(left.stdout.split_whitespace().collect::<Vec<_>>(), ["Groups:"], "{left:?}");
    let kept = run(&mut with_groups(&mut account, &[&["--single"], &groups[..]].concat()));
    let shown: Vec<&str> = kept.stdout.split_whitespace().collect();
    assert_eq!(shown, ["Groups:", "65534", "65534"], "{kept:?}");
}

/// What `deny` is for: a file that everybody may read but one group.
fn a_group_that_is_kept_out_stays_out() {
    let mut account = Account::new();
    let file = account.home.with_file_name("not-for-group-24");
    fs::write(&file, "for all others").unwrap();
    nix::unistd::chown(&file, None, Some(nix::unistd::Gid::from_raw(24))).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    let path = file.to_str().unwrap();
    let refused = run(&mut with_groups(&mut account, &["--single", "cat", path]));
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    let leave = "setpriv --clear-groups true";
    let refused = run(&mut with_groups(&mut account, &["--single", "sh", "-c", leave]));
    assert!(refused.stderr.contains("Operation not permitted"), "{refused:?}");
    assert_eq!(sh(&mut account, &["--single"], &format!("cat {path}")).stdout, "for all others");
}

fn a_container_of_ones_own_needs_no_root_anywhere() {
    let mut account = account();
    let rootfs = rootfs(&account);
    for map in ["--single", "--range"] {
        let name = random_name("boat");
        let options = ["--rootfs", rootfs.to_str().unwrap(), "--hostname", &name, map];
        let script = "id -u; hostname; echo $$; touch /made; echo x > /dev/null; ls -d /home /work; \
                      ls /proc | grep -c '^[0-9]'; head -c 5 /dev/zero | wc -c";
        let said = sh(&mut account, &options, script).stdout;
        let lines: Vec<&str> = said.lines().collect();
        let [root, host, pid, "/home", processes, "5"] = lines[..] else { panic!("{said}") };
        assert_eq!([root, host, pid], ["0", &name, "1"]);
        assert!(processes.parse::<u32>().unwrap() < 8, "the host's processes show: {said}");
        assert_eq!(rootfs.join("made").metadata().unwrap().uid(), account.uid);
        let waiting = waiting_after(&mut account, &options, "true");
        for kind in ["pid", "mnt", "uts", "ipc", "user"] {
            let [own, host] = [waiting.pid.to_string(), "self".into()]
                .map(|pid| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap());
            assert_ne!(own, host, "{kind}");
        }
        let mounts = waiting.proc("mountinfo");
        for point in ["/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
            assert!(mounts.contains(&format!(" {point} ")), "{point}: {mounts}");
        }
        let sys = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/sys")).unwrap();
        assert!(sys.split(' ').nth(5).unwrap().starts_with("ro"), "{sys}");
    }
}

fn volumes_and_terminals_work_without_root() {
    let mut account = account();
    let rootfs = rootfs(&account);
    let rootfs = rootfs.to_str().unwrap();
    fs::write(account.home.join("shared"), "from outside").unwrap();
    let volume = format!("{}:/shared:ro", account.home.join("shared").display());
    let script = "cat /shared; echo x > /shared || true";
    let output = sh(&mut account, &["--rootfs", rootfs, "-v", &volume], script);
    assert_eq!(output.stdout, "from outside");
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    let inner = account.bin("user-namespace");
    let inside = "tty; ls -l /dev/console | cut -c1; stty size; test -t 0";
    let line = format!("{} --rootfs {rootfs} -t sh -c '{inside}'", inner.display());
    let output = run(account.command("script").args(["-qec", &line, "/dev/null"]));
    assert!(output.stdout.contains("/dev/pts/0"), "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

fn xray_shows_the_user_namespace_as_its_own() {
    let mut account = account();
    let waiting = waiting_after(&mut account, &[], "true");
    let xray = harness::bin("xray");
    let output = run(Command::new(xray).args(["--json", &waiting.pid.to_string()]));
    let report: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let row = |name: &str| &report["rows"][name];
    for name in ["user", "uid_map", "gid_map"] {
        assert_eq!(row(name)["verdict"], "own", "{}", row(name));
    }
    let map = serde_json::json!([
        { "inside": 0, "outside": account.uid, "count": 1 },
        { "inside": 1, "outside": account.first_subuid, "count": 65536 },
    ]);
    assert_eq!(row("uid_map")["value"], map);
}

fn the_status_is_that_of_the_command() {
    let mut account = account();
    for (script, status) in [("exit 7", 7), ("kill -KILL $$", 137), ("exit 0", 0)] {
        assert_eq!(sh(&mut account, &[], script).status.code(), Some(status), "{script}");
    }
    let missing = run(&mut command(&mut account, &["no-such-command"]));
    assert_eq!(missing.status.code(), Some(127), "{missing:?}");
    let wrong = run(&mut command(&mut account, &["-v", "/usr:/usr", "true"]));
    assert_eq!(wrong.status.code(), Some(125));
    assert!(wrong.stderr.contains("\nhint: --rootfs"), "{wrong:?}");
}

fn root_may_do_it_too() {
    let script = "cat /proc/self/uid_map";
    let output =
        run(Command::new(harness::bin("user-namespace")).args(["--single", "sh", "-c", script]));
    assert_eq!(numbers(&output.stdout), [[0, 0, 1]], "{output:?}");
    let host = Path::new("/etc/shadow");
    if host.exists() {
        // Root owns it, and owns nothing else here: not what belongs to other users.
        let script = format!("chown 5 {}", host.display());
        let output =
            run(Command::new(harness::bin("user-namespace"))
                .args(["--single", "sh", "-c", &script]));
        assert!(output.stderr.contains("Invalid argument"), "{output:?}");
    }
}
