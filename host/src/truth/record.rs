//! What a line of the truth says.

use schemars::JsonSchema;
use serde::Serialize;

use crate::fault::{After, Cause, Drawn, ManualChange};
use crate::model::{Fault, Nanos, Schedule, Target, TopicTarget};

use super::Names;
use super::changed::Pair;
use super::summary::{FaultRow, Total};
use super::symptom::{Answer, Symptom};

/// One line. `at` is always seconds of simulated time since the run began, and `time`
/// the same instant by RFC 3339, as the records of the run have it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "A line of the truth of a simhost run")]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The first line: which run this is.
    Run {
        /// The version of the lines' form.
        schema: u32,
        /// The topology's name.
        topology: String,
        seed: u64,
        /// Worlds that run beside one another, each with a seed of its own.
        shards: u32,
        /// Whether time jumps from event to event.
        #[serde(rename = "virtual")]
        is_virtual: bool,
        /// When the run begins, by RFC 3339.
        start: String,
        /// The flags that decide what happens, as the command line has them.
        flags: Vec<String>,
        /// The faults of the topology, in its order.
        faults: Vec<Declared>,
    },
    /// A fault has become active, or is no longer.
    Window {
        /// Which of the worlds, from 0.
        shard: u32,
        fault: String,
        kind: String,
        /// Null for a fault that concerns no service.
        target: Option<Aim>,
        state: State,
        /// The fault's windows are counted from 1.
        number: u64,
        by: By,
        at: f64,
        time: String,
        /// Of a window that opens: when it closes again, by what was drawn for it. Null
        /// where that is not known, or never.
        closes_at: Option<f64>,
    },
    /// A fault has struck.
    Firing {
        shard: u32,
        fault: String,
        kind: String,
        at: f64,
        time: String,
        /// When the fault began to keep the message from who consumes it: `at` is when somebody had it, or
        /// the run ended. Only of a message that it has kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        kept_since: Option<f64>,
        /// The number of the fault's window to which it belongs, from 1.
        window: u64,
        /// Why it comes after that window has closed; null for what comes within it.
        after_window: Option<AfterWindow>,
        /// The service that is called, or whose replica, record, statement or message is struck.
        service: String,
        /// The database that is asked; only of a fault that strikes one.
        #[serde(skip_serializing_if = "Option::is_none")]
        database: Option<String>,
        /// The cache that is asked; only of a fault that strikes one.
        #[serde(skip_serializing_if = "Option::is_none")]
        cache: Option<String>,
        /// The topic of the message, and the partition; only of a fault that strikes one.
        #[serde(skip_serializing_if = "Option::is_none")]
        topic: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        partition: Option<u32>,
        /// Null for a request that meets no route, for what strikes no request, and for a
        /// recorded span that is no SERVER span.
        route: Option<String>,
        /// From 0; null where none had been picked.
        replica: Option<u32>,
        /// `service.instance.id` of that replica's process; null where it had not been picked,
        /// and where it never came up.
        service_instance_id: Option<String>,
        /// The calling service; null for what comes from outside.
        from: Option<String>,
        /// The trace of that span; where there is none, the trace that the request has or
        /// would have had. Null for what strikes no request.
        trace_id: Option<String>,
        /// The recorded span that shows the effect; null where no span does.
        span_id: Option<String>,
        /// Its kind, as OpenTelemetry has it: `server` is the struck request's, `client` that
        /// of the call which waits for it, another one the guest's own. Null without a span.
        span_kind: Option<String>,
        drawn: Draws,
    },
    /// A fault was changed by hand while the run went on.
    Change {
        shard: u32,
        fault: String,
        kind: String,
        what: What,
        /// The new probability, where that was changed.
        probability: Option<f64>,
        at: f64,
        time: String,
    },
    /// A request that a fault has changed: it ends otherwise without the fault. There are as
    /// many lines of each fault as `--changed` allows.
    Changed {
        shard: u32,
        fault: String,
        /// As it was with the fault.
        #[serde(flatten)]
        request: Symptom,
        /// As it is without.
        without: Answer,
    },
    /// The last line of a run that came to its end.
    Summary {
        /// When the run ended.
        at: f64,
        time: String,
        /// Those that were there, in the order of the topology.
        faults: Vec<FaultRow>,
        total: Total,
    },
}

impl Record {
    /// The line of a request that a fault has changed, in a run that began at `start`.
    pub fn changed(pair: &Pair, fault: &str, names: &Names, start: Nanos) -> Self {
        let answer = pair.without.end.map(|end| end.answer);
        Self::Changed {
            shard: pair.shard,
            fault: fault.to_owned(),
            request: pair.symptom(names, start),
            without: Answer {
                status: answer.and_then(Result::ok),
                error_type: answer.and_then(Result::err).map(ToOwned::to_owned),
                took_ms: pair.without.end.map(|end| end.took as f64 / 1e6),
            },
        }
    }
}

/// A fault as the run begins with it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Declared {
    pub fault: String,
    pub kind: String,
    /// All that the topology says of it, in the words of `simhost check`.
    pub description: String,
    pub target: Option<Aim>,
    /// Whether it is active when its schedule says so.
    pub enabled: bool,
    pub probability: f64,
}

impl Declared {
    pub fn new(fault: &Fault, description: String, names: &Names) -> Self {
        Self {
            fault: fault.name.clone(),
            kind: fault.kind.name.to_owned(),
            description,
            target: Aim::of(
                (fault.target.as_ref(), fault.database(), fault.cache(), fault.topic()),
                names,
                None,
            ),
            enabled: fault.enabled,
            probability: fault.chance.probability,
        }
    }
}

/// At whom a fault is aimed; what is null is not narrowed down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Aim {
    /// Null for a fault that strikes a database, a cache or a topic, whoever uses it.
    pub service: Option<String>,
    pub route: Option<String>,
    pub from: Option<String>,
    pub replica: Option<u32>,
    /// Of that replica; null as well where several worlds have one each.
    pub service_instance_id: Option<String>,
    pub from_replica: Option<u32>,
    pub from_service_instance_id: Option<String>,
    pub span: Option<String>,
    /// Only of a fault that strikes a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Only of a fault that strikes a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Only of a fault that strikes a topic; and what of it: the group, or the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
}

impl Aim {
    /// At a service, at a database, at a cache, at a topic, or at none of them.
    pub fn of(
        (target, database, cache, topic): (
            Option<&Target>,
            Option<usize>,
            Option<usize>,
            Option<&TopicTarget>,
        ),
        names: &Names,
        shard: Option<u32>,
    ) -> Option<Self> {
        if let Some(target) = target {
            return Some(Self::new(target, names, shard));
        }
        (database.is_some() || cache.is_some() || topic.is_some()).then(|| Self {
            database: database.map(|database| names.databases[database].clone()),
            cache: cache.map(|cache| names.caches[cache].clone()),
            topic: topic.map(|of| names.topics[of.topic].clone()),
            group: topic.and_then(|of| of.group.clone()),
            partition: topic.and_then(|of| of.partition),
            ..Self::default()
        })
    }

    /// As the world `shard` has it; none: as all have it.
    fn new(target: &Target, names: &Names, shard: Option<u32>) -> Self {
        let shard = shard.or((names.firsts.len() == 1).then_some(0));
        let instance = |service, replica: Option<u32>| names.instance_of(shard?, service, replica?);
        Self {
            service: Some(names.service(target.service).to_owned()),
            route: target.route.as_ref().map(|(route, _)| route.clone()),
            from: target.from.map(|from| names.service(from).to_owned()),
            replica: target.replica,
            service_instance_id: instance(target.service, target.replica),
            from_replica: target.from_replica,
            from_service_instance_id: target.from.and_then(|from| instance(from, target.from_replica)),
            span: target.span.as_ref().map(|(name, _)| name.clone()),
            ..Self::default()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Opened,
    Closed,
}

/// Why a window opens or closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The fault has no schedule: it is active from the start.
    Start,
    Schedule,
    /// Another fault has come before it.
    After,
    /// Somebody, over the control API.
    Control,
}

impl By {
    pub const fn new(cause: Cause, schedule: &Schedule) -> Self {
        match (cause, schedule) {
            (Cause::Manual, _) => Self::Control,
            (Cause::Schedule, Schedule::Always) => Self::Start,
            (Cause::Schedule, Schedule::After { .. }) => Self::After,
            (Cause::Schedule, Schedule::Fixed { .. } | Schedule::Random { .. }) => Self::Schedule,
        }
    }
}

/// Why a fault strikes after its window has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterWindow {
    /// It was decided while the window was open: the response that is struck was on its way,
    /// or the work that is slow had begun.
    UnderWay,
    /// A process that the fault has killed is not up yet.
    Restarting,
}

impl From<After> for AfterWindow {
    fn from(after: After) -> Self {
        match after {
            After::UnderWay => Self::UnderWay,
            After::Restarting => Self::Restarting,
        }
    }
}

/// What was changed by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    On,
    Off,
    /// As its schedule says, from now on.
    Schedule,
    Probability,
}

impl From<ManualChange> for What {
    fn from(change: ManualChange) -> Self {
        match change {
            ManualChange::On => Self::On,
            ManualChange::Off => Self::Off,
            ManualChange::Schedule => Self::Schedule,
            ManualChange::Probability(_) => Self::Probability,
        }
    }
}

/// What a fault drew; only what its kind draws is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Draws {
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
    /// By how much a clock is ahead, or behind if negative: milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift_ms: Option<f64>,
    /// What the value of an attribute ends in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The status that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Bytes that a worker lost, or that were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl From<Drawn> for Draws {
    fn from(drawn: Drawn) -> Self {
        match drawn {
            Drawn::Nothing => Self::default(),
            Drawn::Delay(delay) => Self { delay_ms: Some(delay as f64 / 1e6), ..Self::default() },
            Drawn::Shift(by) => Self { shift_ms: Some(by as f64 / 1e6), ..Self::default() },
            Drawn::Number(number) => Self { value: Some(format!("{number:x}")), ..Self::default() },
            Drawn::Status(status) => Self { status: Some(status), ..Self::default() },
            Drawn::Bytes(bytes) => Self { bytes: Some(bytes), ..Self::default() },
        }
    }
}
