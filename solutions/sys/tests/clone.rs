//! What `sys::clone3` makes: a copy of us, in namespaces and a cgroup of its own.

use harness::{Leaks, not_run, random_name};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::{Fork, clone3, exit_now};

harness::kernel_tests!(
    the_child_is_in_the_namespaces_asked_for_and_in_no_other,
    without_namespaces_it_is_a_fork,
    the_pidfd_tells_the_end,
    the_pidfd_is_closed_on_exec,
    the_child_begins_in_the_cgroup,
    flags_that_share_memory_are_refused,
    a_second_thread_is_refused,
    a_thread_that_has_been_joined_is_not,
    proc_is_not_needed,
);

/// Runs `child` in a clone, and returns its exit status.
fn status_of(namespaces: CloneFlags, child: impl FnOnce() -> u8) -> i32 {
    match clone3(namespaces.bits() as u64, None).expect("we are root and alone") {
        Fork::Child => exit_now(child()),
        Fork::Parent { pidfd, .. } => status(&pidfd),
    }
}

fn status(pidfd: &OwnedFd) -> i32 {
    match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED) {
        Ok(WaitStatus::Exited(_, status)) => status,
        other => panic!("the child ended otherwise: {other:?}"),
    }
}

/// The kinds of namespaces in which we and `before` differ.
fn namespaces() -> Vec<(PathBuf, PathBuf)> {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let paths = kinds.iter().map(|kind| Path::new("/proc/self/ns").join(kind));
    paths.map(|path| (path.clone(), fs::read_link(path).expect("/proc"))).collect()
}

fn the_child_is_in_the_namespaces_asked_for_and_in_no_other() {
    for (flag, kind) in [
        (CloneFlags::CLONE_NEWNS, "mnt"),
        (CloneFlags::CLONE_NEWUTS, "uts"),
        (CloneFlags::CLONE_NEWIPC, "ipc"),
        (CloneFlags::CLONE_NEWNET, "net"),
        (CloneFlags::CLONE_NEWPID, "pid"),
        (CloneFlags::CLONE_NEWUSER, "user"),
        (CloneFlags::CLONE_NEWCGROUP, "cgroup"),
    ] {
        let ours = namespaces();
        let differs_in_one = || {
            let changed: Vec<_> =
                namespaces().into_iter().filter(|one| !ours.contains(one)).collect();
            changed.len() == 1 && changed[0].0.ends_with(kind)
        };
        assert_eq!(status_of(flag, || u8::from(differs_in_one())), 1, "{kind}");
        assert_eq!(namespaces(), ours, "the caller stays");
    }
}

fn without_namespaces_it_is_a_fork() {
    let ours = namespaces();
    let mut number = 1;
    let change_and_compare = || {
        number += 1; // in a copy of our memory
        u8::from(namespaces() == ours)
    };
    assert_eq!(status_of(CloneFlags::empty(), change_and_compare), 1);
    assert_eq!(number, 1);
}

fn the_pidfd_tells_the_end() {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    match clone3(0, None).expect("alone") {
        Fork::Child => {
            drop(writer);
            let _ = nix::unistd::read(&reader, &mut [0]); // until the parent closes its end
            exit_now(77)
        }
        Fork::Parent { pid, pidfd } => {
            let readable = || {
                let mut wanted = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
                poll(&mut wanted, PollTimeout::from(100u8)) == Ok(1)
            };
            let described = fs::read_to_string(format!(
                "/proc/self/fdinfo/{}",
                std::os::fd::AsRawFd::as_raw_fd(&pidfd)
            ));
            assert!(described.expect("/proc").contains(&format!("Pid:\t{pid}\n")));
            assert!(!readable(), "it runs");
            drop(writer);
            assert!((0..50).any(|_| readable()), "it has ended");
            assert_eq!(status(&pidfd), 77);
        }
    }
}

fn the_pidfd_is_closed_on_exec() {
    match clone3(0, None).expect("alone") {
        Fork::Child => exit_now(0),
        Fork::Parent { pidfd, .. } => {
            let flags = nix::fcntl::fcntl(&pidfd, nix::fcntl::FcntlArg::F_GETFD);
            assert_eq!(flags, Ok(nix::libc::FD_CLOEXEC));
            assert_eq!(status(&pidfd), 0);
        }
    }
}

fn the_child_begins_in_the_cgroup() {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc");
    let v2 = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    let Some(root) = v2.and_then(|line| line.split(' ').nth(1)) else {
        not_run("no cgroup v2 here: boot with systemd.unified_cgroup_hierarchy=1")
    };
    let name = random_name("clone");
    let folder = Path::new(root).join(&name);
    fs::create_dir(&folder).expect("we are root");
    let cgroup = File::open(&folder).expect("just made");
    let status = match clone3(0, Some(cgroup.as_fd())).expect("we are root and alone") {
        Fork::Child => {
            let ours = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
            exit_now(u8::from(ours.lines().any(|line| line.ends_with(&name))))
        }
        Fork::Parent { pidfd, .. } => status(&pidfd),
    };
    fs::remove_dir(&folder).expect("it is empty");
    assert_eq!(status, 1);
}

fn flags_that_share_memory_are_refused() {
    let before = Leaks::snapshot();
    for flag in [CloneFlags::CLONE_VM, CloneFlags::CLONE_FILES, CloneFlags::CLONE_FS] {
        let error = clone3((CloneFlags::CLONE_NEWPID | flag).bits() as u64, None).err();
        assert_eq!(error.expect("must be refused").raw_os_error(), Some(nix::libc::EINVAL));
    }
    assert_eq!(before.left_behind(), [""; 0]);
}

fn a_second_thread_is_refused() {
    let before = Leaks::snapshot();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || stopped.recv());
    let error = clone3(0, None).err().expect("must be refused");
    drop(stop);
    let _ = other.join();
    assert_eq!(error.raw_os_error(), Some(nix::libc::EBUSY));
    assert_eq!(before.left_behind(), [""; 0]);
}

/// A joined thread may need a moment more in the kernel: it must not make us fail by chance.
fn a_thread_that_has_been_joined_is_not() {
    for _ in 0..200 {
        std::thread::spawn(|| ()).join().expect("it did nothing");
        assert_eq!(status_of(CloneFlags::empty(), || 5), 5);
    }
}

fn proc_is_not_needed() {
    let hide_and_clone = || {
        let nothing = nix::mount::MsFlags::empty();
        let _ = nix::mount::mount(None::<&str>, "/proc", Some("tmpfs"), nothing, None::<&str>);
        if Path::new("/proc/self").exists() {
            return 99; // a panic would unwind into a second test
        }
        status_of(CloneFlags::CLONE_NEWPID, || std::process::id() as u8) as u8
    };
    // A mount namespace inherits the propagation of its mounts: the sandbox's are private.
    assert_eq!(status_of(CloneFlags::CLONE_NEWNS, hide_and_clone), 1);
    assert!(Path::new("/proc/self/ns/pid").exists(), "in the clone alone");
}
