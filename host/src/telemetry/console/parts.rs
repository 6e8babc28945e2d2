//! The parts of a trace of which all records are there: the same for one of a file and for one that a run has
//! held until it was wanted.

use super::assemble::{Assembler, Missed, Piece, Trace};
use crate::telemetry::record::SpanKind;
use crate::telemetry::signal::Batch;

/// The trace in the parts in which it would have been drawn as its spans ended, and what is in none of them.
pub fn parts(trace: Trace) -> (Vec<Piece>, Missed) {
    let Trace { id, spans, logs, lost_spans, lost_logs, .. } = trace;
    let mut batch = Batch { spans, logs, ..Batch::default() };
    // As they ended, parents behind their children: a server ends within its client's span.
    batch.spans.sort_by_key(|span| (span.end, span.parent.is_none(), span.kind == SpanKind::Client));
    batch.logs.sort_by_key(|log| log.time);
    let mut assembler = Assembler::default();
    assembler.lost(id, lost_spans, lost_logs);
    let mut pieces = assembler.add(&batch);
    let (rest, missed) = assembler.finish();
    pieces.extend(rest);
    (pieces, missed)
}
