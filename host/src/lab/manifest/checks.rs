//! `[[check]]`: what a solution has to do. Each kind has keys of its own.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::kinds::{self, Declaration, Kind, KindName};
use crate::error::{Problem, list, nearest, quote};
use crate::topology::key::{Key, Optional, Required, Type, Usual};
use crate::topology::reader::{Table, Value};
use crate::topology::schema::Defs;
use crate::topology::section::{self, Section};
use crate::topology::shapes::{By, Count, List};
use crate::topology::types::{FLAG, TEXT};

/// Checks of a lab.
const CHECKS_AT_MOST: usize = 50;

/// The most points of a check.
const WEIGHT_AT_MOST: u32 = 100;

/// Guesses that may be free: failures beyond them are remembered in the student's folder.
const GUESSES_AT_MOST: u32 = 20;

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub name: String,
    pub weight: u32,
    /// Faults that are on; none: as the topology has them.
    pub faults: Option<Vec<String>>,
    /// Whether it protects what was good: the starter passes it.
    pub guard: bool,
    /// Failures that cost nothing; none: guessing is free.
    pub guesses: Option<u32>,
    /// What is said if it fails, with `{got}` and `{want}`.
    pub say: Option<String>,
    pub kind: Kind,
}

/// The keys that every kind has.
static COMMON: Section = Section {
    name: "check",
    says: "one thing that a solution has to do. It passes if it passes at every seed",
    keys: &[&NAME, &KIND, &WEIGHT, &GUARD, &GUESSES, &FAULTS, &SAY],
    rules: &[],
};

static NAME: Key<By<String>, Required> = Key {
    name: "name",
    of: TEXT,
    absent: Required("give the check a name of its own: name = \"…\""),
    says: "unique among checks; a few words",
};

static KIND: Key<KindName, Required> = Key {
    name: "kind",
    of: KindName,
    absent: Required("say what the check looks at, such as kind = \"report\""),
    says: "what the check looks at",
};

static WEIGHT: Key<Count, Usual> =
    Key { name: "weight", of: Count(1, WEIGHT_AT_MOST), absent: Usual("1"), says: "its points" };

static GUARD: Key<By<bool>, Usual> = Key {
    name: "guard",
    of: FLAG,
    absent: Usual("false"),
    says: "whether it protects what was good: the starter passes it, and it gives its points only when a \
           check that is no guard passes too",
};

static GUESSES: Key<Count, Optional> = Key {
    name: "guesses",
    of: Count(1, GUESSES_AT_MOST),
    absent: Optional("guessing costs nothing"),
    says: "different failures that cost nothing; each further one takes 10 % of the points, half at most",
};

static FAULTS: Key<List<By<String>>, Optional> = Key {
    name: "faults",
    of: List { words: "a list of names", of: TEXT },
    absent: Optional("as in the topology"),
    says: "the faults that are on; `[]` is a run in which nothing goes wrong",
};

static SAY: Key<By<String>, Optional> = Key {
    name: "say",
    of: TEXT,
    absent: Optional("a sentence with both numbers"),
    says: "what is said if the check fails; `{got}`, `{want}` and `{seed}` stand for what was measured",
};

/// The list of checks.
#[derive(Debug)]
pub struct Checks;

impl Type for Checks {
    type Read = Vec<Check>;

    fn read(&self, value: &Value<'_>) -> Option<Vec<Check>> {
        let tables = value.tables("this check");
        if let Some(first) = tables.get(CHECKS_AT_MOST) {
            let problem = Problem::new(format!("the lab has {} checks", tables.len())).label("one too many");
            first.note(problem.help(format!("a lab has {CHECKS_AT_MOST} at most")));
            return None;
        }
        let checks: Vec<_> = tables.iter().map(check).collect();
        let checks: Vec<Check> = checks.into_iter().collect::<Option<_>>()?;
        for (at, check) in checks.iter().enumerate() {
            if checks[..at].iter().any(|other| other.name == check.name) {
                let problem = Problem::new(format!("two checks have the name {}", quote(&check.name)));
                tables[at].note(problem.label("the second one").help("give each check a name of its own"));
            }
        }
        if let (Some(first), true) = (tables.first(), checks.iter().all(|check| check.guard)) {
            let problem = Problem::new("every check of the lab is a guard").label("the first one");
            first.note(problem.help("take guard = true away from a check that the starter fails"));
        }
        Some(checks)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("a list of tables")
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        let check = defs.refer(COMMON.name, |defs| {
            let mut schema = COMMON.schema(defs);
            kinds::add_to_schema(&mut schema, COMMON.keys, defs);
            schema
        });
        json!({ "type": "array", "items": check, "minItems": 1 })
    }
}

fn check(table: &Table<'_>) -> Option<Check> {
    table.know(section::names(COMMON.keys));
    let (name, kind) = (NAME.read(table), KIND.read(table));
    let read = kind.and_then(|kind| {
        table.know(section::names(kind.keys));
        refuse_of_others(table, kind);
        (kind.read)(table)
    });
    let (weight, faults, say) = (WEIGHT.read(table), FAULTS.read(table), SAY.read(table));
    let (guard, guesses) = (GUARD.read(table), GUESSES.read(table));
    Some(Check {
        name: name?,
        weight: weight?,
        faults: faults?,
        guard: guard?,
        guesses: guesses?,
        say: say?,
        kind: read?,
    })
}

/// Notes keys that this kind does not have.
fn refuse_of_others(table: &Table<'_>, kind: &Declaration) {
    let known = || section::names(COMMON.keys).chain(section::names(kind.keys));
    for entry in table.entries().iter().filter(|entry| known().all(|name| name != entry.key)) {
        let what = format!("a check of kind {} has no key {}", quote(kind.name), quote(entry.key));
        let help = match nearest(entry.key, known()) {
            Some(near) => format!("did you mean {}?", quote(near)),
            None => format!("its keys are {}", list(known())),
        };
        entry.refuse_key::<()>(Problem::new(what).label("not a key of this kind").help(help));
    }
}
