//! A database: its schema, its transactions, and how a statement is executed.

mod dropped;
mod execute;
mod images;
mod schema;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::bounds::{Bounds, STEPS_PER_HELD_ROW};
use crate::catalogue::Catalogue;
use crate::engine::{Engine, Work};
use crate::error::{Failure, Problem, Result, sqlstate};
use crate::lock::{Mark, TableMode, Transaction};
use crate::program::steps_per_row;
use crate::state::{Interrupt, Shared};
use crate::statement::{Cache, Column, Statement, Temporary};
use crate::translate::Run;
use crate::value::Value;
use dropped::Dropped;
use images::Images;

pub use schema::{IndexInfo, TableInfo};

/// What a database is opened with.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where `random()` and `gen_random_uuid()` begin.
    pub seed: u64,
    /// The time at which the schema is run, in microseconds since 1970.
    pub now: i64,
    pub bounds: Bounds,
}

/// When a statement runs, and what it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Microseconds since 1970, for `now()`.
    pub now: i64,
    /// Steps, if fewer than the bound of the database; more end it with 57014, to within a thousand.
    pub steps: Option<u64>,
}

impl Call {
    /// At this time, with the bounds of the database.
    pub fn at(now: i64) -> Self {
        Self { now, steps: None }
    }
}

/// What became of a statement.
#[derive(Clone, Debug)]
pub enum Outcome {
    Done(Done),
    Blocked(Blocked),
    Failed(Failed),
}

/// A statement that ran.
#[derive(Clone, Debug)]
pub struct Done {
    pub columns: Arc<[Column]>,
    pub rows: Vec<Vec<Value>>,
    /// Rows that were inserted, updated or deleted; for a query, the rows of its result.
    pub affected: u64,
    pub work: Work,
}

/// A statement that waits for others. It has changed nothing: execute it again, in `transaction`, when one
/// of `by` has ended, or give up by [`Database::rollback`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub by: Vec<Transaction>,
    /// That of the statement; one of its own for a statement outside of a transaction, which ends with it.
    pub transaction: Transaction,
    pub work: Work,
}

/// A statement that failed. Its transaction has undone its changes and released its locks, those since the
/// last savepoint if it has one, and takes no other statement until it is rolled back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub failure: Failure,
    pub work: Work,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its changes are there for all; so many rows were written.
    Committed { rows: usize },
    /// A statement of it had failed.
    RolledBack,
}

pub struct Database {
    engine: Engine,
    shared: Shared,
    bounds: Bounds,
    catalogue: Catalogue,
    /// Grows with each change of the schema.
    version: u64,
    cache: Cache,
    open: BTreeMap<Transaction, Open>,
    begun: u64,
    /// The transaction whose changes SQLite has, on top of what is committed.
    resident: Option<Transaction>,
    /// Indexes that are dropped for a time.
    dropped: BTreeMap<String, Dropped>,
    /// Rows that were kept and given back for the statement that runs, so that SQLite serves its transaction.
    moved: u64,
    /// What ends the statements that run now.
    interrupt: Option<Interrupt>,
}

/// An open transaction.
#[derive(Debug, Default)]
struct Open {
    began: i64,
    failed: bool,
    of: Of,
    images: Images,
    savepoints: Vec<Savepoint>,
}

/// What a transaction is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Of {
    /// The statements between BEGIN and COMMIT.
    #[default]
    Block,
    /// One statement outside of a transaction. Its caller ends the transaction.
    Alone,
    /// The same, of a statement that had to wait. The statement ends the transaction.
    Waiting,
}

/// A place in a transaction that it may return to.
#[derive(Debug)]
struct Savepoint {
    name: String,
    images: Images,
    held: Mark,
}

impl Database {
    /// A database with the tables and rows of `schema`; all that is wrong with it, if anything is.
    pub fn open(schema: &str, options: Options) -> std::result::Result<Self, Vec<Problem>> {
        let mut database = Self::empty(options.clone()).map_err(|failure| {
            let place = crate::error::Place { line: 1, column: 1 };
            vec![Problem { place, failure }]
        })?;
        let problems = database.run_schema(schema, options.now);
        if problems.is_empty() { Ok(database) } else { Err(problems) }
    }

    fn empty(options: Options) -> Result<Self> {
        let shared = Shared::default();
        shared.lock().chance.0 = options.seed;
        let engine = Engine::open(&shared, &options.bounds).map_err(crate::failure::of)?;
        Ok(Self {
            engine,
            shared,
            bounds: options.bounds,
            catalogue: Catalogue::default(),
            version: 0,
            cache: Cache::default(),
            open: BTreeMap::new(),
            begun: 0,
            resident: None,
            dropped: BTreeMap::new(),
            moved: 0,
            interrupt: None,
        })
    }

    /// The statement with this text, from the cache if it is there.
    pub fn prepare(&mut self, text: &str) -> Result<Arc<Statement>> {
        if let Some(found) = self.cache.get(text, self.version, self.bounds.cache_bytes) {
            return Ok(found);
        }
        let statement = Arc::new(Statement::parse(text, &self.catalogue, self.version, &self.bounds)?);
        self.cache.put(statement.clone(), self.bounds.cache_bytes);
        Ok(statement)
    }

    /// The loops of a statement: `SCAN stock`, or `SEARCH stock USING INDEX stock_sku_idx (sku=?)`.
    pub fn plan(&self, statement: &Statement) -> Result<Vec<String>> {
        self.loops(statement).map(<[String]>::to_vec)
    }

    fn loops<'a>(&self, statement: &'a Statement) -> Result<&'a [String]> {
        use crate::translate::Plan;
        let (Plan::Run(run) | Plan::Explain(run)) = &statement.plan else { return Ok(&[]) };
        if let Some(loops) = statement.loops.get() {
            return Ok(loops);
        }
        let mut loops = Vec::new();
        for part in run.all() {
            loops.extend(self.engine.plan(&part.sql)?);
        }
        Ok(statement.loops.get_or_init(|| loops))
    }

    /// What temporary results a statement has.
    fn temporary(&self, statement: &Statement) -> Result<Temporary> {
        if let Some(temporary) = statement.temporary.get() {
            return Ok(*temporary);
        }
        let loops = self.loops(statement)?;
        Ok(*statement.temporary.get_or_init(|| Temporary::of(statement.text(), loops)))
    }

    /// The fewest steps for each row of the temporary results of a statement; nothing if these do not grow.
    fn steps_per_row(&self, statement: &Statement, run: &Run) -> Option<u64> {
        let of = |part: &Run| match self.engine.program(&part.sql) {
            Ok(program) => steps_per_row(&program),
            Err(_) => Some(STEPS_PER_HELD_ROW),
        };
        *statement.steps_per_row.get_or_init(|| run.all().filter_map(of).min())
    }

    /// Begins a transaction, READ COMMITTED.
    pub fn begin(&mut self, now: i64) -> Result<Transaction> {
        self.begin_for(Of::Block, now)
    }

    /// Begins the transaction of one statement outside of transactions, which may change the schema: its
    /// locks are held until the caller commits or rolls back.
    pub fn begin_alone(&mut self, now: i64) -> Result<Transaction> {
        self.begin_for(Of::Alone, now)
    }

    fn begin_for(&mut self, of: Of, now: i64) -> Result<Transaction> {
        if self.open.len() >= self.bounds.transactions {
            let message = format!("more than {} transactions are open", self.bounds.transactions);
            return Err(Failure::new(sqlstate::LIMIT, message).hint("end some"));
        }
        self.begun += 1;
        let transaction = Transaction(self.begun);
        self.open.insert(transaction, Open { began: now, of, ..Open::default() });
        Ok(transaction)
    }

    /// Makes the changes of a transaction those of all, and releases its locks.
    pub fn commit(&mut self, transaction: Transaction) -> Result<Ended> {
        let Some(open) = self.open.get(&transaction) else { return Err(no_transaction()) };
        if open.failed {
            self.rollback(transaction)?;
            return Ok(Ended::RolledBack);
        }
        let rows = open.images.len();
        let written = if self.resident == Some(transaction) {
            Ok(())
        } else if rows > 0 {
            self.enter(Some(transaction))
        } else {
            Ok(())
        };
        let committed = written.and_then(|()| match self.resident == Some(transaction) {
            true => self.engine.commit(),
            false => Ok(()),
        });
        if self.resident == Some(transaction) {
            if committed.is_err() {
                self.engine.rollback()?;
            }
            self.resident = None;
        }
        self.end(transaction);
        committed.map(|()| Ended::Committed { rows })
    }

    /// Undoes the changes of a transaction, and releases its locks.
    pub fn rollback(&mut self, transaction: Transaction) -> Result<()> {
        if !self.open.contains_key(&transaction) {
            return Err(no_transaction());
        }
        if self.resident == Some(transaction) {
            self.resident = None;
            self.engine.rollback()?;
        }
        self.end(transaction);
        Ok(())
    }

    /// Rolls all open transactions back, as a server that ends does.
    ///
    /// # Errors
    /// SQLite cannot.
    pub fn rollback_all(&mut self) -> Result<()> {
        let open: Vec<Transaction> = self.open.keys().copied().collect();
        open.into_iter().try_for_each(|transaction| self.rollback(transaction))
    }

    fn end(&mut self, transaction: Transaction) {
        self.open.remove(&transaction);
        self.shared.lock().locks.release(transaction);
    }

    /// Whether a transaction is open.
    pub fn is_open(&self, transaction: Transaction) -> bool {
        self.open.contains_key(&transaction)
    }

    /// Whether a transaction waits, over others, for itself; then it has failed with 40P01. PostgreSQL looks
    /// when a statement has waited for `deadlock_timeout`.
    pub fn deadlock(&mut self, transaction: Transaction) -> Option<Failure> {
        let circle = self.shared.lock().locks.circle(transaction)?;
        self.cancel(transaction);
        let message = format!("deadlock detected: {} transactions wait for one another", circle.len());
        Some(
            Failure::new(sqlstate::DEADLOCK, message)
                .hint("lock rows in the same order everywhere, and try again"),
        )
    }

    /// Gives up a statement of the transaction that waits: as if it had failed.
    pub fn cancel(&mut self, transaction: Transaction) {
        self.fail(transaction);
    }

    /// Locks a table, as LOCK TABLE does.
    pub fn lock_table(&mut self, transaction: Transaction, table: &str, mode: TableMode) -> Outcome {
        self.lock_tables(Some(transaction), &[table.to_owned()], mode, false)
    }

    /// Does `work`, whose statements `interrupt` ends.
    pub fn interruptible<T>(&mut self, interrupt: &Interrupt, work: impl FnOnce(&mut Self) -> T) -> T {
        self.interrupt = Some(interrupt.clone());
        let done = work(self);
        self.interrupt = None;
        done
    }

    /// Whether a statement has asked for the time so far, that of the schema among them: opened at another
    /// time, the database may have other rows.
    pub fn has_told_time(&self) -> bool {
        self.shared.lock().told_time
    }

    /// Bytes of tables and indexes.
    pub fn bytes(&self) -> Result<usize> {
        self.engine.pages().map(|pages| pages * crate::bounds::PAGE_BYTES)
    }

    /// The transaction fails: what it did since its last savepoint is undone, and it takes no statement until
    /// it is rolled back.
    fn fail(&mut self, transaction: Transaction) {
        if self.resident == Some(transaction) {
            self.resident = None;
            // What could not be rolled back was rolled back already.
            let _ = self.engine.rollback();
        }
        let Some(open) = self.open.get_mut(&transaction) else { return };
        open.failed = true;
        let mut state = self.shared.lock();
        match open.savepoints.last() {
            Some(savepoint) => {
                open.images = savepoint.images.clone();
                state.locks.release_since(transaction, &savepoint.held);
            }
            None => {
                open.images = Images::default();
                state.locks.release(transaction);
            }
        }
    }

    /// Whether a statement is outside of transactions.
    fn is_alone(&self, transaction: Option<Transaction>) -> bool {
        transaction.is_none_or(|own| self.open.get(&own).is_some_and(|open| open.of != Of::Block))
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("tables", &self.catalogue.tables.len()).finish_non_exhaustive()
    }
}

fn no_transaction() -> Failure {
    Failure::new(sqlstate::NO_TRANSACTION, "there is no transaction in progress").hint("begin one")
}
