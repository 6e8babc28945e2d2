//! UPDATE, DELETE, TRUNCATE and LOCK TABLE.

use std::collections::BTreeSet;

use sqlparser::ast::{
    Assignment, AssignmentTarget, CascadeOption, Delete, Expr, FromTable, Lock, LockTableMode, Query,
    SelectItem, TableFactor, TableWithJoins, Truncate, TruncateIdentityOption, Update, UpdateTableFromKind,
};

use super::{Plan, Relation, Run, Translator, folded, insert, quoted, relation_name, undefined_column};
use crate::catalogue::{Column, Loss, Output, Table};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::{Strength, TableMode};

impl Translator<'_> {
    pub(super) fn top_update(mut self, update: &Update) -> Result<Run> {
        self.changes_rows = true;
        let odd = update.or.is_some()
            || update.limit.is_some()
            || !update.order_by.is_empty()
            || update.output.is_some();
        if odd || !update.table.joins.is_empty() {
            let hint = "write UPDATE t SET a = 1 FROM other WHERE … RETURNING …";
            return Err(Failure::unsupported("this form of UPDATE", hint));
        }
        let (name, alias) = self.target(&update.table.relation, "UPDATE")?;
        let Some(table) = self.catalogue.tables.get(&name) else { return Err(undefined_column(&name)) };
        let relation = Relation::of_table(&alias, &name, table);
        let from = match &update.from {
            None => &[][..],
            Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => from,
        };
        let mut scope = vec![relation];
        scope.extend(self.relations(from)?);
        self.scopes.push(scope);
        self.put(&format!("UPDATE {}", quoted(&name)));
        if alias != name {
            self.put(&format!(" AS {}", quoted(&alias)));
        }
        self.put(" SET ");
        self.assignments(&update.assignments, table)?;
        if !from.is_empty() {
            self.put(" FROM ");
            self.from(from)?;
        }
        self.filter(update.selection.as_ref())?;
        let outputs = self.returning(update.returning.as_deref())?;
        let strength = self.strength(&name, &update.assignments);
        self.loses = (strength == Strength::Update).then_some(Loss::Key);
        self.run(Some(outputs), strength)
    }

    pub(super) fn top_delete(mut self, delete: &Delete) -> Result<Run> {
        (self.changes_rows, self.loses) = (true, Some(Loss::Row));
        let FromTable::WithFromKeyword(from) = &delete.from else {
            return Err(
                Failure::new(sqlstate::SYNTAX, "DELETE without FROM").hint("write DELETE FROM t WHERE …")
            );
        };
        let odd = !delete.tables.is_empty() || delete.limit.is_some() || !delete.order_by.is_empty();
        let [TableWithJoins { relation, joins }] = from.as_slice() else {
            return Err(Failure::unsupported("DELETE from several tables", "use one DELETE for each"));
        };
        if odd || !joins.is_empty() || delete.output.is_some() {
            let hint = "write DELETE FROM t USING other WHERE … RETURNING …";
            return Err(Failure::unsupported("this form of DELETE", hint));
        }
        let (name, alias) = self.target(relation, "DELETE FROM")?;
        let Some(table) = self.catalogue.tables.get(&name) else { return Err(undefined_column(&name)) };
        let target = Relation::of_table(&alias, &name, table);
        self.put(&format!("DELETE FROM {}", quoted(&name)));
        if alias != name {
            self.put(&format!(" AS {}", quoted(&alias)));
        }
        match delete.using.as_deref() {
            None => {
                self.scopes.push(vec![target]);
                self.filter(delete.selection.as_ref())?;
            }
            Some(using) => {
                let mut scope = vec![target];
                scope.extend(self.relations(using)?);
                self.scopes.push(scope);
                let known = quoted(&alias);
                self.put(&format!(" WHERE {known}.rowid IN (SELECT {known}.rowid FROM {}", quoted(&name)));
                if alias != name {
                    self.put(&format!(" AS {known}"));
                }
                self.put(", ");
                self.from(using)?;
                self.filter(delete.selection.as_ref())?;
                self.put(")");
            }
        }
        let outputs = self.returning(delete.returning.as_deref())?;
        self.run(Some(outputs), Strength::Update)
    }

    /// The table of an UPDATE or a DELETE, and the name by which the statement calls it.
    fn target(&mut self, factor: &TableFactor, word: &str) -> Result<(String, String)> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let known = self.changed_table(name)?;
                self.reads.insert(known.clone());
                let alias = alias.as_ref().map_or(known.clone(), |alias| folded(&alias.name));
                Ok((known, alias))
            }
            other => Err(Failure::unsupported(format!("{word} {other}"), "name a table")),
        }
    }

    /// A WHERE always: without one, SQLite empties a table without saying which rows it had.
    fn filter(&mut self, selection: Option<&Expr>) -> Result<()> {
        self.put(" WHERE ");
        match selection {
            Some(selection) => self.condition(selection),
            None => {
                self.put("TRUE");
                Ok(())
            }
        }
    }

    pub(super) fn returning(&mut self, returning: Option<&[SelectItem]>) -> Result<Vec<Output>> {
        let Some(items) = returning else { return Ok(Vec::new()) };
        self.put(" RETURNING ");
        self.returning = true;
        self.projection(items, &[])?;
        self.returning = false;
        self.projected_items(items)
    }

    pub(super) fn assignments(&mut self, assignments: &[Assignment], table: &Table) -> Result<()> {
        let mut changes = Vec::new();
        for assignment in assignments {
            changes.extend(changes_of(assignment, table)?);
        }
        // A column that is generated has its value anyway, and SQLite takes none for it.
        changes.retain(|change| !matches!(change, Change::Value(column, _) if column.generated));
        if changes.is_empty() {
            self.changed_to_itself(table);
            return Ok(());
        }
        self.list(&changes, |this, change| match change {
            Change::Value(column, value) => {
                this.put(&format!("{} = ", quoted(&column.name)));
                this.assigned(value, column)
            }
            Change::Row(columns, query) => {
                let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
                this.put(&format!("({}) = (", names.join(", ")));
                this.query(query)?;
                this.put(")");
                Ok(())
            }
        })
    }

    /// An assignment that changes nothing in the row.
    fn changed_to_itself(&mut self, table: &Table) {
        let mut stored = table.columns.iter().filter(|column| !column.generated);
        let first = stored.clone().next();
        let Some(column) = stored.find(|column| !column.is_rowid).or(first) else { return };
        let target = self.scopes.last().and_then(|scope| scope.first());
        let alias = target.map(|target| quoted(&target.alias)).unwrap_or_default();
        let name = quoted(&column.name);
        self.put(&format!("{name} = {alias}.{name}"));
    }

    pub(super) fn truncate(mut self, truncate: &Truncate) -> Result<Plan> {
        let targets = truncate.table_names.iter().map(|target| self.changed_table(&target.name));
        let mut tables = targets.collect::<Result<BTreeSet<String>>>()?;
        while truncate.cascade == Some(CascadeOption::Cascade) {
            let refers = |other: &Table| other.foreign.iter().any(|foreign| tables.contains(&foreign.parent));
            let more =
                self.catalogue.tables.iter().filter(|(name, other)| !tables.contains(*name) && refers(other));
            let more: Vec<String> = more.map(|(name, _)| name.clone()).collect();
            if more.is_empty() {
                break;
            }
            tables.extend(more);
        }
        for (child, other) in &self.catalogue.tables {
            if !tables.contains(child) && other.foreign.iter().any(|foreign| tables.contains(&foreign.parent))
            {
                let message = "cannot truncate a table referenced in a foreign key constraint";
                let hint = format!("truncate table \"{child}\" at the same time");
                return Err(Failure::new(sqlstate::NOT_SUPPORTED, message).hint(hint));
            }
        }
        let restart = truncate.identity == Some(TruncateIdentityOption::Restart);
        Ok(Plan::Truncate { tables: tables.into_iter().collect(), restart })
    }

    pub(super) fn lock_tables(mut self, lock: &Lock) -> Result<Plan> {
        let mode = match lock.lock_mode {
            Some(LockTableMode::AccessShare) => TableMode::AccessShare,
            Some(LockTableMode::RowShare) => TableMode::RowShare,
            Some(LockTableMode::RowExclusive) => TableMode::RowExclusive,
            Some(LockTableMode::ShareUpdateExclusive) => TableMode::ShareUpdateExclusive,
            Some(LockTableMode::Share) => TableMode::Share,
            Some(LockTableMode::ShareRowExclusive) => TableMode::ShareRowExclusive,
            Some(LockTableMode::Exclusive) => TableMode::Exclusive,
            Some(LockTableMode::AccessExclusive) | None => TableMode::AccessExclusive,
        };
        let targets = lock.tables.iter().map(|target| self.changed_table(&target.name));
        let tables = targets.collect::<Result<BTreeSet<String>>>()?.into_iter().collect();
        Ok(Plan::Lock { tables, mode, nowait: lock.nowait })
    }
}

/// What an UPDATE changes.
enum Change<'e> {
    Value(&'e Column, &'e Expr),
    /// Several columns get the values of a row.
    Row(Vec<&'e Column>, &'e Query),
}

fn changes_of<'e>(assignment: &'e Assignment, table: &'e Table) -> Result<Vec<Change<'e>>> {
    let (names, values) = match &assignment.target {
        AssignmentTarget::ColumnName(name) => (std::slice::from_ref(name), Some(vec![&assignment.value])),
        AssignmentTarget::Tuple(names) => (names.as_slice(), row_of(&assignment.value)),
    };
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let name = relation_name(name)?;
        let column = table.column(&name).ok_or_else(|| undefined_column(&name))?;
        if column.is_rowid {
            let hint = "insert the row anew, and delete the old one";
            return Err(Failure::unsupported("an UPDATE of a primary key of whole numbers", hint));
        }
        columns.push(column);
    }
    let values = values.filter(|values| values.len() == columns.len());
    let given = |at: usize| values.as_ref().is_some_and(|values| !insert::is_default(values[at]));
    let is_given = |at: &usize| columns[*at].generated && (values.is_none() || given(*at));
    if let Some(at) = (0..columns.len()).find(is_given) {
        let message = format!("column \"{}\" can only be updated to DEFAULT", columns[at].name);
        return Err(
            Failure::new(sqlstate::GENERATED_ALWAYS, message).hint("update the columns that it is made of")
        );
    }
    match (values, &assignment.value) {
        (Some(values), _) => {
            Ok(columns.into_iter().zip(values).map(|(column, value)| Change::Value(column, value)).collect())
        }
        (None, Expr::Subquery(query)) => Ok(vec![Change::Row(columns, query)]),
        (None, _) => {
            let hint = "give one value for each column: (a, b) = (1, 2)";
            let message = "number of columns does not match number of values";
            Err(Failure::new(sqlstate::SYNTAX, message).hint(hint))
        }
    }
}

/// The values of `(1, 2)` or `ROW(1, 2)`.
fn row_of(expr: &Expr) -> Option<Vec<&Expr>> {
    match expr {
        Expr::Tuple(values) => Some(values.iter().collect()),
        Expr::Function(function) if super::call::name_of(function) == "row" => {
            Some(super::call::arguments(function))
        }
        _ => None,
    }
}
