//! Where the core thread leaves its records.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashSet;

use super::record::{Event, ExceptionSpan, Exceptions, LogRecord, MetricRecord, Scope, SpanRecord, SpanRef};
use super::signal::{Batch, Count, Receivers, Record, Signal};
use crate::context::TraceId;

/// Records gathered before they are handed over; fewer when the core is idle.
const BATCH: usize = 512;

/// Bytes of guests' records and of metrics gathered before they are handed over; the spans of
/// the bus are small.
const BATCH_BYTES: usize = 1 << 20;

/// Points of an instrument that travel together take about this at most: bytes, with their
/// attributes. As JSON they are up to four times as long, and still a line that the Collector reads
/// ([`LINE_BYTES`](super::encode::json::LINE_BYTES)).
const METRIC_BYTES: usize = 128 << 10;

/// What becomes of records before they are kept: faults change them, hold them back
/// or lose them.
pub trait Editor {
    /// Leaves a span that has ended with `keep`: now or later; or never, which is false.
    fn span(&self, span: SpanRecord, keep: &mut dyn FnMut(SpanRecord)) -> bool;

    fn log(&self, log: LogRecord) -> LogRecord;

    fn metric(&self, metric: MetricRecord) -> MetricRecord;

    /// Leaves what was held back until now; at the end, all of it.
    fn release(&self, is_end: bool, keep: &mut dyn FnMut(SpanRecord));
}

/// Gathers records and hands them over in batches. For the core thread only.
pub struct Recorder {
    /// Nobody takes log records.
    is_off: Cell<bool>,
    editor: OnceCell<Rc<dyn Editor>>,
    watch: OnceCell<Watch>,
    exceptions: Cell<Exceptions>,
    old_database_names: Cell<bool>,
    batch: RefCell<Batch>,
    /// What the guests' records and the metrics in it take: bytes.
    weight: Cell<usize>,
    hand_over: RefCell<Box<dyn FnMut(Batch)>>,
    counts: Cell<Counts>,
    /// A process is dying: what ends now is lost.
    losing: Cell<bool>,
    stretched: RefCell<Stretched>,
}

/// Spans that took no time: they are recorded with the shortest time that OTLP can tell,
/// as receivers take a span without any for a broken one. Whatever else of their traces ends
/// at the same instant does so behind them, so that they stay within their parents.
#[derive(Debug, Default)]
struct Stretched {
    /// The instant at which spans of these traces ended a nanosecond later.
    at: u64,
    traces: FxHashSet<TraceId>,
}

impl Stretched {
    /// Ends a span that ends now. Children do so before their parents.
    fn end(&mut self, span: &mut SpanRecord) {
        if self.at != span.end {
            self.at = span.end;
            self.traces.clear();
        }
        if span.start == span.end {
            self.traces.insert(span.trace_id);
            span.end = span.end.saturating_add(1);
        } else if !self.traces.is_empty() && self.traces.contains(&span.trace_id) {
            span.end = span.end.saturating_add(1);
        }
    }
}

/// Hears of each span that ends in a kept trace, and whether it is recorded.
type Watch = Box<dyn Fn(SpanRef, bool)>;

/// What was recorded so far, and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub recorded: Count,
    /// Not recorded: the guest was over its limit.
    pub cut: Count,
    /// Attributes of log records that were not kept: the guest was over its limit.
    pub cut_log_attributes: u64,
    /// Not recorded: their process died before they ended.
    pub lost: Count,
    /// Spans that began and ended, recorded or not: in the end as many.
    pub opened: u64,
    pub closed: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { recorded, cut, cut_log_attributes, lost, opened, closed } = other;
        self.recorded += recorded;
        self.cut += cut;
        self.cut_log_attributes += cut_log_attributes;
        self.lost += lost;
        self.opened += opened;
        self.closed += closed;
    }
}

impl Recorder {
    /// `hand_over` takes each batch; it must not wait for anybody but the disk.
    pub fn new(hand_over: impl FnMut(Batch) + 'static) -> Self {
        Self {
            is_off: Cell::default(),
            editor: OnceCell::new(),
            watch: OnceCell::new(),
            exceptions: Cell::default(),
            old_database_names: Cell::default(),
            batch: RefCell::default(),
            weight: Cell::new(0),
            hand_over: RefCell::new(Box::new(hand_over)),
            counts: Cell::default(),
            losing: Cell::default(),
            stretched: RefCell::default(),
        }
    }

    /// Makes no log records from now on. Spans are left out by a sampler, and metrics by whoever counts.
    pub fn turn_off_logs(&self) {
        self.is_off.set(true);
    }

    /// Ends what is in a process that has died: what would be recorded meanwhile is
    /// lost, and counted.
    pub fn lose(&self, end: impl FnOnce()) {
        let outer = self.losing.replace(true);
        end();
        self.losing.set(outer);
    }

    /// Whether spans that end now are lost.
    pub const fn is_losing(&self) -> bool {
        self.losing.get()
    }

    /// Lets all records go through an editor from now on. There is one, and it stays.
    pub fn edit(&self, editor: Rc<dyn Editor>) {
        assert!(self.editor.set(editor).is_ok(), "a recorder has one editor");
    }

    /// Tells `watch` of each span that ends from now on. There is one, and it stays.
    pub fn watch(&self, watch: impl Fn(SpanRef, bool) + 'static) {
        assert!(self.watch.set(Box::new(watch)).is_ok(), "a recorder has one that watches");
    }

    /// Records exceptions as these from now on.
    pub fn record_exceptions_as(&self, exceptions: Exceptions) {
        self.exceptions.set(exceptions);
    }

    /// As what exceptions are recorded.
    pub fn exceptions(&self) -> Exceptions {
        self.exceptions.get()
    }

    /// Whether spans of databases have the old names of attributes too from now on.
    pub fn keep_old_database_names(&self, keep: bool) {
        self.old_database_names.set(keep);
    }

    /// Whether spans of databases have the old names of attributes too.
    pub fn has_old_database_names(&self) -> bool {
        self.old_database_names.get()
    }

    /// Leaves an exception of the bus as a log record, where exceptions are log records, and gives it back
    /// where they are events.
    pub fn exception(&self, event: Event, of: &ExceptionSpan<'_>) -> Option<Event> {
        let exceptions = self.exceptions();
        if exceptions.are_logs() {
            self.log(LogRecord::exception(&event, of));
        }
        exceptions.are_events().then_some(event)
    }

    /// Counts a span that has begun; whether it is recorded shows at its end.
    pub fn opened(&self) {
        self.count(|counts| counts.opened += 1);
    }

    /// Counts a span that has ended.
    pub fn closed(&self) {
        self.count(|counts| counts.closed += 1);
    }

    #[inline]
    pub fn span(&self, span: SpanRecord) {
        let SpanRecord { trace_id, span_id, kind, resource, .. } = span;
        let is_recorded = self.record(span);
        if let Some(watch) = self.watch.get() {
            watch(SpanRef { trace_id, span_id, kind, resource }, is_recorded);
        }
    }

    /// Whether it is recorded, now or later.
    #[inline]
    fn record(&self, mut span: SpanRecord) -> bool {
        if self.losing.get() {
            self.count(|counts| counts.lost[Signal::Traces] += 1);
            return false;
        }
        self.stretched.borrow_mut().end(&mut span);
        match self.editor.get() {
            None => {
                self.push(span);
                true
            }
            Some(editor) => {
                editor.release(false, &mut |span| self.push(span));
                editor.span(span, &mut |span| self.push(span))
            }
        }
    }

    /// Leaves a record that no fault changes any more.
    #[inline]
    pub fn push<R: Record>(&self, record: R) {
        if record.origin().1 == Scope::Guest || R::SIGNAL == Signal::Metrics {
            self.weight.set(self.weight.get() + record.weight());
        }
        self.count(|counts| counts.recorded[R::SIGNAL] += record.items() as u64);
        R::list_mut(&mut self.batch.borrow_mut()).push(record);
        self.flush_if_full();
    }

    pub fn log(&self, log: LogRecord) {
        if self.is_off.get() {
            return;
        }
        if self.losing.get() {
            return self.count(|counts| counts.lost[Signal::Logs] += 1);
        }
        let log = match self.editor.get() {
            None => log,
            Some(editor) => {
                editor.release(false, &mut |span| self.push(span));
                editor.log(log)
            }
        };
        self.push(log);
    }

    /// Leaves the points of an instrument, as several records where they are many. One without
    /// points leaves none.
    pub fn metric(&self, mut record: MetricRecord) {
        if let Some(editor) = self.editor.get() {
            record = editor.metric(record);
        }
        while let Some(rest) = record.split_off(METRIC_BYTES) {
            self.push(std::mem::replace(&mut record, rest));
        }
        if !record.points.is_empty() {
            self.push(record);
        }
    }

    /// Counts a record that is not recorded, as its guest is over its limit.
    pub fn cut(&self, signal: Signal) {
        self.count(|counts| counts.cut[signal] += 1);
    }

    /// Counts attributes of a log record that are not kept. A span has such a
    /// count of its own.
    pub fn cut_log_attributes(&self, dropped: u32) {
        self.count(|counts| counts.cut_log_attributes += u64::from(dropped));
    }

    /// Hands over what is there.
    pub fn flush(&self) {
        if let Some(editor) = self.editor.get() {
            editor.release(false, &mut |span| self.push(span));
        }
        self.hand_over();
    }

    /// Hands over what is there or was held back: nothing more comes.
    pub fn finish(&self) {
        if let Some(editor) = self.editor.get() {
            editor.release(true, &mut |span| self.push(span));
        }
        self.hand_over();
    }

    /// What is recorded from now on finds the receivers down, or up again.
    pub fn set_receivers(&self, receivers: Receivers) {
        self.flush();
        (self.hand_over.borrow_mut())(Batch { receivers: Some(receivers), ..Batch::default() });
    }

    fn hand_over(&self) {
        if self.batch.borrow().is_empty() {
            return;
        }
        self.weight.set(0);
        // The next batch will likely be as long.
        let spans = Vec::with_capacity(self.batch.borrow().spans.len());
        let batch = self.batch.replace(Batch { spans, ..Batch::default() });
        (self.hand_over.borrow_mut())(batch);
    }

    pub fn counts(&self) -> Counts {
        self.counts.get()
    }

    fn count(&self, change: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.get();
        change(&mut counts);
        self.counts.set(counts);
    }

    fn flush_if_full(&self) {
        if self.batch.borrow().len() >= BATCH || self.weight.get() >= BATCH_BYTES {
            self.hand_over();
        }
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("counts", &self.counts()).finish_non_exhaustive()
    }
}
