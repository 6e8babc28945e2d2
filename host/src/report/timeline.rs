//! How the run went over time: for each load and service the requests, errors and
//! times of each interval.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::stats::Accounts;
use crate::load::LoadStats;
use crate::model::Nanos;
use crate::tally::timeline::{INTERVALS, Interval, Timeline};

/// Requests by the interval in which they were due or arrived.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TimelineRows {
    /// The length of each interval: nanoseconds of simulated time.
    pub interval_ns: Nanos,
    /// The loads in the order of the topology, then the services that saw a request.
    pub rows: Vec<TimelineRow>,
}

/// One load or one service over time. All lists have one element for each interval from the
/// start of the run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TimelineRow {
    pub of: Subject,
    pub name: String,
    /// Requests that came due in the interval, or arrived at the service, and have ended.
    pub requests: Vec<u64>,
    /// Of those, the ones that failed.
    pub errors: Vec<u64>,
    /// Quantiles of their times, within 3 %: nanoseconds; null where no request has a time.
    pub p50_ns: Vec<Option<Nanos>>,
    pub p95_ns: Vec<Option<Nanos>>,
    #[serde(skip)]
    pub(super) intervals: Vec<Interval>,
    /// The intervals that are compared with one another: of a load those in which it made requests,
    /// of a service those from its first request to the end of the requests from outside.
    #[serde(skip)]
    pub(super) own: Range<usize>,
    /// The end of the last of those, from the start of the run.
    #[serde(skip)]
    pub(super) end: Nanos,
}

/// What a row is made of.
#[derive(Debug)]
struct Course<'a> {
    of: Subject,
    name: &'a str,
    timeline: &'a Timeline,
    /// When the row is compared with itself: nanoseconds from the start of the run. It begins with
    /// the first request where nothing else is known.
    begin: Option<Nanos>,
    end: Nanos,
}

/// What a row of the timeline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Load,
    Service,
}

impl TimelineRows {
    /// All rows, with intervals of one length.
    pub fn new(loads: &[(String, LoadStats)], accounts: &Accounts) -> Self {
        let until = accounts.until();
        let loads = loads.iter().map(|(name, load)| Course {
            of: Subject::Load,
            name,
            timeline: &load.timeline,
            begin: Some(load.start),
            end: load.start.saturating_add(load.duration),
        });
        let services = accounts.services.iter().filter_map(|service| {
            let timeline = service.timeline.as_deref()?;
            Some(Course { of: Subject::Service, name: &service.name, timeline, begin: None, end: until })
        });
        let courses: Vec<_> = loads.chain(services).collect();
        let mut longest = Timeline::default();
        courses.iter().for_each(|course| longest.align(course.timeline));
        longest.reach(until);
        let aligned = |course: &Course<'_>| {
            let mut timeline = course.timeline.clone();
            timeline.align(&longest);
            timeline.intervals().to_vec()
        };
        let all: Vec<_> = courses.iter().map(aligned).collect();
        let most = all.iter().map(Vec::len).max().unwrap_or(0);
        let most = most.max(until.div_ceil(longest.length()) as usize).min(INTERVALS);
        let row = |(course, mut intervals): (Course<'_>, Vec<Interval>)| {
            intervals.resize_with(most, Interval::default);
            TimelineRow::new(&course, intervals, longest.length())
        };
        Self { interval_ns: longest.length(), rows: courses.into_iter().zip(all).map(row).collect() }
    }
}

impl TimelineRow {
    fn new(course: &Course<'_>, intervals: Vec<Interval>, length: Nanos) -> Self {
        let to = (course.end.div_ceil(length) as usize).min(intervals.len());
        let first = || intervals.iter().position(|one| one.count > 0).unwrap_or(to);
        let from = course.begin.map_or_else(first, |begin| (begin / length) as usize);
        let quantile = |quantile| intervals.iter().map(|one| one.quantile(quantile)).collect();
        Self {
            of: course.of,
            name: course.name.to_owned(),
            requests: intervals.iter().map(|one| one.count).collect(),
            errors: intervals.iter().map(|one| one.failed).collect(),
            p50_ns: quantile(0.5),
            p95_ns: quantile(0.95),
            intervals,
            own: from.min(to)..to,
            end: course.end,
        }
    }

    /// The intervals that are compared with one another.
    pub(super) fn own_intervals(&self) -> &[Interval] {
        &self.intervals[self.own.clone()]
    }
}
