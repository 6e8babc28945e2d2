//! `simhost:service/messaging`: messages to the topics of the topology.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use opentelemetry_semantic_conventions::attribute;
use wasmtime::component::{HasSelf, LinkerInstance};

use crate::context::{self, SpanContext, SpanId};
use crate::message::Headers;
use crate::metrics::{Exchanged, Incarnation, MessageKey, Origin};
use crate::model::Nanos;
use crate::process::Process;
use crate::rng::{Key, Purpose};
use crate::sched;
use crate::telemetry::record::{Attributes, KeyValue, SpanLink, SpanRecord, Status, Text};
use crate::topic::{Fate, Full, Lineage, Message, Operation, Receipt, Record, of_message};
use crate::wasi::bill::{self, FUNCTION, MESSAGE};

use super::pairs;
use super::state::{GuestState, Host, Local};
use crate::guest::bindings::simhost::service::messaging;
use crate::guest::outbound::Asking;
use crate::guest::scope::RequestScope;

/// Messages that are sent at once. The WIT has the number.
const MESSAGES_AT_MOST: usize = 128;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    messaging::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

/// Messages on their way to the broker. They leave their span and their measurement in every case: also where
/// their guest is stopped.
struct Sending {
    host: Rc<Host>,
    process: Option<Incarnation>,
    topic: usize,
    operation: Operation,
    messages: Vec<Message>,
    /// How many they were.
    count: u64,
    began: Nanos,
    origin: Origin,
    asking: Asking,
    /// None where the trace is not kept.
    span: Option<Box<SpanRecord>>,
    has_ended: bool,
}

/// A message on its way into its partition.
struct Coming {
    /// Its place among those that are sent together.
    place: usize,
    /// When it is there: nanoseconds since the Unix epoch.
    at: Nanos,
    message: Rc<Message>,
    partition: u32,
    fate: Option<Rc<Fate>>,
}

/// What becomes of messages, when it is known.
type Sent = LocalBoxFuture<'static, Result<Vec<Receipt>, messaging::SendError>>;

impl messaging::Host for GuestState {
    async fn send(
        &mut self,
        topic: String,
        message: messaging::Message,
    ) -> wasmtime::Result<Result<messaging::Receipt, messaging::SendError>> {
        let sent = sched::here(self.start_sending(&topic, vec![message], Operation::Send)).await;
        Ok(sent.map(|receipts| receipts.into_iter().map(receipt).next().expect("a message has a receipt")))
    }

    async fn send_batch(
        &mut self,
        topic: String,
        messages: Vec<messaging::Message>,
    ) -> wasmtime::Result<Result<Vec<messaging::Receipt>, messaging::SendError>> {
        let sent = sched::here(self.start_sending(&topic, messages, Operation::SendBatch)).await;
        Ok(sent.map(|receipts| receipts.into_iter().map(receipt).collect()))
    }
}

const fn receipt(Receipt { partition, offset }: Receipt) -> messaging::Receipt {
    messaging::Receipt { partition, offset }
}

/// Bytes that a guest gives for a message.
fn size(message: &messaging::Message) -> usize {
    let key = message.key.as_ref().map_or(0, Vec::len);
    size_of::<messaging::Message>() + key + pairs(&message.headers) + message.body.len()
}

impl GuestState {
    fn start_sending(
        &mut self,
        topic: &str,
        messages: Vec<messaging::Message>,
        operation: Operation,
    ) -> Sent {
        let bytes: usize = messages.iter().map(size).sum();
        self.charge(FUNCTION + messages.len() as u64 * MESSAGE + bill::bytes(topic.len() + bytes));
        let local = self.local.get_mut();
        match local.sending(topic, messages, operation) {
            Ok(None) => std::future::ready(Ok(Vec::new())).boxed_local(),
            Ok(Some((sending, chance))) => {
                let process = Rc::clone(&local.identity.process);
                sending.run(chance, process).boxed_local()
            }
            Err(error) => std::future::ready(Err(error)).boxed_local(),
        }
    }
}

impl Local {
    /// Begins the spans of messages, and names the draws of their way; none of no messages.
    fn sending(
        &mut self,
        topic: &str,
        messages: Vec<messaging::Message>,
        operation: Operation,
    ) -> Result<Option<(Sending, Key)>, messaging::SendError> {
        let topics = &self.host.topics;
        let topic = topics.named(topic).map_err(messaging::SendError::UnknownTopic)?;
        let messages = checked(messages, topics.logs()[topic].borrow().settings.message_size)?;
        let began = self.ahead.reach();
        let Some(scope) = &mut self.scope else {
            return Err(invalid("messages are sent while a request is served".to_owned()));
        };
        let depth = scope.depth + 1;
        if depth > topics.depth() {
            return Err(messaging::SendError::DepthExceeded(topics.depth()));
        }
        if messages.is_empty() {
            return Ok(None);
        }
        let messages = match operation {
            // Its own span is the one that is injected.
            Operation::Send => messages,
            _ => return Ok(Some(self.batch(topic, messages, depth, began))),
        };
        let (parent, id) = scope.child();
        let lineage = scope.lineage.below(topic, self.identity.service);
        let sent = |message: Unsent| message.sent(scope, id, (depth, &lineage));
        let messages = messages.into_iter().map(sent).collect();
        Ok(Some(self.begin((topic, operation), messages, (parent, id), Box::default(), began)))
    }

    /// Each message has a span of its own, and is linked to that in which all are sent.
    fn batch(&mut self, topic: usize, messages: Vec<Unsent>, depth: u32, began: Nanos) -> (Sending, Key) {
        let mut ready = Vec::with_capacity(messages.len());
        let by = self.identity.service;
        let lineage = self.scope.as_ref().map(|scope| scope.lineage.below(topic, by)).unwrap_or_default();
        for message in messages {
            let Some(scope) = &mut self.scope else { continue };
            let (parent, id) = scope.child();
            let message = message.sent(scope, id, (depth, &lineage));
            let (created, _) =
                self.begin((topic, Operation::Create), vec![message], (parent, id), Box::default(), began);
            ready.extend(created.made());
        }
        let links = ready.iter().map(|message| SpanLink::from(&message.context)).collect();
        let scope = self.scope.as_mut().expect("it was there for each message");
        let span = scope.child();
        self.begin((topic, Operation::SendBatch), ready, span, links, began)
    }

    fn begin(
        &self,
        (topic, operation): (usize, Operation),
        messages: Vec<Message>,
        (parent, id): (Option<SpanId>, SpanId),
        links: Box<[SpanLink]>,
        began: Nanos,
    ) -> (Sending, Key) {
        let scope = self.scope.as_ref().expect("spans begin within a request");
        let described = self.host.topics.described(topic, operation);
        let own = match operation {
            Operation::SendBatch => {
                vec![KeyValue::new(attribute::MESSAGING_BATCH_MESSAGE_COUNT, messages.len() as i64)]
            }
            _ => Vec::new(),
        };
        let attributes = Attributes { shared: Some(described.attributes), own, peer: None };
        let called = (operation.kind(), described.name);
        let mut span = scope.begin_span((parent, id), self.identity.resource, called, attributes, began);
        if let Some(span) = &mut span {
            span.links = links;
        }
        let origin = scope.origin(id, began);
        let chance = scope.trace.chance(Purpose::Latency, id);
        let asking = Asking::new(scope, &self.identity, id);
        self.host.recorder.opened();
        let (host, process) = (Rc::clone(&self.host), self.process);
        let count = messages.len() as u64;
        let sending = Sending {
            host,
            process,
            topic,
            operation,
            messages,
            count,
            began,
            origin,
            asking,
            span,
            has_ended: false,
        };
        (sending, chance)
    }
}

/// A message that has no span yet.
struct Unsent {
    key: Option<Vec<u8>>,
    headers: Headers,
    body: Vec<u8>,
}

impl Unsent {
    /// It is sent in the span `id` of a request, with the calls and messages above it, and its lineage.
    fn sent(self, scope: &RequestScope, id: SpanId, (depth, lineage): (u32, &Lineage)) -> Message {
        let Self { key, headers, body } = self;
        let trace = &scope.trace;
        let (trace_id, flags, trace_state) = (trace.trace_id, trace.flags, trace.trace_state.clone());
        Message {
            key,
            headers,
            body,
            context: SpanContext { trace_id, span_id: id, flags, trace_state },
            baggage: scope.baggage.clone(),
            trace: trace.key,
            draws: trace.chance(Purpose::Message, id),
            depth,
            lineage: lineage.clone(),
        }
    }
}

fn invalid(text: String) -> messaging::SendError {
    messaging::SendError::Invalid(text)
}

/// Refuses what cannot be sent or is over a bound, before anything is.
fn checked(messages: Vec<messaging::Message>, most: u64) -> Result<Vec<Unsent>, messaging::SendError> {
    if messages.len() > MESSAGES_AT_MOST {
        let text = format!("{} messages are more than {MESSAGES_AT_MOST}", messages.len());
        return Err(messaging::SendError::TooLarge(text));
    }
    let unsent = |messaging::Message { key, headers, body }| {
        let mut headers = Headers(headers);
        headers.normalise().map_err(invalid)?;
        // A guest that copies what it received must not send two contexts.
        context::strip(&mut headers);
        let size = (key.as_ref().map_or(0, Vec::len) + headers.size() + body.len()) as u64;
        if size > most {
            let text = format!("a message of {size} bytes is larger than message-size = {most}");
            return Err(messaging::SendError::TooLarge(text));
        }
        Ok(Unsent { key, headers, body })
    };
    messages.into_iter().map(unsent).collect()
}

impl Sending {
    /// Ends the span of a message that is made: it is sent in another.
    fn made(mut self) -> Vec<Message> {
        let messages = std::mem::take(&mut self.messages);
        if let (Some(span), [message]) = (&mut self.span, &messages[..]) {
            let settings = &self.host.topics.logs()[self.topic].borrow().settings;
            span.attributes.own = of_message(settings, message, None);
        }
        self.end(None);
        messages
    }

    /// Goes to the broker, and comes back to its process with what became of it.
    async fn run(mut self, chance: Key, process: Rc<Process>) -> Result<Vec<Receipt>, messaging::SendError> {
        let latency = self.host.topics.logs()[self.topic].borrow().settings.publish.clone();
        let confirmed = self.began.saturating_add(latency.sample(&mut chance.stream()));
        self.host.sched.sleep_until(confirmed).await;
        let published = self.publish().await;
        // A process that stands still notices nothing.
        process.wait(self.host.sched.now()).await;
        match published {
            Ok(receipts) => {
                self.end(None);
                Ok(receipts)
            }
            Err(message) => {
                self.end(Some(("full", message.clone())));
                Err(messaging::SendError::Full(message))
            }
        }
    }

    /// The broker gets the messages, one after the other; those that faults hold up on the way, later.
    async fn publish(&mut self) -> Result<Vec<Receipt>, String> {
        let host = Rc::clone(&self.host);
        let (topics, sched) = (&host.topics, &host.sched);
        let mut coming = self.come();
        coming.sort_by_key(|coming| coming.at);
        let mut receipts = Vec::with_capacity(coming.len());
        for Coming { place, at, message, partition, fate } in coming {
            if at > sched.now() {
                sched.sleep_until(at).await;
            }
            let now = sched.now();
            let record = Record { message: Rc::clone(&message), published: now, copy: 0, fate };
            let published = topics.publish(self.topic, partition, record, now);
            let offset = published.map_err(|Full| format!("partition {partition} is full"))?;
            let receipt = Receipt { partition, offset };
            if let (Operation::Send, Some(span)) = (self.operation, &mut self.span) {
                let settings = &topics.logs()[self.topic].borrow().settings;
                span.attributes.own = of_message(settings, &message, Some(receipt));
            }
            receipts.push((place, receipt));
        }
        receipts.sort_by_key(|(place, _)| *place);
        Ok(receipts.into_iter().map(|(_, receipt)| receipt).collect())
    }

    /// Where each message goes, and when it is there.
    fn come(&mut self) -> Vec<Coming> {
        let (topics, now) = (&self.host.topics, self.host.sched.now());
        let to = |(place, message): (usize, Message)| {
            let message = Rc::new(message);
            let partition =
                topics.logs()[self.topic].borrow().partition(message.key.as_deref(), message.draws);
            let outbound = self.host.outbound.get();
            let fate = outbound
                .and_then(|outbound| outbound.publishes((self.topic, partition), &message, &self.asking));
            let at = now.saturating_add(fate.as_ref().map_or(0, |fate| fate.on_the_way));
            Coming { place, at, message, partition, fate: fate.map(Rc::new) }
        };
        std::mem::take(&mut self.messages).into_iter().enumerate().map(to).collect()
    }

    /// Leaves its span and its measurement; `failed` says why it failed: `error.type` and a text.
    fn end(&mut self, failed: Option<(&'static str, String)>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let now = self.host.sched.now();
        self.measure(failed.as_ref().map(|(kind, _)| *kind), now);
        self.host.recorder.closed();
        let Some(mut span) = self.span.take() else { return };
        span.end = now.max(span.start);
        if let Some((kind, message)) = failed {
            span.attributes.own.push(KeyValue::new(attribute::ERROR_TYPE, kind));
            span.status = Status::Error(Text::Owned(message));
        }
        self.host.recorder.span(*span);
    }

    /// Where its span is lost, as its worker is, so is the measurement.
    fn measure(&self, error: Option<&'static str>, now: Nanos) {
        let (Some(metrics), Some(process)) = (&self.host.metrics, self.process) else { return };
        if self.operation == Operation::Create || self.host.recorder.is_losing() {
            return;
        }
        let key = MessageKey { place: self.topic as u32, error };
        let attributes = || {
            let described = self.host.topics.described(self.topic, self.operation);
            let error = error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error));
            described.attributes.iter().cloned().chain(error).collect::<Arc<[_]>>()
        };
        let (took, origin) = (now.saturating_sub(self.began), Origin { time: now, ..self.origin });
        let exchanged = Exchanged { messages: self.count, took, origin };
        metrics.sent_messages(process, key, attributes, exchanged);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.end(Some(("cancelled", String::new())));
    }
}

#[cfg(test)]
mod tests;
