//! Context through headers and back: the cases of the W3C test harness
//! (<https://github.com/w3c/trace-context/blob/main/test/test.py>) that concern
//! reading and writing, and what no input may do.
//!
//! A new trace shows here as no parent: the harness looks at what the service
//! makes of it. Header names reach [`extract`] in lower case, as every
//! [`Headers`] has them.

use proptest::prelude::*;
use simhost::context::{Baggage, Incoming, SpanContext, SpanId, TraceFlags, TraceId, extract, inject};
use simhost::message::Headers;
use std::num::{NonZeroU64, NonZeroU128};

const PARENT: &str = "00-12345678901234567890123456789012-1234567890123456-00";

fn headers(fields: &[(&str, &str)]) -> Headers {
    Headers(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

/// The parent that a request with these values of `traceparent` names.
fn parent(values: &[&str]) -> Option<SpanContext> {
    extract(&headers(&values.iter().map(|value| ("traceparent", *value)).collect::<Vec<_>>())).parent
}

/// What is kept of these values of `tracestate`, beside a valid `traceparent`.
fn state(values: &[&str]) -> Option<String> {
    let mut all = headers(&[("traceparent", PARENT)]);
    values.iter().for_each(|value| all.push("tracestate", *value));
    let parent = extract(&all).parent.expect("an invalid tracestate does not harm the traceparent");
    assert_eq!(parent.traceparent(), PARENT);
    parent.trace_state.map(|state| state.to_string())
}

/// What a service sends that passes on what it received.
fn passed_on(received: &Headers) -> Headers {
    let incoming = extract(received);
    let mut sent = Headers::default();
    if let Some(parent) = &incoming.parent {
        inject(parent, &incoming.baggage, &mut sent);
    }
    sent
}

#[test]
fn without_traceparent_there_is_no_parent() {
    assert_eq!(extract(&Headers::default()), Incoming::default());
    assert_eq!(parent(&[""]), None);
}

#[test]
fn a_traceparent_without_tracestate_is_enough() {
    let parent = parent(&["00-12345678901234567890123456789012-1234567890123456-01"]).expect("valid");
    assert_eq!(parent.trace_id.to_string(), "12345678901234567890123456789012");
    assert_eq!(parent.span_id.to_string(), "1234567890123456");
    assert!(parent.flags.sampled() && !parent.flags.random());
    assert_eq!(parent.trace_state, None);
}

#[test]
fn of_two_traceparents_neither_is_believed() {
    let other = "00-12345678901234567890123456789011-1234567890123456-01";
    assert_eq!(parent(&[other, PARENT]), None);
    assert_eq!(parent(&[PARENT, PARENT]), None);
    assert_eq!(parent(&[PARENT, ""]), None);
    assert_eq!(parent(&[&format!("{PARENT},{other}")]), None);
}

#[test]
fn headers_of_similar_names_are_other_headers() {
    for name in ["trace-parent", "trace.parent"] {
        assert_eq!(extract(&headers(&[(name, PARENT)])), Incoming::default());
    }
    for name in ["trace-state", "trace.state"] {
        let parent = extract(&headers(&[("traceparent", PARENT), (name, "foo=1")])).parent.expect("valid");
        assert_eq!(parent.trace_state, None);
    }
}

#[test]
fn every_invalid_traceparent_of_the_harness_starts_a_new_trace() {
    for (why, value) in [
        ("version 00 ends with the flags", "00-12345678901234567890123456789012-1234567890123456-01."),
        (
            "and nothing follows",
            "00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        ),
        (
            "a later version goes on with a dash",
            "cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
        ),
        ("version ff is forbidden", "ff-12345678901234567890123456789012-1234567890123456-01"),
        ("illegal characters in version", ".0-12345678901234567890123456789012-1234567890123456-01"),
        ("illegal characters in version", "0.-12345678901234567890123456789012-1234567890123456-01"),
        ("version too long", "000-12345678901234567890123456789012-1234567890123456-01"),
        ("version too long", "0000-12345678901234567890123456789012-1234567890123456-01"),
        ("version too short", "0-12345678901234567890123456789012-1234567890123456-01"),
        ("trace id all zeros", "00-00000000000000000000000000000000-1234567890123456-01"),
        ("illegal characters in trace id", "00-.2345678901234567890123456789012-1234567890123456-01"),
        ("illegal characters in trace id", "00-1234567890123456789012345678901.-1234567890123456-01"),
        ("trace id too long", "00-123456789012345678901234567890123-1234567890123456-01"),
        ("trace id too short", "00-1234567890123456789012345678901-1234567890123456-01"),
        ("parent id all zeros", "00-12345678901234567890123456789012-0000000000000000-01"),
        ("illegal characters in parent id", "00-12345678901234567890123456789012-.234567890123456-01"),
        ("illegal characters in parent id", "00-12345678901234567890123456789012-123456789012345.-01"),
        ("parent id too long", "00-12345678901234567890123456789012-12345678901234567-01"),
        ("parent id too short", "00-12345678901234567890123456789012-123456789012345-01"),
        ("illegal characters in flags", "00-12345678901234567890123456789012-1234567890123456-.0"),
        ("illegal characters in flags", "00-12345678901234567890123456789012-1234567890123456-0."),
        ("flags too long", "00-12345678901234567890123456789012-1234567890123456-001"),
        ("flags too short", "00-12345678901234567890123456789012-1234567890123456-1"),
    ] {
        assert_eq!(parent(&[value]), None, "{why}: {value}");
        assert!(value.parse::<SpanContext>().is_err(), "{why}: {value}");
        let with_state = headers(&[("traceparent", value), ("tracestate", "foo=1")]);
        assert_eq!(extract(&with_state).parent, None, "{why}: its tracestate goes with it");
    }
}

#[test]
fn a_traceparent_of_a_later_version_is_used_and_forwarded_as_version_00() {
    for value in [
        "cc-12345678901234567890123456789012-1234567890123456-01",
        "cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
    ] {
        let sent = passed_on(&headers(&[("traceparent", value), ("tracestate", "foo=1")]));
        let expected = "00-12345678901234567890123456789012-1234567890123456-01";
        assert_eq!(sent, headers(&[("traceparent", expected), ("tracestate", "foo=1")]));
    }
}

#[test]
fn optional_white_space_around_a_traceparent_is_ignored() {
    for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
        assert_eq!(parent(&[&format!("{before}{PARENT}{after}")]), PARENT.parse().ok());
    }
}

#[test]
fn the_random_flag_is_propagated_and_reserved_flags_are_not() {
    for (flags, kept) in [("02", "02"), ("03", "03"), ("ff", "03"), ("fc", "00"), ("04", "00")] {
        let value = format!("{}{flags}", &PARENT[..53]);
        let sent = passed_on(&headers(&[("traceparent", &value)]));
        assert_eq!(sent.get("traceparent"), Some(format!("{}{kept}", &PARENT[..53]).as_str()));
    }
}

#[test]
fn a_tracestate_without_traceparent_is_discarded() {
    for value in ["foo=1", "foo=1,bar=2"] {
        assert_eq!(extract(&headers(&[("tracestate", value)])), Incoming::default());
    }
}

#[test]
fn a_tracestate_beside_a_traceparent_is_inherited() {
    assert_eq!(state(&["foo=1,bar=2"]).as_deref(), Some("foo=1,bar=2"));
}

#[test]
fn empty_tracestate_headers_are_discarded_and_harm_no_other() {
    assert_eq!(state(&[""]), None);
    assert_eq!(state(&["foo=1", ""]).as_deref(), Some("foo=1"));
    assert_eq!(state(&["", "foo=1"]).as_deref(), Some("foo=1"));
}

#[test]
fn several_tracestate_headers_are_combined_in_order() {
    let combined = state(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]);
    assert_eq!(combined.as_deref(), Some("foo=1,bar=2,rojo=1,congo=2,baz=3"));
}

#[test]
fn of_duplicated_tracestate_keys_one_is_inherited() {
    assert_eq!(state(&["foo=1,foo=1"]).as_deref(), Some("foo=1"));
    assert_eq!(state(&["foo=1,foo=2"]).as_deref(), Some("foo=1"));
    assert_eq!(state(&["foo=1", "foo=1"]).as_deref(), Some("foo=1"));
    assert_eq!(state(&["foo=1", "foo=2"]).as_deref(), Some("foo=1"));
}

#[test]
fn all_characters_that_a_tracestate_allows_are_inherited() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|letter| !matches!(letter, ',' | '=')).collect();
    for key in [key, &format!("{key}@a-z0-9_-*/")] {
        let member = format!("{key}={value}");
        assert_eq!(state(&[&member]), Some(member));
    }
}

#[test]
fn optional_white_space_around_tracestate_members_is_ignored() {
    for value in ["foo=1 \t , \t bar=2, \t baz=3", "foo=1\t \t,\t \tbar=2,\t \tbaz=3"] {
        assert_eq!(state(&[value]).as_deref(), Some("foo=1,bar=2,baz=3"));
    }
    for value in [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"] {
        assert_eq!(state(&[value]).as_deref(), Some("foo=1"));
    }
}

#[test]
fn a_tracestate_with_an_illegal_key_or_value_is_discarded() {
    for value in ["foo =1", "FOO=1", "foo.bar=1", "@foo=1,bar=2", "foo=bar=baz", "foo=,bar=3"] {
        assert_eq!(state(&[value]), None, "{value}");
    }
}

#[test]
fn at_signs_behind_the_first_letter_of_a_tracestate_key_are_inherited() {
    for value in ["foo@=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2"] {
        assert_eq!(state(&[value]).as_deref(), Some(value));
    }
}

#[test]
fn a_tracestate_of_32_members_is_inherited_and_one_of_33_is_discarded() {
    let members: Vec<_> = (1..=33).map(|number| format!("bar{number:02}={number:02}")).collect();
    let tens: Vec<_> = members[..32].chunks(10).map(|ten| ten.join(",")).collect();
    let mut values: Vec<_> = tens.iter().map(String::as_str).collect();
    assert_eq!(state(&values), Some(members[..32].join(",")));
    values.push(&members[32]);
    assert_eq!(state(&values), None);
}

#[test]
fn a_tracestate_key_of_256_characters_is_inherited_and_one_of_257_discards_all() {
    let [t241, t242, v14, v15] = [("t", 241), ("t", 242), ("v", 14), ("v", 15)].map(|(c, n)| c.repeat(n));
    for key in ["z".repeat(256), format!("{t241}@{v14}"), format!("{t242}@v"), format!("t@{v15}")] {
        assert_eq!(state(&["foo=1", &format!("{key}=1")]), Some(format!("foo=1,{key}=1")));
    }
    assert_eq!(state(&["foo=1", &format!("{}=1", "z".repeat(257))]), None);
}

#[test]
fn a_tracestate_that_is_too_long_loses_whole_members() {
    let long = format!("long={}", "x".repeat(200));
    let short = (0..8).map(|number| format!("s{number}={}", "x".repeat(60))).collect::<Vec<_>>().join(",");
    assert_eq!(short.len(), 511);
    assert_eq!(state(&[&long, &short]), Some(short.clone()), "the long one goes first");
    assert_eq!(state(&[&short, "last=1"]), Some(short), "then those at the end");
}

#[test]
fn baggage_needs_no_trace_and_several_headers_are_one() {
    let incoming = extract(&headers(&[
        ("baggage", "userId =   alice"),
        ("baggage", "serverNode = DF%2028, isProduction = false"),
    ]));
    assert_eq!(incoming.parent, None);
    assert_eq!(incoming.baggage.get("serverNode").as_deref(), Some("DF 28"));
    assert_eq!(incoming.baggage.header(), Some("userId=alice,serverNode=DF%2028,isProduction=false"));
}

#[test]
fn limits_of_baggage_hold_for_all_its_headers_together() {
    let mut many = Headers::default();
    (0..100).for_each(|number| many.push("baggage", format!("k{number}=v")));
    assert_eq!(extract(&many).baggage.iter().count(), 64);

    let mut long = Headers::default();
    (0..10).for_each(|number| long.push("baggage", format!("k{number}={}", "v".repeat(1021))));
    let kept = extract(&long).baggage;
    assert_eq!(
        kept.iter().count(),
        7,
        "1,024 bytes each and a comma between them: the eighth is one too many"
    );
    assert!(kept.iter().all(|member| member.value.len() == 1021));
}

#[test]
fn what_was_in_the_headers_before_is_replaced_and_nothing_else_is_touched() {
    let mut copied = headers(&[
        ("accept", "*/*"),
        ("traceparent", PARENT),
        ("tracestate", "old=1"),
        ("x-id", "7"),
        ("baggage", "old=1"),
        ("tracestate", "older=1"),
        ("traceparent", "nonsense"),
    ]);
    let context: SpanContext =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03".parse().expect("valid");
    inject(&context, &Baggage::default().with("user", "Amélie"), &mut copied);
    let expected = [
        ("accept", "*/*"),
        ("x-id", "7"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03"),
        ("baggage", "user=Am%C3%A9lie"),
    ];
    assert_eq!(copied, headers(&expected));
}

fn any_context() -> impl Strategy<Value = SpanContext> {
    let state =
        prop::option::of("[a-z][a-z0-9_*/@-]{0,5}=[!-+.-<>-~]{1,9}(,[0-9][a-z]{0,5}=[ -+]{0,4}[0-9])?");
    (1_u128.., 1_u64.., 0_u8..4, state).prop_map(|(trace, span, flags, state)| SpanContext {
        trace_id: TraceId(NonZeroU128::new(trace).expect("from 1")),
        span_id: SpanId(NonZeroU64::new(span).expect("from 1")),
        flags: TraceFlags(flags),
        trace_state: state.map(Into::into),
    })
}

fn any_baggage() -> impl Strategy<Value = Baggage> {
    prop::collection::vec(("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}", any::<String>()), 0..9).prop_map(|members| {
        members.iter().fold(Baggage::default(), |baggage, (key, value)| baggage.with(key, value))
    })
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["traceparent", "tracestate", "baggage"])
}

/// Values near the valid ones, where mistakes hide, and any text at all.
fn any_value() -> impl Strategy<Value = String> {
    let near = "[ \t]?(0|00|cc|ff)-[0-9a-fA-F]{31,33}-[0-9a-f]{15,17}-[0-9a-fx]{1,3}(-.*)?";
    let exact = "(00|cc)-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}";
    prop_oneof![exact, near, "([a-z@ ]{1,3}[=;]?[!-~é]{0,9},?){0,40}", any::<String>()]
}

proptest! {
    #[test]
    fn a_context_and_its_baggage_survive_a_call(context in any_context(), baggage in any_baggage()) {
        let mut sent = headers(&[("traceparent", "old"), ("baggage", "old=1")]);
        inject(&context, &baggage, &mut sent);
        prop_assert_eq!(extract(&sent), Incoming { parent: Some(context), baggage });
    }

    #[test]
    fn whatever_arrives_what_is_passed_on_is_valid_and_arrives_as_itself(
        fields in prop::collection::vec((any_name(), any_value()), 0..5),
    ) {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let received = headers(&fields);
        let incoming = extract(&received);
        if let Some(parent) = &incoming.parent {
            prop_assert_eq!(parent.flags.0 & !TraceFlags::KNOWN, 0);
            prop_assert!(parent.trace_state.as_ref().is_none_or(|state| (1..=512).contains(&state.len())));
            prop_assert_eq!(&extract(&passed_on(&received)), &incoming);
        }
        prop_assert!(incoming.baggage.header().is_none_or(|text| (1..=8192).contains(&text.len())));
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm_once_they_are_text(
        parent in prop::collection::vec(any::<u8>(), 0..80),
        state in prop::collection::vec(any::<u8>(), 0..600),
        baggage in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let [parent, state, baggage] =
            [parent, state, baggage].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let incoming = extract(&headers(&[("traceparent", &parent), ("baggage", &baggage)]));
        prop_assert_eq!(incoming.parent, None);
        let incoming = extract(&headers(&[("traceparent", PARENT), ("tracestate", &state)]));
        prop_assert_eq!(incoming.parent.map(|parent| parent.traceparent()), Some(PARENT.to_owned()));
    }

    #[test]
    fn a_valid_header_with_one_change_is_valid_or_ignored_as_a_whole(
        context in any_context(),
        baggage in any_baggage(),
        field in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        to in any::<char>(),
    ) {
        let mut sent = Headers::default();
        inject(&context, &baggage, &mut sent);
        let field = field.index(sent.0.len());
        let mut letters: Vec<char> = sent.0[field].1.chars().collect();
        let at = at.index(letters.len());
        letters[at] = to;
        sent.0[field].1 = letters.into_iter().collect();

        let incoming = extract(&sent);
        prop_assert!(incoming.parent.is_some() || field == 0);
        if incoming.parent.is_some() {
            prop_assert_eq!(&extract(&passed_on(&sent)), &incoming);
        }
    }
}
