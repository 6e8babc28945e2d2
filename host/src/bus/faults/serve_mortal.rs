//! Requests at replicas that something may strike: they find nobody, wait for a
//! process that stands still, or end with one that dies.

use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::guest::{CallError, GuestFailure, Worker};
use crate::message::Response;
use crate::model::{Limits, ServiceId};
use crate::process::Process;

use crate::bus::callee::{Arrival, CalleeSide, Work};
use crate::bus::replica::Replica;
use crate::bus::replica_faults::{Occupant, ReplicaFaults, RequestRef};
use crate::bus::spans::OpenSpan;
use crate::bus::stats::At;
use crate::bus::visit::Outcome;

/// The `error.type` of requests whose service has died.
const RESET: &str = "connection_reset";

impl CalleeSide {
    /// Serves a request, as [`attend`](CalleeSide::attend) does, at a replica that something may strike.
    pub(in crate::bus) async fn serve_mortal(
        &self,
        arrival: &mut Arrival<'_>,
        faults: &ReplicaFaults,
    ) -> Outcome {
        let request = RequestRef::of(arrival.visit, arrival.slot, arrival.replica.identity.resource);
        match faults.enter(Some(request)) {
            Ok(occupant) => self.attend(arrival, Some(&occupant)).await,
            Err(_) => {
                self.stats.refused(arrival.visit.to, arrival.visit.from.is_some());
                Err(self.nobody_at(arrival.visit.to))
            }
        }
    }

    /// The request's process is gone: its connection breaks, and its span is lost.
    pub(in crate::bus) fn cut_off(&self, arrival: &Arrival<'_>) -> Outcome {
        let at = At { trace: None, ..arrival.at() };
        self.stats.left(at, arrival.since, self.now(), Some(RESET.into()));
        Err(CallError::Reset(format!("by {}", self.node(arrival.visit.to).name)))
    }

    /// Waits until a process goes on: mostly it does. False when it does not for as
    /// long as a request may last: its connection breaks.
    pub(in crate::bus) async fn goes_on(&self, process: &Rc<Process>, limits: &Limits) -> bool {
        if !process.is_paused() {
            return true;
        }
        let life = process.life();
        let patience = self.host.sched.sleep(limits.request_time);
        let went_on = matches!(select(process.go_on(), patience).await, Either::Left(_));
        went_on && process.life() == life
    }

    /// Waits until the process of a caller goes on: mostly it does.
    pub(in crate::bus) async fn awaken(&self, home: Option<(ServiceId, u32)>) {
        if let Some((process, limits)) = self.at_standstill(home) {
            // In a box, as it is rare: every call would have room for it.
            Box::pin(self.goes_on(process, limits)).await;
        }
    }

    /// The process of a caller, if it stands still.
    pub(in crate::bus) fn at_standstill(
        &self,
        home: Option<(ServiceId, u32)>,
    ) -> Option<(&Rc<Process>, &Limits)> {
        // Where nothing strikes replicas, a call need not look for its caller's process.
        let (service, replica) = home.filter(|_| self.is_any_mortal)?;
        let process = &self.guest(service)?.set.replicas[replica as usize].identity.process;
        process.is_paused().then(|| (process, &self.node(service).limits))
    }

    /// Lets a worker do its work, as [`work`](CalleeSide::work) does, until the process dies: then there is
    /// no outcome.
    pub(in crate::bus) async fn work_mortal<T: From<Response>>(
        &self,
        work: &mut Work,
        worker: &mut Worker,
        limits: &Limits,
        occupant: &Occupant<'_>,
        perform: impl AsyncFnOnce(&mut Worker) -> Result<T, GuestFailure>,
    ) -> Option<Result<T, GuestFailure>> {
        let process = &occupant.faults.process;
        let death = process.death();
        let mut working = Box::pin(async {
            let delay = std::mem::take(&mut work.verdict.delay);
            if delay > 0 {
                self.host.sched.sleep(delay).await;
            }
            // Nor does anything begin in it.
            if !self.goes_on(process, limits).await {
                return None;
            }
            if let Some((rule, restart)) = work.verdict.crash.take() {
                self.end_process(occupant.faults, occupant.crash(&rule, restart));
                return None;
            }
            let outcome = self.work(work, worker, limits, perform).await;
            occupant.worked(worker.stretched());
            // Nobody answers while the process stands still.
            self.goes_on(process, limits).await.then_some(outcome)
        });
        // Death first: what is done at the same instant, nobody gets.
        match select(death, working.as_mut()).await {
            Either::Left(_) => {
                self.host.recorder.lose(|| drop(working));
                None
            }
            Either::Right((outcome, _)) => outcome,
        }
    }

    /// A request ends with its process: what it leaves open is not recorded.
    pub(in crate::bus) fn lose_request(
        &self,
        span: OpenSpan,
        mut worker: Worker,
        replica: &Replica,
        life: u64,
    ) {
        self.host.recorder.lose(|| {
            worker.finish();
            drop(worker);
            self.record(span);
        });
        // A process that only stands still goes on without the worker.
        if replica.life() == life {
            replica.replace();
        }
    }
}
