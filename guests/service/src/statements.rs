//! Statements for a database of the topology.

use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;
use simhost_sdk::sql::{self, Value};

use crate::template::{Piece, Template};

/// Statements that are executed one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Statements {
    pub database: String,
    pub is_transaction: bool,
    all: Vec<Statement>,
}

/// One statement, and what its parameters are.
#[derive(Clone, Debug, PartialEq)]
struct Statement {
    text: String,
    params: Vec<Piece>,
}

impl Statements {
    /// Reads `SELECT available FROM stock WHERE sku = {sku}; UPDATE …`. Parts in braces become parameters.
    pub fn parse(database: String, is_transaction: bool, text: &str) -> Result<Self, String> {
        let all = text.split(';').map(str::trim).filter(|text| !text.is_empty());
        let all: Vec<_> = all.map(Statement::parse).collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err("it has no statement; write sql = \"SELECT 1\"".to_owned());
        }
        Ok(Self { database, is_transaction, all })
    }

    /// Executes them.
    pub fn execute(&self, params: &Params) -> Result<(), Error> {
        if self.is_transaction {
            let each = |transaction: &sql::Transaction| {
                self.all
                    .iter()
                    .try_for_each(|one| transaction.query(&one.text, &one.values(params)).map(drop))
            };
            return sql::transaction(&self.database, each).map_err(failed);
        }
        self.all.iter().try_for_each(|one| {
            sql::query(&self.database, &one.text, &one.values(params)).map(drop).map_err(failed)
        })
    }
}

impl Statement {
    fn parse(text: &str) -> Result<Self, String> {
        let mut statement = Self { text: String::new(), params: Vec::new() };
        for piece in Template::parse(text)?.0 {
            match piece {
                Piece::Text(text) => statement.text.push_str(&text),
                piece => {
                    statement.params.push(piece);
                    statement.text.push_str(&format!("${}", statement.params.len()));
                }
            }
        }
        Ok(statement)
    }

    /// A whole number is one to the database too.
    fn values(&self, params: &Params) -> Vec<Value> {
        let value = |piece: &Piece| {
            let text = piece.fill(params);
            text.parse().map_or(Value::Text(text), Value::Int)
        };
        self.params.iter().map(value).collect()
    }
}

/// What a failed statement means for who has sent the request.
fn failed(error: sql::Error) -> Error {
    let message = error.to_string();
    match error.sqlstate() {
        // Unique violation (PostgreSQL, appendix A).
        Some("23505") => Error::conflict(message).with_kind("23505"),
        Some(state) => Error::unexpected(state.to_owned(), message),
        None if error == sql::Error::PoolTimeout => Error::unavailable(message).with_kind("pool_timeout"),
        None => Error::unexpected("SqlError", message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_in_braces_are_parameters_of_their_statement() {
        let text =
            "SELECT a FROM stock WHERE sku = {sku}; UPDATE stock SET a = a - {1..3} WHERE sku = {sku};";
        let Statements { all, .. } = Statements::parse("stock".to_owned(), true, text).unwrap();
        let texts: Vec<_> = all.iter().map(|statement| statement.text.as_str()).collect();
        let expected = ["SELECT a FROM stock WHERE sku = $1", "UPDATE stock SET a = a - $1 WHERE sku = $2"];
        assert_eq!(texts, expected);
        let params = Params(vec![("sku".to_owned(), "BOOK-7".to_owned())]);
        assert_eq!(all[0].values(&params), [Value::Text("BOOK-7".to_owned())]);
        assert!(matches!(all[1].values(&params)[0], Value::Int(1..=3)));
        assert!(Statements::parse("stock".to_owned(), false, " ; ").is_err());
    }
}
