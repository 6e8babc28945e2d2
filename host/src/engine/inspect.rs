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

use crate::guest::contract::{Contract, HANDLER, PACKAGE};

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
    /// The full name of the handler that it exports.
    pub handler: String,
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
        let (mut handlers, imported) = (of_contract(&self.exports), of_contract(&self.imports));
        handlers.retain(|export| export.name == HANDLER);
        if handlers.is_empty() {
            let is_unversioned = |name: &String| name.split_once('/') == Some((PACKAGE, HANDLER));
            return Err(match self.exports.iter().any(is_unversioned) {
                true => LoadError::NoVersion,
                false => LoadError::NoHandler { exports: self.exports },
            });
        }
        let names = |of: &mut dyn Iterator<Item = &Interface<'_>>| of.map(ToString::to_string).collect();
        let unreleased: BTreeSet<_> = names(
            &mut handlers.iter().chain(&imported).filter(|interface| !interface.version.pre.is_empty()),
        );
        if !unreleased.is_empty() {
            return Err(LoadError::PreRelease(unreleased));
        }
        // A guest may have handlers of several versions, for hosts that have not the newest.
        let known = handlers.iter().filter_map(|handler| Some((Contract::of(&handler.version)?, handler)));
        let newest = known.max_by_key(|(_, handler)| &handler.version);
        let later: BTreeSet<_> = names(&mut imported.iter().filter(|import| import.is_later()));
        let (missing, unknown): (BTreeSet<_>, BTreeSet<_>) =
            self.imports.iter().filter(|name| !offered(name)).cloned().partition(|name| later.contains(name));
        let Some((contract, handler)) = newest else {
            let all: BTreeSet<_> = names(&mut handlers.iter());
            return Err(match handlers.iter().any(Interface::is_later) {
                true => LoadError::Newer(Needs { later: &later | &all, unknown }),
                false => LoadError::TooOld(all),
            });
        };
        if !missing.is_empty() {
            return Err(LoadError::Newer(Needs { later: missing, unknown }));
        }
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        Ok(Inspected { contract, handler: handler.to_string(), later })
    }
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
