//! `simhost sql`, and what is said of databases that cannot be opened.

mod bounds;

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::{Finished, finish, simhost};

const TOPOLOGY: &str = r#"[topology]
name = "shop"

[services.shop]
guest = "service"

[databases.inventory]
schema = "inventory.sql"
rows.stock = { count = 95000, values = { sku = "SKU-{n:06}", available = 100 } }
"#;

const SCHEMA: &str =
    "CREATE TABLE stock (id SERIAL PRIMARY KEY, sku TEXT NOT NULL, available INTEGER NOT NULL);
CREATE INDEX stock_sku_idx ON stock (sku);
CREATE TABLE tokens (token UUID NOT NULL DEFAULT gen_random_uuid(), made TIMESTAMPTZ NOT NULL DEFAULT now());
INSERT INTO tokens DEFAULT VALUES;
";

/// A topology with a schema beside it.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(topology: &str, schema: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("shop.toml"), topology).expect("a topology");
        fs::write(folder.path().join("inventory.sql"), schema).expect("a schema");
        Self { folder }
    }

    fn topology(&self) -> PathBuf {
        self.folder.path().join("shop.toml")
    }

    fn sql(&self, arguments: &[&str]) -> Finished {
        finish(simhost().arg("sql").arg(self.topology()).args(arguments))
    }

    /// With this on standard input.
    fn piped(&self, script: &str, arguments: &[&str]) -> Finished {
        let path = self.folder.path().join("script.sql");
        fs::write(&path, script).expect("a script");
        let script = fs::File::open(&path).expect("the script");
        finish(simhost().arg("sql").arg(self.topology()).args(arguments).stdin(script))
    }
}

#[test]
fn tables_are_listed_with_their_rows() {
    let finished = Files::new(TOPOLOGY, SCHEMA).sql(&["inventory"]);
    let expected = "stock: 95000 rows
  id integer
  sku text
  available integer
  index stock_pkey (id), unique
  index stock_sku_idx (sku)
tokens: 1 rows
  token uuid
  made timestamp with time zone
";
    assert_eq!((finished.code, finished.stdout.as_str(), finished.stderr.as_str()), (Some(0), expected, ""));
}

#[test]
fn a_statement_says_its_rows_and_what_it_took() {
    let files = Files::new(TOPOLOGY, SCHEMA);
    let finished = files
        .sql(&["inventory", "SELECT id, sku, available > 5 AS enough FROM stock WHERE sku = 'SKU-004711'"]);
    let expected = "  id | sku        | enough\n-----+------------+-------\n4711 | SKU-004711 | true\n";
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), expected));
    assert!(
        finished.stderr.contains("plan: SEARCH stock USING INDEX stock_sku_idx (sku=?)"),
        "{}",
        finished.stderr
    );
    let scan = files.sql(&["inventory", "SELECT count(*) FROM stock WHERE available = 100"]);
    assert_eq!(scan.stdout, "count\n-----\n95000\n");
    assert!(scan.stderr.contains("; rows scanned: 95000\nplan: SCAN stock\n"), "{}", scan.stderr);
}

#[test]
fn a_seed_gives_the_same_tokens_and_another_one_others() {
    let files = Files::new(TOPOLOGY, SCHEMA);
    let tokens = |seed: &str| files.sql(&["inventory", "SELECT * FROM tokens", "--seed", seed]).stdout;
    assert!(tokens("1").contains("2026-01-01 00:00:00+00"), "{}", tokens("1"));
    assert_eq!(tokens("1"), tokens("1"));
    assert_ne!(tokens("1"), tokens("2"));
}

#[test]
fn a_statement_that_fails_says_why_and_what_to_write() {
    let files = Files::new(TOPOLOGY, SCHEMA);
    for (statement, expected) in [
        ("SELECT skv FROM stock", "column \"skv\" does not exist (SQLSTATE 42703)"),
        ("SELECT md5(sku) FROM stock", "help: use gen_random_uuid() for unique texts"),
        ("SELECT FROM WHERE", "[statement:1:"),
        ("SELECT 1;\n  SELECT sku, price FROM stock", "2 │   SELECT sku, price FROM stock"),
    ] {
        let finished = files.sql(&["inventory", statement]);
        assert_eq!(finished.code, Some(2), "{statement}");
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
    let finished = files.sql(&["inventry"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("did you mean \"inventory\"?"), "{}", finished.stderr);
    let finished = files.sql(&["x", "SELECT 1"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("known databases: \"inventory\""), "{}", finished.stderr);
}

#[test]
fn the_caret_stands_at_the_word_that_is_wrong() {
    let files = Files::new(&TOPOLOGY.replace("95000", "10"), SCHEMA);
    for (statement, place) in [
        ("SELECT skv FROM stock", "[statement:1:8]"),
        ("SELECT id\nFROM stock\nWHERE available = 1 AND skv = 'x'", "[statement:3:25]"),
        ("SELECT id, md5(sku) FROM stock", "[statement:1:12]"),
        ("SELECT nosuch(sku) FROM stock", "[statement:1:8]"),
        ("UPDATE stock SET price = 1", "[statement:1:18]"),
        ("INSERT INTO stock (sku, price) VALUES ('a', 1)", "[statement:1:25]"),
        ("SELECT * FROM stok", "[statement:1:15]"),
        ("SELECT s.id FROM stock s, stock t WHERE sku = 'a'", "[statement:1:41]"),
        ("SELECT 1 FROM stock WHERE sku COLLATE \"de\" = 'a'", "[statement:1:27]"),
        ("SELECT sku, count(*) FROM stock", "[statement:1:8]"),
        ("SELECT id FROM stock WHERE id = 'x'", "[statement:1:33]"),
        ("SELECT 1;\nSELECT 2, skv FROM stock", "[statement:2:11]"),
    ] {
        let finished = files.sql(&["inventory", statement]);
        assert_eq!(finished.code, Some(2), "{statement}");
        assert!(finished.stderr.contains(place), "{statement}: {}", finished.stderr);
    }
}

#[test]
fn the_last_line_says_how_many_statements_ran_before_the_one_that_failed() {
    let files = Files::new(&TOPOLOGY.replace("95000", "10"), SCHEMA);
    let last = |statements: &str| {
        let finished = files.sql(&["inventory", statements]);
        assert_eq!(finished.code, Some(2), "{statements}");
        finished.stderr.lines().last().expect("a line").to_owned()
    };
    assert_eq!(last("SELECT skv FROM stock; SELECT 1"), "nothing was done: 1 problem");
    assert_eq!(
        last("SELECT 1; DELETE FROM stock; SELECT skv FROM stock; SELECT 2"),
        "stopped after 2 of 4 statements: 1 problem"
    );
}

#[test]
fn numbers_that_are_none_are_refused_and_not_printed_as_nothing() {
    let files = Files::new(&TOPOLOGY.replace("95000", "10"), SCHEMA);
    for (statement, code) in [
        ("SELECT 'NaN'::float8", "22003"),
        ("SELECT 1e308 * 10", "22003"),
        ("SELECT chr(0)", "54000"),
        ("SELECT U&'\\0000'", "22021"),
    ] {
        let finished = files.sql(&["inventory", statement, "--json"]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{statement}");
        assert!(finished.stderr.contains(&format!("SQLSTATE {code}")), "{}", finished.stderr);
    }
}

#[test]
fn several_statements_are_one_session_and_come_from_standard_input_too() {
    let files = Files::new(TOPOLOGY, SCHEMA);
    let script = "BEGIN; UPDATE stock SET available = 7 WHERE id <= 3; -- three; not more
        SELECT count(*) FROM stock WHERE available = 7;
        ROLLBACK;
        SELECT count(*) AS left FROM stock WHERE available = 7";
    let given = files.sql(&["inventory", script]);
    assert_eq!((given.code, given.stdout.as_str()), (Some(0), "count\n-----\n    3\n\nleft\n----\n   0\n"));
    assert!(given.stderr.contains("rows: 3; steps: "), "{}", given.stderr);
    let piped = files.piped(script, &["inventory", "-", "--json"]);
    assert_eq!((piped.code, piped.stdout.as_str()), (Some(0), "{\"count\":3}\n{\"left\":0}\n"));
    let failed = files.piped("SELECT 1;\nSELECT available FROM\n  stok", &["inventory", "-"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(2), "?column?\n--------\n       1\n"));
    for expected in ["relation \"stok\" does not exist (SQLSTATE 42P01)", "[standard input:3:3]"] {
        assert!(failed.stderr.contains(expected), "{expected} is missing in:\n{}", failed.stderr);
    }
}

#[test]
fn a_table_fits_eighty_columns_and_json_has_all_of_it() {
    let files = Files::new(TOPOLOGY, SCHEMA);
    let select = "SELECT 1 AS a, repeat('long ', 30) || 'end' AS b, NULL AS a, 0.5 AS c, true AS d";
    let finished = files.sql(&["inventory", select]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", finished.stdout);
    assert!(lines[2].contains('…') && lines[2].contains("end"), "{}", finished.stdout);
    let whole = files.sql(&["inventory", select, "--json"]);
    let long = "long ".repeat(30) + "end";
    let expected = format!("{{\"a\":1,\"b\":\"{long}\",\"a_2\":null,\"c\":0.5,\"d\":true}}\n");
    assert_eq!(whole.stdout, expected);
    let columns: Vec<String> = (1..=12).map(|n| format!("'column number {n}' AS c{n}")).collect();
    let many = files.sql(&["inventory", &format!("SELECT {}", columns.join(", "))]);
    assert!(many.stdout.starts_with("row 1\nc1  | column number 1\n"), "{}", many.stdout);
}

#[test]
fn after_a_run_the_database_is_as_the_run_leaves_it() {
    let order = r#"POST /orders {"items":[{"sku":"SKU-001","qty":2}],"tier":"gold"}"#;
    let topology = concat!(env!("CARGO_MANIFEST_DIR"), "/../topologies/checkout.toml");
    let ask = |flags: &[&str], statement: &str| {
        finish(simhost().arg("sql").arg(topology).args(["inventory", statement]).args(flags))
    };
    let reserved = "SELECT reserved FROM stock WHERE sku = 'SKU-001'";
    let none = ask(&["--json"], reserved);
    assert_eq!((none.code, none.stdout.as_str()), (Some(0), "{\"reserved\":0}\n"), "{}", none.stderr);
    let ordered = ask(&["--json", "--request", order, "--request", order], reserved);
    assert_eq!(ordered.stdout, "{\"reserved\":4}\n", "{}", ordered.stderr);
    assert!(
        ordered.stderr.contains("answered 201") || ordered.stderr.contains("answered 200"),
        "{}",
        ordered.stderr
    );
    // The fault holds at the end: its index is gone.
    let scanned = ask(&["--request", order, "--fault", "lost-index=on"], reserved);
    assert!(scanned.stderr.contains("plan: SCAN stock"), "{}", scanned.stderr);
    let in_vain = ask(&["--fault", "lost-index=on"], reserved);
    assert_eq!(in_vain.code, Some(2));
    assert!(in_vain.stderr.contains("--fault was given, but nothing runs"), "{}", in_vain.stderr);
}

#[test]
fn every_mistake_of_a_schema_is_shown_with_its_line() {
    let schema =
        "CREATE TABLE stock (\n  id SERIAL PRIMARY KEY,\n  sku TXT\n);\nINSERT INTO stok VALUES (1);\n";
    let files = Files::new(TOPOLOGY, schema);
    let checked = finish(simhost().arg("check").arg(files.topology()));
    assert_eq!(checked.code, Some(2));
    for expected in [
        "type \"txt\" does not exist (SQLSTATE 42704)",
        "inventory.sql:3:3",
        "3 │   sku TXT",
        "relation \"stok\" does not exist (SQLSTATE 42P01)",
        "inventory.sql:5:13",
    ] {
        assert!(checked.stderr.contains(expected), "{expected} is missing in:\n{}", checked.stderr);
    }
}

/// A topology whose database has its tables in the topology itself.
const INLINE: &str = r#"
[topology]
name = "shop"

[ingress]
to = "shop"

[services.shop]
guest = "service"
databases.inventory = {}
config.sql-in = "inventory"
config.show = { route = "GET /stock/{sku}", sql = "SELECT available FROM stock WHERE sku = {sku}" }

[databases.inventory]
rows.stock = { count = 95000, values = { available = 100 } }
tables = """
CREATE TABLE stock (
  id SERIAL PRIMARY KEY,
  sku SERIAL,
  available INTEGER NOT NULL
);
CREATE INDEX stock_sku_idx ON stock (sku);
"""
"#;

#[test]
fn tables_in_the_topology_are_as_good_as_those_of_a_file() {
    let files = Files::new(INLINE, "");
    let checked = finish(simhost().args(["check", "--strict"]).arg(files.topology()));
    let expected = "database inventory: postgresql, its tables are in the topology";
    assert!(checked.success().contains(expected), "{checked:?}");
    let asked = finish(
        simhost()
            .arg("sql")
            .arg(files.topology())
            .args(["inventory", "SELECT id FROM stock WHERE sku = 4711"]),
    );
    assert!(asked.success().contains("\n4711\n"), "{asked:?}");
    assert!(asked.stderr.contains("INDEX stock_sku_idx (sku=?)"), "{}", asked.stderr);
    let (tables, _) = INLINE.split_once("rows.stock").expect("rows");
    let (_, schema) = INLINE.split_once("tables = \"\"\"\n").expect("tables");
    let rows = "rows.stock = { count = 95000, values = { available = 100 } }\n";
    let filed = Files::new(
        &format!("{tables}{rows}schema = \"inventory.sql\"\n"),
        schema.trim_end_matches("\"\"\"\n"),
    );
    let digest = |files: &Files| {
        let mut command = simhost();
        command.arg("run").arg(files.topology()).args(["--virtual", "--request", "GET /stock/5"]);
        finish(&mut command).success().lines().find(|line| line.starts_with("digest: ")).map(str::to_owned)
    };
    assert!(digest(&files).is_some());
    assert_eq!(digest(&files), digest(&filed));
}

#[test]
fn every_mistake_of_tables_in_the_topology_is_shown_at_its_place() {
    let wrong = INLINE.replace("sku SERIAL", "sku TXT").replace("ON stock (sku)", "ON stok (sku)");
    let files = Files::new(&wrong, "");
    let checked = finish(simhost().arg("check").arg(files.topology()));
    assert_eq!(checked.code, Some(2));
    for expected in [
        "type \"txt\" does not exist (SQLSTATE 42704)",
        "shop.toml:19:3",
        "19 │   sku TXT,",
        "relation \"stok\" does not exist (SQLSTATE 42P01)",
        "shop.toml:22:",
    ] {
        assert!(checked.stderr.contains(expected), "{expected} is missing in:\n{}", checked.stderr);
    }
    // One line with escapes, of which each is two bytes of the file and one of the text.
    let escaped = "tables = \"CREATE TABLE \\\"stock\\\" (sku INT);\\nINSERT INTO stok VALUES (1)\"\n";
    let (before, _) = INLINE.split_once("rows.stock").expect("rows");
    let files = Files::new(&format!("{before}{escaped}"), "");
    let checked = finish(simhost().arg("check").arg(files.topology()));
    let column = escaped.find("stok").expect("the mistake") + 1;
    assert!(checked.stderr.contains(&format!("shop.toml:15:{column}")), "{}", checked.stderr);
    let long = format!("tables = \"{}\"\n", "-".repeat((64 << 10) + 1));
    let files = Files::new(&format!("{before}{long}"), "");
    let checked = finish(simhost().arg("check").arg(files.topology()));
    assert!(checked.stderr.contains("\"tables\" is longer than 64KiB"), "{}", checked.stderr);
}

#[test]
fn rows_and_files_that_are_wrong_are_shown_in_the_topology() {
    let files = Files::new(TOPOLOGY, "CREATE TABLE stock (sku TEXT UNIQUE);");
    let checked = finish(simhost().arg("check").arg(files.topology()));
    let expected = "rows of \"stock\": column \"available\" of the table does not exist (SQLSTATE 42703)";
    assert_eq!(checked.code, Some(2));
    assert!(
        checked.stderr.contains(expected) && checked.stderr.contains("shop.toml:9:"),
        "{}",
        checked.stderr
    );
    let twice = TOPOLOGY.replace("SKU-{n:06}", "SKU");
    let files = Files::new(&twice, "CREATE TABLE stock (sku TEXT UNIQUE, available INT);");
    let checked = finish(simhost().arg("check").arg(files.topology()));
    assert!(checked.stderr.contains("violates unique constraint \"stock_sku_key\""), "{}", checked.stderr);
    let files = Files::new(&TOPOLOGY.replace("inventory.sql", "nowhere.sql"), "");
    let checked = finish(simhost().arg("check").arg(files.topology()));
    assert!(checked.stderr.contains("there is no such file"), "{}", checked.stderr);
}

#[test]
fn faults_that_name_what_the_database_has_not_are_refused() {
    let fault = |name: &str, kind: &str, keys: &str| {
        format!(
            "[[faults]]\nname = \"{name}\"\nkind = \"{kind}\"\n{keys}\ntarget = {{ database = \"inventory\" }}\n"
        )
    };
    let faults = [
        fault("one", "drop-index", "index = \"stock_sku_id\""),
        fault("two", "drop-index", "index = \"stock_pkey\""),
        fault("three", "lock-table", "table = \"stok\""),
        fault("four", "lock-table", "table = \"tokens\"").replace(
            "{ database = \"inventory\" }",
            "{ one-of = [{ database = \"inventory\" }, { database = \"archive\" }] }",
        ),
        "[databases.archive]\nschema = \"archive.sql\"\n".to_owned(),
    ];
    let files = Files::new(&format!("{TOPOLOGY}{}", faults.concat()), SCHEMA);
    let archive = files.folder.path().join("archive.sql");
    fs::write(archive, "CREATE TABLE stock (id INT PRIMARY KEY);").expect("a schema");
    let checked = finish(simhost().arg("check").arg(files.topology()));
    assert_eq!(checked.code, Some(2));
    for expected in [
        "the database \"inventory\" has no index \"stock_sku_id\"",
        "did you mean \"stock_sku_idx\"?",
        "the index \"stock_pkey\" keeps values unique",
        "the database \"inventory\" has no table \"stok\"",
        "did you mean \"stock\"?",
        "the database \"archive\" has no table \"tokens\"",
        "shop.toml:13:9",
    ] {
        assert!(checked.stderr.contains(expected), "{expected} is missing in:\n{}", checked.stderr);
    }
    let files = Files::new(&format!("{TOPOLOGY}{}", fault("one", "failover", "")), SCHEMA);
    let checked = finish(simhost().arg("check").arg(files.topology()));
    let expected = "the fault \"one\" never strikes: no service asks the database \"inventory\"";
    assert!(checked.stderr.contains(expected), "{}", checked.stderr);
}
