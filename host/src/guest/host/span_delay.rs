//! Spans of guests that take longer than their work.
//!
//! The contract's `[constructor]span` returns at once, and is linked so: a span costs
//! little. Where a topology may make spans wait, and only there, it is linked again as
//! a function that can.

use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

use super::state::GuestState;
use crate::guest::bindings::simhost::service::tracing::{Attributes, HostSpan, SpanKind};
use crate::sched;

/// Lets spans wait, in place of the function that is linked already.
pub(super) fn link(tracing: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    tracing.func_wrap_async(
        "[constructor]span",
        |mut store: StoreContextMut<'_, GuestState>,
         (name, kind, attributes): (String, SpanKind, Attributes)| {
            Box::new(async move {
                let span = HostSpan::new(store.data_mut(), name.clone(), kind, attributes)?;
                let handle = span.rep();
                wait(&mut store, handle, &name).await;
                Ok((span,))
            })
        },
    )
}

/// Waits for the delay of the faults that strike the span, and adds their events to it.
async fn wait(store: &mut StoreContextMut<'_, GuestState>, handle: u32, name: &str) {
    let delay = {
        let local = store.data().local.get();
        let span = local.scope.as_ref().and_then(|scope| Some((scope, scope.id_of(handle)?)));
        span.zip(local.host.outbound.get()).and_then(|((scope, id), outbound)| {
            outbound.begun(scope, &local.identity, name, id, local.ahead.last()).map(sched::here)
        })
    };
    let Some(delay) = delay else { return };
    let events = delay.await;
    let local = store.data_mut().local.get_mut();
    let Some(scope) = &mut local.scope else { return };
    for event in events {
        scope.add_event(handle, event, &local.host.span_limits);
    }
}
