//! What a component is made of, read before it is compiled.
//!
//! Compiling takes a second or two for each megabyte of code and cannot be interrupted.
//! So what could not be used afterwards is refused first, and so is what would take too
//! long: [`FUNCTIONS`], [`CODE_BYTES`], [`FUNCTION_BYTES`] and [`MODULES`] bound the
//! time and the memory of the compiler.

use std::collections::BTreeSet;

use wasmparser::{ComponentTypeRef, Parser, Payload};

use super::LoadError;

/// Functions of all modules of a component. A Python interpreter has some 15,000.
pub(super) const FUNCTIONS: u32 = 100_000;

/// The code of all modules of a component: bytes. A Python interpreter has some 6 MB, which
/// take one thread 17 seconds.
pub(super) const CODE_BYTES: usize = 32 << 20;

/// One function: bytes. The compiler's time grows faster than a function does.
pub(super) const FUNCTION_BYTES: usize = 1 << 20;

/// Core modules and components within a component, at any depth.
pub(super) const MODULES: u32 = 128;

/// The export that makes a component a guest.
pub(super) const HANDLER: &str = "simhost:service/handler@0.1.0";

/// The interfaces that the host offers, by their packages: see [`crate::wasi::add_to_linker`].
const OFFERED: [(&str, &[&str]); 7] = [
    ("simhost:service", &["http", "bus", "clock", "config", "incoming", "logging", "tracing"]),
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

/// Refuses what is no guest, and what is too large to be compiled.
///
/// # Errors
/// The reason. A component that passes may still be invalid, which the compiler says.
pub(super) fn inspect(bytes: &[u8]) -> Result<(), LoadError> {
    let mut parts = Parts::default();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| LoadError::Invalid(error.to_string()))?;
        parts.take(payload).map_err(|error| LoadError::Invalid(error.to_string()))?;
    }
    parts.check()
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

    fn check(self) -> Result<(), LoadError> {
        let bounds = [
            (self.functions as usize, FUNCTIONS as usize, "functions"),
            (self.code, CODE_BYTES, "bytes of code"),
            (self.largest_function, FUNCTION_BYTES, "bytes of code in one function"),
            (self.modules as usize, MODULES as usize, "modules"),
        ];
        if let Some((has, most, what)) = bounds.into_iter().find(|(has, most, _)| has > most) {
            return Err(LoadError::TooLarge(format!("{has} {what}, and {most} are the most")));
        }
        if !self.exports.iter().any(|name| name == HANDLER) {
            return Err(LoadError::NoHandler { exports: self.exports });
        }
        let unknown: BTreeSet<_> = self.imports.into_iter().filter(|name| !offered(name)).collect();
        if unknown.is_empty() { Ok(()) } else { Err(LoadError::UnknownImports(unknown)) }
    }
}

/// Whether the host offers an interface: `wasi:io/poll@0.2.6`.
fn offered(import: &str) -> bool {
    let Some((package, rest)) = import.split_once('/') else { return false };
    let Some((interface, version)) = rest.split_once('@') else { return false };
    let known = OFFERED.iter().find(|(known, _)| *known == package);
    let is_known = known.is_some_and(|(_, interfaces)| interfaces.contains(&interface));
    is_known && if package == "simhost:service" { version == "0.1.0" } else { version.starts_with("0.2.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_offered_by_name_and_version() {
        for name in ["simhost:service/bus@0.1.0", "wasi:io/poll@0.2.0", "wasi:sockets/tcp@0.2.12"] {
            assert!(offered(name), "{name}");
        }
        for name in [
            "simhost:service/bus@0.2.0",
            "simhost:service/sql@0.1.0",
            "wasi:io/poll@0.3.0",
            "wasi:io/poll",
            "wasi:http/types@0.2.0",
            "poll",
        ] {
            assert!(!offered(name), "{name}");
        }
    }
}
