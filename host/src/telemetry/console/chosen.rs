//! The traces of a console that are wanted: drawn when they are ready, or, if only the slowest
//! are wanted, at the end.
//!
//! A trace may become wanted by what ends late. So those that are not are held for a while too,
//! as much as there is room for, and what ends late is joined to its trace.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rustc_hash::{FxHashMap, FxHashSet};

use super::assemble::{Missed, Part, Piece, Trace};
use super::parts::parts;
use crate::context::TraceId;
use crate::model::Nanos;
use crate::telemetry::choice::{Attributes, Choice, root_of};
use crate::telemetry::record::{LogRecord, Resource, SpanRecord};
use crate::telemetry::signal::Record;

/// What the traces take that are held: bytes.
pub const MAX_BYTES: usize = 64 << 20;
/// Traces remembered because they were drawn, for what ends later.
const MAX_DRAWN: usize = 262_144;

/// Which traces to draw.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub choice: Choice,
    /// When the run begins: nanoseconds since the Unix epoch.
    pub origin: Nanos,
}

/// Length, then the earlier of equal ones: the last is the first to be drawn.
type Rank = (Nanos, Reverse<u64>, TraceId);

#[derive(Debug)]
struct Candidate {
    trace: Trace,
    /// Its place in the order in which traces were ready.
    number: u64,
    /// Its place in the order in which traces make room for others.
    place: u64,
    start: Nanos,
    end: Nanos,
    /// One of its spans is as it is asked for.
    is_met: bool,
    /// It is all that is asked for.
    is_wanted: bool,
    /// Bytes.
    weight: usize,
}

#[derive(Debug)]
pub struct Chooser {
    wanted: Wanted,
    held: FxHashMap<TraceId, Candidate>,
    /// The order in which they make room for others.
    order: BTreeMap<u64, TraceId>,
    next_place: u64,
    /// Those that are wanted, where only the slowest are drawn.
    ranks: BTreeSet<Rank>,
    bytes: usize,
    max_bytes: usize,
    drawn: FxHashSet<TraceId>,
    drawn_order: VecDeque<TraceId>,
    /// Traces that were ready, and those of them that were drawn.
    seen: u64,
    matched: u64,
    /// Traces that are among the slowest and for which there was no room.
    left_out: u64,
    /// Records of chosen traces that are in none of their parts.
    missed: Missed,
    attributes: Attributes,
}

impl Chooser {
    pub fn new(wanted: Wanted) -> Self {
        Self::with_room(wanted, MAX_BYTES)
    }

    fn with_room(wanted: Wanted, max_bytes: usize) -> Self {
        Self {
            attributes: Attributes::of(&wanted.choice),
            wanted,
            held: FxHashMap::default(),
            order: BTreeMap::new(),
            next_place: 0,
            ranks: BTreeSet::new(),
            bytes: 0,
            max_bytes,
            drawn: FxHashSet::default(),
            drawn_order: VecDeque::new(),
            seen: 0,
            matched: 0,
            left_out: 0,
            missed: Missed::default(),
        }
    }

    /// What of these is to be drawn now.
    pub fn choose(&mut self, pieces: Vec<Piece>, resources: &[Resource]) -> Vec<Piece> {
        pieces
            .into_iter()
            .flat_map(|piece| match piece {
                Piece::Trace(trace) => self.add(trace, resources),
                // It belongs to no trace.
                Piece::Log(_) => Vec::new(),
            })
            .collect()
    }

    /// The slowest, where they are wanted, the longest first.
    pub fn finish(&mut self) -> Vec<Piece> {
        let Some(most) = self.wanted.choice.slowest else { return Vec::new() };
        let ranks = std::mem::take(&mut self.ranks);
        let slowest = ranks.into_iter().rev().take(most).filter_map(|(_, _, id)| self.held.remove(&id));
        let traces: Vec<_> = slowest.map(|candidate| candidate.trace).collect();
        self.held.clear();
        self.order.clear();
        self.bytes = 0;
        self.matched += traces.len() as u64;
        traces.into_iter().flat_map(|trace| self.drawn_apart(trace)).collect()
    }

    /// The parts of a chosen trace. What ended late, and is all that is left of it, is one.
    fn drawn_apart(&mut self, trace: Trace) -> Vec<Piece> {
        if matches!(trace.part, Part::Later { .. }) {
            return vec![Piece::Trace(trace)];
        }
        let (pieces, missed) = parts(trace);
        self.missed.add(missed);
        pieces
    }

    /// Records of chosen traces that were never drawn.
    pub const fn missed(&self) -> Missed {
        self.missed
    }

    /// How many there were, and were drawn, and were left out for want of room.
    pub const fn sums(&self) -> (u64, u64, u64) {
        (self.seen, self.matched, self.left_out)
    }

    /// A sentence for each attribute that is asked for and that nothing has.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.attributes.notes()
    }

    /// What of it, and of what is held of its trace, is to be drawn now.
    fn add(&mut self, trace: Trace, resources: &[Resource]) -> Vec<Piece> {
        let id = trace.id;
        self.seen += u64::from(!matches!(trace.part, Part::Later { .. }));
        let resource = |span: &SpanRecord| &resources[span.resource.0 as usize];
        trace.spans.iter().for_each(|span| self.attributes.add(span, resource(span)));
        if !self.wanted.choice.names(id) {
            return Vec::new();
        }
        let is_later = matches!(trace.part, Part::Later { .. });
        if is_later && self.drawn.contains(&id) {
            return vec![Piece::Trace(trace)];
        }
        let Wanted { choice, origin } = &self.wanted;
        let is_met = trace.spans.iter().any(|span| choice.meets(span, resource(span)));
        let origin = *origin;
        let mut candidate = match self.take(id) {
            Some(mut earlier) => {
                earlier.join(trace);
                earlier
            }
            None => Candidate::of(trace, self.seen),
        };
        let choice = &self.wanted.choice;
        candidate.is_met |= is_met;
        candidate.is_wanted = candidate.is_met
            && choice.has_begun_within(candidate.start, origin)
            && candidate.is_rooted(choice, resources);
        if candidate.is_wanted && self.wanted.choice.slowest.is_none() {
            self.matched += 1;
            self.remember(id);
            return self.drawn_apart(candidate.trace);
        }
        self.hold(candidate);
        Vec::new()
    }

    fn hold(&mut self, mut candidate: Candidate) {
        let id = candidate.trace.id;
        candidate.place = self.next_place;
        self.next_place += 1;
        self.order.insert(candidate.place, id);
        if candidate.is_wanted {
            self.ranks.insert(candidate.rank());
        }
        self.bytes += candidate.weight;
        self.held.insert(id, candidate);
        self.make_room();
    }

    /// Takes a trace that is held.
    fn take(&mut self, id: TraceId) -> Option<Candidate> {
        let candidate = self.held.remove(&id)?;
        self.bytes -= candidate.weight;
        self.order.remove(&candidate.place);
        self.ranks.remove(&candidate.rank());
        Some(candidate)
    }

    /// Lets go of what was added first and is not among the slowest; where these alone are too
    /// much, of the fastest of them.
    fn make_room(&mut self) {
        while self.bytes > self.max_bytes {
            let most = self.wanted.choice.slowest.unwrap_or(0);
            let least = self.ranks.iter().rev().nth(most.saturating_sub(1)).copied();
            let is_kept = |candidate: &Candidate| {
                candidate.is_wanted && least.is_none_or(|least| candidate.rank() >= least)
            };
            let mut dropped =
                self.order.values().find(|id| self.held.get(id).is_some_and(|held| !is_kept(held))).copied();
            if dropped.is_none() {
                dropped = self.ranks.first().map(|(_, _, id)| *id);
                self.left_out += u64::from(dropped.is_some());
            }
            if dropped.and_then(|id| self.take(id)).is_none() {
                return;
            }
        }
    }

    fn remember(&mut self, id: TraceId) {
        if self.drawn.insert(id) {
            self.drawn_order.push_back(id);
        }
        if self.drawn_order.len() > MAX_DRAWN
            && let Some(oldest) = self.drawn_order.pop_front()
        {
            self.drawn.remove(&oldest);
        }
    }
}

impl Candidate {
    fn of(trace: Trace, number: u64) -> Self {
        let start = match trace.part {
            Part::Later { start, .. } => start,
            Part::Whole | Part::Unfinished => Nanos::MAX,
        };
        let start = trace.spans.iter().map(|span| span.start).fold(start, Nanos::min);
        let end = trace.spans.iter().map(|span| span.end).fold(start, Nanos::max);
        let weight = weight(&trace);
        Self { trace, number, place: 0, start, end, is_met: false, is_wanted: false, weight }
    }

    /// Whether its root is as it is asked for, as far as it has ended.
    fn is_rooted(&self, choice: &Choice, resources: &[Resource]) -> bool {
        let root = root_of(self.trace.spans.iter()).filter(|_| choice.asks_of_root());
        root.is_none_or(|root| choice.is_rooted(&resources[root.resource.0 as usize].service, &root.name))
    }

    /// Adds what ended later.
    fn join(&mut self, later: Trace) {
        self.weight += weight(&later);
        let Trace { spans, logs, lost_spans, lost_logs, .. } = later;
        self.end = spans.iter().map(|span| span.end).fold(self.end, Nanos::max);
        self.trace.spans.extend(spans);
        self.trace.logs.extend(logs);
        self.trace.lost_spans += lost_spans;
        self.trace.lost_logs += lost_logs;
    }

    const fn rank(&self) -> Rank {
        (self.end.saturating_sub(self.start), Reverse(self.number), self.trace.id)
    }
}

fn weight(trace: &Trace) -> usize {
    size_of::<Candidate>()
        + trace.spans.iter().map(SpanRecord::weight).sum::<usize>()
        + trace.logs.iter().map(LogRecord::weight).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::{SpanId, TraceFlags};
    use crate::telemetry::choice::Query;
    use crate::telemetry::record::{Attributes, ResourceId, Scope, SpanKind, Status, Text};
    use std::num::{NonZeroU64, NonZeroU128};

    fn id(number: u64) -> TraceId {
        TraceId(NonZeroU128::new(u128::from(number)).expect("not 0"))
    }

    /// A trace with one span of this length.
    fn trace(number: u64, part: Part, length: Nanos) -> Piece {
        let span = SpanRecord {
            trace_id: id(number),
            span_id: SpanId(NonZeroU64::new(number).expect("not 0")),
            parent: None,
            remote_parent: false,
            flags: TraceFlags(TraceFlags::SAMPLED),
            trace_state: None,
            resource: ResourceId(0),
            scope: Scope::Bus,
            kind: SpanKind::Server,
            name: Text::Static("GET"),
            start: 1_000,
            end: 1_000 + length,
            attributes: Attributes::default(),
            events: Vec::new(),
            links: Box::default(),
            status: Status::Unset,
            dropped_attributes: 0,
            dropped_events: 0,
        };
        let (spans, logs) = (vec![span], Vec::new());
        Piece::Trace(Trace { id: id(number), part, spans, logs, lost_spans: 0, lost_logs: 0 })
    }

    fn later(number: u64, length: Nanos) -> Piece {
        trace(number, Part::Later { start: 1_000, name: Text::Static("GET") }, length)
    }

    fn slowest(most: usize, max_bytes: usize) -> Chooser {
        let choice = Choice { slowest: Some(most), ..Choice::default() };
        Chooser::with_room(Wanted { choice, origin: 0 }, max_bytes)
    }

    fn choose(chooser: &mut Chooser, pieces: Vec<Piece>) -> Vec<(u64, usize)> {
        let resources = [Resource { service: "a".into(), attributes: Vec::new() }];
        let chosen = chooser.choose(pieces, &resources);
        drawn(chosen)
    }

    /// The number of each trace, and how many spans its parts have.
    fn drawn(pieces: Vec<Piece>) -> Vec<(u64, usize)> {
        let mut drawn: Vec<(u64, usize)> = Vec::new();
        for piece in pieces {
            let Piece::Trace(Trace { id, spans, .. }) = piece else { panic!("no log is chosen") };
            let number = id.0.get() as u64;
            match drawn.last_mut().filter(|(last, _)| *last == number) {
                Some((_, all)) => *all += spans.len(),
                None => drawn.push((number, spans.len())),
            }
        }
        drawn
    }

    #[test]
    fn what_ends_late_is_joined_to_its_trace_and_counts_for_its_length() {
        let mut chooser = slowest(2, MAX_BYTES);
        let all = (1..=9).map(|number| trace(number, Part::Whole, 10 * number)).collect();
        assert_eq!(choose(&mut chooser, all), []);
        assert_eq!(choose(&mut chooser, vec![later(3, 500)]), []);
        assert_eq!(drawn(chooser.finish()), [(3, 2), (9, 1)]);
        assert_eq!(chooser.sums(), (9, 2, 0));
    }

    #[test]
    fn the_slowest_of_many_traces_stay_within_the_bound() {
        let Piece::Trace(one) = trace(1, Part::Whole, 1) else { panic!("a trace") };
        let mut chooser = slowest(3, 10 * weight(&one));
        for number in 1..=1_000 {
            // The slowest come early, among all others.
            let length = if number == 7 || number == 8 { 1_000_000 - number } else { number };
            choose(&mut chooser, vec![trace(number, Part::Whole, length)]);
            assert!(chooser.held.len() <= 10 && chooser.order.len() == chooser.held.len());
        }
        assert_eq!(drawn(chooser.finish()), [(7, 1), (8, 1), (1_000, 1)]);
        assert_eq!(chooser.sums(), (1_000, 3, 0));
    }

    #[test]
    fn the_fastest_of_the_slowest_are_left_out_where_they_alone_are_too_much() {
        let Piece::Trace(one) = trace(1, Part::Whole, 1) else { panic!("a trace") };
        let mut chooser = slowest(5, 3 * weight(&one));
        let all = (1..=9).map(|number| trace(number, Part::Whole, 10 * number)).collect();
        choose(&mut chooser, all);
        assert_eq!(drawn(chooser.finish()), [(9, 1), (8, 1), (7, 1)]);
        assert!(chooser.sums().2 > 0, "{:?}", chooser.sums());
    }

    #[test]
    fn a_trace_that_becomes_wanted_late_is_drawn_whole() {
        let query = Query::parse("{ duration > 100ns }", |_| Some(100)).expect("a query");
        let choice = Choice { query: Some(query), ..Choice::default() };
        let mut chooser = Chooser::new(Wanted { choice, origin: 0 });
        let first = vec![trace(1, Part::Whole, 50), trace(2, Part::Whole, 200)];
        assert_eq!(choose(&mut chooser, first), [(2, 1)]);
        assert_eq!(choose(&mut chooser, vec![later(1, 300), later(2, 20)]), [(1, 2), (2, 1)]);
        assert_eq!(chooser.sums(), (2, 2, 0));
        assert_eq!(chooser.bytes, 0);
    }
}
