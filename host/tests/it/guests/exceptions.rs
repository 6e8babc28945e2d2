//! Exceptions as events of spans, as log records and as both: `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`.

use std::collections::BTreeMap;

use crate::support::telemetry::Log;
use crate::support::{Run, SpanKind, World};

use super::trouble::trouble;

const OPT_IN: &str = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN";

/// What is recorded of a guest that panics, of a call that is not answered, and of errors within a guest.
fn runs(exceptions: &str) -> [Run; 3] {
    let call = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "");
    let worlds = [
        (trouble(""), "GET /panic"),
        (call, "GET /call?service=back&path=/sleep/50&timeout-ms=20"),
        (World::of("probe", ""), "GET /spans"),
    ];
    worlds.map(|(world, request)| world.env(OPT_IN, exceptions).virtually(&[request]))
}

/// The log records of exceptions, by the spans that they refer to.
fn logged(run: &Run) -> BTreeMap<&str, &Log> {
    let logs = run.logs().iter().filter(|log| !log.event.is_empty());
    let of = |log: &'_ Log| {
        let span = run.spans().iter().find(|span| (&span.trace, &span.id) == (&log.trace, &log.span));
        span.expect("a log record refers to a span of the file").name.as_str()
    };
    logs.map(|log| (of(log), log)).collect()
}

/// How many exceptions are events of spans.
fn events(run: &Run) -> usize {
    run.spans().iter().flat_map(|span| &span.events).filter(|event| event.name == "exception").count()
}

#[test]
fn exceptions_are_events_of_their_spans_unless_somebody_opts_in() {
    for run in runs("") {
        assert!(logged(&run).is_empty() && events(&run) > 0, "{:?}", run.logs());
    }
}

#[test]
fn exceptions_as_log_records_have_the_names_and_severities_of_the_conventions() {
    let [panic, call, errors] = runs("logs");
    for run in [&panic, &call, &errors] {
        assert_eq!(events(run), 0, "{:?}", run.spans());
    }
    let logs = logged(&panic);
    let log = logs["GET /panic"];
    assert_eq!((log.event.as_str(), log.severity.as_str()), ("http.server.request.exception", "ERROR"));
    assert_eq!(
        (log.scope.as_str(), &log.attributes["exception.type"]),
        ("simhost.bus", &"guest_trap".into())
    );
    let stack = log.attributes["exception.stacktrace"].as_str().expect("a text");
    assert!(stack.contains("trouble::traps::panic"), "{stack}");

    let logs = logged(&call);
    let [client] = call.of("front", SpanKind::Client)[..] else { panic!("{:?}", call.spans()) };
    let log = logs[client.name.as_str()];
    assert_eq!((log.event.as_str(), log.severity.as_str()), ("http.client.request.exception", "WARN"));
    assert_eq!((log.service.as_str(), log.scope.as_str()), ("front", "simhost.bus"));
    // What the status of the span says, and when it ended.
    assert_eq!((&log.body, log.time), (&client.description, client.end));
    assert_eq!(log.attributes["exception.type"], *client.error_type());

    let logs = logged(&errors);
    for (span, event, kind) in
        [("innermost", "innermost.exception", "HttpError"), ("renamed", "renamed.exception", "Handled")]
    {
        let log = logs[span];
        assert_eq!((log.severity.as_str(), log.scope.as_str()), ("ERROR", "simhost.guest"), "{span}");
        assert_eq!((log.event.as_str(), &log.attributes["exception.type"]), (event, &kind.into()), "{span}");
    }
}

#[test]
fn exceptions_that_are_both_say_the_same_twice() {
    for run in runs("logs/dup") {
        let mut compared = 0;
        for (name, log) in logged(&run) {
            let span = run.spans().iter().find(|span| span.id == log.span).expect("the span");
            let event = span.events.iter().find(|event| event.name == "exception");
            let event = event.unwrap_or_else(|| panic!("{name} has no event"));
            assert_eq!((event.time, &event.attributes), (log.time, &log.attributes), "{name}");
            compared += 1;
        }
        assert_eq!(compared, events(&run));
    }
}

#[test]
fn any_other_value_is_refused() {
    let refusal = World::of("probe", "").env(OPT_IN, "log").refusal();
    assert!(refusal.contains("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN is `log`"), "{refusal}");
    assert!(refusal.contains("it can be logs or logs/dup"), "{refusal}");
}
