//! Intervals: they are added to moments, and compared with the time between two.

use sqlparser::ast::{
    BinaryOperator as Op, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments,
};

use super::{Translator, literal};
use crate::error::{Failure, Result};
use crate::time::Interval;
use crate::types::{Category, Type};

/// How an interval is written.
pub(super) enum Written<'e> {
    /// A text: `interval '1 day'`, `'1 day'::interval`.
    Text(String),
    /// A text that is computed: `$1::interval`, `(n || ' days')::interval`.
    Computed(&'e Expr),
    /// `make_interval(days => 1)`.
    Made(&'e Function),
}

/// What `expr` says if it is an interval, and the number that it is multiplied by.
pub(super) fn of(expr: &Expr) -> Option<(Written<'_>, Option<&Expr>)> {
    match expr {
        Expr::Nested(inner) => of(inner),
        Expr::Interval(interval) => {
            let Expr::Value(value) = interval.value.as_ref() else { return None };
            let text = value.value.clone().into_string()?;
            // `'1-2' YEAR TO MONTH` has its units already.
            let text = match &interval.leading_field {
                Some(field) if interval.last_field.is_none() => format!("{text} {}", unit(field)),
                _ => text,
            };
            Some((Written::Text(text), None))
        }
        Expr::Cast { expr, data_type: DataType::Interval { .. }, .. } => {
            let constant = match expr.as_ref() {
                Expr::Value(value) => value.value.clone().into_string(),
                _ => None,
            };
            Some((constant.map_or(Written::Computed(expr), Written::Text), None))
        }
        Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("make_interval") => {
            Some((Written::Made(function), None))
        }
        Expr::BinaryOp { left, op: Op::Multiply, right } => match (of(left), of(right)) {
            (Some((text, None)), None) => Some((text, Some(right))),
            (None, Some((text, None))) => Some((text, Some(left))),
            _ => None,
        },
        _ => None,
    }
}

fn unit(field: &DateTimeField) -> String {
    field.to_string().to_lowercase()
}

/// The two moments of `a - b`.
pub(super) fn between<'e>(translator: &Translator<'_>, expr: &'e Expr) -> Option<(&'e Expr, &'e Expr)> {
    match expr {
        Expr::Nested(inner) => between(translator, inner),
        Expr::BinaryOp { left, op: Op::Minus, right } if of(right).is_none() => {
            let kinds = [translator.type_of(left), translator.type_of(right)];
            let are_moments =
                kinds.iter().all(|kind| matches!(kind.category(), Category::Date | Category::Unknown));
            let has_time = kinds.iter().any(|kind| matches!(kind, Type::Timestamp | Type::Timestamptz));
            (are_moments && has_time).then_some((left, right))
        }
        _ => None,
    }
}

impl Translator<'_> {
    /// A moment plus or minus an interval, which may be multiplied.
    pub(super) fn shifted(
        &mut self,
        moment: &Expr,
        interval: &Written<'_>,
        factor: Option<&Expr>,
        minus: bool,
        expected: Type,
    ) -> Result<()> {
        let kind = match self.type_of(moment) {
            Type::Timestamptz => Type::Timestamptz,
            Type::Unknown if expected == Type::Timestamptz => Type::Timestamptz,
            _ => Type::Timestamp,
        };
        self.inside("pg_shift(", moment, kind, ", ")?;
        match interval {
            Written::Text(text) => {
                Interval::parse(text)?;
                self.put(&literal(text));
            }
            Written::Computed(text) => self.expr(text, Type::Text)?,
            Written::Made(function) => self.made(function)?,
        }
        self.put(if minus { ", -(" } else { ", (" });
        match factor {
            Some(factor) => self.expr(factor, Type::Float8)?,
            None => self.put("1"),
        }
        self.put(&format!("), {})", kind.code()));
        Ok(())
    }

    /// The text of `make_interval(days => 1)`.
    fn made(&mut self, function: &Function) -> Result<()> {
        const UNITS: [(&str, &str); 7] = [
            ("years", "year"),
            ("months", "month"),
            ("weeks", "week"),
            ("days", "day"),
            ("hours", "hour"),
            ("mins", "minute"),
            ("secs", "second"),
        ];
        let FunctionArguments::List(list) = &function.args else { return Ok(()) };
        let mut parts = Vec::new();
        for (at, arg) in list.args.iter().enumerate() {
            let named = |name: &str| {
                UNITS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, unit)| *unit)
            };
            let part = match arg {
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                    named(&name.value).map(|unit| (unit, expr))
                }
                FunctionArg::ExprNamed { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                    named(&name.to_string()).map(|unit| (unit, expr))
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    UNITS.get(at).map(|(_, unit)| (*unit, expr))
                }
                _ => None,
            };
            parts.push(part.ok_or_else(|| {
                let hint =
                    "write make_interval(days => 1), with years, months, weeks, days, hours, mins or secs";
                Failure::unsupported(format!("the argument {arg} of make_interval"), hint)
            })?);
        }
        self.put("('0 second'");
        for (unit, expr) in parts {
            self.inside(" || ' ' || (", expr, Type::Float8, &format!(") || ' {unit}'"))?;
        }
        self.put(")");
        Ok(())
    }

    /// `a - b > interval '1 day'`; nothing if it is another comparison.
    pub(super) fn compares_between(&mut self, left: &Expr, op: &str, right: &Expr) -> Option<Result<()>> {
        let seconds = |expr| match of(expr) {
            Some((Written::Text(text), None)) => Some(Interval::parse(&text).map(Interval::seconds)),
            _ => None,
        };
        let mut sides = Vec::new();
        for (side, other) in [(left, right), (right, left)] {
            let text = match (between(self, side), seconds(side)) {
                (Some((later, earlier)), _) if seconds(other).is_some() || between(self, other).is_some() => {
                    self.apart(|this| this.part_between("epoch", later, earlier))
                }
                (None, Some(seconds)) => seconds.map(|seconds| format!("{seconds:?}")),
                _ => return None,
            };
            match text {
                Ok(text) => sides.push(text),
                Err(failure) => return Some(Err(failure)),
            }
        }
        self.append(&sides.join(op));
        Some(Ok(()))
    }

    /// A part of the time between two moments, as `extract` gives it.
    pub(super) fn part_between(&mut self, field: &str, later: &Expr, earlier: &Expr) -> Result<()> {
        self.put(&format!("pg_between({}, ", literal(field)));
        self.moment(later)?;
        self.put(", ");
        self.moment(earlier)?;
        self.put(")");
        Ok(())
    }
}
