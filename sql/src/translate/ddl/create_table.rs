//! CREATE TABLE: columns and constraints, with the names that PostgreSQL gives them.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, CreateTableOptions, Expr, ForeignKeyConstraint, GeneratedAs,
    IndexColumn, TableConstraint,
};

use super::{Change, Ddl, Translator, counting, named};
use crate::catalogue::{Column, Index, Table};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::TableMode;
use crate::translate::predicate::is_by_bytes;
use crate::translate::{Relation, folded, quoted, relation_name};
use crate::types::Type;

/// A table while it is read.
pub(super) struct Draft {
    pub name: String,
    pub table: Table,
    /// Texts of columns, then of constraints.
    pub parts: Vec<String>,
    pub indexes: Vec<(String, Index)>,
    /// Names of columns, with the name of the constraint if it has one.
    pub primary: Option<(Option<String>, Vec<String>)>,
    pub uniques: Vec<(Option<String>, Vec<String>)>,
    pub checks: Vec<(Option<String>, String, Expr)>,
    /// Places of columns whose values follow from the others, and how.
    pub generated: Vec<(usize, Expr)>,
    pub sequences: Vec<(String, i64, i64)>,
}

impl Translator<'_> {
    pub(super) fn create_table(&mut self, create: &CreateTable) -> Result<Ddl> {
        let name = relation_name(&create.name)?;
        if self.is_there(&name, create.if_not_exists)? {
            return Ok(Ddl::nothing());
        }
        refuse_odd(create)?;
        let number = self.catalogue.numbers;
        let table = Table { number, columns: Vec::new(), rowid: None, foreign: Vec::new() };
        let mut draft = Draft {
            name: name.clone(),
            table,
            parts: Vec::new(),
            indexes: Vec::new(),
            primary: None,
            uniques: Vec::new(),
            checks: Vec::new(),
            generated: Vec::new(),
            sequences: Vec::new(),
        };
        self.table_columns(create.columns.len())?;
        let mut foreign: Vec<ForeignKeyConstraint> = Vec::new();
        for column in &create.columns {
            self.column_of(column, &mut draft, &mut foreign)?;
        }
        for constraint in &create.constraints {
            constraint_of(constraint, &mut draft, &mut foreign)?;
        }
        self.has_room(1 + draft.uniques.len() + draft.sequences.len())?;
        self.keys(&mut draft)?;
        let generated = self.generated_texts(&mut draft)?;
        column_texts(&mut draft, &generated)?;
        self.check_texts(&mut draft)?;
        for constraint in &foreign {
            self.foreign(constraint, &mut draft)?;
        }
        let mut statements =
            vec![format!("CREATE TABLE {} ({}) STRICT", quoted(&name), draft.parts.join(", "))];
        statements.extend(draft.indexes.iter().filter_map(|(_, index)| index.create.clone()));
        let mut tables: Vec<(String, TableMode)> = Vec::new();
        for foreign in &draft.table.foreign {
            if foreign.parent != name {
                tables.push((foreign.parent.clone(), TableMode::ShareRowExclusive));
            }
        }
        let mut changes: Vec<Change> = draft
            .sequences
            .into_iter()
            .map(|(name, start, step)| Change::Sequence(name, start, step))
            .collect();
        changes.push(Change::Table(name, draft.table));
        changes.extend(draft.indexes.into_iter().map(|(name, index)| Change::Index(name, index)));
        Ok(Ddl { statements, changes, tables })
    }

    fn column_of(
        &mut self,
        definition: &ColumnDef,
        draft: &mut Draft,
        foreign: &mut Vec<ForeignKeyConstraint>,
    ) -> Result<()> {
        let name = folded(&definition.name);
        let place = definition.name.span.start;
        let at = |failure: Failure| failure.at(place.line, place.column);
        if draft.table.column(&name).is_some() {
            let message = format!("column \"{name}\" specified more than once");
            return Err(at(Failure::new(sqlstate::DUPLICATE_COLUMN, message).hint("name it once")));
        }
        if ["rowid", "oid", "_rowid_"].contains(&name.as_str()) {
            return Err(at(Failure::unsupported(
                format!("a column with the name {name}"),
                "choose another name",
            )));
        }
        let (kind, serial) = Type::of(&definition.data_type).map_err(at)?;
        let mut column = Column {
            name: name.clone(),
            kind,
            not_null: serial,
            default: None,
            sequence: None,
            always: false,
            is_rowid: false,
            generated: false,
        };
        if serial {
            self.counts(&mut column, (1, 1), draft);
        }
        for option in &definition.options {
            let given = option.name.as_ref().map(folded);
            match &option.option {
                ColumnOption::Null => {}
                ColumnOption::Collation(collation) if is_by_bytes(collation) => {}
                ColumnOption::NotNull => column.not_null = true,
                ColumnOption::Default(expr) => {
                    column.default = Some(self.apart(|this| {
                        this.put("(");
                        this.assigned(expr, &column)?;
                        this.put(")");
                        Ok(())
                    })?);
                }
                ColumnOption::PrimaryKey(_) => {
                    draft.primary = Some((given, vec![name.clone()]));
                }
                ColumnOption::Unique(_) => draft.uniques.push((given, vec![name.clone()])),
                ColumnOption::Check(check) => {
                    let given = given.or_else(|| check.name.as_ref().map(folded));
                    draft.checks.push((given, format!("{}_{name}_check", draft.name), (*check.expr).clone()));
                }
                ColumnOption::ForeignKey(constraint) => {
                    let mut constraint = constraint.clone();
                    constraint.columns = vec![definition.name.clone()];
                    constraint.name = constraint.name.or_else(|| option.name.clone());
                    foreign.push(constraint);
                }
                ColumnOption::Generated {
                    generated_as: as_what @ (GeneratedAs::Always | GeneratedAs::ByDefault),
                    sequence_options,
                    generation_expr: None,
                    ..
                } => {
                    let counting = counting(sequence_options.as_deref().unwrap_or_default())?;
                    column.not_null = true;
                    column.always = matches!(as_what, GeneratedAs::Always);
                    self.counts(&mut column, counting, draft);
                }
                ColumnOption::Generated { generation_expr: Some(expr), .. } => {
                    column.generated = true;
                    draft.generated.push((draft.table.columns.len(), expr.clone()));
                }
                other => {
                    let hint = "use NOT NULL, DEFAULT, PRIMARY KEY, UNIQUE, CHECK, REFERENCES, IDENTITY and \
                                GENERATED ALWAYS AS (…) STORED";
                    return Err(at(Failure::unsupported(format!("`{other}` of a column"), hint)));
                }
            }
        }
        draft.table.columns.push(column);
        Ok(())
    }

    /// The column takes its values from a sequence of its own.
    fn counts(&self, column: &mut Column, (start, step): (i64, i64), draft: &mut Draft) {
        column.sequence = Some(self.catalogue.sequence_numbers + draft.sequences.len());
        let name = self.catalogue.free_name(format!("{}_{}_seq", draft.name, column.name));
        draft.sequences.push((name, start, step));
    }

    /// PRIMARY KEY and UNIQUE.
    fn keys(&mut self, draft: &mut Draft) -> Result<()> {
        let primary = draft.primary.take();
        let keys = primary.map(|key| (key, true)).into_iter();
        let uniques = std::mem::take(&mut draft.uniques);
        for ((given, columns), primary) in keys.chain(uniques.into_iter().map(|key| (key, false))) {
            for name in &columns {
                let Some(at) = draft.table.columns.iter().position(|column| column.name == *name) else {
                    let message = format!("column \"{name}\" named in key does not exist");
                    return Err(
                        Failure::new(sqlstate::UNDEFINED_COLUMN, message).hint("name a column of the table")
                    );
                };
                draft.table.columns[at].not_null |= primary;
                if primary && columns.len() == 1 && draft.table.columns[at].kind.is_integer() {
                    draft.table.rowid = Some(at);
                    draft.table.columns[at].is_rowid = true;
                }
            }
            let known = given.unwrap_or_else(|| {
                let base = match primary {
                    true => format!("{}_pkey", draft.name),
                    false => format!("{}_{}_key", draft.name, columns.join("_")),
                };
                self.catalogue.free_name(base)
            });
            if self.catalogue.has_relation(&known) || draft.indexes.iter().any(|(name, _)| *name == known) {
                let message = format!("relation \"{known}\" already exists");
                return Err(
                    Failure::new(sqlstate::DUPLICATE_TABLE, message).hint("name the constraint otherwise")
                );
            }
            let quoted_names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
            let is_rowid = primary && draft.table.rowid.is_some();
            let rest = format!("ON {} ({})", quoted(&draft.name), quoted_names.join(", "));
            let index = Index {
                table: draft.name.clone(),
                unique: true,
                constraint: true,
                primary,
                keys: quoted_names,
                columns: Some(columns),
                predicate: None,
                create: (!is_rowid).then_some(rest),
            };
            draft.indexes.push((known.clone(), named(index, &known)));
        }
        Ok(())
    }

    /// Columns whose values follow from the others.
    fn generated_texts(&mut self, draft: &mut Draft) -> Result<BTreeMap<usize, String>> {
        let mut texts = BTreeMap::new();
        let mut table = draft.table.clone();
        table.columns.retain(|column| !column.generated);
        self.scopes.push(vec![Relation::of_table(&draft.name, &draft.name, &table)]);
        let generated = draft.table.columns.iter().filter(|column| column.generated);
        self.generated = generated.map(|column| column.name.clone()).collect();
        for (at, expr) in std::mem::take(&mut draft.generated) {
            let column = draft.table.columns[at].clone();
            if column.default.is_some() || column.sequence.is_some() {
                let message = format!(
                    "both default and generation expression specified for column \"{}\"",
                    column.name
                );
                return Err(Failure::new(sqlstate::SYNTAX, message).hint("leave the default out"));
            }
            if column.is_rowid {
                let hint = "use a key of another column, or IDENTITY";
                return Err(Failure::unsupported("a primary key that is a generated column", hint));
            }
            let text = self.apart(|this| this.assigned(&expr, &column))?;
            texts.insert(at, text);
            self.within()?;
        }
        self.generated.clear();
        self.scopes.pop();
        Ok(texts)
    }

    fn check_texts(&mut self, draft: &mut Draft) -> Result<()> {
        self.scopes.push(vec![Relation::of_table(&draft.name, &draft.name, &draft.table)]);
        let mut used: BTreeSet<String> = BTreeSet::new();
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for (given, base, expr) in std::mem::take(&mut draft.checks) {
            let mut name = given.unwrap_or_else(|| base.clone());
            let number = numbers.entry(base.clone()).or_insert(1);
            while used.contains(&name) {
                name = format!("{base}{number}");
                *number += 1;
            }
            let text = self.apart(|this| this.condition(&expr))?;
            draft.parts.push(format!("CONSTRAINT {} CHECK {text}", quoted(&name)));
            used.insert(name);
            self.within()?;
        }
        self.scopes.pop();
        Ok(())
    }

    /// A column of ALTER TABLE … ADD COLUMN.
    pub(super) fn added_column(
        &mut self,
        name: &str,
        table: &Table,
        definition: &ColumnDef,
    ) -> Result<(String, Column)> {
        self.table_columns(table.columns.len() + 1)?;
        let mut draft = Draft {
            name: name.to_owned(),
            table: table.clone(),
            parts: Vec::new(),
            indexes: Vec::new(),
            primary: None,
            uniques: Vec::new(),
            checks: Vec::new(),
            generated: Vec::new(),
            sequences: Vec::new(),
        };
        let mut foreign = Vec::new();
        self.column_of(definition, &mut draft, &mut foreign)?;
        let plain = draft.primary.is_none()
            && draft.uniques.is_empty()
            && draft.checks.is_empty()
            && draft.sequences.is_empty()
            && draft.generated.is_empty()
            && foreign.is_empty();
        let Some(column) = draft.table.columns.pop().filter(|_| plain) else {
            let hint = "add the column with NOT NULL and DEFAULT alone, and a unique index behind it";
            return Err(Failure::unsupported(
                "ADD COLUMN with a key, a check, a reference, a sequence or a generated column",
                hint,
            ));
        };
        Ok((column_text(&column, name, false), column))
    }
}

/// The texts of the columns; `generated` has those that their values follow from.
fn column_texts(draft: &mut Draft, generated: &BTreeMap<usize, String>) -> Result<()> {
    for (at, column) in draft.table.columns.iter().enumerate() {
        let mut text = column_text(column, &draft.name, draft.table.rowid == Some(at));
        if let Some(generated) = generated.get(&at) {
            text.push_str(&format!(" GENERATED ALWAYS AS ({generated}) STORED"));
        }
        draft.parts.push(text);
    }
    if draft.parts.is_empty() {
        return Err(Failure::unsupported("a table without columns", "give it at least one column"));
    }
    Ok(())
}

fn column_text(column: &Column, table: &str, is_rowid: bool) -> String {
    let mut text = format!("{} {}", quoted(&column.name), column.kind.storage());
    if is_rowid {
        text.push_str(" PRIMARY KEY");
    }
    if column.not_null {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = &column.default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if matches!(column.kind, Type::Json | Type::Jsonb) {
        let name = format!("{JSON_CHECK}{table}.{}", column.name);
        text.push_str(&format!(" CONSTRAINT {} CHECK (json_valid({}))", quoted(&name), quoted(&column.name)));
    }
    text
}

/// The beginning of the name of a check that a text is JSON.
pub(crate) const JSON_CHECK: &str = "pg_json ";

fn constraint_of(
    constraint: &TableConstraint,
    draft: &mut Draft,
    foreign: &mut Vec<ForeignKeyConstraint>,
) -> Result<()> {
    match constraint {
        TableConstraint::PrimaryKey(key) => {
            draft.primary = Some((key.name.as_ref().map(folded), plain(&key.columns)?));
        }
        TableConstraint::Unique(key) => {
            draft.uniques.push((key.name.as_ref().map(folded), plain(&key.columns)?))
        }
        TableConstraint::Check(check) => {
            draft.checks.push((
                check.name.as_ref().map(folded),
                format!("{}_check", draft.name),
                (*check.expr).clone(),
            ));
        }
        TableConstraint::ForeignKey(key) => foreign.push(key.clone()),
        other => {
            let hint = "use PRIMARY KEY, UNIQUE, CHECK and FOREIGN KEY";
            return Err(Failure::unsupported(format!("the constraint `{other}`"), hint));
        }
    }
    Ok(())
}

fn plain(columns: &[IndexColumn]) -> Result<Vec<String>> {
    let name = |column: &IndexColumn| match &column.column.expr {
        Expr::Identifier(name) => Ok(folded(name)),
        other => {
            Err(Failure::unsupported(format!("`{other}` in a key"), "name columns, or create a unique index"))
        }
    };
    columns.iter().map(name).collect()
}

fn refuse_odd(create: &CreateTable) -> Result<()> {
    let refuse = |what: &str, hint: &str| Err(Failure::unsupported(what, hint));
    if create.temporary {
        return refuse("a temporary table", "use a table, or WITH in the query");
    }
    if create.query.is_some() {
        return refuse("CREATE TABLE … AS", "write CREATE TABLE with columns, then INSERT … SELECT");
    }
    if create.like.is_some() || create.inherits.is_some() || create.clone.is_some() {
        return refuse("LIKE or INHERITS", "write the columns");
    }
    if create.partition_by.is_some() || create.partition_of.is_some() {
        return refuse("a partitioned table", "use one table");
    }
    if create.or_replace || create.external || !matches!(create.table_options, CreateTableOptions::None) {
        return refuse("this form of CREATE TABLE", "write CREATE TABLE name (columns and constraints)");
    }
    Ok(())
}
