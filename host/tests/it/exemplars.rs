//! From a row of the report to the trace that stands for its p99: `--exemplars`, the JSON, `traces
//! --exemplar`.

use serde_json::Value;

use crate::support::telemetry::{Records, Span, read};
use crate::support::{Finished, SpanKind, Topology, finish, refused, simhost};

/// The quantiles of routes are exact to this part.
const EXACT: f64 = 0.001;

/// And the steps of exemplars as narrow as this one.
const STEP: f64 = 1.0 / 128.0;

const RUN: [&str; 4] = ["--virtual", "--for", "20s", "--json"];

/// A run of orders of which some are large, and slow; its report, and the file of its traces.
fn orders(flags: &[&str]) -> (Topology, Value, Vec<Span>) {
    let topology = Topology::orders();
    let (finished, records) = topology.records(&[&RUN[1..], flags].concat());
    finished.success();
    (topology, finished.json(), read(&records))
}

fn traces(topology: &Topology, arguments: &[&str]) -> Finished {
    finish(simhost().current_dir(topology.beside("")).args(["traces", "records.jsonl"]).args(arguments))
}

fn rows(report: &Value) -> &Vec<Value> {
    report["routes"].as_array().expect("routes")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

/// The times of the SERVER spans of a row, in order; those of one trace, if one is named.
fn times(spans: &[Span], row: &Value, trace: Option<&str>) -> Vec<u64> {
    let of_row = spans.iter().filter(|span| {
        let is_of = span.service == text(row, "service") && span.name == text(row, "route");
        is_of && span.kind == SpanKind::Server && trace.is_none_or(|trace| span.trace == trace)
    });
    // A span that took no time has a nanosecond.
    let mut times: Vec<u64> = of_row.map(|span| span.duration() / 10 * 10).collect();
    times.sort_unstable();
    times
}

#[test]
fn each_route_names_a_trace_with_a_request_near_to_its_p99() {
    for flags in [&[][..], &["--shards", "3"]] {
        let (_topology, report, spans) = orders(flags);
        assert_eq!(rows(&report).len(), 5);
        for row in rows(&report) {
            let exemplar = &row["exemplar"];
            let took = exemplar["took_ns"].as_u64().expect("a time");
            let own = times(&spans, row, Some(text(exemplar, "trace_id")));
            assert!(own.contains(&(took / 10 * 10)), "{row}: {own:?}");
            // The file says what the p99 is.
            let all = times(&spans, row, None);
            assert_eq!(all.len() as u64, row["count"].as_u64().expect("a number"));
            let p99 = all[(all.len() * 99).div_ceil(100) - 1] as f64;
            let off = (took as f64 - p99).abs();
            assert!(off <= p99 * (EXACT + STEP) + 10.0, "{took} for {p99}: {row}");
        }
    }
}

#[test]
fn the_command_for_traces_finds_in_the_file_what_the_report_names() {
    let (topology, report, _) = orders(&[]);
    for row in rows(&report) {
        let words = format!("{} {} p99", text(row, "service"), text(row, "route"));
        let found = traces(&topology, &["--exemplar", &words]);
        let header = found.success().lines().find(|line| line.starts_with("Trace ")).expect("a trace");
        // Of requests that took no time any is as good.
        if row["p99_ns"] != 0 {
            assert!(header.contains(text(&row["exemplar"], "trace_id")), "{header}: {row}");
        }
        assert!(found.stdout.contains(&format!("\n{words} is ")), "{}", found.stdout);
        assert!(found.stdout.contains("\n1 of "), "{}", found.stdout);
    }
    let slowest = traces(&topology, &["--exemplar", "order-service POST /orders max"]);
    let expected = traces(&topology, &["--slowest", "1"]);
    let header = |finished: &Finished| finished.success().lines().nth(2).map(str::to_owned);
    assert_eq!(header(&slowest), header(&expected));
}

#[test]
fn exemplars_are_the_same_in_every_run_and_change_nothing_else() {
    let topology = Topology::orders();
    let run = |flags: &[&str]| topology.run(&[&["--virtual", "--for", "20s"], flags].concat());
    let (one, other) = (run(&["--json"]), run(&["--json", "--exemplars"]));
    assert_eq!(one.success(), other.success());
    let (plain, named) = (run(&[]), run(&["--exemplars"]));
    let (mut table, mut rest) = (Vec::new(), String::new());
    let mut is_table = false;
    for line in named.success().split_inclusive('\n') {
        is_table = line.contains("near p99") || is_table && line != "\n";
        match is_table {
            true => table.push(line),
            false => rest.push_str(line),
        }
    }
    // The table, and the empty line below it.
    assert_eq!(rest.replacen("\n\n\n", "\n\n", 1), plain.success().to_owned(), "{}", named.stdout);
    assert_eq!(table.len(), 6, "{table:?}");
    for (row, line) in rows(&one.json()).iter().zip(&table[1..]) {
        assert!(line.trim_start().starts_with(text(row, "service")), "{line}: {row}");
        assert!(line.trim_end().ends_with(text(&row["exemplar"], "trace_id")), "{line}: {row}");
    }
}

#[test]
fn a_narrow_page_has_the_beginnings_of_ids_which_are_enough() {
    let topology = Topology::orders();
    let flags = ["--for", "20s", "--exemplars"];
    let (finished, _) = topology.records_of(topology.command(&flags).env("COLUMNS", "80"));
    let lines = finished.success().lines().skip_while(|line| !line.contains("near p99"));
    let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    assert!(lines.len() == 6 && lines.iter().all(|line| line.chars().count() <= 80), "{}", finished.stdout);
    let id = lines[1].split_whitespace().last().expect("an id");
    assert_eq!(id.len(), 12, "{lines:?}");
    assert!(traces(&topology, &["--id", id]).success().contains("\n1 of "));
}

#[test]
fn without_traces_there_are_no_exemplars() {
    let topology = Topology::orders();
    let mut command = topology.command(&RUN);
    let finished = finish(command.env("OTEL_TRACES_SAMPLER", "always_off"));
    finished.success();
    assert!(rows(&finished.json()).iter().all(|row| row.get("exemplar").is_none()), "{}", finished.stdout);
}

#[test]
fn a_route_that_the_file_has_not_is_an_error_with_the_nearest_name() {
    let (topology, ..) = orders(&[]);
    let find = |words: &str| traces(&topology, &["--exemplar", words]);
    let service = find("order-servic POST /orders p99");
    refused(
        &service,
        &["no request of the file is of service \"order-servic\"", "did you mean \"order-service\"?"],
    );
    let route = find("order-service POST /order p99");
    refused(
        &route,
        &["no request to order-service is of route \"POST /order\"", "did you mean \"POST /orders\"?"],
    );
    refused(&find("order-service p99"), &["write service, route and percentile as the report does"]);
    refused(&find("order-service POST /orders p100"), &["\"p100\" is no percentile: write p50"]);
    let both = traces(&topology, &["--exemplar", "order-service POST /orders p99", "--errors"]);
    refused(&both, &["cannot be used with"]);
}

#[test]
fn requests_that_met_no_route_have_one_too() {
    let topology = Topology::orders();
    let (finished, _) = topology.records(&["--request", "GET /nothing", "--show", "none"]);
    finished.success();
    let found = traces(&topology, &["--exemplar", "order-service (no route) p50"]);
    assert!(found.success().contains("order-service (no route) p50 is "), "{}", found.stdout);
}

#[test]
fn log_records_stand_in_the_tree_at_their_times() {
    let text = "[topology]\nname = \"shop\"\n[ingress]\nto = \"front\"\n\
                [services.front]\nguest = \"service\"\nconfig = { work = \"5ms\", calls = \"back\", log = \"asked\" }\n\
                [services.back]\nguest = \"service\"\nconfig = { work = \"7ms\", log = \"looked up\", errors = 1 }\n";
    let topology = Topology::new("shop", text);
    let (finished, records) = topology.records(&["--request", "GET /", "--show", "none"]);
    finished.success();
    let found = traces(&topology, &["--logs"]);
    // Each line: who, and what; the times of the file put them in order.
    let lines: Vec<_> = found.success().lines().filter(|line| line.starts_with('[')).collect();
    let of = |what: &str| {
        lines.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{lines:#?}"))
    };
    let (asked, call) = (of("INFO asked"), of("→ GET back"));
    let (looked, failed) = (of("INFO looked up"), of("ERROR GET / failed"));
    assert!(lines[looked].starts_with("[back]") && lines[failed].starts_with("[front]"), "{lines:#?}");
    let logs = Records::parse(&records).logs;
    let client = read(&records).into_iter().find(|span| span.kind == SpanKind::Client).expect("a call");
    let at = |body: &str| logs.iter().find(|log| log.body.starts_with(body)).expect("a log record").time;
    assert!(
        at("asked") <= client.start && client.start < at("looked up") && at("looked up") < at("GET / failed")
    );
    assert!(asked < call && call < looked && looked < failed, "{lines:#?}");
    // Without the flag they stand below their span, before its children.
    let below = traces(&topology, &["--slowest", "1"]);
    let failed = below.success().find("ERROR GET / failed").expect("the line");
    assert!(failed < below.stdout.find("→ GET back").expect("the call"), "{}", below.stdout);
}
