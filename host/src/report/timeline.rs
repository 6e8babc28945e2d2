//! How the run went over time: for each load and service the requests, errors and
//! times of each interval, and the symptoms that stand out of them.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::stats::Accounts;
use crate::load::LoadStats;
use crate::model::Nanos;
use crate::tally::timeline::{INTERVALS, Interval, Timeline};

/// Requests that an interval needs for its errors and its p95 to be compared, and the usual
/// interval for its rate.
const ENOUGH: u64 = 20;

/// Requests that intervals have which are compared, where so many groups of them remain.
const GROUP: f64 = 100.0;
const GROUPS: usize = 12;

/// A p95 is a symptom from this multiple of the usual one, and if it is this much longer.
const SLOWER: u64 = 2;
const SLOWER_BY: Nanos = 1_000_000;

/// And if the mean is this multiple of the usual one: where a few requests in a hundred are slow
/// anyway, the p95 is now theirs and now the others'.
const MEAN: f64 = 1.5;

/// A share of errors is a symptom if it is this much above the usual one and this multiple of it.
const MORE_ERRORS: f64 = 0.02;
const TIMES_THE_ERRORS: f64 = 3.0;

/// Traffic is a symptom from this multiple of the usual one, or from its inverse.
const TRAFFIC: f64 = 2.0;

/// Intervals that a symptom lasts at least.
const LASTING: usize = 2;

/// Intervals without the symptom that do not end it: one of so many of the run's, and this many at
/// least.
const GAP_SHARE: usize = 20;
const GAP: usize = 1;

/// Errors that a symptom of errors has at least.
const FAILURES: u64 = 5;

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
    end: Nanos,
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

/// A time in which a load or service was not as it usually was in this run. The usual value is
/// the median of the run's intervals, so what lasts for most of the run is no symptom.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Symptom {
    pub of: Subject,
    pub name: String,
    pub what: Measure,
    /// From the beginning of its first interval to the end of its last: nanoseconds from the
    /// start of the run.
    pub start_ns: Nanos,
    pub end_ns: Nanos,
    /// The median of all intervals. Errors are a share of the requests, `0` to `1`; the p95 is in
    /// nanoseconds, the rate in requests per second.
    pub usual: f64,
    /// The value that is furthest from it.
    pub worst: f64,
}

/// What a symptom is a symptom of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The share of requests that fail: over 2 % more than usual, and over three times as many.
    Errors,
    /// At least twice the usual p95, and a millisecond more, with a mean of at least one and a half
    /// times the usual one.
    P95,
    /// At least twice the usual requests, or at most half of them.
    Rate,
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

    /// What stands out, by row and then by measure.
    pub fn symptoms(&self) -> Vec<Symptom> {
        let measures = [Measure::Errors, Measure::P95, Measure::Rate];
        let each = self.rows.iter().flat_map(|row| measures.map(|what| (row, what)));
        each.flat_map(|(row, what)| self.of(row, what)).collect()
    }

    fn of(&self, row: &TimelineRow, what: Measure) -> Vec<Symptom> {
        let together = row.together();
        let length = self.interval_ns * together as u64;
        let intervals: Vec<_> = row.own_intervals().chunks(together).map(Interval::sum).collect();
        let values: Vec<_> = intervals.iter().map(|interval| value(interval, what, length)).collect();
        let Some(usual) = median(values.iter().flatten().copied().collect()) else { return Vec::new() };
        if what == Measure::Rate && usual * seconds(length) < ENOUGH as f64 {
            return Vec::new();
        }
        // Loads begin and end within an interval, which says nothing of their rate.
        let edge = |index: usize| what == Measure::Rate && (index == 0 || index + 1 == values.len());
        let means: Vec<_> = intervals.iter().filter_map(Interval::mean).collect();
        let usual_mean = median(means).unwrap_or(0.0);
        let is_slow = |index: usize| intervals[index].mean().is_some_and(|mean| mean >= usual_mean * MEAN);
        let is_out = |index: usize| {
            let is_out = values[index].is_some_and(|value| stands_out(value, usual, what));
            is_out && !edge(index) && (what != Measure::P95 || is_slow(index))
        };
        let out: Vec<_> = (0..values.len()).filter(|index| is_out(*index)).collect();
        let gap = (values.len() / GAP_SHARE).max(GAP);
        let spells = out.chunk_by(|one, next| next - one <= gap + 1);
        let failures = |spell: &[usize]| spell.iter().map(|index| intervals[*index].failed).sum::<u64>();
        let spells = spells.filter(|spell| spell[spell.len() - 1] - spell[0] + 1 >= LASTING);
        let spells = spells.filter(|spell| what != Measure::Errors || failures(spell) >= FAILURES);
        let begin = row.own.start as u64 * self.interval_ns;
        let symptom = |spell: &[usize]| {
            let far = |value: &f64| (value - usual).abs();
            let values = spell.iter().filter_map(|index| values[*index]);
            Symptom {
                of: row.of,
                name: row.name.clone(),
                what,
                start_ns: begin + spell[0] as u64 * length,
                end_ns: (begin + (spell[spell.len() - 1] as u64 + 1) * length).min(row.end),
                usual,
                worst: values.max_by(|one, other| far(one).total_cmp(&far(other))).unwrap_or(usual),
            }
        };
        spells.map(symptom).collect()
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
    fn own_intervals(&self) -> &[Interval] {
        &self.intervals[self.own.clone()]
    }

    /// How many intervals are looked at together, so that their p95 is more than their longest
    /// request: as few as give the usual group [`GROUP`] requests, if [`GROUPS`] groups remain.
    fn together(&self) -> usize {
        let own = self.own_intervals();
        let most = (own.len() / GROUPS).max(1);
        let usual = median(own.iter().map(|one| one.count as f64).collect()).unwrap_or(0.0);
        (1..most).find(|together| usual * *together as f64 >= GROUP).unwrap_or(most)
    }
}

/// What an interval says of a measure; nothing where it has too few requests for it.
fn value(interval: &Interval, what: Measure, length: Nanos) -> Option<f64> {
    match what {
        Measure::Rate => Some(interval.count as f64 / seconds(length)),
        _ if interval.count < ENOUGH => None,
        Measure::Errors => Some(interval.failed as f64 / interval.count as f64),
        Measure::P95 => interval.quantile(0.95).map(|time| time as f64),
    }
}

fn stands_out(value: f64, usual: f64, what: Measure) -> bool {
    match what {
        Measure::Errors => value > usual + MORE_ERRORS && value > usual * TIMES_THE_ERRORS,
        Measure::P95 => value >= usual * SLOWER as f64 && value >= usual + SLOWER_BY as f64,
        Measure::Rate => usual > 0.0 && (value >= usual * TRAFFIC || value <= usual / TRAFFIC),
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    /// Sixty seconds of fifty requests each, of 10 ms; `fate` says how one fares at a second.
    fn rows(fate: impl Fn(u64, u64) -> (Nanos, bool)) -> TimelineRows {
        let mut load = LoadStats { duration: 60 * SECOND, ..LoadStats::default() };
        for second in 0..60 {
            for number in 0..50 {
                let (took, failed) = fate(second, number);
                load.timeline.note(second * SECOND + number, Some(took), failed);
            }
        }
        TimelineRows::new(&[("clients".to_owned(), load)], &Accounts::default())
    }

    const FINE: (Nanos, bool) = (10_000_000, false);

    #[test]
    fn a_run_that_is_the_same_all_along_has_no_symptom() {
        assert_eq!(rows(|_, _| FINE).symptoms(), []);
        assert_eq!(rows(|_, number| (10_000_000, number % 10 == 0)).symptoms(), []);
    }

    #[test]
    fn a_symptom_begins_and_ends_with_its_intervals() {
        let slow = rows(|second, number| match (20..30).contains(&second) {
            true => (80_000_000, number == 0),
            false => FINE,
        });
        let symptoms = slow.symptoms();
        let [symptom] = &symptoms[..] else { panic!("{symptoms:?}") };
        assert_eq!(
            (symptom.what, symptom.start_ns, symptom.end_ns),
            (Measure::P95, 20 * SECOND, 30 * SECOND)
        );
        assert!(symptom.worst > 7.0 * symptom.usual, "{symptom:?}");
    }

    #[test]
    fn errors_that_come_and_go_are_one_symptom() {
        let failing = rows(|second, number| {
            let now = (20..40).contains(&second) && second % 3 != 1;
            (10_000_000, now && number < 10)
        });
        let symptoms = failing.symptoms();
        let [symptom] = &symptoms[..] else { panic!("{symptoms:?}") };
        assert_eq!(
            (symptom.what, symptom.start_ns, symptom.end_ns),
            (Measure::Errors, 20 * SECOND, 40 * SECOND)
        );
        assert_eq!((symptom.usual, symptom.worst), (0.0, 0.2));
    }

    #[test]
    fn a_p95_between_two_kinds_of_request_is_no_symptom() {
        // One request in twenty takes 300 ms: now a few more, now a few less.
        let mixed = rows(|second, number| match number % 20 == 3 && (number > 10 || second % 4 < 2) {
            true => (300_000_000, false),
            false => FINE,
        });
        assert_eq!(mixed.symptoms(), []);
    }

    #[test]
    fn one_failure_now_and_then_is_no_symptom() {
        let failing = rows(|second, number| (10_000_000, second % 20 == 7 && number == 0));
        assert_eq!(failing.symptoms(), []);
    }

    #[test]
    fn traffic_that_doubles_is_a_symptom() {
        let mut load = LoadStats { duration: 60 * SECOND, ..LoadStats::default() };
        for second in 0..60 {
            let requests = if (30..40).contains(&second) { 100 } else { 50 };
            (0..requests).for_each(|_| load.timeline.note(second * SECOND, Some(1), false));
        }
        let symptoms = TimelineRows::new(&[("clients".to_owned(), load)], &Accounts::default()).symptoms();
        let [symptom] = &symptoms[..] else { panic!("{symptoms:?}") };
        assert_eq!((symptom.what, symptom.start_ns, symptom.worst), (Measure::Rate, 30 * SECOND, 100.0));
    }
    #[test]
    fn a_load_is_compared_with_itself_while_it_makes_requests() {
        let run = |start: u64, end: u64| {
            let (start, duration) = (start * SECOND, (end - start) * SECOND);
            let mut load = LoadStats { start, duration, ..LoadStats::default() };
            for number in 0..50 * duration / SECOND {
                load.timeline.note(start + number * SECOND / 50, Some(1), false);
            }
            load
        };
        let loads = [("early".to_owned(), run(0, 40)), ("late".to_owned(), run(35, 60))];
        let rows = TimelineRows::new(&loads, &Accounts::default());
        assert_eq!(rows.symptoms(), []);
        assert!(rows.rows.iter().all(|row| row.requests.len() == 60 && row.p95_ns.len() == 60));
    }
}
