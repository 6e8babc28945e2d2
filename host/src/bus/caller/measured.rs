//! What is measured of requests that processes send, and of what the policies of links make of them.

use std::rc::Rc;
use std::sync::Arc;

use crate::bus::callee::CalleeSide;
use crate::bus::measure::describe;
use crate::bus::spans::{self, ClientAttributes};
use crate::bus::visit::Outcome;
use crate::context::{SpanId, TraceId};
use crate::guest::scope::Caller;
use crate::metrics::{
    BREAKER_STATES, Ended, HttpVersion, Incarnation, Metrics, OVERFLOW, Origin, PolicyCounts, RequestKey,
    Sizes,
};
use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::resolve::address_of;

/// A request that a process has sent, as far as metrics tell it from others.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    of: Incarnation,
    callee: u32,
    method: u8,
    pub version: HttpVersion,
    is_sampled: bool,
    /// Of its body: bytes.
    size: u32,
    began: Nanos,
    span: SpanId,
    trace: TraceId,
}

/// Where a request goes, as its CLIENT span has it.
#[derive(Clone, Copy, Debug)]
pub enum Destination<'a> {
    /// A service of the topology, by number.
    Service(u32),
    /// The base of a URL: `http://host:port`.
    Base(&'a str),
}

/// Servers that are no services have numbers from here on.
const EXTERNALS: u32 = 1 << 31;

/// All of them that are too many have this one.
const FURTHER: u32 = u32::MAX;

impl CalleeSide {
    /// What metrics have to know of a request that a caller sends now.
    pub(in crate::bus) fn sends(
        &self,
        caller: &Caller,
        method: &str,
        size: usize,
        to: Destination<'_>,
    ) -> Option<Sent> {
        let metrics = self.host.metrics.as_ref()?;
        let callee = match to {
            Destination::Service(number) => number,
            Destination::Base(base) => metrics.external(base).map_or(FURTHER, |number| EXTERNALS + number),
        };
        Some(Sent {
            of: metrics.incarnation(caller.resource),
            callee,
            method: spans::method_number(method),
            version: HttpVersion::Unknown,
            is_sampled: caller.trace.recording,
            size: size as u32,
            began: self.now(),
            span: caller.span,
            trace: caller.trace.trace_id,
        })
    }

    /// A request that a caller has sent has ended with this outcome.
    pub(in crate::bus) fn measure_sent(&self, sent: Option<Sent>, outcome: &Outcome) {
        match outcome {
            Ok(response) => self.measure_end_of(sent, Some(response.status), Some(response.body.len()), None),
            Err(error) => self.measure_end_of(sent, None, None, Some(error.kind())),
        }
    }

    /// Nobody waits any more for the end of a request that a caller has sent.
    pub(in crate::bus) fn measure_given_up(&self, sent: Option<Sent>, error: &'static str) {
        self.measure_end_of(sent, None, None, Some(error));
    }

    /// A request that a caller has sent has ended. `size` is that of the response's body. Where its span is
    /// lost, as its worker is, so is the measurement.
    pub(in crate::bus) fn measure_end_of(
        &self,
        sent: Option<Sent>,
        status: Option<u16>,
        size: Option<usize>,
        error: Option<&'static str>,
    ) {
        let (Some(metrics), Some(sent)) = (&self.host.metrics, sent) else { return };
        if self.host.recorder.is_losing() {
            return;
        }
        let Sent { of, callee, method, version, is_sampled, began, span, trace, .. } = sent;
        let key = RequestKey { place: callee, method, version, status: status.unwrap_or(0), error };
        let attributes = || {
            if callee == FURTHER {
                return [KeyValue::new(OVERFLOW, true)].into();
            }
            let mut attributes = vec![spans::numbered_method(method)];
            attributes.extend(self.callee_attributes(metrics, callee));
            describe(&mut attributes, &key, 400);
            attributes.into()
        };
        let now = self.now();
        let origin = Origin { trace_id: trace, span_id: span, is_sampled, time: now };
        let sizes = Sizes { request: sent.size.into(), response: size.map(|size| size as u64) };
        let sizes = metrics.settings().body_sizes.then_some(sizes);
        metrics.sent(of, key, attributes, Ended { took: now - began, sizes, origin });
    }

    /// The policies of its link did something.
    pub(in crate::bus) fn measure_policies(&self, sent: Option<&Sent>, counts: PolicyCounts) {
        let (Some(metrics), Some(sent)) = (&self.host.metrics, sent) else { return };
        let attributes = || self.callee_attributes(metrics, sent.callee).into();
        metrics.policies(sent.of, sent.callee, attributes, counts);
    }

    /// The breaker of its link is in this state, of all that there are.
    pub(in crate::bus) fn measure_breaker(
        &self,
        sent: Option<&Sent>,
        state: usize,
        states: impl FnOnce() -> [KeyValue; BREAKER_STATES],
    ) {
        let (Some(metrics), Some(sent)) = (&self.host.metrics, sent) else { return };
        let attributes = || self.callee_attributes(metrics, sent.callee).into();
        let of_states = |callee: &[KeyValue]| {
            states().map(|state| callee.iter().cloned().chain([state]).collect::<Arc<[_]>>())
        };
        metrics.breaker(sent.of, sent.callee, attributes, state, of_states);
    }

    fn callee_attributes(&self, metrics: &Rc<Metrics>, callee: u32) -> Vec<KeyValue> {
        let Some(external) = callee.checked_sub(EXTERNALS) else {
            return self.nodes[callee as usize].client.server().into();
        };
        let Some(base) = metrics.external_at(external) else { return Vec::new() };
        let (address, port) = address_of(&base);
        ClientAttributes::new(&address, port, None).server().into()
    }
}
