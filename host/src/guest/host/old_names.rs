//! Attributes of databases as they were called before the conventions were stable (semantic conventions 1.24,
//! "Semantic Conventions for Database Client Calls"): for `OTEL_SEMCONV_STABILITY_OPT_IN=database/dup`.
#![expect(deprecated, reason = "they are the old names")]

use opentelemetry_semantic_conventions::attribute;

use crate::telemetry::record::{KeyValue, Text};

/// Those of a statement of SQL: `summary` is that of the stable conventions.
pub fn of_statement(
    system: &'static str,
    database: &str,
    summary: &str,
    text: &str,
) -> impl Iterator<Item = KeyValue> {
    let mut words = summary.split(' ').filter(|word| !word.is_empty());
    let (operation, table, more) = (words.next(), words.next(), words.next());
    let owned = |text: &str| Text::Owned(text.to_owned());
    let table = table.filter(|_| more.is_none());
    [
        Some(KeyValue::new(attribute::DB_SYSTEM, system)),
        Some(KeyValue::new(attribute::DB_NAME, owned(database))),
        Some(KeyValue::new(attribute::DB_STATEMENT, owned(text))),
        operation.map(|operation| KeyValue::new(attribute::DB_OPERATION, owned(operation))),
        table.map(|table| KeyValue::new(attribute::DB_SQL_TABLE, owned(table))),
    ]
    .into_iter()
    .flatten()
}

/// Those of a command of a cache.
pub fn of_command(system: &'static str, text: &str) -> [KeyValue; 3] {
    [
        KeyValue::new(attribute::DB_SYSTEM, system),
        KeyValue::new(attribute::DB_STATEMENT, Text::Owned(text.to_owned())),
        KeyValue::new(attribute::DB_REDIS_DATABASE_INDEX, 0_i64),
    ]
}
