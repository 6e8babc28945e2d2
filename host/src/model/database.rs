//! Databases of a topology.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Distribution, Nanos, Place};

/// `[databases.NAME]`: what services ask with SQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    pub name: String,
    pub schema: Schema,
    /// The text of the schema, once it is read.
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
    /// Its name in the file.
    pub place: Place,
}

impl Database {
    /// `db.system.name` of all of them.
    pub const SYSTEM: &str = "postgresql";
}

/// SQL that makes the tables of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// A file.
    File { path: PathBuf, place: Place },
    /// A text of the topology itself.
    Inline(Inline),
}

/// A text that stands in the topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    pub text: Arc<str>,
    /// Where parts begin that are the same in the text and in the file: bytes of the text and of the file, in
    /// order.
    /// The first one begins with the text.
    pub parts: Vec<(usize, usize)>,
}

impl Inline {
    /// The place in the file of a place in the text.
    pub fn place(&self, of: Place) -> Place {
        self.in_file(of.start)..self.in_file(of.end)
    }

    fn in_file(&self, at: usize) -> usize {
        let behind = self.parts.partition_point(|(text, _)| *text <= at);
        let (text, file) = self.parts[behind.saturating_sub(1)];
        file + at.saturating_sub(text)
    }
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
