//! Spans that the host records for what a guest asks of it.

use crate::context::SpanId;
use crate::metrics::Origin;
use crate::model::Nanos;
use crate::telemetry::record::{Attributes, ResourceId, Scope, SpanKind, SpanRecord, Status, Text};

use super::RequestScope;

impl RequestScope {
    /// The span `id` that begins at `start`, to be ended by whoever has it; none where the trace is not kept.
    pub fn begin_span(
        &self,
        (parent, id): (Option<SpanId>, SpanId),
        resource: ResourceId,
        (kind, name): (SpanKind, Text),
        attributes: Attributes,
        start: Nanos,
    ) -> Option<Box<SpanRecord>> {
        let trace = &self.trace;
        trace.recording.then(|| {
            Box::new(SpanRecord {
                trace_id: trace.trace_id,
                span_id: id,
                parent,
                remote_parent: false,
                flags: trace.flags,
                trace_state: trace.trace_state.clone(),
                resource,
                scope: Scope::Bus,
                kind,
                name,
                start,
                end: start,
                attributes,
                events: Vec::new(),
                links: Box::default(),
                status: Status::Unset,
                dropped_attributes: 0,
                dropped_events: 0,
            })
        })
    }

    /// Where what is measured of the span `id` comes from, at `time`.
    pub const fn origin(&self, id: SpanId, time: Nanos) -> Origin {
        let trace = &self.trace;
        Origin { trace_id: trace.trace_id, span_id: id, is_sampled: trace.recording, time }
    }
}
