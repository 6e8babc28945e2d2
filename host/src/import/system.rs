//! What all requests of a route have in common, summed up.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::model::Nanos;

use super::bounds::{MAX_CALLS, MAX_STATEMENTS};
use super::names::{Asks, Names};
use super::notes::{LeftOut, Reason};
use super::span::NONE;
use super::trace::{Call, Came, Of, Request};

/// All routes of a file, by number, and what lies between services.
#[derive(Debug, Default)]
pub struct System {
    pub routes: Vec<Route>,
    /// One way each, by caller and callee: nanoseconds.
    pub gaps: BTreeMap<(u32, u32), Vec<Nanos>>,
    /// By caller and callee, the most attempts that were sent after the first.
    pub retries: BTreeMap<(u32, u32), u8>,
    /// Of each service, when requests began (+1) and ended (-1).
    pub moments: BTreeMap<u32, Vec<(Nanos, i8)>>,
    /// Of each instance, its service, its first and its last request.
    pub instances: BTreeMap<u32, (Nanos, Nanos)>,
    pub first: Option<Nanos>,
    pub last: Nanos,
    /// The time of the longest request.
    pub longest: Nanos,
    pub requests: u64,
    /// How often a message came to a route, by the span that sent it.
    deliveries: FxHashMap<(u64, u32), u16>,
}

/// The requests of one route.
#[derive(Debug, Default)]
pub struct Route {
    /// Requests with a span of this service.
    pub served: Served,
    /// Requests that only their callers' spans tell of.
    pub guessed: Served,
    /// Requests that no other service sent.
    pub entries: u64,
    /// Requests without a SERVER span: messages, jobs, and requests whose span is missing.
    pub without_span: u64,
    /// Requests that failed for a callee.
    pub failed_for_callee: u64,
    /// Lengths of answers: their number and sum.
    pub answers: (u64, u64),
    pub calls: IndexMap<u32, Calls, FxBuildHasher>,
    /// Of two callees, by their place in `calls`: requests with both, and with both at the same time.
    pub pairs: BTreeMap<(usize, usize), (u64, u64)>,
    pub statements: BTreeMap<u32, Asked>,
    /// Messages that are sent, by topic.
    pub publishes: BTreeMap<u32, Calls>,
    /// What is looked up in caches.
    pub kept: BTreeMap<u32, Kept>,
    /// Statements, commands and messages of the requests that are served, one request after the other.
    parts: Vec<Taken>,
    pub messages: Messages,
}

/// What a route has of the messages that it stands for.
#[derive(Debug, Default)]
pub struct Messages {
    /// How they came.
    pub came: BTreeMap<Came, u64>,
    /// Requests with several, and the most that one had.
    pub batches: u64,
    pub batch_most: u16,
    /// How often one came, at most; 0 where that is not known.
    pub deliveries: u16,
    /// When processing began (+1) and ended (-1).
    pub moments: Vec<(Nanos, i8)>,
    pub requests: u64,
}

/// A statement or a command in the requests of a route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub spans: u64,
    pub time: u128,
    /// Those of requests that have not failed by themselves.
    pub made: u64,
    /// The sum of its places among the statements of a request, and how many places there are.
    pub ranks: u64,
    pub requests: u64,
}

/// The commands for one cache in the requests of a route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// Requests that look an entry up, and those that then set one.
    pub requests: u64,
    pub misses: u64,
    /// Those that set none, and that call, ask or send all the same.
    pub busy_hits: u64,
    /// All commands for it.
    pub gets: u64,
    pub sets: u64,
    /// The time of the requests that set an entry.
    pub making: u128,
}

/// The time of a request without its calls, and of which parts it is.
#[derive(Clone, Copy, Debug)]
struct Time {
    own: Nanos,
    first: u32,
    parts: u32,
    messages: u16,
}

/// The time of a statement, a command, or of sending a message.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub of: Of,
    pub took: Nanos,
    pub spread: u16,
}

/// How requests were served.
#[derive(Debug, Default)]
pub struct Served {
    pub count: u64,
    /// Those that failed though no callee did.
    pub failed: u64,
    times: Vec<Time>,
}

/// The calls of one route to another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// Requests with one or more.
    pub requests: u64,
    /// Calls of requests that have not failed by themselves.
    pub made: u64,
    /// Requests with several, and with several at the same time.
    pub repeated: u64,
    pub overlapping: u64,
    /// Requests whose call failed, and of those the ones that did not fail.
    pub failed: u64,
    pub survived: u64,
    /// Requests that failed for a callee, with this call.
    pub before_failure: u64,
    /// The sum of its places in the order of callees.
    pub ranks: u64,
}

impl System {
    /// Adds the requests of one trace.
    pub fn add(&mut self, requests: &[Request], names: &Names, left_out: &mut LeftOut) {
        self.routes.resize_with(names.routes.len(), Route::default);
        for request in requests {
            self.request(request, names, left_out);
        }
    }

    fn request(&mut self, request: &Request, names: &Names, left_out: &mut LeftOut) {
        let Request { start, end, .. } = *request;
        self.requests += 1;
        self.first = Some(self.first.map_or(start, |first| first.min(start)));
        self.last = self.last.max(start);
        self.longest = self.longest.max(end - start);
        let service = names.routes.get(request.route).service;
        self.moments.entry(service).or_default().extend([(start, 1), (end, -1)]);
        self.message(request);
        if request.instance != NONE {
            let seen = self.instances.entry(request.instance).or_insert((start, end));
            *seen = (seen.0.min(start), seen.1.max(end));
        }
        let calls = drawn(request, names, left_out);
        for call in &calls {
            let callee = names.routes.get(call.to).service;
            if let Some(gaps) = call.gaps {
                self.gaps.entry((service, callee)).or_default().extend(ways(gaps));
            }
            if call.resent > 0 {
                let most = self.retries.entry((service, callee)).or_default();
                *most = call.resent.max(*most);
            }
            if call.is_guessed {
                let time = Time { own: call.end - call.start, first: 0, parts: 0, messages: 1 };
                self.routes[call.to as usize].guessed.add(call.is_lost, time);
                self.moments.entry(callee).or_default().extend([(call.start, 1), (call.end, -1)]);
            }
        }
        self.routes[request.route as usize].add(request, &calls, names, left_out);
    }

    /// Notes how messages came.
    fn message(&mut self, request: &Request) {
        let Some(came) = request.came else { return };
        let messages = &mut self.routes[request.route as usize].messages;
        *messages.came.entry(came).or_default() += 1;
        messages.requests += 1;
        messages.batches += u64::from(request.messages > 1);
        messages.batch_most = messages.batch_most.max(request.messages);
        messages.moments.extend([(request.start, 1), (request.end, -1)]);
        if request.sender != 0 {
            let count = self.deliveries.entry((request.sender, request.route)).or_default();
            *count = count.saturating_add(1);
            messages.deliveries = messages.deliveries.max(*count);
        }
    }
}

/// The calls that are drawn; the others are counted. Several attempts are one call, with the outcome of the
/// last.
fn drawn(request: &Request, names: &Names, left_out: &mut LeftOut) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let callee = |call: &Call| names.routes.get(call.to).service;
    for call in &request.calls {
        if call.to == NONE {
            left_out.add(Reason::CalleeUnnamed);
            continue;
        }
        let first = calls.iter_mut().rev().find(|first| call.resent > 0 && callee(first) == callee(call));
        match first {
            Some(first) => {
                (first.has_failed, first.is_lost) = (call.has_failed, call.is_lost);
                (first.resent, first.end) = (call.resent, call.end.max(first.end));
            }
            None => calls.push(Call { resent: 0, ..call.clone() }),
        }
    }
    calls
}

/// The two ways of a call. Clocks that differ shorten one and lengthen the other: then both are half of the
/// sum.
fn ways((there, back): (i64, i64)) -> impl Iterator<Item = Nanos> {
    let half = i64::midpoint(there, back);
    let ways = if there < 0 || back < 0 { [half, half] } else { [there, back] };
    ways.into_iter().filter_map(|way| Nanos::try_from(way).ok())
}

/// The time of a request in which no call was under way.
fn own_time(request: &Request) -> Nanos {
    let (mut own, mut covered) = (request.end - request.start, request.start);
    // What names no callee is not drawn: its time is the request's own.
    for call in request.calls.iter().filter(|call| call.to != NONE) {
        // The wait before a further attempt is the link's.
        let start = if call.resent > 0 { covered } else { call.start.max(covered) };
        let end = call.end.min(request.end);
        own -= end.saturating_sub(start);
        covered = covered.max(end);
    }
    own
}

impl Calls {
    /// Adds calls to the same route under another name.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.made += other.made;
        self.repeated += other.repeated;
        self.overlapping += other.overlapping;
        self.failed += other.failed;
        self.survived += other.survived;
        self.before_failure += other.before_failure;
        self.ranks += other.ranks;
    }
}

impl Served {
    fn add(&mut self, has_failed: bool, time: Time) {
        self.count += u64::from(time.messages);
        self.failed += if has_failed { u64::from(time.messages) } else { 0 };
        self.times.push(time);
    }
}

impl Route {
    /// Own times: without those in which calls were under way, and without what `drawn` says of each part.
    pub fn own_times(&self, drawn: impl Fn(&[Taken]) -> Nanos) -> Vec<Nanos> {
        let served = if self.served.count > 0 { &self.served } else { &self.guessed };
        let own = |time: &Time| {
            let parts = &self.parts[time.first as usize..][..time.parts as usize];
            let own = time.own.saturating_sub(drawn(parts)) / u64::from(time.messages);
            std::iter::repeat_n(own, usize::from(time.messages))
        };
        served.times.iter().flat_map(own).collect()
    }

    /// The times of all parts.
    pub fn parts(&self) -> &[Taken] {
        &self.parts
    }

    fn add(&mut self, request: &Request, calls: &[Call], names: &Names, left_out: &mut LeftOut) {
        let was_caused = calls.iter().any(|call| call.has_failed);
        let failed_alone = request.has_failed && !was_caused;
        let (first, parts) = (self.parts.len() as u32, request.parts.len() as u32);
        self.parts.extend(request.parts.iter().map(|part| Taken {
            of: part.of,
            took: part.took,
            spread: part.spread,
        }));
        let time = Time { own: own_time(request), first, parts, messages: request.messages };
        self.served.add(failed_alone, time);
        self.add_parts(request, failed_alone, calls.is_empty(), names, left_out);
        self.without_span += u64::from(request.is_guessed);
        self.entries += u64::from(request.is_entry);
        self.failed_for_callee += u64::from(request.has_failed && was_caused);
        if request.bytes != NONE {
            self.answers = (self.answers.0 + 1, self.answers.1 + u64::from(request.bytes));
        }
        let mut groups: IndexMap<usize, Vec<&Call>, FxBuildHasher> = IndexMap::default();
        for call in calls {
            match self.place(call.to) {
                Some(place) => groups.entry(place).or_default().push(call),
                None => left_out.add(Reason::TooManyCallees),
            }
        }
        for (rank, (place, group)) in groups.iter().enumerate() {
            let calls = &mut self.calls[*place];
            let is_lost = group.iter().any(|call| call.is_lost);
            // Each message of several makes its own.
            let requests = group.len().min(usize::from(request.messages)) as u64;
            calls.requests += requests;
            calls.ranks += rank as u64 * requests;
            calls.made += if failed_alone { 0 } else { group.len() as u64 };
            calls.repeated += u64::from(group.len() > usize::from(request.messages));
            calls.overlapping += u64::from(group.windows(2).any(|pair| overlap(pair[0], pair[1])));
            calls.failed += u64::from(is_lost);
            calls.survived += u64::from(is_lost && !request.has_failed);
            calls.before_failure += u64::from(request.has_failed && was_caused);
            for (other, others) in groups.iter().take(rank) {
                let pair = (*place.min(other), *place.max(other));
                let (both, at_once) = self.pairs.entry(pair).or_default();
                *both += 1;
                *at_once += u64::from(any_overlap(group, others));
            }
        }
    }

    /// Adds statements, commands and messages.
    fn add_parts(
        &mut self,
        request: &Request,
        failed_alone: bool,
        is_without_calls: bool,
        names: &Names,
        left_out: &mut LeftOut,
    ) {
        let mut sent: BTreeMap<u32, (u64, bool)> = BTreeMap::new();
        let mut asked: Vec<u32> = Vec::new();
        // Of each cache: whether it was read and written.
        let mut caches: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut is_busy = !is_without_calls;
        for part in &request.parts {
            match part.of {
                Of::Topic(topic) => {
                    let (messages, has_failed) = sent.entry(topic).or_default();
                    *messages += u64::from(part.messages);
                    *has_failed |= part.has_failed;
                    is_busy = true;
                }
                Of::Statement(number) => {
                    let sum = self.statements.entry(number).or_default();
                    (sum.spans, sum.time) = (sum.spans + 1, sum.time + u128::from(part.took));
                    sum.made += u64::from(!failed_alone);
                    if !asked.contains(&number) && asked.len() < MAX_STATEMENTS {
                        (sum.requests, sum.ranks) = (sum.requests + 1, sum.ranks + asked.len() as u64);
                        asked.push(number);
                    }
                    let statement = names.statements.get(number);
                    let counts = caches.entry(statement.store);
                    match statement.asks {
                        Asks::Get => counts.or_default().0 += 1,
                        Asks::Set => counts.or_default().1 += 1,
                        _ => is_busy = true,
                    }
                }
            }
        }
        for (store, (gets, sets)) in caches {
            let kept = self.kept.entry(store).or_default();
            (kept.gets, kept.sets) = (kept.gets + gets, kept.sets + sets);
            kept.requests += u64::from(gets > 0);
            if gets > 0 && sets > 0 {
                kept.misses += 1;
                kept.making += u128::from(request.end - request.start);
            }
            kept.busy_hits += u64::from(gets > 0 && sets == 0 && is_busy);
        }
        // A dead letter is sent by who has failed.
        let is_failed = failed_alone || request.came.is_some() && request.has_failed;
        for (rank, (topic, (messages, has_failed))) in sent.into_iter().enumerate() {
            if self.publishes.len() >= MAX_CALLS && !self.publishes.contains_key(&topic) {
                left_out.add(Reason::TooManyCallees);
                continue;
            }
            let sum = self.publishes.entry(topic).or_default();
            let requests = messages.min(u64::from(request.messages));
            (sum.requests, sum.ranks) = (sum.requests + requests, sum.ranks + rank as u64);
            sum.made += if is_failed { 0 } else { messages };
            sum.failed += u64::from(has_failed);
            sum.survived += u64::from(has_failed && !request.has_failed);
        }
    }

    fn place(&mut self, to: u32) -> Option<usize> {
        if let Some(place) = self.calls.get_index_of(&to) {
            return Some(place);
        }
        if self.calls.len() == MAX_CALLS {
            return None;
        }
        Some(self.calls.insert_full(to, Calls::default()).0)
    }
}

/// Whether two calls are under way at the same time.
fn overlap(one: &Call, other: &Call) -> bool {
    one.start < other.end && other.start < one.end
}

/// Whether any call of one list is under way at the same time as one of the other; both by their start.
fn any_overlap(ones: &[&Call], others: &[&Call]) -> bool {
    let (mut ones, mut others) = (ones.iter().peekable(), others.iter().peekable());
    while let (Some(one), Some(other)) = (ones.peek(), others.peek()) {
        if overlap(one, other) {
            return true;
        }
        if one.end <= other.end {
            ones.next()
        } else {
            others.next()
        };
    }
    false
}
