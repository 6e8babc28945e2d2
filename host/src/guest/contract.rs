//! The versions of the contract, and the code of a guest of any of them.
//!
//! The host works with the newest version. An earlier one is an adapter in a file of its own: [`v0_1`].

mod v0_1;

use semver::Version;
use wasmtime::Store;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{InstancePre, Linker, TypedFunc};
use wasmtime::error::Context as _;

use super::bindings::ServicePre;
use super::bindings::exports::simhost::service::handler::Response;
pub use super::bindings::exports::simhost::service::handler::{Problem, Route};
use super::host::{self, GuestState};

/// The package of the contract.
pub const PACKAGE: &str = "simhost:service";

/// The interface that a guest exports.
pub const HANDLER: &str = "handler";

/// A version of the contract that guests may be built against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contract {
    V0_1,
    V0_2,
}

impl Contract {
    /// Every version, the newest last.
    pub const ALL: [Self; 2] = [Self::V0_1, Self::V0_2];

    /// The version as this simhost has it: that of the WIT files.
    pub const fn version(self) -> Version {
        match self {
            Self::V0_1 => Version::new(0, 1, 0),
            Self::V0_2 => Version::new(0, 2, 3),
        }
    }

    /// The one that a guest of this version runs with. By semantic versioning the minor version decides, as
    /// long as the major version is 0.
    pub fn of(version: &Version) -> Option<Self> {
        let is_of = |known: Version| (known.major, known.minor) == (version.major, version.minor);
        Self::ALL.into_iter().find(|contract| is_of(contract.version()))
    }

    /// The full name of an interface: `simhost:service/bus@0.2.0`.
    pub fn name(self, interface: &str) -> String {
        format!("{PACKAGE}/{interface}@{}", self.version())
    }

    /// The interfaces of this version that a guest may import.
    pub fn interfaces(self) -> Vec<&'static str> {
        match self {
            Self::V0_1 => v0_1::INTERFACES.to_vec(),
            // `http` has types and no functions, so it is not among those that are linked.
            Self::V0_2 => {
                std::iter::once("http").chain(host::INTERFACES.iter().map(|(name, _)| *name)).collect()
            }
        }
    }

    /// Whether this version has an interface that a guest may import.
    pub fn offers(self, interface: &str) -> bool {
        self.interfaces().contains(&interface)
    }
}

/// Links what a guest of any version may call. Where spans may be delayed, the constructor of spans is a
/// function that waits.
///
/// # Errors
/// None: each name is linked once.
pub fn link(linker: &mut Linker<GuestState>, delays_spans: bool) -> wasmtime::Result<()> {
    for (name, link) in host::INTERFACES {
        link(&mut linker.instance(&Contract::V0_2.name(name))?)?;
    }
    v0_1::link(linker)?;
    if delays_spans {
        linker.allow_shadowing(true);
        for contract in Contract::ALL {
            host::delay_spans(&mut linker.instance(&contract.name("tracing"))?)?;
        }
        linker.allow_shadowing(false);
    }
    Ok(())
}

/// The code of a guest, compiled and linked, by the version of its contract.
#[derive(Clone)]
pub enum GuestCode {
    V0_1(v0_1::ServicePre<GuestState>),
    V0_2(ServicePre<GuestState>),
}

/// What a guest says when it is asked for its routes.
#[derive(Debug)]
pub enum Described {
    Routes(Vec<Route>),
    /// It cannot work with its configuration, or is wrong itself.
    Problems(Vec<Problem>),
}

/// The functions that an instance of a guest exports.
pub(super) struct Exports {
    pub handle: TypedFunc<(Option<u32>,), (Response,)>,
    routes: RoutesFunction,
}

/// What `routes` returns in 0.2.
type RoutesResult = Result<Vec<Route>, Vec<Problem>>;

/// The function `routes`, as each version has it.
#[derive(Clone, Copy)]
pub(super) enum RoutesFunction {
    V0_1(TypedFunc<(), (Vec<v0_1::Route>,)>),
    V0_2(TypedFunc<(), (RoutesResult,)>),
}

impl GuestCode {
    /// The code of a guest that exports `handler`, the full name of the interface.
    ///
    /// # Errors
    /// The handler that it exports is not that of its version.
    pub fn new(contract: Contract, handler: &str, code: InstancePre<GuestState>) -> wasmtime::Result<Self> {
        check_handler(contract, handler, &code)?;
        Ok(match contract {
            Contract::V0_1 => Self::V0_1(v0_1::ServicePre::new(code)?),
            Contract::V0_2 => Self::V0_2(ServicePre::new(code)?),
        })
    }

    pub fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::V0_1(code) => code.engine(),
            Self::V0_2(code) => code.engine(),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Exports> {
        Ok(match self {
            Self::V0_1(code) => {
                let guest = code.instantiate_async(store).await?;
                let handler = guest.simhost_service_handler();
                Exports { handle: handler.func_handle(), routes: RoutesFunction::V0_1(handler.func_routes()) }
            }
            Self::V0_2(code) => {
                let guest = code.instantiate_async(store).await?;
                let handler = guest.simhost_service_handler();
                Exports { handle: handler.func_handle(), routes: RoutesFunction::V0_2(handler.func_routes()) }
            }
        })
    }
}

/// Compares the functions of a handler with those of its version. Without this, a difference would show when
/// the guest is instantiated.
fn check_handler(contract: Contract, handler: &str, code: &InstancePre<GuestState>) -> wasmtime::Result<()> {
    let (engine, component) = (code.engine(), code.component().component_type());
    let instance = component.get_export(engine, handler).map(|export| export.ty);
    let Some(ComponentItem::ComponentInstance(instance)) = instance else {
        wasmtime::bail!("it exports no interface {handler}");
    };
    let of = component.instance_type();
    let check = |name, is_right: &dyn Fn(&types::ComponentFunc) -> wasmtime::Result<()>| {
        let function = instance.get_export(engine, name).map(|export| export.ty);
        let Some(ComponentItem::ComponentFunc(function)) = function else {
            wasmtime::bail!("{handler} has the function `{name}`, which it does not export");
        };
        is_right(&function).with_context(|| format!("its function `{name}` is not that of {handler}"))
    };
    check("routes", &|routes| match contract {
        Contract::V0_1 => routes.typecheck::<(), (Vec<v0_1::Route>,)>(&of),
        Contract::V0_2 => routes.typecheck::<(), (RoutesResult,)>(&of),
    })?;
    check("handle", &|handle| handle.typecheck::<(Option<u32>,), (Response,)>(&of))
}

impl Exports {
    /// Asks the guest for its routes.
    pub async fn describe(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Described> {
        Ok(match self.routes {
            RoutesFunction::V0_1(function) => {
                let (routes,) = function.call_async(store, ()).await?;
                Described::Routes(routes.into_iter().map(v0_1::route).collect())
            }
            RoutesFunction::V0_2(function) => match function.call_async(store, ()).await?.0 {
                Ok(routes) => Described::Routes(routes),
                Err(problems) => Described::Problems(problems),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_says_which_contract_a_guest_has() {
        for (version, contract) in [
            ("0.1.0", Some(Contract::V0_1)),
            ("0.2.0", Some(Contract::V0_2)),
            ("0.2.17", Some(Contract::V0_2)),
            ("0.3.0", None),
            ("1.2.0", None),
        ] {
            assert_eq!(Contract::of(&version.parse().unwrap()), contract, "{version}");
        }
    }

    #[test]
    fn the_versions_are_those_of_the_wit_files() {
        let files =
            [include_str!("../../assets/wit/0.1/service.wit"), include_str!("../../assets/wit/service.wit")];
        for (contract, text) in Contract::ALL.into_iter().zip(files) {
            let package = format!("\npackage {PACKAGE}@{};\n", contract.version());
            assert!(text.contains(&package), "{package}");
            let imports = text.lines().filter_map(|line| line.trim().strip_prefix("import "));
            for interface in imports.map(|name| name.trim_end_matches(';')) {
                assert!(contract.offers(interface), "{}", contract.name(interface));
            }
        }
    }
}
