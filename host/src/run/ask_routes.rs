//! Asks a guest for its routes, before anything runs.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::Ipv4Addr;
use std::rc::Rc;

use crate::bus::routes::Routes;
use crate::clock::{Clock, VIRTUAL_START};
use crate::engine;
use crate::error::{Problem, quote};
use crate::guest::contract::{self, Described};
use crate::guest::{GuestFailure, Host, Worker};
use crate::model::{Model, Service, ServiceId};
use crate::process::Process;
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::ResourceId;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::signal::Batch;

use super::compile::{at, source};
use super::identity::{ReplicaInfo, Setup, identity};

/// Problems of one guest that are kept.
const PROBLEMS: usize = 100;

/// A text of a guest is cut after so many characters.
const TEXT: usize = 500;

/// Instantiates a guest once, in a world of its own, and asks for its routes.
///
/// # Errors
/// All that is wrong with its configuration or its routes; or why it did not answer.
pub fn ask_routes(
    model: &Model,
    id: ServiceId,
    code: &engine::CompiledGuest,
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
    let info = ReplicaInfo { replica: 0, resource: ResourceId(0), address: Ipv4Addr::LOCALHOST, process };
    let identity = Rc::new(identity(model, id, info, setup));
    let asking = async {
        let mut worker = Worker::new(&code.pre, &host, &identity, 0).await?;
        worker.describe().await
    };
    let described = match host.sched.block_on(asking, || {}) {
        Ok(described) => described,
        Err(stalled) => Err(GuestFailure { kind: "stalled", message: stalled.to_string(), backtrace: None }),
    };
    host.recorder.flush();
    let routes = match described {
        Ok(Described::Routes(routes)) => routes,
        Ok(Described::Problems(problems)) => return Err(refused(service, problems)),
        Err(failure) => return Err(vec![at(no_routes(service, &failure, &said.borrow()), service)]),
    };
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

/// What a guest says of its configuration, each at its line of the topology.
fn refused(service: &Service, mut problems: Vec<contract::Problem>) -> Vec<Problem> {
    let name = quote(&service.name);
    if problems.is_empty() {
        let message = format!("the guest of {name} refuses its configuration and names no problem");
        return vec![at(
            Problem::new(message).help("its function `routes` must return what is wrong"),
            service,
        )];
    }
    let further = problems.len().saturating_sub(PROBLEMS);
    problems.truncate(PROBLEMS);
    let mut problems: Vec<_> = problems.into_iter().map(|problem| placed(service, &problem)).collect();
    if further > 0 {
        let message = format!("the guest of {name} names {further} more problems");
        problems.push(at(Problem::new(message).help("correct the others first"), service));
    }
    problems
}

/// A problem of a guest, at its key of the topology if it has one.
fn placed(service: &Service, problem: &contract::Problem) -> Problem {
    let (name, message) = (quote(&service.name), shortened(&problem.message));
    let message = match &problem.key {
        Some(key) => format!("config.{} of {name}: {message}", shortened(key)),
        None => format!("the guest of {name}: {message}"),
    };
    let help = problem.remedy.as_deref().map(shortened).filter(|remedy| !remedy.is_empty());
    let placed = Problem { help: help.map(str::to_owned), ..Problem::new(message) };
    match problem.key.as_deref().and_then(|key| service.config_key(key)) {
        Some(place) => placed.at(place.clone(), format!("refused by {}", source(&service.code))),
        None => at(placed, service),
    }
}

fn shortened(text: &str) -> &str {
    text.char_indices().nth(TEXT).map_or(text, |(end, _)| &text[..end])
}

/// What a person reads of a guest that did not tell its routes; what it printed says why.
fn no_routes(service: &Service, failure: &GuestFailure, said: &Batch) -> Problem {
    let why = match failure.kind {
        "guest_trap" => "it stopped with an error",
        _ => &failure.message,
    };
    let message = format!("the guest of {} does not tell its routes: {why}", quote(&service.name));
    let lines = said.logs.iter().map(|log| log.body.to_string());
    // For the author of a program that can be started otherwise.
    let printed: Vec<_> = lines.filter(|line| !line.starts_with("note: run with `RUST_BACKTRACE")).collect();
    let last = &printed[printed.len().saturating_sub(3)..];
    let help = match last.join(" / ") {
        last if last.is_empty() => "its function `routes` must return".to_owned(),
        last => format!("it printed: {last}"),
    };
    Problem::new(message).help(help)
}
