//! The connections that a replica has to a database.

use std::cell::Cell;
use std::rc::Rc;

use simhost_sql::Failure;

use super::live::Live;
use super::slots::{Slot, Slots};
use crate::model::{ConnectionPool, Nanos};
use crate::process::Process;
use crate::sched::Sched;

/// A pool: connections are opened when they are needed, and stay.
pub struct Pool {
    pub live: Rc<Live>,
    slots: Rc<Slots>,
    wait: Nanos,
    /// Connections that are open, and those of them that a request has.
    opened: Cell<u32>,
    used: Cell<u32>,
    /// The life of the process that has opened them.
    life: Cell<u64>,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NoConnection {
    /// None was free in time.
    Timeout,
    /// The database takes no more.
    Refused(Failure),
}

/// A connection that a request has.
pub struct Connection {
    pub pool: Rc<Pool>,
    life: u64,
    _slot: Slot,
}

impl Pool {
    pub fn new(live: Rc<Live>, settings: &ConnectionPool) -> Rc<Self> {
        Rc::new(Self {
            live,
            slots: Slots::new(settings.max),
            wait: settings.wait,
            opened: Cell::new(0),
            used: Cell::new(0),
            life: Cell::new(0),
        })
    }

    /// A connection for a request of this process.
    ///
    /// # Errors
    /// None is free within the pool's time, or the database refuses one more.
    pub async fn take(self: &Rc<Self>, sched: &Sched, process: &Process) -> Result<Connection, NoConnection> {
        let slot = self.slots.take_within(sched, self.wait).await.ok_or(NoConnection::Timeout)?;
        let life = process.life();
        if self.life.replace(life) != life {
            // What the process had before it died is closed.
            self.live.disconnect(self.opened.take());
            self.used.set(0);
        }
        if self.used.get() == self.opened.get() {
            self.live.connect().map_err(NoConnection::Refused)?;
            self.opened.set(self.opened.get() + 1);
        }
        self.used.set(self.used.get() + 1);
        Ok(Connection { pool: Rc::clone(self), life, _slot: slot })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let pool = &self.pool;
        if pool.life.get() == self.life {
            pool.used.set(pool.used.get().saturating_sub(1));
        }
    }
}
