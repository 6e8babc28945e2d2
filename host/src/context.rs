//! Who a span is: W3C Trace Context and Baggage.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

/// The id that all spans of a trace share: 16 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub NonZeroU128);

/// The id of a span within its trace: 8 bytes, not all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub NonZeroU64);

/// The `trace-flags` of a context, as they go over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(pub u8);

impl TraceFlags {
    /// The caller may have recorded this trace.
    pub const SAMPLED: u8 = 0x01;
    /// At least the right-most 7 bytes of the trace id are random (Level 2).
    pub const RANDOM: u8 = 0x02;

    pub const fn sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }
}

/// A span's context: what travels in `traceparent` and `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanContext {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub flags: TraceFlags,
    /// The value of `tracestate`, valid and within its limits; none when empty.
    pub trace_state: Option<Arc<str>>,
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// TEMP
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage;
impl Baggage {
    pub fn get(&self, _: &str) -> Option<&str> { None }
    pub fn with(&self, _: &str, _: &str) -> Self { Self }
}
pub struct Incoming { pub parent: Option<SpanContext>, pub baggage: Baggage }
pub fn extract(_: &crate::message::Headers) -> Incoming { Incoming { parent: None, baggage: Baggage } }
pub fn inject(_: &SpanContext, _: &Baggage, _: &mut crate::message::Headers) {}
