//! What a fault does, by the point at which it takes effect. Times are nanoseconds.

use indexmap::IndexMap;

use super::super::{Code, ConfigKeys, Distribution, Nanos, Place, Scalar};

/// What a fault does, by the point at which it takes effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Between caller and callee, once for each attempt of a call.
    Network(NetworkFault),
    /// The request has arrived, and no worker has it.
    Door(DoorFault),
    /// A worker has the request, and the guest has not looked at it.
    Worker(WorkerFault),
    /// The state of a replica, whatever its requests are.
    Replica(ReplicaFault),
    /// The guest begins a span of its own.
    Span(SpanFault),
    /// A span or a log record is recorded.
    Record(RecordFault),
    /// The state of a database, whoever asks it. `database` is an index into
    /// [`Model::databases`](super::super::Model::databases); of `one_of` several it is the one that the
    /// seed draws.
    Database { database: usize, one_of: Vec<usize>, fault: DatabaseFault },
    /// The state of a cache, whoever uses it, and commands on their way to it.
    Cache(CacheEffect),
    /// The messages of a topic, or a group that consumes it; of `one_of` several targets it is the one that
    /// the seed draws.
    Topic { target: TopicTarget, one_of: Vec<TopicTarget>, fault: TopicFault },
    /// Records leave for their receivers.
    Export(ExportFault),
}

/// What a fault of a topic applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicTarget {
    /// An index into [`Model::topics`](super::super::Model::topics).
    pub topic: usize,
    /// The name of a group; none: every group of the topic.
    pub group: Option<String>,
    /// From 0; none: every partition.
    pub partition: Option<u32>,
    /// Where the file names the topic.
    pub place: Place,
}

/// What strikes messages between two services.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkFault {
    /// Messages of one direction take this much longer.
    Latency { delay: Distribution, on: Direction },
    /// The connection breaks: before the service has the request, or with its response.
    Reset { on: Direction },
    /// Nobody listens: the caller is told at once, the service never sees the request.
    Refuse,
    /// The request vanishes: nobody answers, ever.
    Blackhole,
    /// Bytes of a body are changed.
    Corrupt { on: Direction, share: f64 },
    /// Values of a JSON body are replaced: JSON pointer (RFC 6901) and value.
    Mutate { on: Direction, set: Vec<(String, serde_json::Value)> },
    /// No message passes between two services, in this direction.
    Partition { on: Direction },
    /// Messages are lost, and sent again after a growing time.
    Loss { on: Direction, retransmit: Nanos, attempts: u32 },
    /// The request arrives twice.
    Duplicate,
    /// The link carries this many bytes in a second, one message after the other.
    Bandwidth { bytes_per_second: u64 },
    /// Messages take this much longer, in both directions: they may overtake each other.
    Jitter { delay: Distribution },
    /// `traceparent` is not passed on, or is damaged.
    DropContext { how: ContextDamage },
    /// `traceparent` says that the trace is not sampled.
    Unsample,
}

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the caller to the callee.
    Request,
    /// From the callee to the caller.
    Response,
    Both,
}

/// What becomes of a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextDamage {
    /// It is missing, with `tracestate` and baggage.
    Missing,
    /// It is there and cannot be read.
    Broken,
}

/// What strikes requests before a worker has them.
#[derive(Clone, Debug, PartialEq)]
pub enum DoorFault {
    /// Requests beyond a rate are answered 429: a token bucket for each replica.
    RateLimit { per_second: f64, burst: u32, retry_after: Option<Nanos> },
    /// Another guest answers, for a share of the replicas or of the requests.
    BadDeploy {
        code: Code,
        version: Option<String>,
        config: IndexMap<String, String>,
        config_keys: ConfigKeys,
        canary: Canary,
    },
}

/// Who gets the other guest of a deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Canary {
    /// This share of the replicas, rounded up: they serve what comes to them.
    Replicas(f64),
    /// This share of the requests; those of one trace stay together.
    Requests(f64),
}

/// What strikes requests that a worker has.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerFault {
    /// The worker waits before its guest looks at the request.
    Latency { delay: Distribution },
    /// The service answers this and its guest never looks at the request.
    Error { status: u16, body: Option<Vec<u8>>, headers: Vec<(String, String)> },
    /// Each request leaves this many bytes in its worker, which dies at its limit.
    MemoryLeak { per_request: u64 },
    /// The request ends its replica, which is back after a while.
    Crash { restart: Distribution },
}

/// What strikes replicas, whatever is asked of them.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplicaFault {
    /// The service's work takes this many times as long.
    Cpu { times: f64 },
    /// Nothing in a replica goes on.
    Pause,
    /// This many workers of each replica are taken.
    PoolExhaustion { workers: u32 },
    /// A replica dies and is back after a while. Of a fault that chooses among requests it is one of
    /// these that ends it, [`WorkerFault::Crash`]: which it is depends on the target that is drawn.
    Crash { restart: Distribution },
    /// A replica dies again and again.
    RestartLoop { up: Distribution, down: Distribution },
    /// The replicas are gone.
    Down,
}

/// What strikes spans that a guest makes, while the request is under way.
#[derive(Clone, Debug, PartialEq)]
pub enum SpanFault {
    /// The span waits at its beginning.
    Latency { delay: Distribution, event: Option<FaultEvent> },
}

/// What a service's own instrumentation says when it notices what a fault does.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultEvent {
    pub name: String,
    /// Delays below this are not noticed: nanoseconds.
    pub above: Nanos,
    pub attributes: IndexMap<String, Scalar>,
}

/// What strikes what processes record of themselves. The requests go on as they would.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordFault {
    /// A replica's clock is wrong by this much: ahead, or behind if negative.
    ClockSkew { by: i64 },
    /// Spans are never recorded.
    LoseSpans,
    /// Spans are recorded this much later.
    LateSpans { by: Distribution },
    /// The Resource has another `service.name`.
    WrongServiceName { name: String },
    /// Spans get an attribute that has ever new values.
    Cardinality { attribute: String, values: Option<u64> },
}

/// What strikes a database, and with it whoever asks it.
#[derive(Clone, Debug, PartialEq)]
pub enum DatabaseFault {
    /// An index is gone: its name, and where the file says so.
    DropIndex { index: (String, Place) },
    /// A transaction of somebody else has locked a table: its name, and where the file says so.
    LockTable { table: (String, Place), mode: TableLock },
    /// Steps and commits take this many times as long.
    SlowDisk { times: f64 },
    /// Others have all connections but this many.
    TooManyConnections { left: u32 },
    /// So many connections of each pool are not given back.
    HoldConnections { connections: u32 },
    /// The server ends, and none is there: connections break, transactions are rolled back.
    Failover,
}

/// What strikes which cache: indices into [`Model::caches`](super::super::Model::caches).
#[derive(Clone, Debug, PartialEq)]
pub struct CacheEffect {
    /// Of [`one_of`](Self::one_of) several it is the one that the seed draws (`fault::draw_targets`).
    pub cache: usize,
    /// Those of which one is drawn, in the order of the file; empty where there is one alone.
    pub one_of: Vec<usize>,
    pub fault: CacheFault,
}

/// What strikes a cache, and with it whoever uses it.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheFault {
    /// All entries are gone, once.
    Flush,
    /// This share of its bounds is left: entries beyond it are evicted.
    Shrink { left: f64 },
    /// Commands arrive this much later.
    Latency { delay: Distribution },
    /// Nobody listens: the client is told at once.
    Refuse,
    /// Commands vanish.
    Blackhole,
}

/// How a table is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableLock {
    /// As ALTER TABLE does: nobody reads or writes.
    AccessExclusive,
    /// As CREATE INDEX does: nobody writes.
    Share,
}

/// What strikes messages as they come to their broker, or a group that consumes them.
#[derive(Clone, Debug, PartialEq)]
pub enum TopicFault {
    /// A message is in its partition twice.
    Duplicate,
    /// A message comes to its partition later, by a time up to this: others overtake it.
    Reorder { window: Nanos },
    /// Members get a message this much later, and what is behind it in its partition not before.
    Late { by: Distribution },
    /// A message is confirmed and kept, and no group gets it.
    Lose,
    /// A group consumes nothing.
    Pause,
    /// A group assigns its partitions anew, over and over, and consumes nothing meanwhile.
    Rebalance { every: Distribution, takes: Distribution },
}

impl TopicFault {
    /// Whether it strikes single messages, and no group.
    pub const fn is_of_messages(&self) -> bool {
        match self {
            Self::Duplicate | Self::Reorder { .. } | Self::Late { .. } | Self::Lose => true,
            Self::Pause | Self::Rebalance { .. } => false,
        }
    }
}

/// What strikes the receivers of telemetry.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportFault {
    /// They take nothing.
    CollectorDown,
}
