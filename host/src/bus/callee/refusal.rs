//! What is answered in place of a guest that a request does not get to.

use crate::bus::Bus;
use crate::bus::stats::At;
use crate::bus::visit::Visit;
use crate::fault::Point;
use crate::guest::GuestFailure;
use crate::message::{DEADLINE, Response};
use crate::model::Nanos;
use crate::tally;

use super::node::Stand;
use super::replica::{NoWorker, Replica};
use super::routes::{Match, Routes};

/// Answers for a guest that has failed.
pub(super) fn guest_failed(failure: &GuestFailure) -> Response {
    let detail = format!("the guest failed: {}", failure.kind);
    match failure.bound() {
        Some(bound) => Response::bounded(500, bound, detail),
        None => Response::detail(500, detail),
    }
}

impl Bus {
    /// Answers for the guest what none of its routes meets.
    pub(super) fn turn_away(
        &self,
        visit: &Visit,
        routes: &Routes,
        replica: &Replica,
        arrived: Nanos,
        unmatched: &Match,
    ) -> Response {
        let (response, route) = match unmatched {
            Match::WrongMethod(allowed, route) => {
                let detail = format!("{} is not allowed here", visit.request.method);
                let mut response = Response::detail(405, detail);
                response.headers.push("allow", allowed.join(", "));
                (response, Some(routes.get(*route)))
            }
            _ => (Response::detail(404, format!("no route for {}", visit.request.path())), None),
        };
        let mut span = self.server_span(visit, route, replica);
        span.respond(response.status);
        self.record(span);
        let now = self.host.sched.now();
        let at = At { service: visit.to, route: None, instance: replica.identity.resource };
        self.stats.left(at, arrived, now, None);
        response
    }

    /// Answers what faults turn away at the door: mostly nothing.
    pub(super) fn refuse(
        &self,
        visit: &Visit,
        (stand, route): (&Stand, Option<u32>),
        params: &[(String, String)],
        replica: &Replica,
        arrived: Nanos,
    ) -> Option<Response> {
        if !self.faults.has(Point::Door, visit.to) {
            return None;
        }
        let now = self.host.sched.now();
        let slot = stand.slot(route);
        let subject = visit.subject_at(slot, &replica.identity, params);
        let response = self.faults.door(&subject, now)?;
        let mut span = self.server_span(visit, route.map(|route| stand.routes.get(route)), replica);
        span.respond(response.status);
        self.record(span);
        let at = At { service: visit.to, route: slot, instance: replica.identity.resource };
        self.stats.left(at, arrived, now, tally::error_type(response.status));
        Some(response)
    }

    /// Answers a request that gets no worker.
    pub(super) fn no_worker(
        &self,
        visit: &Visit,
        routes: &Routes,
        route: Option<u32>,
        replica: &Replica,
        reason: NoWorker,
    ) -> Response {
        let mut span = self.server_span(visit, route.map(|route| routes.get(route)), replica);
        let response = match reason {
            NoWorker::Full => {
                span.fail("queue_full");
                let bound = format!("services.{}.queue", self.nodes[visit.to.index()].name);
                Response::bounded(503, &bound, "the queue is full")
            }
            NoWorker::Exhausted => {
                span.fail(reason.kind());
                Response::bounded(503, "limits.workers", "as many workers exist as limits.workers allows")
            }
            NoWorker::Taken => {
                span.fail(reason.kind());
                Response::bounded(503, "limits.request-time", "no worker has come free in time")
            }
            NoWorker::Deadlock => {
                span.fail(reason.kind());
                let detail =
                    "all workers of {} wait for calls that wait for a worker of it: a cycle of calls";
                Response::detail(503, detail.replace("{}", &replica.identity.name))
            }
            NoWorker::TooLate => {
                span.fail(reason.kind());
                Response::bounded(504, DEADLINE, "the deadline of the request has passed")
            }
            NoWorker::Broken(failure) => {
                let response = guest_failed(&failure);
                span.guest_failed(failure, self.host.sched.now());
                response
            }
        };
        span.respond(response.status);
        self.record(span);
        response
    }
}
