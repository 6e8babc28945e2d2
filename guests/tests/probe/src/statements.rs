//! Statements for databases.

use simhost_sdk::prelude::*;
use simhost_sdk::{clock, sql};

/// One statement outside of transactions, and what it was to the database.
pub fn query(Path(database): Path<String>, Json(asked): Json<Asked>) -> Json<Value> {
    let mut told = told(sql::query(&database, &asked.statement, &params(&asked.params)));
    told["work"] = sql::last_work().map_or(Value::Null, |work| {
        json!({ "steps": work.steps, "scanned": work.rows_scanned, "sorts": work.sorts, "plan": work.plan })
    });
    Json(told)
}

/// What a request asks for.
#[derive(Deserialize)]
pub struct Asked {
    statement: String,
    #[serde(default)]
    params: Vec<Value>,
}

/// Statements in one transaction, and how it ends.
#[derive(Deserialize)]
pub struct Several {
    statements: Vec<String>,
    /// `commit`, `rollback`, `leave` or `twice`.
    end: String,
    /// Milliseconds behind each statement.
    #[serde(default)]
    pause: u64,
}

pub fn transaction(Path(database): Path<String>, Json(asked): Json<Several>) -> Result<Json<Value>, Error> {
    let transaction = sql::Transaction::begin(&database)?;
    let mut results = Vec::new();
    for statement in &asked.statements {
        results.push(told(transaction.query(statement, &[])));
        clock::sleep(Duration::from_millis(asked.pause));
    }
    let end = match asked.end.as_str() {
        "commit" => ended(transaction.commit()),
        "rollback" => {
            transaction.rollback();
            Value::Null
        }
        // The handle stays behind.
        "leave" => {
            std::mem::forget(transaction);
            Value::Null
        }
        _ => Value::Null,
    };
    Ok(Json(json!({ "results": results, "end": end })))
}

fn params(values: &[Value]) -> Vec<sql::Value> {
    let value = |value: &Value| match value {
        Value::Bool(value) => sql::Value::Bool(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => sql::Value::Int(number),
            None => sql::Value::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => sql::Value::Text(text.clone()),
        _ => sql::Value::Null,
    };
    values.iter().map(value).collect()
}

fn told(result: Result<sql::Rows, sql::Error>) -> Value {
    match result {
        Ok(rows) => {
            let values: Vec<Vec<Value>> =
                rows.rows.iter().map(|row| row.iter().map(value).collect()).collect();
            json!({ "columns": rows.columns, "rows": values, "affected": rows.affected })
        }
        Err(error) => failed(&error),
    }
}

fn ended(result: Result<(), sql::Error>) -> Value {
    result.err().map_or(Value::Null, |error| failed(&error))
}

fn failed(error: &sql::Error) -> Value {
    json!({ "sqlstate": error.sqlstate(), "error": error.to_string() })
}

fn value(value: &sql::Value) -> Value {
    match value {
        sql::Value::Null => Value::Null,
        sql::Value::Bool(value) => json!(value),
        sql::Value::Int(value) => json!(value),
        sql::Value::Float(value) => json!(value),
        sql::Value::Text(value) => json!(value),
        sql::Value::Bytes(value) => json!(value),
    }
}
