//! The single things that the doctor looks at.

use super::Sign;
use crate::commands::rootfs;
use crate::course::Course;
use crate::{dev, root};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Uid, geteuid};
use std::env::consts::ARCH;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The oldest kernel on which all chapters run.
const OLDEST: (u32, u32) = (5, 10);
/// What building the chapters takes, with some to spare.
const ROOM: u64 = 1 << 30;

/// Everything, in the order in which one thing needs the other.
pub fn at_all(course: &Course) -> Vec<Sign> {
    let mut signs = vec![
        kernel(),
        architecture(),
        where_we_are(),
        rust(course),
        becoming_root(),
        namespaces(course),
        cgroups(),
        busybox(course),
        book(course),
        owners(course),
        room(course),
        age(course),
    ];
    signs.retain(|sign| !sign.found.is_empty());
    signs
}

fn kernel() -> Sign {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if release.contains("Microsoft") {
        let cure = "wsl --set-version NAME 2 (in PowerShell)";
        return Sign::bad("kernel", format!("{release}: WSL 1, which is no Linux kernel"), cure);
    }
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    match version >= OLDEST {
        true => Sign::good("kernel", format!("Linux {release}")),
        false => Sign::bad(
            "kernel",
            format!("Linux {release} is older than {}.{}", OLDEST.0, OLDEST.1),
            "a newer distribution, or a virtual machine with one",
        ),
    }
}

fn architecture() -> Sign {
    match ARCH {
        "x86_64" | "aarch64" => Sign::good("processor", ARCH),
        _ => Sign::fair("processor", format!("{ARCH}: nobody has tried the course on it yet"), ""),
    }
}

fn where_we_are() -> Sign {
    let says = |file: &str| fs::read_to_string(file).unwrap_or_default().to_lowercase();
    if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        let found = "inside a container; if it may do what is needed, the line `sandbox` is good";
        return Sign::fair("machine", found, "");
    }
    match says("/proc/sys/kernel/osrelease").contains("microsoft") {
        true => Sign::good("machine", "Windows with WSL 2: a Linux kernel of its own"),
        false => Sign::good("machine", "a Linux of its own, not a container"),
    }
}

fn rust(course: &Course) -> Sign {
    let mut cargo = Command::new(course.checkout.join("scripts/as-user"));
    cargo.args(["cargo", "--version"]).current_dir(&course.checkout).stderr(Stdio::null());
    let version = cargo.output().ok().filter(|output| output.status.success());
    match version {
        Some(output) => Sign::good("Rust", String::from_utf8_lossy(&output.stdout).trim()),
        None => Sign::bad("Rust", "there is no cargo", "./scripts/setup"),
    }
}

fn becoming_root() -> Sign {
    if geteuid().is_root() {
        return Sign::good("root", "you are root already");
    }
    let runs = |arguments: &[&str]| {
        let mut command = Command::new("sudo");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().map(|status| status.success())
    };
    match (runs(&["-n", "true"]), runs(&["--version"])) {
        (Ok(true), _) => Sign::good("root", "sudo works, and asks for nothing"),
        (_, Ok(true)) => Sign::good("root", "there is sudo; a check will ask for your password"),
        _ => {
            let cure = "install sudo; or become root and work in a clone that is root's";
            Sign::bad("root", "there is no sudo, and only root may make containers", cure)
        }
    }
}

/// Tries it, if that takes no password: makes a sandbox and runs `true` in it.
fn namespaces(course: &Course) -> Sign {
    let is_free = geteuid().is_root()
        || Command::new("sudo")
            .args(["-n", "true"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
    if !is_free {
        return Sign::fair(
            "sandbox",
            "not tried, as sudo would ask for a password",
            "sudo true && cargo course doctor",
        );
    }
    let Ok(tool) = std::env::current_exe() else { return Sign::good("sandbox", "") };
    let mut command = root::command(course);
    command.arg(&tool).args(["sandbox", "--caller", &std::process::id().to_string()]);
    command.arg("--checkout").arg(&course.checkout).arg("--program").arg(&tool);
    command.args(["--", "true"]).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => {
            Sign::good("sandbox", "new namespaces can be made, and mounts in them")
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let found = said
                .lines()
                .last()
                .unwrap_or("it failed")
                .trim_start_matches("harness: ")
                .to_owned();
            Sign::bad("sandbox", found, "docker run --privileged …")
        }
        Err(error) => Sign::bad("sandbox", error.to_string(), "./scripts/setup"),
    }
}

fn cgroups() -> Sign {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let has = |kind: &str| mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind));
    match (has("cgroup2"), has("cgroup")) {
        (true, false) => Sign::good("cgroups", "version 2"),
        (true, true) => Sign::good("cgroups", "versions 1 and 2 together (hybrid)"),
        (false, true) => Sign::good("cgroups", "version 1, the old one"),
        (false, false) => {
            Sign::fair("cgroups", "none: a runaway program is stopped by its time limit alone", "")
        }
    }
}

fn busybox(course: &Course) -> Sign {
    match rootfs::busybox(course) {
        Ok(path) => Sign::good("busybox", format!("{}, static", path.display())),
        Err(_) => {
            Sign::bad("busybox", "no static busybox, and chapter 02 needs it", "./scripts/setup")
        }
    }
}

fn book(course: &Course) -> Sign {
    match dev::book::mdbook(&course.checkout) {
        Ok(path) => Sign::good("book", format!("mdBook is {}", path.display())),
        Err(_) => Sign::fair(
            "book",
            "no mdBook; the pages can be read as text in book/src",
            "./scripts/setup --book",
        ),
    }
}

/// What root left in the checkout: cargo and editors fail on it.
fn owners(course: &Course) -> Sign {
    let ours = fs::metadata(&course.checkout).map_or(0, |metadata| metadata.uid());
    let mut strangers = Vec::new();
    for folder in [".course", "chapters", "solutions", "scripts", "book", "rootfs", "target"] {
        collect_of_root(&course.checkout.join(folder), &mut strangers);
    }
    if ours == 0 && geteuid().is_root() || strangers.is_empty() {
        return Sign::good("files", "none in the checkout belongs to root by mistake");
    }
    let first = strangers[0].display();
    let found = match strangers.len() {
        1 => format!("a file in the checkout belongs to root: {first}"),
        many => format!("{many} files in the checkout belong to root, such as {first}"),
    };
    let who = nix::unistd::User::from_uid(Uid::current()).ok().flatten();
    let who = who.map_or(Uid::current().to_string(), |user| user.name);
    Sign::bad("files", found, format!("sudo chown -R {who}: {}", course.checkout.display()))
}

fn collect_of_root(path: &Path, found: &mut Vec<PathBuf>) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    if metadata.uid() == 0 {
        found.push(path.to_path_buf());
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            collect_of_root(&entry.path(), found);
        }
    }
}

fn room(course: &Course) -> Sign {
    let Ok(disk) = statvfs(&course.checkout) else { return Sign::good("disk", "") };
    let free = disk.blocks_available() * disk.fragment_size();
    let found = format!("{:.1} GiB are free", free as f64 / f64::from(1 << 30));
    match free < ROOM {
        true => {
            Sign::fair("disk", format!("only {found}; building takes about 1 GiB"), "cargo clean")
        }
        false => Sign::good("disk", found),
    }
}

/// A tool that is older than its source may judge by yesterday's rules.
fn age(course: &Course) -> Sign {
    let modified = |metadata: Metadata| metadata.modified().ok();
    let tool = std::env::current_exe().and_then(fs::metadata).ok().and_then(modified);
    let source = newest(&course.checkout.join("scripts/course/src"));
    let source = source.max(newest(&course.checkout.join("scripts/harness/src")));
    match (tool, source) {
        (Some(tool), Some(source)) if tool < source => {
            Sign::fair("cargo-course", "this tool is older than its source", "./scripts/setup")
        }
        _ => Sign::good("cargo-course", "as new as its source"),
    }
}

fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    entries
        .filter_map(|entry| match entry.file_type().ok()?.is_dir() {
            true => newest(&entry.path()),
            false => entry.metadata().ok()?.modified().ok(),
        })
        .max()
}
