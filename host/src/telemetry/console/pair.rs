//! One trace of two runs as one tree: the same span has the same id in both, so
//! it stands in one place, and what differs about it in two lines.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::assemble::{Part, Trace};
use super::bar::Axis;
use super::detail::{Context, Detail, is_shown, status_code};
use super::forest::{Forest, Tops};
use super::layout::{Layout, continued};
use super::rows::{Row, What, rows};
use super::style::{BOLD, DIM, GREEN, Glyphs, Ink, PLAIN, RED, Style, YELLOW};
use super::text::{Unit, count, shorten, width};
use super::tree::{Artist, Picture, pad};
use crate::context::SpanId;
use crate::telemetry::record::{Resource, SpanRecord};

/// The marks before a line, and the blank behind them.
const MARK: usize = 2;

/// The spans of one trace before a change and after it.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    pub before: &'a [SpanRecord],
    pub after: &'a [SpanRecord],
    /// Of the spans of both.
    pub resources: &'a [Resource],
}

/// The spans of one run, with times that count from the start of the trace.
struct Side {
    spans: Vec<SpanRecord>,
    forest: Forest,
    places: FxHashMap<SpanId, usize>,
}

/// A span in one run.
#[derive(Clone, Copy)]
struct Seen<'a> {
    span: &'a SpanRecord,
    own: &'a [(u64, u64)],
}

/// What became of a span.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Same,
    /// The same, begun at another time.
    Moved,
    /// It took the same time, with other attributes or events.
    SaysElse,
    /// It took another time, ended otherwise, or is in one run only.
    Changed,
}

impl Pair<'_> {
    /// The tree as lines: `-` before a line says how a span was before the change,
    /// `+` how it is after it, `~` that it only begins at another time, `*` that
    /// it only says something else.
    pub fn draw(&self, style: Style) -> String {
        let mut services = FxHashMap::default();
        for resource in self.resources {
            let index = services.len();
            services.entry(Arc::clone(&resource.service)).or_insert(index);
        }
        let artist = Artist { style, resources: self.resources, services: &services, asked: &[] };
        let sides = [Side::new(self.before), Side::new(self.after)];
        let Some(trace) = together(&sides) else { return String::new() };
        Drawing::new(&artist, &trace, &sides).draw()
    }
}

impl Side {
    fn new(spans: &[SpanRecord]) -> Self {
        let zero = spans.iter().map(|span| span.start).min().unwrap_or(0);
        let mut spans = spans.to_vec();
        for span in &mut spans {
            span.start -= zero;
            span.end -= zero;
            span.events.iter_mut().for_each(|event| event.time = event.time.saturating_sub(zero));
        }
        let places = spans.iter().enumerate().map(|(at, span)| (span.span_id, at)).collect();
        let forest = Forest::build(&spans, Tops::UnderRoot);
        Self { spans, forest, places }
    }

    fn find(&self, id: SpanId) -> Option<Seen<'_>> {
        let at = *self.places.get(&id)?;
        Some(Seen { span: &self.spans[at], own: &self.forest.nodes[at].own })
    }

    fn end(&self) -> u64 {
        self.spans.iter().map(|span| span.end).max().unwrap_or(0)
    }
}

impl Seen<'_> {
    fn own_time(&self) -> u64 {
        self.own.iter().map(|(from, to)| to - from).sum()
    }

    fn took(&self) -> u64 {
        self.span.end - self.span.start
    }
}

/// The spans of both runs as one trace, each once; none of two without spans.
fn together(sides: &[Side; 2]) -> Option<Trace> {
    let [before, after] = sides;
    let only_after = after.spans.iter().filter(|span| !before.places.contains_key(&span.span_id));
    let spans: Vec<_> = before.spans.iter().chain(only_after).cloned().collect();
    let id = spans.first()?.trace_id;
    Some(Trace { id, part: Part::Whole, spans, logs: Vec::new(), lost_spans: 0, lost_logs: 0 })
}

struct Drawing<'a> {
    picture: Picture<'a>,
    sides: &'a [Side; 2],
    /// Columns of the times that spans took, and of their own times.
    took: usize,
    own: usize,
    /// The span whose own time changed most.
    hot: Option<SpanId>,
}

impl<'a> Drawing<'a> {
    fn new(artist: &'a Artist<'a>, trace: &'a Trace, sides: &'a [Side; 2]) -> Self {
        let forest = Forest::build(&trace.spans, Tops::UnderRoot);
        let length = sides.iter().map(Side::end).max().unwrap_or(0);
        let own = |id| sides.each_ref().map(|side| side.find(id).map_or(0, |seen| seen.own_time()));
        let shift = |&at: &usize| {
            let [before, after] = own(trace.spans[at].span_id);
            before.abs_diff(after)
        };
        // Of those that changed alike, the one that stands above.
        let hot = forest.walk().into_iter().rev().max_by_key(shift).filter(|at| shift(at) > 0);
        let rows = rows(&forest, &trace.spans, hot, &[]);
        let style = artist.style;
        let unit = Unit::of(length);
        let axis = Axis { start: 0, length, columns: 0, unicode: style.unicode };
        let context = Context { style, unit, start: 0 };
        let layout = Layout::default();
        let picture =
            Picture { artist, trace, forest, rows, moments: Vec::new(), hot: None, axis, context, layout };
        let columns = |time: &dyn Fn(Seen<'_>) -> u64| {
            let seen =
                sides.iter().flat_map(|side| side.spans.iter().filter_map(|span| side.find(span.span_id)));
            seen.map(|seen| width(&unit.show(time(seen)))).max().unwrap_or(0)
        };
        let (took, own) = (columns(&|seen| seen.took()), columns(&|seen| seen.own_time()));
        let hot = hot.map(|at| trace.spans[at].span_id);
        let mut drawing = Self { picture, sides, took: took.max(4), own: own.max(3), hot };
        drawing.picture.layout = drawing.measure();
        drawing.picture.axis.columns = drawing.picture.layout.bar;
        drawing
    }

    fn measure(&self) -> Layout {
        let Picture { artist, trace, rows, .. } = &self.picture;
        let mut need = Layout { duration: self.took + 2 + self.own + 2, ..Layout::default() };
        let mut labels = Vec::new();
        for row in &rows.rows {
            let (label, span) = match &row.what {
                What::Span(at) => (self.picture.label_of(*at), &trace.spans[*at]),
                What::Fold(fold) => (self.picture.fold_label(fold), &trace.spans[fold.siblings[0]]),
                What::Moment { .. } => continue,
            };
            labels.push((row.depth, label.width()));
            need.service = need.service.max(width(&artist.tag(span.resource)));
        }
        Layout::fit(artist.style.columns() - MARK, need, &labels)
    }

    fn draw(&self) -> String {
        let mut out = String::new();
        self.heading(&mut out);
        for row in &self.picture.rows.rows {
            match &row.what {
                What::Span(at) => self.span(&mut out, row, self.picture.trace.spans[*at].span_id, *at),
                What::Fold(fold) => {
                    let resource = self.picture.trace.spans[fold.siblings[0]].resource;
                    out.push_str("  ");
                    let (tag, ink) = (self.picture.artist.tag(resource), self.picture.artist.ink(resource));
                    self.picture.tag(&mut out, &tag, ink);
                    self.picture.label(&mut out, row, self.picture.fold_label(fold));
                    out.truncate(out.trim_end().len());
                    out.push('\n');
                }
                // A pair has none.
                What::Moment { .. } => {}
            }
        }
        if self.picture.rows.hidden > 0 {
            let hidden = count(self.picture.rows.hidden, "span");
            out.push_str(&format!("{hidden} more below the ones shown\n"));
        }
        out
    }

    /// What the marks mean and, above the numbers, what they are.
    fn heading(&self, out: &mut String) {
        let Layout { service, name, bar, .. } = self.picture.layout;
        let Glyphs { ellipsis, hot, .. } = self.picture.glyphs();
        let room = MARK + service + 1 + name + 1 + bar;
        let marks = format!("- before  + after  ~ begins at another time  * says something else  {hot} most");
        let marks = shorten(&marks, room, ellipsis);
        let (took, own) = (self.took, self.own);
        let numbers = format!(" {:>took$}  {:>own$}", "took", "own");
        self.style().paint(out, DIM, &marks);
        pad(out, room - width(&marks));
        self.style().paint(out, DIM, &numbers);
        out.push('\n');
    }

    fn span(&self, out: &mut String, row: &Row, id: SpanId, at: usize) {
        let seen = self.sides.each_ref().map(|side| side.find(id));
        let fate = fate(seen);
        let [before, after] = seen;
        match fate {
            Fate::Same | Fate::Moved | Fate::SaysElse => {
                let mark = match fate {
                    Fate::Moved => (DIM, "~"),
                    Fate::SaysElse => (YELLOW, "*"),
                    _ => (PLAIN, " "),
                };
                if let Some(seen) = after {
                    self.line(out, mark, row, Some(at), seen);
                }
            }
            Fate::Changed => {
                if let Some(seen) = before {
                    self.line(out, (RED, "-"), row, Some(at), seen);
                }
                if let Some(seen) = after {
                    self.line(out, (GREEN, "+"), row, before.is_none().then_some(at), seen);
                }
            }
        }
        if let [Some(before), Some(after)] = seen {
            for detail in self.words(before.span, after.span) {
                self.detail(out, row, &detail);
            }
        }
    }

    /// What a span says otherwise than before: why it failed, its attributes.
    fn words(&self, before: &SpanRecord, after: &SpanRecord) -> Vec<Detail> {
        let context = &self.picture.context;
        let mut details = Vec::new();
        if after.is_error() && !before.is_error() {
            details.extend(context.errors(after));
        }
        let of = |span: &SpanRecord| -> BTreeMap<String, String> {
            let said = span.attributes.iter().filter(|attribute| is_shown(&attribute.key));
            said.map(|attribute| (context.safe(&attribute.key), context.value(&attribute.value))).collect()
        };
        let (before, after) = (of(before), of(after));
        let arrow = if self.style().unicode { "→" } else { "->" };
        let mut words = Vec::new();
        for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
            match (before.get(key), after.get(key)) {
                (Some(before), Some(after)) if before == after => {}
                (Some(before), Some(after)) => words.push((DIM, format!("{key}={before}{arrow}{after}"))),
                (Some(before), None) => words.push((RED, format!("-{key}={before}"))),
                (None, after) => words.extend(after.map(|after| (GREEN, format!("+{key}={after}")))),
            }
        }
        details.extend((!words.is_empty()).then_some(Detail { words }));
        details
    }

    fn detail(&self, out: &mut String, row: &Row, detail: &Detail) {
        let What::Span(at) = row.what else { return };
        let picture = &self.picture;
        let parent = !picture.forest.nodes[at].children.is_empty();
        let lines = continued(picture.glyphs(), &picture.layout, row, parent);
        let indent = MARK + picture.layout.service + 1;
        for line in picture.artist.wrap(detail, self.style().columns() - indent - width(&lines)) {
            pad(out, indent);
            self.style().paint(out, DIM, &lines);
            out.push_str(&line);
            out.push('\n');
        }
    }

    /// One line: of a span that has one above it already, without its name.
    fn line(&self, out: &mut String, mark: (Ink, &str), row: &Row, named: Option<usize>, seen: Seen<'_>) {
        let Seen { span, own } = seen;
        let picture = &self.picture;
        let style = self.style();
        style.paint(out, mark.0, mark.1);
        out.push(' ');
        let mut ink = picture.artist.ink(span.resource);
        if let Some(at) = named {
            picture.tag(out, &picture.artist.tag(span.resource), ink);
            picture.label(out, row, picture.label_of(at));
        } else {
            self.again(out, row, span);
        }
        if span.is_error() {
            ink = RED;
        }
        let hot = self.hot == Some(span.span_id) && self.is_last(span.span_id, mark.1);
        picture.bar(out, if hot { ink.bold() } else { ink }, &picture.axis.bar(span.start, span.end, own));
        let numbers = if hot { BOLD } else { PLAIN };
        let unit = picture.context.unit;
        let (took, own) = (unit.show(seen.took()), unit.show(seen.own_time()));
        pad(out, 1 + self.took.saturating_sub(width(&took)));
        style.paint(out, PLAIN, &took);
        pad(out, 2 + self.own.saturating_sub(width(&own)));
        style.paint(out, numbers, &own);
        if hot {
            style.paint(out, BOLD, &format!(" {}", style.glyphs().hot));
        }
        out.push('\n');
    }

    /// Whether the line of this mark is the last of its span.
    fn is_last(&self, id: SpanId, mark: &str) -> bool {
        mark == "+" || self.sides[1].find(id).is_none()
    }

    /// In place of a name: how the span ended, where that is not as before.
    fn again(&self, out: &mut String, row: &Row, span: &SpanRecord) {
        let picture = &self.picture;
        let layout = &picture.layout;
        pad(out, layout.service + 1);
        let What::Span(at) = row.what else { return };
        let parent = !picture.forest.nodes[at].children.is_empty();
        let lines = continued(picture.glyphs(), layout, row, parent);
        self.style().paint(out, DIM, &lines);
        let mut used = width(&lines);
        let before = self.sides[0].find(span.span_id).and_then(|seen| status_code(seen.span));
        let text = match status_code(span) {
            code if code == before => String::new(),
            Some(code) => code.to_string(),
            None => "no answer".to_owned(),
        };
        let room = layout.name.saturating_sub(used);
        if !text.is_empty() && width(&text) <= room {
            self.style().paint(out, if span.is_error() { RED } else { PLAIN }, &text);
            used += width(&text);
        }
        pad(out, layout.name.saturating_sub(used) + 1);
    }

    fn style(&self) -> Style {
        self.picture.style()
    }
}

fn fate(seen: [Option<Seen<'_>>; 2]) -> Fate {
    let [Some(before), Some(after)] = seen else { return Fate::Changed };
    let outcome = |seen: Seen<'_>| (seen.span.is_error(), status_code(seen.span));
    let same = before.took() == after.took()
        && before.own_time() == after.own_time()
        && outcome(before) == outcome(after)
        && before.span.name == after.span.name;
    if !same {
        return Fate::Changed;
    }
    let says =
        |seen: Seen<'_>| (seen.span.attributes.iter().cloned().collect::<Vec<_>>(), seen.span.events.len());
    match (says(before) == says(after), before.span.start == after.span.start) {
        (false, _) => Fate::SaysElse,
        (true, false) => Fate::Moved,
        (true, true) => Fate::Same,
    }
}
