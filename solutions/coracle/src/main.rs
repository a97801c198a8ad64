//! `coracle`: the roof over all chapters. Subcommands only, no logic.

mod age;
mod images;
mod ps;
mod xray_rows;

use clap::{Parser, Subcommand};
use std::io::{Write, stdout};
use std::process::ExitCode;

/// A container engine that you can read.
#[derive(Parser)]
#[command(version, disable_help_flag = true, after_help = "Example: coracle run --rm -it alpine")]
struct Coracle {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help, global = true)]
    help: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a command in a new container
    #[command(disable_help_flag = true)]
    Run(Box<engine::Request>),
    /// List containers
    Ps(ps::Arguments),
    /// Remove containers that have ended
    Rm {
        /// Name, ID, or the beginning of an ID
        #[arg(required = true, value_name = "CONTAINER")]
        containers: Vec<String>,
    },
    /// Bring an image here
    Pull(engine::Pull),
    /// List images; SIZE is what was downloaded, compressed
    Images(images::List),
    /// Remove images
    Rmi(images::Remove),
    /// Give an image one more name
    Tag(images::Tag),
    /// Work with images
    #[command(subcommand)]
    Image(images::Command),
    /// List the ports of this machine that lead to a container
    Port {
        /// Name, ID, or the beginning of an ID
        container: String,
    },
    /// Work with networks
    #[command(subcommand)]
    Network(Network),
    /// List what a container has added (A), changed (C) and deleted (D) in its image's files
    Diff {
        /// Name, ID, or the beginning of an ID
        container: String,
    },
    /// Show what isolates a process
    Xray(xray::command::Arguments),
}

#[derive(Subcommand)]
enum Network {
    /// Remove the networks that no container is on: their bridges, rules and switches
    Prune,
    /// Put back the rules that let containers through, after ufw, firewalld or nft were reloaded
    Reload,
}

fn main() -> ExitCode {
    process::finish(run())
}

fn run() -> anyhow::Result<u8> {
    sys::close_all_but(&[])?; // whatever our caller left open stays out of the container
    let Coracle { command, .. } = process::parse();
    if !matches!(command, Command::Xray(_)) {
        // An ordinary user's containers are made by root of a user namespace.
        let wanted = if let Command::Run(request) = &command { Some(&**request) } else { None };
        if let Some(status) = engine::be_root(wanted)? {
            return Ok(status);
        }
    }
    match command {
        Command::Run(request) => return engine::run(&request),
        Command::Ps(arguments) => ps::print(&arguments)?,
        Command::Rm { containers } => {
            let mut first_error = Ok(0);
            for container in &containers {
                match engine::remove(container) {
                    Ok(()) => writeln!(stdout(), "{container}")?,
                    Err(error) => first_error = first_error.and(Err(error)),
                }
            }
            return first_error;
        }
        Command::Pull(request) => images::pull(&request)?,
        Command::Images(arguments) => images::list(&arguments)?,
        Command::Rmi(arguments) => images::remove(&arguments)?,
        Command::Tag(arguments) => images::run(&images::Command::Tag(arguments))?,
        Command::Image(command) => images::run(&command)?,
        Command::Port { container } => {
            for port in engine::ports(&container)? {
                for outside in port.outside() {
                    writeln!(stdout(), "{}/{} -> {outside}", port.to, port.protocol)?;
                }
            }
        }
        Command::Network(Network::Prune) => engine::prune_networks()?,
        Command::Network(Network::Reload) => engine::reload_networks()?,
        Command::Diff { container } => {
            for change in engine::changes(&container)? {
                writeln!(stdout(), "{change}")?;
            }
        }
        Command::Xray(arguments) => xray::command::run(&arguments, xray_rows::add)?,
    }
    Ok(0)
}
