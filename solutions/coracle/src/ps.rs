//! `coracle ps`: the containers as a table.

use anyhow::Result;
use engine::Status;
use std::time::{SystemTime, UNIX_EPOCH};

/// The arguments of the command.
#[derive(clap::Args)]
pub struct Arguments {
    /// Also those that have ended
    #[arg(short, long)]
    all: bool,
    /// Print only the IDs
    #[arg(short, long)]
    quiet: bool,
}

pub fn print(arguments: &Arguments) -> Result<()> {
    let mut states = engine::list()?;
    states.retain(|state| arguments.all || state.status != Status::Exited);
    if arguments.quiet {
        states.iter().for_each(|state| println!("{}", &state.id[..12]));
        return Ok(());
    }
    println!("{:12}  {:20}  {:12}  {:8}  IMAGE", "CONTAINER ID", "NAME", "STATUS", "CREATED");
    for state in states {
        let status = match (state.status, state.exit_code) {
            (Status::Created, _) => "created".to_owned(),
            (Status::Running, _) => format!("running {}", state.pid.unwrap_or_default()),
            (Status::Exited, code) => format!("exited {}", code.unwrap_or_default()),
        };
        let (id, age) = (&state.id[..12], age(state.created));
        println!("{id}  {:20}  {status:12}  {age:8}  {}", state.name, state.image);
    }
    Ok(())
}

/// How long ago, in the largest unit that makes sense.
fn age(created: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(created) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
