//! Two runs of the same seed, compared: what a change causes.
//!
//! [`Comparison::make`] checks everything; [`Comparison::run`] runs the world
//! before and after the change, both in virtual time, and says what is different
//! in a [`Difference`]. A request has the same trace id in both runs, and a span
//! the same id, as both follow from the seed and from who they are: so each can
//! be laid beside the other.
//!
//! - `question` is what was asked, checked;
//! - `gather` folds the spans of a run into what is kept of them, `trace` measures one trace,
//!   `witness` adds what their clients saw of them: the wait before the first span, the answer;
//! - `matching` and `shift` lay two runs side by side, `largest` shows one trace;
//! - `text` says it to a person, in the tables of `table`, `behind` what stands behind services.

mod behind;
mod gather;
mod largest;
mod matching;
mod question;
mod shift;
mod table;
mod text;
mod trace;
mod witness;

use std::sync::{Arc, mpsc};

use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Refused, Warnings};
use crate::model::Nanos;
use crate::report::{
    CacheRow, GroupRow, JobRow, Numbers, PoolRow, Report, ServiceRow, StatementRow, TopicNumbers,
};
use crate::run::{Intent, Options, Plan, RunError, RunEvent, RunOutcome};
use crate::telemetry::exporter::Exporter;
use crate::telemetry::record::Resource;
use crate::topology::{Topology, WORKERS_AT_MOST};

use gather::Gather;
use largest::{Keep, Largest};
use matching::{Traces, matched};
use shift::{Shift, Spans};

pub use question::Question;

/// The version of the JSON: it rises when a key goes away or changes its meaning.
pub const SCHEMA: u32 = 2;

/// Two runs that can begin: all input is good.
#[derive(Debug)]
pub struct Comparison {
    /// In words: `without slow-index-scan`.
    change: String,
    seed: u64,
    before: Variant,
    after: Variant,
    /// What may be a mistake, of each topology.
    warnings: Vec<Warnings>,
}

/// One of the two runs.
#[derive(Clone, Debug)]
struct Variant {
    topology: Topology,
    options: Options,
}

/// What the change causes. Everything in it follows from the topologies, the
/// guests, the flags and the seed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "The difference between two simhost runs")]
pub struct Difference {
    /// The version of this document's form.
    pub schema: u32,
    /// The change in words: `without slow-index-scan`.
    pub change: String,
    pub seed: u64,
    /// Whether anything is different. Which build of a guest ran is not.
    pub differs: bool,
    pub before: Side,
    pub after: Side,
    pub traces: Traces,
    /// The requests of loads, as these see them. In each list, what changed most comes first.
    pub loads: Vec<Shift<Numbers>>,
    pub routes: Vec<Shift<Numbers>>,
    pub services: Vec<Shift<ServiceRow>>,
    /// Calls between services, as the caller sees them.
    pub links: Vec<Shift<Numbers>>,
    /// What became of the messages of topics. Not there if no topic took one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<Shift<TopicNumbers>>,
    /// The messages of topics in groups. Not there if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Shift<GroupRow>>,
    /// Runs of jobs. Not there if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<Shift<JobRow>>,
    /// Statements by database and summary. Of each run those are there that its report has: the 20 of a
    /// database that took the most time together. Not there if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Shift<StatementRow>>,
    /// What requests met at pools of connections. Not there if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<Shift<PoolRow>>,
    /// What was asked of caches. Not there if none was asked for anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Shift<CacheRow>>,
    /// Own time by service and name of spans.
    pub spans: Vec<Shift<Spans>>,
    /// The trace that changed most.
    pub largest: Option<Largest>,
}

/// One of the two runs as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Side {
    pub topology: String,
    /// Simulated time from the start to the end.
    pub simulated_ns: Nanos,
    /// Requests that came from outside.
    pub requests: u64,
    pub spans: u64,
    /// Calls and requests that were still under way when the run ended.
    pub unfinished: u64,
    /// SHA-256 over all its records, as in the report of the run.
    pub digest: Option<String>,
}

/// One of the runs did not come to its end.
#[derive(Debug)]
pub struct Broken {
    /// Which: `the run before the change`.
    pub run: &'static str,
    pub error: RunError,
}

/// What a run leaves behind.
struct Ran<T> {
    outcome: RunOutcome,
    kept: T,
    resources: Arc<[Resource]>,
}

impl Comparison {
    /// Reads and checks both sides, and compiles their guests.
    ///
    /// # Errors
    /// Every problem of the question and of the topologies, by topology.
    pub fn make(question: Question) -> Result<Self, Vec<Refused>> {
        question.check()
    }

    /// What may be a mistake in the topologies: each once, of the first one first.
    pub fn warnings(&self) -> &[Warnings] {
        &self.warnings
    }

    /// Runs both worlds and says what is different between them.
    ///
    /// # Errors
    /// Those of [`Plan::run`], and what keeps either run from its end; of two the first.
    pub fn run(
        self,
        on_event: impl Fn(RunEvent) + Clone + Send + Sync + 'static,
    ) -> Result<Difference, Broken> {
        let (mut before, mut after) = self.both(Gather::new, on_event.clone())?;
        for ran in [&mut before, &mut after] {
            ran.kept.witness(&ran.outcome.requests, ran.outcome.forgotten);
        }
        let found = matched(&before.kept, &after.kept);
        let largest = match found.largest {
            // Runs are repeatable: only of this trace, all spans are kept.
            Some(id) => {
                let summaries = [&before, &after].map(|ran| ran.kept.traces.get(&id).copied());
                let (before, after) = self.both(|| Keep::new(id), on_event)?;
                let resources = [&before.resources, &after.resources];
                Some(Largest::new(id, [before.kept, after.kept], summaries, resources))
            }
            None => None,
        };
        let reports = (&before.outcome.report, &after.outcome.report);
        let mut difference = Difference {
            schema: SCHEMA,
            change: self.change,
            seed: self.seed,
            differs: false,
            before: Side::of(reports.0),
            after: Side::of(reports.1),
            traces: found.traces,
            loads: shift::loads(reports.0, reports.1),
            routes: shift::routes(reports.0, reports.1),
            services: shift::services(reports.0, reports.1),
            links: shift::links(reports.0, reports.1),
            topics: shift::topics(reports.0, reports.1),
            groups: shift::groups(reports.0, reports.1),
            jobs: shift::jobs(reports.0, reports.1),
            statements: shift::statements(reports.0, reports.1),
            pools: shift::pools(reports.0, reports.1),
            caches: shift::caches(reports.0, reports.1),
            spans: shift::spans(&before.kept, &after.kept),
            largest,
        };
        difference.differs = difference.is_any();
        Ok(difference)
    }

    /// Runs both worlds, each with an exporter of its own that keeps what is
    /// wanted: at the same time, as each takes one processor.
    fn both<T: Send, E: Exporter + 'static>(
        &self,
        exporter: impl Fn() -> (E, mpsc::Receiver<T>) + Sync,
        on_event: impl Fn(RunEvent) + Clone + Send + 'static,
    ) -> Result<(Ran<T>, Ran<T>), Broken> {
        let of_before = |error| Broken { run: "the run before the change", error };
        let of_after = |error| Broken { run: "the run after the change", error };
        // Two worlds in one process have room for as many workers as one has alone.
        let workers = [&self.before, &self.after].map(|world| world.topology.model.workers());
        if workers.iter().sum::<u64>() > u64::from(WORKERS_AT_MOST) {
            let before = self.before.run(exporter(), on_event.clone()).map_err(of_before)?;
            return Ok((before, self.after.run(exporter(), on_event).map_err(of_after)?));
        }
        std::thread::scope(|scope| {
            let before = scope.spawn({
                let on_event = on_event.clone();
                || self.before.run(exporter(), on_event)
            });
            let after = self.after.run(exporter(), on_event);
            let before = before.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((before.map_err(of_before)?, after.map_err(of_after)?))
        })
    }
}

impl Variant {
    fn run<T>(
        &self,
        (exporter, kept): (impl Exporter + 'static, mpsc::Receiver<T>),
        on_event: impl Fn(RunEvent) + Clone + Send + 'static,
    ) -> Result<Ran<T>, RunError> {
        let plan = self.plan()?;
        let resources = plan.resources();
        let mut outcome = plan.run_with(vec![Box::new(exporter)], on_event)?;
        if let Some(failure) = outcome.failures.pop() {
            return Err(RunError::Partial(failure));
        }
        // However long its thread still takes: a part would be compared to a whole.
        let kept = kept.recv().map_err(std::io::Error::other)?;
        Ok(Ran { outcome, kept, resources })
    }

    /// The environment has no say: nothing is exported, and every trace is looked at.
    fn plan(&self) -> Result<Plan, Refused> {
        Plan::from_topology(self.topology.clone(), self.options.clone(), Intent::Run, |_| None)
    }
}

impl Difference {
    /// The JSON Schema of the difference as JSON.
    pub fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        settings.into_generator().into_root_schema_for::<Self>()
    }

    /// Whether anything at all is different. Which build ran is not.
    fn is_any(&self) -> bool {
        let rows = self.loads.iter().chain(&self.routes).chain(&self.links);
        !self.traces.all_identical()
            || rows.into_iter().any(|shift| shift.is_changed())
            || self.services.iter().any(|shift| shift.is_changed())
            || self.spans.iter().any(|shift| shift.is_changed())
            || self.topics.iter().any(|shift| shift.is_changed())
            || self.groups.iter().any(|shift| shift.is_changed())
            || self.jobs.iter().any(|shift| shift.is_changed())
            || self.statements.iter().any(|shift| shift.is_changed())
            || self.pools.iter().any(|shift| shift.is_changed())
            || self.caches.iter().any(|shift| shift.is_changed())
    }
}

impl Side {
    fn of(report: &Report) -> Self {
        Self {
            topology: report.topology.clone(),
            simulated_ns: report.simulated_ns,
            requests: report.requests,
            spans: report.telemetry.spans,
            unfinished: report.unfinished,
            digest: report.digest.clone(),
        }
    }
}
