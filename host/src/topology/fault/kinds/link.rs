//! What befalls messages between two services.

use super::super::super::distribution::{positive_distribution, show_distribution};
use super::super::super::units::{self, positive_duration, show_size};
use super::{Declaration, Keys, Read};
use crate::model::{Direction, Effect, Nanos, NetworkFault};

/// TCP's least time until it sends again (`TCP_RTO_MIN` of Linux).
const RETRANSMIT: Nanos = 200_000_000;

/// Times that a message is sent again before the connection is given up, and the
/// most: six are `tcp_syn_retries` of Linux, fifteen `tcp_retries2`.
const ATTEMPTS: u32 = 6;
const ATTEMPTS_AT_MOST: u32 = 15;

pub(super) static KINDS: [Declaration; 5] = [
    Declaration::requests("partition", "a switch, a route or a security group", &["on"], partition),
    Declaration::requests("loss", "a bad cable, a congested queue", &["on", "retransmit", "attempts"], loss),
    Declaration::requests("duplicate", "a proxy that sends again", &[], |_| {
        Read::plain(Effect::Network(NetworkFault::Duplicate))
    }),
    Declaration::requests("bandwidth", "a thin or shared link", &["rate"], bandwidth).by_magnitude(),
    Declaration::requests("jitter", "a busy switch, a long way", &["delay"], jitter).by_magnitude(),
];

fn partition(keys: &Keys<'_, '_>) -> Option<Read> {
    let on = keys.direction(Direction::Both)?;
    Read::plain(Effect::Network(NetworkFault::Partition { on }))
}

fn loss(keys: &Keys<'_, '_>) -> Option<Read> {
    let on = keys.direction(Direction::Both);
    let retransmit = keys.get("retransmit").map_or(Some(RETRANSMIT), |value| positive_duration(&value));
    let attempts = keys.get("attempts").map_or(Some(ATTEMPTS), |value| value.count(1..=ATTEMPTS_AT_MOST));
    let loss = NetworkFault::Loss { on: on?, retransmit: retransmit?, attempts: attempts? };
    Read::plain(Effect::Network(loss))
}

fn bandwidth(keys: &Keys<'_, '_>) -> Option<Read> {
    let rate = keys.need("rate", "say what the link carries: rate = \"1MiB/s\" or rate = \"10Mbit/s\"")?;
    let bytes_per_second = units::bandwidth(&rate)?;
    let detail = format!(" of {}/s", show_size(bytes_per_second));
    Read::detailed(Effect::Network(NetworkFault::Bandwidth { bytes_per_second }), detail)
}

fn jitter(keys: &Keys<'_, '_>) -> Option<Read> {
    let remedy = "say how much longer messages take: delay = { uniform = { min = \"0ms\", max = \"20ms\" } }";
    let delay = positive_distribution(&keys.need("delay", remedy)?)?;
    let detail = format!(" of {}", show_distribution(&delay));
    Read::detailed(Effect::Network(NetworkFault::Jitter { delay }), detail)
}
