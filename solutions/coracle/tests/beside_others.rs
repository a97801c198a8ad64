//! What a container of ours is made of, fact by fact beside podman's and Docker's of the same image.
//!
//! Each of them runs the same script, which reads what the kernel tells inside: mounts and their
//! options, devices, capabilities, sysctls, environment. Then they are looked at from outside, with
//! chapter 00's eyes. What differs must be listed in known.rs with its reason, and what is
//! listed must differ.
//!
//! The others are unpacked into target/peers by scripts/bench/peer before the tests, as sandboxes
//! have no network.

mod known;
mod machine;

use harness::{Test, run, run_within};
use known::{DOCKER, Known, PODMAN, is_here};
use machine::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

static TESTS: &[Test] = &[
    Test { name: "is_confined_as_podmans", function: is_confined_as_podmans, time_limit: LIMIT },
    Test { name: "is_confined_as_dockers", function: is_confined_as_dockers, time_limit: LIMIT },
];

const LIMIT: Duration = Duration::from_secs(180);

/// What `harness::kernel_tests!(…)` writes, and one thing before it.
fn main() -> ExitCode {
    let is_stage = std::env::args().nth(1).is_some_and(|argument| argument.starts_with("--"));
    if !is_stage {
        for peer in ["podman", "runc", "dockerd"] {
            let script = checkout().join("scripts/bench/peer");
            let _ = Command::new(script).arg(peer).output(); // the test says so if it is not there
        }
    }
    harness::main(TESTS)
}

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the checkout").to_owned()
}

/// Prints one fact a line: its name, a tab, its value.
const PROBE: &str = r#"
fact() { printf '%s\t%s\n' "$1" "$2"; }
while read -r name value; do fact "status $name" "$value"; done <<END
$(grep -E '^(Umask|Groups|SigBlk|SigIgn|Cap...|NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status)
END
fact umask "$(umask)"
# The point, the file system, the options of the mount and of the file system.
sed 's/^[0-9]* [0-9]* [^ ]* [^ ]* \([^ ]*\) \([^ ]*\) .*- \([^ ]*\) [^ ]* \(.*\)$/mount \1\t\3 \2 \4/' /proc/self/mountinfo
find /dev -maxdepth 1 -mindepth 1 | while read -r file; do
  fact "device $file" "$(stat -c '%A %u:%g %t:%T' "$file") $(readlink "$file")"
done
env | sed 's/^\([^=]*\)=/variable \1\t/'
for file in oom_score_adj uid_map gid_map setgroups timens_offsets; do
  fact "self $file" "$(cat /proc/self/$file)"
done
for file in $(find /proc/sys/fs/mqueue /proc/sys/kernel/shm* /proc/sys/kernel/msg* /proc/sys/kernel/sem \
    /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range -type f); do
  fact "sysctl ${file#/proc/sys/}" "$(cat "$file")"
done
fact pwd "$PWD"
fact session "$(cut -d' ' -f6 /proc/self/stat)"
fact stdin "$(readlink /proc/self/fd/0)"
for file in /etc/hosts /etc/hostname /etc/resolv.conf /run /.dockerenv; do
  [ ! -e "$file" ] || fact "file $file" "$(stat -c '%A %u:%g' "$file")"
done
for path in /proc/sys/kernel/core_pattern /sys/kernel/profiling /proc/sysrq-trigger /sys/fs/cgroup/memory/memory.limit_in_bytes; do # harmless: opened, and nothing written
  if [ -w "$path" ] && { true >> "$path"; } 2> /dev/null; then fact "can open for writing $path" yes; else fact "can open for writing $path" no; fi
done
: > /shared/ready
exec sleep "$1"
"#;

type Facts = BTreeMap<String, String>;

fn facts(shared: &Path) -> Facts {
    let text = fs::read_to_string(shared.join("facts")).expect("the probe writes them");
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(name, value)| (name.to_owned(), plain(name, value))).collect()
}

/// A value without what differs between any two containers: names of folders, sizes of this machine.
fn plain(name: &str, value: &str) -> String {
    if let Some(point) = name.strip_prefix("mount ") {
        let mut words = value.splitn(3, ' ');
        let (kind, options, of_file_system) = (words.next(), words.next(), words.next());
        let ignored = [
            "lowerdir=",
            "upperdir=",
            "workdir=",
            "size=",
            "nr_inodes=",
            "uuid=",
            "fsync=",
            "inode64",
        ];
        let host_file = point == "/shared" || point.starts_with("/etc/");
        let all = options.unwrap_or_default().split(',').map(str::to_owned);
        let of_file_system = of_file_system.unwrap_or_default().split(',').filter(|option| {
            !host_file && !ignored.iter().any(|ignored| option.starts_with(ignored))
        });
        let all: BTreeSet<String> = all.chain(of_file_system.map(|o| format!("[{o}]"))).collect();
        let all = all.into_iter().collect::<Vec<_>>().join(" ");
        return if host_file { all } else { format!("{} {all}", kind.unwrap_or_default()) };
    }
    if name == "variable HOSTNAME" {
        return format!("{} letters", value.len());
    }
    value.trim().to_owned()
}

/// The command of a container: the probe, and then a sleep whose length tells whose it is.
fn probe(sleep: u32) -> [String; 3] {
    ["sh".into(), "-c".into(), format!("sh /shared/probe {sleep} > /shared/facts")]
}

/// The process that sleeps so long, as this sandbox numbers it: a peer may number it anew.
fn sleeper(sleep: u32) -> u32 {
    let wanted = format!("sleep\0{sleep}\0");
    let mut found = None;
    wait_for("the sleeping process", || {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        found = processes.map(|entry| entry.path()).find(|path| {
            fs::read_to_string(path.join("cmdline")).is_ok_and(|line| line.ends_with(&wanted))
        });
        found.is_some()
    });
    let path = found.expect("it has just been found");
    path.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number")
}

/// Folders that a container shares with this test; and how long it sleeps.
struct Place {
    shared: PathBuf,
    sleep: u32,
}

impl Place {
    fn new(name: &str, sleep: u32) -> Place {
        let shared = folder(name);
        fs::write(shared.join("probe"), PROBE).expect("a folder of our own");
        Place { shared, sleep }
    }

    fn volume(&self) -> String {
        format!("{}:/shared", self.shared.display())
    }
}

fn ours(place: &Place, options: &[&str]) -> Background {
    let mut command = coracle(&["run", "--rm", "--network=none", "-v", &place.volume()]);
    command.args(options).arg(IMAGE);
    command.args(probe(place.sleep));
    Background::start_command(command, place.shared.clone())
}

/// Where scripts/bench/peer has a program, and the libraries that go with it.
fn peer(name: &str) -> (PathBuf, String) {
    let output = run(Command::new(checkout().join("scripts/bench/peer")).arg(name)).stdout;
    let mut lines = output.lines().map(str::to_owned);
    match (lines.next(), lines.next()) {
        (Some(program), Some(libraries)) => (program.into(), libraries),
        _ => harness::not_run(format!("no {name} to compare with: install it")),
    }
}

/// Podman asks for more than some machines may give, and Go raises the number of files as far as it may.
const LIMITS: [&str; 2] = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"];

/// Podman, with a store, a runtime and a policy of its own.
struct Podman {
    program: PathBuf,
    libraries: String,
    folder: PathBuf,
}

impl Podman {
    fn new() -> Podman {
        let ((program, libraries), (runc, _)) = (peer("podman"), peer("runc"));
        let folder = folder("podman");
        let conmon = program.parent().expect("a folder").join("conmon");
        let text = format!(
            "[engine]\nconmon_path = [\"{}\"]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\n\
             events_logger = \"none\"\n[engine.runtimes]\nrunc = [\"{}\"]\n",
            conmon.display(),
            runc.display(),
        );
        fs::write(folder.join("containers.conf"), text).expect("a folder of our own");
        let policy = r#"{"default": [{"type": "insecureAcceptAnything"}]}"#;
        fs::write(folder.join("policy.json"), policy).expect("a folder of our own");
        Podman { program, libraries, folder }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(&self.program);
        command.env("LD_LIBRARY_PATH", &self.libraries);
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        for (option, name) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.folder.join(name));
        }
        command.args(["--storage-driver", "overlay"]).args(arguments);
        success(run_within(&mut command, LIMIT))
    }

    fn start(&self, place: &Place) {
        let policy = self.folder.join("policy.json");
        let image =
            self.run(&["pull", "-q", "--signature-policy", &policy.to_string_lossy(), IMAGE]);
        let options = [&["run", "-d", "--network=none"], &LIMITS[..]].concat();
        let [shell, flag, script] = probe(place.sleep);
        let command = ["-v", &place.volume(), image.trim(), &shell, &flag, &script];
        self.run(&[&options[..], &command[..]].concat());
        wait_for("podman's container", || place.shared.join("ready").exists());
    }

    /// Ends its container, its monitor, and removes the mount and the groups that it leaves.
    fn end(&self) {
        self.run(&["rm", "-f", "-a", "-t", "0"]);
        // Its monitor starts a podman that tidies up, which mounts what it tidies once more.
        let its_own = self.folder.join("");
        let its_own = its_own.as_os_str().as_bytes();
        wait_for("the end of podman's processes", || {
            let processes = fs::read_dir("/proc").expect("/proc").flatten();
            let mut lines = processes.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
            !lines.any(|line| line.windows(its_own.len()).any(|part| part == its_own))
        });
        let overlay = self.folder.join("root/overlay");
        wait_for("the end of podman's mount", || {
            let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
            let is_there = mounts.contains(&*overlay.to_string_lossy());
            if is_there {
                run(Command::new("umount").arg(&overlay)); // one of them; and look again
            }
            !is_there
        });
        let groups = || {
            let place = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", "*/libpod_parent*"];
            let found = run(Command::new("find").args(place));
            found.stdout.lines().map(PathBuf::from).collect::<Vec<_>>()
        };
        wait_for("the end of podman's groups", || {
            groups().iter().for_each(|group| drop(fs::remove_dir(group)));
            groups().is_empty()
        });
    }
}

fn is_confined_as_podmans() {
    let podman = Podman::new();
    busybox();
    let (here, there) = (Place::new("ours", 71_001), Place::new("podmans", 71_002));
    let container = ours(&here, &LIMITS);
    podman.start(&there);
    let differences = differences(&here, &there);
    podman.end();
    drop(container);
    judge(differences, PODMAN);
}

fn is_confined_as_dockers() {
    peer("dockerd");
    busybox();
    let (here, there) = (Place::new("ours", 72_001), Place::new("dockers", 72_002));
    let daemon = folder("docker");
    let archive = daemon.join("image.tar");
    let target = format!("docker-archive:{}:boat:latest", archive.display());
    let copy = ["--insecure-policy", "copy", "--quiet", IMAGE, &target];
    success(run(Command::new("skopeo").args(copy)));
    // The daemon ends with the script, which ends when we have seen enough.
    let script = format!(
        "touch {up}; docker load -q -i {} && docker run -d --network none {} -v {} boat \"$@\" && \
         until [ -e {done} ]; do sleep 0.1; done; docker rm -f $(docker ps -q)",
        archive.display(),
        LIMITS[0],
        there.volume(),
        up = daemon.join("ready").display(),
        done = there.shared.join("done").display(),
    );
    let mut command = Command::new(checkout().join("scripts/bench/dockerd"));
    command.arg(&daemon).args(["sh", "-c", &script, "sh"]).args(probe(there.sleep));
    let container = ours(&here, &LIMITS[..1]);
    let mut docker = Background::start_command(command, daemon.clone());
    wait_for("docker's container", || there.shared.join("ready").exists());
    let differences = differences(&here, &there);
    fs::write(there.shared.join("done"), "").expect("a folder of our own");
    assert!(docker.program.wait().expect("our child").success(), "docker");
    drop(container);
    judge(differences, DOCKER);
}

/// What differs: its name, ours, theirs.
type Differences = Vec<(String, String, String)>;

fn differences(here: &Place, there: &Place) -> Differences {
    let pids = [here, there].map(|place| sleeper(place.sleep));
    let (mut ours, mut theirs) = (facts(&here.shared), facts(&there.shared));
    from_outside(pids, &mut ours, &mut theirs);
    assert!(ours.len() > 50 && theirs.len() > 50, "too few facts: {ours:?} {theirs:?}");
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let differ = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
    let value =
        |facts: &Facts, name: &str| facts.get(name).map_or("nothing", |value| value).to_owned();
    differ.map(|name| (name.clone(), value(&ours, name), value(&theirs, name))).collect()
}

fn judge(differences: Differences, known: Known) {
    let is = |known: &str, name: &str| {
        known.strip_suffix('*').map_or(known == name, |start| name.starts_with(start))
    };
    let known: Vec<_> = known.iter().filter(|(name, _)| is_here(name)).collect();
    let mut unused: BTreeSet<&str> = known.iter().map(|(name, _)| *name).collect();
    let mut unknown = String::new();
    for (name, ours, theirs) in differences {
        match known.iter().find(|(known, _)| is(known, &name)) {
            Some((known, _)) => drop(unused.remove(known)),
            None => unknown += &format!("{name}\n  ours    {ours}\n  theirs  {theirs}\n"),
        }
    }
    assert!(unknown.is_empty(), "differences without a reason:\n{unknown}");
    assert!(unused.is_empty(), "reasons without a difference: {unused:?}");
}

/// Rows of xray that name what two containers never share; the facts from inside hold what counts.
const NAMES: [&str; 5] = ["pids", "hostname", "root", "cgroups", "usage"];

/// Which namespaces are their own, and what chapter 00 calls different.
fn from_outside(pids: [u32; 2], ours: &mut Facts, theirs: &mut Facts) {
    let report = |arguments: &[String]| -> Value {
        let output = success(run(coracle(&["xray", "--json"]).args(arguments)));
        serde_json::from_str(&output).expect("JSON")
    };
    for (pid, facts) in pids.into_iter().zip([&mut *ours, &mut *theirs]) {
        for (name, row) in report(&[pid.to_string()])["rows"].as_object().expect("rows") {
            if row["group"] == "namespaces" {
                facts.insert(format!("namespace {name}"), row["verdict"].to_string());
            }
        }
    }
    for (name, row) in report(&pids.map(|pid| pid.to_string()))["rows"].as_object().expect("rows") {
        let counts = row["group"] != "namespaces" && !NAMES.contains(&name.as_str());
        if counts && row["verdict"] == "different" {
            ours.insert(format!("xray {name}"), row["value"].to_string());
            theirs.insert(format!("xray {name}"), row["reference"].to_string());
        }
    }
}
