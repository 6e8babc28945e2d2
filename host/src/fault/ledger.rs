//! What faults did, as it happens: the source of the truth file.

use std::cell::RefCell;
use std::fmt;

use crate::context::{SpanId, TraceId};
use crate::model::{Nanos, ServiceId};

use super::{Rule, Subject};

/// Why a fault that matched did not strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Suppression {
    /// The dice said no.
    Probability,
    /// Another fault answered already.
    Overridden,
}

impl Suppression {
    pub const ALL: [Self; 2] = [Self::Probability, Self::Overridden];
}

/// What a fault did during a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    /// Requests that met target and conditions while the fault was active.
    pub matched: u64,
    /// Of those, the ones that it struck.
    pub injected: u64,
    /// And the ones that it spared, by reason.
    pub suppressed: [u64; Suppression::ALL.len()],
}

/// What a fault drew for one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drawn {
    Nothing,
    /// Nanoseconds.
    Delay(Nanos),
    Status(u16),
}

/// A fault has struck.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing<'a> {
    pub rule: &'a str,
    pub kind: &'static str,
    /// Simulated time: nanoseconds since the Unix epoch.
    pub time: Nanos,
    pub service: ServiceId,
    pub replica: Option<u32>,
    pub route: Option<u32>,
    pub from: Option<ServiceId>,
    /// The request; none of what strikes without one.
    pub request: Option<(TraceId, SpanId)>,
    pub drawn: Drawn,
}

impl<'a> Firing<'a> {
    pub fn of(rule: &'a Rule, subject: &Subject<'_>, time: Nanos, drawn: Drawn) -> Self {
        Self {
            rule: &rule.name,
            kind: rule.kind.name(),
            time,
            service: subject.service,
            replica: subject.replica,
            route: subject.route,
            from: subject.from.map(|(service, _)| service),
            request: Some((subject.trace, subject.span)),
            drawn,
        }
    }
}

/// Where faults say what they did. Without a listener it costs a branch.
#[derive(Default)]
pub struct Ledger {
    listener: Option<RefCell<Box<dyn FnMut(&Firing<'_>)>>>,
}

impl Ledger {
    /// `listener` hears of each firing, in the order in which they happen.
    pub fn new(listener: impl FnMut(&Firing<'_>) + 'static) -> Self {
        Self { listener: Some(RefCell::new(Box::new(listener))) }
    }

    pub fn fired(&self, firing: &Firing<'_>) {
        if let Some(listener) = &self.listener {
            (listener.borrow_mut())(firing);
        }
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}
