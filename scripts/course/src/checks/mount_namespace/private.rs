//! `root_private`: how far the container's mounts are tied to the host's.

use super::place::{Place, Scene};
use super::view::{Inside, Line, Mounts};
use super::{because, finding};
use crate::checks::{Finding, Program};
use nix::mount::{MntFlags, umount2};
use std::path::Path;

const UNBINDABLE: &str =
    "An unbindable mount can't be bound, not even on itself: MS_PRIVATE is enough.";

/// No mount of the container's namespace is tied to one outside, and outside they still are.
pub fn is_private(place: &Place, scene: &Scene) -> Result<(), Finding> {
    host_is_still_shared(place, scene)?;
    let expected = "every mount in the container's namespace is private";
    let inside = scene.inside(expected)?;
    can_be_bound(inside)?;
    let Some(line) = tied(&inside.namespace) else {
        // A /proc that was mounted outside is a mistake of the next exercise, and judged there.
        let _ = umount2(&place.rootfs.join("proc"), MntFlags::MNT_DETACH);
        return Ok(());
    };
    let leaked = scene.outside.new_since(&place.before);
    let finding = match leaked.first() {
        Some(first) => {
            let seen = match leaked.len() {
                1 => format!("a new mount outside: {}", first.short()),
                more => format!("{more} new mounts outside; the first: {}", first.short()),
            };
            let why = "They stay there when the container is gone, and nobody unmounts them.";
            finding("the host's list of mounts stays as it was", seen, why)
        }
        None => {
            let seen = format!("in /proc/{}/mountinfo: {}", inside.pid, line.short());
            let why = "What is mounted in one copy appears in all that are tied to it.";
            finding(expected, seen, why)
        }
    };
    Err(diagnose(finding, inside))
}

/// The first mount that is tied to others.
fn tied(mounts: &Mounts) -> Option<&Line> {
    mounts.0.iter().find(|line| line.tie().is_some())
}

/// Private is enough; *unbindable* is more, and the next step binds the new root on itself.
fn can_be_bound(inside: &Inside) -> Result<(), Finding> {
    let Some(line) = inside.namespace.0.iter().find(|line| line.is_unbindable()) else {
        return Ok(());
    };
    let expected = "every mount in the container's namespace can still be bound";
    let seen = format!("in /proc/{}/mountinfo: {}", inside.pid, line.short());
    let finding = finding(expected, seen, "The new root must become a mount: a bind on itself.");
    Err(because(finding, "unbindable", UNBINDABLE))
}

/// Says why the bind of the new root was refused, if it was: the program has ended over it, so that
/// only going along with it shows the mounts.
pub fn explain(finding: Finding, program: &Program) -> Finding {
    let is_refused = finding.diagnosis.as_ref().is_some_and(|known| known.id == "refused");
    let can_not = |scene: &Scene| {
        let inside = scene.inside.as_ref();
        inside.is_some_and(|inside| can_be_bound(inside).is_err())
    };
    if is_refused && Place::prepare().has_moment(program, can_not) {
        let expected = "the mounts are private, and the new root can be bound on itself".into();
        return because(Finding { expected, ..finding }, "unbindable", UNBINDABLE);
    }
    if is_refused && finding.seen.contains("(os error 22)") {
        let text = "EINVAL: the target is no mount, or the flags make another call of it. \
            MS_PRIVATE and MS_REC stand alone, and the target is a place where a mount lies.";
        return because(finding, "another-call", text);
    }
    finding
}

fn host_is_still_shared(place: &Place, scene: &Scene) -> Result<(), Finding> {
    let was = |line: &&Line| place.before.0.iter().any(|old| old.mount.id == line.mount.id);
    let Some(cut) = scene.outside.0.iter().filter(was).find(|line| line.tie().is_none()) else {
        return Ok(());
    };
    let expected = "the host's own mounts stay shared";
    let seen = format!("outside, this one is not shared any more: {}", cut.short());
    let why = "What is mounted on the host no longer reaches its other namespaces.";
    let text = "Your program makes the host's mounts private, not the container's. \
        Make the call in the child, after the clone.";
    Err(because(finding(expected, seen, why), "in-parent", text))
}

/// Tells from the namespace how far the change reached.
fn diagnose(finding: Finding, inside: &Inside) -> Finding {
    if !inside.has_own("mnt") {
        let text = "Your child is in the host's mount namespace. Clone with CLONE_NEWNS.";
        return because(finding, "no-namespace", text);
    }
    let count = inside.namespace.0.iter().filter(|line| line.tie().is_some()).count();
    let Some(tie) = inside.namespace.at(Path::new("/")).and_then(Line::tie) else {
        let text = format!("/ is private, but {count} mounts below it are not: MS_REC is missing.");
        return because(finding, "not-recursive", text);
    };
    if tie.starts_with("master") {
        let text =
            format!("/ is {tie}, a slave: mounts made outside still come in. Use MS_PRIVATE.");
        return because(finding, "slave", text);
    }
    let text =
        format!("In the container / is still {tie}: nothing has cut it loose from the host's.");
    because(finding, "still-shared", text)
}
