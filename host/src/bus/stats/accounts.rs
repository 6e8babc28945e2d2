//! What is counted in one world: plain numbers, which can be added to those of another.

use std::sync::Arc;

use crate::model::{Nanos, ServiceId};
use crate::tally::timeline::Timeline;
use crate::tally::{Gauge, Tally};
use crate::telemetry::record::ResourceId;

/// Everything that was counted in one world, or in several that were merged.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// In the topology's order.
    pub services: Vec<ServiceAccount>,
    /// Calls by who makes them: the services in their order, then the outside.
    pub(super) callers: Vec<Vec<LinkAccount>>,
    /// When the world began, from when on requests were made, and until when: nanoseconds
    /// since the Unix epoch.
    pub(super) start: Nanos,
    pub(super) from: Nanos,
    pub(super) until: Nanos,
    /// When the last thing that is counted happened.
    pub(super) last: Nanos,
    /// Requests from outside that had not ended when no more were made.
    pub drained: u64,
    /// Services whose calls have led back to them, in their order.
    pub(super) cycles: Vec<ServiceId>,
}

/// The requests of one service, at all its replicas.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccount {
    pub name: Arc<str>,
    /// Names of the routes.
    pub(super) routes: Vec<Arc<str>>,
    /// None for a real server, of whose inside nothing is known.
    pub capacity: Option<Capacity>,
    /// By route; behind the last, what met none.
    pub(super) tallies: Vec<Option<Box<Tally>>>,
    /// By the instance that had the request, in the order of their Resources; none for a
    /// service with a single one.
    pub(super) instances: Option<Vec<(ResourceId, Box<Tally>)>>,
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
    /// Requests and runs of jobs that workers are done with, and for how long they had them,
    /// all together: nanoseconds.
    pub(super) worked: u64,
    pub(super) busy_time: u128,
    /// Its calls have led, over others or not, back to itself.
    pub(super) in_cycle: bool,
    /// Requests that came from services of the topology, and found somebody or nobody.
    pub(super) inner: u64,
    /// Of those that were sent, the ones that never arrived, and that arrived twice.
    pub(super) lost: u64,
    pub(super) doubled: u64,
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
    pub(super) sent: u64,
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

    pub(super) fn gauges(&mut self) -> impl Iterator<Item = &mut Gauge> {
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

    pub(super) fn instance(&mut self, id: ResourceId) -> Option<&mut Tally> {
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
        self.worked += other.worked;
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
    pub(super) fn new(to: Option<ServiceId>) -> Self {
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
    pub(super) const fn merge(&mut self, other: Self) {
        self.resends += other.resends;
        self.withheld += other.withheld;
        self.opened += other.opened;
        self.fallbacks += other.fallbacks;
    }
}
