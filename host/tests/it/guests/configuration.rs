//! What a guest says of its configuration stands at its key of the topology, before anything runs.

use crate::support::{World, finish, said};

/// What standard error says of services with the built-in `guests` and lines of configuration.
fn report(services: &[(&str, &str)]) -> String {
    let numbered = services.iter().enumerate();
    let world = numbered.fold(World::default(), |world, (number, (guest, settings))| {
        world.with_guest(&format!("s{number}"), guest, settings)
    });
    let report = world.refusal();
    for word in ["wasm", "trap", "panic", "RUST_BACKTRACE"] {
        assert!(!report.contains(word), "{word}: {report}");
    }
    report
}

#[test]
fn a_key_that_a_built_in_guest_does_not_know_is_an_error_in_each_of_them() {
    for (guest, key, near) in [
        ("orders", "notify-timout", "notify-timeout"),
        ("inventory", "sleep", "sleeps"),
        ("notification", "dealy", "delay"),
        ("service", "wrok", "work"),
        ("hop", "nxt", "next"),
    ] {
        let report = report(&[(guest, &format!("config.{key} = '1'"))]);
        assert!(report.contains(&format!("config.{key} of \"s0\": unknown key")), "{report}");
        assert!(report.contains(&format!("did you mean \"{near}\"?")), "{report}");
        // The line below the guest, behind `config.`.
        assert!(report.contains("topology.toml:10:8"), "{report}");
        assert!(report.contains(&format!("refused by {guest} (built in)")), "{report}");
    }
    for guest in ["payment", "noop"] {
        let report = report(&[(guest, "config.anything = 1")]);
        assert!(report.contains("config.anything of \"s0\": unknown key"), "{report}");
        assert!(report.contains("leave it out: this service has no configuration"), "{report}");
    }
}

#[test]
fn every_problem_of_every_guest_is_reported_at_once() {
    let report = report(&[
        ("notification", "config = { delay = 'soon', failure-rate = 2, sleeps = 'often', slepes = true }"),
        ("orders", "config.notify-timeout = '5'"),
        ("inventory", "config.stock = { book = 'many', pen = 7 }"),
    ]);
    for said in [
        "config.delay of \"s0\": \"soon\" is not valid: a duration is a number with a unit",
        "config.failure-rate of \"s0\": \"2\" is not valid: a probability lies between 0 and 1",
        "config.sleeps of \"s0\": \"often\" is not valid: provided string was not `true` or `false`",
        "config.slepes of \"s0\": unknown key",
        "config.notify-timeout of \"s1\": \"5\" is not valid",
        "config.stock.book of \"s2\": \"many\" is not valid: invalid digit",
        "6 problems",
        "help: correct it, or remove it for the default",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
}

#[test]
fn a_problem_stands_at_its_table_where_the_key_is_missing() {
    let report = report(&[("service", "config.show = { work = { exponential = { median = '5ms' } } }")]);
    assert!(report.contains("config.show of \"s0\": the table has no `route`"), "{report}");
    assert!(report.contains("write show = { route = \"GET /show\" }"), "{report}");
    assert!(report.contains("config.show.work of \"s0\": `exponential.mean` is missing"), "{report}");
    assert!(report.contains("topology.toml:10:8"), "at `show`: {report}");
    assert!(report.contains("topology.toml:10:17"), "at `work`: {report}");
}

#[test]
fn a_route_that_cannot_be_one_is_a_problem_of_its_key() {
    let report = report(&[(
        "service",
        "config.show.route = 'items'\nconfig.list.route = 'GET /items/{a}'\nconfig.more.route = 'GET /items/{b}'",
    )]);
    assert!(
        report.contains("config.show.route of \"s0\": route `items`: write it as `METHOD /path`"),
        "{report}"
    );
    assert!(
        report.contains("config.more.route of \"s0\": route `GET /items/{b}`: `GET /items/{a}` takes"),
        "{report}"
    );
}

#[test]
fn a_guest_with_very_many_problems_says_the_first_and_how_many_there_are() {
    let report = World::of("hostile", "config.routes = 'problems'").refusal();
    assert!(report.contains("config.key.0 of \"front\": it is wrong"), "{report}");
    assert!(report.contains("101 problems"), "{report}");
    let report = World::of("hostile", "config.routes = 'no-problems'").refusal();
    assert!(
        report.contains("the guest of \"front\" refuses its configuration and names no problem"),
        "{report}"
    );
}

#[test]
fn a_long_problem_is_cut() {
    let report = World::of("hostile", "config.routes = 'long-problems'").refusal();
    assert!(report.len() < 100_000, "{}", report.len());
}

#[test]
fn a_deployment_whose_configuration_is_refused_does_not_come_up_for_that_reason() {
    let fault = "[[faults]]\nname = \"typo\"\nkind = \"bad-deploy\"\nguest = \"service\"\n\
                 config.wrok = \"5ms\"\ntarget = { service = \"front\" }\n";
    let (_folder, mut command) = World::of_services(&[("front", "")]).with(fault).virtual_command(&["GET /"]);
    let run = finish(&mut command);
    assert!(run.stdout.contains("connection refused: nobody listens at front"), "{}", run.stdout);
    said(&run, &["does not come up", "config.wrok of \"front\": unknown key"]);
}
