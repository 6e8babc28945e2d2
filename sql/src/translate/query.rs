//! SELECT, and what is made of several.

use sqlparser::ast::{
    Cte as Definition, Distinct, Expr, GroupByExpr, JoinConstraint, JoinOperator, LockClause, ObjectName,
    Query, Select, SelectItem, SetExpr, Statement, TableFactor, With,
};

use super::relation::column_name;
use super::row_lock::not_lockable;
use super::set::{as_wanted, is_widened};
use super::size::Written;
use super::{Cte, Run, Translator, call, folded, parts, quoted, relation_name, rollup};
use crate::catalogue::{Body, Output};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::Strength;
use crate::types::Type;

impl Translator<'_> {
    pub(super) fn top_query(mut self, query: &Query) -> Result<Run> {
        self.first = super::order::first(query);
        let (outputs, _) = self.query_locking(query, true)?;
        self.run(outputs, Strength::Update)
    }

    pub(super) fn query(&mut self, query: &Query) -> Result<Written> {
        self.query_locking(query, false).map(|(_, written)| written)
    }

    /// Writes a query, and gives its columns if they follow from the statement.
    fn query_locking(&mut self, query: &Query, top: bool) -> Result<(Option<Vec<Output>>, Written)> {
        self.within()?;
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
        let (outer, before) = (self.ctes.len(), self.size.all());
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        if let SetExpr::Select(select) = query.body.as_ref()
            && let Some(Distinct::On(on)) = &select.distinct
        {
            if let Some(lock) = query.locks.first() {
                return Err(not_lockable(lock, "DISTINCT clause"));
            }
            let made = self.scoped(select, |this| this.distinct_on(query, select, on))?;
            let written = self.query_locking(&made, false)?;
            self.ctes.truncate(outer);
            return Ok(written);
        }
        if let SetExpr::Select(select) = query.body.as_ref()
            && rollup::has_sets(select)
            && !matches!(select.distinct, Some(Distinct::On(_)))
        {
            if let Some(lock) = query.locks.first() {
                return Err(not_lockable(lock, "GROUP BY clause"));
            }
            let around = self.sets;
            let made = self.scoped(select, |this| this.grouping_sets(query, select))?;
            let written = self.query_locking(&made, false)?;
            self.sets = around;
            self.ctes.truncate(outer);
            return Ok(written);
        }
        let (outputs, mut written) = match query.body.as_ref() {
            SetExpr::Select(select) => self.scoped(select, |this| {
                let (outputs, written) = this.select(select, &query.locks, top)?;
                this.order_and_limit(query, outputs.as_ref().map(Vec::len))?;
                Ok((outputs, written))
            })?,
            body => {
                if let Some(lock) = query.locks.first() {
                    return Err(not_lockable(lock, "UNION, INTERSECT, EXCEPT or VALUES"));
                }
                let outputs = self.describe(query)?;
                // SQLite's VALUES have no ORDER BY and no LIMIT.
                let nested = matches!(body, SetExpr::Values(_))
                    && (query.order_by.is_some() || query.limit_clause.is_some() || query.fetch.is_some());
                self.put(if nested { "SELECT * FROM (" } else { "" });
                let written = self.body(body)?;
                self.put(if nested { ")" } else { "" });
                self.order_and_limit(query, Some(outputs.len()))?;
                (Some(outputs), written)
            }
        };
        self.ctes.truncate(outer);
        written.body.size = self.size.all() - before;
        Ok((outputs, written))
    }

    /// Does `write` where the relations, names and windows of a SELECT are those that count.
    fn scoped<T>(&mut self, select: &Select, write: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let relations = self.relations(&select.from)?;
        self.scopes.push(relations);
        self.aliases.push(Vec::new());
        self.windows.push(Vec::new());
        let written = write(self);
        self.windows.pop();
        self.aliases.pop();
        self.scopes.pop();
        written
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
            self.cte(cte, with.recursive)?;
        }
        self.put(" ");
        Ok(())
    }

    pub(super) fn cte(&mut self, cte: &Definition, recursive: bool) -> Result<()> {
        if parts::changes(&cte.query) {
            let message = "WITH clause containing a data-modifying statement must be at the top level";
            return Err(Failure::new(sqlstate::NOT_SUPPORTED, message)
                .hint("put it into the first WITH of the statement"));
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
        if recursive {
            self.ctes.push(Cte {
                name: name.clone(),
                outputs: outputs.clone(),
                body: Body::TABLE,
                returns: true,
            });
            let overall = self.describe(&cte.query)?;
            let mut columns = outputs.iter().zip(&overall);
            if let Some((first, all)) = columns.find(|(first, all)| is_widened(first.kind, all.kind)) {
                let (column, first, all) = (&first.name, first.kind.name(), all.kind.name());
                let message = format!(
                    "recursive query \"{name}\" column \"{column}\" has type {first} in non-recursive \
                     term but type {all} overall"
                );
                return Err(Failure::new(sqlstate::TYPE_MISMATCH, message)
                    .hint(format!("cast it in the first SELECT: `::{all}`")));
            }
        }
        self.put("(");
        let written = self.query(&cte.query)?;
        self.put(")");
        if recursive {
            self.ctes.pop();
        }
        written.settle(&mut outputs);
        self.ctes.push(Cte { name, outputs, body: written.body, returns: true });
        Ok(())
    }

    pub(super) fn body(&mut self, body: &SetExpr) -> Result<Written> {
        match body {
            SetExpr::Select(select) => {
                self.scoped(select, |this| this.select(select, &[], false)).map(|(_, written)| written)
            }
            SetExpr::Query(query) => {
                if let Some(wanted) = self.wanted.take() {
                    as_wanted(&self.describe(query)?, &wanted)?;
                }
                self.put("SELECT * FROM (");
                let written = self.query(query)?;
                self.put(")");
                Ok(written)
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set_operation(left, *op, *set_quantifier, right)
            }
            SetExpr::Values(values) => self.values(values),
            _ => Err(Failure::unsupported("this form of query", "use SELECT or VALUES")),
        }
    }

    fn select(
        &mut self,
        select: &Select,
        locks: &[LockClause],
        top: bool,
    ) -> Result<(Option<Vec<Output>>, Written)> {
        let before = self.size.all();
        let wanted = self.wanted.take().unwrap_or_default();
        refuse_odd(select)?;
        self.put("SELECT ");
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => self.put("DISTINCT "),
            Some(Distinct::On(_)) => {
                let hint = "put this SELECT into parentheses, with an ORDER BY and a LIMIT of its own";
                return Err(Failure::unsupported("DISTINCT ON in this place", hint));
            }
        }
        if select.projection.is_empty() {
            return Err(Failure::unsupported("a SELECT without columns", "write SELECT 1"));
        }
        // What a column of a subquery stands for is known when the FROM is written.
        let from = self.apart(|this| this.from(&select.from))?;
        let own = self.size.all();
        let windows = self.apart(|this| this.windows(select))?;
        self.counts_rows = is_count_of_all(select);
        let sizes = self.projection(&select.projection, &wanted)?;
        self.counts_rows = false;
        let condition = self.row_locks(select, locks, top)?;
        if !select.from.is_empty() {
            self.put(" FROM ");
            self.append(&from);
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
        self.append(&windows);
        let arms = self.multiplied(self.size.all() - own);
        let arms = if is_aggregated(select) { 1 } else { arms };
        let body = Body { size: self.size.all() - before, arms };
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
        let outputs = if by_name && star { None } else { Some(self.projected(select)?) };
        Ok((outputs, Written { sizes, body }))
    }

    /// The columns of a SELECT or a RETURNING, each with the name that PostgreSQL gives it, and with its type
    /// if it has none of its own. Gives how large they are.
    pub(super) fn projection(&mut self, items: &[SelectItem], wanted: &[Type]) -> Result<Vec<usize>> {
        let mut sizes = Vec::new();
        let mut named = Vec::new();
        self.list(items, |this, item| {
            if !wanted.is_empty()
                && matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
            {
                let outputs = this.projected_items(std::slice::from_ref(item))?;
                as_wanted(&outputs, wanted.get(sizes.len()..).unwrap_or_default())?;
            }
            let (expr, alias) = match item {
                SelectItem::UnnamedExpr(expr) => (expr, None),
                SelectItem::ExprWithAlias { expr, alias } => (expr, Some(folded(alias))),
                SelectItem::Wildcard(_) => {
                    this.put_star(None);
                    this.star(None, &mut sizes)?;
                    named.resize(sizes.len(), (String::new(), 0));
                    return Ok(());
                }
                SelectItem::QualifiedWildcard(kind, _) => {
                    let sqlparser::ast::SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
                        return Err(Failure::unsupported(format!("{kind}.*"), "name the columns"));
                    };
                    let name = this.visible(name)?;
                    this.put_star(Some(&name));
                    this.star(Some(&name), &mut sizes)?;
                    named.resize(sizes.len(), (String::new(), 0));
                    return Ok(());
                }
                other => return Err(Failure::unsupported(format!("`{other}`"), "give each column one name")),
            };
            this.result_columns(sizes.len() + 1)?;
            let before = this.size.all();
            let is_cast = this.widened(expr, wanted.get(sizes.len()).copied().unwrap_or(Type::Unknown))?;
            let size = this.size.all() - before;
            sizes.push(size);
            let name = alias.clone().unwrap_or_else(|| column_name(expr));
            let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            // Beside elements a column is written as what it is in SQLite, which has no name.
            if alias.is_some() || is_cast || !is_column || this.is_beside_elements() {
                this.put(&format!(" AS {}", quoted(&name)));
            }
            named.push((name, size));
            Ok(())
        })?;
        if let Some(aliases) = self.aliases.last_mut() {
            *aliases = named;
        }
        Ok(sizes)
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

fn is_grouped(select: &Select) -> bool {
    !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty())
}

/// Whether a SELECT makes one row of many.
fn is_aggregated(select: &Select) -> bool {
    is_grouped(select)
        || select.distinct.is_some()
        || select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => call::aggregates(expr),
            _ => false,
        })
}

/// Whether a SELECT is `count(*)` of all rows of one table. SQLite would count them by the pages of the
/// table, in a few steps: PostgreSQL reads the rows.
fn is_count_of_all(select: &Select) -> bool {
    let [item] = select.projection.as_slice() else { return false };
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return false };
    let (Expr::Function(function), [from]) = (expr, select.from.as_slice()) else { return false };
    from.joins.is_empty()
        && !matches!(from.relation, TableFactor::NestedJoin { .. })
        && select.selection.is_none()
        && !is_grouped(select)
        && function.filter.is_none()
        && function.over.is_none()
        && call::is_count(function)
}
