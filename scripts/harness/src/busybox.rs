//! Makes a small root filesystem from the distribution's static busybox.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:1000:\ncrew:x:2000:app\n";

/// [`busybox_rootfs_from`] the static busybox of this machine. The test is not run where there is
/// none.
pub fn busybox_rootfs(rootfs: &Path) {
    // The last one is where scripts/setup unpacks it if it may not be installed.
    let unpacked = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/busybox");
    let places = ["/bin/busybox", "/usr/bin/busybox", "/usr/sbin/busybox", unpacked];
    let Some(busybox) = places.iter().find(|place| is_static(Path::new(place))) else {
        crate::not_run("no static busybox: scripts/setup installs one")
    };
    busybox_rootfs_from(Path::new(busybox), rootfs).expect("the rootfs can be written");
}

/// [`busybox_rootfs`] in a new folder of the test's own.
pub fn new_rootfs() -> PathBuf {
    let rootfs = std::env::temp_dir().join(crate::random_name("rootfs"));
    busybox_rootfs(&rootfs);
    rootfs
}

/// Fills `rootfs` (made if missing) with busybox and a link for each of its applets, the empty
/// folders that a container mounts on, and users `root` and `app` (1000, also in group `crew`).
///
/// # Errors
/// It can't be written, or `busybox` can't be run.
pub fn busybox_rootfs_from(busybox: &Path, rootfs: &Path) -> io::Result<()> {
    for folder in ["bin", "dev", "etc", "home/app", "proc", "root", "sys", "tmp"] {
        fs::create_dir_all(rootfs.join(folder))?;
    }
    fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::copy(busybox, rootfs.join("bin/busybox"))?;
    fs::write(rootfs.join("etc/passwd"), PASSWD)?;
    fs::write(rootfs.join("etc/group"), GROUP)?;
    let listed = Command::new(busybox).arg("--list-full").output()?;
    let applets = String::from_utf8_lossy(&listed.stdout).into_owned();
    for applet in applets.lines().filter(|applet| !applet.ends_with("/busybox")) {
        let link = rootfs.join(applet);
        fs::create_dir_all(link.parent().unwrap_or(rootfs))?;
        let _ = symlink("/bin/busybox", link); // some lists name an applet twice
    }
    Ok(())
}

/// A program that needs no dynamic loader: an ELF file without a PT_INTERP header, elf(5).
fn is_static(program: &Path) -> bool {
    let Ok(file) = fs::read(program) else { return false };
    let number = |at: usize, length: usize| {
        let bytes = file.get(at..at + length).unwrap_or_default();
        bytes.iter().rev().fold(0usize, |number, byte| number << 8 | usize::from(*byte))
    };
    // 64-bit little-endian, which every platform of ours is: e_phoff, e_phentsize, e_phnum.
    let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    file.starts_with(b"\x7fELF\x02\x01")
        && (0..count).all(|index| number(table + index * size, 4) != 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_not_static_and_a_text_is_no_program() {
        let interpreter =
            fs::read("/proc/self/maps").map(|maps| String::from_utf8_lossy(&maps).contains("ld-"));
        if interpreter.unwrap_or(false) {
            assert!(!is_static(Path::new("/proc/self/exe")));
        }
        assert!(!is_static(Path::new("/etc/passwd")));
    }
}
