//! One world, from its first instant to its last: the scheduler, the bus, and
//! what drives them. All of it is one thread's.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::bus::replica::Replica;
use crate::bus::replica_faults::Plight;
use crate::bus::spans::ClientAttributes;
use crate::bus::stats::Accounts;
use crate::bus::{self, Bus, BusSettings, External, GuestNode, Node, NodeCode, Parts, Stand};
use crate::clock::Clock;
use crate::external::HttpClient;
use crate::fault::witness::Testimony;
use crate::fault::{self, Conductor, Faults, Ledger, Stage};
use crate::guest::Host;
use crate::guest::endpoint::{Addresses, SIMULATED_PORT};
use crate::link::Links;
use crate::load::LoadStats;
use crate::model::{self, Model, Nanos, ServiceId};
use crate::process::Process;
use crate::progress::{Progress, Seen};
use crate::sched::Sched;
use crate::socket::Shortage;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::pipeline::Pace;
use crate::telemetry::record::{Batch, ResourceId};
use crate::telemetry::recorder::{Counts, Recorder};
use crate::telemetry::sampler::Sampler;

use super::drive::Drive;
use super::records::records;
use super::releases::Release;
use super::services::{Loaded, Seat, Service, Setup, identity};
use super::truth::Notes;
use super::world;
use super::{Event, Failure, Options, Reply, RunError, control, failure};

/// A world that can begin, and its ways to the outside.
pub struct World<'a> {
    pub options: &'a Options,
    pub model: &'a Model,
    pub telemetry: &'a TelemetrySettings,
    pub loaded: Loaded,
    pub clock: Clock,
    pub pace: Pace,
    /// Whether anybody wants the records.
    pub is_recorded: bool,
    pub network: &'a Runtime,
    /// The door, where there is one.
    pub listener: Option<TcpListener>,
    /// Where faults are switched, if they can be.
    pub control: Option<TcpListener>,
    /// Turns true when the world is told to stop, and when it cannot go on.
    pub stop: &'a watch::Sender<bool>,
    pub progress: Progress,
    /// Who is told when the system gives no more connections.
    pub shortage: &'a Shortage,
    /// What is to be known of the faults, if anybody wants to.
    pub notes: Option<Notes>,
}

/// What a world has done, when it is over.
#[derive(Debug)]
pub struct Simulated {
    /// Answers to the requests of the command line, in order.
    pub replies: Vec<Reply>,
    pub loads: Vec<(String, LoadStats)>,
    pub accounts: Accounts,
    pub faults: Vec<fault::Account>,
    /// Whom the faults befell, of each world, where that is noted.
    pub seen: Vec<Testimony>,
    pub recorded: Counts,
    /// When it began: nanoseconds since the Unix epoch.
    pub start: Nanos,
    /// Nanoseconds from its start to its end.
    pub simulated: Nanos,
    /// Requests that came from outside.
    pub requests: u64,
    /// Tasks that were still under way at the end.
    pub tasks: u64,
    /// Why it could not go on, if it could not; of several worlds, why each could not.
    pub halted: Vec<Failure>,
}

impl World<'_> {
    /// Lets everything happen, on this thread. `hand_over` gets the records, with
    /// the instant at which it does.
    ///
    /// # Errors
    /// The door cannot be opened, the system refuses what a client needs.
    pub fn simulate(
        self,
        mut hand_over: impl FnMut(Nanos, Batch) + 'static,
        on_event: impl Fn(Event),
    ) -> Result<Simulated, RunError> {
        let Self { options, model, network, stop, progress, pace, .. } = self;
        let sched = Sched::new(self.clock);
        let start = sched.now();
        let recorder = Rc::new(Recorder::new({
            let sched = sched.clone();
            move |batch| hand_over(sched.now(), batch)
        }));
        let host = host(&sched, &recorder, model, self.telemetry);
        let sampler =
            if self.is_recorded { Sampler::new(self.telemetry.sampler.clone()) } else { Sampler::off() };
        let external = external(options, model, network)?;
        let loads = behind_replicas(model, &self.loaded);
        let ledger = self.notes.map(|notes| notes.ledger(model.faults.len(), start)).unwrap_or_default();
        let ledger = if model.telemetry.label_faults { ledger.with_labels() } else { ledger };
        let bus = build(model, start, self.loaded, host, sampler, external, ledger);
        let conductor = Conductor::begin(Rc::clone(&bus) as Rc<dyn Stage>, &sched);
        if let Some(listener) = self.control {
            on_event(control::attend(
                listener,
                network,
                stop.subscribe(),
                &conductor,
                &sched,
                model,
                self.shortage,
            )?);
        }
        let client = if options.through_ingress { Some(http_client(network)?) } else { None };
        let drive =
            Drive { bus: &bus, sched: &sched, model, options, loads, client, stop, shortage: self.shortage };
        // In real time a person waits for the records; in virtual time only full
        // batches go, as time moves too often for any other.
        let idle = || {
            if pace != Pace::Virtual {
                recorder.flush();
            }
            progress.beat(|| Seen {
                simulated: sched.now() - start,
                requests: bus.entered(),
                errors: bus.stats.outside().1,
                spans: recorder.counts().spans,
            });
        };
        let doubted = alarm(&sched, &bus);
        let is_halted = Cell::new(false);
        let mut tell = |event| {
            if !is_halted.get() {
                on_event(event)
            }
        };
        let mut driving = Box::pin(drive.run(self.listener, network, &mut tell));
        let driven = sched.block_on(driving.as_mut(), idle);
        let (simulated, tasks) = (sched.now() - start, sched.tasks() as u64);
        let accounts = bus.stats.close(sched.now());
        // What is cut off here still ends the spans of its calls.
        sched.clear();
        let mut halted = Vec::new();
        let (replies, loads) = match driven {
            Ok(driven) => {
                drop(driving);
                driven?
            }
            Err(halt) => {
                halted.push(failure::halted(halt, simulated, doubted.borrow().as_ref(), &accounts));
                // With no task left, whoever is told to stop tells what there was so far.
                is_halted.set(true);
                stop.send_replace(true);
                sched.block_on(driving, idle).ok().transpose()?.unwrap_or_default()
            }
        };
        recorder.finish();
        bus.faults.ledger.finish();
        let (faults, recorded, requests) = (bus.faults.accounts(), recorder.counts(), bus.entered());
        let seen = bus.faults.ledger.testify().into_iter().collect();
        Ok(Simulated {
            replies,
            loads,
            accounts,
            faults,
            seen,
            recorded,
            start,
            simulated,
            requests,
            tasks,
            halted,
        })
    }
}

impl Simulated {
    /// Takes in what another world has done. Together they have taken as long as
    /// the last of them: who has ended earlier is idle.
    pub fn merge(&mut self, other: Self) {
        self.replies.extend(other.replies);
        for (name, stats) in other.loads {
            match self.loads.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.merge(&stats),
                // A world that cannot go on may know nothing of its loads.
                None => self.loads.push((name, stats)),
            }
        }
        self.accounts.merge(&other.accounts);
        for (mine, theirs) in self.faults.iter_mut().zip(&other.faults) {
            mine.merge(theirs);
        }
        self.seen.extend(other.seen);
        self.recorded += other.recorded;
        self.simulated = self.simulated.max(other.simulated);
        self.requests += other.requests;
        self.tasks += other.tasks;
        self.halted.extend(other.halted);
    }
}

/// The Resource of the first load that has one: behind those of all replicas.
fn behind_replicas(model: &Model, loaded: &Loaded) -> ResourceId {
    let guests = model.services.iter().zip(&loaded.services).filter(|(_, service)| service.guest.is_some());
    ResourceId(loaded.first.0 + guests.map(|(service, _)| service.replicas).sum::<u32>())
}

/// What was counted when the scheduler began to doubt that an instant would end.
fn alarm(sched: &Sched, bus: &Rc<Bus>) -> Rc<RefCell<Option<Accounts>>> {
    let doubted = Rc::new(RefCell::new(None));
    let (kept, world, bus) = (Rc::clone(&doubted), sched.clone(), Rc::downgrade(bus));
    sched.when_in_doubt(move || {
        *kept.borrow_mut() = bus.upgrade().map(|bus| bus.stats.snapshot(world.now()));
    });
    doubted
}

fn external(
    options: &Options,
    model: &Model,
    network: &Runtime,
) -> Result<Option<Rc<dyn External>>, RunError> {
    let external = model.services.iter().any(|service| matches!(service.code, model::Code::External(_)));
    if options.virtual_time || !external && model.allowed_hosts.is_empty() {
        return Ok(None);
    }
    http_client(network).map(Some)
}

fn http_client(network: &Runtime) -> Result<Rc<dyn External>, RunError> {
    let client = HttpClient::new(network.handle().clone());
    let client = client.map_err(|error| RunError::System(std::io::Error::other(error)))?;
    Ok(Rc::new(client))
}

/// What all workers share.
pub fn host(
    sched: &Sched,
    recorder: &Rc<Recorder>,
    model: &Model,
    telemetry: &TelemetrySettings,
) -> Rc<Host> {
    Rc::new(Host {
        sched: sched.clone(),
        recorder: Rc::clone(recorder),
        span_limits: telemetry.limits,
        root: model.root(),
        places: Cell::new(model.workers()),
        outbound: OnceCell::new(),
    })
}

/// Puts the services on a bus, for a run that begins at `start`.
pub fn build(
    model: &Model,
    start: Nanos,
    loaded: Loaded,
    host: Rc<Host>,
    sampler: Sampler,
    external: Option<Rc<dyn External>>,
    ledger: Ledger,
) -> Rc<Bus> {
    let ids = (0..loaded.services.len() as u32).map(ServiceId);
    let routes: Vec<_> = ids.map(|id| loaded.routes(id)).collect();
    let faults = Faults::new(
        model,
        |service, route| {
            let at = routes[service.index()].iter().position(|name| **name == *route)?;
            u32::try_from(at).ok()
        },
        |service| routes[service.index()].len(),
        Rc::new(ledger),
    );
    if faults.ledger.is_witnessed() {
        let ledger = Rc::clone(&faults.ledger);
        host.recorder.watch(move |span, is_recorded| ledger.ended(span, is_recorded));
    }
    let first = loaded.first;
    let behind = behind_replicas(model, &loaded).0 + world::traced_loads(model).count() as u32;
    let mut making = Making {
        model,
        sched: &host.sched,
        ledger: &faults.ledger,
        addresses: Addresses::new(&model.name),
        next: loaded.first.0,
        behind,
    };
    let mut nodes = Vec::new();
    for (service, routes) in loaded.services.into_iter().zip(routes) {
        let id = ServiceId(nodes.len() as u32);
        nodes.push(making.node(id, service, routes));
    }
    for release in loaded.releases {
        making.release(&mut nodes[release.target.index()], release);
    }
    let records = records(model, &host, &faults.ledger, &nodes, first..ResourceId(making.behind));
    Bus::new(Parts {
        host,
        engine: loaded.engine,
        nodes,
        links: Links::new(model),
        faults,
        records,
        sampler,
        external,
        settings: BusSettings {
            trace_mask: bus::trace_mask(start),
            bounds: model.bounds.clone(),
            exclude: model.telemetry.exclude.clone(),
            allowed_hosts: model.allowed_hosts.clone(),
        },
    })
}

/// Makes the services of a bus.
struct Making<'a> {
    model: &'a Model,
    sched: &'a Sched,
    ledger: &'a Rc<Ledger>,
    addresses: Addresses,
    /// The Resource of the next replica, and that of the next of a deployment.
    next: u32,
    behind: u32,
}

impl Making<'_> {
    fn node(&mut self, id: ServiceId, service: Service, routes: Vec<Arc<str>>) -> Node {
        let described = self.model.service(id);
        let limits = described.limits.clone();
        let name = service.name;
        let Some(guest) = service.guest else {
            let base = service.source;
            let (address, port) = crate::bus::address_of(&base);
            let client = ClientAttributes::new(&address, port, Some(&name));
            return Node { name, base, client, limits, code: NodeCode::External };
        };
        let is_exposed = fault::befalls_replicas(self.model, id);
        let setup = Setup { version: service.version.as_deref(), ..Setup::of(described) };
        let replicas = (0..described.replicas).map(|replica| {
            let process = Process::new(self.sched, is_exposed);
            let resource = ResourceId(self.next);
            let plight = is_exposed
                .then(|| Plight::new((id, replica, resource), Rc::clone(&process), Rc::clone(self.ledger)));
            self.next += 1;
            let address = self.addresses.give(&name, replica);
            let seat = Seat { replica, resource, address, process };
            let identity = identity(self.model, id, seat, &setup);
            Replica::new(Rc::new(identity), plight, described.workers, described.queue)
        });
        let stand =
            Stand { code: guest.code, routes: guest.routes, replicas: replicas.collect(), slots: None };
        Node {
            base: format!("http://{name}"),
            client: ClientAttributes::new(&name, SIMULATED_PORT, Some(&name)),
            name,
            limits,
            code: NodeCode::Guest(Box::new(GuestNode { stand, routes, releases: Vec::new() })),
        }
    }

    /// Puts what a fault deploys beside what it is to replace.
    fn release(&mut self, node: &mut Node, release: Release) {
        let NodeCode::Guest(node) = &mut node.code else { return };
        let described = self.model.service(release.target);
        let setup = release.setup();
        let stand = release.service.guest.as_ref().map(|guest| {
            let replicas = node.stand.replicas.iter().map(|replica| {
                let resource = ResourceId(self.behind);
                self.behind += 1;
                // Another process, but what befalls the one befalls the other.
                let process = Rc::clone(&replica.identity.process);
                // On the same machine.
                let address = replica.identity.endpoint.address;
                let seat = Seat { replica: replica.identity.replica, resource, address, process };
                let identity = identity(self.model, release.target, seat, &setup);
                Replica::new(Rc::new(identity), replica.plight().cloned(), described.workers, described.queue)
            });
            let slot = |name: &str| node.routes.iter().position(|known| **known == *name);
            let slots = guest.routes.names().filter_map(slot).map(|slot| slot as u32).collect();
            let (code, routes) = (guest.code.clone(), guest.routes.clone());
            Stand { code, routes, replicas: replicas.collect(), slots: Some(slots) }
        });
        // Those that the fault has not drawn have their Resources, which other worlds of the run use.
        let drawn = self.model.faults[release.fault].target.as_ref();
        if drawn.is_some_and(|target| target.service == release.target) {
            node.releases.push(bus::Release { fault: release.fault, canary: release.canary, stand });
        }
    }
}
