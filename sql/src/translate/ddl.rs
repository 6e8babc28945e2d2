//! CREATE, ALTER and DROP.

pub(super) mod create_table;
mod drop;
mod foreign;

use std::collections::BTreeSet;

use sqlparser::ast::{
    AlterTable, AlterTableOperation, CreateIndex, CreateView, Expr, IndexColumn, OrderBySort,
    RenameTableNameKind, SequenceOptions, Statement, TableConstraint, UnaryOperator, Value as Literal,
};

use super::{Relation, Translator, folded, quoted, relation_name, undefined_column, undefined_table};
use crate::catalogue::{Column, Index, Output, Table, View};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::TableMode;
use crate::types::Type;

/// A statement that changes what tables there are.
#[derive(Clone, Debug)]
pub(crate) struct Ddl {
    /// As SQLite runs it.
    pub statements: Vec<String>,
    pub changes: Vec<Change>,
    /// The tables that nobody may use meanwhile, and how.
    pub tables: Vec<(String, TableMode)>,
}

/// What the catalogue has to keep of it.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Table(String, Table),
    DropTable(String),
    RenameTable(String, String),
    AddColumn(String, Column),
    DropColumn(String, String),
    RenameColumn(String, String, String),
    Index(String, Index),
    DropIndex(String),
    View(String, View),
    DropView(String),
    /// Its name, first value and increment.
    Sequence(String, i64, i64),
    DropSequence(String),
}

impl Ddl {
    fn nothing() -> Self {
        Self { statements: Vec::new(), changes: Vec::new(), tables: Vec::new() }
    }
}

impl Translator<'_> {
    pub(super) fn ddl(&mut self, statement: &Statement) -> Result<Ddl> {
        match statement {
            Statement::CreateTable(create) => self.create_table(create),
            Statement::CreateIndex(create) => self.create_index(create),
            Statement::CreateView(create) => self.create_view(create),
            Statement::CreateSequence { temporary: false, if_not_exists, name, sequence_options } => {
                let name = relation_name(name)?;
                if self.is_there(&name, *if_not_exists)? {
                    return Ok(Ddl::nothing());
                }
                let (start, step) = counting(sequence_options)?;
                Ok(Ddl { changes: vec![Change::Sequence(name, start, step)], ..Ddl::nothing() })
            }
            Statement::AlterTable(alter) => self.alter_table(alter),
            Statement::Drop {
                object_type, if_exists, names, cascade, table: None, temporary: false, ..
            } => {
                let mut ddl = Ddl::nothing();
                let mut all = BTreeSet::new();
                for name in names {
                    all.insert(relation_name(name)?);
                }
                for name in &all {
                    self.drop_one(*object_type, name, *if_exists, *cascade, &all, &mut ddl)?;
                }
                Ok(ddl)
            }
            other => Err(unsupported(other)),
        }
    }

    /// Whether the name is taken; fails if it must not be.
    fn is_there(&self, name: &str, if_not_exists: bool) -> Result<bool> {
        if !self.catalogue.has_relation(name) {
            return self.has_room(1).map(|()| false);
        }
        if if_not_exists {
            return Ok(true);
        }
        let message = format!("relation \"{name}\" already exists");
        Err(Failure::new(sqlstate::DUPLICATE_TABLE, message)
            .hint("choose another name, or write IF NOT EXISTS"))
    }

    /// Fails if the database cannot have so many more relations.
    fn has_room(&self, more: usize) -> Result<()> {
        let most = self.bounds.relations;
        if self.catalogue.relations() + more <= most {
            return Ok(());
        }
        let message = format!("a database has at most {most} tables, indexes and views");
        Err(Failure::new(sqlstate::LIMIT, message).hint("drop some"))
    }

    fn create_index(&mut self, create: &CreateIndex) -> Result<Ddl> {
        let name = relation_name(&create.table_name)?;
        let table = self.catalogue.tables.get(&name).ok_or_else(|| undefined_table(&name))?;
        let method = create.using.as_ref().map(ToString::to_string).unwrap_or_default().to_lowercase();
        if !["", "btree"].contains(&method.as_str()) {
            return Err(Failure::unsupported(
                format!("an index by {method}"),
                "leave USING out: all are B-trees",
            ));
        }
        if !create.include.is_empty() || !create.with.is_empty() || create.nulls_distinct == Some(false) {
            let hint = "write CREATE [UNIQUE] INDEX name ON table (columns) [WHERE condition]";
            return Err(Failure::unsupported("INCLUDE, WITH or NULLS NOT DISTINCT of an index", hint));
        }
        let index =
            self.index(&name, table, &create.columns, create.predicate.as_ref(), create.unique, false)?;
        let known = match &create.name {
            Some(given) => relation_name(given)?,
            None => {
                let parts = index.columns.clone().unwrap_or_else(|| vec!["expr".to_owned()]);
                self.catalogue.free_name(format!("{name}_{}_idx", parts.join("_")))
            }
        };
        if self.is_there(&known, create.if_not_exists)? {
            return Ok(Ddl::nothing());
        }
        let mode = if create.concurrently { TableMode::ShareUpdateExclusive } else { TableMode::Share };
        let index = named(index, &known);
        Ok(Ddl {
            statements: index.create.iter().cloned().collect(),
            tables: vec![(name, mode)],
            changes: vec![Change::Index(known, index)],
        })
    }

    /// An index without its name: `create` has everything behind it.
    fn index(
        &mut self,
        name: &str,
        table: &Table,
        columns: &[IndexColumn],
        predicate: Option<&Expr>,
        unique: bool,
        constraint: bool,
    ) -> Result<Index> {
        self.scopes.push(vec![Relation::of_table(name, name, table)]);
        let written = self.index_parts(table, columns, predicate);
        self.scopes.pop();
        let (keys, orders, plain, predicate) = written?;
        let terms: Vec<String> =
            keys.iter().zip(orders).map(|(key, order)| format!("{key}{order}")).collect();
        let condition = predicate.as_ref().map(|text| format!(" WHERE {text}")).unwrap_or_default();
        let create = Some(format!("ON {} ({}){condition}", quoted(name), terms.join(", ")));
        let (table, primary) = (name.to_owned(), false);
        Ok(Index { table, unique, constraint, primary, keys, columns: plain, predicate, create })
    }

    /// Keys, their orders, the columns if they are nothing else, and the condition.
    #[expect(clippy::type_complexity, reason = "four lists that belong to one index")]
    fn index_parts(
        &mut self,
        table: &Table,
        columns: &[IndexColumn],
        predicate: Option<&Expr>,
    ) -> Result<(Vec<String>, Vec<&'static str>, Option<Vec<String>>, Option<String>)> {
        let (mut keys, mut orders, mut plain) = (Vec::new(), Vec::new(), Some(Vec::new()));
        for column in columns {
            match &column.column.expr {
                Expr::Identifier(name) => {
                    let name = folded(name);
                    table.column(&name).ok_or_else(|| undefined_column(&name))?;
                    keys.push(quoted(&name));
                    if let Some(plain) = &mut plain {
                        plain.push(name);
                    }
                }
                expr => {
                    keys.push(self.apart(|this| this.expr(expr, Type::Unknown))?);
                    plain = None;
                }
            }
            let descending = matches!(column.column.options.sort, Some(OrderBySort::Desc));
            orders.push(if descending { " DESC" } else { "" });
        }
        let predicate = predicate.map(|expr| self.apart(|this| this.condition(expr))).transpose()?;
        Ok((keys, orders, plain, predicate))
    }

    fn create_view(&mut self, create: &CreateView) -> Result<Ddl> {
        if create.materialized || create.temporary {
            let hint = "write CREATE VIEW, or CREATE TABLE and INSERT … SELECT";
            return Err(Failure::unsupported("a materialized or temporary view", hint));
        }
        let name = relation_name(&create.name)?;
        let replaced = create.or_replace && self.catalogue.views.contains_key(&name);
        if !replaced && self.is_there(&name, create.if_not_exists)? {
            return Ok(Ddl::nothing());
        }
        let mut outputs = self.describe(&create.query)?;
        for (output, column) in outputs.iter_mut().zip(&create.columns) {
            output.name = folded(&column.name);
        }
        self.table_columns(outputs.len())?;
        let columns: Vec<String> = outputs.iter().map(|output| quoted(&output.name)).collect();
        self.put(&format!("CREATE VIEW {} ({}) AS ", quoted(&name), columns.join(", ")));
        let written = self.query(&create.query)?;
        written.settle(&mut outputs);
        if !self.params.is_empty() {
            return Err(Failure::new(sqlstate::UNDEFINED_PARAMETER, "a view cannot have parameters")
                .hint("put the condition into the queries of the view"));
        }
        if self.reads_system {
            let hint = "select from the table of the system where you need its rows";
            return Err(Failure::unsupported("a view of the system catalogue", hint));
        }
        if replaced {
            self.replaces(&name, &outputs)?;
        }
        let tables = self.tables.keys().cloned().collect();
        let views = std::mem::take(&mut self.views);
        let drop = replaced.then(|| format!("DROP VIEW {}", quoted(&name)));
        let statements = drop.into_iter().chain([std::mem::take(&mut self.out)]).collect();
        let change = Change::View(name, View { outputs, tables, views, body: written.body });
        Ok(Ddl { statements, changes: vec![change], tables: Vec::new() })
    }

    /// Fails if what was written cannot take the place of a view: others may read its columns.
    fn replaces(&self, name: &str, outputs: &[Output]) -> Result<()> {
        if self.catalogue.reads_view(&self.views, name) {
            let message = format!("infinite recursion detected in rules for relation \"{name}\"");
            return Err(Failure::new(sqlstate::INVALID_DEFINITION, message)
                .hint("a view cannot read itself: give the new one another name"));
        }
        let old = self.catalogue.views.get(name).map(|view| view.outputs.as_slice()).unwrap_or_default();
        let changed = old.iter().zip(outputs).find_map(|(old, new)| {
            if old.name != new.name {
                return Some(format!(
                    "cannot change name of view column \"{}\" to \"{}\"",
                    old.name, new.name
                ));
            }
            let (from, to) = (old.kind.name(), new.kind.name());
            let is_other = from != to && old.kind != Type::Unknown;
            is_other.then(|| {
                format!("cannot change data type of view column \"{}\" from {from} to {to}", old.name)
            })
        });
        let fewer = (outputs.len() < old.len()).then(|| "cannot drop columns from view".to_owned());
        changed.or(fewer).map_or(Ok(()), |message| {
            Err(Failure::new("42P16", message)
                .hint("keep the columns and add others behind them, or drop the view first"))
        })
    }

    fn alter_table(&mut self, alter: &AlterTable) -> Result<Ddl> {
        let name = relation_name(&alter.name)?;
        let Some(table) = self.catalogue.tables.get(&name) else {
            return if alter.if_exists { Ok(Ddl::nothing()) } else { Err(undefined_table(&name)) };
        };
        let [operation] = alter.operations.as_slice() else {
            return Err(Failure::unsupported(
                "several changes in one ALTER TABLE",
                "write one statement for each",
            ));
        };
        let known = quoted(&name);
        let (text, changes) = match operation {
            AlterTableOperation::AddColumn { column_def, if_not_exists, .. } => {
                if table.column(&folded(&column_def.name)).is_some() && *if_not_exists {
                    return Ok(Ddl::nothing());
                }
                let (text, column) = self.added_column(&name, table, column_def)?;
                (
                    format!("ALTER TABLE {known} ADD COLUMN {text}"),
                    vec![Change::AddColumn(name.clone(), column)],
                )
            }
            AlterTableOperation::DropColumn { column_names, .. } if column_names.len() == 1 => {
                let column = folded(&column_names[0]);
                table.column(&column).ok_or_else(|| undefined_column(&column))?;
                let text = format!("ALTER TABLE {known} DROP COLUMN {}", quoted(&column));
                (text, vec![Change::DropColumn(name.clone(), column)])
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                let (old, new) = (folded(old_column_name), folded(new_column_name));
                table.column(&old).ok_or_else(|| undefined_column(&old))?;
                let text = format!("ALTER TABLE {known} RENAME COLUMN {} TO {}", quoted(&old), quoted(&new));
                (text, vec![Change::RenameColumn(name.clone(), old, new)])
            }
            AlterTableOperation::RenameTable { table_name } => {
                let (RenameTableNameKind::As(new) | RenameTableNameKind::To(new)) = table_name;
                let new = relation_name(new)?;
                self.is_there(&new, false)?;
                let text = format!("ALTER TABLE {known} RENAME TO {}", quoted(&new));
                (text, vec![Change::RenameTable(name.clone(), new)])
            }
            AlterTableOperation::AddConstraint { constraint: TableConstraint::Unique(unique), .. } => {
                let index = self.index(&name, table, &unique.columns, None, true, true)?;
                let columns = index.columns.clone().unwrap_or_default().join("_");
                let given = unique.name.as_ref().map(folded);
                let given =
                    given.unwrap_or_else(|| self.catalogue.free_name(format!("{name}_{columns}_key")));
                self.is_there(&given, false)?;
                let index = named(index, &given);
                (index.create.clone().unwrap_or_default(), vec![Change::Index(given, index)])
            }
            other => {
                let hint = "write keys, checks and defaults in CREATE TABLE; ALTER TABLE adds, drops and renames \
                            columns, renames tables, and adds UNIQUE";
                return Err(Failure::unsupported(format!("ALTER TABLE … {other}"), hint));
            }
        };
        Ok(Ddl { statements: vec![text], changes, tables: vec![(name, TableMode::AccessExclusive)] })
    }
}

/// The index with its name in what creates it.
fn named(mut index: Index, name: &str) -> Index {
    let unique = if index.unique { "UNIQUE " } else { "" };
    index.create = index.create.map(|rest| format!("CREATE {unique}INDEX {} {rest}", quoted(name)));
    index
}

/// The first value and the increment of a sequence.
fn counting(options: &[SequenceOptions]) -> Result<(i64, i64)> {
    let (mut start, mut step) = (None, 1);
    for option in options {
        match option {
            SequenceOptions::StartWith(value, _) => start = Some(whole(value)?),
            SequenceOptions::IncrementBy(value, _) => step = whole(value)?,
            SequenceOptions::Cache(_)
            | SequenceOptions::DataType(_)
            | SequenceOptions::OwnedBy(_)
            | SequenceOptions::MinValue(None)
            | SequenceOptions::MaxValue(None) => {}
            SequenceOptions::MinValue(Some(least)) if whole(least)? == 1 => {}
            SequenceOptions::MinValue(_) | SequenceOptions::MaxValue(_) | SequenceOptions::Cycle(_) => {
                return Err(Failure::unsupported(
                    "MINVALUE, MAXVALUE or CYCLE",
                    "use START WITH and INCREMENT BY",
                ));
            }
        }
    }
    if step == 0 {
        return Err(Failure::new(sqlstate::INVALID_PARAMETER, "INCREMENT must not be zero")
            .hint("write INCREMENT BY 1, or -1 to count down"));
    }
    Ok((start.unwrap_or(if step > 0 { 1 } else { -1 }), step))
}

fn whole(expr: &Expr) -> Result<i64> {
    let number = match expr {
        Expr::Value(value) => match &value.value {
            Literal::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => whole(expr).ok().map(|number| -number),
        _ => None,
    };
    number.ok_or_else(|| {
        Failure::new(sqlstate::SYNTAX, format!("`{expr}` is no whole number"))
            .hint("write a number, such as 1")
    })
}

fn unsupported(statement: &Statement) -> Failure {
    let text = statement.to_string();
    let words: Vec<&str> = text.split_whitespace().take(3).collect();
    let words = words.join(" ");
    let hint = match statement {
        Statement::Set(_) | Statement::ShowVariable { .. } => "settings belong to the topology: leave it out",
        Statement::CreateExtension(_) => "leave it out: gen_random_uuid() is built in",
        Statement::CreateType { .. } => "use text with CHECK (column IN ('…', '…'))",
        Statement::CreateFunction(_) | Statement::CreateTrigger(_) => "put the logic into the service",
        Statement::Comment { .. } | Statement::Grant(_) | Statement::Analyze(_) | Statement::Vacuum(_) => {
            "leave it out"
        }
        Statement::Merge(_) => "use INSERT … ON CONFLICT DO UPDATE",
        Statement::Prepare { .. } | Statement::Execute { .. } => {
            "send the statement itself, with $1 for each value"
        }
        Statement::Declare { .. } | Statement::Fetch { .. } | Statement::Close { .. } => {
            "use LIMIT, and a condition on the key of the last row"
        }
        Statement::LISTEN { .. } | Statement::UNLISTEN { .. } | Statement::NOTIFY { .. } => {
            "use a topic of the topology"
        }
        Statement::CreateDomain(_) => "write CHECK into the column",
        Statement::AlterIndex { .. } => "drop the index, and create another one",
        Statement::Call(_) => "put the logic into the service",
        Statement::Commit { .. } | Statement::Rollback { .. } => "leave AND CHAIN out, and begin anew",
        Statement::Copy { .. } => "use INSERT, or `rows` in the topology",
        Statement::CreateSchema { .. } => "leave it out: all tables are in public",
        _ => "use SELECT, INSERT, UPDATE, DELETE, CREATE TABLE, CREATE INDEX, ALTER TABLE and DROP",
    };
    Failure::unsupported(format!("{words} …"), hint)
}
