//! A client's decision about sampling, over real HTTP: what each sampler makes of it, what the spans say, and
//! what the callee is told.

use crate::support::client::Request;
use crate::support::{Span, World};

/// The last 56 bits, by which a trace is kept, are 0x48eb211c80319c. Of all ids that end in 64 bits, 52 % end
/// in less than this one.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// What a client says: whether it has sampled the trace, and its `tracestate`.
type Said = (bool, &'static str);

/// What becomes of it: whether spans are kept, and the `tracestate` that they have and the callee gets.
type Became = (bool, &'static str);

const CONSISTENT: Said = (true, "a=1,ot=th:4");
const INCONSISTENT: Said = (true, "ot=th:8,a=1");
const EXPLICIT: Said = (true, "ot=th:8;rv:c0000000000000,a=1");
const UNSAMPLED: Said = (false, "ot=th:4;rv:c0000000000000,a=1");
const INVALID: Said = (true, "ot=th:XY;rv:1,a=1");
const UNREADABLE: Said = (true, "ot=th:4;th:8,a=1");
const ALL: [Said; 6] = [CONSISTENT, INCONSISTENT, EXPLICIT, UNSAMPLED, INVALID, UNREADABLE];

/// What a run with this sampler makes of each.
fn became(sampler: &str, argument: &str) -> Vec<(bool, String)> {
    let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "");
    let world = world.env("OTEL_TRACES_SAMPLER", sampler).env("OTEL_TRACES_SAMPLER_ARG", argument);
    let server = world.serve();
    let mut told = Vec::new();
    for (number, (is_sampled, state)) in ALL.into_iter().enumerate() {
        // The number is where nobody looks at it.
        let parent = format!("00-{number}{}-b7ad6b7169203331-0{}", &TRACE[1..], u8::from(is_sampled));
        let headers = [("traceparent", &*parent), ("tracestate", state)];
        let target = "/call?service=back&path=/headers";
        let answer = server.send(Request { method: "GET", target, headers: &headers, body: "" });
        let body = answer.json()["body"].as_str().expect("the callee's answer").to_owned();
        let seen: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        let seen: Vec<(String, String)> = serde_json::from_value(seen["headers"].clone()).expect("headers");
        let header = |name: &str| {
            let mut of_name = seen.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone());
            let value = of_name.next().unwrap_or_default();
            assert_eq!(of_name.next(), None, "{name} comes once");
            value
        };
        told.push((header("traceparent").ends_with("-01"), header("tracestate")));
    }
    let run = server.stop();
    for (number, (is_kept, state)) in told.iter().enumerate() {
        let is_of = |span: &&Span| span.trace == format!("{number}{}", &TRACE[1..]);
        let spans: Vec<_> = run.spans().iter().filter(is_of).collect();
        let said = ALL[number].1;
        assert_eq!(spans.len(), if *is_kept { 3 } else { 0 }, "{sampler}, {said}: SERVER, CLIENT, SERVER");
        assert!(spans.iter().all(|span| span.trace_state == *state), "{sampler}, {said}: {spans:?}");
    }
    told
}

#[track_caller]
fn expect(sampler: &str, argument: &str, expected: [Became; 6]) {
    let expected = expected.map(|(is_kept, state)| (is_kept, state.to_owned()));
    for ((said, became), expected) in ALL.iter().zip(became(sampler, argument)).zip(expected) {
        assert_eq!(became, expected, "{sampler} {argument}: {said:?}");
    }
}

/// Whatever the caller says in `tracestate`, a sampler of the SDK passes it on.
#[track_caller]
fn expect_as_it_came(sampler: &str, argument: &str, kept: [bool; 6]) {
    let mut expected = ALL;
    expected.iter_mut().zip(kept).for_each(|(expected, is_kept)| expected.0 = is_kept);
    expect(sampler, argument, expected);
}

#[test]
fn samplers_of_the_sdk_decide_by_the_flag_or_the_id_and_pass_the_state_on() {
    let flags = ALL.map(|(is_sampled, _)| is_sampled);
    expect_as_it_came("always_on", "", [true; 6]);
    expect_as_it_came("always_off", "", [false; 6]);
    expect_as_it_came("parentbased_always_on", "", flags);
    expect_as_it_came("parentbased_always_off", "", flags);
    expect_as_it_came("traceidratio", "0.6", [true; 6]);
    expect_as_it_came("traceidratio", "0.5", [false; 6]);
    expect_as_it_came("parentbased_traceidratio", "0.1", flags);
}

#[test]
fn a_share_of_the_traces_is_taken_by_their_randomness_and_said_in_place_of_the_callers() {
    expect(
        "probability",
        "0.75",
        [
            (true, "a=1,ot=th:4"),
            (true, "ot=th:4,a=1"),
            (true, "ot=rv:c0000000000000;th:4,a=1"),
            (true, "ot=th:4;rv:c0000000000000,a=1"),
            (true, "ot=th:4,a=1"),
            (true, "ot=th:4,a=1"),
        ],
    );
    expect(
        "probability",
        "0.5",
        [
            (false, "a=1"),
            (false, "a=1"),
            (true, "ot=th:8;rv:c0000000000000,a=1"),
            (true, "ot=rv:c0000000000000;th:8,a=1"),
            (false, "a=1"),
            (false, "a=1"),
        ],
    );
}

#[test]
fn who_follows_the_caller_passes_on_its_threshold_if_that_would_have_kept_the_trace() {
    expect(
        "parentbased_probability",
        "0.001",
        [
            (true, "a=1,ot=th:4"),
            (true, "a=1"),
            (true, "ot=th:8;rv:c0000000000000,a=1"),
            (false, "ot=rv:c0000000000000,a=1"),
            (true, "a=1"),
            (true, "a=1"),
        ],
    );
}
