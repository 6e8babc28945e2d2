//! The simulator's own telemetry, in a run that is asked for it.

use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::KeyValue;
use tokio::runtime::Runtime;

use crate::error::{Problem, Refused};
use crate::model::{Model, Nanos};
use crate::progress::Progress;
use crate::self_telemetry::{Core, Phase, Phases, Ratio, SelfTelemetry, Sources};
use crate::telemetry::env::Settings;
use crate::telemetry::exporter::Account;
use crate::telemetry::pipeline::Pipeline;
use crate::telemetry::signal::PerSignal;

use super::event::RunEvent;
use super::start::Speed;
use super::{Failure, Options};

/// Whether the command line or the topology asks for it.
pub fn is_wanted(options: &Options, model: &Model) -> bool {
    options.self_telemetry || model.telemetry.self_telemetry
}

/// What is wrong with asking for it on the command line.
pub fn problem(options: &Options, settings: &Settings) -> Option<Problem> {
    let has_none = settings.otlp.is_none() && !settings.disabled;
    (options.self_telemetry && has_none).then(|| {
        let problem = Problem::new("--self-telemetry was given, but no OTLP receiver is named");
        problem.help("add --otlp URL, or leave --self-telemetry out")
    })
}

/// What a person should know who asks for it in vain.
pub fn note(options: &Options, model: &Model, settings: &Settings) -> Option<String> {
    let key = if options.self_telemetry { "--self-telemetry" } else { "self in [telemetry]" };
    let why = if settings.disabled {
        "OTEL_SDK_DISABLED is true"
    } else if settings.otlp.is_none() {
        "no OTLP receiver is named"
    } else {
        return None;
    };
    is_wanted(options, model).then(|| format!("{key} has no effect: {why}"))
}

/// It and what it watches; nothing in a run that is not asked for it.
#[derive(Debug, Default)]
pub struct Own {
    telemetry: Option<SelfTelemetry>,
    /// Of each world.
    cores: Vec<Arc<Core>>,
}

impl Own {
    /// Starts it where it is wanted and has a receiver; `phases` are those before.
    ///
    /// # Errors
    /// The receiver cannot be used.
    pub fn start(
        options: &Options,
        model: &Model,
        settings: &Settings,
        phases: Phases,
        network: &Runtime,
    ) -> Result<Self, Refused> {
        let past = phases.take().filter(|_| settings.otlp.is_some() && !settings.disabled);
        let Some(past) = past else { return Ok(Self::default()) };
        let attributes = vec![
            KeyValue::new("simhost.topology", model.title.clone()),
            KeyValue::new("simhost.virtual", options.virtual_time),
            KeyValue::new("simhost.shards", i64::from(options.worlds())),
        ];
        let telemetry = SelfTelemetry::start(settings, past, attributes, network.handle());
        let telemetry = telemetry.map_err(|problem| Refused::new(None, vec![problem]))?;
        Ok(Self { telemetry: Some(telemetry), cores: Vec::new() })
    }

    /// Whether there is any.
    pub const fn is_some(&self) -> bool {
        self.telemetry.is_some()
    }

    /// Lets the metrics of the run be read. `account` is that of its OTLP exporter.
    pub fn observe(
        &mut self,
        options: &Options,
        settings: &Settings,
        account: Option<Arc<Account>>,
        pipeline: &Pipeline,
        progress: &Progress,
    ) {
        let (Some(telemetry), Some(account), Some(endpoints)) = (&self.telemetry, account, &settings.otlp)
        else {
            return;
        };
        let core = |world| {
            Arc::new(Core::new(if options.virtual_time {
                Ratio::Measured(Box::new(progress.of_world(world).simulated()))
            } else {
                Ratio::Exact(options.speed.map_or(1.0, Speed::factor))
            }))
        };
        self.cores = (0..options.worlds() as usize).map(core).collect();
        telemetry.observe(Sources {
            account,
            endpoints: endpoints.clone(),
            queue: PerSignal::from_fn(|signal| settings.batching[signal].queue),
            backlog: pipeline.backlog(),
            cores: self.cores.clone(),
        });
    }

    /// The span of the whole run.
    pub fn run(&self) -> Option<&Phase> {
        self.telemetry.as_ref().map(SelfTelemetry::run)
    }

    /// Does something that is a phase of the run.
    pub fn phase<T>(&self, name: &'static str, work: impl FnOnce() -> T) -> T {
        let _phase = self.run().map(|run| run.child(name, Vec::new()));
        work()
    }

    /// What watches world `number`, which is about to be simulated.
    pub fn world(&self, number: usize) -> Watched {
        let shard = || vec![KeyValue::new("simhost.shard", number as i64)];
        let core = self.run().zip(self.cores.get(number));
        Watched(core.map(|(run, core)| WatchedWorld {
            core: Arc::clone(core),
            simulation: run.child("simulate", shard()),
            drain: RefCell::default(),
        }))
    }

    /// Exports what is left. Says so if the receiver does not take it.
    pub fn end(self, on_event: impl Fn(RunEvent)) {
        if let Some(unsent) = self.telemetry.and_then(SelfTelemetry::end) {
            on_event(RunEvent::Unsent(unsent));
        }
    }
}

/// What watches one world; nothing in a run that is not asked for it.
#[derive(Debug, Default)]
pub struct Watched(Option<WatchedWorld>);

#[derive(Debug)]
struct WatchedWorld {
    core: Arc<Core>,
    /// The span of its simulation.
    simulation: Phase,
    /// That of the time in which requests under way finish.
    drain: RefCell<Option<Phase>>,
}

impl Watched {
    /// This thread begins to simulate the world.
    pub fn begin(&self) {
        if let Some(world) = &self.0 {
            world.core.begin();
        }
    }

    /// Nothing more comes in.
    pub fn drains(&self) {
        if let Some(WatchedWorld { simulation, drain, .. }) = &self.0 {
            *drain.borrow_mut() = Some(simulation.child("drain", Vec::new()));
        }
    }

    /// The world is over, after so much simulated time; `halted` says why it could not go on.
    pub fn end(self, simulated: Nanos, requests: u64, halted: &[Failure]) {
        let Some(WatchedWorld { core, simulation, .. }) = self.0 else { return };
        core.end(simulated);
        simulation.set(KeyValue::new("simhost.simulated", simulated as f64 / 1e9));
        simulation.set(KeyValue::new("simhost.requests", requests as i64));
        if let Some(Failure { what, .. }) = halted.first() {
            simulation.failed(what.clone());
        }
    }
}
