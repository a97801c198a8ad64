//! The command `xray`, for this chapter's binary and for `coracle xray`, which adds rows.

use crate::table::{self, Style};
use crate::{Report, own_pid, stat};
use anyhow::{Context, Result, bail};
use std::io::{self, ErrorKind, IsTerminal, Write};

/// The rows of `--short`.
const SHORT: [&str; 9] = ["pid", "mnt", "uts", "ipc", "user", "net", "cgroup", "time", "pids"];

/// The arguments of the command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = JSON_HELP)]
pub struct Arguments {
    /// The process to look at [default: the caller, such as your shell]
    #[arg(value_parser = parse_pid, allow_negative_numbers = true)]
    pub pid: Option<u32>,

    /// A second process to put beside it, instead of "the host"
    ///
    /// "Host" means where xray itself runs, also inside of a container.
    #[arg(value_parser = parse_pid, allow_negative_numbers = true)]
    pub other: Option<u32>,

    /// Show the eight namespaces and the PIDs only
    #[arg(short, long, conflicts_with = "rows")]
    pub short: bool,

    /// Show these rows only, such as pid,mnt,root
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub rows: Vec<String>,

    /// Print JSON; `--help` describes its shape
    #[arg(long)]
    pub json: bool,
}

/// The shape of `--json`. Within one `format` fields may be added, never changed or removed.
pub const JSON_HELP: &str = "\
JSON (format 1):
  format          1; fields may be added without a new number
  process         pid         as /proc counts
                  process     another PID than pid if pid is a thread of it
                  parent      0 if the parent is not in this /proc
                  name        the kernel's name for it, at most 15 bytes
                  command     list of arguments, empty for a kernel thread
                  start_ticks when it started, in 1/100 s after boot
                  kernel_thread  true or false
  against         \"host\" (compared with xray itself) or \"other\"
  reference       the process it is compared with, as `process`
  rows            object by name, in the order of the table; each row is
                  group       namespaces, process, files, identity, network,
                              resources, capabilities, confinement
                  verdict     against host: own, host; against other: different,
                              same; either: unknown; null if not compared
                  value       how it is for the process, null if unknown
                  reference   how it is for the other, null if unknown
                  unknown     null, or the reason why something is unknown
  notes, hints    lists of sentences

Values of the rows:
  pid … time      {inode}; pid and time also {children: {inode}} if the next child
                  starts elsewhere, its inode null before there is a first one
  pids            list of PIDs, the outermost first
  signals         {catches, ignores, blocks}: lists of names without SIG
  root            {mount: {file_system, source, device, folder, layers}} or
                  {folder: PATH} after chroot; layers {upper, work, lower: list}
                  for an overlay, else null
  mounts          how many
  ids             {uid, gid, effective_uid, effective_gid, groups}
  uid_map, gid_map  list of {inside, outside, count}
  cgroups         {v2: PATH or null, v1: {CONTROLLER: PATH}}
  rlimits         {NAME: {soft, hard}}: number or \"unlimited\"; bytes, seconds,
                  microseconds (rttime) or a count
  effective, permitted, inheritable, bounding, ambient
                  list of capabilities, such as CAP_CHOWN
  no_new_privs    true or false
  seccomp         {mode: disabled, strict or filter; filters: how many or null}

Exit status: 0 shown, 1 nothing to show (no such process, a zombie), 2 usage.
Colour only on a terminal, and not if NO_COLOR is set.";

impl Arguments {
    /// The names of the rows to show; none for all.
    fn wanted(&self) -> Vec<String> {
        if self.short { SHORT.map(str::to_owned).to_vec() } else { self.rows.clone() }
    }
}

/// Runs the command. `more` may push rows into the report before it is shown.
///
/// # Errors
/// There is no such process, or nothing to see of it. A reader who closes the pipe early is no
/// error.
pub fn run(arguments: &Arguments, more: impl FnOnce(&mut Report) -> Result<()>) -> Result<()> {
    let pid = match arguments.pid {
        Some(pid) => pid,
        None => caller()?,
    };
    let wanted = arguments.wanted();
    let mut report = match arguments.other {
        Some(other) => Report::beside(pid, other, &wanted)?,
        None => Report::read(pid, &wanted)?,
    };
    more(&mut report)?;
    if !wanted.is_empty() {
        report.keep(&wanted)?;
    }
    let text = match arguments.json {
        true => report.to_json()? + "\n",
        false => table::draw(&report, style()),
    };
    print(&text)
}

/// The process that called this one, as `/proc` counts.
fn caller() -> Result<u32> {
    match stat::read(own_pid()?)?.parent {
        0 => bail!("the process that called is not in this /proc\nhint: name one: xray PID"),
        parent => Ok(parent),
    }
}

fn parse_pid(text: &str) -> Result<u32, String> {
    const HIGHEST: u32 = 1 << 22; // PID_MAX_LIMIT of 64-bit kernels
    match text.parse() {
        Ok(pid) if (1..=HIGHEST).contains(&pid) => Ok(pid),
        _ => Err(format!("a PID is a whole number from 1 to {HIGHEST}")),
    }
}

fn style() -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    match io::stdout().is_terminal() && !set("NO_COLOR") && !is_dumb {
        true => Style::Colour,
        false => Style::Plain,
    }
}

fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `xray PID | head -3` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
