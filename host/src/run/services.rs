//! The guests of a topology: read, compiled, asked for their routes, and held
//! against what the topology says of them.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::bus::routes::Routes;
use crate::clock::{Clock, VIRTUAL_START};
use crate::engine::{self, EMBEDDED, Engine, Settings};
use crate::error::{Problem, quote};
use crate::files;
use crate::guest::budget::UnderWay;
use crate::guest::endpoint::Endpoint;
use crate::guest::{GuestFailure, Host, Identity, Worker};
use crate::message::is_token;
use crate::model::{Code, FaultKind, Model, Moment, ServiceId};
use crate::process::Process;
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{Batch, ResourceId};
use crate::telemetry::recorder::Recorder;

use super::calls::{Calls, Found};
use super::compile;
use super::releases::{self, Release};
use super::telemetry::{environment, instance_id};
use super::world::Event;

/// The largest component that is read: bytes.
const GUEST_BYTES: u64 = 256 << 20;

/// The guests of a run, compiled.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub engine: Arc<Engine>,
    /// The Resource of the first replica; behind it are those of the others.
    pub first: ResourceId,
    /// In the topology's order.
    pub services: Vec<Service>,
    /// In the order of their faults.
    pub releases: Vec<Release>,
}

impl Loaded {
    /// The routes of a service: those of its guest, and behind them those that only
    /// another release has.
    pub fn routes(&self, service: ServiceId) -> Vec<Arc<str>> {
        let guest = self.services[service.index()].guest.as_ref();
        let mut routes = guest.map(|guest| guest.routes.shared()).unwrap_or_default();
        for release in self.releases.iter().filter(|release| release.target == service) {
            let more = release.service.guest.iter().flat_map(|guest| guest.routes.shared());
            let more: Vec<_> = more.filter(|name| !routes.contains(name)).collect();
            routes.extend(more);
        }
        routes
    }
}

impl Loaded {
    /// Who calls whom.
    pub fn calls(&self, model: &Model) -> Calls {
        let services: Vec<_> = self.services.iter().cloned().map(Some).collect();
        Calls::of(&Found { model, services: &services, releases: &self.releases })
    }
}

/// A service whose code was found.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: Arc<str>,
    /// Where the code came from: `orders (built in)`, `./mine.wasm`, a URL.
    pub source: String,
    /// `service.version`: the topology's; for a guest that the command line put
    /// in its place, with the build behind a `+`.
    pub version: Option<String>,
    /// None for an external service.
    pub guest: Option<Guest>,
}

/// The code of a service.
#[derive(Clone, Debug)]
pub struct Guest {
    pub code: engine::Code,
    pub routes: Routes,
}

/// Loads every guest for so many worlds, or says of all of them what is wrong.
/// `lint` looks at those that could be loaded.
///
/// # Errors
/// Every problem, the warnings of `lint` among them.
pub fn load(
    model: &Model,
    virtual_time: bool,
    worlds: u32,
    swapped: &[(String, PathBuf)],
    tell: Option<fn(Event)>,
    lint: impl FnOnce(&Found<'_>) -> Vec<Problem>,
) -> Result<(Loaded, Vec<Problem>), Vec<Problem>> {
    let mut problems = Vec::new();
    if virtual_time {
        problems.extend(external_in_virtual_time(model));
    }
    if !problems.is_empty() {
        // Of guests, nothing is known then.
        let services = vec![None; model.services.len()];
        problems.extend(lint(&Found { model, services: &services, releases: &[] }));
        return Err(problems);
    }
    let engine = engine(model, virtual_time, worlds).map_err(|problem| vec![problem])?;
    let codes = compile::compile(&engine, model, tell);
    let mut services = Vec::new();
    for ((index, service), code) in model.services.iter().enumerate().zip(codes) {
        let id = ServiceId(index as u32);
        let guest = match code {
            Ok(None) => None,
            Ok(Some(code)) => match ask_routes(model, id, &code, &Setup::of(service)) {
                Ok(routes) => Some(Guest { code, routes }),
                Err(more) => {
                    problems.extend(more);
                    services.push(None);
                    continue;
                }
            },
            Err(problem) => {
                problems.push(problem);
                services.push(None);
                continue;
            }
        };
        let is_swapped = swapped.iter().any(|(name, _)| *name == service.name);
        services.push(Some(Service {
            name: service.name.as_str().into(),
            source: source(&service.code),
            version: version(service.version.as_deref(), guest.as_ref().filter(|_| is_swapped)),
            guest,
        }));
    }
    let (releases, more) = releases::load(&engine, model, tell);
    problems.extend(more);
    problems.extend(lint(&Found { model, services: &services, releases: &releases }));
    let services = services.into_iter().flatten().collect();
    if problems.iter().all(|problem| !problem.is_error()) {
        let first = ResourceId(0);
        Ok((Loaded { engine: Arc::new(engine), first, services, releases }, problems))
    } else {
        Err(problems)
    }
}

fn engine(model: &Model, virtual_time: bool, worlds: u32) -> Result<Engine, Problem> {
    let workers = u32::try_from(model.workers() * u64::from(worlds)).unwrap_or(u32::MAX);
    let memory = model.services.iter().map(|service| service.limits.memory).max().unwrap_or(0);
    let is_within_spans = |kind: &FaultKind| matches!(kind, FaultKind::Latency { on: Moment::Span, .. });
    let stalls = model.faults.iter().any(|fault| is_within_spans(&fault.kind));
    let settings = Settings { fuel: virtual_time, workers, stalls, memory };
    Engine::new(settings).map_err(|error| {
        let message = format!("the memory of {workers} workers cannot be reserved: {error:#}");
        let fewer = if worlds > 1 { "lower limits.workers or --shards" } else { "lower limits.workers" };
        Problem::new(message)
            .help(format!("raise the limit of address space (ulimit -v unlimited) or {fewer}"))
    })
}

fn external_in_virtual_time(model: &Model) -> impl Iterator<Item = Problem> {
    let external = model.services.iter().filter(|service| matches!(service.code, Code::External(_)));
    external.map(|service| {
        Problem::new(format!("{} is a real server, which virtual time cannot wait for", quote(&service.name)))
            .at(service.place.clone(), "an external service")
            .help("run without --virtual, or give the service a guest")
    })
}

/// The bytes of a guest, and what to call it; none of a real server.
///
/// # Errors
/// There is no such guest, or its file cannot be read.
pub fn bytes(code: &Code) -> Result<Option<(Vec<u8>, String)>, Problem> {
    Ok(match code {
        Code::External(_) => None,
        Code::Embedded(name) => {
            let found = EMBEDDED.iter().find(|(known, _)| known == name);
            let Some((_, bytes)) = found else {
                return Err(Problem::new(format!("no guest {} is built in", quote(name))));
            };
            Some((bytes.to_vec(), name.clone()))
        }
        Code::File { path, place } => {
            let begin =
                if place.is_some() { "at the topology's folder" } else { "where simhost was started" };
            Some((read(path, begin)?, path.display().to_string()))
        }
    })
}

/// Reads a component. `begin` says where relative paths do.
fn read(path: &Path, begin: &str) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    let help = format!("give the path of a built component; relative paths begin {begin}");
    let refuse = |why: String| {
        Err(Problem::new(format!("the guest {shown} cannot be read: {why}")).help(help.as_str()))
    };
    files::read(path, GUEST_BYTES).or_else(|reason| refuse(reason.to_string()))
}

/// Points a problem at the place where the topology names the guest.
pub(super) fn at(problem: Problem, service: &crate::model::Service) -> Problem {
    match &service.code {
        Code::File { place: Some(place), .. } => problem.at(place.clone(), "this guest"),
        Code::File { place: None, .. } => {
            Problem { message: format!("--guest {}: {}", service.name, problem.message), ..problem }
        }
        _ => problem.at(service.place.clone(), "this service"),
    }
}

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

/// What a replica's workers are told.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub version: Option<&'a str>,
    pub config: &'a IndexMap<String, String>,
    /// The name of the deployment that it is; none of the service as the topology has it.
    pub release: Option<&'a str>,
}

impl<'a> Setup<'a> {
    /// The topology's.
    pub fn of(service: &'a crate::model::Service) -> Self {
        Self { version: service.version.as_deref(), config: &service.config, release: None }
    }
}

/// Where a replica's workers are.
#[derive(Clone, Debug)]
pub struct Seat {
    pub replica: u32,
    pub resource: ResourceId,
    pub address: Ipv4Addr,
    pub process: Rc<Process>,
}

/// One replica of a service, as its workers see it.
pub fn identity(model: &Model, id: ServiceId, seat: Seat, setup: &Setup<'_>) -> Identity {
    let Seat { replica, resource, address, process } = seat;
    let service = model.service(id);
    let config = setup.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let instance = instance_id(model.root(), &service.name, replica, setup.release);
    // As clients call themselves (RFC 9110, section 10.1.5), where the version can stand there.
    let agent = match setup.version.filter(|version| is_token(version)) {
        Some(version) => format!("{}/{version}", service.name),
        None => service.name.clone(),
    };
    Identity {
        service: id,
        name: service.name.clone(),
        replica,
        process,
        resource,
        endpoint: Rc::new(Endpoint::new(address, agent.into())),
        environment: environment(model, &service.name, setup.version, setup.config, &instance),
        config,
        under_way: UnderWay::new(service.limits.host_memory(), service.workers),
        limits: service.limits.clone(),
        crew: Rc::default(),
    }
}

pub fn source(code: &Code) -> String {
    match code {
        Code::Embedded(name) => format!("{name} (built in)"),
        Code::File { path, .. } => path.display().to_string(),
        Code::External(url) => url.clone(),
    }
}

/// The version that the Resource shows. Which build really ran is in
/// `simhost.guest.digest`; a guest that was swapped says so in its version too.
fn version(topology: Option<&str>, swapped: Option<&Guest>) -> Option<String> {
    match (topology, swapped) {
        (version, None) => version.map(str::to_owned),
        (version, Some(guest)) => {
            Some(format!("{}+{}", version.unwrap_or("0.0.0"), &guest.code.digest[..12]))
        }
    }
}
