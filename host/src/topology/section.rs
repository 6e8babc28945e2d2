//! Tables of the topology file: which keys each may have. A table is opened with the keys that
//! its [`Section`] declares, and its readers get at no others.
//!
//! Editors that complete keys, such as those with taplo, look into `properties`, `items`, `anyOf`
//! and `$ref` of a schema. They take no notice of `then` nor of what stands beside a `$ref`, offer a
//! key again for each of `oneOf`, and lose the keys of a table with `allOf`. Therefore a table lists
//! all of its keys in `properties`, and has its rules behind `then`.

use std::borrow::Cow;

use serde_json::{Map, Value as Json, json};

use super::key::{Absence, Declared, Key, Type};
use super::reader::{Table, Value};
use super::schema::{Defs, sentence};

/// A table of the file: its keys, and which of them go together.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its name in the reference and in the schema: `ingress`, `retry`.
    pub name: &'static str,
    /// What it is about: a phrase of Markdown.
    pub says: &'static str,
    pub keys: Keys,
    pub rules: &'static [Rule],
}

/// Keys of a table, in the order in which messages and the reference have them.
pub(crate) type Keys = &'static [&'static dyn Declared];

/// Which keys of a table go together. Readers say what is wrong and what to write; this is for the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Exactly one of them is there.
    One(&'static [&'static str]),
    /// At most one of the two is there.
    NotBoth(&'static str, &'static str),
}

impl Section {
    /// The table that stands in a value; `what` is its name in messages. Keys that it may not have are noted.
    pub fn open<'a>(&self, value: &Value<'a>, what: impl Into<String>) -> Option<Table<'a>> {
        if !value.may_be_table() {
            return value.refuse_kind("a table", value.assigned(&self.form()));
        }
        let table = value.table(what)?;
        self.keys_of(&table);
        Some(table)
    }

    /// How to write it: with the keys that it has to have, or with some of those that it may have.
    fn form(&self) -> String {
        let needed = self.keys.iter().filter(|key| key.is_required()).map(|key| key.name());
        let one_of = self.rules.iter().filter_map(|rule| match rule {
            Rule::One(keys) => keys.first().copied(),
            Rule::NotBoth(..) => None,
        });
        let needed: Vec<_> = needed.chain(one_of).collect();
        let all: Vec<_> = if needed.is_empty() { names(self.keys).collect() } else { needed };
        let shown = all.iter().take(SHOWN_AT_MOST).map(|name| format!("{name} = …"));
        let more = (all.len() > SHOWN_AT_MOST).then(|| "…".to_owned());
        format!("{{ {} }}", shown.chain(more).collect::<Vec<_>>().join(", "))
    }

    /// Says that a table has these keys. Those that it may not have are noted.
    pub fn keys_of(&self, table: &Table<'_>) {
        table.know(names(self.keys));
        table.refuse_others();
    }

    /// Whether it has this key.
    pub fn has(&self, key: &str) -> bool {
        names(self.keys).any(|name| name == key)
    }

    /// Refers to its schema.
    pub fn refer(&self, defs: &mut Defs) -> Json {
        defs.refer(self.name, |defs| self.schema(defs))
    }

    /// What the schema says of this table.
    pub fn schema(&self, defs: &mut Defs) -> Json {
        defs.tables.push((self.name, table(self.keys)));
        let mut schema = object(self.keys, defs);
        schema["description"] = json!(sentence(self.says));
        // One of all keys is said in fewer words.
        let is_of_all = |rule: &&Rule| matches!(rule, Rule::One(keys) if keys.len() == self.keys.len());
        if self.rules.iter().any(|rule| is_of_all(&rule)) {
            schema["minProperties"] = json!(1);
            schema["maxProperties"] = json!(1);
        }
        let rules = self.rules.iter().filter(|rule| !is_of_all(rule));
        let several: Vec<_> = rules.flat_map(Rule::schemas).collect();
        if !several.is_empty() {
            schema["if"] = json!(true);
            schema["then"] = json!({ "allOf": several });
        }
        schema
    }
}

impl Rule {
    fn schemas(&self) -> Vec<Json> {
        let absent = |keys: &[&str]| {
            let absent: Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), json!(false))).collect();
            json!({ "properties": absent })
        };
        let not_both =
            |one: &str, other: &str| json!({ "if": { "required": [one] }, "then": absent(&[other]) });
        match *self {
            Self::One([one, other]) => {
                vec![json!({ "if": absent(&[one]), "then": { "required": [other] } }), not_both(one, other)]
            }
            Self::One(keys) => {
                let pairs = keys
                    .iter()
                    .enumerate()
                    .flat_map(|(index, one)| keys[index + 1..].iter().map(move |other| not_both(one, other)));
                [json!({ "not": absent(keys) })].into_iter().chain(pairs).collect()
            }
            Self::NotBoth(one, other) => vec![not_both(one, other)],
        }
    }
}

/// A table that has these keys and no others.
pub(crate) fn object(keys: Keys, defs: &mut Defs) -> Json {
    let properties: Map<_, _> = keys.iter().map(|key| (key.name().to_owned(), key.schema(defs))).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let required: Vec<_> = keys.iter().filter(|key| key.is_required()).map(|key| key.name()).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A table of the reference, with a line for each key.
pub(crate) fn table(keys: Keys) -> String {
    let row = |key: &&dyn Declared| format!("| `{}` | {} |\n", key.name(), key.cells().join(" | "));
    let rows = keys.iter().map(row);
    ["| key | value | default | |\n|---|---|---|---|\n".to_owned()].into_iter().chain(rows).collect()
}

/// The names of keys.
pub(crate) fn names(keys: Keys) -> impl Iterator<Item = &'static str> {
    keys.iter().map(|key| key.name())
}

/// Keys of a table that a remedy shows.
const SHOWN_AT_MOST: usize = 3;

/// Keys of a table that the reference names where it stands.
const NAMED_AT_MOST: usize = 5;

/// A table with keys of its own.
#[derive(Debug)]
pub(crate) struct Sub(pub &'static Section);

impl Type for Sub {
    type Read = ();

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn words(&self) -> Cow<'static, str> {
        if self.0.keys.len() > NAMED_AT_MOST {
            return Cow::Borrowed("a table");
        }
        let keys: Vec<_> = names(self.0.keys).map(|key| format!("`{key}`")).collect();
        Cow::Owned(format!("a table of {}", keys.join(", ")))
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        self.0.refer(defs)
    }
}

impl<A: Absence> Key<Sub, A> {
    /// The table under this key, if there is one; `what` is its name in messages. Keys that it may
    /// not have are noted.
    pub fn open<'a>(&self, table: &Table<'a>, what: impl Into<String>) -> Option<Table<'a>> {
        self.of.0.open(&self.get(table)?, what)
    }
}

/// A list of tables with keys of their own: `[[links]]`.
#[derive(Debug)]
pub(crate) struct Subs(pub &'static Section);

impl Type for Subs {
    type Read = ();

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("a list of tables")
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        json!({ "type": "array", "items": self.0.refer(defs) })
    }
}

impl<A: Absence> Key<Subs, A> {
    /// The tables of this list; `what` is the name of one in messages. Keys that they may not have
    /// are noted.
    pub fn open<'a>(&self, table: &Table<'a>, what: &str) -> Vec<Table<'a>> {
        let tables = self.get(table).map(|value| value.tables(what)).unwrap_or_default();
        tables.iter().for_each(|table| self.of.0.keys_of(table));
        tables
    }
}

/// Tables of one sort by names that the user gives: `[services.NAME]`.
#[derive(Debug)]
pub(crate) struct Named {
    pub of: &'static Section,
    /// Of a name: a pattern; empty if any will do.
    pub pattern: fn() -> String,
    /// Tables that there are at least.
    pub least: usize,
}

impl Type for Named {
    type Read = ();

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("a table by name")
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        let tables = self.of.refer(defs);
        json!({
            "type": "object",
            "propertyNames": { "pattern": (self.pattern)() },
            "additionalProperties": tables,
            "minProperties": self.least,
        })
    }
}
