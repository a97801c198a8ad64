//! The layers appear as one tree, and none of them is ever written to.

mod pile;

use harness::{Output, random_name, run};
use overlay::{Fate, Upper, whiteout};
use pile::{Pile, write};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    the_last_layer_wins,
    folders_are_merged,
    a_file_replaces_a_folder_and_a_folder_a_file,
    two_hundred_layers_work,
    five_hundred_layers_work_and_one_more_is_refused => 120,
    names_of_layers_may_hold_any_byte,
    relative_paths_are_layers_too,
    a_whiteout_covers_a_file_and_a_folder,
    an_opaque_folder_shows_only_its_own,
    a_layer_may_hide_all_below_it,
    a_marker_that_names_no_file_is_refused,
    notes_of_aufs_and_ordinary_names_are_left_alone,
    a_marker_beside_the_file_it_names_leaves_the_file,
    a_write_leaves_the_layers_as_they_were,
    a_redirect_in_a_layer_is_not_followed,
    devices_of_a_layer_are_dead,
    the_root_is_an_overlay_and_no_layer_is_in_sight,
    the_library_mounts_read_only_without_an_upper_layer,
    only_changes_that_are_kept_wait_for_the_disk,
);

fn the_last_layer_wins() {
    let mut pile = Pile::new();
    let contents = [(); 3].map(|()| random_name("content"));
    for (index, content) in contents.iter().enumerate() {
        let layer = pile.layer(format!("layer{index}"));
        write(layer.join("etc/which"), content);
        write(layer.join(format!("only-in-{index}")), content);
    }
    assert_eq!(pile.says(&[], "cat /etc/which"), contents[2]);
    assert_eq!(pile.says(&[], "cat /only-in-0 /only-in-1 /only-in-2"), contents.concat());
    pile.layers.reverse();
    assert_eq!(pile.says(&[], "cat /etc/which"), contents[0]);
}

fn folders_are_merged() {
    let mut pile = Pile::new();
    for name in ["a", "b"] {
        write(pile.layer(name).join("srv/deep/er").join(name), "");
    }
    assert_eq!(pile.says(&[], "ls /srv/deep/er"), "a\nb\n");
    // Rights and owner are those of the highest layer.
    fs::set_permissions(pile.layers[2].join("srv"), PermissionsExt::from_mode(0o710)).unwrap();
    assert_eq!(pile.says(&[], "stat -c %a /srv"), "710\n");
}

fn a_file_replaces_a_folder_and_a_folder_a_file() {
    let mut pile = Pile::new();
    write(pile.layer("folder").join("x/old"), "");
    write(pile.layer("file").join("x"), "a file");
    assert_eq!(pile.says(&[], "cat /x"), "a file");
    write(pile.layer("folder-again").join("x/new"), "");
    assert_eq!(pile.says(&[], "ls /x"), "new\n");
}

/// Layers in folders with long names, so that their paths take far more than one page.
fn high_pile(layers: usize) -> (Pile, String) {
    let mut pile = Pile::new();
    let mut last = String::new();
    for index in 1..layers {
        last = random_name(&format!("{index}-{}", "long".repeat(30)));
        let layer = pile.layer(format!("layer-{last}"));
        write(layer.join("which"), &last);
        write(layer.join("all").join(index.to_string()), "");
    }
    (pile, last)
}

fn two_hundred_layers_work() {
    let (pile, last) = high_pile(200);
    pile.new_folder("upper");
    for options in [&[][..], &["--upper", "upper"]] {
        assert_eq!(pile.says(options, "cat /which; ls /all | wc -l"), format!("{last}199\n"));
    }
}

fn five_hundred_layers_work_and_one_more_is_refused() {
    let (mut pile, last) = high_pile(500);
    pile.new_folder("upper");
    for options in [&[][..], &["--upper", "upper"]] {
        // A shell's usual limit of open files.
        let mut limited = Command::new("prlimit");
        let command = pile.command();
        limited.current_dir(&pile.folder).arg("--nofile=1024:1024").arg(command.get_program());
        limited.args(command.get_args()).args(options);
        let output = run(limited.args(["sh", "-c", "cat /which; ls /all | wc -l"]));
        assert_eq!(output.stdout, format!("{last}499\n"), "{output:?}");
    }
    pile.layer("one-more");
    let refused = pile.sh(&[], "true");
    assert_eq!(refused.status.code(), Some(125));
    assert!(refused.stderr.contains("hint: 501 layers are too many: 500 at most"), "{refused:?}");
}

fn names_of_layers_may_hold_any_byte() {
    for odd in [&b"a:b"[..], b"a,b", b"a\\b", b"a\\:b", b"a\nb", b"a b", b"\xff\xfe", b"a=b,c"] {
        let odd = OsStr::from_bytes(odd);
        let mut pile = Pile::new();
        let content = random_name("content");
        write(pile.layer(odd).join("which"), &content);
        assert_eq!(pile.says(&[], "cat /which"), content, "{odd:?}");
        let upper = pile.new_folder("upper").join(odd);
        fs::create_dir(&upper).unwrap();
        let mut command = pile.command();
        let output = run(command.arg("--upper").arg(&upper).args(["sh", "-c", "echo new > /new"]));
        assert!(output.status.success(), "{output:?}");
        assert_eq!(fs::read_to_string(upper.join("new")).unwrap(), "new\n", "{odd:?}");
    }
}

fn relative_paths_are_layers_too() {
    let mut pile = Pile::new();
    write(pile.layer("top").join("which"), "top");
    pile.new_folder("upper");
    pile.layers = vec!["base".into(), "./base/../top".into()];
    assert_eq!(pile.says(&["--upper", "./upper/../upper"], "cat /which; touch /new"), "top");
    assert!(pile.folder.join("upper/new").exists());
}

/// Puts a marker into a folder of a layer, as unpacking does.
fn mark(folder: &Path, marker: &str) -> anyhow::Result<bool> {
    fs::create_dir_all(folder).unwrap();
    whiteout(File::open(folder).unwrap().as_fd(), OsStr::new(marker))
}

fn a_whiteout_covers_a_file_and_a_folder() {
    let mut pile = Pile::new();
    let below = pile.layer("below");
    write(below.join("srv/file"), "");
    write(below.join("srv/folder/file"), "");
    write(below.join("srv/kept"), "");
    let above = pile.layer("above").join("srv");
    assert!(mark(&above, ".wh.file").unwrap());
    assert!(mark(&above, ".wh.folder").unwrap());
    assert!(mark(&above, ".wh.never-there").unwrap());
    assert_eq!(pile.says(&[], "ls -A /srv"), "kept\n");
    assert_eq!(pile.sh(&[], "stat /srv/file").status.code(), Some(1));
    write(pile.layer("anew").join("srv/folder/new"), "");
    assert_eq!(
        pile.says(&[], "ls -A /srv /srv/folder"),
        "/srv:\nfolder\nkept\n\n/srv/folder:\nnew\n"
    );
}

fn an_opaque_folder_shows_only_its_own() {
    let mut pile = Pile::new();
    write(pile.layer("below").join("srv/deep/old"), "");
    let above = pile.layer("above").join("srv");
    assert!(mark(&above, ".wh..wh..opq").unwrap());
    write(above.join("new"), "");
    assert_eq!(pile.says(&[], "ls -A /srv"), "new\n");
    write(pile.layer("top").join("srv/newer"), "");
    assert_eq!(pile.says(&[], "ls -A /srv"), "new\nnewer\n");
}

fn a_layer_may_hide_all_below_it() {
    let mut pile = Pile::new();
    write(pile.layer("below").join("old"), "");
    let again = pile.layer("again");
    harness::busybox_rootfs(&again);
    assert!(mark(&again, ".wh..wh..opq").unwrap());
    write(pile.layer("top").join("new"), "");
    assert_eq!(pile.says(&[], "ls -d /old /new 2>/dev/null || true"), "/new\n");
    let upper = pile.new_folder("upper");
    pile.says(&["--upper", "upper"], "touch /old");
    let changes = overlay::changes(&pile.layers, &upper).unwrap();
    assert_eq!(changes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["A /old"]);
}

fn a_marker_that_names_no_file_is_refused() {
    let mut pile = Pile::new();
    let layer = pile.layer("layer");
    for marker in [".wh.", ".wh..", ".wh..."] {
        let error = mark(&layer, marker).unwrap_err().to_string();
        assert!(error.contains("names no file"), "{marker}: {error}");
    }
    assert_eq!(fs::read_dir(&layer).unwrap().count(), 0);
    assert!(layer.join("..").is_dir());
}

fn notes_of_aufs_and_ordinary_names_are_left_alone() {
    let mut pile = Pile::new();
    let layer = pile.layer("layer");
    for note in [".wh..wh.aufs", ".wh..wh.orph", ".wh..wh.plnk"] {
        assert!(mark(&layer, note).unwrap(), "{note}");
    }
    for name in ["file", ".wh", ".who", "x.wh.y", ".Wh.x"] {
        assert!(!mark(&layer, name).unwrap(), "{name}");
    }
    assert_eq!(fs::read_dir(&layer).unwrap().count(), 0);
}

fn a_marker_beside_the_file_it_names_leaves_the_file() {
    let mut pile = Pile::new();
    write(pile.layer("below").join("file"), "below");
    let above = pile.layer("above");
    write(above.join("file"), "above");
    assert!(mark(&above, ".wh.file").unwrap());
    assert!(mark(&above, ".wh.file").unwrap(), "twice");
    assert_eq!(pile.says(&[], "cat /file"), "above");
    assert!(mark(&above, ".wh.gone").unwrap() && mark(&above, ".wh.gone").unwrap());
    assert!(fs::symlink_metadata(above.join("gone")).unwrap().file_type().is_char_device());
}

/// All that can be known of a tree without being told: path, kind, rights, owner, time, content.
fn tree(folder: &Path) -> BTreeMap<String, (u32, u32, i64, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let status = path.symlink_metadata().unwrap();
            let content = if status.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let known = (status.mode(), status.uid(), status.mtime(), status.mtime_nsec(), content);
            found.insert(path.display().to_string(), known);
            if status.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

fn a_write_leaves_the_layers_as_they_were() {
    let mut pile = Pile::new();
    let layer = pile.layer("layer");
    for name in ["appended", "rights", "removed", "renamed", "folder/removed", "linked", "owner"] {
        write(layer.join("srv").join(name), random_name("content").repeat(1000));
    }
    pile.new_folder("upper");
    let before = tree(&pile.layers[0]).into_iter().chain(tree(&layer)).collect::<Vec<_>>();
    let script = "cd /srv && echo more >> appended && chmod 600 rights && rm -r removed folder &&
        mv renamed elsewhere && ln linked link && chown 1:1 owner && rm /bin/true && touch -d @1 /bin";
    pile.says(&["--upper", "upper"], script);
    assert!(pile.folder.join("upper/srv/elsewhere").exists());
    pile.says(&[], script);
    let after = tree(&pile.layers[0]).into_iter().chain(tree(&layer)).collect::<Vec<_>>();
    assert!(before == after);
}

/// A folder of an image that says "my content is over there" would show one folder in two places.
fn a_redirect_in_a_layer_is_not_followed() {
    let mut pile = Pile::new();
    write(pile.layer("below").join("secret/file"), "");
    let folder = pile.layer("above").join("innocent");
    fs::create_dir(&folder).unwrap();
    let redirect = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&folder, "trusted.overlay.redirect", b"/secret", redirect).unwrap();
    let output = pile.sh(&[], "ls /innocent/file");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

fn devices_of_a_layer_are_dead() {
    let mut pile = Pile::new();
    let layer = pile.layer("layer");
    let made = run(Command::new("mknod").arg(layer.join("nothing")).args(["c", "1", "3"]));
    assert!(made.status.success(), "{made:?}");
    for options in [&[][..], &["--upper", "upper"]] {
        pile.new_folder("upper");
        let dead = pile.sh(options, "echo x > /nothing");
        assert!(dead.stderr.contains("Permission denied"), "{dead:?}");
        pile.says(options, "echo x > /dev/null");
        // The container's root may make one, and it is as dead.
        let dead = pile.sh(options, "mknod /tmp/mine c 1 3 && echo x > /tmp/mine");
        assert!(dead.stderr.contains("/tmp/mine: Permission denied"), "{dead:?}");
    }
}

fn the_root_is_an_overlay_and_no_layer_is_in_sight() {
    let mut pile = Pile::new();
    pile.layer("top");
    let mounts = pile.says(&[], "cat /proc/self/mountinfo");
    let points: Vec<(&str, &str)> = mounts
        .lines()
        .map(|line| (line.split(' ').nth(4).unwrap(), line.split(" - ").nth(1).unwrap()))
        .collect();
    assert!(points[0].0 == "/" && points[0].1.starts_with("overlay "), "{mounts}");
    assert_eq!(points.iter().filter(|(point, _)| *point == "/").count(), 1, "{mounts}");
    for (point, _) in &points[1..] {
        assert!(["/proc", "/sys", "/dev"].iter().any(|top| point.starts_with(top)), "{mounts}");
    }
}

fn assert_fails(output: &Output, status: i32, words: &str) {
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    assert!(output.stderr.contains(words), "{output:?}");
}

fn the_library_mounts_read_only_without_an_upper_layer() {
    let mut pile = Pile::new();
    write(pile.layer("top").join("which"), "top");
    let target = pile.new_folder("target");
    overlay::mount(&pile.layers, None, &target).unwrap();
    assert_eq!(fs::read_to_string(target.join("which")).unwrap(), "top");
    let refused = run(Command::new("touch").arg(target.join("new")));
    assert_fails(&refused, 1, "Read-only file system");
    nix::mount::umount(&target).unwrap();
    let alone = overlay::mount(&pile.layers[..1], None, &target).unwrap_err();
    assert!(alone.to_string().contains("hint: a single layer is no overlay"), "{alone:#}");
    let upper =
        Upper { upper: pile.new_folder("upper"), work: pile.new_folder("work"), fate: Fate::Kept };
    overlay::mount(&pile.layers[..1], Some(&upper), &target).unwrap();
    nix::mount::umount(&target).unwrap();
}

fn only_changes_that_are_kept_wait_for_the_disk() {
    let mut pile = Pile::new();
    pile.layer("only");
    let target = pile.new_folder("target");
    for (fate, expected) in [(Fate::Kept, false), (Fate::Discarded, true)] {
        let [upper, work] = ["upper", "work"].map(|name| pile.new_folder(random_name(name)));
        overlay::mount(&pile.layers, Some(&Upper { upper, work, fate }), &target).unwrap();
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mounted = mounts.lines().find(|line| line.contains(target.to_str().unwrap())).unwrap();
        // Newer kernels call it fsync=volatile.
        let words = ["volatile", "fsync=volatile"];
        let volatile = mounted.split([' ', ',']).any(|word| words.contains(&word));
        assert_eq!(volatile, expected, "{mounted}");
        nix::mount::umount(&target).unwrap();
    }
}
