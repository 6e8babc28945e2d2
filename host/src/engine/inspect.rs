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

use super::{LoadError, list};

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

/// Refuses what is no guest, and what is too large to be compiled. Returns the contract that the guest has,
/// and the interfaces that it needs in a later version than the host has.
///
/// # Errors
/// The reason. A component that passes may still be invalid, which the compiler says.
pub(super) fn inspect(bytes: &[u8]) -> Result<(Contract, Option<Needs>), LoadError> {
    let mut parts = Parts::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| LoadError::Invalid(error.to_string()))?;
        parts.take(payload).map_err(|error| LoadError::Invalid(error.to_string()))?;
    }
    parts.check()
}

/// Interfaces of a later contract than this simhost has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs(BTreeSet<String>);

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has: Vec<_> = Contract::ALL.iter().map(|contract| contract.version().to_string()).collect();
        write!(f, "needs {}; this simhost has {PACKAGE} {}", list(&self.0), has.join(" and "))
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

    fn check(self) -> Result<(Contract, Option<Needs>), LoadError> {
        let bounds = [
            (self.functions as usize, FUNCTIONS as usize, "functions"),
            (self.code, CODE_BYTES, "bytes of code"),
            (self.largest_function, FUNCTION_BYTES, "bytes of code in one function"),
            (self.modules as usize, MODULES as usize, "modules"),
        ];
        if let Some((has, most, what)) = bounds.into_iter().find(|(has, most, _)| has > most) {
            return Err(LoadError::TooLarge(format!("{has} {what}, and {most} are the most")));
        }
        let exported = self.exports.iter().filter_map(|name| Interface::parse(name));
        let handlers: Vec<_> =
            exported.filter(|export| export.package == PACKAGE && export.name == HANDLER).collect();
        if handlers.is_empty() {
            return Err(LoadError::NoHandler { exports: self.exports });
        }
        // A guest may have handlers of several versions, for hosts that have not the newest.
        let contract = handlers
            .iter()
            .filter_map(|handler| Contract::of(&handler.version))
            .max_by_key(|contract| contract.version());
        let imported = self.imports.iter().filter_map(|name| Interface::parse(name));
        let own = imported.filter(|import| import.package == PACKAGE);
        let mut needs: BTreeSet<_> =
            own.filter(Interface::may_be_added_to).map(|import| import.to_string()).collect();
        let unknown: BTreeSet<_> = self.imports.iter().filter(|name| !offered(name)).cloned().collect();
        let Some(contract) = contract else {
            needs.extend(handlers.iter().map(ToString::to_string));
            return Err(LoadError::Newer(Needs(needs)));
        };
        let later: BTreeSet<_> = unknown.intersection(&needs).cloned().collect();
        if !later.is_empty() {
            return Err(LoadError::Newer(Needs(later)));
        }
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImports(unknown));
        }
        Ok((contract, Some(Needs(needs)).filter(|Needs(names)| !names.is_empty())))
    }
}

/// The name of an interface: `wasi:io/poll@0.2.6`.
struct Interface<'a> {
    package: &'a str,
    name: &'a str,
    version: Version,
}

impl<'a> Interface<'a> {
    fn parse(full: &'a str) -> Option<Self> {
        let (package, rest) = full.split_once('/')?;
        let (name, version) = rest.split_once('@')?;
        Some(Self { package, name, version: Version::parse(version).ok()? })
    }

    /// Whether a later simhost may have more of it than this one has.
    fn may_be_added_to(&self) -> bool {
        match Contract::of(&self.version) {
            Some(contract) => self.version > contract.version(),
            None => Contract::ALL.iter().all(|contract| self.version > contract.version()),
        }
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
            "simhost:service/sql@0.2.0",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll",
            "wasi:http/types@0.2.0",
            "poll",
        ] {
            assert!(!offered(name), "{name}");
        }
    }
}
