//! Registries and networks on a bad day: what can be mended by waiting or asking again is mended,
//! and what can't is said.

#[path = "made/made.rs"]
mod made;

use made::layout::one_image;
use made::server::{Answer, Request, Server, answer, usual};
use made::tar::Tar;
use made::{Place, assert_says, large_image, names, noise, said};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    a_registry_that_is_down_is_said_to_be,
    silence_ends,
    a_failure_ends_the_downloads_that_still_come,
    slowness_is_no_fault,
    refusals_say_what_to_do,
    a_registry_in_trouble_gets_time,
    a_limit_is_waited_for_if_it_is_short,
    a_broken_connection_is_resumed_where_it_broke,
    a_registry_without_ranges_is_asked_again_from_the_beginning,
    a_blob_that_is_never_whole_is_given_up,
);

fn a_registry_that_is_down_is_said_to_be() {
    let place = Place::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = Instant::now();
    let text = said(place.pull_from(&format!("127.0.0.1:{port}/x")));
    assert_says(&text, &["cannot reach", &port.to_string(), "refused", "hint: ", "tried 5 times"]);
    assert!(started.elapsed() < harness::patient(Duration::from_secs(20)));
    let text = said(place.pull_from("no-such-host.invalid/x"));
    assert_says(&text, &["cannot reach https://no-such-host.invalid", "hint: "]);
    place.assert_clean();
}

fn silence_ends() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let silent = |stream: &mut std::net::TcpStream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
        std::thread::sleep(Duration::from_secs(30));
    };
    let server = Server::start(&layout.folder, move |_, _| Answer::Stream(Box::new(silent)));
    let started = Instant::now();
    let text = said(place.pull_within(&server.image("latest"), Duration::from_millis(400)));
    assert_says(&text, &["tried 5 times", "imeout"]);
    assert!(
        started.elapsed() < harness::patient(Duration::from_secs(20)),
        "{:?}",
        started.elapsed()
    );
    place.assert_clean();
}

/// A layer is found to be bad while another would come for days.
fn a_failure_ends_the_downloads_that_still_come() {
    let place = Place::new();
    let bad = Tar::new().file("../x", b"x").finish();
    let slow = Tar::new().file("large", &noise(1 << 20)).finish();
    let layout = one_image(&place.path("layout"), &[bad, slow]);
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| {
        let bytes = usual(&folder, request);
        if bytes.len() < 1 << 20 {
            return Answer::Usual;
        }
        Answer::Stream(Box::new(move |stream| {
            let (first, rest) = bytes.split_at(1000);
            let _ = stream.write_all(first);
            for byte in rest.chunks(1) {
                if stream.write_all(byte).is_err() {
                    return; // nobody listens any more
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }))
    });
    let started = Instant::now();
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["cannot unpack layer", "leads out of the layer"]);
    let limit = harness::patient(Duration::from_secs(20));
    assert!(started.elapsed() < limit, "{:?}", started.elapsed());
}

fn slowness_is_no_fault() {
    let place = Place::new();
    let layout = one_image(&place.path("layout"), &[Tar::new().file("x", b"x").finish()]);
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| {
        if !request.is_blob() {
            return Answer::Usual;
        }
        let bytes = usual(&folder, request);
        Answer::Stream(Box::new(move |stream| {
            for piece in bytes.chunks(bytes.len() / 20 + 1) {
                let _ = stream.write_all(piece);
                std::thread::sleep(Duration::from_millis(200));
            }
        }))
    });
    // Each of these answers takes longer than anybody may be silent, who is so for a fifteenth of that.
    let image = place.pull_within(&server.image("latest"), Duration::from_secs(3)).unwrap();
    assert_eq!(fs::read(image.layers[0].join("x")).unwrap(), b"x");
}

fn refusals_say_what_to_do() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
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
        let text = said(place.pull_from(&server.image("latest")));
        assert_says(&text, words);
        let asked: Vec<_> = server.requests().into_iter().map(|one| one.path).collect();
        let manifests = asked.iter().filter(|path| path.contains("/manifests/")).count();
        assert_eq!(manifests, 1, "{status} is no reason to try again: {asked:?}");
        assert!(!text.contains('\x1b'), "what a registry says does not command a terminal");
        place.assert_clean();
    }
}

fn a_registry_in_trouble_gets_time() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let server = Server::start(&layout.folder, |request, before| match before {
        0 | 1 if request.path != "/v2/" => answer(500 + before as u16 * 3, "", b"oops"),
        _ => Answer::Usual,
    });
    place.pull_from(&server.image("latest")).unwrap();
    let server = Server::start(&layout.folder, |_, _| answer(500, "", b"oops"));
    let other = Place::new();
    let text = said(other.pull_from(&server.image("latest")));
    assert_says(&text, &["tried 5 times", "500", "try again later"]);
    other.assert_clean();
}

fn a_limit_is_waited_for_if_it_is_short() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let server = Server::start(&layout.folder, |request, before| match before {
        0 if request.is_blob() => answer(429, "Retry-After: 1", b""),
        _ => Answer::Usual,
    });
    let started = Instant::now();
    place.pull_from(&server.image("latest")).unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2), "a config and a layer, a second each");
}

fn a_broken_connection_is_resumed_where_it_broke() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| match request.is_blob() {
        true => cut(&folder, request, 300_000),
        false => Answer::Usual,
    });
    let image = place.pull_from(&server.image("latest")).unwrap();
    assert_eq!(fs::metadata(image.layers[0].join("large")).unwrap().len(), 1 << 20);
    let ranges: Vec<_> =
        server.requests().iter().filter_map(|r| r.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, ["bytes=300000-", "bytes=600000-", "bytes=900000-"]);
}

fn a_registry_without_ranges_is_asked_again_from_the_beginning() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let folder = layout.folder.clone();
    let server =
        Server::start(&layout.folder, move |request, before| match (request.is_blob(), before) {
            (true, 0) => cut(&folder, request, 500_000),
            (true, _) => Answer::Raw(usual(&folder, &without_range(request))),
            _ => Answer::Usual,
        });
    let image = place.pull_from(&server.image("latest")).unwrap();
    assert_eq!(fs::metadata(image.layers[0].join("large")).unwrap().len(), 1 << 20);
}

fn a_blob_that_is_never_whole_is_given_up() {
    let place = Place::new();
    let layout = large_image(&place.path("layout"));
    let folder = layout.folder.clone();
    let server = Server::start(&layout.folder, move |request, _| match request.is_blob() {
        true => cut(&folder, &without_range(request), 500_000),
        false => Answer::Usual,
    });
    let text = said(place.pull_from(&server.image("latest")));
    assert_says(&text, &["breaks", "500000 of", "not fetched again"]);
    assert!(names(&place.path("store/layers/sha256")).is_empty());
    // What has come stays for the next time.
    assert_eq!(names(&place.path("store/downloading")).len(), 1);
    let good = Server::good(&layout.folder);
    place.pull_from(&good.image("latest")).unwrap();
    let range = good.requests().iter().find_map(|r| r.header("range").map(str::to_owned));
    assert_eq!(range.as_deref(), Some("bytes=500000-"));
}

/// Cuts every answer for a blob off after so many bytes of its body.
fn cut(folder: &Path, request: &Request, after: usize) -> Answer {
    let bytes = usual(folder, request);
    let body = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    Answer::Raw(bytes[..bytes.len().min(body + after)].to_vec())
}

fn without_range(request: &Request) -> Request {
    let mut request = request.clone();
    request.headers.remove("range");
    request
}
