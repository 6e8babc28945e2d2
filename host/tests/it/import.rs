//! `simhost import`: topologies from recorded traces, by the real program.

mod agreement;
mod backing;
mod origins;
mod random;
mod trouble;

use std::path::{Path, PathBuf};

use crate::support::{Finished, finish, simhost};

/// A folder for recorded traces and the topologies that are made of them.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Imports a file into a topology, which `check --strict` then accepts.
    fn import(&self, traces: &Path) -> (PathBuf, Finished) {
        let topology = self.path("imported.toml");
        let imported = finish(simhost().arg("import").arg(traces).arg("--out").arg(&topology));
        imported.success();
        finish(simhost().args(["check", "--strict"]).arg(&topology)).success();
        (topology, imported)
    }
}

fn import(arguments: &[&str]) -> Finished {
    finish(simhost().arg("import").args(arguments))
}
