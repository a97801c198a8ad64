//! Writes OCI image layouts by hand: what `docker save` and `skopeo copy` write, made of folders.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// A layer: every file below `folder`, with owner and mode. Symbolic links stay links.
pub fn tar_of(folder: &Path) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    layer.follow_symlinks(false);
    layer.append_dir_all(".", folder).expect("the folder can be read");
    layer.into_inner().expect("it is written to memory")
}

/// A layer of exactly these entries: path, kind and text (of a file) or target (of a link).
pub fn tar_with(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    for (path, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        if kind.is_symlink() {
            header.set_size(0);
            layer.append_link(&mut header, path, text).expect("a short link");
        } else {
            header.set_size(text.len() as u64);
            layer.append_data(&mut header, path, text.as_bytes()).expect("a short path");
        }
    }
    layer.into_inner().expect("it is written to memory")
}

/// Writes the layout `folder` with one image of these plain tar layers, lowest first, which is
/// run as `config` says (OCI image specification, config.md), tagged `tag`.
pub fn write(folder: &Path, tag: &str, layers: &[Vec<u8>], config: &Value) {
    write_for(folder, tag, layers, config, architecture());
}

/// [`write`] for a machine of another kind.
pub fn write_for(folder: &Path, tag: &str, layers: &[Vec<u8>], config: &Value, architecture: &str) {
    fs::create_dir_all(folder.join("blobs/sha256")).expect("a folder of our own");
    let diff_ids: Vec<String> = layers.iter().map(|layer| digest(layer)).collect();
    let blobs: Vec<Value> = layers
        .iter()
        .map(|layer| blob(folder, "application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    let config = json!({
        "os": "linux", "architecture": architecture, "config": config,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = document(folder, "application/vnd.oci.image.config.v1+json", &config);
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": blobs });
    let mut manifest = document(folder, "application/vnd.oci.image.manifest.v1+json", &manifest);
    manifest["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
    manifest["platform"] = json!({ "os": "linux", "architecture": architecture });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(folder.join("index.json"), index.to_string()).expect("a folder of our own");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the same");
}

/// This machine's architecture in Go's words, which images use.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        same => same,
    }
}

fn document(folder: &Path, media_type: &str, content: &Value) -> Value {
    blob(folder, media_type, content.to_string().as_bytes())
}

/// Stores bytes under their digest and returns the descriptor by which others name them.
fn blob(folder: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    let path = folder.join("blobs").join(digest.replace(':', "/"));
    fs::write(path, bytes).expect("a folder of our own");
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

fn digest(bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}
