//! Databases of a topology.

use std::path::PathBuf;

use super::Place;

/// `[databases.NAME]`: what services ask with SQL.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    pub name: String,
    /// The file with its tables.
    pub schema: PathBuf,
    pub schema_place: Place,
    /// Rows beside those that the schema inserts, in the order of the file.
    pub rows: Vec<TableRows>,
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
