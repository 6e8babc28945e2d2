//! A guest that has jobs and serves no requests. What its jobs do is in `jobs.rs`.

use crate::support::World;

/// A service `front` that serves requests, and the guest with the jobs.
fn with_chores(settings: &str) -> World {
    World::of("noop", "").and("chores", "chores", settings)
}

#[test]
fn a_component_that_exports_job_alone_is_a_guest() {
    assert_eq!(with_chores("config.next = \"front\"").virtually(&["GET /"]).statuses(), [200]);
}

#[test]
fn a_configuration_that_a_guest_with_jobs_refuses_is_reported_at_its_keys() {
    let report = with_chores("config.nxet = \"front\"").refusal();
    assert!(report.contains("config.nxet of \"chores\": unknown key"), "{report}");
    assert!(report.contains("did you mean \"next\"?"), "{report}");
}

#[test]
fn the_ingress_and_loads_do_not_lead_to_a_guest_that_serves_no_requests() {
    let load =
        "[[load]]\nname = \"users\"\nto = \"front\"\nrequest.path = \"/\"\narrivals.poisson = \"1/s\"\n";
    let report = World::of("chores", "").with(load).refusal();
    let why = "whose guest does not export `handler` and serves no requests";
    for said in [
        format!("the ingress leads to \"front\", {why}"),
        format!("the load \"users\" asks \"front\", {why}"),
        "let it ask another service, or give that service a guest that exports `handler`".to_owned(),
    ] {
        assert!(report.contains(&said), "{said}: {report}");
    }
}

#[test]
fn what_calls_a_guest_that_serves_no_requests_is_refused_once_for_each_caller() {
    let front = World::default().with_guest("front", "service", "config.calls = \"chores, 2x chores\"");
    let report = front.and("chores", "chores", "").refusal();
    assert_eq!(
        report.matches("\"front\" calls \"chores\", whose guest does not export").count(),
        1,
        "{report}"
    );
    assert!(!report.contains("no such route"), "{report}");
}

#[test]
fn a_call_that_shows_when_it_runs_finds_nobody_there() {
    let front = World::of("probe", "").and("chores", "chores", "");
    let run = front.virtually(&["GET /call?service=chores"]);
    let body = run.bodies()[0];
    assert!(body.contains("nobody listens at chores"), "{body}");
}
