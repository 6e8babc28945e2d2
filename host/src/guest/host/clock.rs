//! `simhost:service/clock`: the clock of the simulated world.

use wasmtime::component::{HasSelf, LinkerInstance};

use crate::sched;
use crate::wasi::bill::{FUNCTION, TIMER};

use super::state::GuestState;
use crate::guest::bindings::simhost::service::clock;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    clock::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge(FUNCTION);
        Ok(self.env.ahead.get().wall())
    }

    async fn sleep(&mut self, ns: u64) -> wasmtime::Result<()> {
        self.charge(TIMER);
        let ahead = self.env.ahead.get();
        sched::here(ahead.process.wait(ahead.work(ns))).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VIRTUAL_START;
    use crate::guest::host::fixture::Fixture;
    use clock::Host as _;

    #[test]
    fn a_sleep_moves_the_clock_by_its_length() {
        let mut fixture = Fixture::idle(&[]);
        let before = fixture.state.now().unwrap();
        assert_eq!((before, fixture.owes()), (VIRTUAL_START, FUNCTION));
        let sched = fixture.sched.clone();
        sched.block_on(fixture.state.sleep(7_000), || {}).unwrap().unwrap();
        assert_eq!((fixture.state.now().unwrap(), fixture.owes()), (before + 7_000, TIMER + FUNCTION));
    }
}
