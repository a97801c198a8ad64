//! What processes share by number or name stays on its side: System V objects and POSIX queues.

mod container;

use container::{rootfs, says, sh, waiting_after};
use harness::{random_name, run};
use nix::mqueue::{MQ_OFlag, MqAttr, mq_close, mq_open, mq_receive, mq_send, mq_unlink};
use nix::sys::stat::Mode;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    system_v_objects_of_the_host_are_invisible_inside,
    system_v_objects_of_the_container_are_invisible_outside,
    two_containers_give_the_same_number_to_two_queues,
    posix_queues_of_the_host_are_invisible_inside,
    posix_queues_of_the_container_are_invisible_outside,
    a_queue_inside_shows_in_the_mounted_folder_of_its_own_namespace,
    the_mounted_folder_is_safe_to_have,
);

const SYSTEM_V: [&str; 3] = ["shm", "sem", "msg"];

const NOTHING: [Vec<String>; 3] = [const { Vec::new() }; 3];

/// The identifiers of one kind of object; the first line of the file is a heading.
fn identifiers(table: &str) -> Vec<String> {
    let lines = table.lines().skip(1);
    lines.map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
}

fn outside() -> [Vec<String>; 3] {
    SYSTEM_V.map(|kind| identifiers(&fs::read_to_string(format!("/proc/sysvipc/{kind}")).unwrap()))
}

fn inside(rootfs: &Path, options: &[&str], first: &str) -> [Vec<String>; 3] {
    let script =
        format!("{first} >&2; for kind in shm sem msg; do cat /proc/sysvipc/$kind; echo =; done");
    let said = says(rootfs, options, &script);
    let tables: Vec<&str> = said.split("=\n").collect();
    [0, 1, 2].map(|index| identifiers(tables[index]))
}

/// Makes one object of each kind.
const MAKE: [&str; 6] = ["--shmem", "4096", "--semaphore", "2", "--queue", "--mode=0600"];

fn require_ipcmk() {
    if Command::new("ipcmk").arg("--version").output().is_err() {
        harness::not_run("no ipcmk: install util-linux");
    }
}

fn system_v_objects_of_the_host_are_invisible_inside() {
    require_ipcmk();
    let made = run(Command::new("ipcmk").args(MAKE));
    assert!(made.status.success(), "{made:?}");
    assert!(outside().iter().all(|found| found.len() == 1), "{:?}", outside());
    assert_eq!(inside(&rootfs(), &[], "true"), NOTHING);
    // Nor can it be removed from inside by its number.
    let [segment, semaphores, queue] = outside().map(|found| found[0].clone());
    let remove = format!("ipcrm -m {segment}; ipcrm -s {semaphores}; ipcrm -q {queue}");
    sh(&rootfs(), &[], &remove);
    assert_eq!(outside(), [[segment], [semaphores], [queue]]);
}

/// The host's ipcmk, run inside: busybox has none.
fn make_inside() -> String {
    format!("chroot /host ipcmk {}", MAKE.join(" "))
}

fn system_v_objects_of_the_container_are_invisible_outside() {
    require_ipcmk();
    let rootfs = rootfs();
    let volume = ["-v", "/:/host:ro,bind"];
    let found = inside(&rootfs, &volume, &make_inside());
    assert!(found.iter().all(|found| found.len() == 1), "{found:?}");
    assert_eq!(outside(), NOTHING);
    let waiting = waiting_after(&rootfs, &volume, &format!("{} >&2", make_inside()));
    assert_eq!(outside(), NOTHING);
    assert_eq!(inside(&rootfs, &[], "true"), NOTHING, "another container");
    drop(waiting);
}

/// Each container counts from 0: the same number means another queue in each.
fn two_containers_give_the_same_number_to_two_queues() {
    require_ipcmk();
    let rootfs = rootfs();
    let volume = ["-v", "/:/host:ro,bind"];
    let make = "chroot /host ipcmk --queue --mode=0600 >&2";
    let one = waiting_after(&rootfs, &volume, make);
    let two = waiting_after(&rootfs, &volume, &format!("{make}; {make}"));
    let queues = |pid: i32| {
        let target = format!("--target={pid}");
        let table = ["--ipc", "cat", "/proc/sysvipc/msg"];
        identifiers(&run(Command::new("nsenter").arg(&target).args(table)).stdout)
    };
    assert_eq!(queues(one.pid as i32), ["0"]);
    assert_eq!(queues(two.pid as i32), ["0", "1"]);
}

/// The message queues of the sandbox, which is the host here.
fn mounted_outside() -> PathBuf {
    let folder = Path::new(&std::env::var("TMPDIR").unwrap()).join(random_name("mqueue"));
    fs::create_dir(&folder).unwrap();
    let mounted = run(Command::new("mount").args(["-t", "mqueue", "none"]).arg(&folder));
    assert!(mounted.status.success(), "{mounted:?}");
    folder
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn unmount(folder: &Path) {
    nix::mount::umount(folder).unwrap();
}

fn posix_queues_of_the_host_are_invisible_inside() {
    let folder = mounted_outside();
    let name = random_name("queue");
    let path = format!("/{name}");
    let flags = MQ_OFlag::O_CREAT | MQ_OFlag::O_RDWR;
    let attributes = MqAttr::new(0, 4, 64, 0);
    let queue = mq_open(path.as_str(), flags, Mode::S_IRWXU, Some(&attributes)).unwrap();
    mq_send(&queue, b"for nobody inside", 1).unwrap();
    assert_eq!(names_in(&folder), [name.as_str()]);
    assert_eq!(says(&rootfs(), &[], "ls -A /dev/mqueue"), "");
    // A queue of the same name inside is another queue, and its end is not the end of ours.
    let script = format!("cd /dev/mqueue; touch {name}; cat {name}; rm {name}");
    let status = says(&rootfs(), &[], &script);
    assert!(status.starts_with("QSIZE:0 "), "{status}");
    let mut message = [0; 64];
    let length = mq_receive(&queue, &mut message, &mut 0).unwrap();
    assert_eq!(&message[..length], b"for nobody inside");
    mq_close(queue).unwrap();
    mq_unlink(path.as_str()).unwrap();
    unmount(&folder);
}

fn posix_queues_of_the_container_are_invisible_outside() {
    let folder = mounted_outside();
    let rootfs = rootfs();
    let name = random_name("queue");
    let waiting = waiting_after(&rootfs, &[], &format!("touch /dev/mqueue/{name}"));
    let seen_through_its_root = format!("/proc/{}/root/dev/mqueue", waiting.pid);
    assert_eq!(names_in(Path::new(&seen_through_its_root)), [name.as_str()]);
    assert_eq!(names_in(&folder), [""; 0]);
    let missing = mq_open(format!("/{name}").as_str(), MQ_OFlag::O_RDONLY, Mode::empty(), None);
    assert_eq!(missing.unwrap_err(), nix::Error::ENOENT);
    let another = says(&rootfs, &[], "ls -A /dev/mqueue");
    assert_eq!(another, "");
    let [inside, outside] =
        [Path::new(&seen_through_its_root), &folder].map(|path| path.metadata().unwrap().dev());
    assert_ne!(inside, outside, "the same file system of queues");
    drop(waiting);
    unmount(&folder);
}

/// mq_open(3) in the container's IPC namespace, and `ls` in its mount namespace.
fn a_queue_inside_shows_in_the_mounted_folder_of_its_own_namespace() {
    let rootfs = rootfs();
    let waiting = waiting_after(&rootfs, &[], "true");
    let name = random_name("queue");
    // A process that enters the IPC namespace alone, and makes the queue by another mount of it.
    let script = format!("mount -t mqueue none /mnt && touch /mnt/{name} && umount /mnt");
    let target = format!("--target={}", waiting.pid);
    let enter = [&target, "--ipc", "unshare", "--mount", "sh", "-c", &script];
    let made = run(Command::new("nsenter").args(enter));
    assert!(made.status.success(), "{made:?}");
    let folder = format!("/proc/{}/root/dev/mqueue", waiting.pid);
    assert_eq!(names_in(Path::new(&folder)), [name]);
}

fn the_mounted_folder_is_safe_to_have() {
    let line = says(&rootfs(), &[], "grep ' /dev/mqueue ' /proc/self/mountinfo");
    let options = line.split(' ').nth(5).unwrap();
    for option in ["rw", "nosuid", "nodev", "noexec"] {
        assert!(options.split(',').any(|one| one == option), "{option}: {line}");
    }
    assert!(line.contains(" - mqueue "), "{line}");
}
