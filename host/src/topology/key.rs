//! Keys of the topology file. Each is declared once: what reads it, what holds where it is
//! left out, and what the reference says of it are made from the declaration.

use std::borrow::Cow;

use toml::de::DeTable;

use super::reader::{Problems, Table, Value};

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key<T, A> {
    pub name: &'static str,
    /// What may stand there.
    pub of: T,
    /// What holds where the key is left out.
    pub absent: A,
    /// What it means: a phrase of Markdown.
    pub says: &'static str,
}

/// What may stand under a key.
pub(super) trait Type: Sync {
    type Read;

    /// Reads a value. None: it is wrong, and that is noted.
    fn read(&self, value: &Value<'_>) -> Option<Self::Read>;

    /// What to write, as Markdown: `a time or a distribution`.
    fn words(&self) -> Cow<'static, str>;
}

/// What holds where a key is left out.
pub(super) trait Absence<T: Type>: Sync {
    type Read;

    /// Reads the key's value in a table, or takes what holds without one. None: something is
    /// wrong, and that is noted.
    fn read(
        &self,
        key: &'static str,
        of: &T,
        value: Option<Value<'_>>,
        table: &Table<'_>,
    ) -> Option<Self::Read>;

    /// What the reference says of it, as Markdown.
    fn words(&self) -> Cow<'static, str>;
}

/// The key has to be there; how to write it.
#[derive(Debug)]
pub(super) struct Required(pub &'static str);

/// Nothing, or what depends on other keys: in words.
#[derive(Debug)]
pub(super) struct Optional(pub &'static str);

/// This, as the file would have it.
#[derive(Debug)]
pub(super) struct Usual(pub &'static str);

impl<T: Type> Absence<T> for Required {
    type Read = T::Read;

    fn read(
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
}

impl<T: Type> Absence<T> for Optional {
    type Read = Option<T::Read>;

    fn read(
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

impl<T: Type> Absence<T> for Usual {
    type Read = T::Read;

    fn read(&self, key: &'static str, of: &T, value: Option<Value<'_>>, _: &Table<'_>) -> Option<T::Read> {
        match value {
            Some(value) => of.read(&value),
            None => self.value(key, of),
        }
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("`{}`", self.0))
    }
}

impl Usual {
    /// The default, read as if it stood in the file.
    fn value<T: Type>(&self, key: &'static str, of: &T) -> Option<T::Read> {
        let text = format!("{key} = {}", self.0);
        let document = DeTable::parse(&text).ok()?;
        let problems = Problems::new(&text);
        let [value] = Table::root(&document, &problems).some([key]);
        of.read(&value?)
    }
}

impl<T: Type, A: Absence<T>> Key<T, A> {
    /// Reads the key in a table that may have it. None: something is wrong, and that is noted.
    pub fn read(&self, table: &Table<'_>) -> Option<A::Read> {
        let [value] = table.some([self.name]);
        self.absent.read(self.name, &self.of, value, table)
    }

    /// Its value as it stands in the table, for what is read together with other keys.
    pub fn get<'a>(&self, table: &Table<'a>) -> Option<Value<'a>> {
        let [value] = table.some([self.name]);
        value
    }
}

impl<T: Type> Key<T, Required> {
    /// Its value as it stands in the table. That it is missing is noted.
    pub fn need<'a>(&self, table: &Table<'a>) -> Option<Value<'a>> {
        table.need(self.name, self.get(table), self.absent.0)
    }
}

/// A key, whatever its value is.
pub(super) trait Declared: Sync {
    fn name(&self) -> &'static str;

    /// The line of a table in the reference.
    fn row(&self) -> String;
}

impl<T: Type, A: Absence<T>> Declared for Key<T, A> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn row(&self) -> String {
        format!("| `{}` | {} | {} | {} |\n", self.name, self.of.words(), self.absent.words(), self.says)
    }
}

impl std::fmt::Debug for dyn Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
