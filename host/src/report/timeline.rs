//! How the run went over time: for each load, service and group the requests or messages, errors and
//! times of each interval.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::stats::Accounts;
use crate::load::LoadStats;
use crate::model::Nanos;
use crate::tally::timeline::{INTERVALS, Interval, Levels, Timeline};
use crate::topic::{GroupAccount, TopicAccount};

/// Requests by the interval in which they were due or arrived, messages by that in which they were published.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TimelineRows {
    /// The length of each interval: nanoseconds of simulated time.
    pub interval_ns: Nanos,
    /// The loads in the order of the topology, then the services that saw a request, then the groups whose
    /// topics took a message.
    pub rows: Vec<TimelineRow>,
}

/// One load, service or group over time. All lists have one element for each interval from the
/// start of the run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TimelineRow {
    pub of: Subject,
    pub name: String,
    /// Of a group, its topic. Not there of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Requests that came due in the interval, or arrived at the service, and have ended. Of a group messages
    /// that were published in it while requests were made, and that it has done, given up or missed.
    pub requests: Vec<u64>,
    /// Of those, the ones that failed: of a group the messages that it has given up or missed.
    pub errors: Vec<u64>,
    /// Quantiles of their times, within 3 %: nanoseconds; null where no request has a time. Of a group from
    /// when its messages were published until they were done.
    pub p50_ns: Vec<Option<Nanos>>,
    pub p95_ns: Vec<Option<Nanos>>,
    /// Of a group, the most messages that were published and not done at a time of the interval; null after
    /// the last in which requests were made. Not there of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_max: Option<Vec<Option<u64>>>,
    #[serde(skip)]
    pub(super) intervals: Vec<Interval>,
    /// The intervals that are compared with one another: of a load those in which it made requests, of a
    /// service or a group those from its first request or message to the end of the requests from outside.
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
    topic: Option<&'a str>,
    timeline: &'a Timeline,
    /// Of a group.
    lag: Option<&'a Levels>,
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
    /// A group that consumes a topic.
    Group,
}

impl TimelineRows {
    /// All rows, with intervals of one length.
    pub fn new(loads: &[(String, LoadStats)], accounts: &Accounts, topics: &[TopicAccount]) -> Self {
        let until = accounts.until();
        let loads = loads.iter().map(|(name, load)| Course {
            of: Subject::Load,
            name,
            topic: None,
            timeline: &load.timeline,
            lag: None,
            begin: Some(load.start),
            end: load.start.saturating_add(load.duration),
        });
        let services = accounts.services.iter().filter_map(|service| {
            let timeline = service.timeline.as_deref()?;
            let (name, topic, lag) = (&*service.name, None, None);
            Some(Course { of: Subject::Service, name, topic, timeline, lag, begin: None, end: until })
        });
        let groups = topics.iter().flat_map(|topic| topic.groups.iter().map(move |group| (topic, group)));
        let groups = groups.filter_map(|(topic, group)| Course::of_group(topic, group, until));
        let courses: Vec<_> = loads.chain(services).chain(groups).collect();
        let mut longest = Timeline::default();
        courses.iter().for_each(|course| longest.align(course.timeline));
        courses.iter().filter_map(|course| course.lag).for_each(|lag| longest.align_with(lag));
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
            TimelineRow::new(&course, intervals, &longest)
        };
        Self { interval_ns: longest.length(), rows: courses.into_iter().zip(all).map(row).collect() }
    }
}

impl<'a> Course<'a> {
    /// That of a group, if its topic took a message for it.
    fn of_group(topic: &'a TopicAccount, group: &'a GroupAccount, until: Nanos) -> Option<Self> {
        let timeline = &group.counts.timeline;
        Some(Self {
            of: Subject::Group,
            name: &group.group,
            topic: Some(&topic.name),
            timeline: &timeline.settled,
            lag: Some(&timeline.lag),
            begin: Some(timeline.first?),
            end: until,
        })
    }
}

impl TimelineRow {
    /// Its intervals are as long as those of `longest`.
    fn new(course: &Course<'_>, intervals: Vec<Interval>, longest: &Timeline) -> Self {
        let length = longest.length();
        let to = (course.end.div_ceil(length) as usize).min(intervals.len());
        let first = || intervals.iter().position(|one| one.count > 0).unwrap_or(to);
        let from = course.begin.map_or_else(first, |begin| (begin / length) as usize);
        let quantile = |quantile| intervals.iter().map(|one| one.quantile(quantile)).collect();
        let lag_max = |lag: &Levels| {
            let mut most: Vec<_> = lag.most(longest, to).into_iter().map(Some).collect();
            most.resize(intervals.len(), None);
            most
        };
        Self {
            of: course.of,
            name: course.name.to_owned(),
            topic: course.topic.map(ToOwned::to_owned),
            requests: intervals.iter().map(|one| one.count).collect(),
            errors: intervals.iter().map(|one| one.failed).collect(),
            p50_ns: quantile(0.5),
            p95_ns: quantile(0.95),
            lag_max: course.lag.map(lag_max),
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
