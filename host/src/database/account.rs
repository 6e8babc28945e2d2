//! What was asked of databases, and what became of it: for the report.

use std::borrow::Cow;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use simhost_sql::Work;

use crate::model::{Nanos, ServiceId};
use crate::tally::Tally;

/// Summaries of statements of a database that are counted apart; the others are counted together.
const SUMMARIES: usize = 200;

/// What was asked of one database.
#[derive(Clone, Debug)]
pub struct DatabaseAccount {
    pub name: String,
    pub statements: Statements,
    /// The pools of each service that has any, all replicas together.
    pub pools: Vec<(ServiceId, PoolAccount)>,
}

/// Statements by their summaries, in the order in which these came; an empty one for all beyond the bound.
#[derive(Clone, Debug, Default)]
pub struct Statements(IndexMap<Box<str>, StatementAccount, FxBuildHasher>);

/// The statements of one summary, as their clients saw them.
#[derive(Clone, Debug)]
pub struct StatementAccount {
    /// Errors by their SQLSTATE.
    pub calls: Tally,
    /// Rows that were read one after the other, without an index.
    pub scanned: u64,
    /// Those that waited for a lock, and for how long together: nanoseconds.
    pub lock_waits: u64,
    pub lock_waited: u128,
}

/// What requests met at the pools of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolAccount {
    /// Requests for a connection.
    pub asked: u64,
    /// Of those, the ones that had to wait for one to be given back, and for how long: nanoseconds.
    pub waited: u64,
    pub wait: u128,
    pub longest: Nanos,
    /// Those that waited for too long.
    pub timeouts: u64,
    /// Connections that the database has refused.
    pub refused: u64,
}

impl Statements {
    /// A statement has ended, after `took` nanoseconds of which it waited for locks for `locked`. One that is
    /// late began when no more requests were made.
    pub fn note(
        &mut self,
        summary: &str,
        (took, is_late): (Nanos, bool),
        error: Option<&'static str>,
        work: Work,
        locked: Nanos,
    ) {
        let account = self.of(summary);
        account.calls.note(took, error.map(Cow::Borrowed));
        account.calls.late += u64::from(is_late);
        account.scanned += work.scanned;
        account.lock_waits += u64::from(locked > 0);
        account.lock_waited += u128::from(locked);
    }

    fn of(&mut self, summary: &str) -> &mut StatementAccount {
        let is_apart = self.0.contains_key(summary) || self.0.len() < SUMMARIES;
        let key = if is_apart { summary } else { "" };
        let new = || StatementAccount { calls: Tally::coarse(), scanned: 0, lock_waits: 0, lock_waited: 0 };
        self.0.entry(key.into()).or_insert_with(new)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &StatementAccount)> {
        self.0.iter().map(|(summary, account)| (&**summary, account))
    }
}

impl PoolAccount {
    /// A request has waited for a connection.
    pub fn waited(&mut self, wait: Nanos, in_vain: bool) {
        self.waited += 1;
        self.wait += u128::from(wait);
        self.longest = self.longest.max(wait);
        self.timeouts += u64::from(in_vain);
    }

    pub fn merge(&mut self, other: &Self) {
        self.asked += other.asked;
        self.waited += other.waited;
        self.wait += other.wait;
        self.longest = self.longest.max(other.longest);
        self.timeouts += other.timeouts;
        self.refused += other.refused;
    }
}

impl DatabaseAccount {
    /// Adds what was asked of the same database in another world.
    pub fn merge(&mut self, other: &Self) {
        for (summary, theirs) in other.statements.iter() {
            let mine = self.statements.of(summary);
            mine.calls.merge(&theirs.calls);
            mine.scanned += theirs.scanned;
            mine.lock_waits += theirs.lock_waits;
            mine.lock_waited += theirs.lock_waited;
        }
        for (service, theirs) in &other.pools {
            self.pool(*service).merge(theirs);
        }
    }

    /// What requests met at the pools of this service.
    pub fn pool(&mut self, service: ServiceId) -> &mut PoolAccount {
        let known = self.pools.iter().position(|(of, _)| *of == service);
        let at = known.unwrap_or_else(|| {
            self.pools.push((service, PoolAccount::default()));
            self.pools.len() - 1
        });
        &mut self.pools[at].1
    }
}
