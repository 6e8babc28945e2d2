//! A run that listens, from its first breath to its last: bounds on what comes
//! in, clients that go away, and the orderly end.

mod idle;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use crate::support;
use crate::support::http::{Connection, Dead, Upstream};
use crate::support::server::Server;
use crate::support::{ORDER, Topology, cost, telemetry};

const CALL: &str = "/call?service=legacy&path=/x";

/// Long enough to be sure that nothing comes; how long, no test depends on.
const A_WHILE: Duration = Duration::from_millis(100);

fn with_upstream() -> (Upstream, Topology) {
    let upstream = Upstream::open();
    let topology = Topology::probe().with_legacy(&upstream.url());
    (upstream, topology)
}

#[test]
fn two_thousand_clients_are_served_at_a_time() {
    // The service's own queue is not what this is about.
    let topology = Topology::orders().with("guest = \"orders\"", "queue = 10_000");
    let server = Server::recorded(&topology);
    let clients = 2_000.min(open_files().saturating_sub(200)) as usize;
    let mut connections: Vec<_> = (0..clients).map(|_| server.connect()).collect();
    let body = r#"{"item":"book","quantity":0,"price":9.99}"#;
    let json = "Content-Type: application/json";
    for connection in &mut connections {
        connection.request("POST /orders", &[json], body);
    }
    for connection in &mut connections {
        let answer = connection.receive();
        assert_eq!(answer.status(), 400, "{}", answer.body);
    }
    if let Some(peak) = cost::memory(server.id()) {
        assert!(peak < 512 << 20, "{} MiB", peak >> 20);
    }
    drop(connections);
    assert_eq!(server.spans(&topology).len(), clients * 3);
}

/// How many files this process may have open, where that is known.
fn open_files() -> u64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(256)
}

#[test]
fn a_connection_too_many_waits_for_its_turn() {
    let topology = Topology::probe().with("[limits]", "connections = 1");
    let server = Server::start(&topology, &[]);
    let mut first = server.connect();
    assert_eq!(first.get("/now", &[]).status(), 200);
    let mut second = server.connect();
    second.request("GET /now", &[], "");
    assert!(second.is_silent_for(A_WHILE));
    drop(first);
    assert_eq!(second.receive().status(), 200);
}

#[test]
fn a_request_too_many_is_turned_away() {
    let (upstream, topology) = with_upstream();
    let topology = topology.with("[limits]", "requests = 1");
    let server = Server::recorded(&topology);
    let mut first = server.connect();
    first.request(&format!("GET {CALL}"), &[], "");
    let (_, mut call) = upstream.accept();
    let answer = server.connect().get("/now", &[]);
    assert_eq!(answer.status(), 503);
    assert!(answer.body.contains("limits.requests = 1"), "{}", answer.body);
    call.respond("200 OK", "");
    assert_eq!(first.receive().status(), 200);
    assert_eq!(server.connect().get("/now", &[]).status(), 200);
    server.stop().success();
}

#[test]
fn a_client_that_hangs_up_stops_nobody() {
    let (upstream, topology) = with_upstream();
    let server = Server::recorded(&topology);
    let mut client = server.connect();
    client.request(&format!("GET {CALL}"), &[], "");
    let (_, mut call) = upstream.accept();
    drop(client);
    // The door has seen it go: it serves the next one.
    assert_eq!(server.connect().get("/now", &[]).status(), 200);
    call.respond("200 OK", "late");
    let spans = server.spans(&topology);
    let names: Vec<_> = spans.iter().map(|span| (span.name.as_str(), span.kind_name())).collect();
    assert_eq!(names, [("GET /now", "SERVER"), ("GET", "CLIENT"), ("GET /call", "SERVER")]);
    assert!(spans.iter().all(|span| span.int("http.response.status_code") == Some(200)));
}

#[test]
fn ctrl_c_lets_what_is_under_way_finish() {
    for signal in ["-INT", "-TERM"] {
        let (upstream, topology) = with_upstream();
        let mut server = Server::recorded(&topology);
        let (mut busy, mut idle) = (server.connect(), server.connect());
        assert_eq!(idle.get("/now", &[]).status(), 200);
        busy.request(&format!("GET {CALL}"), &[], "");
        let (_, mut call) = upstream.accept();
        server.signal(signal);
        server.wait_for("finishing what is under way");
        // Who has nothing to wait for is sent home, and nobody else comes in.
        assert_eq!(idle.rest(), "");
        call.respond("200 OK", "done");
        assert_eq!(busy.receive().json()["body"], "done");
        let address = server.address;
        let finished = server.ended();
        let report = finished.success();
        assert!(report.starts_with("probe: 2 requests in "), "{report}");
        assert!(report.contains(" GET /call "), "{report}");
        assert!(report.ends_with("3 spans recorded\nfile records.jsonl: 3 spans exported\n"), "{report}");
        assert!(TcpStream::connect(address).is_err());
        let records = std::fs::read_to_string(topology.beside("records.jsonl")).expect("records");
        assert_eq!(telemetry::read(&records).len(), 3);
    }
}

#[test]
fn ctrl_c_twice_quits_at_once() {
    let (upstream, topology) = with_upstream();
    let mut server = Server::start(&topology, &[]);
    let mut client = server.connect();
    client.request(&format!("GET {CALL}"), &[], "");
    let (_, _never_answered) = upstream.accept();
    server.signal("-INT");
    server.wait_for("finishing what is under way");
    let finished = server.signal_until_ended("-INT");
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(130), ""));
}

/// `timeout` sends its signal to the process, and at once to the group that it is in. Here they are different
/// ones: of equal signals that wait the system keeps one.
#[test]
fn two_signals_at_once_are_one() {
    let (upstream, topology) = with_upstream();
    let mut server = Server::start(&topology, &[]);
    let mut client = server.connect();
    client.request(&format!("GET {CALL}"), &[], "");
    let (_, mut call) = upstream.accept();
    server.signals_at_once(&["-INT", "-TERM"]);
    server.wait_for("finishing what is under way");
    call.respond("200 OK", "done");
    assert_eq!(client.receive().json()["body"], "done");
    let finished = server.ended();
    assert!(finished.success().contains(" GET /call "), "{finished:?}");
}

#[test]
fn ctrl_c_ends_requests_of_the_command_line_after_the_one_under_way() {
    let (upstream, topology) = with_upstream();
    let request = format!("GET {CALL}");
    let mut command = topology.command(&["--show", "summary", "--request", &request, "--request", &request]);
    let mut run = Server::launch(&mut command);
    let (_, mut call) = upstream.accept();
    run.signal("-INT");
    run.wait_for("finishing what is under way");
    call.respond("200 OK", "done");
    let finished = run.ended();
    let said = finished.success();
    assert!(said.starts_with("GET /call?service=legacy&path=/x answered 200 in "), "{said}");
    assert!(said.contains("\nprobe: 1 request in "), "{said}");
}

/// Who has sent half a request waits for no answer, and need not be waited for
/// as long as one who has.
#[test]
fn a_client_that_dawdles_does_not_hold_up_the_end() {
    let topology = Topology::probe();
    let server = Server::start(&topology, &[]);
    let mut silent = server.connect();
    let mut half = server.connect();
    half.send("GET /now HTTP/1.1\r\nHo");
    assert_eq!(server.connect().get("/now", &[]).status(), 200);
    let before = clock();
    server.stop().success();
    assert!(clock() - before < Duration::from_secs(8));
    assert!(!half.rest().starts_with("HTTP/1.1 200"));
    assert_eq!(silent.rest(), "");
}

#[test]
fn a_port_that_is_taken_is_an_error_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let finished = Topology::probe().run(&["--listen", &address]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(1), ""));
    assert!(
        finished.stderr.starts_with(&format!("error: {address} is already in use\n")),
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("--listen 127.0.0.1:0"), "{}", finished.stderr);
    // 192.0.2.0/24 is for documentation: no machine has such an address.
    let finished = Topology::probe().run(&["--listen", "192.0.2.1:8001"]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.starts_with("error: cannot listen on 192.0.2.1:8001: "), "{}", finished.stderr);
}

#[test]
fn a_run_can_end_by_itself() {
    let finished = Topology::probe().run(&["--listen", "127.0.0.1:0", "--for", "20ms"]);
    assert!(finished.success().starts_with("probe: 0 requests in "), "{}", finished.stdout);
    let lines: Vec<_> = finished.stderr.lines().collect();
    assert!(lines[0].starts_with("listening on http://127.0.0.1:"), "{lines:?}");
    assert!(lines[0].ends_with(" for front; ctrl-c ends the run"), "{lines:?}");
    assert!(!lines[0].contains(":0 "), "the port is a real one: {lines:?}");
}

/// A dead receiver must not be felt: not by clients, and not for long at the end.
#[test]
fn a_dead_receiver_costs_clients_nothing() {
    let topology = Topology::probe();
    let dead = Dead::open();
    let mut command: Command =
        topology.command(&["--listen", "127.0.0.1:0", "--otlp", &dead.url(), "--lossy"]);
    let server = Server::spawn(command.env("OTEL_BSP_EXPORT_TIMEOUT", "300"));
    for _ in 0..20 {
        assert_eq!(Connection::open(server.address).get("/now", &[]).status(), 200);
    }
    let finished = server.stop();
    let report = finished.success();
    assert!(report.contains("20 spans recorded\n"), "{report}");
    assert!(report.contains("lost: 20 spans"), "{report}");
}

/// A receiver that takes a connection and says nothing.
#[test]
fn a_receiver_that_hangs_costs_clients_nothing() {
    let topology = Topology::probe();
    let hangs = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", hangs.local_addr().expect("an address"));
    let mut command: Command = topology.command(&["--listen", "127.0.0.1:0", "--otlp", &url, "--lossy"]);
    let server =
        Server::spawn(command.env("OTEL_BSP_EXPORT_TIMEOUT", "300").env("OTEL_BSP_SCHEDULE_DELAY", "0"));
    assert_eq!(server.connect().get("/now", &[]).status(), 200);
    let (mut receiver, _) = hangs.accept().expect("the exporter connects");
    assert!(receiver.read(&mut [0]).expect("it sends") > 0);
    for _ in 0..20 {
        assert_eq!(server.connect().get("/now", &[]).status(), 200);
    }
    let finished = server.stop();
    assert!(finished.success().contains("lost: 21 spans"), "{}", finished.stdout);
}

/// A run that would take days, told to stop as soon as it has shown something.
#[test]
fn ctrl_c_stops_virtual_time_at_a_whole_event_and_reports_what_was_simulated() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--for", "8000h", "--out", "-"]);
    let (finished, text) = support::interrupt(&mut command);
    let said = &finished.stderr;
    assert_eq!(finished.code, Some(0), "{said}");
    for expected in ["finishing what is under way", "orders: ", "POST /charges", "digest: "] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    // Every line is whole, and every order that began has its end.
    let spans = telemetry::read(&text);
    let roots = spans.iter().filter(|span| span.name == "POST /orders").count();
    assert!(roots > 0 && spans.len() == 17 * roots, "{roots} roots of {} spans", spans.len());
    assert!(said.replace(',', "").contains(&format!("{} spans exported", spans.len())), "{said}");
}

/// Users who do not think, of a service that takes no time.
#[test]
fn an_instant_that_does_not_end_is_an_error_that_names_who_is_busy_in_it() {
    let text = format!(
        "[topology]\nname = \"endless\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"front\"\n\
         [services.front]\nguest = {:?}\n\
         [[load]]\nname = \"hasty\"\nto = \"front\"\nrequest = {{ path = \"/\" }}\nusers = 2\nthink = \"0s\"\n",
        support::guest("tests/noop")
    );
    let topology = Topology::new("endless", text);
    let mut command = topology.command(&["--virtual", "--for", "10s"]);
    // Records would only make it take longer.
    let finished = support::finish(command.env("OTEL_SDK_DISABLED", "true"));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.starts_with("endless: "), "{}", finished.stdout);
    assert!(finished.stdout.contains("\n hasty "), "the report has the load: {}", finished.stdout);
    let told = finished.told();
    for said in [
        "error: after 0ns: simulated time stands still: ",
        "; in the later part of them front answered \"GET /\" ",
        "help: let something take time: the think time of a load's users",
    ] {
        assert!(told.contains(said), "{}", finished.stderr);
    }
    assert!(!finished.stderr.contains("finishing what is under way"), "{}", finished.stderr);
}

/// A limit on the length of files, in the middle of the second line.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_grow_keeps_its_whole_lines() {
    let topology = Topology::orders();
    let mut arguments = vec!["--show", "summary"];
    arguments.extend([["--request", ORDER]; 40].concat());
    let mut small = topology.command(&arguments);
    let (_, whole) = topology.records_of(small.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"));
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    let blocks = (lines[0].len() + lines[1].len() / 2) / 512;
    let mut command = topology.in_shell(&format!("trap '' XFSZ; ulimit -f {blocks}"), &[]);
    command
        .args(&arguments)
        .args(["--virtual", "--out", "limited.jsonl"])
        .env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1");
    let finished = support::finish(&mut command);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("error: file limited.jsonl: "), "{}", finished.stderr);
    assert!(finished.stderr.contains("File too large"), "{}", finished.stderr);
    let limited = std::fs::read_to_string(topology.beside("limited.jsonl")).expect("a file");
    assert_eq!(limited, lines[0]);
}

#[expect(clippy::disallowed_methods, reason = "how long the program takes in reality is the question")]
fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
