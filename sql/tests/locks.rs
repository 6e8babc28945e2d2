//! Transactions against one another: who sees what, who waits for whom, and what is left at the end.

mod support;

use simhost_sql::{Bounds, Call, Database, Ended, Options, Outcome, TableMode, Value};
use support::{Sessions, blocked, database, done, execute, failed};

const STOCK: &str = "
    CREATE TABLE stock (id INT PRIMARY KEY, sku TEXT UNIQUE, available INT NOT NULL);
    INSERT INTO stock VALUES (1, 'a', 10), (2, 'b', 10), (3, 'c', 10);
    CREATE TABLE orders (id SERIAL PRIMARY KEY, stock_id INT REFERENCES stock (id), note TEXT);
";

fn available(sessions: &mut Sessions, id: i64) -> i64 {
    match sessions.alone(&format!("SELECT available FROM stock WHERE id = {id}")) {
        Outcome::Done(done) => match done.rows[0][0] {
            Value::Int(number) => number,
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn others_do_not_see_what_is_not_committed() {
    let mut sessions = Sessions::new(STOCK, 2);
    done(sessions.run(0, "UPDATE stock SET available = 9 WHERE id = 1"));
    assert_eq!(available(&mut sessions, 1), 10);
    let own = done(sessions.run(0, "SELECT available FROM stock WHERE id = 1"));
    assert_eq!(own.rows, [[Value::Int(9)]]);
    assert_eq!(sessions.commit(0), Ended::Committed { rows: 1 });
    assert_eq!(available(&mut sessions, 1), 9);
}

#[test]
fn a_second_writer_of_a_row_waits_and_then_sees_the_first_ones_value() {
    let mut sessions = Sessions::new(STOCK, 2);
    done(sessions.run(0, "UPDATE stock SET available = available - 1 WHERE id = 1"));
    done(sessions.run(1, "UPDATE stock SET available = available - 2 WHERE id = 2"));
    let waits = blocked(sessions.run(1, "UPDATE stock SET available = available - 5 WHERE id = 1"));
    assert_eq!(waits.by, [sessions.of(0)]);
    sessions.commit(0);
    done(sessions.run(1, "UPDATE stock SET available = available - 5 WHERE id = 1"));
    sessions.commit(1);
    assert_eq!((available(&mut sessions, 1), available(&mut sessions, 2)), (4, 8));
}

#[test]
fn a_statement_outside_of_a_transaction_waits_in_one_of_its_own() {
    let mut sessions = Sessions::new(STOCK, 1);
    done(sessions.run(0, "UPDATE stock SET available = 0 WHERE id = 1"));
    let sql = "UPDATE stock SET available = available + 1 WHERE id = 1 RETURNING available";
    let waits = blocked(sessions.alone(sql));
    assert_eq!(waits.by, [sessions.of(0)]);
    sessions.commit(0);
    let statement = sessions.database.prepare(sql).expect("it parses");
    let again = sessions.database.execute(Some(waits.transaction), &statement, &[], Call::at(0));
    assert_eq!(done(again).rows, [[Value::Int(1)]]);
    assert!(!sessions.database.is_open(waits.transaction));
    assert_eq!(available(&mut sessions, 1), 1);
}

#[test]
fn two_that_wait_for_one_another_are_a_deadlock_and_the_other_goes_on() {
    let mut sessions = Sessions::new(STOCK, 2);
    done(sessions.run(0, "UPDATE stock SET available = 1 WHERE id = 1"));
    done(sessions.run(1, "UPDATE stock SET available = 2 WHERE id = 2"));
    blocked(sessions.run(1, "UPDATE stock SET available = 3 WHERE id = 1"));
    let (first, second) = (sessions.of(0), sessions.of(1));
    assert_eq!(sessions.database.deadlock(second), None);
    blocked(sessions.run(0, "UPDATE stock SET available = 4 WHERE id = 2"));
    let failure = sessions.database.deadlock(first).expect("a circle");
    assert_eq!(failure.sqlstate, "40P01");
    assert_eq!(failed(sessions.run(0, "SELECT 1")).sqlstate, "25P02");
    assert_eq!(sessions.commit(0), Ended::RolledBack);
    assert_eq!(sessions.database.deadlock(second), None);
    done(sessions.run(1, "UPDATE stock SET available = 3 WHERE id = 1"));
    sessions.commit(1);
    assert_eq!((available(&mut sessions, 1), available(&mut sessions, 2)), (3, 2));
}

#[test]
fn two_inserts_of_one_key_wait_at_the_insert() {
    let mut sessions = Sessions::new(STOCK, 3);
    done(sessions.run(0, "INSERT INTO stock VALUES (7, 'x', 1)"));
    blocked(sessions.run(1, "INSERT INTO stock VALUES (8, 'x', 1)"));
    blocked(
        sessions.run(2, "INSERT INTO stock VALUES (7, 'y', 1) ON CONFLICT (id) DO UPDATE SET available = 5"),
    );
    sessions.commit(0);
    assert_eq!(failed(sessions.run(1, "INSERT INTO stock VALUES (8, 'x', 1)")).sqlstate, "23505");
    done(
        sessions.run(2, "INSERT INTO stock VALUES (7, 'y', 1) ON CONFLICT (id) DO UPDATE SET available = 5"),
    );
    sessions.commit(2);
    assert_eq!(available(&mut sessions, 7), 5);
}

#[test]
fn a_key_that_another_one_frees_is_waited_for() {
    let mut sessions = Sessions::new(STOCK, 2);
    done(sessions.run(0, "DELETE FROM stock WHERE id = 3"));
    blocked(sessions.run(1, "INSERT INTO stock VALUES (9, 'c', 1)"));
    sessions.commit(0);
    done(sessions.run(1, "INSERT INTO stock VALUES (9, 'c', 1)"));
    sessions.commit(1);
    assert_eq!(available(&mut sessions, 9), 1);
}

#[test]
fn rows_without_keys_never_collide() {
    let schema = "CREATE TABLE log (line TEXT); CREATE TABLE counted (id SERIAL PRIMARY KEY, line TEXT);";
    let mut sessions = Sessions::new(schema, 2);
    for line in ["a", "b"] {
        for session in [0, 1] {
            done(sessions.run(session, &format!("INSERT INTO log VALUES ('{line}')")));
            done(sessions.run(session, &format!("INSERT INTO counted (line) VALUES ('{line}')")));
        }
    }
    sessions.commit(1);
    sessions.commit(0);
    let rows = done(sessions.alone("SELECT id, line FROM counted ORDER BY id")).rows;
    let expected = [(1, "a"), (2, "a"), (3, "b"), (4, "b")];
    assert_eq!(rows, expected.map(|(id, line)| vec![Value::Int(id), Value::from(line)]));
    assert_eq!(done(sessions.alone("SELECT count(*) FROM log")).rows, [[Value::Int(4)]]);
}

#[test]
fn a_row_that_is_referred_to_stays_and_may_change_otherwise() {
    let mut sessions = Sessions::new(STOCK, 3);
    done(sessions.run(0, "INSERT INTO orders (stock_id) VALUES (1)"));
    blocked(sessions.run(1, "DELETE FROM stock WHERE id = 1"));
    done(sessions.run(2, "UPDATE stock SET available = 0 WHERE id = 1"));
    sessions.commit(2);
    sessions.commit(0);
    assert_eq!(failed(sessions.run(1, "DELETE FROM stock WHERE id = 1")).sqlstate, "23503");
    assert_eq!(done(sessions.alone("SELECT count(*) FROM orders")).rows, [[Value::Int(1)]]);
}

#[test]
fn a_row_that_is_being_deleted_cannot_be_referred_to() {
    let mut sessions = Sessions::new(STOCK, 2);
    done(sessions.run(0, "DELETE FROM stock WHERE id = 1"));
    blocked(sessions.run(1, "INSERT INTO orders (stock_id) VALUES (1)"));
    sessions.commit(0);
    assert_eq!(failed(sessions.run(1, "INSERT INTO orders (stock_id) VALUES (1)")).sqlstate, "23503");
}

#[test]
fn for_update_locks_the_rows_of_a_result() {
    let mut sessions = Sessions::new(STOCK, 3);
    let rows = done(sessions.run(0, "SELECT sku FROM stock WHERE id = 1 FOR UPDATE"));
    assert_eq!((rows.columns.len(), rows.rows[0].len()), (1, 1));
    blocked(sessions.run(1, "UPDATE stock SET available = 1 WHERE id = 1"));
    assert_eq!(failed(sessions.alone("SELECT sku FROM stock FOR UPDATE NOWAIT")).sqlstate, "55P03");
    let free = done(sessions.run(2, "SELECT id FROM stock ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"));
    assert_eq!(free.rows, [[Value::Int(2)]]);
    let claim = "UPDATE stock SET available = 0 WHERE id = (SELECT id FROM stock ORDER BY id LIMIT 1 \
                 FOR UPDATE SKIP LOCKED) RETURNING id";
    assert_eq!(done(sessions.alone(claim)).rows, [[Value::Int(3)]]);
    assert_eq!(done(sessions.alone("SELECT count(*) FROM stock")).rows, [[Value::Int(3)]]);
}

#[test]
fn shared_locks_are_held_together_and_keep_writers_out() {
    let mut sessions = Sessions::new(STOCK, 3);
    done(sessions.run(0, "SELECT * FROM stock WHERE id = 1 FOR SHARE"));
    done(sessions.run(1, "SELECT * FROM stock WHERE id = 1 FOR SHARE"));
    let waits = blocked(sessions.run(2, "UPDATE stock SET available = 1 WHERE id = 1"));
    assert_eq!(waits.by, [sessions.of(0), sessions.of(1)]);
    sessions.commit(0);
    blocked(sessions.run(2, "UPDATE stock SET available = 1 WHERE id = 1"));
    sessions.rollback(1);
    done(sessions.run(2, "UPDATE stock SET available = 1 WHERE id = 1"));
}

#[test]
fn a_table_that_is_locked_keeps_all_waiting_in_the_order_of_arrival() {
    let mut sessions = Sessions::new(STOCK, 3);
    done(sessions.run(0, "SELECT * FROM stock"));
    let locker = sessions.of(1);
    let waits = blocked(sessions.database.lock_table(locker, "stock", TableMode::AccessExclusive));
    assert_eq!(waits.by, [sessions.of(0)]);
    // Who comes later waits behind the one that waits, although what it needs is free.
    assert_eq!(blocked(sessions.run(2, "SELECT * FROM stock")).by, [locker]);
    sessions.commit(0);
    done(sessions.database.lock_table(locker, "stock", TableMode::AccessExclusive));
    assert_eq!(blocked(sessions.alone("SELECT 1 FROM stock")).by, [locker]);
    sessions.rollback(1);
    done(sessions.run(2, "SELECT * FROM stock"));
}

#[test]
fn changes_of_the_schema_wait_for_writers_and_writers_for_them() {
    let mut sessions = Sessions::new(STOCK, 1);
    done(sessions.run(0, "UPDATE stock SET available = 1 WHERE id = 1"));
    blocked(sessions.alone("ALTER TABLE stock ADD COLUMN more INT"));
    blocked(sessions.alone("CREATE INDEX i ON stock (available)"));
    assert_eq!(failed(sessions.run(0, "CREATE TABLE t (a INT)")).sqlstate, "0A000");
}

#[test]
fn savepoints_give_back_what_was_there() {
    let mut sessions = Sessions::new(STOCK, 1);
    done(sessions.run(0, "UPDATE stock SET available = 1 WHERE id = 1"));
    done(sessions.run(0, "SAVEPOINT a"));
    done(sessions.run(0, "UPDATE stock SET available = 2 WHERE id = 1"));
    done(sessions.run(0, "DELETE FROM stock WHERE id = 2"));
    assert_eq!(failed(sessions.run(0, "SELECT 1 / 0")).sqlstate, "22012");
    assert_eq!(failed(sessions.run(0, "SELECT 1")).sqlstate, "25P02");
    done(sessions.run(0, "ROLLBACK TO a"));
    let rows = done(sessions.run(0, "SELECT available FROM stock ORDER BY id")).rows;
    assert_eq!(rows, [[Value::Int(1)], [Value::Int(10)], [Value::Int(10)]]);
    done(sessions.run(0, "RELEASE a"));
    assert_eq!(failed(sessions.run(0, "ROLLBACK TO a")).sqlstate, "3B001");
    assert_eq!(sessions.commit(0), Ended::RolledBack);
    assert_eq!(available(&mut sessions, 1), 10);
}

#[test]
fn a_transaction_survives_others_with_all_that_it_did() {
    let schema = "
        CREATE TABLE parent (id INT PRIMARY KEY, name TEXT UNIQUE);
        CREATE TABLE child (parent_id INT REFERENCES parent (id) ON DELETE CASCADE, note TEXT);
        INSERT INTO parent VALUES (1, 'a'), (2, 'b');
        INSERT INTO child VALUES (1, 'x'), (2, 'y');
    ";
    let mut sessions = Sessions::new(schema, 1);
    // Swapped keys, a cascade, an entry that is freed and taken again: put back in any order, they would
    // collide.
    for sql in [
        "UPDATE parent SET name = 'c' WHERE id = 1",
        "UPDATE parent SET name = 'a' WHERE id = 2",
        "UPDATE parent SET name = 'b' WHERE id = 1",
        "DELETE FROM parent WHERE id = 2",
        "INSERT INTO parent VALUES (3, 'a')",
        "INSERT INTO child VALUES (3, 'z')",
    ] {
        done(sessions.run(0, sql));
        let others = done(
            sessions.alone("SELECT p.id, p.name, c.note FROM parent p JOIN child c ON c.parent_id = p.id"),
        );
        assert_eq!(others.rows.len(), 2, "after {sql}");
    }
    sessions.commit(0);
    let rows =
        done(sessions.alone("SELECT p.id, p.name, c.note FROM parent p JOIN child c ON c.parent_id = p.id"))
            .rows;
    let row = |id: i64, name: &str, note: &str| vec![Value::Int(id), Value::from(name), Value::from(note)];
    assert_eq!(rows, [row(1, "b", "x"), row(3, "a", "z")]);
}

#[test]
fn a_transaction_that_fails_lets_others_go_on_before_its_client_rolls_back() {
    let mut sessions = Sessions::new(STOCK, 3);
    done(sessions.run(0, "UPDATE stock SET available = 1, sku = 'z' WHERE id = 1"));
    done(sessions.run(0, "INSERT INTO stock VALUES (7, 'x', 1)"));
    done(sessions.run(0, "LOCK TABLE orders"));
    blocked(sessions.run(1, "UPDATE stock SET available = available + 5 WHERE id = 1"));
    blocked(sessions.run(2, "INSERT INTO stock VALUES (7, 'x', 2)"));
    blocked(sessions.alone("SELECT * FROM orders"));
    assert_eq!(failed(sessions.run(0, "SELECT 1 / 0")).sqlstate, "22012");
    done(sessions.run(1, "UPDATE stock SET available = available + 5 WHERE id = 1"));
    done(sessions.run(2, "INSERT INTO stock VALUES (7, 'x', 2)"));
    done(sessions.alone("SELECT * FROM orders"));
    sessions.commit(1);
    sessions.commit(2);
    assert_eq!(failed(sessions.run(0, "SELECT 1")).sqlstate, "25P02");
    assert_eq!(sessions.commit(0), Ended::RolledBack);
    assert_eq!((available(&mut sessions, 1), available(&mut sessions, 7)), (15, 2));
    assert_eq!(done(sessions.alone("SELECT sku FROM stock WHERE id = 1")).rows, [[Value::from("a")]]);
}

#[test]
fn a_transaction_with_a_savepoint_keeps_the_locks_of_before_it() {
    let mut sessions = Sessions::new(STOCK, 2);
    let first = "UPDATE stock SET available = available + 1 WHERE id = 1";
    let second = "UPDATE stock SET available = available + 1 WHERE id = 2";
    for returns in [false, true] {
        done(sessions.run(0, first));
        done(sessions.run(0, "SAVEPOINT a"));
        done(sessions.run(0, second));
        done(sessions.run(0, "LOCK TABLE orders"));
        blocked(sessions.run(1, second));
        match returns {
            true => drop(done(sessions.run(0, "ROLLBACK TO a"))),
            false => assert_eq!(failed(sessions.run(0, "SELECT 1 / 0")).sqlstate, "22012"),
        }
        done(sessions.run(1, second));
        done(sessions.run(1, "SELECT * FROM orders"));
        blocked(sessions.run(1, first));
        done(sessions.run(0, "ROLLBACK TO a"));
        assert!(matches!(sessions.commit(0), Ended::Committed { rows: 1 }));
        done(sessions.run(1, first));
        sessions.commit(1);
        sessions.begin(0);
        sessions.begin(1);
    }
    assert_eq!((available(&mut sessions, 1), available(&mut sessions, 2)), (14, 12));
}

#[test]
fn who_has_a_table_does_not_wait_behind_one_that_waits_for_it() {
    let mut sessions = Sessions::new(STOCK, 3);
    done(sessions.run(0, "SELECT * FROM stock"));
    let locker = sessions.of(1);
    blocked(sessions.database.lock_table(locker, "stock", TableMode::AccessExclusive));
    blocked(sessions.run(2, "UPDATE stock SET available = 1 WHERE id = 1"));
    done(sessions.run(0, "UPDATE stock SET available = 2 WHERE id = 1"));
    sessions.commit(0);
    done(sessions.database.lock_table(locker, "stock", TableMode::AccessExclusive));
}

#[test]
fn a_statement_alone_has_its_tables_until_its_caller_commits() {
    for (sql, waits) in [
        ("ALTER TABLE stock ADD COLUMN more INT", "SELECT * FROM stock"),
        ("CREATE INDEX stock_available ON stock (available)", "DELETE FROM stock WHERE id = 3"),
        ("TRUNCATE stock, orders", "SELECT * FROM stock"),
        ("DROP TABLE orders", "DELETE FROM stock WHERE id = 3"),
    ] {
        let mut sessions = Sessions::new(STOCK, 1);
        let own = sessions.database.begin_alone(0).expect("it begins");
        let statement = sessions.database.prepare(sql).expect("it parses");
        done(sessions.database.execute(Some(own), &statement, &[], Call::at(0)));
        if !sql.starts_with("DROP") {
            assert_eq!(blocked(sessions.run(0, waits)).by, [own], "{sql}");
        }
        assert!(matches!(sessions.database.commit(own), Ok(Ended::Committed { .. })), "{sql}");
        done(sessions.run(0, waits));
    }
}

#[test]
fn truncate_outside_of_transactions_empties_more_rows_than_may_be_locked() {
    let bounds = Bounds { locks: 100, ..Bounds::default() };
    let schema = "CREATE TABLE t (a INT); INSERT INTO t SELECT n FROM generate_series(1, 101) AS n";
    let mut database = Database::open(schema, Options { bounds, ..Options::default() }).expect("a schema");
    let statement = database.prepare("TRUNCATE t").expect("it parses");
    let own = database.begin(0).expect("it begins");
    assert_eq!(failed(database.execute(Some(own), &statement, &[], Call::at(0))).sqlstate, "54000");
    let own = database.begin_alone(0).expect("it begins");
    done(database.execute(Some(own), &statement, &[], Call::at(0)));
    database.commit(own).expect("it is open");
    assert_eq!(done(support::execute(&mut database, None, "SELECT count(*) FROM t")).rows, [[Value::Int(0)]]);
}

#[test]
fn truncate_in_a_transaction_can_be_taken_back() {
    let mut sessions = Sessions::new(STOCK, 1);
    done(sessions.run(0, "TRUNCATE orders, stock"));
    assert_eq!(done(sessions.run(0, "SELECT count(*) FROM stock")).rows, [[Value::Int(0)]]);
    blocked(sessions.alone("SELECT * FROM stock"));
    sessions.rollback(0);
    assert_eq!(done(sessions.alone("SELECT count(*) FROM stock")).rows, [[Value::Int(3)]]);
}

#[test]
fn the_time_of_a_transaction_is_that_of_its_beginning() {
    let mut database = database("");
    let own = database.begin(1_000_000).expect("it begins");
    let statement = database.prepare("SELECT now(), clock_timestamp()").expect("it parses");
    let rows = done(database.execute(Some(own), &statement, &[], Call::at(5_000_000))).rows;
    assert_eq!(rows, [["1970-01-01 00:00:01+00", "1970-01-01 00:00:05+00"].map(Value::from)]);
}

#[test]
fn a_row_that_one_insert_meets_twice_undoes_the_insert() {
    let mut database = database("CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 0)");
    let twice = "INSERT INTO t VALUES (2, 2), (1, 5), (1, 6) ON CONFLICT (id) DO UPDATE SET n = excluded.n";
    let all = "SELECT id, n FROM t ORDER BY id";
    let kept = [[Value::Int(1), Value::Int(0)]];
    assert_eq!(failed(execute(&mut database, None, twice)).sqlstate, "21000");
    assert_eq!(done(execute(&mut database, None, all)).rows, kept);
    let other = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(other), "INSERT INTO t VALUES (9, 9)"));
    assert_eq!(failed(execute(&mut database, None, twice)).sqlstate, "21000");
    let own = database.begin(0).expect("it begins");
    assert_eq!(failed(execute(&mut database, Some(own), twice)).sqlstate, "21000");
    database.rollback(own).expect("it is open");
    database.rollback(other).expect("it is open");
    assert_eq!(done(execute(&mut database, None, all)).rows, kept);
    let once = "INSERT INTO t VALUES (2, 2), (1, 5) ON CONFLICT (id) DO UPDATE SET n = excluded.n";
    assert_eq!(done(execute(&mut database, None, once)).affected, 2);
}

const QUEUE: &str = "
    CREATE TABLE jobs (id SERIAL PRIMARY KEY, state TEXT NOT NULL DEFAULT 'new', kind TEXT UNIQUE);
    INSERT INTO jobs (kind) SELECT 'k' || n FROM generate_series(1, 6) AS n;
    CREATE TABLE archive (id INT PRIMARY KEY, kind TEXT);
";

const TAKE: &str =
    "WITH next AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED)
    UPDATE jobs SET state = 'taken' FROM next WHERE jobs.id = next.id RETURNING jobs.id";

const MOVE: &str = "WITH gone AS (DELETE FROM jobs WHERE id <= 3 RETURNING id, kind)
    INSERT INTO archive SELECT * FROM gone";

fn ids(outcome: Outcome) -> Vec<Value> {
    done(outcome).rows.into_iter().map(|row| row[0].clone()).collect()
}

#[test]
fn workers_of_a_queue_take_different_jobs_and_what_one_gives_back_is_taken_again() {
    let mut sessions = Sessions::new(QUEUE, 3);
    assert_eq!(ids(sessions.run(0, TAKE)), [Value::Int(1), Value::Int(2)]);
    assert_eq!(ids(sessions.run(1, TAKE)), [Value::Int(3), Value::Int(4)]);
    sessions.rollback(0);
    assert_eq!(ids(sessions.run(2, TAKE)), [Value::Int(1), Value::Int(2)]);
    sessions.commit(1);
    sessions.commit(2);
    assert_eq!(ids(sessions.alone(TAKE)), [Value::Int(5), Value::Int(6)]);
    assert_eq!(ids(sessions.alone(TAKE)), []);
}

#[test]
fn a_statement_in_parts_waits_as_one_and_has_done_nothing_meanwhile() {
    let mut sessions = Sessions::new(QUEUE, 2);
    done(sessions.run(0, "UPDATE jobs SET state = 'held' WHERE id = 3"));
    let waits = blocked(sessions.run(1, MOVE));
    assert_eq!(waits.by, [sessions.of(0)]);
    assert_eq!(done(sessions.run(0, "SELECT count(*) FROM archive")).rows, [[Value::Int(0)]]);
    sessions.commit(0);
    assert_eq!(done(sessions.run(1, MOVE)).affected, 3);
    assert_eq!(ids(sessions.run(1, "SELECT id FROM archive")), [Value::Int(1), Value::Int(2), Value::Int(3)]);
    assert_eq!(done(sessions.alone("SELECT count(*) FROM archive")).rows, [[Value::Int(0)]]);
    // Its rows are locked, those that its WITH has deleted and those that it has inserted.
    blocked(sessions.alone("UPDATE jobs SET state = 'x' WHERE id = 1"));
    blocked(sessions.alone("INSERT INTO archive VALUES (2, 'other')"));
    sessions.commit(1);
    assert_eq!(done(sessions.alone("SELECT count(*) FROM jobs")).rows, [[Value::Int(3)]]);
}

#[test]
fn a_statement_in_parts_waits_outside_of_transactions_as_well() {
    let mut sessions = Sessions::new(QUEUE, 1);
    done(sessions.run(0, "INSERT INTO archive VALUES (2, 'other')"));
    let waits = blocked(sessions.alone(MOVE));
    assert_eq!(waits.by, [sessions.of(0)]);
    assert_eq!(done(sessions.alone("SELECT count(*) FROM jobs")).rows, [[Value::Int(6)]]);
    sessions.rollback(0);
    let statement = sessions.database.prepare(MOVE).expect("it parses");
    let again = sessions.database.execute(Some(waits.transaction), &statement, &[], Call::at(0));
    assert_eq!(done(again).affected, 3);
    assert_eq!(done(sessions.alone("SELECT count(*) FROM jobs")).rows, [[Value::Int(3)]]);
}

#[test]
fn a_part_that_fails_undoes_those_before_it() {
    let mut sessions = Sessions::new(QUEUE, 2);
    done(sessions.alone("INSERT INTO archive VALUES (2, 'there')"));
    assert_eq!(failed(sessions.alone(MOVE)).sqlstate, "23505");
    assert_eq!(done(sessions.alone("SELECT count(*) FROM jobs")).rows, [[Value::Int(6)]]);
    // Behind other changes of its transaction, and beside another one.
    done(sessions.run(1, "UPDATE jobs SET state = 'x' WHERE id = 6"));
    done(sessions.run(0, "UPDATE jobs SET state = 'y' WHERE id = 5"));
    done(sessions.run(0, "SAVEPOINT before"));
    assert_eq!(failed(sessions.run(0, MOVE)).sqlstate, "23505");
    done(sessions.run(0, "ROLLBACK TO before"));
    assert_eq!(sessions.commit(0), Ended::Committed { rows: 1 });
    sessions.commit(1);
    let states = done(sessions.alone("SELECT string_agg(state, ',' ORDER BY id) FROM jobs"));
    assert_eq!(states.rows, [[Value::Text("new,new,new,new,y,x".to_owned())]]);
}

#[test]
fn a_part_that_only_reads_locks_its_rows() {
    let mut sessions = Sessions::new(QUEUE, 1);
    let sql = "WITH next AS (SELECT id, kind FROM jobs ORDER BY id LIMIT 1 FOR UPDATE),
        stored AS (INSERT INTO archive SELECT id, kind FROM next RETURNING id)
        SELECT next.kind FROM next JOIN stored ON next.id = stored.id";
    assert_eq!(done(sessions.run(0, sql)).rows, [[Value::Text("k1".to_owned())]]);
    blocked(sessions.alone("UPDATE jobs SET state = 'x' WHERE id = 1"));
    done(sessions.alone("UPDATE jobs SET state = 'x' WHERE id = 2"));
    sessions.commit(0);
    let statement = sessions.database.prepare(sql).expect("it parses");
    assert!(statement.has_parts() && statement.writes());
}

#[test]
fn a_part_with_nowait_fails_at_once_and_other_parts_wait() {
    let mut sessions = Sessions::new(QUEUE, 2);
    done(sessions.run(0, "UPDATE jobs SET state = 'held' WHERE id = 1"));
    let once = "WITH next AS (SELECT id FROM jobs WHERE id = 1 FOR UPDATE NOWAIT)
        DELETE FROM jobs USING next WHERE jobs.id = next.id";
    let shared = "WITH next AS (SELECT id, kind FROM jobs WHERE id = 1 FOR UPDATE NOWAIT),
        stored AS (INSERT INTO archive SELECT id, kind FROM next)
        SELECT kind FROM next";
    for sql in [once, shared] {
        assert_eq!(failed(sessions.alone(sql)).sqlstate, "55P03", "{sql}");
        let waiting = sql.replace(" NOWAIT", "");
        assert_eq!(blocked(sessions.alone(&waiting)).by, [sessions.of(0)], "{waiting}");
    }
    // The row that is not waited for is free, one of another table is not.
    done(sessions.run(0, "INSERT INTO archive VALUES (9, 'k9')"));
    sessions.commit(0);
    sessions.begin(0);
    done(sessions.run(0, "UPDATE archive SET kind = 'held' WHERE id = 9"));
    let other = "WITH next AS (SELECT id FROM jobs WHERE id = 1 FOR UPDATE NOWAIT),
        gone AS (DELETE FROM archive WHERE id = 9 AND 1 IN (SELECT id FROM next))
        SELECT id FROM next";
    assert_eq!(blocked(sessions.run(1, other)).by, [sessions.of(0)]);
    sessions.commit(0);
    assert_eq!(ids(sessions.run(1, other)), [Value::Int(1)]);
}

#[test]
fn parameters_of_a_statement_in_parts_stand_in_any_of_them() {
    let mut database = database(QUEUE);
    let sql = "WITH gone AS (DELETE FROM jobs WHERE kind = $2 RETURNING id)
        INSERT INTO archive SELECT id, $1 FROM gone WHERE id < $3 RETURNING id, kind";
    let statement = database.prepare(sql).expect("it parses");
    let params = [Value::Text("moved".to_owned()), Value::Text("k4".to_owned()), Value::Text("9".to_owned())];
    let rows = done(database.execute(None, &statement, &params, Call::at(0))).rows;
    assert_eq!(rows, [[Value::Int(4), Value::Text("moved".to_owned())]]);
}

#[test]
fn weak_locks_keep_out_what_postgresql_says() {
    // Modes from weak to strong, and those that each keeps out: table 13.3 of PostgreSQL 17.
    let modes = ["KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE"];
    let conflicts =
        [[false, false, false, true], [false, false, true, true], [false, true, true, true], [true; 4]];
    for (held, row) in modes.iter().zip(conflicts) {
        for (wanted, is_kept_out) in modes.iter().zip(row) {
            let mut sessions = Sessions::new(STOCK, 2);
            done(sessions.run(0, &format!("SELECT * FROM stock WHERE id = 1 FOR {held}")));
            let outcome = sessions.run(1, &format!("SELECT sku FROM stock s WHERE id < 3 FOR {wanted} OF s"));
            assert_eq!(matches!(outcome, Outcome::Blocked(_)), is_kept_out, "{held}, {wanted}: {outcome:?}");
            sessions.rollback(1);
            let skipped = format!("SELECT id FROM stock WHERE id < 3 ORDER BY id FOR {wanted} SKIP LOCKED");
            let rows = ids(sessions.alone(&skipped));
            assert_eq!(rows.len(), if is_kept_out { 1 } else { 2 }, "{held}, {wanted}: {rows:?}");
        }
    }
}

#[test]
fn generated_columns_follow_their_rows_from_transaction_to_transaction() {
    let schema = "
        CREATE TABLE boxes (id INT PRIMARY KEY, w INT, code TEXT GENERATED ALWAYS AS ('c' || w) STORED UNIQUE);
        INSERT INTO boxes VALUES (1, 1), (2, 2);";
    let mut sessions = Sessions::new(schema, 2);
    done(sessions.run(0, "UPDATE boxes SET w = 7 WHERE id = 1"));
    done(sessions.run(1, "INSERT INTO boxes (id, w) VALUES (3, 3)"));
    done(sessions.run(1, "UPDATE boxes SET w = 8 WHERE id = 2"));
    let codes = "SELECT string_agg(code, ',' ORDER BY id) FROM boxes";
    assert_eq!(ids(sessions.run(0, codes)), [Value::Text("c7,c2".to_owned())]);
    assert_eq!(ids(sessions.run(1, codes)), [Value::Text("c1,c8,c3".to_owned())]);
    // The key is that of the change.
    blocked(sessions.run(1, "INSERT INTO boxes (id, w) VALUES (4, 7)"));
    sessions.rollback(0);
    done(sessions.run(1, "INSERT INTO boxes (id, w) VALUES (4, 7)"));
    sessions.commit(1);
    assert_eq!(ids(sessions.alone(codes)), [Value::Text("c1,c8,c3,c7".to_owned())]);
}
