//! A span, as little of it as an import needs: what it is by its kind and attributes, by the semantic
//! conventions for HTTP, RPC, databases and messaging, the stable ones and those before them.

mod data;
mod messages;

pub use data::{CACHES, DATABASES};

use crate::context::SpanId;
use crate::model::Nanos;
use crate::telemetry::record::{KeyValue, PEER_NAMES, Resource, SpanKind, SpanRecord, Status, Value};

use super::bounds::MAX_SPAN_TIME;
use super::names::Names;
use super::notes::{LeftOut, Reason};
use super::path;
use messages::Message;

/// No number.
pub const NONE: u32 = u32::MAX;

/// What a span is in its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A request is served, or messages are processed.
    Serves,
    /// A request is sent; `name` is a route of the callee.
    Calls,
    /// A statement is sent to a database; `name` is a statement.
    Asks,
    /// Anything else; `name` is a route where it may be a root.
    Works,
    /// Messages are sent; `name` is a topic.
    Publishes,
    /// Messages are received; `name` is the route of those that process them, where no span does.
    Receives,
}

/// 80 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub trace: u128,
    pub id: u64,
    /// 0 without a parent.
    pub parent: u64,
    /// Nanoseconds since the Unix epoch; `end` is not before `start`.
    pub start: Nanos,
    pub end: Nanos,
    pub service: u32,
    /// By role, or [`NONE`].
    pub name: u32,
    /// Or [`NONE`].
    pub instance: u32,
    /// Of the answer's body, or [`NONE`].
    pub bytes: u32,
    pub role: Role,
    pub has_failed: bool,
    /// It begins by itself: messages that came.
    pub is_root: bool,
    /// How many attempts of the same request were sent before.
    pub resent: u8,
    /// Messages that it sends or processes, and those among which its time is divided.
    pub messages: u16,
    pub spread: u16,
    /// The first span that it is linked to, by [`whole_id`]; 0 without one.
    pub link: u64,
}

/// Tells a span apart from those of other traces.
pub fn whole_id(trace: u128, id: u64) -> u64 {
    let trace = (trace >> 64) as u64 ^ trace as u64;
    (trace.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ id).max(1)
}

/// Attributes of one span, by the first of several names.
pub(super) struct Attributes<'a>(pub &'a SpanRecord);

impl Attributes<'_> {
    pub fn value(&self, names: &[&str]) -> Option<&Value> {
        names.iter().find_map(|name| self.0.attributes.get(name))
    }

    pub fn text(&self, names: &[&str]) -> Option<&str> {
        match self.value(names)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub fn number(&self, names: &[&str]) -> Option<i64> {
        match self.value(names)? {
            Value::Int(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

const METHOD: [&str; 2] = ["http.request.method", "http.method"];
const STATUS: [&str; 2] = ["http.response.status_code", "http.status_code"];
const PATH: [&str; 2] = ["url.path", "http.target"];
const URL: [&str; 2] = ["url.full", "http.url"];
pub(super) const HOST: [&str; 4] = ["server.address", "net.peer.name", "http.host", "net.peer.ip"];
const RESENT: [&str; 2] = ["http.request.resend_count", "http.resend_count"];

/// A link repeats a request at most nine times.
const MAX_RESENT: i64 = 9;
const BODY: [&str; 2] = ["http.response.body.size", "http.response_content_length"];

/// The span as an import holds it; none, and counted, where it cannot be.
pub fn take(
    record: &SpanRecord,
    resource: &Resource,
    names: &mut Names,
    left_out: &mut LeftOut,
) -> Option<Span> {
    let attributes = Attributes(record);
    if record.end - record.start > MAX_SPAN_TIME {
        left_out.add(Reason::TooLong);
        return None;
    }
    let version = of_resource(resource, "service.version");
    let Some(service) = names.service(&resource.service, version) else {
        left_out.add(Reason::TooManyServices);
        return None;
    };
    let message = messages::message(&attributes, service, names);
    let role = message.as_ref().map_or_else(|| role(record.kind, &attributes), |message| message.role);
    let status = attributes.number(&STATUS);
    if role == Role::Serves && status.is_some_and(|status| (400..500).contains(&status)) {
        left_out.add(Reason::ClientErrors);
    }
    let name = match role {
        _ if message.is_some() => match message.as_ref().and_then(|message| message.name) {
            Some(name) => name,
            None => {
                left_out.add(Reason::TooManyTopics);
                return None;
            }
        },
        Role::Serves => named(served(&attributes, service, names), left_out)?,
        Role::Calls => called(&attributes, names).unwrap_or(NONE),
        Role::Works if record.parent.is_none() => named(worked(record, service, names), left_out)?,
        Role::Asks => data::asked(&attributes, names, left_out).unwrap_or(NONE),
        Role::Works | Role::Publishes | Role::Receives => NONE,
    };
    let instance = of_resource(resource, "service.instance.id");
    let instance = instance.map(|id| names.instance(service, id));
    if instance == Some(None) || role == Role::Asks && name == NONE {
        left_out.add(Reason::TooManyNames);
    }
    let is_message = message.is_some();
    let Message { messages, spread, .. } = message.unwrap_or_default();
    let has_failed = status.map_or(matches!(record.status, Status::Error(_)), |status| status >= 500);
    Some(Span {
        trace: record.trace_id.0.get(),
        id: record.span_id.0.get(),
        parent: record.parent.map_or(0, |SpanId(id)| id.get()),
        start: record.start,
        end: record.end,
        service,
        name,
        instance: instance.flatten().unwrap_or(NONE),
        bytes: attributes.number(&BODY).and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(NONE),
        role,
        has_failed,
        is_root: is_message || role == Role::Serves && record.kind == SpanKind::Consumer,
        resent: attributes.number(&RESENT).map_or(0, |count| count.clamp(0, MAX_RESENT) as u8),
        messages,
        spread,
        link: record.links.first().map_or(0, |link| whole_id(link.trace_id.0.get(), link.span_id.0.get())),
    })
}

fn named(name: Option<u32>, left_out: &mut LeftOut) -> Option<u32> {
    if name.is_none() {
        left_out.add(Reason::TooManyRoutes);
    }
    name
}

fn of_resource(resource: &Resource, key: &str) -> Option<String> {
    let is_it = |attribute: &&KeyValue| &*attribute.key == key;
    resource.attributes.iter().find(is_it).map(|attribute| attribute.value.to_string())
}

fn role(kind: SpanKind, attributes: &Attributes<'_>) -> Role {
    match kind {
        SpanKind::Server | SpanKind::Consumer => Role::Serves,
        SpanKind::Producer => Role::Publishes,
        SpanKind::Client if data::is_asked(attributes) => Role::Asks,
        SpanKind::Client if attributes.value(&["messaging.system"]).is_some() => Role::Publishes,
        SpanKind::Client => Role::Calls,
        SpanKind::Internal => Role::Works,
    }
}

/// The method that the attributes have, or the span's name begins with.
fn method_of(attributes: &Attributes<'_>) -> Option<String> {
    let (of_name, _) = path::split_method(&attributes.0.name);
    attributes.text(&METHOD).and_then(path::method).or_else(|| of_name.map(str::to_owned))
}

/// `/oteldemo.CartService/GetCart`, as gRPC has it.
fn of_rpc(attributes: &Attributes<'_>) -> Option<String> {
    let method = attributes.text(&["rpc.method"])?;
    let path = match attributes.text(&["rpc.service"]) {
        Some(service) => format!("/{service}/{method}"),
        None => format!("/{method}"),
    };
    Some(path::route(&path))
}

/// The route of what is served: `http.route`, what an RPC calls, the name, or the path.
fn served(attributes: &Attributes<'_>, service: u32, names: &mut Names) -> Option<u32> {
    let method = method_of(attributes);
    if let Some(route) = attributes.text(&["http.route"]) {
        return names.route(service, method.unwrap_or_else(|| "GET".to_owned()), path::route(route), true);
    }
    if let Some(path) = of_rpc(attributes) {
        return names.route(service, method.unwrap_or_else(|| "POST".to_owned()), path, true);
    }
    let (_, rest) = path::split_method(&attributes.0.name);
    let is_path = rest.starts_with('/');
    let recorded = attributes.text(&PATH).or_else(|| attributes.text(&URL).map(path::of_url));
    let path = match recorded {
        // A name that is a path is a route, unless it is the path itself.
        Some(recorded) if is_path && recorded.split('?').next() != Some(rest) => path::route(rest),
        Some(recorded) => path::of_request(recorded),
        None if is_path => path::of_request(&path::route(rest)),
        None => path::of_name(rest),
    };
    let usual = if attributes.0.kind == SpanKind::Consumer { "POST" } else { "GET" };
    names.route(service, method.unwrap_or_else(|| usual.to_owned()), path, true)
}

/// The route of a root that no request led to: a job.
fn worked(record: &SpanRecord, service: u32, names: &mut Names) -> Option<u32> {
    let (method, rest) = path::split_method(&record.name);
    let path = if rest.starts_with('/') { path::route(rest) } else { path::of_name(rest) };
    names.route(service, method.unwrap_or("POST").to_owned(), path, true)
}

/// The route that a call asks for; none where no attribute names the callee.
fn called(attributes: &Attributes<'_>, names: &mut Names) -> Option<u32> {
    let url = attributes.text(&URL);
    let host = || attributes.text(&HOST).map(|host| host.split(':').next().unwrap_or(host));
    let callee = attributes.text(&PEER_NAMES).or_else(host).or_else(|| url.and_then(path::host_of_url))?;
    let service = names.service(callee, None)?;
    let method = method_of(attributes);
    if let Some(path) = of_rpc(attributes) {
        return names.route(service, method.unwrap_or_else(|| "POST".to_owned()), path, false);
    }
    let template = attributes.text(&["url.template", "http.route"]).map(path::route);
    let recorded = || attributes.text(&PATH).or_else(|| url.map(path::of_url)).map(path::of_request);
    let path = template.or_else(recorded).unwrap_or_else(|| "/".to_owned());
    names.route(service, method.unwrap_or_else(|| "GET".to_owned()), path, false)
}
