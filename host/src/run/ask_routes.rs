//! Asks a guest for its routes, before anything runs.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;

use crate::bus::routes::Routes;
use crate::clock::{Clock, VIRTUAL_START};
use crate::engine;
use crate::error::{Problem, quote};
use crate::guest::{GuestFailure, Host, Worker};
use crate::model::{Model, ServiceId};
use crate::process::Process;
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{Batch, ResourceId};
use crate::telemetry::recorder::Recorder;

use super::compile::at;
use super::identity::{Seat, Setup, identity};

/// Instantiates a guest once, in a world of its own, and asks for its routes.
pub fn ask_routes(
    model: &Model,
    id: ServiceId,
    code: &engine::Code,
    setup: &Setup<'_>,
) -> Result<Routes, Vec<Problem>> {
    let service = model.service(id);
    let said: Rc<RefCell<Batch>> = Rc::default();
    let into = Rc::clone(&said);
    let host = Rc::new(Host {
        sched: Sched::new(Clock::virtual_from(VIRTUAL_START)),
        recorder: Rc::new(Recorder::new(move |batch| into.borrow_mut().logs.extend(batch.logs))),
        span_limits: SpanLimits::default(),
        root: model.root(),
        places: Cell::new(1),
        outbound: OnceCell::new(),
    });
    let process = Process::new(&host.sched, false);
    let seat = Seat { replica: 0, resource: ResourceId(0), address: Ipv4Addr::LOCALHOST, process };
    let identity = Rc::new(identity(model, id, seat, setup));
    let asking = async {
        let mut worker = Worker::new(&code.pre, &host, &identity, 0).await?;
        worker.routes().await
    };
    let routes = match host.sched.block_on(asking, || {}) {
        Ok(routes) => routes,
        Err(stalled) => Err(GuestFailure { kind: "stalled", message: stalled.to_string(), backtrace: None }),
    };
    host.recorder.flush();
    let routes = routes.map_err(|failure| vec![at(no_routes(service, &failure, &said.borrow()), service)])?;
    Routes::new(&service.name.as_str().into(), routes).map_err(|errors| {
        errors
            .into_iter()
            .map(|error| {
                let problem = Problem::new(format!("the guest of {}: {error}", quote(&service.name)));
                at(problem.help("mend the guest's routes"), service)
            })
            .collect()
    })
}

/// What to say of a guest that did not tell its routes; what it printed says why.
fn no_routes(service: &crate::model::Service, failure: &GuestFailure, said: &Batch) -> Problem {
    let message =
        format!("the guest of {} does not tell its routes: {}", quote(&service.name), failure.message);
    let last: Vec<_> = said.logs.iter().rev().take(3).map(|log| log.body.to_string()).collect();
    let printed: Vec<_> = last.iter().rev().map(String::as_str).collect();
    let help = match printed.join(" / ") {
        printed if printed.is_empty() => "its function `routes` must return".to_owned(),
        printed => format!("it printed: {printed}"),
    };
    Problem::new(message).help(help)
}
