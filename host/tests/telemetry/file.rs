//! OTLP as JSON lines.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use simhost::telemetry::encode::message;
use simhost::telemetry::exporter::{Count, Exporter, Reason};
use simhost::telemetry::file::JsonLines;
use simhost::telemetry::pipeline::{Batching, Pace, Pipeline};
use simhost::telemetry::record::{Batch, KeyValue, Value};

use crate::records::{full_span, log, resources, span, spans};
use crate::sending::{spans as count, unharmed};

fn written(batches: &[Batch]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let mut file = JsonLines::create(&path).unwrap();
    batches.iter().for_each(|batch| file.export(batch, &resources()));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_line_is_what_the_file_exporter_specification_says() {
    let text = written(&[Batch { spans: vec![full_span()], logs: vec![log("low on books")], turn: None }]);
    let text = text.replace(concat!("\"", env!("CARGO_PKG_VERSION"), "\""), "\"<version>\"");
    insta::assert_snapshot!(text);
}

#[test]
fn lines_can_be_read_back() {
    let batch = Batch { spans: vec![span(1), full_span()], logs: vec![log("low on books")], turn: None };
    let text = written(&[batch.clone(), spans(3)]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    let traces: TracesData = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(traces, message::traces(&batch.spans, &resources()));
    let logs: LogsData = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(logs, message::logs(&batch.logs, &resources()));
}

#[test]
fn a_number_that_is_not_finite_does_not_spoil_the_line() {
    let mut odd = span(1);
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    odd.attributes.own =
        values.map(|value| KeyValue { key: "odd".into(), value: Value::Float(value) }).to_vec();
    let text = written(&[Batch { spans: vec![odd], logs: Vec::new(), turn: None }]);
    let read: TracesData = serde_json::from_str(&text).unwrap();
    let attributes = &read.resource_spans[0].scope_spans[0].spans[0].attributes;
    let texts = attributes.iter().map(|attribute| attribute.value.clone().unwrap().value.unwrap());
    let expected = ["NaN", "Infinity", "-Infinity"].map(|text| StringValue(text.to_owned()));
    assert_eq!(texts.collect::<Vec<_>>(), expected);
}

/// A disk with room for one line.
#[derive(Clone)]
struct SmallDisk(Arc<Mutex<Vec<u8>>>);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap();
        if !written.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_counted_and_not_written_to_again() {
    let disk = SmallDisk(Arc::default());
    let mut file = JsonLines::new("file small.jsonl", Box::new(disk.clone()));
    (0..5).for_each(|_| file.export(&spans(2), &resources()));
    let totals = file.account().totals();
    assert_eq!((totals.exported, totals.dropped[&Reason::Failed].count), (count(2), count(8)));
    let message = totals.dropped[&Reason::Failed].message.as_deref().unwrap();
    assert!(message.starts_with("cannot write to file small.jsonl: "), "{message}");
    assert_eq!(disk.0.lock().unwrap().iter().filter(|byte| **byte == b'\n').count(), 1);
}

#[test]
fn in_virtual_time_the_file_does_not_depend_on_the_wall_clock() {
    let run = || {
        let disk = Arc::new(Mutex::new(Vec::new()));
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let file = JsonLines::new("memory", Box::new(Shared(Arc::clone(&disk))));
        let batching = Batching { delay: std::time::Duration::ZERO, batch: 10, ..Batching::default() };
        let (handoff, pipeline) =
            Pipeline::start(resources(), vec![Box::new(file)], None, Pace::Virtual, batching).unwrap();
        for number in 1..=50 {
            handoff.send(Batch { logs: vec![log("x")], ..spans(number % 7 + 1) });
            std::thread::yield_now();
        }
        let report = pipeline.shutdown(crate::sending::LONG);
        unharmed(&report.exporters[0], Count { logs: 50, ..report.accepted });
        disk.lock().unwrap().clone()
    };
    assert_eq!(run(), run());
}
