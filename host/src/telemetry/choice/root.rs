//! The root of a trace: its span without a parent, of several the first to begin; where there is none, the
//! first of its spans to begin.

use crate::model::Nanos;
use crate::telemetry::record::SpanRecord;

/// The root among some spans of a trace; none of no spans.
pub fn root_of<'a>(spans: impl Iterator<Item = &'a SpanRecord>) -> Option<&'a SpanRecord> {
    spans.min_by_key(|span| rank(span))
}

/// The least one is the root.
fn rank(span: &SpanRecord) -> (bool, Nanos) {
    (span.parent.is_some(), span.start)
}
