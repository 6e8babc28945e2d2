//! ANY and ALL: comparisons with each of several values.

use sqlparser::ast::{BinaryOperator as Op, Expr, FunctionArguments, Query};

use super::expr::unsupported;
use super::{Translator, call};
use crate::error::{Failure, Result};
use crate::types::Type;

/// The values that one is compared with.
enum Each<'e> {
    Query(&'e Query),
    /// `ARRAY[1, 2]`, and the type of its elements if it is cast.
    List(&'e [Expr], Option<Type>),
    /// A text such as `{1,2}`, or a parameter.
    Array(&'e Expr),
}

fn each(expr: &Expr) -> Result<Each<'_>> {
    Ok(match expr {
        Expr::Nested(inner) => each(inner)?,
        Expr::Subquery(query) => Each::Query(query),
        Expr::Array(array) => Each::List(&array.elem, None),
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("array") => {
            match &function.args {
                FunctionArguments::Subquery(query) => Each::Query(query),
                _ => return Err(unsupported(expr)),
            }
        }
        Expr::Cast { expr: inner, data_type, .. } => match (each(inner)?, Type::of_elements(data_type)) {
            (Each::List(list, _), Some(kind)) => Each::List(list, Some(kind?)),
            _ => Each::Array(expr),
        },
        other => Each::Array(other),
    })
}

impl Translator<'_> {
    /// `= ANY (…)` and `<> ALL (…)`.
    pub(super) fn any(&mut self, left: &Expr, right: &Expr, negated: bool) -> Result<()> {
        let not = if negated { " NOT IN (" } else { " IN (" };
        let kind = self.type_of(left);
        match each(right)? {
            Each::Query(query) => {
                self.operand(left, Type::Unknown)?;
                self.subquery(not, query)
            }
            Each::List(items, cast) => {
                let kind = if kind == Type::Unknown { cast.unwrap_or(kind) } else { kind };
                self.operand(left, kind)?;
                self.put(not);
                self.list(items, |this, item| this.operand(item, kind))?;
                self.put(")");
                Ok(())
            }
            Each::Array(array) => {
                self.operand(left, kind)?;
                self.put(not);
                self.put("SELECT value FROM ");
                self.elements(array, kind)?;
                self.put(")");
                Ok(())
            }
        }
    }

    /// Another comparison with any or all of several values, which is NULL where NULL could change it.
    pub(super) fn compared(&mut self, left: &Expr, op: &Op, right: &Expr, all: bool) -> Result<()> {
        let right = match each(right)? {
            Each::List(items, _) => {
                return self.with_each(items, all, |this, item| this.operation(left, op, item, Type::Bool));
            }
            other => other,
        };
        if !matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq) {
            let hint = "use a comparison, or list the values: LIKE ANY (ARRAY['a%', 'b%'])";
            return Err(Failure::unsupported(format!("the operator {op} with ANY or ALL"), hint));
        }
        if call::aggregates(left) {
            let hint = "compute the aggregate in a WITH query, and compare its column";
            return Err(Failure::unsupported("an aggregate before ANY or ALL of a query or an array", hint));
        }
        let kind = self.type_of(left);
        self.put("(WITH pg_each(pg_value) AS (");
        match right {
            Each::Query(query) => {
                self.query(query)?;
            }
            Each::Array(array) => {
                self.put("SELECT value FROM ");
                self.elements(array, kind)?;
            }
            Each::List(..) => {}
        }
        let text = self.apart(|this| {
            this.put("(");
            this.operand(left, kind)?;
            this.put(&format!(" {op} pg_value)"));
            Ok(())
        })?;
        self.put(") SELECT CASE WHEN ");
        let (extreme, decides) = if all { ("min", 0) } else { ("max", 1) };
        self.put(&format!("{extreme}({text}) = {decides} THEN {decides} WHEN count(*) > count({text}) "));
        self.put(&format!("THEN NULL ELSE {} END FROM pg_each)", 1 - decides));
        Ok(())
    }

    /// `LIKE ANY (ARRAY['a%', 'b%'])`.
    pub(super) fn like_any(
        &mut self,
        negated: bool,
        expr: &Expr,
        patterns: &Expr,
        any_case: bool,
    ) -> Result<()> {
        let Each::List(items, _) = each(patterns)? else { return Err(unsupported(patterns)) };
        self.with_each(items, false, |this, item| this.like(negated, expr, item, None, any_case))
    }

    fn with_each(
        &mut self,
        items: &[Expr],
        all: bool,
        mut write: impl FnMut(&mut Self, &Expr) -> Result<()>,
    ) -> Result<()> {
        self.put(if all { "(TRUE" } else { "(FALSE" });
        for item in items {
            self.put(if all { " AND (" } else { " OR (" });
            write(self, item)?;
            self.put(")");
            self.within()?;
        }
        self.put(")");
        Ok(())
    }

    /// The elements of an array that is a text or a parameter, as a table with the column `value`.
    pub(super) fn elements(&mut self, array: &Expr, expected: Type) -> Result<()> {
        let (array, kind) = match array {
            Expr::Cast { expr, data_type, .. } => match Type::of_elements(data_type) {
                Some(kind) => (expr.as_ref(), kind?),
                None => return Err(unsupported(array)),
            },
            other => (other, expected),
        };
        self.put("json_each(");
        self.inside_elements(|this| this.array_of(array, kind))?;
        self.put(")");
        Ok(())
    }
}
