//! What to run is said by the image, and by flags that override it as docker's do.

mod machine;

use machine::*;
use serde_json::json;
use std::fs;

harness::kernel_tests!(
    the_images_command_runs_by_default,
    a_command_replaces_cmd_and_keeps_the_entry_point,
    another_entry_point_drops_cmd,
    an_image_that_says_nothing_needs_a_command,
    the_environment_is_the_images_and_a_few_defaults,
    flags_override_the_images_environment,
    a_name_alone_takes_the_callers_value,
    an_env_file_is_read_as_docker_reads_it,
    a_bad_line_in_an_env_file_is_named,
    nothing_of_the_callers_environment_comes_in,
    the_working_folder_is_the_images_or_the_flags,
    a_missing_working_folder_is_made,
    the_umask_of_the_caller_does_not_matter,
    the_host_name_is_the_flags_or_the_id,
    home_is_the_users,
);

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn the_images_command_runs_by_default() {
    busybox_with(json!({ "Entrypoint": ["echo", "in"], "Cmd": ["a b", "c"] }));
    assert_eq!(success(run_rm(&[], &[])), "in a b c\n");
}

fn a_command_replaces_cmd_and_keeps_the_entry_point() {
    busybox_with(json!({ "Entrypoint": ["echo", "in"], "Cmd": ["default"] }));
    assert_eq!(success(run_rm(&[], &["-n", "--rm", "x"])), "in -n --rm x\n");
}

fn another_entry_point_drops_cmd() {
    busybox_with(json!({ "Entrypoint": ["false"], "Cmd": ["default"] }));
    assert_eq!(success(run_rm(&["--entrypoint", "echo"], &[])), "\n");
    assert_eq!(success(run_rm(&["--entrypoint", "echo"], &["x"])), "x\n");
    assert_eq!(success(run_rm(&["--entrypoint", ""], &["echo", "y"])), "y\n");
}

fn an_image_that_says_nothing_needs_a_command() {
    busybox_with(json!({}));
    assert_refused(&run_rm(&[], &[]), &["nothing to run", "\nhint: "]);
    busybox_with(json!({ "Entrypoint": ["sh"] }));
    assert_refused(&run_rm(&["--entrypoint", ""], &[]), &["nothing to run"]);
}

fn the_environment_is_the_images_and_a_few_defaults() {
    busybox_with(json!({ "Env": ["FROM=image", "EMPTY=", "EQUALS=a=b"], "Cmd": ["env"] }));
    let text = success(run_rm(&["--hostname", "boat"], &[]));
    let mut seen = lines(&text);
    seen.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(seen, ["EMPTY=", "EQUALS=a=b", "FROM=image", "HOME=/root", "HOSTNAME=boat", path]);
}

fn flags_override_the_images_environment() {
    busybox_with(json!({ "Env": ["A=image", "PATH=/bin:/usr/bin"], "Cmd": ["env"] }));
    let text = success(run_rm(&["-e", "A=1", "-e", "A=flag", "--env", "HOME=/h", "-e", "B="], &[]));
    let seen = lines(&text);
    for expected in ["A=flag", "PATH=/bin:/usr/bin", "HOME=/h", "B="] {
        assert_eq!(seen.iter().filter(|line| **line == expected).count(), 1, "{seen:?}");
    }
    assert!(!text.contains("A=image") && !text.contains("A=1"), "{seen:?}");
}

fn a_name_alone_takes_the_callers_value() {
    busybox_with(json!({ "Env": ["GONE=image"] }));
    let mut command = coracle(&["run", "--rm", "-e", "OURS", "-e", "GONE", IMAGE, "env"]);
    let text = success(harness::run(command.env("OURS", "a b=c").env_remove("GONE")));
    assert!(lines(&text).contains(&"OURS=a b=c"), "{text}");
    assert!(!text.contains("GONE"), "docker unsets it: {text}");
}

fn an_env_file_is_read_as_docker_reads_it() {
    busybox_with(json!({ "Env": ["KEPT=image"] }));
    let file = "# a comment\n\n  # another\nA=1\n  B= two  \nQUOTED=\"x\"\nOURS\nKEPT\nA=last\r\n";
    fs::write("/run/tmp/variables", file).unwrap();
    let options = ["run", "--rm", "-e", "C=flag", "--env-file", "/run/tmp/variables", IMAGE, "env"];
    let mut command = coracle(&options);
    let text = success(harness::run(command.env("OURS", "caller").env_remove("KEPT")));
    let seen = lines(&text);
    for line in ["A=last", "B= two  ", "QUOTED=\"x\"", "OURS=caller", "KEPT=image", "C=flag"] {
        assert!(seen.contains(&line), "no {line:?} in {seen:?}");
    }
    fs::write("/run/tmp/variables", "C=file\n").unwrap();
    let text = success(harness::run(&mut coracle(&options)));
    assert!(lines(&text).contains(&"C=flag"), "a flag counts for more: {text}");
}

fn a_bad_line_in_an_env_file_is_named() {
    busybox();
    let bad: &[(&[u8], &str)] = &[
        (b"GOOD=1\nbad name=2\n", "variables:2"),
        (b"\n\n=value\n", "variables:3"),
        (b"A=\xff\n", "variables"),
        (b"A=a\0b\n", "NUL"),
    ];
    for (text, words) in bad {
        fs::write("/run/tmp/variables", text).unwrap();
        let output = run_rm(&["--env-file", "/run/tmp/variables"], &["env"]);
        assert_refused(&output, &[words]);
    }
}

fn nothing_of_the_callers_environment_comes_in() {
    busybox_with(json!({ "Cmd": ["env"] }));
    let mut command = coracle(&["run", "--rm", IMAGE]);
    let secret = harness::random_name("secret");
    let text = success(harness::run(command.env("SECRET", &secret).env("HOME", &secret)));
    assert!(!text.contains(&secret), "{text}");
}

fn the_working_folder_is_the_images_or_the_flags() {
    busybox_with(json!({ "WorkingDir": "/etc" }));
    assert_eq!(says(&[], "pwd"), "/etc\n");
    assert_eq!(says(&["-w", "/bin"], "pwd"), "/bin\n");
    assert_eq!(says(&["-w", "/"], "pwd"), "/\n");
    assert_refused(&run_rm(&["-w", "/etc/passwd"], &["true"]), &["/etc/passwd"]);
}

fn a_missing_working_folder_is_made() {
    busybox_with(json!({ "WorkingDir": "/made/of/image" }));
    assert_eq!(says(&[], "pwd; stat -c %a:%u ."), "/made/of/image\n755:0\n");
    assert_eq!(says(&["-w", "/made/by/../flag"], "pwd"), "/made/flag\n");
    assert_eq!(says(&["-w", "/made", "--read-only"], "pwd"), "/made\n");
    assert_eq!(says(&["-w", "/made/it", "-u", "app"], "pwd; id -un"), "/made/it\napp\n");
    let shared = folder("shared");
    assert_eq!(says(&["-w", "/data/new", "-v", "/run/tmp/shared:/data"], "pwd"), "/data/new\n");
    assert!(shared.join("new").is_dir(), "made after the volume is there");
}

fn the_umask_of_the_caller_does_not_matter() {
    busybox();
    for umask in ["077", "000", "777"] {
        let script = format!("umask {umask}; exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).arg(harness::bin("coracle"));
        command.args([
            "run",
            "--rm",
            "-u",
            "app",
            "-w",
            "/new/folder",
            "-v",
            "/run/tmp:/deep/volume",
        ]);
        let script =
            "umask; stat -c %a / /dev/null /dev/pts /new /new/folder /deep; cat /etc/passwd";
        let text = success(harness::run(command.args([IMAGE, "sh", "-c", script])));
        assert!(text.starts_with("0022\n755\n666\n755\n755\n755\n755\nroot:"), "{umask}: {text}");
    }
    let mode = |folder: std::path::PathBuf| {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(folder).unwrap().permissions())
            & 0o777
    };
    assert_eq!(mode(root_folder()), 0o700, "nobody but root reaches a setuid program in a layer");
}

fn the_host_name_is_the_flags_or_the_id() {
    busybox();
    let text = says(&["--hostname", "boat-1"], "hostname; echo $HOSTNAME; uname -n");
    assert_eq!(text, "boat-1\nboat-1\nboat-1\n");
    let name = success(harness::run(&mut coracle(&["run", "--name", "kept", IMAGE, "hostname"])));
    let state = state();
    let id = state["id"].as_str().unwrap();
    assert_eq!(name.trim(), &id[..12]);
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    success(harness::run(&mut coracle(&["rm", "kept"])));
    assert_nothing_left();
}

fn home_is_the_users() {
    busybox_with(json!({ "User": "app" }));
    assert_eq!(says(&[], "echo $HOME; cd; pwd"), "/home/app\n/home/app\n");
    assert_eq!(says(&["-u", "0"], "echo $HOME"), "/root\n");
    assert_eq!(says(&["-u", "4711"], "echo $HOME"), "/\n");
    assert_eq!(says(&["-u", "0", "-e", "HOME=/x"], "echo $HOME"), "/x\n");
}
