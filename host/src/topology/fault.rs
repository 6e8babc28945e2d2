//! `[[faults]]`: what goes wrong, for which requests, how often and when.

mod chance;
mod conditions;
mod kinds;
mod parts;
mod schema;
mod stores;
mod target;
mod target_keys;
mod topics;
mod when;

use indexmap::IndexMap;

use super::address;
use super::key::{Key, Optional, Required, Usual};
use super::names::Names;
use super::reader::{Table, Value};
use super::section::{self, Rule, Section};
use super::service;
use super::shapes::By;
use super::types::{self, FLAG};
use crate::error::{Problem, quote};
use crate::model::{Fault, Service, Topic};

pub(super) use kinds::is_inside;

/// Faults of a topology.
const FAULTS_AT_MOST: usize = 10_000;

/// What all faults share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings<'a> {
    pub names: &'a Names,
    pub services: &'a [Service],
    pub topics: &'a [Topic],
    /// Of all topics, in the order of the file.
    pub topic_names: &'a [String],
    /// Each with the index of its topic; none where some are not known.
    pub groups: Option<&'a [(usize, String)]>,
    /// For the guests of deployments.
    pub code: &'a service::Surroundings<'a>,
    /// Whether the fault that is read is off: what a real server makes impossible is only doubtful then.
    pub off: bool,
}

impl Surroundings<'_> {
    /// Notes that a real server makes the fault impossible. Of a fault that is off, gives the value.
    fn outside<T>(&self, value: &Value<'_>, problem: Problem, otherwise: T) -> Option<T> {
        if !self.off {
            return value.refuse(problem);
        }
        value.doubt(problem);
        Some(otherwise)
    }
}

pub(super) static FAULTS: Key<schema::Faults, Optional> = Key {
    name: "faults",
    of: schema::Faults,
    absent: Optional("none"),
    says: "what goes wrong, for which requests, how often and when: see [faults](faults.md)",
};

/// The keys that every kind has, or may have.
static COMMON: Section = Section {
    name: "fault",
    says: "what goes wrong, for which requests, how often and when",
    keys: &[
        &NAME,
        &kinds::KIND,
        &target_keys::TARGET,
        &parts::MATCH,
        &when::WHEN,
        &ENABLED,
        &chance::PROBABILITY,
        &chance::FAIL_FIRST,
        &chance::EVERY_NTH,
        &chance::MAX_ACTIVE,
        &chance::MAX_TOTAL,
        &chance::BY_CALLER,
    ],
    rules: &[Rule::NotBoth("fail-first", "every-nth")],
};

static NAME: Key<By<String>, Required> = Key {
    name: "name",
    of: types::NAME,
    absent: Required("give the fault a name of its own: name = \"…\""),
    says: "unique among faults: the report, `--fault` and random draws use it",
};

static ENABLED: Key<By<bool>, Usual> = Key {
    name: "enabled",
    of: FLAG,
    absent: Usual("true"),
    says: "`false`: only with `--fault NAME=on`, or `simhost fault on NAME`",
};

/// A fault that waits for another one: their places in the file's order, and
/// where the first one says so.
type Wait<'a> = (usize, usize, Value<'a>);

/// The faults, in the order of the file.
pub(super) fn faults(root: &Table<'_>, around: &Surroundings<'_>) -> Vec<Fault> {
    FAULTS.get(root).map(|value| value.problems().of_faults(|| read(&value, around))).unwrap_or_default()
}

fn read(faults: &Value<'_>, around: &Surroundings<'_>) -> Vec<Fault> {
    let tables = faults.tables("this fault");
    if let Some(first) = tables.get(FAULTS_AT_MOST) {
        first.note(
            Problem::new(format!("the topology has {} faults", tables.len()))
                .label("one too many")
                .help(format!("a topology may have {FAULTS_AT_MOST}: let one fault meet more requests")),
        );
        return Vec::new();
    }
    // A fault may wait for one that stands behind it.
    let mut names = IndexMap::new();
    for (index, table) in tables.iter().enumerate() {
        table.know(section::names(COMMON.keys));
        let name = NAME.get(table).and_then(|name| unique(&name, &mut names));
        names.entry(name.unwrap_or_else(|| unnamed(index))).or_insert(index);
    }
    let mut reader = Reader { around, names: &names, waits: Vec::new() };
    let read: Vec<_> =
        tables.iter().enumerate().filter_map(|(index, table)| reader.fault(index, table)).collect();
    when::refuse_circles(&reader.waits, &names);
    read
}

/// What stands for the name of a fault that has none; nothing can be called so.
fn unnamed(index: usize) -> String {
    format!("fault {index}")
}

/// The name of a fault, which no fault before it has.
fn unique(value: &Value<'_>, seen: &mut IndexMap<String, usize>) -> Option<String> {
    let name = value.read(address::name)?;
    if !seen.contains_key(&name) {
        return Some(name);
    }
    value.refuse(
        Problem::new(format!("two faults have the name {}", quote(&name)))
            .label("the second one")
            .help("give each fault a name of its own: reports and --fault tell them apart by it"),
    )
}

/// Reads one fault after the other.
struct Reader<'r, 'a> {
    around: &'r Surroundings<'r>,
    /// Of all faults, in the order of the file.
    names: &'r IndexMap<String, usize>,
    waits: Vec<Wait<'a>>,
}

impl<'a> Reader<'_, 'a> {
    fn fault(&mut self, index: usize, table: &Table<'a>) -> Option<Fault> {
        let (name, declared) = (NAME.need(table), kinds::KIND.read(table));
        let scope = declared.map_or(kinds::Scope::ANY, kinds::Declaration::scope);
        let enabled = ENABLED.read(table);
        let around = Surroundings { off: enabled == Some(false), ..*self.around };
        let targets = target::targets(table, declared, &around);
        let known = targets.as_deref().unwrap_or_default();
        let stores = stores::stores(table, declared, &around);
        let read = kinds::read(table, declared, (known, &stores), &around);
        table.refuse_others();
        // Of some kinds it depends on their keys what they look at.
        let scope = read.as_ref().map_or(scope, |read| scope.of(&read.effect));
        if let (Some(read), [_, ..], Some(value)) = (&read, known, target_keys::TARGET.get(table)) {
            target::refuse_requests(&value, &read.effect, &scope);
        }
        let routes = known.iter().map(|target| target.route.as_ref());
        let routes = routes.map(|route| route.map(|(route, _)| route.as_str()));
        let routes: Vec<_> = routes.collect::<Option<_>>().unwrap_or_default();
        let conditions = match parts::MATCH.get(table) {
            Some(value) => scope
                .allow(&value)
                .and_then(|()| conditions::conditions(&value, &routes))
                .filter(|_| topics::refuse_parts(&value, &scope).is_some()),
            None => Some(Vec::new()),
        };
        let chance = chance::chance(table, &scope);
        let when = match when::WHEN.get(table) {
            Some(value) => when::when(&value, &scope, (index, self.names), &mut self.waits),
            None => Some(Default::default()),
        };
        let (targets, read, place) = (targets?, read?, name?.place());
        Some(Fault {
            name: self.names.get_index(index)?.0.clone(),
            kind: &declared?.kind,
            effect: read.effect,
            detail: read.detail,
            target: targets.first().cloned(),
            one_of: if targets.len() > 1 { targets } else { Vec::new() },
            conditions: conditions?,
            chance: chance?,
            when: when?,
            enabled: enabled?,
            when_place: when::WHEN.get(table).map_or(place.clone(), |value| value.place()),
            place,
        })
    }
}
