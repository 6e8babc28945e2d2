//! SQLite: one database in memory, confined, whose statements are counted.

use std::cell::Cell;

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::Value as Stored;
use rusqlite::{CachedStatement, Connection, StatementStatus, config::DbConfig};

use crate::bounds::{
    Bounds, INSTRUCTIONS, INSTRUCTIONS_READ, PAGE_BYTES, PATTERN_BYTES, PREPARED, STEPS_PER_LOOK,
};
use crate::error::{Failure, Result, sqlstate};
use crate::failure;
use crate::functions;
use crate::program::Instruction;
use crate::state::Shared;
use crate::value::Value;

/// What a statement took. The same calls give the same numbers on every machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Instructions of SQLite's virtual machine.
    pub steps: u64,
    /// Rows that were read one after the other, without an index. It is blind to ranges of an index, and
    /// counts one less than the rows of a table that is read to its end.
    pub scanned: u64,
    /// Results that had to be sorted.
    pub sorts: u64,
    /// What bounds compare: steps, of which each counts more where values are long; what calls of functions
    /// count beside their step; and what it took before it ran again.
    pub effort: u64,
}

pub(crate) struct Engine {
    connection: Connection,
    /// Bytes that a value or a row may have; and those that they may have until a statement needs others.
    value_bytes: usize,
    length: Cell<usize>,
}

/// The rows of a result, as SQLite has them.
pub(crate) struct Rows {
    pub rows: Vec<Vec<Value>>,
    /// Rows that were inserted, updated or deleted.
    pub changed: u64,
}

impl Work {
    /// What both took.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            scanned: self.scanned + other.scanned,
            sorts: self.sorts + other.sorts,
            effort: self.effort + other.effort,
        }
    }
}

impl Engine {
    pub(crate) fn open(shared: &Shared, bounds: &Bounds) -> rusqlite::Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        let (pages, heap) = (bounds.database_bytes / PAGE_BYTES, bounds.heap_bytes);
        // SQLite's LIKE knows no case unless it is told; the heap is bounded for the whole process.
        connection.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES}; PRAGMA max_page_count = {pages}; PRAGMA temp_store = MEMORY;
             PRAGMA case_sensitive_like = ON; PRAGMA hard_heap_limit = {heap};"
        ))?;
        for (config, on) in [
            (DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true),
            (DbConfig::SQLITE_DBCONFIG_DQS_DML, false),
            (DbConfig::SQLITE_DBCONFIG_DQS_DDL, false),
            (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
            (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        ] {
            connection.set_db_config(config, on)?;
        }
        let bytes = i32::try_from(bounds.value_bytes).unwrap_or(i32::MAX);
        let parameters = i32::try_from(bounds.parameters).unwrap_or(i32::MAX);
        for (limit, most) in [
            (Limit::SQLITE_LIMIT_LENGTH, bytes),
            (Limit::SQLITE_LIMIT_SQL_LENGTH, bytes),
            (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, parameters),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, PATTERN_BYTES),
            (Limit::SQLITE_LIMIT_VDBE_OP, INSTRUCTIONS),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
            (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
            (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
        ] {
            connection.set_limit(limit, most)?;
        }
        functions::define(&connection, shared, bounds.value_bytes)?;
        let noted = shared.clone();
        connection.update_hook(Some(move |action, _: &str, table: &str, rowid| {
            noted.lock().note(action, table, rowid);
        }))?;
        let looks = shared.clone();
        connection.progress_handler(STEPS_PER_LOOK, Some(move || looks.spend(i64::from(STEPS_PER_LOOK))))?;
        connection.authorizer(Some(authorize))?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let value_bytes = bounds.value_bytes;
        Ok(Self { connection, value_bytes, length: Cell::new(value_bytes) })
    }

    pub(crate) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>> {
        match self.connection.prepare_cached(sql) {
            Ok(statement) => Ok(statement),
            // Its own texts may be too long only for values as the last statement met them.
            Err(_) if self.length.get() < self.value_bytes => self.prepare_long(sql),
            Err(error) => Err(failure::of(error)),
        }
    }

    /// A statement whose values and rows are as long as they may be.
    fn prepare_long(&self, sql: &str) -> Result<CachedStatement<'_>> {
        self.bound(self.value_bytes)?;
        self.connection.prepare_cached(sql).map_err(failure::of)
    }

    /// Runs a statement and takes its rows, within `bounds`, with values and rows of at most `length` bytes.
    pub(crate) fn run(
        &self,
        statement: &mut CachedStatement<'_>,
        params: &[Value],
        bounds: &Bounds,
        length: usize,
    ) -> (Work, Result<Rows>) {
        for counter in [StatementStatus::VmStep, StatementStatus::FullscanStep, StatementStatus::Sort] {
            statement.reset_status(counter);
        }
        let result =
            self.bound(length.min(self.value_bytes)).and_then(|()| self.rows(statement, params, bounds));
        let count = |counter| u64::try_from(statement.get_status(counter)).unwrap_or(0);
        // SQLite counts the steps from one row to the next: the first row is not one.
        let stepped = count(StatementStatus::FullscanStep);
        let work = Work {
            steps: count(StatementStatus::VmStep),
            scanned: if stepped > 0 { stepped + 1 } else { 0 },
            sorts: count(StatementStatus::Sort),
            effort: 0,
        };
        (work, result)
    }

    /// From now on values and rows have at most `length` bytes.
    fn bound(&self, length: usize) -> Result<()> {
        if self.length.get() == length {
            return Ok(());
        }
        let bytes = i32::try_from(length).unwrap_or(i32::MAX);
        self.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, bytes).map_err(failure::of)?;
        self.length.set(length);
        Ok(())
    }

    /// Bytes of the statements that have made the tables, indexes and views.
    pub(crate) fn schema_bytes(&self) -> Result<u64> {
        let row = self.row("SELECT sum(octet_length(sql)) FROM sqlite_schema", &[])?;
        match row.as_deref() {
            Some([Stored::Integer(bytes)]) => Ok(u64::try_from(*bytes).unwrap_or(0)),
            _ => Ok(0),
        }
    }

    fn rows(&self, statement: &mut CachedStatement<'_>, params: &[Value], bounds: &Bounds) -> Result<Rows> {
        // A part of a statement may name fewer parameters than all of it.
        for (at, value) in params.iter().take(statement.parameter_count()).enumerate() {
            statement.raw_bind_parameter(at + 1, value).map_err(failure::of)?;
        }
        let width = statement.column_count();
        let before = self.connection.total_changes();
        let mut rows = Vec::new();
        let mut bytes = 0;
        let mut cursor = statement.raw_query();
        while let Some(row) = cursor.next().map_err(failure::of)? {
            if rows.len() == bounds.rows {
                let message = format!("the result has more than {} rows", bounds.rows);
                return Err(Failure::new(sqlstate::LIMIT, message).hint("add a LIMIT"));
            }
            let mut values = Vec::with_capacity(width);
            for at in 0..width {
                let value = Value::from_ref(row.get_ref(at).map_err(failure::of)?);
                presentable(&value)?;
                bytes += value.weight();
                values.push(value);
            }
            if bytes > bounds.result_bytes {
                let message = format!("the result has more than {} bytes", bounds.result_bytes);
                return Err(
                    Failure::new(sqlstate::LIMIT, message).hint("add a LIMIT, or select fewer columns")
                );
            }
            rows.push(values);
        }
        drop(cursor);
        let changed = if before == self.connection.total_changes() { 0 } else { self.connection.changes() };
        Ok(Rows { rows, changed })
    }

    /// Prepared statements have other columns now.
    pub(crate) fn forget(&self) {
        self.connection.flush_prepared_statement_cache();
    }

    pub(crate) fn pages(&self) -> Result<usize> {
        let pages = self.connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0));
        pages.map(|pages| usize::try_from(pages).unwrap_or(0)).map_err(failure::of)
    }

    /// Statements of the engine itself, which nobody pays.
    pub(crate) fn batch(&self, sql: &str) -> Result<()> {
        self.bound(self.value_bytes)?;
        self.connection.execute_batch(sql).map_err(failure::of)
    }

    pub(crate) fn begin(&self) -> Result<()> {
        self.step("BEGIN")
    }

    pub(crate) fn commit(&self) -> Result<()> {
        self.step("COMMIT")
    }

    /// Nothing, if a statement that failed has ended the transaction already.
    pub(crate) fn rollback(&self) -> Result<()> {
        if self.connection.is_autocommit() { Ok(()) } else { self.step("ROLLBACK") }
    }

    /// A place inside of the transaction that [`undo`](Self::undo) returns to.
    pub(crate) fn mark(&self) -> Result<()> {
        self.step("SAVEPOINT statement")
    }

    pub(crate) fn unmark(&self) -> Result<()> {
        self.step("RELEASE statement")
    }

    pub(crate) fn undo(&self) -> Result<()> {
        self.step("ROLLBACK TO statement")?;
        self.unmark()
    }

    fn step(&self, sql: &str) -> Result<()> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.raw_execute())
            .map_err(failure::of)?;
        Ok(())
    }

    /// Whether the transaction is still open after a statement failed.
    pub(crate) fn is_open(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Foreign keys, which rows that were checked already need not pass again.
    pub(crate) fn check_references(&self, on: bool) -> Result<()> {
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, on).map_err(failure::of)?;
        Ok(())
    }

    /// The one row of a statement of the engine itself.
    pub(crate) fn row(&self, sql: &str, params: &[Stored]) -> Result<Option<Vec<Stored>>> {
        let mut statement = self.prepare_long(sql)?;
        let width = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(failure::of)?;
        let Some(row) = rows.next().map_err(failure::of)? else { return Ok(None) };
        (0..width).map(|at| row.get(at)).collect::<rusqlite::Result<_>>().map(Some).map_err(failure::of)
    }

    pub(crate) fn write(&self, sql: &str, params: &[Stored]) -> Result<()> {
        let mut statement = self.prepare_long(sql)?;
        statement.execute(rusqlite::params_from_iter(params)).map_err(failure::of)?;
        Ok(())
    }

    /// EXPLAIN: the instructions of a statement, without those of its triggers.
    pub(crate) fn program(&self, sql: &str) -> Result<Vec<Instruction>> {
        self.bound(self.value_bytes)?;
        let mut statement = self.connection.prepare(&format!("EXPLAIN {sql}")).map_err(failure::of)?;
        let mut rows = statement.raw_query();
        let mut program = Vec::new();
        while let Some(row) = rows.next().map_err(failure::of)? {
            let number = |at: usize| row.get::<_, i64>(at).map_err(failure::of);
            if number(0)? != program.len() as i64 || program.len() > INSTRUCTIONS_READ {
                break;
            }
            let operands = [number(2)?, number(3)?, number(4)?];
            program.push(Instruction { name: row.get(1).map_err(failure::of)?, operands });
        }
        Ok(program)
    }

    /// EXPLAIN QUERY PLAN: a line for each loop, indented by what it is a part of.
    pub(crate) fn plan(&self, sql: &str) -> Result<Vec<String>> {
        self.bound(self.value_bytes)?;
        let mut statement =
            self.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).map_err(failure::of)?;
        let mut rows = statement.raw_query();
        let mut depths: Vec<(i64, usize)> = Vec::new();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().map_err(failure::of)? {
            let id: i64 = row.get(0).map_err(failure::of)?;
            let parent: i64 = row.get(1).map_err(failure::of)?;
            let detail: String = row.get(3).map_err(failure::of)?;
            let depth = depths.iter().find(|(known, _)| *known == parent).map_or(0, |(_, depth)| depth + 1);
            depths.push((id, depth));
            lines.push(format!("{}{detail}", "  ".repeat(depth)));
        }
        Ok(lines)
    }
}

/// Refuses what PostgreSQL has no value for: a number that has left the range of its type, and NUL in a text.
fn presentable(value: &Value) -> Result<()> {
    match value {
        Value::Float(number) if !number.is_finite() => Err(functions::overflow()),
        Value::Text(text) if text.contains('\0') => Err(failure::nul()),
        _ => Ok(()),
    }
}

/// Functions of SQLite that read a clock, draw chance or load code. None of them is written by the
/// translator.
const FORBIDDEN: [&str; 15] = [
    "load_extension",
    "fts3_tokenizer",
    "random",
    "randomblob",
    "zeroblob",
    "date",
    "time",
    "datetime",
    "julianday",
    "unixepoch",
    "strftime",
    "timediff",
    "current_date",
    "current_time",
    "current_timestamp",
];

/// What a statement may do, whatever the translator has made of it.
fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Insert { .. }
        | AuthAction::Update { .. }
        | AuthAction::Delete { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::Recursive
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateIndex { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::DropTable { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::DropView { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Reindex { .. } => true,
        AuthAction::Function { function_name } => {
            !FORBIDDEN.iter().any(|forbidden| forbidden.eq_ignore_ascii_case(function_name))
        }
        // The size of the database; and how SQLite checks a column that it adds. Both only read.
        AuthAction::Pragma { pragma_name: "page_count", pragma_value: None }
        | AuthAction::Pragma { pragma_name: "quick_check", .. } => true,
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::steps_per_row;

    #[test]
    fn what_leaves_the_database_is_refused_even_if_it_reached_sqlite() {
        let engine = Engine::open(&Shared::default(), &Bounds::default()).expect("opens");
        for sql in [
            "ATTACH 'x.db' AS x",
            "ATTACH ':memory:' AS x",
            "DETACH main",
            "PRAGMA writable_schema = ON",
            "PRAGMA hard_heap_limit = 0",
            "VACUUM",
            "VACUUM INTO 'x.db'",
            "CREATE TEMP TABLE t (a)",
            "CREATE TRIGGER t AFTER INSERT ON s BEGIN SELECT 1; END",
            "CREATE VIRTUAL TABLE t USING fts5(a)",
            "SELECT load_extension('x')",
            "SELECT datetime('now')",
            "SELECT current_timestamp",
            "SELECT random()",
            "SELECT randomblob(10)",
            "ANALYZE",
        ] {
            let refused = engine.batch("CREATE TABLE IF NOT EXISTS s (a)").and_then(|()| engine.batch(sql));
            assert!(refused.is_err(), "{sql} ran");
        }
    }

    #[test]
    fn the_program_of_a_statement_says_how_many_steps_a_row_takes() {
        let engine = Engine::open(&Shared::default(), &Bounds::default()).expect("opens");
        engine.batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v INT, w INT)").expect("a table");
        let series =
            "(WITH RECURSIVE s(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM s WHERE v < 9) SELECT v FROM s)";
        for (sql, steps) in [
            ("SELECT v, sum(w) FROM t GROUP BY v", Some(5)),
            ("SELECT DISTINCT v FROM t", Some(6)),
            ("SELECT count(DISTINCT v % 7) FROM #", Some(20)),
            ("SELECT count(*) FROM # a, # b", Some(16)),
            ("INSERT INTO t (v) SELECT v FROM # WHERE TRUE", None),
            ("SELECT max(v) FROM t", None),
        ] {
            let program = engine.program(&sql.replace('#', series)).expect("a program");
            assert_eq!(steps_per_row(&program), steps, "{sql}");
        }
    }

    /// So do the instructions that `program` knows.
    #[test]
    fn steps_belong_to_this_version_of_sqlite() {
        assert_eq!(rusqlite::version(), "3.54.1");
    }
}
