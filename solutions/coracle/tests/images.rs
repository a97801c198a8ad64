//! Images as people handle them: pulled, listed, named, thrown away; and never from under a
//! container.

#[path = "machine.rs"]
mod machine;

#[allow(dead_code, reason = "chapter 09 tests more of registries than we need")]
#[path = "../../09-image-pull/tests/made/server.rs"]
mod server;

use harness::{Output, run};
use machine::layout::made as layout; // where server.rs looks for it
use machine::{Background, assert_refused, busybox, coracle, root_folder, scratch, success};
use serde_json::Value;
use server::Server;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

harness::kernel_tests!(
    run_pulls_what_is_missing_and_only_that,
    run_pulls_as_it_is_told,
    an_image_is_listed_named_and_removed,
    what_no_image_needs_is_removed,
    an_image_in_use_stays,
    what_no_container_uses_is_removed,
    layers_of_a_container_stay,
    a_newer_image_takes_the_name,
    images_from_disk_get_a_name,
    several_removals_at_once_leave_nothing,
    a_removal_does_not_disturb_a_pull,
    mistakes_are_explained,
);

/// A registry with the busybox image under `made/image:latest`.
fn registry() -> Server {
    busybox();
    Server::good(&scratch().join("busybox"))
}

fn says(arguments: &[&str]) -> String {
    success(run(&mut coracle(arguments)))
}

fn fails(arguments: &[&str], words: &[&str]) -> Output {
    let output = run(&mut coracle(arguments));
    assert!(!output.status.success(), "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in: {}", output.stderr);
    }
    output
}

fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root_folder().join(folder)).expect("a folder of the store");
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn run_pulls_what_is_missing_and_only_that() {
    let registry = registry();
    let image = registry.image("latest");
    let output = run(&mut coracle(&["run", "--rm", &image, "echo", "ahoy"]));
    assert!(
        output.stderr.contains(&format!("Unable to find image '{image}' locally")),
        "{output:?}"
    );
    assert_eq!(success(output), "ahoy\n");
    let asked = registry.requests().len();
    let output = run(&mut coracle(&["run", "--rm", &image, "echo", "again"]));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("again\n", ""));
    assert_eq!(registry.requests().len(), asked, "it is here: nobody is asked");
    // By ID, by a part of it, and by digest.
    let id = says(&["images", "-q"]);
    assert_eq!(says(&["run", "--rm", id.trim(), "echo", "by ID"]), "by ID\n");
    let digest = says(&["image", "inspect", &image]);
    let digest: Value = serde_json::from_str(&digest).unwrap();
    let by_digest = digest[0]["RepoDigests"][0].as_str().unwrap().to_owned();
    assert_eq!(says(&["run", "--rm", &by_digest, "echo", "by digest"]), "by digest\n");
    assert_eq!(registry.requests().len(), asked);
}

fn run_pulls_as_it_is_told() {
    let registry = registry();
    let image = registry.image("latest");
    let never = ["run", "--rm", "--pull", "never", &image, "echo", "ahoy"];
    assert_refused(&run(&mut coracle(&never)), &["there is no image", "coracle pull"]);
    assert!(registry.requests().is_empty(), "nobody is asked");
    let quiet = ["run", "--rm", "--quiet", "--pull=always", "--network=none", &image, "true"];
    let quiet = run(&mut coracle(&quiet));
    assert_eq!((success(quiet.clone()).as_str(), quiet.stderr.as_str()), ("", ""));
    assert_eq!(says(&never), "ahoy\n");
    machine::busybox_changed(serde_json::json!({ "Cmd": ["sh"] }), |root| {
        fs::write(root.join("newer"), "x").unwrap();
    });
    let look = ["--rm", image.as_str(), "sh", "-c", "cat /newer || echo old"];
    let missing = run(&mut coracle(&[&["run", "--pull=missing"], &look[..]].concat()));
    assert_eq!(missing.stdout, "old\n");
    let always = run(&mut coracle(&[&["run", "--pull=always"], &look[..]].concat()));
    assert_eq!(always.stdout, "x");
    assert!(!always.stderr.contains("Unable to find"), "{always:?}");
    // Away from this machine's own addresses plain HTTP is for who says so.
    let ip = ["address", "add", "192.0.2.1/32", "dev", "lo"];
    assert!(Command::new("ip").args(ip).status().unwrap().success());
    let elsewhere = Server::on("192.0.2.1", &scratch().join("busybox")).image("latest");
    assert_refused(&run(&mut coracle(&["run", "--rm", &elsewhere, "true"])), &["cannot"]);
    assert_eq!(says(&["run", "--rm", "--insecure", "-q", &elsewhere, "echo", "plain"]), "plain\n");
}

fn an_image_is_listed_named_and_removed() {
    let registry = registry();
    let image = registry.image("latest");
    let pulled = says(&["pull", &image]);
    let lines: Vec<_> = pulled.lines().collect();
    assert!(lines[0].starts_with("Digest: sha256:"), "{pulled}");
    assert_eq!(lines[1..], [format!("Status: Downloaded newer image for {image}"), image.clone()]);
    assert!(says(&["pull", &image]).contains("Image is up to date"));
    assert_eq!(says(&["pull", "-q", &image]), format!("{image}\n"));
    let list = says(&["images"]);
    assert!(list.starts_with("REPOSITORY"), "{list}");
    let repository = image.strip_suffix(":latest").unwrap();
    assert!(
        list.lines().any(|line| line.starts_with(repository) && line.contains("   latest   ")),
        "{list}"
    );
    says(&["tag", &image, "boat"]);
    says(&["image", "tag", "boat", "host:5000/fleet/boat:2"]);
    assert_eq!(says(&["images"]).lines().count(), 4);
    assert_eq!(says(&["run", "--rm", "boat", "echo", "afloat"]), "afloat\n");
    let inspected: Value =
        serde_json::from_str(&says(&["image", "inspect", "boat:latest"])).unwrap();
    let tags = inspected[0]["RepoTags"].as_array().unwrap();
    assert!(
        ["boat:latest", "host:5000/fleet/boat:2", &image]
            .iter()
            .all(|t| tags.contains(&(*t).into())),
        "{tags:?}"
    );
    assert_eq!(inspected[0]["Config"]["Cmd"][0], "sh");
    // By its ID it has three names too many.
    let id = says(&["image", "ls", "-q"]);
    let id = id.lines().next().unwrap();
    fails(&["rmi", id], &["several names", "boat:latest"]);
    assert_eq!(says(&["rmi", "boat"]), "Untagged: boat:latest\n");
    assert_eq!(says(&["rmi", &image]), format!("Untagged: {image}\n"));
    let last = says(&["rmi", id]);
    assert!(last.starts_with("Untagged: host:5000/fleet/boat:2\nDeleted: sha256:"), "{last}");
    assert_eq!(says(&["images"]).lines().count(), 1);
    assert_eq!((files("blobs/sha256").len(), files("layers/sha256").len()), (0, 0));
}

fn what_no_image_needs_is_removed() {
    let registry = registry();
    says(&["pull", &registry.image("latest")]);
    // What runs from disk leaves a layer that no image of the store has.
    machine::busybox_changed(serde_json::json!({ "Cmd": ["sh"] }), |root| {
        fs::write(root.join("more"), "x").unwrap();
    });
    says(&["run", "--rm", machine::IMAGE, "true"]);
    fs::write(root_folder().join("downloading").join("a".repeat(64)), "half").unwrap();
    assert_eq!(files("layers/sha256").len(), 2);
    let pruned = says(&["image", "prune", "--force"]);
    assert_eq!(pruned, "Removed 1 layers and 1 blobs\nTotal reclaimed space: 4B\n");
    assert_eq!(says(&["run", "--rm", &registry.image("latest"), "echo", "whole"]), "whole\n");
}

fn an_image_in_use_stays() {
    let registry = registry();
    let image = registry.image("latest");
    says(&["run", "--name", "user", &image, "true"]);
    fails(&["rmi", &image], &["is used by the container user", "--force"]);
    says(&["tag", &image, "other"]);
    says(&["rmi", &image]); // another name is left
    fails(&["rmi", "other"], &["is used by the container user"]);
    says(&["rm", "user"]);
    says(&["rmi", "other"]);
}

fn what_no_container_uses_is_removed() {
    let registry = registry();
    let image = registry.image("latest");
    says(&["run", "--name", "user", &image, "true"]);
    machine::busybox_changed(serde_json::json!({ "Cmd": ["sh"] }), |root| {
        fs::write(root.join("newer"), "x").unwrap();
    });
    says(&["pull", &image]); // takes the name, which leaves the container's image without one
    says(&["tag", &image, "other"]);
    says(&["image", "prune", "--all"]);
    let list = says(&["images"]);
    assert!(list.lines().count() == 2 && list.contains("<none>"), "{list}");
    assert_eq!(files("layers/sha256").len(), 1);
    says(&["rm", "user"]);
    says(&["image", "prune"]);
    assert_eq!((says(&["images"]).lines().count(), files("blobs/sha256").len()), (1, 0));
}

fn layers_of_a_container_stay() {
    let registry = registry();
    let image = registry.image("latest");
    says(&["pull", &image]);
    let layer = files("layers/sha256");
    let running = says_in_background(&image);
    says(&["rmi", "--force", &image]);
    assert_eq!(files("layers/sha256"), layer, "a container stands on it");
    assert!(files("blobs/sha256").is_empty());
    drop(running);
    says(&["image", "prune"]);
    assert!(files("layers/sha256").is_empty());
}

/// A container of this image that runs until it is dropped.
fn says_in_background(image: &str) -> Background {
    let shared = machine::folder("shared");
    let volume = format!("{}:/shared", shared.display());
    let script = "touch /shared/ready; exec sleep 1000";
    let command = coracle(&["run", "--rm", "-v", &volume, image, "sh", "-c", script]);
    Background::start_command(command, shared)
}

fn a_newer_image_takes_the_name() {
    let registry = registry();
    let image = registry.image("latest");
    says(&["pull", &image]);
    let old = says(&["images", "-q"]);
    machine::busybox_changed(serde_json::json!({ "Cmd": ["sh"] }), |root| {
        fs::write(root.join("newer"), "x").unwrap();
    });
    says(&["pull", &image]);
    assert_eq!(says(&["run", "--rm", &image, "cat", "/newer"]), "x");
    let list = says(&["images"]);
    assert!(list.contains("<none>") && list.contains(old.trim()), "{list}");
    says(&["image", "prune"]);
    let list = says(&["images"]);
    assert!(!list.contains("<none>") && list.lines().count() == 2, "{list}");
    assert_eq!(files("layers/sha256").len(), 1);
    assert_eq!(says(&["run", "--rm", &image, "cat", "/newer"]), "x");
}

fn images_from_disk_get_a_name() {
    busybox();
    let pulled = says(&["pull", machine::IMAGE]);
    assert!(pulled.ends_with("localhost/busybox:latest\n"), "{pulled}");
    fs::remove_dir_all(scratch().join("busybox")).unwrap();
    assert_eq!(says(&["run", "--rm", "localhost/busybox", "echo", "kept"]), "kept\n");
    let root = root_folder();
    let source = format!("oci:{}:localhost/busybox:latest", root.display());
    assert_eq!(
        says(&["run", "--rm", &source, "echo", "a layout like any other"]),
        "a layout like any other\n"
    );
}

fn several_removals_at_once_leave_nothing() {
    let registry = registry();
    says(&["pull", &registry.image("latest")]);
    let names: Vec<String> = (0..5).map(|n| format!("boat{n}")).collect();
    names.iter().for_each(|name| drop(says(&["tag", &registry.image("latest"), name])));
    says(&["rmi", &registry.image("latest")]);
    let start = |name: &String| coracle(&["rmi", name]).stdout(Stdio::null()).spawn().unwrap();
    let removals: Vec<_> = names.iter().map(start).collect();
    for mut removal in removals {
        assert!(removal.wait().unwrap().success());
    }
    assert_eq!((files("blobs/sha256").len(), files("layers/sha256").len()), (0, 0));
}

fn a_removal_does_not_disturb_a_pull() {
    let registry = registry();
    says(&["pull", &registry.image("latest")]);
    says(&["tag", &registry.image("latest"), "boat"]);
    // The blobs are there, and a pull that has begun counts on them.
    let gate = scratch().join("gate");
    let opened = gate.clone();
    let slow = Server::start(&scratch().join("busybox"), move |request, _| {
        while request.path.contains("/manifests/") && !opened.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        server::Answer::Usual
    });
    let pull = coracle(&["pull", "-q", &slow.image("latest")]).stdout(Stdio::null()).spawn();
    machine::wait_for("the pull", || slow.requests().iter().any(|r| r.path.contains("manifests")));
    says(&["rmi", &registry.image("latest")]);
    let said = says(&["rmi", "boat"]);
    assert!(said.contains("A pull is under way"), "{said}");
    assert!(!files("layers/sha256").is_empty());
    fs::write(gate, "").unwrap();
    assert!(pull.unwrap().wait().unwrap().success());
    assert!(slow.blobs().is_empty(), "what is here is not fetched: {:?}", slow.blobs());
    assert_eq!(says(&["run", "--rm", &slow.image("latest"), "echo", "whole"]), "whole\n");
}

fn mistakes_are_explained() {
    fails(&["rmi", "nothing"], &["there is no image nothing", "coracle images"]);
    fails(&["tag", "nothing", "x"], &["there is no image nothing"]);
    fails(&["image", "inspect", "nothing"], &["there is no image nothing"]);
    fails(&["pull", "Boat"], &["is no name of an image", "lower case"]);
    let registry = registry();
    says(&["pull", &registry.image("latest")]);
    fails(&["tag", &registry.image("latest"), "Boat"], &["lower case"]);
    assert_refused(
        &run(&mut coracle(&["run", &registry.image("none")])),
        &["there is none", "spelling"],
    );
    assert_refused(&run(&mut coracle(&["run", "127.0.0.1:1/x"])), &["cannot reach", "refused"]);
}
