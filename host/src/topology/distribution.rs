//! Random lengths of time: `"350ms"`, `"350ms +/- 20ms"`, `{ uniform = { … } }`.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::key::{Key, Optional, Required, Type};
use super::patterns;
use super::reader::{Table, Value};
use super::schema::{Defs, any, text, text_like};
use super::section::{Rule, Section, Sub};
use super::shapes::{By, Written};
use super::units::{duration_of, parse_duration_of, positive_duration_of, refuse_bare_duration};
use crate::clock;
use crate::error::{Problem, quote};
use crate::model::{Distribution, Nanos};

/// A latency or a delay.
pub(super) fn distribution(value: &Value<'_>) -> Option<Distribution> {
    refuse_bare_duration(value)?;
    match value.item() {
        DeValue::Table(_) => from_table(value),
        _ => value.read(|text| from_text(text, |time| parse_duration_of(value, time))),
    }
}

/// [`distribution`] that is not always zero.
pub(super) fn positive_distribution(value: &Value<'_>) -> Option<Distribution> {
    let read = distribution(value)?;
    if largest(&read) == Some(0) {
        return value.refuse(
            Problem::new(format!("{} must be longer than zero", quote(value.key)))
                .label("no time at all, ever")
                .help(r#"write a longer time, such as "1ms""#),
        );
    }
    Some(read)
}

/// The longest time that is ever drawn; none where there is no bound.
pub(super) fn largest(distribution: &Distribution) -> Option<Nanos> {
    match distribution {
        Distribution::Fixed(nanos) | Distribution::Normal { mean: nanos, stddev: 0 } => Some(*nanos),
        Distribution::Uniform { max, .. } => Some(*max),
        Distribution::Percentiles(points) => points.last().map(|(_, nanos)| *nanos),
        Distribution::Normal { .. }
        | Distribution::Lognormal { .. }
        | Distribution::Exponential { .. }
        | Distribution::Pareto { .. } => None,
    }
}

/// Writes a random length of time, as short as can be: `350ms +/- 20ms`.
pub fn show_distribution(distribution: &Distribution) -> String {
    let show = clock::show;
    match distribution {
        Distribution::Fixed(nanos) => show(*nanos),
        Distribution::Normal { mean, stddev } => format!("{} +/- {}", show(*mean), show(*stddev)),
        Distribution::Lognormal { median, .. } => format!("some {}", show(*median)),
        Distribution::Exponential { mean } => format!("{} on average", show(*mean)),
        Distribution::Uniform { min, max } => format!("{} to {}", show(*min), show(*max)),
        Distribution::Pareto { min, .. } => format!("{} or more", show(*min)),
        Distribution::Percentiles(points) => {
            let ends = points.first().zip(points.last());
            ends.map_or_else(String::new, |((_, min), (_, max))| format!("{} to {}", show(*min), show(*max)))
        }
    }
}

fn from_text(text: &str, parse: impl Fn(&str) -> Result<Nanos, Problem>) -> Result<Distribution, Problem> {
    match text.split_once("+/-") {
        None => parse(text).map(Distribution::Fixed),
        Some((mean, stddev)) => {
            let (mean, stddev) = (parse(mean.trim())?, parse(stddev.trim())?);
            Ok(Distribution::Normal { mean, stddev })
        }
    }
}

/// What a latency or a delay may be.
pub(super) fn schema(defs: &mut Defs) -> Json {
    any([text_like(&patterns::varying_time(), "350ms +/- 20ms"), DISTRIBUTION.refer(defs)])
}

static DISTRIBUTION: Section = Section {
    name: "distribution",
    says: "a random length of time",
    keys: &[&FIXED, &NORMAL, &LOGNORMAL, &EXPONENTIAL, &UNIFORM, &PARETO, &PERCENTILES],
    rules: &[Rule::One(&["fixed", "normal", "lognormal", "exponential", "uniform", "pareto", "percentiles"])],
};

/// A part of a distribution. Its unit is that of the key that the distribution stands under, where it
/// is left out, so that its reader has to have that.
const PART: Written = Written { words: "a time", schema: |_| text(&patterns::time()) };

/// Of the shape of a distribution.
const ABOVE_ZERO: By<f64> = By {
    words: "a number above 0",
    schema: |_| json!({ "type": "number", "exclusiveMinimum": 0 }),
    read: |value| value.number("a number greater than 0, such as 0.5", |number| number > 0.0),
};

const fn kind(name: &'static str, of: &'static Section) -> Key<Sub, Optional> {
    Key { name, of: Sub(of), absent: Optional("none"), says: of.says }
}

const fn part(name: &'static str, remedy: &'static str, says: &'static str) -> Key<Written, Required> {
    Key { name, of: PART, absent: Required(remedy), says }
}

static FIXED: Key<Written, Optional> =
    Key { name: "fixed", of: PART, absent: Optional("none"), says: "always the same time" };

const NORMAL_REMEDY: &str = r#"write normal = { mean = "350ms", stddev = "20ms" }"#;
static NORMAL: Key<Sub, Optional> = kind(
    "normal",
    &Section {
        name: "normal",
        says: "a normal distribution, never below zero: `{ mean = \"350ms\", stddev = \"20ms\" }`",
        keys: &[&MEAN, &STDDEV],
        rules: &[],
    },
);
static MEAN: Key<Written, Required> = part("mean", NORMAL_REMEDY, "the mean");
static STDDEV: Key<Written, Required> = part("stddev", NORMAL_REMEDY, "the standard deviation");

const LOGNORMAL_REMEDY: &str = r#"write lognormal = { median = "20ms", sigma = 0.5 }"#;
static LOGNORMAL: Key<Sub, Optional> = kind(
    "lognormal",
    &Section {
        name: "lognormal",
        says: "a log-normal distribution: `{ median = \"20ms\", sigma = 0.5 }`",
        keys: &[&MEDIAN, &SIGMA],
        rules: &[],
    },
);
static MEDIAN: Key<Written, Required> = part("median", LOGNORMAL_REMEDY, "the median");
static SIGMA: Key<By<f64>, Required> = Key {
    name: "sigma",
    of: ABOVE_ZERO,
    absent: Required(LOGNORMAL_REMEDY),
    says: "the standard deviation of the logarithm",
};

const EXPONENTIAL_REMEDY: &str = r#"write exponential = { mean = "20ms" }"#;
static EXPONENTIAL: Key<Sub, Optional> = kind(
    "exponential",
    &Section {
        name: "exponential",
        says: "an exponential distribution: `{ mean = \"20ms\" }`",
        keys: &[&EXPONENTIAL_MEAN],
        rules: &[],
    },
);
static EXPONENTIAL_MEAN: Key<Written, Required> = part("mean", EXPONENTIAL_REMEDY, "the mean");

const UNIFORM_REMEDY: &str = r#"write uniform = { min = "5ms", max = "15ms" }"#;
static UNIFORM: Key<Sub, Optional> = kind(
    "uniform",
    &Section {
        name: "uniform",
        says: "a uniform distribution: `{ min = \"5ms\", max = \"15ms\" }`",
        keys: &[&MIN, &MAX],
        rules: &[],
    },
);
static MIN: Key<Written, Required> = part("min", UNIFORM_REMEDY, "the shortest");
static MAX: Key<Written, Required> = part("max", UNIFORM_REMEDY, "the longest");

const PARETO_REMEDY: &str = r#"write pareto = { min = "5ms", shape = 1.5 }"#;
static PARETO: Key<Sub, Optional> = kind(
    "pareto",
    &Section {
        name: "pareto",
        says: "a Pareto distribution: `{ min = \"5ms\", shape = 1.5 }`",
        keys: &[&PARETO_MIN, &SHAPE],
        rules: &[],
    },
);
static PARETO_MIN: Key<Written, Required> = part("min", PARETO_REMEDY, "the shortest");
static SHAPE: Key<By<f64>, Required> = Key {
    name: "shape",
    of: ABOVE_ZERO,
    absent: Required(PARETO_REMEDY),
    says: "the tail index: the smaller, the heavier the tail",
};

static PERCENTILES: Key<Written, Optional> = Key {
    name: "percentiles",
    of: Written {
        words: "a table",
        schema: |_| {
            let percentiles = json!({ "^p[0-9][0-9.]*$": text(&patterns::time()) });
            json!({
                "type": "object",
                "patternProperties": percentiles,
                "additionalProperties": false,
                "minProperties": 2,
            })
        },
    },
    absent: Optional("none"),
    says: "straight lines between percentiles: `{ p50 = \"5ms\", p99 = \"80ms\", \"p99.9\" = \"1s\" }`",
};

fn from_table(value: &Value<'_>) -> Option<Distribution> {
    let table = DISTRIBUTION.open(value, format!("the distribution {}", quote(value.key)))?;
    let given = table.entries().iter().filter(|entry| DISTRIBUTION.has(entry.key)).count();
    if given != 1 {
        // An unknown kind has been noted already.
        if table.entries().len() == given {
            table.note(
                Problem::new(format!("{} names {} kinds of distribution", quote(value.key), given))
                    .label("exactly one is needed")
                    .help(r#"write for example { normal = { mean = "350ms", stddev = "20ms" } }"#),
            );
        }
        return None;
    }
    let key = value.key;
    let open = |of: &Key<Sub, Optional>| of.open(&table, quote(of.name));
    None.or_else(|| FIXED.get(&table).and_then(|value| duration_of(&value, key)).map(Distribution::Fixed))
        .or_else(|| open(&NORMAL).and_then(|table| read_normal(&table, key)))
        .or_else(|| open(&LOGNORMAL).and_then(|table| read_lognormal(&table, key)))
        .or_else(|| open(&EXPONENTIAL).and_then(|table| read_exponential(&table, key)))
        .or_else(|| open(&UNIFORM).and_then(|table| read_uniform(&table, key)))
        .or_else(|| open(&PARETO).and_then(|table| read_pareto(&table, key)))
        .or_else(|| PERCENTILES.get(&table).and_then(|value| read_percentiles(&value, key)))
}

fn read_normal(table: &Table<'_>, key: &str) -> Option<Distribution> {
    let (mean, stddev) = (MEAN.need(table), STDDEV.need(table));
    let (mean, stddev) = (mean?, stddev?);
    let (mean, stddev) = (duration_of(&mean, key), duration_of(&stddev, key));
    Some(Distribution::Normal { mean: mean?, stddev: stddev? })
}

fn read_lognormal(table: &Table<'_>, key: &str) -> Option<Distribution> {
    let (median, sigma) = (MEDIAN.need(table), SIGMA.need(table));
    let (median, sigma) = (median?, sigma?);
    let (median, sigma) = (positive_duration_of(&median, key), SIGMA.of.read(&sigma));
    Some(Distribution::Lognormal { median: median?, sigma: sigma? })
}

fn read_exponential(table: &Table<'_>, key: &str) -> Option<Distribution> {
    Some(Distribution::Exponential { mean: positive_duration_of(&EXPONENTIAL_MEAN.need(table)?, key)? })
}

fn read_uniform(table: &Table<'_>, key: &str) -> Option<Distribution> {
    let (min, max) = (MIN.need(table), MAX.need(table));
    let (min, max) = (min?, max?);
    let (least, most) = (duration_of(&min, key), duration_of(&max, key));
    let (least, most) = (least?, most?);
    if least <= most {
        return Some(Distribution::Uniform { min: least, max: most });
    }
    min.refuse(
        Problem::new(format!("min, {}, is greater than max, {}", clock::show(least), clock::show(most)))
            .label("greater than max")
            .help(format!("swap them: min = {:?}, max = {:?}", clock::show(most), clock::show(least))),
    )
}

fn read_pareto(table: &Table<'_>, key: &str) -> Option<Distribution> {
    let (min, shape) = (PARETO_MIN.need(table), SHAPE.need(table));
    let (min, shape) = (min?, shape?);
    let (min, shape) = (positive_duration_of(&min, key), SHAPE.of.read(&shape));
    Some(Distribution::Pareto { min: min?, shape: shape? })
}

fn read_percentiles(value: &Value<'_>, key: &str) -> Option<Distribution> {
    let table = value.table(quote(value.key))?;
    let mut points: Vec<(f64, Nanos, &Value<'_>)> = Vec::new();
    let mut whole = true;
    for entry in table.entries() {
        match (percentile(entry), duration_of_percentile(entry, key)) {
            (Some(percent), Some(nanos)) => points.push((percent, nanos, entry)),
            _ => whole = false,
        }
    }
    if !whole {
        return None;
    }
    if points.len() < 2 {
        return too_few(&table);
    }
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    for pair in points.windows(2) {
        let [(low_percent, low, low_entry), (percent, nanos, entry)] = pair else { continue };
        if low_percent == percent {
            let message = format!("{} and {} are the same percentile", low_entry.key, entry.key);
            let problem = Problem::new(message).label("there already").help("keep one of them");
            return entry.refuse_key(problem);
        }
        if nanos < low {
            let (below, here) = (clock::show(*low), clock::show(*nanos));
            let message = format!("{} is {here}, less than {} at {below}", entry.key, low_entry.key);
            let remedy = format!("percentiles never fall: write {below:?} or more");
            return entry.refuse(Problem::new(message).label("falls").help(remedy));
        }
    }
    Some(Distribution::Percentiles(points.into_iter().map(|(percent, nanos, _)| (percent, nanos)).collect()))
}

fn too_few(table: &Table<'_>) -> Option<Distribution> {
    table.note(
        Problem::new("percentiles needs at least two points")
            .label("too few points")
            .help(r#"write percentiles = { p50 = "5ms", p99 = "80ms" }, or fixed = "5ms" for one value"#),
    );
    None
}

/// The percentile that a key names: `p50`, `"p99.9"`.
fn percentile(entry: &Value<'_>) -> Option<f64> {
    let digits = entry.key.strip_prefix('p').filter(|digits| {
        digits.starts_with(|c: char| c.is_ascii_digit())
            && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
    });
    let percent = digits.and_then(|digits| digits.parse::<f64>().ok());
    percent.filter(|percent| (0.0..=100.0).contains(percent)).or_else(|| {
        entry.refuse_key(
            Problem::new(format!("{} is not a percentile", quote(entry.key)))
                .label("not a percentile")
                .help(r#"write p0 to p100, such as p50 or "p99.9""#),
        )
    })
}

fn duration_of_percentile(entry: &Value<'_>, key: &str) -> Option<Nanos> {
    let DeValue::Table(_) = entry.item() else { return duration_of(entry, key) };
    // TOML reads p99.9 as the key 9 of a table p99.
    entry.refuse_key(
        Problem::new(format!("{} is a table, not a length of time", quote(entry.key)))
            .label("a dot divides tables")
            .help(format!(r#"put a percentile with a point in quotes: "{}.9" = "80ms""#, entry.key)),
    )
}
