//! Every link of the documents leads somewhere, the book has every page, and every page of `docs/`
//! that a source names is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{root, text};

/// A front page and a map are read at one go.
const LENGTHS: [(&str, usize); 2] = [("README.md", 180), ("ARCHITECTURE.md", 300)];

/// Every text file of the repository with one of these endings, by its path from the root.
fn files(endings: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let (path, name) = {
                let entry = entry.expect("an entry");
                (entry.path(), entry.file_name())
            };
            if path.is_dir() && !["target", ".git", "node_modules", ".venv"].iter().any(|left| name == *left)
            {
                folders.push(path);
            } else if path.extension().is_some_and(|end| endings.iter().any(|ending| end == *ending)) {
                let path = path.strip_prefix(root()).expect("it is in there");
                found.push(path.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

/// The lines of a page outside of its fences, without what stands in backticks.
fn prose(page: &str) -> Vec<(usize, String)> {
    let mut is_code = false;
    let lines = (1..).zip(page.lines()).filter(|(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    });
    lines.map(|(number, line)| (number, line.split('`').step_by(2).collect::<Vec<_>>().join("`"))).collect()
}

/// The targets of the links of a page, with their lines. A link may go on in the next line.
pub fn links(page: &str) -> Vec<(usize, String)> {
    let targets = |(number, line): (usize, String)| {
        let parts = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        parts.map(|(target, _)| (number, target.to_owned())).collect::<Vec<_>>()
    };
    prose(page).into_iter().flat_map(targets).collect()
}

/// The anchor of a heading, as GitHub and mdBook make it.
pub fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim();
    // Of a link in a heading only its text counts.
    let text = text.split("](").enumerate().map(|(at, part)| match at {
        0 => part,
        _ => part.split_once(')').map_or(part, |(_, rest)| rest),
    });
    let kept = text.flat_map(|part| part.chars().collect::<Vec<_>>()).filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
    });
    kept.collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let headings = page.lines().filter(|line| {
        is_code ^= line.starts_with("```");
        !is_code && line.starts_with('#')
    });
    let mut found = BTreeSet::new();
    for heading in headings.map(anchor) {
        let again = (0..).map(|n| if n == 0 { heading.clone() } else { format!("{heading}-{n}") });
        let free = again.into_iter().find(|name| !found.contains(name));
        found.extend(free);
    }
    found
}

/// A target from a folder of the repository; none above its root.
pub fn resolve(folder: &Path, target: &str) -> Option<PathBuf> {
    let mut path = folder.to_owned();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir if !path.pop() => return None,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

/// What is wrong with a link of a page.
fn problem(page: &str, target: &str) -> Option<String> {
    if target.starts_with("https://") || target.starts_with("http://") {
        return None;
    }
    let (path, wanted) = target.split_once('#').map_or((target, None), |(path, at)| (path, Some(at)));
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() { Some(PathBuf::from(page)) } else { resolve(folder, path) };
    let Some(file) = file else { return Some("leads out of the repository".to_owned()) };
    if !root().join(&file).exists() {
        return Some(format!("there is no {}", file.display()));
    }
    if page.starts_with("docs/") && !file.starts_with("docs") {
        return Some("leads out of the book, where it works on no page".to_owned());
    }
    let wanted = wanted?;
    let there = anchors(&text(&file.to_string_lossy()));
    (!there.contains(wanted)).then(|| format!("{} has no heading {wanted}, but {there:?}", file.display()))
}

#[test]
fn every_link_leads_somewhere() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in files(&["md"]) {
        for (line, target) in links(&text(&page)) {
            count += 1;
            wrong
                .extend(problem(&page, &target).map(|problem| format!("{page}:{line}: {target}: {problem}")));
        }
    }
    assert!(count > 100, "there are {count} links");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_book_has_every_page_once() {
    let summary = text("docs/SUMMARY.md");
    let mut listed: Vec<_> =
        links(&summary).into_iter().map(|(_, target)| format!("docs/{target}")).collect();
    listed.sort();
    let pages = super::transcripts::pages("docs");
    let pages: Vec<_> = pages.into_iter().filter(|page| page != "docs/SUMMARY.md").collect();
    assert_eq!(listed, pages, "left: docs/SUMMARY.md; right: the files");
}

#[test]
fn the_front_page_and_the_map_are_short() {
    for (page, most) in LENGTHS {
        let lines = text(page).lines().count();
        assert!(lines <= most, "{page} has {lines} lines, more than {most}");
    }
}

#[test]
fn every_page_that_a_source_names_is_there() {
    let mut wrong = Vec::new();
    for file in files(&["rs", "toml", "md", "yml", "yaml", "sh", "wit"]) {
        let text = text(&file);
        for (line, found) in (1..)
            .zip(text.lines())
            .flat_map(|(line, text)| text.match_indices("docs/").map(move |(at, _)| (line, &text[at..])))
        {
            let end = found.find(|c: char| !(c.is_ascii_alphanumeric() || "/_-.".contains(c)));
            let named = found[..end.unwrap_or(found.len())].trim_end_matches('.');
            let is_file = named.ends_with(".md") || named.ends_with(".json");
            let is_there = root().join(named).is_file() || root().join("guests").join(named).is_file();
            if is_file && !is_there {
                wrong.push(format!("{file}:{line}: there is no {named}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("## 1. Sketch the system"), "1-sketch-the-system");
    assert_eq!(anchor("### `rate-limit`"), "rate-limit");
    assert_eq!(anchor("## A root-cause tool: spans, truth"), "a-root-cause-tool-spans-truth");
    assert_eq!(anchors("# A\n```\n# no\n```\n## A\n").into_iter().collect::<Vec<_>>(), ["a", "a-1"]);
}

#[test]
fn links_in_code_are_no_links() {
    let page = "[a](b.md) and `[c](d.md)`\n```\n[e](f.md)\n```\n[g](h.md#i)\n";
    assert_eq!(links(page), [(1, "b.md".to_owned()), (5, "h.md#i".to_owned())]);
    assert_eq!(resolve(Path::new("a/b"), "../c.md"), Some("a/c.md".into()));
    assert_eq!(resolve(Path::new(""), "../a.md"), None);
}
