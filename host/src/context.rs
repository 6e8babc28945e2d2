//! Who a span is: W3C Trace Context and Baggage.
//!
//! [`extract`] reads what a caller sent, [`inject`] writes what a callee gets.
//! Headers come from guests and from the network: whatever they say, [`extract`]
//! answers, and what it returns is valid and within its limits.

mod baggage;
pub mod probability;
mod traceparent;
mod tracestate;

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;
use std::sync::Arc;

pub use baggage::{Baggage, BaggageError, Member};

use crate::message::Headers;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// What a request says about where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The caller's span. None: a new trace begins here.
    pub parent: Option<SpanContext>,
    pub baggage: Baggage,
}

/// Reads the caller's context. Never fails: what is invalid is as good as absent.
pub fn extract(headers: &Headers) -> Incoming {
    let mut parents = headers.get_all(TRACEPARENT);
    let parent = match (parents.next(), parents.next()) {
        (Some(only), None) => only.parse::<SpanContext>().ok(),
        // Nothing says which of several is the caller: none is believed.
        _ => None,
    };
    // Trace Context Level 2, "Tracestate Header": it is not even read without a
    // valid `traceparent`, and takes nothing from one when it is invalid itself.
    let parent = parent.map(|parent| {
        let trace_state = tracestate::parse(headers.get_all(TRACESTATE));
        SpanContext { trace_state, ..parent }
    });
    // Baggage stands for itself: it needs no trace.
    Incoming { parent, baggage: Baggage::parse(headers.get_all(BAGGAGE)) }
}

/// Writes the context for a callee, in place of any that is there: a guest
/// that copies what it received to what it sends must not send two.
pub fn inject(context: &SpanContext, baggage: &Baggage, headers: &mut Headers) {
    strip(headers);
    headers.push(TRACEPARENT, context.traceparent());
    if let Some(trace_state) = &context.trace_state {
        headers.push(TRACESTATE, trace_state.as_ref());
    }
    if let Some(baggage) = baggage.header() {
        headers.push(BAGGAGE, baggage);
    }
}

/// Takes out what a guest has copied of the context that it received.
pub fn strip(headers: &mut Headers) {
    headers.0.retain(|(name, _)| !matches!(name.as_str(), TRACEPARENT | TRACESTATE | BAGGAGE));
}

/// Cuts `traceparent` off in its middle, as a proxy does that is short of room: nobody
/// can read it any more.
pub fn cut(headers: &mut Headers) {
    for value in values(headers, TRACEPARENT) {
        value.truncate(value.floor_char_boundary(value.len() / 2));
    }
}

/// Lets `traceparent` say that the trace is not sampled, and `tracestate` no threshold by which it would be.
pub fn unsample(headers: &mut Headers) {
    for value in values(headers, TRACEPARENT) {
        if let Ok(mut context) = value.parse::<SpanContext>() {
            context.unsample();
            *value = context.traceparent();
        }
    }
    let said = tracestate::parse(headers.get_all(TRACESTATE));
    let left = probability::with_threshold(said.clone(), None);
    if said != left {
        headers.remove(TRACESTATE);
        left.into_iter().for_each(|left| headers.push(TRACESTATE, left.as_ref()));
    }
}

fn values<'a>(headers: &'a mut Headers, name: &'a str) -> impl Iterator<Item = &'a mut String> {
    headers.0.iter_mut().filter(move |(key, _)| key == name).map(|(_, value)| value)
}

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

    /// The bits that mean something. The others travel as zero (Level 2, "Other Flags").
    pub const KNOWN: u8 = Self::SAMPLED | Self::RANDOM;

    pub const fn sampled(self) -> bool {
        self.0 & Self::SAMPLED != 0
    }

    pub const fn random(self) -> bool {
        self.0 & Self::RANDOM != 0
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

impl SpanContext {
    /// From here on the trace is not sampled, and nothing says by which threshold it was.
    pub fn unsample(&mut self) {
        self.flags = TraceFlags(self.flags.0 & !TraceFlags::SAMPLED);
        self.trace_state = probability::with_threshold(self.trace_state.take(), None);
    }

    /// The value of `traceparent`, in version 00.
    pub fn traceparent(&self) -> String {
        traceparent::format(self.trace_id, self.span_id, self.flags)
    }
}

/// A value of `traceparent` that the specification tells to ignore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no traceparent: expected 2, 32, 16 and 2 lower-case hex digits, no id all zeros")]
pub struct InvalidTraceparent;

/// Reads a value of `traceparent`, of version 00 or later.
impl FromStr for SpanContext {
    type Err = InvalidTraceparent;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let (trace_id, span_id, flags) = traceparent::parse(value).ok_or(InvalidTraceparent)?;
        Ok(Self { trace_id, span_id, flags, trace_state: None })
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 32];
        traceparent::write_hex(&mut text, &self.0.get().to_be_bytes());
        f.write_str(traceparent::ascii(&text))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 16];
        traceparent::write_hex(&mut text, &self.0.get().to_be_bytes());
        f.write_str(traceparent::ascii(&text))
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
