//! `bind_ro`: who can write to a volume that was given with `ro`.

use super::place::{Place, Scene, Volume};
use super::view::{Inside, Line};
use super::{because, finding};
use crate::checks::{Finding, Program};
use std::fs;

/// The container can't write to the volume, the host can, and the mount has kept its flags.
pub fn is_read_only(place: &Place, scene: &Scene) -> Result<(), Finding> {
    let volume = place.volume.as_ref().expect("a place with a volume");
    host_can_write(volume, scene)?;
    let expected = format!("the volume is mounted read-only on /{}", volume.target);
    let inside = scene.inside(&expected)?;
    let Some(mounted) = inside.mounted_on(&volume.target) else {
        let point = inside.place(&volume.target);
        let seen = format!("nothing is mounted on {} in the container", point.display());
        return Err(finding(expected, seen, "The container does not see the folder at all."));
    };
    if !mounted.has("ro") {
        return Err(is_writable(inside, mounted, expected));
    }
    let source = place.before.at(&volume.source).expect("the volume was mounted before");
    has_kept_its_flags(mounted, source)
}

/// A remount replaces all flags: those that the mount had must be given again, and no others.
fn has_kept_its_flags(mounted: &Line, source: &Line) -> Result<(), Finding> {
    let (had, has) = (source.flags(), mounted.flags());
    let expected = format!("the mount keeps the flags that it had: {}", had.join(", "));
    if let Some(lost) = had.iter().find(|flag| !has.contains(flag)) {
        let seen = format!("{lost} is lost: {}", mounted.with_options());
        let why = "A set-user-ID program in that folder works again, which the host had forbidden.";
        let text = "A remount sets all flags anew, and yours names MS_RDONLY alone. \
            Add those of volume::flags_of.";
        return Err(because(finding(expected, seen, why), "flags-lost", text));
    }
    if let Some(invented) = has.iter().find(|flag| !had.contains(flag)) {
        let seen = format!("{invented} is new: {}", mounted.with_options());
        let why = "Flags that nobody asked for break things: noexec, and no program in it can run.";
        let text = "Your flags are those that many mounts have, not those of this one. \
            Ask it: volume::flags_of.";
        return Err(because(finding(expected, seen, why), "flags-invented", text));
    }
    Ok(())
}

fn host_can_write(volume: &Volume, scene: &Scene) -> Result<(), Finding> {
    let Some(line) = scene.outside.at(&volume.source) else {
        let seen = format!("outside, {} is not mounted any more", volume.source.display());
        return Err(finding("the host's mounts stay as they were", seen, "Others use them too."));
    };
    if fs::write(&volume.file, "of the host").is_ok() {
        return Ok(());
    }
    let seen = format!("it is read-only outside too: {}", line.short());
    let why = "The container has changed the host: whoever writes to that file system now fails.";
    let text = "Without MS_BIND a remount changes the file system itself, for everybody. \
        With MS_BIND it changes this one mount.";
    let finding = finding("the host can still write to the folder", seen, why);
    Err(because(finding, "whole-file-system", text))
}

fn is_writable(inside: &Inside, mounted: &Line, expected: String) -> Finding {
    let seen = format!("its options say rw: {}", mounted.with_options());
    let why = "The container can change files of the host that it was given to read.";
    let same_place = |line: &&Line| line.mount.point == mounted.mount.point;
    let finding = finding(expected, seen, why);
    match inside.mounts.0.iter().filter(same_place).count() {
        1 => because(
            finding,
            "never-remounted",
            "The bind is there, as writable as before. Remount it, at its own place, with MS_RDONLY.",
        ),
        _ => because(
            finding,
            "bound-twice",
            "Your call made a second bind on top of the first. \
             A bind ignores MS_RDONLY; only with MS_REMOUNT the flag counts.",
        ),
    }
}

/// If the remount has reached another mount, says which. With `--chroot` the old root's mounts stay
/// to be looked at.
pub fn explain(finding: Finding, program: &Program) -> Finding {
    let id = finding.diagnosis.as_ref().map(|known| known.id.as_str());
    if id == Some("refused") && finding.seen.contains("(os error 22)") {
        let text = "EINVAL: without MS_REMOUNT it is a new bind, and that wants a source. \
            A remount wants the place of a mount for its target.";
        return because(finding, "another-call", text);
    }
    if finding.diagnosis.as_ref().is_none_or(|known| known.id != "never-remounted") {
        return finding;
    }
    let place = Place::with_volume();
    let (_run, scene) = place.run(program, &["--chroot"]);
    let Some(hit) = scene.inside.as_ref().and_then(|inside| hit_instead(&place, inside)) else {
        return finding;
    };
    let seen = format!("{}; read-only became {hit}", finding.seen);
    let text = format!(
        "Your remount has reached {hit}. The target is the volume, \
         and through_descriptor names it."
    );
    because(Finding { seen, ..finding }, "wrong-target", text)
}

/// The mount that is read-only now and was mounted in another way before, or is the new root. Here
/// the host's / was read-only already, and it is the other flags that give it away.
fn hit_instead(place: &Place, inside: &Inside) -> Option<String> {
    let has_changed = |line: &Line| match place.before.at(&line.mount.point) {
        Some(old) => {
            old.mount.device == line.mount.device && old.mount.options != line.mount.options
        }
        None => line.mount.point == place.rootfs,
    };
    let hit = inside.namespace.0.iter().find(|line| line.has("ro") && has_changed(line))?;
    Some(match &hit.mount.point {
        root if *root == place.rootfs => format!("the new root, {}", root.display()),
        other => format!("{} of the old root", other.display()),
    })
}
