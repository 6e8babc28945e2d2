//! What all requests of a route have in common, summed up.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

use crate::model::Nanos;

use super::bounds::MAX_CALLS;
use super::names::Names;
use super::notes::{LeftOut, Reason};
use super::span::NONE;
use super::trace::{Call, Request};

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
    pub requests: u64,
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
    /// Of each statement: spans and their time.
    pub statements: BTreeMap<u32, (u64, u128)>,
}

/// How requests were served.
#[derive(Debug, Default)]
pub struct Served {
    pub count: u64,
    /// Those that failed though no callee did.
    pub failed: u64,
    /// Own times: without those in which calls were under way.
    pub own: Vec<Nanos>,
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
        let service = names.routes.get(request.route).service;
        self.moments.entry(service).or_default().extend([(start, 1), (end, -1)]);
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
                self.routes[call.to as usize].guessed.add(call.is_lost, call.end - call.start);
                self.moments.entry(callee).or_default().extend([(call.start, 1), (call.end, -1)]);
            }
        }
        self.routes[request.route as usize].add(request, &calls, left_out);
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
    fn add(&mut self, has_failed: bool, own: Nanos) {
        self.count += 1;
        self.failed += u64::from(has_failed);
        self.own.push(own);
    }
}

impl Route {
    fn add(&mut self, request: &Request, calls: &[Call], left_out: &mut LeftOut) {
        let was_caused = calls.iter().any(|call| call.has_failed);
        let failed_alone = request.has_failed && !was_caused;
        self.served.add(failed_alone, own_time(request));
        self.without_span += u64::from(request.is_guessed);
        self.entries += u64::from(request.is_entry);
        self.failed_for_callee += u64::from(request.has_failed && was_caused);
        if request.bytes != NONE {
            self.answers = (self.answers.0 + 1, self.answers.1 + u64::from(request.bytes));
        }
        for (statement, took) in &request.statements {
            let sum = self.statements.entry(*statement).or_default();
            *sum = (sum.0 + 1, sum.1 + u128::from(*took));
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
            calls.requests += 1;
            calls.ranks += rank as u64;
            calls.made += if failed_alone { 0 } else { group.len() as u64 };
            calls.repeated += u64::from(group.len() > 1);
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
