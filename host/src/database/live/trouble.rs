//! What faults do to a database while their windows are open, and whom they strike by it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use simhost_sql::{Database, Failure, Outcome, TableMode, Transaction};

use super::{Client, Live, failure};
use crate::model::{DatabaseFault, Nanos, TableLock};

/// How far a fault has grown in at an instant, from 0 to 1.
pub type Strength = Box<dyn Fn(Nanos) -> f64>;

/// A fault that has the database, by its place in the model.
pub(super) struct Trouble {
    fault: usize,
    what: What,
}

/// What it does.
enum What {
    /// This index is gone, if it was there.
    Missing {
        index: String,
        is_dropped: Arc<AtomicBool>,
    },
    Holding(Arc<Mutex<Holding>>),
    /// Steps and commits take this many times as long at an instant.
    Slow(Strength),
    /// Others have all connections but this many.
    Taken(u32),
    /// This many connections of each pool are not given back, at full strength.
    Held(u32, Strength),
    /// No server is there.
    Down,
}

impl What {
    /// Connections of each pool that are not given back at an instant.
    fn held(&self, now: Nanos) -> u32 {
        match self {
            Self::Held(connections, strength) => (f64::from(*connections) * strength(now)) as u32,
            _ => 0,
        }
    }
}

/// Somebody else's transaction, which has locked a table or waits for it.
struct Holding {
    /// None until the database has begun it, and if it could not.
    own: Option<Transaction>,
    table: String,
    mode: TableMode,
    /// For whom it waits; nobody: it has the table.
    by: Vec<Transaction>,
}

impl Live {
    /// A fault, by its place in the model, begins: as strong as `strength` says at each instant.
    pub fn begin_fault(&self, fault: usize, effect: &DatabaseFault, strength: Strength) {
        let what = match effect {
            DatabaseFault::DropIndex { index: (index, _) } => {
                let is_dropped = Arc::new(AtomicBool::new(false));
                let (dropped, name) = (Arc::clone(&is_dropped), index.clone());
                // A statement may have dropped it before. Another fault that has is counted: the index comes
                // back with the last of them.
                self.engine.tell(move |database| {
                    dropped.store(database.drop_index(&name).is_ok(), Ordering::Relaxed);
                });
                What::Missing { index: index.clone(), is_dropped }
            }
            DatabaseFault::LockTable { table: (table, _), mode } => {
                let mode = match mode {
                    TableLock::AccessExclusive => TableMode::AccessExclusive,
                    TableLock::Share => TableMode::Share,
                };
                What::Holding(self.hold(table, mode))
            }
            DatabaseFault::SlowDisk { times } => {
                let more = times - 1.0;
                What::Slow(Box::new(move |now| more.mul_add(strength(now), 1.0)))
            }
            DatabaseFault::TooManyConnections { left } => What::Taken(*left),
            DatabaseFault::HoldConnections { connections } => What::Held(*connections, strength),
            DatabaseFault::Failover => {
                self.end_server(fault);
                What::Down
            }
        };
        self.troubles.borrow_mut().push(Trouble { fault, what });
    }

    /// It is over: what was there before it is there again.
    pub fn end_fault(&self, fault: usize) {
        let mut troubles = self.troubles.borrow_mut();
        let Some(at) = troubles.iter().position(|trouble| trouble.fault == fault) else { return };
        let Trouble { what, .. } = troubles.remove(at);
        drop(troubles);
        match what {
            What::Missing { index, is_dropped } => self.engine.tell(move |database| {
                if is_dropped.load(Ordering::Relaxed) {
                    // A database that has no room for it any more goes on without it, until it is dropped
                    // and restored once more.
                    database.restore_index(&index).ok();
                }
            }),
            What::Holding(holding) => {
                let own = held(&holding).own;
                self.engine.tell(move |database| held(&holding).release(database));
                own.into_iter().for_each(|own| self.ended(own));
            }
            What::Slow(_) | What::Taken(_) | What::Held(..) | What::Down => {}
        }
    }

    /// Locks a table, or waits for it.
    fn hold(&self, table: &str, mode: TableMode) -> Arc<Mutex<Holding>> {
        let holding = Holding { own: None, table: table.to_owned(), mode, by: Vec::new() };
        let holding = Arc::new(Mutex::new(holding));
        let (begun, now) = (Arc::clone(&holding), self.micros());
        self.engine.tell(move |database| held(&begun).begin(database, now));
        holding
    }

    /// A transaction has ended: those that have waited for it to lock a table try again, and those that have
    /// not begun, which may find it in their way until what was said is done.
    pub(super) fn lock_after(&self, ended: Transaction) {
        for trouble in self.troubles.borrow().iter() {
            let What::Holding(holding) = &trouble.what else { continue };
            let waits = |holding: &Holding| holding.own.is_none() || holding.by.contains(&ended);
            if waits(&held(holding)) {
                let holding = Arc::clone(holding);
                self.engine.tell(move |database| held(&holding).lock(database));
            }
        }
    }

    /// The server ends: connections break, and what was not committed is gone, the lock of a `lock-table`
    /// fault with it, whose session was one of this server.
    fn end_server(&self, fault: usize) {
        self.ended_by.set(Some(fault));
        // An engine that cannot roll back has nothing to roll back.
        self.engine.tell(|database| drop(database.rollback_all()));
        self.connections.set(0);
        // Those who wait are told by the end of the server, before that nobody is left to wait for.
        self.server.die();
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        drop(waiting);
    }

    /// That a connection has broken.
    pub(super) fn broken(&self, client: &dyn Client) -> Failure {
        if let Some(fault) = self.ended_by.get() {
            client.struck(fault, None);
        }
        failure("57P01", "terminating connection due to administrator command")
    }

    /// Whether no server is there.
    pub(super) fn is_down(&self) -> bool {
        self.troubles.borrow().iter().any(|trouble| matches!(trouble.what, What::Down))
    }

    /// A connection is refused as no server is there.
    pub(super) fn strike_for_down(&self, client: &dyn Client) {
        for trouble in self.troubles.borrow().iter().filter(|trouble| matches!(trouble.what, What::Down)) {
            client.struck(trouble.fault, None);
        }
    }

    /// Connections that clients may have.
    pub(super) fn connections_at_most(&self) -> u32 {
        let troubles = self.troubles.borrow();
        let left = troubles.iter().filter_map(|trouble| match trouble.what {
            What::Taken(left) => Some(left),
            _ => None,
        });
        left.fold(self.settings.connections, u32::min)
    }

    /// Connections of each pool that are not given back.
    pub(in crate::database) fn held(&self) -> u32 {
        let now = self.sched.now();
        self.troubles.borrow().iter().map(|trouble| trouble.what.held(now)).sum()
    }

    /// A request has to wait for a connection of a pool from which faults keep some.
    pub(in crate::database) fn strike_for_held(&self, client: &dyn Client) {
        let now = self.sched.now();
        for trouble in self.troubles.borrow().iter().filter(|trouble| trouble.what.held(now) > 0) {
            client.struck(trouble.fault, None);
        }
    }

    /// A connection is refused: by whom, if the database would have one more.
    pub(super) fn strike_for_connections(&self, client: &dyn Client) {
        let open = self.connections.get();
        if open >= self.settings.connections {
            return;
        }
        for trouble in self.troubles.borrow().iter() {
            if matches!(trouble.what, What::Taken(left) if left <= open) {
                client.struck(trouble.fault, None);
            }
        }
    }

    /// A statement waits for transactions: those of faults strike it, once.
    pub(super) fn strike_for_locks(&self, by: &[Transaction], told: &mut Vec<usize>, client: &dyn Client) {
        for trouble in self.troubles.borrow().iter() {
            let What::Holding(holding) = &trouble.what else { continue };
            let is_held = held(holding).own.is_some_and(|own| by.contains(&own));
            if is_held && !told.contains(&trouble.fault) {
                told.push(trouble.fault);
                client.struck(trouble.fault, None);
            }
        }
    }

    /// The indexes that are gone, each with the fault that has dropped it: it strikes the statements that
    /// would have used it.
    pub(super) fn missing(&self) -> Vec<(usize, String)> {
        let troubles = self.troubles.borrow();
        let missing = troubles.iter().filter_map(|trouble| match &trouble.what {
            What::Missing { index, is_dropped } if is_dropped.load(Ordering::Relaxed) => {
                Some((trouble.fault, index.clone()))
            }
            _ => None,
        });
        missing.collect()
    }

    /// How many times as long the disk takes, if it is slow.
    pub(super) fn slowness(&self) -> Option<f64> {
        let (troubles, now) = (self.troubles.borrow(), self.sched.now());
        troubles.iter().fold(None, |slowness, trouble| match &trouble.what {
            What::Slow(times) => Some(slowness.unwrap_or(1.0) * times(now)),
            _ => slowness,
        })
    }

    /// How long the disk takes for what it does in `nanos` if it is not slow.
    pub(super) fn slowed(&self, nanos: Nanos, client: &dyn Client) -> Nanos {
        let Some(slowness) = self.slowness() else { return nanos };
        let longer = (nanos as f64 * (slowness - 1.0)) as Nanos;
        for trouble in self.troubles.borrow().iter() {
            if longer > 0 && matches!(trouble.what, What::Slow(_)) {
                client.struck(trouble.fault, Some(longer));
            }
        }
        nanos.saturating_add(longer)
    }
}

impl Holding {
    fn begin(&mut self, database: &mut Database, now: i64) {
        self.own = database.begin(now).ok();
        self.lock(database);
    }

    /// Locks the table, if nobody is in the way. One that cannot be locked is not waited for.
    fn lock(&mut self, database: &mut Database) {
        let Some(own) = self.own else { return };
        self.by = match database.lock_table(own, &self.table, self.mode) {
            Outcome::Blocked(blocked) => blocked.by,
            Outcome::Done(_) | Outcome::Failed(_) => Vec::new(),
        };
    }

    fn release(&mut self, database: &mut Database) {
        if let Some(own) = self.own.take() {
            // The server may have ended meanwhile, and with it the transaction.
            database.rollback(own).ok();
        }
    }
}

/// A panic leaves it as it was.
fn held(holding: &Mutex<Holding>) -> MutexGuard<'_, Holding> {
    holding.lock().unwrap_or_else(PoisonError::into_inner)
}
