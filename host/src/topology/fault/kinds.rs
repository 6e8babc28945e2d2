//! The kinds of fault: their names, their keys and what each looks at.

mod link;
mod replica;
mod request;
mod telemetry;

use super::super::reader::{Table, Value};
use super::{COMMON, Surroundings};
use crate::error::{Problem, list, quote};
use crate::model::{Canary, FaultKind, Target, Way};

/// A kind of fault, before what it needs is looked at.
#[derive(Debug)]
pub(super) struct Kind {
    pub name: &'static str,
    /// Those that it has beside [`COMMON`].
    keys: &'static [&'static str],
    pub scope: Scope,
    /// Whether spans may be named in its target.
    pub in_spans: bool,
    /// Whether it works within a replica, which a real server has not.
    pub inside: bool,
    read: fn(&Keys<'_, '_>) -> Option<FaultKind>,
}

/// What a fault looks at, which says what may narrow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    kind: &'static str,
    pub looks_at: Subject,
    /// Whether it has a probability.
    pub dice: bool,
    /// Whether there is something between its absence and its full effect.
    pub grows: bool,
}

/// What faults look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Requests,
    Replicas,
    Spans,
    Receivers,
}

type Read = fn(&Keys<'_, '_>) -> Option<FaultKind>;

const KINDS: [Kind; 29] = [
    requests("latency", &["delay", "on", "event"], request::latency).in_spans(),
    requests("error", &["status", "body", "json", "headers"], request::error),
    requests("reset", &["on"], request::reset),
    requests("refuse", &[], |_| Some(FaultKind::Refuse)),
    requests("blackhole", &[], |_| Some(FaultKind::Blackhole)),
    requests("corrupt", &["on", "share"], request::corrupt),
    requests("mutate", &["on", "set"], request::mutate),
    requests("rate-limit", &["limit", "burst", "retry-after"], request::rate_limit).inside(),
    requests("partition", &["on"], link::partition),
    requests("loss", &["on", "retransmit", "attempts"], link::loss),
    requests("duplicate", &[], |_| Some(FaultKind::Duplicate)),
    requests("bandwidth", &["rate"], link::bandwidth),
    requests("jitter", &["delay"], link::jitter),
    replicas("cpu", &["times"], replica::cpu).growing(),
    replicas("pause", &[], |_| Some(FaultKind::Pause)),
    requests("memory-leak", &["per-request"], replica::memory_leak).inside(),
    replicas("pool-exhaustion", &["workers"], replica::pool_exhaustion).growing(),
    replicas("clock-skew", &["by"], replica::clock_skew).growing(),
    requests("crash", &["restart"], replica::crash).inside(),
    replicas("restart-loop", &["up", "down"], replica::restart_loop),
    replicas("down", &[], |_| Some(FaultKind::Down)),
    requests("bad-deploy", &["guest", "version", "config", "replicas", "requests"], replica::bad_deploy)
        .inside(),
    requests("drop-context", &["how"], telemetry::drop_context),
    requests("unsample", &[], |_| Some(FaultKind::Unsample)),
    spans("lose-spans", &[], |_| Some(FaultKind::LoseSpans)),
    spans("late-spans", &["by"], telemetry::late_spans),
    replicas("wrong-service-name", &["service-name"], telemetry::wrong_service_name),
    spans("cardinality", &["attribute", "values"], telemetry::cardinality),
    Kind::new("collector-down", &[], Subject::Receivers, |_| Some(FaultKind::CollectorDown)),
];

const fn requests(name: &'static str, keys: &'static [&'static str], read: Read) -> Kind {
    Kind::new(name, keys, Subject::Requests, read).growing()
}

const fn replicas(name: &'static str, keys: &'static [&'static str], read: Read) -> Kind {
    Kind::new(name, keys, Subject::Replicas, read).inside()
}

const fn spans(name: &'static str, keys: &'static [&'static str], read: Read) -> Kind {
    Kind::new(name, keys, Subject::Spans, read).inside().growing().in_spans()
}

impl Kind {
    const fn new(name: &'static str, keys: &'static [&'static str], looks_at: Subject, read: Read) -> Self {
        let dice = !matches!(looks_at, Subject::Receivers);
        let scope = Scope { kind: name, looks_at, dice, grows: false };
        Self { name, keys, scope, in_spans: false, inside: false, read }
    }

    const fn growing(mut self) -> Self {
        self.scope.grows = true;
        self
    }

    const fn inside(mut self) -> Self {
        self.inside = true;
        self
    }

    const fn in_spans(mut self) -> Self {
        self.in_spans = true;
        self
    }
}

impl Scope {
    /// Of a kind that nobody knows: nothing is held against it.
    pub const ANY: Self = Self { kind: "", looks_at: Subject::Requests, dice: true, grows: true };

    /// With what the keys of the kind say.
    pub const fn of(self, kind: &FaultKind) -> Self {
        match kind {
            FaultKind::BadDeploy { canary: Canary::Replicas(_), .. } => {
                Self { looks_at: Subject::Replicas, dice: false, grows: false, ..self }
            }
            _ => self,
        }
    }

    /// Notes a key that chooses among requests, for a fault that looks at none.
    pub fn allow(&self, value: &Value<'_>) -> Option<()> {
        let help = match self.looks_at {
            Subject::Requests => return Some(()),
            Subject::Replicas if self.kind == "bad-deploy" => {
                "leave it out, or deploy for a share of the requests: requests = 0.1 in place of replicas"
            }
            Subject::Replicas => {
                "leave it out: it befalls whole replicas, whatever they are asked; probability says how many"
            }
            Subject::Spans => {
                "leave it out: it befalls spans, whatever was asked for; probability says how many"
            }
            Subject::Receivers => {
                "leave it out: it befalls the receivers of all telemetry; when says when it does"
            }
        };
        value.refuse_key(self.has_no(value.key).help(help))
    }

    /// That the kind has no such key.
    pub fn has_no(&self, key: &str) -> Problem {
        has_no(self.kind, key)
    }
}

fn has_no(kind: &str, key: &str) -> Problem {
    Problem::new(format!("a fault of kind {} has no {}", quote(kind), quote(key))).label("has no effect")
}

/// Whether a fault of this kind works within a replica, or within a guest's spans, at this target: a real
/// server has neither.
pub fn is_inside(kind: &FaultKind, target: &Target) -> bool {
    let in_replica = target.span.is_some() || target.replica.is_some();
    in_replica || KINDS.iter().any(|known| known.name == kind.name() && known.inside)
}

/// The kind that a value names.
pub(super) fn find(value: &Value<'_>) -> Option<&'static Kind> {
    static NAMED: [Kind; 29] = KINDS;
    let named = NAMED.each_ref().map(|kind| (kind.name, kind));
    value.choice("fault kind", &named)
}

/// What a fault of this kind does. Notes keys that belong to other kinds.
pub(super) fn read(
    table: &Table<'_>,
    kind: Option<&Kind>,
    targets: &[Target],
    around: &Surroundings<'_>,
) -> Option<FaultKind> {
    let Some(kind) = kind else {
        KINDS.iter().for_each(|kind| table.know(kind.keys));
        return None;
    };
    table.know(kind.keys);
    for entry in table.entries() {
        let owners = || KINDS.iter().filter(|owner| owner.keys.contains(&entry.key));
        if COMMON.contains(&entry.key) || kind.keys.contains(&entry.key) || owners().next().is_none() {
            continue;
        }
        owners().for_each(|owner| table.know(owner.keys));
        let names = list(owners().map(|owner| owner.name));
        let help = format!("leave it out; {} belongs to kind = {names}", entry.key);
        entry.refuse_key::<()>(has_no(kind.name, entry.key).help(help));
    }
    (kind.read)(&Keys { table, targets, around })
}

/// A fault's table for the reader of its kind.
struct Keys<'k, 'a> {
    table: &'k Table<'a>,
    /// None if something is wrong with one, or there is none.
    targets: &'k [Target],
    around: &'k Surroundings<'k>,
}

impl<'a> Keys<'_, 'a> {
    fn get(&self, key: &'static str) -> Option<Value<'a>> {
        let [value] = self.table.some([key]);
        value
    }

    fn need(&self, key: &'static str, remedy: &str) -> Option<Value<'a>> {
        self.table.need(key, self.get(key), remedy)
    }

    /// `on = "request"`.
    fn way(&self, usual: Way) -> Option<Way> {
        const WAYS: [(&str, Way); 3] =
            [("request", Way::Request), ("response", Way::Response), ("both", Way::Both)];
        self.get("on").map_or(Some(usual), |value| value.choice("direction", &WAYS))
    }
}
