//! Records that travel together.

use super::{Count, LogRecord, Record, SpanRecord, each_signal};

/// Records on their way from the core thread, those of a signal in the order in which
/// they ended.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub spans: Vec<SpanRecord>,
    pub logs: Vec<LogRecord>,
    /// What has become of the receivers before these records were made; mostly nothing.
    pub receivers: Option<Receivers>,
}

/// What a fault does to all receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    Down,
    Up,
}

/// A batch of the records of one signal.
impl<R: Record> From<Vec<R>> for Batch {
    fn from(records: Vec<R>) -> Self {
        let mut batch = Self::default();
        *R::list_mut(&mut batch) = records;
        batch
    }
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        let mut len = 0;
        each_signal!(R => len += R::list(self).len());
        len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What exporters and receivers count.
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        each_signal!(R => count += counted(R::list(self)));
        count
    }

    /// What its records take: bytes.
    pub fn weight(&self) -> usize {
        let mut weight = 0;
        each_signal!(R => weight += R::list(self).iter().map(R::weight).sum::<usize>());
        weight
    }

    /// Moves the records of another batch behind its own.
    pub fn append(&mut self, mut other: Self) {
        each_signal!(R => R::list_mut(self).append(R::list_mut(&mut other)));
    }

    /// Copies the records of another batch behind its own.
    pub fn extend(&mut self, other: &Self) {
        each_signal!(R => R::list_mut(self).extend_from_slice(R::list(other)));
    }

    /// Empties it, and keeps its memory for the next records.
    pub fn clear(&mut self) {
        each_signal!(R => R::list_mut(self).clear());
        self.receivers = None;
    }
}

/// How many these are for exporters and receivers.
pub fn counted<R: Record>(records: &[R]) -> Count {
    Count::of(R::SIGNAL, records.iter().map(R::items).sum())
}
