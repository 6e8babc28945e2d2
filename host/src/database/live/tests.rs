//! Statements on the simulated clock, without guests.

mod failed;
mod overlap;
mod waking;

use std::task::Poll;

use super::*;
use crate::clock::{Clock, VIRTUAL_START};
use crate::model::{Cost, DatabaseFault, Distribution, TableLock};
use crate::rng::Purpose;
use futures_util::future::FutureExt;
use simhost_sql::{Bounds, Database, Options};

/// Whom no fault strikes.
struct Nobody;

impl Client for Nobody {
    fn struck(&self, fault: usize, _: Option<Nanos>) {
        panic!("the fault {fault} strikes nobody");
    }

    fn chance(&self) -> Key {
        Key::new(1, Purpose::Statement)
    }
}

const NOBODY: Nobody = Nobody;

const SCHEMA: &str = "CREATE TABLE stock (id INT PRIMARY KEY, n INT NOT NULL);
    INSERT INTO stock SELECT i, 10 FROM generate_series(1, 1000) AS i;
    CREATE INDEX stock_n ON stock (n);";

/// No parameters.
fn none() -> Arc<[Value]> {
    Arc::from([])
}

fn prepare(live: &Live, text: &str) -> Result<Arc<Statement>, Failure> {
    live.prepare(text).now_or_never().expect("nobody else has the engine")
}

fn live(change: impl FnOnce(&mut model::Database)) -> (Sched, Rc<Live>) {
    live_on(Clock::virtual_from(VIRTUAL_START), change)
}

fn live_on(clock: Clock, change: impl FnOnce(&mut model::Database)) -> (Sched, Rc<Live>) {
    let sched = Sched::new(clock);
    let mut settings = model::Database {
        name: "inventory".to_owned(),
        schema: model::Schema::File { path: "inventory.sql".into(), place: 0..0 },
        text: None,
        rows: Vec::new(),
        cores: 1,
        connections: 2,
        latency: Distribution::Fixed(1_000),
        cost: Cost { statement: 10_000, step: 100, row: 1_000, commit: Distribution::Fixed(500_000) },
        statement_timeout: None,
        lock_timeout: None,
        place: 0..0,
    };
    change(&mut settings);
    // A statement that never ends is given up after some tenths of a second.
    let bounds = Bounds { steps: 10_000_000, ..Bounds::default() };
    let engine = Database::open(SCHEMA, Options { bounds, ..Options::default() }).expect("a schema");
    let live = Live::new((0, settings), engine, &sched, true);
    (sched, live)
}

/// Runs statements at these times, each alone; what came of them, and when.
fn alone(sched: &Sched, live: &Rc<Live>, statements: &[(Nanos, &str)]) -> Vec<(Nanos, String)> {
    let told: Rc<RefCell<Vec<(Nanos, String)>>> = Rc::default();
    for (at, text) in statements {
        let statement = prepare(live, text).expect("it parses");
        let (sched, live, told, at) = (sched.clone(), Rc::clone(live), Rc::clone(&told), *at);
        sched.clone().spawn(async move {
            sched.sleep(at).await;
            let answer = live.execute(&statement, &none(), &NOBODY).await;
            let what = match answer.result {
                Ok(done) => format!("{:?}", done.rows),
                Err(failure) => failure.sqlstate.to_owned(),
            };
            told.borrow_mut().push((sched.now() - VIRTUAL_START, what));
        });
    }
    sched.block_on(sched.sleep(100_000_000_000), || {}).expect("it ends");
    told.take()
}

#[test]
fn a_statement_takes_its_way_its_steps_and_its_rows() {
    let (sched, live) = live(|_| {});
    let work = {
        let statement = prepare(&live, "SELECT n FROM stock WHERE id = 7").expect("it parses");
        let answer = sched.block_on(live.execute(&statement, &none(), &NOBODY), || {}).expect("it ends");
        assert_eq!(answer.result.expect("it runs").rows.len(), 1);
        answer.work
    };
    let took = sched.now() - VIRTUAL_START;
    assert_eq!(took, 2 * 1_000 + 10_000 + 100 * work.steps + 1_000);
}

/// Who asks the statement of this number.
struct Number(u64);

impl Client for Number {
    fn struck(&self, _: usize, _: Option<Nanos>) {}

    fn chance(&self) -> Key {
        Key::new(self.0, Purpose::Statement)
    }
}

/// How long a change takes that the statement of this number makes, and a connection for it.
fn taken(number: u64, latency: &Distribution, commit: &Distribution) -> (Nanos, Nanos) {
    let (sched, live) = live(|settings| {
        (settings.latency, settings.cost.commit) = (latency.clone(), commit.clone());
        settings.cost.step = 0;
    });
    let (client, update) = (Number(number), "UPDATE stock SET n = 1 WHERE id = 7");
    let connected = sched.block_on(live.connect(&client), || {}).expect("it ends");
    assert_eq!(connected, Ok(()));
    let connecting = sched.now() - VIRTUAL_START;
    (ask(&sched, &live, update, &client).1 - 10_000, connecting)
}

#[test]
fn ways_and_commits_vary_by_what_is_asked_and_each_by_itself() {
    let varied = |median| Distribution::Lognormal { median, sigma: 0.3 };
    let zero = Distribution::Fixed(0);
    for number in 0..50 {
        let ways = taken(number, &varied(200_000), &zero);
        let (commit, none) = taken(number, &zero, &varied(1_000_000));
        let both = taken(number, &varied(200_000), &varied(1_000_000));
        assert_eq!((both, none), ((ways.0 + commit, ways.1), 0), "one draw does not move another");
        assert_eq!(taken(number, &varied(200_000), &varied(1_000_000)), both, "the same again");
        // Within four standard deviations: 2 ways, 8 ways, one commit.
        assert!((130_000..1_400_000).contains(&ways.0) && (800_000..3_200_000).contains(&ways.1), "{ways:?}");
        assert!((300_000..3_400_000).contains(&commit), "{commit}");
    }
    let distinct: std::collections::BTreeSet<_> =
        (0..50).map(|number| taken(number, &varied(200_000), &zero)).collect();
    assert_eq!(distinct.len(), 50);
}

#[test]
fn statements_beyond_the_cores_wait_for_one_another() {
    let (sched, live) = live(|settings| settings.cost.step = 0);
    let told = alone(&sched, &live, &[(0, "SELECT 1"), (0, "SELECT 2"), (0, "SELECT 3")]);
    let times: Vec<Nanos> = told.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [13_000, 24_000, 35_000]);
}

#[test]
fn a_change_holds_its_rows_until_it_is_committed() {
    let (sched, live) = live(|settings| {
        settings.cost.step = 0;
        settings.cores = 4;
    });
    let update = "UPDATE stock SET n = n - 1 WHERE id = 1 RETURNING n";
    let told = alone(&sched, &live, &[(0, update), (100, update), (200, "SELECT n FROM stock WHERE id = 1")]);
    assert_eq!(
        told,
        [
            (13_200, "[[Int(10)]]".to_owned()),
            (513_000, "[[Int(9)]]".to_owned()),
            // It began again when the first had committed.
            (1_024_000, "[[Int(8)]]".to_owned()),
        ]
    );
}

#[test]
fn a_lock_is_waited_for_no_longer_than_the_timeouts() {
    let (sched, live) = live(|settings| {
        settings.cores = 4;
        settings.lock_timeout = Some(2_000_000_000);
    });
    let statement = prepare(&live, "UPDATE stock SET n = 0 WHERE id = 1").expect("it parses");
    let holder = async {
        let mut open = live.begin(&NOBODY).await.expect("it begins");
        open.execute(&statement, &none(), &NOBODY).await.result.expect("it runs");
        open
    };
    let open = sched.block_on(holder, || {}).expect("it ends");
    let begun = sched.now();
    let answer = sched.block_on(live.execute(&statement, &none(), &NOBODY), || {}).expect("it ends");
    assert_eq!(answer.result.expect_err("it waits").sqlstate, "55P03");
    assert!((2_000_000_000..2_001_000_000).contains(&(sched.now() - begun)));
    drop(open);
    let answer = sched.block_on(live.execute(&statement, &none(), &NOBODY), || {}).expect("it ends");
    assert_eq!(answer.result.expect("it is free").affected, 1);
}

#[test]
fn a_deadlock_ends_after_a_second_and_one_goes_on() {
    let (sched, live) = live(|settings| settings.cores = 4);
    let told: Rc<RefCell<Vec<String>>> = Rc::default();
    for (first, second) in [(1, 2), (2, 1)] {
        let (live, told, sched) = (Rc::clone(&live), Rc::clone(&told), sched.clone());
        let update = |id: i32| prepare(&live, &format!("UPDATE stock SET n = n + 1 WHERE id = {id}"));
        let (first, second) = (update(first).expect("it parses"), update(second).expect("it parses"));
        let live = Rc::clone(&live);
        sched.clone().spawn(async move {
            let mut open = live.begin(&NOBODY).await.expect("it begins");
            open.execute(&first, &none(), &NOBODY).await.result.expect("it runs");
            sched.sleep(1_000_000).await;
            let said = match open.execute(&second, &none(), &NOBODY).await.result {
                Ok(_) => format!("{:?}", open.commit(&NOBODY).await),
                Err(failure) => failure.sqlstate.to_owned(),
            };
            told.borrow_mut().push(said);
        });
    }
    sched.block_on(sched.sleep(10_000_000_000), || {}).expect("it ends");
    assert_eq!(*told.borrow(), ["40P01", "Ok(Committed { rows: 2 })"]);
}

#[test]
fn a_statement_ends_at_its_timeout() {
    let (sched, live) = live(|settings| settings.statement_timeout = Some(1_000_000));
    let told = alone(&sched, &live, &[(0, "SELECT count(*) FROM generate_series(1, 100000)")]);
    let (at, what) = &told[0];
    assert_eq!(what, "57014");
    assert!((900_000..1_100_000).contains(at), "{at}");
}

#[test]
fn connections_are_counted_and_take_four_ways_there_and_back() {
    let (sched, live) = live(|_| {});
    let connect = || {
        let begun = sched.now();
        let result = sched.block_on(live.connect(&NOBODY), || {}).expect("it ends");
        (result.map_err(|failure| failure.sqlstate), sched.now() - begun)
    };
    assert_eq!([connect(), connect()], [(Ok(()), 8_000); 2]);
    assert_eq!(connect(), (Err("53300"), 4_000));
    live.disconnect(1, live.life());
    assert_eq!(connect(), (Ok(()), 8_000));
}

/// Notes the faults that strike it.
#[derive(Default)]
struct Noted(RefCell<Vec<(usize, Option<Nanos>)>>);

impl Client for Noted {
    fn struck(&self, fault: usize, longer: Option<Nanos>) {
        self.0.borrow_mut().push((fault, longer));
    }

    fn chance(&self) -> Key {
        Key::new(2, Purpose::Statement)
    }
}

fn begin(live: &Live, fault: usize, effect: &DatabaseFault) {
    live.begin_fault(fault, effect, Box::new(|_| 1.0));
}

/// Runs a statement now: what came of it, and how long it took.
fn ask(
    sched: &Sched,
    live: &Rc<Live>,
    text: &str,
    client: &dyn Client,
) -> (Result<u64, &'static str>, Nanos) {
    let statement = prepare(live, text).expect("it parses");
    let begun = sched.now();
    let answer = sched.block_on(live.execute(&statement, &none(), client), || {}).expect("it ends");
    (answer.result.map(|done| done.affected).map_err(|failure| failure.sqlstate), sched.now() - begun)
}

#[test]
fn an_index_that_is_gone_costs_a_scan_and_strikes_who_would_have_used_it() {
    let (sched, live) = live(|_| {});
    let (by_n, by_id) = ("SELECT id FROM stock WHERE n = 7", "SELECT n FROM stock WHERE id = 7");
    let before = ask(&sched, &live, by_n, &NOBODY);
    begin(&live, 4, &DatabaseFault::DropIndex { index: ("stock_n".to_owned(), 0..0) });
    let noted = Noted::default();
    let (result, took) = ask(&sched, &live, by_n, &noted);
    assert!(result == before.0 && took >= before.1 + 300_000, "{took} after {before:?}");
    assert_eq!(*noted.0.borrow(), [(4, None)]);
    assert_eq!(ask(&sched, &live, by_id, &NOBODY).0, Ok(1));
    live.end_fault(4);
    assert_eq!(ask(&sched, &live, by_n, &NOBODY), before);
}

#[test]
fn a_locked_table_is_waited_for_until_it_is_free_or_the_timeout_is_over() {
    let read = "SELECT n FROM stock WHERE id = 7";
    for (mode, timeout, expected) in [
        (TableLock::AccessExclusive, None, Ok(1)),
        (TableLock::AccessExclusive, Some(2_000_000_000), Err("55P03")),
    ] {
        let (sched, live) = live(|settings| settings.lock_timeout = timeout);
        begin(&live, 2, &DatabaseFault::LockTable { table: ("stock".to_owned(), 0..0), mode });
        let (ends, ender) = (Rc::clone(&live), sched.clone());
        sched.spawn(async move {
            ender.sleep(5_000_000_000).await;
            ends.end_fault(2);
        });
        let noted = Noted::default();
        let (result, took) = ask(&sched, &live, read, &noted);
        assert_eq!(
            (result, took / 1_000_000_000),
            (expected, timeout.unwrap_or(5_000_000_000) / 1_000_000_000)
        );
        assert_eq!(*noted.0.borrow(), [(2, None)], "once");
    }
    let (sched, live) = live(|_| {});
    let effect = DatabaseFault::LockTable { table: ("stock".to_owned(), 0..0), mode: TableLock::Share };
    begin(&live, 2, &effect);
    assert_eq!(ask(&sched, &live, read, &NOBODY).0, Ok(1), "what only reads goes on");
}

#[test]
fn a_lock_that_waits_for_a_transaction_keeps_who_comes_behind_it() {
    let (sched, live) = live(|settings| settings.cores = 4);
    let update = prepare(&live, "UPDATE stock SET n = 0 WHERE id = 1").expect("it parses");
    let open = sched.block_on(
        async {
            let mut open = live.begin(&NOBODY).await.expect("it begins");
            open.execute(&update, &none(), &NOBODY).await.result.expect("it runs");
            open
        },
        || {},
    );
    let open = open.expect("it ends");
    let mode = TableLock::AccessExclusive;
    begin(&live, 0, &DatabaseFault::LockTable { table: ("stock".to_owned(), 0..0), mode });
    let (committer, ender, ending) = (sched.clone(), sched.clone(), Rc::clone(&live));
    sched.spawn(async move {
        committer.sleep(1_000_000_000).await;
        open.commit(&NOBODY).await.expect("it commits");
    });
    sched.spawn(async move {
        ender.sleep(3_000_000_000).await;
        ending.end_fault(0);
    });
    let noted = Noted::default();
    let (result, took) = ask(&sched, &live, "SELECT n FROM stock WHERE id = 2", &noted);
    assert_eq!((result, took / 1_000_000_000), (Ok(1), 3));
    assert_eq!(*noted.0.borrow(), [(0, None)]);
}

#[test]
fn a_slow_disk_takes_longer_for_steps_and_commits_as_far_as_it_has_grown() {
    let update = "UPDATE stock SET n = n WHERE id = 7";
    let (sched, live) = live(|settings| settings.cost.step = 10_000);
    let (_, before) = ask(&sched, &live, update, &NOBODY);
    live.begin_fault(1, &DatabaseFault::SlowDisk { times: 5.0 }, Box::new(|_| 0.5));
    let noted = Noted::default();
    let (result, took) = ask(&sched, &live, update, &noted);
    let work = before - 2 * 1_000 - 10_000;
    assert_eq!((result, took - before), (Ok(1), 2 * work), "three times as long");
    let steps = work - 500_000;
    assert_eq!(*noted.0.borrow(), [(1, Some(2 * steps)), (1, Some(2 * 500_000))]);
    live.end_fault(1);
    assert_eq!(ask(&sched, &live, update, &NOBODY).1, before);
}

#[test]
fn connections_that_others_have_are_refused() {
    let (sched, live) = live(|settings| settings.connections = 3);
    let noted = Noted::default();
    let connect = |client: &dyn Client| {
        let result = sched.block_on(live.connect(client), || {}).expect("it ends");
        result.map_err(|failure| failure.sqlstate)
    };
    begin(&live, 3, &DatabaseFault::TooManyConnections { left: 1 });
    assert_eq!([connect(&NOBODY), connect(&noted)], [Ok(()), Err("53300")]);
    assert_eq!(*noted.0.borrow(), [(3, None)]);
    live.end_fault(3);
    assert_eq!([connect(&NOBODY), connect(&NOBODY), connect(&NOBODY)], [Ok(()), Ok(()), Err("53300")]);
}

#[test]
fn a_failover_breaks_connections_and_keeps_what_was_committed() {
    let (sched, live) = live(|settings| {
        settings.cores = 4;
        settings.cost.statement = 1_000_000_000;
    });
    let update = |id: u64, n: u64| {
        prepare(&live, &format!("UPDATE stock SET n = {n} WHERE id = {id}")).expect("it parses")
    };
    let (first, second) = (update(1, 111), update(2, 222));
    assert_eq!(ask(&sched, &live, "UPDATE stock SET n = 333 WHERE id = 3", &NOBODY).0, Ok(1));
    let (noted, ending) = (Noted::default(), Rc::clone(&live));
    let ender = sched.clone();
    sched.spawn(async move {
        ender.sleep(1_500_000_000).await;
        begin(&ending, 7, &DatabaseFault::Failover);
    });
    let story = async {
        let mut open = live.begin(&NOBODY).await.expect("it begins");
        open.execute(&first, &none(), &NOBODY).await.result.expect("it runs");
        let begun = sched.now();
        let broken = open.execute(&second, &none(), &noted).await.result.expect_err("the server ends");
        let took = sched.now() - begun;
        assert!(broken.sqlstate == "57P01" && took < 600_000_000, "{broken:?} after {took}");
        let still = open.execute(&second, &none(), &noted).await.result.expect_err("it is broken");
        let committed = open.commit(&noted).await.expect_err("it is broken");
        assert_eq!([still.sqlstate, committed.sqlstate], ["57P01"; 2]);
        live.connect(&noted).await.expect_err("no server is there").sqlstate
    };
    assert_eq!(sched.block_on(story, || {}), Ok("57P03"));
    assert_eq!(*noted.0.borrow(), [(7, None); 4]);
    live.end_fault(7);
    assert_eq!(sched.block_on(live.connect(&NOBODY), || {}).expect("it ends"), Ok(()));
    let left = prepare(&live, "SELECT id, n FROM stock WHERE id < 4").expect("it parses");
    let left = sched.block_on(live.execute(&left, &none(), &NOBODY), || {}).expect("it ends");
    let rows = left.result.expect("it runs").rows;
    assert_eq!(rows, [[1, 10], [2, 10], [3, 333]].map(|row| row.map(Value::Int)));
}

/// Never end by themselves.
const ENDLESS: &str =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
const ENDLESS_UPDATE: &str = "UPDATE stock SET n = (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                              SELECT count(*) FROM n)";

/// Steps that an engine makes in 5 ms, at most: 50 million of `ENDLESS` took 0.70 s of a processor, in a
/// release build.
const STEPS_IN_5_MS: u64 = 350_000;

/// Others have a turn for each 5 ms of a statement, counted in its steps: who held the core for longer at a
/// time would let them have fewer, whatever else the machine does.
#[test]
fn in_real_time_a_long_statement_holds_the_core_for_no_5_ms() {
    // Nothing but the engine takes time, and another task has a turn whenever the core is free.
    let (sched, live) = live_on(Clock::real(1.0), |settings| {
        settings.latency = Distribution::Fixed(0);
        settings.cost = Cost { statement: 0, step: 0, row: 0, commit: Distribution::Fixed(0) };
    });
    let turns = Rc::new(Cell::new(0));
    sched.spawn({
        let turns = Rc::clone(&turns);
        std::future::poll_fn(move |context| {
            turns.set(turns.get() + 1);
            context.waker().wake_by_ref();
            Poll::Pending
        })
    });
    for text in
        [ENDLESS, ENDLESS_UPDATE, "INSERT INTO stock SELECT i, 1 FROM generate_series(2000, 200000) AS i"]
    {
        let statement = sched.block_on(live.prepare(text), || {}).expect("it ends").expect("it parses");
        let before = turns.get();
        let answer = sched.block_on(live.execute(&statement, &none(), &NOBODY), || {}).expect("it ends");
        let (turns, steps) = (turns.get() - before, answer.work.steps);
        assert!(steps > 5 * STEPS_IN_5_MS, "{text}: {steps} steps are soon done");
        assert!(turns >= steps / STEPS_IN_5_MS, "{text}: {turns} turns of another task in {steps} steps");
    }
}

#[test]
fn a_statement_that_is_given_up_in_real_time_leaves_nothing_behind() {
    let (sched, live) = live_on(Clock::real(1.0), |settings| settings.cost.step = 0);
    let slow = prepare(&live, ENDLESS_UPDATE).expect("it parses");
    let quick = prepare(&live, "UPDATE stock SET n = n + 1 WHERE id = 7 RETURNING n").expect("it parses");
    let given_up = async {
        let params = none();
        let patience = pin!(sched.sleep(20_000_000));
        let asked = pin!(live.execute(&slow, &params, &NOBODY));
        matches!(select(patience, asked).await, Either::Left(_))
    };
    assert!(sched.block_on(given_up, || {}).expect("it ends"), "it never ends by itself");
    // Its transaction is rolled back, and with it the locks of its rows are gone.
    let answer = sched.block_on(live.execute(&quick, &none(), &NOBODY), || {}).expect("it ends");
    assert_eq!(answer.result.expect("it runs").rows, [[Value::Int(11)]]);
    assert_eq!(answer.locked, 0);
}
