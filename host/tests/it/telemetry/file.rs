//! OTLP as JSON lines.

use std::io::{self, Read as _, Write};
use std::sync::{Arc, Mutex};

use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use simhost::telemetry::encode::json::{self, LINE_BYTES};
use simhost::telemetry::exporter::{Exporter, Reason};
use simhost::telemetry::file::JsonLines;
use simhost::telemetry::pipeline::{Batching, Pace, Pipeline};
use simhost::telemetry::record::{KeyValue, ResourceId, Scope, Value};

use crate::support::Topology;
use crate::telemetry::message;
use crate::telemetry::records::{full_span, log, resources, span, spans};
use crate::telemetry::sending::{spans as count, unharmed};
use simhost::telemetry::signal::{Batch, Count, Signal};

fn written(batches: &[Batch]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let mut file = JsonLines::create(&path).unwrap();
    batches.iter().for_each(|batch| file.export(batch, &resources()));
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_line_is_what_the_file_exporter_specification_says() {
    let text =
        written(&[Batch { spans: vec![full_span()], logs: vec![log("low on books")], ..Batch::default() }]);
    let text = text.replace(concat!("\"", env!("CARGO_PKG_VERSION"), "\""), "\"<version>\"");
    insta::assert_snapshot!(text);
}

#[test]
fn lines_can_be_read_back() {
    let batch =
        Batch { spans: vec![span(1), full_span()], logs: vec![log("low on books")], ..Batch::default() };
    let text = written(&[batch.clone(), spans(3)]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    let mut traces: TracesData = serde_json::from_str(lines[0]).unwrap();
    let resources = resources();
    let of_resources = traces.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans);
    // Unset is left out, which is a status that is not there.
    of_resources.flat_map(|of| &mut of.spans).for_each(|span| {
        span.status.get_or_insert_default();
    });
    assert_eq!(traces, message::traces(&batch.spans, &resources));
    let logs: LogsData = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(logs, message::logs(&batch.logs, &resources));
}

/// Spans of two services with two scopes each, in turn.
fn mixed(spans: u64) -> Batch {
    let all = (1..=spans).map(|number| {
        let mut span = span(number);
        span.resource = ResourceId((number % 2) as u32);
        span.scope = if number % 3 == 0 { Scope::Bus } else { Scope::Guest };
        span
    });
    Batch { spans: all.collect(), ..Batch::default() }
}

#[test]
fn lines_are_no_longer_than_their_bound_and_together_hold_everything() {
    let batch = mixed(200);
    let whole = message::traces(&batch.spans, &resources());
    let ids = |data: &TracesData| -> Vec<_> {
        let scopes =
            data.resource_spans.iter().flat_map(|of| of.scope_spans.iter().map(move |scope| (of, scope)));
        let spans = scopes.flat_map(|(of, scope)| scope.spans.iter().map(move |span| (of, scope, span)));
        spans
            .map(|(of, scope, span)| (of.resource.clone(), scope.scope.clone(), span.span_id.clone()))
            .collect()
    };
    for longest in [1_200, 5_000, 20_000, 1 << 20] {
        let (mut together, mut lines) = (Vec::new(), 0);
        json::lines(&batch.spans, &resources(), longest, |line, records| {
            assert!(line.len() <= longest, "{} of {longest}", line.len());
            let data: TracesData = serde_json::from_slice(line).unwrap();
            let held = ids(&data);
            assert_eq!(held.len(), records);
            together.extend(held);
            lines += 1;
        });
        assert_eq!(together, ids(&whole), "{longest}");
        assert_eq!(lines == 1, longest == 1 << 20, "{lines} of {longest}");
    }
}

#[test]
fn a_record_that_is_too_long_has_a_line_to_itself_and_a_warning() {
    let mut batch = spans(3);
    batch.spans[1].name = "x".repeat(LINE_BYTES).into();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    let mut file = JsonLines::create(&path).unwrap();
    file.export(&batch, &resources());
    let text = std::fs::read_to_string(path).unwrap();
    let spans: Vec<_> = text.lines().map(|line| line.matches("\"spanId\"").count()).collect();
    assert_eq!(spans, [1, 1, 1]);
    let totals = file.account().totals();
    assert_eq!((totals.exported, totals.lost()), (count(3), count(0)));
    assert!(totals.warning.unwrap().contains(" bytes, of one record each: 1; "));
}

#[test]
fn a_file_is_compressed_as_its_name_ends_and_each_batch_can_be_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let batches = [mixed(300), Batch { logs: vec![log("low on books")], ..Batch::default() }, mixed(5)];
    let mut plain = JsonLines::create(&folder.path().join("out.jsonl")).unwrap();
    let mut gzip = JsonLines::create(&folder.path().join("out.jsonl.gz")).unwrap();
    let mut zstd = JsonLines::create(&folder.path().join("out.jsonl.zst")).unwrap();
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    for batch in &batches {
        for file in [&mut plain, &mut gzip, &mut zstd] {
            file.export(batch, &resources());
        }
        let text = read("out.jsonl");
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(&read("out.jsonl.gz")[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, text);
        assert_eq!(::zstd::stream::decode_all(&read("out.jsonl.zst")[..]).unwrap(), text);
        assert!(read("out.jsonl.gz").len() < text.len() && read("out.jsonl.zst").len() < text.len());
    }
    for file in [plain, gzip, zstd] {
        assert_eq!(
            file.account().totals().exported,
            Count::of(Signal::Traces, 305) + Count::of(Signal::Logs, 1)
        );
    }
}

/// As a whole run, that somebody ends in the middle.
#[test]
fn a_run_that_is_killed_leaves_whole_lines() {
    let topology = Topology::orders();
    for (name, enough) in
        [("killed.jsonl", 3 << 20), ("killed.jsonl.zst", 1 << 20), ("killed.jsonl.gz", 1 << 20)]
    {
        let mut child = topology.command(&["--virtual", "--for", "8000h", "--out", name]).spawn().unwrap();
        let path = topology.beside(name);
        while std::fs::metadata(&path).map_or(0, |file| file.len()) < enough {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let bytes = std::fs::read(path).unwrap();
        let mut text = Vec::new();
        // What was under way in the kernel may be there by half, at the end.
        let _half = match name.rsplit('.').next() {
            Some("zst") => zstd::stream::copy_decode(&bytes[..], &mut text),
            Some("gz") => MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).map(|_| ()),
            _ => io::copy(&mut &bytes[..], &mut text).map(|_| ()),
        };
        let text = String::from_utf8(text).unwrap();
        let whole = &text[..text.rfind('\n').unwrap()];
        assert!(whole.lines().count() > 1, "{name}");
        for line in whole.lines() {
            serde_json::from_str::<TracesData>(line).unwrap();
        }
    }
}

#[test]
fn a_number_that_is_not_finite_does_not_spoil_the_line() {
    let mut odd = span(1);
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    odd.attributes.own =
        values.map(|value| KeyValue { key: "odd".into(), value: Value::Float(value) }).to_vec();
    let text = written(&[Batch::from(vec![odd])]);
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
        let report = pipeline.shutdown(crate::telemetry::sending::LONG);
        assert_eq!(report.accepted[Signal::Logs], 50);
        unharmed(&report.exporters[0], report.accepted);
        disk.lock().unwrap().clone()
    };
    assert_eq!(run(), run());
}
