//! What a real OpenTelemetry Collector makes of simhost's export.
//!
//! `collector/build.sh` builds one into `target/otelcol/`; without it these
//! tests say so and pass. `SIMHOST_OTELCOL` names another binary, which then
//! has to exist.
#![allow(clippy::disallowed_methods, reason = "another process is waited for by the wall clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

/// For anything that a Collector on a busy machine has to get done. In peace it
/// takes 50 ms to start and a second to write.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);
/// The Collector may find that another process has taken its port meanwhile.
const ATTEMPTS: usize = 3;

#[test]
fn an_order_arrives_over_grpc_as_one_trace_and_draws_the_service_graph() {
    an_order_arrives_whole(Protocol::Grpc);
}

#[test]
fn an_order_arrives_over_http_as_one_trace_and_draws_the_service_graph() {
    an_order_arrives_whole(Protocol::Http);
}

fn an_order_arrives_whole(protocol: Protocol) {
    let Some(collector) = Collector::start() else { return };
    let before = SystemTime::now();
    collector.run_one_order(protocol);

    let spans = collector.wait_for_spans(17);
    it_is_one_trace_of_four_services(&spans);
    every_call_is_a_client_and_its_server(&spans);
    the_time_of_the_run_ends_now(&spans, before);

    collector.wait_for_edges(&[
        ("order-service", "inventory-service", 2),
        ("order-service", "payment-service", 1),
        ("order-service", "notification-service", 1),
        // The root has no caller that anyone knows.
        ("user", "order-service", 1),
    ]);
    // Each span counted once, under its own service and name.
    collector.wait_for_calls(&spans);
}

/// Every field of every span and data point, through the Collector's reader of files and its writer.
#[test]
fn a_file_of_many_lines_is_read_back_to_the_span_and_the_data_point() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("spans.jsonl");
    let Some(collector) = Collector::start_with(Some(&file)) else { return };
    let mut simhost = assert_cmd::Command::new(env!("CARGO_BIN_EXE_simhost"));
    without_variables(&mut simhost);
    simhost
        .current_dir(root())
        .args(["run", "topologies/orders.toml", "--virtual", "--for", "15s", "--fault", "payment-errors=on"])
        .args(["--show", "none", "--out"])
        .arg(&file)
        .timeout(PATIENCE)
        .assert()
        .success();
    let text = fs::read_to_string(&file).expect("the file");
    let longest = text.lines().map(str::len).max().expect("lines");
    assert!(text.lines().count() > 3 && longest < 1 << 20, "{longest}");
    for (file, lists) in [
        ("traces.jsonl", ["resourceSpans", "scopeSpans", "spans"]),
        ("own-metrics.jsonl", ["resourceMetrics", "scopeMetrics", "metrics"]),
    ] {
        let written = whole(&exports(&text), lists);
        assert!(!written.is_empty(), "{file}");
        let read = collector.wait(file, |exports| {
            let read = whole(exports, lists);
            if read.len() >= written.len() { Ok(read) } else { Err(format!("{} records", read.len())) }
        });
        assert_eq!(read.len(), written.len(), "{file}");
        for (read, written) in read.iter().zip(&written) {
            assert_eq!(read, written, "{file}");
        }
    }
}

/// Every record with its resource and scope, without what is empty, in order.
fn whole(exports: &[Value], [resources, scopes, records]: [&str; 3]) -> Vec<String> {
    let mut all = Vec::new();
    for resource in exports.iter().flat_map(|export| array(&export[resources])) {
        for scope in array(&resource[scopes]) {
            for record in array(&scope[records]) {
                let mut whole = [record, &scope["scope"], &resource["resource"]].map(Value::clone);
                whole.iter_mut().for_each(prune);
                all.push(whole.map(|part| part.to_string()).join(" "));
            }
        }
    }
    all.sort_unstable();
    all
}

/// Takes away what proto3's JSON mapping may leave out, and writes a number in one way: 1.0 may be 1.
fn prune(value: &mut Value) {
    let is_empty = |value: &Value| {
        value.is_null()
            || value.as_f64() == Some(0.0)
            || *value == ""
            || *value == "0"
            || *value == Value::Array(Vec::new())
            || *value == Value::Object(serde_json::Map::new())
    };
    match value {
        Value::Number(number) => *value = number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.iter_mut().for_each(prune),
        Value::Object(map) => {
            map.values_mut().for_each(prune);
            map.retain(|_, value| !is_empty(value));
        }
        _ => {}
    }
}

fn it_is_one_trace_of_four_services(spans: &[Span]) {
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), 1, "one trace id: {traces:?}");
    let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
    let expected = ["inventory-service", "notification-service", "order-service", "payment-service"];
    assert_eq!(services, BTreeSet::from(expected));
    let failed: Vec<_> = spans.iter().filter(|span| span.failed).collect();
    assert!(failed.is_empty(), "nothing failed: {failed:#?}");
}

/// Tempo and the Collector pair spans exactly so: a SERVER span, and the CLIENT
/// span of another service as its parent.
fn every_call_is_a_client_and_its_server(spans: &[Span]) {
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| (span.id.as_str(), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "span ids are unique");

    let roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "one root: {roots:#?}");
    assert_eq!((roots[0].kind, roots[0].name.as_str()), (SERVER, "POST /orders"));

    let mut calls = Vec::new();
    for span in spans.iter().filter(|span| !span.parent.is_empty()) {
        let parent = by_id.get(span.parent.as_str()).unwrap_or_else(|| panic!("no parent for {span:#?}"));
        if span.kind == SERVER {
            assert_eq!(parent.kind, CLIENT, "the parent of {span:#?}");
            assert_ne!(parent.service, span.service, "a call leaves its service");
            calls.push((parent.service.as_str(), span.service.as_str(), span.name.as_str()));
        } else {
            assert_eq!(parent.service, span.service, "only a call crosses services: {span:#?}");
        }
    }
    calls.sort_unstable();
    let expected = [
        ("order-service", "inventory-service", "GET /stock/{item}"),
        ("order-service", "inventory-service", "POST /stock/{item}/reserve"),
        ("order-service", "notification-service", "POST /notify"),
        ("order-service", "payment-service", "POST /charges"),
    ];
    assert_eq!(calls, expected);
    assert_eq!(
        spans.iter().filter(|span| span.kind == CLIENT).count(),
        calls.len(),
        "every CLIENT span has its SERVER"
    );
}

/// A run in virtual time has any clock it likes, but backends drop spans that
/// lie far from their own.
fn the_time_of_the_run_ends_now(spans: &[Span], before: SystemTime) {
    let end = spans.iter().map(|span| span.end).max().expect("spans");
    let since_epoch =
        |time: SystemTime| u64::try_from(time.duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let slack = 5_000_000_000;
    let window = since_epoch(before) - slack..since_epoch(SystemTime::now()) + slack;
    assert!(window.contains(&end), "the last span ends at {end}, outside of {window:?}");
}

#[derive(Clone, Copy)]
enum Protocol {
    Grpc,
    Http,
}

/// A Collector with `collector/check.yaml`, for one test.
struct Collector {
    process: Child,
    grpc: SocketAddr,
    http: SocketAddr,
    folder: TempDir,
}

impl Collector {
    /// None, and a line that says why, where there is no Collector to test with.
    fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// A Collector that also reads `file`; none where there is no Collector to test with.
    fn start_with(file: Option<&Path>) -> Option<Self> {
        let binary = binary()?;
        for _ in 0..ATTEMPTS {
            if let Some(ready) = Self::spawn(&binary, file) {
                return Some(ready);
            }
        }
        panic!("the Collector did not start, {ATTEMPTS} times");
    }

    /// None when it ended before it was ready.
    fn spawn(binary: &Path, file: Option<&Path>) -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let [grpc, http, health] = free_addresses();
        let log = File::create(folder.path().join("log")).expect("a log file");
        let mut command = Command::new(binary);
        command.arg("--config").arg(root().join("collector/check.yaml"));
        if let Some(file) = file {
            command
                .arg("--config")
                .arg(root().join("collector/check-file.yaml"))
                .env("SIMHOST_JSON_FILE", file);
        }
        let process = command
            .env("SIMHOST_OTLP_ENDPOINT", grpc.to_string())
            .env("SIMHOST_OTLP_HTTP_ENDPOINT", http.to_string())
            .env("SIMHOST_HEALTH_ENDPOINT", health.to_string())
            .env("SIMHOST_TRACES_FILE", folder.path().join("traces.jsonl"))
            .env("SIMHOST_METRICS_FILE", folder.path().join("metrics.jsonl"))
            .env("SIMHOST_OWN_METRICS_FILE", folder.path().join("own-metrics.jsonl"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", binary.display()));
        let mut collector = Self { process, grpc, http, folder };

        let deadline = Instant::now() + PATIENCE;
        while !answers_ok(health) {
            if let Some(status) = collector.process.try_wait().expect("the state of the Collector") {
                eprintln!("the Collector ended with {status}:\n{}", collector.read("log"));
                return None;
            }
            assert!(Instant::now() < deadline, "the Collector is not ready:\n{}", collector.read("log"));
            thread::sleep(POLL);
        }
        Some(collector)
    }

    fn run_one_order(&self, protocol: Protocol) {
        let (endpoint, protocol) = match protocol {
            Protocol::Grpc => (self.grpc, "grpc"),
            Protocol::Http => (self.http, "http/protobuf"),
        };
        let mut simhost = assert_cmd::Command::new(env!("CARGO_BIN_EXE_simhost"));
        without_variables(&mut simhost);
        simhost
            .current_dir(root())
            .args(["run", "topologies/orders.toml", "--virtual"])
            .args(["--request", r#"POST /orders {"item":"book","quantity":8,"price":9.99}"#])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{endpoint}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .timeout(PATIENCE)
            .assert()
            .success();
    }

    /// All that has arrived, when it is as many as there should be.
    fn wait_for_spans(&self, count: usize) -> Vec<Span> {
        let spans = self.wait("traces.jsonl", |exports| {
            let spans: Vec<_> = exports.iter().flat_map(Span::all).collect();
            if spans.len() >= count {
                Ok(spans)
            } else {
                Err(format!("{} of {count} spans: {spans:#?}", spans.len()))
            }
        });
        assert_eq!(spans.len(), count, "not one span more: {spans:#?}");
        spans
    }

    /// Exactly these (client, server, requests), and none of them failed.
    fn wait_for_edges(&self, expected: &[(&str, &str, u64)]) {
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(client, server, requests)| (format!("{client} → {server}, failed: false"), *requests))
            .collect();
        self.wait("metrics.jsonl", |exports| {
            let edges = latest_sums(exports, "traces_service_graph_request_total", |labels| {
                format!("{} → {}, failed: {}", labels["client"], labels["server"], labels["failed"])
            });
            if edges == expected {
                Ok(())
            } else {
                Err(format!("edges {edges:#?}\ninstead of {expected:#?}"))
            }
        });
    }

    /// The span metrics count every one of these spans, and nothing else.
    fn wait_for_calls(&self, spans: &[Span]) {
        let mut expected = BTreeMap::new();
        for span in spans {
            *expected.entry(format!("{} {}", span.service, span.name)).or_insert(0) += 1;
        }
        self.wait("metrics.jsonl", |exports| {
            let calls = latest_sums(exports, "traces.spanmetrics.calls", |labels| {
                format!("{} {}", labels["service.name"], labels["span.name"])
            });
            if calls == expected {
                Ok(())
            } else {
                Err(format!("calls {calls:#?}\ninstead of {expected:#?}"))
            }
        });
    }

    /// Reads the exports in `file` until `check` is content with them.
    fn wait<T>(&self, file: &str, check: impl Fn(&[Value]) -> Result<T, String>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match check(&exports(&self.read(file))) {
                Ok(found) => return found,
                Err(missing) if Instant::now() > deadline => {
                    panic!("{file}: {missing}\nThe Collector says:\n{}", self.read("log"))
                }
                Err(_) => thread::sleep(POLL),
            }
        }
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }
}

/// Whatever the developer's shell exports to must not get our spans.
fn without_variables(simhost: &mut assert_cmd::Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("OTEL_")) {
            simhost.env_remove(name);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may be dead already, and there is nothing to save.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("SIMHOST_OTELCOL") {
        let named = PathBuf::from(named);
        assert!(named.is_file(), "SIMHOST_OTELCOL is {}, which is not a file", named.display());
        return Some(named);
    }
    let built = root().join("target/otelcol/otelcol");
    if built.is_file() {
        return Some(built);
    }
    eprintln!(
        "skipped: no Collector at target/otelcol/otelcol; collector/build.sh builds it, or set SIMHOST_OTELCOL"
    );
    None
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Free at this moment. Held together until all are known, so that they differ.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address"))
}

fn answers_ok(health: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&health, POLL)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.split(' ').nth(1) == Some("200"))
}

/// The lines that are written whole: the file grows while it is read.
fn exports(text: &str) -> Vec<Value> {
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect()
}

/// As OTLP numbers them.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;

#[derive(Debug)]
struct Span {
    service: String,
    trace: String,
    id: String,
    /// Empty for the root.
    parent: String,
    name: String,
    kind: u64,
    /// Nanoseconds since the epoch.
    end: u64,
    failed: bool,
}

impl Span {
    fn all(export: &Value) -> Vec<Self> {
        let mut spans = Vec::new();
        for resource in array(&export["resourceSpans"]) {
            let labels = labels(&resource["resource"]["attributes"]);
            for span in array(&resource["scopeSpans"]).iter().flat_map(|scope| array(&scope["spans"])) {
                spans.push(Self::read(&labels["service.name"], span));
            }
        }
        spans
    }

    fn read(service: &str, span: &Value) -> Self {
        Self {
            service: service.to_owned(),
            trace: text(&span["traceId"]),
            id: text(&span["spanId"]),
            parent: text(&span["parentSpanId"]),
            name: text(&span["name"]),
            kind: number(&span["kind"]),
            end: number(&span["endTimeUnixNano"]),
            failed: number(&span["status"]["code"]) == STATUS_ERROR,
        }
    }
}

/// The last value of each series of a counter, added up by `key`. Values are
/// cumulative, and a new series begins with a zero.
fn latest_sums(
    exports: &[Value],
    metric: &str,
    key: impl Fn(&BTreeMap<String, String>) -> String,
) -> BTreeMap<String, u64> {
    let mut series = BTreeMap::new();
    for resource in exports.iter().flat_map(|export| array(&export["resourceMetrics"])) {
        let metrics = array(&resource["scopeMetrics"]).iter().flat_map(|scope| array(&scope["metrics"]));
        for point in metrics
            .filter(|found| found["name"] == metric)
            .flat_map(|found| array(&found["sum"]["dataPoints"]))
        {
            let identity = (labels(&resource["resource"]["attributes"]), labels(&point["attributes"]));
            series.insert(identity, number(&point["asInt"]));
        }
    }
    let mut sums = BTreeMap::new();
    for ((_, labels), value) in series {
        *sums.entry(key(&labels)).or_insert(0) += value;
    }
    sums
}

fn labels(attributes: &Value) -> BTreeMap<String, String> {
    array(attributes)
        .iter()
        .map(|attribute| {
            let value = attribute["value"]
                .as_object()
                .and_then(|value| value.values().next())
                .unwrap_or(&Value::Null);
            (text(&attribute["key"]), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}

/// OTLP/JSON leaves out what is empty or zero, and writes 64-bit numbers as text.
fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}
