//! What a component is made of, read before it is compiled.
//!
//! Compiling takes a second or two for each megabyte of code and cannot be interrupted.
//! So what could not be used afterwards is refused first, and so is what would take too
//! long: [`FUNCTIONS`], [`CODE_BYTES`], [`FUNCTION_BYTES`] and [`MODULES`] bound the
//! time and the memory of the compiler.

use std::collections::BTreeSet;
use std::fmt;

use semver::Version;
use wasmparser::{ComponentTypeRef, Parser, Payload};

use crate::guest::contract::{Contract, Export, PACKAGE};

use super::{LoadError, list, versions};

/// Functions of all modules of a component. A Python interpreter has some 15,000.
pub(super) const FUNCTIONS: u32 = 100_000;

/// The code of all modules of a component: bytes. A Python interpreter has some 6 MB, which
/// take one thread 17 seconds.
pub(super) const CODE_BYTES: usize = 32 << 20;

/// One function: bytes. The compiler's time grows faster than a function does.
pub(super) const FUNCTION_BYTES: usize = 1 << 20;

/// Core modules and components within a component, at any depth.
pub(super) const MODULES: u32 = 128;

/// The interfaces of WASI that the host offers, by their packages: see [`crate::wasi::add_to_linker`].
const OFFERED: [(&str, &[&str]); 6] = [
    (
        "wasi:cli",
        &[
            "environment",
            "exit",
            "stdin",
            "stdout",
            "stderr",
            "terminal-input",
            "terminal-output",
            "terminal-stdin",
            "terminal-stdout",
            "terminal-stderr",
        ],
    ),
    ("wasi:clocks", &["wall-clock", "monotonic-clock"]),
    ("wasi:filesystem", &["types", "preopens"]),
    ("wasi:io", &["error", "poll", "streams"]),
    ("wasi:random", &["random", "insecure", "insecure-seed"]),
    (
        "wasi:sockets",
        &[
            "network",
            "instance-network",
            "ip-name-lookup",
            "tcp",
            "tcp-create-socket",
            "udp",
            "udp-create-socket",
        ],
    ),
];

/// What a guest is built for.
#[derive(Debug)]
pub(super) struct Inspected {
    pub contract: Contract,
    /// The interfaces of this contract that it exports, with their full names.
    pub exports: Vec<(Export, String)>,
    /// The interfaces that it imports in a later version than the host has.
    pub later: BTreeSet<String>,
}

/// Refuses what is no guest, and what is too large to be compiled.
///
/// # Errors
/// The reason. A component that passes may still be invalid, which the compiler says.
pub(super) fn inspect(bytes: &[u8]) -> Result<Inspected, LoadError> {
    let mut parts = Parts::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| LoadError::Invalid(error.to_string()))?;
        parts.take(payload).map_err(|error| LoadError::Invalid(error.to_string()))?;
    }
    parts.check()
}

/// What a guest needs of a later contract than this simhost has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    later: BTreeSet<String>,
    /// What it imports beside that and no version is known to have.
    unknown: BTreeSet<String>,
}

impl Needs {
    pub(super) fn of(what: String) -> Self {
        Self { later: BTreeSet::from([what]), unknown: BTreeSet::new() }
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "needs {}; this simhost has {}", list(&self.later), versions("and"))?;
        match self.unknown.is_empty() {
            true => Ok(()),
            false => write!(f, "; it also imports what simhost does not offer: {}", list(&self.unknown)),
        }
    }
}

#[derive(Debug, Default)]
struct Parts {
    /// Modules and components around what is being read.
    depth: u32,
    imports: Vec<String>,
    exports: Vec<String>,
    functions: u32,
    code: usize,
    largest_function: usize,
    modules: u32,
}

impl Parts {
    fn take(&mut self, payload: Payload<'_>) -> wasmparser::Result<()> {
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                self.modules = self.modules.saturating_add(1);
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if self.depth == 0 => {
                for import in imports {
                    let import = import?;
                    // A type is no more than a name for what other imports have.
                    if !matches!(import.ty, ComponentTypeRef::Type(_)) {
                        self.imports.push(import.name.name.to_owned());
                    }
                }
            }
            Payload::ComponentExportSection(exports) if self.depth == 0 => {
                for export in exports {
                    self.exports.push(export?.name.name.to_owned());
                }
            }
            Payload::CodeSectionStart { count, size, .. } => {
                self.functions = self.functions.saturating_add(count);
                self.code += size as usize;
            }
            Payload::CodeSectionEntry(body) => {
                self.largest_function = self.largest_function.max(body.range().len());
            }
            _ => {}
        }
        Ok(())
    }

    fn check(self) -> Result<Inspected, LoadError> {
        let bounds = [
            (self.functions as usize, FUNCTIONS as usize, "functions"),
            (self.code, CODE_BYTES, "bytes of code"),
            (self.largest_function, FUNCTION_BYTES, "bytes of code in one function"),
            (self.modules as usize, MODULES as usize, "modules"),
        ];
        if let Some((has, most, what)) = bounds.into_iter().find(|(has, most, _)| has > most) {
            return Err(LoadError::TooLarge(format!("{has} {what}, and {most} are the most")));
        }
        let (exported, imported) = (of_contract(&self.exports), of_contract(&self.imports));
        let names = |of: &mut dyn Iterator<Item = &Interface<'_>>| of.map(ToString::to_string).collect();
        let unreleased: BTreeSet<_> = names(
            &mut exported.iter().chain(&imported).filter(|interface| !interface.version.pre.is_empty()),
        );
        if !unreleased.is_empty() {
            return Err(LoadError::PreRelease(unreleased));
        }
        // A guest may have exports of several versions, for hosts that have not the newest.
        let known = exported.iter().filter_map(Interface::export);
        let newest = known.max_by_key(|(_, interface)| &interface.version);
        let later: BTreeSet<_> = names(&mut imported.iter().filter(|import| import.is_later()));
        let (missing, unknown): (BTreeSet<_>, BTreeSet<_>) =
            self.imports.iter().filter(|name| !offered(name)).cloned().partition(|name| later.contains(name));
        let Some((contract, _)) = newest else {
            return Err(self.no_guest(&exported, later, unknown));
        };
        if !missing.is_empty() {
            return Err(LoadError::Newer(Needs { later: missing, unknown }));
        }
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        Ok(Inspected { contract, exports: newest_of_each(contract, &exported), later })
    }

    /// What is wrong with a component that exports nothing of a contract that the host has.
    fn no_guest(
        &self,
        exported: &[Interface<'_>],
        later: BTreeSet<String>,
        unknown: BTreeSet<String>,
    ) -> LoadError {
        let is_one = |name: &str| Export::ALL.iter().any(|export| export.name() == name);
        let is_unversioned = |full: &str| {
            full.split_once('/').is_some_and(|(package, name)| package == PACKAGE && is_one(name))
        };
        if self.exports.iter().any(|name| is_unversioned(name)) {
            return LoadError::NoVersion(
                self.exports.iter().filter(|name| is_unversioned(name)).cloned().collect(),
            );
        }
        let all: BTreeSet<_> = exported.iter().map(ToString::to_string).collect();
        if exported.iter().any(Interface::is_later) {
            return LoadError::Newer(Needs { later: &later | &all, unknown });
        }
        match exported.iter().any(|interface| is_one(interface.name)) {
            true => LoadError::TooOld(all),
            false => LoadError::NoExport { exports: self.exports.clone() },
        }
    }
}

/// Each of the interfaces that a guest of this contract may export, in the newest version in which it does.
fn newest_of_each(contract: Contract, exported: &[Interface<'_>]) -> Vec<(Export, String)> {
    let newest = |export: &Export| {
        let known = exported.iter().filter_map(Interface::export).filter(|(of, _)| *of == contract);
        let named = known.filter(|(_, interface)| interface.name == export.name());
        let (_, interface) = named.max_by_key(|(_, interface)| &interface.version)?;
        Some((*export, interface.to_string()))
    };
    contract.exports().iter().filter_map(newest).collect()
}

/// Those names that are interfaces of the contract.
fn of_contract(names: &[String]) -> Vec<Interface<'_>> {
    let interfaces = names.iter().filter_map(|name| Interface::parse(name));
    interfaces.filter(|interface| interface.package == PACKAGE).collect()
}

/// The name of an interface: `wasi:io/poll@0.2.6`.
pub(super) struct Interface<'a> {
    pub package: &'a str,
    pub name: &'a str,
    pub version: Version,
}

impl<'a> Interface<'a> {
    pub(super) fn parse(full: &'a str) -> Option<Self> {
        let (package, rest) = full.split_once('/')?;
        let (name, version) = rest.split_once('@')?;
        Some(Self { package, name, version: Version::parse(version).ok()? })
    }

    /// The interface, if it is one that guests of a version may export, with that version.
    fn export(&self) -> Option<(Contract, &Self)> {
        let contract = Contract::of(&self.version)?;
        let is_known = contract.exports().iter().any(|export| export.name() == self.name);
        is_known.then_some((contract, self))
    }

    /// Whether its version is later than every one that this simhost has. Versions before the newest are no
    /// longer added to.
    fn is_later(&self) -> bool {
        Contract::ALL.iter().all(|contract| self.version > contract.version())
    }
}

impl fmt::Display for Interface<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.package, self.name, self.version)
    }
}

/// Whether the host offers an interface.
fn offered(import: &str) -> bool {
    let Some(Interface { package, name, version }) = Interface::parse(import) else { return false };
    if package == PACKAGE {
        return Contract::of(&version).is_some_and(|contract| contract.offers(name));
    }
    let known = OFFERED.iter().find(|(known, _)| *known == package);
    known.is_some_and(|(_, interfaces)| interfaces.contains(&name))
        && (version.major, version.minor) == (0, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_offered_by_name_and_version() {
        for name in [
            "simhost:service/bus@0.1.0",
            "simhost:service/bus@0.2.0",
            "simhost:service/http@0.2.7",
            "wasi:io/poll@0.2.0",
            "wasi:sockets/tcp@0.2.12",
        ] {
            assert!(offered(name), "{name}");
        }
        for name in [
            "simhost:service/bus@0.3.0",
            "simhost:service/nothing@0.2.0",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll",
            "wasi:http/types@0.2.0",
            "poll",
        ] {
            assert!(!offered(name), "{name}");
        }
    }
}
