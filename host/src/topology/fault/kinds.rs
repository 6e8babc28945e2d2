//! The kinds of fault: their names, their keys and what each looks at.

mod cache;
mod database;
mod link;
mod replica;
mod request;
mod telemetry;
mod topic;

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use super::super::key::{Absence, Key, Required, Type};
use super::super::reader::{Table, Value};
use super::super::schema::{Defs, sentence};
use super::super::section::{self, Keys as Declarations};
use super::super::shapes::{By, Choice};
use super::{COMMON, Surroundings};
use crate::error::{Problem, list, quote};
use crate::model::{
    CacheEffect, CacheFault, Canary, Direction, DoorFault, Effect, Fault, FaultKind, Grows, Target,
    TopicTarget,
};

/// A kind of fault: how it is written, and what it means.
#[derive(Debug)]
pub(super) struct Declaration {
    pub kind: FaultKind,
    /// Those that it has beside [`COMMON`].
    pub keys: Declarations,
    pub looks_at: LooksAt,
    /// Whether spans may be named in its target.
    pub in_spans: bool,
    /// Whether a cache may be its target, in place of a service.
    pub on_caches: bool,
    /// Whether topics may be named in its target.
    pub in_topics: bool,
    read: Reader,
}

type Reader = fn(&Keys<'_, '_>) -> Option<Read>;

/// What a fault does, as it was read.
#[derive(Debug)]
pub(super) struct Read {
    pub effect: Effect,
    /// What `simhost check` says of it behind its kind.
    pub detail: String,
}

impl Read {
    /// What its kind says all of.
    const fn plain(effect: Effect) -> Option<Self> {
        Some(Self { effect, detail: String::new() })
    }

    const fn detailed(effect: Effect, detail: String) -> Option<Self> {
        Some(Self { effect, detail })
    }
}

/// What faults look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LooksAt {
    Requests,
    Replicas,
    Spans,
    Databases,
    Caches,
    /// Of topics, as they come to their broker.
    Messages,
    /// That consume topics.
    Groups,
    Receivers,
}

/// What a fault looks at, which says what may narrow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    kind: &'static str,
    pub looks_at: LooksAt,
    /// Whether it has a probability.
    pub dice: bool,
    /// Whether there is something between its absence and its full effect.
    pub grows: bool,
}

/// All kinds, in the order of the reference.
pub(super) fn declarations() -> impl Iterator<Item = &'static Declaration> {
    let of_services = [&request::KINDS[..], &link::KINDS, &replica::KINDS];
    let others = [&database::KINDS[..], &cache::KINDS, &topic::KINDS, &telemetry::KINDS];
    of_services.into_iter().chain(others).flatten()
}

impl Declaration {
    /// A kind of which a ramp changes how often it strikes, if it strikes single requests or spans, and
    /// which has no ramp otherwise.
    const fn new(
        looks_at: LooksAt,
        name: &'static str,
        in_production: &'static str,
        keys: Declarations,
        read: Reader,
    ) -> Self {
        let (grows, is_inside) = match looks_at {
            LooksAt::Requests | LooksAt::Messages => (Grows::Frequency, false),
            LooksAt::Replicas => (Grows::Never, true),
            LooksAt::Spans => (Grows::Frequency, true),
            LooksAt::Databases | LooksAt::Caches | LooksAt::Groups | LooksAt::Receivers => {
                (Grows::Never, false)
            }
        };
        let kind = FaultKind { name, in_production, grows, is_inside, outlasts: false };
        let (in_spans, on_caches) = (matches!(looks_at, LooksAt::Spans), matches!(looks_at, LooksAt::Caches));
        let in_topics = matches!(looks_at, LooksAt::Messages | LooksAt::Groups);
        Self { kind, keys, looks_at, in_spans, on_caches, in_topics, read }
    }

    /// A ramp changes how much it does.
    const fn by_magnitude(mut self) -> Self {
        self.kind.grows = Grows::Magnitude;
        self
    }

    /// It works within a replica.
    const fn inside(mut self) -> Self {
        self.kind.is_inside = true;
        self
    }

    /// What it does outlasts its window.
    const fn outlasting(mut self) -> Self {
        self.kind.outlasts = true;
        self
    }

    /// Spans may be named in its target.
    const fn in_spans(mut self) -> Self {
        self.in_spans = true;
        self
    }

    /// A cache may be its target.
    const fn on_caches(mut self) -> Self {
        self.on_caches = true;
        self
    }

    /// Topics may be named in its target.
    const fn in_topics(mut self) -> Self {
        self.in_topics = true;
        self
    }

    /// Whether it has this key.
    fn has(&self, key: &str) -> bool {
        section::names(self.keys).any(|name| name == key)
    }

    /// Takes it that its keys are read, or that it has been said why not.
    fn know(&self, table: &Table<'_>) {
        table.know(section::names(self.keys));
    }

    /// What a fault of this kind looks at, before its keys are read.
    pub const fn scope(&self) -> Scope {
        let (kind, looks_at) = (self.kind.name, self.looks_at);
        let dice =
            !matches!(looks_at, LooksAt::Databases | LooksAt::Caches | LooksAt::Groups | LooksAt::Receivers);
        Scope { kind, looks_at, dice, grows: !matches!(self.kind.grows, Grows::Never) }
    }
}

/// The table of all kinds in the reference: Markdown.
pub(super) fn table() -> String {
    let head = "| kind | in production | strikes | a ramp changes |\n|---|---|---|---|\n".to_owned();
    [head].into_iter().chain(declarations().map(Declaration::row)).collect()
}

impl Declaration {
    fn row(&self) -> String {
        let FaultKind { name, in_production, grows, .. } = self.kind;
        let strikes = match self.looks_at {
            LooksAt::Requests if self.on_caches => "requests, caches",
            LooksAt::Requests if self.in_topics => "requests, messages",
            LooksAt::Requests => "requests",
            LooksAt::Replicas => "replicas",
            LooksAt::Spans => "spans",
            LooksAt::Databases => "databases",
            LooksAt::Caches => "caches",
            LooksAt::Messages => "messages",
            LooksAt::Groups => "groups",
            LooksAt::Receivers => "receivers",
        };
        let ramp = match grows {
            Grows::Never => "no ramp",
            Grows::Magnitude => "how much it does",
            Grows::Frequency => "how often it strikes",
        };
        format!("| [`{name}`](#{name}) | {in_production} | {strikes} | {ramp} |\n")
    }
}

impl Scope {
    /// Of a kind that nobody knows: nothing is held against it.
    pub const ANY: Self = Self { kind: "", looks_at: LooksAt::Requests, dice: true, grows: true };

    /// With what the keys of the kind say.
    pub const fn of(self, effect: &Effect) -> Self {
        match effect {
            Effect::Door(DoorFault::BadDeploy { canary: Canary::Replicas(_), .. }) => {
                Self { looks_at: LooksAt::Replicas, dice: false, grows: false, ..self }
            }
            Effect::Cache(CacheEffect { fault, .. }) => {
                let dice = !matches!(fault, CacheFault::Flush | CacheFault::Shrink { .. });
                Self { looks_at: LooksAt::Caches, dice, ..self }
            }
            Effect::Topic { fault, .. } if fault.is_of_messages() => {
                Self { looks_at: LooksAt::Messages, ..self }
            }
            _ => self,
        }
    }

    /// Notes a key that chooses among requests, for a fault that looks at none.
    pub fn allow(&self, value: &Value<'_>) -> Option<()> {
        let help = match self.looks_at {
            LooksAt::Requests | LooksAt::Messages => return Some(()),
            LooksAt::Replicas if self.kind == "bad-deploy" => {
                "leave it out, or deploy for a share of the requests: requests = 0.1 in place of replicas"
            }
            LooksAt::Replicas => {
                "leave it out: it strikes whole replicas, whatever they are asked; probability says how many"
            }
            LooksAt::Spans => {
                "leave it out: it strikes spans, whatever was asked for; probability says how many"
            }
            LooksAt::Databases => "leave it out: it strikes the whole database, whoever asks it",
            LooksAt::Caches => "leave it out: it strikes the whole cache, whoever uses it",
            LooksAt::Groups => "leave it out: it strikes whole groups; when says when it does",
            LooksAt::Receivers => {
                "leave it out: it strikes the receivers of all telemetry; when says when it does"
            }
        };
        value.refuse_key(self.takes_no(value.key).help(help))
    }

    /// That the kind takes no such key.
    pub fn takes_no(&self, key: &str) -> Problem {
        takes_no(self.kind, key)
    }
}

fn takes_no(kind: &str, key: &str) -> Problem {
    Problem::new(format!("a fault of kind {} takes no {}", quote(kind), quote(key))).label("has no effect")
}

/// Whether a fault works within a replica, or within a guest's spans, at this target: a real server has
/// neither.
pub fn is_inside(fault: &Fault, target: &Target) -> bool {
    target.span.is_some() || target.replica.is_some() || fault.kind.is_inside
}

pub(super) static KIND: Key<KindName, Required> = Key {
    name: "kind",
    of: KindName,
    absent: Required("say what goes wrong, such as kind = \"latency\""),
    says: "what goes wrong: one of the [kinds](faults.md)",
};

/// The name of a kind.
#[derive(Debug)]
pub(super) struct KindName;

impl Type for KindName {
    type Read = &'static Declaration;

    fn read(&self, value: &Value<'_>) -> Option<&'static Declaration> {
        let named: Vec<_> = declarations().map(|declared| (declared.kind.name, declared)).collect();
        value.choice("fault kind", &named)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("a kind")
    }

    fn schema(&self, _: &mut Defs) -> Json {
        let kinds = declarations().map(|declared| &declared.kind);
        let (names, meanings): (Vec<_>, Vec<_>) =
            kinds.map(|kind| (kind.name, sentence(kind.in_production))).unzip();
        // What taplo shows beside each name.
        json!({ "enum": names, "x-taplo": { "docs": { "enumValues": meanings } } })
    }
}

/// What a fault of this kind does. Notes keys that belong to other kinds.
pub(super) fn read(
    table: &Table<'_>,
    declared: Option<&Declaration>,
    (targets, stores): (&[Target], &Stores),
    around: &Surroundings<'_>,
) -> Option<Read> {
    let Some(declared) = declared else {
        declarations().for_each(|declared| declared.know(table));
        return None;
    };
    declared.know(table);
    for entry in table.entries() {
        let owners = || declarations().filter(|owner| owner.has(entry.key));
        if COMMON.has(entry.key) || declared.has(entry.key) || owners().next().is_none() {
            continue;
        }
        owners().for_each(|owner| owner.know(table));
        let names = list(owners().map(|owner| owner.kind.name));
        let help = format!("leave it out; {} belongs to kind = {names}", entry.key);
        entry.refuse_key::<()>(takes_no(declared.kind.name, entry.key).help(help));
    }
    (declared.read)(&Keys { declared, table, targets, stores, around })
}

/// What a fault strikes that is no service.
#[derive(Debug)]
pub(super) enum Stores {
    /// It strikes services, or receivers.
    None,
    /// A database, or several of which one is drawn, by their places among those of the topology. None if
    /// something is wrong with one.
    Databases(Option<Vec<usize>>),
    /// A cache, or several of which one is drawn. None if something is wrong with one.
    Caches(Option<Vec<usize>>),
    /// A topic and what of it, or several of which one is drawn. None if something is wrong with one.
    Topics(Option<Vec<TopicTarget>>),
}

/// A fault's table for the reader of its kind.
struct Keys<'k, 'a> {
    declared: &'k Declaration,
    table: &'k Table<'a>,
    /// None if something is wrong with one, or there is none.
    targets: &'k [Target],
    stores: &'k Stores,
    around: &'k Surroundings<'k>,
}

impl<'a> Keys<'_, 'a> {
    /// The value of a key, or what holds without it. None: it is wrong, and that is noted.
    fn read<T: Type, A: Absence>(&self, key: &Key<T, A>) -> Option<A::Read<T::Read>> {
        key.read(self.table_with(key.name))
    }

    /// The value of a key as it stands in the file.
    fn get<T: Type, A: Absence>(&self, key: &Key<T, A>) -> Option<Value<'a>> {
        key.get(self.table_with(key.name))
    }

    /// The value of a key as it stands in the file. That it is missing is noted.
    fn need<T: Type>(&self, key: &Key<T, Required>) -> Option<Value<'a>> {
        key.need(self.table_with(key.name))
    }

    /// What the reader of a kind asks for, its kind declares.
    fn table_with(&self, key: &str) -> &Table<'a> {
        assert!(self.declared.has(key), "{} does not declare {key}", self.declared.kind.name);
        self.table
    }
}

/// How many times as long work takes. What takes longer than a million times does not come to an end.
const TIMES_AS_LONG: By<f64> = By {
    words: "a number above 1",
    schema: |_| json!({ "type": "number", "exclusiveMinimum": 1, "maximum": 1e6 }),
    read: |value| value.number("a number above 1, up to 1000000", |times| times > 1.0 && times <= 1e6),
};

/// The three directions of `on`.
const DIRECTIONS: Choice<Direction> = Choice {
    what: "direction",
    words: &[("request", Direction::Request), ("response", Direction::Response), ("both", Direction::Both)],
};
