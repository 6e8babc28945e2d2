//! Operators of JSON.

use sqlparser::ast::{BinaryOperator as Op, DataType, Expr, Value as Literal};

use super::{Translator, literal};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Category, Type};

impl Translator<'_> {
    pub(super) fn json_operation(&mut self, left: &Expr, op: &Op, right: &Expr) -> Result<()> {
        match op {
            Op::Arrow => self.json_step(left, " -> ", right),
            Op::LongArrow => {
                self.put("CAST(");
                self.json_step(left, " ->> ", right)?;
                self.put(" AS TEXT)");
                Ok(())
            }
            Op::HashArrow => {
                self.inside("(pg_read(", left, Type::Unknown, ") -> ")?;
                self.put(&literal(&path(right)?));
                self.put(")");
                Ok(())
            }
            Op::HashLongArrow => {
                self.inside("CAST(pg_read(", left, Type::Unknown, ") ->> ")?;
                self.put(&literal(&path(right)?));
                self.put(" AS TEXT)");
                Ok(())
            }
            Op::HashMinus => {
                self.inside("json_remove(pg_read(", left, Type::Unknown, "), ")?;
                self.put(&literal(&path(right)?));
                self.put(")");
                Ok(())
            }
            _ => {
                self.inside("(json_type(pg_read(", left, Type::Unknown, "), ")?;
                self.json_key(right)?;
                self.put(") IS NOT NULL)");
                Ok(())
            }
        }
    }

    fn json_step(&mut self, left: &Expr, op: &str, right: &Expr) -> Result<()> {
        self.inside("pg_read(", left, Type::Unknown, ")")?;
        self.put(op);
        match self.type_of(right) {
            Type::Unknown => self.operand(right, Type::Text),
            _ => self.operand(right, Type::Unknown),
        }
    }

    /// `json - 'key'` and `json - 1`.
    pub(super) fn json_without(&mut self, left: &Expr, right: &Expr) -> Result<()> {
        self.inside("json_remove(pg_read(", left, Type::Unknown, "), ")?;
        if self.type_of(right).category() == Category::Number {
            self.inside("pg_json_at(", right, Type::Int4, ")")?;
        } else {
            self.json_key(right)?;
        }
        self.put(")");
        Ok(())
    }

    /// The path of a key at the top of an object.
    fn json_key(&mut self, key: &Expr) -> Result<()> {
        self.inside("pg_json_at(", key, Type::Text, ")")
    }

    /// `whole @> part`, of JSON or of arrays.
    pub(super) fn contains(&mut self, whole: &Expr, part: &Expr) -> Result<()> {
        let kinds = [self.type_of(whole).category(), self.type_of(part).category()];
        if kinds.iter().any(|kind| !matches!(kind, Category::Json | Category::Text | Category::Unknown)) {
            let kinds = [whole, part].map(|expr| self.type_of(expr).name());
            let message = format!("operator does not exist: {} @> {}", kinds[0], kinds[1]);
            return Err(
                Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("use it with jsonb or arrays")
            );
        }
        let is_array = |expr: &Expr| match expr {
            Expr::Array(_) => true,
            Expr::Cast { data_type, .. } => matches!(data_type, DataType::Array(_)),
            _ => false,
        };
        let of_arrays = !kinds.contains(&Category::Json)
            && (is_array(whole) || is_array(part) || kinds.contains(&Category::Text));
        self.put("pg_contains(");
        for (expr, between) in [(whole, ", "), (part, ")")] {
            if of_arrays {
                self.put("pg_read(");
                self.array(expr)?;
                self.put(")");
            } else {
                self.inside("json(pg_read(", expr, Type::Unknown, "))")?;
            }
            self.put(between);
        }
        Ok(())
    }

    /// `jsonb_set(target, path, value, create)`.
    pub(super) fn json_set(&mut self, arguments: &[&Expr]) -> Result<()> {
        let (target, at, value, create) = match arguments {
            [target, at, value] => (target, at, value, true),
            [target, at, value, create] => match create {
                Expr::Value(truth) => (target, at, value, truth.value != Literal::Boolean(false)),
                _ => {
                    let hint = "write true or false as its last argument";
                    return Err(Failure::unsupported("this jsonb_set", hint));
                }
            },
            _ => {
                let message = format!("function jsonb_set with {} arguments does not exist", arguments.len());
                return Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("it takes 3 to 4"));
            }
        };
        self.put(if create { "json_set(pg_read(" } else { "json_replace(pg_read(" });
        self.expr(target, Type::Unknown)?;
        self.put("), ");
        self.put(&literal(&path(at)?));
        self.inside(", json(pg_read(", value, Type::Unknown, ")))")
    }
}

/// A path such as `{a,b,0}` as SQLite reads it. A whole number is a place in a list.
fn path(expr: &Expr) -> Result<String> {
    let written = match expr {
        Expr::Value(value) => value.value.clone().into_string(),
        Expr::Cast { expr, data_type: DataType::Array(_), .. } => match expr.as_ref() {
            Expr::Value(value) => value.value.clone().into_string(),
            _ => None,
        },
        _ => None,
    };
    let list = match expr {
        Expr::Array(array) => array
            .elem
            .iter()
            .map(|element| match element {
                Expr::Value(value) => value.value.clone().into_string(),
                _ => None,
            })
            .collect::<Option<Vec<String>>>(),
        _ => written.and_then(|text| {
            let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
            let parts = inner.split(',').filter(|_| !inner.is_empty());
            Some(parts.map(|part| part.trim().trim_matches('"').to_owned()).collect())
        }),
    };
    let Some(steps) = list.filter(|steps| steps.iter().all(|step| !step.contains(['"', '\\', '{', '}'])))
    else {
        let hint = "write the path as a constant, '{a,b,0}', or use -> for each of its steps";
        return Err(Failure::unsupported("a path of JSON that is computed", hint));
    };
    Ok(joined(&steps))
}

/// A path whose steps are arguments of their own.
pub(super) fn path_of(steps: &[&Expr]) -> Result<String> {
    let text = |step: &&Expr| match step {
        Expr::Value(value) => value.value.clone().into_string().filter(|step| !step.contains(['"', '\\'])),
        _ => None,
    };
    let steps: Option<Vec<String>> = steps.iter().map(text).collect();
    let steps = steps.ok_or_else(|| {
        let hint = "write its steps as constants, or use -> for each of them";
        Failure::unsupported("a path of JSON that is computed", hint)
    })?;
    Ok(joined(&steps))
}

fn joined(steps: &[String]) -> String {
    steps.iter().fold("$".to_owned(), |path, step| path + &crate::functions::json_step(step))
}
