//! A transaction of a client.

use std::rc::Rc;
use std::sync::Arc;

use simhost_sql::{Ended, Failure, Statement, Transaction, Value};

use super::{Answer, Client, Leg, Live};

/// A transaction of a client. Dropping it rolls back.
pub struct Open {
    pub(super) live: Rc<Live>,
    pub(super) own: Option<Transaction>,
    /// It is that of one statement outside of transactions, if the statement needs one.
    pub(super) alone: bool,
    /// Whether a statement of it has changed rows or tables.
    pub(super) wrote: bool,
    /// The life of the server that has it.
    pub(super) life: u64,
}

impl Open {
    /// Executes a statement in the transaction.
    pub async fn execute(
        &mut self,
        statement: &Arc<Statement>,
        params: &Arc<[Value]>,
        client: &dyn Client,
    ) -> Answer {
        let (live, life) = (Rc::clone(&self.live), self.life);
        let executed = async {
            let answer = live.run(self, statement, params, client).await;
            live.sched.sleep(live.leg(client, Leg::Back)).await;
            answer
        };
        live.unless_it_ends(life, client, executed).await.unwrap_or_else(Answer::failed)
    }

    /// A statement of it was none: it takes no further one.
    pub fn fail(&self) {
        if let Some(own) = self.own {
            self.live.engine.tell(move |database| database.cancel(own));
            self.live.ended(own);
        }
    }

    /// Commits.
    ///
    /// # Errors
    /// It cannot be committed. Where the server ends meanwhile, it may have been.
    pub async fn commit(mut self, client: &dyn Client) -> Result<Ended, Failure> {
        let (live, life) = (Rc::clone(&self.live), self.life);
        let committed = async {
            live.sched.sleep(live.leg(client, Leg::There)).await;
            let ended = live.finish(&mut self, client).await;
            live.sched.sleep(live.leg(client, Leg::Back)).await;
            ended
        };
        live.unless_it_ends(life, client, committed).await.flatten()
    }

    /// Rolls back: at once, as dropping it does, and what follows is the way there and back again.
    pub async fn rollback(self, client: &dyn Client) {
        let live = Rc::clone(&self.live);
        drop(self);
        live.sched.sleep(live.leg(client, Leg::There) + live.leg(client, Leg::Back)).await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(own) = self.own.take() {
            // The end of the server may have rolled it back before.
            self.live.engine.tell(move |database| drop(database.rollback(own)));
            self.live.ended(own);
        }
    }
}
