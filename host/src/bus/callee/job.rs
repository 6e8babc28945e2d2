//! A run of a job at a replica: a worker, the guest, and how it ended. The host records no span of it.
//!
//! It takes a worker like a request, and what strikes replicas strikes it. Faults of requests do not.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{Either, select};
use opentelemetry_semantic_conventions::attribute;

use crate::bus::replica_faults::Occupant;
use crate::fault::work::{Progress, Work, WorkId};
use crate::guest::contract::Export;
use crate::guest::scope::{RequestScope, Roots};
use crate::guest::{self, GuestFailure, Worker};
use crate::metrics::{Incarnation, JobKey};
use crate::model::{Nanos, ServiceId};
use crate::rng::Key;
use crate::telemetry::record::{KeyValue, LogRecord, Scope, Severity, Text};

use super::CalleeSide;
use super::node::ReplicaSet;
use super::replica::{Acquired, NoWorker, Replica, WorkerRequest};

/// The `simhost.job.name` of metrics and log records.
pub const JOB_NAME: &str = "simhost.job.name";

/// Bytes of a job's own error that are kept.
const ERROR_AT_MOST: usize = 1 << 10;

/// Kinds of failure without a process that could leave a record of them.
const DIED: &str = "replica_died";
const DOWN: &str = "replica_down";

/// A run of a job that is to begin.
#[derive(Clone, Debug)]
pub struct JobRun {
    pub service: ServiceId,
    /// The place of its schedule in the topology.
    pub schedule: u32,
    pub job: Arc<str>,
    pub replica: usize,
    /// When it was to begin: nanoseconds since the Unix epoch.
    pub due: Nanos,
    /// How long it may take: nanoseconds; none: as long as a request may.
    pub timeout: Option<Nanos>,
    /// Its traces and its draws follow from this.
    pub key: Key,
}

/// Why a run of a job has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailure {
    /// Low in cardinality: the `error.type` of metrics and log records.
    pub kind: &'static str,
    pub message: String,
    /// The guest's own, innermost frame first.
    backtrace: Option<String>,
}

impl JobFailure {
    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), backtrace: None }
    }

    /// Its process is gone.
    fn died() -> Self {
        Self::new(DIED, "the replica died")
    }

    /// Nobody is there.
    fn down(why: &str) -> Self {
        Self::new(DOWN, why)
    }

    /// Whether there is a process that can write of it.
    fn is_noticed(&self) -> bool {
        !matches!(self.kind, DIED | DOWN)
    }
}

impl From<GuestFailure> for JobFailure {
    fn from(GuestFailure { kind, message, backtrace }: GuestFailure) -> Self {
        Self { kind, message, backtrace }
    }
}

impl From<NoWorker> for JobFailure {
    fn from(reason: NoWorker) -> Self {
        let message = match reason {
            NoWorker::Broken(failure) => return failure.into(),
            NoWorker::Full => "the queue is full",
            NoWorker::Exhausted => "as many workers exist as limits.workers allows",
            NoWorker::Taken => "no worker has come free in time",
            NoWorker::Deadlock | NoWorker::TooLate => "no worker comes free",
        };
        Self::new(reason.kind(), message)
    }
}

impl JobRun {
    fn id(&self) -> WorkId {
        WorkId::run(self.schedule, self.key)
    }
}

impl CalleeSide {
    /// Runs a job, and tells how it ended whoever compares it with another run.
    pub(in crate::bus) async fn run_job(self: Rc<Self>, run: JobRun) -> Result<(), JobFailure> {
        self.host.topics.growth.begins();
        let ledger = &self.faults.ledger;
        ledger.work_due(Work::run(run.id(), run.due));
        let ended = self.run_counted(&run).await;
        let (id, now) = (run.id(), self.now());
        match &ended {
            Ok(()) => ledger.work_goes_on(id, Progress::Done, now),
            Err(_) => {
                ledger.work_goes_on(id, Progress::Failed, now);
                ledger.work_goes_on(id, Progress::GivenUp, now);
            }
        }
        ended
    }

    /// Runs a job, counts how it ended, and leaves a log record of one that failed, unless its process is
    /// dead.
    async fn run_counted(&self, run: &JobRun) -> Result<(), JobFailure> {
        let Some(guest) = self.guest(run.service) else {
            return Err(JobFailure::new("no_guest", "a real server has no jobs"));
        };
        let Some(set) = self.standing(guest, run.replica) else {
            return Err(JobFailure::down("the release does not come up"));
        };
        let (replica, began) = (&set.replicas[run.replica], self.now());
        let process =
            self.host.metrics.as_ref().map(|metrics| metrics.incarnation(replica.identity.resource));
        let ended = match replica.faults() {
            None => self.run_at(run, set, process, None).await,
            Some(faults) => match faults.enter(None) {
                Ok(occupant) => Box::pin(self.run_at(run, set, process, Some(&occupant))).await,
                Err(_) => Err(JobFailure::down("the replica is down")),
            },
        };
        if let Some((metrics, process)) = self.host.metrics.as_ref().zip(process) {
            let error = ended.as_ref().err().map(|failure| failure.kind);
            let attributes = || {
                let error = error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error));
                std::iter::once(job_name(&run.job)).chain(error).collect()
            };
            let key = JobKey { schedule: run.schedule, error };
            metrics.job_ended(process, key, attributes, self.now() - began);
        }
        if let Err(failure) = &ended
            && failure.is_noticed()
        {
            self.log_failure(run, replica, failure);
        }
        ended
    }

    /// A run is left out, as the one before goes on.
    pub(in crate::bus) fn skip_job(&self, run: &JobRun) {
        self.faults.ledger.work_due(Work::left_out(run.id(), run.due));
        let set = self.guest(run.service).and_then(|guest| self.standing(guest, run.replica));
        if let Some((metrics, set)) = self.host.metrics.as_ref().zip(set) {
            let process = metrics.incarnation(set.replicas[run.replica].identity.resource);
            metrics.job_skipped(process, run.schedule, || [job_name(&run.job)].into());
        }
    }

    /// The job runs as soon as there is a worker for it.
    async fn run_at(
        &self,
        run: &JobRun,
        set: &ReplicaSet,
        process: Option<Incarnation>,
        occupant: Option<&Occupant<'_>>,
    ) -> Result<(), JobFailure> {
        let (replica, limits) = (&set.replicas[run.replica], &self.node(run.service).limits);
        if let Some(occupant) = occupant
            && !self.goes_on(&occupant.faults.process, limits).await
        {
            return Err(JobFailure::died());
        }
        if !set.code.pre.has(Export::Job) {
            return Err(JobFailure::new("no_job", "the guest that is deployed has no jobs"));
        }
        let wanted = WorkerRequest {
            code: &set.code,
            host: &self.host,
            stats: &self.stats,
            deadline: None,
            occupant,
            above: None,
            queued: &|| {},
            process,
        };
        match replica.acquire(&wanted).await {
            Acquired::Worker(worker) => self.run_in(run, (worker, replica), process, occupant).await,
            Acquired::Refused(reason) => Err(reason.into()),
            Acquired::Dead => Err(JobFailure::died()),
        }
    }

    /// A worker runs the job.
    async fn run_in(
        &self,
        run: &JobRun,
        (mut worker, replica): (Worker, &Replica),
        process: Option<Incarnation>,
        occupant: Option<&Occupant<'_>>,
    ) -> Result<(), JobFailure> {
        let (begun, life) = (self.now(), replica.life());
        worker.brought(None);
        self.stats.begun(run.service, begun);
        let spans = self.node(run.service).limits.spans;
        let scope = RequestScope::of_job(self.trace_of(run, 0), self.roots(run), spans, worker.budget());
        let outcome = match occupant {
            None => Some(self.run_guest(run, scope, &mut worker).await),
            Some(occupant) => self.run_mortal(run, scope, &mut worker, occupant).await,
        };
        self.stats.done(run.service, begun, self.now());
        if let Some((metrics, process)) = self.host.metrics.as_ref().zip(process) {
            metrics.computed(process, worker.cpu_time());
        }
        let Some(outcome) = outcome else {
            self.host.recorder.lose(|| {
                worker.finish();
                drop(worker);
            });
            // A process that only stands still goes on without the worker.
            if replica.life() == life {
                replica.replace();
            }
            return Err(JobFailure::died());
        };
        worker.finish();
        match outcome {
            Ok(ended) => {
                replica.release(worker);
                ended.map_err(|message| JobFailure::new("job_error", shortened(message)))
            }
            Err(failure) => {
                drop(worker);
                replica.replace();
                Err(failure)
            }
        }
    }

    /// Lets the guest run the job, for as long as it may take.
    async fn run_guest(
        &self,
        run: &JobRun,
        scope: RequestScope,
        worker: &mut Worker,
    ) -> Result<Result<(), String>, JobFailure> {
        worker.begin(Box::new(scope))?;
        let (sched, running) = (&self.host.sched, pin!(worker.run_job(&run.job)));
        let Some(timeout) = run.timeout else {
            return Ok(guest::in_time(sched, &self.node(run.service).limits, running).await??);
        };
        match select(running, sched.sleep(timeout)).await {
            Either::Left((outcome, _)) => Ok(outcome?),
            Either::Right(_) => {
                let timeout = crate::clock::show(timeout);
                Err(JobFailure::new("timeout", format!("it took longer than timeout = {timeout}")))
            }
        }
    }

    /// The same in a process that may die: then there is no outcome.
    async fn run_mortal(
        &self,
        run: &JobRun,
        scope: RequestScope,
        worker: &mut Worker,
        occupant: &Occupant<'_>,
    ) -> Option<Result<Result<(), String>, JobFailure>> {
        let (process, limits) = (&occupant.faults.process, &self.node(run.service).limits);
        let mut running = Box::pin(async {
            // Nothing begins or ends in a process that stands still.
            if !self.goes_on(process, limits).await {
                return None;
            }
            let outcome = self.run_guest(run, scope, worker).await;
            occupant.worked(worker.stretched());
            self.goes_on(process, limits).await.then_some(outcome)
        });
        match select(process.death(), running.as_mut()).await {
            Either::Left(_) => {
                self.host.recorder.lose(|| drop(running));
                None
            }
            Either::Right((outcome, _)) => outcome,
        }
    }

    /// What begins the traces of a run.
    fn roots(&self, run: &JobRun) -> Roots {
        let (tracing, key) = (Rc::clone(&self.tracing), run.key);
        Roots::new(move |number| tracing.trace(key.with(number).draw(), None, false))
    }

    fn trace_of(&self, run: &JobRun, number: u64) -> crate::guest::scope::Trace {
        self.tracing.trace(run.key.with(number).draw(), None, false)
    }

    /// The log record of a run that failed, which belongs to no span.
    fn log_failure(&self, run: &JobRun, replica: &Replica, failure: &JobFailure) {
        let JobFailure { kind, message, backtrace } = failure;
        let mut attributes = vec![job_name(&run.job), KeyValue::new(attribute::ERROR_TYPE, *kind)];
        if let Some(backtrace) = backtrace {
            attributes.push(KeyValue::new(attribute::EXCEPTION_TYPE, *kind));
            attributes.push(KeyValue::new(attribute::EXCEPTION_MESSAGE, Text::Owned(message.clone())));
            attributes.push(KeyValue::new(attribute::EXCEPTION_STACKTRACE, Text::Owned(backtrace.clone())));
        }
        self.host.recorder.log(LogRecord {
            time: self.now(),
            severity: Severity::Error,
            event_name: None,
            body: Text::Owned(format!("job {} failed: {message}", run.job)),
            attributes,
            resource: replica.identity.resource,
            scope: Scope::Bus,
            span: None,
        });
    }
}

fn job_name(job: &Arc<str>) -> KeyValue {
    KeyValue::new(JOB_NAME, Text::Shared(Arc::clone(job)))
}

/// A text of a guest, as far as it is kept.
fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(ERROR_AT_MOST));
    text
}
