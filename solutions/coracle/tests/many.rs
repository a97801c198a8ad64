//! Many containers at once.

mod machine;

use machine::*;
use std::collections::BTreeSet;
use std::process::{Child, Stdio};

harness::kernel_tests!(
    twenty_start_at_once_from_an_image_that_nobody_has_unpacked => 120,
    they_come_and_go_while_others_look => 120,
    what_one_writes_no_other_sees,
);

fn start(arguments: &[&str]) -> Child {
    let mut command = coracle(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn text_of(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn twenty_start_at_once_from_an_image_that_nobody_has_unpacked() {
    busybox();
    let script = "echo $$ $HOSTNAME; ls / | wc -l";
    let all: Vec<Child> =
        (0..20).map(|_| start(&["run", "--rm", IMAGE, "sh", "-c", script])).collect();
    let said: BTreeSet<String> = all.into_iter().map(text_of).collect();
    assert_eq!(said.len(), 20, "each has a name of its own");
    assert!(said.iter().all(|text| text.starts_with("1 ")), "{said:?}");
    assert_nothing_left();
    let layers = std::fs::read_dir(root_folder().join("layers/sha256")).unwrap().count();
    assert_eq!(layers, 1);
    assert_eq!(std::fs::read_dir(root_folder().join("unpacking")).unwrap().count(), 0);
}

/// Each start and each end sweeps or removes in the folders that all the others read.
fn they_come_and_go_while_others_look() {
    busybox();
    text_of(start(&["run", "--rm", IMAGE, "true"]));
    for round in 0..10 {
        let mut all: Vec<Child> = (0..8).map(|_| start(&["run", "--rm", IMAGE, "true"])).collect();
        all.push(start(&["run", "--name", &format!("kept{round}"), IMAGE, "sh", "-c", "exit 0"]));
        all.extend((0..4).map(|_| start(&["ps", "-a"])));
        all.into_iter().for_each(|child| drop(text_of(child)));
    }
    let left = text_of(start(&["ps", "-a"]));
    assert_eq!(left.matches("exited 0").count(), 10, "{left}");
    for round in 0..10 {
        text_of(start(&["rm", &format!("kept{round}")]));
    }
    assert_nothing_left();
}

fn what_one_writes_no_other_sees() {
    busybox();
    let _first = Background::start(&[], "echo mine > /tmp/secret; echo mine > /dev/shm/secret");
    let script = "ls /tmp/secret /dev/shm/secret 2>&1 | grep -c 'No such file'
        ps > /tmp/seen; wc -l < /tmp/seen"; // one after the other: a pipe's end may come late
    assert_eq!(says(&[], script), "2\n3\n", "no file, and sh, ps and a heading alone");
}
