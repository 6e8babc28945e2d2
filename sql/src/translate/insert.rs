//! INSERT. The engine gives every row its place, so that two open transactions never take the same one.

use sqlparser::ast::{
    Assignment, ConflictTarget, Expr, Insert, InsertOverriding, OnConflict, OnConflictAction, OnInsert,
    Query, SetExpr, TableObject,
};

use super::{Relation, Run, Translator, folded, literal, quoted, relation_name, undefined_column};
use crate::catalogue::{Column, Loss, Table};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::Strength;
use crate::types::{Type, convert};
use crate::value::Value;

impl Translator<'_> {
    pub(super) fn top_insert(mut self, insert: &Insert) -> Result<Run> {
        (self.changes_rows, self.is_insert) = (true, true);
        let odd = insert.or.is_some()
            || insert.ignore
            || insert.overwrite
            || insert.replace_into
            || insert.partitioned.is_some()
            || !insert.after_columns.is_empty()
            || !insert.assignments.is_empty()
            || insert.output.is_some()
            || insert.insert_alias.is_some()
            || insert.multi_table_insert_type.is_some();
        let TableObject::TableName(name) = &insert.table else {
            return Err(Failure::unsupported("INSERT into other than a table", "name a table"));
        };
        if odd {
            let hint = "write INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT … RETURNING …";
            return Err(Failure::unsupported("this form of INSERT", hint));
        }
        let table_name = self.changed_table(name)?;
        let Some(table) = self.catalogue.tables.get(&table_name) else {
            return Err(undefined_column(&table_name));
        };
        let is_one_row =
            |source: &Query| matches!(&*source.body, SetExpr::Values(values) if values.rows.len() == 1);
        let is_one = insert.source.as_deref().is_none_or(is_one_row);
        self.inserts_one = insert.on.is_none() && insert.returning.is_none() && is_one;
        self.strikes_once = !is_one && is_upsert(insert);
        self.put(&format!("INSERT INTO {}", quoted(&table_name)));
        let alias = insert.table_alias.as_ref().map_or(table_name.clone(), |alias| folded(&alias.alias));
        if alias != table_name {
            self.put(&format!(" AS {}", quoted(&alias)));
        }
        let named = self.named_columns(insert, table)?;
        match &insert.source {
            None => self.insert_defaults(table),
            Some(source) => self.insert_source(source, table, &named, insert)?,
        }
        let relation = |alias: &str| Relation::of_table(alias, &table_name, table);
        self.scopes.push(vec![relation(&alias), relation("excluded")]);
        let mut strength = Strength::Update;
        match &insert.on {
            None => {}
            Some(OnInsert::OnConflict(conflict)) => {
                self.reads.insert(table_name.clone());
                strength = self.on_conflict(conflict, &table_name, table)?
            }
            Some(_) => {
                return Err(Failure::unsupported(
                    "ON DUPLICATE KEY",
                    "write ON CONFLICT (…) DO UPDATE SET …",
                ));
            }
        }
        self.scopes.pop();
        self.scopes.push(vec![relation(&alias)]);
        let outputs = self.returning(insert.returning.as_deref())?;
        self.run(Some(outputs), strength)
    }

    /// The columns that values are given for.
    fn named_columns<'t>(&self, insert: &Insert, table: &'t Table) -> Result<Vec<&'t Column>> {
        if insert.columns.is_empty() {
            return Ok(table.columns.iter().collect());
        }
        let mut named: Vec<&Column> = Vec::new();
        for column in &insert.columns {
            let name = relation_name(column)?;
            let place = column.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span.start);
            let at = |failure: Failure| match place {
                Some(place) => failure.at(place.line, place.column),
                None => failure,
            };
            let found = table.column(&name).ok_or_else(|| {
                let message = format!("column \"{name}\" of the table does not exist");
                at(Failure::new(sqlstate::UNDEFINED_COLUMN, message).hint("name a column of the table"))
            })?;
            if named.iter().any(|column| column.name == name) {
                let message = format!("column \"{name}\" specified more than once");
                return Err(at(Failure::new(sqlstate::DUPLICATE_COLUMN, message).hint("name it once")));
            }
            named.push(found);
        }
        Ok(named)
    }

    /// INSERT … DEFAULT VALUES.
    fn insert_defaults(&mut self, table: &Table) {
        let given = given(table, &[]);
        if given.is_empty() {
            self.put(" DEFAULT VALUES");
            return;
        }
        let columns: Vec<String> = given.iter().map(|(column, _)| column.clone()).collect();
        let values: Vec<String> = given.into_iter().map(|(_, value)| value).collect();
        self.put(&format!(" ({}) VALUES ({})", columns.join(", "), values.join(", ")));
    }

    fn insert_source(
        &mut self,
        source: &Query,
        table: &Table,
        named: &[&Column],
        insert: &Insert,
    ) -> Result<()> {
        let user = insert.overriding == Some(InsertOverriding::User);
        match source.body.as_ref() {
            SetExpr::Values(values) if source.with.is_none() && source.order_by.is_none() => {
                let width = values.rows.first().map_or(0, |row| row.content.len());
                let named = self.as_wide(named, width, !insert.columns.is_empty())?;
                let given = self.columns(table, named);
                self.put(" VALUES ");
                self.list(&values.rows, |this, row| {
                    this.as_wide(named, row.content.len(), true)?;
                    this.put("(");
                    let mut cells: Vec<(&Expr, &&Column)> = row.content.iter().zip(named).collect();
                    let given_to = cells.iter().find(|(expr, column)| column.generated && !is_default(expr));
                    if let Some((_, column)) = given_to {
                        return Err(not_given(column));
                    }
                    cells.retain(|(_, column)| !column.generated);
                    let separator = if cells.is_empty() { "" } else { ", " };
                    let given: Vec<&str> = given.iter().map(|(_, value)| value.as_str()).collect();
                    this.put(&given.join(", "));
                    this.put(if given.is_empty() { "" } else { separator });
                    this.list(&cells, |this, (expr, column)| {
                        if user && column.sequence.is_some() {
                            this.default(column);
                            return Ok(());
                        }
                        if column.always && insert.overriding.is_none() && !is_default(expr) {
                            let message =
                                format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
                            let hint = "leave the column out, or use OVERRIDING SYSTEM VALUE";
                            return Err(Failure::new(sqlstate::GENERATED_ALWAYS, message).hint(hint));
                        }
                        this.assigned(expr, column)
                    })?;
                    this.put(")");
                    Ok(())
                })
            }
            _ => self.insert_query(source, table, named, !insert.columns.is_empty()),
        }
    }

    /// INSERT … SELECT: its columns get names, so that the engine's values can stand before them.
    fn insert_query(&mut self, source: &Query, table: &Table, named: &[&Column], all: bool) -> Result<()> {
        let outputs = self.describe(source)?;
        let named = self.as_wide(named, outputs.len(), all)?;
        if let Some(column) = named.iter().find(|column| column.generated) {
            return Err(not_given(column));
        }
        let given = self.columns(table, named);
        let names: Vec<String> = (1..=named.len()).map(|at| format!("c{at}")).collect();
        self.put(&format!(" WITH pg_source({}) AS (", names.join(", ")));
        self.query(source)?;
        self.put(") SELECT ");
        for (_, value) in &given {
            self.put(&format!("{value}, "));
        }
        let cells: Vec<(&&Column, (&String, Type))> =
            named.iter().zip(names.iter().zip(outputs.iter().map(|output| output.kind))).collect();
        self.list(&cells, |this, (column, (name, kind))| {
            if *kind == column.kind || (column.kind.takes_all() && kind.category() == column.kind.category())
            {
                this.put(name);
            } else {
                this.put(&format!("pg_assign({name}, {})", column.kind.code()));
            }
            Ok(())
        })?;
        // Without a WHERE, SQLite takes the ON of ON CONFLICT for that of a join.
        self.put(" FROM pg_source WHERE TRUE");
        Ok(())
    }

    /// As many of the columns as there are values.
    fn as_wide<'c, 't>(&self, named: &'c [&'t Column], width: usize, all: bool) -> Result<&'c [&'t Column]> {
        let message = match width.cmp(&named.len()) {
            std::cmp::Ordering::Greater => "INSERT has more expressions than target columns",
            std::cmp::Ordering::Less if all => "INSERT has more target columns than expressions",
            _ => return Ok(&named[..width]),
        };
        Err(Failure::new(sqlstate::SYNTAX, message).hint("give one value for each column"))
    }

    /// Writes the list of columns; gives those for which the engine has the value.
    fn columns(&mut self, table: &Table, named: &[&Column]) -> Vec<(String, String)> {
        let given = given(table, named);
        let names = given.iter().map(|(column, _)| column.clone());
        let stored = named.iter().filter(|column| !column.generated);
        let names: Vec<String> = names.chain(stored.map(|column| quoted(&column.name))).collect();
        self.put(&format!(" ({})", names.join(", ")));
        given
    }

    /// Writes the value that a column gets: one of its type.
    pub(super) fn assigned(&mut self, expr: &Expr, column: &Column) -> Result<()> {
        if is_default(expr) {
            self.default(column);
            return Ok(());
        }
        let kind = self.type_of(expr);
        let (from, to) = (kind.category(), column.kind.category());
        use crate::types::Category::{Date, Number, Text, Unknown};
        if from != to && from != Unknown && !(to == Text && matches!(from, Number | Date)) {
            let message = format!(
                "column \"{}\" is of type {} but expression is of type {}",
                column.name,
                column.kind.name(),
                kind.name()
            );
            return Err(Failure::new(sqlstate::TYPE_MISMATCH, message).hint("cast the expression"));
        }
        if let Some(number) = number(expr) {
            let value = convert(number, column.kind, false).map_err(|failure| match expr {
                Expr::Value(value) => failure.at(value.span.start.line, value.span.start.column),
                _ => failure,
            })?;
            self.constant(&value);
            return Ok(());
        }
        // The rowid of SQLite counts by itself where PostgreSQL refuses NULL.
        let required = column.is_rowid;
        if required {
            self.put("pg_required(");
        }
        let parameter =
            matches!(expr, Expr::Value(value) if kind == Type::Unknown || is_parameter(&value.value));
        let plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) && kind == column.kind;
        if parameter || plain || (from == to && column.kind.takes_all()) {
            self.expr(expr, column.kind)?;
        } else {
            self.put("pg_assign(");
            self.expr(expr, column.kind)?;
            self.put(&format!(", {})", column.kind.code()));
        }
        if required {
            self.put(&format!(", {})", literal(&column.name)));
        }
        Ok(())
    }

    fn default(&mut self, column: &Column) {
        match (&column.sequence, &column.default) {
            (Some(sequence), _) => self.put(&next(*sequence)),
            (None, Some(default)) => self.put(default),
            (None, None) => self.put("NULL"),
        }
    }

    fn on_conflict(&mut self, conflict: &OnConflict, name: &str, table: &Table) -> Result<Strength> {
        self.put(" ON CONFLICT");
        match &conflict.conflict_target {
            None => {}
            Some(ConflictTarget::Columns { columns, predicate }) => {
                let names: Vec<String> = columns.iter().map(|column| quoted(&folded(column))).collect();
                self.put(&format!(" ({})", names.join(", ")));
                if let Some(predicate) = predicate {
                    self.put(" WHERE ");
                    self.condition(predicate)?;
                }
            }
            Some(ConflictTarget::OnConstraint(constraint)) => {
                let known = relation_name(constraint)?;
                let index = self
                    .catalogue
                    .indexes
                    .get(&known)
                    .filter(|index| index.table == name && index.constraint);
                let columns = index.and_then(|index| index.columns.as_ref()).ok_or_else(|| {
                    let message = format!("constraint \"{known}\" for table \"{name}\" does not exist");
                    Failure::new(sqlstate::UNDEFINED_OBJECT, message)
                        .hint("name the columns: ON CONFLICT (a, b)")
                })?;
                let names: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
                self.put(&format!(" ({})", names.join(", ")));
            }
        }
        match &conflict.action {
            OnConflictAction::DoNothing => {
                self.put(" DO NOTHING");
                Ok(Strength::Update)
            }
            OnConflictAction::DoUpdate(update) => {
                self.put(" DO UPDATE SET ");
                self.assignments(&update.assignments, table)?;
                if let Some(selection) = &update.selection {
                    self.put(" WHERE ");
                    self.condition(selection)?;
                }
                let strength = self.strength(name, &update.assignments);
                self.loses = (strength == Strength::Update).then_some(Loss::Key);
                Ok(strength)
            }
        }
    }

    /// Rows whose keys stay as they are, are locked less strongly.
    pub(super) fn strength(&self, table: &str, assignments: &[Assignment]) -> Strength {
        let mut names: Vec<String> = targets(assignments).collect();
        // Any change may change those as well.
        let known = self.catalogue.tables.get(table);
        let columns = known.map(|table| table.columns.as_slice()).unwrap_or_default();
        let generated = columns.iter().filter(|column| column.generated);
        names.extend(generated.map(|column| column.name.clone()));
        if self.catalogue.touches_key(table, &names) { Strength::Update } else { Strength::NoKeyUpdate }
    }
}

/// The columns that get a value.
fn targets(assignments: &[Assignment]) -> impl Iterator<Item = String> {
    let targets = assignments.iter().flat_map(|assignment| match &assignment.target {
        sqlparser::ast::AssignmentTarget::ColumnName(name) => vec![name],
        sqlparser::ast::AssignmentTarget::Tuple(names) => names.iter().collect(),
    });
    targets.filter_map(|name| relation_name(name).ok())
}

fn not_given(column: &Column) -> Failure {
    let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
    Failure::new(sqlstate::GENERATED_ALWAYS, message).hint("leave the column out")
}

/// Whether it changes the rows that are there.
fn is_upsert(insert: &Insert) -> bool {
    matches!(&insert.on, Some(OnInsert::OnConflict(conflict))
        if matches!(conflict.action, OnConflictAction::DoUpdate(_)))
}

pub(super) fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default"))
}

/// A number as it is written.
fn number(expr: &Expr) -> Option<Value> {
    match expr {
        Expr::Value(value) => match &value.value {
            sqlparser::ast::Value::Number(digits, _) => match digits.parse() {
                Ok(number) => Some(Value::Int(number)),
                Err(_) => digits.parse().ok().map(Value::Float),
            },
            _ => None,
        },
        Expr::UnaryOp { op: sqlparser::ast::UnaryOperator::Minus, expr } => match number(expr)? {
            Value::Int(number) => Some(Value::Int(-number)),
            Value::Float(number) => Some(Value::Float(-number)),
            _ => None,
        },
        _ => None,
    }
}

fn is_parameter(value: &sqlparser::ast::Value) -> bool {
    matches!(value, sqlparser::ast::Value::Placeholder(_))
}

fn next(sequence: usize) -> String {
    format!("pg_nextval({sequence}, '')")
}

/// The columns for which the engine has a value: the place of the row, and what counts.
fn given(table: &Table, named: &[&Column]) -> Vec<(String, String)> {
    let place = format!("pg_rowid({})", table.number);
    let mut given = if table.rowid.is_none() { vec![("rowid".to_owned(), place)] } else { Vec::new() };
    for (at, column) in table.columns.iter().enumerate() {
        if named.iter().any(|named| named.name == column.name) {
            continue;
        }
        if let Some(sequence) = column.sequence {
            given.push((quoted(&column.name), next(sequence)));
        } else if table.rowid == Some(at) {
            let value = column.default.as_deref().unwrap_or("NULL");
            given.push((quoted(&column.name), format!("pg_required({value}, {})", literal(&column.name))));
        }
    }
    given
}
