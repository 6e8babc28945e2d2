//! A Collector that runs for one test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::read::{Span, exports, latest_sums};
use super::root;
use crate::support::program::{Program, find};
use crate::support::{METRICS, finish, simhost};

#[derive(Clone, Copy)]
pub enum Protocol {
    Grpc,
    Http,
}

/// The Collector that was built. None, and a line that says why, where there is none to test with.
pub fn binary() -> Option<PathBuf> {
    let built = root().join("target/otelcol/otelcol");
    let found = find("SIMHOST_OTELCOL", [built]);
    if found.is_none() {
        eprintln!(
            "skipped: no Collector at target/otelcol/otelcol; collector/build.sh builds it, or set \
             SIMHOST_OTELCOL"
        );
    }
    found
}

/// A Collector with `collector/check.yaml`, for one test.
pub struct Collector {
    program: Program,
    grpc: SocketAddr,
    http: SocketAddr,
    /// Where it shows its own pages, if it is told to.
    pub zpages: SocketAddr,
}

impl Collector {
    /// None, and a line that says why, where there is no Collector to test with.
    pub fn start() -> Option<Self> {
        Self::start_with(&[], &[])
    }

    /// One with further files of `collector/` merged over that one, and variables that these take.
    pub fn start_with(files: &[&str], variables: &[(&str, &OsStr)]) -> Option<Self> {
        let binary = binary()?;
        let (program, [_, grpc, http, zpages]) =
            Program::start("/", |folder, [health, grpc, http, zpages]| {
                let mut command = Command::new(&binary);
                for file in ["check.yaml"].iter().chain(files) {
                    command.arg("--config").arg(root().join("collector").join(file));
                }
                command
                    .env("SIMHOST_OTLP_ENDPOINT", grpc.to_string())
                    .env("SIMHOST_OTLP_HTTP_ENDPOINT", http.to_string())
                    .env("SIMHOST_HEALTH_ENDPOINT", health.to_string())
                    .env("SIMHOST_ZPAGES_ENDPOINT", zpages.to_string())
                    .env("SIMHOST_TRACES_FILE", folder.join("traces.jsonl"))
                    .env("SIMHOST_METRICS_FILE", folder.join("metrics.jsonl"))
                    .env("SIMHOST_OWN_METRICS_FILE", folder.join("own-metrics.jsonl"))
                    .env("SIMHOST_LOGS_FILE", folder.join("logs.jsonl"))
                    .env("SIMHOST_SAMPLED_FILE", folder.join("sampled.jsonl"))
                    .envs(variables.iter().copied());
                command
            });
        Some(Self { program, grpc, http, zpages })
    }

    /// `simhost run`, which exports all signals to this Collector.
    pub fn run(&self, protocol: Protocol) -> Command {
        let (endpoint, protocol) = match protocol {
            Protocol::Grpc => (self.grpc, "grpc"),
            Protocol::Http => (self.http, "http/protobuf"),
        };
        let mut command = simhost();
        command
            .current_dir(root())
            .env_remove(METRICS)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{endpoint}"))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .arg("run");
        command
    }

    pub fn run_one_order(&self, protocol: Protocol) {
        let order = r#"POST /orders {"item":"book","quantity":8,"price":9.99}"#;
        let mut command = self.run(protocol);
        finish(command.args(["topologies/orders.toml", "--virtual", "--request", order])).success();
    }

    /// All that has arrived, when it is as many as there should be.
    pub fn wait_for_spans(&self, count: usize) -> Vec<Span> {
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
    pub fn wait_for_edges(&self, expected: &[(&str, &str, u64)]) {
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
    pub fn wait_for_calls(&self, spans: &[Span]) {
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
    #[track_caller]
    pub fn wait<T>(&self, file: &str, check: impl Fn(&[Value]) -> Result<T, String>) -> T {
        self.wait_for_lines(file, |lines| check(&exports(lines)))
    }

    /// The same with the lines that are written whole: the file grows while it is read.
    #[track_caller]
    pub fn wait_for_lines<T>(&self, file: &str, check: impl Fn(&str) -> Result<T, String>) -> T {
        self.program.until(|| {
            let text = self.program.read(file);
            let whole = text.rfind('\n').map_or(0, |last| last + 1);
            check(&text[..whole]).map_err(|missing| format!("{file}: {missing}"))
        })
    }
}
