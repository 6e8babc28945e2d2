//! Operators: of truth values, numbers, texts, moments and JSON.

use sqlparser::ast::{BinaryOperator as Op, DataType, Expr, UnaryOperator, Value as Literal};

use super::{Translator, interval};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Category, Type};

impl Translator<'_> {
    pub(super) fn operation(&mut self, left: &Expr, op: &Op, right: &Expr, expected: Type) -> Result<()> {
        match op {
            Op::And | Op::Or => {
                self.condition(left)?;
                self.put(if *op == Op::And { " AND " } else { " OR " });
                self.condition(right)
            }
            Op::Eq => self.comparison(left, " = ", right),
            Op::NotEq => self.comparison(left, " <> ", right),
            Op::Lt => self.comparison(left, " < ", right),
            Op::LtEq => self.comparison(left, " <= ", right),
            Op::Gt => self.comparison(left, " > ", right),
            Op::GtEq => self.comparison(left, " >= ", right),
            Op::Plus | Op::Minus => self.sum(left, op, right, expected),
            Op::Multiply if self.may_overflow(left, op, right) => {
                self.arithmetic("pg_times(", left, ", ", right, ")")
            }
            Op::Multiply => self.arithmetic("", left, " * ", right, ""),
            // A division by a constant other than zero needs no function.
            Op::Divide if is_nonzero(right) => self.arithmetic("", left, " / ", right, ""),
            Op::Modulo if is_nonzero(right) && self.type_of(left).is_integer() => {
                self.arithmetic("", left, " % ", right, "")
            }
            Op::Divide => self.arithmetic("pg_div(", left, ", ", right, ")"),
            Op::Modulo => self.arithmetic("pg_mod(", left, ", ", right, ")"),
            Op::PGExp => self.arithmetic("pg_power(", left, ", ", right, ")"),
            Op::BitwiseAnd => self.arithmetic("", left, " & ", right, ""),
            Op::BitwiseOr => self.arithmetic("", left, " | ", right, ""),
            Op::PGBitwiseShiftLeft => self.arithmetic("", left, " << ", right, ""),
            Op::PGBitwiseShiftRight => self.arithmetic("", left, " >> ", right, ""),
            Op::StringConcat => {
                let bytes = [left, right].iter().any(|side| self.type_of(side) == Type::Bytea);
                let (before, between, behind) =
                    if bytes { ("", " || ", "") } else { ("pg_concat(", ", ", ")") };
                self.put(before);
                self.text_operand(left)?;
                self.put(between);
                self.text_operand(right)?;
                self.put(behind);
                Ok(())
            }
            Op::Arrow | Op::LongArrow | Op::HashArrow | Op::HashLongArrow | Op::HashMinus | Op::Question => {
                self.json_operation(left, op, right)
            }
            Op::AtArrow => self.contains(left, right),
            Op::ArrowAt => self.contains(right, left),
            Op::PGLikeMatch => self.like(false, left, right, None, false),
            Op::PGNotLikeMatch => self.like(true, left, right, None, false),
            Op::PGILikeMatch => self.like(false, left, right, None, true),
            Op::PGNotILikeMatch => self.like(true, left, right, None, true),
            Op::PGRegexMatch => self.regex(false, left, right, ""),
            Op::PGRegexIMatch => self.regex(false, left, right, "i"),
            Op::PGRegexNotMatch => self.regex(true, left, right, ""),
            Op::PGRegexNotIMatch => self.regex(true, left, right, "i"),
            other => Err(Failure::unsupported(
                format!("the operator {other}"),
                "use comparison, arithmetic, ||, LIKE, ~, ->, ->>, #>, #>> and @>",
            )),
        }
    }

    fn arithmetic(&mut self, before: &str, left: &Expr, op: &str, right: &Expr, behind: &str) -> Result<()> {
        for side in [left, right] {
            let kind = self.type_of(side);
            if !matches!(kind.category(), Category::Number | Category::Unknown) {
                let message = format!("operator does not exist: {}{op}…", kind.name());
                return Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("use it with numbers"));
            }
        }
        self.put(before);
        self.number_operand(left, right)?;
        self.put(op);
        self.number_operand(right, left)?;
        self.put(behind);
        Ok(())
    }

    /// A literal in quotes or a parameter takes the type of the other operand.
    fn number_operand(&mut self, expr: &Expr, other: &Expr) -> Result<()> {
        let expected = self.type_of(other);
        let plain = matches!(
            expr,
            Expr::Identifier(_)
                | Expr::CompoundIdentifier(_)
                | Expr::Value(_)
                | Expr::Nested(_)
                | Expr::Function(_)
        );
        if plain { self.expr(expr, expected) } else { self.inside("(", expr, expected, ")") }
    }

    /// `+` and `-`, of numbers and of moments.
    fn sum(&mut self, left: &Expr, op: &Op, right: &Expr, expected: Type) -> Result<()> {
        let minus = *op == Op::Minus;
        if let Some((interval, factor)) = interval::of(right) {
            return self.shifted(left, &interval, factor, minus, expected);
        }
        if let (Some((interval, factor)), false) = (interval::of(left), minus) {
            return self.shifted(right, &interval, factor, false, expected);
        }
        let (from, to) = (self.type_of(left), self.type_of(right));
        match (from.category(), to.category()) {
            (Category::Json, Category::Unknown | Category::Text | Category::Number) if minus => {
                self.json_without(left, right)
            }
            (Category::Date, Category::Date) if from == Type::Date && to == Type::Date && minus => {
                self.inside("(pg_day(", left, Type::Unknown, ") - pg_day(")?;
                self.inside("", right, Type::Unknown, "))")
            }
            (Category::Date, Category::Number) if from == Type::Date => {
                self.inside("pg_date_add(", left, Type::Unknown, if minus { ", -(" } else { ", (" })?;
                self.inside("", right, Type::Unknown, "))")
            }
            (Category::Date | Category::Time, _) | (_, Category::Date | Category::Time) => {
                Err(Failure::unsupported(
                    "this calculation with dates",
                    "add or subtract an interval; write extract(epoch FROM a - b) for the seconds between two",
                ))
            }
            _ if self.may_overflow(left, op, right) => {
                let function = if minus { "pg_minus(" } else { "pg_plus(" };
                self.arithmetic(function, left, ", ", right, ")")
            }
            _ => self.arithmetic("", left, if minus { " - " } else { " + " }, right, ""),
        }
    }

    /// The argument of a function of moments: a literal in quotes is a timestamp.
    pub(super) fn moment(&mut self, expr: &Expr) -> Result<()> {
        let kind = self.type_of(expr);
        if !matches!(kind.category(), Category::Date | Category::Unknown) {
            let message = format!("a value of type {} is no date or timestamp", kind.name());
            return Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("cast it: `::timestamptz`"));
        }
        self.expr(expr, Type::Timestamptz)
    }

    pub(super) fn at_time_zone(&mut self, timestamp: &Expr, zone: &Expr) -> Result<()> {
        if !is_utc(zone) {
            return Err(Failure::unsupported("a time zone other than UTC", "write AT TIME ZONE 'UTC'"));
        }
        let to = match self.type_of(timestamp) {
            Type::Timestamptz => Type::Timestamp,
            _ => Type::Timestamptz,
        };
        self.inside("pg_cast(", timestamp, Type::Unknown, &format!(", {})", to.code()))
    }

    /// An operand of `||`: booleans are text there.
    fn text_operand(&mut self, expr: &Expr) -> Result<()> {
        match self.type_of(expr) {
            Type::Bool => self.cast(expr, &DataType::Text),
            Type::Float4 | Type::Float8 | Type::Numeric(_) => self.cast(expr, &DataType::Text),
            _ => self.operand(expr, Type::Text),
        }
    }

    pub(super) fn unary(&mut self, op: &UnaryOperator, expr: &Expr, expected: Type) -> Result<()> {
        match op {
            UnaryOperator::Not => {
                self.put("NOT ");
                self.condition(expr)
            }
            UnaryOperator::Minus
                if !matches!(expr, Expr::Value(_))
                    && self.type_of(expr).is_integer()
                    && self.bits(expr) >= 64 =>
            {
                self.put("pg_minus(0, ");
                self.operand(expr, expected)?;
                self.put(")");
                Ok(())
            }
            UnaryOperator::Minus => {
                // `-9223372036854775808` and `- -1`: the sign belongs to the number, and is no comment.
                self.put("-");
                self.operand(expr, expected)
            }
            UnaryOperator::Plus => self.operand(expr, expected),
            UnaryOperator::BitwiseNot => {
                self.put("~");
                self.operand(expr, expected)
            }
            other => {
                Err(Failure::unsupported(format!("the operator {other}"), "use the function of that name"))
            }
        }
    }
}

fn is_nonzero(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Literal::Number(digits, _) => digits.parse::<f64>().is_ok_and(|number| number != 0.0),
            _ => false,
        },
        _ => false,
    }
}

/// Whether an expression names UTC as a time zone.
pub(super) fn is_utc(zone: &Expr) -> bool {
    let Expr::Value(value) = zone else { return false };
    let Literal::SingleQuotedString(name) = &value.value else { return false };
    ["utc", "gmt", "z", "etc/utc"].contains(&name.to_lowercase().as_str())
}
