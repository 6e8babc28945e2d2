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
use super::measures::{Both, Extent, Extra, Interval, is_other, is_slower};
use super::symptom::{Symptom, Visible, WorkKind, WorkSymptom};
use super::units::{instant, seconds};

/// Messages of a group, or runs of a job, that went another way.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ChangedWork {
    /// Those that both runs of simhost had.
    pub compared: u64,
    /// Of those, the ones with which something else happened: done sooner or later after they were due, by
    /// 1 microsecond at least, done or failed more or less often, given up, lost or left out in one of the
    /// runs alone.
    pub changed: u64,
    /// Of the changed, the ones that are worse off: each counts below at least once.
    pub visible: u64,
    /// Done later, by 10 ms and by a fifth of what it takes without the fault, both at least.
    pub late: u64,
}

/// What became of them beside that, and by how much they took longer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WorkCost {
    /// Done without the fault, and not at the end of the run with it: messages that wait, or were removed
    /// from the topic before the group came to them; runs that were left out or have not ended.
    pub undone: u64,
    /// Those that only one of the runs of simhost had.
    pub only_with: u64,
    pub only_without: u64,
    /// How much longer it took from when they were due until they were done: milliseconds, of those that
    /// were done in both.
    pub extra_mean_ms: f64,
    /// Of the same, what 99 of 100 do not exceed.
    pub extra_p99_ms: f64,
    pub extra_max_ms: f64,
}

/// When they were others.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WorkImpact {
    /// From when the first changed one was due until anything became of the last; null where none has
    /// changed.
    pub impact: Option<Interval>,
    /// The same of the visible ones.
    pub visible_impact: Option<Interval>,
}

/// What a fault does to the messages of one group.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct GroupChange {
    pub topic: String,
    pub group: String,
    /// The service that consumes them.
    pub service: String,
    #[serde(flatten)]
    pub work: ChangedWork,
    /// Done more often than without the fault.
    pub repeated: u64,
    /// Failed more often.
    pub failed: u64,
    /// Given up, and not without the fault; and of those, the ones that went to the dead letters.
    pub given_up: u64,
    pub dead_letters: u64,
    /// That the group never got, though their senders have a receipt.
    pub lost: u64,
    #[serde(flatten)]
    pub cost: WorkCost,
    /// The most messages that were not done at a time.
    pub lag_max: Both,
    #[serde(flatten)]
    pub impact: WorkImpact,
    /// The first visible one.
    pub first_visible: Option<MessageSymptom>,
}

/// What a fault does to the runs of one job.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct JobChange {
    pub service: String,
    pub job: String,
    #[serde(flatten)]
    pub work: ChangedWork,
    /// Failed, and not without the fault.
    pub failed: u64,
    #[serde(flatten)]
    pub cost: WorkCost,
    #[serde(flatten)]
    pub impact: WorkImpact,
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
    pub visible_as: Visible,
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
            let is_done = work.done.is_some();
            (is_done, work.times, work.failures, work.is_lost, work.is_given_up, work.is_dead_letter)
        };
        let took = took(&self.with).zip(took(&self.without));
        end(&self.with) != end(&self.without) || took.is_some_and(|(with, without)| is_other(with, without))
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

    fn is(&self, visible: Visible) -> bool {
        let Self { with, without } = self;
        match visible {
            // As these a client notices a request.
            Visible::Error | Visible::Slower => false,
            Visible::Lost => with.is_lost && !without.is_lost,
            Visible::GivenUp => with.is_given_up && !without.is_given_up,
            Visible::Undone => {
                let is_over = with.done.is_some() || with.is_given_up || with.is_lost;
                without.done.is_some() && !is_over
            }
            Visible::Repeated => with.times > without.times,
            Visible::Failed => with.failures > without.failures,
            Visible::Late => self.is_late(),
        }
    }

    fn visible_as(&self) -> Option<Visible> {
        Visible::OF_WORK.into_iter().find(|visible| self.is(*visible))
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
    fn count(&self, visible: Visible) -> u64 {
        self.changed.iter().filter(|pair| pair.is(visible)).count() as u64
    }

    fn visible(&self) -> impl Iterator<Item = &Pair> {
        self.changed.iter().filter(|pair| pair.visible_as().is_some())
    }

    fn changed(&self) -> ChangedWork {
        ChangedWork {
            compared: self.compared,
            changed: self.changed.len() as u64,
            visible: self.visible().count() as u64,
            late: self.count(Visible::Late),
        }
    }

    fn cost(&self) -> WorkCost {
        let extra = Extra::of(&mut self.extra.clone());
        WorkCost {
            undone: self.count(Visible::Undone),
            only_with: self.only_with,
            only_without: self.only_without,
            extra_mean_ms: extra.mean,
            extra_p99_ms: extra.p99,
            extra_max_ms: extra.max,
        }
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
        // Worlds that run beside one another come one after the other.
        of.values_mut().for_each(|tally| tally.changed.sort_by_key(|pair| (pair.with.due, pair.with.id)));
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

    fn impact(&self, tally: &Tally) -> WorkImpact {
        let interval = |extent: Option<Extent>| extent.map(|extent| extent.interval(self.start));
        WorkImpact {
            impact: interval(self.extent_of(tally.changed.iter())),
            visible_impact: interval(self.extent_of(tally.visible())),
        }
    }

    /// The first that is worse off, by when it was due, with that instant.
    pub fn first_visible(&self, names: &Names) -> Option<(Nanos, Symptom)> {
        let first = |(place, tally): (&Place, &Tally)| tally.visible().next().map(|pair| (*place, *pair));
        let (place, pair) =
            self.of.iter().filter_map(first).min_by_key(|(_, pair)| (pair.with.due, pair.with.id))?;
        Some((pair.with.due, self.symptom(place, &pair, names)))
    }

    fn symptom(&self, place: Place, pair: &Pair, names: &Names) -> Symptom {
        let (service, of) = match place {
            Place::Group(place) => {
                let name = &names.groups[place as usize];
                let (topic, group) = (names.topics[name.topic].clone(), name.group.clone());
                (
                    name.service,
                    WorkSymptom {
                        topic: Some(topic),
                        group: Some(group),
                        ..WorkSymptom::new(WorkKind::Message)
                    },
                )
            }
            Place::Schedule(place) => {
                let (service, job) = &names.schedules[place as usize];
                (*service, WorkSymptom { job: Some(job.clone()), ..WorkSymptom::new(WorkKind::Run) })
            }
        };
        Symptom {
            trace_id: pair.with.sent.map(|(trace, _)| trace.to_string()),
            span_id: pair.with.sent.map(|(_, span)| span.to_string()),
            service: names.service(service).to_owned(),
            route: None,
            at: seconds(pair.with.due.saturating_sub(self.start)),
            time: instant(pair.with.due),
            status: None,
            error_type: None,
            took_ms: took(&pair.with).map(|took| took as f64 / 1e6),
            slower_by_ms: pair.extra().map(|extra| extra as f64 / 1e6),
            visible_as: pair.visible_as(),
            of: Some(of),
        }
    }

    /// The groups whose messages went another way. `lags` are by place among the subscriptions.
    pub fn groups(&self, names: &Names, lags: &[Both]) -> Vec<GroupChange> {
        let none = Tally::default();
        let of = |place: u32| self.of.get(&Place::Group(place)).unwrap_or(&none);
        let all = names.groups.iter().zip(lags).zip(0..).map(|((name, lag), place)| (name, *lag, of(place)));
        let changed = all.filter(|(_, lag, tally)| tally.differs() || lag.with != lag.without);
        let row = |(name, lag_max, tally): (&super::GroupName, Both, &Tally)| {
            let dead = |pair: &&Pair| pair.with.is_dead_letter && !pair.without.is_dead_letter;
            GroupChange {
                topic: names.topics[name.topic].clone(),
                group: name.group.clone(),
                service: names.service(name.service).to_owned(),
                work: tally.changed(),
                repeated: tally.count(Visible::Repeated),
                failed: tally.count(Visible::Failed),
                given_up: tally.count(Visible::GivenUp),
                dead_letters: tally.changed.iter().filter(dead).count() as u64,
                lost: tally.count(Visible::Lost),
                cost: tally.cost(),
                lag_max,
                impact: self.impact(tally),
                first_visible: tally.visible().next().and_then(|pair| self.message(pair)),
            }
        };
        changed.map(row).collect()
    }

    fn message(&self, pair: &Pair) -> Option<MessageSymptom> {
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
        let row = |((service, job), tally): (&(_, String), &Tally)| JobChange {
            service: names.service(*service).to_owned(),
            job: job.clone(),
            work: tally.changed(),
            failed: tally.count(Visible::GivenUp),
            cost: tally.cost(),
            impact: self.impact(tally),
        };
        all.filter(|(_, tally)| tally.differs()).map(row).collect()
    }
}
