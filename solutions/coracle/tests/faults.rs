//! A disk that is full, folders that can't be written, records that are damaged: a clear error,
//! nothing left, and nothing removed that is not ours.

mod machine;

use harness::{Output, run};
use machine::*;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    an_image_that_does_not_fit_is_an_error_and_leaves_nothing,
    a_container_that_fills_the_disk_hears_of_it_itself,
    a_run_folder_that_cannot_be_written_is_an_error,
    a_read_only_disk_is_an_error,
    a_full_run_folder_is_an_error,
    a_damaged_record_is_listed_and_harms_nobody,
    a_record_of_another_container_is_not_believed,
    a_record_that_was_never_written_is_swept,
    foreign_files_in_our_folders_stay,
    a_layout_that_vanishes_is_no_loss_once_it_is_unpacked,
    a_layout_that_loses_a_blob_is_an_error,
    a_damaged_layer_is_an_error_and_leaves_nothing,
    no_proc_on_the_host_is_an_error,
    what_cannot_be_removed_is_listed_as_dead,
    a_tree_deeper_than_a_process_has_descriptors,
);

fn mount(arguments: &[&str]) {
    success(run(Command::new("mount").args(arguments)));
}

fn unmount(folder: &Path) {
    success(run(Command::new("umount").arg(folder)));
}

/// CORACLE_ROOT on a disk of 16 MiB.
fn small_disk() {
    let root = root_folder();
    mount(&["-t", "tmpfs", "-o", "size=16m", "small", root.to_str().unwrap()]);
}

fn an_image_that_does_not_fit_is_an_error_and_leaves_nothing() {
    busybox_changed(json!({}), |rootfs| {
        fs::write(rootfs.join("big"), vec![b'x'; 20 << 20]).unwrap();
    });
    small_disk();
    let output = run_rm(&[], &["true"]);
    assert_refused(&output, &["/run/lib/coracle", "\nhint: "]);
    // The list of images, which is empty, is two files at the top.
    let deep = ["-mindepth", "2", "-type", "f"];
    let left = run(Command::new("find").arg(root_folder()).args(deep)).stdout;
    assert_eq!(left, "", "of the layer nothing is left");
    unmount(&root_folder());
}

fn a_container_that_fills_the_disk_hears_of_it_itself() {
    busybox();
    small_disk();
    let output = run_rm(
        &[],
        &["sh", "-c", "dd if=/dev/zero of=/big bs=64k; echo $?; rm /big; echo x > /y && cat /y"],
    );
    assert!(output.stderr.contains("No space left on device"), "{output:?}");
    assert_eq!(success(output), "1\nx\n", "and goes on when there is room again");
    let output = run_rm(&[], &["sh", "-c", "dd if=/dev/zero of=/big bs=64k"]);
    assert_eq!(output.status.code(), Some(1), "the command's own: {output:?}");
    assert_nothing_left();
    unmount(&root_folder());
}

fn a_run_folder_that_cannot_be_written_is_an_error() {
    busybox();
    fs::write("/run/tmp/file", "").unwrap();
    for place in ["/proc/coracle", "/run/tmp/file/coracle", "/sys/coracle"] {
        let mut command = coracle(&["run", "--rm", IMAGE, "true"]);
        let output = run(command.env("CORACLE_RUN", place));
        assert_refused(&output, &[place, "\nhint: "]);
    }
    mount(&["-t", "tmpfs", "-o", "ro", "locked", run_folder().to_str().unwrap()]);
    let output = run_rm(&[], &["true"]);
    unmount(&run_folder());
    assert_refused(&output, &["/run/coracle", "Read-only file system"]);
}

fn a_read_only_disk_is_an_error() {
    busybox();
    fs::remove_dir(root_folder()).unwrap();
    let disk = root_folder().parent().unwrap().to_owned();
    mount(&["-t", "tmpfs", "-o", "ro", "locked", disk.to_str().unwrap()]);
    let output = run_rm(&[], &["true"]);
    unmount(&disk);
    assert_refused(&output, &["/run/lib/coracle", "Read-only file system", "\nhint: "]);
}

fn a_full_run_folder_is_an_error() {
    busybox();
    let place = run_folder();
    mount(&["-t", "tmpfs", "-o", "size=4k,nr_inodes=4", "full", place.to_str().unwrap()]);
    fs::write(place.join("ballast"), vec![0; 4096]).unwrap();
    let output = run_rm(&[], &["true"]);
    let left = fs::read_dir(&place).unwrap().count();
    unmount(&place);
    assert_refused(&output, &["/run/coracle", "No space left on device"]);
    assert_eq!(left, 1, "the ballast alone");
}

/// A container that has ended, and the path of its record.
fn ended() -> std::path::PathBuf {
    success(run(&mut coracle(&["run", "--name", "kept", IMAGE, "sh", "-c", "echo x > /precious"])));
    run_folder().join(state()["id"].as_str().unwrap()).join("state.json")
}

fn precious(record: &Path) -> String {
    let id = record.parent().unwrap().file_name().unwrap();
    let path = root_folder().join("containers").join(id).join("upper/precious");
    fs::read_to_string(path).unwrap_or_default()
}

fn list() -> String {
    success(run(&mut coracle(&["ps", "-a"])))
}

fn a_damaged_record_is_listed_and_harms_nobody() {
    busybox();
    let whole = {
        let record = ended();
        let text = fs::read(&record).unwrap();
        success(run(&mut coracle(&["rm", "kept"])));
        text
    };
    let half = &whole[..whole.len() / 2];
    for text in [half, b"", b"null", b"{}", b"\xff\xfe", &b"[".repeat(100_000)] {
        let record = ended();
        fs::write(&record, text).unwrap();
        let id = record.parent().unwrap().file_name().unwrap().to_str().unwrap()[..12].to_owned();
        assert!(
            list().lines().any(|line| line.contains(&id) && line.contains("dead")),
            "{}",
            list()
        );
        assert_eq!(says(&[], "echo $$"), "1\n", "the others go on");
        assert_eq!(precious(&record), "x\n", "nothing is thrown away unasked");
        success(run(&mut coracle(&["rm", &id])));
        assert_nothing_left();
    }
}

/// Believed, it would remove another container, or a folder of the host.
fn a_record_of_another_container_is_not_believed() {
    busybox();
    let victim = folder("victim");
    for id in ["../../../tmp/victim".to_owned(), "short".to_owned(), "0".repeat(64)] {
        let record = ended();
        let mut state = state();
        let own = state["id"].as_str().unwrap().to_owned();
        state["id"] = id.into();
        fs::write(&record, state.to_string()).unwrap();
        assert!(list().contains("dead"), "{}", list());
        assert!(!run(&mut coracle(&["rm", "kept"])).status.success());
        success(run(&mut coracle(&["rm", &own])));
        assert_nothing_left();
    }
    assert!(victim.is_dir());
}

/// Killed between its first two steps.
fn a_record_that_was_never_written_is_swept() {
    busybox();
    fs::create_dir_all(run_folder().join("f".repeat(64))).unwrap();
    assert_eq!(says(&[], "echo $$"), "1\n");
    assert_nothing_left();
}

fn foreign_files_in_our_folders_stay() {
    busybox();
    fs::create_dir_all(run_folder()).unwrap();
    fs::create_dir_all(root_folder().join("containers")).unwrap();
    let elsewhere = folder("elsewhere");
    fs::write(elsewhere.join("file"), "x").unwrap();
    let ours = [run_folder(), root_folder().join("containers"), root_folder()];
    let names = ["notes.txt", ".hidden", "lost+found", &"g".repeat(64), &"a".repeat(63)];
    for folder in &ours {
        names.iter().for_each(|name| fs::write(folder.join(name), "foreign").unwrap());
        fs::create_dir(folder.join("folder")).unwrap();
    }
    // What is named like a container of ours, and is none.
    std::os::unix::fs::symlink(&elsewhere, run_folder().join("b".repeat(64))).unwrap();
    fs::write(run_folder().join("c".repeat(64)), "foreign").unwrap();
    assert_eq!(says(&[], "echo $$"), "1\n");
    assert_eq!(list().lines().count(), 1, "the heading alone");
    for folder in &ours {
        for name in &names {
            assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), "foreign");
            fs::remove_file(folder.join(name)).unwrap();
        }
        fs::remove_dir(folder.join("folder")).unwrap();
    }
    assert_eq!(fs::read_to_string(elsewhere.join("file")).unwrap(), "x");
    fs::remove_file(run_folder().join("b".repeat(64))).unwrap();
    fs::remove_file(run_folder().join("c".repeat(64))).unwrap();
}

fn a_layout_that_vanishes_is_no_loss_once_it_is_unpacked() {
    busybox();
    let shared = folder("shared");
    let container = Background::start(&["-v", "/run/tmp/shared:/answers"], "");
    fs::remove_dir_all(scratch().join("busybox")).unwrap();
    let pid = container.first_process().to_string();
    let inside = ["-t", &pid, "-m", "-p", "sh", "-c", "cat /etc/passwd > /answers/passwd"];
    success(run(Command::new("nsenter").args(inside)));
    assert!(fs::read_to_string(shared.join("passwd")).unwrap().starts_with("root:"));
    let output = run_rm(&[], &["true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stderr.contains("/run/tmp/busybox"), "{output:?}");
}

/// The files of a layout from the largest, which is the layer.
fn blobs() -> Vec<std::path::PathBuf> {
    let folder = scratch().join("busybox/blobs/sha256");
    let mut blobs: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    blobs.sort_by_key(|blob| std::cmp::Reverse(fs::metadata(blob).unwrap().len()));
    blobs
}

fn a_layout_that_loses_a_blob_is_an_error() {
    for lost in 0..3 {
        busybox();
        let blob = blobs().remove(lost);
        fs::remove_file(&blob).unwrap();
        let digest = blob.file_name().unwrap().to_str().unwrap();
        assert_refused(&run_rm(&[], &["true"]), &[digest]);
        fs::remove_dir_all(scratch().join("busybox")).unwrap();
    }
}

fn a_damaged_layer_is_an_error_and_leaves_nothing() {
    busybox();
    let layer = blobs().remove(0);
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&layer, bytes).unwrap();
    let digest = layer.file_name().unwrap().to_str().unwrap();
    assert_refused(&run_rm(&[], &["true"]), &[digest]);
    assert_eq!(fs::read_dir(root_folder().join("layers/sha256")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(root_folder().join("unpacking")).unwrap().count(), 0);
}

fn without_proc(script: &str) -> Output {
    let whole = format!("mount -t tmpfs nothing /proc && {script}");
    let mut command = Command::new("unshare");
    run(command.args(["--mount", "--propagation", "private", "sh", "-c", &whole]))
}

fn no_proc_on_the_host_is_an_error() {
    busybox();
    let program = harness::bin("coracle");
    let output = without_proc(&format!("{} run --rm {IMAGE} true", program.display()));
    assert_refused(&output, &["/proc", "\nhint: "]);
    let output = without_proc(&format!("{} xray 1", program.display()));
    assert!(!output.status.success() && output.stderr.contains("/proc"), "{output:?}");
}

/// A mount that somebody made in there, as it could also be a file with `chattr +i`.
fn what_cannot_be_removed_is_listed_as_dead() {
    busybox();
    let record = ended();
    let id = record.parent().unwrap().file_name().unwrap();
    let upper = root_folder().join("containers").join(id).join("upper");
    mount(&["-t", "tmpfs", "foreign", upper.to_str().unwrap()]);
    let mut state = state();
    state["status"] = "running".into();
    state["remove"] = true.into();
    fs::write(&record, state.to_string()).unwrap();
    assert!(list().contains("dead"), "{}", list());
    let output = run(&mut coracle(&["run", "--rm", "--name", "other", IMAGE, "true"]));
    assert!(output.status.success(), "one container in the way of all others: {output:?}");
    unmount(&upper);
    assert_eq!(list().lines().count(), 1, "now it goes");
    assert_nothing_left();
}

/// A shell in a container makes it in a moment; whoever removes it by recursion fails at 1024.
fn a_tree_deeper_than_a_process_has_descriptors() {
    busybox();
    let script = "i=0; cd /tmp; while [ $i -lt 1500 ]; do mkdir d && cd d || exit 9; i=$((i+1)); done 2>/dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 256; exec \"$@\"", "sh"]).arg(harness::bin("coracle"));
    let output = run(command.args(["run", "--rm", IMAGE, "sh", "-c", script]));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_nothing_left();
}
