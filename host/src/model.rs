//! A topology after validation: every name resolved, every number in its range.
//!
//! [`topology`](crate::topology) builds it; the rest of simhost reads it and
//! never sees TOML. Times are nanoseconds, sizes are bytes.

use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use indexmap::IndexMap;

mod cache;
mod database;
mod fault;
mod job;
mod link;
mod load;
mod meaning;
mod sampling;
mod topic;

pub use cache::*;
pub use database::*;
pub use fault::*;
pub use job::*;
pub use link::*;
pub use load::*;
pub use sampling::*;
pub use topic::*;

/// A place in the topology file, in bytes, for errors that are found later.
pub type Place = Range<usize>;

/// Nanoseconds.
pub type Nanos = u64;

/// Picoseconds: thousandths of a nanosecond.
pub type Picos = u64;

/// Femtoseconds: millionths of a nanosecond.
pub type Femtos = u64;

/// An index into [`Model::services`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u32);

impl ServiceId {
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One topology, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// The topology's own name, as the truth has it.
    pub name: String,
    /// What people read above a report: the name, or with `--blind` the namespace, as the names of
    /// exercises say what is wrong.
    pub title: String,
    /// `service.namespace` of every service.
    pub namespace: String,
    pub seed: u64,
    /// The name that takes part in every draw beside the seed: the topology's own, or in
    /// a comparison of two topologies that of the first.
    pub key_name: String,
    /// `deployment.environment.name` of every service, if the topology says.
    pub environment: Option<String>,
    pub ingress: Option<Ingress>,
    /// One-way latency between any two services where no link says otherwise.
    pub latency: Distribution,
    /// How late a caller notices that a timeout is over.
    pub timer_slack: Distribution,
    /// In the order of the file.
    pub services: Vec<Service>,
    /// At most one for each pair of services.
    pub links: Vec<Link>,
    /// In the order of the file, which is the order in which they apply.
    pub faults: Vec<Fault>,
    /// In the order of the file.
    pub loads: Vec<Load>,
    /// In the order of the file.
    pub schedules: Vec<JobSchedule>,
    /// In the order of the file.
    pub objectives: Vec<Objective>,
    /// In the order of the file.
    pub databases: Vec<Database>,
    /// In the order of the file.
    pub caches: Vec<Cache>,
    pub topics: Vec<Topic>,
    /// In the order of the file.
    pub subscriptions: Vec<Subscription>,
    pub telemetry: Telemetry,
    pub bounds: Bounds,
    /// Simulated time that an instruction of a guest takes in virtual time; 0: computing takes none.
    pub compute: Picos,
    /// Hosts outside of the topology that guests may call, as `host` or `host:port`.
    pub allowed_hosts: Vec<String>,
}

impl Model {
    /// Leaves out of what people read what tells of faults: labels on spans, and the name.
    pub fn hide_faults(&mut self) {
        self.telemetry.label_faults = false;
        self.title.clone_from(&self.namespace);
    }

    pub fn service(&self, id: ServiceId) -> &Service {
        &self.services[id.index()]
    }

    /// How long a service's computing takes in virtual time.
    pub fn compute(&self, id: ServiceId) -> Compute {
        if self.compute == 0 {
            return Compute::NONE;
        }
        let times = |femtos: Femtos| (femtos as f64 * self.service(id).compute_factor).round() as Femtos;
        Compute { instruction: times(self.compute * 1_000), host: times(HOST_WORK) }
    }

    /// Workers that there may be at a time, of all guests together. Services may
    /// ask for more than can exist: most of them are never made.
    pub fn workers(&self) -> u64 {
        let guests = self.services.iter().filter(|service| !matches!(service.code, Code::External(_)));
        let asked: u64 = guests.map(|service| u64::from(service.replicas) * u64::from(service.workers)).sum();
        let is_deployed = |fault: &&Fault| matches!(fault.effect, Effect::Door(DoorFault::BadDeploy { .. }));
        let deploys = self.faults.iter().filter(is_deployed);
        let deployed = deploys.filter_map(|fault| Some(self.service(fault.target.as_ref()?.service)));
        // Old workers finish their work while the new ones begin.
        let deployed: u64 =
            deployed.map(|service| u64::from(service.replicas) * u64::from(service.workers)).sum();
        (asked + deployed).min(u64::from(self.bounds.workers))
    }

    /// The service of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<ServiceId> {
        let at = self.services.iter().position(|service| service.name == name)?;
        Some(ServiceId(at as u32))
    }
}

/// A unit of the host's work for a guest is a nanosecond, which its prices are measured in.
const HOST_WORK: Femtos = 1_000_000;

/// How long computing takes in simulated time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// A unit of fuel that a guest uses itself, which is about an instruction.
    pub instruction: Femtos,
    /// A unit of fuel that the host's work for it costs.
    pub host: Femtos,
}

impl Compute {
    /// It takes no time.
    pub const NONE: Self = Self { instruction: 0, host: 0 };
}

/// Where people and real clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    pub listen: SocketAddr,
    pub to: ServiceId,
}

/// A named node of the topology.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub name: String,
    pub code: Code,
    /// The topology's own guest, where the command line put another in its place.
    pub replaced: Option<Code>,
    /// `service.version`.
    pub version: Option<String>,
    /// Simulated processes, at least 1.
    pub replicas: u32,
    /// Requests that one replica serves at a time, at least 1.
    pub workers: u32,
    /// Requests that may wait in one replica; one more is answered 503.
    pub queue: u32,
    /// What the guest reads through `simhost:service/config` and the environment.
    pub config: IndexMap<String, String>,
    /// Where each value of `config` stands, in its order.
    pub config_places: Vec<Place>,
    pub config_keys: ConfigKeys,
    /// Further resource attributes.
    pub resource: IndexMap<String, Scalar>,
    /// Computing takes this multiple of [`Model::compute`]; above 0.
    pub compute_factor: f64,
    /// The databases that it may ask.
    pub databases: Vec<ConnectionPool>,
    /// The caches that it may use: indexes into [`Model::caches`].
    pub caches: Vec<usize>,
    pub limits: Limits,
    /// The service's name in the file.
    pub place: Place,
}

impl Service {
    /// The configuration of a guest that a fault deploys here: `own`, on top of the service's where
    /// that is meant for such a guest.
    pub fn deployed_config(&self, code: &Code, own: &IndexMap<String, String>) -> IndexMap<String, String> {
        let guests = [Some(&self.code), self.replaced.as_ref()];
        let has_its_keys = guests.into_iter().flatten().any(|guest| guest.has_keys_of(code));
        let mut config = if has_its_keys { self.config.clone() } else { IndexMap::new() };
        config.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
        config
    }
}

/// Where the keys, the tables and the values of a `config` stand, by their dotted names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigKeys {
    pub keys: BTreeMap<String, Place>,
    pub values: BTreeMap<String, Inline>,
}

impl ConfigKeys {
    /// Where a key stands, or the nearest table above it that is there. A table that is there only in the
    /// names of its keys, as `a` of `"a.b" = 1`, stands at the first of them.
    pub fn place(&self, key: &str) -> Option<&Place> {
        let mut tables = std::iter::successors(Some(key), |key| key.rsplit_once('.').map(|(table, _)| table));
        let within = |table: &str| {
            let prefix = format!("{table}.");
            let (key, place) = self.keys.range(prefix.clone()..).next()?;
            key.starts_with(&prefix).then_some(place)
        };
        tables.find_map(|key| self.keys.get(key).or_else(|| within(key)))
    }

    /// Where a part of a key's value stands.
    pub fn part(&self, key: &str, part: &str) -> Option<Place> {
        let value = self.values.get(key)?;
        let at = value.text.find(part)?;
        Some(value.place(at..at + part.len()))
    }
}

/// What answers for a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    /// A guest that is part of this program, by its name.
    Embedded(String),
    /// A component in a file, resolved against the topology's folder. `place`
    /// is where the file was named; none when the command line did.
    File { path: PathBuf, place: Option<Place> },
    /// A real server: `http(s)://host[:port]`, no path.
    External(String),
}

impl Code {
    /// Whether both are the same guest, wherever the topology names it.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { path: one, .. }, Self::File { path: other, .. }) => one == other,
            _ => self == other,
        }
    }

    /// Whether both read the same keys of `config`, as far as can be told. One file in place of another is
    /// most likely another build of the same program.
    fn has_keys_of(&self, other: &Self) -> bool {
        self.is_same(other) || matches!((self, other), (Self::File { .. }, Self::File { .. }))
    }
}

/// A value of a resource attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    Bool(bool),
    Int(i64),
    Float(f64),
}

/// Where records go when neither the command line nor the environment says so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    pub otlp: Option<Otlp>,
    /// Which traces are kept, when the environment does not say so.
    pub sampling: Option<Sampling>,
    /// Paths (without query) that get no spans, on every service.
    pub exclude: Vec<String>,
    /// Whether spans say which faults have struck them. Else only the truth does.
    pub label_faults: bool,
    /// Whether the simulator sends telemetry of its own.
    pub self_telemetry: bool,
    /// Whether the sizes of bodies are measured.
    pub body_sizes: bool,
}

/// An OTLP receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// `http://localhost:4317`.
    pub endpoint: String,
    pub protocol: Protocol,
    /// Sent with every export.
    pub headers: IndexMap<String, String>,
    pub gzip: bool,
}

/// How OTLP goes over the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Grpc,
    HttpProtobuf,
}

/// Bounds of one service's guests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one worker.
    pub memory: u64,
    /// Memory of the host that one worker takes with its calls and its telemetry: bytes.
    /// None: by [`Limits::host_memory`].
    pub host_memory: Option<u64>,
    /// Time that a guest may compute for one request. In virtual time, where
    /// computing takes no simulated time, a nanosecond is one unit of fuel.
    pub cpu_time: Nanos,
    /// Time that a guest may take for one request, its waiting included.
    pub request_time: Nanos,
    /// Body of a request or a response.
    pub body: u64,
    /// All header fields of a request or a response together.
    pub headers: u64,
    /// Spans that a guest may open for one request, and log records that it may write.
    pub spans: u32,
}

impl Limits {
    /// Memory of the host that one worker may take: bytes. Where the topology does not
    /// say it, room for eight of the largest bodies, and 32 MiB at the least.
    pub fn host_memory(&self) -> u64 {
        self.host_memory.unwrap_or_else(|| (32 << 20).max(self.body.saturating_mul(8)))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            host_memory: None,
            cpu_time: 1_000_000_000,
            request_time: 60_000_000_000,
            body: 4 << 20,
            headers: 32 << 10,
            spans: 1_000,
        }
    }
}

/// Bounds of the whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Calls above one another; a cycle ends here.
    pub call_depth: u32,
    /// Open connections at the ingress; one more waits to be accepted.
    pub connections: u32,
    /// Requests from outside that are under way; one more is answered 503.
    pub requests: u32,
    /// Workers of all services that exist at a time; a request that needs one
    /// more is answered 503.
    pub workers: u32,
    /// Bytes of requests from outside that are received or under way, together, and
    /// again of answers that clients have not taken yet; one more is answered 503.
    pub bodies: u64,
    /// A client has this long to send a request's head, again to send its body, and
    /// again to take an answer.
    pub client_time: Nanos,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            call_depth: 32,
            connections: 4_096,
            requests: 16_384,
            workers: 10_000,
            bodies: 256 << 20,
            client_time: 30_000_000_000,
        }
    }
}

/// What a run must achieve for some of its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    pub of: RequestsOf,
    pub goals: Vec<Goal>,
    /// Its key in the file.
    pub place: Place,
}

/// Whose requests an objective is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestsOf {
    Service(ServiceId),
    /// `POST /orders` of a service.
    Route(ServiceId, String),
    /// Those that this load makes, as it sees them.
    Load(String),
}

/// A measure and its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    pub measure: Measure,
    /// The most that is allowed: nanoseconds, or a share of requests. Of a rate
    /// the least: per simulated second.
    pub limit: f64,
}

/// What an objective looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Mean,
    P50,
    P90,
    P95,
    P99,
    Max,
    /// The share of requests that failed.
    Errors,
    Rate,
}

impl Measure {
    pub const ALL: [Self; 8] =
        [Self::Mean, Self::P50, Self::P90, Self::P95, Self::P99, Self::Max, Self::Errors, Self::Rate];

    /// As topologies and reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Max => "max",
            Self::Errors => "errors",
            Self::Rate => "rate",
        }
    }
}

/// A random length of time. Draws are never below zero.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    Fixed(Nanos),
    Normal {
        mean: Nanos,
        stddev: Nanos,
    },
    /// Given by its median and the standard deviation of its logarithm.
    Lognormal {
        median: Nanos,
        sigma: f64,
    },
    Exponential {
        mean: Nanos,
    },
    Uniform {
        min: Nanos,
        max: Nanos,
    },
    /// `min` is the smallest draw; the smaller `shape`, the heavier the tail.
    Pareto {
        min: Nanos,
        shape: f64,
    },
    /// Points of the cumulative distribution, `(percentile in 0..=100, value)`,
    /// both rising; straight lines between them, the ends held.
    Percentiles(Vec<(f64, Nanos)>),
}

/// No time at all.
impl Default for Distribution {
    fn default() -> Self {
        Self::Fixed(0)
    }
}
