//! Databases in the report: what was asked of them, and who waited for a connection.

use std::cmp::Reverse;

use schemars::JsonSchema;
use serde::Serialize;

use crate::database::{DatabaseAccount, PoolAccount, StatementAccount};
use crate::model::{Model, Nanos, ServiceId};

use super::rows::Numbers;
use super::table::{self, Column, Page, times};
use super::words::{about, count, number, time};

/// Statements of a database that have rows of their own: those that took the most time together.
const STATEMENTS: usize = 20;

/// What is said of statements of which too many had summaries of their own.
const OTHERS: &str = "(others)";

/// What was asked of a database.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct DatabaseRow {
    pub database: String,
    /// By summary, the 20 that took the most time together, in the order in which they first came.
    pub statements: Vec<StatementRow>,
    /// Summaries that have no row.
    pub left_out: u64,
    /// By service, in the order of the topology.
    pub pools: Vec<PoolRow>,
}

/// The statements of one summary, from their beginning at the client to the answer there: what CLIENT spans
/// have. Beginnings and ends of transactions are statements too.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StatementRow {
    /// `db.query.summary`: `SELECT stock`.
    pub statement: String,
    /// Errors by SQLSTATE.
    #[serde(flatten)]
    pub numbers: Numbers,
    /// Rows that were read one after the other, without an index, by all of them.
    pub rows_scanned: u64,
    /// Those that waited for a lock.
    pub lock_waits: u64,
    /// For how long these waited, on average.
    pub lock_wait_mean_ns: Nanos,
}

/// What requests met at a service's pools of connections to a database, of all replicas together.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PoolRow {
    pub service: String,
    /// Requests for a connection.
    pub asked: u64,
    /// Of those, the ones that had to wait for one to be given back.
    pub waited: u64,
    /// For how long these waited, on average.
    pub wait_mean_ns: Nanos,
    pub wait_max_ns: Nanos,
    /// Those that waited in vain.
    pub timeouts: u64,
    /// Connections that the database has refused.
    pub refused: u64,
}

/// The rows of databases that were asked for anything. `over` is the time of rates.
pub fn rows(accounts: &[DatabaseAccount], model: &Model, over: Nanos) -> Vec<DatabaseRow> {
    let asked = accounts.iter().filter(|account| !account.pools.is_empty());
    asked.map(|account| row(account, model, over)).collect()
}

fn row(account: &DatabaseAccount, model: &Model, over: Nanos) -> DatabaseRow {
    let all: Vec<_> = account.statements.iter().collect();
    let mut heaviest: Vec<usize> = (0..all.len()).collect();
    heaviest.sort_by_key(|at| Reverse(all[*at].1.calls.total));
    heaviest.truncate(STATEMENTS);
    heaviest.sort_unstable();
    DatabaseRow {
        database: account.name.clone(),
        left_out: (all.len() - heaviest.len()) as u64,
        statements: heaviest.into_iter().map(|at| statement(all[at], over)).collect(),
        pools: account.pools.iter().map(|(service, pool)| of_pool(*service, pool, model)).collect(),
    }
}

fn statement((summary, account): (&str, &StatementAccount), over: Nanos) -> StatementRow {
    let StatementAccount { calls, scanned, lock_waits, lock_waited } = account;
    StatementRow {
        statement: if summary.is_empty() { OTHERS } else { summary }.to_owned(),
        numbers: Numbers::new(calls, over),
        rows_scanned: *scanned,
        lock_waits: *lock_waits,
        lock_wait_mean_ns: mean(*lock_waited, *lock_waits),
    }
}

fn of_pool(service: ServiceId, account: &PoolAccount, model: &Model) -> PoolRow {
    let PoolAccount { asked, waited, wait, longest, timeouts, refused } = *account;
    PoolRow {
        service: model.service(service).name.clone(),
        asked,
        waited,
        wait_mean_ns: mean(wait, waited),
        wait_max_ns: longest,
        timeouts,
        refused,
    }
}

fn mean(total: u128, of: u64) -> Nanos {
    if of == 0 { 0 } else { (total as f64 / of as f64).round() as Nanos }
}

/// A row and the name of its database.
type Of<'a, T> = (&'a str, &'a T);

/// Writes the tables: statements, and pools if a request had to wait at one or was refused.
pub fn write(page: &mut Page<'_>, databases: &[DatabaseRow]) {
    let statements: Vec<Of<'_, StatementRow>> = databases
        .iter()
        .flat_map(|row| row.statements.iter().map(|statement| (row.database.as_str(), statement)))
        .collect();
    if !statements.is_empty() {
        page.text.push('\n');
    }
    let columns = statement_columns(&statements);
    page.table("statement", &statements, |(_, row)| row.numbers.weight(), 2, &columns);
    let pools: Vec<Of<'_, PoolRow>> = databases
        .iter()
        .flat_map(|row| row.pools.iter().map(|pool| (row.database.as_str(), pool)))
        .filter(|(_, pool)| pool.waited + pool.refused > 0)
        .collect();
    if !pools.is_empty() {
        page.text.push('\n');
    }
    page.table("pool", &pools, |(_, row)| (row.timeouts + row.refused, row.waited), 2, &pool_columns());
}

fn statement_columns<'a>(all: &[Of<'a, StatementRow>]) -> Vec<Column<'a, Of<'a, StatementRow>>> {
    let per_call = |row: &StatementRow| row.rows_scanned as f64 / row.numbers.count.max(1) as f64;
    let mut columns: Vec<Column<'a, Of<'a, StatementRow>>> = vec![
        ("database", Box::new(|(database, _)| (*database).to_owned())),
        ("statement", Box::new(|(_, row)| row.statement.clone())),
        ("calls", Box::new(|(_, row)| count(row.numbers.count))),
        ("rate/s", Box::new(|(_, row)| number(row.numbers.rate))),
        ("scanned", Box::new(move |(_, row)| number(per_call(row)))),
    ];
    if all.iter().any(|(_, row)| row.lock_waits > 0) {
        columns.push(("lock waits", Box::new(|(_, row)| count(row.lock_waits))));
        columns.push(("lock wait", Box::new(|(_, row)| time(row.lock_wait_mean_ns))));
    }
    columns.extend(times(|(_, row): &Of<'a, StatementRow>| &row.numbers, about));
    columns.extend(table::errors(all, |(_, row)| &row.numbers));
    columns
}

fn pool_columns<'a>() -> Vec<Column<'a, Of<'a, PoolRow>>> {
    vec![
        ("service", Box::new(|(_, row)| row.service.clone())),
        ("pool", Box::new(|(database, _)| (*database).to_owned())),
        ("asked", Box::new(|(_, row)| count(row.asked))),
        ("waited", Box::new(|(_, row)| count(row.waited))),
        ("wait mean", Box::new(|(_, row)| time(row.wait_mean_ns))),
        ("wait max", Box::new(|(_, row)| time(row.wait_max_ns))),
        ("timeouts", Box::new(|(_, row)| count(row.timeouts))),
        ("refused", Box::new(|(_, row)| count(row.refused))),
    ]
}
