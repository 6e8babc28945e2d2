//! The JSON Schemas that simhost prints. That of topologies: what is read fits it, and what it can see
//! of a mistake does not.
//!
//! `BLESS=1 cargo test --test it schema::` writes it anew; read the difference before committing it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use crate::support::{finish, simhost};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every topology in a folder and the folders below it.
fn topologies(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            topologies(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
    found.sort();
}

fn in_folder(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    topologies(&root().join(folder), &mut found);
    found
}

/// A schema, ready to use.
struct Schema(Schemas, SchemaIndex);

impl Schema {
    fn of_topologies() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let text = serde_json::to_value(simhost::topology::schema()).expect("JSON");
        compiler.add_resource("topology.json", text).expect("a resource");
        let index = compiler.compile("topology.json", &mut schemas);
        Self(schemas, index.unwrap_or_else(|error| panic!("{error:#}")))
    }

    /// What is wrong with a topology; none if it is no TOML.
    fn problems(&self, path: &Path) -> Option<String> {
        let text = std::fs::read_to_string(path).expect("a topology");
        let document: Value = toml::from_str(&text).ok()?;
        Some(self.0.validate(&document, self.1).err().map(|error| format!("{error:#}")).unwrap_or_default())
    }
}

#[test]
fn the_schemas_are_those_below_docs() {
    for name in ["topology", "report", "truth", "diff", "check", "control"] {
        let path = root().join(format!("docs/{name}.schema.json"));
        let text = finish(simhost().args(["schema", name])).success().to_owned();
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).expect("the schema is written");
        }
        assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "BLESS=1 writes {path:?} anew");
    }
}

#[test]
fn every_topology_that_is_read_fits_the_schema() {
    let schema = Schema::of_topologies();
    let shipped = in_folder("topologies");
    let tried = in_folder("host/tests/ui").into_iter().filter(|path| path.with_extension("out").exists());
    let all: Vec<_> = shipped.into_iter().chain(tried).collect();
    assert!(all.len() > 50, "{all:?}");
    for path in all {
        let problems = schema.problems(&path);
        assert_eq!(problems.as_deref(), Some(""), "{}", path.display());
    }
}

#[test]
fn what_is_wrong_in_itself_does_not_fit_the_schema() {
    let schema = Schema::of_topologies();
    let refused = in_folder("host/tests/ui").into_iter().filter(|path| path.with_extension("err").exists());
    let unseen = refused.filter(|path| schema.problems(path).as_deref() == Some(""));
    let unseen: BTreeSet<_> =
        unseen.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    // Ranges of what is written with a unit, and what several tables say together.
    let invisible = [
        "absurd_duration",
        "duplicate_fault",
        "duplicate_link",
        "port_out_of_range",
        "too_fine",
        "unknown_service",
        "zero_timeout",
    ];
    assert_eq!(unseen, invisible.map(ToOwned::to_owned).into());
}
