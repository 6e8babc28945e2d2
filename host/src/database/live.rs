//! A database at work: statements take simulated time, wait for cores and for one another's locks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{Either, select};
use simhost_sql::{
    Blocked, Call, Class, Database, Done, Ended, Failure, Outcome, Statement, Transaction, Value, Work,
};

use super::slots::Slots;
use crate::model::{self, Nanos};
use crate::sched::{self, Sched};

/// How long a statement waits for a lock before it looks for a deadlock: PostgreSQL's `deadlock_timeout`.
const DEADLOCK_TIMEOUT: Nanos = 1_000_000_000;

/// A database of a world.
pub struct Live {
    pub settings: model::Database,
    engine: RefCell<Database>,
    cores: Rc<Slots>,
    /// Connections that clients have.
    connections: Cell<u32>,
    /// Statements that wait, in the order of their arrival: for whom, and how they are told.
    waiting: RefCell<Vec<(Vec<Transaction>, sched::Sender<()>)>>,
    sched: Sched,
}

/// What became of a statement, and what it took.
#[derive(Debug)]
pub struct Answer {
    pub result: Result<Done, Failure>,
    pub work: Work,
}

/// A transaction of a client. Dropping it rolls back.
pub struct Open {
    live: Rc<Live>,
    own: Option<Transaction>,
}

impl Live {
    pub fn new(settings: model::Database, engine: Database, sched: &Sched) -> Rc<Self> {
        Rc::new(Self {
            cores: Slots::new(settings.cores),
            settings,
            engine: RefCell::new(engine),
            connections: Cell::new(0),
            waiting: RefCell::default(),
            sched: sched.clone(),
        })
    }

    /// One more connection.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub fn connect(&self) -> Result<(), Failure> {
        if self.connections.get() >= self.settings.connections {
            return Err(failure("53300", "sorry, too many clients already"));
        }
        self.connections.set(self.connections.get() + 1);
        Ok(())
    }

    /// `count` connections are gone.
    pub fn disconnect(&self, count: u32) {
        self.connections.set(self.connections.get().saturating_sub(count));
    }

    /// The statement with this text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn prepare(&self, text: &str) -> Result<Arc<Statement>, Failure> {
        self.engine.borrow_mut().prepare(text)
    }

    /// The loops of a statement: `SCAN stock`.
    pub fn plan(&self, statement: &Statement) -> Vec<String> {
        self.engine.borrow().plan(statement).unwrap_or_default()
    }

    /// Executes a statement, outside of transactions.
    pub async fn execute(self: &Rc<Self>, statement: &Arc<Statement>, params: &[Value]) -> Answer {
        let mut open = Open { live: Rc::clone(self), own: None };
        // One that changes rows holds their locks until it is paid.
        let changes = matches!(statement.class(), Class::Insert | Class::Update | Class::Delete);
        if changes {
            match self.engine.borrow_mut().begin(self.micros()) {
                Ok(own) => open.own = Some(own),
                Err(failure) => return Answer { result: Err(failure), work: Work::default() },
            }
        }
        let mut answer = self.run(&mut open, statement, params).await;
        if changes && let Ok(done) = &answer.result {
            let wrote = done.affected > 0;
            if let Err(failure) = self.finish(&mut open, wrote).await {
                answer.result = Err(failure);
            }
        }
        drop(open);
        self.sched.sleep(self.settings.latency).await;
        answer
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub async fn begin(self: &Rc<Self>) -> Result<Open, Failure> {
        self.sched.sleep(self.settings.latency).await;
        let own = self.engine.borrow_mut().begin(self.micros())?;
        let open = Open { live: Rc::clone(self), own: Some(own) };
        self.sched.sleep(self.settings.latency).await;
        Ok(open)
    }

    /// A statement that is none goes there and back again.
    pub async fn refuse(&self) {
        self.sched.sleep(self.settings.latency).await;
        let core = self.cores.take().await;
        self.sched.sleep(self.settings.cost.statement).await;
        drop(core);
        self.sched.sleep(self.settings.latency).await;
    }

    /// The statement on its way there, in its turn, and paid.
    async fn run(self: &Rc<Self>, open: &mut Open, statement: &Arc<Statement>, params: &[Value]) -> Answer {
        let until = self.settings.statement_timeout.map(|timeout| self.sched.now().saturating_add(timeout));
        self.sched.sleep(self.settings.latency).await;
        loop {
            let core = self.cores.take().await;
            let call = Call { now: self.micros(), steps: self.steps(until) };
            let outcome = self.engine.borrow_mut().execute(open.own, statement, params, call);
            match outcome {
                Outcome::Done(done) => {
                    let work = done.work;
                    self.sched.sleep(self.bill(work, done.rows.len())).await;
                    return Answer { result: Ok(done), work };
                }
                Outcome::Failed(failed) => {
                    self.sched.sleep(self.bill(failed.work, 0)).await;
                    return Answer { result: Err(failed.failure), work: failed.work };
                }
                Outcome::Blocked(blocked) => {
                    drop(core);
                    open.own = Some(blocked.transaction);
                    let work = blocked.work;
                    if let Err(failure) = self.wait(blocked, until).await {
                        return Answer { result: Err(failure), work };
                    }
                }
            }
        }
    }

    /// Waits until one of those that block a statement has ended.
    async fn wait(&self, blocked: Blocked, until: Option<Nanos>) -> Result<(), Failure> {
        let Blocked { by, transaction, .. } = blocked;
        let began = self.sched.now();
        let lock_until = self.settings.lock_timeout.map(|timeout| began.saturating_add(timeout));
        let mut look = Some(began.saturating_add(DEADLOCK_TIMEOUT));
        let (send, mut free) = sched::oneshot();
        self.waiting.borrow_mut().push((by, send));
        loop {
            let next = [until, lock_until, look].into_iter().flatten().min().unwrap_or(Nanos::MAX);
            match select(free, self.sched.sleep_until(next)).await {
                Either::Left(_) => return Ok(()),
                Either::Right(((), waits)) => free = waits,
            }
            let now = self.sched.now();
            let over = |until: Option<Nanos>| until.is_some_and(|until| until <= now);
            if over(look) {
                look = None;
                if let Some(failure) = self.engine.borrow_mut().deadlock(transaction) {
                    return Err(failure);
                }
            }
            let given_up = if over(lock_until) {
                failure("55P03", "canceling statement due to lock timeout")
            } else if over(until) {
                failure("57014", "canceling statement due to statement timeout")
            } else {
                continue;
            };
            self.engine.borrow_mut().cancel(transaction);
            return Err(given_up);
        }
    }

    /// Commits: that takes a core and its time, while the locks are held.
    async fn finish(self: &Rc<Self>, open: &mut Open, wrote: bool) -> Result<Ended, Failure> {
        if wrote {
            let _core = self.cores.take().await;
            self.sched.sleep(self.settings.cost.commit).await;
        }
        let Some(own) = open.own.take() else { return Ok(Ended::RolledBack) };
        let ended = self.engine.borrow_mut().commit(own);
        self.ended(own);
        ended
    }

    /// Statements that wait for this transaction try again.
    fn ended(&self, own: Transaction) {
        let mut waiting = self.waiting.borrow_mut();
        let (told, left) = std::mem::take(&mut *waiting).into_iter().partition(|(by, _)| by.contains(&own));
        *waiting = left;
        drop(waiting);
        let told: Vec<(Vec<Transaction>, sched::Sender<()>)> = told;
        for (_, waits) in told {
            // Who has given up is gone.
            waits.send(()).ok();
        }
    }

    fn bill(&self, work: Work, rows: usize) -> Nanos {
        let cost = &self.settings.cost;
        let steps = cost.step.saturating_mul(work.steps);
        cost.statement.saturating_add(steps).saturating_add(cost.row.saturating_mul(rows as u64))
    }

    /// Steps for which there is time.
    fn steps(&self, until: Option<Nanos>) -> Option<u64> {
        let left = until?.saturating_sub(self.sched.now());
        left.checked_div(self.settings.cost.step)
    }

    fn micros(&self) -> i64 {
        i64::try_from(self.sched.now() / 1_000).unwrap_or(i64::MAX)
    }
}

impl Open {
    /// Executes a statement in the transaction.
    pub async fn execute(&mut self, statement: &Arc<Statement>, params: &[Value]) -> Answer {
        let live = Rc::clone(&self.live);
        let answer = live.run(self, statement, params).await;
        live.sched.sleep(live.settings.latency).await;
        answer
    }

    /// A statement of it was none: it takes no further one.
    pub fn fail(&self) {
        if let Some(own) = self.own {
            self.live.engine.borrow_mut().cancel(own);
        }
    }

    /// Commits.
    ///
    /// # Errors
    /// It cannot be committed.
    pub async fn commit(mut self) -> Result<Ended, Failure> {
        let live = Rc::clone(&self.live);
        live.sched.sleep(live.settings.latency).await;
        let ended = live.finish(&mut self, true).await;
        live.sched.sleep(live.settings.latency).await;
        ended
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            let is_open = self.live.engine.borrow().is_open(own);
            if is_open {
                // It is open, so it can be rolled back.
                self.live.engine.borrow_mut().rollback(own).ok();
            }
            self.live.ended(own);
        }
    }
}

fn failure(sqlstate: &'static str, message: &str) -> Failure {
    Failure { sqlstate, message: message.to_owned(), hint: None, place: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, VIRTUAL_START};
    use crate::model::Cost;
    use simhost_sql::Options;

    const SCHEMA: &str = "CREATE TABLE stock (id INT PRIMARY KEY, n INT NOT NULL);
        INSERT INTO stock SELECT i, 10 FROM generate_series(1, 1000) AS i;";

    fn live(change: impl FnOnce(&mut model::Database)) -> (Sched, Rc<Live>) {
        let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
        let mut settings = model::Database {
            name: "inventory".to_owned(),
            schema: "inventory.sql".into(),
            schema_place: 0..0,
            text: None,
            rows: Vec::new(),
            cores: 1,
            connections: 2,
            latency: 1_000,
            cost: Cost { statement: 10_000, step: 100, row: 1_000, commit: 500_000 },
            statement_timeout: None,
            lock_timeout: None,
        };
        change(&mut settings);
        let engine = Database::open(SCHEMA, Options::default()).expect("a schema");
        let live = Live::new(settings, engine, &sched);
        (sched, live)
    }

    /// Runs statements at these times, each alone; what came of them, and when.
    fn alone(sched: &Sched, live: &Rc<Live>, statements: &[(Nanos, &str)]) -> Vec<(Nanos, String)> {
        let told: Rc<RefCell<Vec<(Nanos, String)>>> = Rc::default();
        for (at, text) in statements {
            let statement = live.prepare(text).expect("it parses");
            let (sched, live, told, at) = (sched.clone(), Rc::clone(live), Rc::clone(&told), *at);
            sched.clone().spawn(async move {
                sched.sleep(at).await;
                let answer = live.execute(&statement, &[]).await;
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
            let statement = live.prepare("SELECT n FROM stock WHERE id = 7").expect("it parses");
            let answer = sched.block_on(live.execute(&statement, &[]), || {}).expect("it ends");
            assert_eq!(answer.result.expect("it runs").rows.len(), 1);
            answer.work
        };
        let took = sched.now() - VIRTUAL_START;
        assert_eq!(took, 2 * 1_000 + 10_000 + 100 * work.steps + 1_000);
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
        let told =
            alone(&sched, &live, &[(0, update), (100, update), (200, "SELECT n FROM stock WHERE id = 1")]);
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
        let statement = live.prepare("UPDATE stock SET n = 0 WHERE id = 1").expect("it parses");
        let holder = async {
            let mut open = live.begin().await.expect("it begins");
            open.execute(&statement, &[]).await.result.expect("it runs");
            open
        };
        let open = sched.block_on(holder, || {}).expect("it ends");
        let begun = sched.now();
        let answer = sched.block_on(live.execute(&statement, &[]), || {}).expect("it ends");
        assert_eq!(answer.result.expect_err("it waits").sqlstate, "55P03");
        assert!((2_000_000_000..2_001_000_000).contains(&(sched.now() - begun)));
        drop(open);
        let answer = sched.block_on(live.execute(&statement, &[]), || {}).expect("it ends");
        assert_eq!(answer.result.expect("it is free").affected, 1);
    }

    #[test]
    fn a_deadlock_ends_after_a_second_and_one_goes_on() {
        let (sched, live) = live(|settings| settings.cores = 4);
        let told: Rc<RefCell<Vec<String>>> = Rc::default();
        for (first, second) in [(1, 2), (2, 1)] {
            let (live, told, sched) = (Rc::clone(&live), Rc::clone(&told), sched.clone());
            let update = |id: i32| live.prepare(&format!("UPDATE stock SET n = n + 1 WHERE id = {id}"));
            let (first, second) = (update(first).expect("it parses"), update(second).expect("it parses"));
            let live = Rc::clone(&live);
            sched.clone().spawn(async move {
                let mut open = live.begin().await.expect("it begins");
                open.execute(&first, &[]).await.result.expect("it runs");
                sched.sleep(1_000_000).await;
                let said = match open.execute(&second, &[]).await.result {
                    Ok(_) => format!("{:?}", open.commit().await),
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
    fn connections_are_counted() {
        let (_, live) = live(|_| {});
        assert!(live.connect().is_ok() && live.connect().is_ok());
        assert_eq!(live.connect().expect_err("two are the most").sqlstate, "53300");
        live.disconnect(1);
        assert!(live.connect().is_ok());
    }
}
