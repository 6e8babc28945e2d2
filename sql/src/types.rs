//! PostgreSQL's types: how they are named and stored, and what of them a value is.

mod convert;

use sqlparser::ast::{
    ArrayElemTypeDef, CharacterLength, DataType, ExactNumberInfo, ObjectName, TimezoneInfo,
};

use crate::error::{Failure, Result, sqlstate};

pub(crate) use convert::{convert, round, text};

/// The type of a column or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// No type follows from the statement: the value is taken as it is.
    Unknown,
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// Digits in all and behind the point. Its values are floating-point numbers.
    Numeric(Option<(u16, u16)>),
    Text,
    /// The longest text, in characters.
    Varchar(Option<u32>),
    Char(u32),
    Bytea,
    Uuid,
    Json,
    Jsonb,
    Date,
    Time,
    Timestamp,
    Timestamptz,
}

/// Types of one category can be compared with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Unknown,
    Bool,
    Number,
    Text,
    Bytea,
    Uuid,
    Json,
    Date,
    Time,
}

impl Type {
    /// The type that a statement names, and whether it is one that counts (`serial`).
    pub(crate) fn of(data: &DataType) -> Result<(Self, bool)> {
        let length = |length: &Option<CharacterLength>| match length {
            Some(CharacterLength::IntegerLength { length, .. }) => u32::try_from(*length).ok(),
            _ => None,
        };
        Ok((
            match data {
                DataType::Bool | DataType::Boolean => Self::Bool,
                DataType::SmallInt(_) | DataType::Int2(_) => Self::Int2,
                DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => Self::Int4,
                DataType::BigInt(_) | DataType::Int8(_) => Self::Int8,
                DataType::Real | DataType::Float4 => Self::Float4,
                DataType::Float8 | DataType::DoublePrecision | DataType::Double(_) | DataType::Float(_) => {
                    Self::Float8
                }
                DataType::Numeric(info) | DataType::Decimal(info) | DataType::Dec(info) => numeric(info)?,
                DataType::Text => Self::Text,
                DataType::Varchar(n) | DataType::CharacterVarying(n) | DataType::CharVarying(n) => {
                    Self::Varchar(length(n))
                }
                DataType::Char(n) | DataType::Character(n) => Self::Char(length(n).unwrap_or(1)),
                DataType::Bytea => Self::Bytea,
                DataType::Uuid => Self::Uuid,
                // An array is a text, such as {1,2}.
                DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
                    Self::of(element)?;
                    Self::Text
                }
                DataType::JSON => Self::Json,
                DataType::JSONB => Self::Jsonb,
                DataType::Date => Self::Date,
                DataType::Time(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Self::Time,
                DataType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Self::Timestamp,
                DataType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => Self::Timestamptz,
                DataType::Custom(name, _) => return custom(name),
                other => return Err(unsupported(&other.to_string())),
            },
            false,
        ))
    }

    /// The type of the elements of an array type, as in `$1::text[]`.
    pub(crate) fn of_elements(data: &DataType) -> Option<Result<Self>> {
        match data {
            DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => {
                Some(Self::of(element).map(|(kind, _)| kind))
            }
            _ => None,
        }
    }

    /// Its name in messages, and as `simhost sql` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric(_) => "numeric",
            Self::Text => "text",
            Self::Varchar(_) => "character varying",
            Self::Char(_) => "character",
            Self::Bytea => "bytea",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Date => "date",
            Self::Time => "time without time zone",
            Self::Timestamp => "timestamp without time zone",
            Self::Timestamptz => "timestamp with time zone",
        }
    }

    /// Bits of its whole numbers, with their sign.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Int2 => 16,
            Self::Int4 => 32,
            _ => 64,
        }
    }

    /// The type of a column of SQLite's STRICT tables that holds it.
    pub(crate) fn storage(self) -> &'static str {
        match self {
            Self::Bool | Self::Int2 | Self::Int4 | Self::Int8 => "INTEGER",
            Self::Float4 | Self::Float8 | Self::Numeric(_) => "REAL",
            Self::Bytea => "BLOB",
            Self::Unknown => "ANY",
            _ => "TEXT",
        }
    }

    pub(crate) fn category(self) -> Category {
        match self {
            Self::Unknown => Category::Unknown,
            Self::Bool => Category::Bool,
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Float4 | Self::Float8 | Self::Numeric(_) => {
                Category::Number
            }
            Self::Text | Self::Varchar(_) | Self::Char(_) => Category::Text,
            Self::Bytea => Category::Bytea,
            Self::Uuid => Category::Uuid,
            Self::Json | Self::Jsonb => Category::Json,
            Self::Date | Self::Timestamp | Self::Timestamptz => Category::Date,
            Self::Time => Category::Time,
        }
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(self, Self::Int2 | Self::Int4 | Self::Int8)
    }

    /// Whether every value of the category fits, so that nothing has to look at it.
    pub(crate) fn takes_all(self) -> bool {
        matches!(self, Self::Unknown | Self::Bool | Self::Int8 | Self::Float8 | Self::Text | Self::Bytea)
            || matches!(self, Self::Numeric(None) | Self::Varchar(None))
    }

    /// The type as a number in SQL, for the function that casts.
    pub(crate) fn code(self) -> i64 {
        let pair = |kind: i64, a: u32, b: u32| kind | i64::from(a) << 8 | i64::from(b) << 40;
        match self {
            Self::Numeric(Some((precision, scale))) => pair(30, u32::from(precision), u32::from(scale)),
            Self::Varchar(Some(length)) => pair(31, length, 0),
            Self::Char(length) => pair(32, length, 0),
            plain => PLAIN.iter().position(|kind| *kind == plain).unwrap_or_default() as i64,
        }
    }

    pub(crate) fn from_code(code: i64) -> Self {
        let (a, b) = ((code >> 8) as u32, (code >> 40) as u32);
        match code & 0xff {
            30 => Self::Numeric(Some((a as u16, b as u16))),
            31 => Self::Varchar(Some(a)),
            32 => Self::Char(a),
            plain => PLAIN.get(plain as usize).copied().unwrap_or(Self::Unknown),
        }
    }
}

const PLAIN: [Type; 18] = [
    Type::Unknown,
    Type::Bool,
    Type::Int2,
    Type::Int4,
    Type::Int8,
    Type::Float4,
    Type::Float8,
    Type::Numeric(None),
    Type::Text,
    Type::Varchar(None),
    Type::Bytea,
    Type::Uuid,
    Type::Json,
    Type::Jsonb,
    Type::Date,
    Type::Time,
    Type::Timestamp,
    Type::Timestamptz,
];

fn numeric(info: &ExactNumberInfo) -> Result<Type> {
    let (precision, scale) = match *info {
        ExactNumberInfo::None => return Ok(Type::Numeric(None)),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale.max(0) as u64),
    };
    if precision == 0 || precision > 1_000 || scale > precision {
        let message =
            format!("NUMERIC precision {precision} must be between 1 and 1000, and not below the scale");
        return Err(Failure::new(sqlstate::INVALID_PARAMETER, message)
            .hint("write numeric(10, 2) for ten digits, two of them behind the point"));
    }
    Ok(Type::Numeric(Some((precision as u16, scale as u16))))
}

fn custom(name: &ObjectName) -> Result<(Type, bool)> {
    let name = name.to_string().to_ascii_lowercase();
    Ok(match name.trim_start_matches("pg_catalog.") {
        "serial" | "serial4" => (Type::Int4, true),
        "bigserial" | "serial8" => (Type::Int8, true),
        "smallserial" | "serial2" => (Type::Int2, true),
        "timestamptz" => (Type::Timestamptz, false),
        "bpchar" => (Type::Varchar(None), false),
        "citext" => return Err(unsupported("citext")),
        other => {
            let message = format!("type \"{other}\" does not exist");
            let hint = "use a built-in type; for an enumeration, text with CHECK (column IN ('…', '…'))";
            return Err(Failure::new(sqlstate::UNDEFINED_OBJECT, message).hint(hint));
        }
    })
}

fn unsupported(name: &str) -> Failure {
    Failure::unsupported(
        format!("the type {name}"),
        "use boolean, smallint, integer, bigint, real, double precision, numeric, text, varchar, bytea, uuid, json, \
         date, time, timestamp or timestamptz",
    )
}
