//! Where the core thread leaves its records.

use std::cell::{Cell, RefCell};

use super::record::{Batch, LogRecord, SpanRecord};

/// Records gathered before they are handed over; fewer when the core is idle.
const BATCH: usize = 512;

/// Gathers records and hands them over in batches. For the core thread only.
pub struct Recorder {
    batch: RefCell<Batch>,
    hand_over: RefCell<Box<dyn FnMut(Batch)>>,
    spans: Cell<u64>,
    logs: Cell<u64>,
}

impl Recorder {
    /// `hand_over` takes each batch; it must not wait for anybody but the disk.
    pub fn new(hand_over: impl FnMut(Batch) + 'static) -> Self {
        Self {
            batch: RefCell::default(),
            hand_over: RefCell::new(Box::new(hand_over)),
            spans: Cell::new(0),
            logs: Cell::new(0),
        }
    }

    pub fn span(&self, span: SpanRecord) {
        self.spans.set(self.spans.get() + 1);
        self.batch.borrow_mut().spans.push(span);
        self.flush_if_full();
    }

    pub fn log(&self, log: LogRecord) {
        self.logs.set(self.logs.get() + 1);
        self.batch.borrow_mut().logs.push(log);
        self.flush_if_full();
    }

    /// Hands over what is there.
    pub fn flush(&self) {
        if self.batch.borrow().is_empty() {
            return;
        }
        let batch = self.batch.take();
        (self.hand_over.borrow_mut())(batch);
    }

    /// Spans and log records so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.spans.get(), self.logs.get())
    }

    fn flush_if_full(&self) {
        if self.batch.borrow().len() >= BATCH {
            self.flush();
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
