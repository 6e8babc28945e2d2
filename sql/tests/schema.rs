//! Schemas with mistakes: all of them at once, each with its place.

use simhost_sql::{Bounds, Database, Options};

fn problems(schema: &str) -> Vec<String> {
    match Database::open(schema, Options::default()) {
        Ok(_) => panic!("nothing is wrong with it"),
        Err(problems) => problems.into_iter().map(|problem| problem.to_string()).collect(),
    }
}

#[test]
fn every_mistake_is_told_with_its_line_and_column() {
    let told = problems(
        "-- the inventory
CREATE TABLE stock (
  id SERIAL PRIMARY KEY,
  sku TXT NOT NULL
);
CREATE INDEX stock_sku ON stock (sku);
CREATE TABLE orders (id INT PRIMARY KEY, total NUMERIC(10,2), placed TIMESTAMPTZ DEFAULT now());
INSERT INTO orders VALUES (1, 5), (1, 6);
INSERT INTO orders VALUES ('x', 1);
CREATE EXTENSION pgcrypto;
INSERT INTO orders
  (id, amount) VALUES (2, 3);
SELEKT 1;
",
    );
    let beginnings = [
        "4:3: 42704: type \"txt\" does not exist",
        "8:1: 23505: duplicate key value violates unique constraint \"orders_pkey\"",
        "9:28: 22P02: invalid input syntax for type integer: \"x\"",
        "10:1: 0A000: CREATE EXTENSION pgcrypto … is not supported",
        "12:8: 42703: column \"amount\" of the table does not exist",
        "13:1: 42601: syntax error: Expected: an SQL statement, found: SELEKT",
    ];
    assert_eq!(told.len(), beginnings.len(), "{told:#?}");
    for (problem, beginning) in told.iter().zip(beginnings) {
        assert!(problem.starts_with(beginning), "{problem} does not begin with {beginning}");
    }
}

#[test]
fn a_text_that_does_not_end_is_told_where_it_begins() {
    let told = problems("CREATE TABLE t (a TEXT);\nINSERT INTO t VALUES ('a);\n");
    assert!(told.len() == 1 && told[0].starts_with("2:23: 42601"), "{told:?}");
}

#[test]
fn what_dumps_write_around_statements_is_taken() {
    let schema = "BEGIN;\nCREATE TABLE t (a TEXT);;\nCOMMIT; -- the end\n";
    let mut database = Database::open(schema, Options::default()).expect("nothing is wrong with it");
    assert_eq!(database.tables().expect("tables").len(), 1);
}

#[test]
fn a_schema_that_is_too_long_is_refused() {
    let options = Options { bounds: Bounds { schema_bytes: 10, ..Bounds::default() }, ..Options::default() };
    let problems = Database::open("CREATE TABLE t (a TEXT)", options).expect_err("it is too long");
    assert_eq!(problems[0].failure.sqlstate, "54000");
}
