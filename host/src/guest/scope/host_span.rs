//! Spans that the host records for what a guest asks of it.

use crate::context::SpanId;
use crate::metrics::Origin;
use crate::model::Nanos;
use crate::telemetry::record::{Attributes, ResourceId, SpanKind, SpanRecord, Text};

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
        trace.recording.then(|| Box::new(trace.span((parent, id), resource, (kind, name), attributes, start)))
    }

    /// Where what is measured of the span `id` comes from, at `time`.
    pub const fn origin(&self, id: SpanId, time: Nanos) -> Origin {
        let trace = &self.trace;
        Origin { trace_id: trace.trace_id, span_id: id, is_sampled: trace.recording, time }
    }
}
