//! Finds the trees of cgroups that are mounted here.

use anyhow::{Context, Result};
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use std::path::{Path, PathBuf};

/// Which version limits things on this machine, and where its trees are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchies {
    /// One tree.
    V2(Tree),
    /// A tree for each controller, or for a few of them.
    V1(Vec<Tree>),
}

/// A tree, of version 1 if it has controllers of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// The controllers: `["memory"]`, `["cpu", "cpuacct"]`.
    pub controllers: Vec<String>,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Which group is shown there: `/`, or in a container often one below it.
    pub root: PathBuf,
}

impl Tree {
    /// The folder of a group, named as in /proc/PID/cgroup.
    pub fn folder(&self, group: &str) -> PathBuf {
        let group = Path::new(group);
        let below = group.strip_prefix(&self.root).or_else(|_| group.strip_prefix("/"));
        self.mount_point.join(below.unwrap_or(group))
    }
}

/// The controllers of version 1 that have one of these in them are in charge of the machine. Some
/// systems of version 2 mount a small tree of version 1 for one thing, as net_cls for a VPN.
const IN_CHARGE: [&str; 3] = ["memory", "pids", "cpu"];

/// Reads what is mounted.
pub fn find() -> Result<Option<Hierarchies>> {
    let path = "/proc/self/mountinfo";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(parse(&text, is_cgroups))
}

/// A mount that another one covers is listed, too.
fn is_cgroups(mount_point: &Path) -> bool {
    let kinds = [CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC];
    statfs(mount_point).is_ok_and(|found| kinds.contains(&found.filesystem_type()))
}

/// Parses proc_pid_mountinfo(5). A tree that is mounted twice is taken where it comes first.
fn parse(mountinfo: &str, is_seen: impl Fn(&Path) -> bool) -> Option<Hierarchies> {
    let (mut v1, mut v2): (Vec<Tree>, Option<Tree>) = (Vec::new(), None);
    for line in mountinfo.lines() {
        let Some((mount, file_system)) = line.split_once(" - ") else { continue };
        let mut places = mount.split(' ').skip(3).map(PathBuf::from);
        let (root, mount_point) =
            (places.next().unwrap_or_default(), places.next().unwrap_or_default());
        if !file_system.starts_with("cgroup") || !is_seen(&mount_point) {
            continue;
        }
        let mut file_system = file_system.split(' ');
        match (file_system.next(), file_system.nth(1)) {
            (Some("cgroup2"), _) => {
                v2 = v2.or(Some(Tree { controllers: Vec::new(), mount_point, root }));
            }
            (Some("cgroup"), Some(options)) => {
                let controllers = controllers(options);
                if !controllers.is_empty() && v1.iter().all(|t| t.controllers != controllers) {
                    v1.push(Tree { controllers, mount_point, root });
                }
            }
            _ => {}
        }
    }
    let in_charge = |tree: &Tree| tree.controllers.iter().any(|one| IN_CHARGE.contains(&&**one));
    match v1.iter().any(in_charge) {
        true => Some(Hierarchies::V1(v1)),
        false => v2.map(Hierarchies::V2),
    }
}

/// The options of a tree are its controllers, and a few that say how it works.
fn controllers(options: &str) -> Vec<String> {
    let general = ["rw", "ro", "xattr", "clone_children", "cpuset_v2_mode", "noprefix", "none"];
    let names = options.split(',').filter(|one| !general.contains(one) && !one.contains('='));
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_trees_of_a_hybrid_machine() {
        let text = "1 2 0:3 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
            30 1 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            31 1 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
            32 1 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            33 1 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";
        let Some(Hierarchies::V1(trees)) = parse(text, |_| true) else {
            panic!("version 1 is in charge")
        };
        let controllers: Vec<_> = trees.iter().map(|tree| tree.controllers.join(",")).collect();
        assert_eq!(controllers, ["cpu,cpuacct", "memory"]);
    }

    #[test]
    fn a_mount_may_show_a_part_of_the_tree() {
        for root in ["/docker/abc", "/../.."] {
            let mounted = PathBuf::from("/sys/fs/cgroup");
            let tree = Tree { controllers: Vec::new(), mount_point: mounted, root: root.into() };
            assert_eq!(tree.folder(&format!("{root}/x")), Path::new("/sys/fs/cgroup/x"));
            assert_eq!(tree.folder(root), Path::new("/sys/fs/cgroup"));
        }
    }

    #[test]
    fn a_small_tree_of_version_1_is_not_in_charge() {
        let text = "30 1 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n\
            31 1 0:31 / /sys/fs/cgroup/net_cls rw - cgroup cgroup rw,net_cls\n";
        let Some(Hierarchies::V2(tree)) = parse(text, |_| true) else { panic!("version 2 is") };
        assert_eq!(tree.folder("/a/b"), Path::new("/sys/fs/cgroup/a/b"));
        assert_eq!(parse("", |_| true), None);
        assert_eq!(parse(text, |_| false), None, "covered");
    }
}
