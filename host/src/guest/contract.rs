//! The versions of the contract, and the code of a guest of any of them.
//!
//! The host works with the newest version. An earlier one is an adapter in a file of its own: [`v0_1`].

mod v0_1;
mod v0_2;

use semver::Version;
use wasmtime::Store;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{InstancePre, Linker, TypedFunc};
use wasmtime::error::Context as _;

pub use super::bindings::exports::simhost::service::consumer::Outcome;
use super::bindings::exports::simhost::service::handler::Response;
pub use super::bindings::exports::simhost::service::handler::{Problem, Route};
use super::bindings::exports::simhost::service::job;
use super::host::{self, GuestState};

/// The package of the contract.
pub const PACKAGE: &str = "simhost:service";

/// An interface that a guest may export. Each guest has one of them at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// It serves requests.
    Handler,
    /// It has jobs, which schedules begin.
    Job,
    /// It processes messages.
    Consumer,
}

impl Export {
    pub const ALL: [Self; 3] = [Self::Handler, Self::Job, Self::Consumer];

    /// The name of the interface.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Job => "job",
            Self::Consumer => "consumer",
        }
    }
}

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

    /// What a guest of this version may export.
    pub const fn exports(self) -> &'static [Export] {
        match self {
            Self::V0_1 => &[Export::Handler],
            Self::V0_2 => &Export::ALL,
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
    V0_2(v0_2::GuestPre),
}

/// What a guest says when it is asked for its routes or its jobs: these, or all that is wrong with its
/// configuration or with itself.
pub type Described<T> = Result<Vec<T>, Vec<Problem>>;

/// The functions that an instance of a guest exports.
pub(super) struct Exports {
    pub handle: Option<TypedFunc<(Option<u32>,), (Response,)>>,
    routes: Option<RoutesFunction>,
    pub job: Option<job::Guest>,
    topics: Option<TypedFunc<(), (v0_2::TopicsResult,)>>,
    pub receive: Option<TypedFunc<(), (Outcome,)>>,
}

/// The function `routes`, as each version has it.
#[derive(Clone, Copy)]
pub(super) enum RoutesFunction {
    V0_1(TypedFunc<(), (Vec<v0_1::Route>,)>),
    V0_2(TypedFunc<(), (Described<Route>,)>),
}

impl GuestCode {
    /// The code of a guest that exports these interfaces, each with its full name.
    ///
    /// # Errors
    /// One of them is not that of its version.
    pub fn new(
        contract: Contract,
        exports: &[(Export, String)],
        code: InstancePre<GuestState>,
    ) -> wasmtime::Result<Self> {
        for (export, name) in exports {
            check(contract, *export, name, &code)?;
        }
        Ok(match contract {
            Contract::V0_1 => Self::V0_1(v0_1::ServicePre::new(code)?),
            Contract::V0_2 => {
                let exports: Vec<_> = exports.iter().map(|(export, _)| *export).collect();
                Self::V0_2(v0_2::GuestPre::new(&exports, code)?)
            }
        })
    }

    pub fn engine(&self) -> &wasmtime::Engine {
        match self {
            Self::V0_1(code) => code.engine(),
            Self::V0_2(code) => code.engine(),
        }
    }

    /// Whether the guest exports this interface.
    pub fn has(&self, export: Export) -> bool {
        match self {
            Self::V0_1(_) => export == Export::Handler,
            Self::V0_2(code) => code.has(export),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Exports> {
        Ok(match self {
            Self::V0_1(code) => {
                let guest = code.instantiate_async(store).await?;
                let handler = guest.simhost_service_handler();
                let routes = Some(RoutesFunction::V0_1(handler.func_routes()));
                Exports {
                    handle: Some(handler.func_handle()),
                    routes,
                    job: None,
                    topics: None,
                    receive: None,
                }
            }
            Self::V0_2(code) => code.instantiate(store).await?,
        })
    }
}

/// Compares the functions of an exported interface with those of its version. Without this, a difference
/// would show when the guest is instantiated. `interface` is the full name.
fn check(
    contract: Contract,
    export: Export,
    interface: &str,
    code: &InstancePre<GuestState>,
) -> wasmtime::Result<()> {
    let (engine, component) = (code.engine(), code.component().component_type());
    let instance = component.get_export(engine, interface).map(|export| export.ty);
    let Some(ComponentItem::ComponentInstance(instance)) = instance else {
        wasmtime::bail!("it exports no interface {interface}");
    };
    let of = component.instance_type();
    let check = |name, is_right: &dyn Fn(&types::ComponentFunc) -> wasmtime::Result<()>| {
        let function = instance.get_export(engine, name).map(|export| export.ty);
        let Some(ComponentItem::ComponentFunc(function)) = function else {
            wasmtime::bail!("{interface} has the function `{name}`, which it does not export");
        };
        is_right(&function).with_context(|| format!("its function `{name}` is not that of {interface}"))
    };
    match export {
        Export::Handler => {
            check("routes", &|routes| match contract {
                Contract::V0_1 => routes.typecheck::<(), (Vec<v0_1::Route>,)>(&of),
                Contract::V0_2 => routes.typecheck::<(), (Described<Route>,)>(&of),
            })?;
            check("handle", &|handle| handle.typecheck::<(Option<u32>,), (Response,)>(&of))
        }
        Export::Job => {
            check("names", &|names| names.typecheck::<(), (v0_2::NamesResult,)>(&of))?;
            check("run", &|run| run.typecheck::<(String,), (Result<(), String>,)>(&of))
        }
        Export::Consumer => {
            check("topics", &|topics| topics.typecheck::<(), (v0_2::TopicsResult,)>(&of))?;
            check("receive", &|receive| receive.typecheck::<(), (Outcome,)>(&of))
        }
    }
}

impl Exports {
    /// Asks the guest for its routes; none of one that serves no requests.
    pub async fn routes(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Option<Described<Route>>> {
        Ok(match self.routes {
            None => None,
            Some(RoutesFunction::V0_1(function)) => {
                let (routes,) = function.call_async(store, ()).await?;
                Some(Ok(routes.into_iter().map(v0_1::route).collect()))
            }
            Some(RoutesFunction::V0_2(function)) => Some(function.call_async(store, ()).await?.0),
        })
    }

    /// Asks the guest for the names of its jobs; none of one that has no jobs.
    pub async fn jobs(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Option<Described<String>>> {
        let Some(job) = &self.job else { return Ok(None) };
        let names = job.call_names(store).await?;
        Ok(Some(names.map_err(|problems| problems.into_iter().map(Problem::from).collect())))
    }

    /// Asks the guest for the topics whose messages it takes; `*` stands for all. None of one that does
    /// not export `consumer`.
    pub async fn topics(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Option<Described<String>>> {
        let Some(topics) = &self.topics else { return Ok(None) };
        let (topics,) = topics.call_async(store, ()).await?;
        Ok(Some(topics.map_err(|problems| problems.into_iter().map(Problem::from).collect())))
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
            let exports = text.lines().filter_map(|line| line.trim().strip_prefix("export "));
            for interface in exports.map(|name| name.trim_end_matches(';')) {
                assert!(contract.exports().iter().any(|export| export.name() == interface), "{interface}");
            }
            let imports = text.lines().filter_map(|line| line.trim().strip_prefix("import "));
            for interface in imports.map(|name| name.trim_end_matches(';')) {
                assert!(contract.offers(interface), "{}", contract.name(interface));
            }
        }
    }
}
