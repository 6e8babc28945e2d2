//! What a guest may call: the imports of `simhost:service`, a file for each interface.
//!
//! An interface is a file below `host/` and a line in the list of `interfaces!`. The file has the
//! functions of the interface, `link`, and `State` if the interface keeps something for a worker.

mod bus;
mod cache;
mod clock;
mod config;
mod delivery;
#[cfg(test)]
pub(crate) mod fixture;
mod incoming;
mod logging;
mod messaging;
mod metrics;
mod old_names;
mod span_delay;
mod sql;
mod state;
mod tracing;

use wasmtime::component::LinkerInstance;

use crate::wasi::bill::{self, FUNCTION};

use super::bindings::simhost::service::http;
use super::identity::Identity;

pub use state::{GuestState, Host};
pub(super) use state::{HANDLES, argument_bytes};

/// Links the functions of one interface, under any name.
pub type Link = fn(&mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()>;

macro_rules! interfaces {
    ($($name:ident $(with $state:ident)?),* $(,)?) => {
        /// The interfaces that a guest may import: their names, and what links them.
        pub const INTERFACES: &[(&str, Link)] = &[$((stringify!($name), $name::link)),*];

        /// What single interfaces keep for a worker.
        pub struct States {
            $($(pub $name: $name::$state,)?)*
        }

        impl States {
            pub fn new(identity: &Identity) -> Self {
                Self { $($($name: $name::$state::new(identity),)?)* }
            }

            /// The request has ended.
            pub fn finish(&mut self) {
                $($(<$name::$state>::finish(&mut self.$name);)?)*
            }
        }
    };
}

interfaces! {
    incoming,
    bus with State,
    tracing,
    logging,
    metrics,
    sql with State,
    cache with State,
    messaging,
    delivery,
    clock,
    config,
}

/// Lets spans wait when they begin, in place of the constructor that is linked already.
///
/// # Errors
/// None where shadowing is allowed.
pub fn delay_spans(tracing: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    span_delay::link(tracing)
}

/// It has types and no functions.
impl http::Host for GuestState {}

impl GuestState {
    /// Charges for a function that only copies `value` for the guest, which takes `bytes`.
    fn charge_copy<T>(
        &self,
        value: wasmtime::Result<T>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> wasmtime::Result<T> {
        let copied = value.as_ref().map_or(0, bytes);
        self.charge(FUNCTION + bill::bytes(copied));
        value
    }
}

/// Bytes that a list of pairs takes.
fn pairs(list: &[(String, String)]) -> usize {
    list.iter().map(|(key, value)| size_of::<(String, String)>() + key.len() + value.len()).sum()
}
