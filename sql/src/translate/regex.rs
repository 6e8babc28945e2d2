//! Regular expressions: `~` and its like, SIMILAR TO, and a part of what `regexp_match` gives.

use sqlparser::ast::{AccessExpr, Expr, Function, Subscript, Value as Literal};

use super::{Translator, call, literal};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Category, Type};

impl Translator<'_> {
    /// `text ~ pattern`, with `letters` as its options.
    pub(super) fn regex(
        &mut self,
        is_negated: bool,
        text: &Expr,
        pattern: &Expr,
        letters: &str,
    ) -> Result<()> {
        self.texts("~", [text, pattern])?;
        self.put(if is_negated { "(NOT pg_regexp_like(" } else { "pg_regexp_like(" });
        self.inside("", text, Type::Text, ", ")?;
        self.expr(pattern, Type::Text)?;
        if !letters.is_empty() {
            self.put(&format!(", {}", literal(letters)));
        }
        self.put(if is_negated { "))" } else { ")" });
        Ok(())
    }

    pub(super) fn similar(
        &mut self,
        is_negated: bool,
        text: &Expr,
        pattern: &Expr,
        escape: Option<&Expr>,
    ) -> Result<()> {
        self.texts("SIMILAR TO", [text, pattern])?;
        self.put(if is_negated { "(NOT pg_similar(" } else { "pg_similar(" });
        self.inside("", text, Type::Text, ", ")?;
        self.expr(pattern, Type::Text)?;
        if let Some(escape) = escape {
            self.inside(", ", escape, Type::Text, "")?;
        }
        self.put(if is_negated { "))" } else { ")" });
        Ok(())
    }

    fn texts(&self, operator: &str, operands: [&Expr; 2]) -> Result<()> {
        let kinds = operands.map(|operand| self.type_of(operand));
        if kinds.iter().all(|kind| matches!(kind.category(), Category::Text | Category::Unknown)) {
            return Ok(());
        }
        let message = format!("operator does not exist: {} {operator} {}", kinds[0].name(), kinds[1].name());
        Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("cast the value: `::text`"))
    }

    /// `(regexp_match(text, pattern))[1]`.
    pub(super) fn regex_part(&mut self, function: &Function, at: &Expr) -> Result<()> {
        let args = call::arguments(function);
        let ([text, pattern], rest) = args.split_at(args.len().min(2)) else {
            let message = format!("function regexp_match with {} arguments does not exist", args.len());
            return Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("it takes 2 to 3"));
        };
        self.texts("~", [text, pattern])?;
        self.inside("pg_regexp_part(", text, Type::Text, ", ")?;
        self.inside("", pattern, Type::Text, ", ")?;
        match rest.first() {
            Some(letters) => self.expr(letters, Type::Text)?,
            None => self.put("''"),
        }
        self.inside(", ", at, Type::Int4, ")")
    }

    /// Whether what stands behind FROM in `substring(text FROM …)` is a pattern.
    pub(super) fn is_pattern(&self, from: &Expr) -> bool {
        use Literal::{DollarQuotedString, EscapedStringLiteral, SingleQuotedString};
        let is_text = |literal: &Literal| {
            matches!(literal, SingleQuotedString(_) | EscapedStringLiteral(_) | DollarQuotedString(_))
        };
        self.type_of(from).category() == Category::Text
            || matches!(from, Expr::Value(value) if is_text(&value.value))
    }
}

/// A call of `regexp_match`, and the number of the part that is taken of it.
pub(super) fn part_of(expr: &Expr) -> Option<(&Function, &Expr)> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    let [AccessExpr::Subscript(Subscript::Index { index })] = access_chain.as_slice() else { return None };
    let mut root = root.as_ref();
    while let Expr::Nested(inner) = root {
        root = inner;
    }
    match root {
        Expr::Function(function) if call::name_of(function) == "regexp_match" => Some((function, index)),
        _ => None,
    }
}
