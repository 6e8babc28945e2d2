//! The way back of records that nobody needs any more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::SpanRecord;

/// Batches that are on their way back, at most; what is more is freed where it is.
const BATCHES: usize = 64;

/// Spans that are done with, for the thread that made them to free.
///
/// Memory that another thread frees is free, and yet dear to get: the allocator has to
/// fetch each block from that thread's list, out of its processor's cache. Whoever
/// shares an `Arc` with it fetches the counter likewise.
#[derive(Debug, Default)]
pub struct Spent(Mutex<Vec<Vec<SpanRecord>>>);

impl Spent {
    /// Takes a batch that is done with.
    pub fn take(&self, spans: Vec<SpanRecord>) {
        let mut batches = self.batches();
        if batches.len() < BATCHES {
            batches.push(spans);
        }
    }

    /// Frees two batches, or as many as there are: for who is about to hand over one.
    pub fn free(&self) {
        for _ in 0..2 {
            let Some(batch) = self.batches().pop() else { return };
            drop(batch);
        }
    }

    fn batches(&self) -> MutexGuard<'_, Vec<Vec<SpanRecord>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
