//! Puts what was read into rows: plain data that the table draws and that JSON carries.
//!
//! Later crates know more about a process than `/proc` does (the ends of its network links, the
//! limits of its cgroup). They push rows of their own into [`Report::rows`] before it is shown.

use crate::{Subject, own_pid, procfs, rows, status::Status};
use anyhow::{Context, Error, Result, bail};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;
use std::fmt::Display;

/// A process, beside another.
#[derive(Debug, Clone)]
pub struct Report {
    /// The process that was asked for.
    pub subject: Subject,
    /// The process it is compared with.
    pub reference: Subject,
    /// What the comparison means.
    pub against: Against,
    /// The facts. The order counts within a group only.
    pub rows: Vec<Row>,
    /// Sentences about the whole, such as that this is a thread of the kernel.
    pub notes: Vec<String>,
}

/// One kind of isolation.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Lower case and one word: the name in the table, in `--rows` and in JSON. No two rows of a
    /// report have the same.
    pub name: String,
    /// The rows it belongs with.
    pub group: Group,
    /// Whether the process has its own or shares the other's.
    pub verdict: Verdict,
    /// How it is for the process.
    pub value: Fact,
    /// How it is for the process it is compared with.
    pub reference: Fact,
}

/// The groups of rows, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The eight, `pid` to `time`.
    Namespaces,
    /// Its numbers and signals.
    Process,
    /// What it sees of the file system.
    Files,
    /// Who it is: users, groups, host name.
    Identity,
    /// Its network.
    Network,
    /// How much it may use, and who counts.
    Resources,
    /// Its five sets.
    Capabilities,
    /// What it may not do.
    Confinement,
}

/// What the comparison of one row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The process has something else than the other.
    Own,
    /// Both have the same.
    Shared,
    /// One of the two could not be read. Never a guess.
    Unknown,
    /// A fact that means nothing by being the same or another, such as a count.
    Uncompared,
}

/// What the process is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// The process that looks: "the host", as far as it can know.
    Host,
    /// A process that was named.
    Other,
}

/// One fact about one process.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// It could be read.
    Known {
        /// For people. Several lines are possible; the table breaks long ones at blanks.
        text: String,
        /// For programs.
        data: Value,
    },
    /// It could not.
    Unknown {
        /// Why, with the path and the errno.
        reason: String,
        /// Whether the kernel refused; then somebody with more rights may get an answer.
        refused: bool,
    },
}

impl Fact {
    /// A fact whose two forms are made by hand.
    pub fn known(text: impl Into<String>, data: impl Serialize) -> Fact {
        let data = serde_json::to_value(data).expect("facts are numbers, texts, lists and maps");
        Fact::Known { text: text.into(), data }
    }

    /// The reason why there is none.
    pub fn unknown(error: &Error) -> Fact {
        Fact::Unknown { reason: format!("{error:#}"), refused: procfs::is_refusal(error) }
    }

    /// What was read, or why it was not.
    pub fn of<T: Display + Serialize>(result: Result<T>) -> Fact {
        match result {
            Ok(value) => Fact::known(value.to_string(), &value),
            Err(error) => Fact::unknown(&error),
        }
    }

    fn data(&self) -> &Value {
        match self {
            Fact::Known { data, .. } => data,
            Fact::Unknown { .. } => &Value::Null,
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Fact::Known { .. } => None,
            Fact::Unknown { reason, .. } => Some(reason),
        }
    }
}

impl Verdict {
    /// The verdict on "are they the same?". No answer is not an answer.
    pub fn of(same: &Result<bool>) -> Verdict {
        match same {
            Ok(true) => Verdict::Shared,
            Ok(false) => Verdict::Own,
            Err(_) => Verdict::Unknown,
        }
    }

    /// The verdict on two facts that are the same if they are equal.
    pub fn of_equals<T: PartialEq>(value: &Result<T>, reference: &Result<T>) -> Verdict {
        match (value, reference) {
            (Ok(value), Ok(reference)) if value == reference => Verdict::Shared,
            (Ok(_), Ok(_)) => Verdict::Own,
            _ => Verdict::Unknown,
        }
    }
}

impl Against {
    /// The word for a verdict; none if there is no verdict to give.
    pub fn word(self, verdict: Verdict) -> Option<&'static str> {
        match (verdict, self) {
            (Verdict::Own, Against::Host) => Some("own"),
            (Verdict::Own, Against::Other) => Some("different"),
            (Verdict::Shared, Against::Host) => Some("host"),
            (Verdict::Shared, Against::Other) => Some("same"),
            (Verdict::Unknown, _) => Some("unknown"),
            (Verdict::Uncompared, _) => None,
        }
    }
}

impl Row {
    /// A row whose facts are the same if they are equal.
    pub fn compare<T: Display + Serialize + PartialEq>(
        name: &str,
        group: Group,
        value: Result<T>,
        reference: Result<T>,
    ) -> Row {
        Row {
            name: name.to_owned(),
            group,
            verdict: Verdict::of_equals(&value, &reference),
            value: Fact::of(value),
            reference: Fact::of(reference),
        }
    }

    fn is_refused(&self) -> bool {
        [&self.value, &self.reference]
            .into_iter()
            .any(|fact| matches!(fact, Fact::Unknown { refused: true, .. }))
    }
}

impl Report {
    /// Reads a process beside the one that calls: at least the rows of the names that are
    /// `wanted`, all rows if that is empty.
    ///
    /// # Errors
    /// See [`Report::beside`].
    pub fn read(pid: u32, wanted: &[String]) -> Result<Report> {
        Report::of(pid, own_pid()?, Against::Host, wanted)
    }

    /// Reads a process beside another, with `wanted` as in [`Report::read`].
    ///
    /// # Errors
    /// One of them does not exist, is hidden or a zombie, or ended while it was being read.
    pub fn beside(pid: u32, other: u32, wanted: &[String]) -> Result<Report> {
        own_pid()?; // without it this /proc has no sensible answers, and the error says why
        Report::of(pid, other, Against::Other, wanted)
    }

    fn of(pid: u32, other: u32, against: Against, wanted: &[String]) -> Result<Report> {
        let (subject, reference) = (Subject::read(pid)?, Subject::read(other)?);
        let rows = rows(pid, other, wanted);

        // Reading takes many system calls. In between the process may end and its number go to a
        // new one: only if the same process is still there do all rows speak of it.
        for process in [&subject, &reference] {
            if !process.is_alive() {
                bail!("process {} ({}) ended while it was being read", process.pid, process.name);
            }
        }

        let notes = notes(&subject)?;
        Ok(Report { subject, reference, against, rows: rows?, notes })
    }

    /// Keeps the rows of these names and drops all others.
    ///
    /// # Errors
    /// A name that no row has; the text lists those there are.
    pub fn keep(&mut self, names: &[String]) -> Result<()> {
        let known: Vec<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        if let Some(stranger) = names.iter().find(|name| !known.contains(&name.as_str())) {
            bail!("no row is called {stranger:?}\nhint: there are {}", known.join(", "));
        }
        self.rows.retain(|row| names.contains(&row.name));
        Ok(())
    }

    /// What the reader can do about rows that are unknown; empty if none are, or nothing helps.
    pub fn hints(&self) -> Vec<String> {
        if !self.rows.iter().any(Row::is_refused) {
            return Vec::new();
        }
        let is_root = own_pid()
            .and_then(|me| Status::read(me)?.numbers("Uid"))
            .is_ok_and(|numbers| numbers.get(1) == Some(&0));
        vec![
            match is_root {
                true => "what is unknown is closed even to root here: see ptrace(2)",
                false => "what is unknown is another user's: try it as root (sudo)",
            }
            .to_owned(),
        ]
    }

    /// The report as indented JSON, in the shape of [`crate::command::JSON_HELP`].
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).context("cannot write the report as JSON")
    }

    /// The rows in the order of the table: group by group.
    pub fn sorted_rows(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| row.group); // stable: within a group as they were pushed
        rows
    }
}

/// Whether all rows of these names are there. An empty list asks for every row that there is, so
/// it is never satisfied.
pub(crate) fn has_all(rows: &[Row], wanted: &[String]) -> bool {
    let is_there = |name: &String| rows.iter().any(|row| row.name == *name);
    !wanted.is_empty() && wanted.iter().all(is_there)
}

fn notes(subject: &Subject) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if subject.kernel_thread {
        notes.push("a thread of the kernel: it runs no program and cannot be isolated".to_owned());
    }
    if subject.process != subject.pid {
        notes.push(format!("a thread of process {}", subject.process));
    }
    let (here, inside) = (own_pid()?, std::process::id());
    if here != inside {
        notes.push(format!(
            "this /proc is an outer PID namespace's: xray is {here} in it and calls itself \
             {inside}; PIDs are meant as /proc counts them"
        ));
    }
    Ok(notes)
}

/// The shape is described where people look for it, in [`crate::command::JSON_HELP`].
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("format", &1)?;
        map.serialize_entry("process", &self.subject)?;
        map.serialize_entry("against", &self.against)?;
        map.serialize_entry("reference", &self.reference)?;
        map.serialize_entry("rows", &Rows(self))?;
        map.serialize_entry("notes", &self.notes)?;
        map.serialize_entry("hints", &self.hints())?;
        map.end()
    }
}

/// The rows as an object by name, in the order of the table.
struct Rows<'a>(&'a Report);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.0.sorted_rows().into_iter().map(|row| {
            let entry = Entry {
                group: row.group,
                verdict: self.0.against.word(row.verdict),
                value: row.value.data(),
                reference: row.reference.data(),
                unknown: row.value.reason().or(row.reference.reason()),
            };
            (&row.name, entry)
        }))
    }
}

/// A row in JSON.
#[derive(Serialize)]
struct Entry<'a> {
    group: Group,
    verdict: Option<&'static str>,
    value: &'a Value,
    reference: &'a Value,
    unknown: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn failed<T>(kind: io::ErrorKind) -> Result<T> {
        Err(io::Error::from(kind)).context("cannot read /proc/7/ns/pid")
    }

    #[test]
    fn two_refusals_are_unknown_and_not_the_same() {
        use io::ErrorKind::PermissionDenied;
        let row = Row::compare::<u32>(
            "x",
            Group::Process,
            failed(PermissionDenied),
            failed(PermissionDenied),
        );
        assert_eq!(row.verdict, Verdict::Unknown);
        assert!(row.is_refused());
    }

    #[test]
    fn what_is_missing_needs_no_more_rights() {
        let row = Row::compare("x", Group::Process, failed(io::ErrorKind::NotFound), Ok(1));
        assert_eq!(row.verdict, Verdict::Unknown);
        assert!(!row.is_refused());
    }

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let report = Report::read(own_pid().unwrap(), &[]).unwrap();
        let mut names: Vec<&str> = report.rows.iter().map(|row| row.name.as_str()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn what_nobody_asks_for_is_not_read() {
        let read = |names: &[&str]| {
            let wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Report::read(own_pid().unwrap(), &wanted).unwrap().rows.len()
        };
        assert_eq!(read(&["net", "pid"]), 8);
        assert_eq!(read(&["net", "pids"]), read(&[]));
        assert_eq!(read(&["no such row"]), read(&[]));
    }

    #[test]
    fn a_pushed_row_lands_in_its_group() {
        let mut report = Report::read(own_pid().unwrap(), &[]).unwrap();
        report.rows.push(Row::compare("hostname", Group::Identity, Ok("a"), Ok("b")));
        let rows = report.sorted_rows();
        let place = rows.iter().position(|row| row.name == "hostname").unwrap();
        assert_eq!(rows[place - 1].group, Group::Identity);
        assert_eq!(rows[place + 1].group, Group::Resources);
    }
}
