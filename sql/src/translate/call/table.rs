//! Which functions there are.

use crate::types::Type;

/// What a function gives.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    Is(Type),
    /// The type of its first argument that has one.
    Same,
    /// The sum of such values.
    Sum,
}

/// What its arguments are, if they are literals in quotes or parameters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Whatever the other arguments are.
    Same,
    /// Each its own.
    Any,
    Texts,
    Numbers,
    /// A text, then numbers.
    TextNumbers,
    /// The name of a part, then a moment.
    PartMoment,
}

/// A function: its name, its fewest and most arguments, its name in SQLite, and its types.
pub(super) struct Known(
    pub(super) &'static str,
    pub(super) usize,
    pub(super) usize,
    pub(super) &'static str,
    pub(super) Takes,
    pub(super) Gives,
);

use Gives::{Is, Same, Sum};
use Takes::{Any, Numbers, PartMoment, TextNumbers, Texts};

const MANY: usize = 100;

pub(super) const SCALARS: &[Known] = &[
    Known("abs", 1, 1, "abs", Numbers, Same),
    Known("ceil", 1, 1, "pg_ceil", Numbers, Same),
    Known("ceiling", 1, 1, "pg_ceil", Numbers, Same),
    Known("floor", 1, 1, "pg_floor", Numbers, Same),
    Known("round", 1, 2, "pg_round", Numbers, Same),
    Known("trunc", 1, 2, "pg_trunc", Numbers, Same),
    Known("sign", 1, 1, "sign", Numbers, Same),
    Known("mod", 2, 2, "pg_mod", Numbers, Same),
    Known("div", 2, 2, "pg_quotient", Numbers, Same),
    Known("sqrt", 1, 1, "pg_sqrt", Numbers, Is(Type::Float8)),
    Known("power", 2, 2, "pg_power", Numbers, Is(Type::Float8)),
    Known("pow", 2, 2, "pg_power", Numbers, Is(Type::Float8)),
    Known("exp", 1, 1, "pg_exp", Numbers, Is(Type::Float8)),
    Known("ln", 1, 1, "pg_ln", Numbers, Is(Type::Float8)),
    Known("log", 1, 1, "pg_log", Numbers, Is(Type::Float8)),
    Known("random", 0, 0, "pg_random", Numbers, Is(Type::Float8)),
    Known("length", 1, 1, "length", Texts, Is(Type::Int4)),
    Known("char_length", 1, 1, "length", Texts, Is(Type::Int4)),
    Known("character_length", 1, 1, "length", Texts, Is(Type::Int4)),
    Known("octet_length", 1, 1, "octet_length", Texts, Is(Type::Int4)),
    Known("lower", 1, 1, "pg_lower", Texts, Is(Type::Text)),
    Known("upper", 1, 1, "pg_upper", Texts, Is(Type::Text)),
    Known("initcap", 1, 1, "pg_initcap", Texts, Is(Type::Text)),
    Known("reverse", 1, 1, "pg_reverse", Texts, Is(Type::Text)),
    Known("btrim", 1, 2, "pg_btrim", Texts, Is(Type::Text)),
    Known("ltrim", 1, 2, "pg_ltrim", Texts, Is(Type::Text)),
    Known("rtrim", 1, 2, "pg_rtrim", Texts, Is(Type::Text)),
    Known("left", 2, 2, "pg_left", TextNumbers, Is(Type::Text)),
    Known("right", 2, 2, "pg_right", TextNumbers, Is(Type::Text)),
    Known("lpad", 2, 3, "pg_lpad", Any, Is(Type::Text)),
    Known("rpad", 2, 3, "pg_rpad", Any, Is(Type::Text)),
    Known("repeat", 2, 2, "pg_repeat", TextNumbers, Is(Type::Text)),
    Known("replace", 3, 3, "pg_replace", Texts, Is(Type::Text)),
    Known("translate", 3, 3, "pg_translate", Texts, Is(Type::Text)),
    Known("split_part", 3, 3, "pg_split_part", Any, Is(Type::Text)),
    Known("starts_with", 2, 2, "pg_starts_with", Texts, Is(Type::Bool)),
    Known("strpos", 2, 2, "pg_strpos", Texts, Is(Type::Int4)),
    Known("substr", 2, 3, "pg_substr", TextNumbers, Is(Type::Text)),
    Known("substring", 2, 3, "pg_substr", TextNumbers, Is(Type::Text)),
    Known("concat", 1, MANY, "concat", Any, Is(Type::Text)),
    Known("concat_ws", 2, MANY, "concat_ws", Any, Is(Type::Text)),
    Known("ascii", 1, 1, "unicode", Texts, Is(Type::Int4)),
    Known("chr", 1, 1, "pg_chr", Numbers, Is(Type::Text)),
    Known("to_hex", 1, 1, "pg_to_hex", Numbers, Is(Type::Text)),
    Known("coalesce", 1, MANY, "coalesce", Takes::Same, Same),
    Known("nullif", 2, 2, "nullif", Takes::Same, Same),
    Known("greatest", 1, MANY, "pg_greatest", Takes::Same, Same),
    Known("least", 1, MANY, "pg_least", Takes::Same, Same),
    Known("now", 0, 0, "pg_now", Takes::Same, Is(Type::Timestamptz)),
    Known("transaction_timestamp", 0, 0, "pg_now", Takes::Same, Is(Type::Timestamptz)),
    Known("current_timestamp", 0, 0, "pg_now", Takes::Same, Is(Type::Timestamptz)),
    Known("statement_timestamp", 0, 0, "pg_clock", Takes::Same, Is(Type::Timestamptz)),
    Known("clock_timestamp", 0, 0, "pg_clock", Takes::Same, Is(Type::Timestamptz)),
    Known("localtimestamp", 0, 0, "pg_local", Takes::Same, Is(Type::Timestamp)),
    Known("current_date", 0, 0, "pg_today", Takes::Same, Is(Type::Date)),
    Known("date_trunc", 2, 2, "pg_date_trunc", PartMoment, Is(Type::Timestamptz)),
    Known("date_part", 2, 2, "pg_extract", PartMoment, Is(Type::Float8)),
    Known("to_timestamp", 1, 1, "pg_to_timestamp", Numbers, Is(Type::Timestamptz)),
    Known("gen_random_uuid", 0, 0, "pg_uuid", Takes::Same, Is(Type::Uuid)),
    Known("uuid_generate_v4", 0, 0, "pg_uuid", Takes::Same, Is(Type::Uuid)),
    Known("json_build_object", 0, MANY, "json_object", Any, Is(Type::Json)),
    Known("jsonb_build_object", 0, MANY, "json_object", Any, Is(Type::Jsonb)),
    Known("json_build_array", 0, MANY, "json_array", Any, Is(Type::Json)),
    Known("jsonb_build_array", 0, MANY, "json_array", Any, Is(Type::Jsonb)),
    Known("json_array_length", 1, 1, "json_array_length", Takes::Same, Is(Type::Int4)),
    Known("jsonb_array_length", 1, 1, "json_array_length", Takes::Same, Is(Type::Int4)),
];

pub(super) const AGGREGATES: &[Known] = &[
    Known("count", 0, 1, "count", Takes::Same, Is(Type::Int8)),
    Known("sum", 1, 1, "sum", Numbers, Sum),
    Known("avg", 1, 1, "avg", Numbers, Is(Type::Float8)),
    Known("min", 1, 1, "min", Takes::Same, Same),
    Known("max", 1, 1, "max", Takes::Same, Same),
    Known("string_agg", 2, 2, "group_concat", Texts, Is(Type::Text)),
    Known("json_agg", 1, 1, "json_group_array", Any, Is(Type::Json)),
    Known("jsonb_agg", 1, 1, "json_group_array", Any, Is(Type::Jsonb)),
    Known("json_object_agg", 2, 2, "json_group_object", Any, Is(Type::Json)),
    Known("bool_and", 1, 1, "min", Takes::Same, Is(Type::Bool)),
    Known("every", 1, 1, "min", Takes::Same, Is(Type::Bool)),
    Known("bool_or", 1, 1, "max", Takes::Same, Is(Type::Bool)),
];

pub(super) const WINDOWS: &[Known] = &[
    Known("row_number", 0, 0, "row_number", Takes::Same, Is(Type::Int8)),
    Known("rank", 0, 0, "rank", Takes::Same, Is(Type::Int8)),
    Known("dense_rank", 0, 0, "dense_rank", Takes::Same, Is(Type::Int8)),
    Known("percent_rank", 0, 0, "percent_rank", Takes::Same, Is(Type::Float8)),
    Known("cume_dist", 0, 0, "cume_dist", Takes::Same, Is(Type::Float8)),
    Known("ntile", 1, 1, "ntile", Numbers, Is(Type::Int4)),
    Known("lag", 1, 3, "lag", Takes::Same, Same),
    Known("lead", 1, 3, "lead", Takes::Same, Same),
    Known("first_value", 1, 1, "first_value", Takes::Same, Same),
    Known("last_value", 1, 1, "last_value", Takes::Same, Same),
    Known("nth_value", 2, 2, "nth_value", Takes::Same, Same),
];

/// Functions of PostgreSQL that people try, and what to use in their place.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("array_agg", "use json_agg or string_agg"),
    ("age", "subtract by extract(epoch FROM …)"),
    ("format", "use || or concat"),
    ("md5", "use gen_random_uuid() for unique texts"),
    ("percentile_cont", "number the rows by percent_rank() in a subquery"),
    ("percentile_disc", "number the rows by percent_rank() in a subquery"),
    ("pg_sleep", "set the costs of the database in the topology"),
    ("regexp_replace", "use replace, split_part or substring"),
    ("regexp_matches", "use LIKE"),
    ("to_char", "use extract, date_trunc or a cast to text"),
    ("to_date", "cast a text in ISO 8601: '2026-01-31'::date"),
    ("to_number", "use a cast"),
    ("unnest", "use it in FROM"),
    ("generate_series", "use it in FROM"),
    ("pg_advisory_lock", "lock a row by SELECT … FOR UPDATE"),
    ("pg_advisory_xact_lock", "lock a row by SELECT … FOR UPDATE"),
    ("pg_try_advisory_lock", "lock a row by SELECT … FOR UPDATE SKIP LOCKED"),
    ("stddev", "use sqrt(avg(x * x) - avg(x) * avg(x))"),
];
