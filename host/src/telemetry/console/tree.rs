//! One trace as text: a line for each span, with a bar on the trace's axis of time.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::assemble::{Part, Trace};
use super::bar::{Axis, Cell};
use super::detail::{Context, Detail, MAX_LINES, Moment};
use super::forest::{Forest, Tops};
use super::layout::{Layout, continued, prefix};
use super::rows::{Fold, Row, Rows, What, rows};
use super::style::{BOLD, DIM, Glyphs, Ink, PLAIN, RED, Style, service_ink};
use super::text::{Unit, safe, shorten, width};
use crate::telemetry::choice::Holder;
use crate::telemetry::record::{LogRecord, Resource, ResourceId, SpanRecord};

/// Draws traces in one style.
#[derive(Debug)]
pub struct Artist<'a> {
    pub style: Style,
    pub resources: &'a [Resource],
    /// The place of each service in the topology, which gives its colour.
    pub services: &'a FxHashMap<Arc<str>, usize>,
    /// Attributes that are shown of every span that has them.
    pub asked: &'a [(Holder, String)],
}

/// Everything that the lines of one picture share.
pub struct Picture<'a> {
    pub artist: &'a Artist<'a>,
    pub trace: &'a Trace,
    pub forest: Forest,
    pub rows: Rows,
    /// What happened in each span, where that has lines of its own.
    pub moments: Vec<Vec<Moment>>,
    /// The span that spends the most time of its own, with its share in percent.
    pub hot: Option<(usize, u64)>,
    pub axis: Axis,
    pub context: Context,
    pub layout: Layout,
}

impl Artist<'_> {
    /// The trace as lines, each with its line feed.
    pub fn draw(&self, trace: &Trace) -> String {
        let mut out = String::new();
        if !trace.spans.is_empty() {
            Picture::new(self, trace).draw(&mut out);
        }
        out
    }

    /// A log line outside of every trace.
    pub fn draw_log(&self, log: &LogRecord) -> String {
        let mut out = String::new();
        let context = Context { style: self.style, unit: Unit::of(0), start: 0 };
        let tag = shorten(&self.tag(log.resource), self.style.columns() / 4, self.style.glyphs().ellipsis);
        let indent = width(&tag) + 1;
        self.style.paint(&mut out, self.ink(log.resource), &tag);
        let lines = self.wrap(&context.log(log), self.style.columns() - indent);
        for (at, line) in lines.iter().enumerate() {
            out.push_str(&" ".repeat(if at == 0 { 1 } else { indent }));
            out.push_str(line);
            out.push('\n');
        }
        out
    }

    pub fn service(&self, resource: ResourceId) -> &str {
        self.resources.get(resource.0 as usize).map_or("?", |resource| &resource.service)
    }

    pub fn tag(&self, resource: ResourceId) -> String {
        format!("[{}]", safe(self.service(resource), self.style.unicode))
    }

    pub fn ink(&self, resource: ResourceId) -> Ink {
        self.services.get(self.service(resource)).map_or(PLAIN, |&index| service_ink(index))
    }

    /// Breaks a detail into painted lines of at most `columns`.
    pub fn wrap(&self, detail: &Detail, columns: usize) -> Vec<String> {
        let ellipsis = self.style.glyphs().ellipsis;
        let mut lines = vec![String::new()];
        let mut used = 0;
        for (ink, word) in &detail.words {
            // Room for an ellipsis is kept on each line: any of them can be the last.
            let word = shorten(word, columns - width(ellipsis), ellipsis);
            let space = usize::from(used > 0);
            if used + space + width(&word) + width(ellipsis) > columns {
                if lines.len() == MAX_LINES {
                    lines.last_mut().unwrap_or(&mut String::new()).push_str(ellipsis);
                    break;
                }
                lines.push(String::new());
                used = 0;
            }
            let Some(line) = lines.last_mut() else { break };
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            self.style.paint(line, *ink, &word);
            used += width(&word);
        }
        lines
    }

    /// Writes as many words of a detail as have room in `columns`, and returns how many of these they take.
    fn cut(&self, out: &mut String, detail: &Detail, columns: usize) -> usize {
        let ellipsis = self.style.glyphs().ellipsis;
        let (mut used, mut words) = (0, detail.words.iter().peekable());
        while let Some((ink, word)) = words.next() {
            let space = usize::from(used > 0);
            let rest = if words.peek().is_some() { 1 + width(ellipsis) } else { 0 };
            if used > 0 && used + space + width(word) + rest > columns {
                self.style.paint(out, DIM, &format!(" {ellipsis}"));
                return used + 1 + width(ellipsis);
            }
            let word = shorten(word, columns.saturating_sub(rest), ellipsis);
            pad(out, space);
            self.style.paint(out, *ink, &word);
            used += space + width(&word);
        }
        used
    }
}

impl<'a> Picture<'a> {
    fn new(artist: &'a Artist<'a>, trace: &'a Trace) -> Self {
        let spans = &trace.spans;
        let tops = if trace.part == Part::Whole { Tops::UnderRoot } else { Tops::Apart };
        let forest = Forest::build(spans, tops);
        let (mut start, mut end) = (u64::MAX, 0);
        if let Part::Later { start: root_start, .. } = trace.part {
            start = root_start;
        }
        for span in spans {
            start = start.min(span.start);
            end = end.max(span.end);
        }
        let length = end.saturating_sub(start);
        let hot = if matches!(trace.part, Part::Later { .. }) { None } else { hottest(&forest, length) };
        let style = artist.style;
        let axis = Axis { start, length, columns: 0, unicode: style.unicode };
        let context = Context { style, unit: Unit::of(length), start };
        let layout = Layout::default();
        let (none, moments) = (Rows::default(), Vec::new());
        let mut picture = Self { artist, trace, forest, rows: none, moments, hot, axis, context, layout };
        if style.logs {
            picture.moments = picture.find_moments();
        }
        let times: Vec<Vec<u64>> =
            picture.moments.iter().map(|of| of.iter().map(|moment| moment.time).collect()).collect();
        picture.rows = rows(&picture.forest, spans, hot.map(|(at, _)| at), &times);
        picture.layout = picture.measure();
        picture.axis.columns = picture.layout.bar;
        picture
    }

    pub fn style(&self) -> Style {
        self.artist.style
    }

    pub fn glyphs(&self) -> &'static Glyphs {
        self.artist.style.glyphs()
    }

    fn draw(&self, out: &mut String) {
        self.header(out);
        let logs = self.logs();
        for row in &self.rows.rows {
            match &row.what {
                What::Span(at) => self.span(out, row, *at, logs.get(at).map_or(&[], Vec::as_slice)),
                What::Fold(fold) => self.fold(out, row, fold),
                What::Moment { span, moment } => self.moment(out, row, &self.moments[*span][*moment]),
            }
        }
        self.notes(out);
    }

    /// The log records of each span: those of a missing one are of the first top.
    fn logs(&self) -> FxHashMap<usize, Vec<&LogRecord>> {
        let mut by_id = FxHashMap::default();
        for (at, span) in self.trace.spans.iter().enumerate() {
            by_id.entry(span.span_id).or_insert(at);
        }
        let first = self.forest.tops.first().copied().unwrap_or_default();
        let place =
            |log: &LogRecord| log.span.and_then(|(_, span, _)| by_id.get(&span).copied()).unwrap_or(first);
        let mut logs: FxHashMap<usize, Vec<&LogRecord>> = FxHashMap::default();
        for log in &self.trace.logs {
            logs.entry(place(log)).or_default().push(log);
        }
        logs
    }

    fn find_moments(&self) -> Vec<Vec<Moment>> {
        let logs = self.logs();
        let of = |(at, span): (usize, &SpanRecord)| {
            let logs = logs.get(&at).map_or(&[][..], Vec::as_slice);
            let (mut moments, more) = self.context.moments(span, logs);
            let last = moments.last().cloned();
            moments.extend(last.zip(more).map(|(last, detail)| Moment { detail, ..last }));
            moments
        };
        self.trace.spans.iter().enumerate().map(of).collect()
    }

    fn span(&self, out: &mut String, row: &Row, at: usize, logs: &[&LogRecord]) {
        let span = &self.trace.spans[at];
        let node = &self.forest.nodes[at];
        let hot = self.hot.is_some_and(|(hot, _)| hot == at);
        let mut ink = self.artist.ink(span.resource);
        self.tag(out, &self.artist.tag(span.resource), ink);
        let dropped = self.label(out, row, self.label_of(at));
        if span.is_error() {
            ink = RED;
        }
        self.bar(out, if hot { ink.bold() } else { ink }, &self.axis.bar(span.start, span.end, &node.own));
        let offset = format!("+{}", self.context.unit.show(span.start.saturating_sub(self.axis.start)));
        self.numbers(out, &offset, &self.context.unit.show(span.end.saturating_sub(span.start)), hot);
        let is_parent = !node.children.is_empty() || self.moments.get(at).is_some_and(|own| !own.is_empty());
        for (ink, badge) in dropped {
            self.detail(out, row, is_parent, &Detail::new(ink, &badge));
        }
        let resource = self.artist.resources.get(span.resource.0 as usize);
        let links = self.context.links(span, self.room(row, is_parent));
        let asked = self.context.asked(self.artist.asked, span, resource);
        for detail in links.into_iter().chain(asked).chain(self.context.details(span, logs)) {
            self.detail(out, row, is_parent, &detail);
        }
    }

    /// A line for what happened in a span: as many of its words as there is room for, and its time.
    fn moment(&self, out: &mut String, row: &Row, moment: &Moment) {
        self.tag(out, &self.artist.tag(moment.resource), self.artist.ink(moment.resource));
        let lines = prefix(self.glyphs(), &self.layout, row);
        self.style().paint(out, DIM, &lines);
        let bar = if self.style().plain { 0 } else { self.layout.bar };
        let room = (self.layout.name + 1 + bar).saturating_sub(width(&lines));
        let Some(columns) = self.layout.offset else {
            let room = room + 1 + self.layout.duration;
            self.artist.cut(out, &self.context.at(moment.clone()), room);
            return out.push('\n');
        };
        let used = self.artist.cut(out, &moment.detail, room);
        let offset = self.context.offset(moment.time);
        pad(out, room - used + 1 + columns.saturating_sub(width(&offset)));
        self.style().paint(out, DIM, &offset);
        out.push('\n');
    }

    fn fold(&self, out: &mut String, row: &Row, fold: &Fold) {
        let spans = &self.trace.spans;
        let first = &spans[fold.siblings[0]];
        let ink = self.artist.ink(first.resource);
        self.tag(out, &self.artist.tag(first.resource), ink);
        self.label(out, row, self.fold_label(fold));
        let mut own: Vec<_> = fold.siblings.iter().map(|&at| (spans[at].start, spans[at].end)).collect();
        own.dedup_by(|next, last| {
            let joined = next.0 <= last.1;
            if joined {
                last.1 = last.1.max(next.1);
            }
            joined
        });
        let end = own.iter().map(|(_, end)| *end).max().unwrap_or(first.end);
        self.bar(out, ink, &self.axis.bar(first.start, end, &own));
        let offset = format!("+{}", self.context.unit.show(first.start.saturating_sub(self.axis.start)));
        self.numbers(out, &offset, &self.context.unit.show(end.saturating_sub(first.start)), false);
    }

    pub fn tag(&self, out: &mut String, tag: &str, ink: Ink) {
        let columns = self.layout.service;
        let shown = if width(tag) > columns {
            let inner = &tag[1..tag.len() - 1];
            format!("[{}]", shorten(inner, columns - 2, self.glyphs().ellipsis))
        } else {
            tag.to_owned()
        };
        self.style().paint(out, ink, &shown);
        pad(out, columns - width(&shown) + 1);
    }

    pub fn bar(&self, out: &mut String, ink: Ink, cells: &[Cell]) {
        if self.style().plain {
            return;
        }
        let look = |cell: &Cell| match cell {
            Cell::Empty => PLAIN,
            Cell::Own(_) => ink,
            Cell::Child(_) => ink.dimmed(),
        };
        for run in cells.chunk_by(|left, right| look(left) == look(right)) {
            let text: String = run
                .iter()
                .map(|cell| match cell {
                    Cell::Empty => ' ',
                    Cell::Own(char) | Cell::Child(char) => *char,
                })
                .collect();
            self.style().paint(out, look(&run[0]), &text);
        }
    }

    fn numbers(&self, out: &mut String, offset: &str, duration: &str, hot: bool) {
        if let Some(columns) = self.layout.offset {
            pad(out, 1 + columns.saturating_sub(width(offset)));
            self.style().paint(out, DIM, offset);
        }
        pad(out, 1 + self.layout.duration.saturating_sub(width(duration)));
        self.style().paint(out, if hot { BOLD } else { PLAIN }, duration);
        out.push('\n');
    }

    fn detail(&self, out: &mut String, row: &Row, parent: bool, detail: &Detail) {
        let lines = continued(self.glyphs(), &self.layout, row, parent);
        for line in self.artist.wrap(detail, self.room(row, parent)) {
            pad(out, self.layout.service + 1);
            self.style().paint(out, DIM, &lines);
            out.push_str(&line);
            out.push('\n');
        }
    }

    /// Columns for what is said below the line of a span.
    fn room(&self, row: &Row, parent: bool) -> usize {
        let lines = continued(self.glyphs(), &self.layout, row, parent);
        self.style().columns() - (self.layout.service + 1 + width(&lines))
    }

    fn measure(&self) -> Layout {
        let spans = &self.trace.spans;
        let unit = self.context.unit;
        let mut need = Layout { offset: Some(0), ..Layout::default() };
        let mut labels = Vec::new();
        for row in &self.rows.rows {
            let (label, first) = match &row.what {
                What::Span(at) => (self.label_of(*at), *at),
                What::Fold(fold) => (self.fold_label(fold), fold.siblings[0]),
                What::Moment { .. } => continue,
            };
            labels.push((row.depth, label.width()));
            let span = &spans[first];
            let offset = 1 + width(&unit.show(span.start.saturating_sub(self.axis.start)));
            need.offset = need.offset.max(Some(offset));
            need.service = need.service.max(width(&self.artist.tag(span.resource)));
        }
        // No bar is longer than the axis, not even one for several spans.
        need.duration = spans
            .iter()
            .map(|span| width(&unit.show(span.end.saturating_sub(span.start))))
            .max()
            .unwrap_or(0)
            .max(width(&unit.show(self.axis.length)));
        Layout::fit(self.style().columns(), need, &labels)
    }
}

/// The span with the most time of its own, and its share of the trace in percent.
fn hottest(forest: &Forest, length: u64) -> Option<(usize, u64)> {
    // Of one span it needs no saying.
    if forest.nodes.len() < 2 || length == 0 {
        return None;
    }
    let mut hot = None;
    for at in forest.walk() {
        let own = forest.nodes[at].own_time();
        if own > hot.map_or(0, |(_, most)| most) {
            hot = Some((at, own));
        }
    }
    let share = |own: u64| u128::from(own) * 100 / u128::from(length);
    hot.map(|(at, own)| (at, u64::try_from(share(own)).unwrap_or(100)))
}

pub fn pad(out: &mut String, columns: usize) {
    out.extend(std::iter::repeat_n(' ', columns));
}
