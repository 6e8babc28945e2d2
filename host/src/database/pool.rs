//! The connections that a replica has to a database.

use std::cell::Cell;
use std::rc::Rc;

use simhost_sql::Failure;

use super::live::{Client, Live};
use super::slots::{Slot, Slots};
use crate::model::{ConnectionPool, Nanos};
use crate::process::Process;
use crate::sched::Sched;

/// A pool: connections are opened when they are needed, and stay.
pub struct Pool {
    pub live: Rc<Live>,
    slots: Rc<Slots>,
    wait: Nanos,
    /// Connections that are open, and those of them that no request has.
    opened: Cell<u32>,
    idle: Cell<u32>,
    /// The lives of the process that has opened them, and of the server at their other end.
    life: Cell<Life>,
}

/// What both ends of a connection live in: it breaks when one of them ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Life {
    process: u64,
    server: u64,
}

/// Why there is no connection.
#[derive(Debug)]
pub enum NoConnection {
    /// None was free in time.
    Timeout,
    /// The database has refused it, which was asked at this instant.
    Refused(Failure, Nanos),
}

/// A connection that a request has.
pub struct Connection {
    pub pool: Rc<Pool>,
    life: Life,
    _slot: Slot,
}

impl Pool {
    pub fn new(live: Rc<Live>, settings: &ConnectionPool) -> Rc<Self> {
        Rc::new(Self {
            live,
            slots: Slots::new(settings.max),
            wait: settings.wait,
            opened: Cell::new(0),
            idle: Cell::new(0),
            life: Cell::default(),
        })
    }

    /// A connection for a request of this process.
    ///
    /// # Errors
    /// None is free within the pool's time, or the database refuses one more.
    pub async fn take(
        self: &Rc<Self>,
        sched: &Sched,
        process: &Process,
        client: &dyn Client,
    ) -> Result<Connection, NoConnection> {
        let slot = self.slots.take_within(sched, self.wait).await.ok_or(NoConnection::Timeout)?;
        let life = Life { process: process.life(), server: self.live.life() };
        let before = self.life.replace(life);
        if before != life {
            // What there was before one of the two has ended is closed.
            self.live.disconnect(self.opened.take(), before.server);
            self.idle.set(0);
        }
        match self.idle.get().checked_sub(1) {
            Some(idle) => self.idle.set(idle),
            None => {
                let asked = sched.now();
                let refused = |failure| NoConnection::Refused(failure, asked);
                self.live.connect(client).await.map_err(refused)?;
                if self.life.get() == life {
                    self.opened.set(self.opened.get() + 1);
                } else {
                    // The process has ended meanwhile, and another one has the pool.
                    self.live.disconnect(1, life.server);
                }
            }
        }
        Ok(Connection { pool: Rc::clone(self), life, _slot: slot })
    }

    /// Closes connections that no request has, as long as the database has more of them than it may.
    pub fn give_up_idle(&self) {
        while self.live.has_too_many() && self.idle.get() > 0 {
            self.idle.set(self.idle.get() - 1);
            self.close(self.life.get());
        }
    }

    fn close(&self, life: Life) {
        self.opened.set(self.opened.get() - 1);
        self.live.disconnect(1, life.server);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let pool = &self.pool;
        if pool.life.get() != self.life {
            return;
        }
        if pool.live.has_too_many() {
            pool.close(self.life);
        } else {
            pool.idle.set(pool.idle.get() + 1);
        }
    }
}
