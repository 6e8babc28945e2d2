//! What happens to a fault, or by it: strikes, windows, changes by hand.

use std::rc::Rc;

use smallvec::SmallVec;

use crate::context::{SpanId, TraceId};
use crate::model::{Nanos, ServiceId};
use crate::telemetry::record::{ResourceId, SpanRef};

use super::candidate::Candidate;
use super::rule::Rule;
use super::signs::{Side, Spans};

/// What a fault drew for one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drawn {
    Nothing,
    /// Nanoseconds.
    Delay(Nanos),
    Status(u16),
    /// A number of bytes.
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
    /// The SERVER or CLIENT span that this strikes: the request's, or the one around it.
    pub within: SpanId,
    /// The spans around it.
    pub spans: Spans,
}

impl Candidate<'_> {
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
    /// When it began to keep the message that is struck from who consumes it; none of what is struck at once.
    pub kept_since: Option<Nanos>,
    /// The number of the fault's window to which it belongs, from 1.
    pub window: u64,
    /// Why it comes after that window has closed, if it does.
    pub after: Option<After>,
    pub service: ServiceId,
    /// The database that is asked, where that is struck: an index into
    /// [`Model::databases`](crate::model::Model::databases).
    pub database: Option<usize>,
    /// The cache that is asked, where that is struck: an index into
    /// [`Model::caches`](crate::model::Model::caches).
    pub cache: Option<usize>,
    /// The topic whose message is struck, an index into [`Model::topics`](crate::model::Model::topics), and
    /// the partition.
    pub topic: Option<(usize, u32)>,
    pub replica: Option<u32>,
    /// The Resource of the process that is struck, or that gets what is struck.
    pub resource: Option<ResourceId>,
    pub route: Option<u32>,
    pub from: Option<ServiceId>,
    /// The trace of the request; none of what strikes without one.
    pub trace: Option<TraceId>,
    /// The SERVER or CLIENT span that this strikes: the request's, or the one around it.
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
        Some(if rule.kind.outlasts { Self::Restarting } else { Self::UnderWay })
    }
}

impl Firing {
    /// A rule has struck by its window of this number.
    pub fn at(rule: &Rule, site: &Site, window: u64, time: Nanos, drawn: Drawn) -> Self {
        Self {
            rule: Rc::clone(&rule.name),
            index: rule.index,
            kind: rule.kind.name,
            time,
            kept_since: None,
            window,
            after: After::of(rule, window),
            service: site.service,
            database: rule.database,
            cache: rule.cache,
            topic: None,
            replica: site.replica,
            resource: site.resource,
            route: site.route,
            from: site.from,
            trace: Some(site.trace),
            within: Some(site.within),
            client: site.spans.client,
            signs: SmallVec::new(),
            shown: None,
            drawn,
        }
    }

    /// It is one of these spans that shows it, the best side first.
    #[must_use]
    pub fn shown_by(self, spans: Spans, sides: &[Side]) -> Self {
        Self { signs: spans.of(sides), ..self }
    }

    /// What is struck is a message of this topic and partition.
    #[must_use]
    pub fn of_message(self, topic: usize, partition: u32) -> Self {
        Self { topic: Some((topic, partition)), ..self }
    }

    /// What is struck was kept from this instant on.
    #[must_use]
    pub fn kept_since(self, since: Option<Nanos>) -> Self {
        Self { kept_since: since, ..self }
    }

    /// When the fault began to act on what is struck.
    pub fn began(&self) -> Nanos {
        self.kept_since.unwrap_or(self.time)
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
            kind: rule.kind.name,
            time,
            kept_since: None,
            window,
            after: After::of(rule, window),
            service,
            database: None,
            cache: None,
            topic: None,
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
    Opened(WindowChange<'a>),
    /// It is no longer active.
    Closed(WindowChange<'a>),
    /// It was changed by hand. What follows from that is told as well.
    Changed(FaultChange<'a>),
}

/// A window has opened or closed.
#[derive(Clone, Debug)]
pub struct WindowChange<'a> {
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
    /// A change by hand.
    Manual,
}

/// A fault was changed by hand.
#[derive(Clone, Debug)]
pub struct FaultChange<'a> {
    pub rule: &'a Rule,
    /// Simulated time: nanoseconds since the Unix epoch.
    pub time: Nanos,
    pub what: ManualChange,
}

/// What somebody does to a fault while the run goes on. It overrides the schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ManualChange {
    /// Active from now on.
    On,
    /// Inactive from now on.
    Off,
    /// As its schedule says, from now on.
    Schedule,
    /// Its probability, from 0 to 1.
    Probability(f64),
}
