//! The faults of a replica, and the requests that they strike there.
//!
//! A replica that no fault of the topology can strike has none of this. Windows of faults
//! change it (`faults::windows`). A request meets it when it [arrives](ReplicaFaults::enter),
//! while it waits, and while a worker has it (`faults::serve_mortal`).

mod active;
mod occupant;

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Waker;

use slab::Slab;

use crate::context::{SpanId, TraceId};
use crate::fault::{Drawn, Firing, Ledger, Rule, SHORTEST, Site, Spans};
use crate::model::{Distribution, Nanos, ReplicaFault, ServiceId};
use crate::process::Process;
use crate::rng::Key;
use crate::sched::NEVER;
use crate::telemetry::record::ResourceId;
use crate::topic::Absence;

use super::visit::Visit;
use active::{ActiveFault, State, Striker};

/// A replica, whichever code it runs, and the faults that it has.
pub struct ReplicaFaults {
    pub service: ServiceId,
    pub replica: u32,
    /// That of the release that the topology has.
    resource: ResourceId,
    pub process: Rc<Process>,
    ledger: Rc<Ledger>,
    /// In the order in which they began.
    active: RefCell<Vec<ActiveFault>>,
    /// The requests that are there.
    occupants: RefCell<Slab<OccupantState>>,
}

/// A request that is at the replica, or a job that runs there.
struct OccupantState {
    /// None of a run of a job.
    request: Option<RequestRef>,
    /// The faults that slow its work down, should it have any.
    slow: Vec<Striker>,
    /// It waits for a worker, and is told when faults begin to keep some.
    waiting: Option<Waker>,
}

/// A request, as far as the ledger names it.
#[derive(Clone, Copy, Debug)]
pub struct RequestRef {
    trace: TraceId,
    span: SpanId,
    /// The call that has brought it; of one from outside, itself.
    within: SpanId,
    /// The CLIENT span that waits for it.
    client: Option<SpanId>,
    /// The Resource of the process that it has come to.
    resource: ResourceId,
    route: Option<u32>,
    from: Option<ServiceId>,
}

impl RequestRef {
    pub(super) fn of(visit: &Visit, route: Option<u32>, resource: ResourceId) -> Self {
        let from = visit.from.map(|(from, _)| from);
        Self {
            trace: visit.trace.trace_id,
            span: visit.span,
            within: visit.call.unwrap_or(visit.span),
            client: visit.client,
            resource,
            route,
            from,
        }
    }
}

/// A request's or a job's being at a replica, until this is dropped.
pub struct Occupant<'a> {
    pub faults: &'a ReplicaFaults,
    place: usize,
}

impl Drop for Occupant<'_> {
    fn drop(&mut self) {
        self.faults.occupants.borrow_mut().remove(self.place);
    }
}

impl ReplicaFaults {
    /// Of a replica whose process has this Resource, until something is deployed.
    pub fn new(
        (service, replica, resource): (ServiceId, u32, ResourceId),
        process: Rc<Process>,
        ledger: Rc<Ledger>,
    ) -> Rc<Self> {
        let (active, occupants) = (RefCell::default(), RefCell::default());
        Rc::new(Self { service, replica, resource, process, ledger, active, occupants })
    }

    fn now(&self) -> Nanos {
        self.process.sched.now()
    }

    /// A request arrives, or a job is to run.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn enter(&self, request: Option<RequestRef>) -> Result<Occupant<'_>, Down> {
        let (now, active) = (self.now(), self.active.borrow());
        if let Some(fault) = active.iter().find(|fault| fault.is_down(now)) {
            self.struck(&fault.by, request, Drawn::Nothing);
            return Err(Down);
        }
        let mut slow = Vec::new();
        for ActiveFault { by, state } in &*active {
            match state {
                State::Slow(_) => slow.push(by.clone()),
                State::Paused => self.struck(by, request, Drawn::Nothing),
                State::Taken(_) | State::DownUntil(_) | State::Falling { .. } => {}
            }
        }
        let place = self.occupants.borrow_mut().insert(OccupantState { request, slow, waiting: None });
        Ok(Occupant { faults: self, place })
    }

    /// When somebody is at its address again, by the faults that it has; 0 if somebody is.
    pub fn comes_up(&self) -> Nanos {
        self.active.borrow().iter().map(ActiveFault::down_until).max().unwrap_or_default()
    }

    /// The fault that lets nothing be heard of its process, if one does: the last that has begun.
    pub fn absence(&self) -> Option<Absence> {
        let (now, active) = (self.now(), self.active.borrow());
        let is_silent = |fault: &&ActiveFault| fault.is_down(now) || matches!(fault.state, State::Paused);
        let by = &active.iter().rfind(is_silent)?.by;
        Some(Absence { fault: by.rule.index, window: by.window })
    }

    /// How many of `workers` are taken.
    pub fn taken(&self, workers: u32) -> u32 {
        let now = self.now();
        let taken = |fault: &ActiveFault| match fault.state {
            State::Taken(most) => (f64::from(most.min(workers)) * fault.by.rule.strength(now)).round() as u32,
            State::Slow(_) | State::Paused | State::DownUntil(_) | State::Falling { .. } => 0,
        };
        let all = self.active.borrow().iter().map(taken).fold(0, u32::saturating_add);
        all.min(workers)
    }

    /// Whether faults keep any of `workers` from being given back at this instant.
    pub fn keeps_any(&self, workers: u32) -> bool {
        self.process.is_paused() || self.taken(workers) > 0
    }

    /// Has a fault that has become active strike this replica, if target and
    /// probability have it so. Who is in it does not yet know.
    pub fn strike(&self, rule: &Rc<Rule>, fault: &ReplicaFault) -> ProcessFate {
        let target = rule.target.as_ref().and_then(|target| target.replica);
        let is_meant = target.is_none_or(|wanted| wanted == self.replica);
        // Whom it strikes is counted by request.
        if !is_meant || rule.spares(self.key(rule).with(0), rule.probability()) {
            return ProcessFate::Lives;
        }
        let by = Striker::now(rule, fault.signs());
        match fault {
            ReplicaFault::Crash { restart } => {
                let restart = restart.sample(&mut self.key(rule).with(1).stream());
                self.replica_struck(&by, Drawn::Delay(restart));
                self.crash(by, restart, None)
            }
            ReplicaFault::RestartLoop { up, .. } => {
                let up = up.sample(&mut self.key(rule).with(1).stream());
                let next = self.now().saturating_add(up.max(SHORTEST));
                self.begin(by, State::Falling { down_until: 0, next, falls: 0 });
                ProcessFate::Lives
            }
            ReplicaFault::Down => {
                rule.has_killed();
                self.strike_all(&by, None);
                self.begin(by, State::DownUntil(NEVER));
                ProcessFate::Dies
            }
            ReplicaFault::Pause => {
                self.begin(by.clone(), State::Paused);
                self.call_waiting();
                self.process.pause();
                self.strike_all(&by, None);
                ProcessFate::Lives
            }
            ReplicaFault::PoolExhaustion { workers } => {
                self.begin(by, State::Taken(*workers));
                self.call_waiting();
                ProcessFate::Lives
            }
            ReplicaFault::Cpu { times } => {
                self.begin(by.clone(), State::Slow(*times));
                self.slow_down();
                let mut occupants = self.occupants.borrow_mut();
                occupants.iter_mut().for_each(|(_, occupants)| occupants.slow.push(by.clone()));
                ProcessFate::Lives
            }
        }
    }

    fn begin(&self, by: Striker, state: State) {
        self.active.borrow_mut().push(ActiveFault { by, state });
    }

    /// Tells who waits for a worker that a fault has begun to keep some.
    fn call_waiting(&self) {
        let mut occupants = self.occupants.borrow_mut();
        occupants.iter_mut().filter_map(|(_, occupants)| occupants.waiting.take()).for_each(Waker::wake);
    }

    /// The replica crashes, and starts again after `restart` nanoseconds. This outlasts the fault's window.
    /// A request that is known to be struck is not struck again.
    fn crash(&self, by: Striker, restart: Nanos, known: Option<usize>) -> ProcessFate {
        let now = self.now();
        let is_left =
            |fault: &ActiveFault| fault.by.rule.is_active() && !fault.is_of(&by.rule) || fault.is_down(now);
        self.active.borrow_mut().retain(is_left);
        by.rule.has_killed();
        self.strike_all(&by, known);
        self.begin(by, State::DownUntil(now.saturating_add(restart)));
        ProcessFate::Dies
    }

    /// Has a replica that falls over and over do so, if it is time.
    pub fn step(&self, rule: &Rc<Rule>, fault: &ReplicaFault) -> ProcessFate {
        let lasting = match fault {
            ReplicaFault::RestartLoop { up, down } => self.fall(rule, up, down),
            ReplicaFault::Cpu { .. }
            | ReplicaFault::Pause
            | ReplicaFault::PoolExhaustion { .. }
            | ReplicaFault::Crash { .. }
            | ReplicaFault::Down => None,
        };
        let Some(lasting) = lasting else { return ProcessFate::Lives };
        let by = Striker::now(rule, fault.signs());
        rule.has_killed();
        self.replica_struck(&by, Drawn::Delay(lasting));
        self.strike_all(&by, None);
        ProcessFate::Dies
    }

    /// Lets the replica fall over and over, and draws for how long: nanoseconds. None before its time.
    fn fall(&self, rule: &Rule, up: &Distribution, down: &Distribution) -> Option<Nanos> {
        let now = self.now();
        let mut active = self.active.borrow_mut();
        let fault = active.iter_mut().find(|fault| fault.is_of(rule))?;
        let State::Falling { down_until, next, falls } = &mut fault.state else { return None };
        if *next > now {
            return None;
        }
        *falls += 1;
        let key = self.key(rule).with(1 + *falls);
        let lasting = down.sample(&mut key.with(0).stream()).max(SHORTEST);
        let up = up.sample(&mut key.with(1).stream()).max(SHORTEST);
        *down_until = now.saturating_add(lasting);
        *next = down_until.saturating_add(up);
        Some(lasting)
    }

    /// When a fault wants to change what it does here while its window is open. The replica
    /// has this many workers.
    pub fn next_step(&self, rule: &Rule, fault: &ReplicaFault, workers: u32) -> Option<Nanos> {
        match fault {
            ReplicaFault::RestartLoop { .. } => self.next_fall(rule),
            ReplicaFault::PoolExhaustion { workers: most } => fewer(rule, workers.min(*most), self.now()),
            ReplicaFault::Cpu { .. }
            | ReplicaFault::Pause
            | ReplicaFault::Crash { .. }
            | ReplicaFault::Down => None,
        }
    }

    /// When the replica falls next by this fault.
    fn next_fall(&self, rule: &Rule) -> Option<Nanos> {
        let active = self.active.borrow();
        match active.iter().find(|fault| fault.is_of(rule))?.state {
            State::Falling { next, .. } => Some(next),
            State::Slow(_) | State::Paused | State::Taken(_) | State::DownUntil(_) => None,
        }
    }

    /// The fault is no longer active. From a crash the replica recovers in its time.
    pub fn end(&self, rule: &Rule, fault: &ReplicaFault) {
        let is_crash = matches!(fault, ReplicaFault::Crash { .. });
        let before = self.active.borrow().len();
        self.active.borrow_mut().retain(|fault| !fault.is_of(rule) || is_crash);
        if self.active.borrow().len() == before {
            return;
        }
        match fault {
            ReplicaFault::Pause => self.process.resume(),
            ReplicaFault::Cpu { .. } => self.slow_down(),
            ReplicaFault::PoolExhaustion { .. }
            | ReplicaFault::Crash { .. }
            | ReplicaFault::RestartLoop { .. }
            | ReplicaFault::Down => {}
        }
    }

    /// For what a fault draws for this replica in each window.
    fn key(&self, rule: &Rule) -> Key {
        rule.window_key().with_name("replica").with(u64::from(self.replica))
    }

    /// Makes work as slow as all faults together have it.
    fn slow_down(&self) {
        let active = self.active.borrow();
        let slow = active.iter().filter_map(|fault| match fault.state {
            State::Slow(times) => Some((Rc::clone(&fault.by.rule), times)),
            State::Paused | State::Taken(_) | State::DownUntil(_) | State::Falling { .. } => None,
        });
        let slow: Vec<_> = slow.collect();
        let times = |(rule, times): &(Rc<Rule>, f64), now| 1.0 + (times - 1.0) * rule.strength(now);
        if slow.is_empty() {
            return self.process.slow_down(None);
        }
        self.process.slow_down(Some(Box::new(move |now| slow.iter().map(|slow| times(slow, now)).product())));
    }

    /// A fault strikes all requests that are here, save the one of which that is known.
    fn strike_all(&self, by: &Striker, known: Option<usize>) {
        for (_, OccupantState { request, .. }) in
            self.occupants.borrow().iter().filter(|(place, _)| Some(*place) != known)
        {
            self.struck(by, *request, Drawn::Nothing);
        }
    }

    /// Notes that a fault has struck the replica itself.
    fn replica_struck(&self, Striker { rule, window, .. }: &Striker, drawn: Drawn) {
        let replica = (self.service, self.replica, self.resource);
        self.ledger.fired(Firing::of_replica(rule, replica, *window, self.now(), drawn));
    }

    /// Notes that a fault has struck a request, messages, or a run of a job.
    fn struck(&self, by: &Striker, request: Option<RequestRef>, drawn: Drawn) {
        let Striker { rule, window, signs } = by;
        rule.acted();
        let now = self.now();
        let Some(request) = request else { return self.replica_struck(by, drawn) };
        let site = Site {
            service: self.service,
            replica: Some(self.replica),
            resource: Some(request.resource),
            route: request.route,
            from: request.from,
            trace: request.trace,
            within: request.within,
            spans: Spans { server: Some(request.span), client: request.client, own: None },
        };
        self.ledger.fired(Firing::at(rule, &site, *window, now, drawn).shown_by(site.spans, signs));
    }
}

/// When a fault that fades takes one worker less than it does now; at its strongest it takes `workers`.
fn fewer(rule: &Rule, workers: u32, now: Nanos) -> Option<Nanos> {
    let (closes, ramp) = (rule.window().closes?, rule.when.ramp);
    let fades = closes.saturating_sub(ramp);
    let taken =
        if now < fades { f64::from(workers) } else { (f64::from(workers) * rule.strength(now)).round() };
    if ramp == 0 || taken < 1.0 {
        return None;
    }
    // Halves are rounded up, so that the instant itself still has the larger number.
    let left = (ramp as f64 * (taken - 0.5) / f64::from(workers)) as Nanos;
    Some(closes.saturating_sub(left).max(now) + 1)
}

/// Nobody is at the replica's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down;

/// What becomes of a replica's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ProcessFate {
    Lives,
    /// With all that is in it.
    Dies,
}

impl std::fmt::Debug for ReplicaFaults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplicaFaults")
            .field("replica", &self.replica)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
