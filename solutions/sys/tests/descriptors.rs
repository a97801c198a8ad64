//! Which descriptors `sys::close_all_but` closes.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use sys::{Fork, clone3, close_all_but, exit_now};

harness::kernel_tests!(
    all_above_2_are_closed,
    those_to_keep_stay_open_wherever_they_are,
    the_first_three_stay_even_if_named,
    closing_twice_is_no_error,
);

/// Opens 20 descriptors that no value of ours owns, as a careless caller leaves them.
fn litter() -> Vec<RawFd> {
    (0..20).map(|_| File::open("/").expect("a root").into_raw_fd()).collect()
}

/// The open descriptors, but for the one that looks.
fn open() -> Vec<RawFd> {
    let folder = fs::read_dir("/proc/self/fd").expect("/proc");
    let names = folder.map(|entry| entry.expect("/proc").path());
    let mut open: Vec<(RawFd, bool)> = names
        .map(|path| {
            let number = path.file_name().and_then(|name| name.to_str()).expect("a number");
            let looks = fs::read_link(&path).is_ok_and(|target| target.ends_with("fd"));
            (number.parse().expect("a number"), looks)
        })
        .collect();
    open.retain(|(_, looks)| !looks);
    open.sort_unstable();
    open.into_iter().map(|(number, _)| number).collect()
}

/// In a clone, for the harness means to use what it has open. `true` if `test` says so.
fn in_a_clone(test: impl FnOnce() -> bool) -> bool {
    let Fork::Parent { pidfd, .. } = clone3(0, None).expect("alone") else {
        exit_now(u8::from(test()))
    };
    let id = nix::sys::wait::Id::PIDFd(pidfd.as_fd());
    let ended = nix::sys::wait::waitid(id, nix::sys::wait::WaitPidFlag::WEXITED);
    matches!(ended, Ok(nix::sys::wait::WaitStatus::Exited(_, 1)))
}

fn all_above_2_are_closed() {
    let litter = litter();
    assert!(litter.iter().all(|number| open().contains(number)));
    assert!(in_a_clone(|| close_all_but(&[]).is_ok() && open() == [0, 1, 2]));
    assert!(litter.iter().all(|number| open().contains(number)), "in the clone alone");
}

fn those_to_keep_stay_open_wherever_they_are() {
    let files: Vec<File> = (0..8).map(|_| File::open("/").expect("a root")).collect();
    litter();
    let last = File::open("/").expect("a root");
    // The first two are neighbours; the order is not theirs; one is named twice.
    let keep: [BorrowedFd; 6] =
        [&last, &files[5], &files[1], &files[0], &files[5], &files[7]].map(AsFd::as_fd);
    let mut expected = vec![0, 1, 2];
    expected.extend([0, 1, 5, 7].map(|index: usize| files[index].as_raw_fd()));
    expected.push(last.as_raw_fd());
    assert!(in_a_clone(|| close_all_but(&keep).is_ok() && open() == expected));
}

fn the_first_three_stay_even_if_named() {
    litter();
    let stdin = std::io::stdin();
    assert!(in_a_clone(|| close_all_but(&[stdin.as_fd()]).is_ok() && open() == [0, 1, 2]));
}

fn closing_twice_is_no_error() {
    assert!(in_a_clone(|| close_all_but(&[]).and_then(|()| close_all_but(&[])).is_ok()));
}
