//! The keys of `target = { … }`.

use serde_json::json;
use toml::de::DeValue;

use super::super::address;
use super::super::key::{Declared, Key, Optional, RequiredIf};
use super::super::patterns;
use super::super::reader::{Table, Value};
use super::super::schema::text;
use super::super::section::{Section, Sub};
use super::super::shapes::{By, Count, Written};
use super::super::types::{self, TEXT};
use crate::error::Problem;

/// Targets of which one is drawn.
const ONE_OF_AT_MOST: usize = 1_000;

pub(super) static TARGET: Key<Sub, RequiredIf> = Key {
    name: "target",
    of: Sub(&SEVERAL),
    absent: RequiredIf(
        "but for `collector-down`",
        "name the service that the fault applies to: target = { service = \"…\" }",
    ),
    says: "the service and what of it, the database, the cache or the topic: see [target](faults.md#target)",
};

/// The keys of a target: what holds several, and behind it those of each.
static KEYS: [&dyn Declared; 13] = [
    &ONE_OF,
    &SERVICE,
    &FROM,
    &LINK,
    &ROUTE,
    &REPLICA,
    &FROM_REPLICA,
    &SPAN,
    &DATABASE,
    &CACHE,
    &TOPIC,
    &GROUP,
    &PARTITION,
];

/// The target of a fault, or several.
pub(super) static SEVERAL: Section = Section {
    name: "target",
    says: "what a fault strikes: a service and what of it, a database, a cache, or a topic and what of it",
    keys: &KEYS,
    rules: &[],
};

pub(super) static EACH: Section = Section {
    name: "one-of",
    says: "one of several targets, of which one is drawn",
    keys: KEYS.split_at(1).1,
    rules: &[],
};

pub(super) static ONE_OF: Key<Written, Optional> = Key {
    name: "one-of",
    of: Written {
        words: "a list of tables",
        schema: |defs| {
            let each = EACH.refer(defs);
            json!({ "type": "array", "items": each, "minItems": 1, "maxItems": ONE_OF_AT_MOST })
        },
    },
    absent: Optional("none"),
    says: "several targets, of which one is drawn; each has the other keys of this table",
};

pub(super) static SERVICE: Key<Written, Optional> = Key {
    name: "service",
    of: types::SERVICE,
    absent: Optional("required without `link`, `one-of`, `database`, `cache` and `topic`"),
    says: "the called service, or the one whose replicas or spans are meant",
};

pub(super) static DATABASE: Key<By<String>, Optional> = Key {
    name: "database",
    of: TEXT,
    absent: Optional("required of kinds that strike databases, without `one-of`; they have no other key"),
    says: "the database: a name of `[databases]`",
};

pub(super) static CACHE: Key<By<String>, Optional> = Key {
    name: "cache",
    of: TEXT,
    absent: Optional("required of kinds that strike caches alone; beside it there is no other key"),
    says: "the cache: a name of `[caches]`",
};

pub(super) static FROM: Key<Written, Optional> = Key {
    name: "from",
    of: types::SERVICE,
    absent: Optional("any"),
    says: "the calling service; requests from outside have none",
};

pub(super) static LINK: Key<Written, Optional> = Key {
    name: "link",
    of: Written { words: "two services", schema: |_| text(".+->.+") },
    absent: Optional("none"),
    says: "`\"order-service -> payment-service\"`: short for `from` and `service`",
};

pub(super) static ROUTE: Key<By<String>, Optional> = Key {
    name: "route",
    of: By {
        words: "a method and a path",
        schema: |_| text(patterns::ROUTE),
        read: |value| value.read(address::route),
    },
    absent: Optional("any"),
    says: "as its guest names it: `\"POST /stock/{item}/reserve\"`",
};

pub(super) static REPLICA: Key<Count, Optional> = Key {
    name: "replica",
    of: Count(0, u32::MAX),
    absent: Optional("any"),
    says: "the replica that has the request, or that is meant, from 0",
};

pub(super) static FROM_REPLICA: Key<Count, Optional> = Key {
    name: "from-replica",
    of: Count(0, u32::MAX),
    absent: Optional("any"),
    says: "the replica that calls, from 0; with `from` or `link`",
};

pub(super) static SPAN: Key<By<String>, Optional> = Key {
    name: "span",
    of: TEXT,
    absent: Optional("any"),
    says: "the name of a span that the guest makes; of `latency`, `lose-spans`, `late-spans` and `cardinality`",
};

pub(super) static TOPIC: Key<By<String>, Optional> = Key {
    name: "topic",
    of: TEXT,
    absent: Optional(
        "required of kinds that strike messages or groups, which have `group` or `partition` beside it",
    ),
    says: "the topic: a name of `[topics]`",
};

pub(super) static GROUP: Key<By<String>, Optional> = Key {
    name: "group",
    of: TEXT,
    absent: Optional("any"),
    says: "a group that consumes the topic; of kinds that strike groups",
};

pub(super) static PARTITION: Key<Count, Optional> = Key {
    name: "partition",
    of: Count(0, u32::MAX),
    absent: Optional("any"),
    says: "a partition of the topic, from 0; of kinds that strike messages",
};

/// The targets of which one is drawn, which stand alone.
pub(super) fn several_of<'a>(
    table: &Table<'a>,
    several: &Value<'a>,
    example: &str,
) -> Option<Vec<Value<'a>>> {
    for other in table.entries().iter().filter(|entry| entry.key != several.key) {
        other.refuse_key::<()>(
            Problem::new(format!("the target has both one-of and {}", other.key))
                .label("one-of is given as well")
                .help("write it into each target of one-of"),
        );
    }
    if !matches!(several.item(), DeValue::Array(_)) {
        return several.refuse_kind("a list of targets", format!("write one-of = [{example}]"));
    }
    let values = several.list()?;
    if values.is_empty() || values.len() > ONE_OF_AT_MOST {
        let problem = Problem::new(format!("one-of has {} targets", values.len()));
        let help = format!("write 1 to {ONE_OF_AT_MOST}: one-of = [{example}]");
        return several.refuse(problem.label("none to draw from, or too many").help(help));
    }
    Some(values)
}
