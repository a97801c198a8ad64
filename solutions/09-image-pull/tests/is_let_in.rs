//! Ways in: passwords, helpers that know them, tokens, and whose certificates are believed.

#[path = "made/made.rs"]
mod made;

use harness::{Output, success};
use image::Platform;
use made::certificates::authority;
use made::layout::{Layout, one_image};
use made::registry::{AS_CAPTAIN, Door, Registry, image_pull};
use made::server::{Answer, Server, answer};
use made::tar::Tar;
use made::token::TokenServer;
use made::{Place, names};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

harness::kernel_tests!(
    a_password_of_docker_login_opens_the_door,
    a_credential_helper_is_asked,
    a_token_is_fetched_and_kept,
    a_token_that_has_run_out_is_renewed,
    a_registry_believes_the_tokens_that_were_meant_for_it,
    an_identity_token_is_exchanged,
    tls_is_trusted_as_this_machine_trusts,
    certificates_of_dockers_users_are_believed,
);

fn host() -> Platform {
    Platform::host()
}

fn image(place: &Place) -> Layout {
    one_image(&place.path("layout"), &[Tar::new().file("a", b"ahoy").finish()])
}

fn failure(output: Output, words: &[&str]) {
    assert!(!output.status.success(), "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in: {}", output.stderr);
    }
    assert!(!output.stderr.contains("panicked") && output.stdout.is_empty(), "{output:?}");
}

fn docker_config(place: &Place, json: &str) -> PathBuf {
    let folder = place.path(&harness::random_name("docker"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("config.json"), json).unwrap();
    folder
}

fn a_password_of_docker_login_opens_the_door() {
    let place = Place::new();
    let layout = image(&place);
    let registry = Registry::start(&place.path("registry"), Door::Password);
    registry.fill(&layout.source("latest"), "x:1", &AS_CAPTAIN);
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
    let layout = image(&place);
    let registry = Registry::start(&place.path("registry"), Door::Password);
    registry.fill(&layout.source("latest"), "x:1", &AS_CAPTAIN);
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
    success(image_pull(&["--quiet", &server.image("latest")], &variables));
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
    let layout = image(&place);
    let (registry, tokens) = with_tokens(&layout, |request| {
        request.path == "/token?service=harbour&scope=repository%3Amade/image%3Apull"
            && request.header("authorization").is_none()
    });
    image::pull(&place.store(), registry.image("latest"), &host()).unwrap();
    assert_eq!(tokens.requests().len(), 1, "one token does for all");
    // With a name and a password the token server gets them, and the registry never does.
    let (registry, tokens) = with_tokens(&layout, |request| {
        request.header("authorization") == Some("Basic Y2FwdGFpbjphaG95")
    });
    let json =
        format!(r#"{{"auths": {{"{}": {{"auth": "Y2FwdGFpbjphaG95"}}}}}}"#, registry.address);
    let (config, root) = (docker_config(&place, &json), place.path("second"));
    let variables = [("DOCKER_CONFIG", config.as_path()), ("CORACLE_ROOT", &root)];
    success(image_pull(&["--quiet", &registry.image("latest")], &variables));
    assert_eq!(tokens.requests().len(), 1);
    let seen = registry.requests();
    assert!(
        seen.iter().all(|r| !r.header("authorization").is_some_and(|a| a.starts_with("Basic")))
    );
    // Who is not let in is told so.
    let root = place.path("third");
    let output = image_pull(&["--quiet", &registry.image("latest")], &[("CORACLE_ROOT", &root)]);
    failure(output, &["cannot get a token from http://127.0.0.1", "401", "docker login"]);
}

fn a_token_that_has_run_out_is_renewed() {
    let place = Place::new();
    let layout = image(&place);
    let tokens = Server::start(&layout.folder, |_, before| {
        answer(200, "", format!(r#"{{"token":"number-{before}"}}"#).as_bytes())
    });
    let realm = format!("http://{}/token", tokens.address);
    // The first opens the manifest alone; what comes after it wants the second.
    let registry = Server::start(&layout.folder, move |request, _| {
        let wanted = if request.is_blob() { "Bearer number-1" } else { "Bearer number-0" };
        match request.header("authorization") {
            Some(token) if token == wanted => Answer::Usual,
            _ => answer(401, &format!("WWW-Authenticate: Bearer realm=\"{realm}\""), b""),
        }
    });
    image::pull(&place.store(), registry.image("latest"), &host()).unwrap();
    assert_eq!(tokens.requests().len(), 2);
}

/// Debian's docker-registry checks signature, issuer, audience, time and scope of a token.
fn a_registry_believes_the_tokens_that_were_meant_for_it() {
    let place = Place::new();
    let layout = image(&place);
    let tokens = TokenServer::start(&place, "captain", "ahoy");
    let registry = Registry::start(&place.path("registry"), Door::Token(&tokens));
    registry.fill(&layout.source("latest"), "a/secret:1", &AS_CAPTAIN);
    registry.fill(&layout.source("latest"), "public/x:1", &AS_CAPTAIN);
    let config = |auth: &str| {
        let json = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.address);
        docker_config(&place, &json)
    };
    let pull = |name: &str, config: &Path| {
        let root = place.path(&harness::random_name("store"));
        let variables = [("DOCKER_CONFIG", config), ("CORACLE_ROOT", &root)];
        image_pull(&["--quiet", &registry.image(name)], &variables)
    };
    let nobody = docker_config(&place, "{}");
    success(pull("public/x:1", &nobody));
    failure(pull("a/secret:1", &nobody), &["denies access to", "docker login"]);
    let asked = tokens.server.requests().len();
    success(pull("a/secret:1", &config("Y2FwdGFpbjphaG95")));
    assert_eq!(tokens.server.requests().len(), asked + 1, "one token does for all");
    let wrong = config("Y2FwdGFpbjp3cm9uZw==");
    failure(pull("a/secret:1", &wrong), &["cannot get a token", "401", "docker login"]);
    failure(pull("a/none:1", &config("Y2FwdGFpbjphaG95")), &["there is none"]);
}

fn an_identity_token_is_exchanged() {
    let place = Place::new();
    let layout = image(&place);
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
    success(image_pull(&["--quiet", &registry.image("latest")], &variables));
    assert_eq!(tokens.requests().len(), 1);
}

fn tls_is_trusted_as_this_machine_trusts() {
    let place = Place::new();
    let layout = image(&place);
    let [authority, certificate, key] = authority(&place);
    let registry = Registry::start(&place.path("registry"), Door::Tls(&certificate, &key));
    registry.fill(&layout.source("latest"), "x:1", &["--dest-tls-verify=false"]);
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

/// An /etc of our own over this machine's, so that nothing of it is changed.
fn etc_of_our_own(place: &Place) {
    let [upper, work] = ["etc-upper", "etc-work"].map(|name| {
        fs::create_dir(place.path(name)).unwrap();
        place.path(name)
    });
    let options = format!("lowerdir=/etc,upperdir={},workdir={}", upper.display(), work.display());
    let mut mount = Command::new("mount");
    success(harness::run(mount.args(["-t", "overlay", "overlay", "-o", &options, "/etc"])));
}

fn certificates_of_dockers_users_are_believed() {
    let place = Place::new();
    let layout = image(&place);
    let [authority, certificate, key] = authority(&place);
    etc_of_our_own(&place);
    let registry = Registry::start(
        &place.path("registry"),
        Door::Clients { certificate: &certificate, key: &key, authority: &authority },
    );
    let of_host = Path::new("/etc/docker/certs.d").join(&registry.address);
    fs::create_dir_all(&of_host).unwrap();
    let (image, root) = (registry.image("x:1"), place.path("store"));
    let pull = || image_pull(&["--quiet", &image], &[("CORACLE_ROOT", &root)]);
    let copy = |from: &Path, to: &str| assert!(fs::copy(from, of_host.join(to)).is_ok());
    failure(pull(), &["cannot trust https://127.0.0.1", "/etc/docker/certs.d/127.0.0.1:"]);
    // It vouches for the registry, which now wants to know who we are.
    copy(&authority, "ca.crt");
    failure(pull(), &["cannot", "TLS"]);
    copy(&certificate, "client.cert");
    failure(pull(), &["cannot read the key", "client.key", "hint: "]);
    copy(&key, "client.key");
    let certificates = of_host.display().to_string();
    let options = ["--dest-cert-dir", &certificates];
    registry.fill(&layout.source("latest"), "x:1", &options);
    success(pull());
    // Somebody else vouches for nothing here, nor does he take anything from whom the machine believes.
    let elsewhere = Place::new();
    let [stranger, ..] = self::authority(&elsewhere);
    copy(&stranger, "ca.crt");
    failure(pull(), &["cannot trust https://127.0.0.1"]);
    success(image_pull(
        &["--quiet", &image],
        &[("CORACLE_ROOT", &root), ("SSL_CERT_FILE", &authority)],
    ));
    fs::write(of_host.join("ca.crt"), "no certificate").unwrap();
    failure(pull(), &["cannot read the certificates in", "ca.crt"]);
    assert!(Command::new("umount").arg("/etc").status().unwrap().success());
}
