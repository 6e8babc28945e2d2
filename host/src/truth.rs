//! The truth: what faults really did, as a run goes on, in a file of JSON lines
//! beside the telemetry. `docs/truth.schema.json` describes a line.
//!
//! - [`TruthWriter`] hears of everything that happens to faults in one world, and writes it;
//! - `file` is where it goes: a line at a time, so that a run that is killed loses nothing;
//! - `record` is what a line says;
//! - `causes` lays the run beside one without a fault: `changed` are requests that are others
//!   then, `work` the same of messages and runs of jobs, `services` those whose numbers are;
//!   `measures` is what they have in common; `summary` closes the file.

mod causes;
mod changed;
mod closing;
mod file;
mod measures;
mod record;
mod services;
mod summary;
mod symptom;
mod units;
mod work;

use std::sync::Arc;

use crate::fault::impact::ServiceRoute;
use crate::fault::{Event, FaultChange, Firing, ManualChange, WindowChange};
use crate::model::{Nanos, ServiceId};

pub use causes::{Causes, Runs};
pub use closing::Closing;
pub use file::{Sink, Trouble};
pub use measures::Both;
use record::{AfterWindow, Aim, By, Draws, State, What};
pub use record::{Declared, Record};
pub use services::{MessageNumbers, Role, RunNumbers, ServiceChange, ServiceNumbers};
pub use summary::{FaultRow, Skipped, Total};
pub use symptom::{Symptom, Visible};
pub use units::Where;

/// The version of the lines: it rises when a key goes away or changes its meaning.
pub const SCHEMA: u32 = 3;

/// What services, routes and processes are called.
#[derive(Clone, Debug, Default)]
pub struct Names {
    pub services: Vec<Arc<str>>,
    /// Of each service, in its guest's order.
    pub routes: Vec<Vec<Arc<str>>>,
    /// In the order of the topology.
    pub databases: Vec<String>,
    pub caches: Vec<String>,
    pub topics: Vec<String>,
    pub groups: Vec<GroupName>,
    /// Of each schedule the service and the job.
    pub schedules: Vec<(ServiceId, String)>,
    /// `service.instance.id` of each Resource of the run, of all worlds.
    pub instances: Vec<Option<String>>,
    /// Of each service the Resource of its first replica, within a world; none of a real server.
    pub first_replicas: Vec<Option<u32>>,
    /// Of each world its first Resource, among `instances`.
    pub firsts: Vec<u32>,
}

/// What a group is called, and whose it is.
#[derive(Clone, Debug)]
pub struct GroupName {
    /// Its place among the topics.
    pub topic: usize,
    pub group: String,
    /// The service that consumes it.
    pub service: ServiceId,
}

impl Names {
    pub fn service(&self, id: ServiceId) -> &str {
        &self.services[id.index()]
    }

    pub fn route(&self, (service, route): ServiceRoute) -> Option<&str> {
        self.routes[service.index()].get(route? as usize).map(|name| &**name)
    }

    /// `service.instance.id` of a Resource.
    pub fn instance(&self, resource: u32) -> Option<String> {
        self.instances.get(resource as usize)?.clone()
    }

    /// That of a replica as the topology has it, in one of the worlds.
    pub fn instance_of(&self, shard: u32, service: ServiceId, replica: u32) -> Option<String> {
        let first = self.firsts.get(shard as usize)?;
        self.instance(first + self.first_replicas[service.index()]? + replica)
    }

    pub fn place(&self, at: ServiceRoute) -> Where {
        Where { service: self.service(at.0).to_owned(), route: self.route(at).map(ToOwned::to_owned) }
    }
}

/// What the first line says of a run, but for when it begins.
#[derive(Clone, Debug)]
pub struct Opening {
    pub topology: String,
    pub seed: u64,
    pub shards: u32,
    pub is_virtual: bool,
    pub flags: Vec<String>,
    pub faults: Vec<Declared>,
}

/// Writes what faults do in one world.
#[derive(Debug)]
pub struct TruthWriter {
    sink: Arc<Sink>,
    names: Arc<Names>,
    /// Which world it is, from 0.
    shard: u32,
    /// Nanoseconds since the Unix epoch.
    start: Nanos,
}

impl TruthWriter {
    /// That of world `shard`, which has begun at `start`.
    pub const fn new(sink: Arc<Sink>, names: Arc<Names>, shard: u32, start: Nanos) -> Self {
        Self { sink, names, shard, start }
    }

    /// Writes what the run is.
    pub fn open(&self, opening: Opening) {
        let Opening { topology, seed, shards, is_virtual, flags, faults } = opening;
        let start = units::instant(self.start);
        let schema = SCHEMA;
        self.sink.write(&Record::Run { schema, topology, seed, shards, is_virtual, start, flags, faults });
    }

    pub fn write(&self, event: &Event<'_>) {
        match event {
            Event::Fired(firing) => self.fired(firing),
            Event::Opened(turn) => self.turned(turn, State::Opened),
            Event::Closed(turn) => self.turned(turn, State::Closed),
            Event::Changed(change) => self.changed(change),
        }
    }

    fn fired(&self, firing: &Firing) {
        let shown = firing.shown;
        self.sink.write(&Record::Firing {
            shard: self.shard,
            fault: firing.rule.to_string(),
            kind: firing.kind.to_owned(),
            at: self.seconds(firing.time),
            time: units::instant(firing.time),
            kept_since: firing.kept_since.map(|since| self.seconds(since)),
            window: firing.window,
            after_window: firing.after.map(AfterWindow::from),
            service: self.names.service(firing.service).to_owned(),
            database: firing.database.map(|database| self.names.databases[database].clone()),
            cache: firing.cache.map(|cache| self.names.caches[cache].clone()),
            topic: firing.topic.map(|(topic, _)| self.names.topics[topic].clone()),
            partition: firing.topic.map(|(_, partition)| partition),
            route: self.names.route((firing.service, firing.route)).map(ToOwned::to_owned),
            replica: firing.replica,
            service_instance_id: firing.resource.and_then(|resource| self.names.instance(resource.0)),
            from: firing.from.map(|from| self.names.service(from).to_owned()),
            trace_id: shown.map(|span| span.trace_id).or(firing.trace).map(|trace| trace.to_string()),
            span_id: shown.map(|span| span.span_id.to_string()),
            span_kind: shown.map(|span| span.kind.name().to_owned()),
            drawn: Draws::from(firing.drawn),
        });
    }

    fn turned(&self, turn: &WindowChange<'_>, state: State) {
        let rule = turn.rule;
        self.sink.write(&Record::Window {
            shard: self.shard,
            fault: rule.name.to_string(),
            kind: rule.kind.name.to_owned(),
            target: Aim::of(
                (rule.target.as_ref(), rule.database, rule.cache, rule.topic.as_ref()),
                &self.names,
                Some(self.shard),
            ),
            state,
            number: turn.number,
            by: By::new(turn.cause, &rule.when.schedule),
            at: self.seconds(turn.time),
            time: units::instant(turn.time),
            closes_at: rule.window().closes.filter(|_| state == State::Opened).map(|at| self.seconds(at)),
        });
    }

    fn changed(&self, change: &FaultChange<'_>) {
        let probability = match change.what {
            ManualChange::Probability(probability) => Some(probability),
            ManualChange::On | ManualChange::Off | ManualChange::Schedule => None,
        };
        self.sink.write(&Record::Change {
            shard: self.shard,
            fault: change.rule.name.to_string(),
            kind: change.rule.kind.name.to_owned(),
            what: What::from(change.what),
            probability,
            at: self.seconds(change.time),
            time: units::instant(change.time),
        });
    }

    fn seconds(&self, time: Nanos) -> f64 {
        units::seconds(time.saturating_sub(self.start))
    }
}

/// The JSON Schema of a line.
pub fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    settings.into_generator().into_root_schema_for::<Record>()
}
