//! `target = { database = "…" }`, `target = { cache = "…" }`: what is no service, or those of which one is
//! drawn. Topics have a file of their own.

use toml::de::DeValue;

use super::super::key::{Key, Optional};
use super::super::reader::{Table, Value};
use super::super::section;
use super::super::shapes::By;
use super::Surroundings;
use super::kinds::{Declaration, LooksAt, Stores};
use super::target_keys::{CACHE, DATABASE, EACH, ONE_OF, SEVERAL, TARGET, several_of};
use super::topics;
use crate::error::{Problem, did_you_mean, quote};

/// What a fault strikes that is no service.
pub(super) fn stores(fault: &Table<'_>, kind: Option<&Declaration>, around: &Surroundings<'_>) -> Stores {
    match kind {
        Some(kind) if kind.looks_at == LooksAt::Databases => {
            Stores::Databases(databases(fault, kind, around))
        }
        Some(kind) if is_at_caches(fault, kind) => Stores::Caches(caches(fault, kind, around)),
        Some(kind) if topics::is_at_topics(fault, kind) => {
            Stores::Topics(topics::topics(fault, kind, around))
        }
        _ => Stores::None,
    }
}

/// Whether a fault of this kind strikes no service at its target.
pub(super) fn is_at_store(fault: &Table<'_>, kind: &Declaration) -> bool {
    kind.looks_at == LooksAt::Databases || is_at_caches(fault, kind) || topics::is_at_topics(fault, kind)
}

/// Notes the stores in a target of a kind that strikes services.
pub(super) fn refuse(table: &Table<'_>, kind: &Declaration) {
    let at_databases = "leave it out: databases are struck by drop-index, lock-table, slow-disk, \
                        too-many-connections, hold-connections and failover";
    let at_caches =
        "leave it out: caches are struck by flush-cache, shrink-cache, latency, refuse and blackhole";
    for (key, help) in [(&DATABASE, at_databases), (&CACHE, at_caches)] {
        if let Some(value) = key.get(table) {
            value.refuse_key::<()>(kind.scope().takes_no(&format!("target.{}", key.name)).help(help));
        }
    }
    topics::refuse(table, kind);
}

/// Whether a fault of this kind strikes caches at its target.
fn is_at_caches(fault: &Table<'_>, kind: &Declaration) -> bool {
    let names_cache = |value: &Value<'_>| match value.item() {
        DeValue::Table(table) => table.iter().any(|(key, _)| key.get_ref() == CACHE.name),
        _ => false,
    };
    let named = || {
        let target = TARGET.get(fault)?;
        let table = target.table("the target")?;
        table.know(section::names(SEVERAL.keys));
        let several = ONE_OF.get(&table).filter(|several| matches!(several.item(), DeValue::Array(_)));
        let several = several.and_then(|several| several.list()).unwrap_or_default();
        Some(names_cache(&target) || several.iter().any(names_cache))
    };
    kind.looks_at == LooksAt::Caches || kind.on_caches && named().unwrap_or_default()
}

/// The databases that a fault strikes, or of which it draws one.
fn databases(fault: &Table<'_>, kind: &Declaration, around: &Surroundings<'_>) -> Option<Vec<usize>> {
    const REMEDY: &str = "name the database that the fault strikes: target = { database = \"…\" }";
    const EXAMPLE: &str = "{ database = \"a\" }, { database = \"b\" }";
    let refuse = |other: &Value<'_>| {
        let help = "leave it out: it strikes the whole database, whoever asks it";
        other.refuse_key::<()>(kind.scope().takes_no(&format!("target.{}", other.key)).help(help));
    };
    let names = || around.code.databases.iter().map(String::as_str);
    read(fault, (&DATABASE, REMEDY, EXAMPLE), refuse, |value| {
        let help = |name: &str| match names().next() {
            None => format!("define it: [databases.{name}] with schema = \"…\""),
            Some(_) => did_you_mean(name, "databases", names()),
        };
        find(value, "database", names(), help)
    })
}

/// The caches that a fault strikes, or of which it draws one.
fn caches(fault: &Table<'_>, kind: &Declaration, around: &Surroundings<'_>) -> Option<Vec<usize>> {
    const REMEDY: &str = "name the cache that the fault strikes: target = { cache = \"…\" }";
    const EXAMPLE: &str = "{ cache = \"a\" }, { cache = \"b\" }";
    let refuse = |other: &Value<'_>| {
        let (name, key) = (quote(kind.kind.name), other.key);
        let problem = Problem::new(format!("a fault of kind {name} at a cache takes no target.{key}"));
        let help = "leave it out: it strikes the whole cache, whoever uses it";
        other.refuse_key::<()>(problem.label("has no effect").help(help));
    };
    let names = || around.code.caches.iter().copied();
    read(fault, (&CACHE, REMEDY, EXAMPLE), refuse, |value| {
        let help = |name: &str| match names().next() {
            None => format!("define it: [caches.{name}]"),
            Some(_) => did_you_mean(name, "caches", names()),
        };
        find(value, "cache", names(), help)
    })
}

/// What stands below `key`, alone or in each of several tables; all other keys are refused.
fn read(
    fault: &Table<'_>,
    (key, remedy, example): (&Key<By<String>, Optional>, &str, &str),
    refuse: impl Fn(&Value<'_>),
    find: impl Fn(&Value<'_>) -> Option<usize>,
) -> Option<Vec<usize>> {
    let table = fault.need(TARGET.name, TARGET.get(fault), remedy)?.table("the target")?;
    table.know(section::names(SEVERAL.keys));
    table.refuse_others();
    let one = |table: &Table<'_>| {
        let others = table.entries().iter().filter(|entry| SEVERAL.has(entry.key) && entry.key != key.name);
        others.for_each(&refuse);
        find(&table.need(key.name, key.get(table), remedy)?)
    };
    let Some(several) = ONE_OF.get(&table) else { return one(&table).map(|found| vec![found]) };
    let values = several_of(&table, &several, example)?;
    let found: Vec<_> = values.iter().map(|value| one(&EACH.open(value, "each target of one-of")?)).collect();
    found.into_iter().collect()
}

/// The place among `names` of the one that a value names.
fn find<'n>(
    value: &Value<'_>,
    what: &str,
    mut names: impl Iterator<Item = &'n str>,
    help: impl Fn(&str) -> String,
) -> Option<usize> {
    let name = value.text()?;
    let found = names.position(|known| known == name);
    if found.is_none() {
        let problem = Problem::new(format!("unknown {what} {}", quote(name)));
        return value.refuse(problem.label("not defined").help(help(name)));
    }
    found
}
