//! Values, as they go in and come out.

use rusqlite::types::{ToSql, ToSqlOutput, Value as Stored, ValueRef};

/// A value of a parameter or of a result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    /// What it counts for in the bytes of a result.
    pub fn weight(&self) -> usize {
        16 + self.length()
    }

    /// Bytes of a text or of bytes; none of another value.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) => 0,
        }
    }

    /// As SQLite holds it. Text of SQLite that is no UTF-8 cannot come about: nothing writes it.
    pub(crate) fn from_ref(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(number) => Self::Int(number),
            ValueRef::Real(number) => Self::Float(number),
            // The check of a whole text takes an eighth of the time that a lossy reading takes.
            ValueRef::Text(text) => Self::Text(match std::str::from_utf8(text) {
                Ok(text) => text.to_owned(),
                Err(_) => String::from_utf8_lossy(text).into_owned(),
            }),
            ValueRef::Blob(bytes) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Stored::Null),
            Self::Bool(truth) => ToSqlOutput::Owned(Stored::Integer(i64::from(*truth))),
            Self::Int(number) => ToSqlOutput::Owned(Stored::Integer(*number)),
            Self::Float(number) => ToSqlOutput::Owned(Stored::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(bool => Bool, i32 => Int, i64 => Int, f64 => Float, &str => Text, String => Text, Vec<u8> => Bytes);
