//! The metrics of a file as a person reads them: a table for each kind, by service.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::buckets::Bound;
use super::row::{Kind, Name, Row};
use super::timeline::Timeline;
use super::{Found, Wanted};
use crate::error::{INFALLIBLE, wrap};
use crate::report::grid::{Grid, Kind as Cells, is_optional};
use crate::report::sparkline::bar_line;
use crate::report::words::{count, counted, number, percent, time};
use crate::telemetry::console::Style;
use crate::telemetry::console::quantity::measured;
use crate::telemetry::console::text::{moment, safe, shorten};

/// Bars of a line over time: as many as there is room for.
const BARS: [usize; 6] = [60, 40, 30, 20, 12, 8];

/// The column of the bars, and what they are in all tables.
const BARS_HEAD: &str = "over time";
const BARS_SAY: &str = "over time: the p95 of histograms, the rate of counters, the values of others";

/// Columns of an attribute's value; a longer one loses its middle.
const VALUE: usize = 30;

/// A column that a table with bars does without sooner than without the bars: the count says the same.
const RATE: &str = "rate/s";

/// A table: its metrics, and what it is called.
struct Form {
    of: &'static [Kind],
    what: &'static str,
}

const FORMS: [Form; 3] = [
    Form { of: &[Kind::Histogram], what: "histogram" },
    Form { of: &[Kind::Counter], what: "counter" },
    Form { of: &[Kind::Gauge, Kind::UpDownCounter], what: "value" },
];

/// A metric of a service.
type Line<'a> = (&'a Name, &'a Row);

/// A page: what is shown on it, and how.
struct Page<'a> {
    lines: Vec<Line<'a>>,
    timeline: &'a Timeline,
    style: Style,
    left_out: Vec<String>,
}

pub fn text(found: &Found, wanted: &Wanted, style: Style) -> String {
    let mut services: Vec<&str> = found.table.rows.keys().map(|name| name.service.as_str()).collect();
    services.dedup();
    let shown = &services[..services.len().min(wanted.limit)];
    let lines = found.table.rows.iter().filter(|(name, _)| shown.contains(&name.service.as_str()));
    let timeline = &found.table.timeline;
    let mut page = Page { lines: lines.collect(), timeline, style, left_out: Vec::new() };
    let mut text = String::new();
    for form in &FORMS {
        page.table(&mut text, form);
    }
    if wanted.exemplars {
        page.exemplars(&mut text);
    }
    let has_bars =
        timeline.slots() > 1 && !style.plain && !page.left_out.iter().any(|head| head == BARS_HEAD);
    let mut notes = Vec::new();
    if !page.left_out.is_empty() {
        notes.push(format!("left out, as the page is narrow: {}; --json has all", page.left_out.join(", ")));
    }
    if shown.len() < services.len() {
        let more = counted((services.len() - shown.len()) as u64, "service");
        notes.push(format!("… and {more} more: --limit shows more, --service NAME one of them"));
    }
    if !text.is_empty() {
        notes.push(sum(found, services.len()));
        notes.extend(has_bars.then(|| BARS_SAY.to_owned()));
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

/// `9 metrics of 4 services, 12 series, collected 10 times in 10m, from 2026-01-01T00:00:00.000Z to
/// 2026-01-01T00:10:00.000Z`
fn sum(found: &Found, services: usize) -> String {
    let (rows, timeline) = (&found.table.rows, &found.table.timeline);
    let metrics = rows.keys().map(|Name { service, metric, kind, unit, scope, .. }| {
        (service.as_str(), metric.as_str(), *kind, unit.as_str(), scope.as_str())
    });
    let metrics = counted(metrics.collect::<BTreeSet<_>>().len() as u64, "metric");
    let series = count(rows.values().map(|row| row.series).sum());
    let (start, end) = timeline.window();
    let moment = |at| moment(at).unwrap_or_default();
    let mut text = format!("{metrics} of {}, {series} series, ", counted(services as u64, "service"));
    let times = counted(timeline.collections(), "time");
    match end - start {
        0 => write!(text, "collected at {}", moment(end)),
        length => {
            let (length, start, end) = (time(length), moment(start), moment(end));
            write!(text, "collected {times} in {length}, from {start} to {end}")
        }
    }
    .expect(INFALLIBLE);
    if timeline.collections() > timeline.slots() as u64 {
        write!(text, ", a bar is {}", time(timeline.slot_length())).expect(INFALLIBLE);
    }
    text
}

impl Page<'_> {
    /// Writes a table with as many bars as there is room for, if there are metrics of its kinds.
    fn table(&mut self, text: &mut String, form: &Form) {
        let lines: Vec<_> = self.lines.iter().copied().filter(|(of, _)| form.of.contains(&of.kind)).collect();
        if lines.is_empty() {
            return;
        }
        let slots = self.timeline.slots();
        let mut bars: Vec<_> = BARS.into_iter().map(|bars| bars.min(slots)).collect();
        bars.dedup();
        // One instant has no course, and words are no bars.
        if slots < 2 || self.style.plain {
            bars = vec![0];
        }
        let fewest = *bars.last().expect("there is one");
        let all = bars.iter().map(|bars| (*bars, true));
        // The least that has bars, and what there is without them.
        let grids = all.chain([(fewest, false), (0, true), (0, false)]).map(|(bars, has_rate)| {
            let grid = self.grid(form, &lines, bars, has_rate);
            let missing = (!has_rate).then_some(RATE).into_iter();
            (grid, missing.chain((bars == 0 && fewest > 0).then_some(BARS_HEAD)).collect::<Vec<_>>())
        });
        let chosen = grids.reduce(|wide, next| if wide.0.fits(self.style) { wide } else { next });
        let Some((grid, missing)) = chosen else { return };
        self.write(text, grid, missing);
    }

    fn write(&mut self, text: &mut String, grid: Grid, missing: Vec<&str>) {
        if !text.is_empty() {
            text.push('\n');
        }
        let missing = missing.into_iter().map(str::to_owned).chain(grid.write(text, self.style));
        for head in missing {
            if !self.left_out.contains(&head) {
                self.left_out.push(head);
            }
        }
    }

    fn grid(&self, form: &Form, lines: &[Line<'_>], bars: usize, has_rate: bool) -> Grid {
        let attributes = attributes(lines, self.style.unicode);
        let has_errors = lines.iter().any(|(name, row)| row.error_share(name).is_some());
        let is_shown = |head: &&str| (*head != RATE || has_rate) && (*head != "errors" || has_errors);
        let heads: Vec<_> = heads(form.of[0]).iter().copied().filter(is_shown).collect();
        let by = attributes.iter().map(|(_, head)| (head.as_str(), Cells::Name));
        let numbers = heads.iter().map(|head| (*head, Cells::Number));
        let over_time = (bars > 0).then_some((BARS_HEAD, Cells::Number));
        let mut grid =
            Grid::new(std::iter::once((form.what, Cells::Name)).chain(by).chain(numbers).chain(over_time));
        self.each(lines, &mut grid, |name, row| {
            let cells = self.by(name, &attributes).into_iter();
            let numbers = heads.iter().map(|head| self.cell(head, name, row));
            let drawn = (bars > 0).then(|| self.over_time(name, row, bars));
            vec![cells.chain(numbers).chain(drawn).collect()]
        });
        grid
    }

    /// Rows of a table, below the names of their services.
    fn each(&self, lines: &[Line<'_>], grid: &mut Grid, rows: impl Fn(&Name, &Row) -> Vec<Vec<String>>) {
        let mut before = None;
        for (name, row) in lines {
            let rows = rows(name, row);
            if before != Some(&name.service) && !rows.is_empty() {
                before = Some(&name.service);
                grid.title(safe(&name.service, self.style.unicode));
            }
            for cells in rows {
                grid.row(std::iter::once(self.label(name)).chain(cells));
            }
        }
    }

    /// A metric's name, with what tells it from others of the name.
    fn label(&self, name: &Name) -> String {
        let twins = || self.lines.iter().map(|(of, _)| *of).filter(|of| is_named(of, name));
        let mut label = format!(" {}", name.metric);
        let mut add = |part: &str, differ: bool| {
            if differ && !part.is_empty() {
                write!(label, " [{part}]").expect(INFALLIBLE);
            }
        };
        add(&name.scope, twins().any(|of| of.scope != name.scope));
        add(&name.unit, twins().any(|of| of.unit != name.unit));
        let is_value = |of: &Name| matches!(of.kind, Kind::Gauge | Kind::UpDownCounter);
        add(kind(name.kind), is_value(name) && twins().any(|of| is_value(of) && of.kind != name.kind));
        safe(&label, self.style.unicode)
    }

    /// The values of attributes.
    fn by(&self, name: &Name, attributes: &[(&str, String)]) -> Vec<String> {
        let value = |key: &str| name.by.iter().find(|(of, _)| of == key).map_or("", |(_, value)| value);
        let ellipsis = if self.style.unicode { "…" } else { "~" };
        let values = attributes.iter().map(|(key, _)| safe(value(key), self.style.unicode));
        values.map(|value| shorten(&value, VALUE, ellipsis)).collect()
    }

    fn measured(&self, value: Option<f64>, name: &Name) -> String {
        let unit = safe(&name.unit, self.style.unicode);
        value.map_or_else(|| "-".to_owned(), |value| measured(value, &unit))
    }

    /// A quantile; of one that is only known to be below or above something, that.
    fn quantile(&self, share: f64, name: &Name, row: &Row) -> String {
        match row.bound(share) {
            Some(Bound::Below(bound)) => format!("<{}", self.measured(Some(bound), name)),
            Some(Bound::Above(bound)) => format!(">{}", self.measured(Some(bound), name)),
            None => self.measured(row.quantile(share), name),
        }
    }

    /// What stands in a column.
    fn cell(&self, head: &str, name: &Name, row: &Row) -> String {
        let range = || row.range(name.kind);
        match head {
            "count" => number(row.count()),
            "total" => self.measured(Some(row.count()), name),
            RATE => row.rate(self.timeline).map_or_else(|| "-".to_owned(), number),
            "errors" => row.error_share(name).map_or_else(|| "-".to_owned(), percent),
            "p50" => self.quantile(0.5, name, row),
            "p95" => self.quantile(0.95, name, row),
            "p99" => self.quantile(0.99, name, row),
            "last" => self.measured(row.last(name.kind), name),
            "min" => self.measured(range().0, name),
            _ => self.measured(range().1, name),
        }
    }

    /// A bar for each slot, or for several: the greatest of them, so that a peak is seen.
    fn over_time(&self, name: &Name, row: &Row, bars: usize) -> String {
        let slots: Vec<_> = (0..self.timeline.slots()).collect();
        let values = slots.chunks(slots.len().div_ceil(bars)).map(|slots| {
            let values = slots.iter().filter_map(|slot| row.at(*slot, name.kind, self.timeline));
            let values = values.filter(|value| value.is_finite());
            values.fold(None, |most: Option<f64>, value| Some(most.map_or(value, |most| most.max(value))))
        });
        bar_line(&values.collect::<Vec<_>>(), self.style.unicode)
    }

    /// Writes the exemplars of all metrics, if there are any.
    fn exemplars(&mut self, text: &mut String) {
        let has_any = |(_, row): &Line<'_>| !row.exemplars.is_empty();
        let lines: Vec<_> = self.lines.iter().copied().filter(has_any).collect();
        if lines.is_empty() {
            return;
        }
        let attributes = attributes(&lines, self.style.unicode);
        let by = attributes.iter().map(|(_, head)| (head.as_str(), Cells::Name));
        let numbers = ["value", "at", "trace id"].map(|head| (head, Cells::Number));
        let mut grid = Grid::new(std::iter::once(("exemplar", Cells::Name)).chain(by).chain(numbers));
        self.each(&lines, &mut grid, |name, row| {
            let rows = row.exemplars.iter().map(|exemplar| {
                // The day is that of the file, which its last line names.
                let at = moment(exemplar.time()).unwrap_or_default();
                let at = at.split_once('T').map_or("", |(_, time)| time.trim_end_matches('Z')).to_owned();
                let id = safe(&exemplar.trace_id, self.style.unicode);
                let cells = self.by(name, &attributes).into_iter();
                cells.chain([self.measured(exemplar.value(), name), at, id]).collect()
            });
            rows.collect()
        });
        self.write(text, grid, Vec::new());
    }
}

/// Columns of a table of a kind, between names and bars.
const fn heads(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Histogram => &["count", RATE, "errors", "p50", "p95", "p99"],
        Kind::Counter => &["total", RATE],
        Kind::UpDownCounter | Kind::Gauge => &["last", "min", "max"],
    }
}

/// What the specification calls it.
const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Histogram => "histogram",
        Kind::Counter => "counter",
        Kind::UpDownCounter => "up-down counter",
        Kind::Gauge => "gauge",
    }
}

fn is_named(of: &Name, name: &Name) -> bool {
    (&of.service, &of.metric) == (&name.service, &name.metric)
}

/// The attributes of some lines, each with the head of its column: the last part of its name, if no other
/// has the same and no table can do without a column that is called so.
fn attributes<'a>(lines: &[Line<'a>], unicode: bool) -> Vec<(&'a str, String)> {
    let mut keys: Vec<&str> = Vec::new();
    for (key, _) in lines.iter().flat_map(|(name, _)| &name.by) {
        if !keys.contains(&key.as_str()) {
            keys.push(key);
        }
    }
    fn last(key: &str) -> &str {
        key.rsplit('.').next().unwrap_or(key)
    }
    let is_alone = |key: &str| keys.iter().filter(|other| last(other) == last(key)).count() == 1;
    let head = |key| if is_alone(key) && !is_optional(last(key)) { last(key) } else { key };
    keys.iter().map(|key| (*key, safe(head(key), unicode))).collect()
}
