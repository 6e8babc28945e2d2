//! All policies at once, under load.

use std::collections::BTreeSet;

use crate::resilience::world;
use crate::support::{SpanKind, World};

/// Three replicas with every policy call a service that is slow at times, fails
/// at times, and is too small for its load.
fn everything() -> World {
    let services = [
        ("front", "replicas = 3\nconfig.calls = \"mid & 50% 2x POST mid\""),
        (
            "mid",
            "config.calls = \"back\"\nconfig.change = { route = \"POST /\", work = \"5ms\", errors = 0.1 }\n\
                 config.read = { route = \"GET /\", work = { exponential = { mean = \"5ms\" } } }",
        ),
        (
            "back",
            "workers = 2\nqueue = 8\nconfig.work = { exponential = { mean = \"15ms\" } }\nconfig.errors = 0.1",
        ),
    ];
    let first = "[[links]]\nfrom = \"front\"\nto = \"mid\"\ntimeout = \"200ms\"\ndeadline = true\n\
                 hedge = { after = \"60ms\", attempts = 3, on = [\"502\"] }\n\
                 bulkhead = { max-concurrent = 12, queue = 4 }\nfallback = { body = \"stale\" }\n";
    let second = "[[links]]\nfrom = \"mid\"\nto = \"back\"\ntimeout = \"80ms\"\ndeadline = true\n\
                  retry = { attempts = 4, backoff = \"10ms\", on = [\"5xx\", \"timeout\"], budget = 0.3 }\n\
                  breaker = { rate = 0.6, min-requests = 10, window = \"1s\", open-for = \"500ms\", half-open = 2 }\n";
    let load = "[[load]]\nname = \"load\"\nto = \"front\"\narrivals = { poisson = \"60/s\" }\nrequest = { path = \"/\" }";
    World::of_services(&services).with(first).with(second).with(load).flags(&["--for", "8s"])
}

#[test]
fn every_policy_acts_and_the_same_seed_gives_the_same_bytes() {
    // A run whose counts break a law fails: attempts, refusals and cancelled calls balance.
    let [run, again] = [(); 2].map(|()| everything().flags(&["--json"]).virtually(&[]));
    assert!(run.bytes == again.bytes, "two runs of one seed differ");
    assert_eq!(run.report, again.report);
    let report = run.json();
    let links = report["links"].as_array().expect("links");
    let policies = |key: &str| links.iter().filter_map(|link| link["policies"][key].as_u64()).sum::<u64>();
    for key in ["resends", "opened", "fallbacks"] {
        assert!(policies(key) > 3, "{key}: {links:?}");
    }
    let kinds: BTreeSet<_> =
        links.iter().flat_map(|link| link["errors_by_type"].as_object().expect("kinds").keys()).collect();
    for kind in ["timeout", "cancelled", "circuit_open", "bulkhead_full"] {
        assert!(kinds.contains(&kind.to_owned()), "no {kind} among {kinds:?}");
    }
}

#[test]
fn the_ids_of_first_attempts_are_those_of_calls_without_policies() {
    let ids = |link: &str| {
        let run = world(link).virtually(&[crate::resilience::CALL; 3]);
        let ids = |kind| run.of("front", kind).into_iter().map(|span| span.id.clone()).collect::<Vec<_>>();
        (ids(SpanKind::Client), ids(SpanKind::Server), run.bytes)
    };
    // Policies that have nothing to do change no byte.
    let plain = ids("");
    assert_eq!(plain, ids("retry = { attempts = 3, budget = 0.1 }"));
    let guarded =
        ids("breaker = {}\nhedge = { after = \"1s\" }\nbulkhead = { max-concurrent = 9 }\nfallback = {}");
    assert_eq!(plain, guarded);
}
