//! `coracle ps`: the containers as a table.

use crate::age;
use anyhow::Result;
use engine::Status;
use std::io::{Write, stdout};

/// The arguments of the command.
#[derive(clap::Args)]
pub struct Arguments {
    /// Also those that have ended; `dead` are those that could not be read or removed
    #[arg(short, long)]
    all: bool,
    /// Print only the IDs
    #[arg(short, long)]
    quiet: bool,
}

pub fn print(arguments: &Arguments) -> Result<()> {
    let mut states = engine::list()?;
    states
        .retain(|state| arguments.all || matches!(state.status, Status::Created | Status::Running));
    let mut out = stdout().lock(); // `println!` would panic at a pipe that nobody reads
    if arguments.quiet {
        states.iter().try_for_each(|state| writeln!(out, "{}", state.short_id()))?;
        return Ok(());
    }
    let width = states.iter().map(|state| state.image.chars().count()).max().unwrap_or(0).max(5);
    let (id, name, status, age, image) = ("CONTAINER ID", "NAME", "STATUS", "CREATED", "IMAGE");
    writeln!(out, "{id}  {name:20}  {status:12}  {age:8}  {image:width$}  PORTS")?;
    for state in states {
        let status = match (state.status, state.exit_code) {
            (Status::Created, _) => "created".to_owned(),
            (Status::Running, _) => {
                format!("running {}", state.process.map_or(0, |process| process.pid))
            }
            (Status::Exited, code) => format!("exited {}", code.unwrap_or_default()),
            (Status::Dead, _) => "dead".to_owned(),
        };
        let (id, age) = (state.short_id(), age::since(state.created));
        let (ports, image) = (state.ports_line(), &state.image);
        let line =
            format!("{id}  {:20}  {status:12}  {age:8}  {image:width$}  {ports}", state.name);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}
