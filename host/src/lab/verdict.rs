//! What a check has found, as programs read it: `simhost lab check --format json`.

use schemars::JsonSchema;
use serde::Serialize;

/// The version of the JSON: it rises when a key goes away or changes its meaning.
pub const SCHEMA: u32 = 1;

/// The result of `simhost lab check`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "The result of a lab of simhost")]
pub struct Verdict {
    /// The version of this document's form.
    pub schema: u32,
    /// The id of the lab.
    pub lab: String,
    pub title: String,
    /// Of simhost.
    pub version: String,
    /// Whether every check has passed.
    pub solved: bool,
    /// Points, and the most that there are.
    pub score: f64,
    pub max: u32,
    /// Those that were run; the hidden ones follow from the salt. None if no check depends on them.
    pub seeds: Vec<u64>,
    /// Why nothing was judged; null if the files could be read.
    pub error: Option<String>,
    /// What was changed that may not be: then there are no points.
    pub frozen: Option<FrozenRow>,
    /// In the order of the lab.
    pub checks: Vec<CheckRow>,
}

/// A change that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FrozenRow {
    /// `services.stock-db.workers`, or the name of a file.
    pub path: String,
    /// What the lab has there; null if nothing.
    pub from: Option<String>,
    /// What stands there now; null if nothing.
    pub to: Option<String>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CheckRow {
    pub name: String,
    /// `report`, `compare`, …
    pub kind: String,
    /// Whether it protects what was good: it gives its points only when a check that is no guard passes.
    pub guard: bool,
    pub passed: bool,
    pub score: f64,
    pub max: u32,
    /// What was found, at the seed below; null where nothing was.
    pub got: Option<String>,
    /// What is asked for.
    pub want: String,
    /// The first seed at which it fails; null if it passes, or if it does not depend on seeds.
    pub seed: Option<u64>,
    /// Seeds at which it fails.
    pub failed_seeds: u32,
    /// What a person reads; empty if it passes.
    pub message: String,
    /// The trace that shows it.
    pub trace_id: Option<String>,
}

/// What is said of a guard that passes and gives no points.
pub const HELD: &str = "it passes in the untouched files too: its points count when one of the others passes";

impl CheckRow {
    /// Whether it passes, and gives its points only when a check that is no guard does.
    pub fn is_held(&self) -> bool {
        self.guard && self.passed && self.score == 0.0
    }
}

impl Verdict {
    /// The first check that fails, by its place.
    pub fn first_failure(&self) -> Option<usize> {
        self.checks.iter().position(|check| !check.passed)
    }

    /// The JSON Schema of the result.
    pub fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        settings.into_generator().into_root_schema_for::<Self>()
    }
}

impl std::fmt::Display for FrozenRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, from, to } = self;
        match (from, to) {
            (Some(from), Some(to)) => write!(f, "{path} is {to}, and has to be {from} in this lab"),
            (Some(from), None) => write!(f, "{path} is missing, and has to be {from} in this lab"),
            (None, Some(to)) => write!(f, "{path} = {to} is new, and may not be there in this lab"),
            (None, None) => write!(f, "{path} may not be changed in this lab"),
        }
    }
}
