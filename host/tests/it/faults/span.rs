//! Latency within a span of the guest: exactly one operation is slow, and it shows.

use super::{MS, assert_counts, took};
use crate::support::{Run, SpanKind, World};

/// `shop` looks something up for 5 ms, and this fault of its span is there.
fn world(span: &str, more: &str) -> World {
    let world = World::of_services(&[("shop", "config = { work = \"5ms\", span = \"lookup\" }")]);
    let fault = format!(
        "[[faults]]\nname = \"it\"\nkind = \"latency\"\ndelay = \"40ms\"\n\
         target = {{ service = \"shop\", span = \"{span}\" }}\n{more}"
    );
    world.with(&fault)
}

fn lookups(run: &Run) -> Vec<u64> {
    took(&run.named("lookup"))
}

#[test]
fn a_span_of_the_guest_takes_longer_and_so_does_what_is_around_it() {
    let run = world("lookup", "").virtually(&["GET /"]);
    assert_eq!(lookups(&run), [45]);
    assert_eq!(took(&run.of("shop", SpanKind::Server)), [45]);
    assert_eq!(run.span("lookup").events.len(), 0);
    assert_counts(&run, 1, 1);
}

#[test]
fn spans_of_another_name_are_as_quick_as_ever() {
    let run = world("payment", "").virtually(&["GET /"]);
    assert_eq!(lookups(&run), [5]);
    assert_counts(&run, 0, 0);
}

#[test]
fn the_service_notices_when_the_wait_is_over() {
    let event =
        "event = { name = \"slow-scan\", attributes = { \"db.rows\" = 48213, \"db.cached\" = false } }";
    let run = world("lookup", event).virtually(&["GET /"]);
    let lookup = run.span("lookup");
    let [noticed] = &lookup.events[..] else { panic!("{lookup:?}") };
    assert_eq!((noticed.name.as_str(), (noticed.time - lookup.start) / MS), ("slow-scan", 40));
    // OTLP writes 64-bit numbers as text.
    assert_eq!(noticed.attributes["db.cached"], false);
    assert_eq!(noticed.attributes["db.rows"], 48213);
}

#[test]
fn each_span_has_dice_of_its_own() {
    let run = world("lookup", "probability = 0.5").virtually(&["GET /"; 40]);
    let slow = lookups(&run).into_iter().filter(|ms| *ms == 45).count();
    assert!((8..=32).contains(&slow), "{slow} of 40");
    assert_counts(&run, 40, slow as u64);
}

#[test]
fn conditions_look_at_the_request_around_the_span() {
    let run = world("lookup", "match = { method = \"POST\" }").virtually(&["GET /"]);
    assert_eq!(lookups(&run), [5]);
    let run = world("lookup", "match = { method = \"GET\" }").virtually(&["GET /"]);
    assert_eq!(lookups(&run), [45]);
}

#[test]
fn spans_that_wait_by_no_chance_leave_every_byte_as_it_was() {
    let without = World::of_services(&[("shop", "config = { work = \"5ms\", span = \"lookup\" }")]);
    let without = without.virtually(&["GET /"; 3]);
    let with = world("lookup", "probability = 0.0").virtually(&["GET /"; 3]);
    assert_eq!(with.bytes, without.bytes);
}

#[test]
fn a_route_is_the_services_own_in_whichever_release_it_is() {
    // The routes of what is deployed, in its own order.
    let deploy = "[[faults]]\nname = \"deploy\"\nkind = \"bad-deploy\"\nguest = \"service\"\n\
                  config = { \"a.route\" = \"GET /new\", \"a.span\" = \"lookup\", \"a.work\" = \"5ms\", \
                  \"b.route\" = \"GET /now\", \"b.span\" = \"lookup\", \"b.work\" = \"5ms\" }\n\
                  target = { service = \"front\" }";
    let slow = |route: &str| {
        let fault = format!(
            "[[faults]]\nname = \"it\"\nkind = \"latency\"\ndelay = \"40ms\"\n\
             target = {{ service = \"front\", route = \"GET {route}\", span = \"lookup\" }}"
        );
        let world = World::of("probe", "").with(deploy).with(&fault);
        lookups(&world.virtually(&["GET /new", "GET /now"]))
    };
    for route in ["/health", "/sleep/{ms}", "/env"] {
        assert_eq!(slow(route), [5, 5], "{route}");
    }
    assert_eq!(slow("/now"), [5, 45]);
}
