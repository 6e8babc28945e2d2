//! What lies between two services: latency and patience.

use crate::support::telemetry::StatusCode;
use crate::support::{Run, Span, SpanKind, World};

const MS: u64 = 1_000_000;

fn world(link: &str) -> World {
    let world = World::of("probe", "").and("back", "probe", "");
    world.with(&format!("[[links]]\nfrom = \"front\"\nto = \"back\"\n{link}"))
}

/// The two sides of the only call.
#[track_caller]
fn sides(run: &Run) -> (&Span, &Span) {
    match (&run.of("front", SpanKind::Client)[..], &run.of("back", SpanKind::Server)[..]) {
        ([client], [server]) => (client, server),
        _ => panic!("{:?}", run.spans()),
    }
}

#[test]
fn a_links_latency_is_exact_in_virtual_time() {
    let run = world("latency = \"7ms\"").virtually(&["GET /call?service=back&path=/sleep/5"]);
    let (client, server) = sides(&run);
    assert_eq!(
        (server.start - client.start, server.duration(), client.end - server.end),
        (7 * MS, 5 * MS, 7 * MS)
    );
}

#[test]
fn a_link_overrides_the_network() {
    let run = world("latency = \"7ms\"").with("[network]\nlatency = \"1s\"");
    let run = run.virtually(&["GET /call?service=back&path=/now"]);
    assert_eq!(sides(&run).0.duration(), 14 * MS);
}

#[test]
fn a_random_latency_is_drawn_for_each_way_and_repeats_with_the_seed() {
    let world = world("latency = \"7ms +/- 1ms\"");
    let requests = ["GET /call?service=back&path=/now"];
    let (run, again) = (world.virtually(&requests), world.virtually(&requests));
    let (client, server) = sides(&run);
    let ways = [server.start - client.start, client.end - server.end];
    assert!(ways[0] != ways[1] && ways.iter().all(|way| (MS..13 * MS).contains(way)), "{ways:?}");
    assert_eq!(run.bytes, again.bytes);
}

/// The sections that say nothing of a latency leave a distribution, as in life.
#[test]
fn messages_of_a_topology_that_sets_no_latency_each_take_a_time_of_their_own() {
    let world = World::of("probe", "").and("back", "probe", "").with("[network]");
    let run = world.virtually(&["GET /call?service=back&path=/now"; 100]);
    let (clients, servers) = (run.of("front", SpanKind::Client), run.of("back", SpanKind::Server));
    let mut ways: Vec<_> = clients
        .iter()
        .flat_map(|client| {
            let server = servers.iter().find(|server| server.parent == client.id).expect("its SERVER span");
            [server.start - client.start, client.end - server.end]
        })
        .collect();
    ways.sort_unstable();
    assert_eq!(ways.len(), 200);
    assert!(ways.windows(2).all(|pair| pair[0] != pair[1]), "{ways:?}");
    assert!((270_000..330_000).contains(&ways[100]), "the median is {} ns", ways[100]);
    assert!(ways[0] > 100_000 && (500_000..2 * MS).contains(&ways[199]), "{ways:?}");
}

#[test]
fn timeouts_are_noticed_a_little_late_and_each_by_a_time_of_its_own() {
    let world = world("timeout = \"40ms\"")
        .with("[network]\ntimer-slack = { uniform = { min = \"1us\", max = \"2ms\" } }");
    let run = world.virtually(&["GET /call?service=back&path=/sleep/50"; 20]);
    let mut lengths: Vec<_> = run.of("front", SpanKind::Client).iter().map(|span| span.duration()).collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths.len(), 20);
    assert!(lengths.iter().all(|length| (40 * MS..42 * MS).contains(length)), "{lengths:?}");
}

#[test]
fn what_comes_from_outside_crosses_no_link() {
    let run = World::of("probe", "").with("[network]\nlatency = \"1s\"").virtually(&["GET /now"]);
    assert_eq!(run.answers[0].took, "0s");
}

/// A call that the link's patience ends: both sides go as in life.
fn times_out(run: &Run) {
    assert_eq!(run.answers[0].json()["error"], "timeout");
    let (client, server) = sides(run);
    assert_eq!((client.status, client.error_type().as_str()), (StatusCode::Error, Some("timeout")));
    assert_eq!(client.get("http.response.status_code"), &serde_json::Value::Null);
    assert_eq!((server.status, server.error_type().as_str()), (StatusCode::Unset, None));
    assert!(server.end > client.end, "the callee works on");
    assert_eq!(server.parent, client.id);
}

#[test]
fn a_links_timeout_ends_the_call_and_not_the_callee() {
    let run = world("timeout = \"20ms\"").virtually(&["GET /call?service=back&path=/sleep/100"]);
    times_out(&run);
    let (client, server) = sides(&run);
    assert_eq!((client.duration(), server.duration()), (20 * MS, 100 * MS));
}

#[test]
fn a_links_timeout_is_the_same_in_real_time() {
    let server = world("timeout = \"20ms\"").serve();
    let answer = server.get("/call?service=back&path=/sleep/200");
    let mut run = server.stop();
    run.answers.push(answer);
    times_out(&run);
}

#[test]
fn the_shorter_patience_counts() {
    let took = |query: &str| {
        let run = world("timeout = \"20ms\"");
        run.virtually(&[&format!("GET /call?service=back&path=/sleep/100&{query}")]).answers[0].took.clone()
    };
    assert_eq!([took("timeout-ms=5"), took("timeout-ms=50")], ["5ms", "20ms"]);
}

#[test]
fn an_answer_in_time_is_no_timeout() {
    let run = world("latency = \"1ms\"\ntimeout = \"20ms\"");
    let run = run.virtually(&["GET /call?service=back&path=/sleep/17"]);
    assert_eq!(run.answers[0].json()["status"], 200);
    assert_eq!(sides(&run).0.duration(), 19 * MS);
}
