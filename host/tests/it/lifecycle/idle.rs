//! A run in which no load makes requests says how to make one.

use std::process::Command;

use serde_json::Value;

use crate::support::server::Server;
use crate::support::shipped::Shipped;
use crate::support::{Finished, Topology, finish, simhost};

const HINT: &str = "no load runs: ";

/// Starts it, and sends the request that it suggests. What comes back is the answer's body and
/// status, and what the run printed.
fn follow(topology: &Topology) -> (String, String, Finished) {
    let mut server = Server::start(topology, &["--show", "summary"]);
    let line = suggested(&mut server);
    let (body, status) = send(&line);
    (body, status, server.stop())
}

fn suggested(server: &mut Server) -> String {
    server.wait_for(HINT);
    server.wait_for("  curl ").trim_start().to_owned()
}

/// Has a shell run the line; the answer's body and status.
fn send(line: &str) -> (String, String) {
    let line = format!("{line} --silent --show-error --noproxy '*' --write-out '\\n%{{http_code}}'");
    let sent = Command::new("/bin/sh").args(["-c", &line]).output().expect("a shell");
    assert!(sent.status.success(), "{line}: {}", String::from_utf8_lossy(&sent.stderr));
    let answer = String::from_utf8(sent.stdout).expect("text");
    let (body, status) = answer.rsplit_once('\n').expect("a status");
    (body.to_owned(), status.to_owned())
}

/// A topology of one service, `front`, with this guest and these loads, which are off.
fn front(guest: &str, loads: &str) -> Topology {
    Topology::new(
        "front",
        format!(
            "[topology]\nname = \"front\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"front\"\n\
             [services.front]\nguest = {guest:?}\n{loads}"
        ),
    )
}

#[test]
fn each_topology_that_ships_is_at_work_or_says_how_to_begin() {
    let mut idle = Vec::new();
    for shipped in Shipped::all().into_iter().filter(|shipped| !shipped.name.contains("1000")) {
        let loads = std::fs::read_to_string(&shipped.path).expect("a topology");
        let is_idle = loads.contains("real-time = false");
        let mut command = simhost();
        command.arg("run").arg(&shipped.path).args(["--listen", "127.0.0.1:0", "--show", "none"]);
        if !is_idle {
            let finished = finish(command.args(["--for", "1ms"]));
            assert!(!finished.stderr.contains(HINT), "{}: {}", shipped.name, finished.stderr);
            continue;
        }
        let mut server = Server::spawn(&mut command);
        let (body, status) = send(&suggested(&mut server));
        assert!(status.starts_with('2'), "{}: {status} {body}", shipped.name);
        server.stop().success();
        idle.push(shipped.name);
    }
    let known = [
        "topologies/checkout.toml",
        "topologies/dispatch.toml",
        "topologies/generated/services-10.toml",
        "topologies/generated/services-100.toml",
        "topologies/items.toml",
        "topologies/orders.toml",
        "topologies/storefront.toml",
    ];
    assert_eq!(idle, known);
}

#[test]
fn the_request_is_that_of_a_load_which_is_off() {
    let load = "[[load]]\nname = \"clients\"\nto = \"front\"\narrivals = { constant = \"1/s\" }\nreal-time = false\n";
    let request = "[load.request]\nmethod = \"POST\"\npath = \"/headers?a={a}&b=[1]\"\nbody = \"@it's {}\"\n\
                   headers = { x-empty = \"\", x-kind = \"a $HOME\" }\n[load.values]\na = { range = [7, 7] }\n";
    let topology = front(&crate::support::guest("tests/probe"), &format!("{load}{request}"));
    let mut server = Server::start(&topology, &["--show", "none"]);
    assert_eq!(server.wait_for(HINT), "no load runs: start one with --load clients=on, or send a request:");
    let line = server.wait_for("  curl ");
    let (body, status) = send(&line);
    assert_eq!(status, "200", "{body}");
    let seen: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&seen["method"], &seen["body"]), (&"POST".into(), &"@it's {}".into()));
    assert_eq!(seen["path_and_query"], "/headers?a=7&b=[1]");
    let headers: Vec<(String, String)> = serde_json::from_value(seen["headers"].clone()).expect("pairs");
    let of = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    assert_eq!((of("x-empty"), of("x-kind"), of("content-type")), (Some(""), Some("a $HOME"), None));
    server.stop().success();
}

#[test]
fn without_any_load_it_is_a_route_of_the_ingress() {
    let cases = [
        ("inventory", "", "curl BASE/stock/1", "GET /stock/{item}"),
        ("notification", "", "curl -X POST BASE/notify", "POST /notify"),
        ("service", "", "curl BASE/", "GET /"),
        (
            "service",
            "config.a = { route = \"PUT /a/{b}/c/{d}\" }\n",
            "curl -X PUT BASE/a/1/c/1",
            "PUT /a/{b}/c/{d}",
        ),
        ("service", "config.a = { route = \"GET /health\" }\n", "curl BASE/health", "GET /health"),
    ];
    for (guest, config, expected, route) in cases {
        let mut server = Server::start(&front(guest, config), &["--show", "summary"]);
        assert_eq!(server.wait_for(HINT), "no load runs: send a request:");
        let line = server.wait_for("  curl ").trim_start().to_owned();
        assert_eq!(line.replace(&format!("http://{}", server.address), "BASE"), expected);
        send(&line);
        let finished = server.stop();
        let report = finished.success();
        assert!(report.lines().any(|line| line.contains(&format!(" {route} "))), "{route}: {report}");
    }
}

/// A load that asks another service, meets no route, or draws from a file that is not read.
#[test]
fn a_load_that_cannot_be_followed_is_passed_over() {
    let load = |name: &str, to: &str, request: &str| {
        format!(
            "[[load]]\nname = \"{name}\"\nto = \"{to}\"\narrivals = {{ constant = \"1/s\" }}\nreal-time = false\n{request}\n"
        )
    };
    let loads = [
        "[services.back]\nguest = \"payment\"\n".to_owned(),
        load("elsewhere", "back", "request = { method = \"POST\", path = \"/charges\", json = {} }"),
        load("lost", "front", "request.path = \"/nowhere\""),
        load("files", "front", "request.path = \"/stock/{item}\"\nvalues.item = { names = \"items.txt\" }"),
        load("lines", "front", "request = { path = \"/stock/lines\", body = \"a\\nb\" }"),
        load("right", "front", "request.path = \"/stock/book\""),
    ];
    let (body, status, finished) = follow(&front("inventory", &loads.concat()));
    assert_eq!(status, "200", "{body}");
    assert!(body.contains("book"), "{body}");
    let report = finished.success();
    assert!(report.contains("GET /stock/{item}"), "{report}");
}

#[test]
fn standard_output_is_the_same_as_without_the_hint() {
    let run = |more: &[&str]| {
        let finished =
            Topology::orders().run(&[&["--listen", "127.0.0.1:0", "--for", "10ms"], more].concat());
        finished.success();
        finished
    };
    let quiet = run(&["--show", "none"]);
    assert_eq!(quiet.stdout, "");
    assert!(quiet.stderr.contains(HINT), "{}", quiet.stderr);
    let json = run(&["--json"]);
    let report: Value = serde_json::from_str(&json.stdout).expect("one document");
    assert_eq!(report["requests"], 0, "{report}");
    assert!(json.stderr.contains(HINT), "{}", json.stderr);
    let busy = run(&["--load", "shoppers=on", "--show", "none"]);
    assert!(!busy.stderr.contains(HINT), "{}", busy.stderr);
}

#[test]
fn a_run_in_virtual_time_with_nothing_to_do_says_what_it_may_be_given() {
    let refused = Topology::orders().run(&["--virtual", "--load", "shoppers=off"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let request = refused.stderr.lines().find_map(|line| line.trim().strip_prefix("--request '"));
    let request = request.and_then(|line| line.strip_suffix('\'')).expect("a flag on a line");
    let answered = Topology::orders().run(&["--virtual", "--request", request]);
    assert!(answered.success().starts_with("POST /orders answered 201 "), "{}", answered.stdout);

    let refused = front("service", "").run(&["--virtual"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("\n        --request 'GET /'\n"), "{}", refused.stderr);
    let lines = refused.stderr.lines().map(str::trim).skip_while(|line| *line != "[[load]]");
    let load: String = lines.take_while(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect();
    let finished = front("service", &load).run(&["--virtual", "--for", "2s"]);
    assert!(finished.success().contains(" users "), "{load}{}", finished.stdout);
}
