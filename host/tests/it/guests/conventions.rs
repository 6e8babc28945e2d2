//! What CLIENT and SERVER spans say of requests and connections, held against the stable
//! semantic conventions for HTTP, with guests that call one another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::{Run, Span, SpanKind, World};

fn keys(span: &Span) -> BTreeSet<&str> {
    span.attributes.keys().map(String::as_str).collect()
}

/// Every call that has arrived: its CLIENT and its SERVER span.
fn calls(run: &Run) -> Vec<(&Span, &Span)> {
    let clients = run.spans().iter().filter(|span| span.kind == SpanKind::Client);
    let arrived = |client| run.children(client).into_iter().map(move |server| (client, server));
    clients.flat_map(arrived).collect()
}

fn chain() -> World {
    World::of_services(&[("front", "config.calls = 'back'"), ("back", "version = '1.2.0'")])
}

const SERVER: [&str; 13] = [
    "client.address",
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "network.peer.address",
    "network.peer.port",
    "network.protocol.version",
    "server.address",
    "server.port",
    "url.path",
    "url.scheme",
    "user_agent.original",
    "user_agent.synthetic.type",
];

#[test]
fn server_spans_have_the_same_attributes_whoever_asks() {
    let front = |run: &Run| run.of("front", SpanKind::Server)[0].clone();
    let asked = chain().virtually(&["GET /"]);
    let load = "[[load]]\nname = \"visitors\"\nto = \"front\"\nrequest = { path = \"/\" }\n\
                arrivals = { constant = \"1/s\" }\nmax-requests = 1";
    let loaded = chain().with(load).virtually(&[]);
    let server = chain().serve();
    let curl = [("user-agent", "curl/8")];
    assert_eq!(server.send(Request { method: "GET", target: "/", headers: &curl, body: "" }).status, 200);
    let real = server.stop();

    let expected = BTreeSet::from(SERVER);
    assert_eq!(keys(&front(&loaded)), expected);
    let plain: BTreeSet<_> = expected.into_iter().filter(|key| *key != "user_agent.synthetic.type").collect();
    for run in [&asked, &real, &loaded] {
        let inner = run.of("back", SpanKind::Server)[0];
        assert_eq!(keys(inner), plain);
        assert_eq!((inner.get("server.address"), inner.get("server.port")), (&json!("back"), &json!(80)));
        assert_eq!(*inner.get("user_agent.original"), "front");
    }
    assert_eq!(keys(&front(&asked)), plain);
    assert_eq!(keys(&front(&real)), plain);
    let agent = front(&asked).get("user_agent.original").clone();
    assert_eq!(agent, "simhost");
    assert_eq!(*front(&real).get("network.peer.address"), "127.0.0.1");
}

#[test]
fn both_ends_of_a_call_name_each_others_replica() {
    let world = World::of_services(&[
        ("front", "replicas = 3\nconfig.calls = 'middle & back'"),
        ("middle", "replicas = 2\nversion = '1.0'\nconfig.calls = 'back'"),
        ("back", "replicas = 3"),
    ]);
    let run = world.virtually(&["GET /"; 40]);
    let mut addresses = BTreeMap::<_, BTreeSet<_>>::new();
    let mut note = |instance: &str, address: &Value| {
        let address = address.as_str().expect("an address").to_owned();
        addresses.entry(instance.to_owned()).or_default().insert(address);
    };
    for (client, server) in calls(&run) {
        note(&server.instance, client.get("network.peer.address"));
        note(&client.instance, server.get("client.address"));
        assert_eq!(server.get("client.address"), server.get("network.peer.address"));
        assert_eq!((client.get("network.peer.port"), client.get("server.port")), (&json!(80), &json!(80)));
        let port = server.get("network.peer.port").as_u64().expect("a port");
        assert!((49_152..65_536).contains(&port), "{port}");
        for key in ["server.address", "server.port", "network.protocol.version"] {
            assert_eq!(client.get(key), server.get(key), "{key}");
        }
        let agent = if client.service == "middle" { "middle/1.0" } else { "front" };
        assert_eq!(*server.get("user_agent.original"), agent);
    }
    assert_eq!(addresses.len(), 8, "all replicas took part");
    assert!(addresses.values().all(|seen| seen.len() == 1), "{addresses:?}");
    let different: BTreeSet<_> = addresses.values().flatten().collect();
    assert_eq!(different.len(), 8, "{addresses:?}");
    assert!(different.iter().all(|address| address.starts_with("10.")), "{different:?}");
}

#[test]
fn a_guest_reads_the_user_agent_that_the_span_shows_and_may_say_another() {
    let world = World::of("probe", "version = '2.1'").and("back", "probe", "");
    let run = world.virtually(&["GET /call?service=back&path=/headers"]);
    let body = run.answers[0].json()["body"].as_str().expect("a body").to_owned();
    assert!(body.contains(r#"["user-agent","front/2.1"]"#), "{body}");
    assert_eq!(*run.of("back", SpanKind::Server)[0].get("user_agent.original"), "front/2.1");
    assert!(run.of("front", SpanKind::Client)[0].get("user_agent.original").is_null());
}

#[test]
fn what_was_never_sent_claims_no_connection() {
    let unknown = World::of("probe", "").virtually(&["GET /call?service=nobody"]);
    let invalid = World::of("probe", "").and("back", "probe", "");
    let invalid = invalid.virtually(&["GET /call?service=back&method=A%20B"]);
    let deep = World::of("hop", "config = { next = \"front\" }").with("[limits]\ncall-depth = 1");
    let deep = deep.virtually(&["GET /"]);
    let link = "[[links]]\nfrom = \"front\"\nto = \"back\"\nbulkhead = { max-concurrent = 2 }\n";
    let full = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "").with(link);
    let full = full.virtually(&["GET /parallel?ms=50"]);
    let runs = [
        (unknown, "unknown_service"),
        (invalid, "invalid_request"),
        (deep, "call_depth_exceeded"),
        (full, "bulkhead_full"),
    ];
    for (run, error) in runs {
        let spans = run.of("front", SpanKind::Client);
        let unsent = spans.iter().find(|span| *span.error_type() == error).expect(error);
        let claims: Vec<_> = keys(unsent).into_iter().filter(|key| key.starts_with("network.")).collect();
        assert!(claims.is_empty(), "{error}: {claims:?}");
        for key in ["http.request.method", "server.address", "server.port", "url.full"] {
            assert!(!unsent.get(key).is_null(), "{error}: {key} is required");
        }
    }
}

#[test]
fn a_refused_connection_has_a_peer_and_no_protocol() {
    let fault = "[[faults]]\nname = \"shut\"\nkind = \"refuse\"\ntarget = { service = \"back\" }\n";
    let run = chain().with(fault).virtually(&["GET /"]);
    let client = run.of("front", SpanKind::Client)[0];
    assert_eq!(*client.error_type(), "connection_refused");
    let of_network: Vec<_> = keys(client).into_iter().filter(|key| key.starts_with("network.")).collect();
    assert_eq!(of_network, ["network.peer.address", "network.peer.port"]);
}

#[test]
fn secrets_in_queries_and_addresses_are_redacted_on_spans_and_arrive() {
    let world = World::of("probe", "").and("back", "probe", "");
    let path = "/headers?user=7%26sig=s3cret%26X-Amz-Signature=s3cret%26Sig=shown";
    let run = world.virtually(&[&format!("GET /call?service=back&path={path}")]);
    let target = "/headers?user=7&sig=s3cret&X-Amz-Signature=s3cret&Sig=shown";
    let body = run.answers[0].json()["body"].as_str().expect("a body").to_owned();
    assert!(body.contains(target), "the wire keeps them: {body}");
    let shown = "user=7&sig=REDACTED&X-Amz-Signature=REDACTED&Sig=shown";
    let (client, server) = calls(&run)[0];
    assert_eq!(*client.get("url.full"), format!("http://back/headers?{shown}"));
    assert_eq!(*server.get("url.query"), shown);

    for service in ["ftp://user:s3cret@back", "http://user:s3cret@back", "user:s3cret@back"] {
        let run = world.virtually(&[&format!("GET /call?service={service}&path=/x?sig=s3cret")]);
        let client = run.of("front", SpanKind::Client)[0];
        let url = client.get("url.full").as_str().expect("a URL");
        assert!(url.ends_with("://REDACTED:REDACTED@back/x?sig=REDACTED"), "{url}");
        assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
    }
}

/// Whether each span takes some time and lies within its parent.
#[track_caller]
fn check_times(run: &Run) {
    let by_id: BTreeMap<_, _> = run.spans().iter().map(|span| (&span.id, span)).collect();
    for span in run.spans() {
        assert!(span.start < span.end, "{} takes no time", span.name);
        if let Some(parent) = by_id.get(&span.parent) {
            let within = parent.start <= span.start && span.end <= parent.end;
            assert!(within, "{} lies within {}: {span:#?} {parent:#?}", span.name, parent.name);
        }
        for event in &span.events {
            assert!((span.start..=span.end).contains(&event.time), "{event:?} of {span:?}");
        }
    }
}

#[test]
fn every_span_takes_some_time_and_lies_within_its_parent() {
    let none = "[network]\nlatency = \"0s\"";
    let services = [
        ("front", "config = { work = '1ms', calls = 'a & 3|| b, c', span = 'think' }"),
        ("a", "config = { calls = 'b, c?', span = 'SELECT a', database = 'mysql' }"),
        ("b", "workers = 1\nqueue = 0\nconfig.work = '2ms'"),
        ("c", "config.errors = 0.5"),
    ];
    let run =
        World::of_services(&services).with(none).virtually(&["GET /", "GET /nowhere", "GET /", "GET /"]);
    check_times(&run);
    let shortest = run.spans().iter().filter(|span| span.duration() == 1).count();
    assert!(shortest > 5, "{shortest} spans took no simulated time");
    let times: BTreeSet<_> = run.named("think").iter().map(|span| span.duration()).collect();
    assert_eq!(times, BTreeSet::from([1_000_000]), "what takes its time takes that time");

    // A guest that leaves spans and calls open.
    for request in ["GET /spans", "GET /double-wait", "GET /parallel?ms=0"] {
        let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "").with(none);
        check_times(&world.virtually(&[request]));
    }
}
