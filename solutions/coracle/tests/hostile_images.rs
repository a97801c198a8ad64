//! Attacks that broke other runtimes, from an image's side, through the whole of `coracle run`.

mod machine;

use machine::*;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

harness::kernel_tests!(
    no_descriptor_of_the_caller_leaks,
    a_working_folder_behind_a_descriptor_is_refused,
    the_program_cannot_be_overwritten_from_inside,
    a_link_in_place_of_a_system_folder_is_refused,
    a_volume_on_a_link_lands_inside,
    a_working_folder_behind_a_link_is_made_inside,
    a_device_of_the_image_is_dead,
    the_hosts_mounts_are_out_of_sight,
    the_root_of_the_host_is_out_of_reach,
    an_image_cannot_ask_for_our_environment,
    a_masked_file_is_not_a_device_of_the_host,
    a_user_database_that_never_ends_is_refused,
);

/// CVE-2024-21626: a folder of the host that was left open.
fn no_descriptor_of_the_caller_leaks() {
    busybox();
    let run = |options: &str| {
        let script = format!(
            "exec 7< / 9< /etc 200> /run/tmp/open; exec {} run --rm {options} {IMAGE} ls -l /proc/self/fd",
            harness::bin("coracle").display()
        );
        success(harness::run(Command::new("bash").args(["-c", &script])))
    };
    for options in ["", "-i", "--init", "-u app", "--init -i"] {
        let text = run(options);
        let numbers: Vec<&str> = text
            .lines()
            .skip(1)
            .filter_map(|l| l.split(" -> ").next()?.split(' ').next_back())
            .collect();
        let open: Vec<&&str> = numbers.iter().filter(|n| n.parse::<u32>().is_ok()).collect();
        assert_eq!(open, [&"0", &"1", &"2", &"3"], "3 is the list itself: {text}");
    }
}

/// CVE-2024-21626, as an image can ask for it.
fn a_working_folder_behind_a_descriptor_is_refused() {
    for descriptor in 0..20 {
        let folder = format!("/proc/self/fd/{descriptor}");
        if descriptor < 2 {
            busybox_with(json!({ "WorkingDir": folder }));
            assert_refused(&run_rm(&[], &["true"]), &[&folder]);
        }
        assert_refused(&run_rm(&["-w", &folder], &["ls"]), &[&folder]);
    }
}

/// CVE-2019-5736: an image whose entry point is the runtime itself.
fn the_program_cannot_be_overwritten_from_inside() {
    let program = scratch().join("coracle");
    fs::copy(harness::bin("coracle"), &program).unwrap();
    let before = fs::read(&program).unwrap();
    // As PID 1 of `--init` our program lives on inside: there its file is in reach.
    busybox_with(json!({}));
    let script =
        "ls -l /proc/1/exe; for how in '>' '>>'; do sh -c \"echo evil $how /proc/1/exe\"; done 2>&1
        mount -o remount,rw,bind /proc/1/exe 2>&1; dd if=/etc/passwd of=/proc/1/exe 2>&1; true";
    let mut command = Command::new(&program);
    // With SYS_PTRACE: without it nobody may even look at /proc/1/exe.
    command.args(["run", "--rm", "--init", "--cap-add", "SYS_PTRACE", IMAGE, "sh", "-c", script]);
    let text = success(harness::run(&mut command));
    // Without the protection it is merely busy, and that ends when the last of its copies does.
    let protected = text.contains("Read-only file system") || text.contains("/memfd:coracle");
    assert!(protected, "{text}");
    // And the other way: the entry point is a link to whoever executes it.
    for entry in ["/proc/self/exe", "/proc/1/exe"] {
        busybox_with(json!({ "Entrypoint": [entry] }));
        let mut command = Command::new(&program);
        let output = harness::run(command.args(["run", "--rm", IMAGE, "--version"]));
        assert_nothing_left();
        assert!(output.status.code().is_some(), "{output:?}");
    }
    assert_eq!(fs::read(&program).unwrap(), before, "the program was changed");
    // Nor later, when no copy of it runs any more, by a descriptor that was kept open.
    folder("shared");
    busybox_with(json!({}));
    let script = "exec 5< /proc/1/exe; touch /shared/ready; sleep 0.2; exec 6> /proc/self/fd/5";
    let mut command = Command::new(&program);
    let output = harness::run(command.args([
        "run",
        "--rm",
        "--init",
        "-v",
        "/run/tmp/shared:/shared",
        IMAGE,
        "sh",
        "-c",
        script,
    ]));
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(fs::read(&program).unwrap(), before, "the program was changed");
}

/// CVE-2019-19921: what should be hidden in /proc would be hidden elsewhere.
fn a_link_in_place_of_a_system_folder_is_refused() {
    let victim = folder("victim");
    for name in ["proc", "sys", "dev"] {
        for target in [victim.to_str().unwrap(), "/etc", "etc", "../../../../../run/tmp/victim"] {
            busybox_changed(json!({}), |rootfs| {
                fs::remove_dir(rootfs.join(name)).unwrap();
                symlink(target, rootfs.join(name)).unwrap();
            });
            let output = run_rm(&[], &["true"]);
            assert_refused(&output, &[name, "\nhint: a symbolic link"]);
        }
    }
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}

/// CVE-2021-30465 and older: a volume that lands on the host.
fn a_volume_on_a_link_lands_inside() {
    let victim = folder("victim");
    fs::write(folder("shared").join("file"), "shared\n").unwrap();
    busybox_changed(json!({}), |rootfs| {
        symlink("/run/tmp/victim", rootfs.join("absolute")).unwrap();
        symlink("../../../../../../run/tmp/victim", rootfs.join("dots")).unwrap();
        symlink("/etc", rootfs.join("inner")).unwrap();
        symlink("/absolute", rootfs.join("chain")).unwrap();
        symlink("/proc/self/root", rootfs.join("magic")).unwrap();
        fs::create_dir_all(rootfs.join("run/tmp/victim")).unwrap();
    });
    for target in ["/absolute", "/dots", "/chain", "/inner", "/absolute/new/folder"] {
        let volume = format!("/run/tmp/shared:{target}");
        assert_eq!(says(&["-v", &volume], &format!("cat {target}/file")), "shared\n");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0, "{target}");
    }
    let output = run_rm(&["-v", "/run/tmp/shared:/magic/data"], &["true"]);
    assert_refused(&output, &["/magic"]);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("victim"), "{mounts}");
}

fn a_working_folder_behind_a_link_is_made_inside() {
    folder("victim");
    busybox_changed(json!({ "WorkingDir": "/away/new" }), |rootfs| {
        fs::create_dir_all(rootfs.join("run/tmp/victim")).unwrap();
        symlink("/run/tmp/victim", rootfs.join("away")).unwrap();
    });
    assert_eq!(says(&[], "pwd -P"), "/run/tmp/victim/new\n");
    assert!(!scratch().join("victim/new").exists());
    busybox_changed(json!({ "WorkingDir": "/away/new" }), |rootfs| {
        symlink("/run/tmp/victim", rootfs.join("away")).unwrap(); // dangling, inside
    });
    assert_refused(&run_rm(&[], &["true"]), &["/away"]);
    assert!(!scratch().join("victim/new").exists());
}

/// A layer may hold a node of the host's disk; no mount of the container gives it life.
fn a_device_of_the_image_is_dead() {
    busybox_changed(json!({}), |rootfs| {
        let node = rootfs.join("my-null");
        success(harness::run(Command::new("mknod").arg(node).args(["c", "1", "3"])));
    });
    let output = run_rm(&[], &["sh", "-c", "ls -l /my-null; cat < /my-null"]);
    assert!(output.stderr.contains("Permission denied"), "{output:?}");
}

fn the_hosts_mounts_are_out_of_sight() {
    busybox();
    let text = says(&[], "cat /proc/self/mountinfo");
    let outside = ["/run/tmp", "/home", "/var", "/boot"];
    for line in text.lines() {
        let point = line.split(' ').nth(4).unwrap();
        assert!(!outside.iter().any(|folder| point.starts_with(folder)), "{line}");
    }
    assert!(text.lines().any(|line| line.contains(" / / ") && line.contains("overlay")), "{text}");
}

/// The classic way out of a chroot, with every capability that root has.
fn the_root_of_the_host_is_out_of_reach() {
    busybox();
    let secret = harness::random_name("secret");
    fs::write(scratch().join("secret"), &secret).unwrap();
    let script = "mkdir /jail; cd /; exec 3< /; chroot /jail /bin/true 2> /dev/null
        cd ../../../../../..; cat run/tmp/secret /proc/1/root/run/tmp/secret /proc/self/cwd/run/tmp/secret 2>&1; ls /run/tmp 2>&1";
    let text = run_rm(&[], &["sh", "-c", script]);
    assert!(!text.stdout.contains(&secret), "{text:?}");
    assert!(text.stdout.contains("No such file"), "{text:?}");
}

/// A name alone means our own value, but only where we say so ourselves.
fn an_image_cannot_ask_for_our_environment() {
    let (name, secret) =
        (harness::random_name("SECRET_").replace('-', "_"), harness::random_name("of-the-host"));
    busybox_with(json!({ "Env": [name, "OTHER=1"] }));
    let ask = |options: &[&str]| {
        let mut command = coracle(&[&["run", "--rm"], options, &[IMAGE, "env"]].concat());
        success(harness::run(command.env(&name, &secret)))
    };
    let text = ask(&[]);
    assert!(text.contains("OTHER=1") && !text.contains(&secret), "{text}");
    assert!(ask(&["-e", &name]).contains(&secret));
}

/// Its owner and mode would be the host's to lose.
fn a_masked_file_is_not_a_device_of_the_host() {
    use std::os::unix::fs::MetadataExt;
    busybox();
    let text = says(&[], "stat -c %d:%i /dev/null /proc/keys /proc/timer_list");
    let null = fs::metadata("/dev/null").unwrap();
    let places: Vec<&str> = text.lines().collect();
    assert_eq!(places.len(), 3, "{text}");
    assert!(places.iter().all(|place| *place == places[0]), "{text}");
    assert_ne!(places[0], format!("{}:{}", null.dev(), null.ino()));
}

/// We read them as root of the container, and as its PID 1 we would hear no Ctrl-C.
fn a_user_database_that_never_ends_is_refused() {
    for file in ["etc/passwd", "etc/group"] {
        busybox_changed(json!({ "Cmd": ["true"] }), |rootfs| {
            fs::remove_file(rootfs.join(file)).unwrap();
            symlink("/dev/zero", rootfs.join(file)).unwrap();
        });
        assert_refused(&run_rm(&[], &[]), &[file]);
        busybox_changed(json!({ "Cmd": ["true"] }), |rootfs| {
            fs::remove_file(rootfs.join(file)).unwrap();
            let fifo = harness::run(Command::new("mkfifo").arg(rootfs.join(file)));
            assert!(fifo.status.success());
        });
        assert_refused(&run_rm(&[], &[]), &[file]);
    }
}
