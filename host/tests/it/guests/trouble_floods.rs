//! Floods of spans and log records: bounded, and what is given up is counted.

use crate::guests::trouble::{between_counters, fails_alone, trouble};
use crate::support::telemetry::StatusCode;
use crate::support::{Run, World};

/// What the report says of the records that were kept.
fn counted(run: &Run) -> &str {
    run.report.lines().find(|line| line.contains(" spans")).expect("a line about spans")
}

#[test]
fn a_flood_of_spans_is_cut_at_the_limit_and_the_rest_is_counted() {
    let run = trouble("spans = 50").virtually(&["GET /spans/3000"]);
    assert_eq!((run.statuses(), run.bodies()), (vec![200], vec!["3000"]));
    assert_eq!(run.named("flood").len(), 50);
    assert_eq!(counted(&run), "51 spans recorded; 2,950 spans over a guest's limit not kept");
}

#[test]
fn spans_that_stay_open_are_bounded_too() {
    let run = trouble("").virtually(&["GET /spans/600?open=true"]);
    assert_eq!(run.statuses(), [200]);
    assert_eq!(run.named("flood").len(), 256);
    assert_eq!(counted(&run), "257 spans recorded; 344 spans over a guest's limit not kept");
}

#[test]
fn the_next_request_has_its_limit_anew() {
    let run = trouble("spans = 50").virtually(&["GET /spans/60", "GET /spans/60"]);
    assert_eq!(run.named("flood").len(), 100);
}

#[test]
fn a_run_within_its_limits_reports_nothing_of_the_kind() {
    let run = trouble("spans = 50").virtually(&["GET /spans/50"]);
    assert_eq!(counted(&run), "51 spans recorded");
}

#[test]
fn endless_logging_is_cut_at_the_limit_and_stopped() {
    let run = between_counters(&trouble("spans = 50, cpu-time = \"5ms\""), "/loop-log");
    let span = fails_alone(&run, "GET /loop-log", "cpu_time_exceeded");
    assert_eq!(run.logs().len(), 50);
    assert!(run.logs().iter().all(|log| log.span == span.id));
    let not_kept = counted(&run).strip_prefix("3 spans and 50 log records recorded; ");
    let not_kept = not_kept.and_then(|rest| rest.strip_suffix(" log records over a guest's limit not kept"));
    assert!(
        not_kept.and_then(|count| count.replace(',', "").parse().ok()).is_some_and(|count: u64| count > 100),
        "{}",
        run.report
    );
}

#[test]
fn in_real_time_endless_logging_is_stopped_and_the_host_goes_on() {
    let settings = "workers = 1\nlimits = { spans = 50, cpu-time = \"50ms\" }";
    let server = World::of("trouble", settings).serve();
    assert_eq!([server.get("/loop-log").status, server.get("/counter").status], [500, 200]);
    let run = server.stop();
    assert_eq!(*run.span("GET /loop-log").error_type(), "cpu_time_exceeded");
    assert_eq!(run.logs().len(), 50);
    assert_eq!(run.span("GET /counter").status, StatusCode::Unset);
}
