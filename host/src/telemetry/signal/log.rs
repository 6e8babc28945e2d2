//! Logs: how log records are encoded, what they weigh, and where they go.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::{DecodeError, Message};
use serde::ser::SerializeMap;

use super::{Batch, PartialSuccess, Record, Signal, Spec};
use crate::telemetry::encode::Encode;
use crate::telemetry::encode::json::{AttributeList, Body, Shown, above_zero, entry};
use crate::telemetry::encode::wire::{Base, Sink, TextValue};
use crate::telemetry::record::{LogRecord, ResourceId, Scope, Text};
use crate::telemetry::weight;

impl Record for LogRecord {
    const SIGNAL: Signal = Signal::Logs;
    const SPEC: Spec = Spec {
        noun: "log record",
        variable: "LOGS",
        path: "v1/logs",
        method: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        items: |_| 1,
        answer,
    };

    fn weight(&self) -> usize {
        let name = self.event_name.as_ref().map_or(0, Text::weight);
        size_of::<Self>() + self.body.weight() + name + weight::sum(&self.attributes)
    }

    fn list(batch: &Batch) -> &Vec<Self> {
        &batch.logs
    }

    fn list_mut(batch: &mut Batch) -> &mut Vec<Self> {
        &mut batch.logs
    }
}

fn answer(answer: Bytes) -> Result<PartialSuccess, DecodeError> {
    let partial = ExportLogsServiceResponse::decode(answer)?.partial_success.unwrap_or_default();
    Ok(PartialSuccess { rejected: partial.rejected_log_records, message: partial.error_message })
}

/// `LogRecord`.
impl Encode for LogRecord {
    const LISTS: [&'static str; 3] = ["resourceLogs", "scopeLogs", "logRecords"];

    fn origin(&self) -> (ResourceId, Scope) {
        (self.resource, self.scope)
    }

    fn items(&self) -> usize {
        1
    }

    fn put(&self, base: Base, out: &mut impl Sink) {
        out.fixed64(1, base.time(self.time));
        // The numbers of `Severity` are those of the protocol.
        out.varint(2, self.severity as u64);
        out.text(3, self.severity.text());
        out.part(5, &TextValue(&self.body));
        self.attributes.iter().for_each(|attribute| out.part(6, attribute));
        if let Some((trace_id, span_id, flags)) = self.span {
            if flags.0 != 0 {
                out.fixed32_always(8, flags.0.into());
            }
            out.bytes_always(9, &base.trace_id(trace_id));
            out.bytes_always(10, &span_id.0.get().to_be_bytes());
        }
        // The host sees a line at the instant at which the guest writes it.
        out.fixed64(11, base.time(self.time));
        if let Some(name) = &self.event_name {
            out.text(12, name);
        }
    }

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let time = format!("{}", self.time);
        map.serialize_entry("timeUnixNano", &time)?;
        // The host sees a line at the instant at which the guest writes it.
        map.serialize_entry("observedTimeUnixNano", &time)?;
        // The numbers of `Severity` are those of the protocol.
        map.serialize_entry("severityNumber", &(self.severity as u8))?;
        map.serialize_entry("severityText", self.severity.text())?;
        map.serialize_entry("body", &Body(&self.body))?;
        entry(map, "attributes", Some(AttributeList(&self.attributes)).filter(|all| !all.0.is_empty()))?;
        if let Some((trace_id, span_id, flags)) = self.span {
            entry(map, "flags", above_zero(u32::from(flags.0)))?;
            map.serialize_entry("traceId", &Shown(format_args!("{:032x}", trace_id.0)))?;
            map.serialize_entry("spanId", &Shown(format_args!("{:016x}", span_id.0)))?;
        }
        entry(map, "eventName", self.event_name.as_deref())
    }
}
