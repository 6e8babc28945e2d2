//! `--truth`: the file is opened, each world gets a book that writes into it, and the
//! last line says what came of it all.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_semantic_conventions::attribute;

use crate::error::Problem;
use crate::fault::Ledger;
use crate::fault::impact::ImpactTracker;
use crate::model::{Model, Nanos, ServiceId, Subscription};
use crate::telemetry::exporter::Trouble;
use crate::telemetry::record::{Resource, ResourceId, Value};
use crate::truth::{Declared, GroupName, Names, Opening, Sink, TruthWriter};

use super::check::fault::line as describe;
use super::event::RunEvent;
use super::loaded::Loaded;
use super::outputs::{cannot_write, parts};
use super::{Failure, Options};

/// The truth of a run, while it goes on.
#[derive(Debug)]
pub struct Truth {
    sink: Arc<Sink>,
    /// Of the second world and those behind it: their lines come behind those of the first.
    parts: Vec<Arc<Sink>>,
    pub names: Arc<Names>,
    opening: Opening,
    /// Whether runs without faults will be held against this one.
    pub is_compared: bool,
}

/// What is written down of one world, and remembered.
#[derive(Debug)]
pub struct WorldTruth {
    /// None where nobody reads it.
    writer: Option<(Arc<Sink>, Arc<Names>, u32)>,
    /// Of the first world: what the first line says.
    opening: Option<Opening>,
    remembers: bool,
}

impl WorldTruth {
    /// Those of a world that is only held against another.
    pub const fn remembered() -> Self {
        Self { writer: None, opening: None, remembers: true }
    }

    /// Where a world says what its faults do. It has `faults` of them and begins at `start`.
    pub fn ledger(self, faults: usize, start: Nanos) -> Ledger {
        let impact = ImpactTracker::new(faults, self.remembers);
        let Some((sink, names, shard)) = self.writer else { return Ledger::default().with_impact(impact) };
        let writer = TruthWriter::new(sink, names, shard, start);
        if let Some(opening) = self.opening {
            writer.open(opening);
        }
        Ledger::new(move |event| writer.write(event)).with_impact(impact)
    }
}

impl Truth {
    /// Opens the file, if the command line names one. `resources` are those of all worlds, and the
    /// first of each.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn open(
        options: &Options,
        model: &Model,
        loaded: &Loaded,
        resources: (&[Resource], &[ResourceId]),
    ) -> Result<Option<Self>, Problem> {
        let Some(path) = &options.destinations.truth else { return Ok(None) };
        let create = |path: &Path| {
            Sink::create(path).map(Arc::new).map_err(|error| cannot_write("--truth", path, &error))
        };
        let parts: Result<_, _> = parts(options, path).iter().map(|part| create(part)).collect();
        let names = Arc::new(names(model, loaded, resources));
        Ok(Some(Self {
            sink: create(path)?,
            parts: parts?,
            opening: opening(options, model, &names),
            names,
            is_compared: options.virtual_time && !options.no_counterfactual,
        }))
    }

    /// What is to be written down of world `shard`.
    pub fn notes(&self, shard: usize) -> WorldTruth {
        let sink = if shard == 0 { &self.sink } else { &self.parts[shard - 1] };
        WorldTruth {
            writer: Some((Arc::clone(sink), Arc::clone(&self.names), shard as u32)),
            opening: (shard == 0).then(|| self.opening.clone()),
            remembers: self.is_compared,
        }
    }

    /// Ends when the file takes no more, with what to say of it; none when its reader has
    /// seen enough.
    pub fn watch(&self) -> impl Future<Output = Option<RunEvent>> + use<> {
        const EVERY: Duration = Duration::from_millis(100);
        let sink = Arc::clone(&self.sink);
        async move {
            loop {
                tokio::time::sleep(EVERY).await;
                if let Some(trouble) = sink.trouble() {
                    let problem = Trouble::permanent(trouble.message);
                    let event = RunEvent::Trouble { exporter: name(sink.path()), trouble: problem };
                    return (!trouble.is_unread).then_some(event);
                }
            }
        }
    }

    /// The worlds are over: puts their lines behind one another.
    pub fn gather(&mut self) {
        for part in self.parts.drain(..) {
            // The worlds have let go of theirs.
            if let Ok(part) = Arc::try_unwrap(part) {
                self.sink.absorb(part);
            }
        }
    }

    pub fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Lines that are not in the file. That a pipe's reader has seen enough is no failure.
    pub fn failure(&self) -> Option<Failure> {
        let trouble = self.sink.trouble().filter(|trouble| !trouble.is_unread)?;
        Some(Failure {
            what: format!(
                "--truth {}: {} lines were lost: {}",
                self.sink.path().display(),
                trouble.lost,
                trouble.message
            ),
            help: "see to it that the file has room; what it has are whole lines",
        })
    }
}

/// What is wrong with how the truth was asked for.
pub fn problems(options: &Options) -> Vec<Problem> {
    let Some(truth) = &options.destinations.truth else { return Vec::new() };
    let mut problems = Vec::new();
    let is_stdout = truth.as_os_str() == "-";
    if is_stdout && options.worlds() > 1 {
        let problem = Problem::new("--truth - was given, and several shards cannot share standard output");
        problems.push(problem.help("name a file: --truth truth.jsonl"));
    }
    problems
}

/// Under what name the truth is in what a person is told.
fn name(path: &Path) -> String {
    if path == Path::new("-") {
        "the truth on standard output".to_owned()
    } else {
        format!("truth {}", path.display())
    }
}

/// `resources` are those of all worlds, and the first of each.
fn names(model: &Model, loaded: &Loaded, (resources, firsts): (&[Resource], &[ResourceId])) -> Names {
    let ids = (0..loaded.services.len() as u32).map(ServiceId);
    let instance = |resource: &Resource| {
        let id = resource.attributes.iter().find(|known| *known.key == *attribute::SERVICE_INSTANCE_ID)?;
        match &id.value {
            Value::Text(id) => Some(id.to_string()),
            _ => None,
        }
    };
    let group =
        |of: &Subscription| GroupName { topic: of.topic, group: of.group.clone(), service: of.service };
    let mut next = 0;
    let first_replicas = model.services.iter().zip(&loaded.services).map(|(service, code)| {
        code.guest.as_ref()?;
        next += service.replicas;
        Some(next - service.replicas)
    });
    Names {
        instances: resources.iter().map(instance).collect(),
        first_replicas: first_replicas.collect(),
        firsts: firsts.iter().map(|first| first.0).collect(),
        services: loaded.services.iter().map(|service| Arc::clone(&service.name)).collect(),
        routes: ids.map(|id| loaded.routes(id)).collect(),
        databases: model.databases.iter().map(|database| database.name.clone()).collect(),
        caches: model.caches.iter().map(|cache| cache.name.clone()).collect(),
        topics: model.topics.iter().map(|topic| topic.name.clone()).collect(),
        groups: model.subscriptions.iter().map(group).collect(),
        schedules: model.schedules.iter().map(|one| (one.service, one.job.clone())).collect(),
    }
}

fn opening(options: &Options, model: &Model, names: &Names) -> Opening {
    Opening {
        topology: model.name.clone(),
        seed: model.seed,
        shards: options.worlds(),
        is_virtual: options.virtual_time,
        flags: options.decisive_flags(),
        faults: model
            .faults
            .iter()
            .map(|fault| Declared::new(fault, describe(fault, model), names))
            .collect(),
    }
}
