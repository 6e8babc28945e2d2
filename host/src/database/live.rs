//! A database at work: statements take simulated time, wait for cores and for one another's locks.

mod trouble;

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{Either, select};
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;
use simhost_sql::{
    Blocked, Call, Class, Database, Done, Ended, Failure, Outcome, Statement, Transaction, Value, Work,
};

use super::slots::Slots;
use crate::model::{self, Nanos};
use crate::process::Process;
use crate::sched::{self, Sched};
use trouble::Trouble;

pub use trouble::Strength;

/// How long a statement waits for a lock before it looks for a deadlock: PostgreSQL's `deadlock_timeout`.
const DEADLOCK_TIMEOUT: Nanos = 1_000_000_000;

/// Ways to the database and back again until a new connection is refused: TCP's handshake, and the start-up
/// message.
const ROUNDS_TO_REFUSE: Nanos = 2;

/// Those that follow until it is there: the two of SCRAM-SHA-256 (RFC 7677), which is PostgreSQL's default.
const ROUNDS_TO_ENTER: Nanos = 2;

/// Summaries of statements that are told apart.
const SUMMARIES: usize = 2_000;

/// A database of a world.
pub struct Live {
    pub settings: model::Database,
    /// Its place in the topology.
    pub number: u32,
    summaries: RefCell<IndexSet<Box<str>, FxBuildHasher>>,
    engine: RefCell<Database>,
    cores: Rc<Slots>,
    /// Connections that clients have.
    connections: Cell<u32>,
    /// Statements that wait, in the order of their arrival: for whom, and how they are told.
    waiting: RefCell<Vec<(Vec<Transaction>, sched::Sender<()>)>>,
    sched: Sched,
    /// The server: with it its connections end.
    server: Rc<Process>,
    /// The faults that have it, in the order in which they came.
    troubles: RefCell<Vec<Trouble>>,
    /// The fault that has ended the server the last time.
    ended_by: Cell<Option<usize>>,
}

/// On whose behalf a database is asked.
pub trait Client {
    /// A fault, by its place in the model, strikes what is asked: it takes this much longer by it, where that
    /// is known.
    fn struck(&self, fault: usize, longer: Option<Nanos>);
}

/// What became of a statement, and what it took.
#[derive(Debug)]
pub struct Answer {
    pub result: Result<Done, Failure>,
    pub work: Work,
}

impl Answer {
    fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), work: Work::default() }
    }
}

/// A transaction of a client. Dropping it rolls back.
pub struct Open {
    live: Rc<Live>,
    own: Option<Transaction>,
    /// Whether a statement of it has changed rows.
    wrote: bool,
    /// The life of the server that has it.
    life: u64,
}

/// A connection that is being opened.
struct Opening<'a> {
    live: &'a Live,
    life: u64,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.live.disconnect(1, self.life);
    }
}

impl Live {
    /// `number` is its place in the topology, `may_end` whether anything can end the server before the run
    /// does.
    pub fn new(
        (number, settings): (u32, model::Database),
        engine: Database,
        sched: &Sched,
        may_end: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            number,
            summaries: RefCell::default(),
            cores: Slots::new(settings.cores),
            settings,
            engine: RefCell::new(engine),
            connections: Cell::new(0),
            waiting: RefCell::default(),
            sched: sched.clone(),
            server: Process::new(sched, may_end),
            troubles: RefCell::default(),
            ended_by: Cell::new(None),
        })
    }

    /// How often the server has ended: connections to an earlier one are broken.
    pub fn life(&self) -> u64 {
        self.server.life()
    }

    /// The number of a summary of statements, from 0; [`u32::MAX`] for all beyond [`SUMMARIES`].
    pub fn summary(&self, summary: &str) -> u32 {
        let mut summaries = self.summaries.borrow_mut();
        match summaries.get_index_of(summary) {
            Some(number) => number as u32,
            None if summaries.len() < SUMMARIES => summaries.insert_full(summary.into()).0 as u32,
            None => u32::MAX,
        }
    }

    /// Opens one more connection.
    ///
    /// # Errors
    /// There are as many as there may be, or the server is not there.
    pub async fn connect(&self, client: &dyn Client) -> Result<(), Failure> {
        let round = self.settings.latency.saturating_mul(2);
        self.sched.sleep(round.saturating_mul(ROUNDS_TO_REFUSE)).await;
        if let Some(fault) = self.down_by() {
            client.struck(fault, None);
            return Err(failure("57P03", "the database system is starting up"));
        }
        if self.connections.get() >= self.connections_at_most() {
            self.strike_for_connections(client);
            return Err(failure("53300", "sorry, too many clients already"));
        }
        self.connections.set(self.connections.get() + 1);
        let opening = Opening { live: self, life: self.life() };
        self.sched.sleep(round.saturating_mul(ROUNDS_TO_ENTER)).await;
        if opening.life != self.life() {
            return Err(self.broken(client));
        }
        std::mem::forget(opening);
        Ok(())
    }

    /// Whether clients have more connections than they may.
    pub fn has_too_many(&self) -> bool {
        self.connections.get() > self.connections_at_most()
    }

    /// `count` connections to the server in this life of it are gone.
    pub fn disconnect(&self, count: u32, life: u64) {
        if life == self.life() {
            self.connections.set(self.connections.get().saturating_sub(count));
        }
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
    pub async fn execute(
        self: &Rc<Self>,
        statement: &Arc<Statement>,
        params: &[Value],
        client: &dyn Client,
    ) -> Answer {
        let alone = self.execute_alone(statement, params, client);
        self.unless_it_ends(self.life(), client, alone).await.unwrap_or_else(Answer::failed)
    }

    async fn execute_alone(
        self: &Rc<Self>,
        statement: &Arc<Statement>,
        params: &[Value],
        client: &dyn Client,
    ) -> Answer {
        let mut open = self.no_transaction();
        // One that changes rows holds their locks until it is paid.
        let changes = matches!(statement.class(), Class::Insert | Class::Update | Class::Delete);
        if changes {
            match self.engine.borrow_mut().begin(self.micros()) {
                Ok(own) => open.own = Some(own),
                Err(failure) => return Answer::failed(failure),
            }
        }
        let mut answer = self.run(&mut open, statement, params, client).await;
        if changes
            && answer.result.is_ok()
            && let Err(failure) = self.finish(&mut open, client).await
        {
            answer.result = Err(failure);
        }
        drop(open);
        self.sched.sleep(self.settings.latency).await;
        answer
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// There are as many as there may be, or the server has ended.
    pub async fn begin(self: &Rc<Self>, client: &dyn Client) -> Result<Open, Failure> {
        let mut open = self.no_transaction();
        let begun = async {
            self.sched.sleep(self.settings.latency).await;
            open.own = Some(self.engine.borrow_mut().begin(self.micros())?);
            self.sched.sleep(self.settings.latency).await;
            Ok::<_, Failure>(())
        };
        self.unless_it_ends(self.life(), client, begun).await.flatten()?;
        Ok(open)
    }

    fn no_transaction(self: &Rc<Self>) -> Open {
        Open { live: Rc::clone(self), own: None, wrote: false, life: self.life() }
    }

    /// A statement that is none goes there and back again.
    pub async fn refuse(&self) {
        self.sched.sleep(self.settings.latency).await;
        let core = self.cores.take().await;
        self.sched.sleep(self.settings.cost.statement).await;
        drop(core);
        self.sched.sleep(self.settings.latency).await;
    }

    /// What comes of work on a connection to the server in this life of it, unless that ends before.
    async fn unless_it_ends<T>(
        &self,
        life: u64,
        client: &dyn Client,
        work: impl Future<Output = T>,
    ) -> Result<T, Failure> {
        if !self.server.may_die() {
            return Ok(work.await);
        }
        if life != self.life() {
            return Err(self.broken(client));
        }
        // What has been begun is dropped before anything else happens.
        let done = match select(pin!(self.server.death()), pin!(work)).await {
            Either::Left(_) => None,
            Either::Right((done, _)) => Some(done),
        };
        match done {
            Some(done) => Ok(done),
            None => {
                let failure = self.broken(client);
                self.sched.sleep(self.settings.latency).await;
                Err(failure)
            }
        }
    }

    /// The statement on its way there, in its turn, and paid.
    async fn run(
        self: &Rc<Self>,
        open: &mut Open,
        statement: &Arc<Statement>,
        params: &[Value],
        client: &dyn Client,
    ) -> Answer {
        let until = self.settings.statement_timeout.map(|timeout| self.sched.now().saturating_add(timeout));
        // Faults that hold a table which it has waited for.
        let mut held_by = Vec::new();
        self.sched.sleep(self.settings.latency).await;
        loop {
            let core = self.cores.take().await;
            let call = Call { now: self.micros(), steps: self.steps(until) };
            let outcome = self.engine.borrow_mut().execute(open.own, statement, params, call);
            let (result, work) = match outcome {
                Outcome::Done(done) => {
                    open.wrote |= statement.writes() && done.affected > 0;
                    let work = done.work;
                    (Ok(done), work)
                }
                Outcome::Failed(failed) => (Err(failed.failure), failed.work),
                Outcome::Blocked(blocked) => {
                    drop(core);
                    open.own = Some(blocked.transaction);
                    self.strike_for_locks(&blocked.by, &mut held_by, client);
                    let work = blocked.work;
                    if let Err(failure) = self.wait(blocked, until).await {
                        return Answer { result: Err(failure), work };
                    }
                    continue;
                }
            };
            self.strike_for_indexes(statement, client);
            let rows = result.as_ref().map_or(0, |done: &Done| done.rows.len());
            self.sched.sleep(self.bill(work, rows, client)).await;
            return Answer { result, work };
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

    /// Commits: that takes a core and its time if rows have changed, while the locks are held.
    async fn finish(self: &Rc<Self>, open: &mut Open, client: &dyn Client) -> Result<Ended, Failure> {
        if open.wrote {
            let _core = self.cores.take().await;
            let commit = self.settings.cost.commit;
            self.sched.sleep(self.slowed(commit, client)).await;
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
        self.lock_after(own);
        for (_, waits) in told {
            // Who has given up is gone.
            waits.send(()).ok();
        }
    }

    fn bill(&self, work: Work, rows: usize, client: &dyn Client) -> Nanos {
        let cost = &self.settings.cost;
        let steps = self.slowed(cost.step.saturating_mul(work.steps), client);
        cost.statement.saturating_add(steps).saturating_add(cost.row.saturating_mul(rows as u64))
    }

    /// Steps for which there is time.
    fn steps(&self, until: Option<Nanos>) -> Option<u64> {
        let left = until?.saturating_sub(self.sched.now());
        let left = self.slowness().map_or(left, |times| (left as f64 / times) as Nanos);
        left.checked_div(self.settings.cost.step)
    }

    fn micros(&self) -> i64 {
        i64::try_from(self.sched.now() / 1_000).unwrap_or(i64::MAX)
    }
}

impl Open {
    /// Executes a statement in the transaction.
    pub async fn execute(
        &mut self,
        statement: &Arc<Statement>,
        params: &[Value],
        client: &dyn Client,
    ) -> Answer {
        let (live, life) = (Rc::clone(&self.live), self.life);
        let executed = async {
            let answer = live.run(self, statement, params, client).await;
            live.sched.sleep(live.settings.latency).await;
            answer
        };
        live.unless_it_ends(life, client, executed).await.unwrap_or_else(Answer::failed)
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
    /// It cannot be committed. Where the server ends meanwhile, it may have been.
    pub async fn commit(mut self, client: &dyn Client) -> Result<Ended, Failure> {
        let (live, life) = (Rc::clone(&self.live), self.life);
        let committed = async {
            live.sched.sleep(live.settings.latency).await;
            let ended = live.finish(&mut self, client).await;
            live.sched.sleep(live.settings.latency).await;
            ended
        };
        live.unless_it_ends(life, client, committed).await.flatten()
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
mod tests;
