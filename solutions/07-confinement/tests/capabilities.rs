//! Which capabilities a command has: the kernel says it in `/proc/PID/status`.

mod container;

use container::*;
use harness::run;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use xray::capabilities::{NAMES, Set};

harness::kernel_tests!(
    root_has_dockers_fourteen_and_no_more,
    an_init_is_confined_like_its_command,
    capabilities_are_given_and_taken,
    each_capability_can_be_given_and_taken,
    without_any_root_is_nobody_special,
    another_user_has_what_was_named,
    a_set_user_id_program_gets_no_more_than_the_bounding_set,
    no_new_privileges_makes_such_a_bit_mean_nothing,
    what_we_do_not_have_we_do_not_give,
    a_name_that_does_not_exist_is_answered_with_a_suggestion,
    our_own_capabilities_stay,
);

/// CapEff of any container of docker's: its default, `caps.go` of containerd and moby.
const DOCKERS: Set = Set(0xa804_25fb);

fn root_has_dockers_fourteen_and_no_more() {
    let sets = sets_with(&rootfs(), &[]);
    for name in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(sets[name], DOCKERS, "{name}");
    }
    for name in ["CapInh", "CapAmb"] {
        assert_eq!(sets[name], Set(0), "{name}"); // CVE-2022-24769
    }
}

fn an_init_is_confined_like_its_command() {
    let rootfs = rootfs();
    for (options, held) in [(&["--init"][..], DOCKERS), (&["--init", "-u", "7"], Set(0))] {
        let text = says(&rootfs, options, "cat /proc/1/status; echo; cat /proc/self/status");
        let (init, command) = text.split_once("\n\n").expect("two");
        assert_eq!(sets(init), sets(command));
        assert_eq!(sets(init)["CapPrm"], held);
        for line in ["Seccomp:\t2", "Seccomp_filters:\t1"] {
            assert_eq!(text.matches(line).count(), 2, "{text}");
        }
    }
}

fn capabilities_are_given_and_taken() {
    let rootfs = rootfs();
    let all = ours()["CapBnd"];
    let without = |set: Set, names: &[&str]| Set(set.0 & !container::set(names).0);
    let with = |names: &[&str]| Set(DOCKERS.0 | container::set(names).0);
    for (options, expected) in [
        (&["--cap-add", "NET_ADMIN"][..], with(&["NET_ADMIN"])),
        (&["--cap-add=cap_net_admin", "--cap-add", "Sys_Time"], with(&["NET_ADMIN", "SYS_TIME"])),
        (&["--cap-drop", "CHOWN", "--cap-drop=CAP_KILL"], without(DOCKERS, &["CHOWN", "KILL"])),
        (&["--cap-drop", "all", "--cap-add", "chown"], container::set(&["CHOWN"])),
        (&["--cap-drop", "ALL"], Set(0)),
        (&["--cap-add", "ALL"], all),
        (&["--cap-add", "ALL", "--cap-drop", "SYS_ADMIN"], without(all, &["SYS_ADMIN"])),
        (&["--privileged"], all),
        (&["--privileged", "--cap-drop", "SYS_ADMIN"], without(all, &["SYS_ADMIN"])),
        (&["--cap-add", "KILL", "--cap-drop", "KILL"], DOCKERS),
    ] {
        let sets = sets_with(&rootfs, options);
        for name in ["CapEff", "CapPrm", "CapBnd"] {
            assert_eq!(sets[name], expected, "{name} {options:?}");
        }
        for name in ["CapInh", "CapAmb"] {
            assert_eq!(sets[name], Set(0), "{name} {options:?}");
        }
    }
    let both = sh(&rootfs, &["--cap-add", "ALL", "--cap-drop", "ALL"], "true");
    assert_refused(&both, &["contradict"]);
}

/// Two containers for all of them: one with every second, one with the others.
fn each_capability_can_be_given_and_taken() {
    let rootfs = rootfs();
    let ours = ours()["CapBnd"];
    for odd in [0, 1] {
        let half = NAMES.iter().enumerate().filter(|(index, _)| index % 2 == odd);
        let names: Vec<&str> =
            half.filter(|(index, _)| ours.0 & (1 << index) != 0).map(|(_, name)| *name).collect();
        let mut options = vec!["--cap-drop", "ALL"];
        options.extend(names.iter().flat_map(|name| ["--cap-add", name]));
        let sets = sets_with(&rootfs, &options);
        assert_eq!(sets["CapBnd"], set(&names));
        assert_eq!(sets["CapEff"], set(&names));
    }
}

fn without_any_root_is_nobody_special() {
    let rootfs = rootfs();
    let others = rootfs.join("tmp/of-another-user");
    fs::write(&others, "secret").unwrap();
    chown(&others, Some(7), None).unwrap();
    fs::set_permissions(&others, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(says(&rootfs, &[], "id -u; cat /tmp/of-another-user"), "0\nsecret");
    let output = sh(&rootfs, &["--cap-drop", "ALL"], "id -u; cat /tmp/of-another-user");
    assert_eq!(output.stdout, "0\n");
    assert!(output.stderr.contains("Permission denied"), "{output:?}");
}

/// The shell executes `chown`, so the capability has gone through two execs.
fn another_user_has_what_was_named() {
    let rootfs = rootfs();
    let none = sets_with(&rootfs, &["-u", "7"]);
    for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(none[name], Set(0), "{name}");
    }
    assert_eq!(none["CapBnd"], DOCKERS);
    let some = sets_with(&rootfs, &["-u", "7", "--cap-add", "CHOWN", "--cap-add", "NET_ADMIN"]);
    for name in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(some[name], set(&["CHOWN", "NET_ADMIN"]), "{name}");
    }
    let script = "f=$(mktemp /tmp/XXXXXX); chown 8 $f 2> /dev/null; stat -c %u $f";
    assert_eq!(says(&rootfs, &["-u", "7", "--cap-add", "CHOWN"], script), "8\n");
    assert_eq!(says(&rootfs, &["-u", "7"], script), "7\n");
    let privileged = sets_with(&rootfs, &["-u", "7", "--privileged"]);
    assert_eq!((privileged["CapEff"], privileged["CapBnd"]), (Set(0), ours()["CapBnd"]));
}

/// Prints its user and what `/proc` says of it; static, so that it needs no file of the root.
const WHO: &str = r#"
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    int main(void) {
        char line[256];
        FILE *status = fopen("/proc/self/status", "r");
        printf("%d\n", geteuid());
        while (fgets(line, sizeof line, status))
            if (!strncmp(line, "Cap", 3)) fputs(line, stdout);
        return 0;
    }
"#;

fn who_with_set_user_id_bit(rootfs: &Path) {
    compile(rootfs, "as-whom", WHO);
    fs::set_permissions(rootfs.join("bin/as-whom"), Permissions::from_mode(0o4755)).unwrap();
}

fn a_set_user_id_program_gets_no_more_than_the_bounding_set() {
    let rootfs = rootfs();
    who_with_set_user_id_bit(&rootfs);
    for (options, most) in [
        (&["-u", "7"][..], DOCKERS),
        (&["-u", "7", "--cap-drop", "ALL", "--cap-add", "KILL"], set(&["KILL"])),
        (&["-u", "7", "--cap-drop", "ALL"], Set(0)),
    ] {
        let text = says(&rootfs, options, "as-whom");
        assert_eq!(text.lines().next(), Some("0"), "{options:?}");
        assert_eq!(sets(&text)["CapEff"], most, "{options:?}");
    }
}

fn no_new_privileges_makes_such_a_bit_mean_nothing() {
    let rootfs = rootfs();
    who_with_set_user_id_bit(&rootfs);
    let locked = ["-u", "7", "--security-opt", "no-new-privileges"];
    let text = says(&rootfs, &locked, "as-whom; grep NoNewPrivs /proc/self/status");
    assert_eq!(text.lines().next(), Some("7"));
    assert_eq!(sets(&text)["CapEff"], Set(0));
    assert!(text.ends_with("NoNewPrivs:\t1\n"), "{text}");
    // What was named is no new privilege.
    let named = [&locked[..], &["--cap-add", "KILL"]].concat();
    assert_eq!(sets(&says(&rootfs, &named, "as-whom"))["CapEff"], set(&["KILL"]));
    assert!(says(&rootfs, &[], "cat /proc/self/status").contains("NoNewPrivs:\t0\n"));
}

/// As on a machine that has itself been confined.
fn what_we_do_not_have_we_do_not_give() {
    let rootfs = rootfs();
    let poorer = |options: &[&str]| {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--bounding-set=-sys_time,-chown", "--inh-caps=-all"]);
        let confinement = confinement(&rootfs, options, &["cat", "/proc/self/status"]);
        setpriv.arg(confinement.get_program()).args(confinement.get_args());
        run(&mut setpriv)
    };
    let have = Set(ours()["CapBnd"].0 & !set(&["SYS_TIME", "CHOWN"]).0);
    for options in [&["--privileged"], &["--cap-add=ALL"]] {
        assert_eq!(sets(&success(poorer(options)))["CapEff"], have, "{options:?}");
    }
    assert_eq!(sets(&success(poorer(&[])))["CapEff"], Set(DOCKERS.0 & !set(&["CHOWN"]).0));
    assert_refused(&poorer(&["--cap-add", "SYS_TIME"]), &["cannot give CAP_SYS_TIME", "\nhint: "]);
}

fn a_name_that_does_not_exist_is_answered_with_a_suggestion() {
    let rootfs = rootfs();
    for (wrong, meant) in [
        ("SYS_ADMINN", "did you mean SYS_ADMIN?"),
        ("cap_ptrace", "did you mean SYS_PTRACE?"),
        ("", "there is no capability of this name"),
        ("WIZARDRY", "capabilities(7) lists them"),
        ("41", "capabilities(7) lists them"),
    ] {
        for option in ["--cap-add", "--cap-drop"] {
            assert_refused(&sh(&rootfs, &[option, wrong], "true"), &[meant, option]);
        }
    }
}

fn our_own_capabilities_stay() {
    let before = ours();
    let script = "\"$@\"; cat /proc/self/status";
    let container = confinement(&rootfs(), &["-u", "7", "--cap-drop", "ALL"], &["true"]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(container.get_program()).args(container.get_args());
    assert_eq!(sets(&success(run(&mut shell))), before);
}
