//! What a run's report counts, while it runs.
//!
//! [`Stats`] has one method for each thing that happens to a request; the bus
//! calls it at the place where it happens. What is counted are the [`Accounts`]:
//! plain numbers of one world, which can be added to those of another.
//!
//! Everything is counted twice, by different ways: how many requests there are
//! somewhere is a [`Gauge`] over time, how long each stayed is a [`Tally`]. At
//! the end the two must agree to the nanosecond (Little's law), or simhost has a
//! defect: see [`broken`](Accounts::broken).
//!
//! Rates and means over time are over the time in which requests were made
//! ([`Accounts::duration`]). What was under way then is seen through to its end: it
//! counts with its times, but a run with one straggler has the same rates as one without.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::model::{Nanos, ServiceId};
use crate::tally::timeline::Timeline;
use crate::tally::{Gauge, Tally};
use crate::telemetry::record::ResourceId;

mod cycles;
mod interval;
mod laws;

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
}

/// Everything that was counted in one world, or in several that were merged.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// In the topology's order.
    pub services: Vec<ServiceAccount>,
    /// Calls by who makes them: the services in their order, then the outside.
    callers: Vec<Vec<LinkAccount>>,
    /// When the world began, from when on requests were made, and until when: nanoseconds
    /// since the Unix epoch.
    start: Nanos,
    from: Nanos,
    until: Nanos,
    /// When the last thing that is counted happened.
    last: Nanos,
    /// Requests from outside that had not ended when no more were made.
    pub drained: u64,
    /// Services whose calls have led back to them, in their order.
    cycles: Vec<ServiceId>,
}

/// The requests of one service, at all its replicas.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccount {
    pub name: Arc<str>,
    /// Names of the routes.
    routes: Vec<Arc<str>>,
    /// None for a real server, of whose inside nothing is known.
    pub capacity: Option<Capacity>,
    /// By route; behind the last, what met none.
    tallies: Vec<Option<Box<Tally>>>,
    /// By the instance that had the request, in the order of their Resources; none for a
    /// service with a single one.
    instances: Option<Vec<(ResourceId, Box<Tally>)>>,
    /// By the instant of their arrival; none before the first.
    pub timeline: Option<Box<Timeline>>,
    /// Requests at the service: from their arrival to their answer.
    pub inside: Gauge,
    /// Requests in the queues.
    pub waiting: Gauge,
    /// Their waits; of those that found a worker at once, nothing.
    pub waits: Option<Box<Tally>>,
    /// The most requests that ever waited in one replica's queue.
    pub longest_queue: u32,
    /// Workers that have a request.
    pub busy: Gauge,
    /// Requests that workers are done with, and for how long they had them, all
    /// together: nanoseconds.
    jobs: u64,
    busy_time: u128,
    /// Its calls have led, over others or not, back to itself.
    in_cycle: bool,
    /// Requests that came from services of the topology, and found somebody or nobody.
    inner: u64,
    /// Of those that were sent, the ones that never arrived, and that arrived twice.
    lost: u64,
    doubled: u64,
}

/// What a service can do at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    pub replicas: u32,
    /// Of each replica.
    pub workers: u32,
    /// Requests that may wait at each replica.
    pub queue: u32,
}

/// The calls from one caller to one callee.
#[derive(Clone, Debug)]
pub struct LinkAccount {
    /// None for what is no service of the topology: a foreign host, an unknown name.
    pub to: Option<ServiceId>,
    pub under_way: Gauge,
    /// As the caller sees them, timeouts and refusals included.
    pub calls: Tally,
    /// Calls that went on their way to a guest; the others were refused before,
    /// or went to a real server.
    sent: u64,
    /// Calls that their caller's own side refused before they were sent. They are among
    /// the errors of `calls`, and have no time.
    pub unsent: u64,
    /// None where the link has no policies.
    pub policies: Option<PolicyAccount>,
}

/// What the policies of a link have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyAccount {
    /// Attempts that followed another of the same call: retries and hedges.
    pub resends: u64,
    /// Calls for which the retry budget had no retry left.
    pub withheld: u64,
    /// How often a breaker opened.
    pub opened: u64,
    /// Calls that got the fallback.
    pub fallbacks: u64,
}

/// The `error.type` of a call that was not sent and does not say why.
const UNSENT: &str = "cancelled";

/// Where a request was: a service, the route that it met if it met one, and the instance that
/// had it.
#[derive(Clone, Copy, Debug)]
pub struct At {
    pub service: ServiceId,
    pub route: Option<u32>,
    pub instance: ResourceId,
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
        Self { accounts: RefCell::new(Some(accounts)), start, until: Cell::default() }
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

    /// It waits for a worker; with it, so many do at its replica.
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
            service.jobs += 1;
            service.busy_time += u128::from(now - since);
        });
    }

    /// It is answered; `error` is its `error.type`, if it failed.
    pub fn left(&self, at: At, since: Nanos, now: Nanos, error: Option<Cow<'static, str>>) {
        let (start, late) = (self.start, self.late(since));
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

    /// Its link has policies, and this is what they do.
    pub fn policies(&self, ticket: Ticket, note: impl FnOnce(&mut PolicyAccount)) {
        self.link(ticket, |link| note(link.policies.get_or_insert_default()));
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

impl Accounts {
    /// The links that carried a call, as `(caller, link)`: in the order of the
    /// callers and then the callees, the outside first.
    pub fn links(&self) -> impl Iterator<Item = (Option<ServiceId>, &LinkAccount)> {
        let (services, outside) = self.callers.split_at(self.services.len());
        let inner = services.iter().enumerate().map(|(index, links)| (Some(ServiceId(index as u32)), links));
        let callers = outside.iter().map(|links| (None, links)).chain(inner);
        callers.flat_map(|(from, links)| {
            let mut links: Vec<_> = links.iter().collect();
            // Calls to what is no service come last.
            links.sort_by_key(|link| link.to.map_or(u32::MAX, |to| to.0));
            links.into_iter().map(move |link| (from, link))
        })
    }

    /// Takes in the count of another world of the same topology, which ran at
    /// the same time: requests and replicas add up.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.services.iter_mut().zip(&other.services) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.callers.iter_mut().zip(&other.callers) {
            for link in theirs {
                match mine.iter_mut().find(|known| known.to == link.to) {
                    Some(known) => known.merge(link),
                    None => mine.push(link.clone()),
                }
            }
        }
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
        self.last = self.last.max(other.last);
        self.drained += other.drained;
    }

    fn gauges(&mut self) -> impl Iterator<Item = &mut Gauge> {
        let services = self.services.iter_mut();
        let services =
            services.flat_map(|service| [&mut service.inside, &mut service.waiting, &mut service.busy]);
        let links = self.callers.iter_mut().flatten();
        services.chain(links.map(|link| &mut link.under_way))
    }
}

impl ServiceAccount {
    /// Of a service with a guest, whose routes have these names.
    pub fn of_guest(name: Arc<str>, routes: Vec<Arc<str>>, capacity: Capacity) -> Self {
        let tallies = vec![None; routes.len() + 1];
        Self { name, routes, capacity: Some(capacity), tallies, ..Self::default() }
    }

    /// Of a real server.
    pub fn of_server(name: Arc<str>) -> Self {
        Self { name, tallies: vec![None], ..Self::default() }
    }

    /// The routes that answered a request, by name; none for what met no route.
    pub fn routes(&self) -> impl Iterator<Item = (Option<&Arc<str>>, &Tally)> {
        let names = self.routes.iter().map(Some).chain([None]);
        names.zip(&self.tallies).filter_map(|(name, tally)| Some((name, tally.as_deref()?)))
    }

    /// The requests of each instance, in the order of their Resources; none where there is but one.
    pub fn instances(&self) -> impl Iterator<Item = (ResourceId, &Tally)> {
        self.instances.iter().flatten().map(|(instance, tally)| (*instance, &**tally))
    }

    /// Lets the requests be counted by instance too: there are several.
    pub fn by_instance(self) -> Self {
        Self { instances: Some(Vec::new()), ..self }
    }

    fn instance(&mut self, id: ResourceId) -> Option<&mut Tally> {
        let instances = self.instances.as_mut()?;
        let index = instances.binary_search_by_key(&id, |(known, _)| *known).unwrap_or_else(|index| {
            instances.insert(index, (id, Box::new(Tally::coarse())));
            index
        });
        Some(&mut instances[index].1)
    }

    /// The requests of all routes.
    pub fn all(&self) -> Tally {
        let mut all = Tally::default();
        self.routes().for_each(|(_, tally)| all.merge(tally));
        all
    }

    /// The share of `time`, of the workers of all replicas, in which they had a request:
    /// nanoseconds that end where the gauge was marked.
    pub fn utilisation(&self, time: Nanos) -> f64 {
        let workers =
            self.capacity.map_or(0, |capacity| u64::from(capacity.replicas) * u64::from(capacity.workers));
        self.busy.mean(time) / workers.max(1) as f64
    }

    fn merge(&mut self, other: &Self) {
        if let (Some(mine), Some(theirs)) = (&mut self.capacity, other.capacity) {
            mine.replicas += theirs.replicas;
        }
        for (mine, theirs) in self.tallies.iter_mut().zip(&other.tallies) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().merge(theirs);
            }
        }
        for (id, theirs) in other.instances() {
            if let Some(mine) = self.instance(id) {
                mine.merge(theirs);
            }
        }
        if let Some(theirs) = &other.timeline {
            self.timeline.get_or_insert_default().merge(theirs);
        }
        if let Some(theirs) = &other.waits {
            self.waits.get_or_insert_with(|| Box::new(Tally::coarse())).merge(theirs);
        }
        self.longest_queue = self.longest_queue.max(other.longest_queue);
        self.jobs += other.jobs;
        self.busy_time += other.busy_time;
        self.inner += other.inner;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.inside.merge(&other.inside);
        self.waiting.merge(&other.waiting);
        self.busy.merge(&other.busy);
    }
}

impl LinkAccount {
    fn new(to: Option<ServiceId>) -> Self {
        Self { to, under_way: Gauge::default(), calls: Tally::coarse(), sent: 0, unsent: 0, policies: None }
    }

    fn merge(&mut self, other: &Self) {
        self.under_way.merge(&other.under_way);
        self.calls.merge(&other.calls);
        self.sent += other.sent;
        self.unsent += other.unsent;
        if let Some(theirs) = other.policies {
            self.policies.get_or_insert_default().merge(theirs);
        }
    }
}

impl PolicyAccount {
    const fn merge(&mut self, other: Self) {
        self.resends += other.resends;
        self.withheld += other.withheld;
        self.opened += other.opened;
        self.fallbacks += other.fallbacks;
    }
}

#[cfg(test)]
mod tests;
