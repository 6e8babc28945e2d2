//! Statements that fail or are given up, and what they leave to others; changes of tables.

use super::*;

const FIRST: &str = "UPDATE stock SET n = n + 1 WHERE id = 1";

/// A transaction that has changed the first row, at a database with these settings.
fn holder(change: impl FnOnce(&mut model::Database)) -> (Sched, Rc<Live>, Open) {
    let (sched, live) = live(|settings| {
        settings.cores = 4;
        settings.cost.step = 0;
        change(settings);
    });
    let update = prepare(&live, FIRST).expect("it parses");
    let begun = async {
        let mut open = live.begin(&NOBODY).await.expect("it begins");
        open.execute(&update, &none(), &NOBODY).await.result.expect("it runs");
        open
    };
    let open = sched.block_on(begun, || {}).expect("it ends");
    (sched, live, open)
}

/// Executes a statement of the transaction after a second, and keeps the transaction for ten more.
fn later(sched: &Sched, mut open: Open, text: &str, expected: Result<(), &'static str>) {
    let (sleeper, statement) = (sched.clone(), prepare(&open.live, text).expect("it parses"));
    sched.spawn(async move {
        sleeper.sleep(1_000_000_000).await;
        let result = open.execute(&statement, &none(), &NOBODY).await.result;
        assert_eq!(result.map(drop).map_err(|failure| failure.sqlstate), expected);
        sleeper.sleep(10_000_000_000).await;
        drop(open);
    });
}

#[test]
fn who_waits_for_a_transaction_goes_on_when_a_statement_of_it_fails() {
    let (sched, live, open) = holder(|_| {});
    later(&sched, open, "SELECT 1 / (n - n) FROM stock WHERE id = 2", Err("22012"));
    let (result, took) = ask(&sched, &live, FIRST, &NOBODY);
    assert!(result == Ok(1) && (1_000_000_000..1_002_000_000).contains(&took), "{result:?} after {took}");
    let rows = prepare(&live, "SELECT n FROM stock WHERE id = 1").expect("it parses");
    let answer = sched.block_on(live.execute(&rows, &none(), &NOBODY), || {}).expect("it ends");
    assert_eq!(answer.result.expect("it runs").rows, [[Value::Int(11)]], "what had failed is undone");
}

#[test]
fn who_waits_for_a_transaction_goes_on_when_that_gives_up_a_lock_of_its_own() {
    for (lock, statement, code) in
        [(Some(500_000_000), None, "55P03"), (None, Some(500_000_000), "57014"), (None, None, "40P01")]
    {
        let (sched, live, open) = holder(|settings| {
            settings.lock_timeout = lock;
            settings.statement_timeout = statement;
        });
        let second = prepare(&live, "UPDATE stock SET n = n + 1 WHERE id = 2").expect("it parses");
        let first = prepare(&live, FIRST).expect("it parses");
        let other = async {
            let mut other = live.begin(&NOBODY).await.expect("it begins");
            other.execute(&second, &none(), &NOBODY).await.result.expect("it runs");
            other
        };
        let mut other = sched.block_on(other, || {}).expect("it ends");
        later(&sched, open, "UPDATE stock SET n = n + 1 WHERE id = 2", Err(code));
        let begun = sched.now();
        let waits = async {
            sched.sleep(1_200_000_000).await;
            let answer = other.execute(&first, &none(), &NOBODY).await;
            answer.result.map(|done| done.affected).map_err(|failure| failure.sqlstate)
        };
        assert_eq!(sched.block_on(waits, || {}).expect("it ends"), Ok(1), "beside {code}");
        // Half a second after the other has begun to wait, or a second for a deadlock.
        let expected = if code == "40P01" { 2_000_000_000 } else { 1_500_000_000 };
        let took = sched.now() - begun;
        assert!((expected..expected + 20_000_000).contains(&took), "{code}: {took}");
    }
}

#[test]
fn who_waits_for_a_transaction_goes_on_when_it_returns_to_before_the_lock() {
    let (sched, live, mut open) = holder(|_| {});
    let savepoint = async {
        for text in ["SAVEPOINT a", "UPDATE stock SET n = 0 WHERE id = 2"] {
            let statement = prepare(&live, text).expect("it parses");
            open.execute(&statement, &none(), &NOBODY).await.result.expect("it runs");
        }
        open
    };
    let open = sched.block_on(savepoint, || {}).expect("it ends");
    later(&sched, open, "ROLLBACK TO a", Ok(()));
    let (result, took) = ask(&sched, &live, "UPDATE stock SET n = 5 WHERE id = 2", &NOBODY);
    assert!(result == Ok(1) && (1_000_000_000..1_002_000_000).contains(&took), "{result:?} after {took}");
}

#[test]
fn nobody_is_kept_among_those_that_wait_once_it_has_given_up() {
    for (lock, statement, code) in [(Some(1_000_000), None, "55P03"), (None, Some(1_000_000), "57014")] {
        let (sched, live, open) = holder(|settings| {
            settings.lock_timeout = lock;
            settings.statement_timeout = statement;
        });
        assert_eq!(ask(&sched, &live, FIRST, &NOBODY).0, Err(code));
        assert_eq!(live.waiting.borrow().len(), 0, "{code}");
        drop(open);
    }
    let (sched, live, open) = holder(|_| {});
    let update = prepare(&live, FIRST).expect("it parses");
    let given_up = async {
        let params = none();
        let (patience, asked) = (pin!(sched.sleep(1_000_000)), pin!(live.execute(&update, &params, &NOBODY)));
        matches!(select(patience, asked).await, Either::Left(_))
    };
    assert!(sched.block_on(given_up, || {}).expect("it ends"));
    assert_eq!(live.waiting.borrow().len(), 0, "its guest was stopped");
    drop(open);
}

#[test]
fn changes_of_tables_pay_a_commit_and_have_the_table_until_it_is_paid() {
    let (update, read) = ("UPDATE stock SET n = 1 WHERE id = 1", "SELECT count(*) FROM stock");
    for (change, others) in [
        // Who only reads goes on beside the making of an index.
        ("CREATE INDEX stock_id_n ON stock (id, n)", [(13_200, "[[Int(1000)]]"), (512_000, "[]")]),
        ("ALTER TABLE stock ADD COLUMN more INT", [(512_000, "[]"), (523_000, "[[Int(1000)]]")]),
        ("TRUNCATE stock", [(512_000, "[]"), (523_000, "[[Int(0)]]")]),
    ] {
        let (sched, live) = live(|settings| {
            settings.cost.step = 0;
            settings.cores = 4;
        });
        let told = alone(&sched, &live, &[(0, change), (200, read)]);
        assert_eq!(told, others.map(|(at, what)| (at, what.to_owned())), "{change}");
    }
    let (sched, live) = live(|settings| {
        settings.cost.step = 0;
        settings.cores = 4;
    });
    let told = alone(&sched, &live, &[(0, "CREATE INDEX stock_id_n ON stock (id, n)"), (100, update)]);
    assert_eq!(told, [(512_000, "[]".to_owned()), (1_022_000, "[]".to_owned())], "a writer waits for it");
    let again = "CREATE INDEX IF NOT EXISTS stock_n ON stock (n)";
    // A hundred seconds after the others. Nothing is to be done, and nothing to be committed.
    assert_eq!(alone(&sched, &live, &[(0, again)]), [(100_000_012_000, "[]".to_owned())]);
}

#[test]
fn a_change_of_a_table_waits_for_who_has_it() {
    let (sched, live, open) = holder(|_| {});
    let ender = sched.clone();
    sched.spawn(async move {
        ender.sleep(1_000_000_000).await;
        open.commit(&NOBODY).await.expect("it commits");
    });
    let (result, took) = ask(&sched, &live, "TRUNCATE stock", &NOBODY);
    assert!(result == Ok(0) && took > 1_000_000_000, "{result:?} after {took}");
}
