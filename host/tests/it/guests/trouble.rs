//! A guest that traps, spins or grows harms its own request, and nothing else.

use std::thread;

use crate::support::telemetry::StatusCode;
use crate::support::{Run, Span, World};

const MS: u64 = 1_000_000;

/// One worker, so that its counter shows whether it was replaced; limits that a
/// runaway guest meets soon.
pub fn trouble(limits: &str) -> World {
    World::of("trouble", &format!("workers = 1\nlimits = {{ {limits} }}"))
}

/// Sends `target` between two looks at the worker's counter, in virtual time,
/// and expects an error that only its own request sees: its SERVER span.
#[track_caller]
pub fn fails_alone<'a>(run: &'a Run, name: &str, error_type: &str) -> &'a Span {
    assert_eq!(run.statuses(), [200, 500, 200], "{}", run.stdout);
    assert_eq!(run.bodies()[0], "1");
    assert_eq!(run.bodies()[2], "1", "the worker was replaced: it counts anew");
    for counter in run.named("GET /counter") {
        assert_eq!(counter.status, StatusCode::Unset);
    }
    let span = run.span(name);
    assert_eq!(span.status, StatusCode::Error);
    assert_eq!(*span.error_type(), error_type);
    assert_eq!(*span.get("http.response.status_code"), 500);
    let exception = span.exception();
    assert_eq!(exception["exception.type"], error_type);
    assert_eq!(exception["exception.message"], *span.description);
    span
}

pub fn between_counters(world: &World, target: &str) -> Run {
    world.virtually(&["GET /counter", &format!("GET {target}"), "GET /counter"])
}

/// The same in real time.
fn between_counters_really(world: &World, target: &str) -> Run {
    let server = world.serve();
    let answers = ["/counter", target, "/counter"].map(|target| server.get(target));
    let mut run = server.stop();
    run.answers.extend(answers);
    run
}

fn backtrace(span: &Span) -> &str {
    span.exception()["exception.stacktrace"].as_str().expect("a text")
}

#[test]
fn a_panic_costs_one_request_and_names_the_line_and_the_function() {
    let run = between_counters(&trouble(""), "/panic");
    let span = fails_alone(&run, "GET /panic", "guest_trap");
    assert!(backtrace(span).contains("trouble::traps::panic"), "{}", backtrace(span));
    let message = span.events[0].attributes["exception.message"].to_string();
    assert!(message.contains("trouble was asked to panic"), "{message}");
    // The span that was open ends with the request, and what the panic printed belongs to it.
    let open = run.span("about_to_panic");
    assert_eq!((&open.parent, open.end), (&span.id, span.end));
    let said: Vec<_> = run.logs().iter().map(|log| log.body.as_str()).collect();
    assert!(said.iter().any(|line| line.contains("src/traps.rs:")), "{said:?}");
    assert!(said.contains(&"trouble was asked to panic"), "{said:?}");
    assert!(run.logs().iter().all(|log| log.span == open.id && log.severity == "ERROR"), "{said:?}");
}

#[test]
fn a_panic_is_the_same_in_real_time() {
    let run = between_counters_really(&trouble(""), "/panic");
    let span = fails_alone(&run, "GET /panic", "guest_trap");
    assert!(backtrace(span).contains("trouble::traps::panic"), "{}", backtrace(span));
}

#[test]
fn a_client_learns_that_a_guest_failed_and_no_more() {
    let run = between_counters(&trouble(""), "/panic");
    assert_eq!(run.bodies()[1], r#"{"detail":"the guest failed: guest_trap"}"#);
}

#[test]
fn a_bare_trap_costs_one_request() {
    let run = between_counters(&trouble(""), "/unreachable");
    let span = fails_alone(&run, "GET /unreachable", "guest_trap");
    assert!(span.description.contains("unreachable"), "{}", span.description);
    assert!(backtrace(span).contains("trouble.wasm!simhost:service/handler"), "{}", backtrace(span));
}

#[test]
fn an_exit_ends_the_worker_and_not_the_host() {
    let run = between_counters(&trouble(""), "/exit");
    let span = fails_alone(&run, "GET /exit", "guest_exit");
    // WASI 0.2 says whether it went well, and no code.
    assert_eq!(span.description, "the guest exited with an error instead of answering");
}

#[test]
fn an_endless_loop_is_stopped_at_the_same_instruction_every_time() {
    let world = trouble("cpu-time = \"5ms\"");
    let run = between_counters(&world, "/loop");
    let span = fails_alone(&run, "GET /loop", "cpu_time_exceeded");
    assert!(span.description.contains("limits.cpu-time = 5ms"), "{}", span.description);
    assert!(backtrace(span).contains("trouble.wasm!simhost:service/handler"), "{}", backtrace(span));
    let again = between_counters(&world, "/loop");
    assert_eq!((run.bytes, run.stdout), (again.bytes, again.stdout));
}

#[test]
fn in_real_time_an_endless_loop_is_stopped_and_others_are_served_meanwhile() {
    let settings = "workers = 2\nlimits = { cpu-time = \"500ms\" }";
    let server = World::of("trouble", settings).serve();
    let client = server.client;
    let looping = thread::spawn(move || client.get("/loop"));
    while !looping.is_finished() {
        assert_eq!(server.get("/counter").status, 200);
    }
    assert_eq!(looping.join().expect("an answer").status, 500);
    let run = server.stop();
    let span = run.span("GET /loop");
    assert_eq!(*span.error_type(), "cpu_time_exceeded");
    assert!(span.duration() >= 400 * MS, "{span:?}");
    let meanwhile = run.named("GET /counter").into_iter();
    let meanwhile = meanwhile.filter(|counter| span.start < counter.start && counter.end < span.end);
    assert!(meanwhile.count() > 0, "nobody was served while the loop ran");
}

#[test]
fn endless_sleeps_end_with_the_time_for_a_request() {
    let world = trouble("request-time = \"50ms\"");
    let run = between_counters(&world, "/loop-sleep");
    let span = fails_alone(&run, "GET /loop-sleep", "request_time_exceeded");
    assert!(span.description.contains("limits.request-time = 50ms"), "{}", span.description);
    assert_eq!((span.duration(), run.answers[1].took.as_str()), (50 * MS, "50ms"));
    let run = between_counters_really(&world, "/loop-sleep");
    let span = fails_alone(&run, "GET /loop-sleep", "request_time_exceeded");
    assert!(span.duration() >= 50 * MS, "{span:?}");
}

#[test]
fn memory_ends_at_its_limit() {
    let run = between_counters(&trouble("memory = \"16MiB\""), "/allocate");
    let span = fails_alone(&run, "GET /allocate", "memory_exceeded");
    assert!(span.description.contains("limits.memory = 16384 KiB"), "{}", span.description);
}

#[test]
fn memory_that_was_refused_in_good_order_is_no_failure() {
    let run = trouble("").virtually(&["GET /ask-too-much", "GET /counter", "GET /panic"]);
    assert_eq!((run.statuses(), run.bodies()[1]), (vec![507, 200, 500], "1"));
    // Nor is a later failure laid to it.
    assert_eq!(*run.span("GET /panic").error_type(), "guest_trap");
}

#[test]
fn a_guest_that_fails_again_and_again_is_replaced_every_time() {
    let mut requests = vec!["GET /panic"; 30];
    requests.extend(["GET /loop-sleep"; 30]);
    requests.push("GET /counter");
    let run = trouble("request-time = \"2ms\"").virtually(&requests);
    assert_eq!(run.statuses()[..60], [500; 60]);
    assert_eq!(run.bodies()[60], "1");
    let kinds = |name, kind: &str| run.named(name).iter().filter(|span| *span.error_type() == kind).count();
    assert_eq!(kinds("GET /panic", "guest_trap"), 30);
    assert_eq!(kinds("GET /loop-sleep", "request_time_exceeded"), 30);
}

#[test]
fn recursion_without_end_costs_one_request() {
    let run = between_counters(&trouble(""), "/recurse");
    // Rust's own stack lies in the guest's memory; what runs out first is that.
    let span = fails_alone(&run, "GET /recurse", "guest_trap");
    assert!(backtrace(span).contains("trouble::traps::descend"), "{}", backtrace(span));
    assert!(backtrace(span).len() < 16 << 10, "a backtrace is bounded");
}

#[test]
fn a_caller_sees_a_failed_guest_as_a_status() {
    let world = World::of("probe", "").and("back", "trouble", "workers = 1");
    let requests = ["/counter", "/panic", "/counter"];
    let requests = requests.map(|path| format!("GET /call?service=back&path={path}"));
    let run = world.virtually(&requests.each_ref().map(String::as_str));
    assert_eq!(run.statuses(), [200, 200, 200]);
    let statuses: Vec<_> = run.answers.iter().map(|answer| answer.json()["status"].clone()).collect();
    assert_eq!(statuses, [200, 500, 200]);
    let failed = run.span("GET /panic");
    let client = run.spans().iter().find(|span| span.id == failed.parent).expect("the CLIENT span");
    assert_eq!((client.status, client.error_type().as_str()), (StatusCode::Error, Some("500")));
    assert!(client.events.is_empty(), "the exception is the callee's");
    for span in run.named("GET /call") {
        assert_eq!(span.status, StatusCode::Unset);
    }
}
