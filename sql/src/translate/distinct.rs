//! DISTINCT ON: the first row of each group, as a subquery that numbers the rows.

use sqlparser::ast::{
    Expr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableFactor, WindowType,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::{Translator, folded, relation_name};
use crate::error::{Failure, Result, sqlstate};

/// What `DISTINCT ON` becomes: columns, order and groups are put into it.
const FRAME: &str = "SELECT 1 FROM (SELECT row_number() OVER (PARTITION BY 1)) AS pg_rows WHERE pg_row = 1";

impl Translator<'_> {
    /// The query whose rows are those of `SELECT DISTINCT ON (…)`, in their order.
    pub(super) fn distinct_on(&mut self, query: &Query, select: &Select, on: &[Expr]) -> Result<Query> {
        let items = self.items(select)?;
        let order = self.meant_order(query, &items)?;
        let groups =
            on.iter().map(|expr| self.meant(expr, &items, "DISTINCT ON")).collect::<Result<Vec<_>>>()?;
        let first = order.iter().take(groups.len()).map(|term| &term.expr);
        if !order.is_empty()
            && (order.len() < groups.len() || !first.into_iter().all(|expr| groups.contains(expr)))
        {
            let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
            return Err(Failure::new(sqlstate::INVALID_COLUMN_REFERENCE, message)
                .hint("begin the ORDER BY with what stands in DISTINCT ON"));
        }
        let mut made = frame()?;
        let Some((outer, inner)) = parts(&mut made) else { return Err(broken()) };
        let mut numbered = inner.projection.pop().ok_or_else(broken)?;
        if let SelectItem::UnnamedExpr(Expr::Function(function)) = &mut numbered
            && let Some(WindowType::WindowSpec(spec)) = &mut function.over
        {
            (spec.partition_by, spec.order_by) = (groups, order.clone());
        }
        *inner = Select { distinct: None, projection: Vec::new(), ..select.clone() };
        outer.clear();
        for (at, (name, expr)) in items.into_iter().enumerate() {
            let column = Ident::new(format!("pg_{at}"));
            outer.push(SelectItem::ExprWithAlias {
                expr: Expr::Identifier(column.clone()),
                alias: Ident::with_quote('"', name),
            });
            inner.projection.push(SelectItem::ExprWithAlias { expr, alias: column });
        }
        let mut terms = Vec::new();
        for (at, term) in order.into_iter().enumerate() {
            let column = Ident::new(format!("pg_order_{at}"));
            let expr = Expr::Identifier(column.clone());
            terms.push(OrderByExpr { expr, options: term.options.clone(), ..term.clone() });
            inner.projection.push(SelectItem::ExprWithAlias { expr: term.expr, alias: column });
        }
        if let SelectItem::UnnamedExpr(expr) = numbered {
            inner.projection.push(SelectItem::ExprWithAlias { expr, alias: Ident::new("pg_row") });
        }
        made.order_by = (!terms.is_empty())
            .then_some(OrderBy { kind: OrderByKind::Expressions(terms), interpolate: None });
        (made.limit_clause, made.fetch) = (query.limit_clause.clone(), query.fetch.clone());
        Ok(made)
    }

    /// The columns of a SELECT with their names, those of `*` one by one.
    pub(super) fn items(&mut self, select: &Select) -> Result<Vec<(String, Expr)>> {
        let mut items = Vec::new();
        for item in &select.projection {
            let of = match item {
                SelectItem::UnnamedExpr(expr) => {
                    items.push((super::relation::column_name(expr), expr.clone()));
                    continue;
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    items.push((folded(alias), expr.clone()));
                    continue;
                }
                SelectItem::Wildcard(_) => None,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    Some(relation_name(name)?)
                }
                other => return Err(Failure::unsupported(format!("`{other}`"), "name the columns")),
            };
            let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
            for relation in scope.iter().filter(|relation| of.as_ref().is_none_or(|of| *of == relation.alias))
            {
                self.copies(relation.outputs.len());
                self.result_columns(items.len() + relation.outputs.len())?;
                items.extend(relation.outputs.iter().map(|output| {
                    let names = [&relation.alias, &output.name].map(|name| Ident::with_quote('"', name));
                    (output.name.clone(), Expr::CompoundIdentifier(names.to_vec()))
                }));
            }
        }
        Ok(items)
    }

    /// The terms of the ORDER BY of a query, each as what it stands for.
    pub(super) fn meant_order(&self, query: &Query, items: &[(String, Expr)]) -> Result<Vec<OrderByExpr>> {
        match &query.order_by {
            None => Ok(Vec::new()),
            Some(OrderBy { kind: OrderByKind::Expressions(terms), .. }) => terms
                .iter()
                .map(|term| {
                    Ok(OrderByExpr { expr: self.meant(&term.expr, items, "ORDER BY")?, ..term.clone() })
                })
                .collect(),
            Some(_) => Err(Failure::unsupported("ORDER BY ALL", "name the columns")),
        }
    }

    /// What a term of the ORDER BY or of DISTINCT ON stands for: a number or an alias is that of a column.
    pub(super) fn meant(&self, expr: &Expr, items: &[(String, Expr)], clause: &str) -> Result<Expr> {
        super::order::within_columns(expr, Some(items.len()), clause)?;
        let found = match expr {
            Expr::Value(value) => {
                let at = value.value.to_string().parse::<usize>().ok();
                at.and_then(|at| items.get(at.wrapping_sub(1)))
            }
            Expr::Identifier(name) => {
                let name = folded(name);
                items.iter().find(|(known, _)| *known == name)
            }
            _ => None,
        };
        Ok(found.map_or_else(|| expr.clone(), |(_, expr)| expr.clone()))
    }
}

fn frame() -> Result<Query> {
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, FRAME).map_err(|_| broken())?;
    match parsed.into_iter().next() {
        Some(sqlparser::ast::Statement::Query(query)) => Ok(*query),
        _ => Err(broken()),
    }
}

/// The columns of the frame, and the SELECT in its FROM.
fn parts(query: &mut Query) -> Option<(&mut Vec<SelectItem>, &mut Select)> {
    let SetExpr::Select(outer) = query.body.as_mut() else { return None };
    let TableFactor::Derived { subquery, .. } = &mut outer.from.first_mut()?.relation else { return None };
    let SetExpr::Select(inner) = subquery.body.as_mut() else { return None };
    Some((&mut outer.projection, inner))
}

fn broken() -> Failure {
    Failure::new(sqlstate::INTERNAL, "DISTINCT ON has no frame").hint("write it as a subquery")
}
