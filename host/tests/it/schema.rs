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

/// Topologies that are read: those that ship, and those that tests say so of.
fn read() -> Vec<PathBuf> {
    let tried = in_folder("host/tests/ui").into_iter().filter(|path| path.with_extension("out").exists());
    in_folder("topologies").into_iter().chain(tried).collect()
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
    for name in ["topology", "report", "truth", "diff", "check", "metrics", "control", "lab", "lab-result"] {
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
    let all = read();
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

/// Keys of a schema that topologies have: the places of their schemas.
struct Seen<'a> {
    root: &'a Value,
    keys: BTreeSet<String>,
}

impl Seen<'_> {
    /// Looks at a value and at what the schema at this place says of it.
    fn look(&mut self, place: &str, value: &Value) {
        let Some(schema) = self.root.pointer(place) else { return };
        if let Some(to) = schema["$ref"].as_str() {
            self.look(to.trim_start_matches('#'), value);
        }
        for several in ["anyOf", "oneOf"] {
            let count = schema[several].as_array().map_or(0, Vec::len);
            (0..count).for_each(|index| self.look(&format!("{place}/{several}/{index}"), value));
        }
        for item in value.as_array().into_iter().flatten() {
            self.look(&format!("{place}/items"), item);
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            // Of patterns there are beginnings alone: `^header\.`.
            for pattern in schema["patternProperties"].as_object().into_iter().flat_map(|of| of.keys()) {
                if key.starts_with(&pattern.replace(['^', '\\'], "")) {
                    self.look(&format!("{place}/patternProperties/{pattern}"), value);
                }
            }
            match schema["properties"].get(key) {
                Some(_) => {
                    let place = format!("{place}/properties/{key}");
                    self.look(&place, value);
                    self.keys.insert(place);
                }
                None => self.look(&format!("{place}/additionalProperties"), value),
            }
        }
    }
}

/// The places of all keys that a schema has.
fn keys(place: &str, schema: &Value, found: &mut BTreeSet<String>) {
    for (key, property) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(format!("{place}/properties/{key}"));
        keys(&format!("{place}/properties/{key}"), property, found);
    }
    for (name, def) in schema["$defs"].as_object().into_iter().flatten() {
        keys(&format!("{place}/$defs/{name}"), def, found);
    }
}

#[test]
fn every_key_stands_in_a_topology_that_is_read() {
    let root = serde_json::to_value(simhost::topology::schema()).expect("JSON");
    let mut all = BTreeSet::new();
    keys("", &root, &mut all);
    assert!(all.len() > 150, "{}", all.len());
    let mut seen = Seen { root: &root, keys: BTreeSet::new() };
    for path in read() {
        let text = std::fs::read_to_string(&path).expect("a topology");
        seen.look("", &toml::from_str(&text).expect("TOML"));
    }
    let unseen: Vec<_> = all.difference(&seen.keys).collect();
    assert!(
        unseen.is_empty(),
        "no topology that ships, and none of host/tests/ui/ok_*.toml, has {unseen:#?}"
    );
}
