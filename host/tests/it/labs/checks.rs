//! The kinds of checks, each passed and failed.

use super::{CHANGE, Home, TOPOLOGY, named};

/// For two seconds of six, `stock` takes half a second longer.
const FAULT: &str = r#"
[[faults]]
name = "slow"
kind = "latency"
delay = "500ms"
target = { service = "stock" }
when = { at = "1s", for = "2s" }
"#;

fn check(name: &str, kind: &str, rest: &str) -> String {
    format!("\n[[check]]\nname = \"{name}\"\nkind = \"{kind}\"\n{rest}\n")
}

/// The result of checks on a topology that a student has changed.
fn judged(topology: &str, changes: &[(&str, &str)], checks: &[String]) -> serde_json::Value {
    let home = Home::with_checks(topology, &checks.concat());
    home.edit("05-pages/lab.toml", ("for = \"2s\"", "for = \"5s\""));
    home.start();
    changes.iter().for_each(|change| home.edit("mine/topology.toml", *change));
    let (code, result) = home.check();
    assert_ne!(code, Some(2), "{result:#}");
    result
}

fn passed(result: &serde_json::Value, name: &str) -> bool {
    let check = named(result, name);
    assert!(check["passed"] == true || !check["message"].as_str().expect("words").is_empty(), "{check:#}");
    check["passed"] == true
}

#[test]
fn numbers_are_compared_with_the_starter_and_with_the_starter_without_its_faults() {
    let slow = TOPOLOGY.replace(CHANGE.0, "timeout = \"200ms\"") + FAULT;
    let checks = [
        check("undone", "undone", "metric = \"load users errors\"\nat-least = \"80%\""),
        check("quick", "compare", "metric = \"load users p50\"\nat-most = 0.5"),
        check("quiet", "report", "metric = \"load users errors\"\nequals = 0\nfaults = []"),
        check(
            "per page",
            "report",
            "metric = \"link shop -> stock calls\"\nper = \"load users requests\"\nequals = 1",
        ),
        check(
            "in percent",
            "report",
            "metric = \"link shop -> stock calls\"\nper = \"load users requests\"\nequals = \"100%\"",
        ),
    ];
    let same = judged(&slow, &[], &checks);
    let all = |result: &serde_json::Value| {
        ["undone", "quick", "quiet", "per page"].map(|name| passed(result, name))
    };
    assert_eq!(all(&same), [false, false, true, true]);
    assert_eq!([&named(&same, "undone")["got"], &named(&same, "quick")["got"]], ["0%", "100%"]);
    assert_eq!([&named(&same, "per page")["got"], &named(&same, "in percent")["got"]], ["1", "100%"]);
    assert_eq!(named(&same, "in percent")["want"], "100%");
    let mended =
        [("timeout = \"200ms\"", "timeout = \"2s\""), ("config.work = \"30ms\"", "config.work = \"10ms\"")];
    assert_eq!(all(&judged(&slow, &mended, &checks)), [true; 4]);
}

#[test]
fn a_number_for_each_of_nothing_says_of_what_there_is_none() {
    let rest = |of: &str| format!("{of}\nper = \"load users errors\"\nat-most = 2");
    let checks = [
        check("calls", "report", &rest("metric = \"link shop -> stock calls\"")),
        check("spans", "spans", &rest("spans = { service = \"stock\" }")),
        check("nothing", "report", &rest("metric = \"link shop -> stock errors\"")),
    ];
    let result = judged(TOPOLOGY, &[CHANGE], &checks);
    assert!(passed(&result, "nothing"), "{result:#}");
    for (name, what) in [("calls", "link shop -> stock calls"), ("spans", "the number of spans")] {
        let message = named(&result, name)["message"].as_str().expect("words");
        assert!(message.starts_with(what), "{message}");
        let said =
            "per load users errors has no value, as load users errors is 0 in this run; at most 2 is wanted";
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn spans_are_counted_and_asked_how_they_lie_to_one_another() {
    let client = "{ service = \"shop\", kind = \"client\", name = \"GET*\" }";
    let server = "{ service = \"stock\", kind = \"server\" }";
    let of = |name: &str, spans: &str, ask: &str| check(name, "spans", &format!("spans = {spans}\n{ask}"));
    let checks = [
        of("one each", client, "per = \"load users requests\"\nequals = 1"),
        of("none fails", "{ status = \"error\" }", "at-most = 0"),
        of("below", server, &format!("child-of = {client}")),
        of("not below", client, &format!("child-of = {server}")),
        of("same trace", client, &format!("same-trace = {server}")),
        of("within", server, "within = \"parent\""),
        of("no orphans", server, "no-orphans = true"),
        of("has", server, "attribute = { name = \"http.response.status_code\", every = \"200\" }"),
        of("nothing there", "{ service = \"nobody\" }", "no-orphans = true"),
        of("no error", "{ kind = \"client\", attributes = { \"error.type\" = \"!\" } }", "at-most = 0"),
        of("an event", "{ kind = \"client\", event = \"exc*\" }", "at-most = 0"),
        of("no such event", "{ event = \"exc\" }", "at-most = 0"),
    ];
    let starter = judged(TOPOLOGY, &[], &checks);
    let names = ["one each", "none fails", "below", "not below", "same trace", "within", "no orphans", "has"];
    let all = |result: &serde_json::Value| names.map(|name| passed(result, name));
    // The caller gives up before the answer is there.
    assert_eq!(all(&starter), [true, false, true, false, true, false, true, true]);
    assert!(named(&starter, "within")["trace_id"].as_str().is_some_and(|id| id.len() == 32));
    assert!(!passed(&starter, "nothing there") && passed(&starter, "no error"));
    assert!(!passed(&starter, "an event") && passed(&starter, "no such event"));
    let mended = judged(TOPOLOGY, &[CHANGE], &checks);
    assert_eq!(all(&mended), [true, true, true, false, true, true, true, true]);
    assert!(!passed(&mended, "no error") && passed(&mended, "an event"));
}

#[test]
fn calls_in_an_order_and_the_critical_path_are_seen_in_spans() {
    let topology = TOPOLOGY
        .replace("calls = \"stock/items\"", "calls = \"stock/items & prices/items\"")
        .replace(CHANGE.0, CHANGE.1)
        + "[services.prices]\nguest = \"service\"\nconfig.work = \"5ms\"\nconfig.go = { route = \"GET /items\" }\n";
    let after = "spans = { service = \"shop\", name = \"GET*\", attributes = { \"peer.service\" = \"prices\" }, \
                 kind = \"client\" }\nstarts-after-end-of = { service = \"shop\", attributes = { \"peer.service\" = \"stock\" } }";
    let checks = [
        check("in order", "spans", after),
        check(
            "path",
            "critical-path",
            "route = \"shop GET /pages\"\nhas = [\"stock\"]\nhas-not = [\"prices\"]",
        ),
        check(
            "most",
            "critical-path",
            "route = \"shop GET /pages\"\nservice = \"stock\"\nat-least = \"90%\"",
        ),
    ];
    let parallel = judged(&topology, &[], &checks);
    assert_eq!(["in order", "path", "most"].map(|name| passed(&parallel, name)), [false, true, true]);
    let serial = judged(&topology, &[("items & prices", "items, prices")], &checks);
    assert_eq!(["in order", "path", "most"].map(|name| passed(&serial, name)), [true, false, false]);
    let message = named(&serial, "path")["message"].as_str().expect("words");
    assert!(message.contains("prices is on it"), "{message}");
}

#[test]
fn a_guest_is_asked_and_has_to_answer_as_promised() {
    let topology = "[topology]\nname = \"stock\"\n[services.inventory]\nguest = \"inventory\"\n\
                    [[load]]\nname = \"users\"\nto = \"inventory\"\nrequest = { path = \"/stock/book\" }\narrivals = { constant = \"1/s\" }\n";
    let promise = |status: u16| {
        let steps = format!(
            "service = \"inventory\"\nsteps = [\n{{ request = \"GET /stock/book\", status = 200 }},\n\
             {{ request = \"GET /nowhere\", status = {status} }},\n]"
        );
        check("promise", "guest", &steps)
    };
    let kept = judged(topology, &[], &[promise(404)]);
    assert!(passed(&kept, "promise"), "{kept:#}");
    let broken = judged(topology, &[], &[promise(201)]);
    assert!(!passed(&broken, "promise"));
    let message = named(&broken, "promise")["message"].as_str().expect("words");
    assert!(message.contains("request 2 of 2, GET /nowhere: answered 404, and 201 is wanted"), "{message}");
}

#[test]
fn a_guest_is_asked_with_the_faults_that_the_check_names() {
    let topology = "[topology]\nname = \"stock\"\n[services.inventory]\nguest = \"inventory\"\n\
                    [[load]]\nname = \"users\"\nto = \"inventory\"\nrequest = { path = \"/stock/book\" }\narrivals = { constant = \"1/s\" }\n\
                    [[faults]]\nname = \"broken\"\nkind = \"error\"\nstatus = 503\ntarget = { service = \"inventory\" }\n";
    let promise = |name: &str, faults: &str| {
        let steps = "service = \"inventory\"\nsteps = [{ request = \"GET /stock/book\", status = 200 }]";
        check(name, "guest", &format!("{faults}\n{steps}"))
    };
    let checks =
        [promise("healthy", "faults = []"), promise("struck", "faults = [\"broken\"]"), promise("usual", "")];
    let result = judged(topology, &[], &checks);
    assert_eq!(["healthy", "struck", "usual"].map(|name| passed(&result, name)), [true, false, false]);
    let message = named(&result, "struck")["message"].as_str().expect("words");
    assert!(message.contains("answered 503, and 200 is wanted"), "{message}");
}

#[test]
fn the_traces_that_sampling_keeps_are_compared_with_all() {
    let topology = format!("{TOPOLOGY}\n[telemetry]\nsampler = \"traceidratio\"\nsampler-arg = 0.2\n");
    let kept = check("kept", "sampled", "of = { status = \"error\" }\nshare-at-most = \"50%\"");
    let few = judged(&topology, &[], std::slice::from_ref(&kept));
    assert!(!passed(&few, "kept"));
    let all = judged(&topology, &[("sampler-arg = 0.2", "sampler-arg = 1.0")], &[kept]);
    let message = named(&all, "kept")["message"].as_str().expect("words").to_owned();
    assert!(message.contains("100% are kept, and of all traces 100%"), "{message}");
}

#[test]
fn edges_that_are_missing_and_those_that_are_not_wanted_are_named() {
    let wanted = check("edges", "edges", "equals = [[\"stock\", \"shop\"]]");
    let result = judged(TOPOLOGY, &[], &[wanted]);
    assert!(!passed(&result, "edges"));
    let message = named(&result, "edges")["message"].as_str().expect("words");
    assert!(message.contains("missing: stock -> shop; not wanted: shop -> stock"), "{message}");
}

#[test]
fn a_count_of_a_database_or_a_group_and_a_link_is_shown_by_a_trace_that_has_it() {
    let backing = "\n[services.till]\nguest = \"service\"\ndatabases.sales = {}\nconfig.sql-in = \"sales\"\n\
                   config.pay = { route = \"POST /pay\", errors = \"20%\", sql = \"SELECT id FROM sales\", publish = \"paid\" }\n\
                   config.book = { topic = \"paid\", errors = \"30%\" }\n\
                   [databases.sales]\ntables = \"CREATE TABLE sales (id SERIAL PRIMARY KEY, amount INTEGER)\"\nrows.sales = { count = 100, values = { amount = 5 } }\n\
                   [topics.paid]\n[[subscriptions]]\nservice = \"till\"\ntopic = \"paid\"\ngroup = \"books\"\n\
                   retry = { attempts = 1 }\n\
                   [[load]]\nname = \"buyers\"\nto = \"till\"\nrequest = { method = \"POST\", path = \"/pay\" }\n\
                   arrivals = { constant = \"20/s\" }\n";
    let shown = |topology: &str, check: &str| {
        let home = Home::with_checks(&format!("{TOPOLOGY}{topology}"), check);
        home.start();
        home.lab(&["check", "mine", "--seeds", "1"]).stdout
    };
    let drawn = |metric: &str| {
        shown(backing, &check("few", "report", &format!("metric = \"{metric}\"\nat-most = 0")))
    };
    let scanned = drawn("database sales rows-scanned");
    assert!(scanned.contains("SELECT sales"), "{scanned}");
    let given_up = drawn("group books exhausted");
    assert!(given_up.contains("▹ process paid") && given_up.contains("✗ retry"), "{given_up}");
    let linked = backing.replace("group = \"books\"\n", "group = \"books\"\ncontext = \"link\"\n");
    let wrong = "spans = { service = \"till\", kind = \"consumer\" }\nlinked-to = { service = \"shop\" }";
    let elsewhere = shown(&linked, &check("linked", "spans", wrong));
    assert!(elsewhere.contains("have no such link") && elsewhere.contains("⤷ link trace "), "{elsewhere}");
}

#[test]
fn the_trace_of_a_failure_is_one_of_the_load_that_is_measured() {
    let other = "\n[services.reports]\nguest = \"service\"\nconfig.work = \"400ms\"\nconfig.go = { route = \"GET /reports/{id}\" }\n\
                 \n[[load]]\nname = \"nightly\"\nto = \"reports\"\nvalues.id = { range = [1, 9] }\n\
                 request = { path = \"/reports/{id}\" }\narrivals = { constant = \"5/s\" }\n";
    let quick = "metric = \"load users p99\"\nat-most = \"1ms\"";
    let slow = "metric = \"load nightly p99\"\nat-most = \"1ms\"";
    let drawn = |metric: &str| {
        let home = Home::with_checks(&format!("{TOPOLOGY}{other}"), &check("quick", "report", metric));
        home.start();
        home.lab(&["check", "mine", "--seeds", "1"]).stdout
    };
    assert!(drawn(quick).contains("[shop]") && !drawn(quick).contains("[reports]"), "{}", drawn(quick));
    assert!(drawn(slow).contains("▸ GET /reports/{id}"), "{}", drawn(slow));
}

#[test]
fn the_trace_of_errors_is_one_of_the_kind_that_is_most_frequent() {
    let breaker =
        TOPOLOGY.replace(CHANGE.0, "timeout = \"20ms\"\nbreaker = { failures = 2, open-for = \"10m\" }");
    let metric = "metric = \"link shop -> stock errors\"\nat-most = 0";
    let home = Home::with_checks(&breaker, &check("healthy", "report", metric));
    home.start();
    let checked = home.lab(&["check", "mine", "--seeds", "1"]);
    // The first two calls are too slow, and all others are not made.
    assert!(checked.stdout.contains("✗ circuit_open"), "{}", checked.stdout);
}

#[test]
fn the_trace_of_too_many_calls_is_one_in_which_nothing_fails() {
    let again = TOPOLOGY
        .replace(
            "config.go = { route = \"GET /items\" }",
            "config.go = { route = \"GET /items\", calls = \"prices/prices\" }",
        )
        .replace(CHANGE.0, "retry = { attempts = 4, on = [\"5xx\"] }")
        + "\n[services.prices]\nguest = \"service\"\nconfig.errors = 0.1\nconfig.go = { route = \"GET /prices\" }\n\
           \n[[faults]]\nname = \"resend\"\nkind = \"duplicate\"\nprobability = 0.2\ntarget = { link = \"shop -> stock\" }\n";
    let metric = "metric = \"link stock -> prices calls\"\nper = \"load users requests\"\nat-most = 1";
    let home = Home::with_checks(&again, &check("once", "report", metric));
    home.edit("05-pages/lab.toml", ("for = \"2s\"", "for = \"20s\""));
    home.start();
    let checked = home.lab(&["check", "mine", "--seeds", "1"]);
    let head = checked.stdout.lines().find(|line| line.starts_with("Trace ")).expect("a trace");
    assert!(head.ends_with("no errors"), "{}", checked.stdout);
    // Two charges for one page.
    assert!(checked.stdout.matches("▸ GET /prices 200").count() >= 2, "{}", checked.stdout);
}

#[test]
fn a_wait_that_no_span_has_is_named_below_the_trace() {
    let crowded = TOPOLOGY
        .replace("[services.shop]\nguest = \"service\"", "[services.shop]\nguest = \"service\"\nworkers = 1")
        .replace("constant = \"5/s\"", "constant = \"100/s\"");
    let home = Home::with_checks(
        &crowded,
        &check("quick", "report", "metric = \"load users p99\"\nat-most = \"1ms\""),
    );
    home.start();
    let checked = home.lab(&["check", "mine", "--seeds", "1"]);
    let said = checked.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("In no span: requests wait for a worker of shop for up to "), "{}", checked.stdout);
    let idle = Home::with_checks(
        TOPOLOGY,
        &check("quick", "report", "metric = \"load users p99\"\nat-most = \"1ms\""),
    );
    idle.start();
    assert!(!idle.lab(&["check", "mine", "--seeds", "1"]).stdout.contains("In no span"));
}
