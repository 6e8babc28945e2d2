//! The digest: moved by whatever is recorded, and by nothing else.

use std::num::NonZeroU128;

use opentelemetry_proto::tonic as proto;
use prost::Message;
use sha2::{Digest as _, Sha256};
use simhost::context::TraceId;
use simhost::telemetry::digest::{BUILD, Digest, VERSION};
use simhost::telemetry::memory::Memory;
use simhost::telemetry::pipeline::{Batching, Pace, Pipeline};
use simhost::telemetry::record::{KeyValue, Resource, ResourceId, Scope, Severity, Status, Value};

use crate::telemetry::message;
use crate::telemetry::records::{EPOCH, full_span, log, resources, span};
use crate::telemetry::sending::LONG;
use simhost::telemetry::signal::Batch;

fn batch() -> Batch {
    Batch {
        spans: vec![span(1), full_span(), span(3)],
        logs: vec![log("one"), log("two")],
        ..Batch::default()
    }
}

fn of(batches: &[Batch], resources: &[Resource]) -> String {
    let mut digest = Digest::new(EPOCH, 0);
    batches.iter().for_each(|batch| digest.take(batch, resources));
    digest.finish()
}

#[test]
fn the_digest_is_pinned_so_that_it_can_be_compared_across_releases() {
    let digest = of(&[batch()], &resources());
    assert_eq!(digest, "08f5809acfdb656315332b44bfafaaa53f92ce06d9b728c2954890600a476f2d");
    let mut without_links = batch();
    without_links.spans.iter_mut().for_each(|span| span.links = Box::default());
    let digest = of(&[without_links], &resources());
    assert_eq!(digest, "a83da53a2c00a68e3b20f6451d4912f6215b10583ebdcc58f9090d2b00ed7a97");
}

#[test]
fn how_records_are_batched_makes_no_difference() {
    let whole = of(&[batch()], &resources());
    let Batch { spans, logs, .. } = batch();
    let logs_first = [Batch::from(logs.clone()), Batch::from(spans)];
    assert_eq!(of(&logs_first, &resources()), whole);
    let one_by_one = |batch: Batch| {
        let spans = batch.spans.into_iter().map(|span| Batch::from(vec![span]));
        let logs = batch.logs.into_iter().map(|log| Batch::from(vec![log]));
        spans.chain(logs).collect::<Vec<_>>()
    };
    assert_eq!(of(&one_by_one(batch()), &resources()), whole);
}

#[test]
fn when_the_run_began_makes_no_difference() {
    let (later, mask) = (86_400_000_000_000, 0x0123_4567_89ab_cdef_u64);
    let moved = |id: TraceId| TraceId(NonZeroU128::new(id.0.get() ^ u128::from(mask) << 64).unwrap());
    let mut batch = batch();
    for span in &mut batch.spans {
        span.trace_id = moved(span.trace_id);
        span.start += later;
        span.end += later;
        span.events.iter_mut().for_each(|event| event.time += later);
        span.links.iter_mut().for_each(|link| link.trace_id = moved(link.trace_id));
    }
    for log in &mut batch.logs {
        log.time += later;
        log.span = log.span.map(|(trace, span, flags)| (moved(trace), span, flags));
    }
    let mut digest = Digest::new(EPOCH + later, mask);
    digest.take(&batch, &resources());
    assert_eq!(digest.finish(), of(&[self::batch()], &resources()));
    assert_ne!(of(&[batch], &resources()), of(&[self::batch()], &resources()));
}

#[test]
fn a_resource_without_records_makes_no_difference_wherever_it_stands() {
    let resources = resources();
    let idle = Resource { service: "idle".into(), attributes: vec![KeyValue::new("service.name", "idle")] };
    let more = [idle.clone(), resources[0].clone(), idle, resources[1].clone()];
    let mut batch = batch();
    let moved = |id: &mut ResourceId| id.0 = id.0 * 2 + 1;
    batch.spans.iter_mut().for_each(|span| moved(&mut span.resource));
    batch.logs.iter_mut().for_each(|log| moved(&mut log.resource));
    assert_eq!(of(&[batch], &more), of(&[self::batch()], &resources));
}

#[test]
fn whatever_a_record_says_moves_the_digest() {
    let changes: [fn(&mut Batch); 17] = [
        |batch| batch.spans.swap(0, 2),
        |batch| batch.logs.swap(0, 1),
        |batch| drop(batch.spans.pop()),
        |batch| drop(batch.logs.pop()),
        |batch| batch.spans[1].trace_id = TraceId(NonZeroU128::MIN),
        |batch| batch.spans[1].parent = None,
        |batch| batch.spans[1].remote_parent = false,
        |batch| batch.spans[1].trace_state = None,
        |batch| batch.spans[1].resource = ResourceId(0),
        |batch| batch.spans[1].scope = Scope::Guest,
        |batch| batch.spans[1].name = "GET".into(),
        |batch| batch.spans[1].end += 1,
        |batch| batch.spans[1].attributes.own[1].value = Value::Float(f64::from_bits(9.5_f64.to_bits() + 1)),
        |batch| batch.spans[1].events[0].time += 1,
        |batch| batch.spans[1].status = Status::Error("sold out".into()),
        |batch| batch.logs[0].severity = Severity::Error,
        |batch| batch.logs[0].span = None,
    ];
    let mut digests = vec![of(&[batch()], &resources())];
    for change in changes {
        let mut batch = batch();
        change(&mut batch);
        digests.push(of(&[batch], &resources()));
    }
    let mut other: Vec<_> = resources().to_vec();
    other[1].attributes.push(KeyValue::new("service.version", "another"));
    digests.push(of(&[batch()], &other));
    let all = digests.len();
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), all, "each change has a digest of its own");
}

#[test]
fn which_build_ran_has_no_part_in_the_digest() {
    let built = |build: &'static str| {
        let mut resources = resources().to_vec();
        for resource in &mut resources {
            resource.attributes.extend(BUILD.map(|key| KeyValue::new(key, build)));
        }
        of(&[batch()], &resources)
    };
    assert_eq!(built("one"), of(&[batch()], &resources()));
    assert_eq!(built("other"), of(&[batch()], &resources()));
}

#[test]
fn attributes_that_routes_or_peers_share_count_like_a_span_s_own() {
    let expected = of(&[batch()], &resources());
    let mut own = batch();
    let span = &mut own.spans[1].attributes;
    span.own = span.iter().cloned().collect();
    let shared = span.shared.take().expect("some are shared");
    assert_eq!(of(&[own], &resources()), expected);
    let mut of_peer = batch();
    let span = &mut of_peer.spans[1].attributes;
    let first: Vec<_> = span.own.drain(..2).collect();
    span.peer = Some(first.into());
    assert_eq!(
        (span.shared.as_ref().map(|list| list.len()), span.len()),
        (Some(shared.len()), shared.len() + 4)
    );
    assert_eq!(of(&[of_peer], &resources()), expected);
}

#[test]
fn the_pipeline_takes_the_digest_of_all_it_is_given_with_and_without_exporters() {
    let through = |exporters| {
        let digest = Some(Digest::new(EPOCH, 0));
        let batching = Batching { batch: 2, ..Batching::default() };
        let started = Pipeline::start(resources(), exporters, digest, Pace::Virtual, batching);
        let (handoff, pipeline) = started.unwrap();
        handoff.send(batch());
        handoff.send(Batch::from(vec![span(4)]));
        assert_eq!(pipeline.live().digest, None, "it is not over yet");
        pipeline.shutdown(LONG).digest
    };
    let (memory, _kept) = Memory::new();
    let expected = of(&[batch(), Batch::from(vec![span(4)])], &resources());
    assert_eq!(through(Vec::new()), Some(expected.clone()));
    assert_eq!(through(vec![Box::new(memory)]), Some(expected));
}

/// The form that the module's documentation promises, put together from the
/// messages of `opentelemetry-proto`.
#[test]
fn the_digest_is_what_its_documentation_says() {
    let batch = batch();
    let spans = message::traces(&batch.spans, &resources()).resource_spans;
    let [of_orders, of_inventory] = &spans[..] else { panic!("two resources: {spans:?}") };
    let [server] = &of_inventory.scope_spans[0].spans[..] else { panic!("one span") };
    let [first, last] = &of_orders.scope_spans[0].spans[..] else { panic!("two spans") };
    let relative = |span: &proto::trace::v1::Span| {
        let mut span = span.clone();
        span.start_time_unix_nano -= EPOCH;
        span.end_time_unix_nano -= EPOCH;
        span.events.iter_mut().for_each(|event| event.time_unix_nano -= EPOCH);
        span.encode_to_vec()
    };
    let (orders, inventory) = (of_orders.resource.as_ref(), of_inventory.resource.as_ref());
    let mut text = Vec::new();
    entry(&mut text, orders, 0, "simhost.bus", &relative(first));
    entry(&mut text, inventory, 1, "simhost.bus", &relative(server));
    entry(&mut text, None, 0, "simhost.bus", &relative(last));
    let spans = Sha256::digest(&text);

    let logs = message::logs(&batch.logs, &resources()).resource_logs;
    let mut text = Vec::new();
    for (at, log) in logs[0].scope_logs[0].log_records.iter().enumerate() {
        let mut log = log.clone();
        log.time_unix_nano -= EPOCH;
        log.observed_time_unix_nano -= EPOCH;
        let resource = logs[0].resource.as_ref().filter(|_| at == 0);
        entry(&mut text, resource, 0, "simhost.guest", &log.encode_to_vec());
    }
    let logs = Sha256::digest(&text);
    let whole = Sha256::digest([VERSION.as_bytes(), &spans, &logs].concat());
    let whole: String = whole.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(of(&[batch], &resources()), whole);
}

fn entry(
    text: &mut Vec<u8>,
    resource: Option<&proto::resource::v1::Resource>,
    number: u64,
    scope: &str,
    record: &[u8],
) {
    let mut entry = Vec::new();
    if let Some(resource) = resource {
        prost::encoding::message::encode(1, resource, &mut entry);
    }
    prost::encoding::uint64::encode(2, &number, &mut entry);
    prost::encoding::string::encode(3, &scope.to_owned(), &mut entry);
    prost::encoding::bytes::encode(4, &record.to_vec(), &mut entry);
    prost::encoding::encode_varint(entry.len() as u64, text);
    text.extend(entry);
}
