//! The images on this machine, as people handle them: brought here, named, listed, thrown away.
//!
//! What an image is and where it lies chapter 09 knows. Here is what an engine adds: a container
//! keeps its layers, whatever becomes of the image.

use crate::{Request, registry};
use anyhow::{Context, Result, bail, ensure};
use image::{Access, Collected, Image, Listed, Platform, Progress, Reference, Store, Wanted};
use std::io::{Write, stderr};
use std::path::PathBuf;

/// What to pull, and how.
#[derive(clap::Args, Debug)]
pub struct Pull {
    /// Take the image that is for this machine [default: this one]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub platform: Option<Platform>,
    /// Print the image's name and nothing else
    #[arg(short, long)]
    pub quiet: bool,
    /// Plain HTTP, and certificates that nobody vouches for, will do
    #[arg(long)]
    pub insecure: bool,
    /// The image: a name such as alpine or host:5000/a/b:tag, or oci:DIR[:TAG],
    /// oci-archive:FILE[:TAG], docker-archive:FILE[:NAME]
    #[arg(value_name = "REF")]
    pub image: String,
}

/// Brings an image here, or a newer one of its name.
pub fn pull(request: &Pull) -> Result<Image> {
    let store = open()?;
    let platform = request.platform.clone().unwrap_or_else(Platform::host);
    let progress = if request.quiet { Progress::Quiet } else { Progress::on_stderr() };
    let access = Access { insecure: request.insecure, ..Access::default() };
    let wanted = Wanted { source: request.image.clone(), access, progress, here: None };
    if image::is_local(&request.image) {
        return image::import(&store, wanted, &platform);
    }
    let image = image::pull(&store, wanted, &platform)?;
    let name: Reference = image.reference.parse()?;
    Ok(Image { reference: name.to_string(), ..image })
}

/// When `coracle run` pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum When {
    /// The registry is asked each time whether it has a newer one.
    Always,
    /// Nobody is asked about an image that is here.
    Missing,
    /// What is not here is not run.
    Never,
}

/// The image for a container: one that is here, else one that is pulled now.
pub(crate) fn for_run(store: &Store, request: &Request) -> Result<Image> {
    let (name, host) = (request.image.as_str(), Platform::host());
    let platform = request.platform.as_ref().unwrap_or(&host);
    if image::is_local(name) {
        return image::pull(store, name, platform);
    }
    let suits = |image: &Listed| request.platform.as_ref().is_none_or(|p| is_for(image, p));
    let here = store.find(name)?.filter(suits).filter(|_| request.pull != When::Always);
    if here.is_some() {
        return image::pull(store, Wanted { here, ..Wanted::from(name) }, platform);
    }
    ensure!(
        request.pull != When::Never,
        "there is no image {name} here\nhint: coracle pull {name} brings it; so does run without --pull never"
    );
    if request.pull == When::Missing {
        // docker's words; and what is not there is no reason to panic at a closed standard error.
        let _ = writeln!(stderr(), "Unable to find image '{name}' locally");
    }
    let progress = if request.quiet { Progress::Quiet } else { Progress::on_stderr() };
    let access = Access { insecure: request.insecure, ..Access::default() };
    image::pull(store, Wanted { access, progress, ..Wanted::from(name) }, platform)
}

fn is_for(image: &Listed, wanted: &Platform) -> bool {
    let platform = serde_json::from_value::<Platform>(image.config.clone());
    platform.is_ok_and(|platform| platform.suits(wanted).is_some())
}

/// All images that are here.
pub fn images() -> Result<Vec<Listed>> {
    open()?.images()
}

/// An image by its name, its ID or the beginning of its ID, with all its names.
pub fn image(wanted: &str) -> Result<(Listed, Vec<Reference>)> {
    let store = open()?;
    let found = store.find(wanted)?.with_context(|| no_image(wanted))?;
    let all = store.images()?.into_iter().filter(|i| i.manifest.digest == found.manifest.digest);
    let names = all.filter_map(|image| image.name).collect();
    Ok((found, names))
}

/// Gives an image one more name.
pub fn tag(wanted: &str, name: &str) -> Result<()> {
    let store = open()?;
    let found = store.find(wanted)?.with_context(|| no_image(wanted))?;
    store.tag(&found, &name.parse()?)
}

fn no_image(wanted: &str) -> String {
    format!("there is no image {wanted}\nhint: coracle images lists them")
}

/// What [`remove_image`] did.
pub struct Removed {
    /// The name that is gone, if it had one.
    pub name: Option<Reference>,
    /// The image's ID, if nothing names it any more.
    pub id: Option<String>,
    /// `None`: a pull is under way, and the space is not free before the next removal.
    pub collected: Option<Collected>,
}

/// Takes a name from an image; with its last name the image goes. One that a container was made
/// from stays, unless it is `forced`: then the container keeps the layers that it needs.
pub fn remove_image(wanted: &str, forced: Forced) -> Result<Removed> {
    let store = open()?;
    let found = store.find(wanted)?.with_context(|| no_image(wanted))?;
    let digest = found.manifest.digest.to_string();
    let is_last = {
        let images = store.images()?;
        images.iter().filter(|i| i.manifest.digest == found.manifest.digest).count() < 2
    };
    let user = registry::list()?.into_iter().find(|c| c.image_digest.as_ref() == Some(&digest));
    if let (Some(container), true, Forced::No) = (user, is_last, forced) {
        bail!(
            "the image {wanted} is used by the container {}\nhint: coracle rm {0}, or coracle rmi --force",
            container.name
        );
    }
    let (image, names) = store.unlist(wanted)?;
    let collected = store.collect(in_use)?;
    let id = is_last.then(|| image.id.to_string());
    Ok(Removed { name: names.into_iter().next(), id, collected })
}

/// Whether something is done although it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// Containers are asked first.
    No,
    /// They are not.
    Yes,
}

/// Which images go when nobody says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Useless {
    /// Those that no container was made from and that have lost their name to a newer one.
    Nameless,
    /// All that no container was made from.
    Unused,
}

/// Removes images that are `useless`, and what no image needs. `None`: a pull is under way.
pub fn prune_images(useless: Useless) -> Result<Option<Collected>> {
    let store = open()?;
    let users = registry::list()?;
    let used = |image: &str| users.iter().any(|user| user.image_digest.as_deref() == Some(image));
    store.unlist_all(|name, digest| {
        !used(digest) && (name.is_none() || useless == Useless::Unused)
    })?;
    store.collect(in_use)
}

/// The layers that containers stand on.
fn in_use() -> Result<Vec<PathBuf>> {
    Ok(registry::list()?.into_iter().flat_map(|container| container.layers).collect())
}

fn open() -> Result<Store> {
    Store::open(&registry::root_folder())
}
