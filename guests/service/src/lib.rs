//! A service without code: what it does stands in its configuration.
//!
//! ```toml
//! [services.catalog]
//! guest = "service"
//! config.work = { exponential = { mean = "5ms" } }
//! config.calls = "pricing & stock, 10% recommendations?"
//! ```
//!
//! | config | default | |
//! |---|---|---|
//! | `work` | `"0ms"` | how long a request takes here before it calls others, its worker being busy |
//! | `calls` | none | what is called then, see below |
//! | `publish` | none | the messages that are sent then, see below |
//! | `message-bytes` | `0` | length of the body of each |
//! | `cache` | none | how long a worker keeps an answer: until then the same path calls nobody again |
//! | `cache-in` | none | the cache of the topology that keeps them, for all workers and replicas |
//! | `errors` | `0` | the share of requests, `0.001` or `"0.1%"`, that get a 500 after the work and call nobody |
//! | `response-bytes` | `0` | length of the answer's body |
//! | `span` | none | the name of a span around the work |
//! | `database` | none | makes that span one of a database's client: its `db.system.name`, or a table, see below |
//! | `slow-query` | none | from this length on, that span has an event `slow query` |
//! | `log` | none | a log record of each request, or of a share: `"5% cache miss"`, `"0.05 cache miss"` |
//! | `warn` | none | a warning of each request, or of a share |
//! | `metrics` | none | a table of instruments, see below |
//! | `sql` | none | statements with `;` between them, after the work and before the calls, see below |
//! | `sql-in` | none | the database that executes them |
//! | `transaction` | `false` | whether all of them are one transaction |
//! | `status` | `"200"` | the answer's status after all that, or several by weight: `"200=98,404=1,503=1"` |
//! | `attributes` | none | a table of attributes of the SERVER or CONSUMER span, or of a job's own span, see below |
//! | `parallel` | `256` | calls of a step that are under way at a time |
//!
//! A service that writes log records also writes one for each request that fails because of what it calls.
//!
//! `work` is a time or a distribution, written as latencies are in a topology.
//! That is the only route, `GET /`. For others, give each a table with its `route` and the same settings; what stands
//! beside the tables holds for all that do not say otherwise:
//!
//! ```toml
//! config.errors = 0.001
//! config.show = { route = "GET /products/{id}", work = "3ms +/- 1ms", calls = "stock/items/{id}" }
//! config.add = { route = "POST /products", work = "9ms", span = "INSERT products", database = "postgresql" }
//! ```
//!
//! A table with a `job` in place of the `route` is a job, which a schedule of the topology begins. It has no answer, so
//! it takes neither `cache`, `cache-in` nor `response-bytes`. A span of the job's name is around all that it does:
//!
//! ```toml
//! config.nightly = { job = "nightly-report", work = "2s", calls = "orders/summary, POST mail/reports" }
//! ```
//!
//! A table with a `topic` is done for each message of that topic, whose key is the parameter `{key}`. What fails is
//! asked for once more. `publish` holds messages with `,` between them: `[SHARE%] [TIMESx] TOPIC[/KEY][?]`:
//!
//! ```toml
//! config.place = { route = "POST /orders/{id}", publish = "order-events/{id}, 10% audit?" }
//! config.mail = { topic = "order-events", work = "20ms", calls = "POST mail/orders/{key}" }
//! ```
//!
//! A database has a name of its own, by which service graphs tell it from others: the service `inventory-service` uses
//! the database `inventory_db` at `inventory-postgresql`, port 5432. A table says otherwise:
//! `database = { system = "postgresql", namespace = "stock", address = "stock-db", port = 5433 }`.
//!
//! A statement's parts in braces are its parameters, never part of its text. `{sku}` is the parameter of that name in
//! the request's own path, or a number from 1 to 1000 if it has none, `{1..20}` a whole number between these, and
//! `{pick:gold=1,free=9}` one of several by weight. They stand in texts of `attributes` too:
//!
//! ```toml
//! config.sql-in = "shop"
//! config.take = { route = "POST /stock/{sku}", sql = "UPDATE stock SET n = n - {1..3} WHERE sku = {sku}" }
//! config.attributes = { "user.tier" = "{pick:gold=1,free=9}", "cart.items" = "{1..20}" }
//! ```
//!
//! `metrics` has a key for each instrument: its name, and `KIND [VALUE] [UNIT] [KEY=VALUE ...]`. It measures each
//! request that succeeds:
//!
//! ```toml
//! config.metrics = { "orders.placed" = "counter 1 {order} channel=web", "order.items" = "histogram 1..20 {item}" }
//! ```
//!
//! The kind is `counter`, `up-down-counter`, `gauge` or `histogram`. The value is a number, or a range from which each
//! request draws one; 1 if none is written. A unit that begins with a letter needs a value before it. A name in braces
//! in an attribute's value stands for the parameter of that name in the request's own path, which a route must have.
//!
//! `calls` holds steps with `,` between them, done one after the other. A step is a call, or several with `&`
//! between them, which run at the same time. A call is `[SHARE%] [TIMESx or TIMES||] [METHOD] SERVICE[/PATH][?]`:
//!
//! - `stock` is `GET /` of the service stock, `POST stock/items/{id}/reserve` another route of it. A name in braces
//!   stands for the parameter of that name in the request's own path, or for a number from 1 to 1000 if it has none.
//! - `10% stock` is called for a tenth of the requests, `3x stock` thrice, one after the other, and `3|| stock` thrice
//!   at the same time. In a step with `&` all calls run at the same time, those of `3x` too.
//! - `stock?` may fail. Else a call without a response or with a status from 400 answers 502, or 504 if it took too
//!   long, and the steps behind it are left out.

mod cache;
mod calls;
mod line;
mod messages;
mod metric;
mod operation;
mod reader;
mod statements;
mod template;

use std::cell::OnceCell;
use std::rc::Rc;

use operation::Operation;
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;

simhost_sdk::service!(routes = routes, jobs = jobs, consumers = consumers);

const HEALTH: &str = "GET /health";

fn routes() -> Router {
    let routes = operations(|operation| operation.route().map(str::to_owned));
    let has_health = routes.iter().any(|(_, route)| route == HEALTH);
    let router = if has_health { Router::new() } else { Router::new().route(HEALTH, health) };
    routes.into_iter().fold(router, |router, (operation, route)| {
        let key = operation.key.clone();
        router.configured_route(&key, &route, move |params: Params| operation.serve(&params))
    })
}

fn jobs() -> Jobs {
    let jobs = operations(|operation| operation.job().map(str::to_owned));
    jobs.into_iter().fold(Jobs::new(), |jobs, (operation, job)| {
        let key = operation.key.clone();
        jobs.configured_job(&key, &job, move || operation.run())
    })
}

fn consumers() -> Consumers {
    let topics = operations(|operation| operation.topic().map(str::to_owned));
    topics.into_iter().fold(Consumers::new(), |consumers, (operation, topic)| {
        let key = operation.key.clone();
        consumers.configured_topic(&key, &topic, move |message: Message| operation.receive(&message))
    })
}

/// The operations for which `of` gives something, with it. The configuration is read once.
fn operations<T>(of: impl Fn(&Operation) -> Option<T>) -> Vec<(Rc<Operation>, T)> {
    thread_local! {
        static READ: OnceCell<Vec<Rc<Operation>>> = const { OnceCell::new() };
    }
    READ.with(|read| {
        let all = read.get_or_init(|| {
            let (operations, problems) = operation::read(&config::all());
            problems.into_iter().for_each(config::refuse);
            operations.into_iter().map(Rc::new).collect()
        });
        all.iter().filter_map(|operation| Some((Rc::clone(operation), of(operation)?))).collect()
    })
}
