//! Faults of topics, in the topologies that ship for them: what becomes of messages and groups, and
//! how it shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use simhost::clock::VIRTUAL_START;

use crate::support::telemetry::{self, Span};
use crate::support::{finish, simhost};

const MS: u64 = 1_000_000;

/// The topology of a kind.
fn shipped(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/faults/{kind}.toml"))
}

/// What a run told: the lines of the truth, its spans, and its report.
struct Told {
    lines: Vec<Value>,
    spans: Vec<Span>,
    report: Value,
}

fn run(topology: &Path) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let [truth, out] = ["truth.jsonl", "out.jsonl"].map(|name| folder.path().join(name));
    let flags =
        ["--virtual", "--for", "45s", "--seed", "5", "--compute", "0", "--no-counterfactual", "--json"];
    let mut command = simhost();
    command.arg("run").arg(topology).args(flags).arg("--truth").arg(&truth).arg("--out").arg(&out);
    let report = serde_json::from_str(finish(&mut command).success()).expect("JSON");
    let lines = std::fs::read_to_string(truth).expect("the truth");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    Told { lines, spans: telemetry::read(&std::fs::read_to_string(out).expect("the records")), report }
}

impl Told {
    /// The firings that are shown by spans of this kind, each with its span.
    fn shown_by(&self, kind: &str) -> Vec<(&Value, &Span)> {
        let firings =
            self.lines.iter().filter(|line| line["record"] == "firing" && line["span_kind"] == kind);
        let shown = |firing: &Value| {
            let found = self.spans.iter().find(|span| firing["span_id"] == *span.id);
            let span = found.unwrap_or_else(|| panic!("no span of {firing}"));
            let place = (firing["topic"].as_str(), &firing["trace_id"]);
            assert_eq!(place, (Some("order-events"), &Value::from(span.trace.as_str())));
            let partition = span.text("messaging.destination.partition.id").expect("a partition");
            assert_eq!(firing["partition"].to_string(), partition, "{firing}");
            span
        };
        firings.map(|firing| (firing, shown(firing))).collect()
    }

    fn injected(&self) -> usize {
        self.report["faults"][0]["injected"].as_u64().expect("a number") as usize
    }

    fn group(&self, place: usize) -> &Value {
        &self.report["topics"][0]["groups"][place]
    }

    /// The CONSUMER spans of a message, by the trace that its sender began.
    fn consumers(&self) -> BTreeMap<&str, Vec<&Span>> {
        let mut of: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
        for span in self.spans.iter().filter(|span| span.kind_name() == "CONSUMER") {
            of.entry(&span.trace).or_default().push(span);
        }
        of.values_mut().for_each(|spans| spans.sort_by_key(|span| span.start));
        of
    }
}

fn took(span: &Span) -> u64 {
    span.end - span.start
}

/// Places of a partition, in the order of its offsets, whose messages were sent before the one ahead of them.
fn overtaken(told: &Told) -> BTreeSet<&str> {
    let mut partitions: BTreeMap<&str, Vec<(i64, &Span)>> = BTreeMap::new();
    for span in told.spans.iter().filter(|span| span.kind_name() == "PRODUCER") {
        let partition = span.text("messaging.destination.partition.id").expect("a partition");
        partitions
            .entry(partition)
            .or_default()
            .push((span.int("messaging.kafka.offset").expect("one"), span));
    }
    let mut late = BTreeSet::new();
    for sent in partitions.values_mut() {
        sent.sort_by_key(|(offset, _)| *offset);
        // Some come a little before others anyway, as the way to the broker varies.
        let pairs = sent.windows(2).filter(|pair| pair[1].1.start + 50 * MS < pair[0].1.start);
        late.extend(pairs.map(|pair| pair[1].1.id.as_str()));
    }
    late
}

#[test]
fn messages_that_are_sent_again_come_behind_others_that_were_sent_after_them() {
    let told = run(&shipped("reorder-messages"));
    let sent = told.shown_by("producer");
    assert!(sent.len() == told.injected() && sent.len() > 20, "{}", sent.len());
    for (firing, span) in &sent {
        let delay = (firing["drawn"]["delay_ms"].as_f64().expect("a delay") * MS as f64) as u64;
        assert!(delay <= 2_000 * MS && took(span) >= delay && took(span) < delay + 50 * MS, "{firing}");
    }
    let ids: BTreeSet<_> = sent.iter().map(|(_, span)| span.id.as_str()).collect();
    let late = overtaken(&told);
    assert!(late.len() > 10 && late.is_subset(&ids), "{late:?}");
    // Its consumer's span is named too: that of the same trace.
    let got = told.shown_by("consumer");
    assert_eq!(got.len(), sent.len());
    assert!(got.iter().all(|(firing, span)| firing["service"] == "mailer" && !span.parent.is_empty()));
}

#[test]
fn a_message_that_is_late_holds_up_its_partition_and_not_its_sender() {
    let told = run(&shipped("late-messages"));
    let sent = told.shown_by("producer");
    assert!(sent.len() == told.injected() && sent.len() > 10, "{}", sent.len());
    let consumers = told.consumers();
    for (firing, span) in &sent {
        assert!(took(span) < 10 * MS && firing["partition"] == 2, "{firing}");
        let delay = (firing["drawn"]["delay_ms"].as_f64().expect("a delay") * MS as f64) as u64;
        let [got] = consumers[span.trace.as_str()][..] else { panic!("not once: {span:?}") };
        assert!(got.start - span.end >= delay, "{firing}");
    }
    let got: BTreeSet<_> = told.shown_by("consumer").iter().map(|(_, span)| span.id.as_str()).collect();
    let late = consumers.values().flatten().filter(|span| {
        let sent = told.spans.iter().find(|sent| sent.id == span.parent).expect("its PRODUCER span");
        span.start - sent.end > 150 * MS
    });
    let of_late: Vec<_> = late.collect();
    assert!(of_late.len() > got.len(), "those behind them wait too");
    assert!(of_late.iter().all(|span| span.text("messaging.destination.partition.id") == Some("2")));
    assert!(overtaken(&told).is_empty());
}

#[test]
fn messages_that_are_lost_are_confirmed_and_come_to_no_group() {
    let told = run(&shipped("lose-messages"));
    let (sent, consumers) = (told.shown_by("producer"), told.consumers());
    assert!(sent.len() == told.injected() && sent.len() > 50, "{}", sent.len());
    assert!(sent.iter().all(|(_, span)| !consumers.contains_key(span.trace.as_str())));
    assert!(told.shown_by("consumer").is_empty());
    let (topic, group) = (&told.report["topics"][0], told.group(0));
    assert_eq!(group["missed"], sent.len());
    assert_eq!(topic["published"], group["done"].as_u64().expect("a number") + sent.len() as u64);
    assert_eq!((&group["lag_end"], &told.report["loads"][0]["errors"]), (&0.into(), &0.into()));
}

#[test]
fn a_group_that_is_paused_lags_until_the_pause_is_over_and_other_groups_do_not() {
    let told = run(&shipped("consumer-pause"));
    let held = told.shown_by("consumer");
    assert!(held.len() == told.injected() && held.len() > 300, "{}", held.len());
    for (firing, span) in &held {
        assert_eq!(span.text("messaging.consumer.group.name"), Some("mails"), "{firing}");
        assert!(
            span.start - VIRTUAL_START >= 40_000 * MS && firing["after_window"] == "under_way",
            "{firing}"
        );
        assert!(firing["drawn"]["delay_ms"].as_f64() <= Some(20_000.0), "{firing}");
    }
    let (mails, invoices) = (told.group(0), told.group(1));
    assert!(mails["lag_max"].as_u64() > Some(300) && invoices["lag_max"].as_u64() < Some(20));
    assert_eq!((&mails["done"], &mails["redelivered"]), (&invoices["done"], &0.into()));
}

#[test]
fn a_storm_of_rebalances_stops_the_group_each_time_and_has_work_done_again() {
    let text = std::fs::read_to_string(shipped("rebalance-storm")).expect("a topology");
    // Some are under way each time.
    let folder = tempfile::tempdir().expect("a folder");
    let busy = folder.path().join("busy.toml");
    std::fs::write(&busy, text.replace("work = \"20ms +/- 5ms\"", "work = \"120ms +/- 5ms\""))
        .expect("a file");
    let told = run(&busy);
    let group = told.group(0);
    let number = |key: &str| group[key].as_u64().expect("a number");
    // Both have joined at the start; then two to five times within twenty seconds.
    assert!((4..=7).contains(&number("rebalances")), "{group}");
    assert!(number("revoked") > 3, "{group}");
    assert_eq!((number("redelivered"), number("lag_end")), (0, 0), "{group}");
    assert_eq!(&group["done"], &told.report["topics"][0]["published"]);
    let twice = told.consumers().into_values().filter(|spans| spans.len() > 1);
    let twice: Vec<_> = twice.collect();
    assert_eq!(twice.len() as u64, number("revoked"));
    for spans in &twice {
        assert!(spans[1].start - spans[0].start >= 1_800 * MS, "{spans:?}");
        assert!(spans.iter().all(|span| span.error_type().is_null()), "the first was done: {spans:?}");
    }
    let of = |is_revoked: bool| {
        let all = told.shown_by("consumer").into_iter();
        all.filter(|(firing, _)| firing["drawn"]["delay_ms"].is_null() == is_revoked).count()
    };
    assert_eq!(of(true) as u64, number("revoked"));
    assert_eq!(of(true) + of(false), told.injected());
}

#[test]
fn a_message_that_is_there_twice_is_processed_twice_and_both_spans_are_named() {
    let text = std::fs::read_to_string(shipped("lose-messages")).expect("a topology");
    let folder = tempfile::tempdir().expect("a folder");
    let twice = folder.path().join("twice.toml");
    std::fs::write(&twice, text.replace("kind = \"lose-messages\"", "kind = \"duplicate\"")).expect("a file");
    let told = run(&twice);
    let (sent, consumers) = (told.shown_by("producer"), told.consumers());
    assert!(sent.len() == told.injected() && sent.len() > 50, "{}", sent.len());
    let named: BTreeSet<_> = told.shown_by("consumer").iter().map(|(_, span)| span.id.as_str()).collect();
    assert_eq!(named.len(), sent.len() * 2);
    for (_, span) in &sent {
        let spans = &consumers[span.trace.as_str()];
        let offsets: Vec<_> =
            spans.iter().map(|span| span.int("messaging.kafka.offset").expect("one")).collect();
        assert!(offsets.len() == 2 && offsets[0] + 1 == offsets[1], "{offsets:?}");
        assert!(spans.iter().all(|span| named.contains(span.id.as_str()) && span.links[0].1 == span.parent));
    }
    assert_eq!(consumers.values().filter(|spans| spans.len() == 2).count(), sent.len());
}

#[test]
fn a_fault_of_a_topic_that_is_off_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    for (kind, name) in [("late-messages", "slow-copy"), ("rebalance-storm", "leaving-consumer")] {
        let text = std::fs::read_to_string(shipped(kind)).expect("a topology");
        let (before, rest) = text.split_once("[[faults]]").expect("a fault");
        let without = format!("{before}{}", &rest[rest.find("[[load]]").expect("a load")..]);
        let digest = |text: &str, flags: &[&str]| {
            let path = folder.path().join("it.toml");
            std::fs::write(&path, text).expect("a topology");
            let mut command = simhost();
            let flags = ["--virtual", "--for", "30s"].iter().chain(flags);
            let finished = finish(command.arg("run").arg(&path).args(flags));
            let said = finished.success().to_owned();
            said.lines().find_map(|line| line.strip_prefix("digest: ").map(str::to_owned)).expect("a digest")
        };
        let off = format!("{name}=off");
        assert_eq!(digest(&text, &["--fault", &off]), digest(&without, &[]), "{kind}");
        assert_ne!(digest(&text, &[]), digest(&without, &[]), "{kind}");
    }
}
