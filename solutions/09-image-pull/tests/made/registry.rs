//! Debian's docker-registry on loopback, filled by skopeo: as real as it gets without the internet.

use super::token::TokenServer;
use harness::{Output, not_run, run_within};
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// `captain` with the password `ahoy`, as htpasswd -B writes it.
const HTPASSWD: &str = "captain:$2y$05$abcdefghijklmnopqrstuupc2Bh/BcdpJnf0yyNxNgehaXaZ8mK5m\n";

/// Options of skopeo for who knows it, on plain HTTP.
pub const AS_CAPTAIN: [&str; 3] = ["--dest-tls-verify=false", "--dest-creds", "captain:ahoy"];

/// A registry that ends with the test.
pub struct Registry {
    pub address: String,
    child: Child,
}

/// How it lets people in.
pub enum Door<'a> {
    Open,
    Password,
    /// Whoever has a token of this server.
    Token(&'a TokenServer),
    /// TLS with this certificate and key.
    Tls(&'a Path, &'a Path),
    /// The same, for those whom an authority vouches for.
    Clients {
        certificate: &'a Path,
        key: &'a Path,
        authority: &'a Path,
    },
}

impl Door<'_> {
    /// The lines of the configuration for it, and what belongs into the one for `http`.
    fn configuration(&self, folder: &Path) -> (String, String) {
        let tls = |certificate: &Path, key: &Path, more: &str| {
            let (certificate, key) = (certificate.display(), key.display());
            format!(", tls: {{certificate: {certificate}, key: {key}{more}}}")
        };
        match self {
            Door::Open => Default::default(),
            Door::Password => {
                let passwords = folder.join("htpasswd");
                fs::write(&passwords, HTPASSWD).unwrap();
                let path = passwords.display();
                (format!("auth: {{htpasswd: {{realm: harbour, path: {path}}}}}\n"), String::new())
            }
            Door::Token(server) => {
                let (realm, bundle) = (server.realm(), server.certificate.display());
                let (service, issuer) = (TokenServer::SERVICE, TokenServer::ISSUER);
                let auth = format!(
                    "auth: {{token: {{realm: \"{realm}\", service: {service}, issuer: {issuer}, rootcertbundle: {bundle}}}}}\n"
                );
                (auth, String::new())
            }
            Door::Tls(certificate, key) => (String::new(), tls(certificate, key, "")),
            Door::Clients { certificate, key, authority } => {
                let clients = format!(", clientcas: [{}]", authority.display());
                (String::new(), tls(certificate, key, &clients))
            }
        }
    }
}

impl Registry {
    /// Starts one whose files are below `folder`. The test is not run where there is none.
    pub fn start(folder: &Path, door: Door) -> Registry {
        fs::create_dir_all(folder).unwrap();
        // The sandbox's ports are ours alone, and these are none that a client gets: one of those may
        // connect to itself.
        static NEXT: AtomicU16 = AtomicU16::new(5000);
        let address = format!("127.0.0.1:{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let (auth, tls) = door.configuration(folder);
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"{address}\"{tls}}}\n{auth}",
            folder.join("files").display()
        );
        fs::write(folder.join("config.yml"), config).unwrap();
        let child = Command::new(program())
            .arg("serve")
            .arg(folder.join("config.yml"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(
                started.elapsed() < harness::patient(Duration::from_secs(20)),
                "docker-registry does not start"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Registry { address, child }
    }

    /// Copies an image of a layout into it, with all platforms.
    pub fn fill(&self, source: &str, name: &str, options: &[&str]) {
        let to = format!("docker://{}/{name}", self.address);
        let mut command = Command::new(tool("skopeo"));
        command
            .args(["--insecure-policy", "copy", "--all", "--quiet"])
            .args(options)
            .args([source, &to]);
        let output = run_within(&mut command, Duration::from_secs(100));
        assert!(output.status.success(), "{output:?}");
    }

    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> PathBuf {
    // The second is where scripts/setup unpacks it: its package would start a service.
    let unpacked =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/peers/usr/bin/docker-registry");
    let places = ["/usr/bin/docker-registry", unpacked];
    let found = places.iter().map(PathBuf::from).find(|place| place.is_file());
    found.unwrap_or_else(|| not_run("no docker-registry: scripts/setup --tests can install it"))
}

/// A tool that the test cannot do without.
pub fn tool(name: &str) -> String {
    let is_there = Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    if !is_there {
        not_run(format!("no {name}: scripts/setup --tests can install it"));
    }
    name.to_owned()
}

/// `image-pull ARGUMENTS…`, with these variables.
pub fn image_pull(arguments: &[&str], variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(harness::bin("image-pull"));
    command.args(arguments).env_remove("DOCKER_CONFIG").env_remove("SSL_CERT_FILE");
    command.envs(variables.iter().copied()).env("HOME", "/nowhere");
    run_within(&mut command, Duration::from_secs(50))
}
