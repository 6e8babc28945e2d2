//! The reference has every key that the reader of topologies knows.

use std::collections::BTreeSet;
use std::path::Path;

use super::{root, text};

/// The text of every source below a folder.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push(std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The keys that a source reads: `table.keys(["name", "seed"])`.
fn keys(source: &str) -> BTreeSet<String> {
    let lists = source.split(".keys([").skip(1).filter_map(|rest| rest.split_once("])"));
    lists.flat_map(|(list, _)| list.split('"').skip(1).step_by(2).map(ToOwned::to_owned)).collect()
}

#[test]
fn every_key_of_a_topology_is_in_the_reference() {
    let mut texts = Vec::new();
    sources(&root().join("host/src/topology"), &mut texts);
    let keys: BTreeSet<_> = texts.iter().flat_map(|text| keys(text)).collect();
    assert!(keys.len() > 50, "{keys:?}");
    let pages =
        [super::transcripts::pages("docs/reference"), vec!["docs/guides/load.md".to_owned()]].concat();
    let pages: String = pages.iter().map(|page| text(page)).collect();
    let is_there = |key: &String| {
        let written = [format!("`{key}`"), format!("`{key} ="), format!(" {key} = "), format!(".{key}`")];
        written.iter().any(|form| pages.contains(form.as_str()))
    };
    let missing: Vec<_> = keys.iter().filter(|key| !is_there(key)).collect();
    assert!(missing.is_empty(), "the reference does not have {missing:?}");
}

#[test]
fn keys_are_those_of_the_lists() {
    assert_eq!(Vec::from_iter(keys("table.keys([\"a\", \"b-c\"]); \"d\"")), ["a", "b-c"]);
}

#[test]
fn the_members_of_the_tutorial_are_those_of_the_guests_and_the_copy() {
    let members = |file: &str| {
        let text = text(file);
        let mut lines = text.lines().filter(|line| line.starts_with("members = "));
        let line = lines.next().expect("a line of members").to_owned();
        assert_eq!(lines.next(), None, "{file} has one list of members");
        line
    };
    let shown = members("docs/tutorial/swap-a-guest.md");
    assert_eq!(shown.replace("\"my-inventory\", ", ""), members("guests/Cargo.toml"));
    assert!(shown.contains("\"my-inventory\""), "{shown}");
}
