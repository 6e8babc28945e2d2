//! What the spans of a request or a job belong to.

use std::fmt;
use std::sync::Arc;

use crate::context::probability::with_threshold;
use crate::context::{SpanId, TraceFlags, TraceId};
use crate::model::Nanos;
use crate::rng::{Key, Purpose};
use crate::telemetry::record::{Attributes, ResourceId, Scope, SpanKind, SpanRecord, Status, Text};

/// What all spans of a trace have in common within one process.
#[derive(Clone, Debug)]
pub struct Trace {
    pub trace_id: TraceId,
    pub flags: TraceFlags,
    pub trace_state: Option<Arc<str>>,
    /// Whether spans are kept: sampled, and not on an excluded path.
    pub recording: bool,
    /// Names the trace's streams: made of the seed and the trace's number.
    pub key: Key,
}

impl Trace {
    /// The key of what chance decides around `span`. It is made of the seed, not
    /// of the trace id, which may be a client's.
    pub const fn chance(&self, purpose: Purpose, span: SpanId) -> Key {
        self.key.with(purpose as u64).with(span.0.get())
    }

    /// A span that begins at `start` and has ended there, until who keeps it says otherwise. The parent of a
    /// SERVER or a CONSUMER span is in another process.
    pub fn span(
        &self,
        (parent, id): (Option<SpanId>, SpanId),
        resource: ResourceId,
        (kind, name): (SpanKind, Text),
        attributes: Attributes,
        start: Nanos,
    ) -> SpanRecord {
        SpanRecord {
            trace_id: self.trace_id,
            span_id: id,
            parent,
            remote_parent: matches!(kind, SpanKind::Server | SpanKind::Consumer) && parent.is_some(),
            flags: self.flags,
            trace_state: self.trace_state.clone(),
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
        }
    }

    /// From here on nothing is kept, and nothing says by which threshold.
    pub fn stop_recording(&mut self) {
        self.recording = false;
        self.trace_state = with_threshold(self.trace_state.take(), None);
        self.flags = TraceFlags(self.flags.0 & !TraceFlags::SAMPLED);
    }

    /// The id of a child span. It follows from the parent and the child's number
    /// alone: a slower sibling or another fault does not change it.
    pub fn child_id(&self, parent: Option<SpanId>, ordinal: u32) -> SpanId {
        let parent = parent.map_or(0, |parent| parent.0.get());
        let key = self.key.with(Purpose::SpanId as u64).with(parent).with(u64::from(ordinal));
        let id = std::num::NonZeroU64::new(key.draw()).unwrap_or(std::num::NonZeroU64::MIN);
        SpanId(id)
    }
}

/// Begins the traces of a job, which no request has brought: each span that its guest begins while it has
/// none open is the root of one.
pub struct Roots {
    begin: Box<dyn Fn(u64) -> Trace>,
    /// Traces that were begun.
    begun: u64,
}

impl Roots {
    /// `begin` gives a trace by its number among those of the job, from 0.
    pub fn new(begin: impl Fn(u64) -> Trace + 'static) -> Self {
        Self { begin: Box::new(begin), begun: 0 }
    }

    /// Another trace.
    pub(super) fn next(&mut self) -> Trace {
        let trace = (self.begin)(self.begun);
        self.begun += 1;
        trace
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("begun", &self.begun).finish_non_exhaustive()
    }
}
