//! `coracle` for an ordinary user: nothing of it needs root, and nothing of it is root's.

mod machine;
mod sailor;

#[allow(dead_code, reason = "chapter 09 tests more of images than we need")]
#[path = "../../09-image-pull/tests/made/server.rs"]
mod server;

#[allow(dead_code, reason = "chapter 09 tests more of images than we need")]
#[path = "../../09-image-pull/tests/made/tar.rs"]
mod archive;

use archive::Tar;
use harness::{Account, Leaks, assert_refused, children_of, kill_evenly, run};
use machine::layout::made as layout; // where server.rs looks for it
use machine::layout::{made, tar_of};
use machine::{folder, scratch};
use sailor::{Sailor, first_process};
use serde_json::Value;
use server::Server;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

harness::kernel_tests!(
    the_users_of_an_image_are_numbers_of_the_user,
    an_image_is_pulled_from_a_registry_without_root,
    layers_that_remove_things_do_so_without_root,
    devices_of_an_image_are_left_out,
    everything_lies_in_folders_of_the_user,
    without_a_login_there_is_a_folder_in_tmp_and_nobody_elses,
    its_containers_are_listed_and_removed,
    a_container_runs_as_another_user,
    its_program_is_no_copy_and_nobody_can_write_it,
    a_terminal_works,
    signals_reach_the_command,
    killed_at_any_moment_it_leaves_no_process_and_no_mount => 180,
    a_container_that_became_another_user_ends_with_its_program,
    ten_at_once => 120,
    an_image_with_users_needs_numbers_set_aside,
    a_system_that_forbids_it_is_named,
    xray_tells_whose_container_it_is,
    root_gets_no_user_namespace,
);

fn the_users_of_an_image_are_numbers_of_the_user() {
    let sailor = Sailor::new();
    let script =
        "id -u; cat /proc/self/uid_map; cd /; stat -c '%u %g %a' home/app/mine var-mail nobody";
    let said = sailor.says(&[], script);
    let words: Vec<&str> = said.split_whitespace().collect();
    let Account { uid, first_subuid, .. } = sailor.account;
    let map = format!("0 0 {uid} 1 1 {first_subuid} 65536");
    assert_eq!(words.join(" "), map + " 1000 1000 600 8 12 2775 65534 65534 4755");
    // On the disk they are the user's subordinate numbers.
    let layers = fs::read_dir(sailor.store().join("layers/sha256")).unwrap();
    let layer = layers.flatten().next().unwrap().path();
    let Account { first_subuid, first_subgid, .. } = sailor.account;
    for (file, user, group) in
        [("home/app/mine", 1000, 1000), ("var-mail", 8, 12), ("nobody", 65534, 65534)]
    {
        let found = layer.join(file).metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (first_subuid + user - 1, first_subgid + group - 1));
    }
    let root = layer.join("bin/busybox").metadata().unwrap();
    assert_eq!((root.uid(), root.gid()), (sailor.account.uid, sailor.account.gid));
}

fn an_image_is_pulled_from_a_registry_without_root() {
    let sailor = Sailor::new();
    let registry = Server::good(&scratch().join("image"));
    let image = registry.image("latest");
    sailor.succeeds(&["pull", "--quiet", &image]);
    assert!(sailor.succeeds(&["images"]).contains(&registry.address));
    sailor.succeeds(&["tag", &image, "skiff"]);
    let asked = registry.requests().len();
    let said =
        sailor.succeeds(&["run", "--rm", "--network", "host", "skiff", "cat", "/home/app/mine"]);
    assert_eq!((said.as_str(), registry.requests().len()), ("home/app/mine", asked));
    sailor.succeeds(&["rmi", "skiff"]);
    sailor.succeeds(&["rmi", &image]);
    let layers = fs::read_dir(sailor.store().join("layers/sha256")).unwrap().count();
    assert_eq!(layers, 0, "files of other users are removed, too");
}

/// Whiteouts, opaque folders, and what a container does on top of them.
fn layers_that_remove_things_do_so_without_root() {
    let mut sailor = Sailor::new();
    let rootfs = folder("again");
    harness::busybox_rootfs(&rootfs);
    for name in ["gone", "kept", "emptied/old", "replaced/old"] {
        fs::create_dir_all(rootfs.join(name).parent().unwrap()).unwrap();
        fs::write(rootfs.join(name), name).unwrap();
    }
    symlink("kept", rootfs.join("link")).unwrap();
    let above = Tar::new()
        .file(".wh.gone", b"")
        .folder("emptied/")
        .file("emptied/.wh..wh..opq", b"")
        .file("emptied/new", b"")
        .file("replaced", b"a file now");
    let layout = made::one_image(&scratch().join("two"), &[tar_of(&rootfs), above.finish()]);
    sailor.image = layout.source("latest");
    let script = "ls -d gone kept emptied/* replaced link; cat replaced; \
                  rm -r emptied; mkdir emptied; ls emptied; rm kept; touch new; mv link other";
    let run = ["run", "--name", "boat", "--network", "host", "-w", "/", &sailor.image];
    let output = sailor.coracle(&[&run[..], &["sh", "-c", script]].concat());
    assert_eq!(output.stdout, "emptied/new\nkept\nlink\nreplaced\na file now", "{output:?}");
    assert!(output.stderr.contains("gone: No such file"), "{output:?}");
    let diff = "C /emptied\nD /emptied/new\nD /kept\nD /link\nA /new\nA /other\n";
    assert_eq!(
        sailor.succeeds(&["diff", "boat"]).replace("C /emptied\n", ""),
        diff.replace("C /emptied\n", "")
    );
    sailor.succeeds(&["rm", "boat"]);
}

fn devices_of_an_image_are_left_out() {
    let mut sailor = Sailor::new();
    let rootfs = folder("again");
    harness::busybox_rootfs(&rootfs);
    let disk = Tar::new().device(b'4', "disk", 8, 0).file("beside", b"");
    let layout = made::one_image(&scratch().join("two"), &[tar_of(&rootfs), disk.finish()]);
    sailor.image = layout.source("latest");
    assert_eq!(sailor.says(&[], "ls -d /disk /beside 2> /dev/null || true"), "/beside\n");
    // A hostile one is refused all the same.
    let hostile = Tar::new().device(b'3', "bin", 0, 0);
    let layout = made::one_image(&scratch().join("three"), &[tar_of(&rootfs), hostile.finish()]);
    let refused = sailor.coracle(&["run", "--rm", &layout.source("latest"), "true"]);
    assert!(refused.stderr.contains("overlayfs's whiteout"), "{refused:?}");
}

fn everything_lies_in_folders_of_the_user() {
    let sailor = Sailor::new();
    let mut program = sailor.background(&[], "true");
    for folder in [sailor.store(), sailor.runs()] {
        let found = folder.metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (sailor.account.uid, sailor.account.gid));
        assert_eq!(found.mode() & 0o777, 0o700, "{}", folder.display());
    }
    assert_eq!(sailor.states()[0]["status"], "running");
    assert!(!machine::root_folder().join("layers").exists(), "root's store is another");
    assert_eq!(machine::containers(), Vec::<PathBuf>::new());
    program.kill().unwrap();
    program.wait().unwrap();
    // Both can be elsewhere.
    let elsewhere = sailor.account.home.join("elsewhere");
    let mut command = sailor.command(&["run", "--network", "host", &sailor.image, "true"]);
    command.env("XDG_DATA_HOME", &elsewhere).env("CORACLE_RUN", elsewhere.join("run"));
    let output = run(&mut command);
    assert!(output.status.success(), "{output:?}");
    assert!(elsewhere.join("coracle/index.json").exists());
    assert_eq!(fs::read_dir(elsewhere.join("run")).unwrap().count(), 1);
}

fn without_a_login_there_is_a_folder_in_tmp_and_nobody_elses() {
    let sailor = Sailor::new();
    fs::remove_dir_all(sailor.account.runtime_folder()).unwrap();
    let place = scratch().join(format!("coracle-{}", sailor.account.uid));
    let command = |arguments: &[&str]| {
        let mut command = sailor.command(arguments);
        command.env_remove("XDG_RUNTIME_DIR").env("TMPDIR", scratch());
        run(&mut command)
    };
    let listed = command(&["ps", "-a"]);
    assert!(listed.status.success(), "{listed:?}");
    let found = place.metadata().unwrap();
    assert_eq!((found.uid(), found.mode() & 0o777), (sailor.account.uid, 0o700));
    fs::remove_dir(&place).unwrap();
    // Somebody else was faster, or it is open to others, or a link to another place.
    let tricks: [fn(&Path, &Account); 3] = [
        |place, _| fs::create_dir(place).unwrap(),
        |place, account| {
            account.own_folder(place);
            fs::set_permissions(place, fs::Permissions::from_mode(0o777)).unwrap();
        },
        |place, account| {
            fs::remove_dir(place).unwrap();
            symlink(&account.home, place).unwrap();
        },
    ];
    for trick in tricks {
        trick(&place, &sailor.account);
        let refused = command(&["ps"]);
        assert_eq!(refused.status.code(), Some(125), "{refused:?}");
        assert!(
            refused.stderr.contains("is not ours alone\nhint: set XDG_RUNTIME_DIR"),
            "{refused:?}"
        );
    }
    let homeless = run(sailor.command(&["ps"]).env_remove("HOME"));
    assert!(homeless.stderr.contains("hint: set HOME or CORACLE_ROOT"), "{homeless:?}");
}

fn its_containers_are_listed_and_removed() {
    let sailor = Sailor::new();
    let script = "rm /bin/vi; chown app /etc/passwd; mkdir -m 0 /secret; echo x > /secret/x; chown -R 33 /secret";
    sailor.succeeds(&[
        "run",
        "--network",
        "host",
        "--name",
        "boat",
        &sailor.image,
        "sh",
        "-c",
        script,
    ]);
    assert!(sailor.succeeds(&["ps", "-a"]).contains("boat"));
    let diff = "C /bin\nD /bin/vi\nC /etc\nC /etc/passwd\nA /secret\nA /secret/x\n";
    assert_eq!(sailor.succeeds(&["diff", "boat"]), diff);
    assert_eq!(sailor.succeeds(&["rm", "boat"]), "boat\n");
    assert_eq!(fs::read_dir(sailor.store().join("containers")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(sailor.runs()).unwrap().count(), 0);
}

fn a_container_runs_as_another_user() {
    let sailor = Sailor::new();
    let said =
        sailor.says(&["-u", "app"], "id -u; id -G; touch /home/app/new && cat /home/app/mine");
    assert_eq!(said, "1000\n1000 2000\nhome/app/mine");
    assert_eq!(
        sailor.says(&["-u", "4711:12"], "id -u; id -g; cat /home/app/mine 2> /dev/null || echo no"),
        "4711\n12\nno\n"
    );
    let output =
        sailor.coracle(&["run", "--rm", "--network", "host", "-u", "70000", &sailor.image, "id"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.contains("this user namespace has 65537 users"), "{output:?}");
}

/// A copy in memory would be one for each container.
fn its_program_is_no_copy_and_nobody_can_write_it() {
    let sailor = Sailor::new();
    let mut program = sailor.background(&["--rm"], "");
    let executable = PathBuf::from(format!("/proc/{}/exe", children_of(program.id())[0]));
    let file = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).unwrap();
    assert_eq!(file(&executable), file(&sailor.coracle));
    let flags = nix::sys::statvfs::statvfs(&executable).unwrap().flags();
    assert!(flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY), "{flags:?}");
    program.kill().unwrap();
    program.wait().unwrap();
}

fn a_terminal_works() {
    let sailor = Sailor::new();
    for user in ["root", "app"] {
        let line = format!(
            "{} run --rm -it --network host -u {user} {} sh -c 'tty; test -t 0 && echo x > /dev/console && exit 5'",
            sailor.coracle.display(),
            sailor.image
        );
        let output = run(sailor.account.command("script").args(["-qec", &line, "/dev/null"]));
        assert!(output.stdout.contains("/dev/pts/0"), "{output:?}");
        assert_eq!(output.status.code(), Some(5), "{user}: {output:?}");
    }
}

fn signals_reach_the_command() {
    let sailor = Sailor::new();
    let script = "trap 'echo heard > /shared/heard; exit 7' TERM; touch /shared/ready; while :; do sleep 0.05; done";
    let mut program = sailor.background(&["--rm"], script);
    let pid = nix::unistd::Pid::from_raw(program.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(program.wait().unwrap().code(), Some(7));
    assert_eq!(fs::read_to_string(sailor.account.home.join("heard")).unwrap(), "heard\n");
    assert_eq!(fs::read_dir(sailor.runs()).unwrap().count(), 0);
}

fn killed_at_any_moment_it_leaves_no_process_and_no_mount() {
    let sailor = Sailor::new();
    sailor.succeeds(&["pull", "--quiet", &sailor.image]);
    let make =
        || sailor.command(&["run", "--rm", "--network", "host", &sailor.image, "sleep", "0.1"]);
    let check = || {
        sailor.succeeds(&["ps", "-a"]); // tidies up
        assert_eq!(fs::read_dir(sailor.runs()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(sailor.store().join("containers")).unwrap().count(), 0);
    };
    kill_evenly(make, 25, check);
}

/// An ordinary process may not signal the users of its range; who owns the namespace may.
fn a_container_that_became_another_user_ends_with_its_program() {
    let sailor = Sailor::new();
    for kill_the_inner_one in [false, true] {
        let before = Leaks::snapshot();
        let script = "chmod 777 /shared; exec su app -c 'touch /shared/ready; exec sleep 1000'";
        let mut program = sailor.background(&["--name", "boat"], script);
        let status = format!("/proc/{}/status", first_process(&program));
        let status = fs::read_to_string(status).unwrap();
        let user = format!("Uid:\t{}\t", sailor.account.first_subuid + 999);
        assert!(status.contains(&user), "{status}");
        let victim = if kill_the_inner_one { children_of(program.id())[0] } else { program.id() };
        let victim = nix::unistd::Pid::from_raw(victim as i32);
        nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGKILL).unwrap();
        program.wait().unwrap();
        assert_eq!(before.left_behind_of(&["process", "mount"]), [""; 0]);
        let listed = sailor.succeeds(&["ps", "-a"]);
        assert!(listed.contains("exited 137"), "{listed}");
        sailor.succeeds(&["rm", "boat"]);
    }
}

fn ten_at_once() {
    let sailor = Sailor::new();
    sailor.succeeds(&["pull", "--quiet", &sailor.image]);
    let names: Vec<String> = (10..20).map(|number| format!("boat-{number}")).collect();
    let start = |name: &String| {
        let arguments = ["run", "--network", "host", "--name", name, &sailor.image, "hostname"];
        sailor.command(&arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
    };
    let all: Vec<Child> = names.iter().map(start).collect();
    let ended: Vec<Output> = all.into_iter().map(|one| one.wait_with_output().unwrap()).collect();
    for one in ended {
        assert!(one.status.success(), "{one:?}");
    }
    assert_eq!(sailor.states().len(), 10);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    sailor.succeeds(&[&["rm"], &names[..]].concat());
    assert_eq!(fs::read_dir(sailor.store().join("containers")).unwrap().count(), 0);
}

fn an_image_with_users_needs_numbers_set_aside() {
    let sailor = Sailor::new();
    fs::write("/etc/subuid", "").unwrap();
    let name = &sailor.account.name;
    let refused = sailor.coracle(&["run", "--rm", "--network", "host", &sailor.image, "true"]);
    assert_eq!(refused.status.code(), Some(125), "{refused:?}");
    for words in [
        "cannot give it to user ",
        "this user namespace has one user only: /etc/subuid has no line for ",
        &format!(
            "\nhint: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}"
        ),
    ] {
        assert!(refused.stderr.contains(words), "no {words:?} in {}", refused.stderr);
    }
    // An image of root alone needs none.
    let rootfs = folder("roots");
    harness::busybox_rootfs(&rootfs);
    let layout = made::one_image(&scratch().join("roots-image"), &[tar_of(&rootfs)]);
    let image = layout.source("latest");
    let run = ["run", "--rm", "--network", "host"];
    let script = "id -u; tty || ls -n /dev/pts";
    let said = sailor.succeeds(&[&run[..], &[&image, "sh", "-c", script]].concat());
    assert!(said.starts_with("0\n"), "{said}");
    // Groups that this namespace does not let anybody join are not left out in silence.
    let refused = sailor.coracle(&[&run[..], &["--group-add", "7", &image, "true"]].concat());
    let words =
        ["cannot add group 7: this user namespace has one user only", "\nhint: sudo usermod"];
    assert_refused(&refused, &words);
}

fn a_system_that_forbids_it_is_named() {
    let mut sailor = Sailor::new();
    let single = sailor.account.bin("user-namespace");
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces; CORACLE_RUN=/nowhere exec setpriv --reuid 5 {} images",
        sailor.coracle.display()
    );
    let output = run(sailor.account.command(single).args(["--range", "sh", "-c", &script]));
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(output.stderr.contains("no user namespace here"), "{output:?}");
    assert!(
        output
            .stderr
            .contains("hint: they are switched off: sudo sysctl user.max_user_namespaces="),
        "{output:?}"
    );
}

fn xray_tells_whose_container_it_is() {
    let sailor = Sailor::new();
    let mut program = sailor.background(&["--rm", "--hostname", "skiff"], "true");
    let pid = first_process(&program).to_string();
    let told = sailor.succeeds(&["xray", "--json", &pid]);
    let report: Value = serde_json::from_str(&told).unwrap();
    for row in ["pid", "mnt", "uts", "ipc", "user", "uid_map", "gid_map", "hostname"] {
        assert_eq!(report["rows"][row]["verdict"], "own", "{row}: {}", report["rows"][row]);
    }
    assert!(report["rows"]["hostname"]["value"].to_string().contains("skiff"), "{told}");
    program.kill().unwrap();
    program.wait().unwrap();
}

fn root_gets_no_user_namespace() {
    machine::busybox();
    let namespace = fs::read_link("/proc/self/ns/user").unwrap();
    let said = machine::says(&["--network", "host"], "readlink /proc/self/ns/user");
    assert_eq!(Some(said.trim_end()), namespace.to_str());
}
