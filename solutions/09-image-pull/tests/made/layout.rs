//! Writes image layouts: right ones, and wrong ones where a test changes something.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How a layer is stored.
#[derive(Clone, Copy, Debug)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// An image layout in the making; it is complete after each call.
pub struct Layout {
    pub folder: PathBuf,
    images: Vec<Value>,
}

impl Layout {
    pub fn new(folder: &Path) -> Layout {
        fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Layout { folder: folder.to_owned(), images: Vec::new() }
    }

    /// The source to pull, with or without a tag.
    pub fn source(&self, tag: &str) -> String {
        let folder = self.folder.display();
        if tag.is_empty() { format!("oci:{folder}") } else { format!("oci:{folder}:{tag}") }
    }

    /// Stores a blob and returns its descriptor.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        fs::write(self.path_of(&digest(bytes)), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
    }

    /// Where a blob lies.
    pub fn path_of(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.strip_prefix("sha256:").unwrap())
    }

    /// Stores an image for linux/amd64 or `platform` and returns its descriptor.
    pub fn image(&self, platform: &str, layers: &[(Vec<u8>, Compression)]) -> Value {
        let (os, architecture) = platform.split_once('/').unwrap();
        let diff_ids: Vec<_> = layers.iter().map(|(tar, _)| digest(tar)).collect();
        let config = json!({
            "os": os, "architecture": architecture,
            "config": { "Env": ["PATH=/bin"], "Cmd": ["sh"], "Entrypoint": null },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        let layers = layers.iter().map(|(tar, how)| {
            let kind = "application/vnd.oci.image.layer.v1.tar";
            match how {
                Compression::None => self.blob(kind, tar),
                Compression::Gzip => self.blob(&format!("{kind}+gzip"), &gzip(tar)),
                Compression::Zstd => self
                    .blob(&format!("{kind}+zstd"), &zstd::encode_all(tar.as_slice(), 3).unwrap()),
            }
        });
        let layers = layers.collect();
        self.manifest(&config, layers)
    }

    /// Stores a config and a manifest with these layers.
    pub fn manifest(&self, config: &Value, layers: Vec<Value>) -> Value {
        let kind = "application/vnd.oci.image.config.v1+json";
        let config = self.blob(kind, config.to_string().as_bytes());
        let manifest = json!({ "schemaVersion": 2, "config": config, "layers": layers });
        self.blob("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes())
    }

    /// Lists an image in the layout's index.
    pub fn list(&mut self, tag: &str, mut image: Value) {
        if !tag.is_empty() {
            image["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        }
        self.images.push(image);
        let index = json!({ "schemaVersion": 2, "manifests": self.images });
        fs::write(self.folder.join("index.json"), index.to_string()).unwrap();
    }
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A layout in `folder` with one image for this machine, tagged `latest`.
pub fn one_image(folder: &Path, layers: &[Vec<u8>]) -> Layout {
    let mut layout = Layout::new(folder);
    let layers: Vec<_> = layers.iter().map(|tar| (tar.clone(), Compression::None)).collect();
    let image = layout.image(&image::Platform::host().to_string(), &layers);
    layout.list("latest", image);
    layout
}
