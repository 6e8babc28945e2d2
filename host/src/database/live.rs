//! A database at work: statements take simulated time, wait for cores and for one another's locks.

mod open;
mod run;
mod trouble;

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{Either, select};
use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;
use simhost_sql::{Class, Database, Done, Failure, Statement, Transaction, Value, Work};

use super::account::{DatabaseAccount, Statements};
use super::engine::Engine;
use super::slots::Slots;
use crate::model::{self, Nanos};
use crate::process::Process;
use crate::rng::Key;
use crate::sched::{self, NEVER, Sched};
use trouble::Trouble;

pub use open::Open;
pub use trouble::Strength;

/// Ways to the database and back again until a new connection is refused: TCP's handshake, and the start-up
/// message.
const ROUNDS_TO_REFUSE: u64 = 2;

/// Those that follow until it is there: the two of SCRAM-SHA-256 (RFC 7677), which is PostgreSQL's default.
const ROUNDS_TO_ENTER: u64 = 2;

/// The number of the draw of a pool's timeout, behind those of [`Leg`].
pub(super) const SLACK: u64 = Leg::COMMIT + 1 + 2 * (ROUNDS_TO_REFUSE + ROUNDS_TO_ENTER);

/// Bytes of a statement that is parsed and planned on the core: some tenths of a millisecond. In real time a
/// longer one is beside it, as the longest takes several milliseconds.
const AT_ONCE: usize = 4_000;

/// Summaries of statements that are told apart.
const SUMMARIES: usize = 2_000;

/// A database of a world.
pub struct Live {
    pub settings: model::Database,
    /// Its place in the topology.
    pub number: u32,
    summaries: RefCell<IndexSet<Box<str>, FxBuildHasher>>,
    /// What was asked of it.
    asked: RefCell<Statements>,
    /// Since when no more requests are made.
    over: Cell<Nanos>,
    engine: Engine,
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

    /// The key of what chance decides about what is asked.
    fn chance(&self) -> Key;
}

/// A way between a client and a database, by its number among the draws of what is asked.
#[derive(Clone, Copy)]
enum Leg {
    There,
    Back,
    /// Of a connection that is being opened, from 0.
    Opening(u64),
}

impl Leg {
    /// The number of the draw of a commit.
    const COMMIT: u64 = 2;

    const fn number(self) -> u64 {
        match self {
            Self::There => 0,
            Self::Back => 1,
            Self::Opening(number) => Self::COMMIT + 1 + number,
        }
    }
}

/// What became of a statement, and what it took.
#[derive(Debug)]
pub struct Answer {
    pub result: Result<Done, Failure>,
    pub work: Work,
    /// How long it waited for locks.
    pub locked: Nanos,
}

impl Answer {
    fn failed(failure: Failure) -> Self {
        Self { result: Err(failure), work: Work::default(), locked: 0 }
    }
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
            asked: RefCell::default(),
            over: Cell::new(NEVER),
            cores: Slots::new(settings.cores),
            engine: Engine::new(engine, sched, &settings.name),
            settings,
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

    /// A client has the answer to a statement, after `took` nanoseconds of which it waited for locks for
    /// `locked`, or what has failed.
    pub fn answered(
        &self,
        summary: &str,
        took: Nanos,
        error: Option<&'static str>,
        (work, locked): (Work, Nanos),
    ) {
        let is_late = self.sched.now().saturating_sub(took) > self.over.get();
        self.asked.borrow_mut().note(summary, (took, is_late), error, work, locked);
    }

    /// No more requests are made. What is asked from now on is in no rate. Only the first time counts.
    pub fn requests_end(&self) {
        self.over.set(self.over.get().min(self.sched.now()));
    }

    /// What was asked of it, without the pools of its clients.
    pub fn account(&self) -> DatabaseAccount {
        let (name, statements) = (self.settings.name.clone(), self.asked.borrow().clone());
        DatabaseAccount { name, statements, pools: Vec::new() }
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
        const LEGS_TO_REFUSE: u64 = 2 * ROUNDS_TO_REFUSE;
        const LEGS: u64 = LEGS_TO_REFUSE + 2 * ROUNDS_TO_ENTER;
        let legs = |legs: Range<u64>| legs.map(|leg| self.leg(client, Leg::Opening(leg))).sum();
        self.sched.sleep(legs(0..LEGS_TO_REFUSE)).await;
        if self.is_down() {
            self.strike_for_down(client);
            return Err(failure("57P03", "the database system is starting up"));
        }
        if self.connections.get() >= self.connections_at_most() {
            self.strike_for_connections(client);
            return Err(failure("53300", "sorry, too many clients already"));
        }
        self.connections.set(self.connections.get() + 1);
        let opening = Opening { live: self, life: self.life() };
        self.sched.sleep(legs(LEGS_TO_REFUSE..LEGS)).await;
        if opening.life != self.life() {
            return Err(self.broken(client));
        }
        std::mem::forget(opening);
        Ok(())
    }

    /// Has one more connection that is there already; whether there may be one more.
    pub fn connect_at_once(&self) -> bool {
        let may = !self.is_down() && self.connections.get() < self.connections_at_most();
        self.connections.set(self.connections.get() + u32::from(may));
        may
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
    pub async fn prepare(&self, text: &str) -> Result<Arc<Statement>, Failure> {
        if text.len() > AT_ONCE {
            let text = text.to_owned();
            return self.engine.ask_for_long(move |database| database.prepare(&text)).await;
        }
        self.engine.ask(|database| database.prepare(text)).await
    }

    /// The loops of a statement: `SCAN stock`.
    pub async fn plan(&self, statement: &Arc<Statement>) -> Vec<String> {
        if statement.text().len() > AT_ONCE {
            let statement = Arc::clone(statement);
            let plan = move |database: &mut Database| database.plan(&statement).unwrap_or_default();
            return self.engine.ask_for_long(plan).await;
        }
        self.engine.ask(|database| database.plan(statement).unwrap_or_default()).await
    }

    /// Executes a statement, outside of transactions.
    pub async fn execute(
        self: &Rc<Self>,
        statement: &Arc<Statement>,
        params: &Arc<[Value]>,
        client: &dyn Client,
    ) -> Answer {
        let alone = self.execute_alone(statement, params, client);
        self.unless_it_ends(self.life(), client, alone).await.unwrap_or_else(Answer::failed)
    }

    async fn execute_alone(
        self: &Rc<Self>,
        statement: &Arc<Statement>,
        params: &Arc<[Value]>,
        client: &dyn Client,
    ) -> Answer {
        let mut open = self.no_transaction(true);
        let changes = changes(statement);
        if changes {
            let now = self.micros();
            match self.engine.ask(|database| database.begin_alone(now)).await {
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
        self.sched.sleep(self.leg(client, Leg::Back)).await;
        answer
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// There are as many as there may be, or the server has ended.
    pub async fn begin(self: &Rc<Self>, client: &dyn Client) -> Result<Open, Failure> {
        let mut open = self.no_transaction(false);
        let begun = async {
            self.sched.sleep(self.leg(client, Leg::There)).await;
            let now = self.micros();
            open.own = Some(self.engine.ask(|database| database.begin(now)).await?);
            self.sched.sleep(self.leg(client, Leg::Back)).await;
            Ok::<_, Failure>(())
        };
        self.unless_it_ends(self.life(), client, begun).await.flatten()?;
        Ok(open)
    }

    /// What a transaction begins with, or one statement alone.
    fn no_transaction(self: &Rc<Self>, alone: bool) -> Open {
        Open { live: Rc::clone(self), own: None, alone, wrote: false, life: self.life() }
    }

    /// A statement that is none goes there and back again.
    pub async fn refuse(&self, client: &dyn Client) {
        self.sched.sleep(self.leg(client, Leg::There)).await;
        let core = self.cores.take().await;
        self.sched.sleep(self.settings.cost.statement).await;
        drop(core);
        self.sched.sleep(self.leg(client, Leg::Back)).await;
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
                self.sched.sleep(self.leg(client, Leg::Back)).await;
                Err(failure)
            }
        }
    }

    /// How long a way takes.
    fn leg(&self, client: &dyn Client, leg: Leg) -> Nanos {
        self.settings.latency.sample(&mut client.chance().with(leg.number()).stream())
    }

    /// Takes the database out of a world that is over, without what was not committed.
    pub async fn take(&self) -> Database {
        self.engine.take().await
    }

    fn micros(&self) -> i64 {
        i64::try_from(self.sched.now() / 1_000).unwrap_or(i64::MAX)
    }
}

/// Whether a statement changes rows or tables: alone, it holds their locks until it is paid.
fn changes(statement: &Statement) -> bool {
    statement.has_parts()
        || matches!(
            statement.class(),
            Class::Insert | Class::Update | Class::Delete | Class::Truncate | Class::Ddl
        )
}

fn failure(sqlstate: &'static str, message: &str) -> Failure {
    Failure { sqlstate, message: message.to_owned(), hint: None, place: None }
}

#[cfg(test)]
mod tests;
