//! Which of the requests that match are struck.

use toml::de::DeValue;

use super::super::key::{Key, Optional, Required, Type, Usual};
use super::super::reader::{Table, Value};
use super::super::schema::any;
use super::super::section::Section;
use super::super::shapes::{By, Count, Whole, Written};
use super::super::types::{FLAG, SHARE};
use super::kinds::{LooksAt, Scope};
use crate::error::Problem;
use crate::model::{Chance, FailFirst};

/// Requests that a fault may count.
const COUNT_AT_MOST: u64 = 1_000_000_000_000;

/// Requests that a fault may strike at a time: as many as may come in.
const ACTIVE_AT_MOST: u32 = 1_000_000;

/// Attempts of a call: more than any link makes.
const ATTEMPTS_AT_MOST: u32 = 100;

pub(super) static PROBABILITY: Key<By<f64>, Usual> = Key {
    name: "probability",
    of: SHARE,
    absent: Usual("1.0"),
    says: "the share that is struck, from 0 to 1, of any fineness",
};

pub(super) static FAIL_FIRST: Key<Written, Optional> = Key {
    name: "fail-first",
    of: Written {
        words: "a whole number, or a table",
        schema: |defs| any([Whole(1, COUNT_AT_MOST).schema(defs), FIRST.refer(defs)]),
    },
    absent: Optional("none"),
    says: "`2`: the first two of each window; `{ attempts = 2 }`: the first two attempts of each call, so that the \
           third gets through; not together with `every-nth`",
};

pub(super) static EVERY_NTH: Key<Whole, Optional> = Key {
    name: "every-nth",
    of: Whole(1, COUNT_AT_MOST),
    absent: Optional("none"),
    says: "`3`: the third, the sixth, …",
};

pub(super) static MAX_ACTIVE: Key<Count, Optional> = Key {
    name: "max-active",
    of: Count(1, ACTIVE_AT_MOST),
    absent: Optional("none"),
    says: "strikes at most this many requests at a time; a struck request counts while it is under way",
};

pub(super) static MAX_TOTAL: Key<Whole, Optional> = Key {
    name: "max-total",
    of: Whole(1, COUNT_AT_MOST),
    absent: Optional("none"),
    says: "strikes at most this many requests in the whole run",
};

pub(super) static BY_CALLER: Key<By<bool>, Usual> = Key {
    name: "by-caller",
    of: FLAG,
    absent: Usual("false"),
    says: "only requests that ask for it: with the header `x-simhost-fault: NAME` (several names with commas between \
           them), or with `simhost-fault=NAME` in their baggage, which is passed on to all calls",
};

/// Which of the requests that match are struck.
pub(super) fn chance(table: &Table<'_>, scope: &Scope) -> Option<Chance> {
    let (fail_first, every_nth) = (FAIL_FIRST.get(table), EVERY_NTH.get(table));
    let others = [MAX_ACTIVE.get(table), MAX_TOTAL.get(table), BY_CALLER.get(table)];
    let mut allowed = Some(());
    for value in [&fail_first, &every_nth].into_iter().chain(&others).flatten() {
        allowed = scope.allow(value).and(allowed);
    }
    if let Some(value) = PROBABILITY.get(table).filter(|_| !scope.dice) {
        allowed = scope.allow(&value).and(allowed);
    }
    if let Some(value) = MAX_ACTIVE.get(table).filter(|_| scope.looks_at == LooksAt::Messages) {
        let help = "leave it out: a message is struck at one instant; max-total bounds how many are";
        allowed = value.refuse_key(scope.takes_no(MAX_ACTIVE.name).help(help));
    }
    allowed?;
    if let (Some(_), Some(value)) = (&fail_first, &every_nth) {
        value.refuse_key::<()>(
            Problem::new("the fault has both fail-first and every-nth")
                .label("fail-first is given as well")
                .help("keep one of them: the first requests, or some all along"),
        );
    }
    let probability = PROBABILITY.read(table);
    let fail_first = fail_first.map_or(Some(None), |value| first(&value).map(Some));
    let (every_nth, max_active) = (EVERY_NTH.read(table), MAX_ACTIVE.read(table));
    let (max_total, by_caller) = (MAX_TOTAL.read(table), BY_CALLER.read(table));
    Some(Chance {
        probability: probability?,
        fail_first: fail_first?,
        every_nth: every_nth?,
        max_active: max_active?,
        max_total: max_total?,
        by_caller: by_caller?,
    })
}

static FIRST: Section =
    Section { name: "fail-first", says: "which attempts of each call fail", keys: &[&ATTEMPTS], rules: &[] };

static ATTEMPTS: Key<Count, Required> = Key {
    name: "attempts",
    of: Count(1, ATTEMPTS_AT_MOST),
    absent: Required("say how many attempts of each call fail: fail-first = { attempts = 2 }"),
    says: "this many attempts of each call fail",
};

/// `fail-first = 2`, or `fail-first = { attempts = 2 }`.
fn first(value: &Value<'_>) -> Option<FailFirst> {
    if !matches!(value.item(), DeValue::Table(_)) {
        return value.whole(1..=COUNT_AT_MOST).map(FailFirst::Of);
    }
    let table = FIRST.open(value, "fail-first")?;
    ATTEMPTS.read(&table).map(FailFirst::Attempts)
}
