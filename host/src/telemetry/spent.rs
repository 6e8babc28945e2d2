//! The way back of records that nobody needs any more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::SpanRecord;

/// Spans that are on their way back, at most; what is more is freed where it is.
const ROOM: usize = 16_384;

/// Spans that are done with, for the thread that made them to free; where several
/// worlds have one pipeline, for whichever is first.
///
/// Memory that another thread frees is free, and yet dear to get: the allocator has to
/// fetch each block from that thread's list, out of its processor's cache. Whoever
/// shares an `Arc` with it fetches the counter likewise.
#[derive(Debug, Default)]
pub struct Spent(Mutex<Returned>);

#[derive(Debug, Default)]
struct Returned {
    pieces: Vec<Vec<SpanRecord>>,
    spans: usize,
}

impl Spent {
    /// Takes spans that are done with.
    pub fn take(&self, piece: Vec<SpanRecord>) {
        let mut returned = self.returned();
        if piece.is_empty() || returned.spans + piece.len() > ROOM {
            // Not while others wait for the lock.
            drop(returned);
            return drop(piece);
        }
        returned.spans += piece.len();
        returned.pieces.push(piece);
    }

    /// Frees so many spans and the rest of their piece, or as many as there are.
    pub fn free(&self, spans: usize) {
        let mut freed = 0;
        while freed < spans {
            let Some(piece) = self.next() else { return };
            freed += piece.len();
        }
    }

    fn next(&self) -> Option<Vec<SpanRecord>> {
        let mut returned = self.returned();
        let piece = returned.pieces.pop()?;
        returned.spans -= piece.len();
        Some(piece)
    }

    fn returned(&self) -> MutexGuard<'_, Returned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroU128};

    use super::*;
    use crate::context::{SpanId, TraceFlags, TraceId};
    use crate::telemetry::record::{Attributes, ResourceId, Scope, SpanKind, Status, Text};

    fn span() -> SpanRecord {
        SpanRecord {
            trace_id: TraceId(NonZeroU128::MIN),
            span_id: SpanId(NonZeroU64::MIN),
            parent: None,
            remote_parent: false,
            flags: TraceFlags::default(),
            trace_state: None,
            resource: ResourceId(0),
            scope: Scope::Bus,
            kind: SpanKind::Internal,
            name: Text::Static("work"),
            start: 0,
            end: 0,
            attributes: Attributes::default(),
            events: Vec::new(),
            status: Status::Unset,
            dropped_attributes: 0,
            dropped_events: 0,
        }
    }

    #[test]
    fn as_many_spans_wait_to_be_freed_as_there_is_room_for() {
        let spent = Spent::default();
        for _ in 0..ROOM / 64 {
            spent.take(vec![span(); 64]);
        }
        assert_eq!(spent.returned().spans, ROOM);
        spent.take(vec![span()]);
        assert_eq!(spent.returned().spans, ROOM);
    }

    #[test]
    fn what_is_freed_goes_by_whole_pieces_until_it_is_enough() {
        let spent = Spent::default();
        for length in [4, 0, 3, 2] {
            spent.take(vec![span(); length]);
        }
        assert_eq!(spent.returned().pieces.len(), 3);
        spent.free(0);
        assert_eq!(spent.returned().spans, 9);
        spent.free(3);
        assert_eq!(spent.returned().spans, 4);
        spent.free(100);
        assert_eq!(spent.returned().spans, 0);
    }
}
