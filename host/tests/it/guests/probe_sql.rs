//! Statements of a guest: what they give, what they take, and how their spans look.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::World;

const SCHEMA: &str =
    "CREATE TABLE stock (id INT PRIMARY KEY, sku TEXT UNIQUE, region TEXT, available INT NOT NULL);
INSERT INTO stock SELECT n, 'SKU-' || n, 'eu', 10 FROM generate_series(1, 500) AS n;
";

/// A world with a database, and the folder of its schema.
fn world(keys: &str, pool: &str) -> (TempDir, World) {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("inventory.sql");
    std::fs::write(&schema, SCHEMA).expect("a schema");
    let database = format!("[databases.inventory]\nschema = '{}'\n{keys}", schema.display());
    let world = World::of("probe", &format!("databases.inventory = {{ {pool} }}")).with(&database);
    (folder, world)
}

fn ask(statement: &str, params: Value) -> String {
    format!("POST /sql/inventory {}", json!({ "statement": statement, "params": params }))
}

fn within(statements: &[&str], end: &str) -> String {
    format!("POST /transaction/inventory {}", json!({ "statements": statements, "end": end }))
}

#[test]
fn a_statement_gives_typed_values_and_takes_the_time_of_its_work() {
    let (_folder, world) =
        world("latency = '2ms'\ncost = { statement = '3ms', step = '1us', row = '5ms' }", "");
    let run = world.flags(&["--compute", "0"]).virtually(&[
        &ask("SELECT id, sku, available > 5 AS enough FROM stock WHERE sku = $1", json!(["SKU-7"])),
        &ask("SELECT count(*) FROM stock WHERE region = 'us'", json!([])),
    ]);
    let found = run.answers[0].json();
    assert_eq!(found["rows"], json!([[7, "SKU-7", true]]), "{found}");
    assert_eq!(found["work"]["plan"], json!(["SEARCH stock USING INDEX stock_sku_key (sku=?)"]));
    let scan = run.answers[1].json();
    assert_eq!((&scan["rows"], &scan["work"]["scanned"]), (&json!([[0]]), &json!(500)));
    for answer in [&found, &scan] {
        let steps = answer["work"]["steps"].as_u64().expect("a number");
        let span = run.named("SELECT stock")[usize::from(answer["work"]["scanned"] == 500)];
        assert_eq!(span.end - span.start, 2 * 2_000_000 + 3_000_000 + steps * 1_000 + 5_000_000);
    }
}

#[test]
fn spans_of_statements_follow_the_conventions() {
    let (_folder, world) = world("", "");
    let run = world.virtually(&[
        &ask("SELECT id FROM stock WHERE sku = 'SKU-7'", json!([])),
        &ask("INSERT INTO stock VALUES (1, 'x', 'eu', 1)", json!([])),
        &ask("SELEC 1", json!([])),
    ]);
    let span = run.span("SELECT stock");
    for (key, expected) in [
        ("db.system.name", "postgresql"),
        ("db.namespace", "inventory|public"),
        ("db.query.summary", "SELECT stock"),
        ("db.query.text", "SELECT id FROM stock WHERE sku = ?"),
        ("server.address", "inventory"),
    ] {
        assert_eq!(span.attributes[key], *expected, "{key}");
    }
    let refused = run.span("INSERT stock");
    assert_eq!(
        (refused.error_type(), &refused.attributes["db.response.status_code"]),
        (&json!("23505"), &json!("23505"))
    );
    let answer = run.answers[1].json();
    assert_eq!(answer["sqlstate"], "23505", "{answer}");
    assert_eq!(run.answers[2].json()["sqlstate"], "42601");
}

#[test]
fn a_transaction_is_all_or_nothing_and_one_that_is_left_open_is_nothing() {
    let (_folder, world) = world("connections = 1", "pool = { max = 1, wait = '1s' }");
    let take = "UPDATE stock SET available = available - 1 WHERE id = 1";
    let left = ask("SELECT available FROM stock WHERE id = 1", json!([]));
    let requests = [
        within(&[take, take], "commit"),
        left.clone(),
        within(&[take], "rollback"),
        within(&[take], "leave"),
        within(&[take, "SELECT 1 / 0", take], "commit"),
        left.clone(),
    ];
    let run = world.virtually(&requests.each_ref().map(String::as_str));
    assert_eq!(run.statuses(), [200; 6], "{:?}", run.bodies());
    assert_eq!(run.answers[1].json()["rows"], json!([[8]]));
    assert_eq!(run.answers[5].json()["rows"], json!([[8]]));
    let spoiled = run.answers[4].json();
    let codes: Vec<&Value> =
        spoiled["results"].as_array().expect("results").iter().map(|r| &r["sqlstate"]).collect();
    assert_eq!(codes, [&Value::Null, &json!("22012"), &json!("25P02")]);
    assert_eq!(spoiled["end"]["sqlstate"], "25P02");
    let names: Vec<usize> = ["BEGIN", "COMMIT", "ROLLBACK"].map(|name| run.named(name).len()).to_vec();
    assert_eq!(names, [4, 2, 1]);
}

#[test]
fn a_text_without_a_statement_has_neither_summary_nor_text() {
    let (_folder, world) = world("", "");
    let run = world.virtually(&[&ask("", json!([])), &ask("  -- nothing\n;", json!([]))]);
    let spans = run.named("postgresql");
    assert_eq!(spans.len(), 2);
    for (span, answer) in spans.into_iter().zip(&run.answers) {
        assert_eq!((span.error_type(), &answer.json()["sqlstate"]), (&json!("42601"), &json!("42601")));
        for key in ["db.query.summary", "db.query.text"] {
            let value = span.attributes.get(key);
            assert!(value.is_none_or(|value| *value != ""), "{key}: {value:?}");
        }
    }
}

#[test]
fn waiting_for_a_database_is_no_computing_and_has_a_bound_of_its_own() {
    let (_folder, world) = world("cost = { step = '1ns' }", "");
    // Some seven million steps each take seventy milliseconds of a processor.
    let count = "SELECT count(*) FROM generate_series(1, 1200000)";
    let run = world.with("[limits]\ncpu-time = '20ms'").virtually(&[&within(&[count], "commit")]);
    let answer = run.answers[0].json();
    assert_eq!((run.statuses(), &answer["end"]["sqlstate"]), (vec![200], &Value::Null), "{answer}");
}

#[test]
fn the_statements_of_a_request_end_when_they_have_taken_too_many_steps() {
    let (_folder, world) = world("cost = { step = '1ns' }", "");
    let count = "SELECT count(*) FROM generate_series(1, 2200000)";
    let few = ask("SELECT 1", json!([]));
    let run = world.virtually(&[&within(&[count; 6], "rollback"), &few]);
    let answer = run.answers[0].json();
    let results = answer["results"].as_array().expect("results");
    let codes: Vec<&Value> = results.iter().map(|result| &result["sqlstate"]).collect();
    assert_eq!(codes.first(), Some(&&Value::Null), "{answer}");
    assert!(codes.contains(&&json!("54000")), "{answer}");
    assert_eq!(run.statuses(), [200; 2], "the next request begins anew");
    assert_eq!(run.answers[1].json()["rows"], json!([[1]]));
}

#[test]
fn hostile_statements_of_a_guest_fail_with_a_name_and_the_next_one_runs() {
    let (_folder, world) = world("cost = { step = '1ns' }", "");
    let hostile = [
        ("SELECT pg_sleep(1e9)".to_owned(), "0A000"),
        ("ATTACH 'x.db' AS x".to_owned(), "0A000"),
        ("SELECT readfile('/etc/passwd')".to_owned(), "42883"),
        ("SELECT zeroblob(1000000000)".to_owned(), "42883"),
        ("SELECT repeat('x', 1000000000)".to_owned(), "54000"),
        ("SELECT 'a' LIKE repeat('%a', 100000)".to_owned(), "54000"),
        (format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000)), "54001"),
        ("SELECT strpos(repeat('a', 900000), repeat('a', 450000) || 'b') / 0".to_owned(), "22012"),
        ("SELECT * FROM generate_series(1, 10000000)".to_owned(), "54000"),
        ("SELECT 'Infinity'::float8".to_owned(), "22003"),
        ("SELECT (a.available).x FROM stock a".to_owned(), "0A000"),
    ];
    let good = ask("SELECT count(*) FROM stock", json!([]));
    let mut requests: Vec<String> = hostile.iter().map(|(text, _)| ask(text, json!([]))).collect();
    requests.push(good);
    let run = world.virtually(&requests.iter().map(String::as_str).collect::<Vec<_>>());
    for ((text, code), answer) in hostile.iter().zip(&run.answers) {
        let shown = &text[..text.len().min(60)];
        assert_eq!(answer.json()["sqlstate"], *code, "{shown}: {}", answer.json());
    }
    assert_eq!(run.answers[hostile.len()].json()["rows"], json!([[500]]));
}

#[test]
fn a_database_that_the_service_has_not_is_named() {
    let (_folder, world) = world("", "");
    let run = world.virtually(&["POST /sql/stock {\"statement\": \"SELECT 1\"}"]);
    let said = run.answers[0].json()["error"].clone();
    assert_eq!(
        said,
        "no database \"stock\" for this service: known databases of this service: \"inventory\""
    );
}

#[test]
fn the_same_seed_gives_the_same_records() {
    let (_folder, world) = world("", "");
    let requests = [
        ask("INSERT INTO stock VALUES (501, gen_random_uuid()::text, 'us', 1) RETURNING *", json!([])),
        ask("SELECT random(), now()", json!([])),
    ];
    let requests = requests.each_ref().map(String::as_str);
    let (one, other) = (world.virtually(&requests), world.virtually(&requests));
    assert_eq!((one.bodies(), &one.bytes), (other.bodies(), &other.bytes));
}

#[test]
fn old_names_stand_beside_the_stable_ones_if_both_are_asked_for() {
    let statement = [ask("SELECT id FROM stock WHERE sku = 'SKU-7'", json!([]))];
    let statement = statement.each_ref().map(String::as_str);
    let old = ["db.system", "db.name", "db.statement", "db.operation", "db.sql.table"];
    for (value, has_old) in [("database", false), ("http,database/dup,database", true), ("", false)] {
        let (_folder, world) = world("", "");
        let run = world.env("OTEL_SEMCONV_STABILITY_OPT_IN", value).virtually(&statement);
        let span = run.span("SELECT stock");
        let values = old.map(|key| span.attributes.get(key).and_then(Value::as_str));
        let text = "SELECT id FROM stock WHERE sku = ?";
        let expected =
            ["postgresql", "inventory", text, "SELECT", "stock"].map(|value| has_old.then_some(value));
        assert_eq!(values, expected, "{value}");
        assert_eq!(span.attributes["db.query.summary"], "SELECT stock");
    }
}
