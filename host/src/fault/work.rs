//! Work that no client waits for, so that two runs can be compared by it: messages in the groups that consume
//! them, and runs of jobs.
//!
//! The bus tells of it while runs are to be compared; otherwise nothing is kept.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::context::{SpanId, TraceId};
use crate::model::{Nanos, ServiceId};
use crate::rng::Key;

/// Messages in groups and runs of jobs that are remembered: some 130 MB.
pub const MAX_WORK: usize = 1_000_000;

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A group, by its place among the subscriptions.
    Group(u32),
    /// A schedule, by its place in the topology.
    Schedule(u32),
}

/// Which message or run it is, in every run of the same seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkId {
    pub place: Place,
    number: u64,
}

impl WorkId {
    /// A message in a group, by the span that sent it.
    pub const fn message(group: usize, sent: SpanId) -> Self {
        Self { place: Place::Group(group as u32), number: sent.0.get() }
    }

    /// A run of a job, by what it draws from.
    pub const fn run(schedule: u32, key: Key) -> Self {
        Self { place: Place::Schedule(schedule), number: key.draw() }
    }
}

/// A message in a group, or a run of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub id: WorkId,
    /// The trace and the span in which a message was sent; none of a run.
    pub sent: Option<(TraceId, SpanId)>,
    /// When it could begin, without what faults took on the way: nanoseconds since the Unix epoch.
    pub due: Nanos,
    /// When it was done for the first time, and how often it was.
    pub done: Option<Nanos>,
    pub times: u32,
    /// How often it has failed.
    pub failures: u32,
    /// When anything became of it at last.
    pub last: Nanos,
    /// A message that its group never gets, though its sender has a receipt.
    pub is_lost: bool,
    /// A run that never began, as the one before went on.
    pub is_left_out: bool,
    pub is_given_up: bool,
    pub is_dead_letter: bool,
}

/// What has become of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Done,
    Failed,
    GivenUp,
    Buried,
}

/// The work of a world.
#[derive(Debug, Default)]
pub struct WorkTracker {
    all: IndexMap<WorkId, Work, FxBuildHasher>,
    pub(super) forgotten: u64,
    /// The services that have sent messages, by topic.
    pub(super) senders: BTreeSet<(usize, ServiceId)>,
}

impl Work {
    /// A message that a group is to get.
    pub const fn message(
        group: usize,
        (trace, span): (TraceId, SpanId),
        (due, is_lost): (Nanos, bool),
    ) -> Self {
        Self { sent: Some((trace, span)), is_lost, ..Self::new(WorkId::message(group, span), due) }
    }

    /// A run of a job.
    pub const fn run(id: WorkId, due: Nanos) -> Self {
        Self::new(id, due)
    }

    /// A run of a job that is left out.
    pub const fn left_out(id: WorkId, due: Nanos) -> Self {
        Self { is_left_out: true, ..Self::new(id, due) }
    }

    const fn new(id: WorkId, due: Nanos) -> Self {
        Self {
            id,
            sent: None,
            due,
            done: None,
            times: 0,
            failures: 0,
            last: due,
            is_lost: false,
            is_left_out: false,
            is_given_up: false,
            is_dead_letter: false,
        }
    }
}

impl WorkTracker {
    pub(super) fn due(&mut self, work: Work) {
        if self.all.len() >= MAX_WORK && !self.all.contains_key(&work.id) {
            self.forgotten += 1;
            return;
        }
        self.all.entry(work.id).or_insert(work);
    }

    pub(super) fn goes_on(&mut self, id: WorkId, progress: Progress, now: Nanos) {
        let Some(work) = self.all.get_mut(&id) else { return };
        work.last = now;
        match progress {
            Progress::Done => {
                work.done.get_or_insert(now);
                work.times += 1;
            }
            Progress::Failed => work.failures += 1,
            Progress::GivenUp => work.is_given_up = true,
            Progress::Buried => work.is_dead_letter = true,
        }
    }

    /// All of it, in the order in which it was due.
    pub(super) fn finish(&mut self) -> Vec<Work> {
        let mut all: Vec<Work> = std::mem::take(&mut self.all).into_values().collect();
        all.sort_unstable_by_key(|work| (work.due, work.id));
        all
    }
}
