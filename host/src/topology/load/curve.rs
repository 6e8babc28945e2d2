//! Rates that change: `ramp`, `bursts` and `diurnal` of `arrivals`.

use serde_json::json;

use super::super::key::{Key, Optional, Required, RequiredIf, Usual};
use super::super::rates::{RATE_AT_MOST, RATE_REMEDY, rate_from_zero, show_rate};
use super::super::reader::{Table, Value};
use super::super::section::{Section, Sub};
use super::super::shapes::{By, Choice, Count, Written};
use super::super::types::{DURATION, RATE, RATE_FROM_ZERO, TIME};
use super::super::units::duration;
use super::{alien, draw};
use crate::clock;
use crate::error::Problem;
use crate::model::{After, Curve, Nanos, Rate};

/// Points of a curve.
const POINTS_AT_MOST: usize = 10_000;

pub(super) static RAMP: Key<Sub, Optional> = Key {
    name: "ramp",
    of: Sub(&Section {
        name: "ramp",
        says: "a rate that grows or falls in a straight line",
        keys: &[&RAMP_FROM, &RAMP_TO, &OVER, &THEN],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "a rate that grows or falls: `{ from = \"0/s\", to = \"100/s\", over = \"5m\" }`",
};

const RAMP_REMEDY: &str = "write ramp = { from = \"0/s\", to = \"100/s\", over = \"5m\" }";

static RAMP_FROM: Key<By<Rate>, Required> =
    Key { name: "from", of: RATE_FROM_ZERO, absent: Required(RAMP_REMEDY), says: "the rate at the start" };

static RAMP_TO: Key<By<Rate>, Required> =
    Key { name: "to", of: RATE_FROM_ZERO, absent: Required(RAMP_REMEDY), says: "the rate at the end" };

static OVER: Key<By<Nanos>, Required> =
    Key { name: "over", of: TIME, absent: Required(RAMP_REMEDY), says: "the time from start to end" };

static THEN: Key<Choice<After>, Usual> = Key {
    name: "then",
    of: Choice { what: "ending", words: &[("hold", After::Hold), ("end", After::End)] },
    absent: Usual("\"hold\""),
    says: "whether the load keeps the last rate or ends",
};

/// `ramp = { from = "0/s", to = "100/s", over = "5m", then = "hold" }`.
pub(super) fn ramp(table: &Table<'_>, value: &Value<'_>) -> Option<Curve> {
    let (from, to, over) = (RAMP_FROM.read(table), RAMP_TO.read(table), OVER.read(table));
    let after = THEN.read(table);
    let points = vec![(0, from?), (over?, to?)];
    some_rate(value, &points)?;
    Some(Curve::Lines { points, after: after? })
}

pub(super) static BURSTS: Key<Sub, Optional> = Key {
    name: "bursts",
    of: Sub(&Section {
        name: "bursts",
        says: "many requests at a time, again and again",
        keys: &[&BASE, &SIZE, &EVERY, &LASTING],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "`{ base = \"10/s\", size = 500, every = \"1m\", lasting = \"5s\" }`: 500 more in the first five seconds of \
           every minute",
};

const BURSTS_REMEDY: &str =
    "write bursts = { base = \"10/s\", size = 500, every = \"1m\", lasting = \"5s\" }";

static BASE: Key<By<Rate>, Usual> =
    Key { name: "base", of: RATE_FROM_ZERO, absent: Usual("\"0/s\""), says: "the rate all along" };

static SIZE: Key<Count, Required> = Key {
    name: "size",
    of: Count(1, u32::MAX),
    absent: Required(BURSTS_REMEDY),
    says: "requests of a burst, beside those of `base`",
};

static EVERY: Key<By<Nanos>, Required> = Key {
    name: "every",
    of: TIME,
    absent: Required(BURSTS_REMEDY),
    says: "the time from one burst to the next",
};

static LASTING: Key<By<Nanos>, Required> =
    Key { name: "lasting", of: TIME, absent: Required(BURSTS_REMEDY), says: "how long a burst lasts" };

/// `bursts = { base = "10/s", size = 500, every = "1m", lasting = "5s" }`.
pub(super) fn bursts(table: &Table<'_>, value: &Value<'_>) -> Option<Curve> {
    let (base, size, every) = (BASE.read(table), SIZE.read(table), EVERY.read(table));
    let lasting = LASTING.read(table);
    let (base, size, every, lasting) = (base?, size?, every?, lasting?);
    if lasting > every {
        let message = format!("a burst lasts {}, longer than from one to the next", clock::show(lasting));
        let help = format!("write a time up to {}", clock::show(every));
        return LASTING.get(table)?.refuse(Problem::new(message).label("too long").help(help));
    }
    let high = base + f64::from(size) / (lasting as f64 / 1e9);
    if high > RATE_AT_MOST {
        let message = format!("a burst has {} requests in a second", show_rate(high));
        let help = format!(
            "a load makes at most {} in a second: let a burst last longer, or be smaller",
            show_rate(RATE_AT_MOST)
        );
        return value.refuse(Problem::new(message).label("too many").help(help));
    }
    let points = vec![(0, high), (lasting, high), (lasting, base), (every, base)];
    Some(Curve::Lines { points, after: After::Repeat })
}

pub(super) static DIURNAL: Key<Sub, Optional> = Key {
    name: "diurnal",
    of: Sub(&Section {
        name: "diurnal",
        says: "a rate that repeats from day to day: a cosine, or straight lines between points",
        keys: &[&DIURNAL_MIN, &DIURNAL_MAX, &PERIOD, &PEAK, &POINTS],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "a cosine, `{ min = \"5/s\", max = \"100/s\", peak = \"14h\" }`, or straight lines, \
           `{ points = [[\"0h\", \"5/s\"], [\"9h\", \"80/s\"]] }`",
};

const DIURNAL_REQUIRED: RequiredIf = RequiredIf(
    "without `points`",
    "write diurnal = { min = \"5/s\", max = \"100/s\", period = \"24h\", peak = \"14h\" }",
);

static DIURNAL_MIN: Key<By<Rate>, RequiredIf> =
    Key { name: "min", of: RATE_FROM_ZERO, absent: DIURNAL_REQUIRED, says: "the lowest rate" };

static DIURNAL_MAX: Key<By<Rate>, RequiredIf> =
    Key { name: "max", of: RATE, absent: DIURNAL_REQUIRED, says: "the highest rate" };

static PERIOD: Key<By<Nanos>, Usual> =
    Key { name: "period", of: TIME, absent: Usual("\"24h\""), says: "the time after which it repeats" };

static PEAK: Key<By<Nanos>, Optional> = Key {
    name: "peak",
    of: DURATION,
    absent: Optional("half of `period`"),
    says: "when the rate is highest, within the period",
};

static POINTS: Key<Written, Optional> = Key {
    name: "points",
    of: Written {
        words: "a list of pairs of a time and a rate",
        schema: |_| {
            let pair = draw::pair_schema();
            json!({ "type": "array", "items": pair, "minItems": 2, "maxItems": POINTS_AT_MOST })
        },
    },
    absent: Optional("none"),
    says: "straight lines from point to point, the last back to the first: `[[\"0h\", \"5/s\"], [\"9h\", \"80/s\"]]`",
};

/// `diurnal = { min = "5/s", max = "100/s", peak = "14h" }`, or with `points`.
pub(super) fn diurnal(table: &Table<'_>) -> Option<Curve> {
    let period = PERIOD.read(table);
    if let Some(points) = POINTS.get(table) {
        let others = [DIURNAL_MIN.get(table), DIURNAL_MAX.get(table), PEAK.get(table)];
        others.iter().flatten().for_each(|value| alien(value, "a peak"));
        return of_points(&points, period?);
    }
    let (min, max) = (DIURNAL_MIN.read(table), DIURNAL_MAX.read(table));
    let period = period?;
    let peak = match PEAK.get(table) {
        Some(value) => within(&value, period),
        None => Some(period / 2),
    };
    let (min, max) = (min?, max?);
    if min > max {
        let problem = Problem::new("min is greater than max").label("greater than max").help("swap them");
        return DIURNAL_MIN.get(table)?.refuse(problem);
    }
    Some(Curve::Wave { min, max, period, peak: peak? })
}

/// A time within a period.
fn within(value: &Value<'_>, period: Nanos) -> Option<Nanos> {
    let time = duration(value)?;
    if time < period {
        return Some(time);
    }
    let (time, period) = (clock::show(time), clock::show(period));
    value.refuse(
        Problem::new(format!("{time} is not within the period of {period}"))
            .label("too late")
            .help(format!("write a time from the period's beginning on, below {period}")),
    )
}

/// `points = [["0h", "5/s"], ["9h", "80/s"]]`: straight lines, the last back to the first.
fn of_points(value: &Value<'_>, period: Nanos) -> Option<Curve> {
    let remedy = "write pairs of a time and a rate, as in points = [[\"0h\", \"5/s\"], [\"9h\", \"80/s\"]]";
    let list = value.list()?;
    if !(2..=POINTS_AT_MOST).contains(&list.len()) {
        let message = format!("points has {} points", list.len());
        let problem = Problem::new(message).label(format!("2 to {POINTS_AT_MOST} are needed"));
        return value.refuse(problem.help(remedy));
    }
    let mut points: Vec<(Nanos, Rate)> = Vec::new();
    for pair in list {
        let [time, rate] = &draw::pair(&pair, remedy)?;
        let (at, rate) = (within(time, period)?, rate_from_zero(rate)?);
        if points.last().is_some_and(|(before, _)| *before >= at) {
            let problem =
                Problem::new("the times of points must rise").label("not later than the one before");
            return time.refuse(problem.help("put the points in the order of time, each time once"));
        }
        points.push((at, rate));
    }
    some_rate(value, &points)?;
    let (first, last) = (points[0], points[points.len() - 1]);
    // From the last point to the first of the next period; cut where the period ends.
    let gap = (period - last.0 + first.0) as f64;
    let at_end = last.1 + (first.1 - last.1) * (period - last.0) as f64 / gap;
    if first.0 > 0 {
        points.insert(0, (0, at_end));
    }
    points.push((period, at_end));
    Some(Curve::Lines { points, after: After::Repeat })
}

/// Refuses a curve that never makes a request.
fn some_rate(value: &Value<'_>, points: &[(Nanos, Rate)]) -> Option<()> {
    if points.iter().any(|(_, rate)| *rate > 0.0) {
        return Some(());
    }
    let problem = Problem::new("the rate is 0 throughout").label("no request, ever");
    value.refuse(problem.help(RATE_REMEDY))
}
