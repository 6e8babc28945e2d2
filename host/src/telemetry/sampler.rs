//! Which traces are kept: decided once, where a request enters.

use std::fmt;
use std::sync::Arc;

use opentelemetry::trace::{SpanContext as SdkSpanContext, SpanKind, TraceContextExt, TraceState};
use opentelemetry::{Context, TraceFlags as SdkFlags, TraceId as SdkTraceId};
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SamplingDecision, ShouldSample};

use crate::context::probability::{Threshold, randomness, threshold, with_threshold};
use crate::context::{SpanContext, TraceId};

/// The sampler of a run, asked at the ingress.
#[derive(Clone)]
pub enum Sampler {
    /// `OpenTelemetry`'s own. It leaves `tracestate` as it is.
    Sdk(SdkSampler),
    /// `ProbabilitySampler` of the specification, which the SDK does not have.
    Probability(Probability),
}

/// Keeps a share of the traces, and says so in `tracestate`.
#[derive(Clone, Debug)]
pub struct Probability {
    /// None: nothing is kept.
    threshold: Option<Threshold>,
    /// `tracestate` of a trace that begins here and is kept.
    state: Option<Arc<str>>,
    /// Whether the caller decides, if there is one (`ComposableParentThreshold`).
    is_parent_based: bool,
}

impl Default for Sampler {
    /// The specification's default, `parentbased_always_on`.
    fn default() -> Self {
        Self::Sdk(SdkSampler::ParentBased(Box::new(SdkSampler::AlwaysOn)))
    }
}

/// As the SDK shows its own.
impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sdk(sampler) => sampler.fmt(f),
            Self::Probability(Probability { threshold, is_parent_based, .. }) => {
                let threshold = threshold.map_or("none".to_owned(), |threshold| threshold.to_string());
                if *is_parent_based {
                    write!(f, "ParentBased(Probability(th:{threshold}))")
                } else {
                    write!(f, "Probability(th:{threshold})")
                }
            }
        }
    }
}

impl Sampler {
    /// Keeps this share of the traces, from 0 to 1, of those that begin here alone if `is_parent_based`.
    pub fn probability(share: f64, is_parent_based: bool) -> Self {
        // "The zero value is not defined": it is never, which is no probability.
        let threshold = (share > 0.0).then(|| Threshold::of_probability(share));
        let state = with_threshold(None, threshold);
        Self::Probability(Probability { threshold, state, is_parent_based })
    }

    /// Keeps nothing: there is no exporter and no digest.
    pub const fn off() -> Self {
        Self::Sdk(SdkSampler::AlwaysOff)
    }

    /// Whether the trace is kept, given the caller's context if there is one.
    pub fn decide(&self, parent: Option<&SpanContext>, trace_id: TraceId) -> bool {
        match self {
            Self::Sdk(sampler) => {
                let context = parent.map(|parent| Context::new().with_remote_span_context(sdk(parent)));
                let trace_id = SdkTraceId::from_bytes(trace_id.0.get().to_be_bytes());
                let result =
                    sampler.should_sample(context.as_ref(), trace_id, "", &SpanKind::Server, &[], &[]);
                result.decision == SamplingDecision::RecordAndSample
            }
            Self::Probability(Probability { threshold, is_parent_based, .. }) => match parent {
                Some(parent) if *is_parent_based => parent.flags.sampled(),
                _ => {
                    let state = parent.and_then(|parent| parent.trace_state.as_deref());
                    threshold.is_some_and(|threshold| threshold.keeps(randomness(trace_id, state)))
                }
            },
        }
    }

    /// The `tracestate` of a request about which it was [decided](Self::decide); `incoming` is the caller's,
    /// if there is a caller.
    pub fn trace_state(
        &self,
        incoming: Option<Option<Arc<str>>>,
        trace_id: TraceId,
        is_kept: bool,
    ) -> Option<Arc<str>> {
        let Self::Probability(probability) = self else { return incoming.flatten() };
        let Some(incoming) = incoming else { return probability.state.clone().filter(|_| is_kept) };
        let threshold = if probability.is_parent_based {
            // A threshold that would not have kept the trace is erased ("General requirements").
            let said = incoming.as_deref().and_then(threshold);
            said.filter(|said| said.keeps(randomness(trace_id, incoming.as_deref())))
        } else {
            probability.threshold
        };
        with_threshold(incoming, threshold.filter(|_| is_kept))
    }
}

fn sdk(parent: &SpanContext) -> SdkSpanContext {
    SdkSpanContext::new(
        SdkTraceId::from_bytes(parent.trace_id.0.get().to_be_bytes()),
        opentelemetry::SpanId::from_bytes(parent.span_id.0.get().to_be_bytes()),
        SdkFlags::new(parent.flags.0),
        true,
        TraceState::NONE,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a caller's `tracestate` and flag: whether the trace is kept, and what is passed on.
    fn asked(sampler: &Sampler, state: &str, sampled: bool) -> (bool, Option<String>) {
        let flags = if sampled { "01" } else { "00" };
        let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        let parent: SpanContext = parent.parse().expect("a context");
        let parent = SpanContext { trace_state: Some(state.into()), ..parent };
        let kept = sampler.decide(Some(&parent), parent.trace_id);
        let state = sampler.trace_state(Some(parent.trace_state.clone()), parent.trace_id, kept);
        (kept, state.map(|state| state.to_string()))
    }

    fn outcome(kept: bool, state: &str) -> (bool, Option<String>) {
        (kept, Some(state.to_owned()).filter(|state| !state.is_empty()))
    }

    #[test]
    fn a_share_decides_by_the_randomness_of_the_trace_whatever_the_caller_has_decided() {
        let quarter = Sampler::probability(0.25, false);
        // The id ends in ce929d0e0e4736.
        assert_eq!(asked(&quarter, "a=1", false), outcome(true, "ot=th:c,a=1"));
        assert_eq!(asked(&quarter, "ot=th:8,a=1", true), outcome(true, "ot=th:c,a=1"));
        assert_eq!(
            asked(&quarter, "ot=th:8;rv:bfffffffffffff", true),
            outcome(false, "ot=rv:bfffffffffffff"),
            "explicit randomness counts, and stays"
        );
        assert_eq!(
            asked(&quarter, "ot=rv:c0000000000000", false),
            outcome(true, "ot=rv:c0000000000000;th:c")
        );
        let tenth = Sampler::probability(0.1, false);
        assert_eq!(asked(&tenth, "ot=th:c", true), outcome(false, ""));
        assert_eq!(asked(&Sampler::probability(0.0, false), "a=1", true), outcome(false, "a=1"));
        assert_eq!(asked(&Sampler::probability(1.0, false), "a=1", false), outcome(true, "ot=th:0,a=1"));
    }

    #[test]
    fn a_caller_that_is_followed_has_its_threshold_passed_on_if_it_is_consistent() {
        let sampler = Sampler::probability(0.001, true);
        assert_eq!(asked(&sampler, "a=1,ot=th:c", true), outcome(true, "a=1,ot=th:c"), "it stays as it was");
        assert_eq!(
            asked(&sampler, "ot=th:d,a=1", true),
            outcome(true, "a=1"),
            "it would not have kept the trace"
        );
        assert_eq!(asked(&sampler, "ot=th:xyz,a=1", true), outcome(true, "a=1"), "it is none");
        assert_eq!(asked(&sampler, "a=1,ot=th:c", false), outcome(false, "a=1"), "nothing was kept");
        assert_eq!(asked(&sampler, "a=1", true), outcome(true, "a=1"), "nobody knows the share");
    }

    #[test]
    fn a_trace_that_begins_here_says_by_which_threshold_it_is_kept() {
        let sampler = Sampler::probability(0.01, true);
        let id: SpanContext =
            "00-4bf92f3577b34da6a3ffff9d0e0e4736-00f067aa0ba902b7-03".parse().expect("a context");
        assert!(sampler.decide(None, id.trace_id));
        assert_eq!(sampler.trace_state(None, id.trace_id, true).as_deref(), Some("ot=th:fd70a"));
        assert_eq!(sampler.trace_state(None, id.trace_id, false), None);
    }

    #[test]
    fn the_samplers_of_the_sdk_leave_the_state_as_it_is() {
        let state = "ot=th:8;th:c,a=1";
        assert_eq!(asked(&Sampler::default(), state, true), outcome(true, state));
        assert_eq!(asked(&Sampler::off(), state, true), outcome(false, state));
    }
}
