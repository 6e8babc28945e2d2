//! How long a guest may compute for a request.
//!
//! In virtual time by fuel, so that it is stopped at the same instruction every time:
//! each instruction takes some, and so does what the host does for the guest, by the
//! prices of [`crate::wasi::bill`]. In real time by the clock, at each tick of the
//! engine's epoch; a call into the host is over soon, and the guest's next loop or
//! function meets the tick.

use wasmtime::{CallHook, Store, StoreContextMut, Trap, UpdateDeadline};

use crate::model::Nanos;
use crate::wasi::bill::CROSSING;

use super::failure::{GuestFailure, OutOfTime, failure};
use super::host::GuestState;

/// How often a computing guest is interrupted in real time: nanoseconds.
pub const EPOCH_TICK: Nanos = 10_000_000;

/// Lets whatever a store does be counted. Returns whether that is by fuel.
pub(super) fn bound(store: &mut Store<GuestState>) -> bool {
    let fuel = store.set_fuel(0).is_ok();
    if fuel {
        store.call_hook(|store, hook| match hook {
            CallHook::ReturningFromHost => pay(store),
            CallHook::CallingHost | CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
        });
    } else {
        store.epoch_deadline_callback(tick);
    }
    fuel
}

/// Lets the guest compute for `cpu_time` from now on: nanoseconds.
///
/// # Errors
/// None that a store of [`bound`] has.
pub(super) fn allow(store: &mut Store<GuestState>, fuel: bool, cpu_time: Nanos) -> Result<(), GuestFailure> {
    // What is owed for the time between two requests, nobody pays.
    store.data().env.bill.settle();
    if !fuel {
        store.set_epoch_deadline(1);
        return Ok(());
    }
    store.set_fuel(cpu_time).map_err(|error| failure(&error, store.data()))
}

/// Takes what the guest owes for the host's work from its fuel, on the way back to it.
fn pay(mut store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<()> {
    let owed = store.data().env.bill.settle().saturating_add(CROSSING);
    let left = store.get_fuel()?.checked_sub(owed);
    store.set_fuel(left.unwrap_or(0))?;
    if left.is_some() { Ok(()) } else { Err(Trap::OutOfFuel.into()) }
}

/// At a tick of the engine's epoch: the guest yields, or has computed too long.
fn tick(store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
    if store.data().local.get().cpu.is_over() { Err(OutOfTime.into()) } else { Ok(UpdateDeadline::Yield(1)) }
}
