//! A request, or what is like one, as a rule sees it.

use std::cell::OnceCell;

use serde_json::Value;

use crate::context::{Baggage, SpanId, TraceId};
use crate::message::Request;
use crate::model::ServiceId;
use crate::rng::Key;
use crate::telemetry::record::ResourceId;

use super::signs::Spans;

/// A request as a fault sees it.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The called service.
    pub service: ServiceId,
    /// The index of the guest's route, if one matches.
    pub route: Option<u32>,
    /// The replica that has it; none before one is picked.
    pub replica: Option<u32>,
    /// The calling service and its replica; none from outside of the topology.
    pub from: Option<(ServiceId, u32)>,
    pub request: &'a Request,
    /// The parameters of its route's path, decoded.
    pub params: &'a [(String, String)],
    pub baggage: &'a Baggage,
    /// The request's body, when a condition has looked into it.
    pub json: Json,
    /// Which attempt of a call this is, from 0.
    pub attempt: u32,
    pub trace: TraceId,
    /// The Resource of that replica's process, where it is known.
    pub resource: Option<ResourceId>,
    /// The span that names the request here: CLIENT on its way, SERVER behind it.
    pub span: SpanId,
    /// The spans around it.
    pub spans: Spans,
    /// Names what is drawn for it: by that span, of which each attempt of a call has another.
    pub key: Key,
}

/// A request's body as JSON: read at the first look, and no more than once.
#[derive(Clone, Debug, Default)]
pub struct Json(OnceCell<Option<Value>>);

impl Json {
    /// None: the body is no JSON.
    pub(super) fn of(&self, request: &Request) -> Option<&Value> {
        self.0.get_or_init(|| serde_json::from_slice(&request.body).ok()).as_ref()
    }
}
