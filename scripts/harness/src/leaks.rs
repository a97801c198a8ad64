//! Counts what a program left on the machine: the leak meter.
//!
//! Exact only in the sandbox, where nobody else makes mounts or processes. Each thing has an
//! identity that is not reused by accident: a process its PID and start time, a mount its ID.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What there was at one moment: identity, and the words to name it.
///
/// The words begin with the kind: `mount /x (tmpfs)`, `process 12 (sleep)`, `cgroup PATH`,
/// `link veth0`, `nft table …`, `namespace /run/netns/x`, `loop loop0 (/x)`,
/// `sysctl net.ipv4.ip_forward = 1`, `state /run/coracle/x`.
#[derive(Clone, Debug)]
pub struct Leaks(BTreeMap<String, String>);

impl Leaks {
    /// Counts what there is now.
    pub fn snapshot() -> Leaks {
        let mut found = BTreeMap::new();
        if read("/proc/self/mountinfo").is_empty() {
            add(&mut found, "blindness: /proc is gone".to_owned());
        }
        mounts(&mut found);
        processes(&mut found);
        folders_below(Path::new("/sys/fs/cgroup"), &mut found);
        links(&mut found);
        firewall_rules(&mut found);
        loop_devices(&mut found);
        sysctls(&mut found);
        entries("namespace", Path::new("/run/netns"), &mut found);
        state(&mut found);
        what_stays(&mut found);
        Leaks(found)
    }

    /// Names what `after` has and this does not.
    pub fn compare(&self, after: &Leaks) -> Vec<String> {
        let new = after.0.iter().filter(|(identity, _)| !self.0.contains_key(*identity));
        new.map(|(_, words)| words.clone()).collect()
    }

    /// Names what is there now and was not then. What is on its way out has two seconds to go, on a
    /// busy machine more: the kernel ends a killed process, its mounts and its network a little later.
    pub fn left_behind(&self) -> Vec<String> {
        self.left_behind_of(&[""])
    }

    /// [`Leaks::left_behind`], of some kinds alone: `["mount", "process"]`.
    pub fn left_behind_of(&self, kinds: &[&str]) -> Vec<String> {
        let (started, limit) = (Instant::now(), Duration::from_secs(2));
        loop {
            let mut left = self.compare(&Leaks::snapshot());
            left.retain(|thing| kinds.iter().any(|kind| thing.starts_with(kind)));
            if left.is_empty() || started.elapsed() > crate::patient(limit) {
                return left;
            }
            sleep(Duration::from_millis(5));
        }
    }
}

type Found = BTreeMap<String, String>;

fn add(found: &mut Found, words: String) {
    found.insert(words.clone(), words);
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn names_in(folder: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn entries(kind: &str, folder: &Path, found: &mut Found) {
    for name in names_in(folder) {
        add(found, format!("{kind} {}", folder.join(name).display()));
    }
}

fn mounts(found: &mut Found) {
    for line in read("/proc/self/mountinfo").lines() {
        let mut fields = line.split(' ');
        let (id, point) = (fields.next().unwrap_or_default(), fields.nth(3).unwrap_or_default());
        let kind =
            line.split(" - ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        found.insert(format!("mount {id} {point}"), format!("mount {point} ({kind})"));
    }
}

/// All processes but PID 1, ourselves and zombies, which wait for their parent and not for us.
fn processes(found: &mut Found) {
    for pid in
        names_in(Path::new("/proc")).filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let stat = read(format!("/proc/{pid}/stat")); // proc_pid_stat(5)
        let Some((start, rest)) = stat.rsplit_once(") ") else { continue };
        let fields: Vec<&str> = rest.split(' ').collect();
        let (Some(state), Some(start_time)) = (fields.first(), fields.get(19)) else { continue };
        if pid == "1" || pid == std::process::id().to_string() || matches!(*state, "Z" | "X") {
            continue;
        }
        let name = start.split_once('(').map_or("", |(_, name)| name);
        let arguments = read(format!("/proc/{pid}/cmdline")).replace('\0', " ");
        let words = format!("process {pid} ({name}: {})", arguments.trim_end());
        found.insert(format!("process {pid} {start_time}"), words);
    }
}

fn folders_below(folder: &Path, found: &mut Found) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add(found, format!("cgroup {}", entry.path().display()));
            folders_below(&entry.path(), found);
        }
    }
}

fn links(found: &mut Found) {
    for line in read("/proc/self/net/dev").lines().skip(2) {
        if let Some((name, _)) = line.split_once(':') {
            add(found, format!("link {}", name.trim()));
        }
    }
}

/// Each line of the rule set with the table it stands in; nothing where nft is not installed.
fn firewall_rules(found: &mut Found) {
    let listed = Command::new("nft").args(["list", "ruleset"]).stderr(Stdio::null()).output();
    let Ok(listed) = listed else { return };
    let mut table = String::new();
    for line in String::from_utf8_lossy(&listed.stdout).lines().filter(|line| line.trim() != "}") {
        if line.starts_with("table ") {
            table = line.trim_end_matches(" {").to_owned();
        }
        add(found, format!("nft {table}: {}", line.trim()));
    }
}

/// Loop devices are the machine's, and others make some at any time: ours are those whose file lies
/// where the sandbox alone can write.
fn loop_devices(found: &mut Found) {
    for name in names_in(Path::new("/sys/block")).filter(|name| name.starts_with("loop")) {
        let file = read(format!("/sys/block/{name}/loop/backing_file"));
        let file = Path::new(file.trim_end());
        if file.starts_with("/run") && file.exists() {
            add(found, format!("loop {name} ({})", file.display()));
        }
    }
}

fn sysctls(found: &mut Found) {
    let value = read("/proc/sys/net/ipv4/ip_forward");
    add(found, format!("sysctl net.ipv4.ip_forward = {}", value.trim_end()));
}

/// An element of a map, `tcp . 8080 : 10.63.0.2 . 80`, or of a set, `10.63.0.2 . 10.63.0.2`.
fn is_of_a_published_port(words: &str) -> bool {
    let words: Vec<&str> = words.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let is_ip = |word: &str| word.parse::<IpAddr>().is_ok();
    words.contains(&":") && !words.contains(&"type")
        || words.windows(3).any(|three| three[1] == "." && is_ip(three[0]) && is_ip(three[2]))
}

/// A network stays when its last container goes, as images do: its bridge, its table of filters
/// with no port in it, and that packets are passed on. It is written down what to remove.
fn what_stays(found: &mut Found) {
    let networks = Path::new("/run/coracle/networks");
    for name in names_in(networks).filter(|name| networks.join(name).is_dir()) {
        let record = read(networks.join(&name).join("network.json"));
        found.retain(|words, _| {
            words.strip_prefix("link ").is_none_or(|link| !record.contains(&format!("\"{link}\"")))
        });
        found.retain(|words, _| {
            !words.starts_with("nft table inet coracle:") || is_of_a_published_port(words)
        });
        entries("state", &networks.join(&name).join("leases"), found);
    }
    if read(networks.join(".machine.json")).contains("ip_forward") {
        found.retain(|words, _| !words.starts_with("sysctl net.ipv4.ip_forward"));
    }
    found.remove(&format!("state {}", networks.display()));
}

/// State of containers, and layers half unpacked. Images and layers are a store that is meant to
/// stay, and so is the file whose lock guards the list of containers.
fn state(found: &mut Found) {
    let folder = |variable, default| {
        std::env::var_os(variable).map_or(PathBuf::from(default), PathBuf::from)
    };
    let (run, root) =
        (folder("CORACLE_RUN", "/run/coracle"), folder("CORACLE_ROOT", "/var/lib/coracle"));
    entries("state", &run, found);
    found.remove(&format!("state {}", run.join("lock").display()));
    entries("state", &root.join("containers"), found);
    entries("state", &root.join("unpacking"), found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_published_ports_are_told_from_rules() {
        let of = |line: &str| is_of_a_published_port(&format!("nft table inet coracle: {line}"));
        for element in [
            "elements = { tcp . 8080 : 10.63.0.2 . 80 }",
            "elements = { 10.63.0.2 . 10.63.0.2,",
            "fd63::a3f:2 . fd63::a3f:2 }",
        ] {
            assert!(of(element), "{element}");
        }
        for rule in [
            "type inet_proto . inet_service : ipv4_addr . inet_service",
            "ip saddr . ip daddr @own_ip masquerade",
            "elements = { \"coracle0\" }",
        ] {
            assert!(!of(rule), "{rule}");
        }
    }
}
