//! The types of expressions, as far as they follow from columns, casts and functions.

use sqlparser::ast::{BinaryOperator as Op, Expr, Ident, Query, SelectItem, SetExpr, UnaryOperator, Value};

use super::call;
use super::{Relation, Translator, folded};
use crate::catalogue::Output;
use crate::types::Type;

impl Translator<'_> {
    /// The column that `name` means, by the scopes from the inside out.
    pub(super) fn resolve(&self, name: &[Ident]) -> Option<&Output> {
        self.find(name).map(|(relation, at)| &relation.outputs[at])
    }

    /// What a column is in SQLite, if its relation has no column of this name there.
    pub(super) fn source(&self, name: &[Ident]) -> Option<&str> {
        let (relation, at) = self.find(name)?;
        relation.sources.as_ref()?.get(at).map(String::as_str)
    }

    fn find(&self, name: &[Ident]) -> Option<(&Relation, usize)> {
        let (column, qualifier) = match name {
            [column] => (column, None),
            [relation, column] | [_, relation, column] => (column, Some(folded(relation))),
            _ => return None,
        };
        let column = folded(column);
        let of = |relation: &&Relation| qualifier.as_ref().is_none_or(|name| *name == relation.alias);
        for relation in self.scopes.iter().rev().flatten().filter(of) {
            let at = relation.outputs.iter().position(|output| output.name == column);
            self.toil(1 + at.unwrap_or(relation.outputs.len()));
            // A function in FROM with one column has also the name of its alias.
            let is_whole = relation.sources.is_some() && relation.outputs.len() == 1;
            let at = at.or((is_whole && qualifier.is_none() && relation.alias == column).then_some(0));
            if let Some(at) = at {
                return Some((relation, at));
            }
        }
        None
    }

    /// The type of an expression; Unknown for literals in quotes, parameters, and what nothing says.
    pub(super) fn type_of(&self, expr: &Expr) -> Type {
        self.toil(1);
        // It fails soon, and so it need not be exact.
        if self.has_toiled() {
            return Type::Unknown;
        }
        match expr {
            Expr::Identifier(name) => self.column_type(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.column_type(names),
            Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => self.type_of(inner),
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                    match text.parse::<i64>() {
                        Ok(number) if i32::try_from(number).is_ok() => Type::Int4,
                        Ok(_) => Type::Int8,
                        Err(_) => Type::Numeric(None),
                    }
                }
                Value::Number(..) => Type::Numeric(None),
                Value::Boolean(_) => Type::Bool,
                Value::Placeholder(text) => self.parameter_type(text),
                _ => Type::Unknown,
            },
            Expr::Cast { data_type, .. } => Type::of(data_type).map_or(Type::Unknown, |(kind, _)| kind),
            Expr::TypedString(typed) => Type::of(&typed.data_type).map_or(Type::Unknown, |(kind, _)| kind),
            Expr::UnaryOp { op: UnaryOperator::Not, .. } => Type::Bool,
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } if is_least(expr) => Type::Int8,
            Expr::UnaryOp { expr, .. } => self.type_of(expr),
            Expr::BinaryOp { left, op, right } => self.type_of_operation(left, op, right),
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|when| &when.result);
                self.first_type(results.chain(else_result.as_deref()))
            }
            Expr::Function(function) => call::type_of(self, function),
            Expr::Array(_) => Type::Text,
            Expr::Extract { .. } => Type::Float8,
            Expr::Ceil { expr, .. } | Expr::Floor { expr, .. } => self.type_of(expr),
            Expr::Position { .. } => Type::Int4,
            Expr::Substring { .. } | Expr::Trim { .. } | Expr::Overlay { .. } => Type::Text,
            Expr::AtTimeZone { timestamp, .. } => match self.type_of(timestamp) {
                Type::Timestamptz => Type::Timestamp,
                _ => Type::Timestamptz,
            },
            Expr::Subquery(query) => match query.body.as_ref() {
                SetExpr::Select(select) => match select.projection.as_slice() {
                    [SelectItem::UnnamedExpr(Expr::Function(function))]
                    | [SelectItem::ExprWithAlias { expr: Expr::Function(function), .. }]
                        if call::is_count(function) =>
                    {
                        Type::Int8
                    }
                    _ => self.type_of_subquery(query),
                },
                _ => Type::Unknown,
            },
            part if super::regex::part_of(part).is_some() => Type::Text,
            boolean if is_boolean(boolean) => Type::Bool,
            _ => Type::Unknown,
        }
    }

    fn type_of_subquery(&self, query: &Query) -> Type {
        let relations = self.scopes.iter().flatten().map(|relation| relation.outputs.len());
        self.copies(relations.chain(self.ctes.iter().map(|cte| cte.outputs.len())).sum());
        if self.has_toiled() {
            return Type::Unknown;
        }
        let mut translator = Translator::new(self.catalogue, self.bounds);
        translator.scopes.clone_from(&self.scopes);
        translator.ctes.clone_from(&self.ctes);
        translator.size.effort.set(self.size.effort.get());
        let described = translator.describe(query);
        self.size.effort.set(translator.size.effort.get());
        match described.as_deref() {
            Ok([only]) => only.kind,
            _ => Type::Unknown,
        }
    }

    /// Bits of the whole numbers that `expr` gives, with their sign; 64 where nothing says fewer.
    pub(super) fn bits(&self, expr: &Expr) -> u32 {
        self.toil(1);
        match expr {
            _ if self.has_toiled() => 64,
            Expr::Identifier(name) => {
                self.resolve(std::slice::from_ref(name)).map_or(64, |output| output.bits)
            }
            Expr::CompoundIdentifier(names) => self.resolve(names).map_or(64, |output| output.bits),
            Expr::Nested(inner) => self.bits(inner),
            Expr::Value(value) => match &value.value {
                Value::Number(text, _) => {
                    text.parse::<i64>().map_or(64, |number| 65 - number.leading_zeros())
                }
                Value::Placeholder(text) => self.parameter_type(text).bits(),
                _ => 64,
            },
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } if is_least(expr) => 64,
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => self.bits(expr).saturating_add(1),
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => self.bits(expr),
            Expr::BinaryOp { left, op: Op::Plus | Op::Minus, right } => {
                self.bits(left).max(self.bits(right)).saturating_add(1).min(64)
            }
            Expr::BinaryOp { left, op: Op::Multiply, right } => {
                self.bits(left).saturating_add(self.bits(right)).min(64)
            }
            Expr::BinaryOp { left, op: Op::Divide | Op::Modulo, .. } => self.bits(left),
            Expr::Cast { expr, data_type, .. } => match Type::of(data_type) {
                // A cast to the type that it has already is not checked.
                Ok((kind, _)) if kind != self.type_of(expr) => kind.bits(),
                _ => self.bits(expr),
            },
            Expr::Case { conditions, else_result, .. } => {
                self.most_bits(conditions.iter().map(|when| &when.result).chain(else_result.as_deref()))
            }
            Expr::Function(function) => call::bits(self, function),
            _ => 64,
        }
    }

    pub(super) fn most_bits<'e>(&self, exprs: impl Iterator<Item = &'e Expr>) -> u32 {
        exprs.map(|expr| self.bits(expr)).max().unwrap_or(64)
    }

    /// Whether a sum or a product of two whole numbers may leave 64 bits.
    pub(super) fn may_overflow(&self, left: &Expr, op: &Op, right: &Expr) -> bool {
        let whole = |kind: Type| kind.is_integer();
        let (from, to) = (self.type_of(left), self.type_of(right));
        let both =
            (whole(from) && (whole(to) || to == Type::Unknown)) || (from == Type::Unknown && whole(to));
        // A parameter or a text takes the type of the other one.
        let of = |expr: &Expr, kind: Type, other: Type| match kind {
            Type::Unknown => other.bits(),
            _ => self.bits(expr),
        };
        let (left, right) = (of(left, from, to), of(right, to, from));
        both && match op {
            Op::Multiply => left.saturating_add(right) > 64,
            _ => left.max(right) >= 64,
        }
    }

    fn column_type(&self, name: &[Ident]) -> Type {
        self.resolve(name).map_or(Type::Unknown, |output| output.kind)
    }

    fn parameter_type(&self, text: &str) -> Type {
        let number = text.trim_start_matches('$').parse::<usize>().unwrap_or(0);
        number.checked_sub(1).and_then(|at| self.params.get(at)).copied().unwrap_or(Type::Unknown)
    }

    pub(super) fn first_type<'e>(&self, mut exprs: impl Iterator<Item = &'e Expr>) -> Type {
        exprs
            .find_map(|expr| Some(self.type_of(expr)).filter(|kind| *kind != Type::Unknown))
            .unwrap_or(Type::Unknown)
    }

    fn type_of_operation(&self, left: &Expr, op: &Op, right: &Expr) -> Type {
        match op {
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => {
                let (left, right) = (self.type_of(left), self.type_of(right));
                match (left, right) {
                    (Type::Json | Type::Jsonb, _) => left,
                    (Type::Date, Type::Date) => Type::Int4,
                    (Type::Date, other) if other.is_integer() => Type::Date,
                    (Type::Date, _) => Type::Timestamp,
                    (Type::Timestamp | Type::Timestamptz, _) => left,
                    (_, Type::Timestamp | Type::Timestamptz) => right,
                    _ => wider(left, right),
                }
            }
            Op::StringConcat | Op::LongArrow | Op::HashLongArrow => Type::Text,
            Op::Arrow | Op::HashArrow | Op::HashMinus => Type::Jsonb,
            Op::PGExp => Type::Float8,
            Op::BitwiseAnd
            | Op::BitwiseOr
            | Op::PGBitwiseXor
            | Op::PGBitwiseShiftLeft
            | Op::PGBitwiseShiftRight => wider(self.type_of(left), self.type_of(right)),
            _ => Type::Bool,
        }
    }

    /// Whether no value of `expr` is NULL, as far as a column says it.
    pub(super) fn is_never_null(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Identifier(name) => {
                self.resolve(std::slice::from_ref(name)).is_some_and(|output| output.not_null)
            }
            Expr::CompoundIdentifier(names) => self.resolve(names).is_some_and(|output| output.not_null),
            Expr::Nested(inner) => self.is_never_null(inner),
            _ => false,
        }
    }
}

/// Whether it is 9223372036854775808, which is a `bigint` only behind a minus.
fn is_least(expr: &Expr) -> bool {
    let Expr::Value(value) = expr else { return false };
    matches!(&value.value, Value::Number(digits, _) if digits == "9223372036854775808")
}

/// The type of a sum: of integers the longer one, of all else a floating-point number.
pub(super) fn wider(left: Type, right: Type) -> Type {
    let rank = |kind: Type| match kind {
        Type::Int2 => 1,
        Type::Int4 => 2,
        Type::Int8 => 3,
        Type::Numeric(_) => 4,
        Type::Float4 => 5,
        Type::Float8 => 6,
        _ => 0,
    };
    let wider = if rank(left) >= rank(right) { left } else { right };
    match wider {
        Type::Numeric(_) => Type::Numeric(None),
        other => other,
    }
}

fn is_boolean(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::In { .. }
            | Expr::Between { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::AnyOp { .. }
            | Expr::AllOp { .. }
            | Expr::Exists { .. }
    )
}
