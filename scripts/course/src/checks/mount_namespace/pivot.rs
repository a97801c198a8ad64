//! `root_pivot`: whether any way leads back to the old root.

use super::place::{Place, Scene};
use super::standstill::Stand;
use super::view::{Inside, Line, mount_of, uncover};
use super::{because, finding};
use crate::checks::{Finding, Program};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder is the root, of the process and of its namespace, and nothing of the old one is left.
pub fn has_no_way_back(place: &Place, scene: &Scene) -> Result<(), Finding> {
    let expected = format!("{} is the root, and the command runs in it", place.rootfs.display());
    let inside = scene.inside(&expected)?;
    if !inside.has_root {
        let root = fs::read_link(format!("/proc/{}/root", inside.pid)).unwrap_or_default();
        let seen = format!("/proc/{}/root leads to {}", inside.pid, root.display());
        return Err(match scene.stand {
            Stand::Nowhere => {
                let seen = format!("the command had not started after 5 s; {seen}");
                finding(expected, seen, "Something in your code never ends.")
            }
            Stand::Message => finding(expected, seen, "The command never runs."),
            _ => finding(expected, seen, "The container sees and writes the host's files."),
        });
    }
    old_root_is_gone(place, inside)?;
    no_escape(place, inside)?;
    stands_inside(place, inside)
}

fn old_root_is_gone(place: &Place, inside: &Inside) -> Result<(), Finding> {
    let root = place.before.at(Path::new("/")).expect("the sandbox has a root");
    let is_old = |line: &&Line| {
        (&line.mount.device, &line.mount.root) == (&root.mount.device, &root.mount.root)
    };
    let Some(old) = inside.mounts.0.iter().find(is_old) else { return Ok(()) };
    let expected = "the old root is not mounted in the container any more";
    let seen = format!("/proc/{}/mountinfo still has it: {}", inside.pid, old.short());
    let why = "Whoever is root in the container can enter it there, with all the host's files.";
    let text = format!(
        "The roots are swapped, but the old one stays mounted on {}. Unmount it.",
        old.mount.point.display()
    );
    Err(because(finding(expected, seen, why), "old-root-stays", text))
}

fn no_escape(place: &Place, inside: &Inside) -> Result<(), Finding> {
    if inside.stolen.as_ref() != Some(&place.text) {
        return is_not_covered(place, inside);
    }
    let seen = format!(
        "the mount namespace of process {} begins at the host's root; entered there, {} says {}",
        inside.pid,
        place.secret.display(),
        place.text
    );
    let why =
        "Root in the container can do that: nsenter --mount --target 1. So can a second chroot.";
    let text = "The old root is still the root of the namespace, as after a chroot(2), \
        which moves the root of one process. Swap the roots with pivot_root(2).";
    Err(because(finding("no way leads out of the container", seen, why), "chroot", text))
}

/// The old root may lie below the new one, where no path leads to it and one unmount does.
fn is_not_covered(place: &Place, inside: &Inside) -> Result<(), Finding> {
    if uncover(inside.pid, &place.secret).as_ref() != Some(&place.text) {
        return Ok(());
    }
    let seen = format!(
        "the old root lies below the new one in the namespace of process {}; with / unmounted, {} \
         says {}",
        inside.pid,
        place.secret.display(),
        place.text
    );
    let why =
        "Root in the container can unmount what covers it, and enter the namespace once more.";
    let text = "The new root covers the old one, and the old one is still the root of the \
        namespace. pivot_root(2) lets them change places; then the old one can go.";
    let finding = finding("the old root is not mounted in the container any more", seen, why);
    Err(because(finding, "covered", text))
}

/// The working folder must be one that can be reached from the root, not one of the old tree: the
/// kernel keeps a tree that is unmounted for as long as somebody stands in it.
fn stands_inside(place: &Place, inside: &Inside) -> Result<(), Finding> {
    let cwd = PathBuf::from(format!("/proc/{}/cwd", inside.pid));
    let mount = mount_of(&cwd);
    if inside.mounts.0.iter().any(|line| Some(line.mount.id) == mount) {
        return Ok(());
    }
    let seen = match fs::read_to_string(cwd.join("secret")) {
        Ok(text) if text == place.text => format!(
            "it is still {} of the host; `cat secret` there says {text}",
            place.start.display()
        ),
        _ => format!("{} lies on no mount of the container", cwd.display()),
    };
    let why = "From there `..` leads through all of the host's files: no root stands in the way.";
    let text = "The old root is unmounted, but the process still stands in it. \
        Enter the new root with chdir before you unmount the old.";
    let finding = finding("the working folder lies in the new root", seen, why);
    Err(because(finding, "cwd-outside", text))
}

/// Is there a moment at which the process has the new root and still sees the old one?
fn is_ever_swapped(program: &Program) -> bool {
    let place = Place::prepare();
    place.has_moment(program, |scene| {
        let inside = scene.inside.as_ref();
        inside.is_some_and(|one| one.has_root && old_root_is_gone(&place, one).is_err())
    })
}

/// Says which of pivot_root's or umount's reasons it was: by what the program said, and by the
/// mounts of a second run, with `--chroot`, which gets past that place.
pub fn explain(finding: Finding, program: &Program) -> Finding {
    if finding.diagnosis.is_none() && finding.seen.contains("(os error 16)") {
        if !is_ever_swapped(program) {
            let text = "EBUSY: pivot_root itself says it. What you call the new root is on the \
                mount that is your process's root already: `.` is still outside, or a chroot came \
                first. Enter the new root with chdir, and swap without a chroot.";
            return because(finding, "root-already", text);
        }
        let text = "EBUSY: the old root is in use, by this very process. \
            MNT_DETACH takes it out of the tree now, and lets it go when the last user has left.";
        return because(finding, "busy", text);
    }
    if finding.diagnosis.is_some() || !finding.seen.contains("(os error 22)") {
        return finding;
    }
    let place = Place::prepare();
    let (_run, again) = place.run(program, &["--chroot"]);
    let Some(inside) = again.inside else { return finding };
    if inside.namespace.at(&place.rootfs).is_none() {
        let text = "EINVAL: the new root is a folder, not a mount. Bind it on itself (bind_root).";
        return because(finding, "root-not-a-mount", text);
    }
    let text = "EINVAL: the new root is a mount, but `.` is not it. Enter it with chdir first.";
    because(finding, "not-at-the-root", text)
}
