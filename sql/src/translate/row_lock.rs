//! FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE and FOR KEY SHARE.

use sqlparser::ast::{GroupByExpr, LockClause, LockType, NonBlock, ObjectName, Select, SelectItem};

use super::{Relation, RowLock, Translator, call, quoted, relation_name, undefined_table};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::{Strength, TableMode};
use crate::text::WEAK;

impl Translator<'_> {
    /// Adds what a lock needs to the columns, and gives the condition for SKIP LOCKED.
    pub(super) fn row_locks(
        &mut self,
        select: &Select,
        locks: &[LockClause],
        top: bool,
    ) -> Result<Option<String>> {
        let Some(lock) = locks.first() else { return Ok(None) };
        if locks.len() > 1 {
            return Err(Failure::unsupported(
                "more than one FOR UPDATE or FOR SHARE",
                "use one, with OF for tables",
            ));
        }
        let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
        let aggregates = select.projection.iter().any(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => call::aggregates(expr),
            _ => false,
        });
        for (found, what) in [
            (select.distinct.is_some(), "DISTINCT clause"),
            (grouped || select.having.is_some(), "GROUP BY clause"),
            (aggregates, "aggregate functions"),
        ] {
            if found {
                return Err(not_lockable(lock, what));
            }
        }
        let tables = self.locked_tables(lock)?;
        let strength = strength(lock);
        let skips = lock.nonblock == Some(NonBlock::SkipLocked);
        if lock.nonblock == Some(NonBlock::Nowait) {
            self.unwaited.extend(tables.iter().map(|(number, _)| *number));
        }
        let rowids: Vec<(usize, String)> =
            tables.iter().map(|(number, alias)| (*number, format!("{}.rowid", quoted(alias)))).collect();
        if top {
            rowids.iter().for_each(|(_, rowid)| self.put(&format!(", {rowid}")));
            let tables = rowids.iter().map(|(number, _)| *number).collect();
            self.row_lock = Some(RowLock { strength, tables });
        } else if !skips && !self.changes_rows {
            let hint = "lock rows in the outermost SELECT, or in a subquery of the UPDATE or DELETE that changes them";
            return Err(Failure::unsupported(format!("FOR {} in this subquery", name(lock)), hint));
        }
        if !skips {
            return Ok(None);
        }
        let free: Vec<String> = rowids
            .iter()
            .map(|(number, rowid)| format!("pg_unlocked({number}, {rowid}, {})", strength as i64))
            .collect();
        Ok(Some(free.join(" AND ")))
    }

    /// The numbers and aliases of the tables that a lock concerns.
    fn locked_tables(&mut self, lock: &LockClause) -> Result<Vec<(usize, String)>> {
        let of = of(lock).as_ref().map(relation_name).transpose()?;
        let scope: Vec<Relation> = self.scopes.last().cloned().unwrap_or_default();
        let mut tables = Vec::new();
        for relation in scope.iter().filter(|relation| of.as_ref().is_none_or(|of| *of == relation.alias)) {
            if let Some(table) = relation.table.as_ref().and_then(|table| self.catalogue.tables.get(table)) {
                tables.push((table.number, relation.alias.clone()));
            }
            if let Some(table) = &relation.table {
                self.uses(table, TableMode::RowShare);
            }
        }
        match of {
            Some(of) if tables.is_empty() => {
                Err(undefined_table(&of).hint("name an alias of the FROM behind OF"))
            }
            _ => Ok(tables),
        }
    }
}

pub(super) fn not_lockable(lock: &LockClause, what: &str) -> Failure {
    let message = format!("FOR {} is not allowed with {what}", name(lock));
    Failure::new(sqlstate::NOT_SUPPORTED, message).hint("lock the rows in a SELECT of their own")
}

/// Whether the rows stay free for others that read their keys alone.
fn is_weak(lock: &LockClause) -> bool {
    let schema = lock.of.as_ref().filter(|name| name.0.len() > 1).and_then(|name| name.0[0].as_ident());
    schema.is_some_and(|schema| schema.value == WEAK)
}

fn strength(lock: &LockClause) -> Strength {
    match (lock.lock_type, is_weak(lock)) {
        (LockType::Update, false) => Strength::Update,
        (LockType::Update, true) => Strength::NoKeyUpdate,
        (LockType::Share, false) => Strength::Share,
        (LockType::Share, true) => Strength::KeyShare,
    }
}

fn name(lock: &LockClause) -> &'static str {
    match strength(lock) {
        Strength::Update => "UPDATE",
        Strength::NoKeyUpdate => "NO KEY UPDATE",
        Strength::Share => "SHARE",
        Strength::KeyShare => "KEY SHARE",
    }
}

/// The table that stands behind OF.
fn of(lock: &LockClause) -> Option<ObjectName> {
    let name = lock.of.as_ref()?;
    if !is_weak(lock) {
        return Some(name.clone());
    }
    let is_named = name.0[1].as_ident().is_none_or(|name| !name.value.is_empty());
    is_named.then(|| ObjectName(name.0[1..].to_vec()))
}
