//! `changes` finds what happened, and says of it what `docker diff` would.

mod pile;

use harness::{random_name, run};
use overlay::{Fate, Upper};
use pile::{Pile, write};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    nothing_done_is_nothing_listed,
    each_kind_of_change_has_its_letter,
    a_changed_folder_is_listed_for_what_is_in_it,
    a_deleted_folder_is_one_line,
    a_folder_made_anew_lists_what_it_lost,
    a_renamed_folder_is_copied,
    hard_links_are_additions,
    what_came_and_went_is_not_listed,
    a_file_in_the_place_of_a_folder_is_one_change,
    capabilities_are_a_change,
    deep_trees_and_odd_names_are_found,
    what_a_lower_layer_deleted_is_new_when_it_comes_back,
    random_work_gives_what_a_comparison_of_all_files_gives => 300,
);

/// A layer to work on: `/srv` with files and folders.
fn workplace() -> Pile {
    let mut pile = Pile::new();
    let srv = pile.layer("layer").join("srv");
    for name in ["a", "b", "c", "folder/one", "folder/two", "folder/sub/three"] {
        write(srv.join(name), random_name(name));
    }
    symlink("a", srv.join("link")).unwrap();
    pile.new_folder("upper");
    pile
}

/// What is listed after the script, by the program's own option.
fn changes(pile: &Pile, script: &str) -> Vec<String> {
    let script = format!("set -e; cd /srv; {script}");
    let said = pile.says(&["--upper", "upper", "--changes"], &script);
    said.lines().map(str::to_owned).collect()
}

fn nothing_done_is_nothing_listed() {
    // Reading, writing to /proc and /dev, changing what is already so, opening without writing.
    let script = "cat a b >/dev/null; ls -R / >/dev/null; : >> a; chmod 644 b; touch -r c c";
    assert_eq!(changes(&workplace(), script), [""; 0]);
}

fn each_kind_of_change_has_its_letter() {
    for (script, letter) in [
        ("echo more >> a", "C /srv/a"),
        ("echo other > a", "C /srv/a"),
        ("chmod 600 a", "C /srv/a"),
        ("chown 7 a", "C /srv/a"),
        ("chgrp 7 a", "C /srv/a"),
        ("touch -d @1 a", "C /srv/a"),
        ("rm a; cp b a", "C /srv/a"),
        ("rm a", "D /srv/a"),
        ("echo > new", "A /srv/new"),
        ("mkdir new", "A /srv/new"),
        ("ln -s a new", "A /srv/new"),
        ("mkfifo new", "A /srv/new"),
        ("rm link; ln -s other link", "C /srv/link"),
        ("chmod 700 folder", "C /srv/folder"),
        ("chown 7 folder", "C /srv/folder"),
    ] {
        let listed = changes(&workplace(), script);
        assert!(listed.contains(&letter.to_owned()), "{script}: {listed:?}");
        assert_eq!(listed[0], "C /srv", "{script}: {listed:?}");
        assert_eq!(listed.len(), 2, "{script}: {listed:?}");
    }
}

fn a_changed_folder_is_listed_for_what_is_in_it() {
    let listed = changes(&workplace(), "echo x > folder/sub/three; echo > /etc/new");
    let expected = [
        "C /etc",
        "A /etc/new",
        "C /srv",
        "C /srv/folder",
        "C /srv/folder/sub",
        "C /srv/folder/sub/three",
    ];
    assert_eq!(listed, expected);
}

fn a_deleted_folder_is_one_line() {
    assert_eq!(changes(&workplace(), "rm -r folder"), ["C /srv", "D /srv/folder"]);
}

fn a_folder_made_anew_lists_what_it_lost() {
    let script = "rm -r folder; mkdir -p folder/sub; echo > folder/two; echo > folder/new";
    let expected = [
        "C /srv",
        "C /srv/folder",
        "A /srv/folder/new",
        "D /srv/folder/one",
        "C /srv/folder/sub",
        "D /srv/folder/sub/three",
        "C /srv/folder/two",
    ];
    assert_eq!(changes(&workplace(), script), expected);
    // And the other way to it: a folder from elsewhere takes the place.
    let script = "mkdir -p x/sub; rm -r folder; mv x folder";
    let expected = [
        "C /srv",
        "C /srv/folder",
        "D /srv/folder/one",
        "C /srv/folder/sub",
        "D /srv/folder/sub/three",
        "D /srv/folder/two",
    ];
    assert_eq!(changes(&workplace(), script), expected);
}

/// rename(2) of a folder of a lower layer says EXDEV, and mv(1) copies as between two disks.
fn a_renamed_folder_is_copied() {
    let expected = [
        "C /srv",
        "D /srv/folder",
        "A /srv/other",
        "A /srv/other/one",
        "A /srv/other/sub",
        "A /srv/other/sub/three",
        "A /srv/other/two",
    ];
    assert_eq!(changes(&workplace(), "mv folder other"), expected);
    assert_eq!(changes(&workplace(), "mv a new"), ["C /srv", "D /srv/a", "A /srv/new"]);
    let pile = workplace();
    let target = pile.new_folder("target");
    let upper =
        Upper { upper: pile.folder.join("upper"), work: pile.new_folder("work"), fate: Fate::Kept };
    overlay::mount(&pile.layers, Some(&upper), &target).unwrap();
    let renamed = fs::rename(target.join("srv/folder"), target.join("srv/other"));
    nix::mount::umount(&target).unwrap();
    assert_eq!(renamed.unwrap_err().kind(), std::io::ErrorKind::CrossesDevices);
}

fn hard_links_are_additions() {
    assert_eq!(changes(&workplace(), "ln a new"), ["C /srv", "A /srv/new"]);
    let both = ["C /srv", "A /srv/one", "A /srv/two"];
    assert_eq!(changes(&workplace(), "echo > one; ln one two"), both);
}

fn what_came_and_went_is_not_listed() {
    let pile = workplace();
    let second = run(Command::new("touch").args(["-d", "@5"]).arg(pile.layers[1].join("srv/a")));
    assert!(second.status.success()); // busybox's cp keeps no fractions of a second
    let script = "echo > new; rm new; mkdir d; rmdir d; cp -a a keep; rm a; mv keep a";
    assert_eq!(changes(&pile, script), [""; 0]);
    let pile = workplace();
    // A whiteout over nothing: its folder is a layer's no more.
    pile.says(&["--upper", "upper"], "rm /srv/a");
    fs::remove_file(pile.layers[1].join("srv/a")).unwrap();
    assert_eq!(changes(&pile, "true"), [""; 0]);
}

fn a_file_in_the_place_of_a_folder_is_one_change() {
    let expected = ["C /srv", "C /srv/folder"];
    assert_eq!(changes(&workplace(), "rm -r folder; echo > folder"), expected);
    let expected = ["C /srv", "C /srv/a", "A /srv/a/in"];
    assert_eq!(changes(&workplace(), "rm a; mkdir a; echo > a/in"), expected);
}

fn capabilities_are_a_change() {
    let pile = workplace();
    let target = pile.new_folder("target");
    let upper =
        Upper { upper: pile.folder.join("upper"), work: pile.new_folder("work"), fate: Fate::Kept };
    overlay::mount(&pile.layers, Some(&upper), &target).unwrap();
    // cap_net_raw=ep, version 2 of the format: capabilities(7), linux/capability.h
    let mut capability = [0; 20];
    capability[..5].copy_from_slice(&[1, 0, 0, 2, 0]);
    capability[5] = 1 << 5;
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(target.join("srv/a"), "security.capability", &capability, flags).unwrap();
    rustix::fs::setxattr(target.join("srv/b"), "trusted.note", b"x", flags).unwrap();
    nix::mount::umount(&target).unwrap();
    let listed = overlay::changes(&pile.layers, &upper.upper).unwrap();
    assert_eq!(listed.iter().map(ToString::to_string).collect::<Vec<_>>(), ["C /srv", "C /srv/a"]);
}

fn deep_trees_and_odd_names_are_found() {
    let pile = workplace();
    let deep = "d/".repeat(200);
    let listed = changes(&pile, &format!("mkdir -p {deep}; echo > {deep}file; echo > '  x '"));
    assert_eq!(listed.len(), 1 + 200 + 1 + 1);
    assert!(
        listed.contains(&format!("A /srv/{deep}file")) && listed.contains(&"A /srv/  x ".into())
    );
}

fn what_a_lower_layer_deleted_is_new_when_it_comes_back() {
    let mut pile = workplace();
    let top = pile.layer("top").join("srv");
    fs::create_dir(&top).unwrap();
    let folder = fs::File::open(&top).unwrap();
    overlay::whiteout(std::os::fd::AsFd::as_fd(&folder), ".wh.a".as_ref()).unwrap();
    assert_eq!(changes(&pile, "echo > a; rm b"), ["C /srv", "A /srv/a", "D /srv/b"]);
}

/// A few names, so that random work meets itself.
const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Work {
    Write(PathBuf, u8),
    Append(PathBuf),
    Open(PathBuf),
    MakeFolder(PathBuf),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    Symlink(PathBuf),
    Mode(PathBuf, u32),
    Owner(PathBuf, u32),
    Time(PathBuf, i64),
}

fn path() -> impl Strategy<Value = PathBuf> {
    prop::collection::vec(prop::sample::select(&NAMES[..]), 1..4)
        .prop_map(|names| names.into_iter().collect())
}

fn work() -> impl Strategy<Value = Work> {
    prop_oneof![
        3 => (path(), any::<u8>()).prop_map(|(path, byte)| Work::Write(path, byte)),
        1 => path().prop_map(Work::Append),
        1 => path().prop_map(Work::Open),
        3 => path().prop_map(Work::MakeFolder),
        3 => path().prop_map(Work::Remove),
        2 => (path(), path()).prop_map(|(from, to)| Work::Rename(from, to)),
        1 => (path(), path()).prop_map(|(from, to)| Work::Link(from, to)),
        1 => path().prop_map(Work::Symlink),
        1 => (path(), prop::sample::select(&[0o600, 0o755, 0o4711][..]))
            .prop_map(|(path, mode)| Work::Mode(path, mode)),
        1 => (path(), 0..3u32).prop_map(|(path, owner)| Work::Owner(path, owner)),
        1 => (path(), 0..3i64).prop_map(|(path, time)| Work::Time(path, time)),
    ]
}

/// Does it, or finds that it can't be done here; either is fine.
fn perform(root: &Path, work: &Work) {
    use std::os::unix::fs::{PermissionsExt, lchown};
    let at = |path: &PathBuf| root.join(path);
    let _ = match work {
        Work::Write(path, byte) => fs::write(at(path), vec![*byte; usize::from(*byte % 4)]),
        Work::Append(path) => {
            let file = fs::OpenOptions::new().append(true).open(at(path));
            file.and_then(|mut file| std::io::Write::write_all(&mut file, b"more"))
        }
        Work::Open(path) => fs::OpenOptions::new().append(true).open(at(path)).map(drop),
        Work::MakeFolder(path) => fs::create_dir(at(path)),
        Work::Remove(path) => match fs::symlink_metadata(at(path)) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(at(path)),
            _ => fs::remove_file(at(path)),
        },
        Work::Rename(from, to) => fs::rename(at(from), at(to)),
        Work::Link(from, to) => fs::hard_link(at(from), at(to)),
        Work::Symlink(path) => symlink("nowhere", at(path)),
        Work::Mode(path, mode) => match fs::symlink_metadata(at(path)) {
            Ok(found) if found.is_symlink() => Ok(()),
            _ => fs::set_permissions(at(path), fs::Permissions::from_mode(*mode)),
        },
        Work::Owner(path, owner) => lchown(at(path), Some(*owner), Some(*owner)),
        Work::Time(path, time) => {
            let time = rustix::fs::Timespec { tv_sec: *time, tv_nsec: 0 };
            let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
            let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(rustix::fs::CWD, at(path), &times, flags).map_err(Into::into)
        }
    };
}

/// What stat(2) says of a file, as far as `docker diff` looks at it.
type Known = (u32, u32, u32, Option<(u64, i64, i64)>);

fn snapshot(root: &Path) -> BTreeMap<PathBuf, Known> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let status = path.symlink_metadata().unwrap();
            let content = (status.size(), status.mtime(), status.mtime_nsec());
            let content = (!status.is_dir()).then_some(content);
            let name = Path::new("/").join(path.strip_prefix(root).unwrap());
            found.insert(name, (status.mode(), status.uid(), status.gid(), content));
            if status.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

/// The slow and obvious way: look at every file before and after.
fn compare(before: &BTreeMap<PathBuf, Known>, after: &BTreeMap<PathBuf, Known>) -> Vec<String> {
    let is_folder = |known: &Known| known.3.is_none();
    let mut found = BTreeMap::new();
    for (path, was) in before {
        let parent = path.parent().unwrap();
        let parent_stays = parent == Path::new("/") || after.get(parent).is_some_and(is_folder);
        match after.get(path) {
            None if parent_stays => drop(found.insert(path.clone(), 'D')),
            Some(now) if now != was => drop(found.insert(path.clone(), 'C')),
            _ => {}
        }
    }
    for path in after.keys().filter(|path| !before.contains_key(*path)) {
        found.insert(path.clone(), 'A');
    }
    for path in found.keys().cloned().collect::<Vec<_>>() {
        for folder in path.ancestors().skip(1).filter(|folder| folder.parent().is_some()) {
            found.entry(folder.to_owned()).or_insert('C');
        }
    }
    found.iter().map(|(path, letter)| format!("{letter} {}", path.display())).collect()
}

/// Makes two layers by random work, each on an overlay as an image is built, and then a container.
fn check(pile: &Pile, jobs: &[Vec<Work>; 3]) -> Result<(), TestCaseError> {
    let target = pile.new_folder("target");
    let mut layers = vec![pile.new_folder("lowest")];
    for path in ["a/a/a", "a/a/b", "a/b/a", "a/b/c", "b/a/b", "b/c/a", "c/a", "c/b/b"] {
        write(layers[0].join(path), path);
    }
    for (index, job) in jobs.iter().enumerate() {
        let name = random_name("layer");
        let upper = Upper {
            upper: pile.new_folder(&name),
            work: pile.new_folder("work"),
            fate: Fate::Kept,
        };
        overlay::mount(&layers, Some(&upper), &target).unwrap();
        let before = snapshot(&target);
        job.iter().for_each(|work| perform(&target, work));
        let expected = compare(&before, &snapshot(&target));
        nix::mount::umount(&target).unwrap();
        fs::remove_dir_all(&upper.work).unwrap();
        let listed = overlay::changes(&layers, &upper.upper).unwrap();
        let listed: Vec<String> = listed.iter().map(ToString::to_string).collect();
        prop_assert_eq!(listed, expected, "layer {}", index);
        layers.push(upper.upper);
    }
    layers.iter().for_each(|layer| fs::remove_dir_all(layer).unwrap());
    Ok(())
}

fn random_work_gives_what_a_comparison_of_all_files_gives() {
    let pile = Pile::new();
    let jobs = prop::array::uniform3(prop::collection::vec(work(), 0..60));
    let config = Config { cases: 1000, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&jobs, |jobs| check(&pile, &jobs)).unwrap();
}
