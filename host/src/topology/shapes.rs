//! What may stand under a key, in general: how it is read, and how the reference and the schema
//! say it.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::key::Type;
use super::reader::Value;
use super::schema::Defs;

/// What a function reads.
#[derive(Debug)]
pub(crate) struct By<R> {
    pub words: &'static str,
    pub schema: fn(&mut Defs) -> Json,
    pub read: fn(&Value<'_>) -> Option<R>,
}

impl<R> Type for By<R> {
    type Read = R;

    fn read(&self, value: &Value<'_>) -> Option<R> {
        (self.read)(value)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.words)
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        (self.schema)(defs)
    }
}

/// What its reader takes apart by itself.
#[derive(Debug)]
pub(crate) struct Written {
    pub words: &'static str,
    pub schema: fn(&mut Defs) -> Json,
}

impl Type for Written {
    type Read = ();

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.words)
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        (self.schema)(defs)
    }
}

/// A whole number from the first to the second.
#[derive(Debug)]
pub(crate) struct Count(pub u32, pub u32);

impl Type for Count {
    type Read = u32;

    fn read(&self, value: &Value<'_>) -> Option<u32> {
        value.count(self.0..=self.1)
    }

    fn words(&self) -> Cow<'static, str> {
        Whole(self.0.into(), self.1.into()).words()
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        Whole(self.0.into(), self.1.into()).schema(defs)
    }
}

/// The largest of 32 bits, which bounds nothing.
const UNBOUNDED: u64 = u32::MAX as u64;

/// A number with commas: `1,000,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// [`Count`] beyond 32 bits.
#[derive(Debug)]
pub(crate) struct Whole(pub u64, pub u64);

impl Type for Whole {
    type Read = u64;

    fn read(&self, value: &Value<'_>) -> Option<u64> {
        value.whole(self.0..=self.1)
    }

    fn words(&self) -> Cow<'static, str> {
        let (least, most) = (self.0, self.1);
        match most {
            UNBOUNDED | u64::MAX => Cow::Owned(format!("a whole number from {least}")),
            most => Cow::Owned(format!("a whole number, {least} to {}", grouped(most))),
        }
    }

    fn schema(&self, _: &mut Defs) -> Json {
        json!({ "type": "integer", "minimum": self.0, "maximum": self.1 })
    }
}

/// A number from the first to the second; how to write it.
#[derive(Debug)]
pub(crate) struct Number(pub f64, pub f64, pub &'static str);

impl Type for Number {
    type Read = f64;

    fn read(&self, value: &Value<'_>) -> Option<f64> {
        value.number(self.2, |number| (self.0..=self.1).contains(&number))
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.2)
    }

    fn schema(&self, _: &mut Defs) -> Json {
        json!({ "type": "number", "minimum": self.0, "maximum": self.1 })
    }
}

/// One of a few words; `what` says what they are, in the singular.
#[derive(Debug)]
pub(crate) struct Choice<T: 'static> {
    pub what: &'static str,
    pub words: &'static [(&'static str, T)],
}

impl<T: Copy + Sync> Type for Choice<T> {
    type Read = T;

    fn read(&self, value: &Value<'_>) -> Option<T> {
        value.choice(self.what, self.words)
    }

    fn words(&self) -> Cow<'static, str> {
        let words: Vec<_> = self.words.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
        Cow::Owned(words.join(", "))
    }

    fn schema(&self, _: &mut Defs) -> Json {
        json!({ "enum": self.words.iter().map(|(word, _)| word).collect::<Vec<_>>() })
    }
}

impl<T: Copy + PartialEq> Choice<T> {
    /// A choice as the file would have it.
    pub fn written(&self, choice: T) -> String {
        let word = self.words.iter().find(|(_, of)| *of == choice);
        word.map(|(word, _)| format!("\"{word}\"")).unwrap_or_default()
    }
}

/// A list of values of one type; what to write, as Markdown.
#[derive(Debug)]
pub(crate) struct List<T> {
    pub words: &'static str,
    pub of: T,
}

impl<T: Type> Type for List<T> {
    type Read = Vec<T::Read>;

    fn read(&self, value: &Value<'_>) -> Option<Vec<T::Read>> {
        // All are read: each may be wrong.
        let read: Vec<_> = value.list()?.iter().map(|item| self.of.read(item)).collect();
        read.into_iter().collect()
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.words)
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        json!({ "type": "array", "items": self.of.schema(defs) })
    }
}

/// A value, or a list of one or more of its type; what to write, as Markdown.
#[derive(Debug)]
pub(crate) struct OneOrMore<T> {
    pub words: &'static str,
    pub of: T,
}

impl<T: Type> Type for OneOrMore<T> {
    type Read = Vec<T::Read>;

    fn read(&self, value: &Value<'_>) -> Option<Vec<T::Read>> {
        if !matches!(value.item(), DeValue::Array(_)) {
            return self.of.read(value).map(|one| vec![one]);
        }
        // All are read: each may be wrong.
        let read: Vec<_> = value.list()?.iter().map(|item| self.of.read(item)).collect();
        read.into_iter().collect()
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.words)
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        let one = self.of.schema(defs);
        json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}
