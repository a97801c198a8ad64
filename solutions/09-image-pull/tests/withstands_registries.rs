//! Registries and networks at their worst: what can be mended is mended, what can't is said, and
//! nothing wrong ever gets a name in the store.

#[path = "made/made.rs"]
mod made;

use image::{Access, Image, Platform, Progress, Store, Wanted};
use made::layout::{self, Compression, Layout, one_image};
use made::server::{Answer, Request, Server, answer, head, usual};
use made::tar::Tar;
use made::tree::{assert_same, look};
use made::{Place, names, said};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

harness::kernel_tests!(
    a_registry_that_is_down_is_said_to_be,
    silence_ends,
    slowness_is_no_fault,
    refusals_say_what_to_do,
    a_registry_in_trouble_gets_time,
    a_limit_is_waited_for_if_it_is_short,
    a_broken_connection_is_resumed_where_it_broke,
    a_registry_without_ranges_is_asked_again_from_the_beginning,
    a_blob_that_is_never_whole_is_given_up,
    wrong_bytes_get_no_name,
    an_endless_blob_is_cut_off,
    a_wrong_length_is_not_believed,
    credentials_do_not_follow_a_redirect,
    redirects_end,
    plain_http_is_for_this_machine_alone,
    manifests_that_make_no_sense_are_refused,
    bombs_do_not_go_off => 120,
    a_disk_that_is_too_small_is_known_before,
    ten_pulls_at_once_fetch_once => 120,
    the_next_pull_goes_on_where_a_killed_one_was => 300,
    half_a_blob_of_somebody_else_does_no_harm,
);

fn host() -> Platform {
    Platform::host()
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    std::io::Read::read_exact(&mut fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    bytes
}

/// An image of one layer that has about a megabyte however it is compressed.
fn large_layout(place: &Place) -> Layout {
    one_image(&place.path("layout"), &[Tar::new().file("large", &noise(1 << 20)).finish()])
}

/// With less patience than a person has.
fn pull(store: &Store, source: &str) -> anyhow::Result<Image> {
    let access = Access { insecure: false, silence: Duration::from_millis(400) };
    let wanted = Wanted { source: source.into(), access, progress: Progress::Quiet, here: None };
    image::pull(store, wanted, &host())
}

/// Nothing is listed, unpacked or half there.
fn assert_clean(place: &Place) {
    for folder in ["unpacking", "downloading", "layers/sha256"] {
        assert_eq!(names(&place.path("store").join(folder)), [""; 0], "in {folder}");
    }
    assert!(place.store().images().unwrap().is_empty());
}

fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}

fn a_registry_that_is_down_is_said_to_be() {
    let place = Place::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    let text = said(pull(&place.store(), &format!("127.0.0.1:{port}/x")));
    assert_says(&text, &["cannot reach", &port.to_string(), "refused", "hint: ", "tried 5 times"]);
    assert!(started.elapsed() < harness::patient(Duration::from_secs(10)));
    let text = said(pull(&place.store(), "no-such-host.invalid/x"));
    assert_says(&text, &["cannot reach https://no-such-host.invalid", "hint: "]);
    assert_clean(&place);
}

fn silence_ends() {
    let place = Place::new();
    let layout = large_layout(&place);
    let silent = |stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
        std::thread::sleep(Duration::from_secs(30));
    };
    let server = Server::start(&layout.folder, move |_, _| Answer::Stream(Box::new(silent)));
    let started = Instant::now();
    let text = said(pull(&place.store(), &server.image("latest")));
    assert_says(&text, &["tried 5 times", "imeout"]);
    assert!(
        started.elapsed() < harness::patient(Duration::from_secs(20)),
        "{:?}",
        started.elapsed()
    );
    assert_clean(&place);
}

fn slowness_is_no_fault() {
    let place = Place::new();
    let layout = one_image(&place.path("layout"), &[Tar::new().file("x", b"x").finish()]);
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| {
        let bytes = usual(&folder, request);
        Answer::Stream(Box::new(move |stream| {
            for piece in bytes.chunks(bytes.len() / 10 + 1) {
                let _ = stream.write_all(piece);
                std::thread::sleep(Duration::from_millis(100));
            }
        }))
    });
    let image = pull(&place.store(), &server.image("latest")).unwrap();
    assert_eq!(fs::read(image.layers[0].join("x")).unwrap(), b"x");
}

fn refusals_say_what_to_do() {
    let place = Place::new();
    let layout = large_layout(&place);
    let errors = br#"{"errors":[{"code":"X","message":"because \u001b[31m of this"}]}"#;
    for (status, headers, words) in [
        (401, "WWW-Authenticate: Basic realm=\"x\"", &["denies access", "docker login"][..]),
        (401, "WWW-Authenticate: Negotiate", &["a kind that is not known here", "negotiate"]),
        (403, "", &["denies access", "403", "because \\u{1b}[31m of this", "docker login"]),
        (404, "", &["there is none", "because", "spelling"]),
        (405, "", &["it answers 405", "because"]),
        (429, "Retry-After: 3600", &["429", "wait 3600 seconds", "docker login"]),
    ] {
        let server = Server::start(&layout.folder, move |_, _| answer(status, headers, errors));
        let started = Instant::now();
        let text = said(pull(&place.store(), &server.image("latest")));
        assert_says(&text, words);
        assert!(started.elapsed() < Duration::from_secs(2), "{status} is no reason to wait");
        assert!(!text.contains('\x1b'), "what a registry says does not command a terminal");
        assert_clean(&place);
    }
}

fn a_registry_in_trouble_gets_time() {
    let place = Place::new();
    let layout = large_layout(&place);
    let server = Server::start(&layout.folder, |request, before| match before {
        0 | 1 if request.path != "/v2/" => answer(500 + before as u16 * 3, "", b"oops"),
        _ => Answer::Usual,
    });
    pull(&place.store(), &server.image("latest")).unwrap();
    let server = Server::start(&layout.folder, |_, _| answer(500, "", b"oops"));
    let other = Place::new();
    let text = said(pull(&other.store(), &server.image("latest")));
    assert_says(&text, &["tried 5 times", "500", "try again later"]);
    assert_clean(&other);
}

fn a_limit_is_waited_for_if_it_is_short() {
    let place = Place::new();
    let layout = large_layout(&place);
    let server = Server::start(&layout.folder, |request, before| match before {
        0 if request.is_blob() => answer(429, "Retry-After: 1", b""),
        _ => Answer::Usual,
    });
    let started = Instant::now();
    pull(&place.store(), &server.image("latest")).unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2), "a config and a layer, a second each");
}

/// Cuts every answer for a blob off after so many bytes of its body.
fn cut(folder: &Path, request: &Request, after: usize) -> Answer {
    let bytes = usual(folder, request);
    let body = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    Answer::Raw(bytes[..bytes.len().min(body + after)].to_vec())
}

fn a_broken_connection_is_resumed_where_it_broke() {
    let place = Place::new();
    let layout = large_layout(&place);
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| match request.is_blob() {
        true => cut(&folder, request, 300_000),
        false => Answer::Usual,
    });
    let image = pull(&place.store(), &server.image("latest")).unwrap();
    assert_eq!(fs::metadata(image.layers[0].join("large")).unwrap().len(), 1 << 20);
    let ranges: Vec<_> =
        server.requests().iter().filter_map(|r| r.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["bytes=300000-", "bytes=600000-", "bytes=900000-"]);
}

fn without_range(request: &Request) -> Request {
    let mut request = request.clone();
    request.headers.remove("range");
    request
}

fn a_registry_without_ranges_is_asked_again_from_the_beginning() {
    let place = Place::new();
    let layout = large_layout(&place);
    let folder = layout.folder.clone();
    let server =
        Server::start(&layout.folder, move |request, before| match (request.is_blob(), before) {
            (true, 0) => cut(&folder, request, 500_000),
            (true, _) => Answer::Raw(usual(&folder, &without_range(request))),
            _ => Answer::Usual,
        });
    let image = pull(&place.store(), &server.image("latest")).unwrap();
    assert_eq!(fs::metadata(image.layers[0].join("large")).unwrap().len(), 1 << 20);
}

fn a_blob_that_is_never_whole_is_given_up() {
    let place = Place::new();
    let layout = large_layout(&place);
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| match request.is_blob() {
        true => cut(&folder, &without_range(request), 500_000),
        false => Answer::Usual,
    });
    let text = said(pull(&place.store(), &server.image("latest")));
    assert_says(&text, &["breaks", "500000 of", "not fetched again"]);
    assert!(names(&place.path("store/layers/sha256")).is_empty());
    // What has come stays for the next time.
    assert_eq!(names(&place.path("store/downloading")).len(), 1);
    let good = Server::good(&layout.folder);
    pull(&place.store(), &good.image("latest")).unwrap();
    let range = good.requests().iter().find_map(|r| r.header("range").map(str::to_owned));
    assert_eq!(range.as_deref(), Some("bytes=500000-"));
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

fn wrong_bytes_get_no_name() {
    let place = Place::new();
    let layout = large_layout(&place);
    let server = with_layers(&layout, |mut bytes| {
        bytes[1000] ^= 1;
        answer(200, "", &bytes)
    });
    let text = said(pull(&place.store(), &server.image("latest")));
    assert_says(&text, &["the bytes hash to", "instead of"]);
    assert_clean(&place);
    // A config that is another one.
    let place = Place::new();
    let layout = large_layout(&place);
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| {
        match request.is_blob() && usual(&folder, request).ends_with(b"}") {
            true => answer(200, "", b"{}"),
            false => Answer::Usual,
        }
    });
    let text = said(pull(&place.store(), &server.image("latest")));
    assert_says(&text, &["it has 2 bytes there"]);
    assert_clean(&place);
}

fn an_endless_blob_is_cut_off() {
    let place = Place::new();
    let layout = large_layout(&place);
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
    let text = said(pull(&place.store(), &server.image("latest")));
    assert_says(&text, &["goes on after the bytes it should have"]);
    assert!(sent.load(Ordering::Relaxed) < 50 << 20, "{sent:?}");
    assert_clean(&place);
}

fn a_wrong_length_is_not_believed() {
    let place = Place::new();
    let layout = large_layout(&place);
    for (more, status) in [(-1_isize, 200), (1, 200), (1 << 40, 200)] {
        let server = with_layers(&layout, move |bytes| {
            let mut said = head(status, "", bytes.len().wrapping_add_signed(more));
            said.extend(&bytes);
            Answer::Raw(said)
        });
        let text = said(pull(&place.store(), &server.image("latest")));
        assert_says(&text, &["bytes there, and the manifest says"]);
        assert_clean(&place);
    }
}

fn credentials_do_not_follow_a_redirect() {
    let place = Place::new();
    let layout = large_layout(&place);
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
    let text = said(pull(&other.store(), &server.image("latest")));
    assert_says(&text, &["cannot reach", &to.to_string()]);
    assert!(!text.contains("secret"), "{text}");
}

fn redirects_end() {
    let place = Place::new();
    let layout = large_layout(&place);
    let server = Server::start(&layout.folder, |request, _| {
        answer(302, &format!("Location: {}", request.path), b"")
    });
    let text = said(pull(&place.store(), &server.image("latest")));
    assert_says(&text, &["redirects more than 10 times"]);
    assert!(server.requests().len() < 20);
    for location in ["", "ftp://x/y", "http://a:b@127.0.0.1/", "http://"] {
        let server = Server::start(&layout.folder, move |_, _| {
            answer(302, &format!("Location: {location}"), b"")
        });
        said(pull(&place.store(), &server.image("latest")));
    }
    assert_clean(&place);
}

fn plain_http_is_for_this_machine_alone() {
    let place = Place::new();
    let layout = large_layout(&place);
    let server =
        Server::start(&layout.folder, |_, _| answer(302, "Location: http://example.com/x", b""));
    let text = said(pull(&place.store(), &server.image("latest")));
    assert_says(&text, &["http://example.com/x", "plain HTTP", "--insecure"]);
    // A token server is asked with a password: no less.
    let server = Server::start(&layout.folder, |_, _| {
        answer(401, "WWW-Authenticate: Bearer realm=\"http://example.com/token\"", b"")
    });
    let text = said(pull(&place.store(), &server.image("latest")));
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
    said(pull(&place.store(), &format!("{address}/x")));
    let seen = first.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|byte| *byte == 0x16), "TLS alone: {seen:?}");
    assert_clean(&place);
}

fn manifests_that_make_no_sense_are_refused() {
    let place = Place::new();
    let layout = large_layout(&place);
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
        assert_says(&said(pull(&place.store(), &server.image("latest"))), words);
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
    let text = said(pull(&place.store(), &server.image("latest")));
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
        "os": "linux", "architecture": host().architecture,
        "rootfs": { "type": "layers", "diff_ids": [layout::digest(b"whatever")] },
    });
    let image = layout.manifest(&config, vec![layer]);
    layout.list("bomb", image);
    let server = Server::good(&layout.folder);
    let text = said(pull(&place.store(), &server.image("bomb")));
    assert_says(&text, &["1032 times its size", "a bomb"]);
    assert!(place.remains().is_empty() && place.store().images().unwrap().is_empty());
    // What gzip makes of zeros is the most that passes; it is honest.
    let honest = Tar::new().file("zeros", &vec![0; 100 << 20]).finish();
    let mut layout = Layout::new(&place.path("honest"));
    let image = layout.image(&host().to_string(), &[(honest, Compression::Gzip)]);
    layout.list("honest", image);
    let server = Server::good(&layout.folder);
    pull(&place.store(), &server.image("honest")).unwrap();
}

fn a_disk_that_is_too_small_is_known_before() {
    let place = Place::new();
    let store = place.path("store");
    fs::create_dir(&store).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&store);
    assert!(mount.status().unwrap().success());
    let layers: Vec<_> = (0..3)
        .map(|n| (Tar::new().file(&format!("f{n}"), &noise(5 << 20)).finish(), Compression::None))
        .collect();
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.image(&host().to_string(), &layers);
    layout.list("large", image);
    let server = Server::good(&layout.folder);
    let text = said(pull(&place.store(), &server.image("large")));
    assert_says(&text, &["does not fit", "16 MiB", "7 MiB are free", "8 MiB are missing"]);
    assert_eq!(server.blobs().len(), 1, "the config alone was fetched");
    // Room for the layer as it comes, and none for the files in it.
    let mut layout = Layout::new(&place.path("other"));
    let image = layout.image(&host().to_string(), &layers[..1]);
    layout.list("medium", image);
    let server = Server::good(&layout.folder);
    let text = said(pull(&place.store(), &server.image("medium")));
    assert_says(&text, &["no room left", "MiB are missing", "No space left on device"]);
    assert!(place.remains().is_empty() && place.store().images().unwrap().is_empty());
    assert!(Command::new("umount").arg(&store).status().unwrap().success());
}

fn several_layers(place: &Place) -> Layout {
    let layers: Vec<_> = (0..6)
        .map(|n| {
            let tar = (0..20).fold(Tar::new().folder("./").folder("d"), |tar, file| {
                tar.file(&format!("d/{n}-{file}"), &noise(30_000))
            });
            (tar.finish(), Compression::Gzip)
        })
        .collect();
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.image(&host().to_string(), &layers);
    layout.list("several", image);
    layout
}

fn ten_pulls_at_once_fetch_once() {
    let place = Place::new();
    let layout = several_layers(&place);
    let server = Server::good(&layout.folder);
    let pulls: Vec<_> = (0..10)
        .map(|_| {
            let mut pull = Command::new(harness::bin("image-pull"));
            pull.arg(server.image("several")).arg("--root").arg(place.path("store"));
            pull.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outputs: Vec<_> = pulls.into_iter().map(|pull| pull.wait_with_output().unwrap()).collect();
    for output in &outputs {
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, outputs[0].stdout);
    }
    let mut blobs = server.blobs();
    let all = blobs.len();
    blobs.sort();
    blobs.dedup();
    // Layers come once. The config is asked for by whoever does not find it yet.
    assert_eq!(blobs.len(), 7);
    assert!(all < 7 + 10, "{all} requests for 7 blobs");
    let layers = blobs.iter().filter(|path| {
        server.requests().iter().filter(|request| request.path == **path).count() > 1
    });
    assert!(layers.count() <= 1, "{:?}", server.blobs());
    assert!(place.remains().is_empty() && names(&place.path("store/downloading")).is_empty());
    assert_eq!(place.store().images().unwrap().len(), 1);
}

fn the_next_pull_goes_on_where_a_killed_one_was() {
    let place = Place::new();
    let layout = several_layers(&place);
    let server = Server::good(&layout.folder);
    let right = image::pull_flat(layout.source("several"), &host(), &place.path("right")).unwrap();
    let right = look(&right.layers[0]);
    let command = || {
        let _ = fs::remove_dir_all(place.path("store"));
        let mut command = Command::new(harness::bin("image-pull"));
        command.arg(server.image("several")).arg("--root").arg(place.path("store"));
        command
    };
    let (mut halves, mut listed) = (0, 0);
    harness::kill_evenly(command, 60, || {
        let store = place.path("store");
        if store.join("blobs/sha256").exists() {
            for name in names(&store.join("blobs/sha256")) {
                let bytes = fs::read(store.join("blobs/sha256").join(&name)).unwrap();
                assert_eq!(layout::digest(&bytes), format!("sha256:{name}"));
            }
        }
        if store.join("downloading").exists() {
            halves += names(&store.join("downloading")).len();
        }
        listed += place.store().images().unwrap().len();
        let image = pull(&place.store(), &server.image("several")).unwrap();
        assert!(place.remains().is_empty() && names(&store.join("downloading")).is_empty());
        let mut all = made::tree::Tree::new();
        image.layers.iter().for_each(|layer| all.extend(look(layer)));
        assert_same(&right, &all);
    });
    println!("{halves} halves of blobs were found, and {listed} times the image was listed");
    assert!(halves > 0, "no kill came in the middle of a download");
}

fn half_a_blob_of_somebody_else_does_no_harm() {
    let place = Place::new();
    let layout = large_layout(&place);
    let server = Server::good(&layout.folder);
    drop(place.store());
    let name = layout::digest(&fs::read(largest(&layout.folder.join("blobs/sha256"))).unwrap());
    let half = place.path("store/downloading").join(&name["sha256:".len()..]);
    for wrong in [noise(1000), noise(3 << 20), Vec::new()] {
        fs::write(&half, wrong).unwrap();
        let image = pull(&place.store(), &server.image("latest")).unwrap();
        assert_eq!(fs::metadata(image.layers[0].join("large")).unwrap().len(), 1 << 20);
        fs::remove_file(place.path("store/blobs/sha256").join(&name["sha256:".len()..])).unwrap();
        assert!(names(&place.path("store/downloading")).is_empty());
    }
}

fn largest(folder: &Path) -> std::path::PathBuf {
    let files = names(folder).into_iter().map(|name| folder.join(name));
    files.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
}
