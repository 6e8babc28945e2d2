//! Which traces a person wants to see.

mod attributes;
mod query;

pub use attributes::Attributes;
pub use query::{Holder, Query, QueryError};

use crate::context::TraceId;
use crate::model::Nanos;
use crate::telemetry::record::{Resource, SpanRecord, Value};

/// The traces that are wanted: those with a span that meets all that is asked of spans.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Of those that are wanted, this many of the longest.
    pub slowest: Option<usize>,
    /// The span failed.
    pub errors: bool,
    /// `service.name` of the span's resource.
    pub service: Option<String>,
    /// `http.route` of the span, or a part of its name.
    pub route: Option<String>,
    /// The beginning of the trace id, in lower-case hexadecimal.
    pub id: Option<String>,
    pub query: Option<Query>,
    /// The trace begins in this interval, its end left out.
    pub between: Option<(Instant, Instant)>,
}

/// An instant as the command line gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Nanoseconds since the Unix epoch.
    At(Nanos),
    /// Nanoseconds after the origin: of a run its start, of a file its first span.
    After(Nanos),
}

impl Choice {
    /// Whether anything was said of which traces are wanted.
    pub const fn is_choosy(&self) -> bool {
        let Self { slowest, errors, service, route, id, query, between } = self;
        slowest.is_some()
            || *errors
            || service.is_some()
            || route.is_some()
            || id.is_some()
            || query.is_some()
            || between.is_some()
    }

    /// Whether a span of this resource meets all that is asked of spans.
    pub fn meets(&self, span: &SpanRecord, resource: &Resource) -> bool {
        (!self.errors || span.is_error())
            && self.is_of_service(resource)
            && self.is_of_route(span)
            && self.query.as_ref().is_none_or(|query| query.meets(span, resource))
    }

    /// Whether this is the service that is asked for, if one is.
    pub fn is_of_service(&self, resource: &Resource) -> bool {
        self.service.as_ref().is_none_or(|wanted| **wanted == *resource.service)
    }

    /// Whether a span is of the route that is asked for, if one is.
    pub fn is_of_route(&self, span: &SpanRecord) -> bool {
        self.route.as_ref().is_none_or(|route| {
            let known = span.attributes.get("http.route");
            span.name.contains(route.as_str())
                || matches!(known, Some(Value::Text(known)) if **known == **route)
        })
    }

    /// Whether a trace has the id that is asked for.
    pub fn names(&self, id: TraceId) -> bool {
        self.id.as_ref().is_none_or(|wanted| id.to_string().starts_with(wanted.as_str()))
    }

    /// Whether a trace that begins at `start` does so in the interval that is asked for.
    pub fn has_begun_within(&self, start: Nanos, origin: Nanos) -> bool {
        let instant = |instant| match instant {
            Instant::At(at) => at,
            Instant::After(after) => origin.saturating_add(after),
        };
        self.between.is_none_or(|(from, to)| (instant(from)..instant(to)).contains(&start))
    }
}
