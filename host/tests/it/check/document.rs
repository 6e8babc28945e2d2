//! What `simhost check` shows: to a person, and to a program.

use serde_json::{Value, json};

use crate::check::{check, shop};
use crate::support::schema;
use crate::support::{ORDER, Topology};

fn document(topology: &Topology, arguments: &[&str]) -> Value {
    let checked = check(topology, &[&["--json"], arguments].concat());
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    serde_json::from_str(&checked.stdout).expect("JSON")
}

const EVERYTHING: &str = r#"
[services.bank]
url = "http://127.0.0.1:9"

[[links]]
from = "shop"
to = "stock"
timeout = "250ms"
retry = { attempts = 3, budget = "10%" }
breaker = { rate = "50%" }
fallback = { status = 202 }

[[links]]
from = "shop"
to = "bank"
latency = "9ms +/- 1ms"
hedge = { after = "50ms" }
bulkhead = { max-concurrent = 8 }
breaker = { failures = 5 }

[[load]]
name = "users"
to = "shop"
values = { id = { range = [1, 9] } }
requests = [{ weight = 3, path = "/products/{id}" }, { weight = 1, path = "/health" }]
arrivals = { constant = "10/s" }
for = "1s"

[[faults]]
name = "slow"
kind = "latency"
delay = "9ms"
target = { link = "shop -> stock" }
probability = "20%"
enabled = false

[[faults]]
name = "silence"
kind = "collector-down"

[objectives]
"shop GET /products/{id}" = { p99 = "400ms", errors = 0.01 }
users = { rate = ">= 5/s" }

[telemetry]
exclude = ["/health*"]
"#;

fn everything() -> Topology {
    shop("stock/items/{id} & 10% 2|| bank/rates?, POST stock/items", EVERYTHING)
}

#[test]
fn every_document_is_as_the_schema_describes() {
    let text = simhost::run::Document::schema();
    let text = serde_json::to_string_pretty(&text).expect("a schema is JSON") + "\n";
    let path = format!("{}/../docs/check.schema.json", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("a golden file");
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "BLESS=1 writes {path} anew");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    for topology in [Topology::orders(), everything()] {
        let document = document(&topology, &[]);
        assert_eq!(schema::problems(&schema, &document), [""; 0], "{document}");
        assert_eq!(document["schema"], simhost::run::CHECK_SCHEMA);
    }
}

#[test]
fn a_program_reads_everything_that_a_topology_has() {
    let document = document(&everything(), &[]);
    let calls: Vec<_> = document["calls"]
        .as_array()
        .expect("calls")
        .iter()
        .map(|call| {
            json!([
                call["from_route"],
                call["to"],
                call["to_route"],
                call["share"],
                call["times"],
                call["step"],
                call["parallel"],
                call["optional"]
            ])
        })
        .collect();
    let from = "GET /products/{id}";
    let expected = [
        json!([from, "stock", "GET /items/{id}", 1.0, 1, 0, false, false]),
        json!([from, "bank", null, 0.1, 2, 0, true, true]),
        json!([from, "stock", "POST /items", 1.0, 1, 1, false, false]),
    ];
    assert_eq!(calls, expected);
    assert_eq!(document["services"][2]["url"], "http://127.0.0.1:9");
    assert_eq!(document["services"][0]["routes"], json!(["GET /health", from]));
    assert_eq!(
        document["loads"][0]["requests"][0],
        json!({"share": 0.75, "method": "GET", "path": "/products/{id}"})
    );
    let [to_stock, to_bank] = [&document["links"][0], &document["links"][1]];
    assert_eq!(
        (&to_stock["timeout_ns"], &to_stock["retry"]["budget"]["share"]),
        (&json!(250_000_000), &json!(0.1))
    );
    assert_eq!((&to_stock["breaker"]["rate"], &to_bank["breaker"]["failures"]), (&json!(0.5), &json!(5)));
    let fault = &document["faults"][0];
    assert_eq!(
        (&fault["enabled"], &fault["probability"], &fault["from"]),
        (&json!(false), &json!(0.2), &json!("shop"))
    );
    let objectives: Vec<_> = document["objectives"]
        .as_array()
        .expect("objectives")
        .iter()
        .map(|row| json!([row["subject"], row["measure"], row["limit"]]))
        .collect();
    let route = format!("shop {from}");
    let expected =
        [json!([route, "p99", 4e8]), json!([route, "errors", 0.01]), json!(["users", "rate", 5.0])];
    assert_eq!(objectives, expected);
    let warning = &document["warnings"][0];
    assert_eq!((&warning["line"], &warning["column"]), (&json!(62), &json!(12)), "{warning}");
    assert!(warning["message"].as_str().is_some_and(|text| text.starts_with("\"/health*\"")), "{warning}");
}

#[test]
fn the_calls_of_the_order_service_are_those_that_a_run_records() {
    let topology = Topology::orders();
    let document = document(&topology, &[]);
    let rows = document["calls"].as_array().expect("calls").iter();
    let mut said: Vec<_> = rows.map(|call| format!("{} {}", call["to"], call["to_route"])).collect();
    let finished = topology.run(&["--virtual", "--json", "--request", ORDER]);
    let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let routes = report["routes"].as_array().expect("routes").iter();
    let inner = routes.filter(|row| row["service"] != "order-service");
    let mut ran: Vec<_> = inner.map(|row| format!("{} {}", row["service"], row["route"])).collect();
    said.sort();
    ran.sort();
    assert_eq!(said, ran);
}

#[test]
fn the_text_fits_80_columns_and_shows_calls_and_objectives() {
    let text = check(&everything(), &[]).stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let shown = [
        "shop: service (built in), 16 workers\n",
        "  GET /products/{id}\n    calls GET stock/items/{id} & 10% 2|| GET bank/rates?, POST stock/items\n",
        "bank: http://127.0.0.1:9, a real server\n",
        "fault slow: off, latency of 9ms at stock called by shop, 20% of them\n",
        "objective shop GET /products/{id}: p99 at most 400ms, errors at most 1%\n",
        "objective load users: rate at least 5/s\n",
    ];
    for line in shown {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
}
