//! Who waits for a lock is told when it is free, whatever else the database does at that moment.

use super::*;

const FIRST: &str = "UPDATE stock SET n = n + 1 WHERE id = 1";

/// It takes some milliseconds, so that others come while it runs.
const LONG: &str =
    "UPDATE stock SET n = n + 1 WHERE id = 1 AND (SELECT count(*) FROM generate_series(1, 2000)) > 0";

#[test]
fn in_real_time_nobody_waits_for_a_transaction_that_has_ended_while_the_engine_was_busy() {
    let (sched, live) = live_on(Clock::real(1.0), |settings| {
        settings.cores = 64;
        // An answer is on its way while the next statement runs.
        settings.latency = Distribution::Fixed(100_000);
        settings.cost = Cost { statement: 0, step: 0, row: 0, commit: Distribution::Fixed(0) };
    });
    let prepared = live.prepare(LONG);
    let update = sched.block_on(prepared, || {}).expect("it ends").expect("it parses");
    let ended: Rc<Cell<u32>> = Rc::default();
    let (tell, told) = sched::oneshot();
    let tell = Rc::new(Cell::new(Some(tell)));
    const TASKS: u32 = 8;
    for _ in 0..TASKS {
        let (live, update) = (Rc::clone(&live), Arc::clone(&update));
        let (ended, tell) = (Rc::clone(&ended), Rc::clone(&tell));
        sched.spawn(async move {
            for _ in 0..5 {
                let mut open = live.begin(&NOBODY).await.expect("it begins");
                open.execute(&update, &none(), &NOBODY).await.result.expect("it runs");
                // Rolled back at once, while the statement of another runs.
                drop(open);
            }
            ended.set(ended.get() + 1);
            if ended.get() == TASKS {
                tell.take().expect("the last one").send(()).ok();
            }
        });
    }
    let patience = sched.sleep(60_000_000_000);
    let all = sched.block_on(select(told, patience), || {}).expect("it ends");
    assert!(matches!(all, Either::Left(_)), "{} of {TASKS} went on", ended.get());
}

#[test]
fn who_waits_for_a_statement_that_fails_comes_before_who_arrives_until_it_is_paid() {
    let (sched, live) = live(|settings| settings.cores = 8);
    // A long failure: it has its locks no longer, while it takes its time.
    let failing = "SELECT 1 / (count(*) - 1000) FROM stock";
    let (update, failing) =
        (prepare(&live, FIRST).expect("it parses"), prepare(&live, failing).expect("too"));
    let holder = {
        let (live, update) = (Rc::clone(&live), Arc::clone(&update));
        let sleeper = sched.clone();
        async move {
            let mut open = live.begin(&NOBODY).await.expect("it begins");
            open.execute(&update, &none(), &NOBODY).await.result.expect("it runs");
            sleeper.sleep(1_000_000).await;
            let failed = open.execute(&failing, &none(), &NOBODY).await;
            assert_eq!(failed.result.expect_err("it fails").sqlstate, "22012");
            open.rollback(&NOBODY).await;
        }
    };
    sched.spawn(holder);
    let set = |number: i32| format!("UPDATE stock SET n = {number} WHERE id = 1");
    // Two that wait, in this order, and one that comes while the failure is being paid.
    let texts = [set(1), set(2), set(3)];
    let at = [100_000, 200_000, 1_100_000];
    let statements: Vec<(Nanos, &str)> = at.into_iter().zip(texts.iter().map(String::as_str)).collect();
    let order: Rc<RefCell<Vec<usize>>> = Rc::default();
    for (number, (at, text)) in statements.into_iter().enumerate() {
        let statement = prepare(&live, text).expect("it parses");
        let (sleeper, live, order) = (sched.clone(), Rc::clone(&live), Rc::clone(&order));
        sched.spawn(async move {
            sleeper.sleep(at).await;
            live.execute(&statement, &none(), &NOBODY).await.result.expect("it runs");
            order.borrow_mut().push(number);
        });
    }
    sched.block_on(sched.sleep(10_000_000_000), || {}).expect("it ends");
    assert_eq!(*order.borrow(), [0, 1, 2]);
}
