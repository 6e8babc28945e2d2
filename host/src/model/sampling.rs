//! Samplers, by the names that `OTEL_TRACES_SAMPLER` has for them.

/// How it is decided whether a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SamplerKind {
    AlwaysOn,
    AlwaysOff,
    TraceIdRatio,
    Probability,
}

impl SamplerKind {
    /// Whether it keeps a share of the traces, which it has to be told.
    pub const fn takes_share(self) -> bool {
        matches!(self, Self::TraceIdRatio | Self::Probability)
    }
}

/// A sampler without its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSampler {
    pub kind: SamplerKind,
    /// Whether the caller decides, if there is one.
    pub is_parent_based: bool,
}

const fn named(kind: SamplerKind, is_parent_based: bool) -> NamedSampler {
    NamedSampler { kind, is_parent_based }
}

/// The specification's default, `parentbased_always_on`.
impl Default for NamedSampler {
    fn default() -> Self {
        named(SamplerKind::AlwaysOn, true)
    }
}

/// All of them.
pub const SAMPLERS: [(&str, NamedSampler); 8] = [
    ("always_on", named(SamplerKind::AlwaysOn, false)),
    ("always_off", named(SamplerKind::AlwaysOff, false)),
    ("traceidratio", named(SamplerKind::TraceIdRatio, false)),
    ("probability", named(SamplerKind::Probability, false)),
    ("parentbased_always_on", named(SamplerKind::AlwaysOn, true)),
    ("parentbased_always_off", named(SamplerKind::AlwaysOff, true)),
    ("parentbased_traceidratio", named(SamplerKind::TraceIdRatio, true)),
    ("parentbased_probability", named(SamplerKind::Probability, true)),
];

/// Which traces are kept, as `[telemetry]` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    pub sampler: NamedSampler,
    /// From 0 to 1; of no sampler that [takes none](SamplerKind::takes_share).
    pub share: Option<f64>,
}
