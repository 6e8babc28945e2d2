//! What stands out of the timeline: when a load, a service or a group was not as usual.

mod lag;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Nanos;
use crate::tally::timeline::Interval;

use super::timeline::{Subject, TimelineRow, TimelineRows};

/// Requests that an interval or an instance needs for its errors and its p95 to be compared, and the
/// usual interval for its rate.
pub const ENOUGH: u64 = 20;

/// Intervals are compared in groups of at least `GROUP` requests, as long as there are `GROUPS` of them.
const GROUP: f64 = 100.0;
const GROUPS: usize = 12;

/// A p95 is a symptom from this multiple of the usual one, and if it is this much longer.
pub const SLOWER: u64 = 2;
const SLOWER_BY: Nanos = 1_000_000;

/// And if the mean is this multiple of the usual one: where a few requests in a hundred are slow
/// anyway, the p95 is now theirs and now the others'.
const MEAN: f64 = 1.5;

/// A share of errors is a symptom if it is this much above the usual one and this multiple of it.
pub const MORE_ERRORS: f64 = 0.02;
const TIMES_THE_ERRORS: f64 = 3.0;

/// Traffic is a symptom from this multiple of the usual one, or from its inverse.
const TRAFFIC: f64 = 2.0;

/// Intervals that a symptom lasts at least.
const LASTING: usize = 2;

/// A gap without the symptom does not end it if it is no longer than one interval in `GAP_SHARE`, or
/// than `GAP` intervals, whichever is more.
const GAP_SHARE: usize = 20;
const GAP: usize = 1;

/// Errors that a symptom of errors has at least; and the median interval, for the lower quartile to
/// be the usual share of errors. Counts of rare errors below that differ by chance.
const FAILURES: u64 = 5;

/// Parts of a run below its median and its lower quartile: one of this many.
const HALF: usize = 2;
const QUARTER: usize = 4;

/// The share of a run that has to be calm for the calm part to be what is usual: one of this many.
const CALM: usize = 4;

/// A time in which a load, a service or a group was not as it usually was in this run. What lasts for over
/// three quarters of the run is no symptom; a lag is none that lasts for over nine tenths.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Symptom {
    pub of: Subject,
    pub name: String,
    /// Of a group, its topic. Not there of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    pub what: Measure,
    /// From the beginning of its first interval to the end of its last: nanoseconds from the
    /// start of the run.
    pub start_ns: Nanos,
    pub end_ns: Nanos,
    /// Errors and p95: the median of the intervals, or their lower quartile if the median stands out
    /// from it. Rate: the median of the intervals in which no load and no service has symptoms of errors or
    /// p95, if they are a quarter of the run. Lag: what the intervals exceed nine times in ten. Errors are a
    /// share of the requests or messages, `0` to `1`; the p95 is in nanoseconds, the rate in requests per
    /// second, the lag in messages.
    pub usual: f64,
    /// The value that is furthest from it.
    pub worst: f64,
}

/// What a symptom is a symptom of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The share of requests that fail, or of messages that a group gives up or misses: over 2 % more than
    /// usual, and over three times as many.
    Errors,
    /// At least twice the usual p95, and a millisecond more, with a mean of at least one and a half
    /// times the usual one. Of a group it is the age of its messages when they are done.
    P95,
    /// At least three times the usual lag of a group, and 20 messages more, for a second or longer.
    Lag,
    /// At least twice the usual requests, or at most half of them. Groups have no symptoms of it.
    Rate,
}

/// The intervals of a row as they are compared with one another.
#[derive(Debug)]
struct Compared<'a> {
    row: &'a TimelineRow,
    intervals: Vec<Interval>,
    /// The length of each: nanoseconds.
    length: Nanos,
    /// The beginning of the first, from the start of the run.
    begin: Nanos,
}

/// What is usual of a measure, and of the mean time of the same intervals.
#[derive(Clone, Copy, Debug)]
struct Usual {
    value: f64,
    mean: f64,
}

/// What stands out of `rows`, by row and then by measure.
pub fn symptoms(rows: &TimelineRows) -> Vec<Symptom> {
    let compared: Vec<_> = rows.rows.iter().map(|row| Compared::new(row, rows.interval_ns)).collect();
    let of_requests = |one: &Compared<'_>| {
        let each = [Measure::Errors, Measure::P95].into_iter();
        each.flat_map(|what| one.usual(what).map_or_else(Vec::new, |usual| one.symptoms(what, usual)))
            .collect()
    };
    let of_requests: Vec<Vec<Symptom>> = compared.iter().map(of_requests).collect();
    // What becomes of messages says nothing of whether requests come as usual.
    let of_those = of_requests.iter().flatten().filter(|one| one.of != Subject::Group);
    let troubles: Vec<_> = of_those.map(|one| (one.start_ns, one.end_ns)).collect();
    let of_rates = |one: &Compared<'_>| match one.row.of {
        Subject::Group => lag::symptoms(one.row, rows.interval_ns),
        Subject::Load | Subject::Service => {
            one.usual_rate(&troubles).map_or_else(Vec::new, |usual| one.symptoms(Measure::Rate, usual))
        }
    };
    let of_rates: Vec<_> = compared.iter().map(of_rates).collect();
    of_requests
        .into_iter()
        .zip(of_rates)
        .flat_map(|(requests, rates)| requests.into_iter().chain(rates))
        .collect()
}

/// What of these intervals is one spell each, out of `all` intervals: a short gap does not end it.
fn spells(out: &[usize], all: usize) -> impl Iterator<Item = &[usize]> {
    let gap = (all / GAP_SHARE).max(GAP);
    let spells = out.chunk_by(move |one, next| next - one <= gap + 1);
    spells.filter(|spell| spell[spell.len() - 1] - spell[0] + 1 >= LASTING)
}

impl Symptom {
    /// Whether it is that this row lagged.
    pub(super) fn is_lag_of(&self, row: &TimelineRow) -> bool {
        self.what == Measure::Lag && self.name == row.name && self.topic == row.topic
    }
}

impl<'a> Compared<'a> {
    fn new(row: &'a TimelineRow, interval_ns: Nanos) -> Self {
        let together = together(row.own_intervals());
        Self {
            row,
            intervals: row.own_intervals().chunks(together).map(Interval::sum).collect(),
            length: interval_ns * together as u64,
            begin: row.own.start as u64 * interval_ns,
        }
    }

    /// What is usual of errors or the p95: the median, or the lower quartile where the median stands
    /// out from it. An incident then lasted for over half of the run.
    fn usual(&self, what: Measure) -> Option<Usual> {
        let values =
            || self.intervals.iter().filter_map(|interval| value(interval, what, self.length)).collect();
        let means = || self.intervals.iter().filter_map(Interval::mean).collect();
        let of =
            |one_of| Some(Usual { value: quantile(values(), one_of)?, mean: quantile(means(), one_of)? });
        let (median, quartile) = (of(HALF)?, of(QUARTER)?);
        let failed = self.intervals.iter().map(|interval| interval.failed as f64).collect();
        let is_chance = match what {
            Measure::Errors => quantile(failed, HALF).is_none_or(|failed| failed < FAILURES as f64),
            Measure::P95 => median.mean < quartile.mean * MEAN,
            Measure::Rate | Measure::Lag => true,
        };
        let is_usual = is_chance || !stands_out(median.value, quartile.value, what);
        Some(if is_usual { median } else { quartile })
    }

    /// The usual rate: the median of the intervals outside of `troubles`, in which something had
    /// errors or was slow, if enough of them are; none where it is too low to be compared.
    fn usual_rate(&self, troubles: &[(Nanos, Nanos)]) -> Option<Usual> {
        let is_calm = |index: usize| {
            let (start, end) = (self.start(index), self.start(index + 1));
            !troubles.iter().any(|(from, to)| start < *to && *from < end)
        };
        let rates = |indices: &mut dyn Iterator<Item = usize>| -> Vec<f64> {
            indices.filter_map(|index| value(&self.intervals[index], Measure::Rate, self.length)).collect()
        };
        let all = 0..self.intervals.len();
        let calm = rates(&mut all.clone().filter(|index| is_calm(*index)));
        let is_enough = calm.len() * CALM >= all.len();
        let value = quantile(if is_enough { calm } else { rates(&mut all.clone()) }, HALF)?;
        (value * seconds(self.length) >= ENOUGH as f64).then_some(Usual { value, mean: 0.0 })
    }

    fn symptoms(&self, what: Measure, usual: Usual) -> Vec<Symptom> {
        let values: Vec<_> =
            self.intervals.iter().map(|interval| value(interval, what, self.length)).collect();
        // Loads begin and end within an interval, which says nothing of their rate.
        let is_edge = |index: usize| what == Measure::Rate && (index == 0 || index + 1 == values.len());
        let is_slow =
            |index: usize| self.intervals[index].mean().is_some_and(|mean| mean >= usual.mean * MEAN);
        let is_out = |index: usize| {
            let is_out = values[index].is_some_and(|value| stands_out(value, usual.value, what));
            is_out && !is_edge(index) && (what != Measure::P95 || is_slow(index))
        };
        let out: Vec<_> = (0..values.len()).filter(|index| is_out(*index)).collect();
        let failures = |spell: &[usize]| spell.iter().map(|index| self.intervals[*index].failed).sum::<u64>();
        let spells =
            spells(&out, values.len()).filter(|spell| what != Measure::Errors || failures(spell) >= FAILURES);
        let symptom = |spell: &[usize]| {
            let far = |value: &f64| (value - usual.value).abs();
            let values = spell.iter().filter_map(|index| values[*index]);
            Symptom {
                of: self.row.of,
                name: self.row.name.clone(),
                topic: self.row.topic.clone(),
                what,
                start_ns: self.start(spell[0]),
                end_ns: self.start(spell[spell.len() - 1] + 1).min(self.row.end),
                usual: usual.value,
                worst: values.max_by(|one, other| far(one).total_cmp(&far(other))).unwrap_or(usual.value),
            }
        };
        spells.map(symptom).collect()
    }

    /// When an interval begins: nanoseconds from the start of the run.
    fn start(&self, index: usize) -> Nanos {
        self.begin + index as u64 * self.length
    }
}

/// How many intervals are looked at together, so that their p95 is more than their longest
/// request: as few as give the usual group [`GROUP`] requests, if [`GROUPS`] groups remain.
fn together(own: &[Interval]) -> usize {
    let most = (own.len() / GROUPS).max(1);
    let usual = quantile(own.iter().map(|one| one.count as f64).collect(), HALF).unwrap_or(0.0);
    (1..most).find(|together| usual * *together as f64 >= GROUP).unwrap_or(most)
}

/// What an interval says of a measure; nothing where it has too few requests for it.
fn value(interval: &Interval, what: Measure, length: Nanos) -> Option<f64> {
    match what {
        Measure::Lag => None,
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
        Measure::Lag => false,
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// The value that one of `one_of` values is below: [`HALF`] for the median.
fn quantile(mut values: Vec<f64>, one_of: usize) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / one_of).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::stats::Accounts;
    use crate::load::LoadStats;

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
        TimelineRows::new(&[("clients".to_owned(), load)], &Accounts::default(), &[])
    }

    const FINE: (Nanos, bool) = (10_000_000, false);

    #[test]
    fn a_run_that_is_the_same_all_along_has_no_symptom() {
        assert_eq!(symptoms(&rows(|_, _| FINE)), []);
        assert_eq!(symptoms(&rows(|_, number| (10_000_000, number % 10 == 0))), []);
    }

    #[test]
    fn a_symptom_begins_and_ends_with_its_intervals() {
        let slow = rows(|second, number| match (20..30).contains(&second) {
            true => (80_000_000, number == 0),
            false => FINE,
        });
        let found = symptoms(&slow);
        let [symptom] = &found[..] else { panic!("{found:?}") };
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
        let found = symptoms(&failing);
        let [symptom] = &found[..] else { panic!("{found:?}") };
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
        assert_eq!(symptoms(&mixed), []);
    }

    #[test]
    fn one_failure_now_and_then_is_no_symptom() {
        let failing = rows(|second, number| (10_000_000, second % 20 == 7 && number == 0));
        assert_eq!(symptoms(&failing), []);
    }

    #[test]
    fn traffic_that_doubles_is_a_symptom() {
        let mut load = LoadStats { duration: 60 * SECOND, ..LoadStats::default() };
        for second in 0..60 {
            let requests = if (30..40).contains(&second) { 100 } else { 50 };
            (0..requests).for_each(|_| load.timeline.note(second * SECOND, Some(1), false));
        }
        let found = symptoms(&TimelineRows::new(&[("clients".to_owned(), load)], &Accounts::default(), &[]));
        let [symptom] = &found[..] else { panic!("{found:?}") };
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
        let rows = TimelineRows::new(&loads, &Accounts::default(), &[]);
        assert_eq!(symptoms(&rows), []);
        assert!(rows.rows.iter().all(|row| row.requests.len() == 60 && row.p95_ns.len() == 60));
    }

    #[test]
    fn an_incident_of_most_of_the_run_is_what_is_told_not_the_calm_before() {
        // From 20 s on, requests are slow, a fifth fails, and there are three times as many.
        let mut load = LoadStats { duration: 60 * SECOND, ..LoadStats::default() };
        for second in 0..60 {
            let is_bad = second >= 20;
            for number in 0..if is_bad { 150 } else { 50 } {
                let took = if is_bad { 80_000_000 } else { 10_000_000 };
                load.timeline.note(second * SECOND + number, Some(took), is_bad && number % 5 == 0);
            }
        }
        let found = symptoms(&TimelineRows::new(&[("clients".to_owned(), load)], &Accounts::default(), &[]));
        let times: Vec<_> =
            found.iter().map(|one| (one.what, one.start_ns / SECOND, one.end_ns / SECOND)).collect();
        // The last interval says nothing of a rate: the load may have ended within it.
        assert_eq!(
            times,
            [(Measure::Errors, 20, 60), (Measure::P95, 20, 60), (Measure::Rate, 20, 59)],
            "{found:?}"
        );
        assert_eq!((found[0].usual, found[2].usual), (0.0, 50.0));
    }

    #[test]
    fn rare_errors_are_usual_though_many_intervals_have_none() {
        // Of thirty requests a second one fails in two seconds of three: chance, not an incident.
        let mut load = LoadStats { duration: 60 * SECOND, ..LoadStats::default() };
        for second in 0..60 {
            let fails = |number| number == 0 && second % 3 != 1;
            (0..30).for_each(|number| load.timeline.note(second * SECOND, Some(1), fails(number)));
        }
        let rows = TimelineRows::new(&[("clients".to_owned(), load)], &Accounts::default(), &[]);
        assert_eq!(symptoms(&rows), []);
    }
}
