//! Which traces a person wants to see.

mod attributes;
mod query;
mod renamed;
mod root;

pub use attributes::Attributes;
pub use query::{Holder, Query, QueryError};
pub use root::root_of;

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
    /// The root of the trace is of one of these services; any if there are none.
    pub roots: Vec<String>,
    /// It is of none of these.
    pub not_roots: Vec<String>,
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

impl Instant {
    /// Nanoseconds since the Unix epoch, where times are counted from `origin`.
    pub const fn of(self, origin: Nanos) -> Nanos {
        match self {
            Self::At(at) => at,
            Self::After(after) => origin.saturating_add(after),
        }
    }
}

impl Choice {
    /// Whether anything was said of which traces are wanted.
    pub const fn is_choosy(&self) -> bool {
        let Self { slowest, errors, service, route, id, query, roots, not_roots, between } = self;
        slowest.is_some()
            || *errors
            || service.is_some()
            || route.is_some()
            || id.is_some()
            || query.is_some()
            || !roots.is_empty()
            || !not_roots.is_empty()
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

    /// Whether anything is asked of the root of a trace.
    pub fn asks_of_root(&self) -> bool {
        let is_queried = self.query.as_ref().is_some_and(Query::asks_of_root);
        is_queried || !self.roots.is_empty() || !self.not_roots.is_empty()
    }

    /// Whether the root of a trace is as it is asked for: its service, and its name.
    pub fn is_rooted(&self, service: &str, name: &str) -> bool {
        let is_of = |services: &[String]| services.iter().any(|wanted| wanted == service);
        (self.roots.is_empty() || is_of(&self.roots))
            && !is_of(&self.not_roots)
            && self.query.as_ref().is_none_or(|query| query.meets_root(service, name))
    }

    /// Whether a trace has the id that is asked for.
    pub fn names(&self, id: TraceId) -> bool {
        self.id.as_ref().is_none_or(|wanted| id.to_string().starts_with(wanted.as_str()))
    }

    /// Whether a trace that begins at `start` does so in the interval that is asked for.
    pub fn has_begun_within(&self, start: Nanos, origin: Nanos) -> bool {
        self.between.is_none_or(|(from, to)| (from.of(origin)..to.of(origin)).contains(&start))
    }
}
