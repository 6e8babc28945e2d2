//! Links of spans: drawn, of a run and of a file, and asked for by queries.

use crate::support::shipped::Shipped;
use crate::support::{Finished, finish, simhost, telemetry};

use super::{traces, traces_of};

/// A file of orders whose messages a mailer has in the trace of the order, and a warehouse by the batch.
struct Orders {
    _folder: tempfile::TempDir,
    file: String,
    run: Finished,
}

impl Orders {
    fn of(flags: &[&str]) -> Self {
        let shipped = Shipped::all().into_iter().find(|shipped| shipped.name == "topologies/messages.toml");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("spans.jsonl").display().to_string();
        let mut command = simhost();
        command.arg("run").arg(shipped.expect("it ships").path).args(["--virtual", "--out", &file]);
        let run = finish(command.args(flags));
        Self { _folder: folder, file, run }
    }
}

#[test]
fn a_span_that_is_linked_says_to_which_span_of_which_trace() {
    let orders = Orders::of(&["--request", "POST /orders", "--show", "traces"]);
    let spans = telemetry::read(&std::fs::read_to_string(&orders.file).expect("records"));
    let sent = spans.iter().find(|span| span.name == "send order-events").expect("a message");
    let batch =
        spans.iter().find(|span| span.service == "warehouse" && !span.links.is_empty()).expect("a batch");
    let line = format!("⤷ link trace {} span {}", sent.trace, sent.id);
    let of_file = traces(&[&orders.file, "--id", &batch.trace]);
    for drawn in [&orders.run, &of_file] {
        let lines: Vec<&str> = drawn.success().lines().collect();
        let linked: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains("⤷")).collect();
        // The mailer is linked to its parent, which the tree shows.
        assert!(linked.len() == 1 && lines[linked[0]].ends_with(&line), "{}", drawn.stdout);
        assert!(lines[linked[0] - 1].starts_with("[warehouse] ▹ process order-events "), "{}", drawn.stdout);
    }
    // Whole ids have no room there.
    let narrow = |flags: &[&str]| {
        let mut command = simhost();
        command.args(["traces", &orders.file, "--id", &batch.trace]).args(flags).env("COLUMNS", "80");
        let drawn = finish(&mut command).success().to_owned();
        assert!(drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
        drawn
    };
    let ids = format!("link trace {} span {}\n", &sent.trace[..12], &sent.id[..12]);
    assert!(narrow(&[]).contains(&format!("⤷ {ids}")), "{}", narrow(&[]));
    assert!(narrow(&["--plain"]).contains(&format!("  {ids}")), "{}", narrow(&["--plain"]));
}

#[test]
fn of_many_links_the_first_are_shown_and_the_others_counted() {
    let orders = Orders::of(&["--for", "5s", "--show", "none"]);
    let spans = telemetry::read(&std::fs::read_to_string(&orders.file).expect("records"));
    let batch = spans.iter().max_by_key(|span| span.links.len()).expect("a batch");
    assert!(batch.links.len() > 6, "{batch:?}");
    let drawn = traces(&[&orders.file, "--id", &batch.trace]);
    assert_eq!(drawn.success().matches("⤷ link trace ").count(), 5, "{}", drawn.stdout);
    assert!(drawn.stdout.contains(&format!("… {} more links", batch.links.len() - 5)), "{}", drawn.stdout);
}

#[test]
fn a_query_finds_who_is_linked_to_a_trace_or_to_a_span() {
    let orders = Orders::of(&["--for", "5s", "--show", "none"]);
    let spans = telemetry::read(&std::fs::read_to_string(&orders.file).expect("records"));
    let batch = spans.iter().find(|span| span.links.len() > 1).expect("a batch");
    let (trace, span) = &batch.links[1];
    let (start, warehouse) = (&trace[..12], "resource.service.name = \"warehouse\"");
    let ids = |query: &str| {
        let found = traces(&[&orders.file, "--limit", "1000", "--query", query]);
        let headers = super::headers(found.success()).into_iter();
        headers.map(|line| line["Trace ".len()..][..32].to_owned()).collect::<Vec<_>>()
    };
    for query in [
        format!("{{ link:traceID = \"{trace}\" && {warehouse} }}"),
        format!("{{ link:spanID = \"{span}\" && {warehouse} }}"),
        format!("{{ link:traceID =~ \"{start}.*\" && link:spanID != \"\" && {warehouse} }}"),
    ] {
        assert_eq!(ids(&query), [batch.trace.as_str()], "{query}");
    }
    assert!(ids("{ link:traceID = \"\" || link:spanID !~ \".*\" }").is_empty());
    let with = ids(&format!("{{ link:traceID != nil && {warehouse} }}"));
    assert!(with.contains(&batch.trace) && !with.contains(trace), "{with:?}");
    assert!(ids(&format!("{{ link:spanID = nil && kind = consumer && {warehouse} }}")).is_empty());
    // The same of a run.
    let of_run =
        Orders::of(&["--for", "5s", "--query", &format!("{{ link:traceID = \"{trace}\" && {warehouse} }}")]);
    assert_eq!(
        super::headers(of_run.run.success()),
        super::headers(traces(&[&orders.file, "--id", &batch.trace]).success())
    );
    let wrong = traces(&[&orders.file, "--query", "{ link.traceID != \"\" }"]);
    assert!(wrong.stderr.contains("this is link:traceID in TraceQL"), "{}", wrong.stderr);
}

#[test]
fn an_answer_of_tempo_is_drawn_as_it_is_with_its_links() {
    let span = serde_json::json!({
        "traceId": "S/kvNXezTaajzpKdDg5HNg==", "spanId": "APBnqgupArc=", "name": "process orders",
        "kind": "SPAN_KIND_CONSUMER", "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225600005000000",
        "status": { "code": "STATUS_CODE_ERROR", "message": "no mail server" },
        "links": [{ "traceId": "AAAAAAAAAAAAAAAAAAAAAQ==", "spanId": "AAAAAAAAAAI=" }],
    });
    let resource = serde_json::json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "mailer" } }] });
    let of = |spans: &str, scope: &str| serde_json::json!({ spans: [{ "resource": resource, scope: [{ "spans": [span] }] }] });
    let now = of("resourceSpans", "scopeSpans");
    for answer in [
        serde_json::json!({ "trace": now }),
        of("batches", "scopeSpans"),
        of("batches", "instrumentationLibrarySpans"),
        now,
    ] {
        for text in [answer.to_string(), serde_json::to_string_pretty(&answer).expect("JSON")] {
            let drawn = traces_of(&text, 120, &["--errors"]);
            let drawn = drawn.success();
            assert!(drawn.contains("\nTrace 4bf92f3577b34da6a3ce929d0e0e4736  "), "{text}: {drawn}");
            let link = "⤷ link trace 00000000000000000000000000000001 span 0000000000000002\n";
            assert!(drawn.contains("[mailer] ✗ ▹ process orders") && drawn.contains(link), "{drawn}");
            assert!(drawn.contains("✗ no mail server"), "{drawn}");
        }
    }
}
