//! Traces: how spans are encoded, what they weigh, and where they go.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::{DecodeError, Message};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::{Batch, PartialSuccess, Record, Signal, Spec};
use crate::telemetry::encode::Encode;
use crate::telemetry::encode::json::{AttributeList, Pair, Shown, above_zero, entry};
use crate::telemetry::encode::wire::{Base, Part, Sink};
use crate::telemetry::record::{Event, ResourceId, Scope, SpanLink, SpanRecord, Status};
use crate::telemetry::weight;

impl Record for SpanRecord {
    const SIGNAL: Signal = Signal::Traces;
    const SPEC: Spec = Spec {
        noun: "span",
        variable: "TRACES",
        path: "v1/traces",
        method: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        items: |_| 1,
        answer,
    };

    fn weight(&self) -> usize {
        let status = match &self.status {
            Status::Error(text) => text.weight(),
            Status::Unset | Status::Ok => 0,
        };
        let events = self.events.iter().map(Event::weight).sum::<usize>();
        let links = size_of_val(&*self.links);
        size_of::<Self>() + self.name.weight() + weight::sum(&self.attributes.own) + events + links + status
    }

    fn list(batch: &Batch) -> &Vec<Self> {
        &batch.spans
    }

    fn list_mut(batch: &mut Batch) -> &mut Vec<Self> {
        &mut batch.spans
    }
}

fn answer(answer: Bytes) -> Result<PartialSuccess, DecodeError> {
    let partial = ExportTraceServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok(PartialSuccess { rejected: partial.rejected_spans, message: partial.error_message })
}

/// `Span`.
impl Encode for SpanRecord {
    const LISTS: [&'static str; 3] = ["resourceSpans", "scopeSpans", "spans"];

    fn origin(&self) -> (ResourceId, Scope) {
        (self.resource, self.scope)
    }

    fn items(&self) -> usize {
        1
    }

    fn put(&self, base: Base, out: &mut impl Sink) {
        out.bytes_always(1, &base.trace_id(self.trace_id));
        out.bytes_always(2, &self.span_id.0.get().to_be_bytes());
        out.text(3, self.trace_state.as_deref().unwrap_or_default());
        if let Some(parent) = self.parent {
            out.bytes_always(4, &parent.0.get().to_be_bytes());
        }
        out.text(5, &self.name);
        // The numbers of `SpanKind` are those of the protocol.
        out.varint(6, self.kind as u64);
        out.fixed64(7, base.time(self.start));
        out.fixed64(8, base.time(self.end));
        self.attributes.iter().for_each(|attribute| out.part(9, attribute));
        out.varint(10, self.dropped_attributes.into());
        self.events.iter().for_each(|event| out.part(11, &BasedEvent { event, base }));
        out.varint(12, self.dropped_events.into());
        self.links.iter().for_each(|link| out.part(13, &BasedLink { link, base }));
        out.part(15, &self.status);
        out.fixed32_always(16, self.otlp_flags());
    }

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("traceId", &Shown(format_args!("{:032x}", self.trace_id.0)))?;
        map.serialize_entry("spanId", &Shown(format_args!("{:016x}", self.span_id.0)))?;
        entry(map, "traceState", self.trace_state.as_deref().filter(|state| !state.is_empty()))?;
        if let Some(parent) = self.parent {
            map.serialize_entry("parentSpanId", &Shown(format_args!("{:016x}", parent.0)))?;
        }
        map.serialize_entry("flags", &self.otlp_flags())?;
        map.serialize_entry("name", &*self.name)?;
        // The numbers of `SpanKind` are those of the protocol.
        map.serialize_entry("kind", &(self.kind as u8))?;
        map.serialize_entry("startTimeUnixNano", &Shown(format_args!("{}", self.start)))?;
        map.serialize_entry("endTimeUnixNano", &Shown(format_args!("{}", self.end)))?;
        if !self.attributes.is_empty() {
            map.serialize_entry("attributes", &Chained(self))?;
        }
        entry(map, "droppedAttributesCount", above_zero(self.dropped_attributes))?;
        entry(map, "events", Some(&self.events).filter(|events| !events.is_empty()))?;
        entry(map, "droppedEventsCount", above_zero(self.dropped_events))?;
        entry(map, "links", Some(&self.links).filter(|links| !links.is_empty()))?;
        match &self.status {
            Status::Unset => Ok(()),
            status => map.serialize_entry("status", &StatusFields(status)),
        }
    }
}

/// An event as seen from a base.
struct BasedEvent<'a> {
    event: &'a Event,
    base: Base,
}

/// `Span.Event`.
impl Part for BasedEvent<'_> {
    fn put(&self, out: &mut impl Sink) {
        out.fixed64(1, self.base.time(self.event.time));
        out.text(2, &self.event.name);
        self.event.attributes.iter().for_each(|attribute| out.part(3, attribute));
    }
}

/// A link as seen from a base.
struct BasedLink<'a> {
    link: &'a SpanLink,
    base: Base,
}

/// `Span.Link`.
impl Part for BasedLink<'_> {
    fn put(&self, out: &mut impl Sink) {
        out.bytes_always(1, &self.base.trace_id(self.link.trace_id));
        out.bytes_always(2, &self.link.span_id.0.get().to_be_bytes());
        out.text(3, self.link.trace_state.as_deref().unwrap_or_default());
        out.fixed32_always(6, self.link.otlp_flags());
    }
}

/// `Status`.
impl Part for Status {
    fn put(&self, out: &mut impl Sink) {
        let (message, code) = match self {
            Self::Unset => ("", StatusCode::Unset),
            Self::Ok => ("", StatusCode::Ok),
            Self::Error(message) => (&**message, StatusCode::Error),
        };
        out.text(2, message);
        out.varint(3, code as u64);
    }
}

struct StatusFields<'a>(&'a Status);

impl Serialize for StatusFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The numbers of `StatusCode`.
        let (code, message) = match self.0 {
            Status::Unset => (0, ""),
            Status::Ok => (1, ""),
            Status::Error(message) => (2, &**message),
        };
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "message", Some(message).filter(|message| !message.is_empty()))?;
        map.serialize_entry("code", &code)?;
        map.end()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timeUnixNano", &Shown(format_args!("{}", self.time)))?;
        map.serialize_entry("name", &*self.name)?;
        map.serialize_entry("attributes", &AttributeList(&self.attributes))?;
        // Of an event, readers made of `opentelemetry-proto` (Rust) want every field.
        map.serialize_entry("droppedAttributesCount", &0)?;
        map.end()
    }
}

impl Serialize for SpanLink {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("traceId", &Shown(format_args!("{:032x}", self.trace_id.0)))?;
        map.serialize_entry("spanId", &Shown(format_args!("{:016x}", self.span_id.0)))?;
        // Of a link, readers made of `opentelemetry-proto` (Rust) want every field.
        map.serialize_entry("traceState", self.trace_state.as_deref().unwrap_or_default())?;
        map.serialize_entry("attributes", &AttributeList(&[]))?;
        map.serialize_entry("droppedAttributesCount", &0)?;
        map.serialize_entry("flags", &self.otlp_flags())?;
        map.end()
    }
}

/// The attributes of a span.
struct Chained<'a>(&'a SpanRecord);

impl Serialize for Chained<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.attributes.len()))?;
        self.0.attributes.iter().try_for_each(|attribute| list.serialize_element(&Pair(attribute)))?;
        list.end()
    }
}
