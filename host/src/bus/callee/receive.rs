//! Messages at a replica of the group that consumes them: worker, CONSUMER span, guest, and outcome.

use std::rc::Rc;

use opentelemetry_semantic_conventions::attribute;

use crate::bus::replica_faults::{Occupant, RequestRef};
use crate::bus::spans::OpenSpan;
use crate::bus::visit::{Hop, OfClient, Visit};
use crate::context::{Baggage, SpanContext, SpanId};
use crate::fault::Point;
use crate::guest::budget::Budget;
use crate::guest::contract::{self, Export};
use crate::guest::scope::{Received, RequestScope, Trace, Visitor};
use crate::guest::{GuestFailure, Worker};
use crate::message::{Request, Response};
use crate::metrics::{Exchanged, MessageKey, Origin};
use crate::model::{MessageContext, Nanos, Subscription};
use crate::rng::{Key, Purpose};
use crate::telemetry::record::{Attributes, KeyValue, SpanLink};
use crate::topic::{Delivered, Delivery, Message, Outcome, Receipt, of_message};

use super::consume::BUSY;
use super::node::{GuestNode, ReplicaSet};
use super::replica::{Acquired, NoWorker, Replica, WorkerRequest};
use super::{CalleeSide, Work};

/// What became of a delivery.
pub(super) struct Processed {
    pub outcome: Outcome,
    /// Its CONSUMER span, and what is drawn beside it; none where no worker had the messages.
    pub within: Option<(Trace, SpanId)>,
    /// The `error.type` of that span.
    pub error: Option<&'static str>,
}

impl Processed {
    /// Nobody had the messages.
    const fn not(outcome: Outcome) -> Self {
        Self { outcome, within: None, error: None }
    }
}

/// What a guest made of messages, or a fault in its place.
struct Answered(contract::Outcome);

impl From<Response> for Answered {
    /// A fault that lets the service answer an error lets it fail at messages.
    fn from(response: Response) -> Self {
        Self(match response.status {
            500.. => contract::Outcome::Retry,
            400.. => contract::Outcome::Reject,
            _ => contract::Outcome::Done,
        })
    }
}

/// Messages at a replica.
struct Parcel<'a> {
    group: usize,
    settings: &'a Subscription,
    delivery: &'a Rc<Delivery>,
    visit: Visit,
    links: Box<[SpanLink]>,
    set: &'a ReplicaSet,
    replica: &'a Replica,
}

impl CalleeSide {
    /// Brings messages to a replica, and has a worker process them.
    pub(super) async fn deliver_messages(&self, group: usize, delivery: &Rc<Delivery>) -> Processed {
        let settings = self.host.topics.groups()[group].borrow().settings.clone();
        let Some(guest) = self.guest(settings.service) else { return Processed::not(Outcome::Reject) };
        let (visit, links) = self.visit_of(guest, &settings, delivery);
        let _under_way = self.faults.ledger.visits(visit.span, None);
        self.faults.ledger.meets(visit.span, (settings.service, None));
        let replica = delivery.replica as usize;
        let set = match self.choose(guest, &visit, replica) {
            Ok(chosen) if chosen.set.code.pre.has(Export::Consumer) => chosen.set,
            // What a fault has deployed does not come up, or consumes nothing.
            Ok(_) | Err(_) => return Processed::not(Outcome::Retry),
        };
        let replica = &set.replicas[replica];
        let mut parcel = Parcel { group, settings: &settings, delivery, visit, links, set, replica };
        let Some(faults) = replica.faults() else { return self.process(&mut parcel, None).await };
        match faults.enter(Some(RequestRef::of(&parcel.visit, None, replica.identity.resource))) {
            Ok(occupant) => Box::pin(self.process(&mut parcel, Some(&occupant))).await,
            Err(_) => Processed::not(Outcome::Died),
        }
    }

    /// The messages as faults see them, with the trace that they belong to, and the links of the span.
    fn visit_of(
        &self,
        guest: &GuestNode,
        settings: &Subscription,
        delivery: &Delivery,
    ) -> (Visit, Box<[SpanLink]>) {
        let first = &delivery.records[0];
        let key = |record: &Delivered| {
            let draws = record.message.draws.with_name(&settings.group);
            draws.with(u64::from(record.copy)).with(delivery.number)
        };
        let is_single = delivery.records.len() == 1;
        let (trace, parent, span) = match settings.context {
            MessageContext::Parent if is_single => {
                continued(&first.message.context, first.message.trace, key(first))
            }
            MessageContext::Parent | MessageContext::Link | MessageContext::None => {
                let trace = self.tracing.trace(key(first).draw(), None, false);
                let span = trace.child_id(None, 0);
                (trace, None, span)
            }
        };
        let links = match settings.context {
            MessageContext::None => Box::default(),
            MessageContext::Parent | MessageContext::Link => {
                delivery.records.iter().map(|record| SpanLink::from(&record.message.context)).collect()
            }
        };
        let is_looked_into = self.faults.has(Point::Worker, settings.service) || !guest.releases.is_empty();
        let request = if is_looked_into { as_request(&first.message) } else { Request::default() };
        let depth = delivery.records.iter().map(|record| record.message.depth).max().unwrap_or_default();
        // One that goes round is enough for what they lead to together.
        let goes_round = delivery.records.iter().find(|record| record.message.lineage.goes_round());
        let lineage = goes_round.unwrap_or(first).message.lineage.clone();
        // Without a context the request knows nothing of who has sent the message.
        let knows = is_single && settings.context != MessageContext::None;
        let baggage = if knows { first.message.baggage.clone() } else { Baggage::default() };
        let visit = Visit {
            to: settings.service,
            from: None,
            trace,
            parent,
            span,
            call: None,
            client: None,
            baggage,
            depth,
            lineage,
            deadline: None,
            attempt: delivery.attempt - 1,
            above: None,
            request,
            hold: None,
            hop: Hop::FromOutside(OfClient::default()),
        };
        (visit, links)
    }

    async fn process(&self, parcel: &mut Parcel<'_>, occupant: Option<&Occupant<'_>>) -> Processed {
        let (service, replica) = (parcel.settings.service, parcel.replica);
        let limits = &self.node(service).limits;
        if let Some(occupant) = occupant
            && !self.goes_on(&occupant.faults.process, limits).await
        {
            return Processed::not(Outcome::Died);
        }
        let of = self.host.metrics.as_ref().map(|metrics| metrics.incarnation(replica.identity.resource));
        let wanted = WorkerRequest {
            code: &parcel.set.code,
            host: &self.host,
            stats: &self.stats,
            deadline: None,
            occupant,
            above: None,
            queued: &|| {},
            process: of,
        };
        let mut worker = match replica.acquire(&wanted).await {
            Acquired::Worker(worker) => worker,
            Acquired::Refused(NoWorker::Full) => return Processed::not(Outcome::Busy(BUSY)),
            Acquired::Refused(reason) => return self.without_worker(parcel, reason),
            Acquired::Dead => return Processed::not(Outcome::Died),
        };
        // Whoever brought the last request waits for this one no longer.
        worker.brought(None);
        let (begun, life) = (self.now(), replica.life());
        self.stats.begun(service, begun);
        let mut work = self.accept_messages(parcel, worker.budget());
        let site = Self::site_of(&parcel.visit, parcel.delivery.replica, replica.identity.resource);
        self.strike_delivery(parcel.group, parcel.delivery, &site);
        let receive = async |worker: &mut Worker| worker.receive().await.map(Answered);
        let answered = match occupant {
            None => Some(self.work(&mut work, &mut worker, limits, receive).await),
            Some(occupant) => self.work_mortal(&mut work, &mut worker, limits, occupant, receive).await,
        };
        self.stats.done(service, begun, self.now());
        let Some(answered) = answered else {
            self.lose_request(work.span, worker, replica, life);
            return Processed::not(Outcome::Died);
        };
        if let (Some(metrics), Some(of)) = (&self.host.metrics, of) {
            metrics.computed(of, worker.cpu_time());
        }
        self.strike_revoked(parcel.group, parcel.delivery, &site);
        let (outcome, error) = self.conclude_messages(work.span, worker, replica, answered);
        let visit = &parcel.visit;
        self.measure_messages(parcel, error, begun);
        Processed { outcome, within: Some((visit.trace.clone(), visit.span)), error }
    }

    /// A worker has the messages: from here to the outcome is the CONSUMER span.
    fn accept_messages(&self, parcel: &mut Parcel<'_>, budget: Rc<Budget>) -> Work {
        let span = self.consumer_span(parcel);
        let Parcel { settings, delivery, visit, replica, .. } = parcel;
        let verdict = self.faults.worker(&visit.candidate_at(None, &replica.identity, &[]), self.now());
        let visitor = Visitor {
            from: None,
            slot: None,
            attempt: visit.attempt,
            trace: visit.trace.clone(),
            server: visit.span,
            baggage: std::mem::take(&mut visit.baggage),
            depth: visit.depth,
            lineage: std::mem::take(&mut visit.lineage),
            context: None,
            agent: None,
            deadline: None,
        };
        let received = Received {
            topic: self.host.topics.logs()[settings.topic].borrow().settings.name.clone(),
            group: settings.group.clone(),
            delivery: Rc::clone(delivery),
        };
        let request = std::mem::take(&mut visit.request);
        let spans = self.node(settings.service).limits.spans;
        let scope = RequestScope::new(visitor, request, Vec::new(), spans, budget).with(received);
        Work { span, scope: Some(Box::new(scope)), verdict }
    }

    /// Begins the CONSUMER span of messages at a replica.
    fn consumer_span(&self, parcel: &mut Parcel<'_>) -> OpenSpan {
        self.host.recorder.opened();
        let links = std::mem::take(&mut parcel.links);
        let Parcel { group, settings, delivery, visit, replica, .. } = parcel;
        let describe = || {
            let described = self.host.topics.consumer(*group);
            let topic = &self.host.topics.logs()[settings.topic].borrow().settings;
            let Delivery { partition, first: offset, records, .. } = &***delivery;
            let own = match &records[..] {
                [one] => {
                    let receipt = Receipt { partition: *partition, offset: *offset };
                    of_message(topic, &one.message, Some(receipt))
                }
                all => vec![
                    KeyValue::new(attribute::MESSAGING_DESTINATION_PARTITION_ID, partition.to_string()),
                    KeyValue::new(attribute::MESSAGING_BATCH_MESSAGE_COUNT, all.len() as i64),
                ],
            };
            (described.name, Attributes { shared: Some(described.attributes), own, peer: None })
        };
        let (resource, now) = (replica.identity.resource, self.now());
        OpenSpan::consumer((&visit.trace, visit.span, visit.parent), links, resource, describe, now)
    }

    /// No worker could be had: the messages fail as if their guest had.
    fn without_worker(&self, parcel: &mut Parcel<'_>, reason: NoWorker) -> Processed {
        let (now, kind) = (self.now(), reason.kind());
        let mut span = self.consumer_span(parcel);
        match reason {
            NoWorker::Broken(failure) => span.guest_failed(failure, now, &self.host.recorder),
            _ => span.fail(kind),
        }
        self.record(span);
        self.measure_messages(parcel, Some(kind), now);
        let within = Some((parcel.visit.trace.clone(), parcel.visit.span));
        Processed { outcome: Outcome::Retry, within, error: Some(kind) }
    }

    /// The guest is done, or given up: ends the CONSUMER span and frees the worker.
    fn conclude_messages(
        &self,
        mut span: OpenSpan,
        mut worker: Worker,
        replica: &Replica,
        answered: Result<Answered, GuestFailure>,
    ) -> (Outcome, Option<&'static str>) {
        let annotations = worker.finish();
        let (outcome, error) = match answered {
            Ok(Answered(outcome)) => {
                replica.release(worker);
                match outcome {
                    contract::Outcome::Done => (Outcome::Done, None),
                    contract::Outcome::Retry => (Outcome::Retry, Some("retry")),
                    contract::Outcome::Reject => (Outcome::Reject, Some("reject")),
                }
            }
            Err(failure) => {
                drop(worker);
                replica.replace();
                let kind = failure.kind;
                span.guest_failed(failure, self.now(), &self.host.recorder);
                (Outcome::Retry, Some(kind))
            }
        };
        if let (Some(kind), Outcome::Reject | Outcome::Retry) = (error, outcome)
            && matches!(kind, "retry" | "reject")
        {
            span.fail(kind);
        }
        // Last: what the host says of the messages, no guest replaces.
        span.annotate(annotations);
        self.record(span);
        (outcome, error)
    }

    fn measure_messages(&self, parcel: &Parcel<'_>, error: Option<&'static str>, begun: Nanos) {
        let Parcel { group, delivery, visit, replica, .. } = parcel;
        self.host.topics.groups()[*group].borrow_mut().processed(begun, self.now(), error);
        let Some(metrics) = &self.host.metrics else { return };
        let attributes = || {
            let error = error.map(|error| KeyValue::new(attribute::ERROR_TYPE, error));
            self.host.topics.consumer(*group).attributes.iter().cloned().chain(error).collect()
        };
        let (now, trace) = (self.now(), &visit.trace);
        let is_sampled = trace.recording;
        let origin = Origin { trace_id: trace.trace_id, span_id: visit.span, is_sampled, time: now };
        let messages = delivery.records.len() as u64;
        let key = MessageKey { place: *group as u32, error };
        let exchanged = Exchanged { messages, took: now - begun, origin };
        metrics.processed_messages(
            metrics.incarnation(replica.identity.resource),
            key,
            attributes,
            exchanged,
        );
    }
}

/// The trace of a message goes on: that trace, the PRODUCER span, and the id of its child. `key` names the
/// delivery.
fn continued(context: &SpanContext, trace: Key, key: Key) -> (Trace, Option<SpanId>, SpanId) {
    let SpanContext { trace_id, span_id, flags, trace_state } = context.clone();
    let trace = Trace { trace_id, flags, trace_state, recording: flags.sampled(), key: trace };
    let child = key.with(Purpose::SpanId as u64).draw();
    (trace, Some(span_id), SpanId(std::num::NonZeroU64::new(child).unwrap_or(std::num::NonZeroU64::MIN)))
}

/// A message as conditions of faults look at a request: its headers and its body.
pub(in crate::bus) fn as_request(message: &Message) -> Request {
    Request { headers: message.headers.clone(), body: message.body.clone(), ..Request::default() }
}
