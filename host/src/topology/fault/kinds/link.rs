//! What befalls messages between two services.

use super::super::super::distribution::positive_distribution;
use super::super::super::units::{self, positive_duration};
use super::Keys;
use crate::model::{FaultKind, Nanos, Way};

/// TCP's least time until it sends again (`TCP_RTO_MIN` of Linux).
const RETRANSMIT: Nanos = 200_000_000;

/// Times that a message is sent again before the connection is given up, and the
/// most: six are `tcp_syn_retries` of Linux, fifteen `tcp_retries2`.
const ATTEMPTS: u32 = 6;
const ATTEMPTS_AT_MOST: u32 = 15;

pub(super) fn partition(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    Some(FaultKind::Partition { on: keys.way(Way::Both)? })
}

pub(super) fn loss(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let on = keys.way(Way::Both);
    let retransmit = keys.get("retransmit").map_or(Some(RETRANSMIT), |value| positive_duration(&value));
    let attempts = keys.get("attempts").map_or(Some(ATTEMPTS), |value| value.count(1..=ATTEMPTS_AT_MOST));
    Some(FaultKind::Loss { on: on?, retransmit: retransmit?, attempts: attempts? })
}

pub(super) fn bandwidth(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let rate = keys.need("rate", "say what the link carries: rate = \"1MiB/s\" or rate = \"10Mbit/s\"")?;
    Some(FaultKind::Bandwidth { bytes_per_second: units::bandwidth(&rate)? })
}

pub(super) fn jitter(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let remedy = "say how much longer messages take: delay = { uniform = { min = \"0ms\", max = \"20ms\" } }";
    let delay = keys.need("delay", remedy)?;
    Some(FaultKind::Jitter { delay: positive_distribution(&delay)? })
}
