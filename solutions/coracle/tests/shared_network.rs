//! `coracle run --network container:NAME`: what two containers share, and what becomes of it.

mod equipped;
mod far;
mod machine;
mod sailor;

use equipped::User;
use far::*;
use machine::*;

harness::kernel_tests!(
    a_container_may_share_anothers_network,
    what_a_shared_network_has_already_is_refused,
    who_shares_a_network_does_not_wait_for_what_was_put_in_a_files_place,
    an_ordinary_users_container_may_share_anothers_network,
);

fn a_container_may_share_anothers_network() {
    busybox();
    let name = harness::random_name("boat");
    let _first = Background::start(&["--name", "first", "--hostname", &name], SERVE);
    let options = ["--network", "container:first"];
    assert_eq!(says(&options, "timeout 20 wget -q -O - http://127.0.0.1/"), "hello\n");
    let said =
        says(&options, "hostname; cat /etc/hostname; echo $HOSTNAME; grep -c $HOSTNAME /etc/hosts");
    let names = format!("{name}\n").repeat(3);
    assert!(said.starts_with(&names) && !said.ends_with("\n0\n"), "{said}");
    let other = run_rm(&["--network", "container:nobody"], &["true"]);
    assert_eq!(other.status.code(), Some(125), "{other:?}");
}

fn what_a_shared_network_has_already_is_refused() {
    busybox();
    let first = Background::start(&["--name", "first"], "");
    for option in [
        &["-p", "8090:80"][..],
        &["-P"],
        &["--hostname", "skiff"],
        &["--dns", "192.0.2.53"],
        &["--dns-search", "x.example"],
        &["--add-host", "far:192.0.2.9"],
    ] {
        let output =
            run_rm(&[&["--network", "container:first"], option].concat(), &["echo", "ran"]);
        assert_eq!((output.status.code(), &*output.stdout), (Some(125), ""), "{output:?}");
        for words in ["conflicts with --network container:first", "\nhint: give --"] {
            assert!(output.stderr.contains(words), "no {words:?} in {}", output.stderr);
        }
    }
    drop(first);
    assert_nothing_left();
}

fn who_shares_a_network_does_not_wait_for_what_was_put_in_a_files_place() {
    busybox();
    let script = "umount /etc/hosts && rm -f /etc/hosts && mkfifo /etc/hosts";
    let _first = Background::start(&["--name", "first", "--cap-add", "SYS_ADMIN"], script);
    let output = run_rm(&["--network", "container:first"], &["echo", "ran"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    let error = &output.stderr;
    assert!(error.contains("hosts of the other container is no file\nhint: "), "{error}");
}

fn an_ordinary_users_container_may_share_anothers_network() {
    let user = User::with(&[]);
    let _first = user.background(&["--name", "first", "--hostname", "skiff"], SERVE);
    let options = ["--network", "container:first"];
    let said = user.says(&options, "timeout 20 wget -q -O - http://127.0.0.1/; hostname");
    assert_eq!(said, "hello\nskiff\n");
    let other = user.run(&["--network", "container:nobody"], "true");
    assert_eq!(other.status.code(), Some(125), "{other:?}");
    assert!(other.stderr.contains("there is no container nobody\nhint: "), "{other:?}");
}
