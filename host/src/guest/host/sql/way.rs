//! What a guest asks of a database, on its way there and back.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use simhost_sql::{Done, Failure, Statement, Value, Work};

use super::span::{Asker, Sent, Unconnected};
use super::spent;
use crate::database::{Answer, Client, Connection, Live, NoConnection, Open, Pool};
use crate::guest::outbound::Asking;
use crate::model::Nanos;
use crate::rng::Key;
use crate::sched::Sched;
use crate::telemetry::record::SpanRecord;

/// Where a call of a guest goes on: on the clock of the world.
pub(super) struct Way {
    pub sched: Sched,
    /// The instant to which the guest has computed.
    pub begins: Nanos,
    /// The statements of the request may take no further steps.
    pub is_spent: bool,
    /// The span of what is asked; none where the trace is not kept, and once it is taken.
    pub span: Cell<Option<Box<SpanRecord>>>,
    pub asker: Asker,
    pub asking: Asking,
    /// The key of what chance decides about it.
    pub chance: Key,
}

impl Client for Way {
    fn struck(&self, fault: usize, longer: Option<Nanos>) {
        if let Some(outbound) = self.asker.host.outbound.get() {
            outbound.strikes(fault, &self.asking, longer);
        }
    }

    fn chance(&self) -> Key {
        self.chance
    }
}

/// What became of a statement.
pub(super) struct Asked {
    pub work: Work,
    pub result: Result<Done, Failure>,
    pub of: Option<(Rc<Live>, Arc<Statement>)>,
}

impl Way {
    /// A connection, when the world has come to the guest's instant.
    pub async fn connect(&self, pool: &Rc<Pool>) -> Result<Connection, Unconnected> {
        self.sched.sleep_until(self.begins).await;
        let began = self.sched.now();
        pool.take(self).await.map_err(|reason| Unconnected {
            asker: self.asker.clone(),
            span: self.span.take(),
            live: Rc::clone(&pool.live),
            began: match &reason {
                NoConnection::Timeout => began,
                NoConnection::Refused(_, asked) => *asked,
            },
            ended: self.sched.now(),
            reason,
        })
    }

    /// A statement with this text, or a word that begins or ends a transaction, is sent now.
    pub fn send(&self, live: &Rc<Live>, text: &str) -> Sent {
        Sent::new(self.asker.clone(), self.span.take(), live, text)
    }

    /// Asks one statement, within a transaction if there is one.
    pub async fn ask(
        &self,
        live: &Rc<Live>,
        open: Option<&mut Open>,
        text: &str,
        params: &Arc<[Value]>,
    ) -> Asked {
        let mut sent = self.send(live, text);
        let prepared = if self.is_spent { Err(spent()) } else { live.prepare(text).await };
        let (answer, of) = match prepared {
            Ok(statement) => {
                sent.describe(statement.summary(), statement.query_text());
                let answer = match open {
                    Some(open) => open.execute(&statement, params, self).await,
                    None => live.execute(&statement, params, self).await,
                };
                (answer, Some((Rc::clone(live), statement)))
            }
            Err(failure) => {
                if let Some(open) = open {
                    open.fail();
                }
                live.refuse(self).await;
                (Answer { result: Err(failure), work: Work::default(), locked: 0 }, None)
            }
        };
        sent.answered(&answer);
        let Answer { result, work, .. } = answer;
        Asked { work, result, of }
    }
}
