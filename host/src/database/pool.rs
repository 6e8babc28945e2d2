//! The connections that a replica has to a database.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use simhost_sql::Failure;

use super::account::PoolAccount;
use super::live::{Client, Live, SLACK};
use super::slots::{Slot, Slots};
use crate::model::{ConnectionPool, Distribution, Nanos};
use crate::process::Process;

/// A pool: connections are opened when they are needed, and stay.
pub struct Pool {
    pub live: Rc<Live>,
    slots: Rc<Slots>,
    /// Connections that faults keep from requests, as if code had not given them back.
    held: RefCell<Vec<Slot>>,
    wait: Nanos,
    /// How late it is noticed that the wait was too long.
    slack: Distribution,
    /// Whose connections they are.
    process: Rc<Process>,
    /// Connections that are open, and those of them that no request has.
    opened: Cell<u32>,
    idle: Cell<u32>,
    /// Requests that wait for one.
    pending: Cell<u32>,
    /// The process ends when it is done with what it has: it keeps no connection that no request has.
    retired: Cell<bool>,
    /// The lives in which they were opened.
    life: Cell<Life>,
    /// What requests have met here.
    account: RefCell<PoolAccount>,
    observer: Option<Box<dyn PoolObserver>>,
}

/// What both ends of a connection live in, the process and the server: it breaks when one of them ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Life {
    process: u64,
    server: u64,
}

/// Who measures a pool.
pub trait PoolObserver {
    fn noted(&self, event: PoolEvent);
}

/// Something has happened in a pool. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolEvent {
    /// It has other numbers of connections, or of requests that wait for one.
    Has { idle: u32, used: u32, pending: u32 },
    /// A request had to wait for too long.
    TimedOut,
    /// A connection was opened.
    Created(Nanos),
    /// A request has its connection.
    Waited(Nanos),
    /// A request has given its connection back.
    Used(Nanos),
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
    since: Nanos,
    slot: Option<Slot>,
}

/// A request that waits for a connection.
struct Waiting<'a>(&'a Pool);

impl<'a> Waiting<'a> {
    fn new(pool: &'a Pool) -> Self {
        pool.pending.set(pool.pending.get() + 1);
        pool.tell();
        Self(pool)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.pending.set(self.0.pending.get() - 1);
        self.0.tell();
    }
}

impl Pool {
    pub fn new(
        live: Rc<Live>,
        (settings, slack): (&ConnectionPool, &Distribution),
        process: &Rc<Process>,
        observer: Option<Box<dyn PoolObserver>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            slots: Slots::new(settings.max),
            held: RefCell::default(),
            wait: settings.wait,
            slack: slack.clone(),
            process: Rc::clone(process),
            opened: Cell::new(0),
            idle: Cell::new(0),
            pending: Cell::new(0),
            retired: Cell::new(false),
            life: Cell::new(Life { process: process.life(), server: live.life() }),
            live,
            account: RefCell::default(),
            observer,
        })
    }

    /// A connection for a request of the process.
    ///
    /// # Errors
    /// None is free within the pool's time, or the database refuses one more.
    pub async fn take(self: &Rc<Self>, client: &dyn Client) -> Result<Connection, NoConnection> {
        let asked = self.now();
        self.account.borrow_mut().asked += 1;
        self.keep();
        let slot = match self.slots.try_take() {
            Some(slot) => slot,
            None => self.wait(client).await?,
        };
        self.settle();
        let life = self.life.get();
        match self.idle.get().checked_sub(1) {
            Some(idle) => self.idle.set(idle),
            None => self.open(life, client).await?,
        }
        self.note(PoolEvent::Waited(self.now() - asked));
        self.tell();
        Ok(Connection { pool: Rc::clone(self), life, since: self.now(), slot: Some(slot) })
    }

    async fn wait(self: &Rc<Self>, client: &dyn Client) -> Result<Slot, NoConnection> {
        if !self.held.borrow().is_empty() {
            self.live.strike_for_held(client);
        }
        let (waiting, asked) = (Waiting::new(self), self.now());
        let slack = self.slack.sample(&mut client.chance().with(SLACK).stream());
        let slot = self.slots.take_within(&self.process.sched, self.wait.saturating_add(slack)).await;
        drop(waiting);
        self.account.borrow_mut().waited(self.now() - asked, slot.is_none());
        if slot.is_none() {
            self.note(PoolEvent::TimedOut);
        }
        slot.ok_or(NoConnection::Timeout)
    }

    /// Opens one more connection, in these lives.
    async fn open(&self, life: Life, client: &dyn Client) -> Result<(), NoConnection> {
        let asked = self.now();
        self.live.connect(client).await.map_err(|failure| {
            self.account.borrow_mut().refused += 1;
            NoConnection::Refused(failure, asked)
        })?;
        self.note(PoolEvent::Created(self.now() - asked));
        if self.life.get() == life {
            self.opened.set(self.opened.get() + 1);
        } else {
            // The process has ended meanwhile, and another one has the pool.
            self.live.disconnect(1, life.server);
        }
        Ok(())
    }

    pub fn account(&self) -> PoolAccount {
        *self.account.borrow()
    }

    /// Gives up connections that an end has broken, and those that no request has as long as the database has
    /// more of them than it may.
    pub fn settle(self: &Rc<Self>) {
        self.settle_end();
        while self.live.has_too_many() && self.idle.get() > 0 {
            self.close_idle();
        }
        self.keep();
    }

    /// Gives up connections that an end has broken.
    pub fn settle_end(&self) {
        let life = self.current_life();
        let before = self.life.replace(life);
        if before != life {
            self.live.disconnect(self.opened.take(), before.server);
            self.idle.set(0);
            self.held.take();
            self.tell();
        }
    }

    /// From now on keeps no connection that no request has, or keeps them again.
    pub fn retire(&self, retired: bool) {
        self.retired.set(retired);
        self.settle_end();
        while retired && self.idle.get() > 0 {
            self.close_idle();
        }
    }

    fn close_idle(&self) {
        self.idle.set(self.idle.get() - 1);
        self.close(self.life.get());
        self.tell();
    }

    /// Keeps as many connections from requests as faults say: idle ones first, then those that are not
    /// open, and those that requests have when they come back. Gives back what is too many.
    fn keep(self: &Rc<Self>) {
        let (wanted, held) = (self.live.held() as usize, self.held.borrow().len());
        if wanted == held {
            return;
        }
        for _ in wanted..held {
            let slot = self.held.borrow_mut().pop();
            self.idle.set(self.idle.get() + 1);
            drop(slot);
        }
        for _ in held..wanted {
            let Some(slot) = self.slots.try_take() else { break };
            match self.idle.get().checked_sub(1) {
                Some(idle) => self.idle.set(idle),
                None if self.live.connect_at_once() => self.opened.set(self.opened.get() + 1),
                // Others have all connections of the database.
                None => break,
            }
            self.held.borrow_mut().push(slot);
        }
        self.tell();
    }

    fn close(&self, life: Life) {
        self.opened.set(self.opened.get() - 1);
        self.live.disconnect(1, life.server);
    }

    fn current_life(&self) -> Life {
        Life { process: self.process.life(), server: self.live.life() }
    }

    fn now(&self) -> Nanos {
        self.process.sched.now()
    }

    fn note(&self, event: PoolEvent) {
        if let Some(observer) = &self.observer {
            observer.noted(event);
        }
    }

    /// Says what the pool has.
    fn tell(&self) {
        let (idle, pending) = (self.idle.get(), self.pending.get());
        self.note(PoolEvent::Has { idle, used: self.opened.get() - idle, pending });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let pool = &self.pool;
        // What an end has broken is not given back.
        if pool.life.get() != self.life || pool.current_life() != self.life {
            return;
        }
        if pool.held.borrow().len() < pool.live.held() as usize {
            pool.held.borrow_mut().extend(self.slot.take());
            return;
        }
        if pool.retired.get() || pool.live.has_too_many() {
            pool.close(self.life);
        } else {
            pool.idle.set(pool.idle.get() + 1);
        }
        pool.note(PoolEvent::Used(pool.now() - self.since));
        pool.tell();
    }
}

#[cfg(test)]
mod tests;
