//! The simulator's own telemetry: what a receiver gets of it, and that the run is the same with it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, metric::Data,
    number_data_point::Value as Number,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message;

use crate::support::{Finished, METRICS, ORDER, Topology, finish, refused, said, simhost};
use crate::telemetry::receiver::{Got, Receiver};

/// All that a receiver has got of one run.
#[derive(Default)]
struct Received {
    /// Of the process `simhost`.
    own_spans: Vec<Span>,
    /// The exports of its metrics.
    own_metrics: Vec<Vec<Metric>>,
    resource: BTreeMap<String, String>,
    /// Spans of simulated services, and the requests that they came in.
    spans: u64,
    span_requests: u64,
    headers: Vec<http::HeaderMap>,
}

fn text(value: &Option<AnyValue>) -> String {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn attributes(list: &[KeyValue]) -> BTreeMap<String, String> {
    list.iter().map(|pair| (pair.key.clone(), text(&pair.value))).collect()
}

impl Received {
    fn of(receiver: &mut Receiver) -> Self {
        let mut all = Self::default();
        for got in receiver.rest() {
            match got {
                Got::Traces(headers, request) => all.traces(headers, request),
                Got::Metrics(headers, request) => all.metrics(headers, request),
                Got::Logs(..) => {}
                Got::Http(path, headers, body) if path == "/v1/traces" => {
                    all.traces(
                        headers.clone(),
                        ExportTraceServiceRequest::decode(plain(&headers, &body)).unwrap(),
                    );
                }
                Got::Http(path, headers, body) if path == "/v1/metrics" => {
                    let request = ExportMetricsServiceRequest::decode(plain(&headers, &body)).unwrap();
                    all.metrics(headers, request);
                }
                Got::Http(..) => {}
            }
        }
        all
    }

    fn traces(&mut self, headers: http::HeaderMap, request: ExportTraceServiceRequest) {
        let mut others = 0;
        for ResourceSpans { resource, scope_spans, .. } in request.resource_spans {
            let spans = scope_spans.into_iter().flat_map(|scope| scope.spans);
            let resource = attributes(&resource.unwrap().attributes);
            if resource["service.name"] == "simhost" {
                self.headers.push(headers.clone());
                self.own_spans.extend(spans);
                self.resource = resource;
            } else {
                others += spans.count() as u64;
            }
        }
        self.spans += others;
        self.span_requests += u64::from(others > 0);
    }

    fn metrics(&mut self, headers: http::HeaderMap, request: ExportMetricsServiceRequest) {
        for ResourceMetrics { resource, scope_metrics, .. } in request.resource_metrics {
            if attributes(&resource.unwrap().attributes)["service.name"] == "simhost" {
                self.headers.push(headers.clone());
                let metrics = scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                self.own_metrics.push(metrics.collect());
            }
        }
    }

    /// The names of its spans, each with that of its parent, without repetition.
    fn phases(&self) -> BTreeSet<String> {
        let name = |id: &[u8]| {
            let parent = self.own_spans.iter().find(|span| span.span_id == id);
            parent.map_or("", |span| span.name.as_str())
        };
        let path = |span: &Span| format!("{}/{}", name(&span.parent_span_id), span.name);
        self.own_spans.iter().map(path).collect()
    }

    /// The last points of a metric: attributes and value. Of a histogram it is the count.
    fn points(&self, name: &str) -> Vec<(BTreeMap<String, String>, f64)> {
        let number = |value: Option<Number>| match value {
            Some(Number::AsInt(value)) => value as f64,
            Some(Number::AsDouble(value)) => value,
            None => panic!("{name} has a point without a value"),
        };
        let known = || self.own_metrics.iter().flatten().map(|metric| &metric.name).collect::<BTreeSet<_>>();
        // A gauge is left out of the exports in which there is nothing to say.
        let latest = self.own_metrics.iter().rev().flatten().find(|metric| metric.name == name);
        let latest = latest.unwrap_or_else(|| panic!("{name} is not among {:?}", known()));
        match latest.data.as_ref().unwrap() {
            Data::Gauge(gauge) => {
                let points = gauge.data_points.iter();
                points.map(|point| (attributes(&point.attributes), number(point.value))).collect()
            }
            Data::Sum(sum) => {
                let points = sum.data_points.iter();
                points.map(|point| (attributes(&point.attributes), number(point.value))).collect()
            }
            Data::Histogram(histogram) => {
                let points = histogram.data_points.iter();
                points.map(|point| (attributes(&point.attributes), point.count as f64)).collect()
            }
            other => panic!("{name}: {other:?}"),
        }
    }

    /// The shards of which a gauge has had values, which were all as they should be.
    fn shards(&self, name: &str, is_right: impl Fn(f64) -> bool) -> BTreeSet<String> {
        let metrics = self.own_metrics.iter().flatten().filter(|metric| metric.name == name);
        let gauges = metrics.map(|metric| match &metric.data {
            Some(Data::Gauge(gauge)) => gauge,
            other => panic!("{name}: {other:?}"),
        });
        let points = gauges.flat_map(|gauge| &gauge.data_points);
        let shard = |point: &NumberDataPoint| match point.value {
            Some(Number::AsDouble(value)) if is_right(value) => {
                attributes(&point.attributes)["simhost.shard"].clone()
            }
            other => panic!("{name}: {other:?}"),
        };
        points.map(shard).collect()
    }

    /// The value of the only point that has these attributes among its own.
    fn value(&self, name: &str, wanted: &[(&str, &str)]) -> f64 {
        let points = self.points(name);
        let has = |of: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| of.get(*key).is_some_and(|found| found == value))
        };
        let found: Vec<_> = points.iter().filter(|(of, _)| has(of)).collect();
        assert_eq!(found.len(), 1, "{name} {wanted:?}: {points:?}");
        found[0].1
    }
}

fn plain(headers: &http::HeaderMap, body: &[u8]) -> bytes::Bytes {
    use std::io::Read as _;
    if headers.get("content-encoding").is_none_or(|encoding| encoding != "gzip") {
        return body.to_vec().into();
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
    plain.into()
}

/// Lets a run end while receivers answer.
fn end(command: &mut Command) -> Finished {
    tokio::task::block_in_place(|| finish(command))
}

fn command(topology: &Topology, url: &str, flags: &[&str]) -> Command {
    let mut command = topology.command(&["--otlp", url, "--self-telemetry"]);
    command.args(flags).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").env(METRICS, "");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gets_a_span_of_each_phase_in_wall_time() {
    let mut receiver = Receiver::grpc([]).await;
    let before = wall();
    let flags = ["--virtual", "--request", ORDER, "--start", "2001-01-01T00:00:00Z"];
    end(&mut command(&Topology::orders(), &receiver.url(), &flags)).success();
    let received = Received::of(&mut receiver);
    let expected =
        ["/run", "run/check", "check/compile", "run/simulate", "simulate/drain", "run/flush", "run/report"];
    assert_eq!(received.phases(), expected.map(str::to_owned).into());
    let [run] = &received.own_spans.iter().filter(|span| span.name == "run").collect::<Vec<_>>()[..] else {
        panic!("one span is the run's");
    };
    assert_eq!(attributes(&run.attributes)["simhost.topology"], "orders");
    for span in &received.own_spans {
        assert_eq!(span.trace_id, run.trace_id);
        assert!(span.start_time_unix_nano >= before && span.end_time_unix_nano <= wall(), "{span:?}");
        assert!(run.start_time_unix_nano <= span.start_time_unix_nano, "{span:?}");
        assert!(run.end_time_unix_nano >= span.end_time_unix_nano, "{span:?}");
    }
    let guests = received.own_spans.iter().filter(|span| span.name == "compile");
    let guests: BTreeSet<_> =
        guests.map(|span| attributes(&span.attributes)["simhost.guest.name"].clone()).collect();
    assert_eq!(guests, ["orders", "inventory", "payment", "notification"].map(str::to_owned).into());
    let resource = &received.resource;
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(resource["telemetry.sdk.name"], "opentelemetry");
    for key in ["service.instance.id", "host.arch", "os.type", "process.pid", "process.executable.name"] {
        assert!(resource.contains_key(key), "{key}: {resource:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_environment_says_of_the_services_is_not_for_it() {
    let mut receiver = Receiver::grpc([]).await;
    let topology = Topology::orders();
    let mut command = command(&topology, &receiver.url(), &["--virtual", "--request", ORDER]);
    for kind in ["ATTRIBUTE", "EVENT", "LINK"] {
        command.env(format!("OTEL_SPAN_{kind}_COUNT_LIMIT"), "1");
    }
    command.env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
    end(command.env("OTEL_TRACES_SAMPLER", "always_off")).success();
    let received = Received::of(&mut receiver);
    let run = received.own_spans.iter().find(|span| span.name == "run").expect("a span of the run");
    assert!(run.attributes.len() > 1 && run.dropped_attributes_count == 0, "{run:?}");
    let sums = received.own_metrics.iter().flatten().filter_map(|metric| match &metric.data {
        Some(Data::Sum(sum)) => Some(sum.aggregation_temporality()),
        _ => None,
    });
    let sums: Vec<_> = sums.collect();
    assert!(
        !sums.is_empty() && sums.iter().all(|sum| *sum == AggregationTemporality::Cumulative),
        "{sums:?}"
    );
}

fn wall() -> u64 {
    simhost::clock::wall()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_metrics_say_of_the_exporter_what_the_receiver_has_seen() {
    let mut receiver = Receiver::grpc([]).await;
    let flags = ["--virtual", "--for", "30s", "--show", "none", "--shards", "2"];
    let run = end(command(&Topology::orders(), &receiver.url(), &flags).args(["--load", "shoppers=on"]));
    run.success();
    let received = Received::of(&mut receiver);
    let exporter = ("otel.component.type", "otlp_grpc_span_exporter");
    assert!(received.spans > 1_000, "{}", received.spans);
    assert_eq!(received.value("otel.sdk.exporter.span.exported", &[exporter]), received.spans as f64);
    assert_eq!(received.value("otel.sdk.exporter.span.inflight", &[exporter]), 0.0);
    let requests = received.value("otel.sdk.exporter.operation.duration", &[exporter]);
    assert_eq!(requests, received.span_requests as f64);
    let processor = ("otel.component.name", "batching_span_processor/0");
    assert_eq!(received.value("otel.sdk.processor.span.processed", &[processor]), received.spans as f64);
    assert_eq!(received.value("otel.sdk.processor.span.queue.size", &[processor]), 0.0);
    assert_eq!(received.value("otel.sdk.processor.span.queue.capacity", &[processor]), 65_536.0);
    assert_eq!(received.value("simhost.pipeline.queue.size", &[]), 0.0);
    let port = receiver.address.port().to_string();
    let (of, _) = &received.points("otel.sdk.exporter.span.exported")[0];
    assert_eq!((of["server.address"].as_str(), of["server.port"].as_str()), ("127.0.0.1", port.as_str()));
    let both = ["0", "1"].map(str::to_owned).into();
    assert_eq!(received.shards("simhost.time.ratio", |ratio| ratio >= 0.0), both);
    assert_eq!(received.shards("simhost.core.utilisation", |share| (0.0..=1.0).contains(&share)), both);
    assert_eq!(received.own_spans.iter().filter(|span| span.name == "simulate").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_it_has_the_headers_and_the_compression_of_the_run() {
    let mut receiver = Receiver::http([]).await;
    let topology = Topology::orders();
    let mut command = command(&topology, &receiver.url(), &["--request", ORDER]);
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    command.env("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b").env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    end(&mut command).success();
    let received = Received::of(&mut receiver);
    assert!(received.phases().contains("run/simulate"), "{:?}", received.phases());
    let real = received.shards("simhost.time.ratio", |ratio| ratio == 1.0);
    assert_eq!(real, ["0".to_owned()].into(), "time is real");
    assert!(received.headers.len() >= 2);
    for headers in &received.headers {
        assert_eq!(
            (&headers["x-tenant"], &headers["content-encoding"]),
            (&"a b".parse().unwrap(), &"gzip".parse().unwrap())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_and_its_records_are_the_same_with_it() {
    let topology = Topology::orders();
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::grpc([]).await;
    let run = |name: &str, own: bool| {
        let out = folder.path().join(name);
        let mut flags =
            vec!["--virtual", "--for", "10s", "--load", "shoppers=on", "--shards", "2", "--start"];
        flags.extend(["2026-01-01T00:00:00Z", "--json", "--otlp", "http://127.0.0.1:1"]);
        let url = receiver.url();
        *flags.last_mut().unwrap() = &url;
        let mut command = topology.command(&flags);
        command.arg("--out").arg(&out).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").env(METRICS, "");
        if own {
            command.arg("--self-telemetry");
        }
        let report = end(&mut command).json();
        (report["digest"].clone(), std::fs::read(out).unwrap())
    };
    let (digest, records) = run("without", false);
    let (with, with_records) = run("with", true);
    assert!(digest.is_string(), "{digest}");
    assert_eq!(digest, with);
    assert!(records == with_records, "the files differ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_receiver_costs_its_own_telemetry_alone_and_that_is_said() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{dead}");
    let topology = Topology::orders();
    let run = |own: &[&str]| {
        let flags = ["--virtual", "--request", ORDER, "--otlp", &url, "--lossy", "--json"];
        let mut command = topology.command(&flags);
        command.args(own).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").env("OTEL_BSP_EXPORT_TIMEOUT", "100");
        command.env(METRICS, "").env("OTEL_METRIC_EXPORT_TIMEOUT", "100");
        end(&mut command)
    };
    let (without, with) = (run(&[]), run(&["--self-telemetry"]));
    without.success();
    with.success();
    said(
        &with,
        &[
            "warning: the receiver did not take all of simhost's own telemetry: ",
            "spans and the last metrics are lost",
        ],
    );
    assert!(!without.stderr.contains("own telemetry"), "{}", without.stderr);
    let lost = |run: &Finished| run.json()["telemetry"]["exporters"][0]["lost"].clone();
    assert_eq!(lost(&with), lost(&without), "no record of the run is concerned");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topology_can_ask_for_it_and_the_environment_switches_it_off() {
    let mut receiver = Receiver::grpc([]).await;
    let topology = Topology::probe().with("[limits]", "[telemetry]\nself = true\n");
    let run = |variables: &[(&str, &str)]| {
        let mut command = topology.command(&["--virtual", "--request", "GET /"]);
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").envs(variables.iter().copied());
        let finished = end(&mut command);
        finished.success();
        finished
    };
    let url = receiver.url();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str());
    run(&[endpoint]);
    assert!(Received::of(&mut receiver).phases().contains("/run"));
    let off = run(&[endpoint, ("OTEL_SDK_DISABLED", "true")]);
    assert_eq!(receiver.rest().len(), 0);
    said(&off, &["note: self in [telemetry] has no effect: OTEL_SDK_DISABLED is true"]);
    let nowhere = run(&[]);
    said(&nowhere, &["note: self in [telemetry] has no effect: no OTLP receiver is named"]);
}

#[test]
fn asked_for_on_the_command_line_it_needs_a_receiver() {
    let topology = Topology::orders();
    let run = finish(&mut topology.command(&["--virtual", "--request", ORDER, "--self-telemetry"]));
    refused(&run, &["--self-telemetry was given, but no OTLP receiver is named", "add --otlp URL"]);
    let help = finish(simhost().args(["run", "--help"]));
    assert!(help.success().contains("--self-telemetry"));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_without_a_fault_are_phases_that_do_not_name_it() {
    let topology = Topology::orders();
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth.jsonl");
    let flags =
        ["--virtual", "--for", "30s", "--load", "shoppers=on", "--fault", "payment-errors=on", "--truth"];
    for blind in [false, true] {
        let mut receiver = Receiver::grpc([]).await;
        let mut command = command(&topology, &receiver.url(), &flags);
        command.arg(&truth);
        if blind {
            command.arg("--blind");
        }
        end(&mut command).success();
        let received = Received::of(&mut receiver);
        let phases = received.phases();
        assert!(phases.contains("run/compare"), "{phases:?}");
        assert_eq!(phases.contains("compare/counterfactual"), !blind, "{phases:?}");
        let told = format!("{:?} {:?}", received.own_spans, received.own_metrics);
        assert!(!told.contains("payment-errors"), "{told}");
    }
}
