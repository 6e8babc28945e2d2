//! `[caches.NAME]`: entries that several services share.

use toml::de::DeValue;

use super::address;
use super::key::{Key, Optional, Usual};
use super::patterns;
use super::reader::{Table, Value};
use super::section::{Named, Section};
use super::shapes::{By, Choice, List, Whole, Written};
use super::types::{DISTRIBUTION, SERVICE, Size, TIME};
use crate::error::{Problem, did_you_mean, list, quote};
use crate::model::{Cache, CacheSystem, Distribution, Nanos};

/// Entries of a cache.
const ENTRIES_AT_MOST: u64 = 10_000_000;

pub(super) static CACHES: Key<Named, Optional> = Key {
    name: "caches",
    of: Named { of: &CACHE, pattern: || format!("^{}$", patterns::SERVICE_NAME), least: 0 },
    absent: Optional("none"),
    says: "entries that services share, as in Redis: see [caches](caches.md)",
};

static CACHE: Section = Section {
    name: "cache",
    says: "a cache, which evicts the entry that was used least recently",
    keys: &[&SYSTEM, &MEMORY, &ENTRIES, &LATENCY, &TIMEOUT, &SINGLE_FLIGHT],
    rules: &[],
};

static SYSTEM: Key<Choice<CacheSystem>, Usual> = Key {
    name: "system",
    of: Choice { what: "system", words: &[(CacheSystem::Redis.name(), CacheSystem::Redis)] },
    absent: Usual("\"redis\""),
    says: "what it is to its clients: `db.system.name` of their spans",
};

static MEMORY: Key<Size, Usual> = Key {
    name: "memory",
    of: Size(1 << 10, 1 << 30),
    absent: Usual("\"64MiB\""),
    says: "of all entries: keys, values, and 96 bytes for each",
};

static ENTRIES: Key<Whole, Usual> = Key {
    name: "entries",
    of: Whole(1, ENTRIES_AT_MOST),
    absent: Usual("100000"),
    says: "how many there may be",
};

/// As within a data centre, with a server that answers at once.
static LATENCY: Key<By<Distribution>, Usual> = Key {
    name: "latency",
    of: DISTRIBUTION,
    absent: Usual("{ lognormal = { median = \"200us\", sigma = 0.3 } }"),
    says: "one way between a service and the cache",
};

static TIMEOUT: Key<By<Nanos>, Optional> = Key {
    name: "timeout",
    of: TIME,
    absent: Optional("none"),
    says: "how long a service waits for an answer; then its guest gets the error `timeout`",
};

static SINGLE_FLIGHT: Key<By<Nanos>, Optional> = Key {
    name: "single-flight",
    of: TIME,
    absent: Optional("none"),
    says: "one request makes an entry that is missing, and the others wait for it, this long at most: see \
           [single-flight](caches.md#single-flight)",
};

/// `caches` of a service.
pub(super) static OF_SERVICE: Key<List<Written>, Optional> = Key {
    name: "caches",
    of: List { words: "a list of caches", of: Written { words: "a cache", ..SERVICE } },
    absent: Optional("`[]`"),
    says: "the [caches](caches.md) that its guest may use",
};

/// `[caches]`, in the order of the file.
pub(super) fn caches(root: &Table<'_>) -> Vec<Cache> {
    let table = CACHES.get(root).and_then(|value| value.by_name("[caches]", "{ … }"));
    let entries = table.as_ref().map(Table::entries).unwrap_or_default();
    entries.iter().filter_map(cache).collect()
}

fn cache(entry: &Value<'_>) -> Option<Cache> {
    if let Err(problem) = address::check_service_name(entry.key) {
        let message = format!("{} is not the name of a cache", quote(entry.key));
        let help =
            "use 1 to 63 lower-case letters, digits, '-' and '_', with a letter or a digit at each end";
        entry.refuse_key::<()>(Problem { message, help: Some(help.to_owned()), ..problem });
    }
    let table = CACHE.open(entry, format!("cache {}", quote(entry.key)))?;
    let (system, memory, entries) = (SYSTEM.read(&table), MEMORY.read(&table), ENTRIES.read(&table));
    let (latency, timeout) = (LATENCY.read(&table), TIMEOUT.read(&table));
    let single_flight = SINGLE_FLIGHT.read(&table);
    Some(Cache {
        name: entry.key.to_owned(),
        system: system?,
        memory: memory?,
        entries: entries?,
        latency: latency?,
        timeout: timeout?,
        single_flight: single_flight?,
        place: entry.key_place.clone(),
    })
}

/// The names of all caches, of those with a mistake too, in the order of the file.
pub(super) fn names<'a>(root: &Table<'a>) -> Vec<&'a str> {
    // That it is no table is said by who reads it.
    let Some(DeValue::Table(table)) = CACHES.get(root).map(|value| value.item()) else { return Vec::new() };
    let mut names: Vec<_> = table.iter().map(|(key, _)| (key.span().start, &**key.get_ref())).collect();
    names.sort_unstable();
    names.into_iter().map(|(_, name)| name).collect()
}

/// The caches of a service, by their places in `names`.
pub(super) fn of_service(table: &Table<'_>, names: &[&str]) -> Vec<usize> {
    let mut places = Vec::new();
    for value in OF_SERVICE.get(table).and_then(|value| listed(&value)).unwrap_or_default() {
        let Some(name) = value.filled() else { continue };
        match names.iter().position(|known| *known == name) {
            Some(place) if places.contains(&place) => {
                let problem = Problem::new(format!("the cache {} is named twice", quote(name)));
                value.refuse::<()>(problem.label("again").help("name each cache once"));
            }
            Some(place) => places.push(place),
            None => {
                let help = match names {
                    [] => format!("define it: [caches.{name}]"),
                    names => did_you_mean(name, "caches", names.iter().copied()),
                };
                let problem = Problem::new(format!("unknown cache {}", quote(name)));
                value.refuse::<()>(problem.label("not defined").help(help));
            }
        }
    }
    places
}

/// The names under `caches`. As a database may have a pool, one may think of a table.
fn listed<'a>(value: &Value<'a>) -> Option<Vec<Value<'a>>> {
    match value.item() {
        DeValue::Table(table) if !table.is_empty() => {
            let names = table.keys().map(|name| &**name.get_ref());
            value.refuse_kind("a list", format!("write caches = [{}]", list(names)))
        }
        DeValue::Array(_) | DeValue::String(_) => value.list(),
        _ => value.refuse_kind("a list", "write caches = [\"…\"]"),
    }
}
