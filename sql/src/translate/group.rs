//! GROUP BY, and that every column of the result is grouped or aggregated.

use std::collections::BTreeSet;

use sqlparser::ast::{Expr, GroupByExpr, Ident, Select, SelectItem};

use super::order::within_columns;
use super::relation::column_name;
use super::{Translator, call, folded};
use crate::error::{Failure, Result, sqlstate};

/// What a SELECT groups by, and the names of its columns among that.
struct Groups<'e> {
    exprs: Vec<&'e Expr>,
    names: BTreeSet<String>,
}

impl Translator<'_> {
    pub(super) fn grouping(&mut self, select: &Select) -> Result<()> {
        let GroupByExpr::Expressions(list, modifiers) = &select.group_by else {
            return Err(Failure::unsupported("GROUP BY ALL", "name the columns"));
        };
        if !modifiers.is_empty() {
            return Err(Failure::unsupported("this GROUP BY", "use UNION ALL of several GROUP BY"));
        }
        if list.iter().any(|term| matches!(term, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_))) {
            let hint = "put this SELECT into parentheses";
            let what = "GROUP BY with ROLLUP, CUBE or GROUPING SETS in this place";
            return Err(Failure::unsupported(what, hint));
        }
        self.result_columns(list.len())?;
        let counted =
            |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
        let columns = select.projection.iter().all(counted).then_some(select.projection.len());
        list.iter().try_for_each(|term| within_columns(term, columns, "GROUP BY"))?;
        self.all_grouped(select, list)?;
        if !list.is_empty() {
            self.put(" GROUP BY ");
            list.iter().for_each(|term| self.names_number(term));
            self.list(list, |this, expr| this.grouped_by(expr))?;
        }
        Ok(())
    }

    /// Fails if a column is neither grouped nor aggregated: SQLite would take the value of any row.
    fn all_grouped<'e>(&self, select: &'e Select, list: &'e [Expr]) -> Result<()> {
        let projected = select.projection.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some((None, expr)),
            SelectItem::ExprWithAlias { expr, alias } => Some((Some(folded(alias)), expr)),
            _ => None,
        });
        let projected: Vec<(Option<String>, &'e Expr)> = projected.collect();
        let aggregated = list.is_empty()
            && (select.having.is_some() || projected.iter().any(|(_, expr)| call::aggregates(expr)));
        if list.is_empty() && !aggregated {
            return Ok(());
        }
        // Numbers and aliases stand for columns of the SELECT.
        let meant = |expr: &'e Expr| match expr {
            Expr::Value(value) => {
                let at = value.value.to_string().parse::<usize>().ok();
                at.and_then(|at| projected.get(at.wrapping_sub(1))).map_or(expr, |(_, expr)| *expr)
            }
            Expr::Identifier(name) if self.resolve(std::slice::from_ref(name)).is_none() => {
                let alias = folded(name);
                let named = projected.iter().find(|(known, _)| known.as_ref() == Some(&alias));
                named.map_or(expr, |(_, expr)| *expr)
            }
            _ => expr,
        };
        let exprs: Vec<&Expr> = list.iter().map(meant).collect();
        let names = exprs.iter().map(|group| column_name(group)).collect();
        let groups = Groups { exprs, names };
        let all = projected.iter().map(|(_, expr)| *expr).chain(&select.having);
        match all.into_iter().find_map(|expr| self.ungrouped(expr, &groups)) {
            None => Ok(()),
            Some(column) => Err(not_grouped(&column)),
        }
    }

    fn ungrouped(&self, expr: &Expr, groups: &Groups<'_>) -> Option<String> {
        self.toil(groups.exprs.len());
        if groups.exprs.contains(&expr) {
            return None;
        }
        match expr {
            Expr::Identifier(name) => {
                self.is_ungrouped(std::slice::from_ref(name), &groups.names).then(|| folded(name))
            }
            Expr::CompoundIdentifier(names) => {
                self.is_ungrouped(names, &groups.names).then(|| expr.to_string())
            }
            Expr::Function(function) if call::is_aggregate(function) => None,
            Expr::Function(function) => {
                call::arguments(function).into_iter().find_map(|arg| self.ungrouped(arg, groups))
            }
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => {
                self.ungrouped(inner, groups)
            }
            Expr::BinaryOp { left, right, .. } => {
                self.ungrouped(left, groups).or_else(|| self.ungrouped(right, groups))
            }
            _ => None,
        }
    }

    pub(super) fn is_ungrouped(&self, name: &[Ident], grouped: &BTreeSet<String>) -> bool {
        let Some(last) = name.last().map(folded) else { return false };
        let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        let qualifier = name.len().checked_sub(2).map(|at| folded(&name[at]));
        let of = scope.iter().find(|relation| match &qualifier {
            Some(qualifier) => *qualifier == relation.alias,
            None => relation.outputs.iter().any(|output| output.name == last),
        });
        // A column of a query around this one is the same for all rows.
        let Some(relation) = of else { return false };
        if grouped.contains(&last) {
            return false;
        }
        // The other columns of a row follow from its primary key.
        let table = relation.table.as_deref().unwrap_or_default();
        let primary = self.catalogue.indexes_of(table).find(|(_, index)| index.primary);
        !primary
            .and_then(|(_, index)| index.columns.as_ref())
            .is_some_and(|keys| keys.iter().all(|k| grouped.contains(k)))
    }
}

pub(super) fn not_grouped(column: &str) -> Failure {
    let message =
        format!("column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function");
    Failure::new(sqlstate::GROUPING, message).hint("add it to the GROUP BY, or use min() or max()")
}
