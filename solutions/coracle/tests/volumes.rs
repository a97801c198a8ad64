//! Volumes and a read-only root, through `coracle run`.

mod machine;

use machine::*;
use std::fs;

harness::kernel_tests!(
    a_folder_is_shared_both_ways,
    a_read_only_volume_cannot_be_written,
    a_file_can_be_a_volume,
    a_source_that_is_missing_is_an_error,
    the_root_can_be_read_only,
    what_is_written_elsewhere_stays_in_the_container,
);

fn a_folder_is_shared_both_ways() {
    busybox();
    let shared = folder("shared");
    fs::write(shared.join("from-host"), "hello\n").unwrap();
    let script = "cat /data/from-host; echo back > /data/from-container";
    assert_eq!(says(&["-v", "/run/tmp/shared:/data"], script), "hello\n");
    assert_eq!(fs::read_to_string(shared.join("from-container")).unwrap(), "back\n");
}

fn a_read_only_volume_cannot_be_written() {
    busybox();
    folder("shared");
    let output = run_rm(&["-v", "/run/tmp/shared:/data:ro"], &["sh", "-c", "echo x > /data/x"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    assert!(!scratch().join("shared/x").exists());
}

fn a_file_can_be_a_volume() {
    busybox();
    fs::write(scratch().join("file"), "one\n").unwrap();
    let text = says(&["-v", "/run/tmp/file:/etc/deep/er/file"], "cat /etc/deep/er/file");
    assert_eq!(text, "one\n");
}

fn a_source_that_is_missing_is_an_error() {
    busybox();
    let output = run_rm(&["-v", "/run/tmp/not-there:/data"], &["true"]);
    assert_refused(&output, &["/run/tmp/not-there", "No such file or directory", "\nhint: "]);
}

fn the_root_can_be_read_only() {
    busybox();
    folder("shared");
    let output = run_rm(&["--read-only"], &["sh", "-c", "echo x > /x"]);
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    let output = run_rm(&["--read-only"], &["mkdir", "/tmp/x"]);
    assert!(output.stderr.contains("Read-only file system"), "{output:?}");
    let script =
        "echo 1 > /data/x && echo 2 > /dev/shm/x && echo 3 > /dev/null && cat /data/x /dev/shm/x";
    assert_eq!(says(&["--read-only", "-v", "/run/tmp/shared:/data"], script), "1\n2\n");
    assert_nothing_left();
}

fn what_is_written_elsewhere_stays_in_the_container() {
    busybox();
    assert_eq!(
        says(&[], "echo x > /etc/passwd; rm -r /home; ls /home 2> /dev/null; cat /etc/passwd"),
        "x\n"
    );
    assert!(says(&[], "ls -d /home; cat /etc/passwd").starts_with("/home\nroot:x:0:0:"));
}
