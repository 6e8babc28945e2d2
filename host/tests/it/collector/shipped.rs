//! What the configurations that ship have besides: log records for Loki, and the Collector's own pages.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read as _;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;

use super::running::{Collector, Protocol};
use crate::support::finish;
use crate::support::program::get;
use crate::support::telemetry::{Records, hex};
use crate::telemetry::receiver::Receiver;

/// The trace, the span and the time of log records, and how many there are of each.
type Logged = BTreeMap<(String, String, u64), usize>;

#[tokio::test(flavor = "multi_thread")]
async fn loki_gets_every_log_record_with_the_id_of_its_trace() {
    let mut loki = Receiver::http([]).await;
    let endpoint = format!("{}/otlp", loki.url());
    let variables = [("SIMHOST_LOKI_ENDPOINT", OsStr::new(&endpoint))];
    let Some(collector) = Collector::start_with(&["otelcol-loki.yaml"], &variables) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out.jsonl");
    let mut run = collector.run(Protocol::Grpc);
    run.args(["topologies/dispatch.toml", "--virtual", "--for", "20s", "--show", "none", "--out"]);
    finish(run.arg(&file)).success();
    let mut expected = Logged::new();
    let written = std::fs::read_to_string(&file).expect("the file");
    for log in Records::parse(&written).logs {
        *expected.entry((log.trace, log.span, log.time)).or_default() += 1;
    }
    assert!(expected.keys().any(|(trace, ..)| !trace.is_empty()), "{expected:?}");
    let mut arrived = Logged::new();
    while arrived.values().sum::<usize>() < expected.values().sum() {
        let (path, headers, body) = loki.next().await.http();
        assert_eq!(path, "/otlp/v1/logs");
        assert_eq!(headers["content-encoding"], "gzip");
        let mut message = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut message).expect("gzip");
        let request = ExportLogsServiceRequest::decode(&message[..]).expect("OTLP");
        let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
        for record in scopes.flat_map(|scope| scope.log_records) {
            let key = (hex(&record.trace_id), hex(&record.span_id), record.time_unix_nano);
            *arrived.entry(key).or_default() += 1;
        }
    }
    assert_eq!(arrived, expected);
}

#[test]
fn zpages_show_the_pipelines_with_their_processors_in_order() {
    let Some(collector) = Collector::start_with(&["check-tutorial.yaml"], &[]) else { return };
    let page = |target: &str| {
        let (status, page) = get(collector.zpages, target).expect("zPages answer");
        assert_eq!(status, 200, "{target}: {page}");
        page
    };
    assert!(page("/debug/servicez").contains("otelcol"));
    let pipelines = page("/debug/pipelinez");
    let sampled = pipelines.find("traces/sampled").expect("the pipeline of the sampler");
    let order = ["memory_limiter", "tail_sampling", "batch"].map(|name| pipelines[sampled..].find(name));
    assert!(order.is_sorted() && order.iter().all(Option::is_some), "{order:?} in {pipelines}");
}
