//! Reads what mdBook has built as a browser would: links lead somewhere, pictures have names, and
//! nothing is fetched from another host.

use super::Problem;
use anyhow::{Context, Result};
use regex_lite::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As wide as a picture may be drawn: more would be too small to read on a phone.
const WIDTH: f64 = 420.0;

/// All that is wrong in the built pages. `sources` are the pages' names in `book/src`.
///
/// # Errors
/// A page that should have been built can't be read.
pub fn problems(out: &Path, sources: &[String]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for source in sources {
        let name = source.replace(".md", ".html");
        let path = out.join(&name);
        let html = fs::read_to_string(&path);
        let html = html.with_context(|| format!("cannot read {}", path.display()))?;
        let texts = [links(&html, Path::new(&name), out), pictures(main_of(&html))].concat();
        let file = format!("book/src/{source}");
        problems.extend(texts.into_iter().map(|text| Problem::new(&file, 0, text)));
    }
    let mut styles = Vec::new();
    files_below(out, &mut styles)?;
    for path in styles {
        let text = fs::read_to_string(&path)?;
        let file = path.strip_prefix(out).unwrap_or(&path).display().to_string();
        problems.extend(fetched(&text).into_iter().map(|text| Problem::new(&file, 0, text)));
    }
    Ok(problems)
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is ours")
}

/// The part of a page that its author wrote.
fn main_of(html: &str) -> &str {
    let start = html.find("<main>").unwrap_or(0);
    let end = html.rfind("</main>").unwrap_or(html.len());
    html.get(start..end).unwrap_or(html)
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "css") {
            found.push(path);
        }
    }
    Ok(())
}

/// What a style sheet takes from another host.
fn fetched(css: &str) -> Vec<String> {
    let foreign = pattern(r#"(?:url\(\s*["']?|@import\s+["']?)((?:https?:)?//[^"')\s]+)"#);
    let found = foreign.captures_iter(css);
    found.map(|found| format!("fetches {} from another host", &found[1])).collect()
}

/// Links that lead nowhere, and whatever a page takes from another host. A link (`a`) may lead
/// there: nothing is fetched before somebody follows it.
fn links(html: &str, name: &Path, out: &Path) -> Vec<String> {
    let tag = pattern(r"<([A-Za-z][A-Za-z0-9-]*)(\s[^>]*)>");
    let link = pattern(r#"\s(href|src|srcset|poster|data|action|xlink:href)="([^"]*)""#);
    let own = ids(html);
    let mut problems = fetched(html);
    for tag in tag.captures_iter(html) {
        for link in link.captures_iter(&tag[2]) {
            let target = link[2].replace("&amp;", "&");
            if ["//", "http:", "https:"].iter().any(|start| target.starts_with(start)) {
                if !tag[1].eq_ignore_ascii_case("a") {
                    problems.push(format!("<{}> fetches {target} from another host", &tag[1]));
                }
            } else if !target.starts_with("data:") && !target.starts_with("mailto:") {
                problems.extend(broken(&target, name, out, &own));
            }
        }
    }
    problems
}

/// Why a link within the book leads nowhere.
fn broken(target: &str, name: &Path, out: &Path, own: &BTreeSet<String>) -> Option<String> {
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    if path.is_empty() {
        let exists = fragment.is_empty() || own.contains(fragment);
        return (!exists).then(|| format!("the link {target} leads to no heading of this page"));
    }
    let Some(place) = flat(&name.parent().unwrap_or(Path::new("")).join(path)) else {
        return Some(format!("the link {target} leads out of the book"));
    };
    let Ok(bytes) = fs::read(out.join(place)) else {
        return Some(format!("the link {target} leads to nothing"));
    };
    let exists = fragment.is_empty() || ids(&String::from_utf8_lossy(&bytes)).contains(fragment);
    (!exists).then(|| format!("the link {target} leads to no heading of that page"))
}

/// A path without `.` and `..`; `None` if it leads out of where it started.
fn flat(path: &Path) -> Option<PathBuf> {
    let mut flat = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => flat.push(name),
            Component::CurDir => {}
            Component::ParentDir => flat.pop().then_some(())?,
            _ => return None,
        }
    }
    Some(flat)
}

fn ids(html: &str) -> BTreeSet<String> {
    pattern(r#"\sid="([^"]*)""#).captures_iter(html).map(|id| id[1].to_owned()).collect()
}

/// What a picture lacks for those who don't see it, or in the dark, or on a phone.
fn pictures(main: &str) -> Vec<String> {
    let svg = pattern(r"(?s)<svg([^>]*)>(.*?)</svg>");
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (number, picture) in (1..).zip(svg.captures_iter(main)) {
        let name = name_of(&picture[2]).unwrap_or_else(|| format!("picture {number}"));
        let texts = [of_picture(&picture[1], &picture[2]), twice(&picture[0], &mut seen)].concat();
        problems.extend(texts.into_iter().map(|text| format!("{name}: {text}")));
    }
    let image = pattern(r"<img(\s[^>]*)>");
    let no_words = pattern(r#"\salt="[^"]+""#);
    for image in image.captures_iter(main).filter(|image| !no_words.is_match(&image[1])) {
        problems.push(format!("an image without words: {}", image[0].trim()));
    }
    problems
}

fn name_of(inside: &str) -> Option<String> {
    let title = pattern(r"(?s)<title[^>]*>(.*?)</title>").captures(inside)?;
    Some(format!("picture \"{}\"", title[1].trim()))
}

fn of_picture(attributes: &str, inside: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let labelled = pattern(r#"aria-labelledby="([^"]*)""#).captures(attributes);
    let labels = labelled.map(|found| found[1].to_owned()).unwrap_or_default();
    for part in ["title", "desc"] {
        let found = pattern(&format!(r#"(?s)<{part}\s[^>]*?id="([^"]*)"[^>]*>(.*?)</{part}>"#));
        match found.captures(inside) {
            None => problems.push(format!("has no <{part} id=…>")),
            Some(found) if found[2].trim().is_empty() => {
                problems.push(format!("its {part} is empty"))
            }
            Some(found) if labels.split(' ').all(|label| label != &found[1]) => {
                problems.push(format!("aria-labelledby does not name its {part}"));
            }
            Some(_) => {}
        }
    }
    if !attributes.contains(r#"role="img""#) {
        problems.push("has no role=\"img\"".to_owned());
    }
    let width = pattern(r#"(?i)viewbox="[-\d.]+ [-\d.]+ ([\d.]+) "#).captures(attributes);
    match width.and_then(|width| width[1].parse::<f64>().ok()) {
        None => problems.push("has no viewBox".to_owned()),
        Some(width) if width > WIDTH => {
            problems.push(format!("is {width} wide, {WIDTH} are allowed"));
        }
        Some(_) => {}
    }
    let inline = pattern(r#"\s(style|fill|stroke|color|font-family|font-size|opacity)="#);
    for found in inline.captures_iter(inside).take(1) {
        problems.push(format!("has `{}` of its own: use the classes of the theme", &found[1]));
    }
    problems
}

/// Ids that another picture of the page has too; each may define the arrow anew.
fn twice(picture: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
    let new = ids(picture).into_iter().filter(|id| id != "arrow");
    new.filter(|id| !seen.insert(id.clone()))
        .map(|id| format!("the id {id} is used twice"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"<svg class="picture" viewbox="0 0 420 100" role="img" aria-labelledby="a-t a-d">
<title id="a-t">Two processes</title><desc id="a-d">They share a door.</desc><rect class="host" x="1"/></svg>"#;

    fn said(main: &str) -> String {
        pictures(main).join("\n")
    }

    #[test]
    fn a_picture_needs_a_title_a_description_and_a_role() {
        assert_eq!(said(GOOD), "");
        for (good, bad, complaint) in [
            (r#"<title id="a-t">Two processes</title>"#, "", "has no <title"),
            (r#"<desc id="a-d">They share a door.</desc>"#, "", "has no <desc"),
            ("They share a door.", " ", "its desc is empty"),
            ("a-t a-d", "a-t", "does not name its desc"),
            (r#"role="img""#, "", "has no role"),
            ("0 0 420 100", "0 0 421 100", "is 421 wide"),
            ("x=\"1\"", "fill=\"red\"", "has `fill` of its own"),
        ] {
            let said = said(&GOOD.replacen(good, bad, 1));
            assert!(said.contains(complaint), "{complaint} in: {said}");
        }
        assert!(said(&format!("{GOOD}{GOOD}")).contains("the id a-t is used twice"));
        assert!(said("<img src=\"x.png\">").contains("without words"));
    }

    #[test]
    fn a_link_leads_to_a_page_and_to_its_heading() {
        let out = std::env::temp_dir().join(format!("course-pages-{}", std::process::id()));
        fs::create_dir_all(&out).unwrap();
        fs::write(out.join("b.html"), r#"<h2 id="there">x</h2>"#).unwrap();
        let said = |html: &str| links(html, Path::new("a.html"), &out).join("\n");
        let good = r##"<h2 id="here"></h2><a href="#here">x</a><a href="b.html#there">x</a>
            <a href="https://man7.org/">x</a>"##;
        assert_eq!(said(good), "");
        for (bad, complaint) in [
            (r##"<a href="#gone">x</a>"##, "no heading of this page"),
            (r#"<a href="c.html">x</a>"#, "leads to nothing"),
            (r#"<a href="b.html#gone">x</a>"#, "no heading of that page"),
            (r#"<img src="no.png" alt="x">"#, "leads to nothing"),
            (r#"<a href="../x.html">x</a>"#, "leads out of the book"),
            (r#"<script src="https://example.org/x.js">"#, "from another host"),
            (r#"<link rel="stylesheet" href="//example.org/x.css">"#, "from another host"),
            (r#"<style>@import "https://example.org/x.css"</style>"#, "from another host"),
        ] {
            assert!(said(bad).contains(complaint), "{complaint} in: {}", said(bad));
        }
        fs::remove_dir_all(&out).unwrap();
    }

    #[test]
    fn a_style_sheet_fetches_nothing_from_elsewhere() {
        assert_eq!(fetched("a { src: url('fonts/x.woff2') } b { c: url(data:x) }").len(), 0);
        assert_eq!(fetched("a { src: url(\"https://example.org/x.woff2\") }").len(), 1);
    }
}
