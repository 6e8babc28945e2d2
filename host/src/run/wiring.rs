//! Puts the guests of a topology on a bus: services with their replicas, what faults deploy, and the links
//! between them.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use crate::bus::replica::Replica;
use crate::bus::replica_faults::ReplicaFaults;
use crate::bus::spans::ClientAttributes;
use crate::bus::{self, Bus, BusSettings, External, GuestNode, Node, NodeCode, Parts, ReplicaSet};
use crate::cache::{self, Caches};
use crate::database::{Databases, Opened};
use crate::fault::{self, Faults, Ledger};
use crate::guest::Host;
use crate::guest::endpoint::{Addresses, SIMULATED_PORT};
use crate::link::Links;
use crate::metrics::{self, Metrics};
use crate::model::{Model, Nanos, ServiceId};
use crate::process::Process;
use crate::sched::Sched;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::record::ResourceId;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::sampler::Sampler;
use crate::topic::{Topics, brokers};

use super::identity::{ReplicaInfo, Setup, identity};
use super::loaded::{Loaded, LoadedRelease, LoadedService};
use super::records::records;
use super::resources::traced_loads;

/// What all workers share. There are metrics if `first` says what the first Resource of the world is, and
/// the environment has nothing against them. `opened` are the databases, where they were opened for this
/// world.
pub fn host(
    sched: &Sched,
    recorder: &Rc<Recorder>,
    model: &Model,
    telemetry: &TelemetrySettings,
    first: Option<ResourceId>,
    opened: Vec<Opened>,
) -> Rc<Host> {
    let is_measured = telemetry.metrics.is_on && !telemetry.disabled;
    let metrics = first.filter(|_| is_measured).map(|first| {
        let settings = metrics::Settings::new(&telemetry.metrics, model.telemetry.body_sizes);
        Rc::new(Metrics::new(settings, model.root(), first, sched.now()))
    });
    recorder.record_exceptions_as(telemetry.exceptions);
    recorder.keep_old_database_names(telemetry.old_database_names);
    Rc::new(Host {
        sched: sched.clone(),
        recorder: Rc::clone(recorder),
        metrics,
        span_limits: telemetry.limits,
        root: model.root(),
        permits: Cell::new(model.workers()),
        databases: Databases::new(model, sched, opened),
        caches: Caches::new(model),
        topics: Topics::new(model, sched.now()),
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
    if faults.ledger.tracks_impact() {
        let ledger = Rc::clone(&faults.ledger);
        host.recorder.watch(move |span, is_recorded| ledger.ended(span, is_recorded));
    }
    let first = loaded.first;
    let own = behind_replicas(model, &loaded).0;
    let behind = own + traced_loads(model).count() as u32;
    let loads = own..behind;
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
    let Making { addresses, behind, .. } = making;
    let servers = behind..behind + (brokers(model).len() + cache::servers(model).count()) as u32;
    let behind = servers.end;
    let records = records(model, &host, &faults.ledger, &nodes, first..ResourceId(behind));
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
        addresses,
        loads,
        servers,
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
    fn node(&mut self, id: ServiceId, service: LoadedService, routes: Vec<Arc<str>>) -> Node {
        let described = self.model.service(id);
        let limits = described.limits.clone();
        let name = service.name;
        let Some(guest) = service.guest else {
            let base = service.source;
            let (address, port) = crate::bus::address_of(&base);
            let client = ClientAttributes::new(&address, port, Some(&name));
            return Node { name, base, client, limits, code: NodeCode::External };
        };
        let may_die = fault::strikes_replicas(self.model, id);
        let (version, preparing) = (service.version.as_deref(), guest.preparing);
        let setup = Setup { version, preparing, ..Setup::of(described) };
        let replicas = (0..described.replicas).map(|replica| {
            let process = Process::new(self.sched, may_die);
            let resource = ResourceId(self.next);
            let faults = may_die.then(|| {
                ReplicaFaults::new((id, replica, resource), Rc::clone(&process), Rc::clone(self.ledger))
            });
            self.next += 1;
            let address = self.addresses.give(&name, replica);
            let info = ReplicaInfo { replica, resource, address, process };
            let identity = identity(self.model, id, info, &setup);
            Replica::new(Rc::new(identity), faults, described.workers, described.queue)
        });
        let set =
            ReplicaSet { code: guest.code, routes: guest.routes, replicas: replicas.collect(), slots: None };
        Node {
            base: format!("http://{name}"),
            client: ClientAttributes::new(&name, SIMULATED_PORT, Some(&name)),
            name,
            limits,
            code: NodeCode::Guest(Box::new(GuestNode { set, routes, releases: Vec::new() })),
        }
    }

    /// Puts what a fault deploys beside what it is to replace.
    fn release(&mut self, node: &mut Node, release: LoadedRelease) {
        let NodeCode::Guest(node) = &mut node.code else { return };
        let described = self.model.service(release.target);
        let setup = release.setup();
        let set = release.service.guest.as_ref().map(|guest| {
            let replicas = node.set.replicas.iter().map(|replica| {
                let resource = ResourceId(self.behind);
                self.behind += 1;
                // Another process, but what strikes the one strikes the other.
                let process = Rc::clone(&replica.identity.process);
                // On the same machine.
                let address = replica.identity.endpoint.address;
                let info = ReplicaInfo { replica: replica.identity.replica, resource, address, process };
                let identity = identity(self.model, release.target, info, &setup);
                Replica::new(Rc::new(identity), replica.faults().cloned(), described.workers, described.queue)
            });
            let slot = |name: &str| node.routes.iter().position(|known| **known == *name);
            let slots = guest.routes.names().filter_map(slot).map(|slot| slot as u32).collect();
            let (code, routes) = (guest.code.clone(), guest.routes.clone());
            ReplicaSet { code, routes, replicas: replicas.collect(), slots: Some(slots) }
        });
        // Those that the fault has not drawn have their Resources, which other worlds of the run use.
        let drawn = self.model.faults[release.fault].target.as_ref();
        if drawn.is_some_and(|target| target.service == release.target) {
            node.releases.push(bus::Release { fault: release.fault, canary: release.canary, set });
        }
    }
}

/// The Resource of the first load that has one: behind those of all replicas.
pub fn behind_replicas(model: &Model, loaded: &Loaded) -> ResourceId {
    let guests = model.services.iter().zip(&loaded.services).filter(|(_, service)| service.guest.is_some());
    ResourceId(loaded.first.0 + guests.map(|(service, _)| service.replicas).sum::<u32>())
}
