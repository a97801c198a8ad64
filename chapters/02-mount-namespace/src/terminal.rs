//! A terminal of the container's own (`-t`).
//!
//! A *pseudo-terminal* is a pair: the program sits at the slave end and believes that it is a
//! terminal; whoever holds the master end is the screen and the keyboard (pty(7)). The child opens
//! the pair in the container's own `/dev/pts`, so that the name of its terminal exists in there,
//! and sends the master to us over a socket (SCM_RIGHTS, unix(7)). We put the real terminal into
//! raw mode, so that Ctrl-C travels as a byte to the slave, which turns it into a signal *inside*,
//! and copy bytes both ways.

use crate::NONE;
use crate::inside::{inside_or_new, mount_point, through_descriptor};
use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use process::{Child, Signals};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use std::io::{IoSlice, IoSliceMut, IsTerminal, Write, stdin, stdout};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// How long a container may tidy up when its terminal is gone, in milliseconds: on a busy machine a
/// second is not much.
const GRACE_MS: u16 = 3000;

/// The way by which the master end comes out of the container.
pub struct Terminal {
    ours: OwnedFd,
    theirs: OwnedFd,
}

/// Whether our standard input goes to the container: docker's `-i`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keyboard {
    /// What is typed goes in.
    Connected,
    /// The container's terminal can be watched, not used.
    Unplugged,
}

impl Terminal {
    /// Prepares one; to be called before the clone.
    pub fn prepare(keyboard: Keyboard) -> Result<Terminal> {
        if keyboard == Keyboard::Connected && !stdin().is_terminal() {
            bail!("standard input is not a terminal\nhint: leave -t away in a pipe or a script");
        }
        let kind = SocketType::DGRAM;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
            .context("cannot make a socket pair")?;
        Ok(Terminal { ours, theirs })
    }

    /// In the child, after `/dev` is mounted: makes a new terminal our standard input and output.
    pub fn attach(&self, root: &Path) -> Result<()> {
        let ptmx = mount_point(root, "dev/pts/ptmx")?;
        let flags =
            nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_NOCTTY | nix::fcntl::OFlag::O_CLOEXEC;
        let mode = nix::sys::stat::Mode::empty();
        let master = nix::fcntl::open(&through_descriptor(&ptmx), flags, mode)
            .context("cannot open a pseudo-terminal")?;
        unlockpt(&master).context("cannot unlock the pseudo-terminal")?;
        copy_size(&master); // before the command can ask for it; our stdin is still the real one
        let slave = other_end(&master)?;
        self.send(&master)?;
        let console = inside_or_new(root, Path::new("/dev/console"), false)?;
        mount(
            Some(&through_descriptor(&slave)),
            &through_descriptor(&console),
            NONE,
            MsFlags::MS_BIND,
            NONE,
        )
        .context("cannot mount /dev/console")?;
        setsid().context("cannot begin a session")?; // leave the terminal that we came with,
        rustix::process::ioctl_tiocsctty(&slave).context("cannot take the terminal")?; // take ours
        dup2_stdin(&slave)?;
        dup2_stdout(&slave)?;
        dup2_stderr(&slave)?;
        Ok(())
    }

    /// In the parent, in place of [`Signals::pass_on_to`]: copies bytes, sizes and signals until
    /// the child has ended and its last words are written, or until our own terminal is gone.
    pub fn relay(&self, keyboard: Keyboard, signals: &Signals, child: &Child) -> Result<()> {
        let master = self.receive()?;
        rustix::io::ioctl_fionbio(&master, true).context("cannot make the master non-blocking")?;
        copy_size(&master);
        let _raw = match keyboard {
            Keyboard::Connected => Some(RawMode::enter()?),
            Keyboard::Unplugged => None,
        };
        let slave = other_end(&master)?;
        let mut relay = Relay { master, _slave: slave, typed: Vec::new(), keyboard };
        loop {
            match relay.turn(signals, child)? {
                Turn::GoOn => {}
                Turn::ChildEnded => break relay.drain(),
                Turn::TerminalGone => return relay.hang_up(child),
            }
        }
        Ok(())
    }

    fn send(&self, master: &OwnedFd) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        let descriptors = [master.as_fd()];
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
        sendmsg(&self.theirs, &[IoSlice::new(&[0])], &mut rights, SendFlags::empty())
            .context("cannot send the terminal to the parent")?;
        Ok(())
    }

    fn receive(&self) -> Result<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let (flags, mut byte) = (RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT, [0]);
        recvmsg(&self.ours, &mut [IoSliceMut::new(&mut byte)], &mut rights, flags)
            .context("the child sent no terminal")?;
        let received = rights.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        received.context("the child sent no terminal")
    }
}

struct Relay {
    master: OwnedFd,
    /// Held open, so that a container may close its terminal and open it again: without any slave
    /// open, a read of the master would be an error and poll(2) would never wait.
    _slave: OwnedFd,
    /// Typed, and not yet taken by the container: a full terminal must not stop its output.
    typed: Vec<u8>,
    keyboard: Keyboard,
}

/// How the relay goes on.
enum Turn {
    GoOn,
    ChildEnded,
    TerminalGone,
}

impl Relay {
    /// Waits for one thing to happen and does what it asks for.
    fn turn(&mut self, signals: &Signals, child: &Child) -> Result<Turn> {
        let input = stdin();
        let writable = if self.typed.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let listens = self.keyboard == Keyboard::Connected && self.typed.is_empty();
        let mut ready = vec![
            PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.master.as_fd(), PollFlags::POLLIN | writable),
        ];
        if listens {
            ready.push(PollFd::new(input.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut ready, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => return Ok(Turn::GoOn),
            other => other.context("cannot poll")?,
        };
        let happened: Vec<bool> = ready.iter().map(|one| one.any() == Some(true)).collect();
        if happened[0] {
            return Ok(Turn::ChildEnded);
        }
        if happened[2] {
            self.show();
            self.push();
        }
        if happened[1] {
            return self.signal(signals, child);
        }
        if happened.get(3) == Some(&true) {
            return Ok(self.hear());
        }
        Ok(Turn::GoOn)
    }

    /// A new size and a hang-up are for the terminal; all else is for the child, which is in
    /// another session and hears nothing from our terminal.
    fn signal(&self, signals: &Signals, child: &Child) -> Result<Turn> {
        let received = signals.read()?;
        match received.signal {
            Signal::SIGWINCH => copy_size(&self.master),
            Signal::SIGHUP if received.from_terminal => return Ok(Turn::TerminalGone),
            other => process::signals::send(child, other)?,
        }
        Ok(Turn::GoOn)
    }

    /// Master to screen. `false`: nothing left to show.
    fn show(&self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(length) if length > 0 => {
                let mut screen = stdout();
                let _ = screen.write_all(&buffer[..length]).and_then(|()| screen.flush());
                true
            }
            _ => false, // empty for now
        }
    }

    /// Keyboard to the waiting line. A terminal in raw mode ends only when it is gone.
    fn hear(&mut self) -> Turn {
        let mut buffer = [0; 4096];
        match rustix::io::read(stdin(), &mut buffer) {
            Ok(length) if length > 0 => self.typed.extend_from_slice(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => return Turn::TerminalGone,
        }
        self.push();
        Turn::GoOn
    }

    /// Waiting line to master.
    fn push(&mut self) {
        match rustix::io::write(&self.master, &self.typed) {
            Ok(length) => drop(self.typed.drain(..length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.typed.clear(), // nobody there to read it
        }
    }

    /// What the container wrote before it ended.
    fn drain(&self) {
        while self.show() {}
    }

    /// Closes the container's terminal because ours is gone: the leader of its session hears SIGHUP
    /// (signal(7)), and reads from it end. PID 1 may be deaf to both (pid_namespaces(7)), and nobody
    /// is left who could stop it, so it is killed after a moment.
    fn hang_up(self, child: &Child) -> Result<()> {
        drop(self.master);
        let mut end = [PollFd::new(child.pidfd.as_fd(), PollFlags::POLLIN)];
        if poll(&mut end, PollTimeout::from(GRACE_MS)).context("cannot poll")? == 0 {
            process::signals::send(child, Signal::SIGKILL)?;
        }
        Ok(())
    }
}

/// The slave end, close-on-exec. Not by its name, which the image could have replaced: TIOCGPTPEER
/// (ioctl_tty(2)), which also works from outside the container.
fn other_end(master: &OwnedFd) -> Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    ioctl_tiocgptpeer(master, flags).context("cannot open the other end of the pseudo-terminal")
}

/// Gives the container's terminal the size of ours, if ours is one.
fn copy_size(master: &OwnedFd) {
    if let Ok(size) = tcgetwinsize(stdin()).or_else(|_| tcgetwinsize(stdout())) {
        let _ = tcsetwinsize(master, size);
    }
}

/// Our own terminal in raw mode: no echo, no line editing, no signals. Undone when dropped.
struct RawMode {
    before: Termios,
}

impl RawMode {
    fn enter() -> Result<RawMode> {
        let before = tcgetattr(stdin()).context("cannot read the state of the terminal")?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw).context("cannot set raw mode")?;
        Ok(RawMode { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.before);
    }
}
