//! Indexes that are dropped for a time, and what ends statements but not the making of an index.

mod support;

use simhost_sql::{Bounds, Call, Database, Interrupt, Options, Outcome};
use support::{database, done, execute, failed};

const STOCK: &str = "
    CREATE TABLE stock (id INT PRIMARY KEY, n INT NOT NULL);
    INSERT INTO stock SELECT i, i FROM generate_series(1, 20000) AS i;
    CREATE INDEX stock_n ON stock (n);
";

fn has_index(database: &Database) -> bool {
    database.indexes().iter().any(|index| index.name == "stock_n")
}

/// Whether a statement that looks for `n` would use the index that is gone.
fn misses(database: &mut Database) -> bool {
    let statement = database.prepare("SELECT id FROM stock WHERE n = 7").expect("it parses");
    database.misses(&statement, "stock_n")
}

#[test]
fn an_index_that_two_have_dropped_comes_back_when_the_second_is_done() {
    let mut database = database(STOCK);
    database.drop_index("stock_n").expect("it is there");
    database.drop_index("stock_n").expect("it is dropped already");
    assert_eq!(database.restore_index("stock_n").expect("the second has it").steps, 0);
    assert!(!has_index(&database) && misses(&mut database));
    assert!(database.restore_index("stock_n").expect("there is room").steps > 20_000);
    assert!(has_index(&database) && !misses(&mut database));
    assert_eq!(database.restore_index("stock_n").expect_err("it is there").sqlstate, "42704");
}

#[test]
fn an_index_that_a_statement_makes_anew_stays_and_may_be_dropped_again() {
    let mut database = database(STOCK);
    database.drop_index("stock_n").expect("it is there");
    done(execute(&mut database, None, "CREATE INDEX stock_n ON stock (n)"));
    database.drop_index("stock_n").expect("it is there again");
    database.restore_index("stock_n").expect("the second has it");
    assert!(!has_index(&database));
    database.restore_index("stock_n").expect("there is room");
    assert!(has_index(&database));
}

#[test]
fn an_index_that_has_no_room_is_remembered_and_made_when_there_is_some() {
    let bounds = Bounds { database_bytes: 1 << 20, ..Bounds::default() };
    let mut database = Database::open(STOCK, Options { bounds, ..Options::default() }).expect("a schema");
    database.drop_index("stock_n").expect("it is there");
    done(execute(&mut database, None, "CREATE TABLE filled (a TEXT)"));
    let fill = "INSERT INTO filled SELECT repeat('x', 1000) FROM generate_series(1, 20)";
    for _ in 0..100 {
        if matches!(execute(&mut database, None, fill), Outcome::Failed(_)) {
            break;
        }
    }
    assert_eq!(database.restore_index("stock_n").expect_err("it has no room").sqlstate, "53100");
    assert!(!has_index(&database));
    done(execute(&mut database, None, "DROP TABLE filled"));
    database.drop_index("stock_n").expect("it is remembered");
    database.restore_index("stock_n").expect("there is room");
    assert!(has_index(&database));
}

#[test]
fn what_ends_a_statement_does_not_end_what_the_database_does_for_itself() {
    let mut database = database(STOCK);
    let own = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(own), "UPDATE stock SET n = n + 1 WHERE id > 100"));
    database.drop_index("stock_n").expect("it is there");
    let endless = database
        .prepare("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
        .expect("it parses");
    let interrupt = Interrupt::default();
    interrupt.end();
    database.interruptible(&interrupt, |database| {
        let outcome = database.execute(None, &endless, &[], Call::at(0));
        let Outcome::Failed(ended) = outcome else { panic!("it never ends") };
        assert!(ended.failure.sqlstate == "57014" && ended.work.steps < 10_000, "{ended:?}");
        database.restore_index("stock_n").expect("it is made");
        // Its rows are kept, and given back to the engine: tens of thousands of steps.
        database.commit(own).expect("it is committed");
    });
    assert!(has_index(&database));
    let statement = "SELECT count(*) FROM stock WHERE n = id + 1";
    assert_eq!(done(execute(&mut database, None, statement)).rows[0][0], 19_900_i64.into());
    // A budget that a statement has used up is that of the statement alone.
    let few = Call { now: 0, steps: Some(1) };
    assert_eq!(failed(database.execute(None, &endless, &[], few)).sqlstate, "57014");
    database.drop_index("stock_n").expect("it is there");
    database.restore_index("stock_n").expect("it is made");
    assert!(has_index(&database));
}
