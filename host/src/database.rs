//! Databases of a topology, opened: SQLite with PostgreSQL's words, from the crate `simhost-sql`.

mod account;
mod engine;
mod live;
mod pool;
mod schema;
mod slots;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use simhost_sql::{Bounds, Class, Database, Failure, Options, TableInfo, Value, sqlstate};

use crate::error::{Problem, did_you_mean, quote};
use crate::model::{
    self, Cell, CellPart, ConnectionPool, DatabaseFault, Distribution, Effect, Model, Nanos, ServiceId,
    TableRows,
};
use crate::process::Process;
use crate::rng::{Key, Purpose};
use crate::sched::Sched;

pub use account::{DatabaseAccount, PoolAccount, StatementAccount, Statements};
pub use live::{Answer, Client, Live, Open, Strength};
pub use pool::{Connection, NoConnection, Pool, PoolEvent, PoolObserver};
pub use schema::{in_text, remedy, without_mark, word};

/// Opens a database of a topology, with all of its rows. `now` is the time at which they are made.
///
/// # Errors
/// Everything that is wrong with the schema, or with rows that the topology adds.
pub fn open(model: &Model, database: &model::Database, now: Nanos) -> Result<Database, Vec<Problem>> {
    let bounds = Bounds::default();
    let text = match &database.text {
        Some(text) => Arc::clone(text),
        None => schema::text(&database.schema, &bounds).map_err(|problem| vec![problem])?,
    };
    let seed = Key::new(model.root(), Purpose::Database).with_name(&database.name).draw();
    let now = i64::try_from(now / 1_000).unwrap_or(i64::MAX);
    let options = Options { seed, now, bounds };
    let mut opened = Database::open(&text, options)
        .map_err(|problems| schema::wrong(&database.schema, &text, problems))?;
    let wrong: Vec<Problem> =
        database.rows.iter().filter_map(|rows| fill(&mut opened, rows, now).err()).collect();
    if wrong.is_empty() { Ok(opened) } else { Err(wrong) }
}

/// A database that was opened before the run.
#[derive(Debug)]
pub struct Opened {
    database: Database,
    /// When its rows were made: nanoseconds since the Unix epoch.
    at: Nanos,
}

impl Opened {
    /// Whether it takes a statement with this text and as many values as are given, and what that would do.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, text: &str, given: usize) -> Result<Class, Failure> {
        let statement = self.database.prepare(text)?;
        let wanted = statement.parameters().len();
        if wanted != given {
            let many =
                |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
            let (parameters, values) = (many(wanted, "parameter"), many(given, "value"));
            let message = format!("the statement has {parameters}, and {values} in braces");
            let hint = match wanted > given {
                true => "write {name} in place of $1: what stands in braces becomes a parameter",
                false => "a value in braces stands outside of quotes: WHERE sku = {name}",
            };
            return Err(Failure { sqlstate: "08P01", message, hint: Some(hint.to_owned()), place: None });
        }
        // Names of columns are looked for when the plan is made.
        self.database.plan(&statement)?;
        Ok(statement.class())
    }

    /// Its tables, with how many rows each has.
    ///
    /// # Errors
    /// Counting them took too long.
    pub fn tables(&mut self) -> Result<Vec<TableInfo>, Failure> {
        self.database.tables()
    }

    /// The database, for a run that begins at `start`: the same as if it was opened then. In real time it may
    /// be older than the run, as databases are.
    fn for_start(self, start: Nanos, is_virtual: bool) -> Option<Database> {
        let is_same = self.at == start || !is_virtual || !self.database.has_told_time();
        is_same.then_some(self.database)
    }
}

/// Reads the schemas, in place of their names, and opens the databases; `now` is the time at which their rows
/// are made. Gives those that open, and what is wrong with them, and with faults that strike them.
pub fn read(model: &mut Model, now: Nanos) -> (Vec<Opened>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut opened = Vec::new();
    for at in 0..model.databases.len() {
        let found = match schema::text(&model.databases[at].schema, &Bounds::default()) {
            Ok(text) => {
                model.databases[at].text = Some(text);
                open(model, &model.databases[at], now)
            }
            Err(problem) => Err(vec![problem]),
        };
        opened.push(found.map_err(|found| problems.extend(found)).ok());
    }
    problems.extend(unknown(model, &mut opened));
    let opened = opened.into_iter().flatten().map(|database| Opened { database, at: now });
    (opened.collect(), problems)
}

/// The databases of a world, and the connections of its replicas.
#[derive(Default)]
pub struct Databases {
    live: Vec<Rc<Live>>,
    /// By service, what it has of which database.
    clients: Vec<Vec<ConnectionPool>>,
    /// By service, process, which is a Resource, and database.
    pools: RefCell<BTreeMap<(ServiceId, u32, usize), Rc<Pool>>>,
    /// How late a client notices that it has waited for too long.
    slack: Distribution,
}

impl Databases {
    /// Those of a topology whose schemas were [`read`], `opened` then for this world, or opened now.
    ///
    /// # Panics
    /// If one of them does not open: it did when it was read, and opens the same way each time.
    pub fn new(model: &Model, sched: &Sched, opened: Vec<Opened>) -> Self {
        let mut opened = opened.into_iter();
        let open = |database: &model::Database| {
            open(model, database, sched.now()).unwrap_or_else(|problems| {
                let said: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
                panic!(
                    "the database {} was opened before, and is not now: {}",
                    database.name,
                    said.join("; ")
                )
            })
        };
        let live = model.databases.iter().enumerate().map(|(index, database)| {
            let ends = |fault: &model::Fault| match &fault.effect {
                Effect::Database { database, fault: DatabaseFault::Failover, .. } => *database == index,
                _ => false,
            };
            let engine = opened.next().and_then(|opened| opened.for_start(sched.now(), sched.is_virtual()));
            let engine = engine.unwrap_or_else(|| open(database));
            Live::new((index as u32, database.clone()), engine, sched, model.faults.iter().any(ends))
        });
        Self {
            live: live.collect(),
            clients: model.services.iter().map(|service| service.databases.clone()).collect(),
            pools: RefCell::default(),
            slack: model.timer_slack.clone(),
        }
    }

    /// The connections of a process of a service, by the number of its Resource, to the database of this
    /// name. `observer` gives who measures them.
    ///
    /// # Errors
    /// The service has no database of this name; the text says which it has.
    pub fn pool(
        &self,
        (service, resource, process): (ServiceId, u32, &Rc<Process>),
        name: &str,
        observer: impl FnOnce(&Live, u32) -> Option<Box<dyn PoolObserver>>,
    ) -> Result<Rc<Pool>, String> {
        let clients = self.clients.get(service.index()).map(Vec::as_slice).unwrap_or_default();
        let of = |client: &&ConnectionPool| self.live[client.database].settings.name == name;
        let Some(client) = clients.iter().find(of) else {
            let names = clients.iter().map(|client| self.live[client.database].settings.name.as_str());
            return Err(did_you_mean(name, "databases of this service", names));
        };
        let mut pools = self.pools.borrow_mut();
        let pool = pools.entry((service, resource, client.database)).or_insert_with(|| {
            let live = &self.live[client.database];
            Pool::new(Rc::clone(live), (client, &self.slack), process, observer(live, client.max))
        });
        Ok(Rc::clone(pool))
    }

    /// A fault, by its place in the model, has a database from now on: as strong as `strength` says at each
    /// instant.
    pub fn begin_fault(&self, database: usize, fault: usize, effect: &DatabaseFault, strength: Strength) {
        self.live[database].begin_fault(fault, effect, strength);
        self.settle(database);
    }

    /// The pools of a database have what its faults leave them.
    fn settle(&self, database: usize) {
        let pools = self.pools.borrow();
        let of = pools.iter().filter(|((_, _, of), _)| *of == database);
        of.for_each(|(_, pool)| pool.settle());
    }

    /// A process has ended, by its Resource: what it had of databases is free.
    pub fn process_ended(&self, resource: u32) {
        self.of_process(resource, |pool| pool.settle_end());
    }

    /// A process, by its Resource, is done with what it has and ends, as another one replaces it; or it does
    /// no longer.
    pub fn retire(&self, resource: u32, retired: bool) {
        self.of_process(resource, |pool| pool.retire(retired));
    }

    fn of_process(&self, resource: u32, each: impl Fn(&Pool)) {
        let pools = self.pools.borrow();
        pools.iter().filter(|((_, of, _), _)| *of == resource).for_each(|(_, pool)| each(pool));
    }

    /// What was asked of each, in the order of the topology.
    pub fn accounts(&self) -> Vec<DatabaseAccount> {
        let mut accounts: Vec<_> = self.live.iter().map(|live| live.account()).collect();
        for ((service, _, database), pool) in self.pools.borrow().iter() {
            accounts[*database].pool(*service).merge(&pool.account());
        }
        accounts
    }

    /// No more requests are made. What is asked from now on is in no rate.
    pub fn requests_end(&self) {
        self.live.iter().for_each(|live| live.requests_end());
    }

    /// Takes the databases out of a world that is over, in the order of the topology.
    pub async fn take(&self) -> Vec<Database> {
        let mut taken = Vec::with_capacity(self.live.len());
        for live in &self.live {
            taken.push(live.take().await);
        }
        taken
    }

    /// It is over.
    pub fn end_fault(&self, database: usize, fault: usize) {
        self.live[database].end_fault(fault);
        self.settle(database);
    }
}

/// Faults that name an index or a table which their database has not. `opened` are the databases.
fn unknown(model: &Model, opened: &mut [Option<Database>]) -> Vec<Problem> {
    let mut of_database = |database: usize, effect: &DatabaseFault| {
        let opened = opened[database].as_mut()?;
        let name = quote(&model.databases[database].name);
        let (what, (wanted, place), known) = match effect {
            DatabaseFault::DropIndex { index } => {
                let indexes = opened.indexes();
                if let Some(unique) = indexes.iter().find(|known| known.name == index.0 && known.unique) {
                    let problem =
                        Problem::new(format!("the index {} keeps values unique", quote(&unique.name)));
                    let help = "name an index that is not UNIQUE: without it other rows could be inserted";
                    return Some(problem.at(index.1.clone(), "cannot be dropped for a time").help(help));
                }
                let may_go = indexes.into_iter().filter(|index| !index.unique);
                ("index", index, may_go.map(|index| index.name).collect::<Vec<_>>())
            }
            DatabaseFault::LockTable { table, .. } => {
                // Counting rows, as a listing of tables does, may fail; then there is no table to lock.
                let tables = opened.tables().unwrap_or_default();
                ("table", table, tables.into_iter().map(|table| table.name).collect())
            }
            DatabaseFault::SlowDisk { .. }
            | DatabaseFault::TooManyConnections { .. }
            | DatabaseFault::HoldConnections { .. }
            | DatabaseFault::Failover => return None,
        };
        if known.contains(wanted) {
            return None;
        }
        let problem = Problem::new(format!("the database {name} has no {what} {}", quote(wanted)));
        let help = match (&known[..], what) {
            ([], "index") => "create one in its schema: CREATE INDEX …".to_owned(),
            ([], _) => "create one in its schema: CREATE TABLE …".to_owned(),
            (known, "index") => did_you_mean(wanted, "indexes", known.iter().map(String::as_str)),
            (known, _) => did_you_mean(wanted, "tables", known.iter().map(String::as_str)),
        };
        Some(problem.at(place.clone(), format!("no such {what}")).help(help))
    };
    let of_fault = |fault: &model::Fault| -> Vec<Problem> {
        let Effect::Database { fault: effect, .. } = &fault.effect else { return Vec::new() };
        fault.databases().iter().filter_map(|database| of_database(*database, effect)).collect()
    };
    model.faults.iter().flat_map(of_fault).map(Problem::of_fault).collect()
}

/// Inserts the rows that the topology adds.
fn fill(database: &mut Database, rows: &TableRows, now: i64) -> Result<(), Problem> {
    let columns: Vec<&str> = rows.values.iter().map(|(column, _)| column.as_str()).collect();
    let row = |number| rows.values.iter().map(|(_, cell)| value(cell, number)).collect();
    database.insert_rows(&rows.table, &columns, (1..=rows.count).map(row), now).map(drop).map_err(|failure| {
        let Problem { message, help, .. } = schema::said(&failure);
        let problem = Problem::new(format!("rows of {}: {message}", quote(&rows.table)));
        // The rows are not written as statements.
        let help =
            if failure.sqlstate == sqlstate::UNIQUE { told_apart(database, rows, &failure) } else { help };
        Problem { help, ..problem.at(rows.place.clone(), "these rows") }
    })
}

/// What makes rows differ in the columns of a unique index: a number in one of them.
fn told_apart(database: &Database, rows: &TableRows, failure: &Failure) -> Option<String> {
    let broken = |name: &str| failure.message.ends_with(&format!("\"{name}\""));
    let index =
        database.indexes().into_iter().find(|index| index.table == rows.table && broken(&index.name))?;
    let is_numbered = |column: &String| {
        let parts = rows.values.iter().filter(|(name, _)| name == column);
        let parts =
            parts.filter_map(|(_, cell)| if let Cell::Text(parts) = cell { Some(parts) } else { None });
        parts.flatten().any(|part| matches!(part, CellPart::Number { .. }))
    };
    let column = index.keys.iter().find(|column| !column.contains('(') && !is_numbered(column))?;
    Some(format!("let {{n}}, the number of the row, tell the rows apart: {column} = \"{{n}}\""))
}

/// What a column gets in the row with this number.
fn value(cell: &Cell, number: u64) -> Value {
    match cell {
        Cell::Bool(truth) => Value::Bool(*truth),
        Cell::Int(number) => Value::Int(*number),
        Cell::Float(number) => Value::Float(*number),
        Cell::Text(parts) => {
            let part = |part: &CellPart| match part {
                CellPart::Text(text) => text.clone(),
                CellPart::Number { digits } => format!("{number:0digits$}"),
            };
            Value::Text(parts.iter().map(part).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_open_already_is_taken_where_it_would_be_the_same() {
        let plain = "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)";
        let dated = "CREATE TABLE t (a TIMESTAMPTZ DEFAULT now()); INSERT INTO t DEFAULT VALUES";
        for (schema, start, is_virtual, is_taken) in [
            (plain, 9, true, true),
            (dated, 9, true, false),
            (dated, 5, true, true),
            // Real time has passed since then, for its rows as well.
            (dated, 9, false, true),
        ] {
            let database = Database::open(schema, Options::default()).expect("a schema");
            let taken = Opened { database, at: 5 }.for_start(start, is_virtual);
            assert_eq!(taken.is_some(), is_taken, "{schema} at {start}");
        }
    }
}
