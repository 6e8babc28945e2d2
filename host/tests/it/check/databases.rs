//! What `simhost check` says of databases, caches and topics: what they have, who uses them, what is wrong
//! with statements.

use serde_json::json;

use super::{check, warned};
use crate::support::{Topology, finish, refused, said, simhost};

const STOCK: &str = "CREATE TABLE stock (id SERIAL PRIMARY KEY, sku TEXT NOT NULL UNIQUE)";

/// A shop over a database of this SQL, which it asks with this statement.
fn shop(tables: &str, sql: &str, more: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"shop\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"shop\"\n\
         [services.shop]\nguest = \"service\"\nreplicas = 2\n\
         databases.inventory = {{ pool = {{ max = 6, wait = \"2s\" }} }}\nconfig.sql-in = \"inventory\"\n\
         config.look = {{ route = \"GET /stock/{{sku}}\", sql = \"{sql}\" }}\n\
         [databases.inventory]\ntables = \"{tables}\"\n{more}\n"
    );
    Topology::new("shop", text)
}

const LOOK: &str = "SELECT id FROM stock WHERE sku = {sku}";

const ROWS: &str = "rows.stock = { count = 1200, values = { sku = \"SKU-{n}\" } }";

#[test]
fn each_database_is_listed_with_its_tables_and_who_uses_it() {
    let topology = shop(STOCK, LOOK, ROWS);
    let checked = check(&topology, &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let lines = "database inventory: postgresql, its tables are in the topology, 4 cores, 100\n  connections\n  \
                 tables stock (1,200 rows)\n  used by shop: 6 connections of each of 2 replicas, wait 2s\n";
    assert!(checked.stdout.contains(lines), "{}", checked.stdout);
    let document: serde_json::Value =
        serde_json::from_str(&check(&topology, &["--json"]).stdout).expect("JSON");
    let row = json!({
        "name": "inventory", "system": "postgresql", "schema": null, "cores": 4, "connections": 100,
        "tables": [{ "name": "stock", "rows": 1200 }],
        "pools": [{ "service": "shop", "max": 6, "replicas": 2, "wait_ns": 2_000_000_000_u64 }],
    });
    assert_eq!(document["databases"], json!([row]));
}

#[test]
fn a_cache_is_listed_with_who_uses_it() {
    let cached = "[services.page]\nguest = \"service\"\ncaches = [\"pages\"]\n[caches.pages]\n";
    let checked = check(&shop(STOCK, LOOK, cached), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let at = checked.stdout.find("cache pages: redis, ").expect("a line");
    let words = checked.stdout[at..].replace("\n  ", " ");
    assert!(words.lines().next().expect("a line").ends_with(", used by page"), "{words}");
}

#[test]
fn what_no_service_uses_is_doubtful() {
    let more = format!(
        "{ROWS}\n[databases.old]\ntables = \"CREATE TABLE a (b INT)\"\n[caches.pages]\n[topics.letters]\n"
    );
    let words = [
        "no service uses the database \"old\"",
        "databases.old = {}",
        "no service uses the cache \"pages\"",
        "caches = [\"pages\"]",
        "nobody consumes the topic \"letters\"",
        "3 warnings",
    ];
    warned(&shop(STOCK, LOOK, &more), &words);
}

#[test]
fn a_database_has_the_connections_of_its_pools() {
    let words = [
        "the database \"inventory\" has 11 connections, and its pools have 12 together",
        "set connections = 12, or lower pool.max of \"shop\"",
        "SQLSTATE 53300",
    ];
    warned(&shop(STOCK, LOOK, "connections = 11"), &words);
    let checked = check(&shop(STOCK, LOOK, "connections = 12"), &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

/// What stands above the caret of the only problem, as far as the caret reaches.
fn marked(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.lines().collect();
    let at = lines.iter().position(|line| line.contains("──┬") || line.contains("┬")).expect("a caret");
    let is_caret = |c: char| c == '─' || c == '┬';
    let caret: Vec<char> = lines[at].chars().collect();
    // The line above may have wide characters.
    let (first, last) = (caret.iter().position(|c| is_caret(*c)), caret.iter().rposition(|c| is_caret(*c)));
    let (first, last) = (first.expect("it begins"), last.expect("it ends"));
    let mut end = 0;
    let is_marked = |c: &char| {
        let begin = end;
        end += simhost::error::columns(*c);
        (first..=last).contains(&begin)
    };
    lines[at - 1].chars().filter(is_marked).collect()
}

#[test]
fn a_mistake_in_a_statement_is_shown_at_its_place() {
    for (sql, place, message) in [
        ("SELECT id FROM stock; SELEC {1..5} FROM stock", "SELEC", "found: SELEC"),
        ("SELECT {1..5} FROM stock WHERE (id > {1..500} ORDER BY id", "ORDER", "found: ORDER"),
        ("SELECT id FROM stock; SELECT colour FROM stock WHERE sku = {sku}", "colour", "\"colour\""),
        ("SELECT id FROM stock WHERE sku =", "=", "found: EOF"),
    ] {
        let checked = check(&shop(STOCK, sql, ""), &[]);
        refused(&checked, &["config.look.sql of \"shop\"", message, "1 problem"]);
        assert_eq!(marked(&checked.stderr), place, "{}", checked.stderr);
    }
}

#[test]
fn a_long_line_is_cut_around_its_mistake_to_the_width_of_the_page() {
    let long = format!(
        "{STOCK}; INSERT INTO stock (sku) SELECT 'SKU-' || n FRM generate_series(1, 500) AS g(n); CREATE INDEX \
         by_sku ON stock (sku); CREATE TABLE orders (id SERIAL PRIMARY KEY)"
    );
    for columns in [60, 80, 100] {
        let topology = shop(&long, LOOK, ROWS);
        let checked = finish(simhost().arg("check").arg(topology.path()).env("COLUMNS", columns.to_string()));
        refused(&checked, &["syntax error at or near \"generate_series\"", "shop.toml:13:"]);
        assert_eq!(marked(&checked.stderr), "generate_series", "{}", checked.stderr);
        let widest = checked.stderr.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(columns), "{widest:?}: {}", checked.stderr);
        assert!(checked.stderr.contains(" │ …") && checked.stderr.contains("…\n"), "{}", checked.stderr);
    }
}

#[test]
fn a_line_of_wide_characters_is_cut_by_its_columns() {
    // Two columns each; one with a mark, which has none; two; a tab.
    for letters in ["日本語", "e\u{301}", "🙂", "a\t"] {
        let value = format!("INSERT INTO stock (sku) VALUES ('{}')", letters.repeat(40));
        let topology = shop(&format!("{STOCK}; {value}; SELECT 1 FRM stock; {value}"), LOOK, ROWS);
        for columns in [60, 80] {
            let check =
                simhost().arg("check").arg(topology.path()).env("COLUMNS", columns.to_string()).output();
            let stderr = String::from_utf8(check.expect("it ends").stderr).expect("UTF-8");
            assert_eq!(marked(&stderr), "stock", "{stderr}");
            let widest = stderr.lines().map(simhost::error::width).max();
            assert!(widest <= Some(columns), "{widest:?}: {stderr}");
            assert!(stderr.contains(" │ …") && stderr.contains("…\n"), "{stderr}");
            assert!(!stderr.contains("…\u{301}"), "{stderr}");
        }
    }
}

#[test]
fn a_line_of_many_thousand_characters_is_cut_as_well() {
    let long = format!("{}SELEC 1", "SELECT 1; ".repeat(3_000));
    let topology = shop(&long, LOOK, ROWS);
    refused(&check(&topology, &[]), &["shop.toml:13:", "SELEC 1"]);
    let words = finish(simhost().arg("check").arg("--plain").arg(topology.path()));
    refused(&words, &["syntax error"]);
    assert!(words.stderr.len() < 5_000, "{} bytes", words.stderr.len());
}

#[test]
fn remedies_fit_what_is_wrong() {
    let same = "rows.stock = { count = 10, values = { sku = \"SKU\" } }";
    let checked = check(&shop(STOCK, LOOK, same), &[]);
    refused(
        &checked,
        &["duplicate key value", "let {n}, the number of the row, tell the rows apart: sku = \"{n}\""],
    );
    let second = "CREATE TABLE stock (note TEXT, shelf TEXT, sku TEXT, UNIQUE (shelf, sku))";
    let same = "rows.stock = { count = 10, values = { note = \"n\", shelf = \"S\", sku = \"SKU\" } }";
    refused(
        &check(&shop(second, LOOK.replace("id", "note").as_str(), same), &[]),
        &["rows apart: shelf = \"{n}\""],
    );
    let letters = "[topics.loans]\n[services.desk]\nguest = \"service\"\nconfig.publish = \"3 loans\"\n";
    refused(&check(&shop(STOCK, LOOK, letters), &[]), &["publish = \"3x loans\""]);
}

#[test]
fn what_only_follows_from_an_unknown_kind_of_fault_is_not_said() {
    let fault = "[[faults]]\nname = \"lost\"\nkind = \"drop-indx\"\nindex = \"a\"\ntarget = { database = \"inventory\" }\n";
    let checked = check(&shop(STOCK, LOOK, fault), &[]);
    refused(&checked, &["unknown fault kind \"drop-indx\"", "cannot run: 1 problem"]);
    let fault = "[[faults]]\nname = \"lost\"\nkind = \"drop-index\"\ntarget = { database = \"inventory\" }\nrate = 5\n";
    let checked = check(&shop(STOCK, LOOK, fault), &[]);
    refused(&checked, &["this fault needs \"index\"", "takes no \"rate\""]);
    said(&checked, &["2 problems"]);
}
