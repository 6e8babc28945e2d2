//! What is counted of topics and groups in one world: numbers that can be added to those of another.

use std::borrow::Cow;

use crate::model::{Nanos, ServiceId};
use crate::tally::Tally;

use super::timeline::GroupTimeline;

/// What became of the messages of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicCounts {
    pub published: u64,
    /// Of those, the ones that came when no more requests were made.
    pub late: u64,
    /// Of keys, headers and bodies.
    pub bytes: u64,
    /// Not taken, as the partition was full.
    pub refused: u64,
    /// Removed to make room.
    pub dropped: u64,
    /// Removed as they were old.
    pub expired: u64,
}

/// What became of the messages in a group.
#[derive(Clone, Debug, Default)]
pub struct GroupCounts {
    /// Messages that were delivered, each as often as it was, and those of them not for the first time.
    pub delivered: u64,
    pub redelivered: u64,
    pub done: u64,
    /// Of those, the ones that were done when no more requests were made.
    pub late: u64,
    /// Given up: the guest did not want them, or failed too often.
    pub rejected: u64,
    pub exhausted: u64,
    /// Of those, the ones that went to the dead letters.
    pub dead_letters: u64,
    /// Removed from the topic before the group came to them.
    pub missed: u64,
    /// Deliveries that did not count, as the partition had been taken away.
    pub revoked: u64,
    /// How often partitions were assigned anew.
    pub rebalances: u64,
    /// The most messages that were not done at a time, and those when no more requests were made.
    pub largest_lag: u64,
    pub lag_at_end: Option<u64>,
    /// From the instant at which a message was published until it was done: nanoseconds.
    pub ages: Option<Box<Tally>>,
    /// Deliveries that a worker had, with what it took it and the `error.type` of those that failed.
    pub processed: Option<Box<Tally>>,
    pub timeline: GroupTimeline,
}

impl GroupCounts {
    /// A message is done that was published this long ago.
    pub fn note_age(&mut self, age: Nanos) {
        self.ages.get_or_insert_with(|| Box::new(Tally::coarse())).note(age, None);
    }

    /// A worker had a delivery from this instant on, until now.
    pub fn note_processed(&mut self, begun: Nanos, now: Nanos, error: Option<&'static str>) {
        let is_late = self.timeline.is_late(begun);
        let processed = self.processed.get_or_insert_with(|| Box::new(Tally::coarse()));
        processed.note(now.saturating_sub(begun), error.map(Cow::Borrowed));
        processed.late += u64::from(is_late);
    }
}

/// A topic at the end.
#[derive(Clone, Debug)]
pub struct TopicAccount {
    pub name: String,
    pub partitions: u32,
    pub counts: TopicCounts,
    /// Messages that are kept.
    pub kept: u64,
    /// In the order of the file.
    pub groups: Vec<GroupAccount>,
}

/// A group at the end.
#[derive(Clone, Debug)]
pub struct GroupAccount {
    pub group: String,
    pub service: ServiceId,
    pub counts: GroupCounts,
    /// Messages that are not done.
    pub lag: u64,
}

impl TopicAccount {
    /// Takes in what the same topic has seen in another world.
    pub fn merge(&mut self, other: &Self) {
        let TopicCounts { published, late, bytes, refused, dropped, expired } = &other.counts;
        self.counts.published += published;
        self.counts.late += late;
        self.counts.bytes += bytes;
        self.counts.refused += refused;
        self.counts.dropped += dropped;
        self.counts.expired += expired;
        self.kept += other.kept;
        for (mine, theirs) in self.groups.iter_mut().zip(&other.groups) {
            mine.counts.merge(&theirs.counts);
            mine.lag += theirs.lag;
        }
    }
}

impl GroupCounts {
    fn merge(&mut self, other: &Self) {
        self.delivered += other.delivered;
        self.redelivered += other.redelivered;
        self.done += other.done;
        self.late += other.late;
        self.rejected += other.rejected;
        self.exhausted += other.exhausted;
        self.dead_letters += other.dead_letters;
        self.missed += other.missed;
        self.revoked += other.revoked;
        self.rebalances += other.rebalances;
        // Those of several worlds need not have been at the same time.
        self.largest_lag += other.largest_lag;
        self.lag_at_end = match (self.lag_at_end, other.lag_at_end) {
            (Some(mine), Some(theirs)) => Some(mine + theirs),
            (mine, theirs) => mine.or(theirs),
        };
        if let Some(ages) = &other.ages {
            self.ages.get_or_insert_with(|| Box::new(Tally::coarse())).merge(ages);
        }
        if let Some(processed) = &other.processed {
            self.processed.get_or_insert_with(|| Box::new(Tally::coarse())).merge(processed);
        }
        self.timeline.merge(&other.timeline);
    }
}
