//! The program as it is called: arguments, output, exit status. Needs no root.

use serde_json::Value;
use std::io::Read;
use std::process::{Command, Output, Stdio};

fn xray(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xray")).args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_bad_pid_is_explained() {
    for bad in ["0", "-5", "abc", "", "1.5", "4194305", "99999999999999999999", "１"] {
        let output = xray(&[bad]);
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
        let error = stderr(&output);
        assert!(error.contains("a PID is a whole number from 1 to 4194304"), "{bad:?}: {error}");
    }
}

#[test]
fn a_pid_that_nobody_has_is_an_error() {
    let output = xray(&["4194304"]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.starts_with("xray: no process 4194304"), "{error}");
    assert_eq!(stdout(&output), "");
}

#[test]
fn without_a_pid_it_looks_at_its_caller() {
    let report: Value = serde_json::from_str(&stdout(&xray(&["--json"]))).unwrap();
    assert_eq!(report["process"]["pid"], std::process::id());
    assert_eq!(report["against"], "host");
}

#[test]
fn we_ourselves_are_on_the_host() {
    let me = std::process::id().to_string();
    let report: Value = serde_json::from_str(&stdout(&xray(&["--json", &me]))).unwrap();
    assert_eq!(report["format"], 1);
    for name in ["pid", "mnt", "uts", "ipc", "user", "net", "cgroup", "time", "pids", "root"] {
        assert_eq!(report["rows"][name]["verdict"], "host", "{name}");
        assert_eq!(report["rows"][name]["unknown"], Value::Null);
    }
    assert_eq!(report["hints"], serde_json::json!([]));
}

#[test]
fn json_keeps_the_order_of_the_table() {
    let me = std::process::id().to_string();
    let json = stdout(&xray(&["--json", &me]));
    let table = stdout(&xray(&[&me]));
    let in_table: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    let mut places = in_table.iter().map(|name| json.find(&format!("    \"{name}\": {{")).unwrap());
    assert!(in_table.len() > 20 && in_table.starts_with(&["pid", "mnt", "uts", "ipc"]));
    assert!(places.by_ref().is_sorted());
}

#[test]
fn help_describes_every_row_of_the_json() {
    let help = stdout(&xray(&["--help"]));
    let report: Value = serde_json::from_str(&stdout(&xray(&["--json"]))).unwrap();
    for name in report["rows"].as_object().unwrap().keys() {
        let is_namespace = report["rows"][name]["group"] == "namespaces";
        assert!(is_namespace || help.contains(name.as_str()), "{name} is not in --help");
    }
    for field in report.as_object().unwrap().keys() {
        assert!(help.contains(field.as_str()), "{field} is not in --help");
    }
}

#[test]
fn short_shows_the_namespaces_and_the_numbers() {
    let report: Value = serde_json::from_str(&stdout(&xray(&["--short", "--json"]))).unwrap();
    assert_eq!(report["rows"].as_object().unwrap().len(), 9);
}

#[test]
fn rows_can_be_chosen_and_a_wrong_one_is_answered_with_the_list() {
    let report: Value =
        serde_json::from_str(&stdout(&xray(&["--rows", "root,net", "--json"]))).unwrap();
    assert_eq!(report["rows"].as_object().unwrap().len(), 2);
    let output = xray(&["--rows", "net,nett"]);
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.contains("\"nett\"") && error.contains("hint: there are pid, mnt"), "{error}");
}

#[test]
fn the_table_fits_80_columns_and_is_plain_in_a_pipe() {
    let me = std::process::id().to_string();
    for arguments in [vec![me.as_str()], vec![me.as_str(), me.as_str()]] {
        let table = stdout(&xray(&arguments));
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(!table.contains('\x1b'));
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xray"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take()); // nobody reads
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(errors, "");
}
