//! Messages that are given up go to the dead letters of their subscription, if it has any.

use std::rc::Rc;

use crate::bus::spans::OpenSpan;
use crate::context::{SpanContext, SpanId};
use crate::fault::work::{Progress, WorkId};
use crate::guest::Asking;
use crate::guest::scope::Trace;
use crate::rng::Purpose;
use crate::telemetry::record::Attributes;
use crate::topic::{Delivered, Delivery, Message, Operation, Outcome, Receipt, Record, of_message};

use super::CalleeSide;
use super::receive::Processed;

/// Headers of a dead letter: where it was, and why it is dead.
const TOPIC: &str = "dead-letter-topic";
const PARTITION: &str = "dead-letter-partition";
const OFFSET: &str = "dead-letter-offset";
const GROUP: &str = "dead-letter-group";
const REASON: &str = "dead-letter-reason";

impl CalleeSide {
    /// Sends the messages of a delivery that were given up to the dead letters.
    pub(super) async fn bury(&self, group: usize, delivery: &Rc<Delivery>, processed: &Processed) {
        let Some(dead_letter) = self.host.topics.groups()[group].borrow().settings.dead_letter else {
            return;
        };
        for (record, offset) in delivery.records.iter().zip(delivery.first..) {
            let at = Receipt { partition: delivery.partition, offset };
            if self.bury_one(group, dead_letter, (record, at, delivery.replica), processed).await {
                self.host.topics.groups()[group].borrow_mut().buried();
                let id = WorkId::message(group, record.message.context.span_id);
                self.faults.ledger.work_goes_on(id, Progress::Buried, self.now());
            }
        }
    }

    /// Sends one message. False: it would be deeper than messages may be, or finds no room.
    async fn bury_one(
        &self,
        group: usize,
        dead_letter: usize,
        (record, at, replica): (&Delivered, Receipt, u32),
        processed: &Processed,
    ) -> bool {
        let (topics, recorder) = (&self.host.topics, &self.host.recorder);
        let depth = record.message.depth + 1;
        if depth > topics.depth() {
            return false;
        }
        let (trace, parent) = match &processed.within {
            Some((trace, span)) => (trace.clone(), *span),
            None => of_sender(&record.message),
        };
        let key = record.message.draws.with_name(&topics.groups()[group].borrow().settings.group);
        let id = key.with(Purpose::SpanId as u64).with(u64::from(record.copy)).with(BURIED).draw();
        let span_id = SpanId(std::num::NonZeroU64::new(id).unwrap_or(std::num::NonZeroU64::MIN));
        let message = Rc::new(self.dead(group, record, (at, processed), (&trace, span_id), depth));
        let partition = topics.logs()[dead_letter].borrow().partition(message.key.as_deref(), message.draws);
        recorder.opened();
        let service = topics.groups()[group].borrow().settings.service;
        let resource =
            self.guest(service).map(|guest| guest.set.replicas[replica as usize].identity.resource);
        let describe = || {
            let described = topics.described(dead_letter, Operation::Send);
            (described.name, Attributes { shared: Some(described.attributes), ..Attributes::default() })
        };
        let mut span = OpenSpan::producer((&trace, span_id, parent), resource, describe, self.now());
        let publish = topics.logs()[dead_letter].borrow().settings.publish.clone();
        self.host.sched.sleep(publish.sample(&mut trace.chance(Purpose::Latency, span_id).stream())).await;
        let fate = resource.and_then(|resource| {
            let (trace, server) = (trace.trace_id, processed.within.as_ref().map(|(_, span)| *span));
            let asking =
                Asking { service, replica, resource, slot: None, from: None, trace, server, span: span_id };
            self.fate_of((dead_letter, partition), &message, &asking).map(Rc::new)
        });
        self.host.sched.sleep(fate.as_ref().map_or(0, |fate| fate.on_the_way)).await;
        let now = self.now();
        let record = Record { message: Rc::clone(&message), published: now, copy: 0, fate };
        let published = topics.publish(dead_letter, partition, record, now);
        match published {
            Ok(offset) => {
                let settings = &topics.logs()[dead_letter].borrow().settings;
                span.extend(of_message(settings, &message, Some(Receipt { partition, offset })));
            }
            Err(_) => span.fail("full"),
        }
        self.record(span);
        published.is_ok()
    }

    /// The message as a dead letter.
    fn dead(
        &self,
        group: usize,
        record: &Delivered,
        (at, processed): (Receipt, &Processed),
        (trace, span_id): (&Trace, SpanId),
        depth: u32,
    ) -> Message {
        let message = &record.message;
        let settings = &self.host.topics.groups()[group].borrow().settings;
        let by = settings.service;
        let lineage = settings.dead_letter.map(|to| message.lineage.below(to, by)).unwrap_or_default();
        let mut headers = message.headers.clone();
        let reason = match (processed.outcome, processed.error) {
            (Outcome::Died, _) => "the replica died",
            (_, Some(error)) => error,
            (_, None) => "nobody processed it",
        };
        headers.set(TOPIC, self.host.topics.logs()[settings.topic].borrow().settings.name.as_str());
        headers.set(PARTITION, at.partition.to_string());
        headers.set(OFFSET, at.offset.to_string());
        headers.set(GROUP, settings.group.as_str());
        headers.set(REASON, reason);
        let (trace_id, flags, trace_state) = (trace.trace_id, trace.flags, trace.trace_state.clone());
        Message {
            key: message.key.clone(),
            headers,
            body: message.body.clone(),
            context: SpanContext { trace_id, span_id, flags, trace_state },
            baggage: message.baggage.clone(),
            trace: trace.key,
            draws: trace.chance(Purpose::Message, span_id),
            depth,
            lineage,
        }
    }
}

/// Tells the span of a dead letter from those of deliveries.
const BURIED: u64 = u64::MAX;

/// The trace and the span in which a message was sent.
fn of_sender(message: &Message) -> (Trace, SpanId) {
    let SpanContext { trace_id, span_id, flags, trace_state } = message.context.clone();
    (Trace { trace_id, flags, trace_state, recording: flags.sampled(), key: message.trace }, span_id)
}
