//! `root_proc`: whose processes the container's /proc lists.

use super::place::{Place, Scene};
use super::view::{Inside, Line, namespace};
use super::{because, finding};
use crate::checks::{Finding, Program};
use std::fs;
use std::path::PathBuf;

/// A proc file system of the container's own PID namespace is mounted in the new root, and only there.
pub fn is_own(program: &Program, place: &Place, scene: &Scene) -> Result<(), Finding> {
    let expected = "a proc file system is mounted at /proc of the new root";
    if let Some(leaked) = scene.outside.at(&place.rootfs.join("proc")) {
        let seen = format!("it is mounted outside: {}", leaked.short());
        let why = "A /proc shows the PID namespace of whoever mounts it, here the host's.";
        let text = "Your program mounts /proc before the clone, in the parent. \
            Mount it in the child, which is in the new PID namespace.";
        return Err(because(finding(expected, seen, why), "mounted-in-parent", text));
    }
    let inside = scene.inside(expected)?;
    let Some(proc) = inside.mounted_on("proc") else {
        return Err(no_proc(program, inside, expected));
    };
    shows_the_container(inside, proc)?;
    has_its_flags(inside, proc)
}

/// It may have been mounted on the host's /proc and be gone with the old root. A chroot keeps that.
fn no_proc(program: &Program, inside: &Inside, expected: &str) -> Finding {
    let why = "Without /proc there is no ps, and nobody can see what is mounted.";
    let second = Place::prepare();
    let (_run, again) = second.run(program, &["--chroot"]);
    let other = again.inside.as_ref().unwrap_or(inside);
    let host =
        |line: &Line| second.before.0.iter().any(|one| one.mount.device == line.mount.device);
    let is_new = |line: &&Line| line.mount.file_system == "proc" && !host(line);
    if let Some(elsewhere) = other.namespace.0.iter().find(is_new) {
        let seen = format!("it is mounted elsewhere: {}", elsewhere.short());
        let text = "The target is /proc of the old root. Mount below the new one, `root`.";
        return because(finding(expected, seen, why), "proc-elsewhere", text);
    }
    let point = inside.place("proc");
    let seen = format!("nothing is mounted on {} in the container", point.display());
    let text = "Your code mounts no proc file system: the folder is as empty as in the image.";
    because(finding(expected, seen, why), "no-proc", text)
}

fn shows_the_container(inside: &Inside, proc: &Line) -> Result<(), Finding> {
    let own = namespace(inside.pid, "pid").unwrap_or_default();
    let Some(shown) = namespace_of_its_first(inside) else {
        let seen = format!("what is mounted there lists no process: {}", proc.short());
        let why = "Programs look for themselves in /proc/self.";
        return Err(finding("/proc is a proc file system", seen, why));
    };
    if shown == own {
        return Ok(());
    }
    let expected = format!("/proc lists the container's processes, those of {}", own.display());
    let seen = format!("it lists those of {}: {}", shown.display(), proc.short());
    let why = "The container sees the host's processes: their arguments, environment and files.";
    let text = "Your container has the host's /proc: it was bound in. \
        Mount a new file system of the type proc; it shows the namespace of who mounts it.";
    Err(because(finding(expected, seen, why), "host-proc", text))
}

/// The PID namespace that the container's /proc lists: that of its process 1.
fn namespace_of_its_first(inside: &Inside) -> Option<PathBuf> {
    fs::read_link(inside.reach("proc/1/ns/pid")).ok()
}

fn has_its_flags(inside: &Inside, proc: &Line) -> Result<(), Finding> {
    if let Some(missing) = ["nosuid", "nodev", "noexec"].into_iter().find(|flag| !proc.has(flag)) {
        let expected = "/proc is mounted with nosuid, nodev and noexec";
        let seen = format!("{missing} is missing: {}", proc.with_options());
        let why = "Nothing in /proc is a program or a device, and the flags keep it so.";
        let text = format!("The flags of your mount lack MS_{}.", missing.to_uppercase());
        return Err(because(finding(expected, seen, why), "proc-flags", text));
    }
    if proc.has("ro") {
        let seen = format!("process {} can't write to it: {}", inside.pid, proc.with_options());
        let why = "Programs write to their own /proc/self: oom_score_adj, uid_map, comm.";
        let text = "MS_RDONLY is right for /sys. /proc is written to; `hide` protects the rest.";
        return Err(because(finding("/proc can be written to", seen, why), "proc-read-only", text));
    }
    Ok(())
}

/// An image decides what lies at its /proc. If that is a symbolic link, a right program refuses it
/// or resolves it inside the root; in no case may it lead the mount out.
pub fn stays_in_the_root(program: &Program) -> Result<(), Finding> {
    let (place, aside) = Place::with_linked_proc();
    let is_outside = |scene: &Scene| {
        let inside = scene.inside.as_ref();
        inside.is_some_and(|inside| inside.namespace.at(&aside).is_some())
    };
    if !place.has_moment(program, is_outside) {
        return Ok(());
    }
    place.tidy_up();
    let expected = "an image with a symbolic link for its /proc is refused";
    let seen = format!("the link leads to {}, and so /proc was mounted there", aside.display());
    let why = "That is a folder of the host: the image decides which one you mount on.";
    let text = "Your target is a path, and the kernel follows links in it, from the host's root. \
        `mount_point` opens the folder without following any.";
    Err(because(finding(expected, seen, why), "path-followed", text))
}
