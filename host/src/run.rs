//! One run: everything that a topology, the command line and the environment
//! ask for, checked first and then set going.
//!
//! [`Plan::from_file`] reads, checks and compiles, and refuses with every problem at
//! once; nothing has started then. [`Plan::run`] opens the ingress and runs until
//! it is told to stop.

mod ask_guest;
mod calls;
mod check;
mod chosen;
mod compile;
mod control;
mod counterfactual;
mod drain;
mod drive;
mod event;
mod exporters;
mod failure;
mod first;
mod graph;
mod identity;
mod launch;
mod lint;
mod loaded;
mod loads;
mod network;
mod options;
mod outcome;
mod outputs;
mod pace;
mod records;
mod releases;
mod requests;
mod resources;
mod scrape;
mod self_telemetry;
mod services;
mod shards;
pub mod signals;
mod start;
mod truth;
mod unread;
mod watch;
mod wiring;
mod world;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use tracing::info;

use crate::bus::Bus;
use crate::clock::{self, Clock, VIRTUAL_START};
use crate::database::{self, Opened};
use crate::engine::EMBEDDED;
use crate::error::{Problem, Refused, Warnings, did_you_mean, quote};
use crate::fault::{self, FaultScheduler, Ledger};
use crate::graph::Graph;
use crate::model::{Code, Model, Nanos, Telemetry};
use crate::report::words;
use crate::sched::Sched;
use crate::self_telemetry::Phases;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::record::Resource;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::signal::Batch;
use crate::topology::{self, Topology};

use calls::{Calls, Found};
pub use check::document::{Document, SCHEMA as CHECK_SCHEMA};
use compile::Told;
pub use event::RunEvent;
use loaded::Loaded;
pub use options::{Destinations, Listed, LogLines, Options, Show, Stdout};
pub use outcome::{Failure, RunError, RunOutcome};
pub use requests::{Reply, RequestFlag};
pub use shards::SHARDS;
pub use start::{Speed, Start};

/// A run that can begin: all input is good, all guests are compiled.
#[derive(Debug)]
pub struct Plan {
    options: Options,
    model: Model,
    telemetry: TelemetrySettings,
    loaded: Loaded,
    /// Opened, for the first world.
    databases: Vec<Opened>,
    warnings: Warnings,
    /// What took time before the run, if somebody wants to know.
    phases: Phases,
}

/// What a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To be run: it has something to do, and an end.
    Run,
    /// To be described, or for its [bus](Plan::bus): it may have nothing to do.
    Describe,
}

impl Plan {
    /// Reads the topology that the options name, checks everything, and compiles the guests.
    ///
    /// # Errors
    /// Every problem of the topology; or, when the file as such is good, every
    /// problem of the flags, the environment and the guests.
    pub fn from_file(
        options: Options,
        intent: Intent,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Refused> {
        let began = clock::wall();
        Self::checked(read(&options, &environment)?, options, intent, environment, began)
    }

    /// Checks everything about a topology that was read already, and compiles the guests.
    ///
    /// # Errors
    /// Every problem of the flags, the environment and the guests.
    pub fn from_topology(
        topology: Topology,
        options: Options,
        intent: Intent,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Refused> {
        Self::checked(topology, options, intent, environment, clock::wall())
    }

    /// [`from_topology`](Self::from_topology); reading it began at `began`, by the wall clock.
    fn checked(
        mut topology: Topology,
        options: Options,
        intent: Intent,
        environment: impl Fn(&str) -> Option<String>,
        began: Nanos,
    ) -> Result<Self, Refused> {
        if options.blind {
            topology.model.hide_faults();
        }
        let Model { title: name, services, links, loads, faults, .. } = &topology.model;
        let (services, links, loads, faults) = (services.len(), links.len(), loads.len(), faults.len());
        info!(name, services, links, loads, faults, "topology read");
        let mut problems = std::mem::take(&mut topology.warnings);
        problems.extend(apply(&options, &mut topology.model, &environment));
        problems.extend(loads::flags(&options, &topology.model));
        if intent == Intent::Run {
            problems.extend(loads::problems(&options, &topology.model));
        }
        problems.extend(requests::problems(&topology.model));
        let opened_at = if options.virtual_time { VIRTUAL_START } else { clock::wall() };
        let (mut databases, found) = database::read(&mut topology.model, opened_at);
        problems.extend(found);
        if databases.len() == topology.model.databases.len() {
            problems.extend(lint::refused(&topology.model, &mut databases));
        }
        problems.extend(pace::problems(&options, &topology.model));
        problems.extend(shards::problems(&options));
        problems.extend(control::problems(&options));
        problems.extend(truth::problems(&options));
        let flags = options.destinations.flags();
        let strict = options.strict;
        let tolerable = |problem: &Problem| !strict && !problem.is_error();
        let telemetry = TelemetrySettings::from_env(environment, &topology.model.telemetry, flags);
        let telemetry = telemetry.map_err(|more| problems.extend(more));
        problems.extend(telemetry.iter().filter_map(|settings| self_telemetry::problem(&options, settings)));
        let to_run = telemetry.iter().filter(|_| intent == Intent::Run);
        problems.extend(to_run.flat_map(|settings| scrape::problems(&options, settings)));
        let worlds = options.worlds();
        let (model, virtual_time) = (&topology.model, options.virtual_time);
        let lint = |found: &Found<'_>| {
            let idle = if intent == Intent::Run { loads::idle(&options, found) } else { None };
            let lint = lint::problems(&options, &topology.text, found);
            idle.into_iter().chain(lint).collect()
        };
        let phases = Phases::new(self_telemetry::is_wanted(&options, model));
        let told = Told { tell: options.tell, phases: &phases };
        let loaded = services::load(model, virtual_time, worlds, &options.guests, told, lint);
        let loaded = loaded.map(|(loaded, doubts)| {
            problems.extend(doubts);
            loaded
        });
        let mut further = 0;
        let loaded = loaded.map_err(|found| {
            further = found.further;
            problems.extend(found.problems);
        });
        match (telemetry, loaded) {
            (Ok(mut telemetry), Ok(loaded)) if problems.iter().all(tolerable) => {
                telemetry.notes.extend(pace::note(&options));
                telemetry.notes.extend(scrape::notes(&options, &telemetry));
                telemetry.notes.extend(exporters::notes(&options.destinations, &telemetry));
                telemetry.notes.extend(shards::note(&options));
                telemetry.notes.extend(self_telemetry::note(&options, model, &telemetry));
                telemetry.notes.extend(loaded.engine.uncached().map(str::to_owned));
                let choice = &options.destinations.choice;
                telemetry.notes.extend(pace::between(&options, &topology.model, &telemetry));
                if choice.is_choosy() {
                    let resources = resources::resources(&topology.model, &telemetry, &loaded);
                    telemetry.notes.extend(chosen::notes(choice, &topology.model, &loaded, &resources));
                }
                // Doubts quote the topology.
                let doubts = if options.blind { Vec::new() } else { sorted(problems) };
                let warnings = topology.doubt(doubts);
                phases.enclose("check", began);
                let model = topology.model;
                Ok(Self { options, model, telemetry, loaded, databases, warnings, phases })
            }
            _ => {
                let problems = if options.blind { blind(problems) } else { problems };
                Err(topology.refuse(sorted(problems), further))
            }
        }
    }

    /// The services on a bus in virtual time, without ingress and exporters:
    /// `sink` gets the records. For measuring, and for who embeds simhost.
    pub fn bus(self, sink: impl FnMut(Batch) + 'static) -> (Sched, Rc<Bus>) {
        let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
        let recorder = Rc::new(Recorder::new(sink));
        let (first, databases) = (Some(self.loaded.first), self.databases);
        let host = wiring::host(&sched, &recorder, &self.model, &self.telemetry, first, databases);
        let sampler = self.telemetry.sampler;
        let ledger = Ledger::default();
        let bus = wiring::build(&self.model, VIRTUAL_START, self.loaded, host, sampler, None, ledger);
        FaultScheduler::begin(bus.stage(), &sched);
        bus.begin_collections();
        (sched, bus)
    }

    /// The Resources of the run's records, by [`ResourceId`](crate::telemetry::record::ResourceId).
    pub fn resources(&self) -> Arc<[Resource]> {
        resources::resources(&self.model, &self.telemetry, &self.loaded)
    }

    /// What it would run, for a person.
    pub fn description(&mut self) -> String {
        let tables = check::store::tables(&mut self.databases);
        check::description(&self.shown(), &self.loaded.services, &self.calls(), &tables)
    }

    /// What it would run, for a program.
    pub fn document(&mut self) -> Document {
        let tables = check::store::tables(&mut self.databases);
        let (services, calls) = (&self.loaded.services, self.calls());
        check::document::document(&self.shown(), services, &calls, &tables, &self.warnings)
    }

    /// Who calls whom, as a graph.
    pub fn graph(&self) -> Graph {
        graph::graph(&self.shown(), &self.loaded.services, &self.calls())
    }

    /// The model as a person may see it.
    fn shown(&self) -> Cow<'_, Model> {
        if !self.options.blind {
            return Cow::Borrowed(&self.model);
        }
        Cow::Owned(Model { faults: Vec::new(), ..self.model.clone() })
    }

    /// Who calls whom.
    fn calls(&self) -> Calls {
        let services: Vec<_> = self.loaded.services.iter().cloned().map(Some).collect();
        Calls::of(&Found { model: &self.shown(), services: &services, releases: &self.loaded.releases })
    }

    /// What may be a mistake in the topology or the flags.
    pub const fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    /// What a person should know before the run, but need not act on.
    pub fn notes(&self) -> &[String] {
        &self.telemetry.notes
    }
}

/// Reads the topology; one that is refused is refused with what the environment says wrong.
fn read(options: &Options, environment: impl Fn(&str) -> Option<String>) -> Result<Topology, Refused> {
    topology::load(&options.topology, &EMBEDDED.map(|(name, _)| name)).map_err(|refused| {
        let (flags, unknown) = (options.destinations.flags(), Telemetry::default());
        refused.with(TelemetrySettings::from_env(environment, &unknown, flags).err().unwrap_or_default())
    })
}

/// The problems without the doubts that name faults: of these it only says that they are there.
fn blind(mut problems: Vec<Problem>) -> Vec<Problem> {
    let before = problems.len();
    problems.retain(|problem| problem.is_error() || !problem.is_of_fault);
    let hidden = before - problems.len();
    problems.extend((hidden > 0).then(|| {
        let problem = Problem::warning(format!("{} about faults", words::counted(hidden as u64, "warning")));
        problem.help("leave --blind out to see them, or --strict to accept them")
    }));
    problems
}

/// Errors first, each kind in the order of the file.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| (problem.severity, problem.at.as_ref().map(|place| place.start)));
    problems
}

/// Lets the command line override the topology.
fn apply(
    options: &Options,
    model: &mut Model,
    environment: &impl Fn(&str) -> Option<String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(seed) = options.seed {
        model.seed = seed;
    }
    if let Some(picos) = options.compute {
        model.compute = picos;
    }
    if let Some(name) = &options.key_name {
        model.key_name.clone_from(name);
    }
    fault::draw_targets(model);
    match (&mut model.ingress, options.listen) {
        (Some(ingress), Some(listen)) => ingress.listen = listen,
        (None, Some(_)) => {
            let problem = Problem::new("--listen was given, but the topology has no [ingress]");
            problems.push(problem.help("say where requests go: [ingress] to = \"SERVICE\""));
        }
        (_, None) => {}
    }
    let services: Vec<_> = model.services.iter().map(|service| service.name.clone()).collect();
    for (name, path) in &options.guests {
        match model.services.iter_mut().find(|service| service.name == *name) {
            Some(service) => {
                // As in a topology, where a file without a folder ends with .wasm.
                let built_in = EMBEDDED.iter().find(|(known, _)| path.as_os_str() == *known);
                let code = match built_in {
                    Some((known, _)) => Code::Embedded((*known).to_owned()),
                    None => Code::File { path: path.clone(), place: None },
                };
                service.replaced = Some(std::mem::replace(&mut service.code, code));
            }
            None => problems.push(unknown("--guest", "service", name, &services)),
        }
    }
    let faults: Vec<_> = model.faults.iter().map(|fault| fault.name.clone()).collect();
    for (name, on) in &options.faults {
        match model.faults.iter_mut().find(|fault| fault.name == *name) {
            Some(fault) => fault.enabled = *on,
            None => {
                // The known names are the answers of an exercise.
                let problem = unknown("--fault", "fault", name, &faults);
                let help = "leave --blind out to see which faults there are";
                problems.push(if options.blind { problem.help(help) } else { problem });
            }
        }
    }
    // Before the files that loads name are read: their names are gone then.
    problems.extend(outputs::problems(options, model, environment));
    problems.extend(loads::choose(options, model));
    problems
}

/// The problem of a flag that names what the topology does not have.
pub fn unknown(flag: &str, what: &str, name: &str, known: &[String]) -> Problem {
    let problem =
        Problem::new(format!("{flag} names the {what} {}, which the topology does not have", quote(name)));
    problem.help(did_you_mean(name, &format!("{what}s"), known.iter().map(String::as_str)))
}
