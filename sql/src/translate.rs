//! PostgreSQL's statements as SQLite's. Every part of a statement is written by a rule of its own, so what
//! has no rule is refused: no text of a statement reaches SQLite as it is.

mod call;
mod ddl;
mod distinct;
mod dml;
mod each;
mod expr;
mod from;
mod group;
mod infer;
mod insert;
mod interval;
mod json;
mod operator;
mod order;
mod parts;
mod predicate;
mod quantifier;
mod query;
mod regex;
mod relation;
mod rollup;
mod row_lock;
mod set;
mod settings;
mod size;
mod special;
mod system;
mod window;

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{self, Ident, ObjectName, ObjectNamePart, SetExpr};

use crate::bounds::Bounds;
use crate::catalogue::{Body, Catalogue, Loss, Output, Table};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::{Strength, TableMode};
use crate::types::Type;

pub(crate) use ddl::create_table::JSON_CHECK;
pub(crate) use ddl::{Change, Ddl};
pub(crate) use order::{First, counted};
use size::Size;

/// SELECT … FOR UPDATE or FOR SHARE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowLock {
    pub strength: Strength,
    /// The numbers of the tables whose rowids are the last columns of the result, which nobody sees.
    pub tables: Vec<usize>,
}

/// A statement that reads or writes rows, as SQLite runs it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub sql: String,
    /// The types that follow from the statement for `$1`, `$2` ….
    pub params: Vec<Type>,
    /// What its columns are; none where SQLite has to say, because of a `*` over a join by name.
    pub outputs: Option<Vec<Output>>,
    pub tables: BTreeMap<String, TableMode>,
    /// The table that it changes.
    pub changes: Option<String>,
    /// It is an INSERT.
    pub is_insert: bool,
    /// What it may take from rows that refer to those of its table.
    pub loses: Option<Loss>,
    /// The tables whose rows it looks at.
    pub reads: BTreeSet<String>,
    /// What its WITH has to run before it.
    pub parts: Vec<Run>,
    /// How large it is with all that it names written out, and with the parts before it.
    pub size: usize,
    pub row_lock: Option<RowLock>,
    /// The numbers of the tables for whose rows it does not wait: NOWAIT.
    pub unwaited: BTreeSet<usize>,
    /// How strongly the rows that it changes are locked.
    pub strength: Strength,
    pub writes: bool,
    /// It inserts one row and does nothing else: what is too long for it is found before it has changed
    /// anything.
    pub inserts_one: bool,
    /// Its ON CONFLICT DO UPDATE may meet a row that the statement has inserted or changed already, and fails
    /// then.
    pub strikes_once: bool,
    /// The parameters that are a LIMIT or an OFFSET.
    pub limits: Vec<(usize, Rows)>,
    /// The LIMIT and the OFFSET of a result that is sorted: SQLite keeps no more of its rows.
    pub first: Option<Vec<First>>,
}

impl Run {
    /// The table that it changes, if it changes one.
    pub(crate) fn changed(&self) -> Option<&str> {
        self.changes.as_deref()
    }

    /// All that runs, in this order: the parts of its WITH, then the statement itself.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Self> {
        self.parts.iter().chain([self])
    }
}

/// What a number of rows says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Limit,
    Offset,
}

/// What a statement comes to.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    Run(Run),
    /// EXPLAIN of it.
    Explain(Run),
    Ddl(Ddl),
    Truncate {
        tables: Vec<String>,
        restart: bool,
    },
    Lock {
        tables: Vec<String>,
        mode: TableMode,
        nowait: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// SET of what is so already.
    Nothing,
    /// BEGIN, COMMIT, ROLLBACK: the caller's part.
    Control(Control),
}

/// A statement that begins or ends a transaction, for callers that take such statements as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Begin,
    Commit,
    Rollback,
}

pub(crate) struct Translator<'a> {
    catalogue: &'a Catalogue,
    bounds: &'a Bounds,
    out: String,
    size: Size,
    params: Vec<Type>,
    tables: BTreeMap<String, TableMode>,
    /// The tables whose rows it looks at.
    reads: BTreeSet<String>,
    /// It is an INSERT.
    is_insert: bool,
    /// What it may take from rows that refer to those of its table.
    loses: Option<Loss>,
    /// The views that it names.
    views: BTreeSet<String>,
    /// It reads a table of the system, whose rows are written into the statement.
    reads_system: bool,
    /// The relations of the queries around, the innermost last.
    scopes: Vec<Vec<Relation>>,
    /// Names that a SELECT gives to its columns, and how large these are; the innermost SELECT last.
    aliases: Vec<Vec<(String, usize)>>,
    /// Windows that have a name, and how large they are; the innermost SELECT last.
    windows: Vec<Vec<(String, usize)>>,
    /// Common table expressions, the innermost last.
    ctes: Vec<Cte>,
    /// The types that the columns of the SELECT or VALUES have that is written next, if it is a part of a
    /// UNION, INTERSECT or EXCEPT.
    wanted: Option<Vec<Type>>,
    row_lock: Option<RowLock>,
    /// The numbers of the tables for whose rows it does not wait: NOWAIT.
    unwaited: BTreeSet<usize>,
    limits: Vec<(usize, Rows)>,
    first: Option<Vec<First>>,
    /// The statement changes rows, so a lock in one of its subqueries is taken by the change.
    changes_rows: bool,
    inserts_one: bool,
    strikes_once: bool,
    /// How often a query is read that is written now: the sets of the GROUP BY around it.
    sets: usize,
    /// The generated columns of a table, while it is written what they are made of: none is made of another.
    generated: BTreeSet<String>,
    /// It writes a RETURNING.
    returning: bool,
    /// It writes a `count(*)` that SQLite would take from the pages of a table, without reading its rows.
    counts_rows: bool,
}

/// A common table expression.
#[derive(Clone, Debug)]
struct Cte {
    name: String,
    outputs: Vec<Output>,
    body: Body,
    /// It has rows: it is no change without a RETURNING.
    returns: bool,
}

/// A table, view or subquery in a FROM.
#[derive(Clone, Debug)]
struct Relation {
    alias: String,
    /// The table's name, if it is one.
    table: Option<String>,
    outputs: Vec<Output>,
    body: Body,
    /// A subquery is not written yet, so nothing says how large it is.
    pending: bool,
    /// What each column is in SQLite, where the relation has no column of that name.
    sources: Option<Vec<String>>,
}

impl Relation {
    fn of_table(alias: &str, name: &str, table: &Table) -> Self {
        let (alias, table, outputs) = (alias.to_owned(), Some(name.to_owned()), table.outputs());
        Self { alias, table, outputs, body: Body::TABLE, pending: false, sources: None }
    }

    fn of_function(alias: String, output: Output) -> Self {
        Self { alias, table: None, outputs: vec![output], body: Body::TABLE, pending: false, sources: None }
    }
}

/// What `statement` comes to in a database with these tables.
pub(crate) fn translate(statement: &ast::Statement, catalogue: &Catalogue, bounds: &Bounds) -> Result<Plan> {
    if let Some((with, main)) = parts::of(statement) {
        return parts::translate(with, &main, catalogue, bounds).map(Plan::Run);
    }
    let mut translator = Translator::new(catalogue, bounds);
    match statement {
        ast::Statement::Query(query) => match query.body.as_ref() {
            SetExpr::Insert(change) | SetExpr::Update(change) | SetExpr::Delete(change) => {
                translator.with_change(query, change).map(Plan::Run)
            }
            _ => Ok(Plan::Run(translator.top_query(query)?)),
        },
        ast::Statement::Insert(insert) => Ok(Plan::Run(translator.top_insert(insert)?)),
        ast::Statement::Update(update) => Ok(Plan::Run(translator.top_update(update)?)),
        ast::Statement::Delete(delete) => Ok(Plan::Run(translator.top_delete(delete)?)),
        ast::Statement::Explain { analyze, statement, options, .. } => {
            let analyze = *analyze || options.iter().flatten().any(is_analyze);
            explain(statement, analyze, catalogue, bounds)
        }
        ast::Statement::Truncate(truncate) => translator.truncate(truncate),
        ast::Statement::Lock(lock) => translator.lock_tables(lock),
        ast::Statement::ShowVariable { variable } => translator.show(variable).map(Plan::Run),
        ast::Statement::Set(set) => settings::set(set),
        ast::Statement::Reset(_)
        | ast::Statement::Deallocate { .. }
        | ast::Statement::Discard { object_type: ast::DiscardObject::ALL } => Ok(Plan::Nothing),
        ast::Statement::Savepoint { name } => Ok(Plan::Savepoint(folded(name))),
        ast::Statement::ReleaseSavepoint { name } => Ok(Plan::Release(folded(name))),
        ast::Statement::Rollback { savepoint: Some(name), .. } => Ok(Plan::RollbackTo(folded(name))),
        ast::Statement::Rollback { chain: false, savepoint: None } => Ok(Plan::Control(Control::Rollback)),
        ast::Statement::Commit { chain: false, .. } => Ok(Plan::Control(Control::Commit)),
        ast::Statement::StartTransaction { modes, .. } => {
            within_isolation(modes)?;
            Ok(Plan::Control(Control::Begin))
        }
        other => {
            let ddl = translator.ddl(other)?;
            translator.within()?;
            Ok(Plan::Ddl(ddl))
        }
    }
}

/// Whether it is the option of EXPLAIN (…) that runs the statement: `ANALYZE` and `ANALYZE true` are,
/// `ANALYZE off` is not.
fn is_analyze(option: &ast::UtilityOption) -> bool {
    let off = |value: &ast::Expr| {
        ["false", "off", "0"].contains(&value.to_string().trim_matches('\'').to_lowercase().as_str())
    };
    option.name.value.eq_ignore_ascii_case("analyze") && !option.arg.as_ref().is_some_and(off)
}

fn explain(
    statement: &ast::Statement,
    analyze: bool,
    catalogue: &Catalogue,
    bounds: &Bounds,
) -> Result<Plan> {
    if analyze {
        return Err(Failure::unsupported(
            "EXPLAIN ANALYZE",
            "use EXPLAIN, or run the statement and read its work",
        ));
    }
    match translate(statement, catalogue, bounds)? {
        Plan::Run(run) => Ok(Plan::Explain(run)),
        _ => Err(Failure::unsupported(
            "EXPLAIN of this statement",
            "use it with SELECT, INSERT, UPDATE or DELETE",
        )),
    }
}

/// READ COMMITTED is all there is.
fn within_isolation(modes: &[ast::TransactionMode]) -> Result<()> {
    use ast::{TransactionIsolationLevel as Level, TransactionMode as Mode};
    for mode in modes {
        if let Mode::IsolationLevel(level @ (Level::RepeatableRead | Level::Serializable | Level::Snapshot)) =
            mode
        {
            return Err(Failure::unsupported(
                format!("the isolation level {level}"),
                "use READ COMMITTED, with SELECT … FOR UPDATE for rows that must not change",
            ));
        }
    }
    Ok(())
}

impl<'a> Translator<'a> {
    fn new(catalogue: &'a Catalogue, bounds: &'a Bounds) -> Self {
        Self {
            catalogue,
            bounds,
            out: String::new(),
            size: Size::default(),
            params: Vec::new(),
            tables: BTreeMap::new(),
            reads: BTreeSet::new(),
            is_insert: false,
            loses: None,
            views: BTreeSet::new(),
            reads_system: false,
            scopes: Vec::new(),
            aliases: Vec::new(),
            windows: Vec::new(),
            ctes: Vec::new(),
            wanted: None,
            row_lock: None,
            unwaited: BTreeSet::new(),
            limits: Vec::new(),
            first: None,
            changes_rows: false,
            inserts_one: false,
            strikes_once: false,
            sets: 1,
            generated: BTreeSet::new(),
            returning: false,
            counts_rows: false,
        }
    }

    /// Writes `text`; nothing any more when the statement is too large, which [`within`](Self::within) says.
    fn put(&mut self, text: &str) {
        self.size.text = self.size.text.saturating_add(text.len());
        if self.size.all() <= self.bounds.expanded_bytes {
            self.out.push_str(text);
        }
    }

    /// Writes a text that was counted when it was made [apart](Self::apart).
    fn append(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Writes `name` in quotes.
    fn name(&mut self, name: &str) {
        self.put(&quoted(name));
    }

    /// Writes each of `items` by `write`, with commas between them.
    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T) -> Result<()>) -> Result<()> {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            write(self, item)?;
            self.within()?;
        }
        Ok(())
    }

    /// What `write` puts, apart from what stands there already.
    fn apart(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<String> {
        let before = std::mem::take(&mut self.out);
        let written = write(self);
        let text = std::mem::replace(&mut self.out, before);
        written.map(|()| text)
    }

    /// Notes that the statement reads a table, or the tables of a view.
    fn looks_at(&mut self, table: &str) {
        self.uses(table, TableMode::AccessShare);
        self.reads.insert(table.to_owned());
    }

    /// Notes that the statement needs `mode` on a table.
    fn uses(&mut self, table: &str, mode: TableMode) {
        let held = self.tables.entry(table.to_owned()).or_insert(mode);
        *held = (*held).max(mode);
    }

    fn run(self, outputs: Option<Vec<Output>>, strength: Strength) -> Result<Run> {
        self.within()?;
        let mut changed = self.tables.iter().filter(|(_, mode)| **mode == TableMode::RowExclusive);
        let changes = changed.next().map(|(name, _)| name.clone());
        Ok(Run {
            sql: self.out,
            changes,
            is_insert: self.is_insert,
            loses: self.loses,
            reads: self.reads,
            parts: Vec::new(),
            size: self.size.all(),
            params: self.params,
            outputs,
            tables: self.tables,
            row_lock: self.row_lock,
            unwaited: self.unwaited,
            strength,
            writes: self.changes_rows,
            inserts_one: self.inserts_one,
            strikes_once: self.strikes_once,
            limits: self.limits,
            first: self.first,
        })
    }
}

/// An identifier as PostgreSQL keeps it: in small letters, unless it is in quotes.
fn folded(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// A name in SQLite's quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal of SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name of a relation; all of them lie in the schema `public`.
fn relation_name(name: &ObjectName) -> Result<String> {
    let mut parts = Vec::new();
    for part in &name.0 {
        match part {
            ObjectNamePart::Identifier(ident) => parts.push(ident),
            ObjectNamePart::Function(_) => {
                return Err(Failure::unsupported(format!("the name {name}"), "write the name of a table"));
            }
        }
    }
    let failure = match parts.as_slice() {
        [only] => return Ok(folded(only)),
        [schema, only] if folded(schema) == "public" => return Ok(folded(only)),
        [schema, _] if ["pg_catalog", "information_schema"].contains(&folded(schema).as_str()) => {
            system_catalogue(name)
        }
        [schema, _] => {
            let message = format!("schema \"{}\" does not exist", folded(schema));
            Failure::new(sqlstate::INVALID_SCHEMA, message).hint("leave it out: all tables are in public")
        }
        _ => Failure::unsupported(format!("the name {name}"), "write the name of a table alone"),
    };
    let place = parts.first().map(|ident| ident.span.start);
    Err(place.map_or_else(|| failure.clone(), |place| failure.clone().at(place.line, place.column)))
}

fn system_catalogue(name: &ObjectName) -> Failure {
    let hint = "select from information_schema.tables, information_schema.columns, pg_tables or pg_indexes";
    Failure::unsupported(format!("the system catalogue {name}"), hint)
}

fn undefined_table(name: &str) -> Failure {
    Failure::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{name}\" does not exist"))
        .hint("name a table, a view or a WITH")
}

fn undefined_column(name: &str) -> Failure {
    Failure::new(sqlstate::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
        .hint(crate::failure::OTHER_COLUMN)
}
