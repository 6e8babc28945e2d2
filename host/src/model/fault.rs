//! Faults: what goes wrong, for which requests, how often and when.

use indexmap::IndexMap;

use super::{Code, Distribution, Nanos, Place, Scalar, ServiceId};

/// A rule that changes what the bus or a replica does, for what it matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Unique.
    pub name: String,
    pub kind: FaultKind,
    /// None of a fault that concerns no service: `collector-down`. Of [`one_of`](Self::one_of)
    /// several it is the one that the seed draws (`fault::draw_targets`).
    pub target: Option<Target>,
    /// The targets of which one is drawn, in the order of the file; empty where there is one alone.
    pub one_of: Vec<Target>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    pub chance: Chance,
    pub when: When,
    pub enabled: bool,
    /// The fault's name in the file.
    pub place: Place,
}

/// Which way a message goes, or whose side is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the caller to the callee.
    Request,
    /// From the callee to the caller.
    Response,
    Both,
}

/// What a fault does. Times are nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Something takes this much longer.
    Latency { delay: Distribution, on: Moment, event: Option<FaultEvent> },
    /// The service answers this and its guest never looks at the request.
    Error { status: u16, body: Option<Vec<u8>>, headers: Vec<(String, String)> },
    /// The connection breaks: before the service has the request, or with its response.
    Reset { on: Way },
    /// Nobody listens: the caller is told at once, the service never sees the request.
    Refuse,
    /// The request vanishes: nobody answers, ever.
    Blackhole,
    /// Bytes of a body are changed.
    Corrupt { on: Way, share: f64 },
    /// Values of a JSON body are replaced: JSON pointer (RFC 6901) and value.
    Mutate { on: Way, set: Vec<(String, serde_json::Value)> },
    /// More than so many requests in a second are answered 429.
    RateLimit { per_second: f64, burst: u32, retry_after: Option<Nanos> },

    /// No message passes between two services, this way.
    Partition { on: Way },
    /// Messages are lost, and sent again after a growing time.
    Loss { on: Way, retransmit: Nanos, attempts: u32 },
    /// The request arrives twice.
    Duplicate,
    /// The link carries so many bytes in a second, one message after the other.
    Bandwidth { bytes_per_second: u64 },
    /// Messages take this much longer, each way: they may overtake each other.
    Jitter { delay: Distribution },

    /// The service's work takes so many times as long.
    Cpu { times: f64 },
    /// Nothing in a replica goes on.
    Pause,
    /// Each request leaves so many bytes in its worker, which dies at its limit.
    MemoryLeak { per_request: u64 },
    /// So many workers of each replica are taken.
    PoolExhaustion { workers: u32 },
    /// A replica's clock is wrong by so much: ahead, or behind if negative.
    ClockSkew { by: i64 },

    /// A replica dies and is back after a while.
    Crash { restart: Distribution },
    /// A replica dies again and again.
    RestartLoop { up: Distribution, down: Distribution },
    /// The replicas are gone.
    Down,
    /// Another guest answers, for a share of the replicas or of the requests.
    BadDeploy { code: Code, version: Option<String>, config: IndexMap<String, String>, canary: Canary },

    /// `traceparent` is not passed on, or is spoilt.
    DropContext { how: Spoil },
    /// `traceparent` says that the trace is not sampled.
    Unsample,
    /// Spans are never recorded.
    LoseSpans,
    /// Spans are recorded this much later.
    LateSpans { by: Distribution },
    /// The Resource has another `service.name`.
    WrongServiceName { name: String },
    /// Spans get an attribute that has ever new values.
    Cardinality { attribute: String, values: Option<u64> },
    /// The receivers of telemetry take nothing.
    CollectorDown,
}

/// Where in a call a delay lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// On the request's way, before a worker has it.
    Request,
    /// When a worker has it, before the guest looks at it.
    Handler,
    /// On the response's way, when the worker is free again.
    Response,
    /// Within the guest's spans of the name in the target.
    Span,
}

/// What a service's own instrumentation says when it notices what a fault does.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultEvent {
    pub name: String,
    /// Delays below this are not noticed: nanoseconds.
    pub above: Nanos,
    pub attributes: IndexMap<String, Scalar>,
}

/// Who gets the other guest of a deployment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Canary {
    /// So many of the replicas, rounded up: they serve what comes to them.
    Replicas(f64),
    /// This share of the requests; those of one trace stay together.
    Requests(f64),
}

/// What becomes of a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// It is missing, with `tracestate` and baggage.
    Missing,
    /// It is there and cannot be read.
    Broken,
}

/// The requests, replicas or spans that a fault applies to: those that match all that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub service: ServiceId,
    /// A route of the service as its guest names it, `POST /stock/{item}/reserve`,
    /// and where the file says so: whether it exists shows when the guest is loaded.
    pub route: Option<(String, Place)>,
    /// The calling service.
    pub from: Option<ServiceId>,
    /// A replica of the service, from 0.
    pub replica: Option<u32>,
    /// A replica of the calling service, from 0.
    pub from_replica: Option<u32>,
    /// The name of a span that the guest makes.
    pub span: Option<String>,
}

/// What must hold of a request.
#[derive(Clone, Debug)]
pub struct Condition {
    pub of: Part,
    pub test: Test,
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Method,
    /// By its name in lower case.
    Header(String),
    Baggage(String),
    /// A parameter of the route's path.
    Param(String),
    /// A value of a JSON body, by JSON pointer (RFC 6901).
    Body(String),
}

/// What is asked of a part. A part that is absent meets only `Exists(false)` and `Ne`.
/// Of all parts but the body, values are texts, numbers or booleans.
#[derive(Clone, Debug)]
pub enum Test {
    Exists(bool),
    Eq(serde_json::Value),
    Ne(serde_json::Value),
    Gt(f64),
    Ge(f64),
    Lt(f64),
    Le(f64),
    In(Vec<serde_json::Value>),
    /// Anywhere in the text; its time is linear in the text's length.
    Regex(regex::Regex),
}

/// Which of the requests that match are struck.
#[derive(Clone, Debug, PartialEq)]
pub struct Chance {
    /// `0.0..=1.0`.
    pub probability: f64,
    /// Only the first so many that match, of each trace or of all.
    pub fail_first: Option<FailFirst>,
    /// Only every so-many-th that matches: 3 strikes the third, the sixth, …
    pub every_nth: Option<u64>,
    /// No more than so many at a time.
    pub max_active: Option<u32>,
    /// No more than so many in the whole run.
    pub max_total: Option<u64>,
    /// Only requests that ask for it, by the header `x-simhost-fault` or by baggage.
    pub by_caller: bool,
}

impl Default for Chance {
    fn default() -> Self {
        Self {
            probability: 1.0,
            fail_first: None,
            every_nth: None,
            max_active: None,
            max_total: None,
            by_caller: false,
        }
    }
}

/// The first requests that a fault matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailFirst {
    /// So many in each window.
    Of(u64),
    /// So many attempts of each call: the next succeeds.
    Attempts(u32),
}

/// When a fault is active. Nanoseconds since the start of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    pub schedule: Schedule,
    /// Grows in and out over so long, within the window.
    pub ramp: Nanos,
}

/// When windows open and close.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// From the beginning to the end.
    #[default]
    Always,
    /// At an instant, for a while (or for ever), and again. The instant is drawn once, the
    /// length for each window.
    Fixed { at: Distribution, lasting: Option<Distribution>, every: Option<Nanos> },
    /// By themselves: calm for a random time, then active for a random time, over and over.
    Random { between: Distribution, hold: Distribution },
    /// So long after another fault's window has opened: its index in the model. Both times
    /// are drawn for each window.
    After { fault: usize, delay: Distribution, lasting: Option<Distribution> },
}

/// Two regular expressions are equal when they are written alike.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.of == other.of && self.test == other.test
    }
}

impl PartialEq for Test {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exists(a), Self::Exists(b)) => a == b,
            (Self::Eq(a), Self::Eq(b)) | (Self::Ne(a), Self::Ne(b)) => a == b,
            (Self::Gt(a), Self::Gt(b))
            | (Self::Ge(a), Self::Ge(b))
            | (Self::Lt(a), Self::Lt(b))
            | (Self::Le(a), Self::Le(b)) => a == b,
            (Self::In(a), Self::In(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            _ => false,
        }
    }
}

impl Fault {
    /// All targets that it may have: one of several, or the only one.
    pub fn targets(&self) -> &[Target] {
        if self.one_of.is_empty() { self.target.as_slice() } else { &self.one_of }
    }
}

impl FaultKind {
    /// As topologies and reports write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Error { .. } => "error",
            Self::Reset { .. } => "reset",
            Self::Refuse => "refuse",
            Self::Blackhole => "blackhole",
            Self::Corrupt { .. } => "corrupt",
            Self::Mutate { .. } => "mutate",
            Self::RateLimit { .. } => "rate-limit",
            Self::Partition { .. } => "partition",
            Self::Loss { .. } => "loss",
            Self::Duplicate => "duplicate",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Jitter { .. } => "jitter",
            Self::Cpu { .. } => "cpu",
            Self::Pause => "pause",
            Self::MemoryLeak { .. } => "memory-leak",
            Self::PoolExhaustion { .. } => "pool-exhaustion",
            Self::ClockSkew { .. } => "clock-skew",
            Self::Crash { .. } => "crash",
            Self::RestartLoop { .. } => "restart-loop",
            Self::Down => "down",
            Self::BadDeploy { .. } => "bad-deploy",
            Self::DropContext { .. } => "drop-context",
            Self::Unsample => "unsample",
            Self::LoseSpans => "lose-spans",
            Self::LateSpans { .. } => "late-spans",
            Self::WrongServiceName { .. } => "wrong-service-name",
            Self::Cardinality { .. } => "cardinality",
            Self::CollectorDown => "collector-down",
        }
    }
}
