//! Who the command runs as: the image's user or the flag's, found in the image's own files.

mod machine;

use machine::*;
use serde_json::json;
use std::fs;

harness::kernel_tests!(
    is_root_when_nobody_says_otherwise,
    is_the_images_or_the_flags,
    a_name_brings_its_groups,
    a_number_is_looked_up_too,
    a_group_that_is_given_is_the_only_one,
    an_unknown_name_is_an_error,
    an_image_without_a_list_of_users_knows_numbers,
    a_list_of_users_that_leads_out_of_the_image_is_not_followed,
    the_user_has_no_capabilities,
);

const WHO: &str = "echo $(id -u) $(id -g) $(id -G)";

fn is_root_when_nobody_says_otherwise() {
    busybox();
    assert_eq!(says(&[], WHO), "0 0 0\n");
    busybox_with(json!({ "User": "" }));
    assert_eq!(says(&[], WHO), "0 0 0\n");
}

fn is_the_images_or_the_flags() {
    busybox_with(json!({ "User": "app" }));
    assert_eq!(says(&[], WHO), "1000 1000 1000 2000\n");
    assert_eq!(says(&["-u", "root"], WHO), "0 0 0\n");
    assert_eq!(says(&["--user", "7"], WHO), "7 0 0\n");
    assert_eq!(says(&["--init"], WHO), "1000 1000 1000 2000\n");
}

fn a_name_brings_its_groups() {
    busybox();
    assert_eq!(says(&["-u", "app"], WHO), "1000 1000 1000 2000\n");
    assert_eq!(says(&["-u", "app"], "id -un; id -gn"), "app\napp\n");
}

fn a_number_is_looked_up_too() {
    busybox();
    assert_eq!(says(&["-u", "1000"], WHO), "1000 1000 1000 2000\n");
    assert_eq!(says(&["-u", "4711"], WHO), "4711 0 0\n");
}

fn a_group_that_is_given_is_the_only_one() {
    busybox();
    assert_eq!(says(&["-u", "app:crew"], WHO), "1000 2000 2000\n");
    assert_eq!(says(&["-u", "app:77"], WHO), "1000 77 77\n");
    assert_eq!(says(&["-u", "1000:0"], WHO), "1000 0 0\n");
    assert_eq!(says(&["-u", ":crew"], WHO), "0 2000 2000\n");
}

fn an_unknown_name_is_an_error() {
    busybox();
    for (user, word) in [
        ("nobody-here", "nobody-here"),
        ("app:no-group", "no-group"),
        ("-1", "-1"),
        ("4294967296", "4294967296"),
    ] {
        let output = run_rm(&[&format!("--user={user}")], &["true"]);
        assert_refused(&output, &[word, "\nhint: "]);
    }
    // -1 means "leave it as it is" to setuid(2), which would be root.
    assert_refused(&run_rm(&["-u", "4294967295"], &["true"]), &["user"]);
}

fn an_image_without_a_list_of_users_knows_numbers() {
    busybox_changed(json!({}), |rootfs| {
        fs::remove_file(rootfs.join("etc/passwd")).unwrap();
        fs::remove_file(rootfs.join("etc/group")).unwrap();
    });
    assert_eq!(says(&[], WHO), "0 0 0\n");
    assert_eq!(says(&["-u", "5:6"], WHO), "5 6 6\n");
    assert_refused(&run_rm(&["-u", "app"], &["true"]), &["app"]);
}

/// The files are read after the pivot, so an absolute link ends inside.
fn a_list_of_users_that_leads_out_of_the_image_is_not_followed() {
    let passwd = folder("outside").join("passwd");
    fs::write(&passwd, "evil:x:0:0::/:\n").unwrap();
    busybox_changed(json!({}), |rootfs| {
        fs::remove_file(rootfs.join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink(&passwd, rootfs.join("etc/passwd")).unwrap();
    });
    assert_refused(&run_rm(&["-u", "evil"], &["id"]), &["evil"]);
}

fn the_user_has_no_capabilities() {
    busybox();
    let text = says(&["-u", "app"], "grep -E 'Cap(Eff|Prm|Amb)' /proc/self/status");
    for line in text.lines() {
        assert!(line.ends_with("0000000000000000"), "{text}");
    }
    assert_eq!(text.lines().count(), 3);
}
