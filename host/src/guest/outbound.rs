//! What a guest's host needs of the world around it.

use futures_util::future::LocalBoxFuture;

use crate::context::{SpanId, TraceId};
use crate::message::{Request, Response};
use crate::model::{Nanos, ServiceId};
use crate::telemetry::record::{Event, ResourceId};
use crate::topic::{Fate, Message};

use super::call_error::CallError;
use super::identity::Identity;
use super::scope::{Caller, RequestScope};

/// What is around a guest: where its calls go, and what strikes its spans. Declared
/// here and implemented by the bus, so that imports point one way.
pub trait Outbound {
    /// Carries one call, which begins at the instant `begins`. The future may be dropped: the callee
    /// works on.
    fn call(
        &self,
        caller: Caller,
        service: String,
        request: Request,
        timeout: Option<Nanos>,
        begins: Nanos,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>>;

    /// A guest of `service` waits for a call that it began earlier.
    fn waits(&self, service: ServiceId);

    /// The guest has begun the span `id` in `scope`, at the instant `began`. What it waits for before it goes
    /// on, if it has to; that gives the events which the span then gets.
    fn begun(
        &self,
        scope: &RequestScope,
        identity: &Identity,
        name: &str,
        id: SpanId,
        began: Nanos,
    ) -> Option<LocalBoxFuture<'static, Vec<Event>>>;

    /// A fault, by its place in the model, strikes what a guest asks of a database or a cache, which takes
    /// this much longer by it, where that is known.
    fn strikes(&self, fault: usize, asking: &Asking, longer: Option<Nanos>);

    /// A message of a guest has come to its broker, for this topic and partition: what faults make of it;
    /// none where none strikes it.
    fn publishes(&self, to: (usize, u32), message: &Message, asking: &Asking) -> Option<Fate>;
}

/// For which request or job a guest asks a database or a cache, or sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The service that asks, and its replica.
    pub service: ServiceId,
    pub replica: u32,
    pub resource: ResourceId,
    /// What the service counts the request's route as.
    pub slot: Option<u32>,
    /// Who has called it.
    pub from: Option<ServiceId>,
    pub trace: TraceId,
    /// The SERVER span of the request, if a request asks; and the span of what is asked.
    pub server: Option<SpanId>,
    pub span: SpanId,
}

impl Asking {
    /// What the request or the job asks in the span `span`.
    pub fn new(scope: &RequestScope, identity: &Identity, span: SpanId) -> Self {
        Self {
            service: identity.service,
            replica: identity.replica,
            resource: identity.resource,
            slot: scope.slot,
            from: scope.from.map(|(service, _)| service),
            trace: scope.trace.trace_id,
            server: scope.server(),
            span,
        }
    }
}
