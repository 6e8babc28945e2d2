//! Keys of the topology file. Each is declared once: what reads it, what holds where it is
//! left out, what the reference says of it and what the JSON Schema says are made from the
//! declaration.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use toml::de::DeTable;

use super::reader::{Problems, Table, Value};
use super::schema::{Defs, plain, sentence};

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key<T, A> {
    pub name: &'static str,
    /// What may stand there.
    pub of: T,
    /// What holds where the key is left out.
    pub absent: A,
    /// What it means: a phrase of Markdown.
    pub says: &'static str,
}

/// What may stand under a key.
pub(crate) trait Type: Sync {
    type Read;

    /// Reads a value. None: it is wrong, and that is noted.
    fn read(&self, value: &Value<'_>) -> Option<Self::Read>;

    /// What to write, as Markdown: `a time or a distribution`.
    fn words(&self) -> Cow<'static, str>;

    /// What to write, as JSON Schema. It takes whatever [`read`](Self::read) takes.
    fn schema(&self, defs: &mut Defs) -> Json;
}

/// What holds where a key is left out.
pub(crate) trait Absence: Sync {
    /// What reading gives for a value of this type.
    type Read<R>;

    /// Reads the key's value in a table, or takes what holds without one. None: something is
    /// wrong, and that is noted.
    fn read<T: Type>(
        &self,
        key: &'static str,
        of: &T,
        value: Option<Value<'_>>,
        table: &Table<'_>,
    ) -> Option<Self::Read<T::Read>>;

    /// What the reference says of it, as Markdown.
    fn words(&self) -> Cow<'static, str>;

    /// What the schema says of it.
    fn absence(&self) -> Absent {
        Absent::Explained(self.words())
    }
}

/// What the schema says of a key that is left out.
#[derive(Debug)]
pub(crate) enum Absent {
    Missing,
    /// The default, as the file would have it.
    Usual(Cow<'static, str>),
    /// What holds, in words.
    Explained(Cow<'static, str>),
}

/// The key has to be there; how to write it.
#[derive(Debug)]
pub(crate) struct Required(pub &'static str);

/// The key has to be there in some cases; in which, as Markdown, and how to write it. Its reader says
/// when it is one of them.
#[derive(Debug)]
pub(crate) struct RequiredIf(pub &'static str, pub &'static str);

/// Nothing, or what depends on other keys: in words.
#[derive(Debug)]
pub(crate) struct Optional(pub &'static str);

/// This, as the file would have it.
#[derive(Debug)]
pub(crate) struct Usual(pub &'static str);

/// What holds is the model's or computed: reading gives nothing then. How the file would write it.
#[derive(Debug)]
pub(crate) struct Computed(pub fn() -> String);

impl Absence for Required {
    type Read<R> = R;

    fn read<T: Type>(
        &self,
        key: &'static str,
        of: &T,
        value: Option<Value<'_>>,
        table: &Table<'_>,
    ) -> Option<T::Read> {
        of.read(&table.need(key, value, self.0)?)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("required")
    }

    fn absence(&self) -> Absent {
        Absent::Missing
    }
}

impl Absence for RequiredIf {
    type Read<R> = R;

    fn read<T: Type>(
        &self,
        key: &'static str,
        of: &T,
        value: Option<Value<'_>>,
        table: &Table<'_>,
    ) -> Option<T::Read> {
        Required(self.1).read(key, of, value, table)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("required {}", self.0))
    }
}

impl Absence for Optional {
    type Read<R> = Option<R>;

    fn read<T: Type>(
        &self,
        _: &'static str,
        of: &T,
        value: Option<Value<'_>>,
        _: &Table<'_>,
    ) -> Option<Option<T::Read>> {
        match value {
            Some(value) => of.read(&value).map(Some),
            None => Some(None),
        }
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.0)
    }
}

impl Absence for Usual {
    type Read<R> = R;

    fn read<T: Type>(
        &self,
        key: &'static str,
        of: &T,
        value: Option<Value<'_>>,
        _: &Table<'_>,
    ) -> Option<T::Read> {
        match value {
            Some(value) => of.read(&value),
            None => as_if_written(key, of, self.0),
        }
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("`{}`", self.0))
    }

    fn absence(&self) -> Absent {
        Absent::Usual(Cow::Borrowed(self.0))
    }
}

impl Absence for Computed {
    type Read<R> = Option<R>;

    fn read<T: Type>(
        &self,
        key: &'static str,
        of: &T,
        value: Option<Value<'_>>,
        table: &Table<'_>,
    ) -> Option<Option<T::Read>> {
        Optional("").read(key, of, value, table)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("`{}`", self.0()))
    }

    fn absence(&self) -> Absent {
        Absent::Usual(Cow::Owned(self.0()))
    }
}

/// A default, read as if it stood in the file.
fn as_if_written<T: Type>(key: &'static str, of: &T, usual: &str) -> Option<T::Read> {
    let text = format!("{key} = {usual}");
    let document = DeTable::parse(&text).ok()?;
    let problems = Problems::new(&text);
    of.read(Table::root(&document, &problems).entries().first()?)
}

impl<T: Type, A: Absence> Key<T, A> {
    /// Reads the key in a table that may have it. None: something is wrong, and that is noted.
    pub fn read(&self, table: &Table<'_>) -> Option<A::Read<T::Read>> {
        self.absent.read(self.name, &self.of, self.get(table), table)
    }

    /// Its value as it stands in the table, for what is read together with other keys.
    pub fn get<'a>(&self, table: &Table<'a>) -> Option<Value<'a>> {
        table.value(self.name)
    }

    /// What is written. None: nothing is, or it is wrong, and that is noted.
    pub fn written(&self, table: &Table<'_>) -> Option<T::Read> {
        self.of.read(&self.get(table)?)
    }
}

impl<T: Type> Key<T, Required> {
    /// Its value as it stands in the table. That it is missing is noted.
    pub fn need<'a>(&self, table: &Table<'a>) -> Option<Value<'a>> {
        table.need(self.name, self.get(table), self.absent.0)
    }
}

impl<T: Type> Key<T, RequiredIf> {
    /// Its value as it stands in a table that has to have it. That it is missing is noted.
    pub fn need<'a>(&self, table: &Table<'a>) -> Option<Value<'a>> {
        table.need(self.name, self.get(table), self.absent.1)
    }
}

impl<T: Type> Key<T, Usual> {
    /// [`read`](Self::read), with the default in place of what is wrong.
    pub fn or_usual(&self, table: &Table<'_>) -> T::Read {
        self.read(table).unwrap_or_else(|| self.usual())
    }

    /// The default.
    pub fn usual(&self) -> T::Read {
        let usual = as_if_written(self.name, &self.of, self.absent.0);
        usual.expect("a default is a value of its key")
    }
}

/// A key, whatever its value is.
pub(crate) trait Declared: Sync {
    fn name(&self) -> &'static str;

    /// What the reference says of it, as Markdown: what to write, what holds without it, what it means.
    fn cells(&self) -> [Cow<'static, str>; 3];

    /// What the schema says of its values, and of a table without it.
    fn schema(&self, defs: &mut Defs) -> Json;

    fn is_required(&self) -> bool;
}

impl<T: Type, A: Absence> Declared for Key<T, A> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cells(&self) -> [Cow<'static, str>; 3] {
        [self.of.words(), self.absent.words(), Cow::Borrowed(self.says)]
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        let mut schema = self.of.schema(defs);
        let words = self.of.words();
        let mut says = sentence(self.says);
        // A table has its own words in the schema.
        if !words.starts_with("a table") && !words.starts_with("a list of tables") {
            says.push_str(&format!(" Value: {}", plain(&words)));
            let form = schema.get("anyOf").map_or(&schema, |forms| &forms[0]);
            says.push_str(
                &form["examples"][0].as_str().map_or(String::new(), |it| format!(", such as `\"{it}\"`")),
            );
            says.push('.');
        }
        match self.absent.absence() {
            Absent::Missing => {}
            Absent::Usual(usual) => schema["default"] = default(&usual),
            Absent::Explained(words) if words == "none" => {}
            Absent::Explained(words) if words.starts_with("required") => {
                says.extend([" ", &sentence(&words)]);
            }
            Absent::Explained(words) => says.push_str(&format!(" Default: {}.", plain(&words))),
        }
        // An editor may show what one of several forms says, and not what is said of all of them.
        let forms = schema.get_mut("anyOf").and_then(Json::as_array_mut).into_iter().flatten();
        forms.filter(|form| form["$ref"].is_null()).for_each(|form| form["description"] = json!(says));
        schema["description"] = json!(says);
        schema
    }

    fn is_required(&self) -> bool {
        matches!(self.absent.absence(), Absent::Missing)
    }
}

/// A default as JSON.
fn default(usual: &str) -> Json {
    let table: Option<Json> = toml::from_str(&format!("usual = {usual}")).ok();
    table.map_or(Json::Null, |mut table| table["usual"].take())
}

/// A key that is declared already, in a table that takes the value of another one where it is left out.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub key: &'static dyn Declared,
    /// Whose value it takes, as Markdown.
    pub from: &'static str,
}

impl Declared for Inherited {
    fn name(&self) -> &'static str {
        self.key.name()
    }

    fn cells(&self) -> [Cow<'static, str>; 3] {
        let [words, _, says] = self.key.cells();
        [words, Cow::Borrowed(self.from), says]
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        let mut schema = self.key.schema(defs);
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("default");
        }
        schema
    }

    fn is_required(&self) -> bool {
        false
    }
}

impl std::fmt::Debug for dyn Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
