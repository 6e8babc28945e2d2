//! What faults did, as it happens: the source of the truth file.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use crate::context::SpanId;
use crate::telemetry::record::SpanRef;

use super::awaiting::Waiting;
use super::event::{Event, Firing};
use super::impact::ImpactTracker;
use super::labels::Labels;

type Listener = Box<dyn FnMut(&Event<'_>)>;

/// Where faults say what they did. Without a listener it costs a branch.
#[derive(Default)]
pub struct Ledger {
    listener: Option<RefCell<Listener>>,
    impact: Option<RefCell<ImpactTracker>>,
    labels: Option<Rc<Labels>>,
    waiting: RefCell<Waiting>,
}

impl Ledger {
    /// `listener` hears of each event: of windows and changes by hand as they come, of a firing when
    /// the span that shows it has ended.
    pub fn new(listener: impl FnMut(&Event<'_>) + 'static) -> Self {
        Self { listener: Some(RefCell::new(Box::new(listener))), ..Self::default() }
    }

    /// Has `impact` told which requests are under way, and which of them faults strike.
    #[must_use]
    pub fn with_impact(self, impact: ImpactTracker) -> Self {
        Self { impact: Some(RefCell::new(impact)), ..self }
    }

    /// Keeps labels for the spans that are struck: `[telemetry] label-faults = true`.
    #[must_use]
    pub fn with_labels(self) -> Self {
        Self { labels: Some(Rc::default()), ..self }
    }

    pub const fn labels(&self) -> Option<&Rc<Labels>> {
        self.labels.as_ref()
    }

    /// Whether the impact of faults on requests is tracked.
    pub const fn tracks_impact(&self) -> bool {
        self.impact.is_some()
    }

    pub(super) fn track<T>(&self, tell: impl FnOnce(&mut ImpactTracker) -> T) -> Option<T> {
        self.impact.as_ref().map(|impact| tell(&mut impact.borrow_mut()))
    }

    /// A fault has struck.
    pub fn fired(&self, mut firing: Firing) {
        // A call that has ended before shows nothing of it.
        let ended = firing
            .client
            .filter(|client| self.track(|impact| !impact.is_under_way(*client)).unwrap_or_default());
        firing.signs.retain(|sign| Some(*sign) != ended);
        if let Some(labels) = &self.labels {
            labels.note(&firing);
        }
        self.track(|impact| impact.struck(&firing));
        if self.listener.is_some() {
            let told = self.waiting.borrow_mut().add(firing);
            told.iter().for_each(|firing| self.tell(&Event::Fired(firing)));
        }
    }

    /// A span has ended, and was recorded or lost.
    pub fn ended(&self, span: SpanRef, is_recorded: bool) {
        if is_recorded {
            self.track(|impact| impact.recorded(span));
        }
        self.settle(span.span_id, is_recorded.then_some(span));
    }

    /// It is known what has become of a span, if it ever was one.
    pub(super) fn settle(&self, span: SpanId, recorded: Option<SpanRef>) {
        if self.listener.is_some() {
            let told = self.waiting.borrow_mut().ended(span, recorded);
            told.iter().for_each(|firing| self.tell(&Event::Fired(firing)));
        }
    }

    /// No span is recorded any more: tells what has waited for one.
    pub fn finish(&self) {
        let told = self.waiting.borrow_mut().finish();
        told.iter().for_each(|firing| self.tell(&Event::Fired(firing)));
    }

    pub fn tell(&self, event: &Event<'_>) {
        self.track(|impact| impact.saw(event));
        if let Some(listener) = &self.listener {
            (listener.borrow_mut())(event);
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
