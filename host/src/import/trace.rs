//! One trace: its requests, and which calls each made.
//!
//! A request is a SERVER or CONSUMER span, a root without one, or what spans have in common whose
//! parent is missing. Messages that are processed are a request too. A span of the same service belongs to
//! the request of its parent. A call is a CLIENT span, or a request whose parent is another service's without
//! one.

use std::collections::BTreeMap;
use std::iter;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::Nanos;

use super::names::Names;
use super::notes::{LeftOut, Reason};
use super::span::{NONE, Role, Span, whole_id};

/// What a service did for one request.
#[derive(Clone, Debug)]
pub struct Request {
    pub route: u32,
    pub start: Nanos,
    pub end: Nanos,
    pub has_failed: bool,
    pub instance: u32,
    pub bytes: u32,
    /// It has no SERVER span: it is a message, a job, or a request whose span is missing.
    pub is_guessed: bool,
    /// No request of the trace led to it.
    pub is_entry: bool,
    /// By their start.
    pub calls: Vec<Call>,
    /// By their start.
    pub parts: Vec<Part>,
    /// How many messages it stands for; 1 for what is none.
    pub messages: u16,
    /// How the messages came; none for what is none.
    pub came: Option<Came>,
    /// The span that sent the message, by [`whole_id`]; 0 where none is known.
    pub sender: u64,
}

/// How the span of a message hangs together with the one that sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Came {
    /// It is its child.
    Parent,
    /// It is linked to it.
    Link,
    /// Nothing tells.
    Alone,
}

/// A statement, a command or messages of a request.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub of: Of,
    pub start: Nanos,
    /// Within the request.
    pub took: Nanos,
    /// Messages that are sent, and those among which the time is divided.
    pub messages: u16,
    pub spread: u16,
    pub has_failed: bool,
}

/// What a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    Statement(u32),
    Topic(u32),
}

/// One call of a request.
#[derive(Clone, Debug)]
pub struct Call {
    /// The callee's route: its own, or as its caller has it; [`NONE`] where nothing names the callee.
    pub to: u32,
    pub start: Nanos,
    pub end: Nanos,
    /// The callee has no span for it.
    pub is_guessed: bool,
    /// The callee says that it has failed.
    pub has_failed: bool,
    /// The caller saw a failure, be it the callee's or one on the way.
    pub is_lost: bool,
    /// How many attempts of it were sent before.
    pub resent: u8,
    /// From the CLIENT span's start to the SERVER span's, and between their ends; negative
    /// where the clocks differ.
    pub gaps: Option<(i64, i64)>,
}

/// Spans of one service between a call and the outermost call around it.
const MAX_LAYERS: usize = 64;

/// Where a span belongs: an index into the requests; none of what lies outside of all.
type Owner = Option<usize>;

struct Fold<'a> {
    spans: &'a [Span],
    places: FxHashMap<u64, usize>,
    /// Spans that are read as if they had no parent: see [`circles`].
    cut: FxHashSet<usize>,
    requests: Vec<Request>,
    /// Of each span, once it is known.
    owners: Vec<Option<Owner>>,
    /// Of each span, for which one it was last passed on the way up.
    passed: Vec<usize>,
    /// CLIENT spans below which another service serves.
    answered: FxHashSet<u64>,
    /// Requests without a span, by service and missing parent.
    missing: BTreeMap<(u32, u64), usize>,
    names: &'a mut Names,
    left_out: &'a mut LeftOut,
}

/// The requests of the spans of one trace.
pub fn requests(spans: &[Span], names: &mut Names, left_out: &mut LeftOut) -> Vec<Request> {
    let places: FxHashMap<_, _> = spans.iter().enumerate().map(|(at, span)| (span.id, at)).collect();
    let owners = vec![None; spans.len()];
    let served = spans.iter().filter(|span| span.role == Role::Serves);
    let mut fold = Fold {
        spans,
        cut: circles(spans, &places),
        places,
        requests: Vec::new(),
        owners,
        passed: vec![usize::MAX; spans.len()],
        answered: served.map(|span| span.parent).collect(),
        missing: BTreeMap::new(),
        names,
        left_out,
    };
    for at in 0..spans.len() {
        fold.owner(at);
    }
    fold.calls();
    for request in &mut fold.requests {
        request.calls.sort_by_key(|call| (call.start, call.end, call.to));
        request.parts.sort_by_key(|part| (part.start, part.of, part.took));
    }
    fold.requests
}

/// The earliest span of each circle of parents. A circle has no beginning, and so no request from outside:
/// the parent of this span is taken for a mistake of the recorder.
fn circles(spans: &[Span], places: &FxHashMap<u64, usize>) -> FxHashSet<usize> {
    let parent = |at: usize| places.get(&spans[at].parent).copied().filter(|parent| *parent != at);
    let mut circles = FxHashSet::default();
    // Of each span, which walk passed it first. A walk that meets itself has found a circle.
    let mut passed = vec![usize::MAX; spans.len()];
    for first in 0..spans.len() {
        let mut here = Some(first);
        while let Some(at) = here.filter(|at| passed[*at] == usize::MAX) {
            passed[at] = first;
            here = parent(at);
        }
        if let Some(met) = here.filter(|at| passed[*at] == first) {
            let around = iter::successors(Some(met), |at| parent(*at).filter(|next| *next != met));
            circles.extend(around.min_by_key(|at| (spans[*at].start, *at)));
        }
    }
    circles
}

impl Fold<'_> {
    fn parent(&self, at: usize) -> Option<usize> {
        let parent = *self.places.get(&self.spans[at].parent)?;
        (parent != at && !self.cut.contains(&at)).then_some(parent)
    }

    /// The request that a span belongs to. The walk up is a loop: a trace may be as deep as it likes, and
    /// its parents may go round in a circle.
    fn owner(&mut self, at: usize) -> Owner {
        let mut way = Vec::new();
        let mut here = at;
        let owner = loop {
            if let Some(known) = self.owners[here] {
                break known;
            }
            way.push(here);
            self.passed[here] = at;
            if self.is_request(here) {
                break Some(self.open(here));
            }
            match self.parent(here) {
                Some(parent) if self.is_around(parent, here) && self.passed[parent] != at => {
                    here = parent;
                }
                _ => break self.without_parent(here),
            }
        };
        for place in way {
            self.owners[place] = Some(owner);
        }
        owner
    }

    /// Whether a parent is of the same service, so that both belong to one request.
    fn is_around(&self, parent: usize, at: usize) -> bool {
        self.spans[parent].service == self.spans[at].service
    }

    fn is_request(&self, at: usize) -> bool {
        let span = &self.spans[at];
        match span.role {
            // A second SERVER span within the first is another layer of the same service.
            Role::Serves if span.is_root => !self.is_layer(at),
            Role::Serves => self
                .parent(at)
                .is_none_or(|parent| !self.is_around(parent, at) || self.spans[parent].role == Role::Calls),
            Role::Works => span.parent == 0,
            // Who only receives has no spans that process.
            Role::Receives => {
                span.name != NONE && {
                    let route = self.names.routes.get(span.name);
                    let topic = route.topic.expect("messages are of a topic");
                    !self.names.seen[topic as usize].processed_by.contains(&route.service)
                }
            }
            Role::Calls | Role::Asks | Role::Publishes => false,
        }
    }

    /// Whether the span around it processes the same messages.
    fn is_layer(&self, at: usize) -> bool {
        let span = &self.spans[at];
        self.parent(at).is_some_and(|parent| {
            let around = &self.spans[parent];
            self.is_around(parent, at)
                && around.role == Role::Serves
                && around.is_root
                && around.name == span.name
        })
    }

    fn open(&mut self, at: usize) -> usize {
        let span = self.spans[at];
        let Span { name, start, end, has_failed, instance, bytes, role, is_root, .. } = span;
        let is_message = name != NONE && self.is_request(at) && self.names.routes.get(name).topic.is_some();
        let came = is_message.then(|| self.came(at));
        let by_parent = if came == Some(Came::Parent) { whole_id(span.trace, span.parent) } else { 0 };
        self.requests.push(Request {
            route: name,
            start,
            end,
            has_failed,
            instance,
            bytes,
            is_guessed: is_root || role != Role::Serves,
            is_entry: true,
            calls: Vec::new(),
            parts: Vec::new(),
            messages: if is_message { span.messages.max(1) } else { 1 },
            came,
            sender: if span.link != 0 { span.link } else { by_parent },
        });
        self.requests.len() - 1
    }

    /// How a message came: its parent is another service's span, or one that sent it.
    fn came(&self, at: usize) -> Came {
        let span = self.spans[at];
        let is_sent = match self.parent(at) {
            Some(parent) => !self.is_around(parent, at) || self.spans[parent].role == Role::Publishes,
            None => span.parent != 0,
        };
        match (is_sent, span.link) {
            (true, _) => Came::Parent,
            (false, 0) => Came::Alone,
            (false, _) => Came::Link,
        }
    }

    /// The request of a span whose parent the file does not have, or has of another service.
    fn without_parent(&mut self, at: usize) -> Owner {
        let span = self.spans[at];
        // Messages of no topic, and those that are only received, do not tell of a request.
        if span.role == Role::Receives || span.role == Role::Publishes && span.name == NONE {
            return None;
        }
        // Who calls without being called is a client outside, as long as the callee says what it did.
        if span.role == Role::Calls && span.parent == 0 && self.answered.contains(&span.id) {
            return None;
        }
        let key = (span.service, if span.parent == 0 { span.id } else { span.parent });
        let known = self.missing.get(&key).copied();
        let request = match known {
            Some(request) => request,
            None => {
                let route = self.names.route(span.service, "GET".to_owned(), "/".to_owned(), false);
                let Some(route) = route else {
                    self.left_out.add(Reason::TooManyRoutes);
                    return None;
                };
                let request = self.open(at);
                self.requests[request].route = route;
                self.requests[request].has_failed = false;
                self.missing.insert(key, request);
                request
            }
        };
        let around = &mut self.requests[request];
        (around.start, around.end) = (around.start.min(span.start), around.end.max(span.end));
        Some(request)
    }

    /// The outermost CLIENT span around a span in its service; itself, if there is no other.
    fn outermost(&self, at: usize) -> usize {
        let (mut outermost, mut here) = (at, at);
        for _ in 0..MAX_LAYERS {
            match self.parent(here) {
                Some(parent) if self.is_around(parent, here) && self.spans[parent].role != Role::Serves => {
                    here = parent;
                    if self.spans[here].role == Role::Calls {
                        outermost = here;
                    }
                }
                _ => break,
            }
        }
        outermost
    }

    /// Gives every request its calls.
    fn calls(&mut self) {
        let mut answered = FxHashSet::default();
        for at in 0..self.spans.len() {
            let span = self.spans[at];
            if span.role == Role::Serves && self.is_request(at) && !span.is_root {
                self.called(at, &mut answered);
            }
        }
        for at in 0..self.spans.len() {
            let span = self.spans[at];
            if span.role == Role::Publishes && (span.name == NONE || self.owners[at].flatten().is_none()) {
                self.left_out.add(Reason::Messages);
            }
            let Some(Some(owner)) = self.owners[at] else { continue };
            match span.role {
                Role::Calls if !answered.contains(&at) && self.outermost(at) == at => {
                    let call = Call {
                        to: span.name,
                        start: span.start,
                        end: span.end,
                        is_guessed: true,
                        // Of a callee that says what it served, this is a failure on the way.
                        has_failed: span.has_failed && !self.is_told(span.name),
                        is_lost: span.has_failed,
                        resent: span.resent,
                        gaps: None,
                    };
                    self.requests[owner].calls.push(call);
                }
                Role::Asks if span.name != NONE && !self.is_within(at, Role::Asks) => {
                    self.add_part(owner, Of::Statement(span.name), span);
                }
                Role::Publishes if span.name != NONE => {
                    self.add_part(owner, Of::Topic(span.name), span);
                }
                _ => {}
            }
        }
        self.missing_callers();
    }

    fn add_part(&mut self, owner: usize, of: Of, span: Span) {
        let Span { start, end, messages, spread, has_failed, .. } = span;
        let took = end.min(self.requests[owner].end).saturating_sub(start);
        self.requests[owner].parts.push(Part { of, start, took, messages, spread, has_failed });
    }

    /// Whether the parent is a span of the same service and of this role: two layers that record the same.
    fn is_within(&self, at: usize, role: Role) -> bool {
        self.parent(at).is_some_and(|parent| self.is_around(parent, at) && self.spans[parent].role == role)
    }

    /// Whether the callee of a route has spans elsewhere in the file.
    fn is_told(&self, route: u32) -> bool {
        route != NONE && self.names.serves(self.names.routes.get(route).service)
    }

    /// A request with its own span: who called it?
    fn called(&mut self, at: usize, answered: &mut FxHashSet<usize>) {
        let span = self.spans[at];
        let Some(Some(request)) = self.owners[at] else { return };
        let Some(parent) = self.parent(at) else {
            if span.parent != 0 {
                self.left_out.add(Reason::MissingParent);
            }
            return;
        };
        let near = self.spans[parent];
        if near.role == Role::Publishes || near.role == Role::Asks {
            return;
        }
        let client = (near.role == Role::Calls).then(|| self.outermost(parent));
        let around = client.map_or(span, |client| self.spans[client]);
        if let Some(client) = client {
            answered.insert(client);
        }
        let Some(Some(owner)) = self.owners[client.unwrap_or(parent)] else { return };
        self.requests[request].is_entry = false;
        let gap = |from: Nanos, to: Nanos| i64::try_from(i128::from(to) - i128::from(from)).unwrap_or(0);
        self.requests[owner].calls.push(Call {
            to: span.name,
            start: around.start,
            end: around.end,
            is_guessed: false,
            has_failed: span.has_failed,
            is_lost: span.has_failed || around.has_failed,
            resent: around.resent,
            gaps: client.map(|_| (gap(near.start, span.start), gap(span.end, near.end))),
        });
    }

    /// Requests without a span of their own, whose parent is another service's span.
    fn missing_callers(&mut self) {
        let mut missing: Vec<_> =
            self.missing.iter().map(|((_, parent), request)| (*parent, *request)).collect();
        missing.sort_unstable();
        for (parent, request) in missing {
            let Some(&parent) = self.places.get(&parent) else { continue };
            let Some(Some(owner)) = self.owners[parent] else { continue };
            if owner == request {
                continue;
            }
            let Request { route, start, end, has_failed, .. } = self.requests[request];
            self.requests[request].is_entry = false;
            self.requests[owner].calls.push(Call {
                to: route,
                start,
                end,
                is_guessed: false,
                has_failed,
                is_lost: has_failed,
                resent: 0,
                gaps: None,
            });
        }
    }
}
