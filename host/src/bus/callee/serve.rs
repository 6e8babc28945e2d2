//! A request at its callee: a release and a replica, a worker, the SERVER span, the guest, the answer.

use std::borrow::Cow;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use crate::bus::Bus;
use crate::bus::replica_faults::Presence;
use crate::bus::spans::OpenSpan;
use crate::bus::stats::At;
use crate::bus::visit::{Outcome, Visit, Way};
use crate::fault::Verdict;
use crate::guest::budget::Budget;
use crate::guest::scope::{RequestScope, Visitor};
use crate::guest::{self, GuestFailure, Worker};
use crate::message::Response;
use crate::model::Limits;
use crate::tally;

use super::node::{NodeCode, Stand};
use super::refusal;
use super::replica::{Replica, Wish};
use super::routes::{Match, Route};

/// A request in a worker's hands.
pub(in crate::bus) struct Job {
    pub span: OpenSpan,
    /// None once the worker has it.
    pub scope: Option<Box<RequestScope>>,
    pub route: Option<u32>,
    pub verdict: Verdict,
}

impl Bus {
    /// The callee's side of a call: queue, worker, SERVER span, faults, guest.
    ///
    /// It borrows the visit: what an `async fn` takes by value, its future holds
    /// twice, and the task's future is copied when the task starts.
    pub(in crate::bus) async fn serve(&self, visit: &mut Visit) -> Outcome {
        let _under_way = self.faults.ledger.visits(visit.span, visit.call);
        if visit.trace.recording && self.excluded(&visit.request) {
            visit.trace.stop_recording();
        }
        let node = &self.nodes[visit.to.index()];
        let NodeCode::Guest(guest) = &node.code else {
            let detail = "the entry of a topology is a guest, not an external service";
            return Ok(Response::detail(502, detail));
        };
        let replica = visit.pick(guest.stand.replicas.len());
        let chosen = self.choose(guest, visit, replica)?;
        let stand = chosen.stand;
        let replica = &stand.replicas[replica];
        let found = stand.routes.find(&visit.request.method, visit.request.path());
        match replica.plight() {
            None => self.attend(visit, stand, replica, found, None).await,
            // In a box, as it is rare: every task would have room for it.
            Some(plight) => Box::pin(self.serve_exposed(visit, stand, replica, found, plight)).await,
        }
    }

    /// The request is at a replica: queue, worker, answer.
    pub(in crate::bus) async fn attend(
        &self,
        visit: &mut Visit,
        stand: &Stand,
        replica: &Replica,
        found: Match,
        presence: Option<&Presence<'_>>,
    ) -> Outcome {
        let (to, arrived, slot) = (visit.to, self.host.sched.now(), stand.slot(found.route()));
        let limits = &self.nodes[to.index()].limits;
        let at = At { service: to, route: slot, instance: replica.identity.resource };
        self.stats.arrived(to, visit.from.is_some(), arrived);
        self.faults.ledger.meets(visit.span, (to, slot));
        if let Some(presence) = presence
            && !self.goes_on(&presence.plight.process, limits).await
        {
            return self.cut_off(at, arrived);
        }
        let (route, params) = match found {
            Match::Found(route, params) => (route, params),
            unmatched => return Ok(self.turn_away(visit, &stand.routes, replica, arrived, &unmatched)),
        };
        if let Some(response) = self.refuse(visit, (stand, route), &params, replica, arrived) {
            return Ok(response);
        }
        let deadline = visit.deadline.map(|deadline| deadline.at);
        let wish = Wish {
            code: &stand.code,
            host: &self.host,
            stats: &self.stats,
            deadline,
            presence,
            above: visit.above.as_ref(),
            queued: &|| self.untangle(to),
        };
        let Ok(acquired) = replica.acquire(&wish).await else { return self.cut_off(at, arrived) };
        let (response, failure) = match acquired {
            Ok(mut worker) => {
                // Who may die frees its callers.
                worker.brought(visit.above.take().filter(|_| presence.is_none()));
                let (begun, life) = (self.host.sched.now(), replica.life());
                self.stats.begun(to, begun);
                let known = route.map(|route| (route, stand.routes.get(route)));
                let mut job = self.accept(visit, known, slot, params, (replica, worker.budget()));
                let outcome = match presence {
                    None => Some(self.work(&mut job, &mut worker, limits).await),
                    Some(presence) => self.work_exposed(&mut job, &mut worker, limits, presence).await,
                };
                self.stats.done(to, begun, self.host.sched.now());
                let Some(outcome) = outcome else {
                    self.perish(job.span, worker, replica, life);
                    return self.cut_off(at, arrived);
                };
                let failure = outcome.as_ref().err().map(|failure| failure.kind);
                (self.conclude(job.span, worker, replica, outcome), failure)
            }
            Err(reason) => {
                let kind = reason.kind();
                (self.no_worker(visit, &stand.routes, route, replica, reason), Some(kind))
            }
        };
        let error = failure.map(Cow::Borrowed).or_else(|| tally::error_type(response.status));
        self.stats.left(at, arrived, self.host.sched.now(), error);
        Ok(response)
    }

    /// A worker has the request: from here to the answer is the SERVER span.
    fn accept(
        &self,
        visit: &mut Visit,
        route: Option<(u32, &Route)>,
        slot: Option<u32>,
        params: Vec<(String, String)>,
        (replica, budget): (&Replica, Rc<Budget>),
    ) -> Job {
        let span = self.server_span(visit, route.map(|(_, route)| route), replica);
        let route = route.map(|(index, _)| index);
        let subject = visit.subject_at(slot, &replica.identity, &params);
        let verdict = self.faults.judge(&subject, self.host.sched.now());
        let (context, agent) = match &visit.way {
            Way::Inner(client, context) => {
                let says_itself = visit.request.headers.get("user-agent").is_some();
                (context.clone(), (!says_itself).then(|| Arc::clone(&client.agent)))
            }
            Way::Outer(_) | Way::Wire(_) => (None, None),
        };
        let visitor = Visitor {
            from: visit.from,
            slot,
            attempt: visit.attempt,
            trace: visit.trace.clone(),
            server: visit.span,
            baggage: std::mem::take(&mut visit.baggage),
            depth: visit.depth,
            context,
            agent,
            deadline: visit.deadline,
        };
        let request = std::mem::take(&mut visit.request);
        let spans = self.nodes[visit.to.index()].limits.spans;
        let scope = RequestScope::new(visitor, request, params, spans, budget);
        Job { span, scope: Some(Box::new(scope)), route, verdict }
    }

    /// Lets a worker do its job, as faults allow.
    pub(in crate::bus) async fn work(
        &self,
        job: &mut Job,
        worker: &mut Worker,
        limits: &Limits,
    ) -> Result<Response, GuestFailure> {
        let sched = &self.host.sched;
        if let Some(scope) = job.scope.take() {
            worker.begin(scope)?;
        }
        if job.verdict.delay > 0 {
            sched.sleep(job.verdict.delay).await;
        }
        if job.verdict.leak > 0 {
            worker.leak(job.verdict.leak)?;
        }
        if let Some(answer) = job.verdict.answer.take() {
            return Ok(answer);
        }
        let handling = pin!(worker.handle(job.route));
        guest::in_time(sched, limits, handling).await?
    }

    /// The job is done, or given up: ends the SERVER span and frees the worker.
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
                span.guest_failed(failure, self.host.sched.now());
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
