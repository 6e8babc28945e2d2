//! Databases, caches and topics of what a run recorded: the sketch uses them as the recorded system did.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::Desk;
use super::agreement::{assert_routes_agree, both, near, report, rows, shipped};
use crate::support::finish;

/// Statements for each request that reached the database's clients, and the mean time of one, by database and
/// summary.
fn statements(report: &Value) -> BTreeMap<(String, String), (f64, f64)> {
    let mut found = BTreeMap::new();
    for database in rows(report, "databases") {
        for row in rows(database, "statements") {
            let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
            let number = |name: &str| row[name].as_f64().expect("a number");
            found.insert(
                (text(database, "database"), text(row, "statement")),
                (number("rate"), number("p50_ns")),
            );
        }
    }
    found
}

/// Messages per second by topic, and those that each group is done with.
fn messages(report: &Value) -> BTreeMap<(String, Option<String>), f64> {
    let mut found = BTreeMap::new();
    let text = |row: &Value, name: &str| row[name].as_str().expect("a text").to_owned();
    for topic in report["topics"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|topic| topic["published"].as_u64() > Some(0))
    {
        found.insert((text(topic, "topic"), None), topic["rate"].as_f64().expect("a rate"));
        for group in rows(topic, "groups") {
            let rate = group["rate"].as_f64().expect("a rate");
            found.insert((text(topic, "topic"), Some(text(group, "group"))), rate);
        }
    }
    found
}

/// Compares the numbers of two reports that stand for the same names.
fn assert_near<K: Ord + std::fmt::Debug>(
    recorded: &BTreeMap<K, f64>,
    imported: &BTreeMap<K, f64>,
    bound: f64,
) {
    assert_eq!(imported.keys().collect::<Vec<_>>(), recorded.keys().collect::<Vec<_>>());
    for (key, theirs) in recorded {
        let ours = imported[key];
        assert!(near(ours, *theirs, bound), "{key:?}: {theirs} became {ours}");
    }
}

/// Statements per second within 5 %, their median within 10 %; messages per second within 5 %.
fn assert_backing_agrees(recorded: &Value, imported: &Value) {
    let part = |report: &Value, of: fn((f64, f64)) -> f64| -> BTreeMap<_, _> {
        statements(report).into_iter().map(|(key, both)| (key, of(both))).collect()
    };
    assert_near(&part(recorded, |(rate, _)| rate), &part(imported, |(rate, _)| rate), 0.05);
    assert_near(&part(recorded, |(_, time)| time), &part(imported, |(_, time)| time), 0.10);
    assert_near(&messages(recorded), &messages(imported), 0.05);
}

/// The lines of a sketch that tell its structure, without times, shares and counts.
fn structure(topology: &Path) -> Vec<String> {
    let checked = finish(crate::support::simhost().args(["check", "--json"]).arg(topology)).json();
    let mut lines: Vec<String> =
        rows(&checked, "calls").iter().map(|call| format!("{} calls {}", call["from"], call["to"])).collect();
    lines.sort();
    lines.dedup();
    let text = std::fs::read_to_string(topology).expect("a topology");
    let is_structure = |line: &&str| {
        [
            "[services.",
            "[databases.",
            "[caches.",
            "[topics.",
            "topic = ",
            "service = ",
            "sql-in",
            "cache-in",
            "dead-letter",
            "sql = ",
        ]
        .iter()
        .any(|start| line.starts_with(start))
    };
    lines.extend(text.lines().filter(is_structure).map(str::to_owned));
    lines.sort();
    lines
}

/// What the sketch recorded gives a sketch with the same structure.
fn assert_imports_again(desk: &Desk) {
    let first = desk.path("imported.toml");
    let before = structure(&first);
    let traces = desk.path("again.jsonl");
    report(&first, &["--for", "30s"], Some(&traces));
    let (again, _) = desk.import(&traces);
    assert_eq!(structure(&again), before);
}

#[test]
fn a_storefront_keeps_its_database_and_its_messages() {
    let (desk, flags) = (Desk::new(), ["--for", "3m"]);
    let (recorded, imported) = both(&desk, &shipped("storefront.toml"), &flags);
    super::agreement::assert_agree(&recorded, &imported);
    assert_backing_agrees(&recorded, &imported);
    assert_imports_again(&desk);
}

#[test]
fn items_keep_their_statements_and_what_these_take() {
    let (desk, flags) = (Desk::new(), ["--for", "3m"]);
    let (recorded, imported) = both(&desk, &shipped("items.toml"), &flags);
    assert_routes_agree(&recorded, &imported, 2);
    assert_backing_agrees(&recorded, &imported);
    assert_imports_again(&desk);
}

#[test]
fn a_checkout_keeps_its_transactions() {
    let (desk, flags) = (Desk::new(), ["--for", "3m"]);
    let (recorded, imported) = both(&desk, &shipped("checkout.toml"), &flags);
    assert_routes_agree(&recorded, &imported, 3);
    let part = |report: &Value| -> BTreeMap<_, _> {
        let all = statements(report).into_iter().map(|(key, (rate, _))| (key, rate));
        // An order has one item or two: the sketch reserves one for each.
        all.filter(|((_, statement), _)| statement != "UPDATE stock").collect()
    };
    assert_near(&part(&recorded), &part(&imported), 0.05);
    let updates = |report: &Value| statements(report)[&("inventory".to_owned(), "UPDATE stock".to_owned())];
    let ((theirs, time), (ours, own_time)) = (updates(&recorded), updates(&imported));
    assert!(
        ours > 0.6 * theirs && ours < theirs && near(own_time, time, 0.10),
        "{theirs} {time} {ours} {own_time}"
    );
    assert_imports_again(&desk);
}

#[test]
fn both_consumers_of_a_topic_keep_their_messages_and_how_these_come() {
    let (desk, flags) = (Desk::new(), ["--for", "5m"]);
    let (recorded, imported) = both(&desk, &shipped("dispatch.toml"), &flags);
    assert_near(&messages(&recorded), &messages(&imported), 0.05);
    let text = std::fs::read_to_string(desk.path("imported.toml")).expect("a topology");
    assert!(text.contains("service = \"my-auditor\"\ncontext = \"none\"\n"), "{text}");
    assert!(text.contains("service = \"my-dispatcher\"\n\n"), "{text}");
    assert_imports_again(&desk);
}

#[test]
fn batches_redeliveries_and_dead_letters_are_drawn() {
    let (desk, flags) = (Desk::new(), ["--for", "1m"]);
    let (recorded, imported) = both(&desk, &shipped("messages.toml"), &flags);
    let of = |report: &Value| {
        let all = messages(report).into_iter();
        all.filter(|((topic, _), _)| topic == "order-events").collect::<BTreeMap<_, _>>()
    };
    assert_near(&of(&recorded), &of(&imported), 0.05);
    let text = std::fs::read_to_string(desk.path("imported.toml")).expect("a topology");
    for part in [
        "batch = ",
        "context = \"link\"",
        "retry = { attempts = 4 }",
        "dead-letter = \"order-events.failed\"",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// The share of lookups that find an entry of the one cache, and its commands per second.
fn found(report: &Value, name: &str) -> (f64, f64) {
    let [cache] = &rows(report, "caches")[..] else { panic!("{report}") };
    assert_eq!(cache["cache"], name);
    let number = |name: &str| cache[name].as_f64().expect("a number");
    (number("hits") / (number("hits") + number("misses")), number("commands"))
}

fn assert_finds_the_same(name: &str, recorded: &Value, imported: &Value) {
    let ((theirs, sent), (ours, own_sent)) = (found(recorded, name), found(imported, name));
    assert!((ours - theirs).abs() <= 0.02 && near(own_sent, sent, 0.05), "{theirs} {ours} {sent} {own_sent}");
}

#[test]
fn a_cache_finds_the_same_share_of_answers() {
    let (desk, flags) = (Desk::new(), ["--for", "1m"]);
    let (recorded, imported) = both(&desk, &shipped("caching.toml"), &flags);
    assert_routes_agree(&recorded, &imported, 1);
    assert_finds_the_same("pages", &recorded, &imported);
    assert_imports_again(&desk);
}

/// A shop that asks its database and calls another service only for what its cache has not.
const LOOK_ASIDE: &str = r#"[topology]
name = "look-aside"
seed = 4
[ingress]
to = "shop"
[services.shop]
guest = "service"
caches = ["pages"]
databases.items = {}
config.sql-in = "items"
[services.shop.config.show]
route = "GET /items/{id}"
work = "1ms +/- 0.3ms"
sql = "SELECT name, price FROM items WHERE id = {id}"
calls = "stock/items/{id}"
cache = "20s"
cache-in = "pages"
[services.shop.config.list]
route = "GET /items"
sql = "SELECT name FROM items WHERE price = {1..90} LIMIT 20"
[services.stock]
guest = "service"
config.item = { route = "GET /items/{id}", work = { lognormal = { median = "5ms", sigma = 0.4 } } }
[caches.pages]
[databases.items]
tables = """
CREATE TABLE items (id SERIAL PRIMARY KEY, name TEXT, price INT);
CREATE INDEX items_price_idx ON items (price);
INSERT INTO items (name, price) SELECT 'n' || n, n FROM generate_series(1, 1000) AS g(n);
"""
[[load]]
name = "visitors"
to = "shop"
values.id = { range = [1, 400] }
requests = [{ weight = 9, path = "/items/{id}" }, { weight = 1, path = "/items" }]
arrivals = { poisson = "60/s" }
"#;

#[test]
fn what_only_a_miss_asks_and_calls_is_asked_and_called_as_often() {
    let desk = Desk::new();
    let (recorded, imported) = both(&desk, &desk.write("look-aside.toml", LOOK_ASIDE), &["--for", "4m"]);
    assert_routes_agree(&recorded, &imported, 3);
    assert_finds_the_same("pages", &recorded, &imported);
    let rates = |report: &Value| -> BTreeMap<_, _> {
        statements(report).into_iter().map(|(key, (rate, _))| (key, rate)).collect()
    };
    assert_near(&rates(&recorded), &rates(&imported), 0.05);
    assert_imports_again(&desk);
}
