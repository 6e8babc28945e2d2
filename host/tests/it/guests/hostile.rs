//! A guest that takes all it can get: what its host keeps for it has bounds with names.

use std::fs;

use crate::support::{OUT, Serving, World, cost};

const MIB: u64 = 1 << 20;

/// By so much a server may grow over what it has after its first answer: its guests' own
/// memories, of 4 MiB and more in six workers, and little besides. Without bounds each of
/// these requests takes over 200 MiB beside that.
const GROWTH: u64 = 160 * MIB;

pub fn hostile(settings: &str) -> World {
    let back = "workers = 4\nqueue = 1024";
    World::of("hostile", &format!("workers = 2\n{settings}")).and("back", "hostile", back)
}

/// In real time, on a machine that may be busy, what a guest computes is not the question.
fn patient() -> World {
    hostile("limits = { cpu-time = \"60s\", host-memory = \"10MiB\" }")
}

/// The answer to a request; its server hardly grows, and serves the next one.
#[track_caller]
fn within_memory(server: &Serving, target: &str) -> (u16, String) {
    assert_eq!(server.get("/ok").status, 200, "before {target}");
    let before = server.memory();
    let answer = server.get(target);
    let growth = server.memory() - before;
    assert!(growth < GROWTH, "{target}: {} MiB more, {answer:?}", growth / MIB);
    assert_eq!(server.get("/ok").status, 200, "after {target}");
    (answer.status, answer.body)
}

#[track_caller]
fn names_the_bound(said: &(u16, String)) {
    assert_eq!(said.0, 200, "{said:?}");
    assert!(said.1.contains("CallError::MemoryExceeded"), "{said:?}");
    assert!(said.1.contains("limits.host-memory = 10240 KiB"), "{said:?}");
}

#[test]
fn answers_that_nobody_collects_have_a_bound_in_bytes() {
    let server = patient().serve();
    names_the_bound(&within_memory(&server, "/hoard/60/4000000"));
    // What they held was given back with the request.
    assert_eq!(within_memory(&server, "/hoard/2/4000000").1, "2 calls");
    let run = server.stop();
    let refused = run.spans().iter().filter(|span| *span.error_type() == "host_memory_exceeded");
    assert!(refused.count() > 50, "the CLIENT spans of the refused say so");
}

#[test]
fn requests_of_calls_under_way_have_a_bound_in_bytes() {
    let server = patient().serve();
    names_the_bound(&within_memory(&server, "/pile/60/4000000"));
    names_the_bound(&within_memory(&server, "/give-up/60/4000000"));
}

#[test]
fn what_a_request_leaves_under_way_is_bounded_for_its_replica_until_it_ends() {
    let world = patient().with("[[links]]\nfrom = \"front\"\nto = \"back\"\nlatency = \"1s\"");
    let server = world.serve();
    for _ in 0..4 {
        assert_eq!(within_memory(&server, "/fire/20/4000000"), (200, "fired".to_owned()));
    }
}

#[test]
fn what_a_request_records_has_a_bound_in_bytes_and_what_is_dropped_is_counted() {
    let requests = ["GET /spans/4/60", "GET /events/4/60", "GET /annotate/100", "GET /logs/200"];
    let world = hostile("limits = { cpu-time = \"60s\", host-memory = \"7MiB\" }");
    let (folder, command) = world.virtual_command(&requests);
    let (report, memory) = cost::of(command);
    assert!(memory < 300 * MIB, "{} MiB", memory / MIB);
    let records = fs::read_to_string(folder.path().join(OUT)).expect("simhost writes its records");
    let dropped = |kind: &str| {
        let counts = records.split(kind).skip(1);
        let count = |rest: &str| rest.split([',', '}']).next().and_then(|count| count.parse::<u64>().ok());
        counts.filter_map(count).sum::<u64>()
    };
    // Each list takes 2 MiB and a little, so there is room for three.
    assert_eq!(dropped("\"droppedAttributesCount\":"), 240 - 3 + 240 - 3 + 100 - 3);
    assert_eq!(dropped("\"droppedEventsCount\":"), 0, "events are kept, without what is too large");
    assert!(report.contains("197 log attributes over a guest's limit not kept"), "{report}");
}

#[test]
fn what_a_guest_measures_has_bounds_and_what_is_beyond_them_is_said() {
    let server = patient().measured(60_000).serve();
    // Without bounds 300 MiB of texts.
    for flood in ["measure-sets/20000", "measure-text/5000", "instruments/1000", "measure-many/100"] {
        assert_eq!(within_memory(&server, &format!("/spin/{flood}")).0, 200);
    }
    let run = server.stop();
    for said in [
        "front: 18,000 measurements of hostile.fraction without their attributes: a replica has at most 2,000",
        "measurements of hostile.whole without their attributes: the series of a replica take at most 16 MiB",
        "front: 1 measurement of of.0 without their attributes: the series of a replica take",
        "measurements not kept: there are more such errors",
    ] {
        // Lines that are longer than the page go on below.
        let report = run.report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(report.contains(said), "{said}: {}", run.report);
    }
}

#[test]
fn a_guest_that_never_gives_its_handles_back_is_stopped() {
    let server = patient().serve();
    assert_eq!(within_memory(&server, "/forget/20000").0, 500);
    let run = server.stop();
    let span = run.spans().iter().find(|span| *span.error_type() == "host_memory_exceeded").expect("a span");
    assert!(span.description.contains("16384 spans, calls and timers"), "{}", span.description);
}

#[test]
fn what_is_passed_to_the_host_at_once_has_a_bound() {
    let world = hostile("");
    let run = world.virtually(&["GET /argument/10", "GET /argument/20", "GET /ok"]);
    assert_eq!(run.statuses(), [200, 500, 200]);
    let span = run.spans().iter().find(|span| *span.error_type() == "host_memory_exceeded").expect("a span");
    assert!(span.description.contains("32768 KiB to the host at once (limits.host-memory)"), "{span:?}");
}

#[test]
fn the_bound_is_a_key_of_the_topology() {
    let run =
        hostile("limits = { host-memory = \"1MiB\", memory = \"64MiB\" }").virtually(&["GET /pile/3/500000"]);
    assert!(run.bodies()[0].contains("limits.host-memory = 1024 KiB"), "{:?}", run.bodies());
}
