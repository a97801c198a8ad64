//! What a person can ask of `coracle run`: the flags of docker-run(1) that are built so far.

use crate::images::When;
use cgroups::Device;
use network::files::AddHost;
use network::ports::Publish;
use rootfs::Volume;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

/// A container as it was asked for. What is not said here the image decides.
#[derive(clap::Args, Debug)]
pub struct Request {
    /// Keep standard input open; without it the command reads the end of a file
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal of its own
    #[arg(short, long)]
    pub tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    pub rm: bool,
    /// The container's name [default: two random words]
    #[arg(long, value_parser = crate::name::parse)]
    pub name: Option<String>,
    /// Set a variable; NAME alone takes its value from here
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Read variables from a file, one a line
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// The folder in which the command starts; made if it is missing
    #[arg(short, long, value_name = "DIR", value_parser = absolute)]
    pub workdir: Option<PathBuf>,
    /// Run as this user: a name of the image's /etc/passwd or a number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Put the command into this group too: a name of the image's /etc/group or a number
    #[arg(long = "group-add", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// Show a file or folder of the host in the container; options: ro, rw, bind, rbind
    #[arg(short, long = "volume", value_name = "SRC:DST[:OPTIONS]")]
    pub volumes: Vec<Volume>,
    /// The container's host name [default: the first 12 digits of its ID]
    #[arg(long, short = 'h', value_name = "NAME")]
    pub hostname: Option<String>,
    /// What it is connected to: bridge (without root pasta or slirp4netns), host, none, container:NAME
    #[arg(long, visible_alias = "net", value_name = "NETWORK", default_value = "bridge")]
    pub network: crate::connection::Wish,
    /// Lead a port of this machine to one of the container: 8080:80, 127.0.0.1:8080:80/udp, 80
    #[arg(short, long, value_name = "[[ADDRESS:]PORT:]PORT[/udp]")]
    pub publish: Vec<Publish>,
    /// Publish all ports that the image exposes, on free ports of this machine
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Look names up by this server [default: by those of this machine]
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<IpAddr>,
    /// Complete short names with this domain; "." for none
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// Give an address a name in there; host-gateway is this machine's
    #[arg(long, value_name = "NAME:ADDRESS")]
    pub add_host: Vec<AddHost>,
    /// Run this program in place of the image's; "" for none
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Mount the root file system read-only; volumes and /dev stay writable
    #[arg(long)]
    pub read_only: bool,
    /// What the command may do.
    #[command(flatten)]
    pub rights: confine::Rights,
    /// Put a small init at PID 1, which collects orphans and passes signals on
    #[arg(long)]
    pub init: bool,
    /// Take the image that is for this machine [default: this one]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<image::Platform>,
    /// Pull the image first: always, never, or if it is missing
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub pull: When,
    /// Say nothing of the pull
    #[arg(short, long)]
    pub quiet: bool,
    /// For the pull, plain HTTP and certificates that nobody vouches for will do
    #[arg(long)]
    pub insecure: bool,
    /// The image: a name such as alpine, which is pulled if it is not here; or oci:DIR[:TAG],
    /// oci-archive:FILE[:TAG], docker-archive:FILE[:NAME]
    pub image: String,
    /// The command and its arguments, in place of the image's
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<OsString>,
    /// Give the container a device of this machine
    #[arg(long = "device", value_name = "SRC[:DST[:rwm]]")]
    pub devices: Vec<Device>,
    /// What it may use at most
    #[command(flatten)]
    pub limits: cgroups::Options,
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    if text.starts_with('/') { Ok(text.into()) } else { Err("must be an absolute path".into()) }
}
