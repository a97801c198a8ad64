//! Reads the three JSON documents of an image: index, manifest and config.
//!
//! Only the fields that we act on are here; others are ignored, as the specification asks
//! (OCI image specification: image-index.md, manifest.md, config.md). Docker's own documents,
//! version 2 schema 2, have the same shape under other media types.

mod descriptor;

pub use descriptor::Descriptor;
pub(crate) use descriptor::REF_NAME;

use crate::{Digest, Platform};
use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// No document of an honest image comes near this many bytes (registries refuse larger ones too).
pub(crate) const LARGEST_DOCUMENT: u64 = 4 << 20;

/// overlayfs takes no more lower folders than this (`OVL_MAX_STACK`).
const MOST_LAYERS: usize = 500;

/// A list of images, normally one for each platform.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    schema_version: u32,
    /// The images, best first.
    pub manifests: Vec<Descriptor>,
}

/// One image: its config and its layers, lowest first.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    /// The config's blob.
    pub config: Descriptor,
    /// The layers' blobs.
    pub layers: Vec<Descriptor>,
}

/// What an image is for and how to start it.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// The machine that the image is for.
    #[serde(flatten)]
    pub platform: Platform,
    /// What to run, unless the person at the prompt says otherwise.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: Process,
    /// What the layers unpack to.
    pub rootfs: RootFs,
}

/// Defaults for the container's process, under the names that Docker gave them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Process {
    /// `NAME=value` each.
    pub env: Option<Vec<String>>,
    /// The program and its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments, or the program where there is no entry point.
    pub cmd: Option<Vec<String>>,
    /// The folder to start in.
    pub working_dir: Option<String>,
    /// `user`, `uid`, `user:group`, …
    pub user: Option<String>,
    /// Ports that somebody may want to publish, as `80/tcp`; the values mean nothing.
    pub exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    /// The signal that asks the program to stop: `SIGTERM`, `15`, …
    pub stop_signal: Option<String>,
    /// Free names and values.
    pub labels: Option<BTreeMap<String, String>>,
}

/// The layers as they are when unpacked.
#[derive(Clone, Debug, Deserialize)]
pub struct RootFs {
    /// For each layer, lowest first, the hash of its tar archive *without* compression.
    pub diff_ids: Vec<Digest>,
}

impl Index {
    /// Reads an index.
    pub fn parse(json: &[u8]) -> Result<Index> {
        let index: Index = parse(json)?;
        ensure!(index.schema_version == 2, "its schemaVersion is {}, not 2", index.schema_version);
        Ok(index)
    }
}

impl Manifest {
    /// Reads a manifest and refuses one that is no image or that no kernel could mount.
    pub fn parse(json: &[u8]) -> Result<Manifest> {
        let version: SchemaVersion = parse(json)?;
        let version = version.schema_version;
        ensure!(
            version == Some(2),
            "its schemaVersion is {}, not 2\nhint: images of schema 1 are from before 2016; push it again with a newer tool",
            version.map_or("missing".into(), |version| version.to_string())
        );
        let manifest: Manifest = parse(json)?;
        let layers = manifest.layers.len();
        ensure!(layers <= MOST_LAYERS, "it names {layers} layers, overlayfs takes {MOST_LAYERS}");
        let config = &manifest.config;
        ensure!(
            config.is_image_config(),
            "it is no container image: its config is of type {:?}",
            config.media_type
        );
        for layer in &manifest.layers {
            let (digest, kind) = (&layer.digest, &layer.media_type);
            ensure!(layer.is_layer(), "layer {digest} is of type {kind:?}, not a tar archive");
        }
        Ok(manifest)
    }
}

impl Config {
    /// Reads a config.
    pub fn parse(json: &[u8]) -> Result<Config> {
        parse(json)
    }
}

/// A layer has two names: one for its bytes as they are stored, one for the archive inside. A third
/// is for the whole up to and with it.
pub(crate) struct Layer {
    /// The layer as it is stored.
    pub blob: Descriptor,
    /// The digest of its archive, uncompressed.
    pub diff_id: Digest,
    /// The digest of the diffIDs up to this one (config.md, "Layer ChainID").
    pub chain_id: Digest,
}

/// Puts together what the manifest and the config say of the layers, lowest first.
pub(crate) fn layers(manifest: Manifest, config: &Config) -> Result<Vec<Layer>> {
    let (blobs, diff_ids) = (manifest.layers, &config.rootfs.diff_ids);
    let (here, there) = (blobs.len(), diff_ids.len());
    ensure!(here == there, "the manifest names {here} layers and the config {there}");
    let mut below: Option<Digest> = None;
    let layer = |(blob, diff_id): (Descriptor, &Digest)| {
        let chain_id = match &below {
            None => diff_id.clone(),
            Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
        };
        below = Some(chain_id.clone());
        Layer { blob, diff_id: diff_id.clone(), chain_id }
    };
    Ok(blobs.into_iter().zip(diff_ids).map(layer).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaVersion {
    schema_version: Option<u32>,
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).context("it is not the JSON document that it should be")
}

/// Go writes an empty list or map as `null`.
fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_full_of_nulls_is_read() {
        let config = Config::parse(
            br#"{"architecture":"amd64","os":"linux","config":null,"rootfs":{"type":"layers","diff_ids":[]}}"#,
        );
        assert_eq!(config.unwrap().platform.to_string(), "linux/amd64");
        let config = Config::parse(
            br#"{"architecture":"arm64","variant":"v8","os":"linux",
                "config":{"Env":null,"Cmd":["sh"],"Volumes":null,"WorkingDir":""},"rootfs":{"diff_ids":[]}}"#,
        );
        let config = config.unwrap();
        assert_eq!(config.config.cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(config.config.env, None);
        assert_eq!(config.platform.to_string(), "linux/arm64/v8");
    }

    #[test]
    fn other_schema_versions_are_named() {
        let error = Manifest::parse(br#"{"schemaVersion":1,"fsLayers":[]}"#).unwrap_err();
        assert!(error.to_string().contains("schemaVersion is 1"), "{error}");
        let error = Manifest::parse(br#"{}"#).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
