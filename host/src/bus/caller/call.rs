//! The caller's side of a call: where it goes, and how often it is attempted.
//! What one attempt is stands in `attempt`, what the policies of a link make of
//! it in `policies`.

use std::rc::{Rc, Weak};

use futures_util::future::{FutureExt, LocalBoxFuture};

use crate::context::SpanId;
use crate::guest::scope::{Caller, RequestScope};
use crate::guest::{Asking, CallError, Identity, Outbound};
use crate::message::{Request, Response};
use crate::model::{Nanos, ServiceId};
use crate::telemetry::record::Event;
use crate::topic::{Fate, Message};

use super::CallerSide;
use super::attempt::Attempt;
use super::policies::GuardedCall;

impl Outbound for Weak<CallerSide> {
    fn call(
        &self,
        caller: Caller,
        service: String,
        request: Request,
        timeout: Option<Nanos>,
        begins: Nanos,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>> {
        let Some(side) = self.upgrade() else {
            return std::future::ready(Err(CallError::Reset("the run is over".to_owned()))).boxed_local();
        };
        if begins <= side.sched().now() && side.callee.at_standstill(caller.home()).is_none() {
            return side.carry(caller, &service, request, timeout);
        }
        async move {
            side.sched().sleep_until(begins).await;
            // A process that stands still calls nobody: the CLIENT span begins when it goes on.
            side.callee.awaken(caller.home()).await;
            side.carry(caller, &service, request, timeout).await
        }
        .boxed_local()
    }

    fn waits(&self, service: ServiceId) {
        if let Some(side) = self.upgrade() {
            side.callee.untangle(service);
        }
    }

    fn begun(
        &self,
        scope: &RequestScope,
        identity: &Identity,
        name: &str,
        id: SpanId,
        began: Nanos,
    ) -> Option<LocalBoxFuture<'static, Vec<Event>>> {
        self.upgrade()?.callee.span_delay(scope, identity, name, id, began)
    }

    fn strikes(&self, fault: usize, asking: &Asking, longer: Option<Nanos>) {
        if let Some(side) = self.upgrade() {
            side.callee.strike_statement(fault, asking, longer);
        }
    }

    fn publishes(&self, to: (usize, u32), message: &Message, asking: &Asking) -> Option<Fate> {
        self.upgrade()?.callee.fate_of(to, message, asking)
    }
}

impl CallerSide {
    /// Carries one call of a guest, which waits for `asked` at most. Where no link
    /// has policies, its only attempt is on its way when this returns; the future
    /// is the wait for the response.
    fn carry(
        self: Rc<Self>,
        mut caller: Caller,
        service: &str,
        request: Request,
        asked: Option<Nanos>,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>> {
        let failed = |error| std::future::ready(Err(error)).boxed_local();
        let callee = match self.resolve(service) {
            Ok(callee) => callee,
            Err(error) => {
                self.unresolved(&caller, service, &request, &error);
                return failed(error);
            }
        };
        let to = callee.id();
        let link = caller.service.zip(to).and_then(|(from, to)| self.links.between(from, to));
        let state = to.zip(link).and_then(|(to, link)| self.states.of(caller.resource.0, to, link));
        if let Some(state) = state {
            caller.waiter = None;
            return GuardedCall::new(self, state, caller, callee, request, asked).make().boxed_local();
        }
        let patience = link.map_or(asked, |link| link.patience(asked));
        // One that gives up frees its worker.
        caller.waiter = caller.waiter.filter(|_| patience.is_none());
        let attempt = Attempt { caller, callee, request, number: 0, patience, tells: false, is_copy: false };
        let mut span = attempt.open(&self.callee);
        match attempt.leave(&self, link, &mut span) {
            Ok(flight) => flight.land(span).boxed_local(),
            Err(error) => {
                span.finish(&Err(error.clone()));
                failed(error)
            }
        }
    }
}
