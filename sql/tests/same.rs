//! The same calls give the same results, the same work and the same plans.

mod support;

use simhost_sql::{Call, Database, Done, Options, Outcome, Value};
use support::{database, done, execute, failed};

const SCHEMA: &str = "
    CREATE TABLE stock (id SERIAL PRIMARY KEY, sku TEXT NOT NULL, region TEXT NOT NULL, available INT NOT NULL);
    INSERT INTO stock (sku, region, available)
        SELECT 'S-' || lpad(n::text, 6, '0'), CASE n % 3 WHEN 0 THEN 'eu' ELSE 'us' END, n % 17
        FROM generate_series(1, 2000) AS n;
    CREATE INDEX stock_sku_idx ON stock (sku);
    CREATE TABLE tokens (token UUID DEFAULT gen_random_uuid(), made TIMESTAMPTZ DEFAULT now(), dice FLOAT8);
";

/// All that a run of statements shows.
fn story(seed: u64) -> String {
    let mut database = Database::open(SCHEMA, Options { seed, ..Options::default() }).expect("a schema");
    let mut told = String::new();
    let own = database.begin(7).expect("it begins");
    for (transaction, sql) in [
        (None, "INSERT INTO tokens (dice) VALUES (random()), (random()) RETURNING *"),
        (Some(own), "UPDATE stock SET available = available + 1 WHERE region = 'eu' RETURNING id"),
        (None, "SELECT region, sum(available), count(*) FROM stock GROUP BY region ORDER BY 1"),
        (None, "UPDATE stock SET available = 0 WHERE id = 3"),
        (Some(own), "SELECT gen_random_uuid(), now()"),
        (None, "SELECT * FROM stock WHERE sku > 'S-001990' ORDER BY available DESC, id"),
    ] {
        let statement = database.prepare(sql).expect("it parses");
        let outcome = database.execute(transaction, &statement, &[], Call::at(1_769_862_615_250_000));
        told += &format!("{sql}\n{outcome:?}\n{:?}\n", database.plan(&statement));
    }
    database.commit(own).expect("it is open");
    told
}

#[test]
fn a_seed_gives_the_same_and_another_one_other_tokens() {
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

#[test]
fn work_says_what_an_index_is_worth() {
    let mut database = database(SCHEMA);
    let sql = "SELECT available FROM stock WHERE sku = 'S-001234'";
    let with = done(execute(&mut database, None, sql));
    assert_eq!((with.work.steps, with.work.scanned), (13, 0), "{:?}", with.work);
    database.drop_index("stock_sku_idx").expect("there is one");
    let without = done(execute(&mut database, None, sql));
    assert_eq!((without.rows, without.work.scanned), (with.rows.clone(), 2_000));
    assert!(without.work.steps > 6_000, "{:?}", without.work);
    let statement = database.prepare(sql).expect("it parses");
    assert_eq!(database.plan(&statement).expect("a plan"), ["SCAN stock"]);
    assert!(database.restore_index("stock_sku_idx").expect("it was there").steps > 2_000);
    let again = done(execute(&mut database, None, sql));
    assert_eq!((again.rows, again.work), (with.rows, with.work));
    let statement = database.prepare(sql).expect("it parses");
    assert_eq!(
        database.plan(&statement).expect("a plan"),
        ["SEARCH stock USING INDEX stock_sku_idx (sku=?)"]
    );
    assert_eq!(database.restore_index("stock_sku_idx").expect_err("it is back").sqlstate, "42704");
}

#[test]
fn a_statement_misses_an_index_that_its_plan_had() {
    let mut database = database(SCHEMA);
    done(execute(&mut database, None, "CREATE INDEX stock_region ON stock (region)"));
    done(execute(&mut database, None, "CREATE INDEX stock_region_sku ON stock (region, sku)"));
    let missing = |database: &mut Database, sql: &str| {
        let statement = database.prepare(sql).expect("it parses");
        ["stock_sku_idx", "stock_region"].map(|name| database.misses(&statement, name))
    };
    let by_sku = "SELECT available FROM stock WHERE sku = $1";
    assert_eq!(missing(&mut database, by_sku), [false, false], "nothing is dropped");
    database.drop_index("stock_sku_idx").expect("there is one");
    for (sql, expected) in [
        (by_sku, true),
        ("UPDATE stock SET available = 0 WHERE sku IN ('S-1', 'S-2')", true),
        ("SELECT a.id FROM stock a JOIN stock b ON a.sku = b.sku", true),
        ("SELECT count(*) FROM stock", false),
        ("SELECT available FROM stock WHERE id = 7", false),
        ("SELECT available FROM stock WHERE region = 'eu' AND sku = 'S-1'", false),
        ("INSERT INTO stock (sku, region, available) VALUES ('x', 'eu', 1)", false),
    ] {
        assert_eq!(missing(&mut database, sql), [expected, false], "{sql}");
    }
    database.restore_index("stock_sku_idx").expect("it was there");
    assert_eq!(missing(&mut database, by_sku), [false, false], "it is back");
}

#[test]
fn a_server_that_ends_rolls_everything_back() {
    let mut database = database(SCHEMA);
    let owns = [1, 2].map(|id| {
        let own = database.begin(0).expect("it begins");
        done(execute(&mut database, Some(own), &format!("UPDATE stock SET available = -1 WHERE id = {id}")));
        own
    });
    database.rollback_all().expect("it rolls back");
    assert_eq!(owns.map(|own| database.is_open(own)), [false, false]);
    let left = done(execute(&mut database, None, "SELECT count(*) FROM stock WHERE available < 0"));
    assert_eq!(left.rows, [[Value::Int(0)]]);
    done(execute(&mut database, None, "UPDATE stock SET available = 3 WHERE id IN (1, 2)"));
}

#[test]
fn work_in_a_transaction_is_that_outside_of_one() {
    let mut database = database(SCHEMA);
    let sql = "SELECT count(*) FROM stock WHERE region = 'eu'";
    // The effort also has the rows that make room for those of another transaction.
    let counted = |done: Done| (done.work.steps, done.work.scanned, done.work.sorts);
    let alone = counted(done(execute(&mut database, None, sql)));
    let own = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(own), "UPDATE stock SET available = 1 WHERE id < 100"));
    assert_eq!(counted(done(execute(&mut database, Some(own), sql))), alone);
    assert_eq!(counted(done(execute(&mut database, None, sql))), alone);
    assert_eq!(counted(done(execute(&mut database, Some(own), sql))), alone);
}

#[test]
fn statements_follow_the_schema() {
    let mut database = database(SCHEMA);
    let statement = database.prepare("SELECT * FROM stock WHERE id = $1").expect("it parses");
    let run = |database: &mut Database| database.execute(None, &statement, &[Value::Int(1)], Call::at(0));
    assert_eq!(done(run(&mut database)).columns.len(), 4);
    done(execute(&mut database, None, "ALTER TABLE stock ADD COLUMN added BOOLEAN NOT NULL DEFAULT true"));
    let more = done(run(&mut database));
    assert_eq!((more.columns.len(), &more.rows[0][4]), (5, &Value::Bool(true)));
    done(execute(&mut database, None, "ALTER TABLE stock RENAME COLUMN added TO extra"));
    assert_eq!(done(run(&mut database)).columns[4].name, "extra");
    done(execute(&mut database, None, "ALTER TABLE stock DROP COLUMN extra"));
    assert_eq!(done(run(&mut database)).columns.len(), 4);
    done(execute(&mut database, None, "ALTER TABLE stock RENAME TO stocks"));
    assert_eq!(failed(run(&mut database)).sqlstate, "42P01");
    done(execute(&mut database, None, "INSERT INTO stocks (sku, region, available) VALUES ('x', 'eu', 1)"));
    let names: Vec<String> = database.tables().expect("tables").into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["stocks", "tokens"]);
    let indexes: Vec<String> =
        database.indexes().into_iter().map(|index| index.table + "." + &index.name).collect();
    assert_eq!(indexes, ["stocks.stock_pkey", "stocks.stock_sku_idx"]);
    database.drop_index("stock_sku_idx").expect("there is one");
    database.restore_index("stock_sku_idx").expect("it was there");
    done(execute(&mut database, None, "DROP TABLE stocks"));
    assert_eq!(failed(run(&mut database)).sqlstate, "42P01");
}

#[test]
fn rows_are_inserted_by_the_thousand() {
    let mut database = database(SCHEMA);
    let rows = (0..5_000).map(|n| vec![Value::Text(format!("T-{n}")), Value::from("ap"), Value::Int(n)]);
    let count = database.insert_rows("stock", &["sku", "region", "available"], rows, 0).expect("rows");
    assert_eq!(count, 5_000);
    let rows =
        done(execute(&mut database, None, "SELECT count(*), max(id) FROM stock WHERE region = 'ap'")).rows;
    assert_eq!(rows, [[Value::Int(5_000), Value::Int(7_000)]]);
}

/// `cargo test --release -p simhost-sql --test same -- --ignored --nocapture`, on Linux.
#[test]
#[ignore = "it measures, which says something in a release build alone"]
fn what_statements_cost() {
    let nanos = || -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        text.split(' ').next().and_then(|first| first.parse().ok()).expect("nanoseconds of this thread")
    };
    let mut database =
        database("CREATE TABLE stock (id INT PRIMARY KEY, sku TEXT NOT NULL UNIQUE, n INT NOT NULL)");
    let rows = (0..95_000).map(|n| vec![Value::Int(n), Value::Text(format!("S{n:06}")), Value::Int(10)]);
    let begun = nanos();
    database.insert_rows("stock", &["id", "sku", "n"], rows, 0).expect("rows");
    println!("95,000 rows inserted: {} ms", (nanos() - begun) / 1_000_000);
    let point = "SELECT n FROM stock WHERE sku = $1";
    let update = "UPDATE stock SET n = n - 1 WHERE sku = $1";
    let count = 20_000_u64;
    for (name, sql, in_transaction) in [
        ("point query", point, false),
        ("point update", update, false),
        ("transaction of a point query", point, true),
        ("transaction of a point update", update, true),
    ] {
        let begun = nanos();
        for n in 0..count {
            let statement = database.prepare(sql).expect("it parses");
            let key = [Value::Text(format!("S{:06}", n * 37 % 95_000))];
            let own = in_transaction.then(|| database.begin(0).expect("it begins"));
            match database.execute(own, &statement, &key, Call::at(0)) {
                Outcome::Done(_) => {}
                other => panic!("{other:?}"),
            }
            own.into_iter().for_each(|own| {
                database.commit(own).expect("it is open");
            });
        }
        println!("{name}: {:.2} µs", (nanos() - begun) as f64 / count as f64 / 1e3);
    }
    let others = database.begin(0).expect("it begins");
    done(execute(&mut database, Some(others), "UPDATE stock SET n = 0 WHERE id = 94999"));
    let begun = nanos();
    for n in 0..count {
        let statement = database.prepare(update).expect("it parses");
        let key = [Value::Text(format!("S{:06}", n * 37 % 90_000))];
        done(database.execute(None, &statement, &key, Call::at(0)));
    }
    println!("point update while others hold locks: {:.2} µs", (nanos() - begun) as f64 / count as f64 / 1e3);
    let begun = nanos();
    for n in 0..2_000 {
        database.prepare(&format!("SELECT n FROM stock WHERE sku = 'S{n:06}'")).expect("it parses");
    }
    println!("parsing and translating: {:.2} µs", (nanos() - begun) as f64 / 2e6);
    let statement = database.prepare("SELECT count(*) FROM stock WHERE n = 9").expect("it parses");
    let begun = nanos();
    let mut work = simhost_sql::Work::default();
    for _ in 0..200 {
        work = done(database.execute(None, &statement, &[], Call::at(0))).work;
    }
    println!("scan: {} µs, {work:?}", (nanos() - begun) / 200_000);
}
