//! `coracle xray` of a container that runs.

mod machine;

use machine::*;
use serde_json::Value;

harness::kernel_tests!(
    shows_what_is_the_containers_own,
    names_the_layers_of_its_root,
    shows_a_table
);

fn report(pid: u32) -> Value {
    let text = success(harness::run(&mut coracle(&["xray", &pid.to_string(), "--json"])));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["rows"].get(name).unwrap_or_else(|| panic!("no row {name}: {report}"))
}

fn shows_what_is_the_containers_own() {
    busybox();
    let hostname = harness::random_name("boat");
    let container = Background::start(&["--hostname", &hostname], "");
    let report = report(container.first_process());
    for own in ["pid", "mnt", "uts", "ipc", "net", "cgroup", "hostname", "usage"] {
        assert_eq!(row(&report, own)["verdict"], "own", "{own}");
    }
    for host in ["user", "time"] {
        assert_eq!(row(&report, host)["verdict"], "host", "{host}");
    }
    assert!(row(&report, "hostname").to_string().contains(&hostname));
}

fn names_the_layers_of_its_root() {
    busybox();
    let container = Background::start(&[], "");
    let text = report(container.first_process()).to_string();
    let state = state();
    let upper =
        format!("{}/containers/{}/upper", root_folder().display(), state["id"].as_str().unwrap());
    assert!(text.contains(&upper), "no {upper} in {text}");
    let layers = root_folder().join("layers/sha256");
    let layer = std::fs::read_dir(layers).unwrap().next().unwrap().unwrap().path();
    assert!(text.contains(layer.to_str().unwrap()), "no {layer:?} in {text}");
}

fn shows_a_table() {
    busybox();
    let container = Background::start(&["--hostname", "boat"], "");
    let pid = container.first_process().to_string();
    let table = success(harness::run(&mut coracle(&["xray", &pid])));
    let line = table.lines().find(|line| line.contains("hostname")).expect("a row");
    assert!(line.contains("boat") && line.contains("own"), "{table}");
    let gone = harness::run(&mut coracle(&["xray", "999999"]));
    assert!(!gone.status.success() && gone.stderr.contains("999999"), "{gone:?}");
}
