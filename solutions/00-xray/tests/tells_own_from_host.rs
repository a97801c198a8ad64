//! What a process has for itself shows as its own, and nothing else does.

mod sleeper;

use serde_json::{Value, json};
use sleeper::{Sleeper, look_at, xray};
use std::fs;
use std::process::Command;

harness::kernel_tests!(
    each_namespace_turns_alone,
    the_host_is_where_xray_stands,
    two_processes_are_compared_with_each_other,
    every_number_of_a_process_is_shown,
    a_namespace_that_awaits_its_first_process_is_the_childrens,
    an_id_map_shows_both_sides,
    a_chroot_is_told_from_a_root_of_its_own,
    an_overlay_shows_its_layers,
    dropped_rights_are_gone_from_the_sets,
    a_lowered_limit_stands_beside_the_old_one,
    a_cgroup_shows_its_path,
);

const NAMESPACES: [&str; 8] = ["pid", "mnt", "uts", "ipc", "user", "net", "cgroup", "time"];

/// The kernel's word on a namespace, not xray's.
fn link(pid: u32, namespace: &str) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
    link.to_str().unwrap().to_owned()
}

fn verdicts(report: &Value) -> Vec<&str> {
    NAMESPACES.iter().map(|name| report["rows"][name]["verdict"].as_str().unwrap()).collect()
}

fn each_namespace_turns_alone() {
    let me = std::process::id();
    let flags =
        ["--pid --fork", "-m", "--uts", "--ipc", "--user", "--net", "--cgroup", "--time --fork"];
    for (flag, turned) in flags.into_iter().zip(NAMESPACES) {
        let sleeper = Sleeper::start(&format!("unshare {flag}"), "true");
        let report = look_at(sleeper.pid);
        for name in NAMESPACES {
            let expected = if name == turned { "own" } else { "host" };
            let row = &report["rows"][name];
            assert_eq!(row["verdict"], expected, "{name} after unshare {flag}");
            assert_eq!(link(sleeper.pid, name) == link(me, name), name != turned, "{name}");
            let inode = row["value"]["inode"].as_u64().unwrap();
            assert_eq!(link(sleeper.pid, name), format!("{name}:[{inode}]"));
        }
    }
}

fn the_host_is_where_xray_stands() {
    let inside = Sleeper::start("unshare --uts", "true");
    let look_from_inside = |pid: u32| -> Value {
        let mut command = Command::new("nsenter");
        command.args(["--uts", "--target", &inside.pid.to_string()]);
        command.arg(xray().get_program()).args(["--json", &pid.to_string()]);
        serde_json::from_str(&harness::run(&mut command).stdout).unwrap()
    };
    assert_eq!(look_from_inside(inside.pid)["rows"]["uts"]["verdict"], "host");
    assert_eq!(look_from_inside(1)["rows"]["uts"]["verdict"], "own");
}

fn two_processes_are_compared_with_each_other() {
    let one = Sleeper::start("unshare --uts --ipc", "true");
    let joined = Sleeper::start(&format!("nsenter --target {} --uts", one.pid), "true");
    let pids = [one.pid, joined.pid].map(|pid| pid.to_string());
    let output = harness::run(xray().arg("--json").args(pids));
    let report: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(report["against"], "other");
    assert_eq!(report["reference"]["pid"], joined.pid);
    assert_eq!(
        verdicts(&report),
        ["same", "same", "same", "different", "same", "same", "same", "same"]
    );
}

fn every_number_of_a_process_is_shown() {
    let sleeper = Sleeper::start("unshare --pid --fork --kill-child unshare --pid --fork", "true");
    let report = look_at(sleeper.pid);
    // Two namespaces down, it is the first process of the inner and the second of the outer.
    assert_eq!(report["rows"]["pids"]["value"], json!([sleeper.pid, 2, 1]));
    assert_eq!(report["rows"]["pids"]["verdict"], "own");
}

fn a_namespace_that_awaits_its_first_process_is_the_childrens() {
    let alone = Sleeper::start("unshare --pid", "true");
    let pid = &look_at(alone.pid)["rows"]["pid"];
    assert_eq!(pid["verdict"], "host");
    assert_eq!(pid["value"]["children"], json!({ "inode": null }));

    let parent = Sleeper::start("unshare --pid", "sleep 1000 &");
    let pid = &look_at(parent.ancestor())["rows"]["pid"];
    assert_eq!(pid["verdict"], "host");
    let inode = pid["value"]["children"]["inode"].as_u64().unwrap();
    assert_eq!(link(parent.pid, "pid"), format!("pid:[{inode}]"));
}

fn an_id_map_shows_both_sides() {
    let sleeper = Sleeper::start("unshare --user", "true");
    assert_eq!(look_at(sleeper.pid)["rows"]["uid_map"]["value"], json!([]));

    let random = harness::random_name("");
    let outside = u32::from_str_radix(&random[1..], 16).unwrap() >> 1;
    fs::write(format!("/proc/{}/uid_map", sleeper.pid), format!("7 {outside} 11")).unwrap();
    let report = look_at(sleeper.pid);
    let map = json!([{ "inside": 7, "outside": outside, "count": 11 }]);
    assert_eq!(report["rows"]["uid_map"]["value"], map);
    assert_eq!(report["rows"]["uid_map"]["verdict"], "own");
    assert_eq!(report["rows"]["gid_map"]["value"], json!([]));
}

fn a_chroot_is_told_from_a_root_of_its_own() {
    let folder = std::env::temp_dir().join(harness::random_name("root with blank"));
    harness::busybox_rootfs(&folder);
    let path = folder.to_str().unwrap();
    std::os::unix::fs::symlink(path, "/run/tmp/link").unwrap();

    let chrooted = Sleeper::start("chroot /run/tmp/link", "true");
    let row = look_at(chrooted.pid)["rows"]["root"].clone();
    assert_eq!(row["value"], json!({ "folder": path }));
    assert_eq!(row["verdict"], "own");

    let script = format!("mount --bind '{path}' '{path}'; exec chroot '{path}' /bin/sh -c");
    let script = format!("{script} 'echo ready; exec sleep 1000'");
    let bound = Sleeper::start("unshare -m", &script);
    let row = look_at(bound.pid)["rows"]["root"].clone();
    let below_tmpfs = path.strip_prefix("/run").unwrap();
    assert_eq!(row["value"]["mount"]["folder"], below_tmpfs);
    assert_eq!(row["value"]["mount"]["file_system"], "tmpfs");
    assert_eq!(row["verdict"], "own");
}

fn an_overlay_shows_its_layers() {
    let base = std::env::temp_dir().join(harness::random_name("layers"));
    harness::busybox_rootfs(&base.join("low:est"));
    for folder in ["mid dle", "up,per", "work", "merged"] {
        fs::create_dir_all(base.join(folder)).unwrap();
    }
    let script = format!(
        "cd {}; mount -t overlay overlay -o 'lowerdir=mid dle:low\\:est,upperdir=up\\,per,workdir=work' \
         merged; exec chroot merged /bin/sh -c 'echo ready; exec sleep 1000'",
        base.display()
    );
    let sleeper = Sleeper::start("unshare -m", &script);
    let report = look_at(sleeper.pid);
    let root = &report["rows"]["root"];
    assert_eq!(root["value"]["mount"]["file_system"], "overlay");
    let layers = &root["value"]["mount"]["layers"];
    assert_eq!(layers["lower"], json!(["mid dle", "low:est"]));
    assert_eq!(layers["upper"], "up,per");
    assert_eq!(root["verdict"], "own");
}

fn dropped_rights_are_gone_from_the_sets() {
    let sleeper = Sleeper::start(
        "setpriv --no-new-privs --inh-caps -all --bounding-set -all,+chown,+net_raw",
        "true",
    );
    let rows = &look_at(sleeper.pid)["rows"];
    for set in ["effective", "permitted", "bounding"] {
        assert_eq!(rows[set]["value"], json!(["CAP_CHOWN", "CAP_NET_RAW"]), "{set}");
        assert_eq!(rows[set]["verdict"], "own", "{set}");
    }
    assert_eq!(rows["ambient"]["value"], json!([]));
    assert_eq!(rows["no_new_privs"]["value"], true);
    assert_eq!(rows["no_new_privs"]["verdict"], "own");
}

fn a_lowered_limit_stands_beside_the_old_one() {
    let sleeper = Sleeper::start("prlimit --nofile=123:456", "true");
    let row = look_at(sleeper.pid)["rows"]["rlimits"].clone();
    assert_eq!(row["verdict"], "own");
    assert_eq!(row["value"]["nofile"], json!({ "soft": 123, "hard": 456 }));
    assert_ne!(row["reference"]["nofile"], row["value"]["nofile"]);
    assert_eq!(row["reference"]["stack"], row["value"]["stack"]);

    let table = harness::run(xray().args(["--rows", "rlimits", &sleeper.pid.to_string()])).stdout;
    assert!(table.contains("nofile=123:456") && !table.contains("stack"), "{table}");
}

fn a_cgroup_shows_its_path() {
    let mounts = xray::mounts::of(std::process::id()).unwrap();
    let Some(tree) = mounts.iter().rfind(|mount| mount.file_system == "cgroup2") else {
        harness::not_run("no cgroup version 2 is mounted: mount -t cgroup2 none /sys/fs/cgroup")
    };
    let name = harness::random_name("xray");
    let folder = tree.point.join(&name);
    fs::create_dir(&folder).unwrap();
    let sleeper = Sleeper::start("env", "true");
    fs::write(folder.join("cgroup.procs"), sleeper.pid.to_string()).unwrap();
    let row = look_at(sleeper.pid)["rows"]["cgroups"].clone();
    drop(sleeper);
    let removed = Command::new("rmdir").arg(&folder).status().unwrap();
    assert!(removed.success());

    assert_eq!(row["value"]["v2"].as_str().unwrap(), format!("/{name}"));
    assert_eq!(row["verdict"], "own");
}
