//! The Prometheus endpoint, asked over HTTP as Prometheus does, and compared with the spans of the same run.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::prometheus::promtool;
use crate::support::client::{Answer, Client, Request};
use crate::support::{METRICS, Serving, SpanKind, World, finish, guests};

pub(super) const OPEN_METRICS: &str =
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";

pub(super) fn world() -> World {
    let world = World::of("probe", "").and("back", "probe", "replicas = 2").env(METRICS, "prometheus");
    world.env("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1").env("OTEL_EXPORTER_PROMETHEUS_PORT", "0")
}

pub(super) fn endpoint(server: &Serving) -> Client {
    server.metrics.expect("it can be scraped")
}

pub(super) fn scrape(at: Client, target: &str, accept: &str) -> Answer {
    at.send(Request { method: "GET", target, headers: &[("accept", accept)], body: "" })
}

/// The samples of a page: names with labels, and values.
pub(super) fn samples(page: &str) -> BTreeMap<String, f64> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let line = line.split_once(" # ").map_or(line, |(line, _)| line);
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is no sample"));
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line:?} has no value")))
    };
    let mut samples = BTreeMap::new();
    for (name, value) in lines.map(sample) {
        assert!(samples.insert(name.clone(), value).is_none(), "{name} is there twice");
    }
    samples
}

/// The sum of the samples of a name whose labels have all of these.
pub(super) fn sum(samples: &BTreeMap<String, f64>, name: &str, labels: &[&str]) -> f64 {
    let all = samples.iter().filter(|(key, _)| {
        key.split('{').next() == Some(name) && labels.iter().all(|label| key.contains(label))
    });
    all.map(|(_, value)| value).sum()
}

#[test]
fn who_scrapes_gets_what_the_spans_measure() {
    let server = world().serve();
    for _ in 0..5 {
        server.get("/call?service=back&path=/spans");
    }
    server.get("/nowhere");
    let page = scrape(endpoint(&server), "/metrics", OPEN_METRICS);
    let run = server.stop();
    let kind = page.header("content-type").expect("a type");
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(page.body.ends_with("# EOF\n"), "{}", page.body);
    let samples = samples(&page.body);
    let count = "http_server_request_duration_seconds_count";
    for (service, status, expected) in [("front", 200, 5.0), ("front", 404, 1.0), ("back", 200, 5.0)] {
        let labels = [&format!("/{service}\""), &format!("http_response_status_code=\"{status}\"") as &str];
        assert_eq!(sum(&samples, count, &labels), expected, "{}", page.body);
    }
    let spans = run.of("back", SpanKind::Server);
    let took = spans.iter().map(|span| span.duration() as f64 / 1e9).sum::<f64>();
    let summed = sum(&samples, "http_server_request_duration_seconds_sum", &["/back\""]);
    assert!((summed - took).abs() < 1e-8, "{summed} is not {took}");
    let exemplar =
        page.body.lines().find(|line| line.contains("/back\"") && line.contains(" # {")).expect("one");
    let (_, exemplar) = exemplar.split_once(" # {").expect("an exemplar");
    assert!(
        spans.iter().any(|span| exemplar.contains(&span.trace) && exemplar.contains(&span.id)),
        "{exemplar}"
    );
    assert_eq!(sum(&samples, "target_info", &["service_name="]), 3.0);
    assert!(page.body.contains("# TYPE target info\n"));
}

#[test]
fn a_page_without_open_metrics_is_text_of_the_older_format() {
    let server = world().serve();
    server.get("/spans");
    let page = endpoint(&server).get("/metrics/front");
    assert_eq!(page.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!page.body.contains("# EOF") && !page.body.contains(" # {") && !page.body.contains("# UNIT"));
    assert!(page.body.contains("# TYPE http_server_request_duration_seconds histogram\n"), "{}", page.body);
    assert!(page.body.contains("# TYPE target_info gauge\n"));
    assert!(samples(&page.body).keys().all(|name| !name.contains("/back\"")), "{}", page.body);
    let bucket = "http_server_request_duration_seconds_bucket";
    assert_eq!(sum(&samples(&page.body), bucket, &["le=\"+Inf\""]), 1.0);
    server.stop();
}

#[test]
fn each_replica_is_a_target_with_a_page_of_its_own() {
    let server = world().serve();
    for _ in 0..20 {
        server.get("/call?service=back&path=/spans");
    }
    let at = endpoint(&server);
    let found = at.get("/sd").json();
    let targets = found.as_array().expect("targets");
    let paths: Vec<_> = targets.iter().map(|target| &target["labels"]["__metrics_path__"]).collect();
    assert_eq!(paths, ["/metrics/back/0", "/metrics/back/1", "/metrics/front/0"]);
    assert_eq!(targets[0]["targets"], json!([at.0.to_string()]));
    let count = "http_server_request_duration_seconds_count";
    let mut served = 0.0;
    for (number, target) in targets[..2].iter().enumerate() {
        let page = at.get(&format!("/metrics/back/{number}"));
        let samples = samples(&page.body);
        served += sum(&samples, count, &["http_route=\"/spans\""]);
        assert!(
            samples.keys().all(|name| !name.contains("job=")),
            "Prometheus says whose it is: {}",
            page.body
        );
        let instance = target["labels"]["instance"].as_str().expect("an id");
        assert_eq!(sum(&samples, "target_info", &[&format!("service_instance_id=\"{instance}\"")]), 1.0);
    }
    assert_eq!(served, 20.0);
    for (target, status) in
        [("/metrics/back/2", 404), ("/metrics/nobody", 404), ("/other", 404), ("/sd", 200)]
    {
        assert_eq!(at.get(target).status, status, "{target}");
    }
    server.stop();
}

#[test]
fn a_load_with_spans_is_a_target_and_what_a_fault_may_deploy_is_none_before_it_does() {
    let load = "[[load]]\nname = \"shoppers\"\nto = \"front\"\nspan = true\narrivals = { constant = \"20/s\" }\n\
                request = { path = \"/spans\" }";
    let deploy = |when: &str| {
        let guest = guests().join("probe.wasm");
        let guest = guest.display();
        format!(
            "[[faults]]\nname = \"it\"\nkind = \"bad-deploy\"\nguest = '{guest}'\nversion = \"2.0.0\"\n\
             replicas = 0.5\ntarget = {{ service = \"back\" }}\n{when}"
        )
    };
    let ahead = ["/metrics/back/0", "/metrics/back/1", "/metrics/front/0", "/metrics/shoppers/0"];
    let deployed = ["/metrics/back/0", "/metrics/back/3", "/metrics/front/0", "/metrics/shoppers/0"];
    for (when, expected) in [("when = { at = \"1h\" }", ahead), ("", deployed)] {
        let server = world().with(load).with(&deploy(when)).serve();
        let at = endpoint(&server);
        let found = at.get("/sd").json();
        let targets = found.as_array().expect("targets");
        let paths: Vec<_> = targets.iter().map(|target| &target["labels"]["__metrics_path__"]).collect();
        assert_eq!(paths, expected);
        for path in ["/metrics/back/1", "/metrics/back/2", "/metrics/back/3", "/metrics/shoppers/0"] {
            let status = if expected.contains(&path) { 200 } else { 404 };
            assert_eq!(at.get(path).status, status, "{path} {when}");
        }
        assert_eq!(at.get("/metrics/shoppers").status, 200);
        server.stop();
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_a_page_but_names_that_end_in_count() {
    let Some(promtool) = promtool() else { return };
    let server = world().serve();
    server.get("/call?service=back&path=/spans");
    let page = endpoint(&server).get("/metrics").body;
    server.stop();
    let mut promtool = Command::new(promtool);
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool starts");
    child.stdin.take().expect("a pipe").write_all(page.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // The conventions have such names: `db.client.connection.count`.
    let trouble: Vec<_> = said.lines().filter(|line| !line.contains("\"_count\" suffix")).collect();
    assert!(trouble.is_empty(), "{trouble:?}");
}

/// A run whose services measure what their configurations say, and the page of all after a request to each.
fn pages_of(services: &[(&str, &str)], accept: &str) -> (Serving, Answer) {
    let world = World::of_services(services).flags(&["--json"]).env(METRICS, "prometheus");
    let world = world.env("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1");
    let server = world.env("OTEL_EXPORTER_PROMETHEUS_PORT", "0").serve();
    server.get("/");
    let page = scrape(endpoint(&server), "/metrics", accept);
    (server, page)
}

/// The names of the families of a page, each with its type.
fn families(page: &str) -> Vec<(&str, &str)> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|family| family.split_once(' ').expect("a name and a type")).collect()
}

#[test]
fn no_attribute_of_a_guest_takes_a_label_that_the_page_sets() {
    let front = "config.metrics = { size = \"histogram 3 By le=web job=x instance=y otel.scope.name=z a.b=1 a_b=2\" }";
    for accept in [OPEN_METRICS, "text/plain"] {
        let (server, page) = pages_of(&[("front", front)], accept);
        server.stop();
        let samples = samples(&page.body);
        let labels = ["exported_le=\"web\"", "exported_job=\"x\"", "exported_instance=\"y\"", "a_b=\"1;2\""];
        let scopes = ["otel_scope_name=\"simhost.guest\"", "exported_otel_scope_name=\"z\""];
        let labels = [&labels[..], &scopes].concat();
        assert_eq!(sum(&samples, "size_bytes_sum", &labels), 3.0, "{}", page.body);
        for sample in samples.keys().filter(|key| key.contains('{')) {
            let mut names: Vec<_> = sample.split('{').nth(1).expect("labels").split("=\"").collect();
            names.pop();
            let names: Vec<_> = names.iter().map(|text| text.rsplit([',', '"']).next()).collect();
            let mut once = names.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), names.len(), "{sample}");
        }
    }
}

#[test]
fn what_would_have_the_name_of_another_metric_is_left_out_and_the_report_has_it() {
    let front = "config.home = { route = \"GET /\", calls = \"stock/\", metrics = { orders = \"counter\", \
                 \"orders.total\" = \"gauge 7\", size = \"histogram 3\", \"size.count\" = \"gauge 9\" } }";
    let stock = "config.metrics = { orders = \"gauge 5\", size = \"histogram 4\" }";
    for accept in [OPEN_METRICS, "text/plain"] {
        let (server, page) = pages_of(&[("front", front), ("stock", stock)], accept);
        let own = scrape(endpoint(&server), "/metrics/stock", accept);
        let run = server.stop();
        let mut names = families(&page.body);
        let all = names.len();
        names.sort_unstable();
        names.dedup_by_key(|(name, _)| *name);
        assert_eq!(names.len(), all, "{}", page.body);
        let samples = samples(&page.body);
        assert_eq!(sum(&samples, "size_sum", &[]), 7.0);
        assert_eq!(sum(&samples, "orders_total", &[]), 1.0);
        assert!(families(&own.body).contains(&("orders", "gauge")), "{}", own.body);
        let clashes = &run.json()["telemetry"]["clashes"];
        let found: Vec<_> = clashes
            .as_array()
            .expect("rows")
            .iter()
            .map(|row| {
                let text = |key: &str| row[key].as_str().expect("a text").to_owned();
                assert!(row["data_points"].as_u64() >= Some(1));
                (text("service"), text("metric"), text("reason"))
            })
            .collect();
        let of = |service: &str, metric: &str, other: &str| {
            let reason = format!("its name, or one of its samples, is that of {other} of front");
            (service.to_owned(), metric.to_owned(), reason)
        };
        let expected = [
            of("front", "orders.total", "orders"),
            of("front", "size.count", "size"),
            of("stock", "orders", "orders"),
        ];
        assert_eq!(found, expected);
    }
}

#[test]
fn a_metric_that_is_left_out_is_said_once() {
    let front = "config.metrics = { orders = \"counter\", \"orders.total\" = \"gauge 7\" }";
    let (server, _) = pages_of(&[("front", front)], OPEN_METRICS);
    for _ in 0..3 {
        scrape(endpoint(&server), "/metrics", "text/plain");
    }
    let told = server.stop().told;
    let said = "warning: a page for Prometheus is without the metric orders.total of front: its name, or one of its \
                samples, is that of orders of front";
    assert_eq!(told.matches(said).count(), 1, "{told}");
}

#[test]
fn a_histogram_without_a_sum_has_no_count_either() {
    let front = "config.metrics = { drift = \"histogram -3..-1\" }";
    let (server, page) = pages_of(&[("front", front)], OPEN_METRICS);
    server.stop();
    let samples = samples(&page.body);
    assert_eq!(sum(&samples, "drift_bucket", &["le=\"+Inf\""]), 1.0, "{}", page.body);
    assert!(!page.body.contains("drift_sum") && !page.body.contains("drift_count"), "{}", page.body);
}

#[test]
fn nobody_can_scrape_a_run_whose_time_jumps() {
    let said = world().refusal();
    assert!(said.contains("OTEL_METRICS_EXPORTER names prometheus, but time jumps"), "{said}");
    assert!(said.contains("--speed 1"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (_folder, mut command) = world().flags(&["--speed", "1"]).virtual_command(&["GET /spans"]);
    let finished = finish(command.env("OTEL_EXPORTER_PROMETHEUS_PORT", port));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let told = finished.told();
    assert!(told.contains("for Prometheus") && told.contains("OTEL_EXPORTER_PROMETHEUS_PORT"), "{told}");
}
