//! What a guest's host needs of the world around it.

use futures_util::future::LocalBoxFuture;

use crate::context::SpanId;
use crate::message::{Request, Response};
use crate::model::{Nanos, ServiceId};
use crate::telemetry::record::Event;

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
}
