//! What the guest `service` does beside calls: statements, statuses, attributes, a bounded number of calls.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Run, Span, SpanKind, World};

const SCHEMA: &str = "CREATE TABLE stock (sku TEXT PRIMARY KEY, available INT NOT NULL);
INSERT INTO stock VALUES ('book', 10), ('lamp', 10);
CREATE TABLE taken (id INT PRIMARY KEY);
";

/// A service over a database, with this configuration, and the folder of its schema.
fn stock(config: &str) -> (TempDir, World) {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("stock.sql");
    std::fs::write(&schema, SCHEMA).expect("a schema");
    let database = format!("[databases.stock]\nschema = '{}'", schema.display());
    let settings = format!("databases.stock = {{}}\nconfig.sql-in = \"stock\"\n{config}");
    let world = World::default().with_guest("front", "service", &settings).with(&database);
    (folder, world)
}

/// The texts of the statements, in their order.
fn texts(run: &Run) -> Vec<&str> {
    run.of("front", SpanKind::Client).iter().filter_map(|span| span.text("db.query.text")).collect()
}

#[test]
fn statements_are_executed_with_what_the_request_has_as_parameters() {
    let (_folder, world) = stock(
        "config.show = { route = \"GET /stock/{sku}\", sql = \"SELECT available FROM stock WHERE sku = {sku}\" }\n\
         config.take = { route = \"POST /taken/{id}\", sql = \"INSERT INTO taken VALUES ({id}); SELECT {1..3}\" }",
    );
    let run = world.virtually(&["GET /stock/book", "POST /taken/7", "POST /taken/7"]);
    assert_eq!(run.statuses(), [200, 200, 409], "the key is there the second time");
    let insert = "INSERT INTO taken VALUES ($1)";
    let expected = ["SELECT available FROM stock WHERE sku = $1", insert, "SELECT $1", insert];
    assert_eq!(texts(&run), expected);
    let failed = run.spans().iter().find(|span| span.text("error.type") == Some("23505"));
    assert!(failed.is_some_and(|span| span.kind == SpanKind::Client));
}

#[test]
fn a_transaction_is_all_of_its_statements_or_none() {
    let statements = "INSERT INTO taken VALUES ({id}); INSERT INTO taken VALUES (1)";
    let (_folder, world) = stock(&format!(
        "config.both = {{ route = \"POST /both/{{id}}\", transaction = true, sql = \"{statements}\" }}\n\
         config.one = {{ route = \"POST /one/{{id}}\", sql = \"INSERT INTO taken VALUES ({{id}})\" }}"
    ));
    let run = world.virtually(&["POST /both/2", "POST /both/3", "POST /one/3", "POST /one/2"]);
    assert_eq!(run.statuses(), [200, 409, 200, 409], "3 was rolled back, 2 was committed");
}

#[test]
fn a_statement_whose_guest_is_stopped_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("stock.sql");
    std::fs::write(&schema, SCHEMA).expect("a schema");
    let settings = "databases.stock = {}\nlimits.request-time = \"20ms\"\nconfig.sql-in = \"stock\"\n\
                    config.sum = { route = \"GET /sum\", sql = \"SELECT count(*) FROM stock\" }";
    let database =
        format!("[databases.stock]\nschema = '{}'\ncost = {{ step = \"10ms\" }}", schema.display());
    let run =
        World::default().with_guest("front", "service", settings).with(&database).virtually(&["GET /sum"]);
    assert_eq!(run.statuses(), [500]);
    let span = run.span("SELECT stock");
    assert_eq!((span.text("error.type"), span.text("db.response.status_code")), (Some("cancelled"), None));
    let [served] = run.of("front", SpanKind::Server)[..] else { panic!("one request") };
    assert_eq!((span.end, served.text("error.type")), (served.end, Some("request_time_exceeded")));
}

#[test]
fn a_database_that_the_service_does_not_have_is_refused_with_the_nearest() {
    let (_folder, world) =
        stock("config.show = { route = \"GET /\", sql-in = \"stok\", sql = \"SELECT 1\" }");
    let report = world.refusal();
    assert!(report.contains("config.show.sql-in of \"front\": \"stok\" is no database of it"), "{report}");
    assert!(report.contains("did you mean \"stock\"?"), "{report}");
    let alone = World::default().with_guest("front", "service", "config.sql = \"SELECT 1\"").refusal();
    assert!(alone.contains("no `sql-in` says which database executes it"), "{alone}");
}

#[test]
fn in_real_time_a_long_statement_holds_up_no_other_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("stock.sql");
    std::fs::write(&schema, SCHEMA).expect("a schema");
    // It ends when it has taken the steps that a statement may, and costs nothing but what the engine takes.
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let slow = format!("databases.stock = {{}}\nconfig.sql-in = \"stock\"\nconfig.sql = \"{endless}\"");
    let database = format!("[databases.stock]\nschema = '{}'\ncost = {{ step = \"0s\" }}", schema.display());
    let world = World::default()
        .with_guest("front", "service", "config.calls = \"slow? & relay\"")
        .with_guest("slow", "service", &slow)
        // One after the other.
        .with_guest("relay", "service", "config.calls = \"30x quick\"")
        .with_guest("quick", "service", "config.work = \"20ms\"")
        .with(&database);
    let server = world.serve();
    assert_eq!(server.get("/").status, 200);
    let run = server.stop();
    let statements = run.of("slow", SpanKind::Client);
    let statement =
        statements.iter().find(|span| span.text("error.type") == Some("57014")).expect("it ended");
    let meanwhile = |span: &&&Span| statement.start < span.start && span.end < statement.end;
    let served = run.of("quick", SpanKind::Server).iter().filter(meanwhile).count();
    assert!(served >= 3, "{served} requests were served from their beginning to their end");
}

#[test]
fn statements_that_the_database_does_not_take_are_refused_with_their_place() {
    let (_folder, world) = stock(
        "config.show = { route = \"GET /a\", sql = \"SELECT sku FROM stock; SELECT price FROM stock WHERE sku = {sku}\" }\n\
         config.take = { route = \"GET /b\", sql = \"INSERT INTO token VALUES ({1..3})\" }\n\
         config.sum = { route = \"GET /c\", sql = \"SELEC 1\" }",
    );
    let report = world.refusal();
    for expected in [
        "config.show.sql of \"front\": column \"price\" does not exist (SQLSTATE 42703)",
        "config.take.sql of \"front\": relation \"token\" does not exist (SQLSTATE 42P01)",
        "config.sum.sql of \"front\":",
        "(SQLSTATE 42601)",
    ] {
        assert!(report.contains(expected), "{expected} is missing in:\n{report}");
    }
    let made = "config.make = { route = \"GET /\", sql = \"CREATE TABLE made (a INT); INSERT INTO made VALUES (1)\" }";
    let (_folder, world) = stock(made);
    assert_eq!(world.virtually(&["GET /"]).statuses(), [200], "a statement of it makes the table");
}

#[test]
fn statuses_come_by_weight_after_the_calls_and_attributes_are_drawn_for_each_request() {
    let load = "[[load]]\nname = \"users\"\nto = \"front\"\nrequest.path = \"/\"\nmax-requests = 1000\n\
                arrivals.constant = \"100/s\"\n";
    let front = "config.calls = \"back\"\nconfig.status = \"201=6,404=3,503=1\"\n\
                 config.attributes = { \"user.tier\" = \"{pick:gold=1,free=9}\", \"cart.items\" = \"{1..4}\" }";
    let world = World::of_services(&[("front", front), ("back", "")]).with(load);
    let run = world.virtually(&[]);
    let served = run.of("front", SpanKind::Server);
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for span in &served {
        *counts.entry(span.int("http.response.status_code").expect("a status")).or_default() += 1;
        assert_eq!(run.children(span).len(), 1, "the call is made whatever the answer is");
    }
    assert_eq!(counts.keys().copied().collect::<Vec<_>>(), [201, 404, 503]);
    // Within four standard deviations of 600, 300 and 100.
    for (status, expected, within) in [(201, 600, 62), (404, 300, 58), (503, 100, 38)] {
        assert!(counts[&status].abs_diff(expected) <= within, "{counts:?}");
    }
    let gold = served.iter().filter(|span| span.text("user.tier") == Some("gold")).count();
    assert!(gold.abs_diff(100) <= 38, "{gold}");
    let items: BTreeSet<_> = served.iter().filter_map(|span| span.int("cart.items")).collect();
    assert_eq!(items, BTreeSet::from([1, 2, 3, 4]));
}

#[test]
fn no_more_calls_of_a_step_are_under_way_than_the_configuration_allows() {
    let took = |settings: &str| {
        let front = format!("config.calls = \"10|| back\"\n{settings}");
        let world = World::of_services(&[("front", &front), ("back", "config.work = \"10ms\"")]);
        let run = world.flags(&["--compute", "0"]).with("[network]\nlatency = \"0s\"").virtually(&["GET /"]);
        assert_eq!(run.of("back", SpanKind::Server).len(), 10);
        run.of("front", SpanKind::Server)[0].duration()
    };
    assert_eq!(
        [took(""), took("config.parallel = 4"), took("config.parallel = 1")],
        [10_000_000, 30_000_000, 100_000_000]
    );
}

#[test]
fn resource_attributes_have_the_number_of_their_replica() {
    let resource = "replicas = 3\nresource = { \"host.name\" = \"node-{replica}\", \"k8s.pod.name\" = \"front-{replica}-{replica}\" }";
    let load = "[[load]]\nname = \"users\"\nto = \"front\"\nrequest.path = \"/\"\nmax-requests = 50\n\
                arrivals.constant = \"100/s\"\n";
    let run = World::of_services(&[("front", resource)]).with(load).virtually(&[]);
    let named = run.spans().iter().map(|span| {
        (span.instance.clone(), span.resource["host.name"].clone(), span.resource["k8s.pod.name"].clone())
    });
    let named: BTreeSet<_> =
        named.map(|(instance, host, pod)| (host.to_string(), pod.to_string(), instance)).collect();
    let hosts: Vec<_> = named.iter().map(|(host, pod, _)| (host.as_str(), pod.as_str())).collect();
    let expected = [0, 1, 2]
        .map(|at| (json!(format!("node-{at}")).to_string(), json!(format!("front-{at}-{at}")).to_string()));
    assert_eq!(hosts, expected.each_ref().map(|(host, pod)| (host.as_str(), pod.as_str())));
}

#[test]
fn a_value_in_braces_within_quotes_is_refused_before_anything_starts() {
    let config = "config.show = { route = \"GET /\", sql = \"SELECT 1 FROM stock WHERE sku = '{sku}'\" }";
    let (_folder, world) = stock(config);
    let said = world.refusal();
    for part in ["has 0 parameters, and 1 value in braces", "08P01", "outside of quotes"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[test]
fn a_semicolon_between_quotes_is_one_error_at_its_place() {
    let config =
        "config.show = { route = \"GET /\", sql = \"SELECT 'one; two', \\\"sku\\\" FROM stock; SELECT 1\" }";
    let (_folder, world) = stock(config);
    let said = world.refusal();
    for part in ["a ; ends the statement, between quotes too", "chr(59)", "1 problem"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let column = config.find("; two").expect("there") + 1;
    assert!(said.contains(&format!(":{column}]")), "{column} is not in {said}");
}

#[test]
fn what_stands_behind_open_quotes_is_no_error_of_its_own() {
    for (sql, remedy) in [
        ("SELECT 'é;ü FROM stock", "end the text in quotes with '"),
        ("SELECT $$a;b$$ FROM stock", "a ; ends the statement, between quotes too"),
        ("SELECT $$a;b FROM stock", "end the text in quotes with $$"),
    ] {
        let (_folder, world) = stock(&format!("config.show = {{ route = \"GET /\", sql = \"{sql}\" }}"));
        let said = world.refusal();
        for part in [remedy, "1 problem"] {
            assert!(said.contains(part), "{sql}: {part} is not in {said}");
        }
    }
}

#[test]
fn a_statement_without_its_values_says_how_the_guest_takes_them() {
    for (sql, remedy) in [
        ("SELECT $1 FROM stock", "write {name} in place of $1"),
        ("SELECT 1 FROM stock SELECT 2", "write ; between two statements"),
        ("SELECT 'one FROM stock", "end the text in quotes with '"),
        ("SELECT 1 + 'x' FROM stock", "write a whole number, such as 42"),
    ] {
        let (_folder, world) = stock(&format!("config.show = {{ route = \"GET /\", sql = \"{sql}\" }}"));
        let said = world.refusal();
        assert!(said.contains(remedy), "{sql}: {remedy} is not in {said}");
    }
}
