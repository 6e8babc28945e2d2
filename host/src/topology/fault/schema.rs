//! What the JSON Schema says of faults.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::super::key::Type;
use super::super::reader::Value;
use super::super::schema::Defs;
use super::super::section;
use super::COMMON;
use super::chance::{BY_CALLER, EVERY_NTH, FAIL_FIRST, MAX_ACTIVE, MAX_TOTAL, PROBABILITY};
use super::kinds::{self, Declaration, KIND, LooksAt, declarations};
use super::parts::MATCH;
use super::target_keys::TARGET;

/// A list of faults, each with the keys of its kind.
#[derive(Debug)]
pub(in super::super) struct Faults;

impl Type for Faults {
    type Read = ();

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("a list of tables")
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        json!({ "type": "array", "items": defs.refer(COMMON.name, schema) })
    }
}

/// What the schema says of a fault. Editors find the keys of all kinds in `properties`; which of them
/// its kind has, and what stands there, is behind `then`.
fn schema(defs: &mut Defs) -> Json {
    let mut keys: IndexMap<&str, Vec<Json>> = IndexMap::new();
    for key in declarations().flat_map(|declared| declared.keys) {
        let (schemas, schema) = (keys.entry(key.name()).or_default(), key.schema(defs));
        if !schemas.contains(&schema) {
            schemas.push(schema);
        }
    }
    defs.tables.push(("kinds", kinds::table()));
    let of_kinds: Vec<_> = declarations().map(|declared| of_kind(declared, &keys, defs)).collect();
    let mut schema = COMMON.schema(defs);
    for (key, mut schemas) in keys {
        let one = if schemas.len() == 1 { schemas.remove(0) } else { json!({ "anyOf": schemas }) };
        schema["properties"][key] = one;
    }
    schema["additionalProperties"] = json!(true);
    if let Some(rules) = schema["then"]["allOf"].as_array_mut() {
        rules.extend(of_kinds);
    }
    schema
}

/// What the schema says of a fault, if it is of this kind. `keys` are those of all kinds, each with
/// what the kinds say of it: where they agree, it has been said already.
fn of_kind(declared: &Declaration, keys: &IndexMap<&str, Vec<Json>>, defs: &mut Defs) -> Json {
    if !declared.keys.is_empty() {
        defs.tables.push((declared.kind.name, section::table(declared.keys)));
    }
    let common = section::names(COMMON.keys).filter(|key| may_have(declared, key));
    let names: Vec<_> = common.chain(section::names(declared.keys)).collect();
    let target = may_have(declared, TARGET.name).then_some(TARGET.name);
    let required = declared.keys.iter().filter(|key| key.is_required()).map(|key| key.name());
    let required: Vec<_> = required.chain(target).collect();
    let differ = declared.keys.iter().filter(|key| keys[key.name()].len() > 1);
    let own: Map<_, _> = differ.map(|key| (key.name().to_owned(), key.schema(defs))).collect();
    json!({
        "if": { "required": [KIND.name], "properties": { KIND.name: { "const": declared.kind.name } } },
        "then": { "propertyNames": { "enum": names }, "required": required, "properties": own },
    })
}

/// Whether a fault of this kind may have a key of [`COMMON`].
fn may_have(declared: &Declaration, key: &str) -> bool {
    let requests =
        [MATCH.name, FAIL_FIRST.name, EVERY_NTH.name, MAX_ACTIVE.name, MAX_TOTAL.name, BY_CALLER.name];
    let scope = declared.scope();
    match declared.looks_at {
        _ if key == PROBABILITY.name => scope.dice,
        LooksAt::Receivers if key == TARGET.name => false,
        LooksAt::Messages => key != MAX_ACTIVE.name,
        looks_at => looks_at == LooksAt::Requests || !requests.contains(&key),
    }
}
