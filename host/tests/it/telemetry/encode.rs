//! Records as OTLP messages.

use std::num::NonZeroU64;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::{self as AnyKind, StringValue};
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use proptest::prelude::*;
use prost::Message;
use simhost::context::{SpanId, TraceFlags};
use simhost::telemetry::encode::{Packing, requests};
use simhost::telemetry::record::KeyValue as Attribute;
use simhost::telemetry::record::{
    Attributes, Event as RecordEvent, Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint,
    Instrument, LogRecord, MetricRecord, Number, NumberPoint, Points, ResourceId, Scope, SpanRecord, Status,
    Summary, Temporality, Text, Value,
};

use crate::telemetry::message;
use crate::telemetry::records::{EPOCH, full_span, log, resources, span, span_id, trace_id};

const ALL: Packing = Packing { bytes: usize::MAX, records: usize::MAX };

fn packed(spans: &[SpanRecord], packing: Packing) -> Vec<ExportTraceServiceRequest> {
    let mut packed = Vec::new();
    requests(spans, &resources(), packing, |request, _| {
        packed.push(ExportTraceServiceRequest::decode(&request[..]).unwrap());
    });
    packed
}

fn attribute(key: &str, value: AnyKind) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn array(values: impl IntoIterator<Item = AnyKind>) -> AnyKind {
    let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
    AnyKind::ArrayValue(ArrayValue { values })
}

fn link(trace: u128, span: u64, trace_state: &str, flags: u32) -> Link {
    Link {
        trace_id: trace.to_be_bytes().to_vec(),
        span_id: span.to_be_bytes().to_vec(),
        trace_state: trace_state.to_owned(),
        flags,
        ..Link::default()
    }
}

#[test]
fn a_span_keeps_all_that_it_has() {
    let request = &packed(&[full_span()], ALL)[0];
    let expected = Span {
        trace_id: [vec![0; 15], vec![0xa0]].concat(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, 2],
        parent_span_id: vec![0, 0, 0, 0, 0, 0, 0, 1],
        trace_state: "vendor=1".to_owned(),
        flags: 0x303,
        name: "POST /stock/{item}/reserve".to_owned(),
        kind: 2,
        start_time_unix_nano: EPOCH + 2,
        end_time_unix_nano: EPOCH + 1_002,
        attributes: vec![
            attribute("http.request.method", StringValue("POST".to_owned())),
            attribute("retry", AnyKind::BoolValue(true)),
            attribute("quantity", AnyKind::IntValue(8)),
            attribute("price", AnyKind::DoubleValue(9.5)),
            attribute("tags", array(["a", "b"].map(|tag| StringValue(tag.to_owned())))),
            attribute("slots", array([1, 2].map(AnyKind::IntValue))),
        ],
        dropped_attributes_count: 3,
        events: vec![Event {
            time_unix_nano: EPOCH + 500,
            name: "exception".to_owned(),
            attributes: vec![attribute("exception.message", StringValue("out of stock".to_owned()))],
            dropped_attributes_count: 0,
        }],
        dropped_events_count: 2,
        links: vec![link(0xb0, 7, "vendor=2", 0x301), link(0xb1, 8, "", 0x300)],
        status: Some(opentelemetry_proto::tonic::trace::v1::Status {
            message: "out of stock".to_owned(),
            code: StatusCode::Error.into(),
        }),
        ..Span::default()
    };
    let resource = &request.resource_spans[0];
    assert_eq!(resource.scope_spans[0].spans, [expected]);
    assert_eq!(resource.schema_url, opentelemetry_semantic_conventions::SCHEMA_URL);
    let name = &resource.resource.as_ref().unwrap().attributes[0];
    assert_eq!(*name, attribute("service.name", StringValue("inventory-service".to_owned())));
    let scope = resource.scope_spans[0].scope.as_ref().unwrap();
    assert_eq!((scope.name.as_str(), scope.version.as_str()), ("simhost.bus", env!("CARGO_PKG_VERSION")));
}

#[test]
fn flags_say_whether_the_parent_is_remote() {
    let mut child = span(1);
    child.parent = Some(span(2).span_id);
    let request = &packed(&[child], ALL)[0];
    assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].flags, 0x101, "known, and not remote");
}

#[test]
fn a_log_record_names_its_span() {
    let mut packed = Vec::new();
    let left_out = requests(&[log("low on books")], &resources(), ALL, |request, count| {
        packed.push((ExportLogsServiceRequest::decode(&request[..]).unwrap(), count));
    });
    let [(request, 1)] = &packed[..] else { panic!("{packed:?}") };
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!(left_out, 0);
    assert_eq!((record.severity_number, record.severity_text.as_str()), (13, "WARN"));
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (EPOCH + 7, EPOCH + 7));
    assert_eq!((record.trace_id.len(), record.span_id.len(), record.flags), (16, 8, 1));
    assert_eq!(record.body.as_ref().unwrap().value, Some(StringValue("low on books".to_owned())));
}

#[test]
fn spans_are_grouped_by_resource_and_scope_and_keep_their_order() {
    let at = |number, resource, scope| SpanRecord { resource: ResourceId(resource), scope, ..span(number) };
    let spans = [
        at(1, 1, Scope::Guest),
        at(2, 0, Scope::Bus),
        at(3, 1, Scope::Bus),
        at(4, 1, Scope::Guest),
        at(5, 0, Scope::Bus),
    ];
    let requests = packed(&spans, ALL);
    let groups: Vec<Vec<(&str, Vec<u8>)>> = requests[0]
        .resource_spans
        .iter()
        .map(|resource| {
            let scopes = resource.scope_spans.iter();
            let ids = |spans: &[Span]| spans.iter().map(|span| span.span_id[7]).collect();
            scopes.map(|scope| (scope.scope.as_ref().unwrap().name.as_str(), ids(&scope.spans))).collect()
        })
        .collect();
    let bus = |ids| ("simhost.bus", ids);
    assert_eq!(groups, [vec![bus(vec![2, 5])], vec![bus(vec![3]), ("simhost.guest", vec![1, 4])]]);
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        ".{0,200}".prop_map(|text: String| Value::Text(text.into())),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        prop::num::f64::NORMAL.prop_map(Value::Float),
        prop::collection::vec(".{0,5}", 0..4).prop_map(Value::Texts),
        prop::collection::vec(any::<i64>(), 0..4).prop_map(Value::Ints),
    ]
}

fn any_attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let attribute =
        ("[a-z.]{0,20}", any_value()).prop_map(|(key, value)| Attribute { key: key.into(), value });
    prop::collection::vec(attribute, 0..5)
}

prop_compose! {
    fn any_span()(
        attributes in any_attributes(),
        event_attributes in any_attributes(),
        name in ".{0,150}",
        status in prop_oneof![
            Just(Status::Unset),
            Just(Status::Ok),
            ".{0,9}".prop_map(|why: String| Status::Error(why.into())),
        ],
        (resource, guest, parent, remote_parent) in (0..2_u32, any::<bool>(), any::<u64>(), any::<bool>()),
        (flags, start, length) in (any::<u8>(), any::<u32>(), any::<u32>()),
        (dropped_attributes, dropped_events) in (any::<u32>(), 0..2_u32),
    ) -> SpanRecord {
        SpanRecord {
            resource: ResourceId(resource),
            scope: if guest { Scope::Guest } else { Scope::Bus },
            parent: NonZeroU64::new(parent).map(SpanId),
            remote_parent,
            flags: TraceFlags(flags),
            name: name.clone().into(),
            start: start.into(),
            end: u64::from(start) + u64::from(length),
            attributes: Attributes { own: attributes, ..full_span().attributes },
            events: vec![RecordEvent { name: name.into(), time: start.into(), attributes: event_attributes }],
            status,
            dropped_attributes,
            dropped_events,
            ..full_span()
        }
    }
}

prop_compose! {
    fn any_log()(
        attributes in any_attributes(),
        body in ".{0,150}",
        (resource, flags, spanless) in (0..2_u32, any::<u8>(), any::<bool>()),
        name in prop::option::of("[a-z.]{1,20}"),
    ) -> LogRecord {
        // The bus logs exceptions only, which have names.
        let scope = if name.is_some() { Scope::Bus } else { Scope::Guest };
        let event_name = name.map(Text::Owned);
        let mut log =
            LogRecord { attributes, resource: ResourceId(resource), scope, event_name, ..log(&body) };
        log.span = log.span.filter(|_| !spanless).map(|(trace, span, _)| (trace, span, TraceFlags(flags)));
        log
    }
}

fn any_number() -> impl Strategy<Value = Number> {
    prop_oneof![any::<i64>().prop_map(Number::Int), any::<f64>().prop_map(Number::Float)]
}

fn any_exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let exemplar =
        (any::<u64>(), any_number(), 1..=u128::MAX, 1..=u64::MAX).prop_map(|(time, value, trace, span)| {
            Exemplar { time, value, trace_id: trace_id(trace), span_id: span_id(span) }
        });
    prop::collection::vec(exemplar, 0..3)
}

fn any_summary() -> impl Strategy<Value = Summary> {
    let range = prop::option::of((any::<f64>(), any::<f64>()));
    (any::<u64>(), prop::option::of(any::<f64>()), range).prop_map(|(count, sum, range)| Summary {
        count,
        sum,
        range,
    })
}

prop_compose! {
    fn any_numbers()(
        points in prop::collection::vec((any_attributes(), any_number(), any_exemplars()), 0..4),
    ) -> Vec<NumberPoint> {
        let point = |(attributes, value, exemplars): (Vec<Attribute>, _, _)| {
            NumberPoint { attributes: attributes.into(), value, exemplars }
        };
        points.into_iter().map(point).collect()
    }
}

prop_compose! {
    fn any_histogram()(
        attributes in any_attributes(),
        summary in any_summary(),
        bounds in prop::collection::vec(any::<f64>(), 0..4),
        buckets in prop::collection::vec(any::<u64>(), 0..4),
        exemplars in any_exemplars(),
    ) -> HistogramPoint {
        HistogramPoint { attributes: attributes.into(), summary, bounds: bounds.into(), buckets, exemplars }
    }
}

fn any_buckets() -> impl Strategy<Value = ExponentialBuckets> {
    (any::<i32>(), prop::collection::vec(any::<u64>(), 0..4))
        .prop_map(|(offset, counts)| ExponentialBuckets { offset, counts })
}

prop_compose! {
    fn any_exponential()(
        attributes in any_attributes(),
        summary in any_summary(),
        (scale, zeros) in (any::<i32>(), any::<u64>()),
        (positive, negative) in (any_buckets(), any_buckets()),
        exemplars in any_exemplars(),
    ) -> ExponentialPoint {
        let attributes = attributes.into();
        ExponentialPoint { attributes, summary, scale, zeros, positive, negative, exemplars }
    }
}

fn any_points() -> impl Strategy<Value = Points> {
    let temporality = || prop_oneof![Just(Temporality::Delta), Just(Temporality::Cumulative)];
    prop_oneof![
        any_numbers().prop_map(Points::Gauge),
        (any_numbers(), any::<bool>(), temporality()).prop_map(|(points, is_monotonic, temporality)| {
            Points::Sum { points, is_monotonic, temporality }
        }),
        (prop::collection::vec(any_histogram(), 0..4), temporality())
            .prop_map(|(points, temporality)| Points::Histogram { points, temporality }),
        (prop::collection::vec(any_exponential(), 0..4), temporality())
            .prop_map(|(points, temporality)| Points::ExponentialHistogram { points, temporality }),
    ]
}

prop_compose! {
    fn any_metric()(
        points in any_points(),
        (name, unit, description) in (".{0,300}", ".{0,9}", ".{0,150}"),
        (resource, guest, start, time) in (0..2_u32, any::<bool>(), any::<u64>(), any::<u64>()),
    ) -> MetricRecord {
        let texts = Instrument { name: name.into(), unit: unit.into(), description: description.into() };
        MetricRecord {
            resource: ResourceId(resource),
            scope: if guest { Scope::Guest } else { Scope::Bus },
            instrument: Arc::new(texts),
            start,
            time,
            points,
        }
    }
}

proptest! {
    /// The bytes are those that prost makes of the same records.
    #[test]
    fn the_bytes_are_those_of_the_generated_messages(
        spans in prop::collection::vec(any_span(), 1..8),
        some_logs in prop::collection::vec(any_log(), 1..8),
        some_metrics in prop::collection::vec(any_metric(), 1..8),
    ) {
        let resources = resources();
        let mut written = Vec::new();
        requests(&spans, &resources, ALL, |request, _| written.push(request));
        requests(&some_logs, &resources, ALL, |request, _| written.push(request));
        let traces = message::traces(&spans, &resources).encode_to_vec();
        requests(&some_metrics, &resources, ALL, |request, _| written.push(request));
        let logs = message::logs(&some_logs, &resources).encode_to_vec();
        let metrics = message::metrics(&some_metrics, &resources).encode_to_vec();
        prop_assert_eq!(written, [traces, logs, metrics]);
    }

    /// Whatever the records, no request is larger than it may be, and all arrive.
    #[test]
    fn requests_stay_within_their_bounds(
        shape in prop::collection::vec((0..2_u32, any::<bool>(), 0..400_usize), 0..60),
        bytes in 700..3_000_usize,
        records in 1..20_usize,
    ) {
        let spans: Vec<_> = (1..).zip(&shape).map(|(number, (resource, guest, length))| SpanRecord {
            resource: ResourceId(*resource),
            scope: if *guest { Scope::Guest } else { Scope::Bus },
            name: "n".repeat(*length).into(),
            ..span(number)
        }).collect();
        let (mut sent, mut sizes) = (0, Vec::new());
        let left_out = requests(&spans, &resources(), Packing { bytes, records }, |request, count| {
            sizes.push((request.len(), count));
            let request = ExportTraceServiceRequest::decode(&request[..]).unwrap();
            let inside: usize = request.resource_spans.iter()
                .flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum();
            assert_eq!(inside, count);
            sent += count;
        });
        prop_assert_eq!(sent + left_out, spans.len());
        prop_assert!(sizes.iter().all(|(size, count)| *size <= bytes && *count <= records), "{:?}", sizes);
        if bytes > 900 {
            prop_assert_eq!(left_out, 0);
        }
    }
}
