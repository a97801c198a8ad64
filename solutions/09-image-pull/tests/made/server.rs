//! A web server of a test's own: serves an image layout as a registry, and misbehaves on demand.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a client has sent. Names of headers are in lower case.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Is a layer or config asked for?
    pub fn is_blob(&self) -> bool {
        self.path.contains("/blobs/")
    }
}

/// How to answer.
pub enum Answer {
    /// As a good registry would.
    Usual,
    /// These bytes, head and all; then the connection ends, which they should say if they are whole.
    Raw(Vec<u8>),
    /// Whatever this writes; then as well.
    Stream(Box<dyn FnOnce(&mut TcpStream)>),
}

/// An answer with a status and headers, one a line, and a body. It says that the connection ends
/// with it: whoever is not told asks for the next thing on the same one, and loses the race with
/// its end on a busy machine.
pub fn answer(status: u16, headers: &str, body: &[u8]) -> Answer {
    let mut bytes = head(status, &format!("{headers}\nConnection: close"), body.len());
    bytes.extend(body);
    Answer::Raw(bytes)
}

pub fn head(status: u16, headers: &str, length: usize) -> Vec<u8> {
    let lines = headers.lines().map(str::trim).filter(|line| !line.is_empty());
    let headers: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {length}\r\n\r\n").into_bytes()
}

/// A server on a port of its own, until the test ends.
pub struct Server {
    /// `127.0.0.1:PORT`
    pub address: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves the layout in `folder`. `fault` sees each request first, and how many there were
    /// before of the same path.
    pub fn start(
        folder: &Path,
        fault: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Server {
        Server::listen("127.0.0.1", folder, fault)
    }

    /// A good one on another address of this machine.
    pub fn on(address: &str, folder: &Path) -> Server {
        Server::listen(address, folder, |_, _| Answer::Usual)
    }

    fn listen(
        address: &str,
        folder: &Path,
        fault: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let log = Arc::new(Mutex::new(Vec::new()));
        let server = Server { address, log: log.clone() };
        let (folder, fault) = (folder.to_owned(), Arc::new(fault));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (folder, fault, log) = (folder.clone(), fault.clone(), log.clone());
                thread::spawn(move || serve(stream.unwrap(), &folder, &*fault, &log));
            }
        });
        server
    }

    /// A good one.
    pub fn good(folder: &Path) -> Server {
        Server::start(folder, |_, _| Answer::Usual)
    }

    /// A reference in it.
    pub fn image(&self, tag: &str) -> String {
        format!("{}/made/image:{tag}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// The paths of all requests for blobs.
    pub fn blobs(&self) -> Vec<String> {
        self.requests().into_iter().filter(Request::is_blob).map(|request| request.path).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    folder: &Path,
    fault: &dyn Fn(&Request, usize) -> Answer,
    log: &Mutex<Vec<Request>>,
) {
    let mut first = [0];
    if stream.peek(&mut first).is_ok() && first[0] == 0x16 {
        return; // somebody begins to speak TLS
    }
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while let Some(request) = read_request(&mut reader) {
        let before = {
            let mut log = log.lock().unwrap();
            let before = log.iter().filter(|other| other.path == request.path).count();
            log.push(request.clone());
            before
        };
        match fault(&request, before) {
            Answer::Usual => {
                if stream.write_all(&answer_of(folder, &request, "")).is_err() {
                    return;
                }
            }
            Answer::Raw(bytes) => return drop(stream.write_all(&bytes)),
            Answer::Stream(write) => return write(&mut stream),
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length: &String| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    std::io::Read::read_exact(reader, &mut body).ok()?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Some(Request { method, path, headers, body })
}

/// What a good registry answers that ends the connection with it, ranges and all: for who writes it
/// in another way. TLS is not spoken here.
pub fn usual(folder: &Path, request: &Request) -> Vec<u8> {
    answer_of(folder, request, "Connection: close")
}

fn answer_of(folder: &Path, request: &Request, more: &str) -> Vec<u8> {
    let not_found = || head(404, &format!("Content-Type: application/json\n{more}"), 0);
    let Some((path, media_type)) = file_of(folder, &request.path) else { return not_found() };
    let Ok(bytes) = fs::read(path) else { return not_found() };
    let digest = super::layout::digest(&bytes);
    let headers = format!("Content-Type: {media_type}\nDocker-Content-Digest: {digest}\n{more}");
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes="));
    let from: Option<usize> = range.and_then(|range| range.strip_suffix('-')?.parse().ok());
    let (mut answer, body) = match from {
        Some(from) => {
            let (last, all) = (bytes.len() - 1, bytes.len());
            let headers = format!("{headers}\nContent-Range: bytes {from}-{last}/{all}");
            (head(206, &headers, all - from), &bytes[from..])
        }
        None => (head(200, &headers, bytes.len()), &bytes[..]),
    };
    answer.extend(body);
    answer
}

/// The file of `/v2/NAME/manifests/X` or `/v2/NAME/blobs/X`, and what it is.
fn file_of(folder: &Path, path: &str) -> Option<(PathBuf, String)> {
    let path = path.split('?').next()?;
    let blob =
        |digest: &str| Some(folder.join("blobs/sha256").join(digest.strip_prefix("sha256:")?));
    if let Some((_, digest)) = path.split_once("/blobs/") {
        return Some((blob(digest)?, "application/octet-stream".into()));
    }
    let (_, wanted) = path.split_once("/manifests/")?;
    if wanted.starts_with("sha256:") {
        return Some((blob(wanted)?, "application/vnd.oci.image.manifest.v1+json".into()));
    }
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("index.json")).ok()?).ok()?;
    let name = "org.opencontainers.image.ref.name";
    let found =
        index["manifests"].as_array()?.iter().find(|m| m["annotations"][name] == *wanted)?;
    Some((blob(found["digest"].as_str()?)?, found["mediaType"].as_str()?.to_owned()))
}
