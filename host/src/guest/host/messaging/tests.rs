use std::collections::BTreeSet;

use super::*;
use crate::guest::host::fixture::Fixture;
use crate::telemetry::record::{SpanKind, Value};

fn letter(body: &str) -> messaging::Message {
    let headers = vec![("traceparent".to_owned(), "copied".to_owned())];
    messaging::Message { key: Some(b"k".to_vec()), headers, body: body.as_bytes().to_vec() }
}

fn send(fixture: &mut Fixture, topic: &str, body: &str) -> Result<messaging::Receipt, messaging::SendError> {
    let sched = fixture.sched.clone();
    let sent = messaging::Host::send(&mut fixture.state, topic.to_owned(), letter(body));
    sched.block_on(sent, || {}).unwrap().unwrap()
}

fn batch(fixture: &mut Fixture, bodies: &[&str]) -> Result<Vec<messaging::Receipt>, messaging::SendError> {
    let sched = fixture.sched.clone();
    let letters = bodies.iter().map(|body| letter(body)).collect();
    let sent = messaging::Host::send_batch(&mut fixture.state, "letters".to_owned(), letters);
    sched.block_on(sent, || {}).unwrap().unwrap()
}

#[test]
fn a_message_takes_its_time_has_its_price_and_leaves_a_producer_span() {
    let mut fixture = Fixture::serving();
    let before = fixture.sched.now();
    let receipt = send(&mut fixture, "letters", "one").unwrap();
    assert_eq!((receipt.partition, receipt.offset, fixture.sched.now() - before), (0, 0, 7_000));
    let bytes = size_of::<messaging::Message>() + 1 + pairs(&letter("").headers) + 3 + "letters".len();
    assert_eq!(fixture.owes(), FUNCTION + MESSAGE + bytes as u64);
    let spans = fixture.recorded().spans;
    let [span] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((span.kind, &*span.name, span.end - span.start), (SpanKind::Producer, "send letters", 7_000));
    assert_eq!(span.attributes.get("messaging.kafka.offset"), Some(&Value::Int(0)));
}

#[test]
fn messages_that_are_sent_together_have_spans_of_their_own() {
    let mut fixture = Fixture::serving();
    let receipts = batch(&mut fixture, &["one", "two"]).unwrap();
    assert_eq!(receipts.iter().map(|receipt| receipt.offset).collect::<Vec<_>>(), [0, 1]);
    let spans = fixture.recorded().spans;
    let names: Vec<_> = spans.iter().map(|span| (span.kind, &*span.name, span.links.len())).collect();
    let created = (SpanKind::Producer, "create letters", 0);
    assert_eq!(names, [created, created, (SpanKind::Client, "send letters", 2)]);
    assert_eq!(spans.iter().map(|span| span.span_id).collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(spans[2].links[1].span_id, spans[1].span_id);
}

#[test]
fn what_cannot_be_sent_is_refused_before_there_is_a_span() {
    let mut fixture = Fixture::serving();
    let unknown = send(&mut fixture, "leters", "").unwrap_err();
    assert!(matches!(&unknown, messaging::SendError::UnknownTopic(known) if known.contains("letters")));
    let large = send(&mut fixture, "letters", &"x".repeat(100)).unwrap_err();
    assert!(matches!(&large, messaging::SendError::TooLarge(why) if why.contains("message-size = 100")));
    let many = batch(&mut fixture, &["x"; MESSAGES_AT_MOST + 1]).unwrap_err();
    assert!(matches!(many, messaging::SendError::TooLarge(_)), "{many:?}");
    assert!(batch(&mut fixture, &[]).unwrap().is_empty());
    assert!(fixture.recorded().spans.is_empty());
    let idle = send(&mut Fixture::idle(&[]), "letters", "").unwrap_err();
    assert!(matches!(idle, messaging::SendError::Invalid(_)), "{idle:?}");
    let wit = include_str!("../../../../assets/wit/service.wit");
    assert!(wit.contains(&format!("Sends at most {MESSAGES_AT_MOST} messages")));
}

#[test]
fn a_full_partition_refuses_a_message_and_its_span_says_so() {
    let mut fixture = Fixture::serving();
    batch(&mut fixture, &["one", "two"]).unwrap();
    fixture.recorded();
    let full = send(&mut fixture, "letters", "three").unwrap_err();
    assert!(matches!(&full, messaging::SendError::Full(why) if why == "partition 0 is full"), "{full:?}");
    let spans = fixture.recorded().spans;
    assert_eq!(spans[0].attributes.get("error.type"), Some(&Value::Text("full".into())));
}

#[test]
fn a_message_that_is_not_waited_for_has_a_span_all_the_same() {
    let mut fixture = Fixture::serving();
    let local = fixture.state.local.get_mut();
    let (sending, _) = local.sending("letters", vec![letter("one")], Operation::Send).unwrap().unwrap();
    drop(sending);
    let spans = fixture.recorded().spans;
    assert_eq!(spans[0].attributes.get("error.type"), Some(&Value::Text("cancelled".into())));
}
