//! A statement at its database: its turn, its waits, and what it pays.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{Either, select};
use simhost_sql::{Blocked, Call, Class, Done, Ended, Failure, Outcome, Statement, Transaction, Value, Work};

use super::{Answer, Client, Leg, Live, Open, changes, failure};
use crate::database::engine::{Asked, Ran};
use crate::database::slots::Slot;
use crate::model::Nanos;
use crate::sched;

/// How long a statement waits for a lock before it looks for a deadlock: PostgreSQL's `deadlock_timeout`.
const DEADLOCK_TIMEOUT: Nanos = 1_000_000_000;

/// A statement among those that wait, which leaves them when it is dropped: nobody waits for it then.
struct Queued<'a>(Option<&'a Live>);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        if let Some(live) = self.0 {
            live.waiting.borrow_mut().retain(|(_, waits)| !waits.is_abandoned());
        }
    }
}

impl Live {
    /// The statement on its way there, in its turn, and paid.
    pub(super) async fn run(
        self: &Rc<Self>,
        open: &mut Open,
        statement: &Arc<Statement>,
        params: &Arc<[Value]>,
        client: &dyn Client,
    ) -> Answer {
        let until = self.settings.statement_timeout.map(|timeout| self.sched.now().saturating_add(timeout));
        let changes_tables = matches!(statement.class(), Class::Ddl | Class::Truncate);
        // Faults that hold a table which it has waited for.
        let mut held_by = Vec::new();
        let mut locked = 0;
        self.sched.sleep(self.leg(client, Leg::There)).await;
        loop {
            let Some(core) = self.core(until).await else {
                return Answer { result: Err(self.timed_out(open)), work: Work::default(), locked };
            };
            let call = Call { now: self.micros(), steps: self.steps(until) };
            let began = self.sched.now();
            let asked = Asked {
                transaction: open.own,
                statement: Arc::clone(statement),
                params: Arc::clone(params),
                call,
                missing: self.missing(),
            };
            let Ran { outcome, missed, is_outdated } = self.engine.execute(asked).await;
            let (result, work) = match outcome {
                Outcome::Done(done) => {
                    open.wrote |=
                        statement.writes() && (done.affected > 0 || changes_tables || statement.has_parts());
                    let work = done.work;
                    (Ok(done), work)
                }
                Outcome::Failed(failed) => (Err(failed.failure), failed.work),
                Outcome::Blocked(blocked) => {
                    drop(core);
                    open.own = Some(blocked.transaction);
                    // One of those in the way may have ended. Who waited then was told; nobody else will be.
                    if is_outdated {
                        continue;
                    }
                    self.strike_for_locks(&blocked.by, &mut held_by, client);
                    let (work, since) = (blocked.work, self.sched.now());
                    let waited = self.wait(blocked, until).await;
                    locked += self.sched.now() - since;
                    if let Err(failure) = waited {
                        return Answer { result: Err(failure), work, locked };
                    }
                    continue;
                }
            };
            self.release(open, statement, result.is_err());
            missed.into_iter().for_each(|fault| client.struck(fault, None));
            let rows = result.as_ref().map_or(0, |done: &Done| done.rows.len());
            // What the engine took in real time is a part of it.
            let paid = began.saturating_add(self.bill(work, rows, client));
            // What has changed tables outside of transactions is not taken back.
            if result.is_ok()
                && !(changes_tables && open.alone)
                && let Some(until) = until.filter(|until| *until < paid)
            {
                self.sched.sleep_until(until).await;
                return Answer { result: Err(self.timed_out(open)), work, locked };
            }
            self.sched.sleep_until(paid).await;
            return Answer { result, work, locked };
        }
    }

    /// Tells those that wait for locks which a statement has released: one that failed, ROLLBACK TO, and one
    /// alone that has waited, whose transaction ends with it. They are free from now on, before it is paid.
    fn release(&self, open: &mut Open, statement: &Statement, has_failed: bool) {
        let has_ended = open.alone && !changes(statement);
        if let Some(own) = open.own.filter(|_| has_failed || has_ended || statement.releases()) {
            self.ended(own);
        }
        if has_ended {
            open.own = None;
        }
    }

    /// A core of the database, if one is free before this instant.
    async fn core(&self, until: Option<Nanos>) -> Option<Slot> {
        let Some(until) = until else { return Some(self.cores.take().await) };
        let left = until.checked_sub(self.sched.now()).filter(|left| *left > 0)?;
        self.cores.take_within(&self.sched, left).await
    }

    /// Ends a statement that has taken too long, and the transaction that it is a part of.
    fn timed_out(&self, open: &Open) -> Failure {
        if let Some(own) = open.own {
            self.engine.tell(move |database| database.cancel(own));
            self.ended(own);
        }
        failure("57014", "canceling statement due to statement timeout")
    }

    /// Waits until one of those that block a statement has ended.
    async fn wait(&self, blocked: Blocked, until: Option<Nanos>) -> Result<(), Failure> {
        let Blocked { by, transaction, .. } = blocked;
        let began = self.sched.now();
        let lock_until = self.settings.lock_timeout.map(|timeout| began.saturating_add(timeout));
        let mut look = Some(began.saturating_add(DEADLOCK_TIMEOUT));
        // It is dropped last, when nobody listens any more.
        let mut queued = Queued(Some(self));
        let (send, mut free) = sched::oneshot();
        self.waiting.borrow_mut().push((by, send));
        loop {
            let next = [until, lock_until, look].into_iter().flatten().min().unwrap_or(Nanos::MAX);
            match select(free, self.sched.sleep_until(next)).await {
                Either::Left(_) => {
                    queued.0 = None;
                    return Ok(());
                }
                Either::Right(((), waits)) => free = waits,
            }
            let now = self.sched.now();
            let over = |until: Option<Nanos>| until.is_some_and(|until| until <= now);
            if over(look) {
                look = None;
                if let Some(failure) = self.engine.ask(|database| database.deadlock(transaction)).await {
                    self.ended(transaction);
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
            self.engine.tell(move |database| database.cancel(transaction));
            self.ended(transaction);
            return Err(given_up);
        }
    }

    /// Commits: that takes a core and its time if rows have changed, while the locks are held.
    pub(super) async fn finish(
        self: &Rc<Self>,
        open: &mut Open,
        client: &dyn Client,
    ) -> Result<Ended, Failure> {
        if open.wrote {
            let _core = self.cores.take().await;
            let commit = self.settings.cost.commit.sample(&mut client.chance().with(Leg::COMMIT).stream());
            self.sched.sleep(self.slowed(commit, client)).await;
        }
        let Some(own) = open.own else { return Ok(Ended::RolledBack) };
        let ended = self.engine.ask_for_long(move |database| database.commit(own)).await;
        open.own = None;
        self.ended(own);
        ended
    }

    /// Statements that wait for this transaction try again: it has ended, or released locks.
    pub(super) fn ended(&self, own: Transaction) {
        let mut waiting = self.waiting.borrow_mut();
        // Who has given up is gone.
        let waits = std::mem::take(&mut *waiting).into_iter().filter(|(_, waits)| !waits.is_abandoned());
        let (told, left) = waits.partition(|(by, _)| by.contains(&own));
        *waiting = left;
        drop(waiting);
        let told: Vec<(Vec<Transaction>, sched::Sender<()>)> = told;
        self.lock_after(own);
        for (_, waits) in told {
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
}
