//! Databases of a topology.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Distribution, Nanos, Place};

/// `[databases.NAME]`: what services ask with SQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    pub name: String,
    /// The file with its tables.
    pub schema: PathBuf,
    pub schema_place: Place,
    /// Its text, once it is read.
    pub text: Option<Arc<str>>,
    /// Rows beside those that the schema inserts, in the order of the file.
    pub rows: Vec<TableRows>,
    /// Statements that it executes at a time.
    pub cores: u32,
    /// Connections of all clients together.
    pub connections: u32,
    /// One way between a client and the database.
    pub latency: Distribution,
    pub cost: Cost,
    /// How long a statement may take, waiting included.
    pub statement_timeout: Option<Nanos>,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Option<Nanos>,
}

impl Database {
    /// `db.system.name` of all of them.
    pub const SYSTEM: &str = "postgresql";
}

/// What executing takes: nanoseconds of simulated time.
#[derive(Clone, Debug, PartialEq)]
pub struct Cost {
    pub statement: Nanos,
    /// Of the database's virtual machine.
    pub step: Nanos,
    /// Of a result.
    pub row: Nanos,
    /// That changes rows.
    pub commit: Distribution,
}

/// `[services.X.databases.NAME]`: what one replica has of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionPool {
    /// An index into [`Model::databases`](super::Model::databases).
    pub database: usize,
    /// Connections at a time.
    pub max: u32,
    /// How long a request waits for a connection.
    pub wait: Nanos,
}

/// Rows of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRows {
    pub table: String,
    pub count: u64,
    /// Columns with what they get.
    pub values: Vec<(String, Cell)>,
    pub place: Place,
}

/// What a column gets in each row. Rows are numbered from 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Vec<CellPart>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellPart {
    Text(String),
    /// `{n}` or `{n:06}`: the number of the row, with at least so many digits.
    Number {
        digits: usize,
    },
}
