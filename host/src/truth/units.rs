//! How the truth writes places, times and instants.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Nanos;

/// A service and one of its routes: null for what meets no route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Where {
    pub service: String,
    pub route: Option<String>,
}

/// A length of time in seconds.
pub fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// An instant by RFC 3339, to the nanosecond.
pub fn instant(nanos: Nanos) -> String {
    // A u64 of nanoseconds ends in 2554; a timestamp holds the year 9999.
    let instant = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::MAX);
    format!("{instant:.9}")
}
