//! Conditions: comparisons, lists, patterns, and the functions with a syntax of their own.

use sqlparser::ast::{BinaryOperator as Op, Expr, InTarget, ObjectName, TrimWhereField, Value as Literal};

use super::expr::unsupported;
use super::{Translator, call, interval, literal, regex};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Category, Type};

impl Translator<'_> {
    /// Conditions, and the functions with a syntax of their own.
    pub(super) fn predicate(&mut self, expr: &Expr) -> Result<()> {
        match expr {
            Expr::IsNull(inner) | Expr::IsUnknown(inner) => {
                self.inside("(", inner, Type::Unknown, ") IS NULL")
            }
            Expr::IsNotNull(inner) | Expr::IsNotUnknown(inner) => {
                self.inside("(", inner, Type::Unknown, ") IS NOT NULL")
            }
            Expr::IsTrue(inner) => self.inside("(", inner, Type::Bool, ") IS TRUE"),
            Expr::IsNotTrue(inner) => self.inside("(", inner, Type::Bool, ") IS NOT TRUE"),
            Expr::IsFalse(inner) => self.inside("(", inner, Type::Bool, ") IS FALSE"),
            Expr::IsNotFalse(inner) => self.inside("(", inner, Type::Bool, ") IS NOT FALSE"),
            Expr::IsDistinctFrom(left, right) => self.comparison(left, " IS NOT ", right),
            Expr::IsNotDistinctFrom(left, right) => self.comparison(left, " IS ", right),
            Expr::In { expr, target, negated, .. } => self.in_list(expr, target, *negated),
            Expr::Between { expr, negated, low, high } if call::symmetric(low).is_some() => {
                let low = call::symmetric(low).unwrap_or(low);
                self.put(if *negated { "NOT (" } else { "(" });
                self.between(expr, false, low, high)?;
                self.put(" OR ");
                self.between(expr, false, high, low)?;
                self.put(")");
                Ok(())
            }
            Expr::Between { expr, negated, low, high } => self.between(expr, *negated, low, high),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                self.like(*negated, expr, pattern, escape_char.as_deref(), false)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                self.like(*negated, expr, pattern, escape_char.as_deref(), true)
            }
            Expr::AnyOp { left, compare_op: Op::Eq, right, .. } => self.any(left, right, false),
            Expr::AllOp { left, compare_op: Op::NotEq, right } => self.any(left, right, true),
            Expr::AnyOp { left, compare_op, right, .. } => self.compared(left, compare_op, right, false),
            Expr::AllOp { left, compare_op, right } => self.compared(left, compare_op, right, true),
            Expr::Like { negated, any: true, expr, pattern, escape_char: None } => {
                self.like_any(*negated, expr, pattern, false)
            }
            Expr::ILike { negated, any: true, expr, pattern, escape_char: None } => {
                self.like_any(*negated, expr, pattern, true)
            }
            Expr::Extract { field, expr, .. } => {
                let field = field.to_string().to_lowercase();
                if let Some((later, earlier)) = interval::between(self, expr) {
                    return self.part_between(&field, later, earlier);
                }
                self.put(&format!("pg_extract({}, ", literal(&field)));
                self.moment(expr)?;
                self.put(")");
                Ok(())
            }
            Expr::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone),
            Expr::Ceil { expr, .. } => self.inside("pg_ceil(", expr, Type::Unknown, ")"),
            Expr::Floor { expr, .. } => self.inside("pg_floor(", expr, Type::Unknown, ")"),
            Expr::Position { expr, r#in } => {
                self.inside("pg_strpos(", r#in, Type::Text, ", ")?;
                self.inside("", expr, Type::Text, ")")
            }
            Expr::SimilarTo { negated, expr, pattern, escape_char } => {
                self.similar(*negated, expr, pattern, escape_char.as_deref())
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                self.substring(expr, substring_from.as_deref(), substring_for.as_deref())
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                self.inside("pg_overlay(", expr, Type::Text, ", ")?;
                self.inside("", overlay_what, Type::Text, ", ")?;
                self.expr(overlay_from, Type::Int4)?;
                if let Some(length) = overlay_for {
                    self.inside(", ", length, Type::Int4, "")?;
                }
                self.put(")");
                Ok(())
            }
            Expr::Collate { expr: inner, collation } if is_by_bytes(collation) => {
                self.expr(inner, Type::Text)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                self.put(match trim_where {
                    Some(TrimWhereField::Leading) => "pg_ltrim(",
                    Some(TrimWhereField::Trailing) => "pg_rtrim(",
                    Some(TrimWhereField::Both) | None => "pg_btrim(",
                });
                self.expr(expr, Type::Text)?;
                if let Some(what) = trim_what {
                    self.inside(", ", what, Type::Text, "")?;
                }
                self.put(")");
                Ok(())
            }
            other => match regex::part_of(other) {
                Some((function, at)) => self.regex_part(function, at),
                None => Err(unsupported(other)),
            },
        }
    }

    fn substring(&mut self, text: &Expr, from: Option<&Expr>, length: Option<&Expr>) -> Result<()> {
        if let (Some(pattern), None) = (from, length)
            && self.is_pattern(pattern)
        {
            self.inside("pg_regexp_substring(", text, Type::Text, ", ")?;
            return self.inside("", pattern, Type::Text, ")");
        }
        self.inside("pg_substr(", text, Type::Text, ", ")?;
        match from {
            Some(from) => self.expr(from, Type::Int4)?,
            None => self.put("1"),
        }
        if let Some(length) = length {
            self.inside(", ", length, Type::Int4, "")?;
        }
        self.put(")");
        Ok(())
    }

    fn between(&mut self, expr: &Expr, negated: bool, low: &Expr, high: &Expr) -> Result<()> {
        let kind = self.common(expr, low).or_else(|_| self.common(expr, high))?;
        self.common(expr, high)?;
        self.operand(expr, kind)?;
        self.put(if negated { " NOT BETWEEN " } else { " BETWEEN " });
        self.operand(low, kind)?;
        self.put(" AND ");
        self.operand(high, kind)
    }

    /// An operand of a comparison: in parentheses, if it is one itself.
    pub(super) fn operand(&mut self, expr: &Expr, expected: Type) -> Result<()> {
        let kind = self.type_of(expr);
        if kind != expected && kind.category() == Category::Date && expected.category() == Category::Date {
            self.put("pg_cast(");
            return self.inside("", expr, Type::Unknown, &format!(", {})", expected.code()));
        }
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

    /// An operand of AND, OR and NOT, or all of a WHERE: a truth value.
    pub(super) fn condition(&mut self, expr: &Expr) -> Result<()> {
        let kind = self.type_of(expr);
        if !matches!(kind, Type::Bool | Type::Unknown) {
            let message = format!("a condition must be type boolean, not type {}", kind.name());
            return Err(Failure::new(sqlstate::TYPE_MISMATCH, message).hint("compare it: `column <> 0`"));
        }
        self.inside("(", expr, Type::Bool, ")")
    }

    /// The type in which two operands are compared.
    fn common(&self, left: &Expr, right: &Expr) -> Result<Type> {
        let (left, right) = (self.type_of(left), self.type_of(right));
        match (left.category(), right.category()) {
            (_, Category::Unknown) => Ok(left),
            (Category::Unknown, _) => Ok(right),
            (Category::Date, Category::Date) if left != right => Ok(Type::Timestamptz),
            (a, b) if a == b => Ok(left),
            _ => {
                let message = format!("operator does not exist: {} = {}", left.name(), right.name());
                Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message)
                    .hint("add a cast, such as `::text` or `::integer`, to one of the two"))
            }
        }
    }

    pub(super) fn comparison(&mut self, left: &Expr, op: &str, right: &Expr) -> Result<()> {
        if let Some(compared) = self.compares_between(left, op, right) {
            return compared;
        }
        let kind = self.common(left, right)?;
        self.operand(left, kind)?;
        self.put(op);
        self.operand(right, kind)
    }

    fn in_list(&mut self, expr: &Expr, target: &InTarget, negated: bool) -> Result<()> {
        let not = if negated { " NOT IN (" } else { " IN (" };
        match target {
            InTarget::List(items) => {
                let mut kind = self.type_of(expr);
                for item in items {
                    kind = if kind == Type::Unknown { self.common(expr, item)? } else { kind };
                    self.common(expr, item)?;
                }
                self.operand(expr, kind)?;
                self.put(not);
                self.list(items, |this, item| this.operand(item, kind))?;
                self.put(")");
                Ok(())
            }
            InTarget::Subquery(query) => {
                self.operand(expr, Type::Unknown)?;
                self.subquery(not, query)
            }
            _ => Err(Failure::unsupported("IN of this form", "write IN (1, 2) or IN (SELECT …)")),
        }
    }

    pub(super) fn like(
        &mut self,
        negated: bool,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
        any_case: bool,
    ) -> Result<()> {
        if negated {
            self.put("NOT ");
        }
        // SQLite finds the rows of a column by an index if the pattern is known and begins with a letter.
        let column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        let by_index = column && !any_case && escape.is_none();
        self.put("(");
        if by_index && is_prefix(pattern) {
            self.inside("", expr, Type::Text, " LIKE ")?;
            return self.inside("", pattern, Type::Text, ")");
        }
        let (before, behind) = if any_case { ("pg_lower(", ")") } else { ("", "") };
        self.put("pg_like(");
        self.inside(before, expr, Type::Text, behind)?;
        self.put(", ");
        match escape {
            // In small letters another character may escape: the pattern is written with a backslash before.
            Some(escape) if any_case => {
                self.inside("pg_lower(pg_escaped(", pattern, Type::Text, ", ")?;
                self.inside("", escape, Type::Text, "))")?;
            }
            _ => self.inside(before, pattern, Type::Text, behind)?,
        }
        if let Some(escape) = escape.filter(|_| !any_case) {
            self.inside(", ", escape, Type::Text, "")?;
        }
        self.put(")");
        if by_index && matches!(pattern, Expr::Value(_)) {
            self.inside(" AND ", expr, Type::Text, " LIKE ")?;
            self.inside("", pattern, Type::Text, " ESCAPE '\\'")?;
        }
        self.put(")");
        Ok(())
    }
}

/// Whether a pattern is a text and at most one `%` behind it: then matching takes no longer than the pattern
/// is.
fn is_prefix(pattern: &Expr) -> bool {
    let Expr::Value(value) = pattern else { return false };
    let Literal::SingleQuotedString(text) = &value.value else { return false };
    !text.strip_suffix('%').unwrap_or(text).contains(['%', '_', '\\'])
}

/// Whether a collation compares texts by their bytes.
pub(super) fn is_by_bytes(collation: &ObjectName) -> bool {
    let name = collation.to_string().replace('"', "").to_lowercase();
    ["c", "posix", "ucs_basic", "pg_catalog.c", "c.utf8", "default", "pg_catalog.default"]
        .contains(&name.as_str())
}
