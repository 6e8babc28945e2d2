//! `simhost:service/sql`: statements for the databases of the topology.

mod measure;
mod span;
mod values;
mod way;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use simhost_sql::{Ended, Failure, Statement, Value, Work};
use wasmtime::component::{HasSelf, LinkerInstance, Resource};

use crate::database::{Connection, Live, Open, Pool};
use crate::rng::Purpose;
use crate::sched;
use crate::telemetry::record::{Attributes, SpanKind, Text};
use crate::wasi::bill::{self, CALL, FUNCTION};

use super::state::{GuestState, Host, Local};
use crate::guest::bindings::Transaction;
use crate::guest::bindings::simhost::service::sql;
use crate::guest::identity::Identity;
use crate::guest::outbound::Asking;
use span::{Asker, SYSTEM, Unconnected};
use values::{given, price, refusal, taken};
use way::{Asked, Way};

/// Steps of the statements of one request. Waiting for a database is no computing of the guest, and
/// simulated time may be free, so this is what bounds the real time of a loop of statements.
const STEPS: u64 = 100_000_000;

/// Transactions that a worker has open at a time.
const TRANSACTIONS: usize = 64;

/// A worker's transactions, and what its last statement was.
pub struct State {
    open: BTreeMap<u32, Held>,
    last: Option<(Work, Rc<Live>, Arc<Statement>)>,
    /// Steps of this request's statements, by what they count.
    steps: u64,
}

/// An open transaction, and the connection below it: that is given back when the transaction has ended.
struct Held {
    open: Open,
    connection: Connection,
}

impl State {
    pub const fn new(_: &Identity) -> Self {
        Self { open: BTreeMap::new(), last: None, steps: 0 }
    }

    /// The request has ended: what it left open is rolled back.
    pub fn finish(&mut self) {
        self.open.clear();
        self.last = None;
        self.steps = 0;
    }
}

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    sql::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

/// What needs a connection, which it may not get.
type Connected<T> = LocalBoxFuture<'static, Result<T, Unconnected>>;

/// What became of the beginning of a transaction.
type Begun = Result<Held, Failure>;

impl sql::Host for GuestState {
    async fn query(
        &mut self,
        database: String,
        statement: String,
        params: Vec<sql::Value>,
    ) -> wasmtime::Result<Result<sql::Rows, sql::Error>> {
        self.charge(price(&statement, &params));
        let asked = match self.local.get_mut().start_query(&database, statement, params) {
            Ok(asked) => sched::here(asked),
            Err(error) => return Ok(Err(error)),
        };
        Ok(match asked.await {
            Ok(asked) => self.answered(asked),
            Err(unconnected) => Err(self.local.get_mut().unconnected(unconnected)),
        })
    }

    async fn last_work(&mut self) -> wasmtime::Result<Option<sql::Work>> {
        self.charge(FUNCTION);
        let last = self.local.get().interfaces.sql.last.clone();
        let last = last.map(|(Work { steps, scanned, sorts, .. }, live, statement)| {
            let plan = async move { live.plan(&statement).await };
            (
                sql::Work { steps, rows_scanned: scanned, sorts, plan: Vec::new() },
                sched::here(plan.boxed_local()),
            )
        });
        let last = match last {
            Some((work, plan)) => Some(sql::Work { plan: plan.await, ..work }),
            None => None,
        };
        let bytes = last.iter().flat_map(|work| &work.plan).map(String::len).sum();
        self.charge(bill::bytes(bytes));
        Ok(last)
    }
}

impl sql::HostTransaction for GuestState {
    async fn begin(
        &mut self,
        database: String,
    ) -> wasmtime::Result<Result<Resource<Transaction>, sql::Error>> {
        self.charge(FUNCTION + CALL);
        let begun = match self.local.get_mut().start_transaction(&database) {
            Ok(begun) => sched::here(begun),
            Err(error) => return Ok(Err(error)),
        };
        let begun = begun.await;
        let local = self.local.get_mut();
        let held = match begun {
            Ok(begun) => begun,
            Err(unconnected) => return Ok(Err(local.unconnected(unconnected))),
        };
        Ok(match held {
            Ok(held) => {
                let handle = local.next_handle();
                local.interfaces.sql.open.insert(handle, held);
                Ok(Resource::new_own(handle))
            }
            Err(failure) => Err(sql::Error::Refused(refusal(failure))),
        })
    }

    async fn query(
        &mut self,
        transaction: Resource<Transaction>,
        statement: String,
        params: Vec<sql::Value>,
    ) -> wasmtime::Result<Result<sql::Rows, sql::Error>> {
        self.charge(price(&statement, &params));
        let asked = match self.local.get_mut().start_within(transaction.rep(), statement, params) {
            Ok(asked) => sched::here(asked),
            Err(error) => return Ok(Err(error)),
        };
        let (asked, held) = asked.await;
        self.local.get_mut().interfaces.sql.open.insert(transaction.rep(), held);
        Ok(self.answered(asked))
    }

    async fn commit(
        &mut self,
        transaction: Resource<Transaction>,
    ) -> wasmtime::Result<Result<(), sql::Error>> {
        self.charge(FUNCTION + CALL);
        let ended = match self.local.get_mut().start_end(transaction.rep(), true) {
            Ok(ended) => sched::here(ended),
            Err(error) => return Ok(Err(error)),
        };
        let failed = ended.await;
        Ok(failed.map_or(Ok(()), |failure| Err(sql::Error::Refused(refusal(failure)))))
    }

    async fn rollback(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        self.charge(FUNCTION + CALL);
        let ended = match self.local.get_mut().start_end(transaction.rep(), false) {
            Ok(ended) => sched::here(ended),
            // It has ended already.
            Err(_) => return Ok(()),
        };
        ended.await;
        Ok(())
    }

    fn drop(&mut self, transaction: Resource<Transaction>) -> wasmtime::Result<()> {
        self.charge(FUNCTION);
        self.local.get_mut().interfaces.sql.open.remove(&transaction.rep());
        Ok(())
    }
}

impl Local {
    fn start_query(
        &mut self,
        database: &str,
        statement: String,
        params: Vec<sql::Value>,
    ) -> Result<Connected<Asked>, sql::Error> {
        let (pool, way) = (self.pool(database)?, self.way()?);
        let params: Arc<[Value]> = params.into_iter().map(taken).collect();
        let asked = async move {
            let connection = way.connect(&pool).await?;
            Ok(way.ask(&connection.pool.live, None, &statement, &params).await)
        };
        Ok(asked.boxed_local())
    }

    fn start_transaction(&mut self, database: &str) -> Result<Connected<Begun>, sql::Error> {
        if self.interfaces.sql.open.len() >= TRANSACTIONS {
            let text = format!("{TRANSACTIONS} transactions of this worker are open, which are the most");
            return Err(sql::Error::Invalid(text));
        }
        let (pool, way) = (self.pool(database)?, self.way()?);
        let begun = async move {
            let connection = way.connect(&pool).await?;
            let sent = way.send(&connection.pool.live, "BEGIN");
            let begun = connection.pool.live.begin(&way).await;
            sent.controlled(begun.as_ref().err());
            Ok(begun.map(|open| Held { open, connection }))
        };
        Ok(begun.boxed_local())
    }

    fn start_within(
        &mut self,
        transaction: u32,
        statement: String,
        params: Vec<sql::Value>,
    ) -> Result<LocalBoxFuture<'static, (Asked, Held)>, sql::Error> {
        let (mut held, way) = self.held(transaction)?;
        let params: Arc<[Value]> = params.into_iter().map(taken).collect();
        let asked = async move {
            way.sched.sleep_until(way.begins).await;
            let live = Rc::clone(&held.connection.pool.live);
            let asked = way.ask(&live, Some(&mut held.open), &statement, &params).await;
            (asked, held)
        };
        Ok(asked.boxed_local())
    }

    /// Commits or rolls back; why it could not be committed.
    fn start_end(
        &mut self,
        transaction: u32,
        commits: bool,
    ) -> Result<LocalBoxFuture<'static, Option<Failure>>, sql::Error> {
        let (Held { open, connection }, way) = self.held(transaction)?;
        let ended = async move {
            way.sched.sleep_until(way.begins).await;
            let live = &connection.pool.live;
            if commits {
                let sent = way.send(live, "COMMIT");
                let failed = match open.commit(&way).await {
                    Ok(Ended::Committed { .. }) => None,
                    Ok(Ended::RolledBack) => Some(rolled_back()),
                    Err(failure) => Some(failure),
                };
                sent.controlled(failed.as_ref());
                return failed;
            }
            let sent = way.send(live, "ROLLBACK");
            open.rollback(&way).await;
            sent.controlled(None);
            None
        };
        Ok(ended.boxed_local())
    }
}

/// A statement of the transaction had failed.
fn rolled_back() -> Failure {
    Failure {
        sqlstate: "25P02",
        message: "a statement had failed: the transaction was rolled back".to_owned(),
        hint: Some("look at the result of each statement".to_owned()),
        place: None,
    }
}

/// The request has used up what its statements may take.
fn spent() -> Failure {
    Failure {
        sqlstate: "54000",
        message: format!("the statements of this request have taken more than {STEPS} steps"),
        hint: Some("add an index or a LIMIT, or ask less in one request".to_owned()),
        place: None,
    }
}

impl GuestState {
    /// Charges for the work of a statement, and gives the guest its result.
    fn answered(&mut self, asked: Asked) -> Result<sql::Rows, sql::Error> {
        let Asked { work, result, of } = asked;
        let local = self.local.get_mut();
        local.interfaces.sql.last = of.map(|(live, statement)| (work, live, statement));
        let steps = &mut local.interfaces.sql.steps;
        *steps = steps.saturating_add(work.effort);
        let done = result.map_err(|failure| sql::Error::Refused(refusal(failure)))?;
        let cells = done.rows.iter().flatten().map(Value::weight).sum();
        self.charge(bill::bytes(cells));
        Ok(sql::Rows {
            columns: done.columns.iter().map(|column| column.name.clone()).collect(),
            rows: done.rows.into_iter().map(|row| row.into_iter().map(given).collect()).collect(),
            affected: done.affected,
        })
    }
}

impl Local {
    fn pool(&self, database: &str) -> Result<Rc<Pool>, sql::Error> {
        let Identity { service, resource, process, .. } = &*self.identity;
        let of = (*service, resource.0, process);
        let observer = |live: &Live, most| self.observer(live, most);
        self.host.databases.pool(of, database, observer).map_err(|known| {
            sql::Error::UnknownDatabase(format!("no database {database:?} for this service: {known}"))
        })
    }

    fn way(&mut self) -> Result<Way, sql::Error> {
        let Some(scope) = &mut self.scope else {
            return Err(sql::Error::Invalid("statements are executed while a request is served".to_owned()));
        };
        let (parent, id) = scope.child();
        let begins = self.ahead.reach();
        let (called, attributes) = ((SpanKind::Client, Text::Static(SYSTEM)), Attributes::default());
        let span = scope.begin_span((parent, id), self.identity.resource, called, attributes, begins);
        let origin = scope.origin(id, begins);
        Ok(Way {
            sched: self.host.sched.clone(),
            begins,
            is_spent: self.interfaces.sql.steps >= STEPS,
            span: Cell::new(span),
            asker: Asker { host: Rc::clone(&self.host), process: self.process, origin },
            chance: scope.trace.chance(Purpose::Statement, id),
            asking: Asking::new(scope, &self.identity, id),
        })
    }

    /// A transaction, for the length of one call.
    fn held(&mut self, handle: u32) -> Result<(Held, Way), sql::Error> {
        let way = self.way()?;
        match self.interfaces.sql.open.remove(&handle) {
            Some(held) => Ok((held, way)),
            None => Err(sql::Error::Invalid("this transaction has ended".to_owned())),
        }
    }
}
