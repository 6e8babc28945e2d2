//! The messages of a topic, as its partitions keep them.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::model::{self, Nanos, Overflow};
use crate::rng::Key;

use super::counts::{GroupAccount, TopicAccount, TopicCounts};
use super::{Record, partitioner};

/// Bytes that all partitions of a topic keep together, whatever each may keep; one message of each is kept in
/// any case.
const TOPIC_BYTES_AT_MOST: u64 = 1 << 30;

/// Bytes that all topics of a world keep together, whatever each may keep; one message of each partition is
/// kept in any case.
const ALL_BYTES_AT_MOST: u64 = 4 << 30;

/// What a message takes there beside its key, headers and body: bytes.
const BYTES_OF_EACH: u64 = 512;

/// A partition is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// A topic.
#[derive(Debug)]
pub struct Log {
    pub settings: model::Topic,
    partitions: Vec<Partition>,
    /// What the records of all partitions take together.
    held: Held,
    /// More requests are made.
    is_fed: bool,
    pub(super) counts: TopicCounts,
}

#[derive(Debug, Default)]
struct Partition {
    /// The offset of the first record; where there is none, that of the next one.
    oldest: u64,
    records: VecDeque<Record>,
    /// What they take together.
    bytes: u64,
}

/// What records take, with [`BYTES_OF_EACH`].
#[derive(Debug, Default)]
struct Held {
    /// Those of a topic.
    own: u64,
    /// Those of all topics of a world.
    all: Rc<Cell<u64>>,
}

impl Held {
    /// A record comes whose message has this size.
    fn add(&mut self, size: u64) {
        self.own += size + BYTES_OF_EACH;
        self.all.set(self.all.get() + size + BYTES_OF_EACH);
    }

    /// It goes.
    fn remove(&mut self, size: u64) {
        self.own -= size + BYTES_OF_EACH;
        self.all.set(self.all.get() - size - BYTES_OF_EACH);
    }

    fn has_room(&self, size: u64) -> bool {
        let takes = size + BYTES_OF_EACH;
        self.own + takes <= TOPIC_BYTES_AT_MOST && self.all.get() + takes <= ALL_BYTES_AT_MOST
    }
}

impl Partition {
    fn end(&self) -> u64 {
        self.oldest + self.records.len() as u64
    }

    /// Removes the oldest record: its bytes.
    fn pop(&mut self) -> Option<u64> {
        let size = self.records.pop_front()?.message.size();
        self.oldest += 1;
        self.bytes -= size;
        Some(size)
    }
}

impl Log {
    /// A topic beside others, which keep `all` bytes together.
    pub fn new(settings: &model::Topic, all: &Rc<Cell<u64>>) -> Self {
        let partitions = (0..settings.partitions).map(|_| Partition::default()).collect();
        Self {
            settings: settings.clone(),
            partitions,
            held: Held { own: 0, all: Rc::clone(all) },
            is_fed: true,
            counts: TopicCounts::default(),
        }
    }

    /// The partition of a message with this key.
    pub fn partition(&self, key: Option<&[u8]>, draws: Key) -> u32 {
        partitioner::partition(key, draws, self.settings.partitions)
    }

    pub fn partitions(&self) -> u32 {
        self.settings.partitions
    }

    /// The offset of the oldest record that is kept, and that of the next one.
    pub fn range(&self, partition: u32) -> (u64, u64) {
        let partition = &self.partitions[partition as usize];
        (partition.oldest, partition.end())
    }

    pub fn get(&self, partition: u32, offset: u64) -> Option<&Record> {
        let partition = &self.partitions[partition as usize];
        partition.records.get(offset.checked_sub(partition.oldest)? as usize)
    }

    /// Adds a record: its offset. `done` is the offset that the slowest group has come to; none without
    /// groups.
    ///
    /// # Errors
    /// There is no room.
    pub(super) fn append(
        &mut self,
        partition: u32,
        record: Record,
        done: impl FnOnce() -> Option<u64>,
        now: Nanos,
    ) -> Result<u64, Full> {
        self.expire(partition, now);
        let (retain, size) = (self.settings.retain, record.message.size());
        let of = &mut self.partitions[partition as usize];
        if self.settings.overflow == Overflow::Refuse {
            let done = done().unwrap_or(0);
            while of.oldest < done
                && let Some(size) = of.pop()
            {
                self.held.remove(size);
            }
        }
        let is_full = |of: &Partition, held: &Held| {
            let count = of.records.len() as u64;
            let has_no_room = of.bytes + size > retain.bytes || !held.has_room(size);
            count >= retain.messages || count > 0 && has_no_room
        };
        if self.settings.overflow == Overflow::Refuse && is_full(of, &self.held) {
            self.counts.refused += 1;
            return Err(Full);
        }
        while is_full(of, &self.held)
            && let Some(size) = of.pop()
        {
            self.held.remove(size);
            self.counts.dropped += 1;
        }
        let offset = of.end();
        of.bytes += size;
        self.held.add(size);
        of.records.push_back(record);
        self.counts.published += 1;
        self.counts.late += u64::from(!self.is_fed);
        self.counts.bytes += size;
        Ok(offset)
    }

    /// No more requests are made.
    pub(super) const fn requests_end(&mut self) {
        self.is_fed = false;
    }

    /// What was counted, and how it stands.
    pub(super) fn account(&self, groups: Vec<GroupAccount>) -> TopicAccount {
        let kept = self.partitions.iter().map(|partition| partition.records.len() as u64).sum();
        let (name, partitions) = (self.settings.name.clone(), self.partitions());
        TopicAccount { name, partitions, counts: self.counts.clone(), kept, groups }
    }

    /// Removes the records that are too old.
    pub(super) fn expire(&mut self, partition: u32, now: Nanos) {
        let Some(age) = self.settings.retain.age else { return };
        let of = &mut self.partitions[partition as usize];
        let is_old = |of: &Partition| {
            of.records.front().is_some_and(|record| record.published.saturating_add(age) <= now)
        };
        while is_old(of)
            && let Some(size) = of.pop()
        {
            self.held.remove(size);
            self.counts.expired += 1;
        }
    }
}
