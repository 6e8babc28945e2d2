//! The tables of keys and variables in the reference are made of their declarations.
//!
//! Below a line `<!-- table of NAME -->` stands the table of all keys of NAME, below
//! `<!-- table of NAME: a, b -->` that of some. `BLESS=1 cargo test --test it docs::reference` writes the
//! tables anew.

use std::collections::{BTreeMap, BTreeSet};

use super::{root, text};

/// Tables that say nothing new: their keys are those of another one, or stand where the table is named.
const LEFT_OUT: [&str; 10] = [
    "exponential",
    "fail-first",
    "lognormal",
    "normal",
    "one-of",
    "pareto",
    "request",
    "sequence",
    "service-limits",
    "uniform",
];

/// A table of a topology's keys: its head, and its rows by key.
struct Keys {
    head: String,
    rows: Vec<(String, String)>,
}

fn tables() -> BTreeMap<&'static str, Keys> {
    let read = |table: &str| {
        let lines: Vec<_> = table.split_inclusive('\n').collect();
        let key = |row: &str| row.split('`').nth(1).expect("a key").to_owned();
        let rows = lines[2..].iter().map(|row| (key(row), (*row).to_owned()));
        Keys { head: lines[..2].concat(), rows: rows.collect() }
    };
    let others = [
        ("environment", simhost::telemetry::env::reference()),
        ("metrics", simhost::metrics::catalogue::reference()),
    ];
    let labs = simhost::lab::manifest::reference_tables();
    let tables = simhost::topology::reference_tables().into_iter().chain(labs).chain(others);
    tables.map(|(name, table)| (name, read(&table))).collect()
}

/// A page with its tables made anew, and which keys of which table it has.
fn with_tables(page: &str, tables: &BTreeMap<&str, Keys>) -> (String, BTreeSet<(String, String)>) {
    let (mut made, mut has) = (String::new(), BTreeSet::new());
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        made.extend([line, "\n"]);
        let Some(of) = line.strip_prefix("<!-- table of ").and_then(|of| of.strip_suffix(" -->")) else {
            continue;
        };
        let (name, some) = of.split_once(": ").unwrap_or((of, ""));
        let table = tables.get(name).unwrap_or_else(|| panic!("no table is called {name}"));
        let some: Vec<_> = some.split(", ").filter(|key| !key.is_empty()).collect();
        let row = |key: &str| {
            let row = table.rows.iter().find(|(name, _)| name == key);
            row.unwrap_or_else(|| panic!("{name} has no key {key}"))
        };
        let rows: Vec<_> = match some.is_empty() {
            true => table.rows.iter().collect(),
            false => some.into_iter().map(row).collect(),
        };
        made.extend(["\n", &table.head]);
        made.extend(rows.iter().map(|(_, row)| row.as_str()));
        has.extend(rows.iter().map(|(key, _)| (name.to_owned(), key.clone())));
        while lines.next_if(|line| line.is_empty() || line.starts_with('|')).is_some() {}
        if lines.peek().is_some() {
            made.push('\n');
        }
    }
    (made, has)
}

#[test]
fn the_tables_of_keys_are_made_of_their_declarations_and_every_key_is_in_one() {
    let tables = tables();
    let mut shown = BTreeSet::new();
    for path in super::transcripts::pages("docs/reference") {
        let page = text(&path);
        let (made, has) = with_tables(&page, &tables);
        shown.extend(has);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(root().join(&path), made).expect("the page is written");
        } else {
            assert!(made == page, "the tables of {path} are of other declarations: BLESS=1 writes them anew");
        }
    }
    let declared = tables.iter().filter(|(name, _)| !LEFT_OUT.contains(name));
    let declared = declared.flat_map(|(name, table)| table.rows.iter().map(|(key, _)| (*name, key.clone())));
    let missing: Vec<_> =
        declared.filter(|(name, key)| !shown.contains(&((*name).to_owned(), key.clone()))).collect();
    assert!(missing.is_empty(), "no page of the reference has {missing:?}");
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
