//! Faults are switched by hand while a run goes on.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;

use assert_cmd::Command;
use serde_json::{Value, json};
use simhost::control::Document;

use super::{MS, counts, slow};
use crate::support::client::{Answer, Client, Request};
use crate::support::schema;
use crate::support::{PATIENCE, Serving, SpanKind, World};

const CONTROL: [&str; 2] = ["--control", "127.0.0.1:0"];

/// `front` with faults that are off, under control.
fn world() -> World {
    let other = slow("other", "enabled = false").replace("40ms", "20ms");
    World::of("probe", "").with(&slow("slow", "enabled = false")).with(&other).flags(&CONTROL)
}

fn control(server: &Serving) -> Client {
    server.control.expect("the run is controlled")
}

/// What `simhost fault` says, and its exit code.
fn fault(at: SocketAddr, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_simhost"));
    command.env_clear().env("SIMHOST_CONTROL", format!("http://{at}"));
    let output = command.arg("fault").args(arguments).timeout(PATIENCE).output().expect("simhost starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn post(client: Client, name: &str, body: &str) -> Answer {
    let target = format!("/v1/faults/{name}");
    client.send(Request { method: "POST", target: &target, headers: &[], body })
}

#[test]
fn a_person_switches_faults_from_a_terminal() {
    let server = world().flags(&["--json"]).serve();
    let at = control(&server).0;
    let say = |arguments: &[&str]| {
        let (code, said, trouble) = fault(at, arguments);
        assert_eq!((code, trouble.as_str()), (Some(0), ""), "{arguments:?}");
        said
    };
    server.get("/now");
    assert_eq!(say(&["on", "slow"]), "slow: active by hand\n");
    server.get("/now");
    assert_eq!(say(&["set", "slow", "probability=0"]), "slow: off by hand, probability 0\n");
    server.get("/now");
    assert_eq!(say(&["set", "slow", "probability=1"]), "slow: active by hand, probability 1\n");
    server.get("/now");
    let list = say(&["list"]);
    let rows: Vec<Vec<_>> = list.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..], ["slow", "latency", "front", "active", "by", "hand", "100%", "2", "2"]);
    assert_eq!(rows[2][..], ["other", "latency", "front", "off", "100%", "0", "0"]);
    assert_eq!(say(&["auto", "slow"]), "slow: off\n");
    server.get("/now");
    assert_eq!(say(&["off", "slow"]), "slow: off by hand\n");
    let state: Value = serde_json::from_str(&say(&["on", "other", "--json"])).expect("JSON");
    assert_eq!(
        [&state["name"], &state["active"], &state["held"]],
        [&json!("other"), &json!(true), &json!(true)]
    );
    server.get("/now");
    let run = server.stop();
    let took: Vec<_> =
        run.of("front", SpanKind::Server).iter().map(|span| span.duration() / MS / 20).collect();
    assert_eq!(took, [0, 2, 0, 2, 0, 1]);
    assert_eq!([counts(&run, "slow"), counts(&run, "other")], [(2, 2), (1, 1)]);
}

#[test]
fn what_a_person_gets_wrong_is_told_with_a_remedy() {
    let server = world().serve();
    let at = control(&server).0;
    let wrong = [
        (&["on", "slo"][..], "error: unknown fault \"slo\"\n  help: did you mean \"slow\"?"),
        (&["set", "slow", "probability=1.5"], "error: probability 1.5 is not between 0 and 1\n"),
        (&["list", "--at", "here"], "error: \"here\" is no address of a run\n  help: start the run with"),
    ];
    for (arguments, expected) in wrong {
        let (code, said, trouble) = fault(at, arguments);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(trouble.starts_with(expected), "{arguments:?}: {trouble}");
    }
    server.stop();
    let (code, _, trouble) = fault(at, &["list"]);
    assert_eq!(code, Some(1));
    assert!(trouble.starts_with(&format!("error: no answer from {at}: ")), "{trouble}");
}

#[test]
fn a_run_is_controlled_only_when_it_is_asked_for_and_from_this_machine() {
    let server = World::of("probe", "").with(&slow("slow", "")).serve();
    assert!(server.control.is_none());
    let refused = |flags: &[&str]| World::of("probe", "").with(&slow("slow", "")).flags(flags).refusal();
    let said = refused(&["--control", "0.0.0.0:0", "--speed", "1"]);
    assert!(said.contains("conflict") || said.contains("cannot be used with"), "{said}");
    for (flags, expected) in [
        (&["--control", "0.0.0.0:0"][..], "--control 0.0.0.0:0 is not a loopback address"),
        (&["--control", "127.0.0.1:0", "--virtual", "--for", "1s"], "--control was given, but time jumps"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("topology.toml");
        let text = "[topology]\nname = \"tests\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"front\"\n\
                    [services.front]\nguest = \"service\"\n[[load]]\nname = \"load\"\nto = \"front\"\n\
                    arrivals = { constant = \"1/s\" }\nrequest = { path = \"/\" }\n";
        std::fs::write(&path, text).expect("a topology");
        let mut command = Command::new(env!("CARGO_BIN_EXE_simhost"));
        let output = command.arg("run").arg(&path).args(flags).timeout(PATIENCE).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.replace("\n", " ").contains(expected), "{said}");
    }
}

#[test]
fn pages_and_names_of_others_are_refused() {
    let server = world().serve();
    let Client(at) = control(&server);
    let ask = |headers: &str| {
        let mut stream = TcpStream::connect(at).expect("the port is open");
        let body = "{\"active\": true}";
        let length = body.len();
        let head = "POST /v1/faults/slow HTTP/1.1\r\nconnection: close\r\n";
        write!(stream, "{head}content-length: {length}\r\n{headers}\r\n{body}").expect("it is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.split(' ').nth(1).expect("a status").to_owned()
    };
    let is_active = || {
        let answer = control(&server).get("/v1/faults/slow");
        answer.json()["active"].as_bool().expect("a flag")
    };
    assert_eq!(ask("host: example.org\r\n"), "403");
    assert_eq!(ask(&format!("host: {at}\r\norigin: http://example.org\r\n")), "403");
    assert_eq!(ask(&format!("host: {at}\r\norigin: null\r\n")), "403");
    assert_eq!(ask(&format!("host: rebound.example.org:{}\r\n", at.port())), "403");
    assert!(!is_active());
    assert_eq!(ask(&format!("host: {at}\r\norigin: http://{at}\r\n")), "200");
    assert!(is_active());
}

#[test]
fn requests_that_make_no_sense_are_answered_as_http_has_it() {
    let server = world().serve();
    let client = control(&server);
    let send = |method, target, body| client.send(Request { method, target, headers: &[], body });
    let long = format!("{{\"active\": true{}}}", " ".repeat(5_000));
    let wrong = [
        (send("DELETE", "/v1/faults/slow", ""), 405, "this method is not allowed here"),
        (send("POST", "/v1/faults", "{}"), 405, "this method is not allowed here"),
        (send("GET", "/v2/faults", ""), 404, "there is nothing at this path"),
        (send("GET", "/v1/faults/slo", ""), 404, "unknown fault \"slo\""),
        (send("POST", "/v1/faults/slo", "{\"active\": true}"), 404, "unknown fault \"slo\""),
        (send("POST", "/v1/faults/slow", ""), 400, "this is no order"),
        (send("POST", "/v1/faults/slow", "on"), 400, "this is no order"),
        (
            send("POST", "/v1/faults/slow", "{\"activ\": true}"),
            400,
            "this is no order: unknown field `activ`",
        ),
        (send("POST", "/v1/faults/slow", "{}"), 400, "the order changes nothing"),
        (send("POST", "/v1/faults/slow", "{\"probability\": 2}"), 400, "probability 2 is not between"),
        (send("POST", "/v1/faults/slow", "{\"scheduled\": false}"), 400, "scheduled can only be true"),
        (send("POST", "/v1/faults/slow", &long), 413, "an order has at most 4096 bytes"),
    ];
    let both = send("POST", "/v1/faults/slow", "{\"active\": true, \"scheduled\": true}");
    assert_eq!((both.status, &both.json()["status"]), (400, &json!(400)));
    for (answer, status, error) in wrong {
        let said = answer.json();
        assert_eq!((answer.status, &said["status"]), (status, &json!(status)), "{error}");
        assert!(said["error"].as_str().expect("text").starts_with(error), "{said}");
        assert!(!said["help"].as_str().expect("text").is_empty());
    }
    assert_eq!(client.get("/v1/faults/slow").json()["active"], false);
}

#[test]
fn documents_are_as_the_schema_describes_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/control.schema.json");
    let document = Document::schema();
    let text = serde_json::to_string_pretty(&document).expect("keys are strings") + "\n";
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).expect("a schema");
    }
    assert!(std::fs::read_to_string(&path).unwrap_or_default() == text, "BLESS=1 writes it anew");
    let schema = document.to_value();
    let server = world().serve();
    let client = control(&server);
    let order = json!({ "active": true, "probability": 0.5 });
    let answers = [
        client.get("/v1/faults").json(),
        client.get("/v1/faults/none").json(),
        post(client, "slow", &order.to_string()).json(),
    ];
    for document in answers.iter().chain([&order]) {
        assert_eq!(schema::problems(&schema, document), [""; 0], "{document}");
    }
    assert_ne!(schema::problems(&schema, &json!({ "activ": true })), [""; 0]);
    // So is what the page about it shows.
    let page = include_str!("../../../../docs/guides/control.md");
    let shown = page.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str::<Value>);
    let shown: Vec<_> = shown.collect::<Result<_, _>>().expect("JSON");
    assert!(shown.len() >= 2 && shown.iter().all(|document| schema::problems(&schema, document).is_empty()));
}

/// Switches a fault on and off over one connection, so many times; with the
/// statuses of the answers.
fn toggle(at: SocketAddr, times: usize) -> Vec<u16> {
    let stream = TcpStream::connect(at).expect("the port is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
    let (mut write, mut read) = (stream.try_clone().expect("a handle"), BufReader::new(stream));
    let mut answer = |number: usize| {
        let body = format!("{{\"active\": {}}}", number.is_multiple_of(2));
        let length = body.len();
        let head = format!("POST /v1/faults/slow HTTP/1.1\r\nhost: {at}\r\ncontent-length: {length}");
        // At one go: the system would let the rest of a message wait.
        write.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).expect("it is taken");
        let mut status = String::new();
        read.read_line(&mut status).expect("a status");
        let mut length = 0;
        loop {
            let mut line = String::new();
            read.read_line(&mut line).expect("a header");
            match line.trim().split_once(": ") {
                Some(("content-length", digits)) => length = digits.parse().expect("a number"),
                Some(_) => {}
                None => break,
            }
        }
        read.read_exact(&mut vec![0; length]).expect("a body");
        status.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
    };
    (0..times).map(&mut answer).collect()
}

#[test]
fn ten_thousand_toggles_are_all_answered() {
    let server = world().flags(&["--json"]).serve();
    let at = control(&server).0;
    let threads: Vec<_> = (0..20).map(|_| thread::spawn(move || toggle(at, 500))).collect();
    // Meanwhile the services go on.
    for _ in 0..20 {
        assert_eq!(server.get("/now").status, 200);
    }
    let statuses: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("answers")).collect();
    assert_eq!(statuses.len(), 10_000);
    assert!(statuses.iter().all(|status| [200, 429, 503].contains(status)), "{statuses:?}");
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!(served > 0);
    let state = control(&server).get("/v1/faults/slow").json();
    let windows = state["windows"].as_u64().expect("a count") as usize;
    assert!((1..=served).contains(&windows), "{windows} windows of {served} orders");
    let run = server.stop();
    assert_eq!(run.of("front", SpanKind::Server).len(), 20);
}

#[test]
fn while_a_run_ends_it_is_no_longer_controlled() {
    let server = world().serve();
    let client = control(&server);
    assert_eq!(post(client, "other", "{\"active\": true}").status, 200);
    let door = server.client;
    let slow = thread::spawn(move || door.get("/sleep/2000").status);
    // It is under way when the fault has struck it.
    while client.get("/v1/faults/other").json()["injected"] == 0 {}
    server.interrupt();
    let refused = loop {
        let answer = client.get("/v1/faults");
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!(refused.status, 503);
    assert_eq!(refused.json()["error"], "the run is ending");
    assert_eq!(post(client, "slow", "{\"active\": true}").status, 503);
    assert_eq!(slow.join().expect("an answer"), 200);
    server.ended();
}

#[test]
fn what_a_hand_does_is_in_the_truth_as_soon_as_it_is_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let truth = folder.path().join("truth.jsonl");
    let server = world().flags(&["--truth", &truth.display().to_string()]).serve();
    let client = control(&server);
    for order in ["active\": true", "probability\": 0.5", "probability\": 0", "scheduled\": true"] {
        assert_eq!(post(client, "slow", &format!("{{\"{order}}}")).status, 200);
    }
    let text = std::fs::read_to_string(&truth).expect("a truth");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/truth.schema.json");
    let described = std::fs::read_to_string(path).expect("the schema");
    let described: Value = serde_json::from_str(&described).expect("JSON");
    for record in &records {
        assert_eq!(schema::problems(&described, record), [""; 0], "{record}");
    }
    let of_slow = records.iter().filter(|record| record["fault"] == "slow");
    let told: Vec<_> = of_slow
        .map(|record| match record["record"].as_str() {
            Some("change") => json!([record["what"], record["probability"]]),
            _ => json!([record["state"], record["by"]]),
        })
        .collect();
    let expected = [
        json!(["on", null]),
        json!(["opened", "control"]),
        json!(["probability", 0.5]),
        json!(["probability", 0.0]),
        json!(["closed", "control"]),
        json!(["schedule", null]),
    ];
    assert_eq!(told, expected, "{text}");
    server.stop();
}

#[test]
fn virtual_time_that_is_paced_can_be_controlled() {
    let world = super::steady(&slow("slow", "enabled = false"));
    let flags = ["--virtual", "--speed", "10", "--json", "--control", "127.0.0.1:0"];
    let server = world.flags(&flags).serve();
    let client = control(&server);
    assert_eq!(post(client, "slow", "{\"active\": true}").status, 200);
    while client.get("/v1/faults/slow").json()["injected"].as_u64() < Some(3) {}
    assert_eq!(post(client, "slow", "{\"active\": false}").status, 200);
    let seen = client.get("/v1/faults").json()["simulated_ns"].as_u64().expect("a time");
    while client.get("/v1/faults").json()["simulated_ns"].as_u64() < Some(seen + 500 * MS) {}
    let run = server.stop();
    let took: Vec<_> = run.of("front", SpanKind::Server).iter().map(|span| span.duration() / MS).collect();
    assert!(took.iter().all(|took| [0, 40].contains(took)), "{took:?}");
    let first = took.iter().position(|took| *took == 40).expect("one that was struck");
    let struck = took[first..].iter().take_while(|took| **took == 40).count();
    assert!(struck >= 3 && took[first + struck..].iter().all(|took| *took == 0), "{took:?}");
    assert!(took.len() > first + struck, "none came afterwards: {took:?}");
    assert_eq!(counts(&run, "slow"), (struck as u64, struck as u64));
}

#[test]
fn a_group_that_a_hand_has_paused_gets_its_messages_when_the_hand_lets_it_go() {
    let sections = "[topics.letters]\n[[subscriptions]]\ntopic = \"letters\"\nservice = \"back\"\n\
                    [[faults]]\nname = \"pause\"\nkind = \"consumer-pause\"\nenabled = false\n\
                    target = { topic = \"letters\" }\n";
    let world = World::of("mailbox", "").and("back", "mailbox", "").with(sections);
    let server = world.flags(&CONTROL).flags(&["--json"]).serve();
    let client = control(&server);
    let state = || client.get("/v1/faults/pause").json();
    assert_eq!(
        (state()["topic"].clone(), post(client, "pause", "{\"active\": true}").status),
        ("letters".into(), 200)
    );
    let letter = Request { method: "POST", target: "/send/letters", headers: &[], body: "{}" };
    for _ in 0..3 {
        assert_eq!(server.client.send(letter).status, 200);
    }
    assert_eq!(state()["injected"], 3, "nobody has had one of them, and it keeps all");
    assert_eq!(post(client, "pause", "{\"active\": false}").status, 200);
    assert_eq!(state()["injected"], 3);
    let run = server.stop();
    let got = run.of("back", SpanKind::Consumer);
    assert_eq!((got.len(), counts(&run, "pause")), (3, (3, 3)));
    let sent = run.of("front", SpanKind::Producer).iter().map(|span| span.end).max().expect("three");
    assert!(got.iter().all(|span| span.start >= sent && span.error_type().is_null()), "{got:?}");
}

/// Nobody could make such a run again.
#[test]
fn what_a_fault_has_caused_that_a_hand_has_switched_is_not_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let truth = folder.path().join("truth.jsonl");
    let world = super::steady(&slow("slow", "enabled = false"));
    let truth_flag = truth.display().to_string();
    let flags = ["--virtual", "--speed", "10", "--control", "127.0.0.1:0", "--truth", &truth_flag];
    let server = world.flags(&flags).serve();
    let client = control(&server);
    assert_eq!(post(client, "slow", "{\"active\": true}").status, 200);
    while client.get("/v1/faults/slow").json()["injected"].as_u64() < Some(1) {}
    server.stop();
    let text = std::fs::read_to_string(&truth).expect("a truth");
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    let row = &last["faults"][0];
    assert_eq!((&row["fault"], &row["causes"]), (&json!("slow"), &Value::Null));
    assert_eq!(row["causes_skipped"], "changed_by_hand");
}

/// A message that waits for a replica counts as soon as it waits, and not when somebody has it.
#[test]
fn messages_that_a_fault_keeps_from_a_consumer_are_in_its_list_while_it_does() {
    let subscription = "[topics.orders]\n[[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n\
                        [[faults]]\nname = \"gone\"\nkind = \"down\"\ntarget = { service = \"mailer\" }\n\
                        enabled = false\n";
    let services = [
        ("front", "config.place = { route = \"GET /orders/{id}\", publish = \"orders/{id}\" }"),
        ("mailer", "config.mail = { topic = \"orders\" }"),
    ];
    let server = World::of_services(&services).with(subscription).flags(&CONTROL).serve();
    let client = control(&server);
    let counted = || {
        let state = client.get("/v1/faults/gone").json();
        ["matched", "injected"].map(|key| state[key].as_u64().expect("a count"))
    };
    assert_eq!(server.get("/orders/1").status, 200);
    assert_eq!(post(client, "gone", "{\"active\": true}").status, 200);
    let before = counted();
    for order in 1..=3_u64 {
        assert_eq!(server.get(&format!("/orders/{order}")).status, 200);
        assert_eq!(counted(), before.map(|count| count + order));
    }
    // When they are delivered they count once.
    assert_eq!(post(client, "gone", "{\"active\": false}").status, 200);
    assert_eq!(counted(), before.map(|count| count + 3));
    let run = server.stop();
    let processed = run.of("mailer", SpanKind::Consumer);
    assert!(processed.len() >= 3, "{}", processed.len());
}
