//! Guests of contract 0.1, which run unchanged.
//!
//! The functions of 0.1 are those of today, which are linked under the old names too. Two things differ:
//! `bus` names fewer reasons for a missing response, and `routes` returns no problems of the configuration.

use wasmtime::component::{HasSelf, Linker, Resource};

use crate::guest::bindings::Pending;
use crate::guest::bindings::exports::simhost::service::handler;
use crate::guest::bindings::simhost::service::{bus, http};
use crate::guest::host::{self, GuestState};

use super::Contract;

mod bindings {
    wasmtime::component::bindgen!({
        path: "assets/wit/0.1",
        world: "service",
        imports: {
            "simhost:service/bus.call": async | trappable,
            "simhost:service/bus.[method]pending.wait": async | trappable,
            default: trappable,
        },
        exports: { default: async },
        with: {
            "simhost:service/http": crate::guest::bindings::simhost::service::http,
            "simhost:service/incoming": crate::guest::bindings::simhost::service::incoming,
            "simhost:service/tracing": crate::guest::bindings::simhost::service::tracing,
            "simhost:service/logging": crate::guest::bindings::simhost::service::logging,
            "simhost:service/clock": crate::guest::bindings::simhost::service::clock,
            "simhost:service/config": crate::guest::bindings::simhost::service::config,
            "simhost:service/bus.pending": crate::guest::bindings::Pending,
        },
    });
}

pub use bindings::ServicePre;
pub use bindings::exports::simhost::service::handler::Route;
use bindings::simhost::service::bus as earlier;

/// The interfaces of 0.1, which are no longer added to.
pub(super) const INTERFACES: [&str; 7] = ["http", "incoming", "bus", "tracing", "logging", "clock", "config"];

/// Links what a guest of 0.1 may call.
pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let of_today = host::INTERFACES.iter().filter(|(name, _)| INTERFACES.contains(name) && *name != "bus");
    for (name, link) in of_today {
        link(&mut linker.instance(&Contract::V0_1.name(name))?)?;
    }
    let mut calls = linker.instance(&Contract::V0_1.name("bus"))?;
    earlier::add_to_linker_instance::<_, HasSelf<_>>(&mut calls, |state| state)
}

/// A route of 0.1 as one of today.
pub(super) fn route(route: Route) -> handler::Route {
    handler::Route { method: route.method, path: route.path }
}

impl earlier::Host for GuestState {
    async fn call(
        &mut self,
        service: String,
        request: http::Request,
        options: earlier::CallOptions,
    ) -> wasmtime::Result<Result<http::Response, earlier::CallError>> {
        let answer = bus::Host::call(self, service, request, of_today(options)).await?;
        Ok(answer.map_err(reason))
    }
}

impl earlier::HostPending for GuestState {
    fn new(
        &mut self,
        service: String,
        request: http::Request,
        options: earlier::CallOptions,
    ) -> wasmtime::Result<Resource<Pending>> {
        bus::HostPending::new(self, service, request, of_today(options))
    }

    async fn wait(
        &mut self,
        pending: Resource<Pending>,
    ) -> wasmtime::Result<Result<http::Response, earlier::CallError>> {
        Ok(bus::HostPending::wait(self, pending).await?.map_err(reason))
    }

    fn drop(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        bus::HostPending::drop(self, pending)
    }
}

fn of_today(options: earlier::CallOptions) -> bus::CallOptions {
    bus::CallOptions { timeout_ns: options.timeout_ns }
}

/// The nearest reason that 0.1 has. Its text says what it is today.
fn reason(error: bus::CallError) -> earlier::CallError {
    use bus::CallError as Today;
    use earlier::CallError as Then;
    match error {
        Today::UnknownService(text) => Then::UnknownService(text),
        Today::Timeout | Today::DeadlineExceeded => Then::Timeout,
        Today::Refused(text) => Then::Refused(text),
        Today::CircuitOpen(text) => Then::Refused(format!("circuit open: {text}")),
        Today::BulkheadFull(text) => Then::Refused(format!("bulkhead full: {text}")),
        Today::Reset(text) => Then::Reset(text),
        Today::DepthExceeded(depth) => Then::DepthExceeded(depth),
        Today::MemoryExceeded(text) => Then::Invalid(format!("host memory exceeded: {text}")),
        Today::Invalid(text) => Then::Invalid(text),
        Today::Other(error) => Then::Refused(format!("{}: {}", error.kind, error.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_0_1_has_no_word_for_becomes_the_nearest_that_it_has() {
        let said = |error: bus::CallError| reason(error).to_string();
        let expected = [
            (bus::CallError::CircuitOpen("5s left".into()), "Refused(\"circuit open: 5s left\")"),
            (bus::CallError::BulkheadFull("2 wait".into()), "Refused(\"bulkhead full: 2 wait\")"),
            (bus::CallError::DeadlineExceeded, "Timeout"),
            (bus::CallError::MemoryExceeded("1 KiB".into()), "Invalid(\"host memory exceeded: 1 KiB\")"),
            (
                bus::CallError::Other(bus::OtherError { kind: "rate_limited".into(), message: "2s".into() }),
                "Refused(\"rate_limited: 2s\")",
            ),
        ];
        for (error, text) in expected {
            assert_eq!(said(error), format!("CallError::{text}"));
        }
    }
}
