//! `coracle pull`, `images`, `rmi`, `tag` and `image …`: images as docker's users know them.

use crate::age;
use anyhow::Result;
use clap::Subcommand;
use engine::{Collected, Forced, Listed, Listing, Pull, Reference, Useless};
use serde_json::{Value, json};
use std::io::{Write, stdout};

/// The commands of `coracle image`.
#[derive(Subcommand)]
pub enum Command {
    /// Bring an image here
    Pull(Pull),
    /// List images; SIZE is what was downloaded, compressed
    #[command(visible_alias = "list")]
    Ls(List),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(Remove),
    /// Give an image one more name
    Tag(Tag),
    /// Print all that is known of images, as JSON
    Inspect {
        /// Name, ID, or the beginning of an ID
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<String>,
    },
    /// Remove images that have lost their name, and what no image needs
    Prune {
        /// Remove all images that no container was made from
        #[arg(short, long)]
        all: bool,
        /// As docker has it: nobody is asked here anyway
        #[arg(short, long)]
        force: bool,
    },
}

/// The arguments of `coracle images`.
#[derive(clap::Args)]
pub struct List {
    /// Print only the IDs
    #[arg(short, long)]
    quiet: bool,
    /// Print digests and IDs in full
    #[arg(long)]
    no_trunc: bool,
}

/// The arguments of `coracle rmi`.
#[derive(clap::Args)]
pub struct Remove {
    /// Also those that containers were made from
    #[arg(short, long)]
    force: bool,
    /// Name, ID, or the beginning of an ID
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

/// The arguments of `coracle tag`.
#[derive(clap::Args)]
pub struct Tag {
    /// Name, ID, or the beginning of an ID
    image: String,
    /// The new name
    name: String,
}

pub fn run(command: &Command) -> Result<()> {
    match command {
        Command::Pull(request) => pull(request),
        Command::Ls(arguments) => list(arguments),
        Command::Rm(arguments) => remove(arguments),
        Command::Tag(Tag { image, name }) => engine::tag(image, name),
        Command::Inspect { images } => inspect(images),
        Command::Prune { all, .. } => prune(if *all { Useless::Unused } else { Useless::Nameless }),
    }
}

/// docker's last lines: the digest, whether there was news, and the name.
pub fn pull(request: &Pull) -> Result<()> {
    let image = engine::pull(request)?;
    let name: Reference = image.reference.parse()?;
    let mut out = stdout().lock();
    if !request.quiet {
        let status = match image.listing {
            Some(Listing::Same) => "Image is up to date for",
            _ => "Downloaded newer image for",
        };
        writeln!(out, "Digest: {}\nStatus: {status} {}", image.top, name.familiar())?;
    }
    writeln!(out, "{name}")?;
    Ok(())
}

pub fn list(arguments: &List) -> Result<()> {
    let images = engine::images()?;
    let mut out = stdout().lock(); // `println!` would panic at a pipe that nobody reads
    let id = |image: &Listed| match arguments.no_trunc {
        true => image.id.to_string(),
        false => image.id.hex()[..12].to_owned(),
    };
    if arguments.quiet {
        images.iter().try_for_each(|image| writeln!(out, "{}", id(image)))?;
        return Ok(());
    }
    let row = |image: &Listed| {
        let repository = image.name.as_ref().map(Reference::familiar_repository);
        let tag = image.name.as_ref().and_then(|name| name.tag.clone());
        let none = || "<none>".to_owned();
        let created = image.config["created"].as_str().unwrap_or("unknown");
        let created = age::of_date(created).unwrap_or_else(|| "unknown".to_owned());
        [
            repository.unwrap_or_else(none),
            tag.unwrap_or_else(none),
            id(image),
            created,
            size(image.size),
        ]
    };
    let mut rows = vec![["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"].map(str::to_owned)];
    rows.extend(images.iter().map(row));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let [a, b, c, d] = [0, 1, 2, 3].map(width);
    for [repository, tag, id, created, size] in &rows {
        writeln!(out, "{repository:a$}   {tag:b$}   {id:c$}   {created:d$}   {size}")?;
    }
    Ok(())
}

pub fn remove(arguments: &Remove) -> Result<()> {
    let forced = if arguments.force { Forced::Yes } else { Forced::No };
    let mut first_error = Ok(());
    for image in &arguments.images {
        match engine::remove_image(image, forced) {
            Err(error) => first_error = first_error.and(Err(error)),
            Ok(removed) => {
                let mut out = stdout().lock();
                removed
                    .name
                    .iter()
                    .try_for_each(|name| writeln!(out, "Untagged: {}", name.familiar()))?;
                removed.id.iter().try_for_each(|id| writeln!(out, "Deleted: {id}"))?;
                if removed.collected.is_none() {
                    writeln!(
                        out,
                        "A pull is under way: coracle image prune frees the space later"
                    )?;
                }
            }
        }
    }
    first_error
}

fn prune(useless: Useless) -> Result<()> {
    let Some(Collected { blobs, layers, bytes }) = engine::prune_images(useless)? else {
        anyhow::bail!(
            "a pull is under way: nothing can be told to be useless\nhint: try again when it is done"
        );
    };
    writeln!(
        stdout(),
        "Removed {layers} layers and {blobs} blobs\nTotal reclaimed space: {}",
        size(bytes)
    )?;
    Ok(())
}

fn inspect(images: &[String]) -> Result<()> {
    let all = images.iter().map(|image| Ok(describe(engine::image(image)?)));
    let all: Vec<Value> = all.collect::<Result<_>>()?;
    writeln!(stdout(), "{}", serde_json::to_string_pretty(&all)?)?;
    Ok(())
}

/// The fields that docker prints, as far as an image layout knows them.
fn describe((image, names): (Listed, Vec<Reference>)) -> Value {
    let Listed { config, top, id, size, .. } = image;
    let digests: Vec<String> =
        names.iter().map(|name| format!("{}@{top}", name.familiar_repository())).collect();
    let tags: Vec<String> = names.iter().map(Reference::familiar).collect();
    json!({
        "Id": id.to_string(), "RepoTags": tags, "RepoDigests": digests, "Size": size,
        "Created": config["created"], "Author": config["author"], "Config": config["config"],
        "Os": config["os"], "Architecture": config["architecture"], "Variant": config["variant"],
        "RootFS": { "Type": "layers", "Layers": config["rootfs"]["diff_ids"] },
    })
}

/// Bytes in docker's units, which are decimal: `7.8MB`.
fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let unit = (0..units.len()).rev().find(|unit| bytes >= 1000_u64.pow(*unit as u32)).unwrap_or(0);
    let number = bytes as f64 / 1000_f64.powi(unit as i32);
    match unit {
        0 => format!("{bytes}B"),
        _ if number < 10.0 => format!("{number:.2}{}", units[unit]),
        _ if number < 100.0 => format!("{number:.1}{}", units[unit]),
        _ => format!("{number:.0}{}", units[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_three_digits() {
        for (bytes, shown) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1.00kB"),
            (7_834_000, "7.83MB"),
            (192_400_000, "192MB"),
            (12_340_000_000, "12.3GB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
