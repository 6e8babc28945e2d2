//! What `simhost check --json` says: a topology as a program reads it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Warnings;
use crate::model::{
    Code, JobSchedule, Link, Measure, Model, Objective, Piece, RequestsOf, SAMPLERS, Sampling, ServiceId,
};
use crate::topology::{PolicyRows, show_distribution};

use super::super::calls::{Call, Calls, Meets};
use super::super::loaded::LoadedService;
use super::super::resources::ENVIRONMENT;
use super::fault;
use super::store::{CacheRow, DatabaseRow, TableRow};
use super::topic::{SubscriptionRow, TopicRow};

/// The version of the document: it grows when a key changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// What a topology would run. Times are nanoseconds, shares go from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Check")]
pub struct Document {
    /// The version of this document.
    pub schema: u32,
    pub topology: String,
    pub seed: u64,
    /// Simulated time that an instruction of a guest takes in virtual time; 0: computing takes none.
    pub compute_ns: f64,
    /// `deployment.environment.name` of every service.
    pub environment: String,
    /// Whether the topology asks for telemetry of the simulator itself.
    pub self_telemetry: bool,
    /// Which traces are kept, as the topology says; null where it does not.
    pub sampler: Option<SamplerRow>,
    /// Null where no request can come in.
    pub ingress: Option<IngressRow>,
    /// In the order of the file, as all that follows.
    pub services: Vec<ServiceRow>,
    /// Who calls whom, as far as it is known before a run.
    pub calls: Vec<CallRow>,
    pub databases: Vec<DatabaseRow>,
    pub caches: Vec<CacheRow>,
    pub topics: Vec<TopicRow>,
    pub subscriptions: Vec<SubscriptionRow>,
    pub links: Vec<LinkRow>,
    pub loads: Vec<LoadRow>,
    pub schedules: Vec<ScheduleRow>,
    pub faults: Vec<FaultRow>,
    pub objectives: Vec<ObjectiveRow>,
    /// What may be a mistake, at most the first 50.
    pub warnings: Vec<WarningRow>,
}

/// A sampler, by the name that `OTEL_TRACES_SAMPLER` has for it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SamplerRow {
    pub name: String,
    /// The share of traces that it keeps; null where it takes none, or 1.
    pub share: Option<f64>,
}

impl From<Sampling> for SamplerRow {
    fn from(Sampling { sampler, share }: Sampling) -> Self {
        let name = SAMPLERS.iter().find(|(_, known)| *known == sampler).map(|(name, _)| (*name).to_owned());
        Self { name: name.unwrap_or_default(), share }
    }
}

/// Where requests come in.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct IngressRow {
    /// `127.0.0.1:8080`.
    pub listen: String,
    /// The service that requests go to.
    pub to: String,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ServiceRow {
    pub name: String,
    /// `orders (built in)`, the file of a component; null for a real server.
    pub guest: Option<String>,
    /// Of a real server; null for a guest.
    pub url: Option<String>,
    /// `service.version`.
    pub version: Option<String>,
    /// Null for a real server, as all that follows.
    pub replicas: Option<u32>,
    /// Requests that one replica serves at a time.
    pub workers: Option<u32>,
    /// Requests that may wait in one replica.
    pub queue: Option<u32>,
    /// Its computing takes this multiple of its time.
    pub compute_factor: Option<f64>,
    /// The caches that it may use.
    pub caches: Option<Vec<String>>,
    /// `POST /orders`. None where the guest takes every request, or none.
    pub routes: Option<Vec<String>>,
    /// The names of its jobs.
    pub jobs: Option<Vec<String>>,
    /// Whether `calls` has all that it calls. What a guest in a file calls shows when it runs.
    pub calls_known: bool,
}

/// One call that the requests of a route make.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CallRow {
    pub from: String,
    /// The caller's route, `POST /orders`.
    pub from_route: String,
    pub to: String,
    /// The callee's route; null where it is not known, or the callee has none.
    pub to_route: Option<String>,
    pub method: String,
    /// From its `/` on; names in braces stand for values.
    pub path: String,
    /// Of the route's requests, those that make the call.
    pub share: f64,
    /// How often they make it.
    pub times: u32,
    /// Steps follow one another, from 0; calls of a route with the same step are made at the same time.
    pub step: usize,
    /// Whether its several times are at the same time too.
    pub parallel: bool,
    /// Whether its failure does no harm.
    pub optional: bool,
    /// The fault that deploys the guest which makes the call; null for the service as it is.
    pub deployed_by: Option<String>,
}

/// What lies between two services. A policy that the link does not have is null.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LinkRow {
    pub from: String,
    pub to: String,
    /// One way, as `350ms +/- 20ms`; null: the network's.
    pub latency: Option<String>,
    /// Of each attempt.
    pub timeout_ns: Option<u64>,
    #[serde(flatten)]
    pub policies: PolicyRows,
}

/// One load.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LoadRow {
    pub name: String,
    pub to: String,
    pub requests: Vec<RequestRow>,
    /// Whether it runs with these flags.
    pub enabled: bool,
    /// Whether it runs in real time too, unless the command line says otherwise.
    pub real_time: bool,
    /// After the run's start.
    pub start_ns: u64,
    /// After the load's start; null: as long as the run.
    pub for_ns: Option<u64>,
    /// Null: any number.
    pub max_requests: Option<u64>,
    /// The client gives up after this long; null: never.
    pub timeout_ns: Option<u64>,
}

/// One kind of request of a load.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RequestRow {
    /// Its part of all requests.
    pub share: f64,
    pub method: String,
    /// Names in braces stand for values that each request draws.
    pub path: String,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FaultRow {
    pub name: String,
    pub kind: String,
    /// Whether it is on at the start of the run with these flags.
    pub enabled: bool,
    /// The service that it applies to; null where it concerns none.
    pub service: Option<String>,
    pub route: Option<String>,
    /// The calling service.
    pub from: Option<String>,
    /// The database that it strikes; null where it strikes none, or one of several.
    pub database: Option<String>,
    /// The cache that it strikes; null where it strikes none, or one of several.
    pub cache: Option<String>,
    /// The topic that it strikes; null where it strikes none, and where one of several is drawn.
    pub topic: Option<String>,
    /// Of what it matches, what it strikes.
    pub probability: f64,
    /// The line of the text, which has the rest.
    pub description: String,
}

/// One measure that an objective sets a limit to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ObjectiveRow {
    /// `order-service POST /orders`, a service, or a load.
    pub subject: String,
    /// `p50`, `p90`, `p95`, `p99`, `max`, `mean`, `errors` or `rate`.
    pub measure: String,
    /// The most that is allowed, in nanoseconds or, of `errors`, as a share; of `rate` the least per second.
    pub limit: f64,
}

/// A job that runs again and again.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ScheduleRow {
    pub service: String,
    pub job: String,
    /// From one run to the next.
    pub every_ns: u64,
    /// When the first one is due.
    pub start_ns: u64,
    /// A run begins up to this much later.
    pub jitter_ns: u64,
    /// `skip`, `queue` or `allow`.
    pub overlap: String,
    /// Null: as long as a request of the service may take.
    pub timeout_ns: Option<u64>,
    /// `one` or `all`.
    pub replicas: String,
}

/// What may be a mistake.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WarningRow {
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where in the file, from 1; null where the command line is meant.
    pub line: Option<usize>,
    pub column: Option<usize>,
}

impl Document {
    /// The JSON Schema of the document as JSON.
    pub fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        settings.into_generator().into_root_schema_for::<Self>()
    }
}

/// The document of a topology whose guests are loaded and whose databases have these tables.
pub fn document(
    model: &Model,
    services: &[LoadedService],
    calls: &Calls,
    tables: &[Vec<TableRow>],
    warnings: &Warnings,
) -> Document {
    let name = |id: ServiceId| model.service(id).name.clone();
    let ids = (0..services.len()).map(|index| ServiceId(index as u32));
    Document {
        schema: SCHEMA,
        topology: model.title.clone(),
        seed: model.seed,
        compute_ns: model.compute as f64 / 1_000.0,
        environment: model.environment.clone().unwrap_or_else(|| ENVIRONMENT.to_owned()),
        self_telemetry: model.telemetry.self_telemetry,
        sampler: model.telemetry.sampling.map(SamplerRow::from),
        ingress: model
            .ingress
            .as_ref()
            .map(|ingress| IngressRow { listen: ingress.listen.to_string(), to: name(ingress.to) }),
        services: ids.map(|id| of_service(model, &services[id.index()], calls, id)).collect(),
        calls: calls.all.iter().map(|call| of_call(model, call)).collect(),
        databases: tables.iter().enumerate().map(|(at, of)| DatabaseRow::of(model, at, of)).collect(),
        caches: model.caches.iter().map(CacheRow::from).collect(),
        topics: model.topics.iter().map(TopicRow::from).collect(),
        subscriptions: model.subscriptions.iter().map(|of| SubscriptionRow::of(model, of)).collect(),
        links: model.links.iter().map(|link| of_link(model, link)).collect(),
        loads: model.loads.iter().map(|load| of_load(model, load)).collect(),
        schedules: model.schedules.iter().map(|schedule| of_schedule(model, schedule)).collect(),
        faults: model.faults.iter().map(|fault| of_fault(model, fault)).collect(),
        objectives: model.objectives.iter().flat_map(|objective| of_objective(model, objective)).collect(),
        warnings: warnings
            .problems()
            .map(|(problem, place)| WarningRow {
                message: problem.message.clone(),
                help: problem.help.clone(),
                line: place.map(|(line, _)| line),
                column: place.map(|(_, column)| column),
            })
            .collect(),
    }
}

fn of_service(model: &Model, service: &LoadedService, calls: &Calls, id: ServiceId) -> ServiceRow {
    let described = model.service(id);
    let url = match &described.code {
        Code::External(url) => Some(url.clone()),
        Code::Embedded(_) | Code::File { .. } => None,
    };
    let is_guest = url.is_none();
    let routes = service.guest.as_ref().map(|guest| guest.routes.names().map(str::to_owned).collect());
    ServiceRow {
        name: described.name.clone(),
        guest: is_guest.then(|| service.source.clone()),
        url,
        version: service.version.clone(),
        replicas: is_guest.then_some(described.replicas),
        workers: is_guest.then_some(described.workers),
        queue: is_guest.then_some(described.queue),
        compute_factor: is_guest.then_some(described.compute_factor),
        caches: is_guest.then(|| described.caches.iter().map(|at| model.caches[*at].name.clone()).collect()),
        routes,
        jobs: service.guest.as_ref().map(|guest| guest.jobs.clone()),
        calls_known: calls.known(id),
    }
}

fn of_schedule(model: &Model, schedule: &JobSchedule) -> ScheduleRow {
    ScheduleRow {
        service: model.service(schedule.service).name.clone(),
        job: schedule.job.clone(),
        every_ns: schedule.every,
        start_ns: schedule.start,
        jitter_ns: schedule.jitter,
        overlap: schedule.overlap.name().to_owned(),
        timeout_ns: schedule.timeout,
        replicas: schedule.on.name().to_owned(),
    }
}

fn of_call(model: &Model, call: &Call) -> CallRow {
    let what = &call.what;
    CallRow {
        from: model.service(call.from).name.clone(),
        from_route: call.route.clone(),
        to: what.service.clone(),
        to_route: match &call.meets {
            Meets::Route(route) => route.clone(),
            Meets::Unknown | Meets::OtherMethods(_) | Meets::Nothing => None,
        },
        method: what.method.clone(),
        path: what.path.clone(),
        share: what.share,
        times: what.times,
        step: call.step,
        parallel: what.is_parallel,
        optional: what.is_optional,
        deployed_by: call.deployed_by.clone(),
    }
}

fn of_link(model: &Model, link: &Link) -> LinkRow {
    LinkRow {
        from: model.service(link.from).name.clone(),
        to: model.service(link.to).name.clone(),
        latency: link.latency.as_ref().map(show_distribution),
        timeout_ns: link.timeout,
        policies: link.policies.as_ref().map(PolicyRows::from).unwrap_or_default(),
    }
}

fn of_load(model: &Model, load: &crate::model::Load) -> LoadRow {
    let sum: f64 = load.requests.iter().map(|request| request.weight).sum();
    let requests = load.requests.iter().map(|request| {
        let piece = |piece: &Piece| match piece {
            Piece::Fixed(text) => text.clone(),
            Piece::Value { index, .. } => format!("{{{}}}", load.values[*index].name),
        };
        let path = request.target.0.iter().map(piece).collect();
        RequestRow { share: request.weight / sum, method: request.method.clone(), path }
    });
    LoadRow {
        name: load.name.clone(),
        to: model.service(load.to).name.clone(),
        requests: requests.collect(),
        enabled: load.enabled,
        real_time: load.real_time,
        start_ns: load.start,
        for_ns: load.lasts,
        max_requests: load.max_requests,
        timeout_ns: load.timeout,
    }
}

fn of_fault(model: &Model, one: &crate::model::Fault) -> FaultRow {
    // Of several, none is the target before it is drawn.
    let target = if one.one_of.is_empty() { one.target.as_ref() } else { None };
    let database = one.database().filter(|_| one.databases().len() == 1);
    let name = |id: ServiceId| model.service(id).name.clone();
    FaultRow {
        name: one.name.clone(),
        kind: one.kind.name.to_owned(),
        enabled: one.enabled,
        service: target.map(|target| name(target.service)),
        route: target.and_then(|target| target.route.as_ref()).map(|(route, _)| route.clone()),
        from: target.and_then(|target| target.from).map(name),
        database: database.map(|database| model.databases[database].name.clone()),
        cache: match one.caches() {
            [cache] => Some(model.caches[*cache].name.clone()),
            _ => None,
        },
        topic: match one.topics() {
            [of] => Some(model.topics[of.topic].name.clone()),
            _ => None,
        },
        probability: one.chance.probability,
        description: fault::line(one, model),
    }
}

fn of_objective(model: &Model, objective: &Objective) -> Vec<ObjectiveRow> {
    let subject = match &objective.of {
        RequestsOf::Service(id) => model.service(*id).name.clone(),
        RequestsOf::Route(id, route) => format!("{} {route}", model.service(*id).name),
        RequestsOf::Load(load) => load.clone(),
    };
    let row = |measure: Measure, limit| ObjectiveRow {
        subject: subject.clone(),
        measure: measure.name().to_owned(),
        limit,
    };
    objective.goals.iter().map(|goal| row(goal.measure, goal.limit)).collect()
}
