//! What a fault does to work that no client waits for: messages in the groups that consume them, and runs of
//! jobs. Each is compared with itself in the run without the fault.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use schemars::JsonSchema;
use serde::Serialize;

use crate::fault::work::{Place, Work, WorkId};
use crate::model::Nanos;

use super::Names;
use super::measures::{Both, Extent, Extra, Interval, is_slower};
use super::units::{instant, seconds};

/// What a fault does to the messages of one group.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct GroupChange {
    pub topic: String,
    pub group: String,
    /// The service that consumes them.
    pub service: String,
    /// Messages that both runs sent.
    pub compared: u64,
    /// Of those, the ones with which something else happened: done sooner or later after they were due,
    /// done or failed more or less often, given up or lost in one of the runs alone.
    pub changed: u64,
    /// Of the changed, the ones that are worse off: each counts below at least once.
    pub visible: u64,
    /// Done later, by 10 ms and by a fifth of what it takes without the fault, both at least.
    pub late: u64,
    /// Done more often than without the fault.
    pub repeated: u64,
    /// Failed more often.
    pub failed: u64,
    /// Given up, and not without the fault; and of those, the ones that went to the dead letters.
    pub given_up: u64,
    pub dead_letters: u64,
    /// That the group never got, though their senders have a receipt.
    pub lost: u64,
    /// Neither done, given up nor lost at the end of the run, and done without the fault: they wait, or were
    /// removed from the topic before the group came to them.
    pub undone: u64,
    /// Messages that only one of the runs sent.
    pub only_with: u64,
    pub only_without: u64,
    /// How much longer it took from when a message was due until it was done: milliseconds, of those that
    /// both runs did.
    pub extra_mean_ms: f64,
    /// Of the same, what 99 of 100 do not exceed.
    pub extra_p99_ms: f64,
    pub extra_max_ms: f64,
    /// The most messages that were not done at a time.
    pub lag_max: Both,
    /// From when the first changed message was due until anything became of the last; null where none has
    /// changed.
    pub impact: Option<Interval>,
    /// The same of the visible ones.
    pub visible_impact: Option<Interval>,
    /// The first visible one.
    pub first_visible: Option<MessageSymptom>,
}

/// What a fault does to the runs of one job.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct JobChange {
    pub service: String,
    pub job: String,
    /// Runs that were due in both runs of simhost.
    pub compared: u64,
    /// Of those, the ones that ended otherwise, or took longer or less long.
    pub changed: u64,
    /// Of the changed, the ones that are worse off: each counts below at least once.
    pub visible: u64,
    /// Done later, by 10 ms and by a fifth of what it takes without the fault, both at least.
    pub late: u64,
    /// Failed, and not without the fault.
    pub failed: u64,
    /// Left out or not ended at the end of the run, and done without the fault.
    pub undone: u64,
    /// Runs that only one of the runs of simhost had.
    pub only_with: u64,
    pub only_without: u64,
    /// How much longer it took from when a run was due until it was done: milliseconds, of those that were
    /// done in both.
    pub extra_mean_ms: f64,
    /// Of the same, what 99 of 100 do not exceed.
    pub extra_p99_ms: f64,
    pub extra_max_ms: f64,
    /// From when the first changed run was due until the last had ended; null where none has changed.
    pub impact: Option<Interval>,
    /// The same of the visible ones.
    pub visible_impact: Option<Interval>,
}

/// A message that shows what a fault does.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MessageSymptom {
    pub trace_id: String,
    /// The PRODUCER span in which it was sent, if that was recorded.
    pub span_id: String,
    /// When it was due in its topic.
    pub at: f64,
    pub time: String,
    /// From then until it was done; null if it never was.
    pub took_ms: Option<f64>,
    pub visible_as: Worse,
}

/// In what way work is worse off with a fault; the first of these that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Worse {
    /// The group never got the message.
    Lost,
    GivenUp,
    /// Neither done nor given up at the end of the run.
    Undone,
    /// Done more often than without the fault.
    Repeated,
    /// Failed more often.
    Failed,
    /// Done later by 10 ms and by a fifth, both at least.
    Late,
}

/// A message or a run of a job, in both runs.
#[derive(Clone, Copy, Debug)]
struct Pair {
    with: Work,
    without: Work,
}

fn took(work: &Work) -> Option<Nanos> {
    Some(work.done?.saturating_sub(work.due))
}

impl Pair {
    fn is_changed(&self) -> bool {
        let end = |work: &Work| {
            (took(work), work.times, work.failures, work.is_lost, work.is_given_up, work.is_dead_letter)
        };
        end(&self.with) != end(&self.without)
    }

    /// By how much it took longer with the fault, if it was done in both: nanoseconds.
    fn extra(&self) -> Option<i64> {
        let (with, without) = (took(&self.with)?, took(&self.without)?);
        Some(with.cast_signed().saturating_sub(without.cast_signed()))
    }

    fn is_late(&self) -> bool {
        let extra = self.extra().zip(took(&self.without));
        extra.is_some_and(|(extra, without)| is_slower(extra, without))
    }

    fn is(&self, worse: Worse) -> bool {
        let Self { with, without } = self;
        match worse {
            Worse::Lost => with.is_lost && !without.is_lost,
            Worse::GivenUp => with.is_given_up && !without.is_given_up,
            Worse::Undone => {
                let is_over = with.done.is_some() || with.is_given_up || with.is_lost;
                without.done.is_some() && !is_over
            }
            Worse::Repeated => with.times > without.times,
            Worse::Failed => with.failures > without.failures,
            Worse::Late => self.is_late(),
        }
    }

    fn visible_as(&self) -> Option<Worse> {
        let all = [Worse::Lost, Worse::GivenUp, Worse::Undone, Worse::Repeated, Worse::Failed, Worse::Late];
        all.into_iter().find(|worse| self.is(*worse))
    }

    /// From when it was due until anything became of it at last, in a run that ended at `end`.
    fn extent(&self, end: Nanos) -> Extent {
        let work = &self.with;
        let is_over = work.done.is_some() || work.is_given_up;
        let last = match is_over {
            true => work.last,
            // From then on it is missed.
            false if work.is_lost || work.is_left_out => {
                work.due.saturating_add(took(&self.without).unwrap_or_default())
            }
            false => end,
        };
        Extent { first: work.due, last }
    }
}

/// The work of one group or one schedule.
#[derive(Debug, Default)]
struct Tally {
    compared: u64,
    only_with: u64,
    only_without: u64,
    /// In the order in which they were due.
    changed: Vec<Pair>,
    /// Nanoseconds, by which those that were done took longer with the fault.
    extra: Vec<i64>,
}

impl Tally {
    fn count(&self, worse: Worse) -> u64 {
        self.changed.iter().filter(|pair| pair.is(worse)).count() as u64
    }

    fn visible(&self) -> impl Iterator<Item = &Pair> {
        self.changed.iter().filter(|pair| pair.visible_as().is_some())
    }

    fn differs(&self) -> bool {
        !self.changed.is_empty() || self.only_with + self.only_without > 0
    }
}

/// The work of two runs, compared.
#[derive(Debug)]
pub struct Compared {
    of: BTreeMap<Place, Tally>,
    start: Nanos,
    end: Nanos,
}

impl Compared {
    /// `start` and `end` are those of the run with the fault.
    pub fn new(
        with: impl Iterator<Item = Work>,
        without: impl Iterator<Item = Work>,
        (start, end): (Nanos, Nanos),
    ) -> Self {
        let mut others: IndexMap<WorkId, Work, FxBuildHasher> = without.map(|work| (work.id, work)).collect();
        let mut of: BTreeMap<Place, Tally> = BTreeMap::new();
        for with in with {
            let tally = of.entry(with.id.place).or_default();
            let Some(without) = others.swap_remove(&with.id) else {
                tally.only_with += 1;
                continue;
            };
            let pair = Pair { with, without };
            tally.compared += 1;
            tally.extra.extend(pair.extra());
            if pair.is_changed() {
                tally.changed.push(pair);
            }
        }
        for id in others.keys() {
            of.entry(id.place).or_default().only_without += 1;
        }
        Self { of, start, end }
    }

    /// From when the first that has changed was due until anything became of the last.
    pub fn extent(&self) -> Option<Extent> {
        self.extent_of(self.of.values().flat_map(|tally| &tally.changed))
    }

    /// The same of those that are worse off.
    pub fn visible_extent(&self) -> Option<Extent> {
        self.extent_of(self.of.values().flat_map(Tally::visible))
    }

    fn extent_of<'a>(&self, pairs: impl Iterator<Item = &'a Pair>) -> Option<Extent> {
        Extent::of(pairs.map(|pair| pair.extent(self.end)))
    }

    fn interval<'a>(&self, pairs: impl Iterator<Item = &'a Pair>) -> Option<Interval> {
        self.extent_of(pairs).map(|extent| extent.interval(self.start))
    }

    /// The groups whose messages went another way. `lags` are by place among the subscriptions.
    pub fn groups(&self, names: &Names, lags: &[Both]) -> Vec<GroupChange> {
        let none = Tally::default();
        let of = |place: u32| self.of.get(&Place::Group(place)).unwrap_or(&none);
        let all = names.groups.iter().zip(lags).zip(0..).map(|((name, lag), place)| (name, *lag, of(place)));
        let changed = all.filter(|(_, lag, tally)| tally.differs() || lag.with != lag.without);
        let row = |(name, lag_max, tally): (&super::GroupName, Both, &Tally)| {
            let extra = Extra::of(&mut tally.extra.clone());
            let dead = |pair: &&Pair| pair.with.is_dead_letter && !pair.without.is_dead_letter;
            GroupChange {
                topic: names.topics[name.topic].clone(),
                group: name.group.clone(),
                service: names.service(name.service).to_owned(),
                compared: tally.compared,
                changed: tally.changed.len() as u64,
                visible: tally.visible().count() as u64,
                late: tally.count(Worse::Late),
                repeated: tally.count(Worse::Repeated),
                failed: tally.count(Worse::Failed),
                given_up: tally.count(Worse::GivenUp),
                dead_letters: tally.changed.iter().filter(dead).count() as u64,
                lost: tally.count(Worse::Lost),
                undone: tally.count(Worse::Undone),
                only_with: tally.only_with,
                only_without: tally.only_without,
                extra_mean_ms: extra.mean,
                extra_p99_ms: extra.p99,
                extra_max_ms: extra.max,
                lag_max,
                impact: self.interval(tally.changed.iter()),
                visible_impact: self.interval(tally.visible()),
                first_visible: tally.visible().next().and_then(|pair| self.symptom(pair)),
            }
        };
        changed.map(row).collect()
    }

    fn symptom(&self, pair: &Pair) -> Option<MessageSymptom> {
        let (trace, span) = pair.with.sent?;
        Some(MessageSymptom {
            trace_id: trace.to_string(),
            span_id: span.to_string(),
            at: seconds(pair.with.due.saturating_sub(self.start)),
            time: instant(pair.with.due),
            took_ms: took(&pair.with).map(|took| took as f64 / 1e6),
            visible_as: pair.visible_as()?,
        })
    }

    /// The jobs whose runs went another way.
    pub fn jobs(&self, names: &Names) -> Vec<JobChange> {
        let all = names.schedules.iter().zip(0..);
        let all = all.filter_map(|(name, place)| Some((name, self.of.get(&Place::Schedule(place))?)));
        let row = |((service, job), tally): (&(_, String), &Tally)| {
            let extra = Extra::of(&mut tally.extra.clone());
            JobChange {
                service: names.service(*service).to_owned(),
                job: job.clone(),
                compared: tally.compared,
                changed: tally.changed.len() as u64,
                visible: tally.visible().count() as u64,
                late: tally.count(Worse::Late),
                failed: tally.count(Worse::GivenUp),
                undone: tally.count(Worse::Undone),
                only_with: tally.only_with,
                only_without: tally.only_without,
                extra_mean_ms: extra.mean,
                extra_p99_ms: extra.p99,
                extra_max_ms: extra.max,
                impact: self.interval(tally.changed.iter()),
                visible_impact: self.interval(tally.visible()),
            }
        };
        all.filter(|(_, tally)| tally.differs()).map(row).collect()
    }
}
