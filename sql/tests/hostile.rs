//! Statements that take too much: each is refused with a name, and the database goes on.

mod support;

use std::fmt::Write;

use simhost_sql::{Bounds, Call, Database, Failure, Options, Outcome, Value};
use support::{database, done, execute, failed};

fn refused(database: &mut Database, sql: &str) -> Failure {
    let outcome = match database.prepare(sql) {
        Ok(statement) => database.execute(None, &statement, &[], Call::at(0)),
        Err(failure) => return failure,
    };
    failed(outcome)
}

/// Fewer steps than by default, so that the tests take no time.
fn narrow() -> Database {
    let bounds = Bounds { steps: 2_000_000, rows: 1_000, ..Bounds::default() };
    Database::open("CREATE TABLE t (a TEXT)", Options { bounds, ..Options::default() }).expect("a schema")
}

#[test]
fn what_never_ends_or_is_too_large_is_refused_with_a_name() {
    let mut database = narrow();
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let doubling =
        "WITH RECURSIVE d(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM d) SELECT count(*) FROM d";
    let product = "SELECT count(*) FROM generate_series(1, 10000) a, generate_series(1, 10000) b";
    for (sql, code) in [
        (endless, "57014"),
        (product, "57014"),
        (doubling, "54000"),
        ("SELECT * FROM generate_series(1, 10000000)", "54000"),
        ("SELECT repeat('x', 2000000000)", "54000"),
        ("SELECT lpad('', 2000000000, 'x')", "54000"),
        ("SELECT repeat('x', 900000) FROM generate_series(1, 100)", "54000"),
        ("INSERT INTO t SELECT 'x' FROM generate_series(1, 100000000)", "57014"),
        ("SELECT 'a' LIKE repeat('%a', 1000)", "54000"),
        // Few steps of SQLite, and much to do in each of them.
        (
            "SELECT count(*) FROM generate_series(1, 2000) AS n WHERE reverse(repeat('ab', 400000) || n) = 'x'",
            "57014",
        ),
        (
            "SELECT count(*) FROM generate_series(1, 2000) AS n WHERE (repeat('a', 900000) || n) LIKE '%a%ab'",
            "57014",
        ),
        (
            "SELECT count(*) FROM generate_series(1, 2000) AS n, LATERAL (SELECT repeat('a', 400000) || n) AS l(x)
             WHERE x = 'x'",
            "57014",
        ),
        (
            "SELECT count(e.value) FROM (SELECT '[' || repeat('1,', 90000) || '1]' AS x) AS a,
             jsonb_array_elements(a.x::jsonb) AS e",
            "57014",
        ),
        (
            "SELECT count(*) FROM (SELECT '{' || repeat('1,', 90000) || '1}' AS x) AS a,
             unnest(a.x, a.x, a.x, a.x, a.x, a.x)",
            "54000",
        ),
        (
            "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY repeat('x', 100000) || n)
             FROM generate_series(1, 100) AS n",
            "54000",
        ),
        (
            "SELECT ('[' || repeat('[1],', 90000) || '[2]]')::jsonb @> ('[' || repeat('[2],', 900) || '[2]]')::jsonb",
            "57014",
        ),
        (
            "SELECT ('[[' || repeat('1,', 90000) || '1]]')::jsonb @> ('[' || repeat('[],', 90000) || '[]]')::jsonb",
            "57014",
        ),
        ("SELECT count(*) FROM generate_series(timestamp '2026-01-01', '9999-01-01', interval '1 us') AS t", "57014"),
        ("SELECT array_to_string(string_to_array(repeat(',', 4000), ','), repeat('x', 900000))", "54000"),
        ("SELECT array_to_string('{NULL,NULL,NULL}'::int[], ',', repeat('x', 900000))", "54000"),
        ("SELECT string_to_array(repeat(',', 900000), ',')", "54000"),
        ("SELECT concat_ws(repeat('x', 900000), 'a', 'b', 'c')", "54000"),
        ("SELECT greatest(x, x, x, x, x) FROM (SELECT repeat('x', 900000) AS x) AS s", "54000"),
        ("SELECT to_char(1.5, '0.' || repeat('9', 70000))", "54000"),
        ("SELECT to_char(now(), repeat('IW', 501))", "54000"),
        ("SELECT to_date('2026', repeat(' ', 1001))", "54000"),
        ("SELECT format('%2000000000s', 'a')", "54000"),
        ("SELECT format('%99999999999999999999999s', 'a')", "54000"),
        ("SELECT sum(length(to_char(n, repeat('9', 1000)))) FROM generate_series(1, 10000) AS n", "57014"),
        ("SELECT sum(length(to_char(to_timestamp(n), repeat('IW', 400)))) FROM generate_series(1, 1000) AS n", "57014"),
        ("SELECT repeat('a', 900000) LIKE '%' || repeat('a', 900) || 'b'", "57014"),
        ("SELECT repeat('A', 900000) ILIKE '%' || repeat('_a', 300) || 'b%'", "57014"),
    ] {
        let failure = refused(&mut database, sql);
        assert_eq!(failure.sqlstate, code, "{sql}: {failure}");
    }
    assert_eq!(done(execute(&mut database, None, "SELECT count(*) FROM t")).rows, [[Value::Int(0)]]);
}

#[test]
fn functions_of_long_texts_take_no_time_of_their_product() {
    let mut database = database("");
    for (sql, expected) in [
        ("SELECT strpos(repeat('a', 900000), repeat('a', 450000) || 'b')", Value::Int(0)),
        ("SELECT length(replace(repeat('a', 900000), repeat('a', 450000) || 'b', ''))", Value::Int(900_000)),
        (
            "SELECT length(btrim(repeat('a', 90000), 'bcdefghijklmnopqrstuvwxyz' || repeat('b', 900000) || 'a'))",
            Value::Int(0),
        ),
        ("SELECT position('é' IN 'aéb')", Value::Int(2)),
        (
            "SELECT replace('aXbX', 'X', 'é') || ltrim('xxa', 'x') || rtrim(' a ') || btrim(' b ')",
            Value::from("aébéa ab"),
        ),
        ("SELECT replace('abc', '', 'x')", Value::from("abc")),
    ] {
        assert_eq!(done(execute(&mut database, None, sql)).rows, [[expected]], "{sql}");
    }
    let failure = refused(&mut database, "SELECT replace(repeat('a', 1000), 'a', repeat('b', 2000))");
    assert_eq!(failure.sqlstate, "54000");
}

#[test]
fn a_statement_ends_after_the_steps_that_its_caller_allows() {
    let mut database = database("");
    let sql = "SELECT count(*) FROM generate_series(1, 10000)";
    let statement = database.prepare(sql).expect("it parses");
    let steps = |database: &mut Database, steps| {
        database.execute(None, &statement, &[], Call { now: 0, steps: Some(steps) })
    };
    let Outcome::Failed(failed) = steps(&mut database, 5_000) else { panic!("it ran") };
    assert_eq!(failed.failure.sqlstate, "57014");
    assert!((4_000..=6_000).contains(&failed.work.steps), "{:?}", failed.work);
    let work = done(steps(&mut database, 1_000_000)).work;
    assert!(work.steps > 50_000, "{work:?}");
}

#[test]
fn a_statement_that_is_too_long_or_nested_too_deep_is_refused() {
    let mut database = narrow();
    let many = |text: &str, count: usize| text.repeat(count);
    for (sql, code) in [
        (format!("SELECT '{}'", many("x", 1 << 20)), "54000"),
        (format!("SELECT 1{}", many(" + 1", 20_000)), "54001"),
        (format!("SELECT {}1{}", many("(", 10_000), many(")", 10_000)), "54001"),
        (format!("SELECT {}1{}", many("(", 100), many(")", 100)), "54001"),
        (format!("SELECT {}1{}", many("(SELECT ", 60), many(")", 60)), "54001"),
        (format!("SELECT 1 WHERE {}true", many("NOT ", 5_000)), "54001"),
        (format!("SELECT 1{}", many(" UNION ALL SELECT 1", 5_000)), "54001"),
        (format!("SELECT {}1", many("- ", 5_000)), "54001"),
        (format!("SELECT 1{}", many("::int", 5_000)), "54001"),
        (format!("SELECT {}1{}", many("abs(", 300), many(")", 300)), "54001"),
        (format!("SELECT CASE {} END", many("WHEN true THEN 1 ", 5_000)), "54001"),
    ] {
        let failure = refused(&mut database, &sql);
        assert_eq!(failure.sqlstate, code, "{}…: {failure}", &sql[..60]);
    }
    // Lists are flat, however long they are.
    let list: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    done(execute(&mut database, None, &format!("SELECT 1 WHERE 7 IN ({})", list.join(", "))));
    let mut rows = String::from("INSERT INTO t VALUES ('x')");
    (0..2_000).for_each(|n| write!(rows, ", ('{n}')").expect("a string"));
    assert_eq!(done(execute(&mut database, None, &rows)).affected, 2_001);
}

#[test]
fn a_database_does_not_grow_without_end() {
    let bounds = Bounds { database_bytes: 1 << 20, ..Bounds::default() };
    let options = Options { bounds, ..Options::default() };
    let mut database = Database::open("CREATE TABLE t (a TEXT)", options).expect("a schema");
    let failure =
        refused(&mut database, "INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 5000)");
    assert_eq!(failure.sqlstate, "53100");
    assert_eq!(done(execute(&mut database, None, "SELECT count(*) FROM t")).rows, [[Value::Int(0)]]);
    done(execute(&mut database, None, "INSERT INTO t VALUES ('x')"));
    assert!(database.bytes().expect("a size") <= 1 << 20);
}

#[test]
fn a_transaction_locks_no_more_than_its_bound() {
    let bounds = Bounds { locks: 100, transactions: 2, savepoints: 2, ..Bounds::default() };
    let options = Options { bounds, ..Options::default() };
    let schema = "CREATE TABLE t (a INT); INSERT INTO t SELECT n FROM generate_series(1, 101) AS n";
    let mut database = Database::open(schema, options).expect("a schema");
    let own = database.begin(0).expect("it begins");
    assert_eq!(failed(execute(&mut database, Some(own), "UPDATE t SET a = 0")).sqlstate, "54000");
    database.rollback(own).expect("it is open");
    let own = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(own), "UPDATE t SET a = 0 WHERE a > 50"));
    done(execute(&mut database, Some(own), "SAVEPOINT a"));
    done(execute(&mut database, Some(own), "SAVEPOINT a"));
    assert_eq!(failed(execute(&mut database, Some(own), "SAVEPOINT a")).sqlstate, "54000");
    database.begin(0).expect("a second one");
    assert_eq!(database.begin(0).expect_err("a third one").sqlstate, "54000");
    // Alone, a statement has no locks to keep.
    database.rollback(own).expect("it is open");
    assert_eq!(done(execute(&mut database, None, "UPDATE t SET a = 0")).affected, 101);
}

#[test]
fn a_transaction_that_ran_out_of_steps_leaves_nothing_behind() {
    let mut database = narrow();
    let own = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(own), "INSERT INTO t VALUES ('a')"));
    let sql = "INSERT INTO t SELECT 'x' FROM generate_series(1, 100000000)";
    assert_eq!(failed(execute(&mut database, Some(own), sql)).sqlstate, "57014");
    assert_eq!(failed(execute(&mut database, Some(own), "SELECT 1")).sqlstate, "25P02");
    database.rollback(own).expect("it is open");
    assert_eq!(done(execute(&mut database, None, "SELECT count(*) FROM t")).rows, [[Value::Int(0)]]);
}

#[test]
fn nothing_of_sqlite_itself_can_be_reached() {
    let mut database = database("CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x')");
    for sql in [
        "SELECT rowid FROM t",
        "SELECT t.rowid FROM t",
        "SELECT \"rowid\" FROM t",
        "SELECT _rowid_ FROM t",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM main.sqlite_schema",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT * FROM json_tree('[1]')",
        "SELECT pg_rowid(0)",
        "SELECT pg_nextval(0, 'x')",
        "SELECT sqlite_version()",
        "SELECT randomblob(10)",
        "SELECT printf('%1000000000d', 1)",
        "SELECT a FROM t INDEXED BY x",
        "INSERT OR REPLACE INTO t VALUES ('y')",
        "REPLACE INTO t VALUES ('y')",
        "PRAGMA user_version = 3",
        "ATTACH 'x.db' AS x",
        "SELECT \"missing\" FROM t",
        "CREATE TABLE rowids (rowid INT)",
        "SELECT 1 -- \0",
    ] {
        let failure = refused(&mut database, sql);
        assert!(
            ["42703", "42P01", "42883", "0A000", "42601", "3F000"].contains(&failure.sqlstate),
            "{sql}: {failure}"
        );
    }
    assert_eq!(done(execute(&mut database, None, "SELECT * FROM t")).rows, [[Value::from("x")]]);
}

#[test]
fn parameters_are_checked_by_their_types_and_number() {
    let mut database = database("CREATE TABLE t (a INT, b TEXT, c BOOLEAN, d TIMESTAMPTZ, e VARCHAR(2))");
    let statement = database.prepare("INSERT INTO t VALUES ($1, $2, $3, $4, $5)").expect("it parses");
    let values = |at: usize, value: Value| {
        let mut values = vec![Value::Null; 5];
        values[at] = value;
        values
    };
    for (at, value, code) in [
        (0, Value::from("x"), "22P02"),
        (0, Value::from(3_000_000_000_i64), "22003"),
        (0, Value::from(1.5), "22P02"),
        (1, Value::from("a\0b"), "22021"),
        (2, Value::from("maybe"), "22P02"),
        (2, Value::from(7_i64), "42804"),
        (3, Value::from("soon"), "22007"),
        (3, Value::from(5_i64), "42804"),
        (4, Value::from("abc"), "22001"),
    ] {
        let outcome = database.execute(None, &statement, &values(at, value.clone()), Call::at(0));
        let failure = failed(outcome);
        assert_eq!(failure.sqlstate, code, "{value:?}: {failure}");
    }
    let few = database.execute(None, &statement, &[Value::Null], Call::at(0));
    assert_eq!(failed(few).sqlstate, "08P01");
    let good = [
        Value::from("5"),
        Value::from(7_i64),
        Value::from("t"),
        Value::from("2026-01-31T10:00:00+01:00"),
        Value::from("ab "),
    ];
    done(database.execute(None, &statement, &good, Call::at(0)));
    let rows = done(execute(&mut database, None, "SELECT * FROM t")).rows;
    let stored = [
        Value::Int(5),
        Value::from("7"),
        Value::Bool(true),
        Value::from("2026-01-31 09:00:00+00"),
        Value::from("ab"),
    ];
    assert_eq!(rows, [stored]);
}

/// A table of 1,000 columns, and common table expressions that each read the one before.
fn wide(bounds: Bounds) -> Database {
    let columns: Vec<String> = (0..1_000).map(|n| format!("c{n} INT")).collect();
    let schema = format!("CREATE TABLE w ({})", columns.join(", "));
    Database::open(&schema, Options { bounds, ..Options::default() }).expect("a schema")
}

fn chain(count: usize, query: &str) -> String {
    let queries = (1..count).map(|n| format!(", c{n} AS ({})", query.replace('#', &format!("c{}", n - 1))));
    let queries: String = queries.collect();
    format!("WITH c0 AS (SELECT c1 AS x FROM w){queries} SELECT x FROM c{}", count - 1)
}

#[test]
fn a_short_statement_that_names_much_is_refused_before_it_is_made() {
    let mut database = wide(Bounds::default());
    let list: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let list = list.join(",");
    let many = |text: &str, count: usize| vec![text; count].join(", ");
    let nested = |depth: usize| {
        let start = (0..depth).map(|_| "SELECT x + x + x + x + x + x + x + x AS x FROM (");
        let end = (0..depth).map(|n| format!(") AS s{n}"));
        format!("{}SELECT c1 AS x FROM w{}", start.collect::<String>(), end.collect::<String>())
    };
    for (sql, code) in [
        (chain(40, "SELECT * FROM # a, # b"), "54011"),
        (chain(40, "SELECT a.x FROM # a, # b"), "54001"),
        (chain(40, "SELECT a.x FROM # a JOIN # b USING (x)"), "54001"),
        (chain(40, "SELECT x FROM # UNION ALL SELECT x FROM #"), "54001"),
        (chain(40, "SELECT x FROM # WHERE x IN (SELECT x FROM #)"), "54001"),
        (chain(40, "SELECT x + x AS x FROM #"), "54001"),
        (chain(40, "SELECT CASE WHEN x > 0 THEN x ELSE -x END AS x FROM #"), "54001"),
        (format!("INSERT INTO w (c0) {}", chain(40, "SELECT a.x FROM # a, # b")), "54001"),
        (nested(7), "54001"),
        (format!("SELECT {} FROM w", many("*", 30_000)), "54011"),
        (format!("SELECT {} FROM w", many("w.*", 2)), "54011"),
        (format!("SELECT {}", many("1", 1_665)), "54011"),
        (format!("VALUES ({})", many("1", 1_665)), "54011"),
        (format!("SELECT c0 FROM w GROUP BY {}", many("1", 1_665)), "54011"),
        (format!("SELECT c0 IN ({list}) FROM w GROUP BY {}", many("1", 1_600)), "54001"),
        (format!("SELECT c0 IN ({list}) AS x FROM w ORDER BY {}", many("x", 1_600)), "54001"),
        (
            format!(
                "SELECT {} FROM w WINDOW v AS (PARTITION BY c0 IN ({list}))",
                many("count(*) OVER v", 400)
            ),
            "54001",
        ),
        (
            format!(
                "SELECT x FROM ({}) AS u WHERE x IN ({list})",
                vec!["SELECT c1 AS x FROM w"; 400].join(" UNION ALL ")
            ),
            "54001",
        ),
        (format!("SELECT 1 FROM w{}", " NATURAL JOIN w".repeat(12)), "54001"),
        (format!("SELECT 1 FROM w{}", ", w".repeat(64)), "54001"),
        ("INSERT INTO w (c0) VALUES (1) RETURNING *, *".to_owned(), "54011"),
        ("DELETE FROM w RETURNING *, w.*".to_owned(), "54011"),
        (
            format!(
                "CREATE TABLE t ({})",
                (0..1_601).map(|n| format!("c{n} INT")).collect::<Vec<_>>().join(",")
            ),
            "54011",
        ),
    ] {
        let failure = refused(&mut database, &sql);
        assert_eq!(failure.sqlstate, code, "{sql:.120}: {failure}");
    }
    // Each view reads the one before twice.
    done(execute(&mut database, None, "CREATE VIEW v0 AS SELECT c1 AS x FROM w"));
    let refusal = (1..40).find_map(|n| {
        let sql = format!("CREATE VIEW v{n} AS SELECT a.x FROM v{} a, v{} b", n - 1, n - 1);
        database.prepare(&sql).map(|view| done(database.execute(None, &view, &[], Call::at(0)))).err()
    });
    assert_eq!(refusal.expect("the last ones are too large").sqlstate, "54001");
}

#[test]
fn what_is_wide_or_long_but_within_its_bounds_runs() {
    let mut database = wide(Bounds::default());
    done(execute(&mut database, None, "INSERT INTO w (c0, c1) VALUES (1, 2), (3, 4)"));
    let terms: Vec<String> = (0..1_000).map(|n| format!("c{n}")).collect();
    for sql in [
        "SELECT * FROM w".to_owned(),
        "SELECT a.*, b.c0 FROM w a JOIN w b USING (c0)".to_owned(),
        format!("SELECT {} FROM w", terms.join(", ")),
        format!("SELECT c0, count(*) FROM w GROUP BY {}", terms.join(", ")),
        chain(10, "SELECT x, x + 1 AS y, x * 2 AS z FROM # WHERE x > 0"),
        chain(6, "SELECT a.x FROM # a JOIN # b ON a.x = b.x"),
        "SELECT x FROM (SELECT c0 AS x FROM w UNION ALL SELECT c1 FROM w) AS u WHERE x > 0".to_owned(),
        "SELECT sum(c0) OVER v, count(*) OVER (v) FROM w WINDOW v AS (PARTITION BY c0)".to_owned(),
    ] {
        assert!(!done(execute(&mut database, None, &sql)).rows.is_empty(), "{sql:.120}");
    }
}

#[test]
fn all_statements_of_a_schema_share_one_bound() {
    let bounds = Bounds { steps: 1_000_000, schema_steps: 3_000_000, ..Bounds::default() };
    let open = |schema: &str| {
        Database::open(schema, Options { bounds: bounds.clone(), ..Options::default() }).map(|_| ())
    };
    let count = "SELECT count(*) FROM generate_series(1, 50000);\n";
    let long = "SELECT length(reverse(repeat('a', 900000)) || reverse(repeat('a', 90000)));\n";
    assert_eq!(open(&count.repeat(3)), Ok(()));
    for schema in [count.repeat(100), long.repeat(100)] {
        let problems = open(&schema).expect_err("it takes too much");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].failure.sqlstate, "54000");
        assert!(problems[0].failure.message.contains("3000000 steps"), "{problems:?}");
    }
}

#[test]
fn a_parameter_is_no_negative_limit() {
    let mut database = database("CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2), (3)");
    let statement = database.prepare("SELECT a FROM t ORDER BY a LIMIT $1 OFFSET $2").expect("it parses");
    let mut run =
        |limit: Value, offset: Value| database.execute(None, &statement, &[limit, offset], Call::at(0));
    assert_eq!(failed(run(Value::Int(-1), Value::Int(0))).sqlstate, "2201W");
    assert_eq!(failed(run(Value::Int(1), Value::Int(-1))).sqlstate, "2201X");
    assert_eq!(done(run(Value::Int(1), Value::Int(1))).rows, [[Value::Int(2)]]);
    assert_eq!(done(run(Value::Null, Value::Null)).rows.len(), 3);
}

#[test]
fn queries_inside_of_one_another_take_no_time_of_two_to_the_depth() {
    let bounds = Bounds { steps: 2_000_000, ..Bounds::default() };
    let options = Options { bounds, ..Options::default() };
    let mut database = Database::open("CREATE TABLE t (a INT)", options).expect("a schema");
    for (start, around, depth) in [
        ("SELECT 1 AS a", "(#) UNION SELECT 0", 35),
        ("SELECT 1 AS a", "SELECT 0 UNION (#)", 35),
        ("SELECT 1 AS a", "SELECT (SELECT a FROM (#) AS q) AS a UNION SELECT 0", 8),
        ("SELECT 1 AS a", "SELECT coalesce((#), 0) + 1 AS a", 12),
        ("SELECT 1 AS a", "SELECT l.a FROM t, LATERAL (#) AS l", 12),
        ("SELECT 1 AS a", "SELECT 1 AS a FROM t WHERE 1 >= ALL (#)", 12),
        ("SELECT 1 AS a", "SELECT (2 > ANY (#))::int AS a", 8),
        ("SELECT 1 AS a", "SELECT CASE WHEN (#) BETWEEN SYMMETRIC 1 AND 2 THEN 1 END AS a", 12),
        ("SELECT 1 AS a", "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY (#)) AS a FROM t", 12),
        ("SELECT 1 AS a", "SELECT DISTINCT ON (a) (#) AS a FROM t ORDER BY a", 12),
        ("SELECT 1 AS a", "WITH w AS (#) SELECT a FROM w UNION ALL SELECT a FROM w", 12),
        ("SELECT 1 AS a", "SELECT greatest((#), least((SELECT 1), 2)) AS a", 6),
    ] {
        let sql = (0..depth).fold(start.to_owned(), |inner, _| around.replace('#', &inner));
        let statement = match database.prepare(&sql) {
            Ok(statement) => statement,
            Err(failure) => {
                assert!(["54000", "54001", "0A000"].contains(&failure.sqlstate), "{around}: {failure}");
                continue;
            }
        };
        match database.execute(None, &statement, &[], Call::at(0)) {
            Outcome::Failed(failed) => {
                let code = failed.failure.sqlstate;
                assert!(["54000", "54001", "57014", "0A000"].contains(&code), "{around}: {}", failed.failure);
            }
            outcome => assert!(matches!(outcome, Outcome::Done(_)), "{around}"),
        }
    }
}

#[test]
fn a_with_that_changes_rows_is_bounded_as_one_statement() {
    let bounds = Bounds { steps: 2_000_000, rows: 10_000, result_bytes: 1 << 20, ..Bounds::default() };
    let schema = "CREATE TABLE gone (id INT PRIMARY KEY, s TEXT)";
    let mut database = Database::open(schema, Options { bounds, ..Options::default() }).expect("a schema");
    let parts = |count: usize| {
        let part = |at| format!("p{at} AS (INSERT INTO gone VALUES ({at}, 'x') RETURNING id)");
        format!("WITH {} SELECT 1", (0..count).map(part).collect::<Vec<_>>().join(", "))
    };
    done(execute(&mut database, None, &parts(32)));
    assert_eq!(refused(&mut database, &parts(33)).sqlstate, "54001");
    // Steps and rows that are kept are those of all parts together.
    let made = |at: usize, count: usize, bytes: usize| {
        format!(
            "p{at} AS (INSERT INTO gone SELECT {at}000000 + n, repeat('x', {bytes}) FROM generate_series(1, {count}) g(n) RETURNING id, s)"
        )
    };
    for (sql, sqlstate) in [
        (format!("WITH {}, {} SELECT 1", made(1, 700, 900), made(2, 700, 900)), "54000"),
        (format!("WITH {} SELECT count(*) FROM p1 a, p1 b, p1 c", made(1, 9_000, 9)), "57014"),
        (format!("WITH {} SELECT count(*) FROM p1", made(1, 20_000, 9)), "54000"),
        (format!("WITH {}, {} SELECT 1", made(1, 6_000, 9), made(2, 6_000, 9)), "54000"),
    ] {
        assert_eq!(refused(&mut database, &sql).sqlstate, sqlstate, "{sql}");
    }
    let all = done(execute(&mut database, None, "SELECT count(*) FROM gone"));
    assert_eq!(all.rows, [[Value::Int(32)]]);
    let long = format!("WITH {} SELECT sum(length(s)) FROM p7", made(7, 3, 300_000));
    assert_eq!(done(execute(&mut database, None, &long)).rows, [[Value::Int(900_000)]]);
}

#[test]
fn many_queries_that_are_read_behind_changes_of_what_they_read_are_kept() {
    let tables: Vec<String> = (0..16).map(|at| format!("CREATE TABLE t{at} (v INT);")).collect();
    let mut database = database(&tables.concat());
    let pair = |at| {
        let long = vec!["1"; 30].join(" + ");
        format!("r{at} AS (SELECT v + {long} FROM t{at}), c{at} AS (DELETE FROM t{at})")
    };
    let pairs: Vec<String> = (0..16).map(pair).collect();
    let all: Vec<String> = (0..16).map(|at| format!("(SELECT count(*) FROM r{at})")).collect();
    let sql = format!("WITH {} SELECT {}", pairs.join(", "), all.join(" + "));
    assert_eq!(done(execute(&mut database, None, &sql)).rows, [[Value::Int(0)]]);
}

/// Patterns that take other engines the square of the text, or two to its length.
#[test]
fn regular_expressions_take_no_time_of_two_to_the_text() {
    let bounds = Bounds { steps: 200_000, ..Bounds::default() };
    let mut database = Database::open("", Options { bounds, ..Options::default() }).expect("no schema");
    let long = "repeat('a', 900)";
    for condition in [
        format!("{long} ~ '^(a*)*$'"),
        format!("{long} !~ '^(a+)+b$'"),
        format!("{long} !~ '(a|aa)+b'"),
        format!("length(regexp_replace({long}, '(a?)(a?)(a?)$', '\\1\\2\\3')) = 900"),
        "(repeat('ab', 400) || 'c') ~ '^(?:(?:a|b)+)+c$'".to_owned(),
    ] {
        let sql = format!("SELECT {condition}");
        assert_eq!(done(execute(&mut database, None, &sql)).rows, [[Value::Bool(true)]], "{sql}");
    }
    for (sql, sqlstate) in [
        (
            "SELECT count(*) FROM generate_series(1, 200) n WHERE repeat('a', 900) || n ~ '(a?){100}a{100}b'",
            "57014",
        ),
        ("SELECT regexp_replace(repeat('a', 9000), 'a*b|a', 'x', 'g')", "57014"),
        ("SELECT regexp_count(repeat('a', 9000), 'a*b|a')", "57014"),
        // Many matches, each of which takes few visits.
        ("SELECT regexp_count(repeat('a', 400000), '')", "57014"),
        ("SELECT regexp_replace(repeat('a', 4000), 'a|' || repeat('()', 450), '\\1', 'g')", "57014"),
        ("SELECT regexp_match(repeat('a', 7900), '(a*)(?:(?:x{250}){8})?')", "2201B"),
        ("SELECT 'a' ~ repeat('a', 1001)", "2201B"),
        ("SELECT 'a' ~ repeat('(', 101)", "2201B"),
        ("SELECT 'a' ~ '((a{250}){250}){250}'", "2201B"),
        // What is empty gives no states, however often it is repeated.
        ("SELECT 'a' ~ '(?:(?:(?:(?:(?:){255}){255}){255}){255}){255}'", "2201B"),
        ("SELECT 'a' ~ '(?:(?:(?:(?:a{0}){255}){255}){255}){255}'", "2201B"),
        ("SELECT 'a' ~ (repeat('(?:', 90) || repeat('){255}', 90))", "2201B"),
        ("SELECT 'a' SIMILAR TO '(((((){255}){255}){255}){255}){255}'", "2201B"),
        ("SELECT length(regexp_replace(repeat('a', 900), 'a', repeat('b', 9000), 'g'))", "54000"),
        ("SELECT count(*) FROM generate_series(1, 9000) n WHERE n::text ~ ('(a{1,200}){1,9}' || n)", "57014"),
    ] {
        assert_eq!(refused(&mut database, sql).sqlstate, sqlstate, "{sql}");
    }
}

#[test]
fn grouping_sets_inside_of_one_another_take_no_time_of_their_product() {
    let mut database = narrow();
    let mut query = "SELECT 1 AS a, 2 AS b, 3 AS c, 4 AS d, 5 AS e, 6 AS f".to_owned();
    for depth in 1..30 {
        query = format!("SELECT a, b, c, d, e, f FROM ({query}) AS q GROUP BY CUBE (a, b, c, d, e, f)");
        if depth > 1 {
            assert_eq!(refused(&mut database, &query).sqlstate, "54001", "{query}");
        }
    }
    let mut single = "SELECT 1 AS a".to_owned();
    for _ in 0..30 {
        single = format!("SELECT a FROM ({single}) AS q GROUP BY ROLLUP (a)");
    }
    assert_eq!(refused(&mut database, &single).sqlstate, "54001");
    let scanned = "SELECT count(*) FROM (SELECT count(*) FROM generate_series(1, 90000) AS n
        GROUP BY CUBE (n, n % 2, n % 3, n % 4)) AS q";
    assert_eq!(refused(&mut database, scanned).sqlstate, "57014");
}
