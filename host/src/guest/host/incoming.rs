//! `simhost:service/incoming`: the request that is being served.

use wasmtime::component::{HasSelf, LinkerInstance};

use crate::wasi::bill::{self, FUNCTION};

use super::pairs;
use super::state::{GuestState, Local};
use crate::guest::bindings::simhost::service::incoming;
use crate::guest::scope::RequestScope;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    incoming::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl incoming::Host for GuestState {
    fn method(&mut self) -> wasmtime::Result<String> {
        let method = self.local.get().serving().map(|scope| scope.request.method.clone());
        self.charge_copy(method, String::len)
    }

    fn path_and_query(&mut self) -> wasmtime::Result<String> {
        let target = self.local.get().serving().map(|scope| scope.request.target.clone());
        self.charge_copy(target, String::len)
    }

    fn params(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let params = self.local.get().serving().map(|scope| scope.params.clone());
        self.charge_copy(params, |all| pairs(all))
    }

    fn headers(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let headers = self.local.get().serving().map(|scope| scope.headers().into_owned().0);
        self.charge_copy(headers, |all| pairs(all))
    }

    fn header(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let scope = self.local.get().serving()?;
        let (value, looked_at) = scope.header(&name);
        self.charge(FUNCTION + bill::bytes(name.len() + looked_at));
        Ok(value)
    }

    fn body(&mut self) -> wasmtime::Result<Vec<u8>> {
        let body = self.local.get().serving().map(|scope| scope.request.body.clone());
        self.charge_copy(body, Vec::len)
    }
}

impl Local {
    fn serving(&self) -> wasmtime::Result<&RequestScope> {
        let Some(scope) = self.scope.as_ref().filter(|scope| scope.is_request()) else {
            wasmtime::bail!("the guest asked for the request while it served none");
        };
        Ok(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::host::fixture::Fixture;
    use incoming::Host as _;

    #[test]
    fn a_guest_gets_the_parts_of_its_request_and_pays_for_what_is_copied() {
        let mut fixture = Fixture::serving();
        assert_eq!(fixture.state.method().unwrap(), "POST");
        assert_eq!(fixture.owes(), FUNCTION + 4);
        assert_eq!(fixture.state.path_and_query().unwrap(), "/stock/book?verbose=1");
        assert_eq!(fixture.state.params().unwrap(), [("item".to_owned(), "book".to_owned())]);
        assert_eq!(fixture.state.headers().unwrap(), [("x-tier".to_owned(), "gold".to_owned())]);
        assert_eq!(fixture.state.header("x-tier".to_owned()).unwrap().as_deref(), Some("gold"));
        assert_eq!(fixture.state.header("x-other".to_owned()).unwrap(), None);
        assert_eq!(fixture.state.body().unwrap(), b"two");
    }

    #[test]
    fn a_guest_without_a_request_is_stopped() {
        let error = Fixture::idle(&[]).state.method().unwrap_err();
        assert_eq!(error.to_string(), "the guest asked for the request while it served none");
    }
}
