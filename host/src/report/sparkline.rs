//! The timeline as a person reads it: a line of bars for each measure, and the symptoms.

use std::fmt::Write as _;

use crate::error::{INFALLIBLE, wrap};
use crate::model::Nanos;
use crate::tally::timeline::Interval;
use crate::telemetry::console::Style;
use crate::telemetry::console::text::shorten;

use super::symptoms::{Measure, Symptom};
use super::timeline::{Subject, TimelineRow, TimelineRows};
use super::words::{about, count, number, percent, time};

/// Bars of a line, at most.
const BARS: usize = 60;

/// What a line has beside its bars: the name, the measure and the range, in columns.
const BESIDE: usize = 46;

/// Columns of a name; a longer one loses its middle.
const NAME: usize = 18;

/// Before the further lines of a symptom.
const INDENT: &str = "   ";

/// Intervals below which a timeline shows nothing that the tables do not.
const ENOUGH: usize = 5;

/// Loads that are drawn, groups that lag, and symptoms that are listed; `--json` has all.
const LOADS: usize = 5;
const GROUPS: usize = 5;
const SYMPTOMS: usize = 12;

/// Heights of a bar. The first is for the least value, which is not nothing.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const ASCII: [char; 8] = ['_', '.', ',', '-', '=', '+', '*', '#'];

/// Writes the timeline of the loads, or of the services where there is none, and of the groups that lag, as
/// wide as the page.
pub fn write(text: &mut String, timeline: &TimelineRows, symptoms: &[Symptom], style: Style) {
    let of_loads = || timeline.rows.iter().filter(|row| row.of == Subject::Load);
    let loads = of_loads().count();
    let mut shown: Vec<_> = of_loads().take(LOADS).collect();
    if shown.is_empty() {
        shown.extend(timeline.rows.iter().filter(|row| row.of == Subject::Service).take(1));
    }
    let lags = |row: &&TimelineRow| symptoms.iter().any(|symptom| symptom.is_lag_of(row));
    let groups = || timeline.rows.iter().filter(lags);
    shown.extend(groups().take(GROUPS));
    let longest = shown.iter().map(|row| row.own.end).max().unwrap_or(0);
    if longest < ENOUGH {
        return;
    }
    let together = longest.div_ceil(usize::from(style.width).saturating_sub(BESIDE).clamp(10, BARS));
    let each = time(timeline.interval_ns * together as u64);
    let of = if style.plain { "of intervals of" } else { "a bar is" };
    writeln!(text, "\n timeline: {of} {each}").expect(INFALLIBLE);
    for row in shown {
        lines(text, row, timeline.interval_ns, (longest, together), style);
    }
    and_more(text, loads, LOADS, "load");
    and_more(text, groups().count(), GROUPS, "lagging group");
    for symptom in symptoms.iter().take(SYMPTOMS) {
        let sentence = sentence(symptom);
        for (number, line) in wrap(&sentence, usize::from(style.width) - INDENT.len()).lines().enumerate() {
            let indent = if number == 0 { " " } else { INDENT };
            writeln!(text, "{indent}{line}").expect(INFALLIBLE);
        }
    }
    and_more(text, symptoms.len(), SYMPTOMS, "symptom");
}

/// Says how many there are beside those that are shown.
fn and_more(text: &mut String, all: usize, shown: usize, what: &str) {
    let more = all.saturating_sub(shown);
    if more > 0 {
        let plural = if more == 1 { "" } else { "s" };
        writeln!(text, " … and {} more {what}{plural}; --json has all", count(more as u64))
            .expect(INFALLIBLE);
    }
}

/// The lines of one load, service or group: its first `longest` intervals, several of them in a bar where
/// the page is narrow. Errors have a line only where there are any. A group has its greatest lag, and the p95
/// of the age of messages by when they were published.
fn lines(
    text: &mut String,
    row: &TimelineRow,
    length: Nanos,
    (longest, together): (usize, usize),
    style: Style,
) {
    let bars: Vec<Interval> = row.intervals[..longest].chunks(together).map(Interval::sum).collect();
    // Before a load begins and after it has ended there is no rate.
    let rate = |(index, bar): (usize, &Interval)| {
        let (from, to) = (index * together, (index + 1) * together);
        let own = to.min(row.own.end).saturating_sub(from.max(row.own.start));
        (own > 0).then(|| bar.count as f64 / ((own as u64 * length) as f64 / 1e9))
    };
    let rates = bars.iter().enumerate().map(rate).collect();
    let shares =
        bars.iter().map(|bar| (bar.count > 0).then(|| bar.failed as f64 / bar.count as f64)).collect();
    let quantile = |quantile| -> Vec<_> {
        bars.iter().map(|bar| bar.quantile(quantile).map(|time| time as f64)).collect()
    };
    let as_time = |value: f64| about(value as Nanos, Nanos::MAX);
    let mut name = shorten(&row.name, NAME, "…");
    let mut line = |measure: &str, values: Vec<Option<f64>>, say: &dyn Fn(f64) -> String| {
        let range = match range(&values) {
            Some((least, most)) if say(least) == say(most) => say(least),
            Some((least, most)) => format!("{} to {}", say(least), say(most)),
            None => String::new(),
        };
        let name = std::mem::take(&mut name);
        let bars = if style.plain { String::new() } else { bar_line(&values, style.unicode) + "  " };
        let drawn = format!(" {name:NAME$}  {measure:6}  {bars}{range}");
        writeln!(text, "{}", drawn.trim_end()).expect(INFALLIBLE);
    };
    if let Some(lag) = &row.lag_max {
        let most = |lag: &[Option<u64>]| lag.iter().flatten().max().map(|lag| *lag as f64);
        line("lag", lag[..longest].chunks(together).map(most).collect(), &|lag| count(lag as u64));
        line("age", quantile(0.95), &as_time);
        return;
    }
    line("rate/s", rates, &number);
    if row.errors.iter().any(|errors| *errors > 0) {
        line("errors", shares, &percent);
    }
    line("p50", quantile(0.5), &as_time);
    line("p95", quantile(0.95), &as_time);
}

/// A bar for each value, from zero to the greatest; a space where there is none.
pub fn bar_line(values: &[Option<f64>], unicode: bool) -> String {
    let blocks = if unicode { BLOCKS } else { ASCII };
    let most = range(values).map_or(0.0, |(_, most)| most);
    let bar = |value: f64| {
        let height = if most > 0.0 { value / most * (blocks.len() - 1) as f64 } else { 0.0 };
        blocks[(height.round() as usize).min(blocks.len() - 1)]
    };
    values.iter().map(|value| value.map_or(' ', bar)).collect()
}

fn range(values: &[Option<f64>]) -> Option<(f64, f64)> {
    let values = values.iter().flatten().copied();
    values.fold(None, |range, value| match range {
        Some((least, most)) => Some((f64::min(least, value), f64::max(most, value))),
        None => Some((value, value)),
    })
}

/// `symptom: service stock: p95 up to 812ms, usually 38ms, from 4m10s to 6m30s`
fn sentence(symptom: &Symptom) -> String {
    let Symptom { of, name, topic, what, start_ns, end_ns, usual, worst } = symptom;
    let (of, errors, p95) = match of {
        Subject::Load => ("load", "errors", "p95"),
        Subject::Service => ("service", "errors", "p95"),
        Subject::Group => ("group", "given up or missed", "age p95"),
    };
    let topic = topic.as_ref().map_or_else(String::new, |topic| format!(" of {topic}"));
    let as_time = |value: &f64| about(*value as Nanos, Nanos::MAX);
    let change = match what {
        Measure::Errors => format!("{errors} up to {}, usually {}", percent(*worst), percent(*usual)),
        Measure::P95 => format!("{p95} up to {}, usually {}", as_time(worst), as_time(usual)),
        Measure::Lag => {
            format!("lag up to {} messages, usually {}", count(*worst as u64), count(*usual as u64))
        }
        Measure::Rate if worst > usual => {
            format!("up to {} requests/s, usually {}", number(*worst), number(*usual))
        }
        Measure::Rate => format!("down to {} requests/s, usually {}", number(*worst), number(*usual)),
    };
    format!("symptom: {of} {name}{topic}: {change}, from {} to {}", time(*start_ns), time(*end_ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_go_from_zero_to_the_greatest_value() {
        assert_eq!(bar_line(&[Some(0.0), Some(3.5), None, Some(7.0)], true), "▁▅ █");
        assert_eq!(bar_line(&[Some(0.0), Some(0.0)], true), "▁▁");
        assert_eq!(bar_line(&[None, None], true), "  ");
        assert_eq!(bar_line(&[Some(0.0), Some(3.5), Some(7.0)], false), "_=#");
    }
}
