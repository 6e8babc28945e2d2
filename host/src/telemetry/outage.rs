//! Receivers that are down, as a fault has it: what is for them waits, as it does in
//! a batch processor, and what comes when there is no more room is dropped.

use super::exporter::Count;
use super::record::Batch;

/// Whether the receivers are down, and what waits for them.
#[derive(Debug)]
pub struct Outage {
    /// How many say so: worlds of a run, or faults of one.
    downs: u32,
    held: Batch,
    /// Records for which there is room.
    room: usize,
}

impl Outage {
    /// Nothing is down yet; `room` records may wait.
    pub fn new(room: usize) -> Self {
        Self { downs: 0, held: Batch::default(), room }
    }

    pub const fn is_down(&self) -> bool {
        self.downs > 0
    }

    /// One more says that the receivers are down, or no longer: what has waited, when
    /// nobody says so any more.
    pub fn turn(&mut self, down: bool) -> Option<Batch> {
        if down {
            self.downs += 1;
            return None;
        }
        self.downs = self.downs.saturating_sub(1);
        (self.downs == 0).then(|| self.take())
    }

    /// What waits.
    pub fn take(&mut self) -> Batch {
        std::mem::take(&mut self.held)
    }

    /// Lets records wait, as far as there is room; with those that are too many: the
    /// latest.
    pub fn hold(&mut self, batch: &Batch) -> Count {
        let room = |held: &Batch| self.room.saturating_sub(held.len());
        let spans = batch.spans.len().min(room(&self.held));
        self.held.spans.extend_from_slice(&batch.spans[..spans]);
        let logs = batch.logs.len().min(room(&self.held));
        self.held.logs.extend_from_slice(&batch.logs[..logs]);
        Count { spans: (batch.spans.len() - spans) as u64, logs: (batch.logs.len() - logs) as u64 }
    }
}
