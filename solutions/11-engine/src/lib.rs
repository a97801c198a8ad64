//! Runs a container from an image: all chapters, one after the other.
//!
//! Nothing here talks to the kernel in a new way. [`run`] is the list of everything built so far,
//! in the order the kernel wants; the side files hold what an engine adds to a runtime:
//!
//! - what to run: the flags (`request.rs`), and what the image says where they are silent
//!   (`command.rs`);
//! - as whom: names mean what the image's own files say (`user.rs`), and who is not root becomes
//!   root of a user namespace first (`rootless.rs`);
//! - with how much of the machine: limits and devices (`share.rs`);
//! - the traces on the host, so that they can be found and removed: of one container from its
//!   beginning to its end (`container.rs`), of all containers (`registry.rs`), as JSON (`state.rs`).
//!
//! Read [`run`] as three parts. Before the clone, all that can fail cheaply: no container is there
//! yet. Then the steps in the child, who is alone in its new namespaces and may mount as it likes:
//! nobody outside sees it, and its end undoes it. Last the wait, and the end is written down.

mod command;
mod connection;
mod container;
mod images;
mod name;
mod random;
mod registry;
mod request;
mod rootless;
mod share;
mod state;
mod user;

pub use connection::{prune_networks, reload_networks};
pub use container::Container;
pub use image::{Collected, Image, Listed, Listing, Reference};
pub use images::{
    Forced, Pull, Removed, Useless, When, image, images, prune_images, pull, remove_image, tag,
};
pub use registry::{changes, list, ports, remove};
pub use request::Request;
pub use rootless::{be_root, ports_of};
pub use state::{Process, State, Status};

use anyhow::{Context, Result};
use command::Command;
use confine::Confinement;
use connection::Connection;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stdin, setsid};
use process::{Guard, Signals};
use rootfs::inside;
use rootfs::terminal::{Keyboard, Terminal};
use share::Share;
use std::convert::Infallible;
use std::os::fd::AsFd;
use std::path::Path;

/// Runs a container in the foreground and returns the command's exit status.
///
/// If anything goes wrong before the command runs, nothing of the container is left: each value
/// here undoes itself when it is dropped. To be called while the process has one thread.
// ANCHOR: run
pub fn run(request: &Request) -> Result<u8> {
    rootfs::own_executable::protect()?; // before anything exists that would have to be undone
    connection::ensure_possible(request)?; // what can't be is told before an image is pulled
    let share = Share::asked(request)?;
    let confinement = request.rights.confinement(confine::capabilities::ours()?)?;
    let store = image::Store::open(&registry::root_folder())?;
    let image = images::for_run(&store, request)?;
    let mut container = Container::create(request, &image, share)?; // from here on, it is written down
    drop(store); // what the container needs stays, because it is written down
    let exposed = exposed_ports(&image);
    let connection = Connection::prepare(request, &exposed)?;
    container.connected(&connection, exposed);
    let hostname = connection.hostname(request, container.short_id());
    let command = Command::new(request, &image.config.config, hostname)?;
    let files = connection.files(request, hostname)?;
    let terminal = request.tty.then(|| Terminal::prepare(request.keyboard())).transpose()?;
    let mut guard = Guard::default(); // a container must not outlive us
    let signals = Signals::block()?; // what is sent to us is meant for the command
    let namespaces = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNS
        | identity::NAMESPACES
        | connection.namespaces();

    let started = process::start(
        container.share().birthplace(namespaces)?,
        |pid| {
            // the child waits
            container.started(pid)?;
            guard.watch_over(pid)?;
            connection.plug_in(pid)
        },
        || {
            let root = container.folder(); // a folder of the host, soon covered by the image
            umask(Mode::from_bits_truncate(0o022)); // what we make in there is for all to read
            // ANCHOR: steps
            container.share().enter()?; //               what follows is on its bill
            connection.up()?; //                         our end of the cable
            rootfs::private()?; //                       nobody outside sees our mounts
            overlay::mount(&image.layers, Some(&container.upper()), root)?; // the image's files
            rootfs::make_mount_points(root)?; //         images need not have them
            network::etc::mount(root, &files)?; //       hosts, hostname, resolv.conf
            rootfs::standard_mounts(root)?; //           /proc, /sys, /dev
            container.share().mount(root)?; //           its limits, to be read
            request.devices.iter().try_for_each(|device| device.make(root))?;
            identity::mqueue(root)?; //                  the mailboxes of our own IPC namespace
            identity::names(hostname, None)?; //         of our own UTS namespace
            request.rights.show(root)?; //               --privileged: the whole machine
            request.volumes.iter().try_for_each(|volume| volume.mount(root))?;
            request.rights.hide(root)?; //               what knows or changes the whole machine
            prepare_files(request, &command, root)?;
            terminal.iter().try_for_each(|terminal| terminal.attach(root))?;
            rootfs::pivot(root)?; //                     the old root is gone
            become_command(request, &command, &confinement)
            // ANCHOR_END: steps
        },
    );
    let child = started?; // an error drops `container`, and that removes it
    match &terminal {
        Some(terminal) => terminal.relay(request.keyboard(), &signals, &child)?,
        None => signals.pass_on_to(&child)?,
    }
    let status = process::wait(&child)?;
    container.ended(status)?;
    Ok(status)
}
// ANCHOR_END: run

fn exposed_ports(image: &Image) -> Vec<String> {
    image.config.config.exposed_ports.iter().flatten().map(|(port, _)| port.clone()).collect()
}

/// What has to be done to the root while it can still be written: the working folder is made, and
/// with `--read-only` the root, but none of the mounts in it, becomes read-only.
fn prepare_files(request: &Request, command: &Command, root: &Path) -> Result<()> {
    inside::inside_or_new(root, &command.working_folder, true).context("the working folder")?;
    if request.read_only {
        rootfs::read_only(inside::inside(root, Path::new("/"))?.as_fd())?;
    }
    Ok(())
}

/// The last steps, inside, where `/` is the container's: each takes away something that the one
/// before it still needed. After the change of user we may not enter every folder, nor change user
/// again; after the exec none of our code is left.
fn become_command(
    request: &Request,
    command: &Command,
    confinement: &Confinement,
) -> Result<Infallible> {
    if !request.interactive && !request.tty {
        let nothing = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        dup2_stdin(nothing).context("cannot close standard input")?;
    }
    rootfs::working_folder(&command.working_folder)?;
    if !request.tty {
        // Away from the host's terminal: whoever is in its session can type into it (TIOCSTI,
        // ioctl_tty(2)), and that would be commands for our caller's shell.
        setsid().context("cannot begin a session")?;
    }
    let terminal = if request.tty { user::Terminal::OfItsOwn } else { user::Terminal::OfTheHost };
    let account = user::find_user(command.user.as_deref(), &request.groups, terminal)?;
    let environment = command.environment(&account.home)?;
    confine::confine(confinement, &account.user)?;
    let exec = || process::exec(&command.arguments, &environment);
    if request.init { process::init(exec) } else { exec() }
}

impl Request {
    fn keyboard(&self) -> Keyboard {
        if self.interactive { Keyboard::Connected } else { Keyboard::Unplugged }
    }
}
