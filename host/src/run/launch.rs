//! Runs a plan: its threads, the destinations of its records, its worlds, and the orderly end.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::bus;
use crate::clock::Stopwatch;
use crate::error::{Problem, Refused};
use crate::model::{Model, Nanos};
use crate::progress::Progress;
use crate::prometheus::clash::Clashes;
use crate::report::{Facts, Report};
use crate::self_telemetry::Phases;
use crate::socket::Shortage;
use crate::telemetry::digest::Digest;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::pipeline::{self, Pipeline};
use crate::telemetry::record::Resource;
use crate::telemetry::signal::Signal;

use super::counterfactual::Counterfactual;
use super::event::RunEvent;
use super::exporters::{ExporterOptions, Exporters};
use super::failure;
use super::loaded::Loaded;
use super::network::{network, open_listener};
use super::options::{Destinations, Options, Show};
use super::pace::pace_and_clock;
use super::resources::WorldResources;
use super::scrape::Scraping;
use super::self_telemetry::Own;
use super::signals::stop_on_signal;
use super::truth::{Truth, WorldTruth};
use super::unread::Unread;
use super::world::{Simulated, World};
use super::{Failure, Plan, RunError, RunOutcome, control, shards, watch as watchers};

/// A run that is told to stop has this long to end, beside the time that receivers have
/// to take what is left: requests under way, callees that still work, clients that dawdle.
const ENDS_WITHIN: Duration = Duration::from_secs(25);

impl Plan {
    /// Runs to the end: until every request of the command line is answered, or
    /// until it is told to stop.
    ///
    /// # Errors
    /// The port is taken, a file cannot be written, the system refuses a thread.
    pub fn run(self, on_event: impl Fn(RunEvent) + Clone + Send + 'static) -> Result<RunOutcome, RunError> {
        self.begin(Vec::new(), false, on_event)
    }

    /// Runs to the end, with `more` exporters beside those that the command line names,
    /// as a part of something else: it shows no progress of its own.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_with(
        self,
        more: Vec<Box<dyn Exporter>>,
        on_event: impl Fn(RunEvent) + Clone + Send + 'static,
    ) -> Result<RunOutcome, RunError> {
        self.begin(more, true, on_event)
    }

    fn begin(
        self,
        more: Vec<Box<dyn Exporter>>,
        is_part: bool,
        on_event: impl Fn(RunEvent) + Clone + Send + 'static,
    ) -> Result<RunOutcome, RunError> {
        let Self { options, model, telemetry, loaded, mut databases, phases, .. } = self;
        let (watch, network) = (Stopwatch::start(), network()?);
        // Before anything else starts: a taken port is the commonest trouble.
        let mut listener = open_listener(&options, &model, &network)?;
        let mut control = control::open_listener(&options, &network)?;
        let stop = Arc::new(watch::channel(false).0);
        let signals = stop_on_signal(Arc::clone(&stop), ENDS_WITHIN + telemetry.patience());
        let show = options.destinations.show.unwrap_or_else(|| default_show(&options, &model, &telemetry));
        let models = shards::models(&options, &model);
        let WorldResources { all: resources, firsts } = WorldResources::new(&models, &telemetry, &loaded);
        let mut scraping = Scraping::open(&telemetry, &resources, &network)?;
        let clashes = scraping.as_ref().map(|scraping| Arc::clone(&scraping.clashes));
        let (pace, clock) = pace_and_clock(&options, &model, &telemetry);
        let at_the_end = !options.requests.is_empty();
        let (settings, wanted, origin) = (&telemetry, &options.destinations, clock.now());
        let exporter_options = ExporterOptions { settings, wanted, show, at_the_end, pace, origin };
        // Traces, log lines and the answers to requests are for the same eyes.
        let is_free = show != Show::Traces && !options.destinations.logs_on_stderr();
        let is_shown = !is_part && is_free && !at_the_end;
        let exporters = open_exporters(&exporter_options, &model, &resources, &network, more)?;
        let mut truth = Truth::open(&options, &model, &loaded, (&resources, &firsts)).map_err(refused)?;
        let digest = digest(&options, &telemetry, clock.now());
        // What is a part of something else says nothing of itself.
        let phases = if is_part { Phases::default() } else { phases };
        let mut own = Own::start(&options, &model, &telemetry, phases, &network)?;
        let Exporters { exporters, page, otlp } = exporters;
        let is_recorded = digest.is_some() || !exporters.is_empty();
        let (handoff, pipeline) =
            Pipeline::start(Arc::clone(&resources), exporters, digest, pace, telemetry.batching)?;
        let course = watchers::course(&options, &model, &pipeline, own.is_some(), watch);
        let progress = Progress::new(course, is_shown);
        signals.watch(progress.beats());
        own.observe(&options, &telemetry, otlp, &pipeline, &progress);
        let (unread, shortage) = (Unread::new(Arc::clone(&stop)), Shortage::default());
        let on_event = unread.quiet(watchers::above_line(progress.line(), on_event));
        watchers::spawn_watchers(&network, &pipeline, truth.as_ref(), &unread, &shortage, &on_event);
        watchers::spawn_page_watcher(&network, clashes.as_ref(), &on_event);
        network.spawn(watchers::show_later(progress.line()));
        let stops = shards::stops(&options, &stop, &network);
        let worlds = models.iter().zip(&stops).enumerate().map(|(number, (model, stop))| World {
            options: &options,
            model,
            telemetry: &telemetry,
            loaded: Loaded { first: firsts[number], ..loaded.clone() },
            // Others have other seeds.
            databases: std::mem::take(&mut databases),
            clock: clock.clone(),
            pace,
            is_recorded,
            network: &network,
            listener: listener.take(),
            control: control.take(),
            scraping: scraping.take(),
            stop,
            progress: progress.of_world(number),
            shortage: &shortage,
            notes: notes(truth.as_ref(), &options, number),
            watched: own.world(number),
        });
        let mut done = shards::simulate(worlds.collect(), Some(handoff), on_event.clone())?;
        progress.line().finish();
        let took = watch.elapsed();
        if let Some(truth) = &mut truth {
            let (options, model, telemetry, loaded) = (&options, &model, &telemetry, &loaded);
            let (network, stop, run) = (&network, &stop, own.run());
            let counterfactual = Counterfactual {
                options,
                model,
                telemetry,
                loaded,
                is_recorded,
                network,
                stop,
                is_shown,
                run,
            };
            counterfactual.close(truth, &done, took, &on_event);
        }
        let sent = own.phase("flush", || hand_in(pipeline, telemetry.patience(), &stop, &on_event));
        let halted = std::mem::take(&mut done.halted).into_iter();
        let untold = sent.has_panicked.then(failure::telemetry);
        let failures = halted.chain(untold).chain(truth.and_then(|truth| truth.failure())).collect();
        if options.virtual_time && options.requests.is_empty() && done.simulated > 0 {
            on_event(RunEvent::Simulated { simulated: done.simulated, took });
        }
        let mut report =
            own.phase("report", || report(&options, &model, &resources, &mut done, sent, clashes, watch));
        report.telemetry.is_disabled = telemetry.disabled;
        own.end(&on_event);
        // Its threads may hold a receiver that does not answer: not for long.
        network.shutdown_background();
        let page = page.map(|page| page.take()).unwrap_or_default();
        Ok(outcome(done, page, show == Show::Traces, report, failures))
    }
}

/// What is to be known of the faults of a world, by its number.
fn notes(truth: Option<&Truth>, options: &Options, number: usize) -> Option<WorldTruth> {
    match truth {
        Some(truth) => Some(truth.notes(number)),
        None => options.remembers.then(WorldTruth::remembered),
    }
}

fn refused(problem: Problem) -> Refused {
    Refused::new(None, vec![problem])
}

fn outcome(
    done: Simulated,
    page: Vec<u8>,
    traces: bool,
    report: Report,
    failures: Vec<Failure>,
) -> RunOutcome {
    let forgotten = done.seen.iter().map(|seen| seen.forgotten).sum();
    let requests = done.seen.into_iter().flat_map(|seen| seen.requests).collect();
    let (databases, end) = (done.engines, done.start + done.simulated);
    RunOutcome { replies: done.replies, page, traces, report, requests, forgotten, databases, end, failures }
}

/// What the run has done, taken out of `done`; `watch` began with it.
fn report(
    options: &Options,
    model: &Model,
    resources: &[Resource],
    done: &mut Simulated,
    sent: pipeline::Settlement,
    clashes: Option<Arc<Clashes>>,
    watch: Stopwatch,
) -> Report {
    Report::new(Facts {
        model,
        shards: options.worlds(),
        accounts: std::mem::take(&mut done.accounts),
        resources,
        faults: std::mem::take(&mut done.faults),
        loads: std::mem::take(&mut done.loads),
        jobs: std::mem::take(&mut done.jobs),
        topics: std::mem::take(&mut done.topics),
        recorded: done.recorded,
        misused: std::mem::take(&mut done.misused),
        databases: std::mem::take(&mut done.databases),
        caches: std::mem::take(&mut done.caches),
        scrapes: done.scrapes,
        clashes: clashes.map(|clashes| clashes.all()).unwrap_or_default(),
        sent,
        requests: done.requests,
        tasks: done.tasks,
        simulated: done.simulated,
        elapsed: (!options.virtual_time).then(|| watch.elapsed()),
        idle_is_missed: options.requests.is_empty(),
        is_blind: options.blind,
    })
}

fn digest(options: &Options, telemetry: &TelemetrySettings, start: Nanos) -> Option<Digest> {
    let is_wanted = options.virtual_time && !telemetry.disabled;
    is_wanted.then(|| Digest::new(start, bus::trace_mask(start)))
}

/// Sees all records through to their ends: while some are taken, and for `patience`
/// after that. A signal ends the wait; the second one, where the run was told to stop before, the process.
fn hand_in(
    pipeline: Pipeline,
    patience: Duration,
    stop: &watch::Sender<bool>,
    on_event: impl Fn(RunEvent),
) -> pipeline::Settlement {
    /// Who waits for longer is told what for.
    const SOON: Duration = Duration::from_secs(1);
    pipeline.close(patience);
    let is_told = *stop.borrow();
    if !pipeline.ends_within(SOON) {
        on_event(RunEvent::Flushing { patience, is_told });
    }
    pipeline.finish(patience, || !is_told && *stop.borrow())
}

/// What the command line names, and `more`.
fn open_exporters(
    options: &ExporterOptions<'_>,
    model: &Model,
    resources: &Arc<[Resource]>,
    network: &Runtime,
    more: Vec<Box<dyn Exporter>>,
) -> Result<Exporters, Refused> {
    let opened = Exporters::open(options, model.root(), resources, network.handle());
    let mut exporters = opened.map_err(|problems| Refused::new(None, problems))?;
    exporters.exporters.extend(more);
    Ok(exporters)
}

/// Traces for a person who looks, unless the records go somewhere else.
fn default_show(options: &Options, model: &Model, telemetry: &TelemetrySettings) -> Show {
    // A new destination is sorted here: whether it takes the records, so that nothing is drawn.
    let Destinations {
        otlp: _,
        out,
        truth: _,
        logs: _,
        picture: _,
        show: _,
        choice: _,
        json: _,
        exemplars: _,
        stdout: _,
    } = &options.destinations;
    let exported = telemetry.otlp.is_some() || out.is_some();
    // The traces of a load are more than anybody reads.
    let loaded = model.loads.iter().any(|load| load.enabled);
    let looks = options.destinations.stdout.is_terminal && !loaded || !options.requests.is_empty();
    let asked = telemetry.console[Signal::Traces];
    if options.destinations.choice.is_choosy() {
        Show::Traces
    } else if options.destinations.json {
        Show::Summary
    } else if asked || (looks && !exported) {
        Show::Traces
    } else {
        Show::Summary
    }
}
