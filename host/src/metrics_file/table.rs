//! The metrics of a file as a person reads them: a table for each kind, by service.

use std::fmt::Write as _;

use super::series::{Kind, Row};
use super::{Found, Wanted};
use crate::error::{INFALLIBLE, wrap};
use crate::report::grid::{Grid, Kind as Cells};
use crate::report::sparkline::bar_line;
use crate::report::words::{count, counted, number, time};
use crate::telemetry::console::Style;
use crate::telemetry::console::quantity::measured;
use crate::telemetry::console::text::{moment, safe};

/// Bars of a line over time: as many as there is room for.
const BARS: [usize; 6] = [60, 40, 30, 20, 12, 8];

/// What the bars of all tables are.
const BARS_SAY: &str = "over time: the p95 of histograms, what counters count, the values of others";

/// A table: its metrics, and what it says of each beside its course.
struct Form {
    of: &'static [Kind],
    what: &'static str,
    columns: &'static [&'static str],
}

const FORMS: [Form; 3] = [
    Form { of: &[Kind::Histogram], what: "histogram", columns: &["count", "rate/s", "p50", "p95", "p99"] },
    Form { of: &[Kind::Counter], what: "counter", columns: &["total", "rate/s"] },
    Form { of: &[Kind::Gauge, Kind::UpDownCounter], what: "value", columns: &["last", "min", "max"] },
];

/// A metric of a service: its names, and what there is of it.
type Line<'a> = (&'a str, &'a str, &'a Row);

pub fn text(found: &Found, wanted: &Wanted, style: Style) -> String {
    let mut services: Vec<&str> = found.table.rows.keys().map(|(service, _)| service.as_str()).collect();
    services.dedup();
    let shown = &services[..services.len().min(wanted.limit)];
    let mut text = String::new();
    let mut left_out: Vec<String> = Vec::new();
    for form in &FORMS {
        let rows = found.table.rows.iter().filter(|((service, _), _)| shown.contains(&service.as_str()));
        let lines = rows.filter(|(_, row)| form.of.contains(&row.kind));
        let lines: Vec<Line<'_>> =
            lines.map(|((service, metric), row)| (service.as_str(), metric.as_str(), row)).collect();
        if lines.is_empty() {
            continue;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        let new = table(&mut text, form, &lines, style);
        left_out.extend(new.into_iter().filter(|head| !left_out.contains(head)).collect::<Vec<_>>());
    }
    let mut notes = Vec::new();
    if !left_out.is_empty() {
        notes.push(format!("left out, as the page is narrow: {}; --json has all", left_out.join(", ")));
    }
    if shown.len() < services.len() {
        let more = counted((services.len() - shown.len()) as u64, "service");
        notes.push(format!("… and {more} more: --limit shows more, --service NAME one of them"));
    }
    if !text.is_empty() {
        notes.push(sum(found, services.len()));
        notes.extend((found.timeline.slots() > 1 && !style.plain).then(|| BARS_SAY.to_owned()));
    }
    notes.extend(found.notes.iter().map(|note| safe(note, style.unicode)));
    if !text.is_empty() {
        text.push('\n');
    }
    for note in notes {
        let note = if style.unicode { note } else { note.replace('…', "...") };
        writeln!(text, "{}", wrap(&note, usize::from(style.width)).trim_end()).expect(INFALLIBLE);
    }
    text
}

/// `9 metrics of 4 services, from 2026-01-01T00:01:00.000Z to 2026-01-01T00:10:00.000Z`
fn sum(found: &Found, services: usize) -> String {
    let metrics = counted(found.table.rows.len() as u64, "metric");
    let series = count(found.table.rows.values().map(|row| row.series).sum());
    let (start, end) = found.timeline.range();
    let moment = |at| moment(at).unwrap_or_default();
    let mut text = format!("{metrics} of {}, {series} series", counted(services as u64, "service"));
    match found.timeline.slot_length() {
        Some(length) => write!(text, ", {} in slots of {}", time(end - start), time(length)),
        None if start == end => write!(text, ", collected at {}", moment(start)),
        None => {
            let times = count(found.timeline.slots() as u64);
            write!(text, ", collected {times} times from {} to {}", moment(start), moment(end))
        }
    }
    .expect(INFALLIBLE);
    text
}

/// Writes a table with as many bars as there is room for; with the columns that had none.
fn table(text: &mut String, form: &Form, lines: &[Line<'_>], style: Style) -> Vec<String> {
    let most = lines.iter().map(|(_, _, row)| row.slots.len()).max().unwrap_or(0);
    let mut bars: Vec<_> = BARS.into_iter().map(|bars| bars.min(most)).collect();
    bars.dedup();
    // One instant has no course, and words are no bars.
    let is_drawn = most > 1 && !style.plain;
    let grids = bars.iter().map(|bars| grid(form, lines, if is_drawn { *bars } else { 0 }, style));
    let fitting = grids.into_iter().reduce(|wide, next| if wide.fits(style) { wide } else { next });
    fitting.map(|grid| grid.write(text, style)).unwrap_or_default()
}

fn grid(form: &Form, lines: &[Line<'_>], bars: usize, style: Style) -> Grid {
    let mut columns = vec![(form.what, Cells::Name), ("unit", Cells::Number)];
    columns.extend(form.columns.iter().map(|head| (*head, Cells::Number)));
    columns.extend((bars > 0).then_some(("over time", Cells::Number)));
    let width = columns.len();
    let mut grid = Grid::new(columns);
    let mut before = None;
    for (service, metric, row) in lines {
        if before != Some(service) {
            before = Some(service);
            let name = safe(service, style.unicode);
            grid.row(std::iter::once(name).chain(std::iter::repeat_n(String::new(), width - 1)));
        }
        let unit = safe(&row.unit, style.unicode);
        let mut cells = vec![format!(" {}", safe(metric, style.unicode)), unit];
        cells.extend(values(row));
        cells.extend((bars > 0).then(|| over_time(row, bars, style)));
        grid.row(cells);
    }
    grid
}

/// The cells of the columns of a [`Form`].
fn values(row: &Row) -> Vec<String> {
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| measured(value, &row.unit));
    let rate = row.rate().map_or_else(|| "-".to_owned(), number);
    match row.kind {
        Kind::Histogram => {
            let quantiles = [0.5, 0.95, 0.99].map(|share| shown(row.quantile(share)));
            [number(row.count()), rate].into_iter().chain(quantiles).collect()
        }
        Kind::Counter => vec![shown(Some(row.count())), rate],
        Kind::Gauge | Kind::UpDownCounter => {
            let (min, max) = row.range.unzip();
            vec![shown(row.last()), shown(min), shown(max)]
        }
    }
}

/// A bar for each slot, or for several: the greatest of them, so that a peak is seen.
fn over_time(row: &Row, bars: usize, style: Style) -> String {
    let together = row.slots.len().div_ceil(bars);
    let values = row.slots.chunks(together).map(|slots| {
        let values = slots.iter().filter_map(|slot| row.at(slot)).filter(|value| value.is_finite());
        values.fold(None, |most: Option<f64>, value| Some(most.map_or(value, |most| most.max(value))))
    });
    bar_line(&values.collect::<Vec<_>>(), style.unicode)
}
