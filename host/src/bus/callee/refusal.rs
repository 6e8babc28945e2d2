//! What is answered in place of a guest that a request does not get to.

use crate::fault::Point;
use crate::guest::GuestFailure;
use crate::message::{DEADLINE, Response};
use crate::tally;

use super::replica::NoWorker;
use super::routes::Match;
use super::{Arrival, CalleeSide};

/// Answers for a guest that has failed.
pub(super) fn guest_failed(failure: &GuestFailure) -> Response {
    let detail = format!("the guest failed: {}", failure.kind);
    match failure.bound() {
        Some(bound) => Response::bounded(500, bound, detail),
        None => Response::detail(500, detail),
    }
}

impl CalleeSide {
    /// Answers for the guest what none of its routes meets.
    pub(super) fn turn_away(&self, arrival: &Arrival<'_>) -> Response {
        let request = &arrival.visit.request;
        let (response, route) = match &arrival.met {
            Match::WrongMethod(allowed, route) => {
                let detail = format!("{} is not allowed here", request.method);
                let mut response = Response::detail(405, detail);
                response.headers.push("allow", allowed.join(", "));
                (response, Some(arrival.set.routes.get(*route)))
            }
            _ => (Response::detail(404, format!("no route for {}", request.path())), None),
        };
        let mut span = self.server_span(arrival, route);
        span.respond(response.status);
        self.record(span);
        let now = self.now();
        self.measure(arrival, self.measured(arrival), now, &response, None);
        self.stats.left(arrival.at(), arrival.since, now, None);
        response
    }

    /// Answers what faults turn away at the door: mostly nothing.
    pub(super) fn refuse(&self, arrival: &Arrival<'_>) -> Option<Response> {
        if !self.faults.has(Point::Door, arrival.visit.to) {
            return None;
        }
        let now = self.now();
        let response = self.faults.door(&arrival.candidate(), now)?;
        let mut span = self.server_span(arrival, arrival.route());
        span.respond(response.status);
        self.record(span);
        self.measure(arrival, self.measured(arrival), now, &response, None);
        self.stats.left(arrival.at(), arrival.since, now, tally::error_type(response.status));
        Some(response)
    }

    /// Answers a request that gets no worker.
    pub(super) fn no_worker(&self, arrival: &Arrival<'_>, reason: NoWorker) -> Response {
        let mut span = self.server_span(arrival, arrival.route());
        let response = match reason {
            NoWorker::Full => {
                span.fail("queue_full");
                let bound = format!("services.{}.queue", self.node(arrival.visit.to).name);
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
                Response::detail(503, detail.replace("{}", &arrival.replica.identity.name))
            }
            NoWorker::TooLate => {
                span.fail(reason.kind());
                Response::bounded(504, DEADLINE, "the deadline of the request has passed")
            }
            NoWorker::Broken(failure) => {
                let response = guest_failed(&failure);
                span.guest_failed(failure, self.now(), &self.host.recorder);
                response
            }
        };
        span.respond(response.status);
        self.record(span);
        response
    }
}
