//! What a run's report counts, while it runs.
//!
//! [`Stats`] has one method for each thing that happens to a request; the bus
//! calls it at the place where it happens. What is counted are the [`Accounts`]:
//! plain numbers of one world, which can be added to those of another.
//!
//! Everything is counted twice, by different ways: how many requests there are
//! somewhere is a [`Gauge`](crate::tally::Gauge) over time, how long each stayed is a [`Tally`]. At
//! the end the two must agree to the nanosecond (Little's law), or simhost has a
//! defect: see [`broken`](Accounts::broken).
//!
//! Rates and means over time are over the time in which requests were made
//! ([`Accounts::duration`]). What was under way then is seen through to its end: it
//! counts with its times, but a run with one straggler has the same rates as one without.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use crate::context::TraceId;
use crate::model::{Nanos, ServiceId};
use crate::tally::{Exemplar, Tally};
use crate::telemetry::record::ResourceId;

mod accounts;
mod cycles;
mod interval;
mod laws;

pub use accounts::{Accounts, Capacity, LinkAccount, PolicyAccount, ServiceAccount};
pub use laws::Broken;

/// The running count, until it is closed. For the core thread only.
#[derive(Debug, Default)]
pub struct Stats {
    /// None once it is closed.
    accounts: RefCell<Option<Accounts>>,
    /// When the world began, which is where timelines begin.
    start: Nanos,
    /// When requests were no longer made, if that was so far.
    until: Cell<Option<Nanos>>,
    /// Whether traces are kept that stand for the times of requests.
    keeps_exemplars: Cell<bool>,
}

/// The `error.type` of a call that was not sent and does not say why.
const UNSENT: &str = "cancelled";

/// Where a request was: a service, the route that it met if it met one, and the instance that
/// had it; and its trace, if that is recorded.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub service: ServiceId,
    pub route: Option<u32>,
    pub instance: ResourceId,
    pub trace: Option<TraceId>,
}

/// A call that is counted and has not ended.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ticket {
    caller: u32,
    slot: u32,
    /// When it went on its way; none before.
    since: Option<Nanos>,
}

impl Stats {
    /// Nothing counted yet, for these services, from `start` on.
    pub fn new(services: Vec<ServiceAccount>, start: Nanos) -> Self {
        let callers = services.iter().map(|_| Vec::new()).chain([Vec::new()]).collect();
        let accounts = Accounts { services, callers, start, ..Accounts::default() };
        Self {
            accounts: RefCell::new(Some(accounts)),
            start,
            until: Cell::default(),
            keeps_exemplars: Cell::default(),
        }
    }

    /// Keeps traces from now on that stand for the times of requests.
    pub fn keep_exemplars(&self) {
        self.keeps_exemplars.set(true);
    }

    /// A request has arrived at a service, from within the topology or not.
    pub fn arrived(&self, at: ServiceId, inner: bool, now: Nanos) {
        self.service(at, |service| {
            service.inner += u64::from(inner);
            service.inside.enter(now);
        });
    }

    /// A request of a service that was sent here never arrives.
    pub fn lost(&self, at: ServiceId) {
        self.service(at, |service| service.lost += 1);
    }

    /// A request of a service arrives here once more.
    pub fn doubled(&self, at: ServiceId) {
        self.service(at, |service| service.doubled += 1);
    }

    /// A request has come to where nobody is.
    pub fn refused(&self, at: ServiceId, inner: bool) {
        self.service(at, |service| service.inner += u64::from(inner));
    }

    /// A request waits for a worker. `length` is the length of its replica's queue with it.
    pub fn queued(&self, at: ServiceId, length: usize, now: Nanos) {
        self.service(at, |service| {
            service.longest_queue = service.longest_queue.max(length as u32);
            service.waiting.enter(now);
        });
    }

    /// It waits no longer.
    pub fn called_up(&self, at: ServiceId, since: Nanos, now: Nanos) {
        self.service(at, |service| {
            service.waiting.leave(now);
            service.waits.get_or_insert_with(|| Box::new(Tally::coarse())).note(now - since, None);
        });
    }

    /// A worker has it.
    pub fn begun(&self, at: ServiceId, now: Nanos) {
        self.service(at, |service| service.busy.enter(now));
    }

    /// The worker is done with it.
    pub fn done(&self, at: ServiceId, since: Nanos, now: Nanos) {
        self.service(at, |service| {
            service.busy.leave(now);
            service.worked += 1;
            service.busy_time += u128::from(now - since);
        });
    }

    /// It is answered; `error` is its `error.type`, if it failed.
    pub fn left(&self, at: At, since: Nanos, now: Nanos, error: Option<Cow<'static, str>>) {
        let (start, late) = (self.start, self.late(since));
        let trace = at.trace.filter(|_| self.keeps_exemplars.get());
        self.service(at.service, |service| {
            service.inside.leave(now);
            let timeline = service.timeline.get_or_insert_default();
            timeline.note(since.saturating_sub(start), Some(now - since), error.is_some());
            if let Some(tally) = service.instance(at.instance) {
                tally.note(now - since, error.clone());
                tally.late += late;
            }
            let slot = at.route.map_or(service.routes.len(), |route| route as usize);
            let tally = service.tallies[slot].get_or_insert_default();
            tally.note(now - since, error);
            tally.late += late;
            if let Some(trace_id) = trace {
                tally.note_trace(Exemplar { trace_id, took: now - since });
            }
        });
    }

    /// A call begins, from a service or from outside. It is under way once it is
    /// [`sent`](Self::sent).
    pub fn calling(&self, from: Option<ServiceId>, to: Option<ServiceId>) -> Ticket {
        let mut accounts = self.accounts.borrow_mut();
        let Some(accounts) = &mut *accounts else { return Ticket::default() };
        let caller = from.map_or(accounts.services.len(), ServiceId::index);
        let links = &mut accounts.callers[caller];
        // A service calls a few others: looking at each is quicker than hashing.
        let known = links.iter().position(|link| link.to == to);
        let slot = known.unwrap_or(links.len());
        if known.is_none() {
            links.push(LinkAccount::new(to));
            if let (Some(from), Some(to)) = (from, to) {
                accounts.close_cycles(from, to);
            }
        }
        Ticket { caller: caller as u32, slot: slot as u32, since: None }
    }

    /// It goes on its way, to a guest or to a real server.
    pub fn sent(&self, ticket: &mut Ticket, to_guest: bool, now: Nanos) {
        ticket.since = Some(now);
        self.link(*ticket, |link| {
            link.under_way.enter(now);
            link.sent += u64::from(to_guest);
        });
    }

    /// It has ended: at the answer, the error or the timeout, whichever came first.
    pub fn called(&self, ticket: Ticket, now: Nanos, error: Option<Cow<'static, str>>) {
        let late = self.late(ticket.since.unwrap_or(now));
        self.link(ticket, |link| {
            link.calls.late += late;
            match (ticket.since, error) {
                (Some(since), error) => {
                    link.under_way.leave(now);
                    link.calls.note(now - since, error);
                }
                (None, error) => {
                    link.unsent += 1;
                    link.calls.refuse(error.unwrap_or(Cow::Borrowed(UNSENT)));
                }
            }
        });
    }

    /// Its link has policies, and this is what they did.
    pub fn policies(&self, ticket: Ticket, did: PolicyAccount) {
        self.link(ticket, |link| link.policies.get_or_insert_default().merge(did));
    }

    /// Requests from outside that have ended, and how many of them failed.
    pub fn outside(&self) -> (u64, u64) {
        let accounts = self.accounts.borrow();
        let links = accounts.iter().filter_map(|accounts| accounts.callers.last()).flatten();
        links.fold((0, 0), |(ended, failed), link| (ended + link.calls.count, failed + link.calls.failed()))
    }

    /// A copy of everything so far, with the gauges read at `now`.
    pub fn snapshot(&self, now: Nanos) -> Accounts {
        let accounts = self.accounts.borrow().clone().unwrap_or_default();
        self.read(accounts, now)
    }

    /// Ends the count and gives everything out, with the gauges read at `now`.
    /// What is cut off afterwards counts for nothing.
    pub fn close(&self, now: Nanos) -> Accounts {
        let accounts = self.accounts.take().unwrap_or_default();
        self.read(accounts, now)
    }

    fn read(&self, mut accounts: Accounts, now: Nanos) -> Accounts {
        accounts.last = accounts.gauges().map(|gauge| gauge.changed()).max().unwrap_or_default();
        if self.until.get().is_none() {
            accounts.end(now);
        }
        accounts.gauges().for_each(|gauge| gauge.read(now));
        accounts
    }

    fn service(&self, at: ServiceId, note: impl FnOnce(&mut ServiceAccount)) {
        if let Some(accounts) = &mut *self.accounts.borrow_mut() {
            note(&mut accounts.services[at.index()]);
        }
    }

    fn link(&self, ticket: Ticket, note: impl FnOnce(&mut LinkAccount)) {
        if let Some(accounts) = &mut *self.accounts.borrow_mut() {
            note(&mut accounts.callers[ticket.caller as usize][ticket.slot as usize]);
        }
    }
}

#[cfg(test)]
mod tests;
