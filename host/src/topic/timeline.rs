//! How a group fares over time: what became of messages by when they were published, and how far it lagged.

use crate::model::Nanos;
use crate::tally::timeline::{Levels, Timeline};

/// A group over time, while requests are made. What is published or changes after that is in no interval.
#[derive(Clone, Debug, Default)]
pub struct GroupTimeline {
    /// When the run begins, and when no more requests are made: nanoseconds since the Unix epoch.
    start: Nanos,
    until: Option<Nanos>,
    /// When its first message came: nanoseconds from the start of the run.
    pub first: Option<Nanos>,
    /// Messages by when they were published, with their age when they were done. Those that were given up or
    /// missed have failed, and have none.
    pub settled: Timeline,
    /// Messages that are not done.
    pub lag: Levels,
}

impl GroupTimeline {
    /// Of a run that begins at this instant.
    pub fn new(start: Nanos) -> Self {
        Self { start, ..Self::default() }
    }

    /// No more requests are made.
    pub(super) fn requests_end(&mut self, now: Nanos) {
        self.until.get_or_insert(now);
    }

    /// How many messages are not done, from now on.
    pub(super) fn lags(&mut self, lag: u64, now: Nanos) {
        if self.until.is_none() {
            let at = now.saturating_sub(self.start);
            self.first.get_or_insert(at);
            self.lag.set(at, lag);
        }
    }

    /// A message is done that was published then.
    pub(super) fn done(&mut self, published: Nanos, now: Nanos) {
        self.note(published, Some(now.saturating_sub(published)));
    }

    /// A message never will be: it was given up, lost, or removed before the group came to it.
    pub(super) fn failed(&mut self, published: Nanos) {
        self.note(published, None);
    }

    /// Whether what begins at this instant does so when no more requests are made.
    pub(super) fn is_late(&self, begun: Nanos) -> bool {
        self.until.is_some_and(|until| begun > until)
    }

    fn note(&mut self, published: Nanos, age: Option<Nanos>) {
        if !self.is_late(published) {
            self.settled.note(published.saturating_sub(self.start), age, age.is_none());
        }
    }

    /// Takes in how the same group fared in another world.
    pub(super) fn merge(&mut self, other: &Self) {
        self.first = match (self.first, other.first) {
            (Some(mine), Some(theirs)) => Some(mine.min(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
        self.settled.merge(&other.settled);
        self.lag.merge(&other.lag);
    }
}
