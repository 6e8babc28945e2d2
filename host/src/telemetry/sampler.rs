//! Which traces are kept: decided once, where a request enters.

use opentelemetry::trace::{SpanContext as SdkSpanContext, SpanKind, TraceContextExt, TraceState};
use opentelemetry::{Context, TraceFlags as SdkFlags, TraceId as SdkTraceId};
use opentelemetry_sdk::trace::{Sampler as SdkSampler, SamplingDecision, ShouldSample};

use crate::context::{SpanContext, TraceId};

/// The sampler of a run: `OpenTelemetry`'s own, asked at the ingress.
#[derive(Clone, Debug)]
pub struct Sampler(SdkSampler);

impl Default for Sampler {
    /// The specification's default, `parentbased_always_on`.
    fn default() -> Self {
        Self::new(SdkSampler::ParentBased(Box::new(SdkSampler::AlwaysOn)))
    }
}

impl Sampler {
    pub const fn new(sampler: SdkSampler) -> Self {
        Self(sampler)
    }

    /// Keeps nothing: there is no exporter and no digest.
    pub const fn off() -> Self {
        Self(SdkSampler::AlwaysOff)
    }

    /// Whether the trace is kept, given the caller's context if there is one.
    pub fn decide(&self, parent: Option<&SpanContext>, trace_id: TraceId) -> bool {
        let context = parent.map(|parent| Context::new().with_remote_span_context(sdk(parent)));
        let trace_id = SdkTraceId::from_bytes(trace_id.0.get().to_be_bytes());
        let result = self.0.should_sample(context.as_ref(), trace_id, "", &SpanKind::Server, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
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
