//! Receivers that are down, as a fault has it: what is for them waits, as it does in
//! a batch processor, and what comes when there is no more room is dropped.

use super::signal::{Batch, Count, Receivers, Record, counted, each_signal};

/// Whether the receivers are down, and what waits for them.
#[derive(Debug)]
pub struct Outage {
    /// How many worlds of a run, or faults of one, hold them down.
    downs: u32,
    held: Batch,
    /// Records for which there is room.
    room: usize,
    /// What is held takes: bytes.
    bytes: usize,
}

/// What waits takes at most: bytes.
const HELD_BYTES: usize = 64 << 20;

impl Outage {
    /// Nothing is down yet; `room` records may wait.
    pub fn new(room: usize) -> Self {
        Self { downs: 0, held: Batch::default(), room, bytes: 0 }
    }

    pub const fn is_down(&self) -> bool {
        self.downs > 0
    }

    /// One more fault begins or ends. Returns the records that have waited, when the last
    /// one ends.
    pub fn set(&mut self, receivers: Receivers) -> Option<Batch> {
        if receivers == Receivers::Down {
            self.downs += 1;
            return None;
        }
        self.downs = self.downs.saturating_sub(1);
        (self.downs == 0).then(|| self.take())
    }

    /// What waits.
    pub fn take(&mut self) -> Batch {
        self.bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// Lets records wait, as far as there is room; with those that are too many: the
    /// latest.
    pub fn hold(&mut self, batch: &Batch) -> Count {
        let mut lost = Count::default();
        each_signal!(R => lost += self.hold_records(R::list(batch)));
        lost
    }

    fn hold_records<R: Record>(&mut self, records: &[R]) -> Count {
        let fitting = self.fitting(records.iter().map(R::weight));
        R::list_mut(&mut self.held).extend_from_slice(&records[..fitting]);
        counted(&records[fitting..])
    }

    /// How many of these there is room for, from the first; they are held from now on.
    fn fitting(&mut self, weights: impl Iterator<Item = usize>) -> usize {
        let room = self.room.saturating_sub(self.held.len());
        let mut fitting = 0;
        for weight in weights.take(room) {
            if self.bytes + weight > HELD_BYTES {
                break;
            }
            self.bytes += weight;
            fitting += 1;
        }
        fitting
    }
}
