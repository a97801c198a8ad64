//! Real registries: Debian's docker-registry, filled by skopeo; and one of the tests' own, to see
//! what is asked of it.

#[path = "made/made.rs"]
mod made;

use harness::success;
use image::Platform;
use made::layout::{self, Compression, Layout, one_image};
use made::registry::{Door, Registry, image_pull, tool};
use made::server::{Answer, Server, answer, head};
use made::tar::Tar;
use made::tree::{assert_same, look};
use made::{Place, said};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

harness::kernel_tests!(
    what_comes_is_what_umoci_unpacks,
    each_platform_gets_its_image,
    an_image_of_120_layers_comes_whole => 120,
    docker_media_types_are_understood,
    skopeo_and_umoci_read_the_store,
    what_is_here_is_not_fetched_again,
    a_layer_that_is_there_twice_comes_once,
    a_digest_is_pulled_by_digest,
    archives_on_disk_are_read,
    layers_are_unpacked_while_others_still_come,
    progress_is_told_in_lines_in_bars_or_not_at_all,
);

fn host() -> Platform {
    Platform::host()
}

/// Layers with all that a file can have.
fn rich_layers() -> Vec<(Vec<u8>, Compression)> {
    let owner = |uid: u64| {
        move |header: &mut tar::Header| {
            header.set_uid(uid);
            header.set_mode(0o4751);
            header.set_mtime(1_500_000_000 + uid);
        }
    };
    let lower = Tar::new()
        .folder("./")
        .folder("etc")
        .entry(b'0', b"etc/a", b"", b"lower", owner(1000))
        .file("etc/gone", b"x")
        .folder("old")
        .file("old/x", b"x")
        .symlink("etc/link", "a")
        .pax(&[("SCHILY.xattr.user.test", b"value")])
        .file("etc/with-xattr", b"y")
        .finish();
    let upper = Tar::new()
        .folder("./")
        .folder("etc")
        .file("etc/.wh.gone", b"")
        .entry(b'0', b"etc/b", b"", b"upper", owner(33))
        .hard_link("etc/c", "etc/b")
        .folder("old")
        .file("old/.wh..wh..opq", b"")
        .file("old/y", b"y")
        .device(b'3', "etc/null", 1, 3)
        .finish();
    vec![(lower, Compression::Gzip), (upper, Compression::Gzip)]
}

fn rich_layout(place: &Place) -> Layout {
    let mut layout = Layout::new(&place.path("layout"));
    let image = layout.image(&host().to_string(), &rich_layers());
    layout.list("rich", image);
    layout
}

fn unpacked_by_umoci(place: &Place, layout: &Path, tag: &str) -> PathBuf {
    let bundle = place.path("bundle");
    let image = format!("{}:{tag}", layout.display());
    let mut umoci = Command::new(tool("umoci"));
    let output =
        harness::run(umoci.args(["unpack", "--keep-dirlinks", "--image", &image]).arg(&bundle));
    assert!(output.status.success(), "{output:?}");
    bundle.join("rootfs")
}

fn what_comes_is_what_umoci_unpacks() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let registry = Registry::start(&place.path("registry"), Door::Open);
    registry.fill(&layout.source("rich"), "a/rich:1", &["--dest-tls-verify=false"]);
    image::pull_flat(registry.image("a/rich:1"), &host(), &place.path("flat")).unwrap();
    assert_same(
        &look(&unpacked_by_umoci(&place, &layout.folder, "rich")),
        &look(&place.path("flat")),
    );
    // In the store the layers are apart; what they say is what they say from disk.
    let pulled = image::pull(&place.store(), registry.image("a/rich:1"), &host()).unwrap();
    let other = image::Store::open(&place.path("other")).unwrap();
    let unpacked = image::pull(&other, layout.source("rich"), &host()).unwrap();
    assert_eq!(pulled.digest, unpacked.digest);
    for (pulled, unpacked) in pulled.layers.iter().zip(&unpacked.layers) {
        // Whiteouts are as old as the unpacking.
        let described = |layer: &Path| {
            let mut tree = look(layer);
            tree.retain(|_, what| !what.starts_with("device c 0,"));
            tree
        };
        assert_same(&described(unpacked), &described(pulled));
    }
    assert!(place.remains().is_empty());
}

fn each_platform_gets_its_image() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("layout"));
    let mut images = Vec::new();
    for platform in ["linux/amd64", "linux/arm64", "linux/s390x"] {
        let tar = Tar::new().file("platform", platform.as_bytes()).finish();
        let mut image = layout.image(platform, &[(tar, Compression::Zstd)]);
        let (os, architecture) = platform.split_once('/').unwrap();
        image["platform"] = serde_json::json!({ "os": os, "architecture": architecture });
        images.push(image);
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = serde_json::json!({ "schemaVersion": 2, "mediaType": kind, "manifests": images });
    let index = layout.blob(kind, index.to_string().as_bytes());
    layout.list("multi", index.clone());
    let registry = Registry::start(&place.path("registry"), Door::Open);
    registry.fill(&layout.source("multi"), "multi:1", &["--dest-tls-verify=false"]);
    for platform in ["linux/amd64", "linux/arm64", "linux/s390x"] {
        let wanted = platform.parse().unwrap();
        let image = image::pull(&place.store(), registry.image("multi:1"), &wanted).unwrap();
        assert_eq!(fs::read_to_string(image.layers[0].join("platform")).unwrap(), platform);
        assert_eq!(image.top.to_string(), index["digest"].as_str().unwrap());
        assert_ne!(image.top, image.digest);
    }
    let text = said(image::pull(
        &place.store(),
        registry.image("multi:1"),
        &"linux/mips".parse().unwrap(),
    ));
    assert!(text.contains("there is one for linux/amd64, linux/arm64, linux/s390x"), "{text}");
}

fn an_image_of_120_layers_comes_whole() {
    let place = Place::new();
    let mut layout = Layout::new(&place.path("layout"));
    let layers: Vec<_> = (0..120)
        .map(|n| {
            (
                Tar::new().file(&format!("f{n}"), format!("{n}").as_bytes()).finish(),
                Compression::Gzip,
            )
        })
        .collect();
    let image = layout.image(&host().to_string(), &layers);
    layout.list("many", image);
    let registry = Registry::start(&place.path("registry"), Door::Open);
    registry.fill(&layout.source("many"), "many:latest", &["--dest-tls-verify=false"]);
    let image = image::pull(&place.store(), registry.image("many"), &host()).unwrap();
    assert_eq!(image.layers.len(), 120);
    for (n, layer) in image.layers.iter().enumerate() {
        assert_eq!(fs::read_to_string(layer.join(format!("f{n}"))).unwrap(), n.to_string());
    }
}

fn docker_media_types_are_understood() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let registry = Registry::start(&place.path("registry"), Door::Open);
    registry.fill(
        &layout.source("rich"),
        "docker:1",
        &["--dest-tls-verify=false", "--format", "v2s2"],
    );
    image::pull_flat(registry.image("docker:1"), &host(), &place.path("flat")).unwrap();
    assert_same(
        &look(&unpacked_by_umoci(&place, &layout.folder, "rich")),
        &look(&place.path("flat")),
    );
}

fn skopeo_and_umoci_read_the_store() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let server = Server::good(&layout.folder);
    image::pull(&place.store(), server.image("rich"), &host()).unwrap();
    let name = server.image("rich");
    let (store, copy) = (place.path("store"), place.path("copy"));
    let from = format!("oci:{}:{name}", store.display());
    let to = format!("oci:{}:copy", copy.display());
    let mut skopeo = Command::new(tool("skopeo"));
    success(harness::run(skopeo.args(["--insecure-policy", "copy", "--quiet", &from, &to])));
    let mut umoci = Command::new(tool("umoci"));
    assert_eq!(success(harness::run(umoci.args(["ls", "--layout"]).arg(&store))).trim(), name);
    image::pull_flat(layout.source("rich"), &host(), &place.path("flat")).unwrap();
    assert_same(&look(&unpacked_by_umoci(&place, &copy, "copy")), &look(&place.path("flat")));
}

/// A folder with docker's config.json in it.
fn what_is_here_is_not_fetched_again() {
    let place = Place::new();
    let mut layout = rich_layout(&place);
    let server = Server::good(&layout.folder);
    image::pull(&place.store(), server.image("rich"), &host()).unwrap();
    let first = server.blobs().len();
    assert_eq!(first, 3, "a config and two layers: {:?}", server.blobs());
    image::pull(&place.store(), server.image("rich"), &host()).unwrap();
    assert_eq!(server.blobs().len(), first);
    // Another image with the same layers below costs its config and its own layer.
    let mut layers = rich_layers();
    layers.push((Tar::new().file("new", b"x").finish(), Compression::Gzip));
    let image = layout.image(&host().to_string(), &layers);
    layout.list("more", image);
    image::pull(&place.store(), server.image("more"), &host()).unwrap();
    assert_eq!(server.blobs().len(), first + 2);
}

fn a_layer_that_is_there_twice_comes_once() {
    let place = Place::new();
    let tar = Tar::new().file("x", &[7; 1 << 20]).finish();
    let mut layout = Layout::new(&place.path("layout"));
    let layers = [0; 3].map(|_| (tar.clone(), Compression::Gzip));
    let image = layout.image(&host().to_string(), &layers);
    layout.list("thrice", image);
    let server = Server::good(&layout.folder);
    let image = image::pull(&place.store(), server.image("thrice"), &host()).unwrap();
    assert_eq!(image.layers.len(), 1);
    assert_eq!(server.blobs().len(), 2, "{:?}", server.blobs());
}

fn a_digest_is_pulled_by_digest() {
    let place = Place::new();
    let layout = one_image(&place.path("layout"), &[Tar::new().file("x", b"x").finish()]);
    let server = Server::good(&layout.folder);
    let by_tag = image::pull(&place.store(), server.image("latest"), &host()).unwrap();
    let by_digest = format!("{}/made/image@{}", server.address, by_tag.digest);
    assert_eq!(image::pull(&place.store(), by_digest, &host()).unwrap().digest, by_tag.digest);
    let both = format!("{}/made/image:nonsense@{}", server.address, by_tag.digest);
    assert_eq!(image::pull(&place.store(), both, &host()).unwrap().digest, by_tag.digest);
    // Who answers with something else is found out.
    let liar =
        Server::start(&layout.folder, |request, _| match request.path.contains("manifests") {
            true => answer(200, "Content-Type: application/vnd.oci.image.manifest.v1+json", b"{}"),
            false => Answer::Usual,
        });
    let text = said(image::pull(
        &place.store(),
        format!("{}/made/image@{}", liar.address, by_tag.digest),
        &host(),
    ));
    assert!(text.contains("the bytes hash to") && text.contains("instead of"), "{text}");
}

fn archives_on_disk_are_read() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let skopeo = |to: &str| {
        let mut skopeo = Command::new(tool("skopeo"));
        success(harness::run(skopeo.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            &layout.source("rich"),
            to,
        ])));
    };
    let (oci, docker) = (place.path("oci.tar"), place.path("docker.tar"));
    skopeo(&format!("oci-archive:{}:some", oci.display()));
    skopeo(&format!("docker-archive:{}:some/name:1", docker.display()));
    let right = look(&unpacked_by_umoci(&place, &layout.folder, "rich"));
    for source in [
        format!("oci-archive:{}", oci.display()),
        format!("oci-archive:{}:some", oci.display()),
        format!("docker-archive:{}", docker.display()),
        format!("docker-archive:{}:some/name:1", docker.display()),
    ] {
        let flat = place.path("flat");
        image::pull_flat(source.as_str(), &host(), &flat).unwrap();
        assert_same(&right, &look(&flat));
        fs::remove_dir_all(flat).unwrap();
        image::pull(&place.store(), source.as_str(), &host()).unwrap();
    }
    for (source, word) in [
        (format!("oci-archive:{}:other", oci.display()), "no tag \"other\""),
        (format!("docker-archive:{}:other", docker.display()), "some/name:1"),
        (format!("docker-archive:{}", oci.display()), "is not what docker save writes"),
        (format!("oci-archive:{}", docker.display()), "no archive of an OCI image layout"),
        ("oci-archive:/no/such".into(), "cannot read /no/such"),
        (format!("oci-archive:{}", place.canary.folder.display()), "not a regular file"),
    ] {
        let text = said(image::pull(&place.store(), source.as_str(), &host()));
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    let packed = place.path("packed.tar");
    fs::write(&packed, layout::gzip(&fs::read(&oci).unwrap())).unwrap();
    let text =
        said(image::pull(&place.store(), format!("oci-archive:{}", packed.display()), &host()));
    assert!(text.contains("gunzip"), "{text}");
}

fn layers_are_unpacked_while_others_still_come() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let layers = rich_layers();
    let last = layout::digest(&layout::gzip(&layers[1].0));
    let diff_id = layout::digest(&layers[0].0);
    let first = place.path("store/layers/sha256").join(&diff_id["sha256:".len()..]);
    let server = Server::start(&layout.folder, move |request, _| {
        // The last layer comes when the first one is there, unpacked and all.
        let began = Instant::now();
        while request.path.ends_with(&last) && !first.exists() {
            let limit = harness::patient(Duration::from_secs(20));
            assert!(began.elapsed() < limit, "nobody unpacks it");
            std::thread::sleep(Duration::from_millis(10));
        }
        Answer::Usual
    });
    image::pull(&place.store(), server.image("rich"), &host()).unwrap();
}

fn progress_is_told_in_lines_in_bars_or_not_at_all() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let layer = layout::digest(&layout::gzip(&rich_layers()[0].0));
    let short = layer["sha256:".len()..][..12].to_owned();
    let bytes = fs::read(layout.path_of(&layer)).unwrap();
    let server = Server::start(&layout.folder, move |request, _| {
        if !request.path.ends_with(&layer) {
            return Answer::Usual;
        }
        let bytes = bytes.clone();
        Answer::Stream(Box::new(move |stream| {
            let (begin, end) = bytes.split_at(bytes.len() / 2);
            let head = head(200, "Connection: close", bytes.len());
            let _ = stream.write_all(&[&head, begin].concat());
            std::thread::sleep(Duration::from_secs(2)); // long enough to be shown
            let _ = stream.write_all(end);
        }))
    });
    let (image, root) = (server.image("rich"), place.path("store"));
    let variables = [("CORACLE_ROOT", root.as_path())];
    let lines = image_pull(&[&image], &variables);
    assert!(lines.status.success(), "{lines:?}");
    for step in ["Downloading", "Download complete", "Extracting", "Pull complete"] {
        assert!(lines.stderr.contains(&format!("{short}: {step}\n")), "{step}: {lines:?}");
    }
    assert!(lines.stderr.starts_with("rich: Pulling from made/image\n"), "{lines:?}");
    assert!(!lines.stderr.contains('\x1b') && !lines.stdout.contains("Pull"), "{lines:?}");
    let again = image_pull(&[&image], &variables);
    assert!(again.stderr.contains(&format!("{short}: Already exists\n")), "{again:?}");
    let quiet = place.path("quiet");
    let quiet = image_pull(&["--quiet", &image], &[("CORACLE_ROOT", &quiet)]);
    assert_eq!((quiet.status.success(), quiet.stderr.as_str()), (true, ""));
    // script(1) gives it a terminal.
    let program = harness::bin("image-pull");
    let line = format!("{} --root {} {image}", program.display(), place.path("bars").display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm");
    let bars = harness::run(&mut script);
    assert!(bars.status.success() && bars.stdout.contains('\x1b'), "{bars:?}");
    assert!(bars.stdout.contains(&format!("{short}: Downloading [==")), "{bars:?}");
    assert!(bars.stdout.contains(&format!("{short}: Pull complete")), "{bars:?}");
}
