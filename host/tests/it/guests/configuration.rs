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
        "config.sleeps of \"s0\": \"often\" is not valid: write true or false",
        "config.slepes of \"s0\": unknown key",
        "config.notify-timeout of \"s1\": \"5\" is not valid",
        "config.stock.book of \"s2\": \"many\" is not valid: write a whole number from 0",
        "6 problems",
        "help: correct it, or remove it for the default",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
}

#[test]
fn a_value_that_is_wrong_is_pointed_at_and_a_key_that_is_unknown_too() {
    for (settings, part) in [
        ("config.work = \"20 sec\"", "20 sec"),
        ("config.calls = \"s0, GET s0; s0\"", "GET s0; s0"),
        ("config.metrics = { \"a\" = \"a \\\"quoted\\\" one\" }", "\"a \\\"quoted"),
        ("config.wrok = \"2ms\"", "wrok"),
    ] {
        let report = report(&[("service", settings)]);
        let column = settings.find(part).expect("there") + 1;
        let column = if part.starts_with('"') { column + 1 } else { column };
        assert!(report.contains(&format!("topology.toml:10:{column}]")), "{column} is not in {report}");
        assert!(report.contains("1 problem"), "{report}");
    }
}

#[test]
fn a_problem_stands_at_its_table_where_the_key_is_missing() {
    let report = report(&[("service", "config.show = { work = { exponential = { median = '5ms' } } }")]);
    assert!(report.contains("config.show of \"s0\": the table has no `route`"), "{report}");
    assert!(report.contains("write show = { route = \"GET /show\" }"), "{report}");
    let expected = "config.show.work.exponential.median of \"s0\": unknown key of a distribution";
    assert!(report.contains(expected), "{report}");
    assert!(report.contains("did you mean \"mean\"? Known keys: \"mean\""), "{report}");
    assert!(report.contains("topology.toml:10:8"), "at `show`: {report}");
    assert!(report.contains("topology.toml:10:42"), "at `median`: {report}");
}

#[test]
fn a_key_with_a_dot_in_its_name_is_found() {
    let metrics = "config.metrics = { good = \"counter 1\", \"orders.placed\" = \"summary 1\" }";
    let of_inner = report(&[("service", metrics)]);
    assert!(of_inner.contains("topology.toml:10:59"), "at `summary`: {of_inner}");
    for (settings, column) in
        [("config.\"a.b\" = 3", 8), ("config = { x = { route = \"GET /\" }, \"a.b\" = 3 }", 37)]
    {
        let report = report(&[("service", settings)]);
        assert!(report.contains("config.a of \"s0\": the table has no `route`"), "{report}");
        assert!(report.contains(&format!("topology.toml:10:{column}")), "{report}");
    }
}

#[test]
fn a_table_of_any_names_is_among_the_known_keys() {
    let report = report(&[("inventory", "config.stok.book = 5\nconfig.stock.pen = -5")]);
    assert!(report.contains("config.stok.book of \"s0\": unknown key"), "{report}");
    let known = "did you mean \"stock.book\"? Known keys: \"stock.<item>\"";
    assert!(report.contains(known), "{report}");
    assert!(
        report.contains("config.stock.pen of \"s0\": \"-5\" is not valid: write a whole number"),
        "{report}"
    );
}

#[test]
fn a_key_below_a_setting_that_is_one_value_is_an_error() {
    let report = report(&[("service", "config.errors = { rate = 0.5 }\nconfig.work = 'soon'")]);
    assert!(
        report.contains("config.errors.rate of \"s0\": \"errors\" is one value, and no table"),
        "{report}"
    );
    assert!(report.contains("help: write errors = 0.05"), "{report}");
    assert!(report.contains("config.work of \"s0\": \"soon\" is not valid: a duration"), "{report}");
    assert!(report.contains("help: write \"5ms\", \"5ms +/- 1ms\", or a distribution"), "{report}");
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
    assert!(report.contains("… and 9950 more"), "{report}");
    assert!(report.contains("10000 problems"), "{report}");
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
fn a_deployment_whose_configuration_is_refused_does_not_start_for_that_reason() {
    let fault = "[[faults]]\nname = \"typo\"\nkind = \"bad-deploy\"\nguest = \"service\"\n\
                 config.wrok = \"5ms\"\nconfig.eror = 1\ntarget = { service = \"front\" }\n";
    let (_folder, mut command) = World::of_services(&[("front", "")]).with(fault).virtual_command(&["GET /"]);
    let run = finish(&mut command);
    assert!(run.stdout.contains("connection refused: nobody listens at front"), "{}", run.stdout);
    let words = [
        "the fault \"typo\" deploys service (built in), which does not start: ",
        "config.wrok of \"front\": unknown key, and 1 more",
        "╰── refused by service (built in)",
        "config.wrok = \"5ms\"",
        "did you mean \"work\"?",
    ];
    said(&run, &words);
}

#[test]
fn a_deployment_of_another_built_in_guest_does_not_get_the_keys_of_the_service() {
    let fault = |guest: &str| {
        format!(
            "[[faults]]\nname = \"other\"\nkind = \"bad-deploy\"\nguest = \"{guest}\"\n\
             target = {{ service = \"front\" }}\n"
        )
    };
    for (guest, status) in [("noop", 200), ("inventory", 404), ("hop", 200)] {
        let world = World::of_services(&[("front", "config.errors = 1")]).with(&fault(guest));
        let run = world.virtually(&["GET /"]);
        assert_eq!(run.statuses(), [status], "{guest}");
    }
    let same = World::of_services(&[("front", "config.errors = 1")]).with(&fault("service"));
    assert_eq!(same.virtually(&["GET /"]).statuses(), [500]);
}

#[test]
fn a_guest_that_stops_before_it_gives_its_routes_is_met_with_the_remedy_for_its_bound() {
    for (what, why, help) in [
        ("log", "longer than 20 times limits.cpu-time = 50ms", "do less, or raise limits.cpu-time"),
        ("grow", "longer than 20 times limits.cpu-time = 50ms", "do less, or raise limits.cpu-time"),
        ("body", "the guest asked for the request while it served none", "runs before any request"),
    ] {
        let report =
            World::of("hostile", &format!("config.routes = '{what}'\nlimits.cpu-time = '50ms'")).refusal();
        assert!(report.contains(why) && report.contains(help), "{what}: {report}");
        assert!(report.len() < 2_000, "{what}: {}", report.len());
    }
}

#[test]
fn a_service_has_as_many_routes_as_a_guest_may_have() {
    let work = "work = { percentiles = { p50 = '12ms', p90 = '20ms', p95 = '30ms', p99 = '80ms' } }";
    let route = |number: usize| {
        format!(
            "config.r{number} = {{ route = 'GET /r{number}/{{id}}', errors = 0.0, response-bytes = 9, {work} }}\n"
        )
    };
    let routes: String = (1..=999).map(route).collect();
    // Each worker makes its routes with its first request, and serves the next ones without.
    let requests: Vec<_> = [1, 500, 999, 999].map(|number| format!("GET /r{number}/7")).into();
    let requests: Vec<_> = requests.iter().map(String::as_str).collect();
    let run = World::of_services(&[("front", &routes)]).flags(&["--compute", "0"]).virtually(&requests);
    assert_eq!(run.statuses(), [200; 4]);
    let more = format!("{routes}config.one = {{ route = 'GET /one' }}");
    let report = World::of_services(&[("front", &more)]).refusal();
    assert!(report.contains("1001 routes are more than 1000"), "{report}");
}
