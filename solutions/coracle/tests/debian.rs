//! A real distribution: Debian's smallest system, packed as an image.
//!
//! It is made once, by mmdebstrap(1), from Debian's servers, and kept in the build folder. The
//! sandboxes of the tests have no network, so it is made before them.

mod machine;

use harness::{Output, Test};
use machine::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(180);

static TESTS: &[Test] = &[
    Test { name: "apt_and_dpkg_work", function: apt_and_dpkg_work, time_limit: LIMIT },
    Test { name: "bash_works", function: bash_works, time_limit: LIMIT },
    Test {
        name: "owners_and_rights_are_kept",
        function: owners_and_rights_are_kept,
        time_limit: LIMIT,
    },
    Test { name: "a_setuid_program_works", function: a_setuid_program_works, time_limit: LIMIT },
    Test { name: "packages_can_be_removed", function: packages_can_be_removed, time_limit: LIMIT },
];

/// What `harness::kernel_tests!(…)` writes, and one thing before it.
fn main() -> ExitCode {
    let is_stage = std::env::args().nth(1).is_some_and(|argument| argument.starts_with("--"));
    if !is_stage && !layout_folder().join("index.json").exists() {
        make_image();
    }
    harness::main(TESTS)
}

/// `target/debian-minbase`, an image layout.
fn layout_folder() -> PathBuf {
    let test = std::env::current_exe().expect("/proc/self/exe names this test");
    // target/debug/deps/<test>-<hash>
    test.ancestors().nth(3).expect("a test lies in target/debug/deps").join("debian-minbase")
}

/// Leaves the layout, or the reason why there is none, in a file beside it.
fn make_image() {
    let (layout, excuse) = (layout_folder(), layout_folder().with_extension("excuse"));
    let owner = fs::metadata(layout.parent().expect("target/")).expect("target/");
    let tar = layout.with_extension("tar");
    let _ = fs::remove_file(&excuse);
    // A server may have a bad moment.
    let made = bootstrap(&tar).or_else(|_| bootstrap(&tar)).or_else(|_| bootstrap(&tar));
    if let Err(reason) = made {
        fs::write(&excuse, reason).expect("target/ can be written");
    } else {
        let new = layout.with_extension("new");
        let layer = fs::read(&tar).expect("it has just been made");
        layout::write(&new, "bookworm", &layer, &serde_json::json!({ "Cmd": ["bash"] }));
        fs::rename(&new, &layout).expect("target/ can be written");
    }
    let _ = fs::remove_file(&tar);
    // The tests run as root, the build folder belongs to whoever builds.
    let folders = [&layout, &layout.join("blobs"), &layout.join("blobs/sha256")];
    let files = folders.iter().flat_map(fs::read_dir).flatten().flatten().map(|file| file.path());
    for path in files.chain([layout.clone(), excuse]) {
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Makes the archive; in a mount and PID namespace of its own, because package scripts mount and
/// start what they like.
fn bootstrap(tar: &std::path::Path) -> Result<(), String> {
    eprintln!("making a Debian system, once, which takes a minute");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "mmdebstrap"]);
    command.args(["--mode=root", "--variant=minbase", "bookworm"]).arg(tar);
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr);
    match (output.status.success(), said.trim_end().lines().last()) {
        (true, _) => Ok(()),
        (false, last) => Err(last.unwrap_or("no word").to_owned()),
    }
}

fn debian(options: &[&str], command: &[&str]) -> Output {
    if let Ok(excuse) = fs::read_to_string(layout_folder().with_extension("excuse")) {
        harness::not_run(format!(
            "mmdebstrap made no Debian: {excuse}: apt-get install mmdebstrap, and a network"
        ));
    }
    let image = format!("oci:{}:bookworm", layout_folder().display());
    let mut coracle = coracle(&[&["run", "--rm"], options, &[&image], command].concat());
    harness::run_within(&mut coracle, LIMIT)
}

fn prints(options: &[&str], script: &str) -> String {
    let text = success(debian(options, &["bash", "-c", script]));
    assert_nothing_left();
    text
}

fn apt_and_dpkg_work() {
    assert!(success(debian(&[], &["apt-get", "--version"])).starts_with("apt 2."));
    let list = success(debian(&[], &["dpkg", "-l"]));
    assert!(list.lines().filter(|line| line.starts_with("ii ")).count() > 50, "{list}");
    assert!(list.contains("ii  base-files "), "{list}");
    assert_eq!(prints(&[], "dpkg --audit; dpkg --verify libc6; echo $?"), "0\n");
}

fn bash_works() {
    assert!(prints(&[], "echo $BASH_VERSION").starts_with("5.2"));
    assert_eq!(prints(&[], ". /etc/os-release; echo $VERSION_CODENAME"), "bookworm\n");
    assert_eq!(prints(&[], "cat <(echo a) <(echo b) | sort -r | tr '\\n' ' '"), "b a ");
}

fn owners_and_rights_are_kept() {
    let files = "/usr/bin/passwd /etc/shadow /tmp /usr/bin/chage /var/mail /etc/passwd";
    let seen = prints(&[], &format!("stat -c '%n %a %U:%G' {files}"));
    let expected = "/usr/bin/passwd 4755 root:root\n/etc/shadow 640 root:shadow\n\
        /tmp 1777 root:root\n/usr/bin/chage 2755 root:shadow\n/var/mail 2775 root:mail\n\
        /etc/passwd 644 root:root\n";
    assert_eq!(seen, expected);
    assert!(
        prints(&[], "stat -c %Y /etc/debian_version").trim().parse::<u64>().unwrap()
            > 1_600_000_000
    );
}

/// chage is setgid shadow, and may read for a user what the user may not read.
fn a_setuid_program_works() {
    let script = "id -u; cat /etc/shadow 2>&1 > /dev/null; chage -l www-data | head -1";
    let text = prints(&["-u", "www-data"], script);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "33");
    assert!(lines[1].contains("Permission denied"), "{text}");
    assert!(lines[2].starts_with("Last password change"), "{text}");
}

/// A package manager renames folders, links and replaces files across the layers.
fn packages_can_be_removed() {
    let script = "set -e; dpkg --force-all --purge gpgv > /tmp/log 2>&1 || cat /tmp/log
        ! ls /usr/bin/gpgv 2> /dev/null
        mv /etc/apt /etc/apt2; mv /etc/apt2 /etc/apt; mv /usr/share/doc /usr/share/doc2
        ls /usr/share/doc2/bash > /dev/null
        useradd -m sailor; su sailor -c 'id -un; pwd; cd; pwd'";
    let text = prints(&["-w", "/srv"], script);
    assert_eq!(text, "sailor\n/srv\n/home/sailor\n");
}
