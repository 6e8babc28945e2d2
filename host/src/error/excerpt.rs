//! The lines that a report shows around a problem, cut to the width of its page.

use std::sync::Arc;

use miette::{MietteError, MietteSpanContents, NamedSource, SourceCode, SourceSpan, SpanContents};

use crate::model::Place;

use super::{Found, columns, snippet, width};

/// What stands where a line is cut.
const ELLIPSIS: char = '…';

/// Columns of a tab at most: it ends at the next multiple of them, as the frame draws it.
const TAB: usize = 4;

/// Columns before a line beside its number: ` 7 │ `.
const FRAME: usize = 4;

/// Between a caret and its label.
const ARROW: usize = 4;

/// Columns of a line that are shown on the narrowest page.
const ROOM_AT_LEAST: usize = 20;

/// Columns that are shown behind a problem, where there are any.
const BEHIND: usize = 12;

/// The text that a problem points into: a file, or the lines of it that are shown.
#[derive(Clone, Debug)]
pub(super) struct Source {
    text: NamedSource<Arc<str>>,
    /// Lines of the file before the text.
    skipped: usize,
    /// The problem's column in the file, from 0, where the text has it elsewhere.
    column: Option<usize>,
}

impl Source {
    pub fn new(name: &str, text: Arc<str>) -> Self {
        Self { text: NamedSource::new(name, text), skipped: 0, column: None }
    }

    pub fn name(&self) -> &str {
        self.text.name()
    }

    pub fn text(&self) -> &Arc<str> {
        self.text.inner()
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, before, after)?;
        // The span alone is read for its position.
        let column = self.column.filter(|_| before + after == 0).unwrap_or(read.column());
        let (name, line) = (self.name().to_owned(), read.line() + self.skipped);
        let count = read.line_count();
        Ok(Box::new(MietteSpanContents::new_named(name, read.data(), *read.span(), line, column, count)))
    }
}

/// The problem with those lines alone that are shown, none wider than a page of `width` columns. One that
/// stands in several lines is shown whole.
pub(super) fn cut(found: &Found, width: usize) -> Found {
    cut_lines(found, width).unwrap_or_else(|| found.clone())
}

/// None: there is nothing to cut.
fn cut_lines(Found { problem, source }: &Found, width: usize) -> Option<Found> {
    let (source, at) = (source.as_ref()?, problem.at.clone()?);
    let text = source.text();
    if text.get(at.clone())?.contains('\n') {
        return None;
    }
    let shown = snippet(text, &at);
    let skipped = text[..shown.start].matches('\n').count();
    let lines: Vec<&str> = text[shown.clone()].split('\n').collect();
    let digits = (skipped + lines.len()).to_string().len();
    let room = width.saturating_sub(digits + FRAME).max(ROOM_AT_LEAST);
    let (mut begin, mut place, mut is_cut) = (shown.start, 0..0, false);
    let mut whole = String::new();
    for line in lines {
        let (start, end) = (begin, begin + line.len());
        begin = end + 1;
        let has_problem = start <= at.start && at.start <= end;
        let window = match has_problem {
            true => Window::around(line, at.start - start..at.end.min(end) - start, &problem.label, room),
            false => Window::from_start(line, room),
        };
        is_cut |= window.is_narrow();
        if has_problem {
            place = whole.len() + window.place.start..whole.len() + window.place.end;
        }
        whole.push_str(&window.text);
        whole.push('\n');
    }
    let read = source.read_span(&(at.start, at.len()).into(), 0, 0).ok()?;
    let text = NamedSource::new(source.name(), Arc::<str>::from(whole));
    let source = Some(Source { text, skipped, column: Some(read.column()) });
    let problem = super::Problem { at: Some(place), ..problem.clone() };
    is_cut.then_some(Found { problem, source })
}

/// A part of a line.
struct Window {
    /// With an ellipsis where more of it stands in the file.
    text: String,
    /// Where the problem stands in it: bytes.
    place: Place,
    /// Whether anything is left out, before it or behind.
    cut: (bool, bool),
}

impl Window {
    fn from_start(line: &str, room: usize) -> Self {
        Self::of(line, 0, 0..0, room)
    }

    /// As much from the beginning as leaves room for the problem, for some of what is behind it, and for its
    /// label, which hangs below its middle.
    fn around(line: &str, place: Place, label: &str, room: usize) -> Self {
        let column = |at: usize| columns_of(line.get(..at).unwrap_or(line));
        let (start, end, count) = (column(place.start), column(place.end), columns_of(line));
        let shown = (end - start).min(room - 2);
        let labelled = start + shown / 2 + ARROW + width(label);
        let needed = (start + shown + BEHIND).min(count).max(labelled);
        let from = if needed <= room { 0 } else { (needed + 2 - room).min(start) };
        Self::of(line, from, place, room)
    }

    /// From the column `from` on, as much as there is room for.
    fn of(line: &str, from: usize, place: Place, room: usize) -> Self {
        let room = room - usize::from(from > 0);
        let first = behind(line, from);
        let fits = columns_of(&line[first..]) <= room;
        let last = first + within(&line[first..], if fits { room } else { room - 1 });
        let mut text: String = (from > 0).then_some(ELLIPSIS).into_iter().collect();
        let moved = text.len();
        text.push_str(&line[first..last]);
        text.extend((!fits).then_some(ELLIPSIS));
        let moved = |at: usize| at.clamp(first, last) - first + moved;
        Self { text, place: moved(place.start)..moved(place.end), cut: (from > 0, !fits) }
    }

    const fn is_narrow(&self) -> bool {
        self.cut.0 || self.cut.1
    }
}

/// Columns of a line at most, which may have tabs.
fn columns_of(line: &str) -> usize {
    line.chars().map(columns_at_most).sum()
}

fn columns_at_most(char: char) -> usize {
    if char == '\t' { TAB } else { columns(char) }
}

/// Where the first character of a line stands that begins behind this many columns. A mark is none: it is not
/// shown without the character that it is on.
fn behind(line: &str, columns: usize) -> usize {
    let mut end = 0;
    let is_behind = |char: char| {
        let begin = end;
        end += columns_at_most(char);
        begin >= columns && end > begin
    };
    if columns == 0 { 0 } else { line.find(is_behind).unwrap_or(line.len()) }
}

/// Where the characters of a line end that take this many columns at most.
fn within(line: &str, columns: usize) -> usize {
    let mut end = 0;
    let is_over = |char: char| {
        end += columns_at_most(char);
        end > columns
    };
    line.find(is_over).unwrap_or(line.len())
}
