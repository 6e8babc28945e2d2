//! Functions of `wasmtime-wasi` whose cost a guest decides: the same, and paid for.
//!
//! What else of it a guest can call takes a moment, whatever it is given, and costs
//! the guest its [`CROSSING`](super::bill::CROSSING).

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::cli::{WasiCliCtxView, WasiCliView};
use wasmtime_wasi::p2::bindings::cli::environment;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, SocketError};
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};
use wasmtime_wasi_io::bindings::wasi::io::poll;

use super::bill::{self, Bill};
use super::{GuestEnvView, WithGuestEnv};

pub(super) fn add_to_linker<T: WithGuestEnv>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    environment::add_to_linker::<T, HasEnvironment>(linker, |data| {
        let bill = data.env().0.bill.clone();
        Environment { bill, inner: data.cli() }
    })?;
    ip_name_lookup::add_to_linker::<T, HasLookup>(linker, |data| {
        let bill = data.env().0.bill.clone();
        Lookup { bill, inner: data.sockets() }
    })
}

impl poll::Host for GuestEnvView<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        self.charge(bill::TIMER.saturating_mul(pollables.len() as u64));
        self.env.ahead.get().reach();
        poll::Host::poll(self.table, pollables).await
    }
}

impl poll::HostPollable for GuestEnvView<'_> {
    async fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.charge(bill::TIMER);
        self.env.ahead.get().reach();
        poll::HostPollable::ready(self.table, pollable).await
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.charge(bill::TIMER);
        self.env.ahead.get().reach();
        poll::HostPollable::block(self.table, pollable).await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll::HostPollable::drop(self.table, pollable)
    }
}

struct HasEnvironment;

impl HasData for HasEnvironment {
    type Data<'a> = Environment<'a>;
}

struct Environment<'a> {
    bill: Bill,
    inner: WasiCliCtxView<'a>,
}

impl environment::Host for Environment<'_> {
    fn get_environment(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let environment = environment::Host::get_environment(&mut self.inner)?;
        let size = |(name, value): &(String, String)| name.len() + value.len();
        let texts = environment.iter().map(size).sum::<usize>();
        self.bill.charge(bill::bytes(texts + size_of_val(environment.as_slice())));
        Ok(environment)
    }

    fn get_arguments(&mut self) -> wasmtime::Result<Vec<String>> {
        environment::Host::get_arguments(&mut self.inner)
    }

    fn initial_cwd(&mut self) -> wasmtime::Result<Option<String>> {
        environment::Host::initial_cwd(&mut self.inner)
    }
}

struct HasLookup;

impl HasData for HasLookup {
    type Data<'a> = Lookup<'a>;
}

/// Refuses every name, as no network is allowed, and has copied it before.
struct Lookup<'a> {
    bill: Bill,
    inner: WasiSocketsCtxView<'a>,
}

impl network::Host for Lookup<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        network::Host::convert_error_code(&mut self.inner, error)
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.inner, error)
    }
}

impl network::HostNetwork for Lookup<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        network::HostNetwork::drop(&mut self.inner, network)
    }
}

impl ip_name_lookup::Host for Lookup<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ip_name_lookup::ResolveAddressStream>, SocketError> {
        self.bill.charge(bill::bytes(name.len()));
        ip_name_lookup::Host::resolve_addresses(&mut self.inner, network, name)
    }
}

impl ip_name_lookup::HostResolveAddressStream for Lookup<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        ip_name_lookup::HostResolveAddressStream::resolve_next_address(&mut self.inner, stream)
    }

    fn subscribe(
        &mut self,
        stream: Resource<ip_name_lookup::ResolveAddressStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        ip_name_lookup::HostResolveAddressStream::subscribe(&mut self.inner, stream)
    }

    fn drop(&mut self, stream: Resource<ip_name_lookup::ResolveAddressStream>) -> wasmtime::Result<()> {
        ip_name_lookup::HostResolveAddressStream::drop(&mut self.inner, stream)
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::ResourceTable;
    use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

    use super::environment::Host as _;
    use super::*;

    struct Worker {
        wasi: WasiCtx,
        table: ResourceTable,
    }

    impl WasiView for Worker {
        fn ctx(&mut self) -> WasiCtxView<'_> {
            WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
        }
    }

    #[test]
    fn the_environment_is_paid_for_by_its_texts_and_their_places_in_memory() {
        let wasi = WasiCtxBuilder::new().env("STAGE", "test").env("REGION", "north").build();
        let mut worker = Worker { wasi, table: ResourceTable::new() };
        let bill = Bill::default();
        let mut environment = Environment { bill: bill.clone(), inner: worker.cli() };
        assert_eq!(environment.get_environment().unwrap().len(), 2);
        let places = 2 * size_of::<(String, String)>();
        assert_eq!(bill.settle(), bill::bytes(5 + 4 + 6 + 5 + places));
    }
}
