//! A group that consumes a topic: where it is in each partition, and which of its members has it.
//!
//! The members are replicas, in the order in which they have joined; they take the partitions in turn. One
//! that dies or stands still keeps its partitions until its session has timed out, as a broker hears no more
//! than the missing heartbeats. A partition has one delivery at a time: what comes behind waits until it is
//! settled.

mod absence;
mod hold;
mod members;

use std::rc::Rc;

use crate::model::{self, Distribution, Nanos, OffsetReset};
use crate::rng::Key;

use super::counts::{GroupAccount, GroupCounts};
use super::log::Log;
use super::timeline::GroupTimeline;
use super::{Fate, Message, Record};

pub use absence::Absence;
pub use hold::Hold;
use members::Member;

/// What is drawn for a record in a group: how long it takes to a member.
const FETCH: u64 = 0;

/// A group, and how far it is.
#[derive(Debug)]
pub struct Group {
    pub settings: model::Subscription,
    cursors: Vec<Cursor>,
    /// Records of all partitions that are not done.
    lag: u64,
    /// More requests are made.
    is_fed: bool,
    /// In the order in which they have joined.
    members: Vec<Member>,
    /// Partitions that were taken from a member that stands still while it had a delivery.
    taken: Vec<u32>,
    /// How often deliveries that were under way have been revoked, and by which fault at last.
    epoch: u64,
    revoked_by: Option<Hold>,
    /// What keeps it from consuming, or has: the last time of each fault.
    holds: Vec<Hold>,
    /// By partition, what keeps it from its member, or has, and what has kept the group before.
    kept: Vec<Vec<Hold>>,
    /// The fault that has taken the last member away.
    last_by: Option<Absence>,
    pub(super) counts: GroupCounts,
}

/// Where a group is in one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// The offset of the first record that is not done.
    next: u64,
    /// The end of the partition.
    end: u64,
    /// The replica that has a delivery.
    busy: Option<u32>,
    /// Deliveries of the record at `next` that have failed, and how many records were delivered together.
    failed: u32,
    together: u32,
    /// It is not delivered again before this instant.
    due: Nanos,
    /// How often the record at `next` was on its way to a member.
    sent: u64,
    /// How many records from `next` on a member has had.
    had: u32,
}

/// What a group does next with a partition.
#[derive(Debug)]
pub enum Next {
    /// Nothing, until something happens to it.
    Idle,
    /// Nothing before this instant, unless something happens to it.
    At(Nanos),
    Deliver(Delivery),
}

/// Records of one partition on their way to a member.
#[derive(Debug)]
pub struct Delivery {
    pub partition: u32,
    pub replica: u32,
    /// The offset of the first of them; the others follow.
    pub first: u64,
    /// Each with the instant at which it was published, and which copy of its message it is.
    pub records: Vec<Delivered>,
    /// Which delivery of them it is, from 1.
    pub attempt: u32,
    /// How often they were on their way to a member before.
    pub number: u64,
    /// How many of them, from the first on, a member has had before.
    pub had: u32,
    epoch: u64,
}

impl Delivery {
    /// One of these records, from this partition and offset on, that is delivered for the `attempt`-th time.
    pub fn again(records: Vec<Delivered>, (partition, first): (u32, u64), attempt: u32) -> Self {
        Self { partition, replica: 0, first, records, attempt, number: 0, had: 0, epoch: 0 }
    }
}

/// A record that is delivered.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub message: Rc<Message>,
    pub published: Nanos,
    pub copy: u32,
    pub fate: Option<Rc<Fate>>,
}

impl From<&Record> for Delivered {
    fn from(record: &Record) -> Self {
        let Record { message, published, copy, fate } = record;
        Self { message: Rc::clone(message), published: *published, copy: *copy, fate: fate.clone() }
    }
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its records are done.
    Done,
    /// They are to be delivered again.
    Retry,
    /// They never will be done.
    Reject,
    /// The process has died that had them.
    Died,
    /// Nobody had them: they wait this long. It does not count as a delivery.
    Busy(Nanos),
}

/// What comes of it that a delivery is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The group goes on behind its records.
    Done,
    /// They will be delivered again.
    Again,
    /// They are given up.
    GivenUp,
}

impl Group {
    /// A group without members, at the beginning of a topic with this number of partitions, in a run that
    /// begins at `start`.
    pub fn new(settings: &model::Subscription, partitions: u32, start: Nanos) -> Self {
        Self {
            settings: settings.clone(),
            cursors: vec![Cursor::default(); partitions as usize],
            lag: 0,
            is_fed: true,
            members: Vec::new(),
            taken: Vec::new(),
            epoch: 0,
            revoked_by: None,
            holds: Vec::new(),
            kept: vec![Vec::new(); partitions as usize],
            last_by: None,
            counts: GroupCounts { timeline: GroupTimeline::new(start), ..GroupCounts::default() },
        }
    }

    /// The offset of the first record of a partition that is not done.
    pub fn next_offset(&self, partition: u32) -> u64 {
        self.cursors[partition as usize].next
    }

    /// Records of a partition that are not done.
    pub fn lag(&self, partition: u32) -> u64 {
        let cursor = &self.cursors[partition as usize];
        cursor.end - cursor.next
    }

    /// Records of all partitions that are not done.
    pub const fn total_lag(&self) -> u64 {
        self.lag
    }

    /// Messages that it is done with, or has given up.
    pub const fn settled(&self) -> u64 {
        let GroupCounts { done, rejected, exhausted, .. } = &self.counts;
        *done + *rejected + *exhausted
    }

    /// Whether more requests are made, whose messages it may get.
    pub const fn is_fed(&self) -> bool {
        self.is_fed
    }

    /// No more requests are made. How far it lags behind then is told if they were made over some time.
    pub(super) fn requests_end(&mut self, is_lag_told: bool, now: Nanos) {
        self.counts.timeline.requests_end(now);
        if is_lag_told {
            self.counts.lag_at_end.get_or_insert(self.lag);
        }
        self.is_fed = false;
    }

    /// A partition has grown to this end.
    pub(super) fn grew(&mut self, partition: u32, end: u64, now: Nanos) {
        let cursor = &mut self.cursors[partition as usize];
        self.lag += end - cursor.end;
        cursor.end = end;
        self.counts.largest_lag = self.counts.largest_lag.max(self.lag);
        self.counts.timeline.lags(self.lag, now);
    }

    /// What it does next with a partition.
    pub(super) fn next(&mut self, log: &Log, partition: u32, now: Nanos) -> Next {
        self.expire(now);
        self.skip(log, partition, now);
        let cursor = self.cursors[partition as usize];
        if cursor.busy.is_some() || cursor.next == cursor.end || self.members.is_empty() {
            return Next::Idle;
        }
        let held = self.held_until();
        if held == Nanos::MAX {
            return Next::Idle;
        }
        let wait = cursor.due.max(held);
        if wait > now {
            return Next::At(wait);
        }
        let member = self.members[partition as usize % self.members.len()];
        if let Some(expires) = member.expires {
            return Next::At(expires);
        }
        let records = match self.records(log, partition, now) {
            Ok(records) => records,
            Err(at) => return Next::At(at),
        };
        let at = &mut self.cursors[partition as usize];
        let attempt = cursor.failed + 1;
        let count = records.len() as u64;
        (at.busy, at.sent, at.had) = (Some(member.replica), cursor.sent + 1, cursor.had.max(count as u32));
        self.counts.delivered += count;
        self.counts.redelivered += if attempt > 1 { count } else { 0 };
        Next::Deliver(Delivery {
            partition,
            replica: member.replica,
            first: cursor.next,
            records,
            attempt,
            number: cursor.sent,
            had: cursor.had,
            epoch: self.epoch,
        })
    }

    /// Passes over what is no longer kept, and what was lost.
    fn skip(&mut self, log: &Log, partition: u32, now: Nanos) {
        let (oldest, end) = log.range(partition);
        let cursor = &mut self.cursors[partition as usize];
        let is_lost = |offset| log.get(partition, offset).is_some_and(Record::is_lost);
        if cursor.busy.is_some() || cursor.next >= oldest && !is_lost(cursor.next) {
            return;
        }
        let mut next = match self.settings.from {
            _ if cursor.next >= oldest => cursor.next,
            OffsetReset::Earliest => oldest,
            OffsetReset::Latest => end,
        };
        while is_lost(next) {
            next += 1;
        }
        let timeline = &mut self.counts.timeline;
        for offset in cursor.next..next {
            // Of what is no longer kept nobody knows when it was published.
            timeline.failed(log.get(partition, offset).map_or(now, |record| record.published));
        }
        self.counts.missed += next - cursor.next;
        self.lag -= next - cursor.next;
        timeline.lags(self.lag, now);
        *cursor = Cursor { next, end, ..Cursor::default() };
    }

    /// The records that are delivered together, or the instant before which they are not.
    fn records(&self, log: &Log, partition: u32, now: Nanos) -> Result<Vec<Delivered>, Nanos> {
        let cursor = &self.cursors[partition as usize];
        let most = if cursor.together > 0 { cursor.together } else { self.settings.batch };
        let mut records = Vec::new();
        let mut closes = 0;
        while (records.len() as u32) < most {
            let Some(record) = log.get(partition, cursor.next + records.len() as u64) else { break };
            // Those behind a gap are another delivery.
            if record.is_lost() {
                return Ok(records);
            }
            let available = self.available(record);
            if records.is_empty() {
                closes = available.saturating_add(self.settings.poll);
            }
            if available > now {
                let is_awaited = records.is_empty() || available <= closes && cursor.together == 0;
                if is_awaited {
                    return Err(available);
                }
                break;
            }
            records.push(Delivered::from(record));
        }
        let is_full = records.len() as u32 == most || cursor.together > 0;
        if is_full || now >= closes { Ok(records) } else { Err(closes) }
    }

    /// When a record has come to a member.
    fn available(&self, record: &Record) -> Nanos {
        let fetch = match &self.settings.fetch {
            Distribution::Fixed(fetch) => *fetch,
            fetch => fetch.sample(&mut self.draws(record).with(FETCH).stream()),
        };
        let hidden = record.fate.as_ref().map_or(0, |fate| fate.hidden);
        record.published.saturating_add(fetch).saturating_add(hidden)
    }

    /// Names what is drawn for a record in this group.
    fn draws(&self, record: &Record) -> Key {
        record.message.draws.with_name(&self.settings.group).with(u64::from(record.copy))
    }

    /// A delivery has ended.
    pub fn settle(&mut self, delivery: &Delivery, outcome: Outcome, now: Nanos) -> Settled {
        let count = delivery.records.len() as u64;
        let cursor = &mut self.cursors[delivery.partition as usize];
        let counts = &mut self.counts;
        // A session has timed out meanwhile, and the partition is another's.
        let is_here = cursor.next == delivery.first && cursor.sent == delivery.number + 1;
        if !is_here || cursor.busy.take().is_none() {
            counts.revoked += count;
            return Settled::Again;
        }
        let is_failed = match outcome {
            // A member that is none any more cannot commit.
            _ if delivery.epoch != self.epoch => {
                counts.revoked += count;
                return Settled::Again;
            }
            Outcome::Busy(wait) => {
                counts.delivered -= count;
                counts.redelivered -= if delivery.attempt > 1 { count } else { 0 };
                (cursor.due, cursor.had) = (now.saturating_add(wait), delivery.had);
                return Settled::Again;
            }
            Outcome::Done => {
                counts.done += count;
                counts.late += if self.is_fed { 0 } else { count };
                delivery.records.iter().for_each(|record| counts.note_age(now - record.published));
                false
            }
            Outcome::Reject => {
                counts.rejected += count;
                true
            }
            Outcome::Retry | Outcome::Died if delivery.attempt < self.settings.retry.attempts => {
                cursor.failed = delivery.attempt;
                cursor.together = count as u32;
                let wait = self.settings.retry.wait(delivery.attempt);
                cursor.due = if outcome == Outcome::Died { now } else { now.saturating_add(wait) };
                return Settled::Again;
            }
            Outcome::Retry | Outcome::Died => {
                counts.exhausted += count;
                true
            }
        };
        self.lag -= count;
        for published in delivery.records.iter().map(|record| record.published) {
            match is_failed {
                true => counts.timeline.failed(published),
                false => counts.timeline.done(published, now),
            }
        }
        counts.timeline.lags(self.lag, now);
        let (next, end) = (delivery.first + count, cursor.end);
        *cursor = Cursor { next, end, ..Cursor::default() };
        if let Some(last) = delivery.records.last() {
            self.forget(delivery.partition, last.published);
        }
        if is_failed { Settled::GivenUp } else { Settled::Done }
    }

    /// A worker had a delivery from `begun` until now; `error` is its `error.type`, if it failed.
    pub fn processed(&mut self, begun: Nanos, now: Nanos, error: Option<&'static str>) {
        self.counts.note_processed(begun, now, error);
    }

    /// A message that was given up has become a dead letter.
    pub fn buried(&mut self) {
        self.counts.dead_letters += 1;
    }

    /// What was counted, and how it stands.
    pub(super) fn account(&self) -> GroupAccount {
        GroupAccount {
            group: self.settings.group.clone(),
            service: self.settings.service,
            counts: self.counts.clone(),
            lag: self.lag,
        }
    }
}

#[cfg(test)]
mod tests;
