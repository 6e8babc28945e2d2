//! Groups records into traces, and decides when a trace is shown.
//!
//! Only spans that have ended are seen, and their parents end later, so
//! nothing says for certain that a trace is whole. The rules:
//!
//! 1. A span without a parent is its trace's root: the trace is shown when it ends.
//! 2. A span whose parent is remote may be a root too, when a client sent the
//!    context, but so may any callee whose caller has not ended yet. The trace
//!    is shown when [`SETTLE`] has passed and every span that waits for a
//!    parent waits for a remote one.
//! 3. A span that ends later, under a span that was shown, is shown as an
//!    addition, with all that is below it.
//! 4. At the end, what is left is shown as unfinished.
//!
//! All of them look at the records and their times only, never at where one
//! batch ends and the next begins: same records, same text.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::context::{SpanId, TraceId};
use crate::model::Nanos;
use crate::telemetry::record::{LogRecord, SpanRecord, Text};
use crate::telemetry::signal::{Batch, Record};

/// Traces held that have not been shown.
pub const MAX_TRACES: usize = 1_024;
/// Spans that are kept of one trace: the longest ones, because those have the others below them.
pub const MAX_SPANS: usize = 1_000;
/// Log lines that are kept of one trace.
pub const MAX_LOGS: usize = 500;
/// Records held over all traces; beyond, only roots are taken.
pub const MAX_RECORDS: usize = 32_768;
/// What all of them take; beyond, only roots are taken: bytes.
pub const MAX_BYTES: usize = 64 << 20;
/// What the traces take that are remembered after they were shown, for what ends later: bytes.
pub const MAX_SHOWN: usize = 32 << 20;
/// What one of them takes beside its spans, and each of its spans: bytes, about.
const SHOWN_TRACE: usize = 256;
const SHOWN_SPAN: usize = 16;
/// Traces remembered because there was no room for them.
pub const MAX_REFUSED: usize = 16_384;
/// How long a span with a remote parent waits for that parent.
pub const SETTLE: Nanos = 2_000_000_000;
/// A trace that nothing was added to for this long makes room for others.
pub const STALE: Nanos = 60_000_000_000;

/// What to draw.
#[derive(Clone, Debug)]
pub enum Piece {
    Trace(Trace),
    /// A log line outside of every trace that is recorded.
    Log(LogRecord),
}

/// A trace, or a part of one, that is ready.
#[derive(Clone, Debug)]
pub struct Trace {
    pub id: TraceId,
    pub part: Part,
    /// At least one.
    pub spans: Vec<SpanRecord>,
    pub logs: Vec<LogRecord>,
    /// What [`MAX_SPANS`] and [`MAX_RECORDS`] kept out.
    pub lost_spans: u64,
    pub lost_logs: u64,
}

impl Trace {
    /// Adds another part of the same trace.
    pub fn join(&mut self, more: &Self) {
        self.spans.extend(more.spans.iter().cloned());
        self.logs.extend(more.logs.iter().cloned());
        self.lost_spans += more.lost_spans;
        self.lost_logs += more.lost_logs;
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    Whole,
    /// Its root has not ended.
    Unfinished,
    /// What ended after the trace was shown; start and name of its root.
    Later {
        start: u64,
        name: Text,
    },
}

/// Records that were never drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Spans of traces for which there was no room, and log lines that came too late.
    pub spans: u64,
    pub logs: u64,
}

impl Missed {
    /// Adds what was never drawn elsewhere.
    pub const fn add(&mut self, other: Self) {
        self.spans += other.spans;
        self.logs += other.logs;
    }
}

/// Records of a trace that have not been shown.
#[derive(Debug, Default)]
struct Held {
    spans: Vec<SpanRecord>,
    logs: Vec<LogRecord>,
    lost_spans: u64,
    lost_logs: u64,
    /// What its spans and log lines take: bytes.
    bytes: usize,
    /// The time of its last record.
    last: u64,
    /// When rule 2 applies, once a span with a remote parent has ended.
    due: Option<u64>,
}

/// What is remembered of a trace that was shown.
#[derive(Debug)]
struct Shown {
    start: u64,
    name: Text,
    spans: FxHashSet<SpanId>,
}

#[derive(Debug, Default)]
pub struct Assembler {
    /// In the order in which they were first seen.
    held: BTreeMap<u64, (TraceId, Held)>,
    places: FxHashMap<TraceId, u64>,
    next_place: u64,
    records: usize,
    bytes: usize,
    shown: FxHashMap<TraceId, Shown>,
    shown_order: VecDeque<TraceId>,
    shown_bytes: usize,
    refused: FxHashSet<TraceId>,
    refused_order: VecDeque<TraceId>,
    /// When to look at a trace, by its place, for rule 2.
    due: BTreeSet<(u64, u64)>,
    ready: Vec<Piece>,
    missed: Missed,
}

impl Assembler {
    /// Takes the records of a batch; an empty one says that nothing has
    /// happened for a while, which settles what waits.
    pub fn add(&mut self, batch: &Batch) -> Vec<Piece> {
        if batch.is_empty() {
            self.settle(u64::MAX);
        }
        let mut logs = batch.logs.iter().peekable();
        for span in &batch.spans {
            // What was logged before a span ended can stand below it.
            while let Some(log) = logs.next_if(|log| log.time <= span.end) {
                self.log(log);
            }
            self.settle(span.end);
            self.span(span);
        }
        for log in logs {
            self.log(log);
        }
        std::mem::take(&mut self.ready)
    }

    /// Notes records of a trace that were not kept before they came here.
    pub fn lost(&mut self, id: TraceId, spans: u64, logs: u64) {
        if spans + logs > 0
            && let Some(held) = self.make_room(id, 0)
        {
            held.lost_spans += spans;
            held.lost_logs += logs;
        }
    }

    /// The rest, finished or not, and what was never drawn since the last time.
    pub fn finish(&mut self) -> (Vec<Piece>, Missed) {
        self.settle(u64::MAX);
        while let Some((_, (id, _))) = self.held.first_key_value() {
            self.give_up(*id);
        }
        (std::mem::take(&mut self.ready), std::mem::take(&mut self.missed))
    }

    fn span(&mut self, span: &SpanRecord) {
        let id = span.trace_id;
        let is_root = span.parent.is_none();
        let full = self.is_full() && !is_root;
        let Some(held) = self.make_room(id, span.end) else {
            self.missed.spans += 1;
            if is_root {
                self.refused.remove(&id);
            }
            return;
        };
        let before = (held.spans.len(), held.bytes);
        if full {
            held.lost_spans += 1;
        } else {
            held.push(span);
        }
        // It may have more, or less: a trace that has too many is cut.
        let after = (held.spans.len(), held.bytes);
        self.records = self.records + after.0 - before.0;
        self.bytes = self.bytes + after.1 - before.1;
        let is_late = span.parent.is_some_and(|parent| self.is_shown(id, parent));
        if is_root {
            self.show(id, Part::Whole);
        } else if is_late {
            self.show_late(id, span.span_id);
        } else {
            self.wait(id, span);
        }
    }

    /// Puts off the look at a trace that may be whole.
    fn wait(&mut self, id: TraceId, span: &SpanRecord) {
        let Some(place) = self.places.get(&id) else { return };
        let Some((_, held)) = self.held.get_mut(place) else { return };
        if !span.remote_parent && held.due.is_none() {
            return;
        }
        let due = span.end.saturating_add(SETTLE);
        if let Some(earlier) = held.due.replace(due) {
            self.due.remove(&(earlier, *place));
        }
        self.due.insert((due, *place));
    }

    fn is_shown(&self, id: TraceId, span: SpanId) -> bool {
        self.shown.get(&id).is_some_and(|shown| shown.spans.contains(&span))
    }

    fn log(&mut self, log: &LogRecord) {
        let Some((id, span, _)) = log.span.filter(|(_, _, flags)| flags.sampled()) else {
            self.ready.push(Piece::Log(log.clone()));
            return;
        };
        if self.is_shown(id, span) {
            self.missed.logs += 1;
            return;
        }
        let (full, weight) = (self.is_full(), log.weight());
        let Some(held) = self.make_room(id, log.time) else {
            self.missed.logs += 1;
            return;
        };
        if full || held.logs.len() == MAX_LOGS {
            held.lost_logs += 1;
        } else {
            held.logs.push(log.clone());
            held.bytes += weight;
            self.records += 1;
            self.bytes += weight;
        }
    }

    const fn is_full(&self) -> bool {
        self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES
    }

    /// The trace's records, unless there is no room for another trace. One
    /// that was refused stays so: half of a trace would look like a whole one.
    fn make_room(&mut self, id: TraceId, now: u64) -> Option<&mut Held> {
        if !self.places.contains_key(&id) {
            if self.refused.contains(&id) {
                return None;
            }
            let oldest = self.held.first_key_value().map(|(_, (id, held))| (*id, held.last));
            if let Some((oldest, _)) = oldest.filter(|(_, last)| last.saturating_add(STALE) < now) {
                self.give_up(oldest);
            }
            if self.held.len() >= MAX_TRACES || self.is_full() {
                self.refuse(id);
                return None;
            }
            self.places.insert(id, self.next_place);
            self.held.insert(self.next_place, (id, Held::default()));
            self.next_place += 1;
        }
        let (_, held) = self.held.get_mut(self.places.get(&id)?)?;
        held.last = held.last.max(now);
        Some(held)
    }

    fn refuse(&mut self, id: TraceId) {
        self.refused.insert(id);
        self.refused_order.push_back(id);
        if self.refused_order.len() > MAX_REFUSED
            && let Some(oldest) = self.refused_order.pop_front()
        {
            self.refused.remove(&oldest);
        }
    }

    /// Shows what rule 2 has waited for until `now`.
    fn settle(&mut self, now: u64) {
        while let Some((due, place)) = self.due.first().copied().filter(|(due, _)| *due < now) {
            self.due.remove(&(due, place));
            let Some((id, held)) = self.held.get_mut(&place) else { continue };
            held.due = None;
            if held.waits_for_remote_only() {
                let id = *id;
                self.show(id, Part::Whole);
            }
        }
    }

    fn take(&mut self, id: TraceId) -> Option<Held> {
        let place = self.places.remove(&id)?;
        let (_, held) = self.held.remove(&place)?;
        self.records -= held.spans.len() + held.logs.len();
        self.bytes -= held.bytes;
        if let Some(due) = held.due {
            self.due.remove(&(due, place));
        }
        Some(held)
    }

    /// Ends the wait for the trace's root.
    fn give_up(&mut self, id: TraceId) {
        self.show(id, Part::Unfinished);
    }

    fn show(&mut self, id: TraceId, part: Part) {
        let Some(mut held) = self.take(id) else { return };
        held.cut(MAX_SPANS);
        self.remember(id, &held.spans);
        self.missed.logs += if held.spans.is_empty() { held.logs.len() as u64 + held.lost_logs } else { 0 };
        self.missed.spans += if held.spans.is_empty() { held.lost_spans } else { 0 };
        self.emit(id, part, held);
    }

    /// Rule 3: shows the span and what is below it, and goes on holding the rest.
    fn show_late(&mut self, id: TraceId, top: SpanId) {
        let Some(Shown { start, name, .. }) = self.shown.get(&id) else { return };
        let part = Part::Later { start: *start, name: name.clone() };
        let Some(mut held) = self.take(id) else { return };
        let rest = held.split_off(top);
        self.remember(id, &held.spans);
        self.emit(id, part, held);
        if rest.spans.is_empty() && rest.logs.is_empty() {
            return;
        }
        self.records += rest.spans.len() + rest.logs.len();
        self.bytes += rest.bytes;
        self.places.insert(id, self.next_place);
        self.due.extend(rest.due.map(|due| (due, self.next_place)));
        self.held.insert(self.next_place, (id, rest));
        self.next_place += 1;
    }

    fn emit(&mut self, id: TraceId, part: Part, held: Held) {
        if held.spans.is_empty() {
            return;
        }
        let Held { spans, logs, lost_spans, lost_logs, .. } = held;
        self.ready.push(Piece::Trace(Trace { id, part, spans, logs, lost_spans, lost_logs }));
    }

    /// Notes what was shown. The last span to end stands for the root.
    fn remember(&mut self, id: TraceId, spans: &[SpanRecord]) {
        let Some(root) = spans.iter().rev().find(|span| span.parent.is_none()).or(spans.last()) else {
            return;
        };
        let known = self.shown.entry(id).or_insert_with(|| {
            self.shown_order.push_back(id);
            self.shown_bytes += SHOWN_TRACE;
            Shown { start: root.start, name: root.name.clone(), spans: FxHashSet::default() }
        });
        let room = MAX_SPANS.saturating_sub(known.spans.len());
        // From the end: what still has children to come has ended last.
        let before = known.spans.len();
        known.spans.extend(spans.iter().rev().take(room).map(|span| span.span_id));
        self.shown_bytes += (known.spans.len() - before) * SHOWN_SPAN;
        while self.shown_bytes > MAX_SHOWN
            && let Some(oldest) = self.shown_order.pop_front()
        {
            let spans = self.shown.remove(&oldest).map_or(0, |shown| shown.spans.len());
            self.shown_bytes -= SHOWN_TRACE + spans * SHOWN_SPAN;
        }
    }
}

/// Spans that were let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    pub count: u64,
    /// What they took.
    pub bytes: usize,
}

/// Keeps the `keep` longest spans of a trace, in their order. Roots stay in any case.
pub fn keep_longest(spans: &mut Vec<SpanRecord>, keep: usize) -> Cut {
    let mut cut = Cut::default();
    if spans.len() <= keep {
        return cut;
    }
    let length = |span: &SpanRecord| (span.parent.is_none(), span.end.saturating_sub(span.start));
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(length(&spans[at])));
    let mut kept = vec![false; spans.len()];
    for &at in &order[..keep] {
        kept[at] = true;
    }
    let mut kept = kept.into_iter();
    spans.retain(|span| {
        let is_kept = kept.next() == Some(true);
        if !is_kept {
            cut.count += 1;
            cut.bytes += span.weight();
        }
        is_kept
    });
    cut
}

impl Held {
    fn push(&mut self, span: &SpanRecord) {
        self.spans.push(span.clone());
        self.bytes += span.weight();
        // Twice as many, so that cutting costs little for each span.
        if self.spans.len() >= 2 * MAX_SPANS {
            self.cut(MAX_SPANS);
        }
    }

    /// Lets go of all spans but `keep`.
    fn cut(&mut self, keep: usize) {
        let lost = keep_longest(&mut self.spans, keep);
        self.lost_spans += lost.count;
        self.bytes -= lost.bytes;
    }

    /// Whether no span waits for a parent in this process, which will end and tell.
    fn waits_for_remote_only(&self) -> bool {
        let ids: FxHashSet<SpanId> = self.spans.iter().map(|span| span.span_id).collect();
        let waits = |span: &SpanRecord| span.parent.is_some_and(|parent| !ids.contains(&parent));
        !self.spans.iter().any(|span| waits(span) && !span.remote_parent)
    }

    /// Keeps `top` with all below it and their log lines; returns the others.
    fn split_off(&mut self, top: SpanId) -> Self {
        let mut children: FxHashMap<SpanId, Vec<SpanId>> = FxHashMap::default();
        for span in &self.spans {
            children.entry(span.parent.unwrap_or(span.span_id)).or_default().push(span.span_id);
        }
        let mut below = FxHashSet::default();
        let mut waiting = vec![top];
        while let Some(id) = waiting.pop() {
            if below.insert(id) {
                waiting.extend(children.get(&id).into_iter().flatten());
            }
        }
        let (spans, other_spans) =
            std::mem::take(&mut self.spans).into_iter().partition(|span| below.contains(&span.span_id));
        let (logs, other_logs) = std::mem::take(&mut self.logs)
            .into_iter()
            .partition(|log| log.span.is_some_and(|(_, span, _)| below.contains(&span)));
        (self.spans, self.logs) = (spans, logs);
        let mut rest = Self { last: self.last, due: self.due, ..Self::default() };
        (rest.spans, rest.logs) = (other_spans, other_logs);
        rest.bytes = rest.spans.iter().map(SpanRecord::weight).sum::<usize>()
            + rest.logs.iter().map(LogRecord::weight).sum::<usize>();
        rest
    }
}
