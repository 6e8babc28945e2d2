//! `--between`: what is said of an interval that nothing can be in.

use crate::model::Nanos;
use crate::telemetry::choice::Instant;
use crate::telemetry::console::text::moment;

use super::words::time;

const SECOND: Nanos = 1_000_000_000;

/// What is wrong with an interval that has no instant in it, and what to write instead. Times are counted
/// from `origin`, when `first` begins.
pub fn turned((from, to): (Instant, Instant), origin: Nanos, first: &str) -> Option<(String, String)> {
    let (begin, end) = (from.of(origin), to.of(origin));
    if begin < end {
        return None;
    }
    let (written, until) = (shown(from), shown(to));
    let help = match (from, to) {
        (Instant::At(_), Instant::After(_)) | (Instant::After(_), Instant::At(_)) => {
            let [origin, begin, end] = [origin, begin, end].map(|at| shown(Instant::At(at)));
            format!(
                "{first} begins at {origin}, so the interval is from {begin} to {end}: write an earlier start or a \
                 later end"
            )
        }
        (Instant::At(at), _) if begin == end => later(&written, Instant::At(at.saturating_add(SECOND))),
        (Instant::After(at), _) if begin == end => later(&written, Instant::After(at.saturating_add(SECOND))),
        _ => format!("write the earlier end first: --between {until} {written}"),
    };
    let what =
        format!("nothing is in the interval --between {written} {until}: its end is not after its start");
    Some((what, help))
}

fn later(from: &str, end: Instant) -> String {
    format!("write a later end, such as --between {from} {}", shown(end))
}

/// An end of an interval as it may be written.
pub fn shown(end: Instant) -> String {
    match end {
        Instant::At(at) => moment(at).unwrap_or_else(|| at.to_string()),
        Instant::After(after) => time(after),
    }
}
