//! `simhost:service/clock`: the clock of the simulated world.

use wasmtime::component::{HasSelf, LinkerInstance};

use crate::sched;
use crate::wasi::bill::{FUNCTION, TIMER};

use crate::guest::bindings::simhost::service::clock;
use crate::guest::state::GuestState;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    clock::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge(FUNCTION);
        Ok(self.local.get().identity.process.wall())
    }

    async fn sleep(&mut self, ns: u64) -> wasmtime::Result<()> {
        self.charge(TIMER);
        let due = self.nature.work(ns);
        sched::here(self.nature.process.get().wait(due)).await;
        Ok(())
    }
}
