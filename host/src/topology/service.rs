//! `[services.NAME]`: what answers, how much of it there is, what it is told.

use std::path::Path;

use indexmap::IndexMap;
use indexmap::map::Entry;
use serde_json::json;
use toml::de::DeValue;

use super::address;
use super::cache;
use super::database;
use super::inline::inline;
use super::key::{Key, Optional, Required, Usual};
use super::limits;
use super::patterns;
use super::reader::{Table, Value};
use super::remedy::texts;
use super::schema::text;
use super::section::{Named, Rule, Section, Sub};
use super::shapes::{By, Count, Number, Written};
use super::types::TEXT;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Code, ConfigKeys, Limits, Place, Scalar, Service};

/// Services of a topology.
const SERVICES_AT_MOST: usize = 10_000;

/// Resource attributes that simhost sets, and where their values come from.
const RESERVED_ATTRIBUTES: [(&str, &str); 5] = [
    ("service.name", "it is the service's name in this file"),
    ("service.namespace", "write namespace = \"…\" in [topology]"),
    ("service.version", "write version = \"…\" in the service"),
    ("service.instance.id", "every replica gets its own"),
    ("deployment.environment.name", "write environment = \"…\" in [topology]"),
];

/// What all services share.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    /// The topology's folder, where paths of guests begin.
    pub folder: &'a Path,
    /// The names of the guests that are part of this program.
    pub embedded: &'a [&'a str],
    /// The limits of a service that sets none.
    pub limits: Limits,
    /// The names of all databases.
    pub databases: &'a [String],
    /// The names of all caches.
    pub caches: &'a [&'a str],
}

pub(super) static SERVICES: Key<Named, Required> = Key {
    name: "services",
    of: Named { of: &SERVICE, pattern: || format!("^{}$", patterns::SERVICE_NAME), least: 1 },
    absent: Required("write [services.NAME] and below it guest = \"…\" or url = \"http://…\""),
    says: "what answers, how much of it there is, what it is told",
};

static SERVICE: Section = Section {
    name: "service",
    says: "a service: a guest that simhost runs, or a real server",
    keys: &[
        &GUEST,
        &URL,
        &VERSION,
        &REPLICAS,
        &WORKERS,
        &QUEUE,
        &CONFIG,
        &RESOURCE,
        &COMPUTE_FACTOR,
        &database::OF_SERVICE,
        &cache::OF_SERVICE,
        &LIMITS,
    ],
    rules: &[
        Rule::One(&["guest", "url"]),
        Rule::NotBoth("url", "version"),
        Rule::NotBoth("url", "replicas"),
        Rule::NotBoth("url", "workers"),
        Rule::NotBoth("url", "queue"),
        Rule::NotBoth("url", "config"),
        Rule::NotBoth("url", "resource"),
        Rule::NotBoth("url", "compute-factor"),
        Rule::NotBoth("url", "caches"),
        Rule::NotBoth("url", "limits"),
    ],
};

static GUEST: Key<Written, Optional> = Key {
    name: "guest",
    of: CODE,
    absent: Optional("required without `url`"),
    says: "a [built-in guest](guests.md) (`orders`, `inventory`, `payment`, `notification`, `gateway`, `checkout`, `stock`, `items`, `storefront`, `mailer`, `dispatch`, `command`, `service`), or the path \
           of a component",
};

static URL: Key<By<String>, Optional> = Key {
    name: "url",
    of: By {
        words: "a URL without a path",
        schema: |_| text(patterns::URL),
        read: |value| value.read(address::origin),
    },
    absent: Optional("required without `guest`"),
    says: "a real server, `\"http://127.0.0.1:9000\"`; real time only",
};

static VERSION: Key<By<String>, Optional> =
    Key { name: "version", of: TEXT, absent: Optional("none"), says: "`service.version`" };

static REPLICAS: Key<Count, Usual> = Key {
    name: "replicas",
    of: Count(1, 1_000),
    absent: Usual("1"),
    says: "simulated processes, each with a queue and a `service.instance.id` of its own",
};

static WORKERS: Key<Count, Usual> = Key {
    name: "workers",
    of: Count(1, 10_000),
    absent: Usual("16"),
    says: "requests that a replica serves at a time. Each worker is an instance of the guest with its own memory",
};

static QUEUE: Key<Count, Usual> = Key {
    name: "queue",
    of: Count(0, 1_000_000),
    absent: Usual("1024"),
    says: "requests of a replica that wait for a worker; one more is answered 503",
};

static CONFIG: Key<Written, Optional> = Key {
    name: "config",
    of: SETTINGS,
    absent: Optional("`{}`"),
    says: "settings of the guest, also as environment variables: `notify-timeout` is `NOTIFY_TIMEOUT`",
};

static RESOURCE: Key<Written, Optional> = Key {
    name: "resource",
    of: SETTINGS,
    absent: Optional("`{}`"),
    says: "further resource attributes. `{replica}` in a text is the number of the replica, from 0",
};

static COMPUTE_FACTOR: Key<Number, Usual> = Key {
    name: "compute-factor",
    of: Number(0.001, 1_000.0, "a number from 0.001 to 1000"),
    absent: Usual("1"),
    says: "its computing takes this multiple of its time: with 2, what it executes takes twice [`compute`](#run), and \
           what simhost does for it twice its price",
};

static LIMITS: Key<Sub, Optional> = Key {
    name: "limits",
    of: Sub(&limits::OF_SERVICE),
    absent: Optional("those of `[limits]`"),
    says: "bounds of this service: the first seven keys of [`[limits]`](bounds.md#limits-of-a-topology)",
};

/// A guest that is built in, or in a file.
pub(super) const CODE: Written =
    Written { words: "a guest's name or file", schema: |_| json!({ "type": "string", "minLength": 1 }) };

/// Values by dotted names of any depth.
pub(super) const SETTINGS: Written = Written {
    words: "a table",
    schema: |_| {
        let scalars = ["string", "number", "boolean", "object"];
        json!({ "type": "object", "additionalProperties": { "type": scalars } })
    },
};

/// The services, in the order of the file.
pub(super) fn services(root: &Table<'_>, around: &Surroundings<'_>) -> Vec<Service> {
    let none = || Problem::new("the topology has no services").help(SERVICES.absent.0);
    let Some(services) = SERVICES.get(root) else {
        root.note(none().label("[services] is missing"));
        return Vec::new();
    };
    let Some(table) = services.by_name("[services]", "{ … }") else { return Vec::new() };
    match table.entries().len() {
        0 => table.note(none().label("empty")),
        1..=SERVICES_AT_MOST => {}
        count => table.note(
            Problem::new(format!("the topology has {count} services"))
                .label("too many")
                .help(format!("a topology may have {SERVICES_AT_MOST}; replicas count as one")),
        ),
    }
    table.entries().iter().map(|entry| service(entry, around)).collect()
}

/// A service; with defaults in place of what is wrong, so that its name is known.
fn service(entry: &Value<'_>, around: &Surroundings<'_>) -> Service {
    if let Err(problem) = address::check_service_name(entry.key) {
        entry.refuse_key::<()>(problem);
    }
    let mut service = Service {
        name: entry.key.to_owned(),
        code: Code::Embedded(String::new()),
        replaced: None,
        version: None,
        replicas: REPLICAS.usual(),
        workers: WORKERS.usual(),
        queue: QUEUE.usual(),
        config: IndexMap::new(),
        config_places: Vec::new(),
        config_keys: ConfigKeys::default(),
        resource: IndexMap::new(),
        compute_factor: COMPUTE_FACTOR.usual(),
        databases: Vec::new(),
        caches: Vec::new(),
        limits: around.limits.clone(),
        place: entry.key_place.clone(),
    };
    if let Some(table) = SERVICE.open(entry, format!("service {}", quote(entry.key))) {
        fill(&mut service, &table, around);
    }
    service
}

fn fill(service: &mut Service, table: &Table<'_>, around: &Surroundings<'_>) {
    let (guest, url) = (GUEST.get(table), URL.get(table));
    if url.is_some() && guest.is_none() {
        let inner = table.entries().iter().filter(|entry| entry.key != URL.name);
        inner.filter(|entry| SERVICE.has(entry.key)).for_each(refuse_external);
    }
    if let Some(code) = code(table, guest, around) {
        service.code = code;
    }
    service.version = VERSION.written(table);
    service.replicas = REPLICAS.or_usual(table);
    service.workers = WORKERS.or_usual(table);
    service.queue = QUEUE.or_usual(table);
    if let Some(value) = CONFIG.get(table) {
        (service.config, service.config_places) = read_config(&value);
        service.config_keys = config_keys(&value);
    }
    service.resource = RESOURCE.get(table).map(|value| read_resource(&value)).unwrap_or_default();
    service.compute_factor = COMPUTE_FACTOR.or_usual(table);
    service.databases = database::of_service(table, around.databases);
    service.caches = cache::of_service(table, around.caches);
    if let Some(table) = LIMITS.open(table, format!("the limits of {}", table.what)) {
        limits::set(&mut service.limits, &table);
    }
}

fn refuse_external(value: &Value<'_>) {
    let message = format!("{} has no effect on an external service", quote(value.key));
    value.refuse_key::<()>(
        Problem::new(message)
            .label("simhost does not run this service")
            .help("leave the key out, or give the service a guest in place of the url"),
    );
}

fn code(table: &Table<'_>, guest: Option<Value<'_>>, around: &Surroundings<'_>) -> Option<Code> {
    match (guest, URL.get(table)) {
        (Some(guest), None) => guest_code(&guest, around),
        (None, Some(_)) => URL.written(table).map(Code::External),
        (Some(_), Some(url)) => url.refuse_key(
            Problem::new(format!("{} has both a guest and a url", table.what))
                .label("the guest is named as well")
                .help("keep guest to simulate the service, or url to call a real one"),
        ),
        (None, None) => {
            let guests = did_you_mean("", "built-in guests", around.embedded.iter().copied());
            table.note(
                Problem::new(format!("{} has neither a guest nor a url", table.what))
                    .label("what answers here?")
                    .help(format!("write guest = \"./file.wasm\" or url = \"http://host:port\"; {guests}")),
            );
            None
        }
    }
}

/// A guest that is built in, or in a file.
pub(super) fn guest_code(guest: &Value<'_>, around: &Surroundings<'_>) -> Option<Code> {
    let text = guest.filled()?;
    if text.contains('/') || text.ends_with(".wasm") {
        // Whether the file is there and is a component is seen when it is
        // loaded: the command line may name another.
        return Some(Code::File { path: around.folder.join(text), place: Some(guest.place()) });
    }
    if around.embedded.contains(&text) {
        return Some(Code::Embedded(text.to_owned()));
    }
    let guests = did_you_mean(text, "built-in guests", around.embedded.iter().copied());
    guest.refuse(
        Problem::new(format!("unknown guest {}", quote(text)))
            .label("no built-in guest")
            .help(format!("{guests}. For a file, write {}", quote(&format!("./{text}.wasm")))),
    )
}

/// The `config` table with nested tables flattened, `stock.book`; and where each value stands.
pub(super) fn read_config(value: &Value<'_>) -> (IndexMap<String, String>, Vec<Place>) {
    let mut config: IndexMap<String, String> = IndexMap::new();
    let mut places = Vec::new();
    let mut variables: IndexMap<String, String> = IndexMap::new();
    flatten(value, "", &mut |key, entry| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if key.is_empty() || !key.chars().all(allowed) {
            let problem = Problem::new(format!("{} cannot be a key of config", quote(&key)));
            let problem = problem.label("not a key").help("keys have letters, digits, '.', '_' and '-'");
            return entry.refuse_key(problem).unwrap_or_default();
        }
        let variable = key.to_ascii_uppercase().replace(['.', '-'], "_");
        match variables.entry(variable) {
            Entry::Occupied(other) => {
                let (one, name) = (quote(other.get()), other.key());
                let message = format!("{one} and {} are the same environment variable, {name}", quote(&key));
                let problem = Problem::new(message).label("there already").help("rename one of them");
                return entry.refuse_key(problem).unwrap_or_default();
            }
            Entry::Vacant(free) => free.insert(key.clone()),
        };
        if let Some(text) = scalar(entry).map(as_text) {
            config.insert(key, text);
            places.push(entry.place());
        }
    });
    (config, places)
}

/// Where the keys, the tables and the values of `config` stand.
pub(super) fn config_keys(config: &Value<'_>) -> ConfigKeys {
    let mut keys = ConfigKeys::default();
    key_places(config, "", &mut keys);
    keys
}

fn key_places(table: &Value<'_>, prefix: &str, keys: &mut ConfigKeys) {
    // That it is a table has been seen, or refused, when it was read.
    let DeValue::Table(_) = table.item() else { return };
    for entry in table.table(quote(table.key)).iter().flat_map(Table::entries) {
        let key = dotted(prefix, entry.key);
        key_places(entry, &key, keys);
        if let DeValue::String(text) = entry.item() {
            keys.values.insert(key.clone(), inline(entry, text));
        }
        keys.keys.insert(key, entry.key_place.clone());
    }
}

/// The `resource` table: attributes that simhost does not set itself.
fn read_resource(value: &Value<'_>) -> IndexMap<String, Scalar> {
    attributes(value, &RESERVED_ATTRIBUTES)
}

/// Attributes of any name, with nested tables flattened: `service.owner`.
pub(super) fn read_attributes(value: &Value<'_>) -> IndexMap<String, Scalar> {
    attributes(value, &[])
}

fn attributes(value: &Value<'_>, reserved: &[(&str, &str)]) -> IndexMap<String, Scalar> {
    let mut attributes = IndexMap::new();
    flatten(value, "", &mut |key, entry| {
        if let Some((_, remedy)) = reserved.iter().find(|(name, _)| *name == key) {
            let problem = Problem::new(format!("simhost sets the attribute {} itself", quote(&key)));
            return entry.refuse_key(problem.label("cannot be set here").help(*remedy)).unwrap_or_default();
        }
        if key.is_empty() || attributes.contains_key(&key) {
            let what = if key.is_empty() { "an attribute without a name" } else { "an attribute twice" };
            let problem = Problem::new(format!("{} names {what}: {}", value.key, quote(&key)));
            let problem = problem.label("this one").help("give each attribute a name of its own");
            return entry.refuse_key(problem).unwrap_or_default();
        }
        if let Some(scalar) = scalar(entry) {
            attributes.insert(key, scalar);
        }
    });
    attributes
}

/// Calls `each` with the dotted key of every value that is not a table.
fn flatten<'a>(value: &Value<'a>, prefix: &str, each: &mut impl FnMut(String, &Value<'a>)) {
    let Some(table) = value.table(quote(value.key)) else { return };
    for entry in table.entries() {
        let key = dotted(prefix, entry.key);
        match entry.item() {
            DeValue::Table(_) => flatten(entry, &key, each),
            _ => each(key, entry),
        }
    }
}

fn dotted(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

fn scalar(value: &Value<'_>) -> Option<Scalar> {
    match value.item() {
        DeValue::String(text) => Some(Scalar::Text(text.clone().into_owned())),
        DeValue::Boolean(flag) => Some(Scalar::Bool(*flag)),
        DeValue::Float(_) => value.number("a finite number", |_| true).map(Scalar::Float),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(number) => Some(Scalar::Int(number)),
            Err(_) => value.refuse(
                Problem::new(format!("{} does not fit into 64 bits", quote(value.key)))
                    .label("too large")
                    .help("put it in quotes to pass it on as text"),
            ),
        },
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            value.refuse_kind("a string, a number, true or false", in_one_text(value))
        }
    }
}

/// How to write a list of texts as one text, as the guest `service` reads it; else how to write it as text.
fn in_one_text(value: &Value<'_>) -> String {
    let between = if value.key == "sql" { "; " } else { ", " };
    match texts(value.item()).as_slice() {
        [] => "put it in quotes to pass it on as text".to_owned(),
        all => format!("write one text: {} = {}", value.key, quote(&all.join(between))),
    }
}

/// As a guest reads it, where every value is text.
fn as_text(scalar: Scalar) -> String {
    match scalar {
        Scalar::Text(text) => text,
        Scalar::Bool(flag) => flag.to_string(),
        Scalar::Int(number) => number.to_string(),
        Scalar::Float(number) => format!("{number:?}"),
    }
}
