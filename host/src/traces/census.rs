//! The first reading of a file: what each of its traces is, and whether it is wanted.

use rustc_hash::FxHashMap;

use super::Wanted;
use super::exemplar::Search;
use super::foreign::Foreign;
use super::names::Names;
use super::records::{self, Line};
use crate::context::TraceId;
use crate::model::Nanos;
use crate::telemetry::record::SpanRecord;

/// Traces of a file that are looked at; spans of others are counted.
pub const MAX_TRACES: usize = 2_000_000;

/// Characters that are kept of what a root is called.
const ROOT: usize = 200;

/// What is known of a trace after the first reading.
#[derive(Clone, Debug)]
pub struct Summary {
    pub id: TraceId,
    pub start: Nanos,
    pub end: Nanos,
    /// `service name` of its root, or of the first of its spans to begin; as the file has it.
    pub root: String,
    root_start: Nanos,
    has_root: bool,
    pub spans: u32,
    pub errors: u32,
    /// One of its spans is as it is asked for.
    is_met: bool,
    /// Its root is.
    is_rooted: bool,
}

pub struct Census {
    /// In the order in which they come in the file.
    pub traces: Vec<Summary>,
    places: FxHashMap<TraceId, usize>,
    /// Spans of traces for which there was no room.
    pub beyond: u64,
    /// Lines that are no OTLP.
    pub strange: u64,
    pub names: Names,
    pub search: Search,
    /// Spans that were left out, and those that have no length.
    pub without_ids: u64,
    pub without_start: u64,
    pub without_end: u64,
    /// Lines that are.
    pub lines: u64,
    /// What the first of those is that are not.
    pub first: Option<Foreign>,
}

impl Census {
    /// Nothing has been read yet.
    pub fn of(wanted: &Wanted) -> Self {
        Self {
            traces: Vec::new(),
            places: FxHashMap::default(),
            beyond: 0,
            strange: 0,
            names: Names::of(&wanted.choice),
            search: Search::new(wanted.exemplar.clone()),
            without_ids: 0,
            without_start: 0,
            without_end: 0,
            lines: 0,
            first: None,
        }
    }

    /// Takes in a line of the file.
    pub fn add(&mut self, text: &str, wanted: &Wanted) {
        let Some(line) = records::line(text) else {
            self.first.get_or_insert_with(|| Foreign::of(text));
            self.strange += 1;
            return;
        };
        self.lines += 1;
        self.without_ids += line.without_ids;
        self.without_start += line.without_start;
        self.without_end += line.without_end;
        for span in &line.spans {
            self.names.add(span, line.resource(span), &wanted.choice);
            self.search.add(span, line.resource(span));
            let place = match self.places.get(&span.trace_id) {
                Some(place) => *place,
                None if self.traces.len() >= MAX_TRACES => {
                    self.beyond += 1;
                    continue;
                }
                None => {
                    self.places.insert(span.trace_id, self.traces.len());
                    self.traces.push(Summary::of(span));
                    self.traces.len() - 1
                }
            };
            self.traces[place].add(span, &line, wanted);
        }
    }
}

impl Summary {
    fn of(span: &SpanRecord) -> Self {
        Self {
            id: span.trace_id,
            start: span.start,
            end: span.end,
            root: String::new(),
            root_start: Nanos::MAX,
            has_root: false,
            spans: 0,
            errors: 0,
            is_met: false,
            is_rooted: false,
        }
    }

    fn add(&mut self, span: &SpanRecord, line: &Line, wanted: &Wanted) {
        let is_root = span.parent.is_none();
        if is_root && !self.has_root || is_root == self.has_root && span.start < self.root_start {
            let service = line.resource(span).service.chars();
            self.root = service.chain([' ']).chain(span.name.chars()).take(ROOT).collect();
            self.is_rooted = wanted.choice.is_rooted(&line.resource(span).service, &span.name);
            self.root_start = span.start;
            self.has_root |= is_root;
        }
        self.start = self.start.min(span.start);
        self.end = self.end.max(span.end);
        self.spans += 1;
        self.errors += u32::from(span.is_error());
        self.is_met |= wanted.choice.meets(span, line.resource(span));
    }

    /// Whether its spans and its root are as they are asked for.
    pub const fn is_wanted(&self) -> bool {
        self.is_met && self.is_rooted
    }
}
