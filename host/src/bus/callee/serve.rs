//! A request at its callee: a release and a replica, a worker, the SERVER span, the guest, the answer.

use std::borrow::Cow;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use crate::bus::replica_faults::Occupant;
use crate::bus::spans::OpenSpan;
use crate::bus::visit::{Hop, Outcome, Visit};
use crate::guest::budget::Budget;
use crate::guest::scope::{RequestScope, Visitor};
use crate::guest::{self, GuestFailure, Worker};
use crate::message::Response;
use crate::model::Limits;
use crate::tally;

use super::replica::{Acquired, Replica, WorkerRequest};
use super::routes::Match;
use super::{Arrival, CalleeSide, Work, refusal};

impl CalleeSide {
    /// Serves a request that has arrived: queue, worker, SERVER span, faults, guest.
    ///
    /// It borrows the visit: what an `async fn` takes by value, its future holds
    /// twice, and the task's future is copied when the task starts.
    pub(in crate::bus) async fn serve(&self, visit: &mut Visit) -> Outcome {
        let _under_way = self.faults.ledger.visits(visit.span, visit.call);
        if visit.trace.recording && self.tracing.excludes(&visit.request) {
            visit.trace.stop_recording();
        }
        let Some(guest) = self.guest(visit.to) else {
            let detail = "the entry of a topology is a guest, not an external service";
            return Ok(Response::detail(502, detail));
        };
        let replica = visit.pick(guest.set.replicas.len());
        let chosen = self.choose(guest, visit, replica)?;
        if !chosen.set.routes.is_served() {
            self.stats.refused(visit.to, visit.from.is_some());
            return Err(self.nobody_at(visit.to));
        }
        let replica = &chosen.set.replicas[replica];
        let mut arrival = Arrival::new(visit, chosen.set, replica, self.now());
        match replica.faults() {
            None => self.attend(&mut arrival, None).await,
            // In a box, as it is rare: every task would have room for it.
            Some(faults) => Box::pin(self.serve_mortal(&mut arrival, faults)).await,
        }
    }

    /// The request is at a replica: queue, worker, answer.
    pub(in crate::bus) async fn attend(
        &self,
        arrival: &mut Arrival<'_>,
        occupant: Option<&Occupant<'_>>,
    ) -> Outcome {
        let (to, replica, since) = (arrival.visit.to, arrival.replica, arrival.since);
        let limits = &self.node(to).limits;
        self.stats.arrived(to, arrival.visit.from.is_some(), since);
        self.faults.ledger.meets(arrival.visit.span, (to, arrival.slot));
        if let Some(occupant) = occupant
            && !self.goes_on(&occupant.faults.process, limits).await
        {
            return self.cut_off(arrival);
        }
        if !matches!(arrival.met, Match::Found(..)) {
            return Ok(self.turn_away(arrival));
        }
        if let Some(response) = self.refuse(arrival) {
            return Ok(response);
        }
        let measured = self.measured(arrival);
        let wanted = WorkerRequest {
            code: &arrival.set.code,
            host: &self.host,
            stats: &self.stats,
            deadline: arrival.visit.deadline.map(|deadline| deadline.at),
            occupant,
            above: arrival.visit.above.as_ref(),
            queued: &|| self.untangle(to),
            process: measured.map(|measured| measured.of),
        };
        let (response, failure, span_began) = match replica.acquire(&wanted).await {
            Acquired::Worker(mut worker) => {
                // Who may die frees its callers.
                worker.brought(arrival.visit.above.take().filter(|_| occupant.is_none()));
                let (begun, life) = (self.now(), replica.life());
                self.stats.begun(to, begun);
                let (mut work, route) = self.accept(arrival, worker.budget());
                self.measure_begin(measured);
                let handle = async |worker: &mut Worker| worker.handle(route).await;
                let outcome = match occupant {
                    None => Some(self.work(&mut work, &mut worker, limits, handle).await),
                    Some(occupant) => {
                        self.work_mortal(&mut work, &mut worker, limits, occupant, handle).await
                    }
                };
                self.stats.done(to, begun, self.now());
                self.measure_end(measured, worker.cpu_time());
                let Some(outcome) = outcome else {
                    self.lose_request(work.span, worker, replica, life);
                    return self.cut_off(arrival);
                };
                let failure = outcome.as_ref().err().map(|failure| failure.kind);
                (self.conclude(work.span, worker, replica, outcome), failure, begun)
            }
            Acquired::Refused(reason) => {
                let kind = reason.kind();
                (self.no_worker(arrival, reason), Some(kind), self.now())
            }
            Acquired::Dead => return self.cut_off(arrival),
        };
        self.measure(arrival, measured, span_began, &response, failure);
        let error = failure.map(Cow::Borrowed).or_else(|| tally::error_type(response.status));
        self.stats.left(arrival.at(), since, self.now(), error);
        Ok(response)
    }

    /// A worker has the request: from here to the answer is the SERVER span.
    fn accept(&self, arrival: &mut Arrival<'_>, budget: Rc<Budget>) -> (Work, Option<u32>) {
        let span = self.server_span(arrival, arrival.route());
        let verdict = self.faults.worker(&arrival.candidate(), self.now());
        let (route, params) = std::mem::replace(&mut arrival.met, Match::NotFound).parts();
        let visit = &mut *arrival.visit;
        let (context, agent) = match &visit.hop {
            Hop::BetweenServices(client, context) => {
                let says_itself = visit.request.headers.get("user-agent").is_some();
                (context.clone(), (!says_itself).then(|| Arc::clone(&client.agent)))
            }
            Hop::FromOutside(_) | Hop::ToRealServer(_) => (None, None),
        };
        let visitor = Visitor {
            from: visit.from,
            slot: arrival.slot,
            attempt: visit.attempt,
            trace: visit.trace.clone(),
            server: visit.span,
            baggage: std::mem::take(&mut visit.baggage),
            depth: visit.depth,
            lineage: std::mem::take(&mut visit.lineage),
            context,
            agent,
            deadline: visit.deadline,
        };
        let request = std::mem::take(&mut visit.request);
        let spans = self.node(visit.to).limits.spans;
        let scope = RequestScope::new(visitor, request, params, spans, budget);
        (Work { span, scope: Some(Box::new(scope)), verdict }, route)
    }

    /// Lets a worker do its work, as faults allow: what `perform` gives, or an answer in its place.
    pub(in crate::bus) async fn work<T: From<Response>>(
        &self,
        work: &mut Work,
        worker: &mut Worker,
        limits: &Limits,
        perform: impl AsyncFnOnce(&mut Worker) -> Result<T, GuestFailure>,
    ) -> Result<T, GuestFailure> {
        let sched = &self.host.sched;
        if let Some(scope) = work.scope.take() {
            worker.begin(scope)?;
        }
        if work.verdict.delay > 0 {
            sched.sleep(work.verdict.delay).await;
        }
        if work.verdict.leak > 0 {
            worker.leak(work.verdict.leak)?;
        }
        if let Some(answer) = work.verdict.answer.take() {
            return Ok(answer.into());
        }
        guest::in_time(sched, limits, pin!(perform(worker))).await?
    }

    /// The work is done, or given up: ends the SERVER span and frees the worker.
    fn conclude(
        &self,
        mut span: OpenSpan,
        mut worker: Worker,
        replica: &Replica,
        outcome: Result<Response, GuestFailure>,
    ) -> Response {
        let annotations = worker.finish();
        let response = match outcome {
            Ok(response) => {
                replica.release(worker);
                response
            }
            Err(failure) => {
                drop(worker);
                replica.replace();
                let response = refusal::guest_failed(&failure);
                span.guest_failed(failure, self.now(), &self.host.recorder);
                response
            }
        };
        span.respond(response.status);
        // Last: what the host says of a request, no guest replaces.
        span.annotate(annotations);
        self.record(span);
        response
    }
}
