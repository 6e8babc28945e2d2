//! SELECT, and what is made of several.

use sqlparser::ast::{
    Distinct, Expr, Fetch, JoinConstraint, JoinOperator, LimitClause, LockClause, ObjectName, OrderByExpr,
    OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement,
    With,
};

use super::relation::column_name;
use super::row_lock::not_lockable;
use super::{Run, Translator, folded, quoted, relation_name};
use crate::catalogue::Output;
use crate::error::{Failure, Result, sqlstate};
use crate::lock::Strength;
use crate::types::Type;

impl Translator<'_> {
    pub(super) fn top_query(mut self, query: &Query) -> Result<Run> {
        let outputs = self.query_locking(query, true)?;
        self.run(outputs, Strength::Update)
    }

    pub(super) fn query(&mut self, query: &Query) -> Result<()> {
        self.query_locking(query, false).map(|_| ())
    }

    /// Writes a query, and gives its columns if they follow from the statement.
    fn query_locking(&mut self, query: &Query, top: bool) -> Result<Option<Vec<Output>>> {
        let odd = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if odd {
            return Err(Failure::unsupported(
                "a clause of this query",
                "use the clauses of PostgreSQL's SELECT",
            ));
        }
        let outer = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let outputs = match query.body.as_ref() {
            SetExpr::Select(select) => {
                let relations = self.relations(&select.from)?;
                self.scopes.push(relations);
                let written = self.select(select, &query.locks, top);
                let ordered = written.and_then(|outputs| {
                    self.order_and_limit(query)?;
                    Ok(outputs)
                });
                self.scopes.pop();
                ordered?
            }
            body => {
                if let Some(lock) = query.locks.first() {
                    return Err(not_lockable(lock, "UNION, INTERSECT, EXCEPT or VALUES"));
                }
                let outputs = self.describe(query)?;
                self.body(body)?;
                self.order_and_limit(query)?;
                Some(outputs)
            }
        };
        self.ctes.truncate(outer);
        Ok(outputs)
    }

    /// WITH … before an INSERT, an UPDATE or a DELETE.
    pub(super) fn with_change(mut self, query: &Query, change: &Statement) -> Result<Run> {
        let odd = query.order_by.is_some()
            || query.limit_clause.is_some()
            || query.fetch.is_some()
            || !query.locks.is_empty();
        if odd {
            let hint = "put ORDER BY, LIMIT and FOR UPDATE into a query of the WITH";
            return Err(Failure::unsupported("a clause behind this change of rows", hint));
        }
        self.changes_rows = true;
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        match change {
            Statement::Insert(insert) => self.top_insert(insert),
            Statement::Update(update) => self.top_update(update),
            Statement::Delete(delete) => self.top_delete(delete),
            _ => Err(Failure::unsupported("this statement behind WITH", "use INSERT, UPDATE or DELETE")),
        }
    }

    fn with(&mut self, with: &With) -> Result<()> {
        self.put(if with.recursive { "WITH RECURSIVE " } else { "WITH " });
        for (at, cte) in with.cte_tables.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            if matches!(cte.query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_))
            {
                let hint = "run the two statements one after the other, in one transaction";
                return Err(Failure::unsupported("a WITH that changes rows", hint));
            }
            let name = folded(&cte.alias.name);
            self.name(&name);
            if !cte.alias.columns.is_empty() {
                let columns: Vec<String> =
                    cte.alias.columns.iter().map(|column| quoted(&folded(&column.name))).collect();
                self.put(&format!("({})", columns.join(", ")));
            }
            self.put(" AS ");
            if let Some(materialized) = &cte.materialized {
                self.put(&format!("{materialized} "));
            }
            let mut outputs = self.describe(&cte.query)?;
            for (output, column) in outputs.iter_mut().zip(&cte.alias.columns) {
                output.name = folded(&column.name);
            }
            if with.recursive {
                self.ctes.push((name.clone(), outputs.clone()));
            }
            self.put("(");
            self.query(&cte.query)?;
            self.put(")");
            if !with.recursive {
                self.ctes.push((name, outputs));
            }
        }
        self.put(" ");
        Ok(())
    }

    fn body(&mut self, body: &SetExpr) -> Result<()> {
        match body {
            SetExpr::Select(select) => {
                let relations = self.relations(&select.from)?;
                self.scopes.push(relations);
                let written = self.select(select, &[], false);
                self.scopes.pop();
                written.map(|_| ())
            }
            SetExpr::Query(query) => {
                self.put("SELECT * FROM (");
                self.query(query)?;
                self.put(")");
                Ok(())
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right)
            }
            SetExpr::Values(values) => {
                self.put("VALUES ");
                self.list(&values.rows, |this, row| {
                    this.put("(");
                    this.list(&row.content, |this, expr| this.expr(expr, Type::Unknown))?;
                    this.put(")");
                    Ok(())
                })
            }
            _ => Err(Failure::unsupported("this form of query", "use SELECT or VALUES")),
        }
    }

    fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
    ) -> Result<()> {
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
        // SQLite reads operators from the left, whichever they are: other orders stand in parentheses.
        let mixed = matches!(left, SetExpr::SetOperation { op: other, .. } if *other != op);
        self.part(left, mixed)?;
        self.put(word);
        self.part(right, matches!(right, SetExpr::SetOperation { .. }))
    }

    fn part(&mut self, part: &SetExpr, nested: bool) -> Result<()> {
        if !nested {
            return self.body(part);
        }
        self.put("SELECT * FROM (");
        self.body(part)?;
        self.put(")");
        Ok(())
    }

    fn select(&mut self, select: &Select, locks: &[LockClause], top: bool) -> Result<Option<Vec<Output>>> {
        refuse_odd(select)?;
        self.put("SELECT ");
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => self.put("DISTINCT "),
            Some(Distinct::On(_)) => {
                let hint =
                    "number the rows by row_number() OVER (PARTITION BY …) in a subquery, and take the first";
                return Err(Failure::unsupported("DISTINCT ON", hint));
            }
        }
        if select.projection.is_empty() {
            return Err(Failure::unsupported("a SELECT without columns", "write SELECT 1"));
        }
        self.projection(&select.projection)?;
        let condition = self.row_locks(select, locks, top)?;
        if !select.from.is_empty() {
            self.put(" FROM ");
            self.from(&select.from)?;
        }
        if select.selection.is_some() || condition.is_some() {
            self.put(" WHERE ");
            if let Some(selection) = &select.selection {
                self.condition(selection)?;
            }
            if let Some(condition) = condition {
                let and = if select.selection.is_some() { " AND " } else { "" };
                self.put(&format!("{and}{condition}"));
            }
        }
        self.grouping(select)?;
        if let Some(having) = &select.having {
            self.put(" HAVING ");
            self.condition(having)?;
        }
        self.windows(select)?;
        let by_name = select.from.iter().flat_map(|from| &from.joins).any(|join| {
            let (JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)) = &join.join_operator
            else {
                return false;
            };
            matches!(constraint, JoinConstraint::Using(_) | JoinConstraint::Natural)
        });
        let star = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
        Ok(if by_name && star { None } else { Some(self.projected(select)) })
    }

    /// The columns of a SELECT or a RETURNING, each with the name that PostgreSQL gives it.
    pub(super) fn projection(&mut self, items: &[SelectItem]) -> Result<()> {
        self.list(items, |this, item| match item {
            SelectItem::UnnamedExpr(expr) => {
                this.expr(expr, Type::Unknown)?;
                if !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
                    this.put(&format!(" AS {}", quoted(&column_name(expr))));
                }
                Ok(())
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                this.expr(expr, Type::Unknown)?;
                this.put(&format!(" AS {}", quoted(&folded(alias))));
                Ok(())
            }
            SelectItem::Wildcard(_) => {
                this.put("*");
                Ok(())
            }
            SelectItem::QualifiedWildcard(kind, _) => {
                let sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                    return Err(Failure::unsupported(format!("{kind}.*"), "name the columns"));
                };
                let name = this.visible(name)?;
                this.put(&format!("{}.*", quoted(&name)));
                Ok(())
            }
            other => Err(Failure::unsupported(format!("`{other}`"), "give each column one name")),
        })
    }

    fn visible(&self, name: &ObjectName) -> Result<String> {
        let known = relation_name(name)?;
        let mut all = self.scopes.iter().flatten();
        if all.any(|relation| relation.alias == known) {
            return Ok(known);
        }
        let message = format!("missing FROM-clause entry for table \"{known}\"");
        Err(Failure::new(sqlstate::UNDEFINED_TABLE, message).hint("use the alias that stands in the FROM"))
    }

    fn windows(&mut self, select: &Select) -> Result<()> {
        if select.named_window.is_empty() {
            return Ok(());
        }
        self.put(" WINDOW ");
        self.list(&select.named_window, |this, window| {
            this.name(&folded(&window.0));
            this.put(" AS ");
            match &window.1 {
                sqlparser::ast::NamedWindowExpr::WindowSpec(spec) => this.window(spec),
                sqlparser::ast::NamedWindowExpr::NamedWindow(name) => {
                    this.put(&format!("({})", quoted(&folded(name))));
                    Ok(())
                }
            }
        })
    }

    fn order_and_limit(&mut self, query: &Query) -> Result<()> {
        if let Some(order) = &query.order_by {
            let OrderByKind::Expressions(list) = &order.kind else {
                return Err(Failure::unsupported("ORDER BY ALL", "name the columns"));
            };
            self.put(" ORDER BY ");
            self.order(list)?;
        }
        let (limit, offset) = match (&query.limit_clause, &query.fetch) {
            (None, None) => return Ok(()),
            (None, Some(Fetch { with_ties: false, percent: false, quantity })) => (quantity.as_ref(), None),
            (Some(LimitClause::LimitOffset { limit, offset, limit_by }), fetch) if limit_by.is_empty() => {
                let fetched = fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
                (limit.as_ref().or(fetched), offset.as_ref().map(|offset| &offset.value))
            }
            _ => return Err(Failure::unsupported("this LIMIT", "write LIMIT 10 OFFSET 20")),
        };
        self.put(" LIMIT ");
        match limit {
            Some(limit) => self.expr(limit, Type::Int8)?,
            None => self.put("-1"),
        }
        if let Some(offset) = offset {
            self.put(" OFFSET ");
            self.expr(offset, Type::Int8)?;
        }
        Ok(())
    }

    /// The terms of an ORDER BY. In PostgreSQL NULL is larger than all values, in SQLite it is smaller.
    pub(super) fn order(&mut self, list: &[OrderByExpr]) -> Result<()> {
        self.list(list, |this, term| {
            let descending = match &term.options.sort {
                None | Some(OrderBySort::Asc) => false,
                Some(OrderBySort::Desc) => true,
                Some(OrderBySort::Using(_)) => {
                    return Err(Failure::unsupported("ORDER BY … USING", "use ASC or DESC"));
                }
            };
            this.expr(&term.expr, Type::Unknown)?;
            this.put(if descending { " DESC" } else { "" });
            let first = term.options.nulls_first.unwrap_or(descending);
            if !this.is_never_null(&term.expr) && first == descending {
                this.put(if first { " NULLS FIRST" } else { " NULLS LAST" });
            }
            Ok(())
        })
    }
}

fn refuse_odd(select: &Select) -> Result<()> {
    let odd = select.into.is_some()
        || select.top.is_some()
        || select.exclude.is_some()
        || select.select_modifiers.is_some()
        || select.prewhere.is_some()
        || select.qualify.is_some()
        || select.value_table_mode.is_some()
        || !select.lateral_views.is_empty()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty();
    if !odd {
        return Ok(());
    }
    let hint = "use the clauses of SELECT; for SELECT INTO, CREATE TABLE and INSERT … SELECT";
    Err(Failure::unsupported("a clause of this SELECT", hint))
}
