//! Registries that lie: nothing wrong gets a name in the store, no password goes where it should
//! not, and nothing is endless.

#[path = "made/made.rs"]
mod made;

use image::Platform;
use made::layout::{self, Compression, Layout};
use made::server::{Answer, Request, Server, answer, head, usual};
use made::tar::Tar;
use made::{Place, assert_says, large_image, names, said};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

harness::kernel_tests!(
    wrong_bytes_get_no_name,
    an_endless_blob_is_cut_off,
    a_wrong_length_is_not_believed,
    credentials_do_not_follow_a_redirect,
    redirects_end,
    plain_http_is_for_this_machine_alone,
    manifests_that_make_no_sense_are_refused,
    bombs_do_not_go_off => 120,
);

fn wrong_bytes_get_no_name() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let server = with_layers(&layout, |mut bytes| {
        bytes[1000] ^= 1;
        answer(200, "", &bytes)
    });
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["the bytes hash to", "instead of"]);
    place.assert_clean();
    // A config that is another one.
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| {
        match request.is_blob() && usual(&folder, request).ends_with(b"}") {
            true => answer(200, "", b"{}"),
            false => Answer::Usual,
        }
    });
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["it has 2 bytes there"]);
    place.assert_clean();
}

fn an_endless_blob_is_cut_off() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let server = with_layers(&layout, move |bytes| {
        let counter = counter.clone();
        Answer::Stream(Box::new(move |stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
            chunk.extend(&bytes);
            chunk.extend(b"\r\n");
            while stream.write_all(&chunk).is_ok() {
                counter.fetch_add(bytes.len(), Ordering::Relaxed);
            }
        }))
    });
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["goes on after the bytes it should have"]);
    assert!(sent.load(Ordering::Relaxed) < 50 << 20, "{sent:?}");
    place.assert_clean();
}

fn a_wrong_length_is_not_believed() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    for (more, status) in [(-1_isize, 200), (1, 200), (1 << 40, 200)] {
        let server = with_layers(&layout, move |bytes| {
            let mut said = head(status, "", bytes.len().wrapping_add_signed(more));
            said.extend(&bytes);
            Answer::Raw(said)
        });
        let text = said(place.pull_from(&server.image("latest")));
        assert_says(&text, &["bytes there, and the manifest says"]);
        place.assert_clean();
    }
}

/// Changes the bytes of answers for layers.
fn with_layers(
    layout: &Layout,
    change: impl Fn(Vec<u8>) -> Answer + Send + Sync + 'static,
) -> Server {
    let folder = layout.folder.clone();
    let is_layer = move |request: &Request| {
        let name = request.path.rsplit(':').next().unwrap_or_default();
        let file = fs::read(folder.join("blobs/sha256").join(name));
        file.is_ok_and(|bytes| !bytes.starts_with(b"{"))
    };
    let folder = layout.folder.clone();
    Server::start(&layout.folder, move |request, _| match is_layer(request) {
        true => {
            let name = request.path.rsplit(':').next().unwrap();
            change(fs::read(folder.join("blobs/sha256").join(name)).unwrap())
        }
        false => Answer::Usual,
    })
}

fn credentials_do_not_follow_a_redirect() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    // Another port is another host. It sees what comes, and answers as it should.
    let elsewhere = Server::good(&layout.folder);
    let to = elsewhere.address.clone();
    let server = Server::start(&layout.folder, move |request, _| {
        if request.header("authorization") != Some("Basic Y2FwdGFpbjphaG95") {
            return answer(401, "WWW-Authenticate: Basic realm=\"x\"", b"");
        }
        match request.is_blob() {
            true => {
                answer(307, &format!("Location: http://{to}{}?signed=secret", request.path), b"")
            }
            false => Answer::Usual,
        }
    });
    // The other host's answers have a query that its files do not.
    let config = place.path("docker");
    fs::create_dir(&config).unwrap();
    let json = format!(r#"{{"auths": {{"{}": {{"auth": "Y2FwdGFpbjphaG95"}}}}}}"#, server.address);
    fs::write(config.join("config.json"), json).unwrap();
    let root = place.path("store");
    let variables = [("DOCKER_CONFIG", config.as_path()), ("CORACLE_ROOT", &root)];
    let output = made::registry::image_pull(&["--quiet", &server.image("latest")], &variables);
    assert!(elsewhere.requests().len() >= 2, "{output:?}");
    for request in elsewhere.requests() {
        assert!(request.header("authorization").is_none(), "{request:?}");
    }
    assert!(output.status.success(), "{output:?}");
    // And an error there does not show what the address was signed with.
    let to = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::start(&layout.folder, move |request, _| match request.is_blob() {
        true => answer(302, &format!("Location: http://{to}/x?signed=secret"), b""),
        false => Answer::Usual,
    });
    let other = Place::new();
    let text = said(other.pull_from(&server.image("latest")));
    assert_says(&text, &["cannot reach", &to.to_string()]);
    assert!(!text.contains("secret"), "{text}");
}

fn redirects_end() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let server = Server::start(&layout.folder, |request, _| {
        answer(302, &format!("Location: {}", request.path), b"")
    });
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["redirects more than 10 times"]);
    let asked = server.requests().into_iter().filter(|r| r.path.contains("/manifests/"));
    assert_eq!(asked.count(), 11);
    for location in ["", "ftp://x/y", "http://a:b@127.0.0.1/", "http://"] {
        let server = Server::start(&layout.folder, move |_, _| {
            answer(302, &format!("Location: {location}"), b"")
        });
        said(place.pull_from(&server.image("latest")));
    }
    place.assert_clean();
}

fn plain_http_is_for_this_machine_alone() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let server =
        Server::start(&layout.folder, |_, _| answer(302, "Location: http://example.com/x", b""));
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["http://example.com/x", "plain HTTP", "--insecure"]);
    // A token server is asked with a password: no less.
    let server = Server::start(&layout.folder, |_, _| {
        answer(401, "WWW-Authenticate: Bearer realm=\"http://example.com/token\"", b"")
    });
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["http://example.com/token", "plain HTTP"]);
    // This machine, but not by loopback: https is tried, and no plain HTTP after it.
    let up = Command::new("ip").args(["address", "add", "192.0.2.1/32", "dev", "lo"]).status();
    assert!(up.unwrap().success());
    let listener = TcpListener::bind("192.0.2.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let first = Arc::new(Mutex::new(Vec::new()));
    let seen = first.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut byte = [0];
            let _ = std::io::Read::read(&mut stream, &mut byte);
            seen.lock().unwrap().push(byte[0]);
        }
    });
    said(place.pull_from(&format!("{address}/x")));
    let seen = first.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|byte| *byte == 0x16), "TLS alone: {seen:?}");
    place.assert_clean();
}

fn manifests_that_make_no_sense_are_refused() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let manifest = |layers: &str| {
        let digest = layout::digest(b"x");
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":SIZE}},"layers":[{layers}]}}"#
        )
    };
    let layer = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":1}}"#,
        layout::digest(b"y")
    );
    let many = vec![layer.as_str(); 10_000].join(",");
    for (body, words) in [
        ("<html>log in, please</html>".to_owned(), &["not the JSON document"][..]),
        (String::new(), &["not the JSON document"]),
        ("{}".to_owned(), &["schemaVersion"]),
        ("[".repeat(100_000), &["not the JSON document"]),
        (manifest(&many).replace("SIZE", "1"), &["10000 layers"]),
        (manifest("").replace("SIZE", "18446744073709551615"), &["18446744073709551615 bytes"]),
        (manifest("").replace("SIZE", "-1"), &["not the JSON document"]),
        (" ".repeat((4 << 20) + 1), &["more than 4194304 bytes"]),
    ] {
        let server = Server::start(&layout.folder, move |request, _| {
            match request.path.contains("/manifests/") {
                true => answer(
                    200,
                    "Content-Type: application/vnd.oci.image.manifest.v1+json",
                    body.as_bytes(),
                ),
                false => Answer::Usual,
            }
        });
        assert_says(&said(place.pull_from(&server.image("latest"))), words);
        assert!(place.store().images().unwrap().is_empty());
        assert!(names(&place.path("store/layers/sha256")).is_empty());
    }
    // A digest that the registry itself does not stand by.
    let server =
        Server::start(&layout.folder, |request, _| match request.path.contains("/manifests/") {
            true => {
                answer(200, &format!("Docker-Content-Digest: sha256:{}", "0".repeat(64)), b"{}")
            }
            false => Answer::Usual,
        });
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["the bytes hash to", "instead of sha256:000"]);
}

fn bombs_do_not_go_off() {
    let place = Place::new();
    // Three gigabytes of zeros in one file: zstd makes some kilobytes of them.
    let length: u64 = 3 << 30;
    let start = Tar::new().entry(b'0', b"bomb", b"", b"", |header| header.set_size(length));
    let start = start.finish();
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.write_all(&start[..512]).unwrap();
    let zeros = vec![0; 1 << 20];
    (0..3 << 10).for_each(|_| encoder.write_all(&zeros).unwrap());
    let zstd = encoder.finish().unwrap();
    assert!(zstd.len() < 1 << 20, "{}", zstd.len());
    let mut layout = Layout::new(&place.path("layout"));
    let kind = "application/vnd.oci.image.layer.v1.tar+zstd";
    let layer = layout.blob(kind, &zstd);
    let config = serde_json::json!({
        "os": "linux", "architecture": Platform::host().architecture,
        "rootfs": { "type": "layers", "diff_ids": [layout::digest(b"whatever")] },
    });
    let image = layout.manifest(&config, vec![layer]);
    layout.list("bomb", image);
    let server = Server::good(&layout.folder);
    let text = said(place.pull_from(&server.image("bomb")));
    assert_says(&text, &["1032 times its size", "a bomb"]);
    assert!(place.remains().is_empty() && place.store().images().unwrap().is_empty());
    // What gzip makes of zeros is the most that passes; it is honest.
    let honest = Tar::new().file("zeros", &vec![0; 100 << 20]).finish();
    let mut layout = Layout::new(&place.path("honest"));
    let image = layout.image(&Platform::host().to_string(), &[(honest, Compression::Gzip)]);
    layout.list("honest", image);
    let server = Server::good(&layout.folder);
    place.pull_from(&server.image("honest")).unwrap();
}
