//! UNION, INTERSECT, EXCEPT and VALUES: rows of several sources, whose columns have one type.

use sqlparser::ast::{Expr, SelectItem, SetExpr, SetOperator, SetQuantifier, Values};

use super::Translator;
use super::infer::wider;
use super::size::Written;
use crate::catalogue::{Body, Output};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Category, Type};

impl Translator<'_> {
    pub(super) fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
    ) -> Result<Written> {
        let word = match (op, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => " UNION ALL ",
            (SetOperator::Union, SetQuantifier::None | SetQuantifier::Distinct) => " UNION ",
            (SetOperator::Intersect, SetQuantifier::None | SetQuantifier::Distinct) => " INTERSECT ",
            (SetOperator::Except, SetQuantifier::None | SetQuantifier::Distinct) => " EXCEPT ",
            _ => {
                let hint = "use UNION, UNION ALL, INTERSECT or EXCEPT";
                return Err(Failure::unsupported(format!("{op} {quantifier}"), hint));
            }
        };
        let wanted = match self.wanted.take() {
            Some(wanted) => wanted,
            None => self.common_types(left, op, right)?,
        };
        // SQLite reads operators from the left, whichever they are: other orders stand in parentheses.
        let mixed = matches!(left, SetExpr::SetOperation { op: other, .. } if *other != op);
        self.wanted = Some(wanted.clone());
        let first = self.part(left, mixed)?;
        self.put(word);
        self.wanted = Some(wanted);
        let second = self.part(right, matches!(right, SetExpr::SetOperation { .. }))?;
        Ok(first.and(&second))
    }

    /// Writes a value of a column of type `wanted`, and says whether it had to be cast.
    pub(super) fn widened(&mut self, expr: &Expr, wanted: Type) -> Result<bool> {
        if wanted == Type::Unknown || !is_widened(self.type_of(expr), wanted) {
            return self.expr(expr, wanted).map(|()| false);
        }
        self.inside("pg_cast(", expr, Type::Unknown, &format!(", {})", wanted.code()))?;
        Ok(true)
    }

    fn part(&mut self, part: &SetExpr, nested: bool) -> Result<Written> {
        if !nested {
            return self.body(part);
        }
        self.put("SELECT * FROM (");
        let written = self.body(part)?;
        self.put(")");
        Ok(written)
    }

    pub(super) fn values(&mut self, values: &Values) -> Result<Written> {
        let mut wanted = self.types_of_values(values)?;
        // The types of a UNION have been compared with them already.
        for (kind, outer) in wanted.iter_mut().zip(self.wanted.take().unwrap_or_default()) {
            *kind = if *kind == Type::Unknown { outer } else { *kind };
        }
        self.put("VALUES ");
        let (mut sizes, before) = (Vec::new(), self.size.all());
        self.list(&values.rows, |this, row| {
            this.result_columns(row.content.len())?;
            sizes.resize(sizes.len().max(row.content.len()), 0);
            this.put("(");
            let cells: Vec<(usize, &Expr)> = row.content.iter().enumerate().collect();
            this.list(&cells, |this, (at, expr)| {
                let before = this.size.all();
                this.widened(expr, wanted.get(*at).copied().unwrap_or(Type::Unknown))?;
                sizes[*at] = sizes[*at].max(this.size.all() - before);
                Ok(())
            })?;
            this.put(")");
            Ok(())
        })?;
        Ok(Written { sizes, body: Body { size: self.size.all() - before, arms: 1 } })
    }

    /// The types of the columns of a UNION, INTERSECT or EXCEPT: a literal in quotes and NULL take that of
    /// the others.
    fn common_types(&mut self, left: &SetExpr, op: SetOperator, right: &SetExpr) -> Result<Vec<Type>> {
        let mut common = Vec::new();
        for part in [left, right] {
            self.add_types(part, op, &mut common)?;
        }
        Ok(common)
    }

    /// Adds the types of one part to those of the parts before it.
    pub(super) fn add_types(
        &mut self,
        part: &SetExpr,
        op: SetOperator,
        common: &mut Vec<Type>,
    ) -> Result<()> {
        let kinds = match part {
            SetExpr::SetOperation { left, op, right, .. } => {
                self.add_types(left, *op, common)?;
                return self.add_types(right, *op, common);
            }
            SetExpr::Select(select) => {
                let relations = self.relations(&select.from)?;
                self.scopes.push(relations);
                let kinds = self.types_of_items(&select.projection);
                self.scopes.pop();
                kinds?
            }
            SetExpr::Values(values) => self.types_of_values(values)?,
            SetExpr::Query(query) => self.describe(query)?.iter().map(|output| output.kind).collect(),
            _ => return Ok(()),
        };
        merge(common, &kinds, &op.to_string())
    }

    fn types_of_items(&self, items: &[SelectItem]) -> Result<Vec<Type>> {
        let mut kinds = Vec::new();
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                    kinds.push(self.type_of(expr));
                }
                star => {
                    let outputs = self.projected_items(std::slice::from_ref(star))?;
                    kinds.extend(outputs.iter().map(|output| output.kind));
                }
            }
            self.result_columns(kinds.len())?;
            self.within()?;
        }
        Ok(kinds)
    }

    /// The types of the columns of a VALUES.
    pub(super) fn types_of_values(&self, values: &Values) -> Result<Vec<Type>> {
        let mut common = Vec::new();
        for row in &values.rows {
            self.result_columns(row.content.len())?;
            let kinds: Vec<Type> = row.content.iter().map(|expr| self.type_of(expr)).collect();
            merge(&mut common, &kinds, "VALUES")?;
            self.within()?;
        }
        Ok(common)
    }
}

/// The type that has the values of both, which are of one category.
fn widest(known: Type, kind: Type) -> Type {
    let rank = |kind: Type| match kind {
        Type::Timestamp => 1,
        Type::Timestamptz => 2,
        _ => 0,
    };
    match known.category() {
        _ if known == kind => known,
        Category::Number => wider(known, kind),
        Category::Date if rank(kind) > rank(known) => kind,
        _ => known,
    }
}

/// Whether a value of one type is another one in a column of type `to`.
pub(super) fn is_widened(from: Type, to: Type) -> bool {
    from != to
        && from.category() == to.category()
        && (to.category() == Category::Date || (from.is_integer() && !to.is_integer()))
}

/// Fails if columns that are not written one by one would have to be cast.
pub(super) fn as_wanted(outputs: &[Output], wanted: &[Type]) -> Result<()> {
    let wrong = outputs.iter().zip(wanted).find(|(output, to)| is_widened(output.kind, **to));
    let Some((output, to)) = wrong else { return Ok(()) };
    let what = format!(
        "the column \"{}\" of type {} in a UNION of type {}",
        output.name,
        output.kind.name(),
        to.name()
    );
    Err(Failure::unsupported(what, format!("name the columns, and cast this one: `::{}`", to.name())))
}

/// Adds the types of one source to those of the others before it.
fn merge(common: &mut Vec<Type>, kinds: &[Type], what: &str) -> Result<()> {
    common.resize(common.len().max(kinds.len()), Type::Unknown);
    for (known, kind) in common.iter_mut().zip(kinds) {
        if *known == Type::Unknown {
            *known = *kind;
        } else if known.category() == kind.category() {
            *known = widest(*known, *kind);
        } else if *kind != Type::Unknown {
            let message = format!("{what} types {} and {} cannot be matched", known.name(), kind.name());
            return Err(Failure::new(sqlstate::TYPE_MISMATCH, message)
                .hint("add a cast to one of them, such as `::text`"));
        }
    }
    Ok(())
}
