//! What the bus makes of faults on the way: a request whose way is struck goes it here.
//!
//! What they do is decided when the request leaves, as its [`NetworkVerdict`];
//! [`CalleeSide::convey`] brings it to the callee and the response back, as far as they get.

use std::rc::Rc;

use crate::context;
use crate::fault::{Candidate, End, NetworkVerdict, Point, Spans};
use crate::guest::CallError;
use crate::guest::scope::Deadline;
use crate::model::{ContextDamage, Nanos, ServiceId};
use crate::rng::Purpose;

use crate::bus::callee::CalleeSide;
use crate::bus::visit::{Hop, Outcome, RoundTrip, Visit, kept};

impl CalleeSide {
    /// Lets a request leave: asks the faults on its way, and does to it what they do
    /// before it arrives. None: nothing strikes it.
    #[inline]
    pub(in crate::bus) fn network_faults(&self, visit: &mut Visit) -> Option<Box<NetworkVerdict>> {
        if self.faults.has(Point::Network, visit.to) { self.struck(visit) } else { None }
    }

    fn struck(&self, visit: &mut Visit) -> Option<Box<NetworkVerdict>> {
        let now = self.now();
        let (mut route, mut params, mut replica) = (None, Vec::new(), None);
        let (mut resource, mut server) = (None, None);
        if let Some(guest) = self.guest(visit.to) {
            let found = guest.set.routes.find(&visit.request.method, visit.request.path());
            (route, params) = found.parts();
            let picked = visit.pick(guest.set.replicas.len());
            replica = Some(picked as u32);
            // Which process that is, nobody can tell while another release is about.
            let is_sole =
                !guest.releases.iter().any(|release| self.faults.rules()[release.fault].is_active());
            resource = is_sole.then(|| guest.set.replicas[picked].identity.resource);
            server = Some(visit.span);
        }
        let candidate = visit.candidate(route, replica, &params, visit.outermost());
        let spans = Spans { server, own: server.map(|_| visit.second_arrival()), ..candidate.spans };
        let candidate = Candidate { resource, spans, ..candidate };
        let mut verdict = Box::new(self.faults.network(&candidate, now)?);
        verdict.depart(&mut visit.request, now);
        if verdict.unsamples {
            unsample(visit);
        }
        if let Some(how) = verdict.damages {
            self.damage(visit, how);
        }
        Some(verdict)
    }

    /// Brings a request to the callee, and the answer back.
    pub(in crate::bus) async fn convey(
        self: Rc<Self>,
        mut verdict: Box<NetworkVerdict>,
        visit: &mut Visit,
        trip: RoundTrip,
    ) -> Outcome {
        let sched = &self.host.sched;
        let until = sched.now().saturating_add(trip.patience);
        sched.sleep(trip.there.saturating_add(verdict.delay)).await;
        if let Some(end) = verdict.end {
            if visit.from.is_some() && self.guest(visit.to).is_some() {
                self.stats.lost(visit.to);
            }
            if end == End::Refused {
                sched.sleep(trip.back).await;
            }
            return self.ended(end, visit.to, until).await;
        }
        if let Some(allowed) = trip.allowed {
            self.arrive_with_deadline(visit, allowed);
        }
        if verdict.doubles {
            self.arrive_again(visit);
        }
        let mut outcome = kept(Rc::clone(&self).arrive(visit).await, visit.hold.as_ref());
        let (delay, end) = verdict.come_back(outcome.as_mut().ok(), sched.now());
        sched.sleep(trip.back.saturating_add(delay)).await;
        match end {
            Some(end) => self.ended(end, visit.to, until).await,
            None => outcome,
        }
    }

    /// What the caller gets instead of a response. Who waits for what is lost does so
    /// as long as it waits at all.
    async fn ended(&self, end: End, to: ServiceId, until: Nanos) -> Outcome {
        let name = &self.node(to).name;
        Err(match end {
            End::Refused => CallError::Refused(format!("nobody listens at {name}")),
            End::Reset => CallError::Reset(format!("by {name}")),
            End::Lost => {
                self.host.sched.sleep_until(until).await;
                CallError::Timeout
            }
        })
    }

    /// The request is at the callee.
    async fn arrive(self: Rc<Self>, visit: &mut Visit) -> Outcome {
        if self.guest(visit.to).is_some() { self.serve(visit).await } else { self.outside(visit).await }
    }

    fn arrive_with_deadline(&self, visit: &mut Visit, allowed: u64) {
        visit.deadline = Some(Deadline::from_now(allowed, self.now()));
        // It comes with the context, if there is one.
        if matches!(visit.hop, Hop::BetweenServices(_, None)) {
            visit.request.headers.set_deadline(Some(allowed));
        }
    }

    /// Lets the request arrive once more. Nobody waits for the answer.
    fn arrive_again(self: &Rc<Self>, visit: &Visit) {
        let mut again = visit.clone();
        again.span = visit.second_arrival();
        if visit.from.is_some() && self.guest(visit.to).is_some() {
            self.stats.doubled(visit.to);
        }
        let services = Rc::clone(self);
        self.host.sched.spawn(async move {
            services.arrive(&mut again).await.ok();
        });
    }

    /// The callee does not learn whose call this is: its trace begins with it. What is
    /// drawn for the request stays, so that nothing else changes.
    fn damage(&self, visit: &mut Visit, how: ContextDamage) {
        let Visit { trace, request, baggage, hop, span, .. } = visit;
        if let Hop::BetweenServices(_, context) = hop
            && let Some(context) = context.take()
        {
            context::inject(&context, baggage, &mut request.headers);
        }
        match how {
            ContextDamage::Missing => {
                context::strip(&mut request.headers);
                *baggage = context::Baggage::default();
            }
            ContextDamage::Broken => context::cut(&mut request.headers),
        }
        let key = trace.key.with(Purpose::TraceId as u64).with(span.0.get());
        self.tracing.restart(trace, key, request);
        visit.parent = None;
    }
}

/// From here on the trace is not kept.
fn unsample(visit: &mut Visit) {
    visit.trace.stop_recording();
    match &mut visit.hop {
        Hop::BetweenServices(_, Some(context)) => {
            context.unsample();
            context::unsample(&mut visit.request.headers);
        }
        _ => context::unsample(&mut visit.request.headers),
    }
}
