//! Faults of links: what lies between two services loses, delays and doubles messages.

use super::{CALL, MS, assert_counts, between, calls, took};
use crate::support::{SpanKind, World};

const WITH_PATIENCE: &str = "GET /call?service=back&path=/now&timeout-ms=500";

#[test]
fn over_a_partition_no_request_gets_through() {
    let run = between("partition", "").virtually(&[WITH_PATIENCE]);
    assert_eq!(calls(&run), [(500, "timeout".to_owned())]);
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
}

#[test]
fn over_a_partition_of_one_way_the_service_works_and_nobody_hears_of_it() {
    let run = between("partition", "on = \"response\"").virtually(&[WITH_PATIENCE]);
    assert_eq!(calls(&run), [(500, "timeout".to_owned())]);
    let server = run.span("GET /now");
    assert_eq!((server.duration(), server.get("http.response.status_code")), (1, &200.into()));
}

#[test]
fn a_partition_can_be_between_two_replicas() {
    let world = World::of("probe", "replicas = 2").and("back", "probe", "replicas = 3");
    let fault = "[[faults]]\nname = \"it\"\nkind = \"partition\"\n\
                 target = { link = \"front -> back\", from-replica = 1, replica = 2 }";
    let run = world.with(fault).virtually(&[WITH_PATIENCE; 60]);
    let lost = calls(&run).iter().filter(|(_, error)| error == "timeout").count();
    // A sixth of the calls goes from that replica to that replica.
    assert!((3..=20).contains(&lost), "{lost}");
    let servers = run.of("back", SpanKind::Server);
    assert_eq!(servers.len(), 60 - lost);
    let instance = |service: &str, parent: &str| {
        let of_service = run.spans().iter().filter(|span| span.service == service);
        of_service.filter(|span| span.id == parent).map(|span| span.instance.clone()).next()
    };
    let mut pairs: Vec<_> = servers
        .iter()
        .map(|server| (instance("front", &server.parent).expect("a caller"), server.instance.clone()))
        .collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!(pairs.len(), 5, "every pair of replicas but one: {pairs:?}");
}

#[test]
fn what_is_lost_is_sent_again_after_a_time_that_doubles() {
    let run = between("loss", "probability = 0.4\non = \"request\"").virtually(&[CALL; 60]);
    let known = [20, 220, 620, 1_420, 3_020, 6_220];
    let times = took(&run.of("front", SpanKind::Client));
    assert!(times.iter().all(|time| known.contains(time)), "{times:?}");
    let lost_at_least = |losses: usize| times.iter().filter(|time| **time >= known[losses]).count();
    assert!((12..=36).contains(&lost_at_least(1)), "24 of 60 at the first attempt: {times:?}");
    assert!((3..=18).contains(&lost_at_least(2)), "9.6 of 60 twice: {times:?}");
    assert_counts(&run, 60, lost_at_least(1) as u64);
}

#[test]
fn who_loses_every_message_breaks_the_connection_at_last() {
    let run = between("loss", "on = \"response\"\nattempts = 3").virtually(&[CALL]);
    // 200, 400 and 800 ms after a response that took 10 ms there and 10 ms back.
    assert_eq!(calls(&run), [(1_420, "connection_reset".to_owned())]);
    assert_eq!(run.of("back", SpanKind::Server).len(), 1);
}

#[test]
fn a_request_that_is_duplicated_is_served_twice_and_answered_once() {
    let run = between("duplicate", "").virtually(&[CALL]);
    assert_eq!(run.answers[0].json()["status"], 200);
    let [client] = run.of("front", SpanKind::Client)[..] else { panic!("one CLIENT span") };
    let servers = run.of("back", SpanKind::Server);
    assert_eq!(servers.len(), 2);
    assert!(
        servers.iter().all(|server| server.parent == client.id && server.start - client.start == 10 * MS)
    );
    assert_ne!(servers[0].id, servers[1].id);
    assert_counts(&run, 1, 1);
}

#[test]
fn a_narrow_link_carries_one_message_after_the_other() {
    let run = between("bandwidth", "rate = \"10KiB/s\"").virtually(&["GET /parallel?ms=0"]);
    let servers = run.of("back", SpanKind::Server);
    let arrivals: Vec<_> = servers.iter().map(|span| span.start - servers[0].start).collect();
    let one = arrivals[1];
    // Three equal requests leave at once: the second waits for the first, the third for both.
    assert_eq!(arrivals, [0, one, 2 * one]);
    assert!((MS..100 * MS).contains(&one), "{one}");
    let first = servers[0].start - run.of("front", SpanKind::Client)[0].start;
    assert_eq!(first, 10 * MS + one);
}

#[test]
fn a_ramp_narrows_a_link_by_and_by() {
    let more = "rate = \"1KiB/s\"\nwhen = { ramp = \"1h\" }";
    let wide = between("bandwidth", more).virtually(&[CALL]);
    assert_eq!(took(&wide.of("front", SpanKind::Client)), [20], "it has hardly begun");
}

#[test]
fn jitter_spreads_the_times_of_messages_both_ways() {
    let more = "delay = { uniform = { min = \"0ms\", max = \"30ms\" } }";
    let run = between("jitter", more).virtually(&[CALL; 40]);
    let (clients, servers) = (run.of("front", SpanKind::Client), run.of("back", SpanKind::Server));
    let there: Vec<_> =
        clients.iter().zip(&servers).map(|(call, served)| served.start - call.start).collect();
    let back: Vec<_> = clients.iter().zip(&servers).map(|(call, served)| call.end - served.end).collect();
    for leg in [&there, &back] {
        assert!(leg.iter().all(|time| (10 * MS..=40 * MS).contains(time)), "{leg:?}");
        let (least, most) = (leg.iter().min().expect("calls"), leg.iter().max().expect("calls"));
        assert!(most - least > 20 * MS, "{leg:?}");
    }
    assert_ne!(there, back, "each way has dice of its own");
    assert_counts(&run, 80, 80);
}
