//! Real registries: Debian's docker-registry, filled by skopeo; and one of the tests' own, to see
//! what is asked of it.

#[path = "made/made.rs"]
mod made;

use harness::Output;
use image::Platform;
use made::layout::{self, Compression, Layout, one_image};
use made::registry::{Door, Registry, image_pull, tool};
use made::server::{Answer, Server, answer};
use made::tar::Tar;
use made::tree::{assert_same, look};
use made::{Place, names, said};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    what_comes_is_what_umoci_unpacks,
    each_platform_gets_its_image,
    an_image_of_120_layers_comes_whole => 120,
    docker_media_types_are_understood,
    skopeo_and_umoci_read_the_store,
    a_password_of_docker_login_opens_the_door,
    a_credential_helper_is_asked,
    a_token_is_fetched_and_kept,
    an_identity_token_is_exchanged,
    tls_is_trusted_as_this_machine_trusts,
    what_is_here_is_not_fetched_again,
    a_layer_that_is_there_twice_comes_once,
    a_digest_is_pulled_by_digest,
    archives_on_disk_are_read,
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

fn success(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

fn failure(output: Output, words: &[&str]) {
    assert!(!output.status.success(), "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked") && output.stdout.is_empty(), "{output:?}");
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
fn docker_config(place: &Place, json: &str) -> PathBuf {
    let folder = place.path(&harness::random_name("docker"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("config.json"), json).unwrap();
    folder
}

fn a_password_of_docker_login_opens_the_door() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let registry = Registry::start(&place.path("registry"), Door::Password);
    registry.fill(
        &layout.source("rich"),
        "x:1",
        &["--dest-tls-verify=false", "--dest-creds", "captain:ahoy"],
    );
    let (image, root) = (registry.image("x:1"), place.path("store"));
    let pull = |config: &Path| {
        image_pull(&["--quiet", &image], &[("DOCKER_CONFIG", config), ("CORACLE_ROOT", &root)])
    };
    let config = |auth: &str| {
        docker_config(
            &place,
            &format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.address),
        )
    };
    failure(
        pull(&config("Y2FwdGFpbjp3cm9uZw==")),
        &["denies access to", "401", "were not accepted", "docker login"],
    );
    failure(pull(&docker_config(&place, "{}")), &["denies access to", "docker login 127.0.0.1"]);
    failure(pull(&docker_config(&place, "{")), &["cannot understand", "config.json"]);
    assert!(names(&root.join("blobs/sha256")).is_empty());
    success(pull(&config("Y2FwdGFpbjphaG95"))); // captain:ahoy
}

fn a_credential_helper_is_asked() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let registry = Registry::start(&place.path("registry"), Door::Password);
    registry.fill(
        &layout.source("rich"),
        "x:1",
        &["--dest-tls-verify=false", "--dest-creds", "captain:ahoy"],
    );
    let bin = place.path("bin");
    fs::create_dir(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get {}' ] || {{ echo 'credentials not found in native keychain'; exit 1; }}\n\
         echo '{{\"ServerURL\":\"x\",\"Username\":\"captain\",\"Secret\":\"ahoy\"}}'\n",
        registry.address
    );
    let helper = bin.join("docker-credential-parrot");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    for json in [
        format!(r#"{{"credHelpers": {{"{}": "parrot"}}}}"#, registry.address),
        r#"{"credsStore": "parrot"}"#.to_owned(),
    ] {
        let (config, root) =
            (docker_config(&place, &json), place.path(&harness::random_name("store")));
        let variables = [
            ("DOCKER_CONFIG", config.as_path()),
            ("CORACLE_ROOT", &root),
            ("PATH", Path::new(&path)),
        ];
        success(image_pull(&["--quiet", &registry.image("x:1")], &variables));
    }
    // It knows nobody elsewhere, and that is no error.
    let server = Server::good(&layout.folder);
    let (config, root) =
        (docker_config(&place, r#"{"credsStore": "parrot"}"#), place.path("store"));
    let variables =
        [("DOCKER_CONFIG", config.as_path()), ("CORACLE_ROOT", &root), ("PATH", Path::new(&path))];
    success(image_pull(&["--quiet", &server.image("rich")], &variables));
}

/// A registry that wants the token `open-sesame`, and the server that gives it to `who` asks so.
fn with_tokens(layout: &Layout, who: fn(&made::server::Request) -> bool) -> (Server, Server) {
    let token_server = Server::start(&layout.folder, move |request, _| match who(request) {
        true => answer(200, "Content-Type: application/json", br#"{"token":"open-sesame"}"#),
        false => answer(401, "", b""),
    });
    let realm = format!("http://{}/token", token_server.address);
    let registry = Server::start(&layout.folder, move |request, _| {
        if request.header("authorization") == Some("Bearer open-sesame") {
            return Answer::Usual;
        }
        let header = format!(
            "WWW-Authenticate: Bearer realm=\"{realm}\",service=\"harbour\",scope=\"repository:made/image:pull\""
        );
        answer(401, &header, b"")
    });
    (registry, token_server)
}

fn a_token_is_fetched_and_kept() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let (registry, tokens) = with_tokens(&layout, |request| {
        request.path == "/token?service=harbour&scope=repository%3Amade/image%3Apull"
            && request.header("authorization").is_none()
    });
    image::pull(&place.store(), registry.image("rich"), &host()).unwrap();
    assert_eq!(tokens.requests().len(), 1, "one token does for all");
    // With a name and a password the token server gets them, and the registry never does.
    let (registry, tokens) = with_tokens(&layout, |request| {
        request.header("authorization") == Some("Basic Y2FwdGFpbjphaG95")
    });
    let json =
        format!(r#"{{"auths": {{"{}": {{"auth": "Y2FwdGFpbjphaG95"}}}}}}"#, registry.address);
    let (config, root) = (docker_config(&place, &json), place.path("second"));
    let variables = [("DOCKER_CONFIG", config.as_path()), ("CORACLE_ROOT", &root)];
    success(image_pull(&["--quiet", &registry.image("rich")], &variables));
    assert_eq!(tokens.requests().len(), 1);
    let seen = registry.requests();
    assert!(
        seen.iter().all(|r| !r.header("authorization").is_some_and(|a| a.starts_with("Basic")))
    );
    // Who is not let in is told so.
    let root = place.path("third");
    let output = image_pull(&["--quiet", &registry.image("rich")], &[("CORACLE_ROOT", &root)]);
    failure(output, &["cannot get a token from http://127.0.0.1", "401", "docker login"]);
}

fn an_identity_token_is_exchanged() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let (registry, tokens) = with_tokens(&layout, |request| {
        request.method == "POST"
            && request.body.contains("grant_type=refresh_token")
            && request.body.contains("refresh_token=my-identity")
            && request.body.contains("service=harbour")
    });
    let json =
        format!(r#"{{"auths": {{"{}": {{"identitytoken": "my-identity"}}}}}}"#, registry.address);
    let (config, root) = (docker_config(&place, &json), place.path("store"));
    let variables = [("DOCKER_CONFIG", config.as_path()), ("CORACLE_ROOT", &root)];
    success(image_pull(&["--quiet", &registry.image("rich")], &variables));
    assert_eq!(tokens.requests().len(), 1);
}

/// An authority, and a certificate of it for 127.0.0.1.
fn authority(place: &Place) -> [PathBuf; 3] {
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new(tool_that_says_version("openssl"));
        success(harness::run(command.args(arguments).current_dir(&place.folder)));
    };
    fs::write(place.path("ext"), "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        .unwrap();
    let new =
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    openssl(
        &[
            &new[..],
            &["-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority"],
        ]
        .concat(),
    );
    openssl(
        &[&new[..6], &["-keyout", "key.pem", "-out", "request", "-subj", "/CN=127.0.0.1"]].concat(),
    );
    openssl(&[
        "x509",
        "-req",
        "-in",
        "request",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "2",
        "-extfile",
        "ext",
        "-out",
        "cert.pem",
    ]);
    ["ca.pem", "cert.pem", "key.pem"].map(|name| place.path(name))
}

fn tool_that_says_version(name: &str) -> &str {
    let is_there = Command::new(name).arg("version").output().is_ok_and(|o| o.status.success());
    if is_there { name } else { harness::not_run(format!("no {name}: install it")) }
}

fn tls_is_trusted_as_this_machine_trusts() {
    let place = Place::new();
    let layout = rich_layout(&place);
    let [authority, certificate, key] = authority(&place);
    let registry = Registry::start(&place.path("registry"), Door::Tls(&certificate, &key));
    registry.fill(&layout.source("rich"), "x:1", &["--dest-tls-verify=false"]);
    let (image, root) = (registry.image("x:1"), place.path("store"));
    // Nobody here knows the authority. That the registry is on this machine is no reason to fall
    // back to plain HTTP.
    let output = image_pull(&["--quiet", &image], &[("CORACLE_ROOT", &root)]);
    failure(output, &["cannot trust https://127.0.0.1", "hint: ", "SSL_CERT_FILE"]);
    success(image_pull(
        &["--quiet", &image],
        &[("SSL_CERT_FILE", &authority), ("CORACLE_ROOT", &root)],
    ));
    let other = place.path("other");
    success(image_pull(&["--quiet", "--insecure", &image], &[("CORACLE_ROOT", &other)]));
}

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
