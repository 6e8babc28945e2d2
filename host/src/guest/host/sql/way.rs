//! What a guest asks of a database, on its way there and back.

use std::rc::Rc;
use std::sync::Arc;

use simhost_sql::{Done, Failure, Statement, Value, Work};

use super::span::{Said, Unconnected};
use super::{Host, Span};
use crate::database::{Answer, Client, Connection, Live, NoConnection, Open, Pool};
use crate::guest::outbound::Asking;
use crate::model::Nanos;
use crate::rng::Key;
use crate::sched::Sched;

/// Where a call of a guest goes on: on the clock of the world.
pub(super) struct Way {
    pub sched: Sched,
    /// The instant to which the guest has computed.
    pub begins: Nanos,
    pub span: Span,
    pub host: Rc<Host>,
    pub asking: Asking,
    /// The key of what chance decides about it.
    pub chance: Key,
}

impl Client for Way {
    fn struck(&self, fault: usize, longer: Option<Nanos>) {
        if let Some(outbound) = self.host.outbound.get() {
            outbound.strikes(fault, &self.asking, longer);
        }
    }

    fn chance(&self) -> Key {
        self.chance
    }
}

/// What became of a statement.
pub(super) struct Asked {
    pub said: Said,
    pub result: Result<Done, Failure>,
    pub of: Option<(Rc<Live>, Arc<Statement>)>,
}

impl Way {
    /// A connection, when the world has come to the guest's instant.
    pub async fn connect(&self, pool: &Rc<Pool>) -> Result<Connection, Unconnected> {
        self.sched.sleep_until(self.begins).await;
        let began = self.sched.now();
        pool.take(self).await.map_err(|reason| Unconnected {
            span: self.span,
            live: Rc::clone(&pool.live),
            began: match &reason {
                NoConnection::Timeout => began,
                NoConnection::Refused(_, asked) => *asked,
            },
            ended: self.sched.now(),
            reason,
        })
    }

    /// What the span of a word says that begins or ends a transaction, now.
    pub fn control(&self, word: &str, connection: &Connection, began: Nanos) -> Said {
        let live = Rc::clone(&connection.pool.live);
        let (summary, text, ended) = (word.to_owned(), word.to_owned(), self.sched.now());
        Said { live, summary, text, began, ended, work: Work::default(), locked: 0 }
    }

    /// Asks one statement, within a transaction if there is one.
    pub async fn ask(&self, live: &Rc<Live>, open: Option<&mut Open>, text: &str, params: &[Value]) -> Asked {
        let began = self.sched.now();
        let (summary, query, answer, of) = match live.prepare(text) {
            Ok(statement) => {
                let answer = match open {
                    Some(open) => open.execute(&statement, params, self).await,
                    None => live.execute(&statement, params, self).await,
                };
                let (summary, query) = (statement.summary().to_owned(), statement.query_text().to_owned());
                (summary, query, answer, Some((Rc::clone(live), statement)))
            }
            Err(failure) => {
                if let Some(open) = open {
                    open.fail();
                }
                live.refuse(self).await;
                let (summary, query) = simhost_sql::described(text);
                (summary, query, Answer { result: Err(failure), work: Work::default(), locked: 0 }, None)
            }
        };
        let (live, ended) = (Rc::clone(live), self.sched.now());
        let Answer { result, work, locked } = answer;
        Asked { said: Said { live, summary, text: query, began, ended, work, locked }, result, of }
    }
}
