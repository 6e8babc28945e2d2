//! What a bus in virtual time costs: guest calls, hops, orders, spans.

use super::lab::{Lab, MEASURED, ORDER, UNRECORDED};
use super::{BenchError, Effort, Row, at_least, at_most, orders_without_sleeps, shards, stage};

/// Hops of the chain whose cost is divided by their number.
const CHAIN: usize = 20;

/// Calls of the host whose cost is divided by their number.
const CLOCK_READS: u32 = 1_000;

pub fn rows(effort: Effort) -> Result<Vec<Row>, BenchError> {
    let orders = Lab::new(&orders_without_sleeps())?;
    let order = orders.seconds_each(effort, ORDER);
    let (spans, span) = (orders.spans_each(), orders.encoding(effort));
    let sent = orders.sending(effort)?;
    let mut rows = hop_rows(effort, span, sent)?;
    let encoding = Lab::encoding_beside(&orders_without_sleeps())?;
    let both = encoding.wall_seconds_each(effort, ORDER);
    rows.extend([
        at_least("orders in virtual time, spans recorded", 1.0 / order, "orders/s", Some(40_000.0)),
        at_least("spans through recording, core thread", spans / order, "spans/s", None),
        at_least("spans to encoded OTLP, one thread", 1.0 / span, "spans/s", None),
        at_least(
            "spans encoded, sent over HTTP and received, by the wall clock",
            1.0 / sent,
            "spans/s",
            None,
        ),
        at_least(
            "spans recorded on one thread, encoded on another, by the wall clock",
            spans / both,
            "spans/s",
            None,
        ),
        at_least(
            "spans of two worlds, recorded and encoded on two processors, by the wall clock",
            shards::spans_a_second(effort, 2)?,
            "spans/s",
            Some(1_000_000.0),
        ),
    ]);
    Ok(rows)
}

/// A hop and its stages, each measured by leaving it out. What the other threads do
/// with its two spans, which take them `encoding` and `sending` seconds each, comes on top.
fn hop_rows(effort: Effort, encoding: f64, sending: f64) -> Result<Vec<Row>, BenchError> {
    let noop = Lab::new(NOOP)?;
    let call = noop.guest_call(effort)?;
    let answer = noop.seconds_each(effort, "GET /");
    let each = |chain: f64| (chain - answer) / CHAIN as f64 * 1e6;
    let hop = each(Lab::new(&chain_topology(CHAIN, 0))?.seconds_each(effort, "GET /"));
    let unrecorded = Lab::with(&chain_topology(CHAIN, 0), UNRECORDED)?.seconds_each(effort, "GET /");
    let spans = hop - each(unrecorded);
    let measured = each(Lab::with(&chain_topology(CHAIN, 0), MEASURED)?.seconds_each(effort, "GET /"));
    let silent = Lab::new(&chain_topology(1, 0))?.seconds_each(effort, "GET /");
    let reading = Lab::new(&chain_topology(1, CLOCK_READS))?.seconds_each(effort, "GET /");
    let host_call = (reading - silent) / f64::from(CLOCK_READS) * 1e6;
    let (call, rest) = (call * 1e6, hop - call * 1e6 - spans - host_call);
    Ok(vec![
        at_most("a request to a warm guest that answers at once", answer * 1e6, "µs", None),
        at_most("a hop: CLIENT and SERVER span, context, queue, warm guest", hop, "µs", Some(2.0)),
        stage("— a call into a guest that answers at once, without the bus", call, hop),
        stage("— a call from a guest into the host, of one that reads the clock", host_call, hop),
        stage("— both spans, with their attributes", spans, hop),
        stage("— on top of it: metrics, where they are made", measured - hop, hop),
        stage("— the rest: bus, context, queue, scheduler, the message, the guest's code", rest, hop),
        stage("— beside it, on another thread: encoding both spans", 2.0 * encoding * 1e6, hop),
        stage(
            "— beside it: encoding, sending and receiving them, by the wall clock",
            2.0 * sending * 1e6,
            hop,
        ),
    ])
}

const NOOP: &str =
    "[topology]\nname = \"noop\"\n[ingress]\nto = \"noop\"\n[services.noop]\nguest = \"noop\"\n";

/// `hops` services that each call the next, after they have read the clock `clock_reads` times.
fn chain_topology(hops: usize, clock_reads: u32) -> String {
    let mut text =
        "[topology]\nname = \"chain\"\n[ingress]\nto = \"hop-0\"\n[network]\nlatency = \"0ns\"\n".to_owned();
    text.push_str("[limits]\ncall-depth = 100\n");
    for hop in 0..hops {
        let next = hop + 1;
        text.push_str(&format!("[services.hop-{hop}]\nguest = \"hop\"\n"));
        text.push_str(&format!("config = {{ next = \"hop-{next}\", clock-reads = {clock_reads} }}\n"));
    }
    text.push_str(&format!("[services.hop-{hops}]\nguest = \"noop\"\n"));
    text
}
