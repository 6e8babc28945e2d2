//! The points of checks: a check gives its points if it passes at every seed, a guard only beside a check
//! that is none, and guessing has a price where the lab says so.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::finding::Finding;
use super::manifest::{Check, Kind};
use super::verdict::CheckRow;

/// What a guess too many takes of the points, and the most that all of them take.
const PRICE: f64 = 0.1;
const PRICE_AT_MOST: f64 = 0.5;

/// Failures that are remembered beyond the free ones: more of them cost nothing more.
const DEAREST: usize = 5;

/// What failed before, by the names of checks: a digest of each different thing that was measured or
/// answered.
pub type Failures = BTreeMap<String, BTreeSet<String>>;

/// The row of a check, from what it found at each seed. Without `failures` guessing costs nothing.
pub fn row(check: &Check, found: &[(Option<u64>, &Finding)], failures: Option<&Failures>) -> CheckRow {
    let failed = || found.iter().filter(|(_, finding)| !finding.passed);
    let passed = !found.is_empty() && failed().next().is_none();
    // The first one that fails tells most; of those that pass, any.
    let shown = failed().chain(found).next();
    let got = shown.and_then(|(_, finding)| finding.got.clone());
    let guessing = check.guesses.zip(failures);
    let worth = guessing.map_or(1.0, |(free, failures)| worth(failures.get(&check.name), free));
    let mut message: String =
        failed().next().map(|(seed, finding)| said(check, *seed, finding)).unwrap_or_default();
    if let (false, Some((free, failures)), Some(got)) = (passed, guessing, &got) {
        let is_answer = matches!(check.kind, Kind::Answer(_));
        let price = price(failures.get(&check.name), free, got, is_answer);
        let is_sentence = message.ends_with(['.', '!', '?']);
        message.push_str(if is_sentence || price.is_empty() { "" } else { "." });
        message.push_str(&price);
    }
    CheckRow {
        name: check.name.clone(),
        kind: check.kind.name().to_owned(),
        guard: check.guard,
        passed,
        score: if passed { f64::from(check.weight) * worth } else { 0.0 },
        max: check.weight,
        got,
        want: shown.map(|(_, finding)| finding.want.clone()).unwrap_or_default(),
        seed: failed().next().and_then(|(seed, _)| *seed),
        failed_seeds: failed().filter(|(seed, _)| seed.is_some()).map(|_| 1).sum(),
        message,
        trace_id: failed().find_map(|(_, finding)| finding.trace).map(|id| id.to_string()),
    }
}

/// The row of a check that was not asked.
pub fn not_judged(check: &Check) -> CheckRow {
    CheckRow { message: "it was not judged".to_owned(), ..row(check, &[], None) }
}

/// What a person reads of a failure: the lab's own words, if it has any and something was measured.
fn said(check: &Check, seed: Option<u64>, finding: &Finding) -> String {
    let (Some(say), Some(got)) = (&check.say, &finding.got) else { return finding.message.clone() };
    let want = check.kind.wanted().unwrap_or_else(|| finding.want.clone());
    let seed = seed.map(|seed| seed.to_string()).unwrap_or_default();
    say.replace("{got}", got).replace("{want}", &want).replace("{seed}", &seed)
}

/// Takes the points of guards away where they alone pass: who changes nothing has earned nothing.
pub fn hold_guards(rows: &mut [CheckRow]) {
    if !rows.iter().any(|row| row.passed && !row.guard) {
        rows.iter_mut().for_each(|row| row.score = 0.0);
    }
}

/// The share of the points that is left.
fn worth(failures: Option<&BTreeSet<String>>, free: u32) -> f64 {
    let beyond = failures.map_or(0, BTreeSet::len).saturating_sub(free as usize);
    1.0 - (PRICE * beyond as f64).min(PRICE_AT_MOST)
}

/// What guessing costs, to who has just failed and has no failure left that is free.
fn price(failures: Option<&BTreeSet<String>>, free: u32, got: &str, is_answer: bool) -> String {
    let new = failures.is_none_or(|failures| !failures.contains(&digest(got)));
    let tries = failures.map_or(0, BTreeSet::len) + usize::from(new);
    if tries < free as usize {
        return String::new();
    }
    // No more of them are remembered than cost something.
    let at_least = if tries > free as usize + DEAREST { "at least " } else { "" };
    let what = if is_answer { "Wrong answers" } else { "Different failures" };
    format!(
        " {what} until now: {at_least}{tries}. Each beyond {free} takes 10 % of these points, half of them at most."
    )
}

/// Notes what has failed, where guessing has a price.
pub fn note(failures: &mut Failures, checks: &[Check], rows: &[CheckRow]) {
    for check in checks {
        let row = rows.iter().find(|row| row.name == check.name && !row.passed);
        let (Some(free), Some(got)) = (check.guesses, row.and_then(|row| row.got.as_ref())) else { continue };
        let known = failures.entry(check.name.clone()).or_default();
        if known.len() < free as usize + DEAREST {
            known.insert(digest(got));
        }
    }
}

/// Eight hexadecimal digits that tell one failure from another.
fn digest(got: &str) -> String {
    Sha256::digest(got).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_beyond_those_that_are_free_take_points_and_half_at_most() {
        let failures = |count: u32| (0..count).map(|number| digest(&number.to_string())).collect();
        let left = |count| worth(Some(&failures(count)), 3);
        assert_eq!([worth(None, 3), left(3), left(4), left(99)], [1.0, 1.0, 0.9, 0.5]);
    }

    #[test]
    fn the_same_failure_again_is_no_further_guess() {
        let known: BTreeSet<_> = [digest("a")].into();
        assert!(price(Some(&known), 1, "a", false).starts_with(" Different failures until now: 1."));
        assert!(price(Some(&known), 1, "b", true).starts_with(" Wrong answers until now: 2."));
    }

    #[test]
    fn what_guessing_costs_is_said_when_the_next_failure_costs_something() {
        let known: BTreeSet<_> = [digest("a")].into();
        assert_eq!(price(Some(&known), 3, "b", true), "");
        assert!(price(Some(&known), 2, "b", true).contains("Each beyond 2 takes 10 %"));
    }
}
