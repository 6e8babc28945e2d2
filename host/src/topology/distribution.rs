//! Random lengths of time: `"350ms"`, `"350ms +/- 20ms"`, `{ uniform = { … } }`.

use toml::de::DeValue;

use super::reader::{Table, Value};
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

fn from_table(value: &Value<'_>) -> Option<Distribution> {
    let table = value.table(format!("the distribution {}", quote(value.key)))?;
    let [fixed, normal, lognormal, exponential, uniform, pareto, percentiles] =
        table.keys(["fixed", "normal", "lognormal", "exponential", "uniform", "pareto", "percentiles"]);
    let all = [
        fixed.as_ref(),
        normal.as_ref(),
        lognormal.as_ref(),
        exponential.as_ref(),
        uniform.as_ref(),
        pareto.as_ref(),
        percentiles.as_ref(),
    ];
    let given: Vec<&str> = all.into_iter().flatten().map(|kind| kind.key).collect();
    if given.len() != 1 {
        // An unknown kind has been noted already.
        if table.entries().len() == given.len() {
            table.note(
                Problem::new(format!("{} names {} kinds of distribution", quote(value.key), given.len()))
                    .label("exactly one is needed")
                    .help(r#"write for example { normal = { mean = "350ms", stddev = "20ms" } }"#),
            );
        }
        return None;
    }
    let key = value.key;
    None.or_else(|| fixed.and_then(|value| duration_of(&value, key)).map(Distribution::Fixed))
        .or_else(|| normal.and_then(|value| read_normal(&value, key)))
        .or_else(|| lognormal.and_then(|value| read_lognormal(&value, key)))
        .or_else(|| exponential.and_then(|value| read_exponential(&value, key)))
        .or_else(|| uniform.and_then(|value| read_uniform(&value, key)))
        .or_else(|| pareto.and_then(|value| read_pareto(&value, key)))
        .or_else(|| percentiles.and_then(|value| read_percentiles(&value, key)))
}

fn read_normal(value: &Value<'_>, key: &str) -> Option<Distribution> {
    let [mean, stddev] = pair(value, ["mean", "stddev"], r#"{ mean = "350ms", stddev = "20ms" }"#)?;
    let (mean, stddev) = (duration_of(&mean, key), duration_of(&stddev, key));
    Some(Distribution::Normal { mean: mean?, stddev: stddev? })
}

fn read_lognormal(value: &Value<'_>, key: &str) -> Option<Distribution> {
    let [median, sigma] = pair(value, ["median", "sigma"], r#"{ median = "20ms", sigma = 0.5 }"#)?;
    let (median, sigma) = (positive_duration_of(&median, key), above_zero(&sigma));
    Some(Distribution::Lognormal { median: median?, sigma: sigma? })
}

fn read_exponential(value: &Value<'_>, key: &str) -> Option<Distribution> {
    let table = value.table(quote(value.key))?;
    let [mean] = table.keys(["mean"]);
    let mean = table.need("mean", mean, r#"write exponential = { mean = "20ms" }"#)?;
    Some(Distribution::Exponential { mean: positive_duration_of(&mean, key)? })
}

fn read_uniform(value: &Value<'_>, key: &str) -> Option<Distribution> {
    let [min, max] = pair(value, ["min", "max"], r#"{ min = "5ms", max = "15ms" }"#)?;
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

fn read_pareto(value: &Value<'_>, key: &str) -> Option<Distribution> {
    let [min, shape] = pair(value, ["min", "shape"], r#"{ min = "5ms", shape = 1.5 }"#)?;
    let (min, shape) = (positive_duration_of(&min, key), above_zero(&shape));
    Some(Distribution::Pareto { min: min?, shape: shape? })
}

/// The two keys of a distribution, both required.
fn pair<'a>(value: &Value<'a>, names: [&'static str; 2], example: &str) -> Option<[Value<'a>; 2]> {
    let table = value.table(quote(value.key))?;
    let remedy = format!("write {} = {example}", value.key);
    let [one, other] = table.keys(names);
    let (one, other) = (table.need(names[0], one, &remedy), table.need(names[1], other, &remedy));
    Some([one?, other?])
}

fn above_zero(value: &Value<'_>) -> Option<f64> {
    value.number("a number greater than 0, such as 0.5", |number| number > 0.0)
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
