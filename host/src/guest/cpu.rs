//! How long a guest may compute for a request.
//!
//! In virtual time by fuel, so that it is stopped at the same instruction every time:
//! each instruction takes some, and so does what the host does for the guest, by the
//! prices of [`crate::wasi::bill`]. In real time by the clock, at each tick of the
//! engine's epoch; a call into the host is over soon, and the guest's next loop or
//! function meets the tick.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use wasmtime::{CallHook, Store, StoreContextMut, Trap, UpdateDeadline};

use crate::clock::Stopwatch;
use crate::model::Nanos;
use crate::sched::Sched;
use crate::wasi::bill::CROSSING;

use super::failure::{GuestFailure, failure};
use super::state::GuestState;

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
        store.epoch_deadline_callback(CpuMeter::tick);
    }
    fuel
}

/// The guest may compute for so long from now on.
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

/// Measures how long a guest computes, in real time: from each turn's beginning
/// to its end. At each tick of the epoch a computing guest is asked for its
/// account, and yields, so that others get their turn.
pub(super) struct CpuMeter {
    limit: Duration,
    sched: Sched,
    /// In the turns that have ended, since the request began.
    spent: Cell<Duration>,
    /// Since the present turn began.
    turn: Cell<Option<Stopwatch>>,
}

impl CpuMeter {
    pub const fn new(cpu_time: Nanos, sched: Sched) -> Self {
        let (spent, turn) = (Cell::new(Duration::ZERO), Cell::new(None));
        Self { limit: Duration::from_nanos(cpu_time), sched, spent, turn }
    }

    /// Another request begins.
    pub fn begin(&self) {
        self.spent.set(Duration::ZERO);
    }

    /// Polls `future`, keeping the account; where fuel is counted there is no need.
    /// It borrows the future, which its caller holds already: one that it took by
    /// value would be there twice.
    pub fn measure<T>(
        &self,
        fuel: bool,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> impl Future<Output = T> {
        std::future::poll_fn(move |context| {
            if fuel {
                return future.as_mut().poll(context);
            }
            let turn = Stopwatch::start();
            self.turn.set(Some(turn));
            let poll = self.sched.computing(|| future.as_mut().poll(context));
            self.turn.set(None);
            self.spent.set(self.spent.get() + turn.elapsed());
            poll
        })
    }

    fn tick(store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
        let cpu = &store.data().local.get().cpu;
        let turn = cpu.turn.get().map_or(Duration::ZERO, Stopwatch::elapsed);
        if cpu.spent.get() + turn >= cpu.limit {
            return Err(OutOfTime.into());
        }
        Ok(UpdateDeadline::Yield(1))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the guest computed for too long")]
pub(super) struct OutOfTime;
