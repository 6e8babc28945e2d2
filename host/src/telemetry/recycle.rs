//! Exported spans go back to the thread that made them, which frees them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::SpanRecord;

/// Spans that wait to be freed, at most; others are freed by the pipeline's thread.
const ROOM: usize = 16_384;

/// Exported spans, for the thread that made them to free; where several worlds have one
/// pipeline, for whichever is first.
///
/// Memory that another thread frees costs the thread that allocates it next: the allocator
/// fetches each block from the list of the thread that freed it, out of the cache of another
/// processor. The counter of a shared `Arc` costs the same.
#[derive(Debug, Default)]
pub struct Recycler(Mutex<Returned>);

#[derive(Debug, Default)]
struct Returned {
    pieces: Vec<Vec<SpanRecord>>,
    spans: usize,
}

impl Recycler {
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

    /// Frees at least this many spans, by whole pieces, or all that there are.
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
            links: Box::default(),
            status: Status::Unset,
            dropped_attributes: 0,
            dropped_events: 0,
        }
    }

    #[test]
    fn as_many_spans_wait_to_be_freed_as_there_is_room_for() {
        let recycler = Recycler::default();
        for _ in 0..ROOM / 64 {
            recycler.take(vec![span(); 64]);
        }
        assert_eq!(recycler.returned().spans, ROOM);
        recycler.take(vec![span()]);
        assert_eq!(recycler.returned().spans, ROOM);
    }

    #[test]
    fn what_is_freed_goes_by_whole_pieces_until_it_is_enough() {
        let recycler = Recycler::default();
        for length in [4, 0, 3, 2] {
            recycler.take(vec![span(); length]);
        }
        assert_eq!(recycler.returned().pieces.len(), 3);
        recycler.free(0);
        assert_eq!(recycler.returned().spans, 9);
        recycler.free(3);
        assert_eq!(recycler.returned().spans, 4);
        recycler.free(100);
        assert_eq!(recycler.returned().spans, 0);
    }
}
