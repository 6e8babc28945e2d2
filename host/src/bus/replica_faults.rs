//! What has befallen a replica as such, and the requests that it strikes there.
//!
//! A replica that nothing can befall has no plight. Windows of faults change it
//! (`stage`); a request meets it when it [arrives](Plight::enter), while it waits,
//! and while a worker has it (`exposed`).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};

use slab::Slab;

use crate::context::{SpanId, TraceId};
use crate::fault::{DEATH_SIGNS, Drawn, Firing, Ledger, Rule, SHORTEST, Side, Site, Spans};
use crate::model::{Distribution, Nanos, ReplicaFault, ServiceId};
use crate::process::Process;
use crate::rng::Key;
use crate::telemetry::record::ResourceId;

use super::visit::Visit;

/// A replica, whichever code it runs, and what has befallen it.
pub struct Plight {
    pub service: ServiceId,
    pub replica: u32,
    /// That of the release that the topology has.
    resource: ResourceId,
    pub process: Rc<Process>,
    ledger: Rc<Ledger>,
    /// In the order in which they began.
    holds: RefCell<Vec<Hold>>,
    /// The requests that are there.
    present: RefCell<Slab<Present>>,
}

/// A fault that strikes the replica, by one of its windows.
#[derive(Clone)]
struct Striker {
    rule: Rc<Rule>,
    /// The window's number.
    window: u64,
    /// The spans that show it.
    signs: &'static [Side],
}

impl Striker {
    /// By the window that is open, or was the last.
    fn now(rule: &Rc<Rule>, signs: &'static [Side]) -> Self {
        Self { rule: Rc::clone(rule), window: rule.windows(), signs }
    }
}

/// A fault that has the replica.
struct Hold {
    by: Striker,
    state: State,
}

/// What a fault does to the replica.
enum State {
    /// Work takes this many times as long.
    Slow(f64),
    Paused,
    /// This many workers are taken, once the fault has grown in.
    Taken(u32),
    /// Nobody is at the replica's address before this instant.
    DownUntil(Nanos),
    /// It goes down over and over.
    Falling {
        /// Nobody is there before this instant.
        down_until: Nanos,
        next: Nanos,
        /// How often it has gone down.
        falls: u64,
    },
}

impl Hold {
    fn is_of(&self, rule: &Rule) -> bool {
        self.by.rule.index == rule.index
    }

    /// Whether workers may never be given back while it lasts.
    const fn keeps_workers(&self) -> bool {
        match self.state {
            State::Paused | State::Taken(_) => true,
            State::Slow(_) | State::DownUntil(_) | State::Falling { .. } => false,
        }
    }

    const fn is_down(&self, now: Nanos) -> bool {
        match self.state {
            State::DownUntil(until) | State::Falling { down_until: until, .. } => until > now,
            State::Slow(_) | State::Paused | State::Taken(_) => false,
        }
    }
}

/// A request that is at the replica.
struct Present {
    met: Met,
    /// The faults that slow its work down, should it have any.
    slow: Vec<Striker>,
    /// It waits for a worker, and is told when faults begin to keep some.
    waiting: Option<Waker>,
}

/// A request, as far as the ledger names it.
#[derive(Clone, Copy, Debug)]
pub struct Met {
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

impl Met {
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

/// A request's being at a replica, until this is dropped.
pub struct Presence<'a> {
    pub plight: &'a Plight,
    place: usize,
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        self.plight.present.borrow_mut().remove(self.place);
    }
}

impl Plight {
    /// Of a replica whose process has this Resource, until something is deployed.
    pub fn new(
        (service, replica, resource): (ServiceId, u32, ResourceId),
        process: Rc<Process>,
        ledger: Rc<Ledger>,
    ) -> Rc<Self> {
        let (holds, present) = (RefCell::default(), RefCell::default());
        Rc::new(Self { service, replica, resource, process, ledger, holds, present })
    }

    fn now(&self) -> Nanos {
        self.process.sched.now()
    }

    /// A request arrives.
    ///
    /// # Errors
    /// Nobody is there.
    pub fn enter(&self, met: Met) -> Result<Presence<'_>, Down> {
        let (now, holds) = (self.now(), self.holds.borrow());
        if let Some(hold) = holds.iter().find(|hold| hold.is_down(now)) {
            self.struck(&hold.by, Some(met), Drawn::Nothing);
            return Err(Down);
        }
        let mut slow = Vec::new();
        for Hold { by, state } in &*holds {
            match state {
                State::Slow(_) => slow.push(by.clone()),
                State::Paused => self.struck(by, Some(met), Drawn::Nothing),
                State::Taken(_) | State::DownUntil(_) | State::Falling { .. } => {}
            }
        }
        let place = self.present.borrow_mut().insert(Present { met, slow, waiting: None });
        Ok(Presence { plight: self, place })
    }

    /// How many of `workers` are taken.
    pub fn taken(&self, workers: u32) -> u32 {
        let now = self.now();
        let taken = |hold: &Hold| match hold.state {
            State::Taken(most) => (f64::from(most.min(workers)) * hold.by.rule.strength(now)).round() as u32,
            State::Slow(_) | State::Paused | State::DownUntil(_) | State::Falling { .. } => 0,
        };
        let all = self.holds.borrow().iter().map(taken).fold(0, u32::saturating_add);
        all.min(workers)
    }

    /// Whether faults keep any of `workers` from being given back at this instant.
    pub fn keeps_any(&self, workers: u32) -> bool {
        self.process.is_paused() || self.taken(workers) > 0
    }

    /// Has a fault that has become active strike this replica, if target and dice
    /// say so. Who is in it does not yet know.
    pub fn befall(&self, rule: &Rc<Rule>, fault: &ReplicaFault) -> Fate {
        let target = rule.target.as_ref().and_then(|target| target.replica);
        let is_meant = target.is_none_or(|wanted| wanted == self.replica);
        // Whom it strikes is counted by request.
        if !is_meant || rule.spares(self.dice(rule).with(0), rule.probability()) {
            return Fate::Lives;
        }
        let by = Striker::now(rule, fault.signs());
        match fault {
            ReplicaFault::Crash { restart } => {
                let restart = restart.sample(&mut self.dice(rule).with(1).stream());
                self.struck(&by, None, Drawn::Delay(restart));
                self.crash(by, restart, None)
            }
            ReplicaFault::RestartLoop { up, .. } => {
                let up = up.sample(&mut self.dice(rule).with(1).stream());
                let next = self.now().saturating_add(up.max(SHORTEST));
                self.hold(by, State::Falling { down_until: 0, next, falls: 0 });
                Fate::Lives
            }
            ReplicaFault::Down => {
                self.strike_all(&by, None);
                self.hold(by, State::DownUntil(Nanos::MAX));
                Fate::Dies
            }
            ReplicaFault::Pause => {
                self.hold(by.clone(), State::Paused);
                self.call_waiting();
                self.process.pause();
                self.strike_all(&by, None);
                Fate::Lives
            }
            ReplicaFault::PoolExhaustion { workers } => {
                self.hold(by, State::Taken(*workers));
                self.call_waiting();
                Fate::Lives
            }
            ReplicaFault::Cpu { times } => {
                self.hold(by.clone(), State::Slow(*times));
                self.slow_down();
                let mut present = self.present.borrow_mut();
                present.iter_mut().for_each(|(_, present)| present.slow.push(by.clone()));
                Fate::Lives
            }
        }
    }

    fn hold(&self, by: Striker, state: State) {
        self.holds.borrow_mut().push(Hold { by, state });
    }

    /// Tells who waits for a worker that a fault has begun to keep some.
    fn call_waiting(&self) {
        let mut present = self.present.borrow_mut();
        present.iter_mut().filter_map(|(_, present)| present.waiting.take()).for_each(Waker::wake);
    }

    /// The replica falls, for so long: nanoseconds. This outlasts the fault's window.
    /// A request that is known to be struck is not struck again.
    fn crash(&self, by: Striker, restart: Nanos, known: Option<usize>) -> Fate {
        let now = self.now();
        let is_left = |hold: &Hold| hold.by.rule.is_active() && !hold.is_of(&by.rule) || hold.is_down(now);
        self.holds.borrow_mut().retain(is_left);
        self.strike_all(&by, known);
        self.hold(by, State::DownUntil(now.saturating_add(restart)));
        Fate::Dies
    }

    /// Has a replica that falls over and over do so, if it is time.
    pub fn step(&self, rule: &Rc<Rule>, fault: &ReplicaFault) -> Fate {
        let lasting = match fault {
            ReplicaFault::RestartLoop { up, down } => self.fall(rule, up, down),
            ReplicaFault::Cpu { .. }
            | ReplicaFault::Pause
            | ReplicaFault::PoolExhaustion { .. }
            | ReplicaFault::Crash { .. }
            | ReplicaFault::Down => None,
        };
        let Some(lasting) = lasting else { return Fate::Lives };
        let by = Striker::now(rule, fault.signs());
        self.struck(&by, None, Drawn::Delay(lasting));
        self.strike_all(&by, None);
        Fate::Dies
    }

    /// Lets the replica fall over and over, and draws for how long: nanoseconds. None before its time.
    fn fall(&self, rule: &Rule, up: &Distribution, down: &Distribution) -> Option<Nanos> {
        let now = self.now();
        let mut holds = self.holds.borrow_mut();
        let hold = holds.iter_mut().find(|hold| hold.is_of(rule))?;
        let State::Falling { down_until, next, falls } = &mut hold.state else { return None };
        if *next > now {
            return None;
        }
        *falls += 1;
        let dice = self.dice(rule).with(1 + *falls);
        let lasting = down.sample(&mut dice.with(0).stream()).max(SHORTEST);
        let up = up.sample(&mut dice.with(1).stream()).max(SHORTEST);
        *down_until = now.saturating_add(lasting);
        *next = down_until.saturating_add(up);
        Some(lasting)
    }

    /// When the replica falls next by this fault.
    pub fn next_fall(&self, rule: &Rule) -> Option<Nanos> {
        let holds = self.holds.borrow();
        match holds.iter().find(|hold| hold.is_of(rule))?.state {
            State::Falling { next, .. } => Some(next),
            State::Slow(_) | State::Paused | State::Taken(_) | State::DownUntil(_) => None,
        }
    }

    /// The fault is no longer active. From a crash the replica recovers in its time.
    pub fn relieve(&self, rule: &Rule, fault: &ReplicaFault) {
        let is_crash = matches!(fault, ReplicaFault::Crash { .. });
        let before = self.holds.borrow().len();
        self.holds.borrow_mut().retain(|hold| !hold.is_of(rule) || is_crash);
        if self.holds.borrow().len() == before {
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
    fn dice(&self, rule: &Rule) -> Key {
        rule.dice_of_window().with_name("replica").with(u64::from(self.replica))
    }

    /// Makes work as slow as all faults together have it.
    fn slow_down(&self) {
        let holds = self.holds.borrow();
        let slow = holds.iter().filter_map(|hold| match hold.state {
            State::Slow(times) => Some((Rc::clone(&hold.by.rule), times)),
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
        for (_, Present { met, .. }) in
            self.present.borrow().iter().filter(|(place, _)| Some(*place) != known)
        {
            self.struck(by, Some(*met), Drawn::Nothing);
        }
    }

    /// Notes that a fault has struck a request, or the replica.
    fn struck(&self, by: &Striker, met: Option<Met>, drawn: Drawn) {
        let Striker { rule, window, signs } = by;
        rule.acted();
        let now = self.now();
        let Some(met) = met else {
            let replica = (self.service, self.replica, self.resource);
            return self.ledger.fired(Firing::of_replica(rule, replica, *window, now, drawn));
        };
        let site = Site {
            service: self.service,
            replica: Some(self.replica),
            resource: Some(met.resource),
            route: met.route,
            from: met.from,
            trace: met.trace,
            within: met.within,
            spans: Spans { server: Some(met.span), client: met.client, own: None },
        };
        self.ledger.fired(Firing::at(rule, &site, *window, now, drawn).shown_by(site.spans, signs));
    }
}

/// Nobody is at the replica's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Down;

/// What becomes of a replica's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Fate {
    Lives,
    /// With all that is in it.
    Dies,
}

impl Presence<'_> {
    /// The replica falls of this request, for so long: nanoseconds.
    pub fn crash(&self, rule: &Rc<Rule>, restart: Nanos) -> Fate {
        self.plight.crash(Striker::now(rule, DEATH_SIGNS), restart, Some(self.place))
    }

    /// The request's work has taken so much longer as the process is slow: nanoseconds.
    pub fn worked(&self, stretched: Nanos) {
        let present = self.plight.present.borrow();
        if stretched > 0
            && let Some(Present { met, slow, .. }) = present.get(self.place)
        {
            let drawn = Drawn::Delay(stretched);
            slow.iter().for_each(|by| self.plight.struck(by, Some(*met), drawn));
        }
    }

    /// Waits until a fault has the replica that may keep workers for ever. Before that
    /// there is nothing to be done at any instant: as if no fault could come.
    pub fn kept_waiting(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            if self.plight.holds.borrow().iter().any(Hold::keeps_workers) {
                return Poll::Ready(());
            }
            self.plight.present.borrow_mut()[self.place].waiting = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// The request has to wait for a worker, or gets none, as faults have taken some.
    pub fn found_workers_taken(&self) {
        let (plight, holds) = (self.plight, self.plight.holds.borrow());
        let Some(met) = plight.present.borrow().get(self.place).map(|present| present.met) else { return };
        let takes = |hold: &&Hold| matches!(hold.state, State::Taken(_));
        for hold in holds.iter().filter(takes) {
            plight.struck(&hold.by, Some(met), Drawn::Nothing);
        }
    }
}

impl std::fmt::Debug for Plight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plight")
            .field("replica", &self.replica)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}
