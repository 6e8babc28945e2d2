//! What a guest may have of instruments.

/// Instruments that a replica's guest has at most.
pub const INSTRUMENTS: usize = 100;

/// Characters of a name, a unit and a description (OpenTelemetry specification, "Metrics API", "Instrument
/// name syntax", "Instrument unit", "Instrument description").
pub const NAME: usize = 255;
pub const UNIT: usize = 63;
pub const DESCRIPTION: usize = 1_023;

/// Bounds of a histogram's buckets.
pub const BOUNDS: usize = 200;

/// Attributes of a measurement. No variable sets another limit, as the attributes of metrics are exempt
/// from those: without one of them, a value would count for another series.
pub const ATTRIBUTES: usize = 128;

/// What all series of a replica's guest take: bytes.
pub const SERIES_BYTES: usize = 16 << 20;

/// Misuses that are told apart for a replica. Further ones are one.
pub const MISUSES: usize = 20;
