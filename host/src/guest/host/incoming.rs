//! `simhost:service/incoming`: the request that is being served.

use wasmtime::component::{HasSelf, LinkerInstance};

use crate::wasi::bill::{self, FUNCTION};

use super::pairs;
use crate::guest::bindings::simhost::service::incoming;
use crate::guest::scope::RequestScope;
use crate::guest::state::{GuestState, Local};

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    incoming::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl incoming::Host for GuestState {
    fn method(&mut self) -> wasmtime::Result<String> {
        let method = self.local.get().serving().map(|scope| scope.request.method.clone());
        self.tell(method, String::len)
    }

    fn path_and_query(&mut self) -> wasmtime::Result<String> {
        let target = self.local.get().serving().map(|scope| scope.request.target.clone());
        self.tell(target, String::len)
    }

    fn params(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let params = self.local.get().serving().map(|scope| scope.params.clone());
        self.tell(params, |all| pairs(all))
    }

    fn headers(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let headers = self.local.get().serving().map(|scope| scope.headers().into_owned().0);
        self.tell(headers, |all| pairs(all))
    }

    fn header(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let scope = self.local.get().serving()?;
        let (value, looked_at) = scope.header(&name);
        self.charge(FUNCTION + bill::bytes(name.len() + looked_at));
        Ok(value)
    }

    fn body(&mut self) -> wasmtime::Result<Vec<u8>> {
        let body = self.local.get().serving().map(|scope| scope.request.body.clone());
        self.tell(body, Vec::len)
    }
}

impl Local {
    fn serving(&self) -> wasmtime::Result<&RequestScope> {
        let Some(scope) = &self.scope else {
            wasmtime::bail!("the guest asked for the request while it served none");
        };
        Ok(scope)
    }
}
