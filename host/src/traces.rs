//! `simhost traces`: the traces of a file of OTLP JSON lines, chosen and drawn.
//!
//! A file is read twice: once to learn what each of its traces is and whether it is wanted
//! ([`Summary`]), once for the spans of those that are shown. So memory goes with the number of
//! traces, which is bounded, and not with the size of the file.

mod read;
mod records;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::context::TraceId;
use crate::error::INFALLIBLE;
use crate::model::Nanos;
use crate::report::grid::{Grid, Kind};
use crate::report::words::{count, counted, time};
use crate::telemetry::choice::Choice;
use crate::telemetry::console::{Console, Style};
use crate::telemetry::record::{Batch, SpanKind, SpanRecord};

pub use read::ReadError;
use read::Source;
use records::{Decoder, Line};

/// Traces of a file that are looked at; spans of others are counted.
const MAX_TRACES: usize = 2_000_000;

/// Spans of one trace that are kept to be drawn.
const MAX_SPANS: usize = 20_000;

/// What is asked of a file.
#[derive(Debug, Default)]
pub struct Wanted {
    /// None is the standard input.
    pub file: Option<PathBuf>,
    pub choice: Choice,
    /// Traces that are drawn, or listed, at most.
    pub limit: usize,
    /// A line for each trace and no tree.
    pub list: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    text: String,
    /// Traces that are wanted.
    pub matched: usize,
}

/// What is known of a trace after the first reading.
#[derive(Clone, Debug)]
struct Summary {
    id: TraceId,
    start: Nanos,
    end: Nanos,
    /// `service name` of its root, or of the first of its spans to begin.
    root: String,
    root_start: Nanos,
    has_root: bool,
    spans: u32,
    errors: u32,
    is_wanted: bool,
}

/// Reads the file and draws what is wanted of it.
///
/// # Errors
/// The file cannot be read.
pub fn find(wanted: &Wanted, style: Style) -> Result<Found, ReadError> {
    let source = Source::open(wanted.file.as_deref())?;
    let mut census = Census::default();
    let skipped = source.lines(|text| census.add(text, wanted))?;
    let Census { mut traces, places: _, beyond, strange } = census;
    let choice = &wanted.choice;
    let origin = traces.iter().map(|trace| trace.start).min().unwrap_or(0);
    traces.retain(|trace| choice.has_begun_within(trace.start, origin));
    let total = traces.len();
    traces.retain(|trace| trace.is_wanted && choice.names(trace.id));
    // Of equal ones, the one that comes first in the file.
    match choice.slowest {
        Some(most) => {
            traces.sort_by_key(|trace| std::cmp::Reverse(trace.end - trace.start));
            traces.truncate(most);
        }
        None => traces.sort_by_key(|trace| trace.start),
    }
    let matched = traces.len();
    let shown = &traces[..matched.min(wanted.limit)];
    let mut text = String::new();
    if wanted.list || !wanted.choice.is_choosy() && matched > 1 {
        list(&mut text, shown, style);
    } else {
        draw(&mut text, &source, shown, style)?;
    }
    close(&mut text, Sums { total, matched, shown: shown.len(), beyond, strange, skipped }, wanted);
    Ok(Found { text, matched })
}

impl Found {
    /// What a person reads.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The first reading.
#[derive(Default)]
struct Census {
    traces: Vec<Summary>,
    places: FxHashMap<TraceId, usize>,
    /// Spans of traces for which there was no room.
    beyond: u64,
    /// Lines that are no OTLP.
    strange: u64,
}

impl Census {
    fn add(&mut self, text: &str, wanted: &Wanted) {
        let mut decoder = Decoder::default();
        let Some(line) = decoder.line(text) else {
            self.strange += 1;
            return;
        };
        for span in &line.spans {
            let place = match self.places.get(&span.trace_id) {
                Some(place) => *place,
                None if self.traces.len() >= MAX_TRACES => {
                    self.beyond += 1;
                    continue;
                }
                None => {
                    self.places.insert(span.trace_id, self.traces.len());
                    self.traces.push(Summary::of(span));
                    self.traces.len() - 1
                }
            };
            self.traces[place].add(span, &line, wanted);
        }
    }
}

impl Summary {
    fn of(span: &SpanRecord) -> Self {
        Self {
            id: span.trace_id,
            start: span.start,
            end: span.end,
            root: String::new(),
            root_start: Nanos::MAX,
            has_root: false,
            spans: 0,
            errors: 0,
            is_wanted: false,
        }
    }

    fn add(&mut self, span: &SpanRecord, line: &Line<'_>, wanted: &Wanted) {
        let is_root = span.parent.is_none();
        if is_root && !self.has_root || is_root == self.has_root && span.start < self.root_start {
            self.root = format!("{} {}", line.service(span), &*span.name);
            self.root_start = span.start;
            self.has_root |= is_root;
        }
        self.start = self.start.min(span.start);
        self.end = self.end.max(span.end);
        self.spans += 1;
        self.errors += u32::from(span.is_error());
        self.is_wanted |= wanted.choice.meets(span, line.resource(span));
    }
}

/// A line for each trace.
fn list(text: &mut String, traces: &[Summary], style: Style) {
    let names = [("trace id", Kind::Number), ("start", Kind::Number)];
    let numbers = ["took", "spans", "errors"].map(|head| (head, Kind::Number));
    let mut grid = Grid::new(names.into_iter().chain([("root", Kind::Name)]).chain(numbers));
    for trace in traces {
        let errors = if trace.errors == 0 { "-".to_owned() } else { count(trace.errors.into()) };
        grid.row([
            trace.id.to_string(),
            instant(trace.start),
            trace.root.clone(),
            time(trace.end - trace.start),
            count(trace.spans.into()),
            errors,
        ]);
    }
    if !grid.is_empty() {
        grid.write(text, style);
    }
}

/// The time of day of an instant, to the millisecond, in UTC.
fn instant(at: Nanos) -> String {
    let second =
        i64::try_from(at / 1_000_000_000).ok().and_then(|second| Timestamp::from_second(second).ok());
    let day = second.map(|second| second.to_string()).unwrap_or_default();
    let time = day.split_once('T').map_or(day.as_str(), |(_, time)| time.trim_end_matches('Z'));
    format!("{time}.{:03}", at % 1_000_000_000 / 1_000_000)
}

/// A tree for each trace, in this order.
fn draw(text: &mut String, source: &Source, traces: &[Summary], style: Style) -> Result<(), ReadError> {
    let wanted: FxHashSet<TraceId> = traces.iter().map(|trace| trace.id).collect();
    let mut batches: FxHashMap<TraceId, Batch> = FxHashMap::default();
    let mut decoder = Decoder::default();
    if !wanted.is_empty() {
        source.lines(|line| {
            let Some(line) = decoder.line(line) else { return };
            for span in line.spans {
                if wanted.contains(&span.trace_id) {
                    let batch = batches.entry(span.trace_id).or_default();
                    if batch.spans.len() < MAX_SPANS {
                        batch.spans.push(span);
                    }
                }
            }
            for log in line.logs {
                if let Some((id, ..)) = log.span.filter(|(id, ..)| wanted.contains(id)) {
                    let batch = batches.entry(id).or_default();
                    if batch.logs.len() < MAX_SPANS {
                        batch.logs.push(log);
                    }
                }
            }
        })?;
    }
    let mut drawn = Vec::new();
    let mut console = Console::new(&mut drawn, Arc::from(decoder.into_resources()), style);
    for trace in traces {
        let Some(mut batch) = batches.remove(&trace.id) else { continue };
        // As they ended, parents behind their children: a server ends within its client's span.
        batch.spans.sort_by_key(|span| (span.end, span.parent.is_none(), span.kind == SpanKind::Client));
        batch.logs.sort_by_key(|log| log.time);
        console.export(&batch);
        console.flush();
    }
    drop(console);
    text.push_str(&String::from_utf8_lossy(&drawn));
    Ok(())
}

/// What the last lines say.
struct Sums {
    total: usize,
    matched: usize,
    shown: usize,
    beyond: u64,
    strange: u64,
    skipped: Option<String>,
}

fn close(text: &mut String, sums: Sums, wanted: &Wanted) {
    use std::fmt::Write as _;
    let Sums { total, matched, shown, beyond, strange, skipped } = sums;
    if !text.is_empty() {
        text.push('\n');
    }
    let traces = counted(total as u64, "trace");
    let of =
        if wanted.choice.is_choosy() { format!("{} of {traces}", count(matched as u64)) } else { traces };
    let part = if shown < matched {
        format!(", {} shown: --limit shows more", count(shown as u64))
    } else {
        String::new()
    };
    writeln!(text, "{of}{part}").expect(INFALLIBLE);
    if !wanted.choice.is_choosy() && matched > 1 {
        let help =
            "--slowest 1 draws the slowest one, --errors those that failed, --id ID the one that you name";
        writeln!(text, "{help}").expect(INFALLIBLE);
    }
    if beyond > 0 {
        let spans = counted(beyond, "span");
        writeln!(text, "{spans} of further traces were left out: {} are looked at", count(MAX_TRACES as u64))
            .expect(INFALLIBLE);
    }
    if strange > 0 {
        let lines = counted(strange, "line");
        writeln!(text, "{lines} left out: no OTLP as JSON").expect(INFALLIBLE);
    }
    if let Some(skipped) = skipped {
        writeln!(text, "{skipped}").expect(INFALLIBLE);
    }
}
