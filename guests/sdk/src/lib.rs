//! Write a simhost service in Rust.
//!
//! ```no_run
//! use simhost_sdk::prelude::*;
//!
//! # fn main() {}
//! simhost_sdk::service!(routes);
//!
//! fn routes() -> Router {
//!     Router::new().route("GET /health", health).route("POST /orders", create_order)
//! }
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     item: String,
//!     quantity: i64,
//! }
//!
//! fn create_order(Json(order): Json<Order>) -> Result<(u16, Json<Value>), Error> {
//!     let available = in_span("check_inventory", |span| {
//!         span.set("order.item", &order.item);
//!         let path = format!("/stock/{}", percent_encode(&order.item));
//!         let stock: Value = call("inventory-service").get(&path).send()?.json()?;
//!         Ok(stock["available"].as_i64().unwrap_or(0))
//!     })?;
//!     if available < order.quantity {
//!         return Err(Error::conflict("Insufficient stock"));
//!     }
//!     Ok((201, Json(json!({ "status": "created" }))))
//! }
//! ```
//!
//! Where things are:
//! - [`Router`] and [`service!`]: the routes of a service, and its export. **Start here.**
//! - [`Jobs`]: work that schedules begin.
//! - [`publish()`], [`Consumers`]: messages to topics, and from them.
//! - [`extract`]: what a handler takes, from [`Json`](extract::Json) to [`Path`](extract::Path).
//! - [`http`]: what it gives back, and the messages themselves.
//! - [`Error`]: an answer other than the one hoped for; `?` works on every error.
//! - [`call()`]: other services, one after another or in parallel.
//! - [`cache()`]: caches that services share.
//! - [`Span`], [`in_span`], [`Database`], [`attributes!`], [`log`], [`metrics`], [`baggage`]: telemetry.
//! - [`sql`]: the databases that the topology gives the service.
//! - [`config`], [`Problem`]: the service's settings, and what is wrong with them.
//! - [`clock`], [`random`]: the simulated world.
//! - [`bindings`]: the raw contract, for what is not covered here.
//!
//! What plain Rust offers works as well and in simulated time: `Instant::now`, `thread::sleep`, `println!`
//! (a log record), `env::var`. There is no file system and no network but the bus.
//!
//! The feature `memory`, which is on by default, makes small allocations quick. Switch it off to bring an allocator
//! of your own.

pub mod baggage;
pub mod bindings;
pub mod cache;
mod call;
pub mod clock;
pub mod config;
mod consumers;
mod database;
mod distribution;
mod duration;
mod error;
pub mod extract;
mod handler;
pub mod http;
mod jobs;
pub mod log;
#[cfg(all(feature = "memory", target_family = "wasm", not(target_feature = "atomics")))]
mod memory;
mod messaging;
pub mod metrics;
mod params;
mod pattern;
mod percent;
mod problem;
pub mod random;
mod router;
#[doc(hidden)]
pub mod runtime;
mod span;
pub mod sql;

pub use cache::{Cache, CacheCause, CacheError, cache};
pub use call::{Call, CallError, Cause, OtherCause, Pending, Service, call, wait_all};
pub use consumers::{ConsumerResult, Consumers, Delivery, Message, Outcome};
pub use database::Database;
pub use distribution::Distribution;
pub use duration::parse_duration;
pub use error::Error;
pub use handler::Handler;
pub use jobs::{JobResult, Jobs};
pub use messaging::{Publication, PublishError, Receipt, SendCause, publish, publish_all};
pub use percent::{percent_decode, percent_encode};
pub use problem::Problem;
pub use router::{Router, health};
/// The value of an attribute: see [`attributes!`].
pub use span::Value as AttributeValue;
pub use span::{Attribute, Span, SpanBuilder, SpanContext, SpanKind, Status, annotate, current, in_span};

/// All that a handler usually needs: `use simhost_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::extract::{Baggage, Json, Path, Query, State};
    pub use crate::http::{Headers, IntoResponse, Request, Response};
    pub use crate::{
        CallError, Consumers, Error, Jobs, Message, Outcome, Problem, Router, Span, SpanKind, attributes,
        baggage, cache, call, clock, config, health, in_span, log, metrics, percent_encode, publish, random,
        wait_all,
    };
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::{Value, json};
    pub use std::time::Duration;
}

/// Exports a service: give it the function that builds the [`Router`].
///
/// The function runs once when the topology is loaded and once in every worker. Read the configuration there: what is
/// wrong with it is then reported before any request runs, all of it at once. See [`config`].
///
/// A service with [`Jobs`] or [`Consumers`] names what it has. One that serves no requests has those alone:
///
/// ```no_run
/// use simhost_sdk::prelude::*;
///
/// # fn main() {}
/// simhost_sdk::service!(routes = routes, jobs = jobs);
///
/// fn routes() -> Router {
///     Router::new().route("GET /health", health)
/// }
///
/// fn jobs() -> Jobs {
///     Jobs::new().job("nightly-report", nightly_report)
/// }
///
/// fn nightly_report() -> Result<(), Error> {
///     in_span("nightly-report", |_| {
///         let orders: Value = call("order-service").get("/orders").send()?.json()?;
///         log::info(&format!("{} orders", orders.as_array().map_or(0, Vec::len)));
///         Ok(())
///     })
/// }
/// ```
///
/// ```no_run
/// use simhost_sdk::prelude::*;
///
/// # fn main() {}
/// simhost_sdk::service!(consumers = consumers);
///
/// fn consumers() -> Consumers {
///     Consumers::new().topic("order-events", send_mail)
/// }
///
/// fn send_mail(event: Message) -> Result<(), Error> {
///     let order: Value = event.json()?;
///     call("mail-gateway").post("/mails").json(&order).send()?.error_for_status()?;
///     Ok(())
/// }
/// ```
#[macro_export]
macro_rules! service {
    ($build:path) => {
        $crate::service!(routes = $build);
    };
    ($($part:ident = $build:path),+ $(,)?) => {
        const _: () = {
            #[allow(clippy::needless_update, reason = "it has all parts, perhaps")]
            const PARTS: $crate::runtime::Parts =
                $crate::runtime::Parts { $($part: Some($build),)+ ..$crate::runtime::Parts::NONE };

            $($crate::__export_part!($part);)+
        };
    };
}

/// Exports one part of a service, which is among its `PARTS`.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_part {
    (routes) => {
        struct Service;

        impl $crate::bindings::exports::simhost::service::handler::Guest for Service {
            fn routes() -> Result<
                Vec<$crate::bindings::exports::simhost::service::handler::Route>,
                Vec<$crate::Problem>,
            > {
                $crate::runtime::routes(PARTS)
            }

            fn handle(
                route: Option<u32>,
            ) -> $crate::bindings::exports::simhost::service::handler::Response {
                $crate::runtime::handle(PARTS, route)
            }
        }

        $crate::bindings::export_service!(Service with_types_in $crate::bindings);
    };
    (jobs) => {
        struct ServiceJobs;

        impl $crate::bindings::jobs::exports::simhost::service::job::Guest for ServiceJobs {
            fn names() -> Result<
                Vec<String>,
                Vec<$crate::bindings::jobs::exports::simhost::service::job::Problem>,
            > {
                $crate::runtime::job_names(PARTS)
            }

            fn run(name: String) -> Result<(), String> {
                $crate::runtime::run_job(PARTS, &name)
            }
        }

        $crate::bindings::jobs::export_jobs!(ServiceJobs with_types_in $crate::bindings::jobs);
    };
    (consumers) => {
        struct ServiceConsumers;

        impl $crate::bindings::consumers::exports::simhost::service::consumer::Guest for ServiceConsumers {
            fn topics() -> Result<
                Vec<String>,
                Vec<$crate::bindings::consumers::exports::simhost::service::consumer::Problem>,
            > {
                $crate::runtime::topics(PARTS)
            }

            fn receive() -> $crate::bindings::consumers::exports::simhost::service::consumer::Outcome {
                $crate::runtime::receive(PARTS)
            }
        }

        $crate::bindings::consumers::export_consumers!(
            ServiceConsumers with_types_in $crate::bindings::consumers
        );
    };
}
