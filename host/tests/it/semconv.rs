//! The registry of simhost's own names, `docs/semconv`, has those that the sources have.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Names of instrumentation scopes, which are no attributes.
const SCOPES: [&str; 2] = ["simhost.bus", "simhost.guest"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Rust source below a folder.
fn sources(folder: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// The names in quotes that begin with `simhost.`.
fn quoted(text: &str) -> BTreeSet<String> {
    let names = text.split("\"simhost.").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
    names.filter(is_name).map(|name| format!("simhost.{name}")).collect()
}

/// The names that the registry defines: attributes by their `id`, events by their `name`, metrics by
/// their `metric_name`.
fn registered() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs/semconv/simhost.yaml")).expect("the registry");
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
    let names = lines
        .filter_map(|line| ["id: ", "name: ", "metric_name: "].iter().find_map(|key| line.strip_prefix(key)));
    let defined = names.filter(|name| name.starts_with("simhost.")).map(str::to_owned);
    defined.collect()
}

#[test]
fn the_registry_has_every_name_of_the_sources_and_no_other() {
    let mut texts = Vec::new();
    for folder in ["host/src", "guests/sdk/src", "guests/service/src"] {
        sources(&root().join(folder), &mut texts);
    }
    let mut used: BTreeSet<_> = texts.iter().flat_map(|text| quoted(text)).collect();
    for scope in SCOPES {
        assert!(used.remove(scope), "{scope} is a scope");
    }
    assert!(used.len() > 10, "{used:?}");
    assert_eq!(used, registered(), "left: the sources; right: docs/semconv/simhost.yaml");
}

#[test]
fn a_name_is_found_where_it_is_quoted() {
    let text = "set(\"simhost.a.b\", 1); \"simhost.toml\" \"simhost run\" \"simhost.{kind}\" simhost.no";
    assert_eq!(quoted(text), BTreeSet::from(["simhost.a.b".to_owned(), "simhost.toml".to_owned()]));
}
