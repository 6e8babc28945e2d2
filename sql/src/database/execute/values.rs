//! Values on their way in and out.

use std::sync::Arc;

use rusqlite::CachedStatement;

use crate::catalogue::Catalogue;
use crate::error::{Failure, Result, sqlstate};
use crate::failure;
use crate::statement::Column;
use crate::translate::{Rows, Run, counted};
use crate::types::{Type, convert};
use crate::value::Value;

/// The values of parameters, as their types take them.
pub(super) fn converted(params: &[Value], types: &[Type], limits: &[(usize, Rows)]) -> Result<Vec<Value>> {
    if params.len() != types.len() {
        let message =
            format!("the statement has {} parameters, and {} values were given", types.len(), params.len());
        return Err(Failure::new("08P01", message).hint("give one value for each of $1, $2 …"));
    }
    let convert = |(value, kind): (&Value, &Type)| match (value, kind) {
        (Value::Text(text), _) if text.contains('\0') => Err(failure::nul()),
        (Value::Float(number), kind) if !number.is_finite() => {
            let kind = if *kind == Type::Unknown { Type::Float8 } else { *kind };
            convert(Value::Text(number.to_string()), kind, false)
        }
        (Value::Float(number), kind) if kind.is_integer() && libm::rint(*number) != *number => {
            let message = format!("invalid input syntax for type {}: \"{number}\"", kind.name());
            Err(Failure::new(sqlstate::INVALID_TEXT, message).hint("give a whole number"))
        }
        (value, kind) => convert(value.clone(), *kind, false),
    };
    let mut values = params.iter().zip(types).map(convert).collect::<Result<Vec<_>>>()?;
    for (at, what) in limits {
        values[*at] = counted(&values[*at], *what)?;
    }
    Ok(values)
}

/// Names and types of the columns of a result.
pub(super) fn described(prepared: &CachedStatement<'_>, run: &Run, catalogue: &Catalogue) -> Arc<[Column]> {
    let hidden = run.row_lock.as_ref().map_or(0, |lock| lock.tables.len());
    if let Some(outputs) = &run.outputs {
        return outputs
            .iter()
            .map(|output| Column { name: output.name.clone(), kind: output.kind })
            .collect();
    }
    let columns: Vec<Column> = prepared
        .columns_with_metadata()
        .map(|column| {
            let table = column.table_name().and_then(|table| catalogue.tables.get(table));
            let origin = table.zip(column.origin_name()).and_then(|(table, name)| table.column(name));
            Column {
                name: column.name().to_owned(),
                kind: origin.map_or(Type::Unknown, |column| column.kind),
            }
        })
        .collect();
    columns[..columns.len() - hidden].into()
}

/// SQLite has no truth values, and gives whole numbers where a float has no fraction.
pub(super) fn typed(mut rows: Vec<Vec<Value>>, columns: &[Column]) -> Vec<Vec<Value>> {
    for (at, column) in columns.iter().enumerate() {
        let of: fn(i64) -> Value = match column.kind {
            Type::Bool => |number| Value::Bool(number != 0),
            Type::Float4 | Type::Float8 | Type::Numeric(_) => |number| Value::Float(number as f64),
            _ => continue,
        };
        for row in &mut rows {
            if let Some(value) = row.get_mut(at)
                && let Value::Int(number) = *value
            {
                *value = of(number);
            }
        }
    }
    rows
}
