//! Keys of the host are not the container's, also where no filter keeps it from asking.

mod container;

use container::*;
use harness::{Output, bin, run};
use nix::errno::Errno;
use std::path::Path;
use std::process::Command;

harness::kernel_tests!(
    the_session_of_its_caller_is_closed_to_it,
    two_containers_share_no_keys,
    the_filter_refuses_keys_altogether,
);

/// `keys hold NAME CMD…` puts a key into a new session keyring and executes the command,
/// `keys find NAME` exits with 0 if the session has it, else with the errno.
const KEYS: &str = r#"
    #include <errno.h>
    #include <string.h>
    #include <unistd.h>
    #include <sys/syscall.h>
    #include <linux/keyctl.h>
    int main(int argc, char **argv) {
        if (argc > 3 && !strcmp(argv[1], "hold")) {
            if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0) < 0) return errno;
            if (syscall(SYS_add_key, "user", argv[2], "x", 1, KEY_SPEC_SESSION_KEYRING) < 0) return errno;
            execv(argv[3], argv + 3);
            return errno;
        }
        return syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", argv[2], 0) < 0 ? errno : 0;
    }
"#;

fn run_holding(rootfs: &Path, key: &str, container: &Command) -> Output {
    let mut keys = Command::new(rootfs.join("bin/keys"));
    keys.args(["hold", key]).arg(container.get_program()).args(container.get_args());
    run(&mut keys)
}

const UNFILTERED: [&str; 2] = ["--security-opt", "seccomp=unconfined"];

fn the_session_of_its_caller_is_closed_to_it() {
    let rootfs = rootfs();
    compile(&rootfs, "keys", KEYS);
    let mut open = Command::new(bin("mount-namespace"));
    open.arg("--rootfs").arg(&rootfs).args(["keys", "find", "secret"]);
    let output = run_holding(&rootfs, "secret", &open);
    if output.status.code() == Some(Errno::ENOSYS as i32) {
        harness::not_run("this kernel keeps no keys: CONFIG_KEYS");
    }
    success(output); // chapter 02's finds it
    let closed = confinement(&rootfs, &UNFILTERED, &["keys", "find", "secret"]);
    let output = run_holding(&rootfs, "secret", &closed);
    assert_eq!(output.status.code(), Some(Errno::ENOKEY as i32), "{output:?}");
}

fn two_containers_share_no_keys() {
    let rootfs = rootfs();
    compile(&rootfs, "keys", KEYS);
    let script = "keys hold mine /bin/keys find mine || exit; ! keys find mine";
    for _ in 0..2 {
        let output = sh(&rootfs, &UNFILTERED, script);
        if output.status.code() == Some(Errno::ENOSYS as i32) {
            harness::not_run("this kernel keeps no keys: CONFIG_KEYS");
        }
        success(output);
    }
}

fn the_filter_refuses_keys_altogether() {
    let rootfs = rootfs();
    compile(&rootfs, "keys", KEYS);
    let output = run(&mut confinement(&rootfs, &[], &["keys", "find", "any"]));
    assert_eq!(output.status.code(), Some(Errno::EPERM as i32), "{output:?}");
}
