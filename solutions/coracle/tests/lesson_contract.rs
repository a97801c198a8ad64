//! Holds the house to its word, by reading its sources: the lessons are what runs, each stands only
//! on earlier ones, and each is short enough to be read.
//!
//! It knows Rust no better than this: `rustfmt` ends an item that begins on an indented `fn` line
//! with a `}` of the same indentation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// Lessons that no engine calls, and why they are there all the same.
const NOT_CALLED: [(&str, &str, &str); 4] = [
    ("process", "unshare_and_exec", "the naive way; clone is the right one"),
    ("rootfs", "chroot", "the naive way; pivot_root is the right one"),
    ("rootfs", "bind_root", "for a folder that is a root; an image's root is a mount already"),
    ("overlay", "mount_with_memory", "the chapter's own program without --upper"),
];

/// The most lines of a lesson.
const LONGEST: usize = 200;

/// A crate below `solutions/`.
struct Crate {
    folder: PathBuf,
    /// The name by which code calls it: `process` for `01-pid-namespace`.
    name: String,
    /// `00` to `14`; `sys` stands below all of them, `coracle` above.
    number: u32,
}

fn solutions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("solutions/").to_owned()
}

fn crates() -> Vec<Crate> {
    let workspace = fs::read_to_string(solutions().join("../Cargo.toml")).expect("the workspace");
    let mut crates: Vec<Crate> = Vec::new();
    for line in workspace.lines() {
        // process  = { path = "solutions/01-pid-namespace", package = "pid-namespace" }
        let Some((name, rest)) = line.split_once("= { path = \"solutions/") else { continue };
        let folder = rest.split('"').next().expect("the path ends");
        let number = match folder {
            "sys" => 0,
            numbered => 1 + numbered[..2].parse::<u32>().expect("chapters are numbered"),
        };
        let (name, folder) = (name.trim().to_owned(), solutions().join(folder));
        crates.push(Crate { folder, name, number });
    }
    crates.push(Crate { folder: solutions().join("coracle"), name: "coracle".into(), number: 99 });
    let there = fs::read_dir(solutions()).expect("solutions/").flatten();
    let there = there.filter(|entry| entry.path().join("Cargo.toml").exists()).count();
    assert_eq!(crates.len(), there, "a crate below solutions/ is not in the workspace's list");
    crates
}

fn chapters() -> Vec<Crate> {
    crates().into_iter().filter(|one| (1..99).contains(&one.number)).collect()
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Code without its comments and the content of its strings, and without the unit tests at the end of its file.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source");
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().map(|line| bare(line.split("// ").next().unwrap_or_default()) + "\n").collect()
}

/// A line without what stands in quotes.
fn bare(line: &str) -> String {
    line.replace("\\\"", "").split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// A function of a library: the crate's name and its own.
type Function = (String, String);

/// Each function with its body; those of one name in one crate are taken together.
fn functions(one: &Crate) -> BTreeMap<Function, String> {
    let mut found: BTreeMap<Function, String> = BTreeMap::new();
    for path in sources(&one.folder.join("src")).iter().filter(|path| !path.ends_with("main.rs")) {
        let code = code(path);
        let lines: Vec<&str> = code.lines().collect();
        for (start, line) in lines.iter().enumerate() {
            let Some(name) = function_name(line) else { continue };
            let indentation = line.len() - line.trim_start().len();
            let end = format!("{}}}", " ".repeat(indentation));
            let body = lines[start + 1..].iter().take_while(|line| **line != end);
            let body: String = body.flat_map(|line| [line, "\n"]).collect();
            *found.entry((one.name.clone(), name.to_owned())).or_default() += &body;
        }
    }
    found
}

/// `start` of `pub fn start(`.
fn function_name(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("pub(crate) ").or(rest.strip_prefix("pub ")).unwrap_or(rest);
    let rest = rest.strip_prefix("fn ")?;
    Some(&rest[..rest.find(['(', '<'])?])
}

/// Does this code of crate `here` name the function? By its path, or bare: in its own crate, where
/// it has been imported, or as a method.
fn names(text: &str, here: &str, (home, name): &Function) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name.as_str()).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        if before.ends_with(is_word) || after.starts_with(is_word) {
            return false;
        }
        match before.strip_suffix("::") {
            // xray::command::run, engine::run, Terminal::prepare, Self::new
            Some(path) => {
                let start = path.rfind(|c: char| !is_word(c) && c != ':').map_or(0, |at| at + 1);
                let first = path[start..].split("::").next().unwrap_or_default();
                first == home || here == home || first.starts_with(char::is_uppercase)
            }
            None if before.ends_with('.') => after.starts_with('('),
            None => here == home,
        }
    })
}

/// Every function that a run of the engine can reach, with the one that leads to it.
fn reached() -> BTreeMap<Function, String> {
    let crates = crates();
    let all: BTreeMap<Function, String> = crates.iter().flat_map(functions).collect();
    // Who leads to it, its crate, and the code in which it is named.
    let mut work: VecDeque<(String, String, String)> = VecDeque::new();
    let roof = crates.last().expect("coracle");
    for path in sources(&roof.folder.join("src")) {
        work.push_back((roof.name.clone(), roof.name.clone(), code(&path)));
    }
    let mut reached = BTreeMap::new();
    while let Some((who, here, text)) = work.pop_front() {
        for (function, body) in &all {
            if !reached.contains_key(function) && names(&text, &here, function) {
                reached.insert(function.clone(), who.clone());
                let who = format!("{}::{}", function.0, function.1);
                work.push_back((who, function.0.clone(), body.clone()));
            }
        }
    }
    reached
}

#[test]
fn every_public_lesson_function_is_called_by_the_engine() {
    let reached = reached();
    let (mut missing, mut excused) = (Vec::new(), BTreeSet::new());
    let mut count = 0;
    for one in chapters() {
        let code = code(&one.folder.join("src/lib.rs"));
        for line in code.lines().filter(|line| line.starts_with("pub fn ")) {
            let name = function_name(line).expect("a function");
            let function = (one.name.clone(), name.to_owned());
            let excuse =
                NOT_CALLED.iter().find(|(home, known, _)| (*home, *known) == (&*one.name, name));
            count += 1;
            match (reached.get(&function), excuse) {
                (Some(who), None) => println!("{}::{name} is called by {who}", one.name),
                (None, Some((.., why))) => {
                    println!("{}::{name} is not called: {why}", one.name);
                    excused.insert(name.to_owned());
                }
                (Some(who), Some(_)) => {
                    missing.push(format!("{name} has an excuse, and a caller: {who}"))
                }
                (None, None) => missing.push(format!("{}::{name} has no caller", one.name)),
            }
        }
    }
    assert!(count > 20, "only {count} lessons were found: are the sources where they were?");
    assert!(missing.is_empty(), "{missing:#?}");
    assert_eq!(excused.len(), NOT_CALLED.len(), "an excuse for what is not there");
}

/// The search must be able to fail.
#[test]
fn a_function_that_nobody_calls_is_found_out() {
    let function = |name: &str| ("rootfs".to_owned(), name.to_owned());
    let text = "rootfs::pivot(root)?; names.iter().map(private); rootfs::bind_mount(); hide_all()";
    assert!(names(text, "engine", &function("pivot")));
    assert!(!names(text, "engine", &function("private")), "another crate's, by its bare name");
    assert!(names(text, "rootfs", &function("private")));
    assert!(!names(text, "rootfs", &function("bind")));
    assert!(!names(text, "rootfs", &function("hide")));
    assert!(!names("other::pivot()", "engine", &function("pivot")));
    let reached = reached();
    assert!(reached.contains_key(&function("pivot")));
    assert!(!reached.contains_key(&function("chroot")));
}

#[test]
fn every_lesson_is_short() {
    for one in chapters() {
        let path = one.folder.join("src/lib.rs");
        let lines = fs::read_to_string(&path).expect("a lesson").lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines, more than {LONGEST}", path.display());
    }
}

#[test]
fn no_crate_stands_on_a_later_one() {
    let crates = crates();
    for one in &crates {
        let manifest = fs::read_to_string(one.folder.join("Cargo.toml")).expect("a manifest");
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            let Some(other) = crates.iter().find(|other| other.name == name) else { continue };
            if section == "[dependencies]" {
                assert!(other.number < one.number, "{} depends on {}", one.name, other.name);
            }
        }
    }
}

#[test]
fn only_sys_is_unsafe() {
    for one in crates() {
        let manifest = fs::read_to_string(one.folder.join("Cargo.toml")).expect("a manifest");
        if one.name == "sys" {
            continue;
        }
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} has lints of its own",
            one.name
        );
        for path in sources(&one.folder) {
            let code = code(&path);
            for word in ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "allow(unsafe"] {
                assert!(!code.contains(word), "{word} in {}", path.display());
            }
        }
    }
}

#[test]
fn every_anchor_ends() {
    let mut count = 0;
    for path in crates().iter().flat_map(|one| sources(&one.folder)) {
        let text = fs::read_to_string(&path).expect("a source");
        let (mut open, mut known): (Vec<&str>, BTreeSet<&str>) = (Vec::new(), BTreeSet::new());
        for line in text.lines().filter_map(|line| line.trim().strip_prefix("// ANCHOR")) {
            // "_END: name", ": name" or ": todo_name: the task"
            let (end, rest) = line.split_once(": ").expect("an anchor has a name");
            let name = rest.split(": ").next().unwrap_or_default();
            let place = path.display();
            if end.is_empty() {
                assert!(known.insert(name), "the anchor {name} is twice in {place}");
                assert!(
                    name.starts_with("todo_") == rest.contains(": "),
                    "{name} in {place}: a hole has a task, a listing none"
                );
                open.push(name);
                count += 1;
            } else {
                assert_eq!(open.pop(), Some(name), "ANCHOR_END: {name} in {place}");
            }
        }
        assert!(open.is_empty(), "no ANCHOR_END of {open:?} in {}", path.display());
    }
    assert!(count > 20, "only {count} anchors were found: are the sources where they were?");
}
