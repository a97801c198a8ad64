//! Where a system restricts user namespaces, the error names the restriction and the remedy.
//!
//! The real thing where it can be had in a sandbox; else the setting's file is a fake in a folder
//! mounted over `/proc/sys/kernel`, and strace(1) gives the kernel's answer in its place.

mod inside;

use harness::{Account, Output, run};
use inside::{account, command, sh};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    switched_off_by_their_number,
    left_to_root_by_debians_setting,
    robbed_of_their_powers_by_apparmor,
    forbidden_by_a_security_module,
    forbidden_by_a_filter_as_in_a_container,
    forbidden_in_a_chroot,
    no_numbers_are_set_aside,
    the_programs_that_write_maps_are_missing,
    the_program_that_writes_maps_is_not_set_user_id,
    no_new_privileges,
    numbers_that_belong_to_somebody_else,
    numbers_that_are_given_twice,
    a_group_that_is_not_the_accounts,
    a_folder_that_is_no_root,
);

fn assert_says(output: &Output, words: &[&str]) {
    harness::assert_refused(output, words);
    assert_eq!(output.stderr.matches("\nhint: ").count(), 1, "one hint: {}", output.stderr);
}

/// A mount that ends with this value.
struct Mounted(String);

impl Mounted {
    fn bind(source: &Path, target: &str) -> Mounted {
        let none = None::<&str>;
        mount(Some(source), target, none, MsFlags::MS_BIND, none).unwrap();
        Mounted(target.into())
    }

    /// A fake of `/proc/sys/kernel` with these files, and the few that programs look at.
    fn settings(settings: &[(&str, &str)]) -> Mounted {
        let folder = std::env::temp_dir().join(harness::random_name("settings"));
        fs::create_dir_all(&folder).unwrap();
        for name in ["cap_last_cap", "overflowuid", "overflowgid", "pid_max"] {
            let value = fs::read(format!("/proc/sys/kernel/{name}")).unwrap();
            fs::write(folder.join(name), value).unwrap();
        }
        for (name, value) in settings {
            fs::write(folder.join(name), format!("{value}\n")).unwrap();
        }
        Mounted::bind(&folder, "/proc/sys/kernel")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = umount2(self.0.as_str(), MntFlags::MNT_DETACH);
    }
}

/// `user-namespace ARGUMENTS…` under strace, which answers the system call `call` with `errno`.
fn answered(account: &mut Account, call: &str, errno: &str, arguments: &[&str]) -> Output {
    if Command::new("strace").arg("-V").output().is_err() {
        harness::not_run("no strace: install strace");
    }
    let program = account.bin("user-namespace");
    let inject = format!("inject={call}:error={errno}");
    let mut strace = account.command("strace");
    strace.args(["-f", "-o", "/dev/null", "-e", &inject]).arg(program).args(arguments);
    run(&mut strace)
}

/// The limit is that of the user namespace around, so a nested one can have it at 0.
fn switched_off_by_their_number() {
    let mut account = Account::new();
    let program = account.bin("user-namespace");
    let script = format!("echo 0 > /proc/sys/user/max_user_namespaces; {} id", program.display());
    let output = sh(&mut account, &["--single"], &script);
    assert_says(
        &output,
        &["(os error 28)", "hint: they are switched off: sudo sysctl user.max_user_namespaces="],
    );
}

fn left_to_root_by_debians_setting() {
    let mut account = Account::new();
    let _fake = Mounted::settings(&[("unprivileged_userns_clone", "0")]);
    let output = answered(&mut account, "clone3", "EPERM", &["--single", "id"]);
    assert_says(&output, &["(os error 1)", "sudo sysctl kernel.unprivileged_userns_clone=1"]);
}

fn robbed_of_their_powers_by_apparmor() {
    let mut account = Account::new();
    let _fake = Mounted::settings(&[("apparmor_restrict_unprivileged_userns", "1")]);
    let words = ["(os error 1)", "kernel.apparmor_restrict_unprivileged_userns=0", "profile"];
    // It forbids the namespace itself to some programs, and to others the use of its powers.
    for call in ["clone3", "chroot"] {
        assert_says(&answered(&mut account, call, "EPERM", &["--single", "id"]), &words);
    }
    // A program that has a profile is not hindered.
    let fine = run(&mut command(&mut account, &["--single", "id", "-u"]));
    assert_eq!(fine.stdout, "0\n", "{fine:?}");
}

fn forbidden_by_a_security_module() {
    let mut account = Account::new();
    let output = answered(&mut account, "clone3", "EACCES", &["--single", "id"]);
    assert_says(&output, &["(os error 13)", "SELinux"]);
}

fn forbidden_by_a_filter_as_in_a_container() {
    let mut account = Account::new();
    // Any filter will do for the line in /proc/self/status: strace brings one with it.
    let program = account.bin("user-namespace");
    let mut strace = account.command("strace");
    strace.args(["-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=clone3"]);
    strace.args(["-e", "inject=clone3:error=EPERM"]);
    let output = run(strace.arg(program).args(["--single", "id"]));
    assert_says(&output, &["(os error 1)", "seccomp", "--security-opt seccomp=unconfined"]);
    // Without clone3 the older clone is tried, so both have to be missing.
    let old = answered(&mut account, "clone3,clone", "ENOSYS", &["--single", "id"]);
    assert_says(&old, &["(os error 38)", "clone3 needs Linux 5.3, or is filtered"]);
}

fn forbidden_in_a_chroot() {
    let account = Account::new();
    let root = inside::rootfs(&account);
    let program = root.join("bin/user-namespace");
    fs::copy(harness::bin("user-namespace"), &program).unwrap();
    let mount_all =
        |target: &str| Mounted::bind(Path::new(target), &format!("{}{target}", root.display()));
    for folder in ["lib", "lib64", "usr"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let _mounts: Vec<Mounted> = ["/proc", "/lib", "/usr", "/lib64"]
        .into_iter()
        .filter(|folder| Path::new(folder).exists())
        .map(mount_all)
        .collect();
    let user = format!("--userspec={}:{}", account.uid, account.gid);
    let mut chroot = Command::new("chroot");
    chroot.args([user.as_str(), root.to_str().unwrap(), "/bin/user-namespace", "--single", "id"]);
    let output = run(&mut chroot);
    account.own(&root);
    assert_says(&output, &["(os error 1)", "hint: nobody may make one in a chroot"]);
}

fn no_numbers_are_set_aside() {
    let mut account = account();
    let name = account.name.clone();
    for file in ["/etc/subgid", "/etc/subuid"] {
        fs::write(file, "somebody-else:100000:65536\n").unwrap();
        let output = run(&mut command(&mut account, &["--range", "id"]));
        let usermod =
            format!("sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}");
        assert_says(&output, &[&format!("{file} has no line for {name}\n"), &usermod]);
        // Without being asked for a range, one number it is.
        let single = sh(&mut account, &[], "cat /proc/self/setgroups");
        assert_eq!(single.stdout, "deny\n", "{single:?}");
        fs::remove_file(file).unwrap();
        assert_says(&run(&mut command(&mut account, &["--range", "id"])), &[&usermod]);
    }
}

fn the_programs_that_write_maps_are_missing() {
    let mut account = account();
    let folder = std::env::temp_dir().join("no-programs");
    fs::create_dir_all(&folder).unwrap();
    let _gone = Mounted::bind(&folder, "/usr/bin"); // libraries are elsewhere
    let output = run(&mut command(&mut account, &["--range", "id"]));
    assert_says(&output, &["there is no newuidmap here", "apt-get install uidmap"]);
}

fn the_program_that_writes_maps_is_not_set_user_id() {
    let mut account = account();
    let copy = std::env::temp_dir().join("newuidmap");
    fs::copy("/usr/bin/newuidmap", &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let _plain = Mounted::bind(&copy, "/usr/bin/newuidmap");
    let output = run(&mut command(&mut account, &["--range", "id"]));
    assert_says(&output, &["cannot write the maps: newuidmap: ", "chmod u+s /usr/bin/newuidmap"]);
}

fn no_new_privileges() {
    let mut account = account();
    let program = account.bin("user-namespace");
    let mut command = account.command("setpriv");
    command.arg("--no-new-privs").arg(program).args(["--range", "id"]);
    assert_says(&run(&mut command), &["cannot write the maps: newuidmap: ", "no_new_privs"]);
}

/// A newuidmap that is asked for what nobody has set aside, as if the files had changed just now.
fn numbers_that_belong_to_somebody_else() {
    let mut account = account();
    let real = account.home.with_file_name("newuidmap");
    fs::copy("/usr/bin/newuidmap", &real).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o4755)).unwrap();
    let asks = account.home.join("newuidmap");
    fs::write(&asks, format!("#!/bin/sh\nexec {} $1 0 $3 1 1 0 5\n", real.display())).unwrap();
    fs::set_permissions(&asks, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", account.home.display());
    let output = run(command(&mut account, &["--range", "id"]).env("PATH", path));
    assert_says(&output, &["uid range [1-6) -> [0-5) not allowed", "/etc/subuid and /etc/subgid"]);
}

fn numbers_that_are_given_twice() {
    let mut account = account();
    let (name, uid) = (account.name.clone(), account.uid);
    for lines in [
        format!("{name}:700000:65536\n{name}:700000:65536\n"),
        format!("{name}:700000:100\n{name}:700050:100\n"),
        format!("{name}:{}:10\n", uid - 5),
    ] {
        fs::write("/etc/subuid", &lines).unwrap();
        let output = run(&mut command(&mut account, &["--range", "id"]));
        assert_says(
            &output,
            &["cannot write the maps: newuidmap: ", "hint: two lines of /etc/subuid"],
        );
    }
}

fn a_group_that_is_not_the_accounts() {
    let mut account = account();
    let program = account.bin("user-namespace");
    let (uid, gid) = (account.uid.to_string(), (account.gid + 1).to_string());
    let mut command = Command::new("setpriv"); // as newgrp does it
    command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups"]);
    command.arg(program).args(["--range", "id"]);
    assert_says(&run(&mut command), &["cannot write the maps: newuidmap: ", "newgrp"]);
}

fn a_folder_that_is_no_root() {
    let mut account = Account::new();
    for folder in ["/no-such", "/etc/passwd", "/"] {
        let output = run(&mut command(&mut account, &["--rootfs", folder, "id"]));
        assert_says(&output, &["hint: --rootfs takes a folder with a system in it"]);
    }
}
