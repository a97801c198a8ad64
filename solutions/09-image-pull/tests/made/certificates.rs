//! Certificates for tests: an authority, and a server that it vouches for.

use super::Place;
use harness::not_run;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// An authority, a certificate of it for 127.0.0.1, as a server and as a client, and its key.
pub fn authority(place: &Place) -> [PathBuf; 3] {
    let use_as = "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n";
    fs::write(place.path("ext"), use_as).unwrap();
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for line in [
        format!("{new} -x509 -days 2 -keyout ca.key -out ca.pem -subj /CN=authority"),
        format!("{new} -keyout key.pem -out request -subj /CN=127.0.0.1"),
        "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out cert.pem".into(),
    ] {
        openssl(&place.folder, &line, b"");
    }
    ["ca.pem", "cert.pem", "key.pem"].map(|name| place.path(name))
}

/// What `openssl` makes of `input`, in a folder.
pub fn openssl(folder: &Path, line: &str, input: &[u8]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(line.split(' ')).current_dir(folder);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = pipes.spawn() else { not_run("no openssl: apt-get install openssl") };
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {line}: {output:?}");
    output.stdout
}
