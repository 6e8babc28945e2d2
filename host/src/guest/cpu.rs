//! How long a guest may compute for a request.
//!
//! In virtual time by fuel, so that it is stopped at the same instruction every time:
//! each instruction takes some, and so does what the host does for the guest, by the
//! prices of [`crate::wasi::bill`]. In real time by the clock, at each tick of the
//! engine's epoch; a call into the host is over soon, and the guest's next loop or
//! function meets the tick.
//!
//! Where computing takes simulated time, fuel says how much: see [`Lookahead`].

use wasmtime::{CallHook, Store, StoreContextMut, Trap, UpdateDeadline};

use crate::model::{Limits, Nanos};
use crate::wasi::bill::CROSSING;
use crate::wasi::{Bill, Lookahead};

use super::failure::{GuestFailure, OutOfTime, failure};
use super::host::GuestState;

/// How often a computing guest is interrupted in real time: nanoseconds.
pub const EPOCH_TICK: Nanos = 10_000_000;

/// Lets whatever a store does be counted. Returns whether that is by fuel.
pub(super) fn bound(store: &mut Store<GuestState>) -> bool {
    let fuel = store.set_fuel(0).is_ok();
    if !fuel {
        store.epoch_deadline_callback(tick);
    } else if store.data().local.get().ahead.is_on() {
        store.call_hook(|store, hook| match hook {
            CallHook::CallingHost => note(&store),
            CallHook::ReturningFromHost => pay(store, |bill, fuel| bill.note_paid(fuel)),
            CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
        });
    } else {
        store.call_hook(|store, hook| match hook {
            CallHook::ReturningFromHost => pay(store, |_, _| {}),
            CallHook::CallingHost | CallHook::CallingWasm | CallHook::ReturningFromWasm => Ok(()),
        });
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

/// The worker's clock goes on from here with the fuel that the guest uses, and what it does is
/// given up when it has taken `limits.request-time`.
pub(super) fn begin(store: &Store<GuestState>, ahead: &Lookahead, limits: &Limits) {
    if ahead.is_on() {
        store.data().env.bill.note_left(store.get_fuel().unwrap_or(0));
        ahead.begin(limits.request_time);
    }
}

/// Waits until the world's clock has come to the instant to which the guest has computed.
pub(super) async fn catch_up(store: &Store<GuestState>, ahead: &Lookahead) {
    if ahead.is_on() {
        store.data().env.bill.note_left(store.get_fuel().unwrap_or(0));
        ahead.process.sched.sleep_until(ahead.reach()).await;
    }
}

/// Tells the worker's clock what fuel the guest has, on the way to the host.
fn note(store: &StoreContextMut<'_, GuestState>) -> wasmtime::Result<()> {
    store.data().env.bill.note_left(store.get_fuel()?);
    Ok(())
}

/// Takes what the guest owes for the host's work from its fuel, on the way back to it.
#[inline]
fn pay(mut store: StoreContextMut<'_, GuestState>, paid: impl Fn(&Bill, u64)) -> wasmtime::Result<()> {
    let bill = &store.data().env.bill;
    let owed = bill.settle().saturating_add(CROSSING);
    paid(bill, owed);
    let left = store.get_fuel()?.checked_sub(owed);
    store.set_fuel(left.unwrap_or(0))?;
    if left.is_some() { Ok(()) } else { Err(Trap::OutOfFuel.into()) }
}

/// At a tick of the engine's epoch: the guest yields, or has computed too long.
fn tick(store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
    if store.data().local.get().cpu.is_over() { Err(OutOfTime.into()) } else { Ok(UpdateDeadline::Yield(1)) }
}
