//! The built-in guest that does what its configuration says.

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;

use crate::support::{Run, Span, SpanKind, World};

const MS: u64 = 1_000_000;

/// Latencies off, so that all time is the services' own.
const NO_LATENCY: &str = "[network]\nlatency = \"0s\"";

fn virtually(services: &[(&str, &str)], requests: &[&str]) -> Run {
    World::of_services(services).with(NO_LATENCY).virtually(requests)
}

/// The services that were called, with the milliseconds from the beginning, in order.
fn calls(run: &Run) -> Vec<(u64, &str)> {
    let begin = run.spans()[0].start;
    let servers = run.spans().iter().filter(|span| span.kind == SpanKind::Server && !span.parent.is_empty());
    let mut calls: Vec<_> = servers.map(|span| ((span.start - begin) / MS, span.service.as_str())).collect();
    calls.sort_unstable();
    calls
}

#[test]
fn work_takes_its_time_and_keeps_a_worker() {
    let run = virtually(&[("front", "config.work = '7ms'")], &["GET /"]);
    assert_eq!(run.statuses(), [200]);
    assert_eq!((run.span("GET /").duration(), run.bodies()), (7 * MS, vec![""]));

    let front = "config = { calls = '3x back & back' }";
    let run = virtually(&[("front", front), ("back", "workers = 1\nconfig.work = '5ms'")], &["GET /"]);
    let mut waits: Vec<_> = run.of("back", SpanKind::Server).iter().map(|span| span.end).collect();
    waits.iter_mut().for_each(|end| *end -= run.spans()[0].start);
    assert_eq!(waits, [5 * MS, 10 * MS, 15 * MS, 20 * MS]);
}

#[test]
fn a_service_without_configuration_answers_at_once() {
    let run = virtually(&[("front", "")], &["GET /", "GET /health"]);
    assert_eq!((run.statuses(), run.span("GET /").duration()), (vec![200, 200], 1), "no simulated time");
    assert_eq!(run.bodies()[1], r#"{"status":"ok"}"#);
}

#[test]
fn steps_come_one_after_the_other_and_their_calls_at_the_same_time() {
    let back = |name| (name, "config.work = '10ms'");
    let front = "config = { work = '5ms', calls = 'a, b & 2x c, 2x d' }";
    let run = virtually(&[("front", front), back("a"), back("b"), back("c"), back("d")], &["GET /"]);
    assert_eq!(calls(&run), [(5, "a"), (15, "b"), (15, "c"), (15, "c"), (25, "d"), (35, "d")]);
    assert_eq!(root(&run).duration(), 45 * MS);
}

/// `GET /` of the first service in these runs has a span like the others: the one without a parent.
#[track_caller]
fn root(run: &Run) -> &Span {
    run.spans().iter().find(|span| span.parent.is_empty()).expect("a root")
}

#[test]
fn the_three_kinds_of_chance_come_as_often_as_they_should() {
    let front = "config = { calls = '25% a?', errors = 0.5, work.exponential.mean = '10ms' }";
    let run = virtually(&[("front", front), ("a", "")], &["GET /"; 400]);
    let errors = run.statuses().iter().filter(|status| **status == 500).count();
    assert!((160..240).contains(&errors), "{errors} errors");
    // Who answers with an error calls nobody.
    let called = run.of("a", SpanKind::Server).len();
    assert!((25..80).contains(&called), "{called} calls");
    let roots = run.of("front", SpanKind::Server);
    let mean = roots.iter().map(|span| span.duration()).sum::<u64>() / roots.len() as u64;
    assert!((8 * MS..12 * MS).contains(&mean), "{mean} ns");
    let memoryless = roots.iter().filter(|span| span.duration() < mean).count() as f64 / roots.len() as f64;
    assert!((0.55..0.71).contains(&memoryless), "{memoryless} are below the mean, not 0.63");
}

#[test]
fn an_answer_that_is_kept_calls_nobody_until_it_expires() {
    let front = "config.show = { route = 'GET /items/{id}', work = '600ms', calls = 'back', cache = '1s' }";
    let paths = ["GET /items/1", "GET /items/1", "GET /items/2", "GET /items/1"];
    let run = virtually(&[("front", front), ("back", "")], &paths);
    assert_eq!(calls(&run), [(600, "back"), (1_800, "back"), (2_400, "back")]);
}

#[test]
fn a_table_is_a_route_and_passes_its_parameters_on() {
    let front = "config.errors = 0\n\
                 config.show = { route = 'GET /products/{id}', calls = 'stock/items/{id}', response-bytes = 3 }\n\
                 config.add = { route = 'POST /products', calls = 'POST stock/items/{new}' }";
    let stock = "config.read = { route = 'GET /items/{id}' }\nconfig.write = { route = 'POST /items/{id}' }";
    let requests = ["GET /products/a%20b", "POST /products", "GET /"];
    let run = virtually(&[("front", front), ("stock", stock)], &requests);
    assert_eq!((run.statuses(), run.bodies()[0]), (vec![200, 200, 404], "..."));
    assert_eq!(*run.span("GET /items/{id}").get("url.path"), "/items/a%20b");
    let path = run.span("POST /items/{id}").get("url.path").as_str().expect("a path");
    let number: u32 = path.trim_start_matches("/items/").parse().expect("a number");
    assert!((1..=1000).contains(&number), "{number}");
}

#[test]
fn routes_of_two_methods_may_call_their_parameter_differently() {
    let front = "config.show = { route = 'GET /users/{id}' }\n\
                 config.change = { route = 'POST /users/{userId}', calls = 'back/of/{userId}' }";
    let back = "config.read = { route = 'GET /of/{user}' }";
    let requests = ["GET /users/7", "POST /users/8", "DELETE /users/9"];
    let run = virtually(&[("front", front), ("back", back)], &requests);
    assert_eq!(run.statuses(), [200, 200, 405]);
    assert_eq!(*run.span("POST /users/{userId}").get("http.route"), "/users/{userId}");
    assert_eq!(*run.span("GET /users/{id}").get("http.route"), "/users/{id}");
    assert_eq!(*run.span("GET /of/{user}").get("url.path"), "/of/8");
}

#[test]
fn an_error_of_its_own_is_an_exception_and_calls_nobody() {
    let run =
        virtually(&[("front", "config = { errors = 1, calls = 'a', work = '2ms' }"), ("a", "")], &["GET /"]);
    assert_eq!((run.statuses(), run.spans().len()), (vec![500], 1));
    let span = root(&run);
    assert_eq!((span.duration(), span.status), (2 * MS, StatusCode::Error));
    assert_eq!(run.logs()[0].body, "ServiceError: GET / failed");
}

#[test]
fn a_call_that_must_succeed_fails_the_request_and_the_rest_is_left_out() {
    let bad = ("bad", "config.errors = 1");
    let run = virtually(&[("front", "config.calls = 'a & bad & a, a'"), ("a", ""), bad], &["GET /"]);
    assert_eq!(run.statuses(), [502]);
    assert_eq!(run.bodies(), [r#"{"detail":"bad answered 500"}"#]);
    assert_eq!(calls(&run).len(), 3);

    let link = "[[links]]\nfrom = 'front'\nto = 'slow'\ntimeout = '10ms'";
    let services = [("front", "config.calls = 'slow'"), ("slow", "config.work = '20ms'")];
    let run = World::of_services(&services).with(link).virtually(&["GET /"]);
    assert_eq!((run.statuses(), root(&run).duration()), (vec![504], 10 * MS));
}

#[test]
fn services_may_have_more_workers_than_can_exist_and_one_too_many_has_a_name() {
    let services = [
        ("front", "workers = 9000\nconfig.calls = 'a'"),
        ("a", "workers = 9000\nconfig.calls = 'b'"),
        ("b", ""),
    ];
    assert_eq!(World::of_services(&services).virtually(&["GET /"]).statuses(), [200]);
    let run = World::of_services(&services).with("[limits]\nworkers = 2").virtually(&["GET /"; 2]);
    assert_eq!(run.statuses(), [502, 502]);
    let turned_away = run.of("b", SpanKind::Server);
    assert_eq!(turned_away.len(), 2);
    for span in turned_away {
        assert_eq!(*span.error_type(), "workers_exhausted");
        assert_eq!(*span.get("http.response.status_code"), 503);
    }
}

#[test]
fn an_unknown_service_among_many_is_said_in_few_words() {
    let many: Vec<_> = (0..100).map(|number| format!("service-{number}")).collect();
    // What a guest in a file calls shows only when it runs.
    let front = World::of("hop", "config.next = 'service-x7'");
    let world = many.iter().fold(front, |world, name| world.and(name, "hop", ""));
    let run = world.virtually(&["GET /"]);
    assert_eq!(run.statuses(), [502]);
    let body = run.bodies()[0];
    assert!(body.contains("did you mean \\\"service-7\\\"?") && body.len() < 800, "{body}");
}

#[test]
fn a_call_that_may_fail_does_no_harm() {
    let front = "config.calls = 'bad?, missing?, bad? & a, a/elsewhere?, a'";
    let run = virtually(&[("front", front), ("a", ""), ("bad", "config.errors = 1")], &["GET /"]);
    assert_eq!(run.statuses(), [200]);
    assert_eq!(run.of("front", SpanKind::Client).len(), 6);
    assert_eq!(calls(&run).iter().filter(|(_, service)| *service == "a").count(), 3);
}

#[test]
fn spans_and_logs_say_what_the_configuration_names() {
    let front = "config = { span = 'SELECT items', database = 'postgresql', work = '3ms', log = 'looking' }";
    let run = virtually(&[("front", front)], &["GET /"]);
    let span = run.span("SELECT items");
    assert_eq!((span.kind, span.duration(), &span.parent), (SpanKind::Client, 3 * MS, &root(&run).id));
    assert_eq!(*span.get("db.system.name"), "postgresql");
    assert_eq!((run.logs()[0].body.as_str(), &run.logs()[0].span), ("looking", &root(&run).id));

    let run = virtually(&[("front", "config = { span = 'think' }")], &["GET /"]);
    assert_eq!(run.span("think").kind, SpanKind::Internal);
}

#[test]
fn every_database_has_a_name_and_an_address_of_its_own() {
    let reads = |more: &str| format!("config = {{ span = 'SELECT items', database = {more} }}");
    let postgresql = reads("'postgresql'");
    let own = reads("{ system = 'mysql', namespace = 'shop', address = 'db.internal', port = 3307 }");
    let services = [
        ("front", "config.calls = 'stock-service & orders & files'"),
        ("stock-service", postgresql.as_str()),
        ("orders", postgresql.as_str()),
        ("files", own.as_str()),
    ];
    let run = World::of_services(&services).virtually(&["GET /"]);
    let database = |service: &str| {
        let span = run.of(service, SpanKind::Client)[0];
        ["db.system.name", "db.namespace", "server.address", "server.port"].map(|key| span.get(key).clone())
    };
    assert_eq!(
        ["stock-service", "orders", "files"].map(database),
        [
            [json!("postgresql"), json!("stock_db"), json!("stock-postgresql"), json!(5432)],
            [json!("postgresql"), json!("orders_db"), json!("orders-postgresql"), json!(5432)],
            [json!("mysql"), json!("shop"), json!("db.internal"), json!(3307)],
        ]
    );
}

#[test]
fn a_number_of_calls_runs_in_sequence_or_in_parallel() {
    let back = ("back", "config.work = '10ms'");
    let took = |calls: &str| {
        let front = format!("config.calls = '{calls}'");
        let run = virtually(&[("front", &front), back], &["GET /"]);
        assert_eq!(run.of("back", SpanKind::Server).len(), 10, "{calls}");
        root(&run).duration() / MS
    };
    assert_eq!(["10x back", "10|| back", "5x back, 5|| back"].map(took), [100, 10, 60]);
}

#[test]
fn a_wrong_configuration_is_refused_before_the_run_with_all_that_is_wrong() {
    let services =
        [("front", "config = { work.exponentiel.mean = '5ms', calls = 'a & 3 b', show = { work = '1ms' } }")];
    let report = World::of_services(&services).refusal();
    for part in [
        "config.work.exponentiel of \"front\": unknown distribution",
        "the call `3 b`",
        "config.show of \"front\": the table has no `route`, `job` or `topic`",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let report = World::of_services(&[("front", "config.show.route = 'show'")]).refusal();
    assert!(report.contains("route `show`: write it as `METHOD /path`"), "{report}");
}
