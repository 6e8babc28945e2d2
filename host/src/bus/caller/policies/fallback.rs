//! `fallback`: what the caller gets in place of a failure.

use opentelemetry_semantic_conventions::attribute;

use crate::bus::caller::attempt::ClientSpan;
use crate::bus::visit::Outcome;
use crate::message::{Headers, Response};
use crate::model::Fallback;
use crate::telemetry::record::KeyValue;

use super::{GuardedCall, Landed, is_among};

/// Event: the caller gets the fallback, with its `http.response.status_code`.
const FALLBACK: &str = "simhost.link.fallback";

impl GuardedCall {
    /// Ends the last span, with what the caller gets.
    pub(super) fn conclude(&self, mut landed: Landed) -> Outcome {
        let fallback = self.state.policies.fallback.as_ref();
        let fallback =
            fallback.filter(|fallback| landed.never_left() || is_among(&fallback.on, &landed.outcome));
        let Some(fallback) = fallback else { return landed.end() };
        landed.span.falls_back(fallback.status);
        landed.end().ok();
        let Fallback { status, headers, body, .. } = fallback.clone();
        Ok(Response { status, headers: Headers(headers), body: body.into_bytes() })
    }
}

impl ClientSpan {
    fn falls_back(&mut self, status: u16) {
        let status = vec![KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status))];
        self.say(|span, now| span.happened(FALLBACK, status, now));
        self.count(|account| account.fallbacks += 1);
    }
}
