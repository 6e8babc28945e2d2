//! Loads: requests that a topology makes itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::support::server::Server;
use crate::support::telemetry::{self, Span};
use crate::support::{Finished, Topology, finish, simhost};
use serde_json::Value;

/// A service `a` with these settings, and `loads`.
fn service(settings: &str, loads: &str) -> Topology {
    let head = "[topology]\nname = \"loads\"\nseed = 7\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"a\"\n";
    Topology::new("loads", format!("{head}[services.a]\nguest = \"service\"\n{settings}\n{loads}"))
}

/// A service that answers at once.
fn quick(loads: &str) -> Topology {
    service("", loads)
}

fn load(name: &str, rest: &str) -> String {
    format!("[[load]]\nname = \"{name}\"\nto = \"a\"\nrequest = {{ path = \"/?{name}\" }}\n{rest}\n")
}

/// The spans of a run in virtual time.
fn spans(topology: &Topology, arguments: &[&str]) -> Vec<Span> {
    let (finished, records) = topology.records(arguments);
    finished.success();
    telemetry::read(&records)
}

/// The rows of the loads in a report, by name.
fn rows(finished: &Finished) -> BTreeMap<String, Value> {
    let report: Value = serde_json::from_str(finished.success()).expect("JSON");
    let rows = report["loads"].as_array().expect("a list").iter();
    rows.map(|row| (row["name"].as_str().expect("a name").to_owned(), row.clone())).collect()
}

/// How many spans were open at a time, at most.
fn most_at_a_time(spans: &[Span]) -> usize {
    let starts = spans.iter().map(|span| (span.start, 1_i64));
    let mut changes: Vec<_> = starts.chain(spans.iter().map(|span| (span.end, -1))).collect();
    changes.sort_unstable();
    let mut open = 0;
    changes.iter().fold(0, |most, (_, change)| {
        open += change;
        most.max(open as usize)
    })
}

#[test]
fn a_constant_load_makes_as_many_requests_as_its_rate_says() {
    let topology = quick(&load("even", "arrivals = { constant = \"100/m\" }"));
    let (finished, records) = topology.records(&["--for", "2m"]);
    assert!(finished.success().contains("200 requests in 2m of simulated time"), "{}", finished.stdout);
    let starts: Vec<_> = telemetry::read(&records).iter().map(|span| span.start).collect();
    assert_eq!(starts.len(), 200);
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 600_000_000), "{starts:?}");
}

#[test]
fn the_same_seed_gives_the_same_load_and_another_seed_another() {
    let topology = quick(&load("poisson", "arrivals = { poisson = \"50/s\" }"));
    let of = |seed| topology.records(&["--for", "10s", "--seed", seed]).1;
    assert_eq!(of("1"), of("1"));
    assert_ne!(of("1"), of("2"));
}

/// A load `b`, beside a service `b`, and a request of the program, beside a service `simhost`.
#[test]
fn a_client_that_is_named_like_a_service_has_an_address_of_its_own() {
    let services = "config.calls = \"b, simhost\"\n[services.b]\nguest = \"service\"\n\
                    [services.simhost]\nguest = \"service\"\n";
    let loads = load("b", "users = 1\niterations = 1\nthink = \"1s\"");
    let topology = service(services, &loads);
    for (flags, name) in [(&[][..], "b"), (&["--request", "GET /"], "simhost")] {
        let spans = spans(&topology, flags);
        let client = spans.iter().find(|span| span.parent.is_empty()).expect("a root");
        let called = |span: &&Span| span.kind_name() == "CLIENT" && span.text("server.address") == Some(name);
        let callee = spans.iter().find(called).expect("a call of the service");
        let address = callee.text("network.peer.address");
        assert!(address.is_some(), "{callee:#?}");
        assert_ne!(client.text("client.address"), address, "{name}");
    }
}

#[test]
fn another_load_changes_nothing_of_the_first() {
    let first = load("first", "arrivals = { poisson = \"50/s\" }");
    let second = load("second", "users = 3\nthink = { exponential = { mean = \"100ms\" } }");
    let alone = spans(&quick(&first), &["--for", "10s"]);
    let both = spans(&quick(&format!("{second}{first}")), &["--for", "10s"]);
    let of_first = both.iter().filter(|span| span.text("url.query") == Some("first"));
    assert_eq!(alone, of_first.cloned().collect::<Vec<_>>());
    assert!(both.len() > alone.len() + 200, "the second load has run");
}

#[test]
fn a_fault_moves_neither_the_arrivals_nor_the_values_of_a_load() {
    let fault = "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = \"300ms +/- 100ms\"\n\
                 target = { service = \"a\" }\nprobability = 0.5\n";
    let request = "values = { n = { range = [1, 1000000] } }\nrequests = [{ path = \"/?{n}\" }]";
    let text = load("first", &format!("arrivals = {{ poisson = \"50/s\" }}\n{request}"))
        .replace("request = { path = \"/?first\" }\n", "");
    let topology = quick(&format!("{fault}{text}"));
    let who = |arguments: &[&str]| {
        let spans = spans(&topology, &[&["--for", "10s"], arguments].concat());
        let who = |span: &Span| (span.trace.clone(), span.text("url.query").map(str::to_owned));
        spans.iter().map(who).collect::<BTreeSet<_>>()
    };
    assert_eq!(who(&[]), who(&["--fault", "slow=off"]));
}

#[test]
fn a_load_begins_and_ends_when_it_is_told_to() {
    let window = load("window", "arrivals = { constant = \"10/s\" }\nstart = \"5s\"\nfor = \"2s\"");
    let few = load("few", "arrivals = { constant = \"10/s\" }\nmax-requests = 7");
    let spans = spans(&quick(&format!("{window}{few}")), &[]);
    let of = |name| spans.iter().filter(move |span| span.text("url.query") == Some(name));
    let zero = of("few").map(|span| span.start).min().expect("a span");
    let window: Vec<_> = of("window").map(|span| (span.start - zero) / 1_000_000).collect();
    assert_eq!((window.len(), window[0], window[19]), (20, 5_000, 6_900));
    assert_eq!(of("few").count(), 7);
}

#[test]
fn a_replayed_load_comes_as_the_file_says() {
    let topology = quick(&load("replay", "arrivals = { replay = \"times.txt\" }"));
    fs::write(topology.beside("times.txt"), "# a recording\n0.5\n0.5\n1.25\n").expect("a file");
    let spans = spans(&topology, &[]);
    let starts: Vec<_> = spans.iter().map(|span| (span.start - spans[0].start) / 1_000_000).collect();
    assert_eq!(starts, [0, 0, 750]);
    fs::write(topology.beside("times.txt"), "1\n0.5\n").expect("a file");
    let refused = topology.run(&["--virtual"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("line 2 of"), "{}", refused.stderr);
}

#[test]
fn users_wait_for_their_answers_and_think() {
    let settings = "config = { work = \"100ms\" }";
    let users = "users = 4\nthink = \"900ms\"\nramp-up = \"1s\"";
    let topology = service(settings, &load("users", users));
    let spans = spans(&topology, &["--for", "1m"]);
    // Each user asks once in a second, and they came a quarter of one apart.
    assert_eq!((spans.len(), most_at_a_time(&spans)), (240, 1));
    let together = service(settings, &load("users", "users = 4\nthink = \"0s\"\niterations = 5"));
    let spans = self::spans(&together, &[]);
    assert_eq!((spans.len(), most_at_a_time(&spans)), (20, 4));
}

#[test]
fn max_requests_holds_for_all_users_together() {
    let settings = "config = { work = { exponential = { mean = \"50ms\" } } }";
    let users = "users = 8\nthink = { exponential = { mean = \"20ms\" } }\nmax-requests = 101";
    assert_eq!(spans(&service(settings, &load("users", users)), &[]).len(), 101);
}

#[test]
fn a_request_too_many_is_not_sent_and_counts_as_an_error() {
    let settings = "config = { work = \"1s\" }";
    let bound = "arrivals = { constant = \"10/s\" }\nmax-in-flight = 4\nmax-requests = 10";
    let topology = service(settings, &load("bound", bound));
    let finished = topology.run(&["--virtual", "--json"]);
    let row = &rows(&finished)["bound"];
    assert_eq!((row["requests"].as_u64(), row["dropped"].as_u64()), (Some(10), Some(6)), "{row}");
    assert_eq!(row["errors_by_type"]["overload"].as_u64(), Some(6), "{row}");
    // What was never sent does not make the load look quick.
    assert_eq!(row["mean_ns"].as_u64(), Some(1_000_000_000), "{row}");
    assert_eq!(spans(&topology, &[]).len(), 4);
}

#[test]
fn the_report_of_a_load_that_could_send_hardly_anything_says_so() {
    let limited = load("limited", "arrivals = { constant = \"10/s\" }\nmax-in-flight = 1\nfor = \"20s\"");
    let finished = service("config.work = \"30s\"", &limited).run(&["--virtual"]);
    let text = finished.success();
    assert!(text.starts_with("loads: 1 request in "), "{text}");
    assert!(text.contains("overload ×199"), "{text}");
}

#[test]
fn a_client_that_gives_up_does_not_stop_the_service() {
    let settings = "config = { work = \"1s\" }";
    let hasty = "arrivals = { constant = \"1/s\" }\nmax-requests = 3\ntimeout = \"200ms\"\nspan = true";
    let topology = service(settings, &load("hasty", hasty));
    let row = rows(&topology.run(&["--virtual", "--json"])).remove("hasty").expect("a row");
    assert_eq!(row["errors_by_type"]["timeout"].as_u64(), Some(3), "{row}");
    assert_eq!(row["max_ns"].as_u64(), Some(200_000_000), "{row}");
    let spans = spans(&topology, &[]);
    let took = |kind| {
        let of_kind = spans.iter().filter(move |span| span.kind_name() == kind);
        of_kind.map(|span| (span.end - span.start) / 1_000_000).collect::<Vec<_>>()
    };
    assert_eq!((took("CLIENT"), took("SERVER")), (vec![200; 3], vec![1_000; 3]));
    let client = spans.iter().find(|span| span.kind_name() == "CLIENT").expect("a CLIENT span");
    assert_eq!(client.text("error.type"), Some("timeout"));
}

#[test]
fn a_load_with_spans_is_a_service_and_the_servers_spans_are_its_children() {
    let traced = load("shoppers", "arrivals = { poisson = \"5/s\" }\nmax-requests = 20\nspan = true");
    let spans = spans(&quick(&traced), &[]);
    let (clients, servers): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.kind_name() == "CLIENT");
    assert_eq!((clients.len(), servers.len()), (20, 20));
    for server in servers {
        let client = clients.iter().find(|client| client.id == server.parent).expect("its client");
        assert_eq!((&client.trace, client.parent.as_str()), (&server.trace, ""));
        assert_eq!(client.service, "shoppers");
        assert_eq!(client.resource["service.namespace"], "loads");
        assert_eq!(client.text("url.full"), Some("http://a/?shoppers"));
        assert_eq!(client.text("service.peer.name"), Some("a"));
        assert_eq!(server.text("user_agent.synthetic.type"), Some("test"));
        let agent = server.text("user_agent.original").expect("a user agent");
        assert_eq!(agent, "simhost-load (shoppers)");
    }
}

#[test]
fn requests_are_made_of_templates() {
    let load = r#"
[[load]]
name = "mixed"
to = "order-service"
arrivals = { constant = "10/s" }
max-requests = 400
values.item = { pick = [[3, "book"], [1, "pen"]] }
values.who = { names = ["Ann Lee", "Bob"] }
values.n = { sequence = { from = 100, step = 10 } }
requests = [
    { weight = 3, method = "POST", path = "/orders?by={who}&n={n}", json = { item = "{item}", quantity = { range = [1, 3] }, price = { range = [1.0, 9.0], digits = 2 }, note = { literal = { pick = "{item}" } } } },
    { weight = 1, path = "/health", headers = { user-agent = "{{shopper}} {n}" } },
]
"#;
    let topology = Topology::orders().with("# One charge in five is turned away.", load);
    let spans = spans(&topology, &["--load", "shoppers=off"]);
    let entries: Vec<_> =
        spans.iter().filter(|span| span.service == "order-service" && span.kind_name() == "SERVER").collect();
    // The other quarter asks for /health, which leaves no spans. Four deviations are 35.
    assert!(entries.len().abs_diff(300) < 35, "{}", entries.len());
    let queries: BTreeSet<_> = entries.iter().filter_map(|span| span.text("url.query")).collect();
    assert_eq!(queries.len(), entries.len(), "a sequence does not repeat");
    for query in queries {
        let (by, n) = query.split_once("&n=").expect("two parts");
        assert!(["by=Ann%20Lee", "by=Bob"].contains(&by), "{by}");
        assert_eq!(n.parse::<u64>().map(|n| (n % 10, (100..4_100).contains(&n))), Ok((0, true)));
    }
    let process = spans.iter().filter(|span| span.name == "process_order");
    let of: Vec<_> = process.map(|span| (span.text("order.item"), span.int("order.quantity"))).collect();
    let pens = of.iter().filter(|(item, _)| *item == Some("pen")).count();
    assert!(of.iter().all(|(item, _)| matches!(item, Some("book" | "pen"))), "{of:?}");
    // A quarter, give or take four deviations.
    assert!(pens.abs_diff(of.len() / 4) < 31, "{pens} of {}", of.len());
    let quantities: BTreeSet<_> = of.iter().filter_map(|(_, quantity)| *quantity).collect();
    assert_eq!(quantities, BTreeSet::from([1, 2, 3]));
}

#[test]
fn a_load_that_cannot_run_as_asked_is_refused() {
    let endless = quick(&load("endless", "arrivals = { poisson = \"50/s\" }"));
    let late = quick(&load("late", "arrivals = { poisson = \"50/s\" }\nstart = \"1h\""));
    let cases: [(&Topology, &[&str], &str); 7] = [
        (&endless, &["--virtual"], "the load \"endless\" never ends"),
        (&endless, &["--virtual", "--for", "0s"], "a run of no time does nothing"),
        (&endless, &["--virtual", "--load", "endless=off"], "nothing to do"),
        (&endless, &["--virtual", "--for", "1s", "--listen", "127.0.0.1:0"], "--listen has no effect"),
        (&endless, &["--through-ingress", "--load", "endless=off"], "no load runs"),
        (&endless, &["--virtual", "--for", "1s", "--through-ingress"], "cannot be used with"),
        (&late, &["--virtual", "--for", "1m"], "the load \"late\" starts after 1h"),
    ];
    for (topology, arguments, words) in cases {
        let refused = topology.run(arguments);
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        let said: Vec<_> = refused.stderr.split_whitespace().collect();
        assert!(said.join(" ").contains(words), "{arguments:?}: {}", refused.stderr);
    }
    // A check says the same of the flags that it has.
    let checked = finish(simhost().arg("check").arg(endless.path()).args(cases[4].1));
    assert!(checked.code == Some(2) && checked.stderr.contains(cases[4].2), "{checked:?}");
    let checked = finish(simhost().arg("check").arg(endless.path()).arg("--virtual"));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

/// Waits until a number of CLIENT spans is recorded, with requests that leave no spans.
fn wait_for_clients(server: &Server, topology: &Topology, count: usize) {
    let recorded = || {
        let records = fs::read_to_string(topology.beside("records.jsonl")).unwrap_or_default();
        // The last line may be half written.
        let whole = records.rsplit_once('\n').map_or("", |(whole, _)| whole);
        telemetry::read(whole).iter().filter(|span| span.kind_name() == "CLIENT").count()
    };
    while recorded() < count {
        assert_eq!(server.connect().get("/health", &[]).status(), 200);
    }
}

#[test]
fn a_load_runs_in_real_time_beside_the_open_door() {
    let topology = quick(&load("steady", "users = 2\nthink = \"1ms\"\nmax-requests = 50\nspan = true"));
    let server = Server::recorded(&topology);
    assert_eq!(server.connect().get("/?me", &[]).status(), 200);
    // The door stays open when the load is over.
    wait_for_clients(&server, &topology, 50);
    let spans = server.spans(&topology);
    assert_eq!(spans.iter().filter(|span| span.service == "steady").count(), 50);
}

#[test]
fn a_load_can_go_through_the_ingress_over_http() {
    let steady = "users = 2\nthink = \"1ms\"\nmax-requests = 50\nspan = true";
    let topology = quick(&load("steady", steady));
    let mut server =
        Server::start(&topology, &["--out", "records.jsonl", "--through-ingress", "--for", "3s"]);
    server.wait_for("finishing what is under way");
    let finished = server.ended();
    finished.success();
    let records = fs::read_to_string(topology.beside("records.jsonl")).expect("records");
    let spans = telemetry::read(&records);
    let (clients, servers): (Vec<_>, Vec<_>) = spans.iter().partition(|span| span.kind_name() == "CLIENT");
    assert_eq!((clients.len(), servers.len()), (50, 50));
    for server in servers {
        let client = clients.iter().find(|client| client.id == server.parent).expect("its client");
        assert_eq!(client.trace, server.trace);
        assert!(client.text("url.full").is_some_and(|url| url.starts_with("http://127.0.0.1:")));
        // A real connection, as both ends see it.
        assert_eq!(client.int("network.peer.port"), client.int("server.port"));
        assert_eq!(client.text("network.protocol.version"), Some("1.1"));
        assert_eq!(server.text("network.peer.address"), Some("127.0.0.1"));
        assert_eq!(server.text("user_agent.synthetic.type"), Some("test"));
    }
}

#[test]
fn a_real_run_without_a_door_ends_with_its_loads() {
    let topology = quick(&load("short", "users = 1\nthink = \"1ms\"\niterations = 5"));
    let text = fs::read_to_string(topology.path()).expect("the topology");
    let text = text.replace("[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"a\"\n", "");
    let finished = Topology::new("loads", text).run(&[]);
    assert!(finished.success().contains("loads: 5 requests in"), "{}", finished.stdout);
}

#[test]
fn ctrl_c_stops_the_loads_and_reports() {
    let topology = quick(&load("long", "arrivals = { constant = \"50/s\" }"));
    let server = Server::start(&topology, &["--json"]);
    assert_eq!(server.connect().get("/", &[]).status(), 200);
    let row = rows(&server.stop()).remove("long").expect("a row");
    assert!(row["requests"].as_u64() >= Some(1), "{row}");
    assert_eq!(row["in_flight"].as_u64(), Some(0), "{row}");
}
