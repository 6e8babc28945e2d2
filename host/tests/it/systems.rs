//! The systems of the tutorials, as they ship: what each answers, and the traces, logs and metrics that
//! it leaves. Each case has a golden file `tests/it/systems/SYSTEM.CASE.golden`; the page of the system
//! in the book shows the same requests.
//!
//! `BLESS=1 cargo test --test it systems::` writes them anew; read the difference before committing it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::support::client::{Answer, Client, Request};
use crate::support::http::Dead;
use crate::support::server::Server;
use crate::support::telemetry::{self, Span};
use crate::support::{Finished, METRICS, SpanKind, at_once, finish, golden, simhost, trace};

/// The tutorial's order of two items.
const TWO_ITEMS: &str =
    r#"POST /orders {"items":[{"sku":"SKU-001","qty":2},{"sku":"SKU-007","qty":1}],"tier":"gold"}"#;

/// The order that the frontend takes.
const FROM_THE_FRONT: &str = r#"POST /orders {"user_id":"user:12345","items":[{"price":9.99,"quantity":2}]}"#;

/// An item of the tutorial.
const ITEM: &str = r#"POST /api/v1/items/ {"name":"lamp","price":24.9}"#;

/// A command with the id of its business.
const DISPATCH: &str = r#"POST /dispatch {"command":"open","request_id":"r-1"}"#;

/// Requests to a system, one after the other.
struct Case {
    system: &'static str,
    name: &'static str,
    requests: &'static [&'static str],
    arguments: &'static [&'static str],
}

const fn case(system: &'static str, name: &'static str, requests: &'static [&'static str]) -> Case {
    Case { system, name, requests, arguments: &[] }
}

const CASES: &[Case] = &[
    case("checkout", "order", &[TWO_ITEMS]),
    case("checkout", "empty", &[r#"POST /orders {"items":[],"tier":"gold"}"#]),
    case("checkout", "bad_quantity", &[r#"POST /orders {"items":[{"sku":"SKU-001","qty":0}]}"#]),
    case(
        "checkout",
        "unknown_item",
        &[
            r#"POST /orders {"items":[{"sku":"SKU-001","qty":1},{"sku":"pen","qty":1}]}"#,
            "GET /stock/SKU-001",
        ],
    ),
    case("checkout", "more_than_there_is", &[r#"POST /checkout {"items":[{"sku":"SKU-001","qty":100001}]}"#]),
    Case { arguments: &["--fault", "lost-index=on"], ..case("checkout", "lost_index", &[TWO_ITEMS]) },
    case(
        "items",
        "create",
        &[r#"POST /api/v1/items/ {"name":"lamp","price":24.9}"#, "GET /api/v1/items/?limit=2"],
    ),
    case(
        "items",
        "invalid",
        &[
            r#"POST /api/v1/items/ {"name":" ","price":1}"#,
            r#"POST /api/v1/items/ {"name":"x","price":-1}"#,
            r#"POST /api/v1/items/ {"name":"x"}"#,
        ],
    ),
    case("items", "conflict", &[r#"POST /api/v1/items/ {"name":"item 7","price":1}"#]),
    case("items", "not_there", &["GET /api/v1/items/1001", "GET /health"]),
    case("storefront", "order", &[FROM_THE_FRONT]),
    Case {
        arguments: &["--fault", "declined-payments=on", "--seed", "3"],
        ..case("storefront", "declined", &[FROM_THE_FRONT, FROM_THE_FRONT, FROM_THE_FRONT])
    },
    case("dispatch", "dispatch", &[DISPATCH]),
    case("dispatch", "health", &["GET /health"]),
    Case { arguments: &["--for", "12s", "--load", "clients=off"], ..case("dispatch", "job", &[]) },
];

/// What a run leaves.
struct Left {
    said: String,
    spans: Vec<Span>,
    logs: String,
    metrics: String,
}

fn topology(system: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/{system}.toml"))
}

fn run(system: &str, arguments: &[&str]) -> Left {
    let folder = tempfile::tempdir().expect("a folder");
    let said = finish(
        simhost()
            .current_dir(folder.path())
            .env(METRICS, "")
            .arg("run")
            .arg(topology(system))
            .args(["--virtual", "--compute", "0", "--show", "summary"])
            .args(["--out", "records.jsonl", "--log-out", "logs.jsonl"])
            .args(arguments),
    );
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let metrics = finish(simhost().current_dir(folder.path()).args(["metrics", "records.jsonl"]));
    Left {
        said: said.success().to_owned(),
        spans: telemetry::read(&read("records.jsonl")),
        logs: read("logs.jsonl"),
        metrics: metrics.success().to_owned(),
    }
}

impl Case {
    fn run(&self) -> Left {
        let requests = self.requests.iter().flat_map(|request| ["--request", request]);
        run(self.system, &requests.chain(self.arguments.iter().copied()).collect::<Vec<_>>())
    }

    fn file(&self) -> String {
        format!("{}.{}.golden", self.system, self.name)
    }
}

#[test]
fn every_request_is_answered_and_leaves_what_its_golden_file_says() {
    at_once(CASES, |case| {
        let Left { said, spans, logs, metrics } = case.run();
        let answers = said.split("\n\n").next().unwrap_or_default();
        let requests: Vec<_> = case.requests.iter().map(|request| format!("--request '{request}'")).collect();
        let command =
            [&requests[..], &case.arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()];
        let command = command.concat().join(" ");
        let said = format!("{command}\n{answers}\n\n{}\n{logs}\n{metrics}", trace::tree(&spans));
        golden(&Path::new("tests/it/systems").join(case.file()), &said);
    });
}

#[test]
fn every_golden_file_of_a_system_has_its_case() {
    let cases: BTreeSet<_> = CASES.iter().map(Case::file).collect();
    let files = fs::read_dir("tests/it/systems").expect("a folder of golden files");
    let files = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    assert_eq!(files.collect::<BTreeSet<_>>(), cases);
}

/// Serves a system in real time, and sends it a request as the tutorial does.
fn served(
    system: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
    request: &str,
) -> (Answer, Finished) {
    let mut command = simhost();
    command.arg("run").arg(topology(system)).args(["--listen", "127.0.0.1:0"]).args(arguments);
    let server = Server::spawn(command.envs(environment.iter().copied()));
    let (method, rest) = request.split_once(' ').expect("a method");
    let (target, body) = rest.split_once(' ').unwrap_or((rest, ""));
    let headers = [("content-type", "application/json")];
    let answer = Client(server.address).send(Request { method, target, headers: &headers, body });
    (answer, server.stop())
}

/// The same, with the spans that it leaves.
fn recorded(system: &str, request: &str) -> (Answer, Vec<Span>) {
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("records.jsonl");
    let out = records.display().to_string();
    let (answer, finished) = served(system, &["--out", &out], &[], request);
    finished.success();
    (answer, telemetry::read(&fs::read_to_string(records).expect("records")))
}

/// The services and names of the SERVER spans of the request's trace, by when they began.
fn requests(spans: &[Span]) -> Vec<(&str, &str)> {
    let root = spans.iter().find(|span| span.kind == SpanKind::Server && span.parent.is_empty());
    let trace = &root.expect("a root").trace;
    let in_trace = |span: &&Span| span.kind == SpanKind::Server && span.trace == *trace;
    let mut requests: Vec<_> = spans.iter().filter(in_trace).collect();
    requests.sort_by_key(|span| span.start);
    requests.iter().map(|span| (span.service.as_str(), span.name.as_str())).collect()
}

#[test]
fn an_order_at_the_front_is_confirmed_over_http_in_real_time() {
    let (answer, spans) = recorded("storefront", FROM_THE_FRONT);
    let id = answer.json()["order_id"].as_str().unwrap_or_default().to_owned();
    assert_eq!((answer.status, answer.json()), (201, json!({ "order_id": id, "status": "confirmed" })));
    let expected = [
        ("frontend", "POST /orders"),
        ("api-gateway", "POST /orders"),
        ("auth-service", "GET /verify"),
        ("order-service", "POST /orders"),
        ("inventory-service", "GET /items/{order}"),
        ("payment-service", "POST /charges"),
    ];
    assert_eq!(requests(&spans), expected);
    assert_eq!(spans.iter().filter(|span| span.kind == SpanKind::Producer).count(), 1);
}

#[test]
fn a_command_is_dispatched_over_http_in_real_time() {
    let (answer, spans) = recorded("dispatch", DISPATCH);
    assert_eq!((answer.status, answer.json()), (200, json!({ "upstream_status": 200 })));
    let expected =
        [("service-a", "POST /dispatch"), ("my-caller", "POST /dispatch"), ("my-server", "POST /command")];
    assert_eq!(requests(&spans)[..3], expected);
}

#[test]
fn the_order_of_the_tutorial_is_confirmed_over_http_in_real_time() {
    let (answer, spans) = recorded("checkout", TWO_ITEMS);
    let id = answer.json()["order_id"].as_str().unwrap_or_default().to_owned();
    assert_eq!((answer.status, answer.json()), (200, json!({ "order_id": id, "status": "confirmed" })));
    assert!(id.len() == 12 && id.starts_with("ord_"), "{id}");
    let root = spans.iter().find(|span| span.parent.is_empty()).expect("a root");
    assert_eq!((root.service.as_str(), root.name.as_str()), ("api-gateway", "POST /orders"));
    assert_eq!(spans.iter().filter(|span| span.name == "UPDATE stock").count(), 2);
}

/// No receiver is there: whatever went out would be lost, and said.
#[test]
fn without_telemetry_an_item_is_stored_and_no_record_is_made() {
    let nobody = Dead::open();
    for (enabled, code) in [("true", Some(1)), ("false", Some(0))] {
        let url = nobody.url();
        let environment = [("OTEL_ENABLED", enabled), ("OTEL_EXPORTER_OTLP_ENDPOINT", &url)];
        let (answer, finished) = served("items", &["--json"], &environment, ITEM);
        assert_eq!((answer.status, &answer.json()["name"]), (201, &json!("lamp")));
        assert_eq!(finished.code, code, "OTEL_ENABLED={enabled}: {finished:?}");
        let telemetry = &finished.json()["telemetry"];
        let made = ["spans", "logs", "data_points"].map(|kind| telemetry[kind].as_u64());
        if enabled == "true" {
            assert!(made[0] > Some(0) && made[1] > Some(0), "{telemetry:#}");
        } else {
            assert_eq!((made, &telemetry["exporters"]), ([Some(0); 3], &json!([])), "{telemetry:#}");
        }
    }
}

#[test]
fn without_telemetry_nothing_is_shown_of_records_that_are_not_made() {
    let mut command = simhost();
    command.arg("run").arg(topology("items")).args(["--virtual", "--request", ITEM]);
    command
        .args(["--show", "traces", "--log-format", "text"])
        .env("OTEL_ENABLED", "false")
        .env_remove(METRICS);
    let finished = finish(&mut command);
    assert!(finished.success().starts_with("POST /api/v1/items/ answered 201 in "), "{finished:?}");
    let said = "\nnothing recorded, as OTEL_SDK_DISABLED or OTEL_ENABLED says: ";
    assert!(finished.stdout.contains(said) && !finished.stdout.contains("Trace "), "{finished:?}");
    assert!(!finished.stdout.contains("digest:") && finished.stderr.is_empty(), "{finished:?}");
}
