//! Faults: what goes wrong, for which requests, how often and when.

mod effect;

use super::{Distribution, Nanos, Place, ServiceId};

pub use effect::{
    CacheEffect, CacheFault, Canary, ContextDamage, DatabaseFault, Direction, DoorFault, Effect, ExportFault,
    FaultEvent, NetworkFault, RecordFault, ReplicaFault, SpanFault, TableLock, TopicFault, TopicTarget,
    WorkerFault,
};

/// A rule that changes what the bus or a replica does, for what it matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Unique.
    pub name: String,
    pub kind: &'static FaultKind,
    pub effect: Effect,
    /// What `simhost check` says of it behind its kind: ` of 350ms`.
    pub detail: String,
    /// None of a fault that concerns no service: `collector-down`, those of databases, caches and topics. Of
    /// [`one_of`](Self::one_of) several it is the one that the seed draws (`fault::draw_targets`).
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
    /// Its `when`, if it has one, else its name.
    pub when_place: Place,
}

/// A kind of fault, as the key `kind` names it: what all faults of it have in common. The
/// table of all kinds is `topology::fault::kinds`.
#[derive(Debug)]
pub struct FaultKind {
    /// As topologies and reports write it.
    pub name: &'static str,
    /// What it is in real systems: a phrase.
    pub in_production: &'static str,
    pub grows: Grows,
    /// Whether it works within a replica, which a real server has not.
    pub is_inside: bool,
    /// Whether what it does lasts as long as was drawn, whatever becomes of the window.
    pub outlasts: bool,
}

/// Two kinds are one if they have one name.
impl PartialEq for FaultKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a fault does while it grows in or out, over the `ramp` of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grows {
    /// Nothing lies between its absence and its full effect.
    Never,
    /// It does less, each time that it strikes.
    Magnitude,
    /// It strikes less often.
    Frequency,
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
    /// The name of a span that the guest makes, and where the file says so.
    pub span: Option<(String, Place)>,
    /// Where the file names the service, or the link.
    pub place: Place,
}

/// What must hold of a request.
#[derive(Clone, Debug)]
pub struct Condition {
    pub of: Part,
    pub test: Test,
    /// Where the file says so.
    pub place: Place,
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
    /// Only the first of those that match, of each trace or of all.
    pub fail_first: Option<FailFirst>,
    /// Only every n-th that matches: 3 strikes the third, the sixth, …
    pub every_nth: Option<u64>,
    /// The most at a time.
    pub max_active: Option<u32>,
    /// The most in the whole run.
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
    /// This number in each window.
    Of(u64),
    /// This number of attempts of each call: the next succeeds.
    Attempts(u32),
}

/// When a fault is active. Nanoseconds since the start of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct When {
    pub schedule: Schedule,
    /// How long it takes to grow in, and to grow out, within the window: nanoseconds.
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
    /// Opens `delay` after the window of another fault, given by its index in the model. Both
    /// times are drawn for each window.
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

    /// All databases that it may strike.
    pub fn databases(&self) -> &[usize] {
        match &self.effect {
            Effect::Database { database, one_of, .. } if one_of.is_empty() => std::slice::from_ref(database),
            Effect::Database { one_of, .. } => one_of,
            _ => &[],
        }
    }

    /// The database that it strikes, which the seed draws where there are several: an index into
    /// [`Model::databases`](super::Model::databases).
    pub const fn database(&self) -> Option<usize> {
        match &self.effect {
            Effect::Database { database, .. } => Some(*database),
            _ => None,
        }
    }

    /// The cache that it strikes: an index into [`Model::caches`](super::Model::caches).
    pub const fn cache(&self) -> Option<usize> {
        match &self.effect {
            Effect::Cache(effect) => Some(effect.cache),
            _ => None,
        }
    }

    /// All caches that it may strike: one of several, or the only one.
    pub fn caches(&self) -> &[usize] {
        match &self.effect {
            Effect::Cache(CacheEffect { cache, one_of, .. }) if one_of.is_empty() => {
                std::slice::from_ref(cache)
            }
            Effect::Cache(CacheEffect { one_of, .. }) => one_of,
            _ => &[],
        }
    }

    /// The topic that it strikes, and what of it.
    pub const fn topic(&self) -> Option<&TopicTarget> {
        match &self.effect {
            Effect::Topic { target, .. } => Some(target),
            _ => None,
        }
    }

    /// All topics that it may strike, and what of them: one of several, or the only one.
    pub fn topics(&self) -> &[TopicTarget] {
        match &self.effect {
            Effect::Topic { one_of, .. } if !one_of.is_empty() => one_of,
            Effect::Topic { target, .. } => std::slice::from_ref(target),
            _ => &[],
        }
    }
}
