//! `simhost:service/config`: what the topology says to the service.

use wasmtime::component::{HasSelf, LinkerInstance};

use crate::wasi::bill::{self, FUNCTION};

use super::pairs;
use super::state::GuestState;
use crate::guest::bindings::simhost::service::config;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    config::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl config::Host for GuestState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let config = &self.local.get().identity.config;
        let found = config.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        let looked_at = size_of::<(String, String)>() * config.len();
        self.charge(FUNCTION + bill::bytes(key.len() + looked_at + found.as_ref().map_or(0, String::len)));
        Ok(found)
    }

    fn all(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.charge_copy(Ok(self.local.get().identity.config.clone()), |all| pairs(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::host::fixture::Fixture;
    use config::Host as _;

    #[test]
    fn a_guest_reads_one_key_or_all() {
        let mut fixture = Fixture::idle(&[("delay", "5ms"), ("stock.book", "100")]);
        assert_eq!(fixture.state.get("stock.book".to_owned()).unwrap().as_deref(), Some("100"));
        assert_eq!(fixture.state.get("stock".to_owned()).unwrap(), None);
        assert_eq!(fixture.state.all().unwrap().len(), 2);
        assert!(fixture.owes() > 3 * FUNCTION, "what is copied has a price");
    }
}
