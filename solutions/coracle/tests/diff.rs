//! `coracle diff`: what a container has changed.

mod machine;

use machine::*;

harness::kernel_tests!(
    lists_what_was_added_changed_and_deleted,
    shows_what_a_running_container_did,
    nothing_changed_is_nothing_said,
    an_unknown_container_is_an_error,
);

fn diff(container: &str) -> String {
    success(harness::run(&mut coracle(&["diff", container])))
}

fn lists_what_was_added_changed_and_deleted() {
    busybox();
    let script =
        "echo x > /etc/new; echo more >> /etc/passwd; rm /etc/group; rmdir /home/app /home";
    success(harness::run(&mut coracle(&["run", "--name", "kept", IMAGE, "sh", "-c", script])));
    let expected = "C /etc\nD /etc/group\nA /etc/new\nC /etc/passwd\nD /home\n";
    assert_eq!(diff("kept"), expected);
    success(harness::run(&mut coracle(&["rm", "kept"])));
}

fn shows_what_a_running_container_did() {
    busybox();
    let _container = Background::start(&["--name", "at-work"], "echo x > /tmp/x");
    // /shared is the folder on which the test's volume is mounted.
    assert_eq!(diff("at-work"), "A /shared\nC /tmp\nA /tmp/x\n");
}

fn nothing_changed_is_nothing_said() {
    busybox();
    success(harness::run(&mut coracle(&["run", "--name", "kept", IMAGE, "true"])));
    assert_eq!(diff("kept"), "");
    success(harness::run(&mut coracle(&["rm", "kept"])));
}

fn an_unknown_container_is_an_error() {
    let output = harness::run(&mut coracle(&["diff", "nobody"]));
    assert_refused(&output, &["there is no container nobody", "\nhint: "]);
}
