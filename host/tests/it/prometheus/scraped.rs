//! Prometheus scrapes a run, and what it has is compared with the run's report and spans.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Prometheus, binary, labels};
use crate::support::client::Client;
use crate::support::http::Connection;
use crate::support::program::now;
use crate::support::server::Server;
use crate::support::telemetry::read;
use crate::support::{METRICS, Span, SpanKind, Topology, finish, simhost};

/// Small orders, a large one, and one that is refused with 400.
const QUANTITIES: [i64; 8] = [2, 2, 1, 8, 3, 2, 0, 1];

/// By way of `/sd`, a target for each replica; and by way of the page of all, which names the services.
fn configuration(run: Client) -> String {
    let address = run.0;
    format!(
        "global: {{ scrape_interval: 100ms, scrape_timeout: 100ms }}\n\
         scrape_configs:\n\
         \x20 - job_name: discovered\n\
         \x20   http_sd_configs: [{{ url: \"http://{address}/sd\", refresh_interval: 1s }}]\n\
         \x20   relabel_configs: [{{ target_label: way, replacement: sd }}]\n\
         \x20 - job_name: page\n\
         \x20   honor_labels: true\n\
         \x20   static_configs: [{{ targets: [\"{address}\"], labels: {{ way: page }} }}]\n"
    )
}

/// A run that was scraped: what Prometheus has of it, and what the run itself says.
struct Scraped {
    prometheus: Prometheus,
    topology: Topology,
    report: Value,
    spans: Vec<Span>,
    /// When Prometheus had scraped it: seconds since the epoch. Later its series are gone, and another run
    /// may have its port.
    at: f64,
}

impl Scraped {
    /// What Prometheus had of an expression at that instant, by the labels that are asked for.
    fn query<const N: usize>(&self, expression: &str, names: [&str; N]) -> BTreeMap<[String; N], f64> {
        let key =
            |labels: BTreeMap<_, String>| names.map(|name| labels.get(name).cloned().unwrap_or_default());
        let series = self.prometheus.query(expression, Some(self.at));
        series.into_iter().map(|(labels, value)| (key(labels), value)).collect()
    }
}

/// Sends orders to a run, lets Prometheus scrape all of it, and ends the run.
fn scraped() -> Option<Scraped> {
    let binary = binary()?;
    let topology = Topology::orders_as_it_ships();
    let mut command = topology.command(&["--json", "--out", "records.jsonl", "--listen", "127.0.0.1:0"]);
    command.env(METRICS, "prometheus").env("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1");
    let run = Server::spawn(command.env("OTEL_EXPORTER_PROMETHEUS_PORT", "0"));
    for quantity in QUANTITIES {
        let expected = if quantity > 0 { 201 } else { 400 };
        assert_eq!(Connection::open(run.address).order(quantity, &[]).status(), expected);
    }
    let endpoint = Client(run.metrics.expect("it can be scraped"));
    let prometheus = Prometheus::start(&binary, &configuration(endpoint), &[]);
    // All requests are done, so that the first scrape of a target has all of them.
    prometheus.program.until(|| {
        let up = prometheus.query("up", None);
        let counts = prometheus.query("http_server_active_requests == 0", None);
        let ready = up.len() == 5 && up.iter().all(|(_, up)| *up == 1.0) && counts.len() >= 8;
        if ready { Ok(()) } else { Err(format!("targets {up:#?}, series {counts:#?}")) }
    });
    let at = now().as_secs_f64();
    the_targets_are_the_replicas(&prometheus);
    let finished = run.stop();
    let report = finished.json();
    assert_eq!(finished.code, Some(0), "{report}");
    let spans = read(&std::fs::read_to_string(topology.beside("records.jsonl")).expect("records"));
    Some(Scraped { prometheus, topology, report, spans, at })
}

fn the_targets_are_the_replicas(prometheus: &Prometheus) {
    let targets = prometheus.ask("targets", &[("state", "active")]);
    let targets = targets["activeTargets"].as_array().expect("targets");
    let mut jobs: Vec<_> = targets.iter().map(|target| labels(&target["labels"])["job"].clone()).collect();
    jobs.sort_unstable();
    let services = ["inventory-service", "notification-service", "order-service", "payment-service"]
        .map(|service| format!("orders/{service}"));
    assert_eq!(jobs[..4], services);
    assert_eq!(jobs[4], "page");
}

#[test]
fn the_requests_that_prometheus_counts_are_those_of_the_report() {
    let Some(scraped) = scraped() else { return };
    let report = &scraped.report;
    let mut expected = BTreeMap::new();
    for row in report["routes"].as_array().expect("rows") {
        let text = |key: &str| row[key].as_str().expect("a text").to_owned();
        let (method, route) = row["route"].as_str().and_then(|route| route.split_once(' ')).expect("a route");
        for way in ["page", "sd"] {
            let job = format!("orders/{}", text("service"));
            let key = [way.to_owned(), job, method.to_owned(), route.to_owned()];
            expected.insert(key, row["count"].as_f64().expect("a number"));
        }
    }
    assert_eq!(expected.len(), 10, "five routes, in two ways: {report}");
    let labels = ["way", "job", "http_request_method", "http_route"];
    let sum = format!("sum by ({}) (http_server_request_duration_seconds_count)", labels.join(", "));
    assert_eq!(scraped.query(&sum, labels), expected);
    // What callers measure is what the report has of links.
    let calls = "sum by (job, server_address) (http_client_request_duration_seconds_count{way=\"sd\"})";
    let calls = scraped.query(calls, ["job", "server_address"]);
    let links = report["links"].as_array().expect("links").iter().filter(|link| link["from"].is_string());
    let mut expected = BTreeMap::new();
    for link in links {
        let text = |key: &str| link[key].as_str().expect("a text").to_owned();
        expected.insert(
            [format!("orders/{}", text("from")), text("to")],
            link["count"].as_f64().expect("a number"),
        );
    }
    assert_eq!(calls, expected, "{report}");
}

#[test]
fn the_buckets_that_prometheus_has_are_those_of_the_spans() {
    let Some(scraped) = scraped() else { return };
    let labels = ["job", "http_route", "http_response_status_code", "le"];
    let sum =
        format!("sum by ({}) (http_server_request_duration_seconds_bucket{{way=\"sd\"}})", labels.join(", "));
    let buckets = scraped.query(&sum, labels);
    assert_eq!(buckets.len(), 6 * 15, "six series of 14 bounds and infinity: {buckets:#?}");
    for ([job, route, status, le], count) in &buckets {
        let bound: f64 = le.parse().expect("a bound");
        let is_of = |span: &&Span| {
            span.kind == SpanKind::Server
                && *job == format!("orders/{}", span.service)
                && span.text("http.route") == Some(route)
                && span.int("http.response.status_code") == status.parse().ok()
        };
        let within = scraped.spans.iter().filter(is_of).filter(|span| span.duration() as f64 / 1e9 <= bound);
        assert_eq!(*count, within.count() as f64, "{job} {route} {status}, up to {bound} s");
    }
}

#[test]
fn an_exemplar_that_prometheus_keeps_leads_to_a_trace_of_the_run() {
    let Some(Scraped { prometheus, spans, topology, at, .. }) = scraped() else { return };
    let exemplars = prometheus.exemplars("http_server_request_duration_seconds_bucket{way=\"sd\"}", at);
    assert!(exemplars.len() >= 6, "one for each series at least: {exemplars:?}");
    for (labels, exemplar) in &exemplars {
        let label =
            |name: &str| labels.get(name).unwrap_or_else(|| panic!("no {name} of {exemplar:?}: {labels:?}"));
        let span = spans.iter().find(|span| span.id == exemplar.span);
        let span = span.unwrap_or_else(|| panic!("no span of {exemplar:?}"));
        assert_eq!((&span.trace, span.kind), (&exemplar.trace, SpanKind::Server));
        assert_eq!(label("job"), &format!("orders/{}", span.service));
        assert_eq!(Some(label("http_route").as_str()), span.text("http.route"));
        let took = span.duration() as f64 / 1e9;
        assert!((took - exemplar.value).abs() < 1.001e-9, "{exemplar:?} took {took} s");
        assert!(exemplar.value <= label("le").parse().expect("a bound"), "{labels:?}: {exemplar:?}");
    }
    // The slowest one is the large order, whose trace simhost draws.
    let slowest = exemplars.iter().max_by(|one, other| one.1.value.total_cmp(&other.1.value)).expect("one");
    let mut traces = simhost();
    traces.arg("traces").arg(topology.beside("records.jsonl")).args(["--id", &slowest.1.trace]);
    let drawn = finish(&mut traces);
    assert!(drawn.success().contains("POST /orders"), "{}", drawn.stdout);
    assert!(drawn.stdout.contains("slow_lookup"), "{}", drawn.stdout);
}
