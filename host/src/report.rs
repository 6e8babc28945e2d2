//! What a run did: the tables at its end, and the same as JSON.
//!
//! [`Report::new`] makes rows of what was counted; `text` shows them to a
//! person, serde to a program. `docs/report.schema.json` describes the JSON.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::stats::{Accounts, Broken};
use crate::cache::CacheAccount;
use crate::clock;
use crate::database::DatabaseAccount;
use crate::fault;
use crate::jobs::JobStats;
use crate::load::LoadStats;
use crate::metrics::Misused;
use crate::model::{Model, Nanos};
use crate::prometheus::clash::Clash;
use crate::telemetry::pipeline;
use crate::telemetry::record::Resource;
use crate::telemetry::recorder::Counts;
use crate::topic::TopicAccount;

pub mod between;
mod caches;
mod databases;
mod exemplars;
pub mod grid;
mod instances;
mod objectives;
mod rows;
pub mod sparkline;
mod symptoms;
mod table;
mod telemetry;
mod text;
mod timeline;
mod topics;
pub mod words;

pub use caches::CacheRow;
pub use databases::{DatabaseRow, PoolRow, StatementRow};
pub use instances::InstanceRow;
use objectives::Counted;
pub use objectives::{ObjectiveRow, Unit};
pub use rows::{ExemplarRow, FaultRow, JobRow, LinkRow, LoadRow, Numbers, PolicyRow, RouteRow, ServiceRow};
pub use symptoms::{Measure, Symptom};
pub use telemetry::{ClashRow, ExporterRow, MisuseRow, TelemetryRow};
pub use timeline::{Subject, TimelineRow, TimelineRows};
pub use topics::{GroupRow, TopicNumbers, TopicRow};

/// The version of the JSON: it rises when a key goes away or changes its meaning.
pub const SCHEMA: u32 = 2;

/// What is said with `--blind` of a fault that struck nothing.
const BLIND: &str = "a fault struck nothing; the truth says which";

/// The numbers of one run. Times are nanoseconds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "The report of a simhost run")]
pub struct Report {
    /// The version of this document's form.
    pub schema: u32,
    /// The topology's name; with `--blind` its namespace.
    pub topology: String,
    pub seed: u64,
    /// Worlds that ran beside one another, each with a seed of its own that follows
    /// from `seed`. What is counted is counted in all of them, and what is the most
    /// of something at a time is the most in one.
    pub shards: u32,
    /// Simulated time from the start to the end; of several worlds, to the end of
    /// the last.
    pub simulated_ns: Nanos,
    /// The time in which requests came in: from the first load's start, or that of the
    /// run, until no load made one more and the ingress was closed. Rates and means over
    /// time are over it.
    pub duration_ns: Nanos,
    /// What the last of them took from then on, and whatever they led to.
    pub drain_ns: Nanos,
    /// Requests from outside that were still under way when no more came in.
    pub drained: u64,
    /// What it took in reality; null in virtual time, whose report is the same
    /// every time.
    pub elapsed_ns: Option<Nanos>,
    /// Requests that came from outside: from loads, clients and the command line.
    pub requests: u64,
    /// Calls and requests that services still had when the run gave up on
    /// them: their SERVER spans are lost.
    pub unfinished: u64,
    /// In the order of the topology, and of the guest's routes.
    pub routes: Vec<RouteRow>,
    /// In the order of the topology.
    pub loads: Vec<LoadRow>,
    /// In the order of the topology.
    pub jobs: Vec<JobRow>,
    /// Services that saw a request or ran a job, in the order of the topology.
    pub services: Vec<ServiceRow>,
    /// Replicas and releases of the services that have several, and saw a request: in the order of
    /// the topology.
    pub instances: Vec<InstanceRow>,
    /// Links that carried a call, by caller; the outside comes first.
    pub links: Vec<LinkRow>,
    /// Databases that were asked for anything, in the order of the topology. Not there if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<DatabaseRow>,
    /// Caches that were asked for anything, in the order of the topology. Not there if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<CacheRow>,
    /// Topics that took a message or refused one, in the order of the topology. Not there if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<TopicRow>,
    /// Loads, services and groups over time.
    pub timeline: TimelineRows,
    /// What stands out of the timeline.
    pub symptoms: Vec<Symptom>,
    /// Faults that were on; none with `--blind`.
    pub faults: Vec<FaultRow>,
    /// What the topology's `[objectives]` ask for, and what came of it.
    pub objectives: Vec<ObjectiveRow>,
    pub telemetry: TelemetryRow,
    /// SHA-256 over all records of a run in virtual time: the same bytes, the same
    /// run. Null in real time, and without telemetry.
    pub digest: Option<String>,
    /// What a person should know of faults that struck nothing.
    #[serde(skip)]
    pub warnings: Vec<String>,
    /// Laws that the counts break: only a defect of simhost puts anything here.
    #[serde(skip)]
    pub broken: Vec<Broken>,
}

/// What a report is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    pub model: &'a Model,
    /// How many worlds there were.
    pub shards: u32,
    pub accounts: Accounts,
    /// Of all worlds' replicas.
    pub resources: &'a [Resource],
    pub faults: Vec<fault::Account>,
    pub loads: Vec<(String, LoadStats)>,
    pub jobs: Vec<JobStats>,
    /// In the order of the topology.
    pub topics: Vec<TopicAccount>,
    pub recorded: Counts,
    /// What guests have done wrong with their instruments.
    pub misused: Vec<Misused>,
    /// What was asked of databases, in the order of the topology.
    pub databases: Vec<DatabaseAccount>,
    /// What was asked of caches, in the order of the topology.
    pub caches: Vec<CacheAccount>,
    /// Scrapes that were answered with metrics; none where nobody can scrape the run.
    pub scrapes: Option<u64>,
    /// Metrics that pages for Prometheus could not have, each with the data points that they are without.
    pub clashes: Vec<(Clash, u64)>,
    pub sent: pipeline::Settlement,
    /// Requests that came from outside.
    pub requests: u64,
    /// Tasks that were still under way at the end.
    pub tasks: u64,
    pub simulated: Nanos,
    /// None in virtual time.
    pub elapsed: Option<Duration>,
    /// Whether an objective is missed that saw no request. It is not when the
    /// command line says which requests there are.
    pub idle_is_missed: bool,
    /// Whether the names of faults are left out, and all that they did.
    pub is_blind: bool,
}

impl Report {
    pub fn new(facts: Facts<'_>) -> Self {
        let Facts { model, accounts, simulated, recorded, .. } = facts;
        let time = accounts.duration();
        let is_whole = facts.elapsed.is_none() && facts.tasks == 0;
        let unfinished = accounts.services.iter().map(|service| service.inside.level()).sum();
        let broken =
            if is_whole { broken(&accounts, (&facts.loads, &facts.jobs), recorded) } else { Vec::new() };
        let counted = Counted { accounts: &accounts, loads: &facts.loads };
        let faults: Vec<_> = facts.faults.into_iter().map(FaultRow::from).collect();
        let warning = |fault: &FaultRow| match facts.is_blind {
            true => fault.warning("a fault").map(|_| BLIND.to_owned()),
            false => fault.warning(&format!("the fault {}", fault.name)),
        };
        let objectives = objectives::judge(model, counted, facts.idle_is_missed);
        let timeline = TimelineRows::new(&facts.loads, &accounts, &facts.topics);
        Self {
            schema: SCHEMA,
            topology: model.title.clone(),
            seed: model.seed,
            shards: facts.shards,
            simulated_ns: simulated,
            duration_ns: time,
            drain_ns: accounts.drain(),
            drained: accounts.drained,
            elapsed_ns: facts.elapsed.map(clock::nanos),
            requests: facts.requests,
            unfinished,
            loads: rows::loads(facts.loads),
            jobs: rows::jobs(facts.jobs),
            routes: rows::routes(&accounts, time),
            services: rows::services(&accounts, time),
            instances: instances::rows(&accounts, facts.resources, time),
            links: rows::links(&accounts, time),
            databases: databases::rows(&facts.databases, model, time),
            caches: caches::rows(facts.caches, time),
            topics: topics::rows(model, facts.topics, time),
            symptoms: symptoms::symptoms(&timeline),
            timeline,
            warnings: faults.iter().filter_map(warning).collect(),
            faults: if facts.is_blind { Vec::new() } else { faults },
            objectives,
            digest: facts.sent.digest.clone(),
            telemetry: TelemetryRow {
                scrapes: facts.scrapes,
                clashes: facts.clashes.into_iter().map(ClashRow::from).collect(),
                ..TelemetryRow::new(recorded, facts.misused, facts.resources, facts.sent)
            },
            broken,
        }
    }

    /// Laws that the counts of this run break. They are known only of a run in virtual time in
    /// which everything ended.
    pub fn invariants(&self) -> &[Broken] {
        &self.broken
    }

    /// What a person should know of faults that struck nothing.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Objectives that were not met.
    pub fn missed(&self) -> usize {
        self.objectives.iter().filter(|objective| !objective.met).count()
    }

    /// The JSON Schema of the report as JSON.
    pub fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        settings.into_generator().into_root_schema_for::<Self>()
    }
}

/// The laws that the bus's counts break, and those of the loads, the jobs and the spans.
fn broken(
    accounts: &Accounts,
    (loads, jobs): (&[(String, LoadStats)], &[JobStats]),
    recorded: Counts,
) -> Vec<Broken> {
    let mut broken = accounts.broken();
    for (name, LoadStats { started, tally, .. }) in
        loads.iter().filter(|(_, load)| load.started != load.tally.count)
    {
        let what = format!("requests begun, and ended: {started} is not {}", tally.count);
        broken.push(Broken { place: name.clone(), what });
    }
    for JobStats { service, job, started, tally, .. } in
        jobs.iter().filter(|job| job.started != job.tally.count)
    {
        let what = format!("runs begun, and ended: {started} is not {}", tally.count);
        broken.push(Broken { place: format!("{service}/{job}"), what });
    }
    let Counts { opened, closed, .. } = recorded;
    if opened != closed {
        let what = format!("begun, and ended: {opened} is not {closed}");
        broken.push(Broken { place: "spans".to_owned(), what });
    }
    broken
}
