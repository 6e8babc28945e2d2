//! Which trace a request belongs to, and whether its spans are recorded.

use std::num::NonZeroU128;

use crate::clock::VIRTUAL_START;
use crate::context::{SpanContext, TraceFlags, TraceId};
use crate::guest::scope::Trace;
use crate::message::Request;
use crate::model::Nanos;
use crate::rng::{Key, Purpose};
use crate::telemetry::sampler::Sampler;

/// Begins traces, continues those of callers, and asks the sampler.
#[derive(Debug)]
pub(super) struct Tracing {
    /// [`Model::root`](crate::model::Model::root).
    root: u64,
    /// See [`trace_mask`].
    mask: u64,
    sampler: Sampler,
    /// Paths that get no spans.
    exclude: Vec<String>,
}

impl Tracing {
    pub const fn new(root: u64, mask: u64, sampler: Sampler, exclude: Vec<String>) -> Self {
        Self { root, mask, sampler, exclude }
    }

    /// Whether the request leaves no spans, nor what it calls.
    pub fn excludes(&self, request: &Request) -> bool {
        self.exclude.iter().any(|path| path == request.path())
    }

    /// The trace of request `number`: the caller's, or a new one.
    pub fn trace(&self, number: u64, parent: Option<SpanContext>, excluded: bool) -> Trace {
        let key = Key::new(self.root, Purpose::Trace).with(number);
        let new_id = || self.id_of(Key::new(self.root, Purpose::TraceId).with(number));
        let trace_id = parent.as_ref().map_or_else(new_id, |parent| parent.trace_id);
        let sampled = !excluded && self.sampler.decide(parent.as_ref(), trace_id);
        let (flags, incoming) = match parent {
            Some(SpanContext { flags, trace_state, .. }) => (flags.0 & TraceFlags::RANDOM, Some(trace_state)),
            None => (TraceFlags::RANDOM, None),
        };
        let trace_state = self.sampler.trace_state(incoming, trace_id, sampled);
        let flags = TraceFlags(flags | if sampled { TraceFlags::SAMPLED } else { 0 });
        Trace { trace_id, flags, trace_state, recording: sampled, key }
    }

    /// Makes of this trace a new one, without a parent: its callee did not get the context. `key` names its
    /// id. What is drawn for the request stays, so that nothing else changes.
    pub fn restart(&self, trace: &mut Trace, key: Key, request: &Request) {
        trace.trace_id = self.id_of(key);
        trace.recording = !self.excludes(request) && self.sampler.decide(None, trace.trace_id);
        trace.trace_state = self.sampler.trace_state(None, trace.trace_id, trace.recording);
        let sampled = if trace.recording { TraceFlags::SAMPLED } else { 0 };
        trace.flags = TraceFlags(TraceFlags::RANDOM | sampled);
    }

    fn id_of(&self, key: Key) -> TraceId {
        let upper = key.with(0).draw() ^ self.mask;
        let id = u128::from(upper) << 64 | u128::from(key.with(1).draw());
        TraceId(NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN))
    }
}

/// Tells the trace ids of runs apart that begin at different instants, in
/// nanoseconds since the Unix epoch: a backend must not take two runs for one.
/// It goes over the upper half of each id by exclusive or; samplers look at the
/// lower half, so that every run of a seed keeps the same traces. A run that
/// begins at [`VIRTUAL_START`] has no mask.
pub fn trace_mask(start: Nanos) -> u64 {
    let drawn = |start| Key::new(start, Purpose::TraceId).draw();
    drawn(start) ^ drawn(VIRTUAL_START)
}
