//! Which of the requests that match are struck.

use toml::de::DeValue;

use super::super::rates::share;
use super::super::reader::{Table, Value, optional};
use super::kinds::Scope;
use crate::error::Problem;
use crate::model::{Chance, FailFirst};

/// Requests that a fault may count.
const COUNT_AT_MOST: u64 = 1_000_000_000_000;

/// Requests that a fault may strike at a time: as many as may come in.
const ACTIVE_AT_MOST: u32 = 1_000_000;

/// Attempts of a call: more than any link makes.
const ATTEMPTS_AT_MOST: u32 = 100;

/// The keys of a fault that say so.
pub(super) fn chance(table: &Table<'_>, scope: &Scope) -> Option<Chance> {
    let [probability] = table.some(["probability"]);
    let [fail_first, every_nth, max_active, max_total, by_caller] =
        table.some(["fail-first", "every-nth", "max-active", "max-total", "by-caller"]);
    let counts = [&fail_first, &every_nth, &max_active, &max_total, &by_caller];
    let mut allowed = Some(());
    for value in counts.into_iter().flatten() {
        allowed = scope.allow(value).and(allowed);
    }
    if let Some(value) = probability.as_ref().filter(|_| !scope.dice) {
        allowed = scope.allow(value).and(allowed);
    }
    allowed?;
    if let (Some(_), Some(value)) = (&fail_first, &every_nth) {
        value.refuse_key::<()>(
            Problem::new("the fault has both fail-first and every-nth")
                .label("fail-first is given as well")
                .help("keep one of them: the first requests, or some all along"),
        );
    }
    let probability = match probability {
        Some(value) => share(&value),
        None => Some(1.0),
    };
    let fail_first = optional(fail_first, |value| first(&value));
    let every_nth = optional(every_nth, |value| value.whole(1..=COUNT_AT_MOST));
    let max_active = optional(max_active, |value| value.count(1..=ACTIVE_AT_MOST));
    let max_total = optional(max_total, |value| value.whole(1..=COUNT_AT_MOST));
    let by_caller = by_caller.map_or(Some(false), |value| value.flag());
    Some(Chance {
        probability: probability?,
        fail_first: fail_first?,
        every_nth: every_nth?,
        max_active: max_active?,
        max_total: max_total?,
        by_caller: by_caller?,
    })
}

/// `fail-first = 2`, or `fail-first = { attempts = 2 }`.
fn first(value: &Value<'_>) -> Option<FailFirst> {
    if !matches!(value.item(), DeValue::Table(_)) {
        return value.whole(1..=COUNT_AT_MOST).map(FailFirst::Of);
    }
    let table = value.table("fail-first")?;
    let [attempts] = table.keys(["attempts"]);
    let remedy = "say how many attempts of each call fail: fail-first = { attempts = 2 }";
    let attempts = table.need("attempts", attempts, remedy)?;
    attempts.count(1..=ATTEMPTS_AT_MOST).map(FailFirst::Attempts)
}
