//! The CLIENT and SERVER spans of the bus, by the stable semantic conventions
//! for HTTP spans (OpenTelemetry semantic conventions, "Semantic conventions
//! for HTTP spans").

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::context::SpanId;
use crate::guest::endpoint::{Endpoint, HTTP_VERSION, SIMULATED_PORT};
use crate::guest::scope::{Annotations, Caller, Trace};
use crate::guest::{CallError, GuestFailure};
use crate::message::Request;
use crate::metrics;
use crate::model::Nanos;
use crate::telemetry::record::{
    Attributes, Event, ExceptionSpan, KeyValue, PEER_NAMES, ResourceId, SpanKind, SpanLink, SpanRecord,
    Status, Text, Value,
};
use crate::telemetry::recorder::Recorder;

use super::redact;

/// Methods that the conventions know; another is `_OTHER`.
const METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE", "QUERY"];

const _: () = assert!(METHODS.len() + 1 == metrics::METHODS, "metrics tell the same methods apart");

const OTHER: &str = "_OTHER";

/// The known method, or `_OTHER`.
fn known_method(method: &str) -> &'static str {
    METHODS.into_iter().find(|known| *known == method).unwrap_or(OTHER)
}

/// The number of a method among the known ones; all others have one behind these.
pub fn method_number(method: &str) -> u8 {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len()) as u8
}

/// `http.request.method`, by its number.
pub fn numbered_method(number: u8) -> KeyValue {
    let method = METHODS.get(usize::from(number)).copied().unwrap_or(OTHER);
    KeyValue::new(attribute::HTTP_REQUEST_METHOD, method)
}

/// `http.request.method`.
pub fn method_attribute(method: &str) -> KeyValue {
    KeyValue::new(attribute::HTTP_REQUEST_METHOD, known_method(method))
}

/// Where a service of the topology listens, as its SERVER spans say it.
pub fn simulated_server(service: &Arc<str>) -> [KeyValue; 3] {
    [
        KeyValue::new(attribute::SERVER_ADDRESS, Text::Shared(Arc::clone(service))),
        KeyValue::new(attribute::SERVER_PORT, SIMULATED_PORT),
        KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, HTTP_VERSION),
    ]
}

/// What the SERVER spans of `service` share that a client outside of the topology asks as
/// if it were on the bus: `more` is what else is known of it. Its requests have a `User-Agent`.
pub fn simulated_client(service: &Arc<str>, client: &Endpoint, more: Vec<KeyValue>) -> Arc<[KeyValue]> {
    simulated_server(service).into_iter().chain(client.as_client.iter().cloned()).chain(more).collect()
}

/// `url.query`, if there is any, without its secrets.
pub fn query(request: &Request) -> Option<KeyValue> {
    let query = request.query().filter(|query| !query.is_empty())?;
    Some(KeyValue::new(attribute::URL_QUERY, redact::query(query).into_owned()))
}

/// The product of the user agents of loads (RFC 9110, section 10.1.5), without a version: a release
/// alone moves no digest.
pub const SYNTHETIC_AGENT: &str = "simhost-load";

/// The name of a span: the method, or `HTTP` for one that is unknown, and the
/// route where there is one.
pub fn name(method: &str, route: Option<&str>) -> Text {
    let method = match known_method(method) {
        OTHER => "HTTP",
        known => known,
    };
    match route {
        Some(route) => Text::Owned(format!("{method} {route}")),
        None => Text::Static(method),
    }
}

/// `http.request.method_original`, for a method that is not known.
pub fn original_method(method: &str) -> Option<KeyValue> {
    (known_method(method) == OTHER)
        .then(|| KeyValue::new(attribute::HTTP_REQUEST_METHOD_ORIGINAL, method.to_owned()))
}

/// `user_agent.original`, where the request says it.
pub fn user_agent(request: &Request) -> Option<KeyValue> {
    let agent = request.headers.get("user-agent")?;
    Some(KeyValue::new(attribute::USER_AGENT_ORIGINAL, agent.to_owned()))
}

/// What all CLIENT spans towards one callee share, for each method that occurs:
/// interned, so that a span costs no strings.
#[derive(Debug)]
pub struct ClientAttributes {
    address: Arc<str>,
    port: i64,
    service: Option<Arc<str>>,
    by_method: [OnceCell<Arc<[KeyValue]>>; METHODS.len() + 1],
}

impl ClientAttributes {
    /// `address` and `port` are where the callee listens; `service` is its name
    /// in the topology, if it has one.
    pub fn new(address: &str, port: i64, service: Option<&Arc<str>>) -> Self {
        let by_method = Default::default();
        Self { address: address.into(), port, service: service.cloned(), by_method }
    }

    fn of(&self, method: &str) -> Arc<[KeyValue]> {
        let known = usize::from(method_number(method));
        Arc::clone(self.by_method[known].get_or_init(|| self.list(known_method(method))))
    }

    /// Where the callee listens.
    pub fn server(&self) -> [KeyValue; 2] {
        [
            KeyValue::new(attribute::SERVER_ADDRESS, Arc::clone(&self.address)),
            KeyValue::new(attribute::SERVER_PORT, self.port),
        ]
    }

    fn list(&self, method: &'static str) -> Arc<[KeyValue]> {
        let mut attributes = vec![KeyValue::new(attribute::HTTP_REQUEST_METHOD, method)];
        attributes.extend(self.server());
        attributes.extend(
            self.service
                .iter()
                .flat_map(|service| PEER_NAMES.map(|key| KeyValue::new(key, Arc::clone(service)))),
        );
        attributes.into()
    }
}

/// The connection over which a real server has answered.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// `network.protocol.version`.
    pub version: &'static str,
    /// The server's end; none where the system does not tell.
    pub peer: Option<SocketAddr>,
}

/// A span of the bus while it is open: the record that it will leave, none where
/// its trace is not kept.
///
/// The record lies in a box: it goes from hand to hand, and into futures, which
/// are copied whole.
#[derive(Debug)]
pub struct OpenSpan(Option<Box<SpanRecord>>);

impl OpenSpan {
    /// A CLIENT span of `request` to `base` (`http://inventory-service`).
    pub fn client(
        caller: &Caller,
        request: &Request,
        base: &str,
        shared: &ClientAttributes,
        now: Nanos,
    ) -> Self {
        if !caller.trace.recording {
            return Self(None);
        }
        // The URL, and the status that will come; most calls have no more.
        let mut own = Vec::with_capacity(2);
        let target = redact::target(&request.target);
        let mut url = String::with_capacity(base.len() + target.len());
        url.push_str(base);
        url.push_str(&target);
        own.push(KeyValue::new(attribute::URL_FULL, url));
        own.extend(original_method(&request.method));
        own.extend(user_agent(request));
        let attributes = Attributes { shared: Some(shared.of(&request.method)), own, peer: None };
        let described = (name(&request.method, None), attributes);
        let Caller { trace, span, parent, resource, .. } = caller;
        Self::new(trace, *span, *parent, *resource, SpanKind::Client, described, now)
    }

    /// A SERVER span: its parent is a CLIENT span of another service, or came
    /// from outside. `describe` gives its name and attributes, if it is kept.
    pub fn server(
        trace: &Trace,
        span: SpanId,
        parent: Option<SpanId>,
        resource: ResourceId,
        describe: impl FnOnce() -> (Text, Attributes),
        now: Nanos,
    ) -> Self {
        if !trace.recording {
            return Self(None);
        }
        Self::new(trace, span, parent, resource, SpanKind::Server, describe(), now)
    }

    /// A CONSUMER span with its links: its parent, if it has one, is a span that has sent a message.
    pub fn consumer(
        (trace, span, parent): (&Trace, SpanId, Option<SpanId>),
        links: Box<[SpanLink]>,
        resource: ResourceId,
        describe: impl FnOnce() -> (Text, Attributes),
        now: Nanos,
    ) -> Self {
        if !trace.recording {
            return Self(None);
        }
        let mut span = Self::new(trace, span, parent, resource, SpanKind::Consumer, describe(), now);
        if let Some(record) = &mut span.0 {
            record.links = links;
        }
        span
    }

    /// A PRODUCER span of a process; none of no process.
    pub fn producer(
        (trace, span, parent): (&Trace, SpanId, SpanId),
        resource: Option<ResourceId>,
        describe: impl FnOnce() -> (Text, Attributes),
        now: Nanos,
    ) -> Self {
        match resource {
            Some(resource) if trace.recording => {
                Self::new(trace, span, Some(parent), resource, SpanKind::Producer, describe(), now)
            }
            _ => Self(None),
        }
    }

    /// A span that is kept.
    fn new(
        trace: &Trace,
        span: SpanId,
        parent: Option<SpanId>,
        resource: ResourceId,
        kind: SpanKind,
        (name, attributes): (Text, Attributes),
        now: Nanos,
    ) -> Self {
        Self(Some(Box::new(trace.span((parent, span), resource, (kind, name), attributes, now))))
    }

    /// The request goes to this replica. Until then nothing is known of a connection.
    pub fn sent_to(&mut self, server: &Endpoint) {
        let Some(record) = &mut self.0 else { return };
        record.attributes.peer = Some(Arc::clone(&server.as_server));
    }

    /// A real server has answered over this connection.
    pub fn connected(&mut self, connection: Connection) {
        let Some(record) = &mut self.0 else { return };
        let own = &mut record.attributes.own;
        own.push(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, connection.version));
        if let Some(peer) = connection.peer {
            own.push(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, peer.ip().to_string()));
            own.push(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(peer.port())));
        }
    }

    /// Notes the response's status. By the conventions 5xx is an error on both
    /// sides, 4xx on the client's only, and the code says why: no description.
    pub fn respond(&mut self, status: u16) {
        let Some(record) = &mut self.0 else { return };
        let own = &mut record.attributes.own;
        own.push(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
        let least = if record.kind == SpanKind::Client { 400 } else { 500 };
        if status >= least && record.status == Status::Unset {
            own.push(KeyValue::new(attribute::ERROR_TYPE, status_text(status)));
            record.status = Status::Error(Text::Static(""));
        }
    }

    /// Notes an error of the given low-cardinality type, without a description.
    pub fn fail(&mut self, kind: &'static str) {
        let Some(record) = &mut self.0 else { return };
        record.attributes.own.push(KeyValue::new(attribute::ERROR_TYPE, kind));
        if record.status == Status::Unset {
            record.status = Status::Error(Text::Static(""));
        }
    }

    /// Notes why a call has no response.
    pub fn call_failed(&mut self, error: &CallError, now: Nanos, recorder: &Recorder) {
        let Some(record) = &mut self.0 else { return };
        if let (CallError::Refused(_), Some(peer)) = (error, &record.attributes.peer) {
            // Which version of HTTP the peer speaks, nobody has learnt.
            let known = peer.iter().filter(|known| *known.key != *attribute::NETWORK_PROTOCOL_VERSION);
            record.attributes.peer = Some(known.cloned().collect());
        }
        record.attributes.own.push(KeyValue::new(attribute::ERROR_TYPE, error.kind()));
        record.status = Status::Error(Text::Owned(error.to_string()));
        except(record, Event::exception(now, error.kind(), error.to_string(), None), recorder);
    }

    /// Notes that the guest failed, as an exception of this span.
    pub fn guest_failed(&mut self, failure: GuestFailure, now: Nanos, recorder: &Recorder) {
        let Some(record) = &mut self.0 else { return };
        record.attributes.own.push(KeyValue::new(attribute::ERROR_TYPE, failure.kind));
        record.status = Status::Error(Text::Owned(failure.message.clone()));
        let exception = Event::exception(now, failure.kind, failure.message, failure.backtrace);
        except(record, exception, recorder);
    }

    /// Says something about the span that no other attribute of it does.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let Some(record) = &mut self.0 else { return };
        record.attributes.own.push(KeyValue::new(key, value));
    }

    /// Says more of the span.
    pub fn extend(&mut self, attributes: Vec<KeyValue>) {
        let Some(record) = &mut self.0 else { return };
        record.attributes.own.extend(attributes);
    }

    /// Notes something that has happened at `now`.
    pub fn happened(&mut self, name: &'static str, attributes: Vec<KeyValue>, now: Nanos) {
        let Some(record) = &mut self.0 else { return };
        record.events.push(Event { name: Text::Static(name), time: now, attributes });
    }

    /// Adds what the guest said of this span.
    pub fn annotate(&mut self, annotations: Annotations) {
        let Some(record) = &mut self.0 else { return };
        record.dropped_attributes += annotations.dropped;
        for annotation in annotations.attributes {
            if record.attributes.get(&annotation.key).is_none() {
                record.attributes.own.push(annotation);
            }
        }
    }

    /// Ends the span, and leaves its record if its trace is kept.
    #[inline]
    pub fn end(self, now: Nanos, recorder: &Recorder) {
        recorder.closed();
        if let Some(mut record) = self.0 {
            record.end = now;
            recorder.span(*record);
        }
    }
}

/// Records an exception of a span: in it, as a log record, or as both.
fn except(record: &mut SpanRecord, exception: Event, recorder: &Recorder) {
    let of = ExceptionSpan {
        trace_id: record.trace_id,
        span_id: record.span_id,
        flags: record.flags,
        kind: record.kind,
        name: &record.name,
        resource: record.resource,
        scope: record.scope,
    };
    record.events.extend(recorder.exception(exception, &of));
}

/// A status code as a text; those that occur cost nothing.
pub fn status_text(status: u16) -> Text {
    Text::Static(match status {
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        413 => "413",
        422 => "422",
        429 => "429",
        500 => "500",
        501 => "501",
        502 => "502",
        503 => "503",
        504 => "504",
        other => return Text::Owned(other.to_string()),
    })
}
