//! Databases and sessions for tests.
#![allow(dead_code, reason = "each test uses a part of it")]

use simhost_sql::{Blocked, Call, Database, Done, Ended, Failure, Options, Outcome, Transaction};

pub fn database(schema: &str) -> Database {
    Database::open(schema, Options::default()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

pub fn done(outcome: Outcome) -> Done {
    match outcome {
        Outcome::Done(done) => done,
        other => panic!("it did not run: {other:?}"),
    }
}

pub fn blocked(outcome: Outcome) -> Blocked {
    match outcome {
        Outcome::Blocked(blocked) => blocked,
        other => panic!("it does not wait: {other:?}"),
    }
}

pub fn failed(outcome: Outcome) -> Failure {
    match outcome {
        Outcome::Failed(failed) => failed.failure,
        other => panic!("it did not fail: {other:?}"),
    }
}

pub fn execute(database: &mut Database, transaction: Option<Transaction>, sql: &str) -> Outcome {
    match database.prepare(sql) {
        Ok(statement) => database.execute(transaction, &statement, &[], Call::at(0)),
        Err(failure) => panic!("{sql}: {failure}"),
    }
}

/// Open transactions on one database.
pub struct Sessions {
    pub database: Database,
    open: Vec<Transaction>,
}

impl Sessions {
    pub fn new(schema: &str, count: usize) -> Self {
        let mut database = database(schema);
        let open = (0..count).map(|_| database.begin(0).expect("it begins")).collect();
        Self { database, open }
    }

    pub fn of(&self, session: usize) -> Transaction {
        self.open[session]
    }

    pub fn run(&mut self, session: usize, sql: &str) -> Outcome {
        execute(&mut self.database, Some(self.open[session]), sql)
    }

    /// The session has ended its transaction, and begins another one.
    pub fn begin(&mut self, session: usize) {
        self.open[session] = self.database.begin(0).expect("it begins");
    }

    /// Outside of a transaction.
    pub fn alone(&mut self, sql: &str) -> Outcome {
        execute(&mut self.database, None, sql)
    }

    pub fn commit(&mut self, session: usize) -> Ended {
        self.database.commit(self.open[session]).expect("it is open")
    }

    pub fn rollback(&mut self, session: usize) {
        self.database.rollback(self.open[session]).expect("it is open");
    }
}
