//! `cargo course book`: serves the book and opens the learner's page.

use crate::course::Course;
use crate::look::{self, paragraph, to_type};
use crate::{choose, dev, progress};
use anyhow::{Context, Result, bail};
use std::env;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The first port that is tried, mdBook's own.
const PORT: u16 = 3000;

/// Read the book: serve it on this machine, and open your page
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  cargo course book        the page of the chapter that you are at
  cargo course book 01     the page of chapter 01
  cargo course book unix   the page of that name in book/src

It prints the address and runs until Ctrl-C; so give it a terminal of its own.")]
pub struct Arguments {
    /// A chapter, such as 01 or pid-namespace, or a page [default: the chapter you are in]
    page: Option<String>,
}

/// Serves it.
pub fn run(arguments: &Arguments, course: &Course) -> Result<ExitCode> {
    let read = find(arguments.page.as_deref(), course)?;
    progress::keep(&course.checkout, |progress| {
        progress.pages.insert(read.remembered.clone());
    });
    let Ok(mdbook) = dev::book::mdbook(&course.checkout) else {
        look::say(&without_mdbook(&read.page));
        return Ok(ExitCode::FAILURE);
    };
    let port = (PORT..PORT + 50).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let port = port.context("no port from 3000 to 3049 is free")?;
    let address = format!("http://localhost:{port}/{}", read.page.replace(".md", ".html"));
    let mut server = serve(&mdbook, &course.checkout, port)?;
    wait_until_it_answers(&mut server, port)?;
    look::say(&format!("\n{} is at\n\n", read.title));
    look::say(&to_type(&address));
    look::say(&format!("\nThis runs until Ctrl-C. In another terminal, {}:\n\n", read.then.0));
    look::say(&to_type(&read.then.1));
    open(&address);
    let status = server.wait().context("mdbook is gone")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A page to read.
struct Reading {
    /// Its file, below `book/src`.
    page: String,
    /// What the progress calls it.
    remembered: String,
    /// What it is called here.
    title: String,
    /// What to do beside it, and the command for that.
    then: (&'static str, String),
}

fn find(named: Option<&str>, course: &Course) -> Result<Reading> {
    if let Some(name) = named.filter(|name| is_page(name, course)) {
        let then = ("type along", "cargo course shell".to_owned());
        let (page, title) = (format!("{name}.md"), format!("The page {name}"));
        return Ok(Reading { page, remembered: name.to_owned(), title, then });
    }
    let chapter = choose::chapter(course, named, &progress::read(&course.checkout))?;
    let number = chapter.number();
    Ok(Reading {
        page: chapter.page.clone(),
        remembered: chapter.folder.clone(),
        title: format!("Chapter {number}"),
        then: ("begin to build", format!("cargo course check {number} --watch")),
    })
}

/// A page that stands before the chapters: its name has letters and dashes only.
fn is_page(name: &str, course: &Course) -> bool {
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    is_name && course.checkout.join("book/src").join(format!("{name}.md")).is_file()
}

fn without_mdbook(page: &str) -> String {
    let mut text = paragraph("The book needs mdBook, which is not installed. To install it:", 0);
    text += &format!("\n{}", to_type("./scripts/setup --book"));
    text + &format!("\nOr read the page as text: book/src/{page}\n")
}

/// mdBook says much on standard error; only that it failed matters here. It ends with us, also when
/// we are killed: setpriv(1), of util-linux, asks the kernel for that before it becomes mdBook.
fn serve(mdbook: &Path, checkout: &Path, port: u16) -> Result<Child> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(mdbook);
    command.args(["serve", "--hostname", "127.0.0.1", "--port", &port.to_string()]);
    command.arg("--dest-dir").arg(checkout.join("target/book-served"));
    command.arg(checkout.join("book")).env("MDBOOK_LOG", "error");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().with_context(|| format!("cannot start {} by setpriv", mdbook.display()))
}

fn wait_until_it_answers(server: &mut Child, port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(());
        }
        if let Some(status) = server.try_wait()? {
            bail!("mdbook ended with {status}");
        }
        sleep(Duration::from_millis(50));
    }
    bail!("mdbook does not answer on port {port}")
}

/// Opens a browser where there is a screen; that it could not is no error, the address is printed.
fn open(address: &str) {
    let has = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    if !(has("DISPLAY") || has("WAYLAND_DISPLAY") || has("WSL_DISTRO_NAME")) {
        return;
    }
    for program in ["xdg-open", "wslview"] {
        let mut command = Command::new(program);
        command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            return;
        }
    }
}
