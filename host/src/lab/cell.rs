//! One run of a check: a topology, a seed, and which faults are on. It is the same run that
//! `simhost run --virtual` makes, in this process, with its records in memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use serde_json::Value;
use tokio::time::Instant;

use crate::engine::EMBEDDED;
use crate::error::{Problem, Refused, quote};
use crate::model::{
    Arrivals, Code, DoorFault, Draw, Effect, Ingress, Model, Names, Nanos, Replay, Schema, Traffic,
};
use crate::run::{
    Destinations, Failure, Intent, Options, Plan, Reply, RequestFlag, RunError, RunOutcome, Show,
};
use crate::telemetry::console::Style;
use crate::telemetry::exporter::{Account, Exporter};
use crate::telemetry::record::{Resource, SpanRecord};
use crate::telemetry::signal::{Batch, Signal, Signals};
use crate::topology::{self, Topology, WORKERS_AT_MOST};

use super::files;
use super::measure::json;
use super::told::Told;

/// Spans that are kept of one run; one that makes more cannot be judged by its spans.
pub const SPANS_AT_MOST: usize = 500_000;

/// A topology that is run for checks, over and over.
#[derive(Debug)]
pub struct World {
    pub topology: Topology,
    length: Nanos,
    /// Stands in for the topology's name in every draw, so that renaming one changes nothing.
    key_name: String,
    told: Told,
}

/// What differs between the runs of a topology.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    pub seed: u64,
    /// Faults that are on; none: as the topology has them.
    pub faults: Option<&'a [String]>,
    /// Whether its spans are kept.
    pub spans: bool,
    /// Whether the sampling of the topology is left out, so that every trace is kept.
    pub every_trace: bool,
}

/// A request that is sent to a service.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `POST /orders {…}`.
    pub text: String,
    pub headers: Vec<(String, String)>,
}

/// What is left of a run.
#[derive(Debug)]
pub struct Ran {
    /// The report.
    pub report: Value,
    /// In the order in which they ended.
    pub spans: Vec<SpanRecord>,
    /// Spans that there was no room for.
    pub lost: u64,
    pub resources: Arc<[Resource]>,
}

/// Why there is no result.
#[derive(Debug)]
pub enum Trouble {
    /// The files are wrong.
    Refused(Refused),
    /// The run has not come to its end.
    Failed(Problem),
}

impl World {
    /// Reads a topology. All files that it names have to lie in `folder`, and nothing of it may reach out of
    /// this process.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(
        folder: &Path,
        file: &str,
        length: Nanos,
        key_name: Option<&str>,
        told: &Told,
    ) -> Result<Self, Refused> {
        let path = folder.join(file);
        let refused = |problem| Refused::new(None, vec![problem]);
        files::stay_within(folder, &path, &format!("the topology {}", quote(file))).map_err(refused)?;
        if !path.try_exists().unwrap_or(true) {
            return Err(refused(files::missing(&path)));
        }
        let mut topology = topology::load(&path, &EMBEDDED.map(|(name, _)| name))?;
        let problems: Vec<_> = named_files(&topology.model)
            .into_iter()
            .filter_map(|(what, path)| files::stay_within(folder, &path, &what).err())
            .chain(outside(&topology.model))
            .collect();
        if !problems.is_empty() {
            return Err(Refused::new(None, problems));
        }
        // Nothing of a check is exported.
        topology.model.telemetry.otlp = None;
        topology.model.telemetry.self_telemetry = false;
        topology.model.objectives.clear();
        let key_name = key_name.unwrap_or(&topology.model.key_name).to_owned();
        Ok(Self { topology, length, key_name, told: told.clone() })
    }

    /// Worlds of this topology that there may be in one process at a time.
    pub fn at_once(&self) -> usize {
        let workers = self.topology.model.workers().max(1);
        usize::try_from(u64::from(WORKERS_AT_MOST) / workers).unwrap_or(usize::MAX).max(1)
    }

    /// Whether a load or a schedule makes something happen by itself.
    pub fn model(&self) -> &Model {
        &self.topology.model
    }

    /// Runs it once.
    ///
    /// # Errors
    /// The guests or other files are wrong, or the run does not come to its end.
    pub fn run(&self, cell: Cell<'_>) -> Result<Ran, Trouble> {
        let mut topology = self.topology.clone();
        if cell.every_trace {
            topology.model.telemetry.sampling = None;
        }
        self.keep(topology, self.options(cell), cell).map(|(ran, _)| ran)
    }

    fn keep(
        &self,
        topology: Topology,
        options: Options,
        cell: Cell<'_>,
    ) -> Result<(Ran, RunOutcome), Trouble> {
        let plan = Plan::from_topology(topology, options, Intent::Run, |_| None);
        let plan = plan.map_err(Trouble::Refused)?;
        let resources = plan.resources();
        let (keep, kept) = Keep::new(if cell.spans { SPANS_AT_MOST } else { 0 });
        let exporters: Vec<Box<dyn Exporter>> = if cell.spans { vec![Box::new(keep)] } else { Vec::new() };
        let mut outcome = plan.run_with(exporters, self.told.events()).map_err(Trouble::from)?;
        if let Some(Failure { what, help }) = outcome.failures.pop() {
            let what = format!("the run with seed {} did not come to its end: {what}", cell.seed);
            return Err(Trouble::Failed(Problem::new(what).help(help)));
        }
        let (spans, lost) = if cell.spans { kept.recv().unwrap_or_default() } else { Default::default() };
        Ok((Ran { report: json(&outcome.report), spans, lost, resources }, outcome))
    }

    /// The run that is recorded for observation, with its truth: lines of JSON.
    ///
    /// # Errors
    /// The files are wrong, or the run does not come to its end.
    pub fn observe(&self, seed: u64) -> Result<(Ran, Vec<Value>), Trouble> {
        let cell = Cell { seed, faults: None, spans: true, every_trace: false };
        let truth = files::folder_for_a_while().map_err(Trouble::Failed)?;
        let file = truth.path().join("truth.jsonl");
        let failed = |error: std::io::Error| Trouble::Failed(files::cannot("read", &file, &error));
        let mut options = self.options(cell);
        options.destinations.truth = Some(file.clone());
        options.no_counterfactual = true;
        let (ran, _) = self.keep(self.topology.clone(), options, cell)?;
        let text = std::fs::read_to_string(&file).map_err(failed)?;
        Ok((ran, text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()))
    }

    /// Makes the run that [`observe`](Self::observe) makes, writes its records to a file, and gives its
    /// report as text, without what would tell of its faults. The report calls the file `named`.
    ///
    /// # Errors
    /// The files are wrong, the run does not come to its end, or the file cannot be written.
    pub fn record(&self, seed: u64, out: &Path, named: &str, style: Style) -> Result<String, Trouble> {
        let cell = Cell { seed, faults: None, spans: false, every_trace: false };
        let mut options = Options { blind: true, ..self.options(cell) };
        options.destinations.out = Some(out.to_owned());
        options.destinations.exemplars = true;
        let plan = Plan::from_topology(self.topology.clone(), options, Intent::Run, |_| None);
        let mut outcome = plan.map_err(Trouble::Refused)?.run(self.told.events()).map_err(Trouble::from)?;
        if let Some(Failure { what, help }) = outcome.failures.pop() {
            return Err(Trouble::Failed(Problem::new(what).help(help)));
        }
        for exporter in &mut outcome.report.telemetry.exporters {
            exporter.name = exporter.name.replace(&out.display().to_string(), named);
        }
        Ok(outcome.report.text(style))
    }

    /// Sends requests to a service from outside, one after the other, while no load runs.
    ///
    /// # Errors
    /// The files are wrong, or the run does not come to its end.
    pub fn ask(&self, cell: Cell<'_>, service: &str, asked: &[Asked]) -> Result<Vec<Reply>, Trouble> {
        let mut topology = self.topology.clone();
        let Some(to) = topology.model.find(service) else {
            let what = format!("the topology has no service {}", quote(service));
            return Err(Trouble::Failed(Problem::new(what).help("put it back: the lab asks it")));
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        topology.model.ingress = Some(Ingress { listen, to });
        let request = |asked: &Asked| {
            let flag: RequestFlag =
                asked.text.parse().map_err(|why: String| Trouble::Failed(Problem::new(why)))?;
            Ok(flag.with_headers(asked.headers.clone()))
        };
        let requests = asked.iter().map(request).collect::<Result<_, Trouble>>()?;
        let options = Options { requests, stop_after: None, ..self.options(cell) };
        self.keep(topology, options, cell).map(|(_, outcome)| outcome.replies)
    }

    /// The same topology, run for another length of time.
    pub fn lasting(&self, length: Nanos) -> Self {
        let Self { topology, key_name, told, .. } = self;
        Self { topology: topology.clone(), length, key_name: key_name.clone(), told: told.clone() }
    }

    fn options(&self, cell: Cell<'_>) -> Options {
        let faults = cell.faults.map(|on| {
            let faults = self.topology.model.faults.iter();
            faults.map(|fault| (fault.name.clone(), on.contains(&fault.name))).collect()
        });
        Options {
            topology: PathBuf::from(&self.topology.name),
            virtual_time: true,
            seed: Some(cell.seed),
            key_name: Some(self.key_name.clone()),
            faults: faults.unwrap_or_default(),
            stop_after: Some(self.length),
            destinations: Destinations { show: Some(Show::None), ..Destinations::default() },
            ..Options::default()
        }
    }
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Refused(refused) => Self::Refused(refused),
            other => {
                // A run in virtual time has no address: only the system is left.
                let problem = Problem::new(other.to_string()).of_surroundings();
                Self::Failed(match other.remedy() {
                    Some(help) => problem.help(help),
                    None => problem,
                })
            }
        }
    }
}

impl Trouble {
    /// The same, of a run that is the lab's own.
    pub fn of_surroundings(self) -> Self {
        Self::Refused(self.into_refused().of_surroundings())
    }

    /// As what refuses the files.
    pub fn into_refused(self) -> Refused {
        match self {
            Self::Refused(refused) => refused,
            Self::Failed(problem) => Refused::new(None, vec![problem]),
        }
    }
}

/// The files that a topology names, each with what names it.
fn named_files(model: &Model) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    let mut guest = |what: String, code: &Code| {
        if let Code::File { path, .. } = code {
            files.push((what, path.clone()));
        }
    };
    for service in &model.services {
        guest(format!("the guest of the service {}", quote(&service.name)), &service.code);
    }
    for fault in &model.faults {
        if let Effect::Door(DoorFault::BadDeploy { code, .. }) = &fault.effect {
            guest(format!("the guest of the fault {}", quote(&fault.name)), code);
        }
    }
    for database in &model.databases {
        if let Schema::File { path, .. } = &database.schema {
            files.push((format!("the schema of the database {}", quote(&database.name)), path.clone()));
        }
    }
    for load in &model.loads {
        if let Traffic::Open(Arrivals::Replay(Replay::File { path, .. })) = &load.traffic {
            files.push((format!("the replay of the load {}", quote(&load.name)), path.clone()));
        }
        for value in &load.values {
            if let Draw::Names(Names::File { path, .. }) = &value.draw {
                files.push((format!("the list of names of the load {}", quote(&load.name)), path.clone()));
            }
        }
    }
    files
}

/// What of a topology would reach other programs.
fn outside(model: &Model) -> Vec<Problem> {
    let servers = model.services.iter().filter(|service| matches!(service.code, Code::External(_)));
    let servers = servers.map(|service| format!("the service {} is a real server", quote(&service.name)));
    let hosts = model.allowed_hosts.iter().map(|host| format!("the host {} is allowed", quote(host)));
    let help = "a lab runs within this process alone: take it out";
    servers.chain(hosts).map(|what| Problem::new(what).help(help)).collect()
}

/// An exporter that keeps spans, as many as there is room for.
#[derive(Debug)]
struct Keep {
    most: usize,
    spans: Vec<SpanRecord>,
    lost: u64,
    done: mpsc::Sender<(Vec<SpanRecord>, u64)>,
    account: Arc<Account>,
}

impl Keep {
    fn new(most: usize) -> (Self, mpsc::Receiver<(Vec<SpanRecord>, u64)>) {
        let (done, kept) = mpsc::channel();
        (Self { most, spans: Vec::new(), lost: 0, done, account: Account::new("lab") }, kept)
    }
}

impl Exporter for Keep {
    fn name(&self) -> &str {
        "lab"
    }

    fn takes(&self) -> Signals {
        Signals::of(&[Signal::Traces])
    }

    fn export(&mut self, batch: &Batch, _: &[Resource]) {
        let room = self.most - self.spans.len();
        self.spans.extend(batch.spans.iter().take(room).cloned());
        self.lost += batch.spans.len().saturating_sub(room) as u64;
        self.account.exported(batch.count().only(self.takes()));
    }

    fn flush(&mut self, _deadline: Instant) {
        // Whoever does not ask any more does not need them.
        self.done.send((std::mem::take(&mut self.spans), self.lost)).ok();
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}
