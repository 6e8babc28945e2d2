//! What struck a span, said on the span itself: `[telemetry] label-faults = true`.

use std::cell::RefCell;
use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use crate::context::SpanId;
use crate::telemetry::record::{KeyValue, SpanRecord, Text, Value};

use super::event::Firing;

/// The names of the faults that struck the span, in the order in which they did.
const NAME: &str = "simhost.fault.name";
/// Their kinds.
const KIND: &str = "simhost.fault.kind";

/// Spans that have yet to end, at most: of a trace that is not kept, none ever does.
const WAITING: usize = 65_536;

/// Labels that wait for the ends of their spans.
#[derive(Debug, Default)]
pub struct Labels {
    waiting: RefCell<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    by_span: FxHashMap<SpanId, Struck>,
    order: VecDeque<SpanId>,
}

#[derive(Debug, Default)]
struct Struck {
    names: Vec<String>,
    kinds: Vec<String>,
}

impl Labels {
    /// A fault has struck.
    pub fn note(&self, firing: &Firing) {
        let Some(span) = firing.signs.first().copied() else { return };
        let Waiting { by_span, order } = &mut *self.waiting.borrow_mut();
        if !by_span.contains_key(&span) {
            order.push_back(span);
            if order.len() > WAITING
                && let Some(oldest) = order.pop_front()
            {
                by_span.remove(&oldest);
            }
        }
        let struck = by_span.entry(span).or_default();
        struck.names.push(firing.rule.to_string());
        struck.kinds.push(firing.kind.to_owned());
    }

    /// A span has ended: says on it what struck it.
    pub fn put(&self, span: &mut SpanRecord) {
        let Waiting { by_span, order } = &mut *self.waiting.borrow_mut();
        let Some(Struck { names, kinds }) = by_span.remove(&span.span_id) else { return };
        if by_span.is_empty() {
            order.clear();
        }
        for (key, values) in [(NAME, names), (KIND, kinds)] {
            span.attributes.own.push(KeyValue { key: Text::Static(key), value: Value::Texts(values) });
        }
    }
}
