//! What of the host a volume shows, and what it does not let through.

mod container;

use container::{command, folder, host, mounts, rootfs, says_with, scratch};
use harness::{Output, run};
use std::fs;
use std::path::{Path, PathBuf};

harness::kernel_tests!(
    shows_a_folder_and_writes_through,
    shows_a_file_over_a_file,
    makes_a_target_that_is_missing,
    brings_along_what_is_mounted_below,
    bind_leaves_behind_what_is_mounted_below,
    read_only_refuses_writes,
    read_only_reaches_what_is_mounted_below,
    read_only_bind_refuses_writes,
    read_only_leaves_the_source_writable,
    read_only_keeps_the_flags_of_the_source,
    read_only_means_the_place_that_was_mounted,
    later_volumes_lie_in_earlier_ones,
    a_source_may_be_a_link_or_a_socket,
    explains_a_source_that_is_missing,
    explains_a_folder_over_a_file,
);

/// A folder of the host with a file in it.
fn source() -> PathBuf {
    let source = folder("source");
    fs::write(source.join("file"), "of the host\n").expect("ours");
    source
}

/// `-v SOURCE:REST`
fn volume(source: &Path, rest: &str) -> String {
    format!("--volume={}:{rest}", source.display())
}

/// [`source`] with a tmpfs mounted at `below`, which holds `deep`.
struct WithMountBelow(PathBuf);

impl WithMountBelow {
    fn new() -> WithMountBelow {
        let source = source();
        fs::create_dir(source.join("below")).expect("ours");
        host("mount", &["-t", "tmpfs", "below", &source.join("below").to_string_lossy()]);
        fs::write(source.join("below/deep"), "deep\n").expect("ours");
        WithMountBelow(source)
    }
}

impl Drop for WithMountBelow {
    fn drop(&mut self) {
        host("umount", &[&self.0.join("below").to_string_lossy()]);
    }
}

fn assert_read_only(output: &Output) {
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
}

fn sh_with(rootfs: &Path, option: &str, script: &str) -> Output {
    run(&mut command(rootfs, &[option, "sh", "-c", script]))
}

fn shows_a_folder_and_writes_through() {
    let (root, source) = (rootfs(), source());
    let said =
        says_with(&root, &[&volume(&source, "/mnt")], "cat /mnt/file; echo back > /mnt/answer");
    assert_eq!(said, "of the host\n");
    assert_eq!(fs::read_to_string(source.join("answer")).expect("written"), "back\n");
    assert_eq!(
        fs::read_dir(root.join("mnt")).expect("made").count(),
        0,
        "nothing in the rootfs itself"
    );
}

fn shows_a_file_over_a_file() {
    let (root, source) = (rootfs(), source());
    let option = volume(&source.join("file"), "/etc/passwd");
    assert_eq!(says_with(&root, &[&option], "cat /etc/passwd"), "of the host\n");
    let passwd = fs::read_to_string(root.join("etc/passwd")).expect("it is there");
    assert!(passwd.starts_with("root:"), "untouched: {passwd}");
}

fn makes_a_target_that_is_missing() {
    let (root, source) = (rootfs(), source());
    let folder = volume(&source, "/new/folder");
    assert_eq!(says_with(&root, &[&folder], "cat /new/folder/file"), "of the host\n");
    let file = volume(&source.join("file"), "/other/new/file");
    assert_eq!(says_with(&root, &[&file], "cat /other/new/file"), "of the host\n");
    assert!(root.join("new/folder").is_dir() && root.join("other/new/file").is_file());
}

fn brings_along_what_is_mounted_below() {
    let (root, source) = (rootfs(), WithMountBelow::new());
    for options in ["", ":rbind", ":rw"] {
        let option = volume(&source.0, &format!("/mnt{options}"));
        assert_eq!(says_with(&root, &[&option], "cat /mnt/below/deep"), "deep\n", "{options}");
    }
}

fn bind_leaves_behind_what_is_mounted_below() {
    let (root, source) = (rootfs(), WithMountBelow::new());
    let option = volume(&source.0, "/mnt:bind");
    assert_eq!(says_with(&root, &[&option], "ls /mnt; ls -A /mnt/below"), "below\nfile\n");
}

fn read_only_refuses_writes() {
    let (root, source) = (rootfs(), source());
    let option = volume(&source, "/mnt:ro");
    assert_read_only(&sh_with(&root, &option, "cat /mnt/file; echo x > /mnt/file"));
    assert_read_only(&sh_with(&root, &option, "rm /mnt/file"));
    assert_read_only(&sh_with(
        &root,
        &volume(&source.join("file"), "/mnt/one:ro"),
        "echo x > /mnt/one",
    ));
    assert_eq!(fs::read_to_string(source.join("file")).expect("there"), "of the host\n");
}

fn read_only_reaches_what_is_mounted_below() {
    let (root, source) = (rootfs(), WithMountBelow::new());
    let option = volume(&source.0, "/mnt:ro");
    assert_eq!(says_with(&root, &[&option], "cat /mnt/below/deep"), "deep\n");
    assert_read_only(&sh_with(&root, &option, "echo x > /mnt/below/deep"));
}

fn read_only_bind_refuses_writes() {
    let (root, source) = (rootfs(), WithMountBelow::new());
    let option = volume(&source.0, "/mnt:ro,bind");
    assert_eq!(says_with(&root, &[&option], "ls -A /mnt/below"), "");
    assert_read_only(&sh_with(&root, &option, "echo x > /mnt/file"));
}

fn read_only_leaves_the_source_writable() {
    let (root, source) = (rootfs(), WithMountBelow::new());
    let running = container::Background::start(&root, &[&volume(&source.0, "/mnt:ro")], "");
    fs::write(source.0.join("file"), "changed").expect("the host may write");
    fs::write(source.0.join("below/deep"), "changed").expect("the host may write");
    drop(running);
}

/// A remount replaces all flags: one that is forgotten would let a setuid program through.
fn read_only_keeps_the_flags_of_the_source() {
    let (root, source) = (rootfs(), folder("strict"));
    let place = source.to_string_lossy().into_owned();
    for flags in ["nosuid,nodev,noexec,noatime,nodiratime", "nosuid,relatime", "nodev,strictatime"]
    {
        host("mount", &["-t", "tmpfs", "-o", flags, "strict", &place]);
        let options = |text: &str, point: &str| {
            let mount = mounts(text).into_iter().find(|mount| mount.point == point);
            let options = mount.expect("mounted").options;
            options.into_iter().filter(|flag| flag != "rw" && flag != "ro").collect::<Vec<_>>()
        };
        let outside = options(&fs::read_to_string("/proc/self/mountinfo").expect("/proc"), &place);
        for kind in ["ro", "ro,bind"] {
            let option = volume(&source, &format!("/mnt:{kind}"));
            let said = says_with(&root, &[&option], "cat /proc/self/mountinfo");
            assert!(said.contains(" /mnt ro,"), "{said}");
            assert_eq!(options(&said, "/mnt"), outside, "{flags} {kind}");
        }
        host("umount", &[&place]);
    }
}

/// `..` is resolved in the text of the target, each time: where a link stands before it, the kernel
/// would find another place.
fn read_only_means_the_place_that_was_mounted() {
    let (root, source) = (rootfs(), source());
    let other = folder("other");
    fs::create_dir_all(root.join("far/away")).expect("ours");
    std::os::unix::fs::symlink("/far/away", root.join("link")).expect("ours");
    let options = [volume(&other, "/far/mnt"), volume(&source, "/link/../mnt:ro")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let script = "touch /far/mnt/file && echo x > /mnt/file";
    let output = run(&mut command(&root, &[&options[..], &["sh", "-c", script]].concat()));
    assert_read_only(&output);
    assert!(other.join("file").exists(), "the other volume is writable");
}

fn later_volumes_lie_in_earlier_ones() {
    let (root, outer) = (rootfs(), source());
    let inner = folder("inner");
    fs::write(inner.join("deep"), "deep\n").expect("ours");
    let options = [volume(&outer, "/mnt"), volume(&inner, "/mnt/inner:ro")];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    assert_eq!(says_with(&root, &options, "cat /mnt/file /mnt/inner/deep"), "of the host\ndeep\n");
}

fn a_source_may_be_a_link_or_a_socket() {
    let (root, source) = (rootfs(), source());
    std::os::unix::fs::symlink(&source, scratch().join("link")).expect("ours");
    let link = volume(&scratch().join("link"), "/mnt:ro");
    assert_eq!(says_with(&root, &[&link], "cat /mnt/file"), "of the host\n");
    let _socket = std::os::unix::net::UnixListener::bind(scratch().join("socket")).expect("ours");
    let socket = volume(&scratch().join("socket"), "/run/socket:ro");
    assert_eq!(says_with(&root, &[&socket], "stat -c %F /run/socket"), "socket\n");
}

fn explains_a_source_that_is_missing() {
    let root = rootfs();
    let output = sh_with(&root, &volume(&scratch().join("nowhere"), "/mnt"), "true");
    assert_eq!(output.status.code(), Some(125));
    let nowhere = scratch().join("nowhere");
    let expected = format!(
        "mount-namespace: cannot use {} as a volume: No such file or directory (os error 2)\nhint: create it first\n",
        nowhere.display()
    );
    assert_eq!(output.stderr, expected);
    assert!(!nowhere.exists() && !root.join("mnt").exists());
}

fn explains_a_folder_over_a_file() {
    let (root, source) = (rootfs(), source());
    let output = sh_with(&root, &volume(&source, "/etc/passwd"), "true");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.contains("/etc/passwd"), "{output:?}");
    assert!(output.stderr.contains("hint: "), "{output:?}");
    let output = sh_with(&root, &volume(&source.join("file"), "/etc"), "true");
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.contains("/etc") && output.stderr.contains("hint: "), "{output:?}");
}
