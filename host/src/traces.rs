//! `simhost traces`: the traces of a file of OTLP JSON lines, chosen and drawn.
//!
//! A file is read twice: once to learn what each of its traces is and whether it is wanted
//! (`census`), once for the spans of those that are drawn (`draw`). So memory goes with the number
//! of traces, which is bounded, and not with the size of the file.

mod base64;
mod census;
mod documents;
mod draw;
mod exemplar;
mod foreign;
mod names;
mod read;
mod records;
mod spelling;

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::error::{INFALLIBLE, wrap};
use crate::model::Nanos;
use crate::report::between::{shown, turned};
use crate::report::grid::{Grid, Kind};
use crate::report::words::{count, counted, time};
use crate::telemetry::choice::{Choice, Instant};
use crate::telemetry::console::Style;
use crate::telemetry::console::text::{SHORT_ID, moment, safe, shorten};

use census::{Census, MAX_TRACES, Summary};
use draw::Drawn;
pub use exemplar::Wish;
pub use foreign::Foreign;
pub use read::{ReadError, Source};
pub use records::{Line, line};

/// Columns of what a root is called in a list; a longer name loses its middle.
const ROOT: usize = 60;

const SECOND: Nanos = 1_000_000_000;
const MILLISECOND: Nanos = 1_000_000;

/// Columns of a page below which a list leaves the errors out: the ids are 32 columns wide.
const NARROW: u16 = 66;

/// What is asked of a file.
#[derive(Debug, Default)]
pub struct Wanted {
    /// None is the standard input.
    pub file: Option<PathBuf>,
    pub choice: Choice,
    /// The one trace that is drawn is the exemplar of this.
    pub exemplar: Option<Wish>,
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

/// Reads the file and draws what is wanted of it.
///
/// # Errors
/// The file cannot be read, or has no such exemplar.
pub fn find(wanted: &Wanted, style: Style) -> Result<Found, ReadError> {
    let source = Source::open(wanted.file.as_deref())?;
    let mut census = Census::of(wanted);
    let mut unread = source.lines(|text| census.add(text, wanted))?;
    source.check(census.lines, census.strange, census.first, &mut unread)?;
    let Census {
        mut traces, beyond, strange, names, search, without_ids, without_start, without_end, ..
    } = census;
    let exemplar = search.found()?;
    let id = exemplar.as_ref().map(|(id, _)| id.to_string());
    let choice = &Choice { id: id.or_else(|| wanted.choice.id.clone()), ..wanted.choice.clone() };
    let total = traces.len();
    let starts = || traces.iter().map(|trace| trace.start);
    let (origin, last) = (starts().min().unwrap_or(0), starts().max().unwrap_or(0));
    let interval = choice.between.filter(|_| total > 0);
    if let Some((what, help)) =
        interval.and_then(|between| turned(between, origin, "the first span of the file"))
    {
        return Err(ReadError::Unknown { what, help });
    }
    let is_beside = interval.is_some() && !starts().any(|start| choice.has_begun_within(start, origin));
    traces.retain(|trace| {
        trace.is_wanted() && choice.names(trace.id) && choice.has_begun_within(trace.start, origin)
    });
    // Of equal ones, the one that comes first in the file.
    match choice.slowest {
        Some(most) => {
            traces.sort_by_key(|trace| std::cmp::Reverse(trace.end - trace.start));
            traces.truncate(most);
        }
        None => traces.sort_by_key(|trace| trace.start),
    }
    let matched = traces.len();
    let asked = &traces[..matched.min(wanted.limit)];
    let mut text = String::new();
    let is_list = wanted.list || !choice.is_choosy() && matched > 1;
    let Drawn { traces: shown, twice } = if is_list {
        list(&mut text, asked, style);
        Drawn { traces: asked.len(), twice: 0 }
    } else {
        draw::draw(&mut text, &source, asked, choice, style)?
    };
    let width = usize::from(style.width);
    let earlier =
        if is_list && choice.slowest.is_none() { earlier(&traces, asked.len(), origin) } else { None };
    let beside = is_beside.then(|| beside(origin, last));
    let unfit = [
        (twice, "left out: in the file before"),
        (without_ids, "left out: no trace id or span id"),
        (without_start, "left out: no start"),
        (without_end, "drawn without a length: no end, or one before the start"),
    ];
    let unfit = unfit.into_iter().filter(|(number, _)| *number > 0);
    let unfit = unfit.map(|(number, why)| format!("{} {why}", counted(number, "span")));
    let words = earlier.into_iter().chain(beside).chain(names.notes(choice)).chain(unfit);
    let words = words.map(|note| wrap(&safe(&note, style.unicode), width).trim_end().to_owned());
    let notes = exemplar.map(|(_, said)| said).into_iter().chain(words).chain(unread.notes()).collect();
    let sums = Sums { total, matched, asked: asked.len(), shown, beyond, strange, notes };
    close(&mut text, sums, choice);
    Ok(Found { text, matched })
}

impl Found {
    /// What a person reads.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A line for each trace.
fn list(text: &mut String, traces: &[Summary], style: Style) {
    if traces.is_empty() {
        return;
    }
    let mut columns = vec![
        ("trace id", Kind::Number),
        ("start", Kind::Number),
        ("root", Kind::Name),
        ("took", Kind::Number),
        ("spans", Kind::Number),
    ];
    let is_narrow = style.width < NARROW;
    columns.extend((!is_narrow).then_some(("errors", Kind::Number)));
    let empty = Grid::new(columns);
    let mut grid = filled(empty.clone(), traces, usize::MAX, style);
    if !grid.fits(style) {
        grid = filled(empty, traces, SHORT_ID, style);
    }
    let mut left_out = grid.write(text, style);
    left_out.extend(is_narrow.then(|| "errors".to_owned()));
    if !left_out.is_empty() {
        let note = format!("left out, as the page is narrow: {}", left_out.join(", "));
        for line in wrap(&note, usize::from(style.width) - 1).lines() {
            writeln!(text, " {line}").expect(INFALLIBLE);
        }
    }
}

/// A row for each trace, with the first `digits` of its id.
fn filled(mut grid: Grid, traces: &[Summary], digits: usize, style: Style) -> Grid {
    for (trace, start) in traces.iter().zip(starts(traces)) {
        let errors = if trace.errors == 0 { "-".to_owned() } else { count(trace.errors.into()) };
        grid.row([
            trace.id.to_string().chars().take(digits).collect(),
            start,
            shorten(&safe(&trace.root, style.unicode), ROOT, if style.unicode { "…" } else { "~" }),
            time(trace.end - trace.start),
            count(trace.spans.into()),
            errors,
        ]);
    }
    grid
}

/// What a list that ends early says: until when its traces begin, and how to see others. One trace is an
/// example, and no list.
fn earlier(traces: &[Summary], shown: usize, origin: Nanos) -> Option<String> {
    let start = |trace: &Summary| trace.start.saturating_sub(origin);
    let (until, end) = (start(traces[..shown].last()?), start(traces.last()?));
    if shown == 1 || shown == traces.len() || until == end {
        return None;
    }
    // Rounded down, so that none is left out between the list and what is suggested.
    let from = match until / SECOND {
        0 => format!("{}ms", until / MILLISECOND),
        seconds => format!("{seconds}s"),
    };
    let to = end / SECOND + 1;
    let (until, end, all) = (time(until), time(end), traces.len());
    Some(format!(
        "they begin within the first {until} of {end}: --limit {all} lists all of them, --between {from} {to}s \
         later ones, --root NAME and --not-root NAME those that begin in a service or in others"
    ))
}

/// Where the traces of a file begin, if none does in the interval.
fn beside(first: Nanos, last: Nanos) -> String {
    let at = shown(Instant::At(first));
    format!(
        "no trace begins in the interval of --between: they begin from 0s to {} after the first span, {at}",
        time(last - first)
    )
}

/// When these traces begin, in UTC: the time of day, and the day where there are several.
fn starts(traces: &[Summary]) -> Vec<String> {
    let moments: Vec<_> = traces.iter().map(|trace| moment(trace.start).unwrap_or_default()).collect();
    let mut days: Vec<_> = moments.iter().map(|moment| moment.split_once('T').map(|(day, _)| day)).collect();
    days.dedup();
    if days.len() > 1 {
        return moments;
    }
    let of_day =
        |moment: &String| moment.split_once('T').map(|(_, time)| time.trim_end_matches('Z').to_owned());
    moments.iter().map(|moment| of_day(moment).unwrap_or_default()).collect()
}

/// What the last lines say.
struct Sums {
    /// Traces of the file.
    total: usize,
    /// Of those, the ones that are wanted; of those, the ones that are shown if there is room;
    /// of those, the ones that are.
    matched: usize,
    asked: usize,
    shown: usize,
    beyond: u64,
    strange: u64,
    /// What else is to be said.
    notes: Vec<String>,
}

fn close(text: &mut String, sums: Sums, choice: &Choice) {
    let Sums { total, matched, asked, shown, beyond, strange, notes } = sums;
    if !text.is_empty() {
        text.push('\n');
    }
    let traces = counted(total as u64, "trace");
    let of = if choice.is_choosy() { format!("{} of {traces}", count(matched as u64)) } else { traces };
    let part = if asked < matched {
        format!(", {} shown: --limit shows more", count(asked as u64))
    } else {
        String::new()
    };
    writeln!(text, "{of}{part}").expect(INFALLIBLE);
    let mut note = |note: &str| writeln!(text, "{note}").expect(INFALLIBLE);
    if !choice.is_choosy() && matched > 1 {
        note("--slowest 1 draws the slowest one, --errors those that failed, --id ID the one that you name");
    }
    if shown < asked {
        let traces = counted((asked - shown) as u64, "trace");
        note(&format!("{traces} left out: {} MiB of spans and log lines are held", draw::MAX_BYTES >> 20));
    }
    if beyond > 0 {
        let spans = counted(beyond, "span");
        note(&format!("{spans} of further traces were left out: {} are looked at", count(MAX_TRACES as u64)));
    }
    if strange > 0 {
        note(&format!("{} left out: no OTLP as JSON", counted(strange, "line")));
    }
    notes.iter().for_each(|further| note(further));
}
