//! Packs folders as images, in layouts as the tests of chapter 09 write them.

#[allow(dead_code, reason = "chapter 09 tests more of images than we need")]
#[path = "../../09-image-pull/tests/made/layout.rs"]
pub mod made;

use made::{Layout, digest};
use serde_json::{Value, json};
use std::path::Path;

/// A layer: every file below `folder`, with owner and mode. Symbolic links stay links.
pub fn tar_of(folder: &Path) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    layer.follow_symlinks(false);
    layer.append_dir_all(".", folder).expect("the folder can be read");
    layer.into_inner().expect("it is written to memory")
}

/// Writes the layout `folder` with one image of this plain tar layer, which is run as `config`
/// says (OCI image specification, config.md), tagged `tag`.
pub fn write(folder: &Path, tag: &str, layer: &[u8], config: &Value) {
    write_for(folder, tag, layer, config, &image::Platform::host().architecture);
}

/// [`write`] for a machine of another kind.
pub fn write_for(folder: &Path, tag: &str, layer: &[u8], config: &Value, architecture: &str) {
    let mut layout = Layout::new(folder);
    let config = json!({
        "os": "linux", "architecture": architecture, "config": config,
        "rootfs": { "type": "layers", "diff_ids": [digest(layer)] },
    });
    let layer = layout.blob("application/vnd.oci.image.layer.v1.tar", layer);
    let mut image = layout.manifest(&config, vec![layer]);
    image["platform"] = json!({ "os": "linux", "architecture": architecture });
    layout.list(tag, image);
}
