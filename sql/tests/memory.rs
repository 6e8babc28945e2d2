//! Statements that take more memory than there is. SQLite counts that of the process, so that this is a
//! program of its own.

mod support;

use simhost_sql::{Bounds, Call, Database, Options, Value};
use support::{done, execute, failed};

/// Less than by default, so that a test takes no gigabytes.
fn narrow(schema: &str) -> Database {
    let bounds = Bounds { heap_bytes: 48 << 20, ..Bounds::default() };
    Database::open(schema, Options { bounds, ..Options::default() }).expect("a schema")
}

#[test]
fn a_statement_that_takes_too_much_memory_fails_with_a_name_and_all_databases_go_on() {
    let mut database = narrow("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x')");
    let mut other = narrow("CREATE TABLE u (a INT); INSERT INTO u VALUES (1)");
    let recursive = "WITH RECURSIVE n(i, x) AS (SELECT 1, repeat('x', 100000) UNION ALL \
                     SELECT i + 1, x || 'y' FROM n WHERE i < 2000) SELECT count(*) FROM (SELECT x FROM n ORDER BY x DESC) AS s";
    let distinct = "SELECT count(*) FROM (SELECT DISTINCT repeat('x', 100000) || n AS x FROM generate_series(1, 2000) AS n) AS s";
    let sorted =
        "SELECT repeat('x', 100000) || n AS x FROM generate_series(1, 2000) AS n ORDER BY x DESC LIMIT 1999";
    for (sql, code) in [
        (recursive, "53200"),
        (distinct, "53200"),
        (sorted, "53200"),
        // What grows into one value is bounded by its length.
        ("SELECT string_agg(repeat('x', 100000), ',') FROM generate_series(1, 500)", "54000"),
    ] {
        let statement = database.prepare(sql).expect("it parses");
        let failure = failed(database.execute(None, &statement, &[], Call::at(0)));
        assert_eq!(failure.sqlstate, code, "{sql}: {failure}");
        assert!(failure.hint.is_some(), "{failure}");
    }
    let own = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(own), "INSERT INTO t VALUES ('y')"));
    assert_eq!(failed(execute(&mut database, Some(own), distinct)).sqlstate, "53200");
    database.rollback(own).expect("it is open");
    assert_eq!(done(execute(&mut database, None, "SELECT a FROM t")).rows, [[Value::from("x")]]);
    assert_eq!(done(execute(&mut other, None, "SELECT a FROM u")).rows, [[Value::Int(1)]]);
}
