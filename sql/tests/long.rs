//! Long values: what is done with them counts by their bytes, and otherwise nothing differs.

mod support;

use simhost_sql::{Bounds, Call, Database, Done, Options, Outcome, Value};
use support::{database, done, execute, failed};

/// Twenty values of 900,000 bytes and as many of 60,000, half of them JSON.
const SCHEMA: &str = "CREATE TABLE b (id INT PRIMARY KEY, v TEXT, j JSONB);
    INSERT INTO b SELECT n, repeat('a', 900000) || n, '1' FROM generate_series(1, 20) AS n;
    CREATE TABLE m (id INT PRIMARY KEY, v TEXT, j JSONB);
    INSERT INTO m SELECT n, repeat('a', 60000) || n, ('[\"' || repeat('b', 60000) || '\"]')::jsonb
        FROM generate_series(1, 20) AS n;";

#[test]
fn a_statement_that_works_on_many_long_values_takes_few_steps_and_is_refused() {
    let mut database = database(SCHEMA);
    let many = "FROM generate_series(1, 6000) AS g JOIN";
    for sql in [
        format!("SELECT count(*) {many} b ON b.id = g % 20 + 1 WHERE b.v = 'x'"),
        format!("SELECT count(*) {many} b ON b.id = g % 20 + 1 WHERE length(b.v) = 1"),
        format!("SELECT count(*) {many} b ON b.id = g % 20 + 1 WHERE b.v || 'x' = 'x'"),
        format!("SELECT max(b.v) {many} b ON b.id = g % 20 + 1"),
        format!("SELECT count(*) {many} m ON m.id = g % 20 + 1 WHERE m.j ->> 0 = 'x'"),
        format!("SELECT count(*) {many} m ON m.id = g % 20 + 1 WHERE json_array_length(m.j) = 2"),
        format!("SELECT count(*) {many} m ON m.id = g % 20 + 1 WHERE json_build_array(m.v)::text = 'x'"),
        "SELECT count(*) FROM b AS x, b AS y, b AS z, b AS w WHERE x.v < y.v AND y.v < z.v AND z.v < w.v"
            .to_owned(),
    ] {
        let statement = database.prepare(&sql).expect("it parses");
        let Outcome::Failed(failed) = database.execute(None, &statement, &[], Call::at(0)) else {
            panic!("it ran: {sql}");
        };
        assert_eq!(failed.failure.sqlstate, "57014", "{sql}");
        // By its steps alone it would have had a long way to go.
        assert!(
            failed.work.steps < 1_000_000 && failed.work.effort >= 49_000_000,
            "{sql}: {:?}",
            failed.work
        );
    }
    // Each row has a longer text than the one before.
    let growing = "SELECT max(x) FROM (SELECT string_agg('aaaaaaaaaa', ',') OVER (ORDER BY g) AS x \
                   FROM generate_series(1, 12000) AS g) AS s";
    assert_eq!(failed(execute(&mut database, None, growing)).sqlstate, "53200");
    let each = done(execute(&mut database, None, "SELECT id, length(v) FROM b ORDER BY id LIMIT 2"));
    assert_eq!(each.rows, [[Value::Int(1), Value::Int(900_001)], [Value::Int(2), Value::Int(900_001)]]);
}

#[test]
fn a_statement_that_meets_no_long_value_takes_what_its_steps_say() {
    let mut database = database(SCHEMA);
    let work = done(execute(&mut database, None, "SELECT sum(id) FROM b WHERE id > 3")).work;
    assert_eq!(work.effort, work.steps);
}

#[test]
fn a_statement_that_meets_a_long_value_leaves_what_one_run_of_it_leaves() {
    let schema = "CREATE TABLE t (id SERIAL PRIMARY KEY, v TEXT, r FLOAT8 DEFAULT random());";
    let rows = |database: &mut Database| {
        done(execute(database, None, "SELECT id, length(v), r FROM t ORDER BY id")).rows
    };
    // The same with short values, which is run once.
    let scripts = |long: &str| {
        let mut database = database(schema);
        let insert = format!(
            "INSERT INTO t (v) SELECT repeat('y', CASE n WHEN 2 THEN {long} ELSE 3 END) \
                              FROM generate_series(1, 2) AS n"
        );
        done(execute(&mut database, None, &insert));
        let own = database.begin(0).expect("it begins");
        done(execute(&mut database, Some(own), &insert));
        done(execute(&mut database, Some(own), "SAVEPOINT a"));
        done(execute(&mut database, Some(own), &insert));
        // The rows before that one are changed by the first run as well.
        let update = format!("UPDATE t SET v = v || repeat('z', CASE id WHEN 5 THEN {long} ELSE 1 END)");
        assert_eq!(done(execute(&mut database, Some(own), &update)).affected, 6);
        database.commit(own).expect("it commits");
        rows(&mut database)
    };
    let (short, long) = (scripts("3"), scripts("300000"));
    let but_length = |rows: &[Vec<Value>]| -> Vec<Vec<Value>> {
        rows.iter().map(|row| vec![row[0].clone(), row[2].clone()]).collect()
    };
    assert_eq!(but_length(&short), but_length(&long), "the same numbers, and the same chance");
    let lengths: Vec<&Value> = long.iter().map(|row| &row[1]).collect();
    let expected = [4, 300_001, 4, 300_001, 300_003, 300_001].map(Value::Int);
    assert_eq!(lengths, expected.iter().collect::<Vec<_>>());
}

#[test]
fn one_row_with_a_long_value_is_inserted_once_behind_other_changes() {
    let mut database = database(
        "CREATE TABLE t (id SERIAL PRIMARY KEY, v TEXT UNIQUE, w TEXT);
         CREATE INDEX t_w ON t (w);",
    );
    let own = database.begin(0).expect("it begins");
    for bytes in [1, 300_000, 2_000, 900_000, 2] {
        let insert = format!("INSERT INTO t (v, w) VALUES (repeat('v', {bytes}), repeat('w', 9))");
        assert_eq!(done(execute(&mut database, Some(own), &insert)).affected, 1);
    }
    database.commit(own).expect("it commits");
    let rows = done(execute(&mut database, None, "SELECT id, length(v) FROM t ORDER BY id")).rows;
    let expected = [[1, 1], [2, 300_000], [3, 2_000], [4, 900_000], [5, 2]].map(|row| row.map(Value::Int));
    assert_eq!(rows, expected);
    for condition in ["w = 'wwwwwwwww'", "v < 'w'", "id > 0"] {
        let count = format!("SELECT count(*) FROM t WHERE {condition}");
        assert_eq!(done(execute(&mut database, None, &count)).rows, [[Value::Int(5)]], "{condition}");
    }
}

#[test]
fn one_that_fails_behind_a_long_value_leaves_nothing() {
    let mut database = database("CREATE TABLE t (id INT PRIMARY KEY, v TEXT)");
    let own = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(own), "INSERT INTO t VALUES (1, 'x')"));
    done(execute(&mut database, Some(own), "SAVEPOINT a"));
    let sql = "INSERT INTO t SELECT 5 - n, repeat('y', n * 100000) FROM generate_series(1, 4) AS n";
    assert_eq!(failed(execute(&mut database, Some(own), sql)).sqlstate, "23505");
    done(execute(&mut database, Some(own), "ROLLBACK TO a"));
    let Done { rows, .. } = done(execute(&mut database, Some(own), "SELECT id, v FROM t"));
    assert_eq!(rows, [[Value::Int(1), Value::from("x")]]);
}

#[test]
fn a_long_parameter_counts_from_the_first_step_on() {
    let mut database = database("");
    let sql = "SELECT count(*) FROM generate_series(1, 100) AS g WHERE $1::text || g <> 'y'";
    let statement = database.prepare(sql).expect("it parses");
    let mut work = |bytes: usize| match database.execute(
        None,
        &statement,
        &[Value::Text("x".repeat(bytes))],
        Call::at(0),
    ) {
        Outcome::Done(done) => done.work,
        other => panic!("it did not run: {other:?}"),
    };
    let (short, long) = (work(1), work(100_000));
    assert_eq!(long.steps, short.steps, "{short:?}, {long:?}");
    assert!(long.effort > 100 * short.effort, "{short:?}, {long:?}");
}

#[test]
fn changes_of_tables_count_by_the_size_of_the_schema() {
    let tables = (0..200).map(|n| format!("CREATE TABLE t{n} (id INT PRIMARY KEY, name TEXT NOT NULL);"));
    let mut small = database("CREATE TABLE t0 (id INT PRIMARY KEY, name TEXT NOT NULL)");
    let mut large = database(&tables.collect::<String>());
    let rename = |database: &mut Database| done(execute(database, None, "ALTER TABLE t0 RENAME TO u0")).work;
    let (small, large) = (rename(&mut small), rename(&mut large));
    assert!(
        large.effort > large.steps + 40_000 && small.effort < small.steps + 1_000,
        "{small:?}, {large:?}"
    );
}

#[test]
fn what_one_statement_may_hold_is_bounded_by_its_steps_and_its_longest_row() {
    let schema = "CREATE TABLE t (id INT PRIMARY KEY, v TEXT);
        INSERT INTO t SELECT n, 'value ' || n || repeat('x', 80) FROM generate_series(1, 60000) AS n;";
    let bounds = Bounds { held_bytes: 8 << 20, ..Bounds::default() };
    let mut database = Database::open(schema, Options { bounds, ..Options::default() }).expect("a schema");
    let own = database.begin(0).expect("it begins");
    for sql in [
        "SELECT count(*) FROM (SELECT DISTINCT v FROM t #) AS s",
        "SELECT count(*) FROM (SELECT v || 'y' FROM t # GROUP BY 1) AS s",
        "SELECT count(*) FROM (SELECT id, count(*) OVER () FROM t # ORDER BY v DESC) AS s",
        "SELECT count(*) FROM (SELECT v FROM t # UNION SELECT 'a') AS s",
        "WITH RECURSIVE r(id, v) AS (SELECT 1, 'x' UNION SELECT r.id + 1, t.v FROM r JOIN t USING (id) #) \
         SELECT count(*) FROM r",
        "SELECT count(*) FROM t WHERE v || 'y' IN (SELECT v FROM t #)",
    ] {
        let all = failed(execute(&mut database, None, &sql.replace('#', "")));
        assert_eq!((all.sqlstate, all.hint.is_some()), ("53200", true), "{sql}: {all}");
        let few = if sql.contains("RECURSIVE") { "WHERE r.id < 3000" } else { "WHERE id < 3000" };
        let few = sql.replace('#', few).replace("FROM t WHERE v ||", "FROM t WHERE id < 9 AND v ||");
        done(execute(&mut database, None, &few));
    }
    // One row follows from another, and none is kept.
    let chain = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000) SELECT count(*) FROM n";
    done(execute(&mut database, None, chain));
    let kept = chain.replace("UNION ALL", "UNION");
    assert_eq!(failed(execute(&mut database, None, &kept)).sqlstate, "53200");
    // An array is no longer than its text.
    let listed =
        "SELECT count(*) FROM generate_series(1, 100000) AS g(n) WHERE n::text = ANY('{1,2,3,4,5,6,7,8,9}')";
    done(execute(&mut database, None, listed));
    // Of a sorted result no more is kept than what is wanted of it.
    let statement =
        database.prepare("SELECT v FROM t ORDER BY v DESC LIMIT $1 OFFSET $2").expect("it parses");
    for (limit, offset, fits) in [(3, 0, true), (3, 5_000, true), (3, 58_000, false), (58_000, 0, false)] {
        let params = [Value::Int(limit), Value::Int(offset)];
        let ran = matches!(database.execute(None, &statement, &params, Call::at(0)), Outcome::Done(_));
        assert_eq!(ran, fits, "{limit} behind {offset}");
    }
    done(execute(&mut database, None, "SELECT v FROM t ORDER BY v LIMIT 9"));
    // What holds nothing takes as many steps as it needs, and the others go on.
    let read = "SELECT count(*) FROM t WHERE v <> ''";
    assert_eq!(done(execute(&mut database, None, read)).rows, [[Value::Int(60_000)]]);
    let change = "UPDATE t SET v = 'z' WHERE id <= 20000";
    assert_eq!(done(execute(&mut database, Some(own), change)).affected, 20_000);
    database.commit(own).expect("it commits");
    let changed = "SELECT count(*) FROM t WHERE v = 'z'";
    assert_eq!(done(execute(&mut database, None, changed)).rows, [[Value::Int(20_000)]]);
}

#[test]
fn a_statement_holds_no_more_rows_than_it_can_have_gone_round() {
    let schema = "CREATE TABLE t (id INT PRIMARY KEY);
        INSERT INTO t SELECT n FROM generate_series(1, 100) AS n;";
    // Of the short rows that these have, 20,000 fit.
    let bounds = Bounds { held_bytes: 20_000 * 69, ..Bounds::default() };
    let mut database = Database::open(schema, Options { bounds, ..Options::default() }).expect("a schema");
    for (sql, steps) in [
        // 6,000 rows go into a sorter, and out of it again.
        (
            "SELECT a.id % 3, sum(a.id * b.id) FROM t a, t b, generate_series(1, 2) z WHERE a.id < 31 GROUP BY 1",
            100_000,
        ),
        // 15,000 numbers, of which each takes twenty steps, are looked for among those that there were.
        ("SELECT count(DISTINCT n % 100) FROM generate_series(1, 15000) AS n", 300_000),
        // 300 numbers are kept, and each of them is met 500 times.
        (
            "INSERT INTO t SELECT 5000 + count(*) FROM generate_series(1, 500) a, generate_series(1, 300) b",
            300_000,
        ),
    ] {
        let work = done(execute(&mut database, None, sql)).work;
        assert!(work.steps > steps, "{sql}: {work:?}");
    }
    for sql in [
        "SELECT a.id % 3, sum(a.id * b.id) FROM t a, t b, generate_series(1, 3) z GROUP BY 1",
        "SELECT count(DISTINCT n) FROM generate_series(1, 25000) AS n",
        "SELECT max(r) FROM (SELECT rank() OVER (ORDER BY n DESC) AS r FROM generate_series(1, 25000) AS n) AS s",
    ] {
        let refused = failed(execute(&mut database, None, sql));
        assert_eq!(refused.sqlstate, "53200", "{sql}: {refused}");
    }
}

#[test]
fn what_statements_of_many_short_rows_hold_fits_the_bounds_that_there_are() {
    let mut database = database(
        "CREATE TABLE t (id INT PRIMARY KEY, v INT);
        INSERT INTO t SELECT n, n FROM generate_series(1, 1000) AS n;",
    );
    for (sql, ended) in [
        ("SELECT count(DISTINCT n % 100000) FROM generate_series(1, 2300000) AS n", None),
        (
            "INSERT INTO t SELECT 5000 + count(*) FROM generate_series(1, 3000) a, generate_series(1, 1600) b",
            None,
        ),
        // It is ended as work.
        (
            "SELECT sqrt(sum(a.v * b.v)) FROM t a, t b, generate_series(1, 9) c(z) GROUP BY a.v % 3",
            Some("57014"),
        ),
    ] {
        let statement = database.prepare(sql).expect("it parses");
        let found = match database.execute(None, &statement, &[], Call::at(0)) {
            Outcome::Failed(failed) => Some(failed.failure.sqlstate),
            _ => None,
        };
        assert_eq!(found, ended, "{sql}");
    }
}

#[test]
fn a_change_behind_others_may_hold_as_much_as_one_alone() {
    let schema = "CREATE TABLE carts (id INT PRIMARY KEY, n INT NOT NULL);
        INSERT INTO carts SELECT n, 0 FROM generate_series(1, 100) AS n;
        CREATE TABLE items (id INT PRIMARY KEY, cart INT, note TEXT);
        INSERT INTO items SELECT n, n % 10, 'new' FROM generate_series(1, 30000) AS n;";
    let bounds = Bounds { held_bytes: 8 << 20, ..Bounds::default() };
    let mut database = Database::open(schema, Options { bounds, ..Options::default() }).expect("a schema");
    let delete = |note: &str| {
        format!("DELETE FROM carts WHERE id IN (SELECT cart FROM items WHERE id > 0 AND note = '{note}')")
    };
    let own = database.begin(0).expect("it begins");
    let mut within = |sql: &str| done(execute(&mut database, Some(own), sql));
    // It takes more steps than one may that is not known, and has rows of 1,000 bytes.
    let first = within(&delete("old"));
    assert!(first.work.steps > 60_000, "{:?}", first.work);
    within("UPDATE carts SET n = id WHERE id IN (8, 20)");
    within("SAVEPOINT a");
    within("UPDATE carts SET n = 1 WHERE id = 30");
    let behind = within(&delete("old"));
    assert_eq!((behind.affected, behind.work.steps), (0, first.work.steps));
    assert_eq!(within(&delete("new")).affected, 9);
    let sum = "SELECT count(*), sum(n) FROM carts";
    assert_eq!(within(sum).rows, [[Value::Int(91), Value::Int(21)]]);
    within("ROLLBACK TO a");
    assert_eq!(within(sum).rows, [[Value::Int(100), Value::Int(28)]]);
    assert_eq!(within(&delete("new")).affected, 9);
    database.commit(own).expect("it commits");
    let all = done(execute(&mut database, None, sum));
    assert_eq!(all.rows, [[Value::Int(91), Value::Int(20)]]);
}

#[test]
fn a_statement_may_hold_more_documents_the_shorter_they_are() {
    let schema = "CREATE TABLE docs (id INT PRIMARY KEY, kind INT, doc TEXT);
        INSERT INTO docs SELECT n, n % 5, repeat('d', 300000) FROM generate_series(1, 150) AS n;";
    let mut database = database(schema);
    let group = "SELECT kind, max(length(doc)) FROM docs GROUP BY kind";
    assert_eq!(done(execute(&mut database, None, group)).rows.len(), 5);
}

#[test]
fn rows_that_have_to_make_room_for_those_of_another_transaction_count() {
    let schema = "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL);
        INSERT INTO t SELECT n, 0 FROM generate_series(1, 6000) AS n;";
    let mut database = database(schema);
    let [first, second] = [0, 0].map(|now| database.begin(now).expect("it begins"));
    for (own, range) in [(first, "id <= 3000"), (second, "id > 3000")] {
        let change = format!("UPDATE t SET n = 1 WHERE {range}");
        assert_eq!(done(execute(&mut database, Some(own), &change)).affected, 3_000);
    }
    let read = "SELECT n FROM t WHERE id = 1";
    let moved = done(execute(&mut database, Some(first), read)).work;
    let again = done(execute(&mut database, Some(first), read)).work;
    assert_eq!((moved.steps, again.effort), (again.steps, again.steps));
    assert!(moved.effort > again.effort + 500_000, "{moved:?}");
}
