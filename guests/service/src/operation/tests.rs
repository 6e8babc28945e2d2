use super::*;

/// The operations, or each problem with its key.
fn read(entries: &[(&str, &str)]) -> Result<Vec<Operation>, Vec<String>> {
    let owned = entries.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let (operations, problems) = super::read(&owned.collect::<Vec<_>>());
    let said = |Problem { key, message, .. }: &Problem| format!("{}: {message}", key.as_ref().unwrap());
    if problems.is_empty() { Ok(operations) } else { Err(problems.iter().map(said).collect()) }
}

#[test]
fn without_tables_there_is_one_route() {
    let operations = read(&[("work.exponential.mean", "5ms"), ("calls", "stock")]).unwrap();
    assert_eq!(operations.len(), 1);
    assert_eq!(operations[0].route(), Some("GET /"));
    assert_eq!(operations[0].work, Distribution::Exponential { mean: Duration::from_millis(5) });
    assert_eq!(operations[0].calls, Calls::parse("stock").unwrap());
    assert_eq!(read(&[]).unwrap()[0].work, Distribution::Fixed(Duration::ZERO));
}

#[test]
fn every_table_is_a_route_and_what_stands_beside_them_is_shared() {
    let operations = read(&[
        ("work.lognormal.median", "5ms"),
        ("work.lognormal.sigma", "0.5"),
        ("errors", "0.25"),
        ("show.route", "GET /items/{id}"),
        ("show.work", "1ms"),
        ("add.route", "POST /items"),
        ("add.errors", "0.1%"),
    ])
    .unwrap();
    let [add, show] = &operations[..] else { panic!("{operations:?}") };
    assert_eq!((show.route(), show.errors), (Some("GET /items/{id}"), 0.25));
    assert_eq!(show.work, Distribution::Fixed(Duration::from_millis(1)));
    assert_eq!((add.route(), add.errors), (Some("POST /items"), 0.001));
    assert!(matches!(add.work, Distribution::Lognormal { .. }));
}

#[test]
fn a_table_with_a_job_is_one_and_takes_no_settings_of_answers() {
    let report = [("nightly.job", "report"), ("nightly.work", "2s")];
    let operations = read(&report).unwrap();
    let [nightly] = &operations[..] else { panic!("{operations:?}") };
    assert_eq!((nightly.route(), nightly.job(), nightly.key.as_str()), (None, Some("report"), "nightly.job"));
    let shared = [("cache", "1s"), ("show.route", "GET /items")];
    assert_eq!(read(&[&report[..], &shared[..]].concat()).unwrap().len(), 2, "what is shared is for routes");
    let wrong = [
        ("nightly.cache", "1s"),
        ("nightly.route", "GET /items"),
        ("weekly.job", "sum"),
        ("weekly.cache-in", "x"),
    ];
    let problems = read(&[&report[..], &wrong[..]].concat()).expect_err("two tables are wrong");
    assert_eq!(
        problems,
        ["nightly.job: the table has a `route` and a `job`", "weekly.cache-in: a job has no answer"]
    );
}

#[test]
fn a_database_is_of_the_span_of_every_route() {
    let entries = [("database", "redis"), ("show.route", "GET /items"), ("show.span", "GET items")];
    assert!(read(&entries).is_ok());
    let problems = read(&entries[..2]).expect_err("there is no span");
    assert_eq!(problems, ["database: a database has spans, and GET /items has no `span`"]);
}

#[test]
fn a_database_is_a_name_or_a_table_and_both_take_nothing_unknown() {
    let span = ("span", "SELECT items");
    assert!(read(&[span, ("database.system", "mysql"), ("database.port", "3307")]).is_ok());
    let problems = read(&[
        span,
        ("database.namespace", "stock"),
        ("database.host", "db"),
        ("show.route", "GET /items"),
        ("show.database.system", "mysql"),
        ("show.database.port", "many"),
    ]);
    let expected = [
        "database.host: unknown key",
        "database: the table has no `system`",
        "show.database.port: \"many\" is not valid: write a whole number from 0 to 65535",
    ];
    assert_eq!(problems.expect_err("none of them"), expected);
}

#[test]
fn metrics_are_a_table_of_instruments_each_with_its_problems() {
    let metric = ("metrics.orders.placed", "counter 1 {order} channel=web");
    assert_eq!(read(&[metric]).unwrap()[0].metrics.len(), 1);
    let problems = read(&[
        metric,
        ("metrics.carts", "summary"),
        ("show.route", "GET /items"),
        ("show.metrics.Orders.Placed", "counter 1 {item}"),
        ("add.route", "POST /items"),
        ("add.metrics", "counter"),
    ])
    .expect_err("three are wrong");
    let expected = [
        "metrics.carts: \"summary\" is no kind of instrument",
        "add.metrics: the setting is a table of instruments",
    ];
    for part in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part}: {problems:#?}");
    }
    let problems = read(&[
        ("show.route", "GET /items"),
        ("show.metrics.Orders.Placed", "counter 1 {item}"),
        ("add.route", "POST /items"),
        metric,
    ]);
    let said = "show.metrics.Orders.Placed: \"Orders.Placed\" has another kind, unit or type of number at \
                metrics.orders.placed";
    assert_eq!(problems.expect_err("they differ"), [said]);
}

#[test]
fn attributes_of_a_metric_name_parameters_of_a_route() {
    let of = |key| (key, "counter 1 {order} kind={kind} rest={rest}");
    let routes = [("add.route", "POST /{kind}/{*rest}"), ("show.route", "GET /items")];
    assert!(read(&[&routes[..], &[of("add.metrics.orders")]].concat()).is_ok());
    assert!(read(&[&routes[..], &[of("metrics.orders")]].concat()).is_ok(), "one of them has the names");
    let problems = read(&[&routes[..], &[of("show.metrics.orders")]].concat()).expect_err("it has none");
    let said =
        ["kind", "rest"].map(|name| format!("show.metrics.orders: no route has the parameter {{{name}}}"));
    assert_eq!(problems, said);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let problems = read(&[
        ("log", "120% looked up"),
        ("warn", "5%"),
        ("wrok", "5ms"),
        ("work.exponential.median", "5ms"),
        ("errors", "2"),
        ("response-bytes", "many"),
        ("cache", "soon"),
        ("calls", "50%"),
        ("show.work", "5ms"),
        ("add.route", "POST /"),
        ("add.wait", "5ms"),
        ("add.calls", "3 a, post b"),
        ("add.errors", "-1%"),
    ])
    .expect_err("nothing is right");
    let expected = [
        "log: \"120% looked up\" is not valid: `120%`: that is no share",
        "warn: \"5%\" is not valid: it has no text",
        "wrok: unknown key",
        "show: the table has no `route`, `job` or `topic`",
        "work.exponential.median: unknown key of a distribution",
        "errors: \"2\" is not valid: a share is at most 1; for 2 percent write 2%",
        "response-bytes: \"many\" is not valid: write a whole number of bytes, up to 1073741824",
        "cache: \"soon\" is not valid: a duration",
        "calls: the call `50%`",
        "add.wait: unknown key",
        "add.calls: the call `3 a`",
        "add.calls: the call `post b`",
        "add.errors: \"-1%\" is not valid",
    ];
    for part in expected {
        assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part}: {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "each is said once: {problems:#?}");
}

#[test]
fn every_setting_is_a_value_or_may_be_a_table() {
    let values = VALUES.iter().map(|(name, _)| *name).filter(|name| !KINDS.contains(name));
    let mut names: Vec<_> = values.chain(["work", "database", "metrics", "attributes"]).collect();
    let mut settings = SETTINGS.to_vec();
    names.sort_unstable();
    settings.sort_unstable();
    assert_eq!(names, settings);
}

#[test]
fn a_key_below_a_value_is_a_problem() {
    let problems = read(&[
        ("errors.rate", "0.5"),
        ("span.name", "look up"),
        ("log.text", "x"),
        ("cache.ttl", "1s"),
        ("calls.a", "b"),
        ("response-bytes.x", "1"),
        ("show.route", "GET /show"),
        ("show.errors.rate", "1"),
        ("show.route.path", "1"),
        ("show.work.exponential.mean", "1ms"),
    ]);
    let expected = [
        "errors.rate: \"errors\" is one value, and no table",
        "span.name: \"span\" is one value, and no table",
        "log.text: \"log\" is one value, and no table",
        "cache.ttl: \"cache\" is one value, and no table",
        "calls.a: \"calls\" is one value, and no table",
        "response-bytes.x: \"response-bytes\" is one value, and no table",
        "show.errors.rate: \"errors\" is one value, and no table",
        "show.route.path: \"route\" is one value, and no table",
    ];
    assert_eq!(problems.expect_err("eight of them"), expected);
}

#[test]
fn a_slip_in_the_name_of_a_setting_is_no_table_without_a_route() {
    assert_eq!(read(&[("wrok.exponential.mean", "5ms")]).unwrap_err(), ["wrok: unknown key"]);
    assert_eq!(read(&[("wrok.route", "GET /work")]).unwrap()[0].route(), Some("GET /work"));
    assert_eq!(
        read(&[("show.work", "5ms")]).unwrap_err(),
        ["show: the table has no `route`, `job` or `topic`"]
    );
}
