//! Writes the manifests of the learner's copies.
//!
//! Those of the solutions are the pattern, so that a new dependency of a solution is one of its
//! starter too. What is for the solution's own tests goes.

use super::Files;
use crate::catalogue::Chapter;
use crate::course::Course;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

/// The head of `chapters/Cargo.toml`.
const HEAD: &str = "\
# The learner's workspace. All in this folder is derived from ../solutions by
# `cargo course dev starters`; what you write here is yours, `cargo course reset` brings this back.

";

/// The manifest of a chapter, from its solution's.
///
/// # Errors
/// It is not as a solution's should be.
pub fn of_chapter(solution: &str, chapter: &Chapter, sources: &Files) -> Result<String> {
    let mut manifest: DocumentMut = solution.parse().context("cannot be parsed")?;
    let package = manifest.get("package").and_then(|package| package.get("name"));
    let package = package.and_then(Item::as_str).context("has no package.name")?.to_owned();
    manifest["package"]["name"] = value(format!("ch{}", chapter.folder));
    if let Some(table) = manifest["package"].as_table_mut() {
        table.remove("autotests");
    }
    manifest.remove("test");
    keep_what_sources_use(&mut manifest, sources);
    name_the_targets(&mut manifest, &package);
    Ok(manifest.to_string())
}

/// Cargo names a library and a program after the package, which is called otherwise here.
fn name_the_targets(manifest: &mut DocumentMut, package: &str) {
    if !manifest.contains_key("lib") {
        let mut library = Table::new();
        library["name"] = value(package.replace('-', "_"));
        manifest["lib"] = Item::Table(library);
    }
    if !manifest.contains_key("bin") {
        let mut program = Table::new();
        program["name"] = value(package);
        program["path"] = value("src/main.rs");
        let mut programs = ArrayOfTables::new();
        programs.push(program);
        manifest["bin"] = Item::ArrayOfTables(programs);
    }
    for (position, name) in ["package", "lib", "bin", "dependencies"].into_iter().enumerate() {
        move_to(manifest, name, position as isize);
    }
    for name in ["dev-dependencies", "lints"] {
        move_to(manifest, name, 100);
    }
}

fn move_to(manifest: &mut DocumentMut, name: &str, position: isize) {
    match manifest.get_mut(name) {
        Some(Item::Table(table)) => {
            table.set_position(position);
            table.decor_mut().set_prefix(if position == 0 { "" } else { "\n" });
        }
        Some(Item::ArrayOfTables(tables)) => {
            for table in tables.iter_mut() {
                table.set_position(position);
                table.decor_mut().set_prefix("\n");
            }
        }
        _ => {}
    }
}

/// Of the dev-dependencies only those stay that unit tests and examples name.
fn keep_what_sources_use(manifest: &mut DocumentMut, sources: &Files) {
    let named = |name: &str| {
        let path = format!("{}::", name.replace('-', "_"));
        sources.values().any(|text| text.contains(&path))
    };
    let always: Vec<String> = names(manifest.get("dependencies"));
    let Some(Item::Table(table)) = manifest.get_mut("dev-dependencies") else { return };
    table.retain(|name, _| named(name) && !always.iter().any(|other| other == name));
    if table.is_empty() {
        manifest.remove("dev-dependencies");
    }
}

fn names(table: Option<&Item>) -> Vec<String> {
    let table = table.and_then(Item::as_table);
    table.into_iter().flatten().map(|(name, _)| name.to_owned()).collect()
}

/// `chapters/Cargo.toml`: what the chapters share, from the root's manifest.
///
/// # Errors
/// The root's manifest can't be read.
pub fn workspace(course: &Course, chapters: &Files) -> Result<String> {
    let path = course.checkout.join("Cargo.toml");
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let root: DocumentMut = text.parse().with_context(|| format!("in {}", path.display()))?;
    let root = &root["workspace"];

    let mut workspace = Table::new();
    workspace["resolver"] = root["resolver"].clone();
    workspace["members"] =
        value(course.chapters.iter().map(|chapter| chapter.folder.as_str()).collect::<Array>());
    workspace["package"] = root["package"].clone();
    workspace["dependencies"] = Item::Table(shared(&root["dependencies"], chapters)?);
    workspace["lints"] = lints();
    for (position, name) in ["package", "dependencies", "lints"].into_iter().enumerate() {
        if let Some(table) = workspace[name].as_table_mut() {
            table.set_position(position as isize + 1);
            table.decor_mut().set_prefix("\n");
        }
    }
    let mut manifest = DocumentMut::new();
    manifest["workspace"] = Item::Table(workspace);
    Ok(HEAD.to_owned() + &manifest.to_string())
}

/// Those of the root's dependencies that a chapter has.
fn shared(all: &Item, chapters: &Files) -> Result<Table> {
    let mut wanted = BTreeSet::new();
    for (_, text) in chapters.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let manifest: DocumentMut = text.parse()?;
        wanted.extend(names(manifest.get("dependencies")));
        wanted.extend(names(manifest.get("dev-dependencies")));
    }
    let mut kept = Table::new();
    for (name, dependency) in all.as_table().into_iter().flatten() {
        if wanted.contains(name) {
            kept[name] = beside(dependency);
        }
    }
    Ok(kept)
}

/// A dependency as it is named from `chapters`: a path goes one folder up. Without its comment.
fn beside(dependency: &Item) -> Item {
    let mut dependency = dependency.clone();
    if let Some(item) = dependency.as_value_mut() {
        *item.decor_mut() = toml_edit::Decor::new(" ", "");
    }
    let path = dependency.get("path").and_then(Item::as_str).map(str::to_owned);
    if let (Some(path), Some(table)) = (path, dependency.as_inline_table_mut()) {
        table.insert("path", Path::new("..").join(path).to_string_lossy().as_ref().into());
    }
    dependency
}

/// In a starter half of the code is not used yet; that is no mistake of the learner's.
fn lints() -> Item {
    let mut unused = InlineTable::new();
    unused.insert("level", "allow".into());
    unused.insert("priority", (-1).into());
    let mut rust = Table::new();
    rust["unsafe_code"] = value("forbid");
    rust["unused"] = value(unused);
    rust.set_position(4);
    rust.decor_mut().set_prefix("\n");
    let mut lints = Table::new();
    lints.set_implicit(true);
    lints["rust"] = Item::Table(rust);
    Item::Table(lints)
}
