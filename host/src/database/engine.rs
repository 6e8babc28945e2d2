//! The engine of a database, which one after the other has. In real time it works on a thread of its own: a
//! statement may take longer than others can wait.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::lock::{Mutex as Turn, OwnedMutexGuard};
use simhost_sql::{Database, Interrupt, Options, Outcome, Statement, Transaction, Value};

use crate::sched::{Aside, Sched};

/// The engine of a database.
pub struct Engine {
    database: Arc<Turn<Database>>,
    /// What was said while somebody had the database: whoever has it next does it first.
    later: Arc<Later>,
    aside: Aside,
}

type Later = Mutex<Said>;

/// What was said, in its order.
type Said = Vec<Box<dyn FnOnce(&mut Database) + Send>>;

/// A statement for [`Engine::execute`].
pub struct Asked {
    /// None: it is one of its own.
    pub transaction: Option<Transaction>,
    pub statement: Arc<Statement>,
    pub params: Arc<[Value]>,
    pub call: simhost_sql::Call,
    /// Indexes that are dropped for a time, by the faults that have done it.
    pub missing: Vec<(usize, String)>,
}

/// What came of it, and the faults whose indexes it would have used.
pub struct Ran {
    pub outcome: Outcome,
    pub missed: Vec<usize>,
    /// Something was said while it ran, such as that a transaction ends: what it has seen of others may be
    /// over.
    pub is_outdated: bool,
}

impl Engine {
    /// `name` is that of its thread.
    pub fn new(database: Database, sched: &Sched, name: &str) -> Self {
        let aside = Aside::new(sched.clone(), name.to_owned());
        Self { database: Arc::new(Turn::new(database)), later: Arc::default(), aside }
    }

    /// Has the database do something that takes no time.
    pub async fn ask<T>(&self, work: impl FnOnce(&mut Database) -> T) -> T {
        let mut database = self.turn().await;
        // What was said may take long, as making an index anew does.
        while !locked(&self.later).is_empty() {
            let later = Arc::clone(&self.later);
            let settled = move || {
                settle(&later, &mut database);
                database
            };
            database = self.aside.run(settled).await;
        }
        work(&mut database)
    }

    /// Has the database do something that may take time.
    pub async fn ask_for_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Database) -> T + Send + 'static,
    ) -> T {
        let (mut database, later) = (self.turn().await, Arc::clone(&self.later));
        let work = move || {
            settle(&later, &mut database);
            work(&mut database)
        };
        self.aside.run(work).await
    }

    /// Has the database do something, when it can; nobody waits for that.
    pub fn tell(&self, work: impl FnOnce(&mut Database) + Send + 'static) {
        let Some(mut database) = self.database.try_lock_owned() else {
            locked(&self.later).push(Box::new(work));
            return;
        };
        let later = Arc::clone(&self.later);
        self.aside.give(move || {
            settle(&later, &mut database);
            work(&mut database);
        });
    }

    /// Executes a statement. One that nobody waits for any more ends soon, and leaves nothing behind.
    pub async fn execute(&self, asked: Asked) -> Ran {
        let (mut database, later) = (self.turn().await, Arc::clone(&self.later));
        let interrupt = Interrupt::default();
        let heeded = interrupt.clone();
        let work = move || {
            // Nothing ends what was said: it belongs to others.
            settle(&later, &mut database);
            let Asked { transaction, statement, params, call, mut missing } = asked;
            let execute = |database: &mut Database| database.execute(transaction, &statement, &params, call);
            let outcome = database.interruptible(&heeded, execute);
            missing.retain(|(_, index)| database.misses(&statement, index));
            let missed = missing.into_iter().map(|(fault, _)| fault).collect();
            Executed {
                ran: Some(Ran { outcome, missed, is_outdated: false }),
                is_alone: transaction.is_none(),
                database,
            }
        };
        let mut running = pin!(self.aside.run(work));
        // It is dropped first: as long as somebody could take the result, nobody else has the database.
        let mut unless_done = Interrupting(Some(interrupt));
        let mut executed = running.as_mut().await;
        unless_done.0 = None;
        // Nobody says anything between this and the moment at which the statement is among those that wait.
        let is_outdated = !locked(&self.later).is_empty();
        Ran { is_outdated, ..executed.ran.take().expect("a statement has an outcome") }
    }

    /// Takes the database of a world that is over, without what was not committed.
    pub async fn take(&self) -> Database {
        let nothing = Database::open("", Options::default()).expect("an empty schema has no mistakes");
        let mut taken = self.ask(|database| std::mem::replace(database, nothing)).await;
        // An engine that cannot roll back has nothing to roll back.
        taken.rollback_all().ok();
        taken
    }

    fn turn(&self) -> impl Future<Output = OwnedMutexGuard<Database>> + use<> {
        Arc::clone(&self.database).lock_owned()
    }
}

/// A statement that has run, until somebody takes what came of it.
struct Executed {
    ran: Option<Ran>,
    /// It is no part of a transaction.
    is_alone: bool,
    database: OwnedMutexGuard<Database>,
}

impl Drop for Executed {
    fn drop(&mut self) {
        // What it waits in nobody knows, so that nobody else can end it.
        if let Some(Ran { outcome: Outcome::Blocked(blocked), .. }) = &self.ran
            && self.is_alone
        {
            self.database.rollback(blocked.transaction).ok();
        }
    }
}

/// Ends its statement, if it runs yet or still, when it is dropped.
struct Interrupting(Option<Interrupt>);

impl Drop for Interrupting {
    fn drop(&mut self) {
        if let Some(interrupt) = &self.0 {
            interrupt.end();
        }
    }
}

/// Does what was said meanwhile.
fn settle(later: &Later, database: &mut Database) {
    let said = std::mem::take(&mut *locked(later));
    said.into_iter().for_each(|work| work(database));
}

/// A panic has left nothing half done: it is a list.
fn locked(later: &Later) -> MutexGuard<'_, Said> {
    later.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn what_was_said_meanwhile_is_done_beside_the_core() {
        let sched = Sched::new(Clock::real(1.0));
        let database = Database::open("", Options::default()).expect("an empty schema has no mistakes");
        let engine = Engine::new(database, &sched, "engine");
        let (tell, told) = mpsc::channel();
        let asked = async {
            let turn = engine.turn().await;
            // An index that comes back is said so, and its making may take long.
            engine.tell(move |_| tell.send(thread::current().id()).expect("somebody listens"));
            drop(turn);
            engine.ask(|_| thread::current().id()).await
        };
        let asked = sched.block_on(asked, || {}).expect("it ends");
        let said = told.try_recv().expect("it was done before");
        let core = thread::current().id();
        assert!(asked == core && said != core, "{said:?} and {asked:?} beside {core:?}");
    }
}
