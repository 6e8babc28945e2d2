//! When a group lagged notably: it had more messages to do than it usually has.

use crate::model::Nanos;

use super::{ENOUGH, Measure, Symptom, TimelineRow, quantile, spells};

/// A lag is a symptom from this multiple of the usual one, and if it is this many messages more.
const TIMES: f64 = 3.0;
const MORE: f64 = ENOUGH as f64;

/// A group lags for this long at least: nanoseconds.
const LASTING: Nanos = 1_000_000_000;

/// Intervals that lag no more than is usual: one of this many. A group may lag ever more from the beginning
/// on, and for most of a run.
const TENTH: usize = 10;

/// The times in which a row lagged, if it is a group's.
pub fn symptoms(row: &TimelineRow, interval_ns: Nanos) -> Vec<Symptom> {
    let Some(lag) = &row.lag_max else { return Vec::new() };
    let values: Vec<_> = lag[row.own.clone()].iter().map(|lag| lag.unwrap_or(0) as f64).collect();
    let Some(usual) = quantile(values.clone(), TENTH) else { return Vec::new() };
    let is_out = |index: &usize| values[*index] >= (usual * TIMES).max(usual + MORE);
    let out: Vec<_> = (0..values.len()).filter(is_out).collect();
    let start = |index: usize| (row.own.start + index) as u64 * interval_ns;
    let symptom = |spell: &[usize]| Symptom {
        of: row.of,
        name: row.name.clone(),
        topic: row.topic.clone(),
        what: Measure::Lag,
        start_ns: start(spell[0]),
        end_ns: start(spell[spell.len() - 1] + 1).min(row.end),
        usual,
        worst: spell.iter().map(|index| values[*index]).fold(usual, f64::max),
    };
    let symptoms = spells(&out, values.len()).map(symptom);
    symptoms.filter(|symptom| symptom.end_ns - symptom.start_ns >= LASTING).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::timeline::Subject;

    const TENTH: Nanos = 100_000_000;

    /// What a group of this lag at each tenth of a second has as symptoms: when they begin and end in tenths,
    /// what is usual, and the worst.
    fn found(lags: impl Iterator<Item = u64>) -> Vec<(u64, u64, f64, f64)> {
        let lags: Vec<_> = lags.map(Some).collect();
        let row = TimelineRow {
            of: Subject::Group,
            name: "mails".to_owned(),
            topic: Some("orders".to_owned()),
            requests: Vec::new(),
            errors: Vec::new(),
            p50_ns: Vec::new(),
            p95_ns: Vec::new(),
            own: 0..lags.len(),
            end: lags.len() as u64 * TENTH,
            lag_max: Some(lags),
            intervals: Vec::new(),
        };
        let symptoms = symptoms(&row, TENTH);
        assert!(symptoms.iter().all(|one| (one.what, &*one.name) == (Measure::Lag, "mails")));
        let tenths = |at: Nanos| at / TENTH;
        symptoms.iter().map(|one| (tenths(one.start_ns), tenths(one.end_ns), one.usual, one.worst)).collect()
    }

    #[test]
    fn a_group_that_stands_still_for_a_while_lags_then() {
        let lags = (0..100).map(|at| if (40..60).contains(&at) { 30 + at } else { at % 5 });
        assert_eq!(found(lags), [(40, 60, 0.0, 89.0)]);
    }

    #[test]
    fn a_group_that_falls_behind_ever_more_lags_for_most_of_the_run() {
        assert_eq!(found((0..100).map(|at| at * 10)), [(30, 100, 100.0, 990.0)]);
    }

    #[test]
    fn batches_moments_and_a_few_messages_are_no_lag() {
        // A batch gathers, again and again.
        assert_eq!(found((0..100).map(|at| 10 + at % 20)), []);
        // For less than a second.
        assert_eq!(found((0..100).map(|at| if (40..49).contains(&at) { 90 } else { 0 })), []);
        // Nineteen more than none.
        assert_eq!(found((0..100).map(|at| if at > 60 { 19 } else { 0 })), []);
    }
}
