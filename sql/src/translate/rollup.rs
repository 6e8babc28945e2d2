//! ROLLUP, CUBE and GROUPING SETS: a GROUP BY for each set, of which a UNION ALL makes one result.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, OrderBy, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, TableFactor,
    Value as Literal,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::group::not_grouped;
use super::{Translator, call, folded};
use crate::bounds::GROUPING_SETS;
use crate::error::{Failure, Result, sqlstate};

/// What the query becomes: columns, groups and order are put into it.
const FRAME: &str = "SELECT 1 FROM (SELECT 1) AS pg_rows";

/// Whether a GROUP BY has several sets.
pub(super) fn has_sets(select: &Select) -> bool {
    let GroupByExpr::Expressions(list, _) = &select.group_by else { return false };
    list.iter().any(|term| matches!(term, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_)))
}

/// One of the sets, and the expressions by which any of them groups.
struct Set<'e> {
    own: &'e [Expr],
    /// The places of its own ones in all of them.
    places: &'e BTreeSet<usize>,
    all: &'e Groups,
    within: &'e Translator<'e>,
}

/// Expressions of which no two are the same. Columns are found by their names: each set asks for all that
/// it selects.
#[derive(Default)]
struct Groups {
    exprs: Vec<Expr>,
    columns: BTreeMap<String, Vec<usize>>,
    others: Vec<usize>,
}

impl Groups {
    /// The places of those that are the same as `expr`.
    fn like<'g>(&'g self, expr: &'g Expr, within: &Translator<'_>) -> impl Iterator<Item = usize> + 'g {
        let known = match column_of(expr) {
            Some(name) => self.columns.get(&name).map(Vec::as_slice).unwrap_or_default(),
            None => &self.others,
        };
        within.toil(known.len());
        known.iter().copied().filter(move |at| is_same(&self.exprs[*at], expr))
    }

    /// The place of an expression, which may be new.
    fn place(&mut self, expr: &Expr, within: &Translator<'_>) -> usize {
        let known = self.like(expr, within).next();
        known.unwrap_or_else(|| {
            let at = self.exprs.len();
            match column_of(expr) {
                Some(name) => self.columns.entry(name).or_default().push(at),
                None => self.others.push(at),
            }
            self.exprs.push(expr.clone());
            at
        })
    }
}

/// The name of a column, without that of its table.
fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) => column_of(inner),
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(names) => names.last().map(folded),
        _ => None,
    }
}

impl Translator<'_> {
    /// The query whose rows are those of a GROUP BY with several sets; notes that what it reads is read so
    /// often.
    pub(super) fn grouping_sets(&mut self, query: &Query, select: &Select) -> Result<Query> {
        if !select.named_window.is_empty() {
            return Err(beside("a window"));
        }
        let items = self.items(select)?;
        let GroupByExpr::Expressions(list, _) = &select.group_by else { return Err(broken()) };
        let mut sets: Vec<Vec<Expr>> = vec![Vec::new()];
        for term in list {
            let of = self.sets_of(term, &items)?;
            within_sets(sets.len().saturating_mul(of.len()))?;
            let with = |before: &Vec<Expr>| -> Vec<Vec<Expr>> {
                of.iter().map(|more| before.iter().chain(more).cloned().collect()).collect()
            };
            sets = sets.iter().flat_map(with).collect();
        }
        within_sets(self.sets.saturating_mul(sets.len()))?;
        self.sets *= sets.len();
        // Each set has the SELECT anew.
        self.toil(select.to_string().len().saturating_mul(sets.len()));
        self.within()?;
        let mut all = Groups::default();
        let places: Vec<BTreeSet<usize>> =
            sets.iter().map(|set| set.iter().map(|expr| all.place(expr, self)).collect()).collect();
        let order = self.meant_order(query, &items)?;
        let exprs: Vec<&Expr> =
            items.iter().map(|(_, expr)| expr).chain(order.iter().map(|term| &term.expr)).collect();
        let mut arms = Vec::with_capacity(sets.len());
        for (own, places) in sets.iter().zip(&places) {
            arms.push(arm(select, &exprs, &Set { own, places, all: &all, within: self })?);
            self.within()?;
        }
        framed(query, select, &items, order, arms)
    }

    /// The sets of a term of the GROUP BY.
    fn sets_of(&self, term: &Expr, items: &[(String, Expr)]) -> Result<Vec<Vec<Expr>>> {
        let groups = |parts: &[Vec<Expr>]| -> Result<Vec<Vec<Expr>>> {
            parts.iter().map(|part| part.iter().map(|expr| self.group(expr, items)).collect()).collect()
        };
        match term {
            Expr::Rollup(parts) => {
                let parts = groups(parts)?;
                within_sets(parts.len() + 1)?;
                Ok((0..=parts.len()).rev().map(|count| parts[..count].concat()).collect())
            }
            Expr::Cube(parts) => {
                let parts = groups(parts)?;
                within_sets(1_usize.checked_shl(parts.len() as u32).unwrap_or(usize::MAX))?;
                let of = |mask: usize| -> Vec<Expr> {
                    let has = |at: &usize| mask >> (parts.len() - 1 - at) & 1 == 1;
                    (0..parts.len()).filter(has).flat_map(|at| parts[at].clone()).collect()
                };
                Ok((0..1 << parts.len()).rev().map(of).collect())
            }
            Expr::GroupingSets(parts) => {
                let mut sets = Vec::new();
                for part in parts {
                    match part.as_slice() {
                        [nested] if nested_sets(nested).is_some() => {
                            let nested = nested_sets(nested).unwrap_or(Expr::GroupingSets(Vec::new()));
                            sets.extend(self.sets_of(&nested, items)?);
                        }
                        [Expr::Tuple(exprs)] => sets.extend(groups(std::slice::from_ref(exprs))?),
                        part => sets.extend(groups(&[part.to_vec()])?),
                    }
                    within_sets(sets.len())?;
                }
                Ok(sets)
            }
            Expr::Tuple(exprs) => groups(std::slice::from_ref(exprs)),
            expr => Ok(vec![vec![self.group(expr, items)?]]),
        }
    }

    /// What a term groups by: columns of the FROM come before those of the result.
    fn group(&self, expr: &Expr, items: &[(String, Expr)]) -> Result<Expr> {
        match expr {
            Expr::Identifier(name) if self.resolve(std::slice::from_ref(name)).is_some() => Ok(expr.clone()),
            Expr::Nested(inner) => self.group(inner, items),
            _ => self.meant(expr, items, "GROUP BY"),
        }
    }
}

/// A ROLLUP or a CUBE inside of GROUPING SETS, which the parser reads as a function.
fn nested_sets(expr: &Expr) -> Option<Expr> {
    let Expr::Function(function) = expr else { return None };
    let part = |arg: &Expr| match arg {
        Expr::Tuple(exprs) => exprs.clone(),
        other => vec![other.clone()],
    };
    let parts = || call::arguments(function).into_iter().map(part).collect();
    match call::name_of(function).as_str() {
        "rollup" => Some(Expr::Rollup(parts())),
        "cube" => Some(Expr::Cube(parts())),
        _ => None,
    }
}

fn within_sets(count: usize) -> Result<()> {
    if count <= GROUPING_SETS {
        return Ok(());
    }
    let message = format!("too many grouping sets present (maximum {GROUPING_SETS})");
    Err(Failure::new(sqlstate::TOO_COMPLEX, message).hint("name the sets that you need: GROUPING SETS (…)"))
}

/// The SELECT of one set.
fn arm(select: &Select, exprs: &[&Expr], set: &Set<'_>) -> Result<SetExpr> {
    let mut projection = Vec::with_capacity(exprs.len());
    for (at, expr) in exprs.iter().enumerate() {
        let alias = Ident::new(format!("pg_{at}"));
        projection.push(SelectItem::ExprWithAlias { expr: set.of(expr)?, alias });
    }
    let having = select.having.as_ref().map(|having| set.of(having)).transpose()?;
    let group_by = GroupByExpr::Expressions(set.own.to_vec(), Vec::new());
    let mut made = Select { distinct: None, projection, group_by, having, ..select.clone() };
    let aggregates =
        exprs.iter().any(|expr| call::aggregates(expr)) || made.having.as_ref().is_some_and(call::aggregates);
    if set.own.is_empty() && !aggregates {
        // All rows are one group, also if there are none.
        made.from = Vec::new();
        made.selection = made.having.take();
    }
    Ok(SetExpr::Select(Box::new(made)))
}

/// The arms as one relation, with the names and the order of the query.
fn framed(
    query: &Query,
    select: &Select,
    items: &[(String, Expr)],
    order: Vec<OrderByExpr>,
    arms: Vec<SetExpr>,
) -> Result<Query> {
    let union = |left, right| SetExpr::SetOperation {
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        left: Box::new(left),
        right: Box::new(right),
    };
    let body = arms.into_iter().reduce(union).ok_or_else(broken)?;
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, FRAME).map_err(|_| broken())?;
    let Some(sqlparser::ast::Statement::Query(mut made)) = parsed.into_iter().next() else {
        return Err(broken());
    };
    let SetExpr::Select(outer) = made.body.as_mut() else { return Err(broken()) };
    let Some(TableFactor::Derived { subquery, .. }) = outer.from.first_mut().map(|from| &mut from.relation)
    else {
        return Err(broken());
    };
    *subquery.body = body;
    outer.distinct.clone_from(&select.distinct);
    let column = |at: usize| Expr::Identifier(Ident::new(format!("pg_{at}")));
    outer.projection = items
        .iter()
        .enumerate()
        .map(|(at, (name, _))| SelectItem::ExprWithAlias {
            expr: column(at),
            alias: Ident::with_quote('"', name),
        })
        .collect();
    let terms: Vec<OrderByExpr> = order
        .into_iter()
        .enumerate()
        .map(|(at, term)| {
            // What is selected is sorted by its own column, which DISTINCT asks for.
            let selected = items.iter().position(|(_, expr)| *expr == term.expr);
            OrderByExpr { expr: column(selected.unwrap_or(items.len() + at)), ..term }
        })
        .collect();
    made.order_by =
        (!terms.is_empty()).then_some(OrderBy { kind: OrderByKind::Expressions(terms), interpolate: None });
    (made.limit_clause, made.fetch) = (query.limit_clause.clone(), query.fetch.clone());
    Ok(*made)
}

impl Set<'_> {
    /// Whether this set groups by an expression; None if no set does.
    fn has(&self, expr: &Expr) -> Option<bool> {
        let mut like = self.all.like(expr, self.within).peekable();
        like.peek()?;
        Some(like.any(|at| self.places.contains(&at)))
    }

    /// A column outside of aggregates: no key has its value where all rows are one group.
    fn column(&self, names: &[Ident], expr: &Expr) -> Result<Expr> {
        if !self.own.is_empty() || !self.within.is_ungrouped(names, &BTreeSet::new()) {
            return Ok(expr.clone());
        }
        let whole: Vec<String> = names.iter().map(folded).collect();
        let failure = not_grouped(&whole.join("."));
        match names.last().map(|name| name.span.start) {
            Some(place) if place.line > 0 => Err(failure.at(place.line, place.column)),
            // One of the columns of `*`.
            _ => Err(failure),
        }
    }

    /// An expression as it is in the rows of this set: what they are not grouped by is NULL.
    fn of(&self, expr: &Expr) -> Result<Expr> {
        match self.has(expr) {
            Some(true) => return Ok(expr.clone()),
            Some(false) => return Ok(Expr::Value(Literal::Null.with_empty_span())),
            None => {}
        }
        let boxed = |expr: &Expr| self.of(expr).map(Box::new);
        Ok(match expr {
            Expr::Identifier(name) => self.column(std::slice::from_ref(name), expr)?,
            Expr::CompoundIdentifier(names) => self.column(names, expr)?,
            Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => expr.clone(),
            Expr::Function(function) if function.over.is_some() => return Err(beside("a window")),
            Expr::Function(function) if call::name_of(function) == "grouping" => {
                let mut bits = 0_i64;
                for arg in call::arguments(function) {
                    let Some(is_own) = self.has(arg) else {
                        let message = "arguments to GROUPING must be grouping expressions of the associated query level";
                        return Err(
                            Failure::new(sqlstate::GROUPING, message).hint("name a term of the GROUP BY")
                        );
                    };
                    bits = bits << 1 | i64::from(!is_own);
                }
                Expr::Value(Literal::Number(bits.to_string(), false).with_empty_span())
            }
            Expr::Function(function) if call::is_aggregate(function) => expr.clone(),
            Expr::Function(function) => {
                let mut function = function.clone();
                if let FunctionArguments::List(list) = &mut function.args {
                    for arg in &mut list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                            *expr = self.of(expr)?;
                        }
                    }
                }
                Expr::Function(function)
            }
            Expr::Nested(inner) => Expr::Nested(boxed(inner)?),
            Expr::UnaryOp { op, expr } => Expr::UnaryOp { op: *op, expr: boxed(expr)? },
            Expr::BinaryOp { left, op, right } => {
                Expr::BinaryOp { left: boxed(left)?, op: op.clone(), right: boxed(right)? }
            }
            Expr::IsNull(inner) => Expr::IsNull(boxed(inner)?),
            Expr::IsNotNull(inner) => Expr::IsNotNull(boxed(inner)?),
            Expr::Cast { .. } => {
                let mut cast = expr.clone();
                if let Expr::Cast { expr, .. } = &mut cast {
                    **expr = self.of(expr)?;
                }
                cast
            }
            Expr::Case { operand, .. } => {
                let operand = operand.as_deref().map(boxed).transpose()?;
                let mut case = expr.clone();
                if let Expr::Case { operand: own, conditions, else_result, .. } = &mut case {
                    *own = operand;
                    for when in conditions {
                        (when.condition, when.result) = (self.of(&when.condition)?, self.of(&when.result)?);
                    }
                    if let Some(other) = else_result {
                        **other = self.of(other)?;
                    }
                }
                case
            }
            other => return Err(beside(&format!("`{other}`"))),
        })
    }
}

/// Whether two expressions are the same, also if one of them names the table of a column.
fn is_same(a: &Expr, b: &Expr) -> bool {
    match (a, b) {
        (Expr::Identifier(name), Expr::CompoundIdentifier(names))
        | (Expr::CompoundIdentifier(names), Expr::Identifier(name)) => {
            names.last().map(folded) == Some(folded(name))
        }
        (Expr::Nested(inner), other) | (other, Expr::Nested(inner)) => is_same(inner, other),
        (Expr::Identifier(a), Expr::Identifier(b)) => folded(a) == folded(b),
        (Expr::CompoundIdentifier(a), Expr::CompoundIdentifier(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| folded(a) == folded(b))
        }
        _ => a == b,
    }
}

fn beside(what: &str) -> Failure {
    let hint = "put the SELECT with ROLLUP, CUBE or GROUPING SETS into a subquery";
    Failure::unsupported(format!("{what} beside ROLLUP, CUBE or GROUPING SETS"), hint)
}

fn broken() -> Failure {
    Failure::new(sqlstate::INTERNAL, "GROUPING SETS have no frame").hint("write it as a UNION ALL")
}
