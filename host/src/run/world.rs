//! A run on its way: its threads, its records' destinations, and the orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::bus;
use crate::clock::Stopwatch;
use crate::error::Refused;
use crate::fault;
use crate::model::{Load, Model, Nanos, ServiceId};
use crate::progress::{self, Course, Line, Progress};
use crate::report::{Facts, Report};
use crate::socket::Shortage;
use crate::telemetry::digest::Digest;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::exporter::{Account, Exporter, Totals, Trouble};
use crate::telemetry::pipeline::{self, Pipeline};
use crate::telemetry::record::{Resource, ResourceId};

use super::counterfactual::Again;
use super::services::{Loaded, Service};
use super::signals::stop_on_signal;
use super::simulate::World;
use super::telemetry::{Exporters, Order, Show, instance_id, load_resource, resource};
use super::truth::{Notes, Truth};
use super::unread::Unread;
use super::{Options, Outcome, Plan, RunError, control, loads, shards, start};

/// A run that is told to stop has this long to end, beside the time that receivers have
/// to take what is left: requests under way, callees that still work, clients that dawdle.
const ENDS_WITHIN: Duration = Duration::from_secs(25);

/// What happens in a run that a person may want to know at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A guest of so many bytes is being compiled, and it takes a while.
    Compiling { guest: String, bytes: usize },
    /// The door is open.
    Listening { address: SocketAddr, to: String },
    /// No load makes requests in a run that listens: a command that sends one, and the name of
    /// a load that is off.
    Idle { curl: String, load: Option<String> },
    /// Faults can be switched there.
    Control { address: SocketAddr },
    /// Told to stop: what is under way is finished.
    Draining,
    /// An exporter cannot get rid of its records, for the first time; and for the first
    /// time for good.
    Trouble { exporter: String, trouble: Trouble },
    /// A run in virtual time has simulated so much, and took so long.
    Simulated { simulated: Nanos, took: Duration },
    /// The run, which took so long, is made once more without each of so many faults.
    Comparing { faults: usize, took: Duration },
    /// The system gives no more connections: they wait.
    Shortage { reason: String },
    /// The run is over, and its records are not yet taken: they are waited for while some
    /// are, and then for so long.
    Flushing { patience: Duration },
}

impl Plan {
    /// Runs to the end: until every request of the command line is answered, or
    /// until it is told to stop.
    ///
    /// # Errors
    /// The port is taken, a file cannot be written, the system refuses a thread.
    pub fn run(self, on_event: impl Fn(Event) + Clone + Send + 'static) -> Result<Outcome, RunError> {
        self.run_with(Vec::new(), on_event)
    }

    /// Likewise, with `more` exporters beside those that the command line names,
    /// as a part of something else: it shows no progress of its own.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_with(
        self,
        more: Vec<Box<dyn Exporter>>,
        on_event: impl Fn(Event) + Clone + Send + 'static,
    ) -> Result<Outcome, RunError> {
        let Self { options, model, telemetry, loaded, .. } = self;
        let watch = Stopwatch::start();
        let network = network()?;
        // Before anything else starts: a taken port is the commonest trouble.
        let listener = open_listener(&options, &model, &network)?;
        let mut control = control::open_listener(&options, &network)?;
        let stop = Arc::new(watch::channel(false).0);
        let _signals = stop_on_signal(Arc::clone(&stop), ENDS_WITHIN + telemetry.batching.timeout);
        let show = options.destinations.show.unwrap_or_else(|| default_show(&options, &model, &telemetry));
        let models = shards::models(&options, &model);
        let of_world = |model| resources(model, &telemetry, &loaded);
        let by_world: Vec<_> = models.iter().map(of_world).collect();
        let resources: Arc<[Resource]> = by_world.concat().into();
        let (pace, clock) = start::pace_and_clock(&options, &model, &telemetry);
        let at_the_end = !options.requests.is_empty();
        let order = Order { settings: &telemetry, wanted: &options.destinations, show, at_the_end, pace };
        // Traces, and the answers to requests, are for the same eyes.
        let is_shown = more.is_empty() && show != Show::Traces && options.requests.is_empty();
        let exporters = open_exporters(&order, &model, &resources, &network, more)?;
        let truth = Truth::open(&options, &model, &loaded, &resources);
        let mut truth = truth.map_err(|problem| Refused::new(None, vec![problem]))?;
        let digest = digest(&options, &telemetry, clock.now());
        let is_recorded = digest.is_some() || !exporters.exporters.is_empty();
        let (handoff, pipeline) =
            Pipeline::start(Arc::clone(&resources), exporters.exporters, digest, pace, telemetry.batching)?;
        let progress = Progress::new(course(&options, &model, &pipeline, watch), is_shown);
        let unread = Unread::new(Arc::clone(&stop));
        let on_event = unread.quiet(aside(progress.line(), on_event));
        let shortage = Shortage::default();
        spawn_watchers(&network, &pipeline, truth.as_ref(), &unread, &shortage, &on_event);
        network.spawn(show_later(progress.line()));
        let stops = shards::stops(&options, &stop, &network);
        let each = resources.len() / models.len();
        let mut door = listener;
        let worlds = models.iter().zip(&stops).enumerate().map(|(number, (model, stop))| World {
            options: &options,
            model,
            telemetry: &telemetry,
            loaded: Loaded { first: ResourceId((number * each) as u32), ..loaded.clone() },
            clock: clock.clone(),
            pace,
            is_recorded,
            network: &network,
            listener: door.take(),
            control: control.take(),
            stop,
            progress: progress.of_world(number),
            shortage: &shortage,
            notes: match &truth {
                Some(truth) => Some(truth.notes(number)),
                None => options.remembers.then(Notes::remembered),
            },
        });
        let done = shards::simulate(worlds.collect(), Some(handoff), on_event.clone())?;
        progress.line().finish();
        let took = watch.elapsed();
        if let Some(truth) = &mut truth {
            let (options, model, telemetry, loaded) = (&options, &model, &telemetry, &loaded);
            let (network, stop) = (&network, &stop);
            let again = Again { options, model, telemetry, loaded, is_recorded, network, stop, is_shown };
            if let Some(faults) = again.comparisons(truth, &done) {
                on_event(Event::Comparing { faults, took });
            }
            again.close(truth, &done)?;
        }
        let sent = hand_in(pipeline, telemetry.batching.timeout, &stop, &on_event);
        let failures = done.halted.into_iter().chain(truth.and_then(|truth| truth.failure())).collect();
        if options.virtual_time && options.requests.is_empty() && done.simulated > 0 {
            on_event(Event::Simulated { simulated: done.simulated, took });
        }
        let report = Report::new(Facts {
            model: &model,
            shards: shards::count(&options),
            accounts: done.accounts,
            resources: &resources,
            faults: done.faults,
            loads: done.loads,
            recorded: done.recorded,
            sent,
            requests: done.requests,
            tasks: done.tasks,
            simulated: done.simulated,
            elapsed: (!options.virtual_time).then(|| watch.elapsed()),
            idle_is_missed: options.requests.is_empty(),
            is_blind: options.blind,
        });
        // Its threads may hold a receiver that does not answer: not for long.
        network.shutdown_background();
        let page = exporters.page.map(|page| page.take()).unwrap_or_default();
        let requests = done.seen.into_iter().filter(|_| options.remembers).flat_map(|seen| seen.requests);
        let requests = requests.collect();
        Ok(Outcome { replies: done.replies, page, traces: show == Show::Traces, report, requests, failures })
    }
}

/// Lets everything be said that happens beside the simulated world.
fn spawn_watchers(
    network: &Runtime,
    pipeline: &Pipeline,
    truth: Option<&Truth>,
    unread: &Unread,
    shortage: &Shortage,
    on_event: &(impl Fn(Event) + Clone + Send + 'static),
) {
    for account in pipeline.accounts() {
        network.spawn(unread.clone().watch(account));
    }
    network.spawn(watch_exporters(pipeline.accounts(), on_event.clone()));
    if let Some(truth) = truth {
        network.spawn(watch_truth(truth.watch(), on_event.clone(), unread.clone()));
    }
    network.spawn(watch_doors(shortage.noticed(), on_event.clone()));
}

fn digest(options: &Options, telemetry: &TelemetrySettings, start: Nanos) -> Option<Digest> {
    let is_wanted = options.virtual_time && !telemetry.disabled;
    is_wanted.then(|| Digest::new(start, bus::trace_mask(start)))
}

/// Sees all records through to their ends, while some are taken and then for so long as
/// there is `patience`.
fn hand_in(
    pipeline: Pipeline,
    patience: Duration,
    stop: &watch::Sender<bool>,
    on_event: impl Fn(Event),
) -> pipeline::Report {
    /// Who waits for longer is told what for.
    const SOON: Duration = Duration::from_secs(1);
    pipeline.close(patience);
    if !pipeline.ends_within(SOON) {
        stop.send_replace(true);
        on_event(Event::Flushing { patience });
    }
    pipeline.finish(patience)
}

/// What the line of progress is about.
fn course(options: &Options, model: &Model, pipeline: &Pipeline, watch: Stopwatch) -> Course {
    Course {
        what: None,
        is_virtual: options.virtual_time,
        total: loads::length(options, model),
        exporters: pipeline.accounts(),
        worlds: shards::count(options) as usize,
        watch,
    }
}

/// Shows the line of a run that is not over at once.
pub async fn show_later(line: Line) {
    tokio::time::sleep(progress::SHOWN_AFTER).await;
    line.show();
}

/// Says when an exporter gets into trouble, and when into trouble that no retry mends,
/// once each: who mistyped an endpoint wants to know before the end.
async fn watch_exporters(accounts: Vec<Arc<Account>>, on_event: impl Fn(Event)) {
    const EVERY: Duration = Duration::from_millis(500);
    let mut told = vec![[false; 2]; accounts.len()];
    loop {
        tokio::time::sleep(EVERY).await;
        for (account, told) in accounts.iter().zip(&mut told) {
            let Totals { name, trouble, .. } = account.totals();
            if let Some(trouble) = trouble
                && !std::mem::replace(&mut told[usize::from(trouble.is_permanent)], true)
            {
                on_event(Event::Trouble { exporter: name, trouble });
            }
        }
    }
}

/// Says when connections cannot be accepted, once.
async fn watch_doors(noticed: impl Future<Output = String>, on_event: impl Fn(Event)) {
    let reason = noticed.await;
    on_event(Event::Shortage { reason });
}

/// Says when the file of the truth takes no more; ends the run when nobody reads it.
async fn watch_truth(trouble: impl Future<Output = Option<Event>>, on_event: impl Fn(Event), unread: Unread) {
    match trouble.await {
        Some(trouble) => on_event(trouble),
        None => unread.end(),
    }
}

/// What the command line names, and `more`.
fn open_exporters(
    order: &Order<'_>,
    model: &Model,
    resources: &Arc<[Resource]>,
    network: &Runtime,
    more: Vec<Box<dyn Exporter>>,
) -> Result<Exporters, Refused> {
    let opened = Exporters::open(order, model.root(), resources, network.handle());
    let mut exporters = opened.map_err(|problems| Refused::new(None, problems))?;
    exporters.exporters.extend(more);
    Ok(exporters)
}

/// Lets what is told go above the line of progress.
fn aside(line: Line, on_event: impl Fn(Event) + Clone) -> impl Fn(Event) + Clone {
    move |event| line.aside(|| on_event(event))
}

/// The threads of the network: servers, exporters, calls to real services.
fn network() -> std::io::Result<Runtime> {
    // One processor is the core thread's.
    let others = std::thread::available_parallelism().map_or(1, |all| all.get().saturating_sub(1));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(others.clamp(1, 4))
        .thread_name("simhost-network")
        .enable_all()
        .build()
}

fn open_listener(
    options: &Options,
    model: &Model,
    network: &Runtime,
) -> Result<Option<TcpListener>, RunError> {
    let Some(ingress) = model.ingress.as_ref().filter(|_| options.listens()) else {
        return Ok(None);
    };
    let address = ingress.listen;
    match network.block_on(TcpListener::bind(address)) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(RunError::PortInUse { address }),
        Err(error) => Err(RunError::Listen { address, error }),
    }
}

/// Traces for a person who looks, unless the records go somewhere else.
fn default_show(options: &Options, model: &Model, telemetry: &TelemetrySettings) -> Show {
    use std::io::IsTerminal;
    let exported = telemetry.otlp.is_some() || options.destinations.out.is_some();
    // The traces of a load are more than anybody reads.
    let loaded = model.loads.iter().any(|load| load.enabled);
    let looks = std::io::stdout().is_terminal() && !loaded || !options.requests.is_empty();
    let asked = telemetry.console.traces;
    if options.destinations.json {
        Show::Summary
    } else if asked || (looks && !exported) {
        Show::Traces
    } else {
        Show::Summary
    }
}

/// All Resources of a world: of the replicas, of the loads, of what faults deploy, and
/// those that faults ask for.
pub fn resources(model: &Model, telemetry: &TelemetrySettings, loaded: &Loaded) -> Arc<[Resource]> {
    // With the service and the replica, if it is one's.
    let mut all: Vec<(_, Resource)> = Vec::new();
    let of_replicas = |index: usize, service: &Service, release: Option<&str>| -> Vec<_> {
        let one = |replica| {
            let instance = instance_id(model.root(), &service.name, replica, release);
            let resource = resource(model, telemetry, index, service, instance);
            (Some((ServiceId(index as u32), replica)), resource)
        };
        (0..model.services[index].replicas).map(one).collect()
    };
    for (index, service) in loaded.services.iter().enumerate().filter(|(_, service)| service.guest.is_some())
    {
        all.extend(of_replicas(index, service, None));
    }
    all.extend(traced_loads(model).map(|load| (None, load_resource(model, telemetry, load))));
    for release in loaded.releases.iter().filter(|release| release.broken.is_none()) {
        all.extend(of_replicas(release.target.index(), &release.service, Some(&release.name)));
    }
    let (origins, mut resources): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    for (_, at, name) in fault::aliases(model, &origins) {
        resources.push(resources[at].clone().named(name));
    }
    resources.into()
}

/// The loads that have a Resource: behind those of the services, and before those of
/// deployments.
pub fn traced_loads(model: &Model) -> impl Iterator<Item = &Load> {
    model.loads.iter().filter(|load| load.enabled && load.span)
}
