//! What a container finds at /proc, /sys and /dev.

mod container;

use anyhow::ensure;
use container::{Background, folder, in_namespaces, mounts, our_mounts, rootfs, says, sh};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

harness::kernel_tests!(
    proc_lists_only_its_own_processes,
    sys_cannot_be_written,
    dev_has_the_standard_nodes_and_no_other,
    dev_has_the_options_that_programs_count_on,
    dev_ptmx_opens_terminals_of_its_own,
    shared_memory_is_writable_and_its_own,
    the_umask_of_the_caller_stays_outside,
    masked_paths_read_as_empty,
    masks_the_heat_counters_of_each_cpu,
    read_only_paths_refuse_writes,
    a_kernel_without_some_path_has_nothing_to_hide,
);

fn proc_lists_only_its_own_processes() {
    let root = rootfs();
    let _bystander = Background::start(&root, &[], "");
    let said = says(&root, "sleep 100 & cd /proc; echo $$; echo $!; ls -d [0-9]*; cat 2/comm");
    let lines: Vec<&str> = said.lines().collect();
    let (own, listed) = (&lines[..2], &lines[2..lines.len() - 1]);
    assert_eq!(own, ["1", "2"], "{said}");
    assert!(listed.starts_with(own) && listed.len() <= 3, "these two and ls: {said}");
    assert!(says(&root, "cat /proc/1/cmdline; true").starts_with("sh\0-c\0cat"));
}

fn sys_cannot_be_written() {
    let root = rootfs();
    let inside = mounts(&says(&root, "cat /proc/self/mountinfo"));
    let sys = inside.iter().find(|mount| mount.point == "/sys").expect("mounted");
    assert_eq!(sys.options, ["ro", "nosuid", "nodev", "noexec", "relatime"]);
    let output = sh(&root, "echo 0 > /sys/kernel/profiling");
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    let output = sh(&root, "mkdir /sys/fs/cgroup/mine");
    assert!(!output.status.success(), "{output:?}");
}

fn dev_has_the_standard_nodes_and_no_other() {
    let root = rootfs();
    fs::write(root.join("dev/of-the-image"), "").expect("ours");
    let nodes = says(&root, "umask 0; cd /dev; stat -c '%n %F %a %t:%T %u:%g' $(ls -A)");
    // The link to the machine's memory is there where its target is.
    let (core, kcore) = match Path::new("/proc/kcore").exists() {
        true => ("core symbolic link 777 0:0 0:0\n", "/proc/kcore\n"),
        false => ("", ""),
    };
    let expected = "\
fd symbolic link 777 0:0 0:0
full character special file 666 1:7 0:0
null character special file 666 1:3 0:0
ptmx symbolic link 777 0:0 0:0
pts directory 755 0:0 0:0
random character special file 666 1:8 0:0
shm directory 1777 0:0 0:0
stderr symbolic link 777 0:0 0:0
stdin symbolic link 777 0:0 0:0
stdout symbolic link 777 0:0 0:0
tty character special file 666 5:0 0:0
urandom character special file 666 1:9 0:0
zero character special file 666 1:5 0:0
";
    assert_eq!(nodes, core.to_owned() + expected);
    let links = says(
        &root,
        "cd /dev; for name in core fd ptmx stdin stdout stderr; do readlink $name; done",
    );
    let others = "/proc/self/fd\npts/ptmx\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n";
    assert_eq!(links, kcore.to_owned() + others);
    // The nodes are not names alone.
    let works = "echo x > /dev/null; head -c 3 /dev/zero | od -An -tx1; head -c 8 /dev/urandom | wc -c; \
                 echo x > /dev/full; echo through > /dev/stdout; echo fd > /dev/fd/1";
    let output = sh(&root, works);
    assert_eq!(output.stdout, " 00 00 00\n8\nthrough\nfd\n", "{output:?}");
    assert!(output.stderr.contains("No space left on device"), "{output:?}");
}

/// Those of docker and podman: /dev without noexec, because programs map /dev/zero executable.
fn dev_has_the_options_that_programs_count_on() {
    let inside = says(&rootfs(), "cat /proc/self/mountinfo");
    let options = |point| {
        let list = mounts(&inside);
        list.into_iter().find(|mount| mount.point == point).expect("mounted").options.join(",")
    };
    assert_eq!(options("/dev"), "rw,nosuid"); // strictatime is told by the absence of relatime
    assert_eq!(options("/dev/pts"), "rw,nosuid,noexec,relatime");
    assert_eq!(options("/dev/shm"), "rw,nosuid,nodev,noexec,relatime");
    assert_eq!(options("/proc"), "rw,nosuid,nodev,noexec,relatime");
}

fn dev_ptmx_opens_terminals_of_its_own() {
    let root = rootfs();
    // One of the host's is open meanwhile, so that a shared instance would count from 1.
    let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the host has terminals");
    in_namespaces(|| {
        rootfs::private()?;
        rootfs::bind_root(&root)?;
        rootfs::standard_mounts(&root)?;
        rootfs::pivot(&root)?;
        ensure!(fs::read_dir("/dev/pts")?.count() == 1, "terminals in a new instance");
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?.into_string()?;
        ensure!(name == "/dev/pts/0", "a terminal of the host: {name}");
        let slave = fs::metadata(&name)?;
        ensure!((slave.mode() & 0o777, slave.gid()) == (0o620, 5), "{slave:?}");
        fs::OpenOptions::new().write(true).open(&name)?.write_all(b"heard")?;
        let mut heard = [0; 5];
        fs::File::from(master).read_exact(&mut heard)?;
        ensure!(&heard == b"heard");
        Ok(())
    })
    .expect("a terminal of its own");
    drop(outer);
}

fn shared_memory_is_writable_and_its_own() {
    let root = rootfs();
    let name = harness::random_name("segment");
    let script =
        format!("echo x > /dev/shm/{name} && stat -f -c %T /dev/shm && stat -c %a /dev/shm");
    assert_eq!(says(&root, &script), "tmpfs\n1777\n");
    assert!(!std::path::Path::new("/dev/shm").join(&name).exists());
    assert_eq!(says(&root, "ls -A /dev/shm"), "");
}

fn the_umask_of_the_caller_stays_outside() {
    let root = rootfs();
    let volume = folder("volume");
    let program = container::command(&root, &[]);
    let start = "umask 077; exec \"$@\"";
    let inside = "umask; stat -c %a /made /made/deeper /dev /dev/null";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", start, "sh"]).arg(program.get_program()).arg("--rootfs").arg(&root);
    command
        .arg("-v")
        .arg(format!("{}:/made/deeper", volume.display()))
        .args(["/bin/sh", "-c", inside]);
    fs::set_permissions(&volume, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("ours");
    assert_eq!(container::success(harness::run(&mut command)), "0022\n755\n700\n755\n666\n");
}

fn masked_paths_read_as_empty() {
    let root = rootfs();
    let masked = [
        "/proc/acpi",
        "/proc/asound",
        "/proc/interrupts",
        "/proc/kcore",
        "/proc/keys",
        "/proc/latency_stats",
        "/proc/sched_debug",
        "/proc/scsi",
        "/proc/timer_list",
        "/proc/timer_stats",
        "/sys/devices/virtual/powercap",
        "/sys/firmware",
    ];
    let mut seen = 0;
    for path in masked {
        let Ok(metadata) = fs::metadata(path) else { continue };
        seen += 1;
        if metadata.is_dir() {
            assert_eq!(says(&root, &format!("ls -A {path}")), "", "{path}");
            let output = sh(&root, &format!("touch {path}/file"));
            assert!(output.stderr.contains("Read-only file system"), "{path}: {output:?}");
        } else {
            assert_eq!(says(&root, &format!("head -c 1 {path} | wc -c")), "0\n", "{path}");
        }
    }
    assert!(seen >= 3, "this kernel has but {seen} of the masked paths");
}

/// On a made-up /sys, because virtual machines have no such counters.
fn masks_the_heat_counters_of_each_cpu() {
    let root = folder("made-up");
    for cpu in ["cpu0", "cpu11", "cpufreq"] {
        let heat = root.join("sys/devices/system/cpu").join(cpu).join("thermal_throttle");
        fs::create_dir_all(&heat).expect("ours");
        fs::write(heat.join("core_throttle_count"), "7").expect("ours");
    }
    fs::create_dir_all(root.join("sys/devices/system/cpu/cpu2")).expect("ours");
    in_namespaces(|| {
        rootfs::private()?;
        rootfs::hide(&root)?;
        for cpu in ["cpu0", "cpu11"] {
            let heat = root.join("sys/devices/system/cpu").join(cpu).join("thermal_throttle");
            ensure!(fs::read_dir(&heat)?.count() == 0, "{} can be read", heat.display());
        }
        Ok(())
    })
    .expect("hidden");
}

fn read_only_paths_refuse_writes() {
    let root = rootfs();
    let inside = mounts(&says(&root, "cat /proc/self/mountinfo"));
    let sysrq = "/proc/sysrq-trigger"; // harmless: h, which is all that is written to it, prints help
    for path in ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", sysrq] {
        if !std::path::Path::new(path).exists() {
            continue;
        }
        let mount = inside.iter().find(|mount| mount.point == path);
        let options = &mount.unwrap_or_else(|| panic!("{path} is no mount")).options;
        assert_eq!(options, &["ro", "nosuid", "nodev", "noexec", "relatime"], "{path}");
    }
    let before = fs::read_to_string("/proc/sys/kernel/domainname").expect("/proc");
    let output = sh(&root, "echo changed > /proc/sys/kernel/domainname");
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    assert_eq!(fs::read_to_string("/proc/sys/kernel/domainname").expect("/proc"), before);
    let output = sh(&root, &format!("[ ! -e {sysrq} ] || echo h > {sysrq}"));
    assert!(
        output.status.success() || output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
}

fn a_kernel_without_some_path_has_nothing_to_hide() {
    let root = folder("nothing");
    in_namespaces(|| {
        rootfs::private()?;
        let before = our_mounts().len();
        rootfs::hide(&root)?;
        ensure!(our_mounts().len() == before);
        Ok(())
    })
    .expect("nothing to do");
}
