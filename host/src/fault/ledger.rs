//! What faults did, as it happens: the source of the truth file.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::context::{SpanId, TraceId};
use crate::model::{FaultKind, Nanos, ServiceId, Way};
use crate::telemetry::record::{ResourceId, SpanRef};

use super::labels::Labels;
use super::signs::{Spans, Waiting, shown_by};
use super::witness::Witness;
use super::{Hand, Rule, Subject};

/// Why a fault that matched did not strike. In the order in which it is asked: what
/// the first spares, the next does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Suppression {
    /// The request does not ask for it, as it has to with `by-caller`.
    NotAsked,
    /// It is none of the first that `fail-first` allows.
    FailFirst,
    /// It is between those that `every-nth` picks.
    EveryNth,
    /// The dice said no.
    Probability,
    /// `max-total` is reached.
    MaxTotal,
    /// `max-active` is reached.
    MaxActive,
    /// Another fault answered already, or what it was to change never came.
    Overridden,
    /// The body is no JSON, or has no such place.
    NotJson,
    /// There is no body to change.
    NoBody,
    /// The limit is not reached.
    WithinLimit,
    /// As many spans are held back as may be.
    NoRoom,
}

impl Suppression {
    pub const ALL: [Self; 11] = [
        Self::NotAsked,
        Self::FailFirst,
        Self::EveryNth,
        Self::Probability,
        Self::MaxTotal,
        Self::MaxActive,
        Self::Overridden,
        Self::NotJson,
        Self::NoBody,
        Self::WithinLimit,
        Self::NoRoom,
    ];

    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::FailFirst => "fail-first",
            Self::EveryNth => "every-nth",
            Self::Probability => "probability",
            Self::MaxTotal => "max-total",
            Self::MaxActive => "max-active",
            Self::Overridden => "overridden",
            Self::NotJson => "not-json",
            Self::NoBody => "no-body",
            Self::WithinLimit => "within-limit",
            Self::NoRoom => "no-room",
        }
    }
}

/// What a fault did during a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub name: String,
    /// Requests that met target and conditions while the fault was active.
    pub matched: u64,
    /// Of those, the ones that it struck.
    pub injected: u64,
    /// And the ones that it spared, by reason.
    pub suppressed: [u64; Suppression::ALL.len()],
    /// How often it has become active.
    pub windows: u64,
    /// The natural logarithm of the chance that its dice spare all whom they have spared:
    /// of n requests with probability p it is n ln(1 - p).
    pub luck: f64,
}

impl Account {
    /// Adds what the same fault has done in another world.
    pub fn merge(&mut self, other: &Self) {
        self.matched += other.matched;
        self.injected += other.injected;
        self.windows += other.windows;
        self.luck += other.luck;
        for (mine, theirs) in self.suppressed.iter_mut().zip(other.suppressed) {
            *mine += theirs;
        }
    }
}

/// What a fault drew for one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drawn {
    Nothing,
    /// Nanoseconds.
    Delay(Nanos),
    Status(u16),
    /// So many bytes.
    Bytes(u64),
    /// Nanoseconds, by which a clock is ahead.
    Shift(i64),
    /// What an attribute's value is made of.
    Number(u64),
}

/// Where something strikes: a request, at a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    pub service: ServiceId,
    pub replica: Option<u32>,
    /// The Resource of the process that has the request, or is to get it.
    pub resource: Option<ResourceId>,
    pub route: Option<u32>,
    pub from: Option<ServiceId>,
    pub trace: TraceId,
    /// The SERVER or CLIENT span that this befalls: the request's, or the one around it.
    pub within: SpanId,
    /// The spans around it.
    pub spans: Spans,
}

impl Subject<'_> {
    pub fn site(&self) -> Site {
        Site {
            service: self.service,
            replica: self.replica,
            resource: self.resource,
            route: self.route,
            from: self.from.map(|(service, _)| service),
            trace: self.trace,
            within: self.span,
            spans: self.spans,
        }
    }
}

/// A fault has struck.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    pub rule: Rc<str>,
    /// The fault's place in the model.
    pub index: usize,
    pub kind: &'static str,
    /// Simulated time: nanoseconds since the Unix epoch.
    pub time: Nanos,
    /// The number of the fault's window to which it belongs, from 1.
    pub window: u64,
    /// Why it comes after that window has closed, if it does.
    pub after: Option<After>,
    pub service: ServiceId,
    pub replica: Option<u32>,
    /// The Resource of the process that is struck, or that gets what is struck.
    pub resource: Option<ResourceId>,
    pub route: Option<u32>,
    pub from: Option<ServiceId>,
    /// The trace of the request; none of what strikes without one.
    pub trace: Option<TraceId>,
    /// The SERVER or CLIENT span that this befalls: the request's, or the one around it.
    pub within: Option<SpanId>,
    /// The CLIENT span that waits for the request.
    pub client: Option<SpanId>,
    /// The spans that may show the effect, the best first.
    pub signs: SmallVec<[SpanId; 2]>,
    /// The recorded span that shows it; none before that is known.
    pub shown: Option<SpanRef>,
    pub drawn: Drawn,
}

/// Why a fault strikes after its window has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It was decided while the window was open: the message that is struck was on its way,
    /// or the work that is slow had begun.
    UnderWay,
    /// A process that the fault has killed is not up yet.
    Restarting,
}

impl After {
    fn of(rule: &Rule, window: u64) -> Option<Self> {
        if rule.is_active() && rule.windows() == window {
            return None;
        }
        Some(match rule.kind {
            FaultKind::Crash { .. } => Self::Restarting,
            _ => Self::UnderWay,
        })
    }
}

impl Firing {
    /// A rule has struck by its window of this number.
    pub fn at(rule: &Rule, site: &Site, window: u64, time: Nanos, drawn: Drawn) -> Self {
        Self {
            rule: Rc::clone(&rule.name),
            index: rule.index,
            kind: rule.kind.name(),
            time,
            window,
            after: After::of(rule, window),
            service: site.service,
            replica: site.replica,
            resource: site.resource,
            route: site.route,
            from: site.from,
            trace: Some(site.trace),
            within: Some(site.within),
            client: site.spans.client,
            signs: site.spans.of(shown_by(&rule.kind, Way::Both)),
            shown: None,
            drawn,
        }
    }

    /// A rule has struck a replica, by its window of this number, and no request.
    pub fn of_replica(
        rule: &Rule,
        (service, replica, resource): (ServiceId, u32, ResourceId),
        window: u64,
        time: Nanos,
        drawn: Drawn,
    ) -> Self {
        Self {
            rule: Rc::clone(&rule.name),
            index: rule.index,
            kind: rule.kind.name(),
            time,
            window,
            after: After::of(rule, window),
            service,
            replica: Some(replica),
            resource: Some(resource),
            route: None,
            from: None,
            trace: None,
            within: None,
            client: None,
            signs: SmallVec::new(),
            shown: None,
            drawn,
        }
    }
}

/// Something has happened to a fault, or by it.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// It has struck, and the span that shows it, if one does, was recorded.
    Fired(&'a Firing),
    /// It has become active.
    Opened(Turn<'a>),
    /// It is no longer active.
    Closed(Turn<'a>),
    /// A hand is upon it. What follows from that is told as well.
    Changed(Change<'a>),
}

/// A window has opened or closed.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    pub rule: &'a Rule,
    /// Simulated time: nanoseconds since the Unix epoch.
    pub time: Nanos,
    /// The window's number, from 1.
    pub number: u64,
    pub cause: Cause,
}

/// Why a window opens or closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Schedule,
    Hand,
}

/// A fault was changed by hand.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    pub rule: &'a Rule,
    /// Simulated time: nanoseconds since the Unix epoch.
    pub time: Nanos,
    pub hand: Hand,
}

type Listener = Box<dyn FnMut(&Event<'_>)>;

/// Where faults say what they did. Without a listener it costs a branch.
#[derive(Default)]
pub struct Ledger {
    listener: Option<RefCell<Listener>>,
    witness: Option<RefCell<Witness>>,
    labels: Option<Rc<Labels>>,
    waiting: RefCell<Waiting>,
}

impl Ledger {
    /// `listener` hears of each event: of windows and hands as they come, of a firing when
    /// the span that shows it has ended.
    pub fn new(listener: impl FnMut(&Event<'_>) + 'static) -> Self {
        Self { listener: Some(RefCell::new(Box::new(listener))), ..Self::default() }
    }

    /// Likewise with somebody who sees whom it befalls.
    #[must_use]
    pub fn with_witness(self, witness: Witness) -> Self {
        Self { witness: Some(RefCell::new(witness)), ..self }
    }

    /// Likewise with labels for the spans that are struck.
    #[must_use]
    pub fn with_labels(self) -> Self {
        Self { labels: Some(Rc::default()), ..self }
    }

    pub const fn labels(&self) -> Option<&Rc<Labels>> {
        self.labels.as_ref()
    }

    /// Whether anybody keeps account of requests.
    pub const fn is_witnessed(&self) -> bool {
        self.witness.is_some()
    }

    pub(super) fn witness<T>(&self, tell: impl FnOnce(&mut Witness) -> T) -> Option<T> {
        self.witness.as_ref().map(|witness| tell(&mut witness.borrow_mut()))
    }

    /// A fault has struck.
    pub fn fired(&self, mut firing: Firing) {
        // A call that has ended before shows nothing of it.
        let ended = firing
            .client
            .filter(|client| self.witness(|witness| !witness.is_under_way(*client)).unwrap_or_default());
        firing.signs.retain(|sign| Some(*sign) != ended);
        if let Some(labels) = &self.labels {
            labels.note(&firing);
        }
        self.witness(|witness| witness.struck(&firing));
        if self.listener.is_some() {
            let told = self.waiting.borrow_mut().add(firing);
            told.iter().for_each(|firing| self.tell(&Event::Fired(firing)));
        }
    }

    /// A span has ended, and was recorded or lost.
    pub fn ended(&self, span: SpanRef, is_recorded: bool) {
        if is_recorded {
            self.witness(|witness| witness.recorded(span));
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
        self.saw(event);
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
