//! What is left of a container on the host, and `coracle ps` and `coracle rm`.

mod machine;

use machine::*;
use std::fs;

harness::kernel_tests!(
    with_rm_nothing_is_left,
    without_rm_the_state_and_the_changes_stay,
    a_container_that_could_not_start_leaves_nothing,
    ps_shows_the_running_and_with_a_all,
    a_name_is_unique_until_its_container_is_removed,
    of_two_with_one_name_at_once_one_wins,
    rm_takes_a_name_an_id_or_its_beginning,
    rm_refuses_a_beginning_that_fits_two,
    rm_refuses_what_runs,
    the_state_names_the_process,
    ps_ends_well_when_nobody_reads_it,
    the_folders_may_be_named_from_here,
);

fn keep(name: &str, script: &str) -> harness::Output {
    harness::run(&mut coracle(&["run", "--name", name, IMAGE, "sh", "-c", script]))
}

fn rm(container: &str) -> harness::Output {
    harness::run(&mut coracle(&["rm", container]))
}

fn ps(options: &[&str]) -> String {
    success(harness::run(&mut coracle(&[&["ps"], options].concat())))
}

fn with_rm_nothing_is_left() {
    busybox();
    assert!(!run_folder().join("anything").exists());
    says(&["--name", "gone"], "mkdir -p /a/b; echo x > /a/b/c; chmod 0 /a; touch /etc/passwd");
    assert_nothing_left();
    run_rm(&[], &["sh", "-c", "exit 3"]);
    assert_nothing_left();
}

fn without_rm_the_state_and_the_changes_stay() {
    busybox();
    assert_eq!(keep("kept", "echo text > /etc/new; exit 42").status.code(), Some(42));
    let state = state();
    assert_eq!(state["status"], "exited");
    assert_eq!(state["exitCode"], 42);
    assert_eq!(state["name"], "kept");
    assert_eq!(state["image"], IMAGE);
    let upper = root_folder().join("containers").join(state["id"].as_str().unwrap()).join("upper");
    assert_eq!(fs::read_to_string(upper.join("etc/new")).unwrap(), "text\n");
    success(rm("kept"));
    assert_nothing_left();
}

fn a_container_that_could_not_start_leaves_nothing() {
    busybox();
    for options in [&["-v", "/not/there:/data"][..], &["-u", "nobody-here"], &["--hostname", "a b"]]
    {
        let arguments = [&["run"], options, &[IMAGE, "true"]].concat();
        assert_refused(&harness::run(&mut coracle(&arguments)), &[]);
    }
    let output = harness::run(&mut coracle(&["run", IMAGE, "no-such-command"]));
    assert_eq!(output.status.code(), Some(127));
    assert_nothing_left();
}

fn ps_shows_the_running_and_with_a_all() {
    busybox();
    assert_eq!(ps(&[]).lines().count(), 1, "the heading alone");
    let container = Background::start(&["--name", "at-work"], "");
    keep("done", "exit 5");
    let text = ps(&[]);
    let line = text.lines().find(|line| line.contains("at-work")).expect("it runs");
    assert!(line.contains(&format!("running {}", container.first_process())), "{line}");
    assert!(line.ends_with(IMAGE), "{line}");
    assert!(!text.contains("done"), "{text}");
    let text = ps(&["-a"]);
    assert!(text.contains("at-work") && text.contains("exited 5"), "{text}");
    let ids = ps(&["-aq"]);
    assert_eq!(ids.lines().count(), 2);
    assert!(ids.lines().all(|id| id.len() == 12 && text.contains(id)), "{ids}{text}");
    drop(container);
    success(rm("done"));
    assert_eq!(ps(&["-a"]).lines().count(), 1);
}

fn a_name_is_unique_until_its_container_is_removed() {
    busybox();
    success(keep("mine", "true"));
    let output = keep("mine", "true");
    assert_eq!(output.status.code(), Some(125));
    assert!(
        output.stderr.contains("mine is taken") && output.stderr.contains("hint: "),
        "{output:?}"
    );
    assert_eq!(containers().len(), 2, "one container, in two places");
    success(rm("mine"));
    success(keep("mine", "true"));
    success(rm("mine"));
}

fn of_two_with_one_name_at_once_one_wins() {
    busybox();
    for _ in 0..10 {
        let start = || {
            coracle(&["run", "--rm", "--name", "twin", "-i", IMAGE, "cat"])
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        };
        let mut twins = [start(), start()];
        // The winner waits for its standard input to end, the other ends by itself.
        let loser = loop {
            let ended = twins.iter_mut().position(|twin| twin.try_wait().unwrap().is_some());
            match ended {
                Some(ended) => break ended,
                None => std::thread::sleep(std::time::Duration::from_millis(2)),
            }
        };
        let [first, second] = twins;
        let (loser, winner) = if loser == 0 { (first, second) } else { (second, first) };
        let loser = loser.wait_with_output().unwrap();
        assert_eq!(loser.status.code(), Some(125));
        assert!(String::from_utf8_lossy(&loser.stderr).contains("twin is taken"));
        let winner = winner.wait_with_output().unwrap(); // closes its standard input
        assert_eq!(winner.status.code(), Some(0), "{}", String::from_utf8_lossy(&winner.stderr));
        assert_nothing_left();
    }
}

fn rm_takes_a_name_an_id_or_its_beginning() {
    busybox();
    for how in 0..3 {
        success(keep("kept", "true"));
        let id = state()["id"].as_str().unwrap().to_owned();
        let wanted = ["kept", &id, &id[..5]][how];
        assert_eq!(success(rm(wanted)), format!("{wanted}\n"));
        assert_nothing_left();
    }
    for wanted in ["kept", "", "../..", "/"] {
        assert_refused(&rm(wanted), &["there is no container"]);
    }
}

/// Of 17 IDs two begin with the same digit.
fn rm_refuses_a_beginning_that_fits_two() {
    busybox();
    for _ in 0..17 {
        success(harness::run(&mut coracle(&["run", IMAGE, "true"])));
    }
    let ids = ps(&["-aq"]);
    let count = |digit: &str| ids.lines().filter(|id| id.starts_with(digit)).count();
    let digit = ids.lines().map(|id| &id[..1]).find(|digit| count(digit) > 1).unwrap();
    let output = rm(digit);
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stderr.contains("more than one"), "{output:?}");
    assert_eq!(ps(&["-aq"]).lines().count(), 17);
    let all: Vec<&str> = ids.lines().collect();
    success(harness::run(&mut coracle(&[&["rm"], &all[..]].concat())));
    assert_nothing_left();
}

fn rm_refuses_what_runs() {
    busybox();
    let mut container = Background::start(&["--name", "at-work"], "");
    let output = rm("at-work");
    assert_eq!(output.status.code(), Some(125));
    assert!(output.stderr.contains("is running") && output.stderr.contains("hint: "), "{output:?}");
    assert_eq!(container.program.try_wait().unwrap(), None);
    assert_eq!(containers().len(), 2);
}

fn the_state_names_the_process() {
    busybox();
    let container = Background::start(&[], "");
    let state = state();
    let pid = container.first_process();
    assert_eq!(state["status"], "running");
    assert_eq!(state["pid"], pid);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap();
    assert_eq!(state["startTicks"].to_string(), start);
}

fn the_folders_may_be_named_from_here() {
    busybox();
    let here = |arguments: &[&str], folder: &str| {
        let mut command = coracle(arguments);
        command.env("CORACLE_ROOT", "root").env("CORACLE_RUN", "./run").current_dir(folder);
        success(harness::run(&mut command))
    };
    let script = "echo x > /new; pwd";
    assert_eq!(here(&["run", "--name", "kept", IMAGE, "sh", "-c", script], "/run/tmp"), "/\n");
    assert_eq!(here(&["diff", "kept"], "/run/tmp"), "A /new\n");
    here(&["rm", "kept"], "/run/tmp");
    assert_eq!(here(&["ps", "-aq"], "/run/tmp"), "");
    assert_nothing_left();
}

fn ps_ends_well_when_nobody_reads_it() {
    let mut command = coracle(&["ps"]);
    command.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let output = command.stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
}
