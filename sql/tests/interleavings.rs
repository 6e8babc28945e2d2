//! Transactions in random orders, compared with a model of READ COMMITTED: a row has what was committed and
//! what its reader has added, nothing is lost, and nothing stays locked.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use simhost_sql::{Ended, Outcome, Transaction, Value};
use support::{database, execute};

const SESSIONS: usize = 5;
const ROWS: i64 = 6;

/// A generator that gives the same on every machine: Marsaglia's xorshift64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

#[derive(Default)]
struct Session {
    transaction: Option<Transaction>,
    /// What it has added to rows, and the keys that it has inserted.
    added: BTreeMap<i64, i64>,
    keys: BTreeSet<i64>,
    /// The statement that waits, and what it changes.
    waits: Option<(String, Change)>,
}

#[derive(Clone, Copy)]
enum Change {
    Add(i64, i64),
    Insert(i64),
}

#[derive(Default)]
struct Model {
    committed: BTreeMap<i64, i64>,
    keys: BTreeSet<i64>,
    deadlocks: usize,
    waited: usize,
}

#[test]
fn no_order_of_statements_loses_an_update_or_shows_what_is_not_committed() {
    let (mut deadlocks, mut waited) = (0, 0);
    for seed in 1..=60 {
        let model = story(seed);
        deadlocks += model.deadlocks;
        waited += model.waited;
    }
    assert!(
        deadlocks > 20 && waited > 500,
        "{deadlocks} deadlocks, {waited} waits: the orders show too little"
    );
}

fn story(seed: u64) -> Model {
    let mut database = database(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT NOT NULL);
         INSERT INTO t SELECT i, 0 FROM generate_series(0, 5) AS i;
         CREATE TABLE keys (k INT UNIQUE, of INT);",
    );
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut model = Model::default();
    let mut sessions: Vec<Session> = (0..SESSIONS).map(|_| Session::default()).collect();
    for step in 0..150 {
        let at = dice.below(SESSIONS as u64) as usize;
        let session = &mut sessions[at];
        if session.transaction.is_none() {
            session.transaction = Some(database.begin(step).expect("it begins"));
        }
        let own = session.transaction;
        if let Some((sql, change)) = session.waits.take() {
            take(&mut database, session, &mut model, &sql, change);
            continue;
        }
        match dice.below(10) {
            0..4 => {
                let (id, by) = (dice.below(ROWS as u64) as i64, dice.below(9) as i64 + 1);
                let sql = format!("UPDATE t SET n = n + {by} WHERE id = {id}");
                take(&mut database, session, &mut model, &sql, Change::Add(id, by));
            }
            4 => {
                let key = dice.below(4) as i64;
                let sql = format!("INSERT INTO keys VALUES ({key}, {at}) ON CONFLICT (k) DO NOTHING");
                take(&mut database, session, &mut model, &sql, Change::Insert(key));
            }
            5..8 => {
                let id = dice.below(ROWS as u64) as i64;
                let sees = read(&mut database, own, &format!("SELECT n FROM t WHERE id = {id}"));
                let expected = model.committed.get(&id).unwrap_or(&0) + session.added.get(&id).unwrap_or(&0);
                assert_eq!(sees, expected, "seed {seed}, step {step}: row {id}");
                let keys = read(&mut database, own, "SELECT count(*) FROM keys");
                assert_eq!(
                    keys as usize,
                    model.keys.union(&session.keys).count(),
                    "seed {seed}, step {step}"
                );
            }
            8 => end(&mut database, session, &mut model, true),
            _ => end(&mut database, session, &mut model, false),
        }
    }
    for session in &mut sessions {
        if session.transaction.is_some() {
            end(&mut database, session, &mut model, false);
        }
    }
    for id in 0..ROWS {
        let sees = read(&mut database, None, &format!("SELECT n FROM t WHERE id = {id}"));
        assert_eq!(sees, *model.committed.get(&id).unwrap_or(&0), "seed {seed}: row {id} at the end");
        let free = execute(&mut database, None, &format!("UPDATE t SET n = 0 WHERE id = {id}"));
        assert!(matches!(free, Outcome::Done(_)), "seed {seed}: row {id} stays locked: {free:?}");
    }
    let free = execute(&mut database, None, "TRUNCATE keys, t");
    assert!(matches!(free, Outcome::Done(_)), "seed {seed}: a table stays locked: {free:?}");
    model
}

/// Runs a statement; one that waits is tried again later, one that closes a circle ends its transaction.
fn take(
    database: &mut simhost_sql::Database,
    session: &mut Session,
    model: &mut Model,
    sql: &str,
    change: Change,
) {
    let own = session.transaction.expect("a transaction");
    match execute(database, Some(own), sql) {
        Outcome::Done(done) => match change {
            Change::Add(id, by) => *session.added.entry(id).or_default() += by,
            Change::Insert(key) => {
                let known = model.keys.contains(&key) || session.keys.contains(&key);
                assert_eq!(done.affected, u64::from(!known), "the key {key}");
                if !known {
                    session.keys.insert(key);
                }
            }
        },
        Outcome::Blocked(_) => {
            model.waited += 1;
            if database.deadlock(own).is_some() {
                model.deadlocks += 1;
                assert_eq!(database.commit(own).expect("it is open"), Ended::RolledBack);
                *session = Session::default();
            } else {
                session.waits = Some((sql.to_owned(), change));
            }
        }
        Outcome::Failed(failed) => panic!("{sql}: {}", failed.failure),
    }
}

fn end(database: &mut simhost_sql::Database, session: &mut Session, model: &mut Model, commit: bool) {
    let own = session.transaction.expect("a transaction");
    if !commit {
        database.rollback(own).expect("it is open");
        *session = Session::default();
        return;
    }
    assert!(matches!(database.commit(own), Ok(Ended::Committed { .. })));
    let ended = std::mem::take(session);
    ended.added.into_iter().for_each(|(id, by)| *model.committed.entry(id).or_default() += by);
    model.keys.extend(ended.keys);
}

fn read(database: &mut simhost_sql::Database, own: Option<Transaction>, sql: &str) -> i64 {
    match execute(database, own, sql) {
        Outcome::Done(done) => match done.rows[0][0] {
            Value::Int(number) => number,
            ref other => panic!("{other:?}"),
        },
        other => panic!("a read does not wait: {other:?}"),
    }
}
