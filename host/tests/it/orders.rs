//! The orders topology as it ships, in virtual time: what it answers, and the
//! trace that it leaves. Each case has a golden file `tests/it/orders/*.trace`.
//!
//! `BLESS=1 cargo test --test it orders::` writes them anew; read the difference
//! before committing it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::telemetry::{self, Span};
use crate::support::trace;
use crate::support::{ORDER, Topology, guest};
use serde_json::Value;

const NOTIFICATION: &str = "guest = \"notification\"";

const PAYMENT_DOWN: &str = r#"
[[faults]]
name = "payment-down"
kind = "error"
status = 503
target = { service = "payment-service" }
"#;

/// A request to the shipped topology, or to one with something added.
struct Case {
    name: &'static str,
    request: &'static str,
    /// A line of the shipped file, and what comes below it.
    change: Option<(&'static str, &'static str)>,
    arguments: &'static [&'static str],
}

/// The guest that is built in, from its file.
const ORDERS_OF_FILE: &str =
    concat!("order-service=", env!("CARGO_MANIFEST_DIR"), "/../guests/dist/orders.wasm");

/// Every case: the name of its golden file, the request, what is special.
fn cases() -> Vec<Case> {
    let ordinary = |name, request| Case { name, request, change: None, arguments: &[] };
    let special =
        |name, line, more| Case { name, request: ORDER, change: Some((line, more)), arguments: &[] };
    vec![
        ordinary("quantity_2", ORDER),
        ordinary("quantity_8", r#"POST /orders {"item":"book","quantity":8,"price":9.99}"#),
        ordinary("quantity_0", r#"POST /orders {"item":"book","quantity":0,"price":9.99}"#),
        ordinary("price_below_zero", r#"POST /orders {"item":"book","quantity":2,"price":-1}"#),
        ordinary("price_missing", r#"POST /orders {"item":"book","quantity":2}"#),
        ordinary("malformed_json", r#"POST /orders {"item":"book","#),
        ordinary("short_stock", r#"POST /orders {"item":"book","quantity":101,"price":9.99}"#),
        ordinary("unknown_item", r#"POST /orders {"item":"pen","quantity":2,"price":9.99}"#),
        ordinary("no_such_route", "GET /nope"),
        ordinary("wrong_method", "GET /orders"),
        ordinary("health", "GET /health"),
        ordinary("item_with_a_space", r#"POST /orders {"item":"red book","quantity":2,"price":9.99}"#),
        special("notification_fails", NOTIFICATION, "config = { failure-rate = 1 }"),
        special("notification_is_late", NOTIFICATION, r#"config = { delay = "700ms" }"#),
        // No service can be stopped in virtual time; one that is not there is as good. Of a guest
        // from a file it is not known beforehand whom it calls.
        Case {
            arguments: &["--guest", ORDERS_OF_FILE],
            ..special("payment_is_down", "guest = \"orders\"", r#"config = { payment = "gone" }"#)
        },
        special("payment_is_turned_away", "# One charge in five is turned away.", PAYMENT_DOWN),
        Case { arguments: &["--fault", "slow-index-scan=on"], ..ordinary("slow_index_scan", ORDER) },
    ]
}

impl Case {
    fn topology(&self) -> Topology {
        let orders = Topology::orders();
        self.change.iter().fold(orders, |orders, (line, more)| orders.with(line, more))
    }

    /// The answer, as it is printed, and the spans.
    fn run(&self) -> (String, Vec<Span>) {
        let arguments = [&["--show", "summary", "--request", self.request], self.arguments].concat();
        let (finished, records) = self.topology().records(&arguments);
        let answer = finished.success().split("\n\n").next().unwrap_or_default().to_owned();
        (answer, telemetry::read(&records))
    }
}

fn named(name: &str) -> Vec<Span> {
    cases().into_iter().find(|case| case.name == name).expect("a case").run().1
}

/// A swapped guest has a part of its digest in its version: which build ran is in no golden file.
fn without_builds(tree: &str) -> String {
    let mut parts = tree.split('+');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        text.push('+');
        text.push_str(if digits == 12 { "BUILD" } else { &part[..digits] });
        text.push_str(&part[digits..]);
    }
    text
}

#[test]
fn every_case_is_answered_and_traced_as_its_golden_file_says() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let (answer, spans) = case.run();
        let change = case.change.map_or_else(String::new, |(line, more)| format!("{line}\n{more}\n\n"));
        // No golden file has a path of this machine.
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        let arguments = case.arguments.iter().map(|argument| format!(" {}", argument.replace(root, "")));
        let arguments = String::from_iter(arguments);
        let (request, tree) = (case.request, trace::tree(&spans));
        let tree = without_builds(&tree);
        let said = format!("{change}--request '{request}'{arguments}\n{answer}\n\n{tree}");
        let golden = Path::new("tests/it/orders").join(format!("{}.trace", case.name));
        if bless {
            fs::write(&golden, &said).expect("golden file is written");
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&said) {
            wrong.push(format!("{} differs; it is now:\n{said}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes the golden files anew", wrong.join("\n"));
}

#[test]
fn every_golden_file_has_its_case() {
    let cases: BTreeSet<_> = cases().iter().map(|case| format!("{}.trace", case.name)).collect();
    let files = fs::read_dir("tests/it/orders").expect("folder of golden files");
    let files = files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned());
    assert_eq!(files.collect::<BTreeSet<_>>(), cases);
}

/// The reference is the tutorial's own system, without the spans of its web
/// framework's messages: 17 spans.
#[test]
fn an_order_leaves_the_17_spans_of_the_reference() {
    for name in ["quantity_2", "quantity_8"] {
        let spans = named(name);
        let kinds = count(spans.iter().map(|span| span.kind_name()));
        assert_eq!(kinds, [("CLIENT", 4), ("INTERNAL", 8), ("SERVER", 5)].into(), "{name}");
        let services = count(spans.iter().map(|span| span.service.as_str()));
        let expected = [
            ("inventory-service", 4),
            ("notification-service", 1),
            ("order-service", 11),
            ("payment-service", 1),
        ];
        assert_eq!(services, expected.into(), "{name}");
        assert_eq!(shape(&spans), REFERENCE, "{name}");
        assert!(spans.iter().all(|span| span.status_text() == "UNSET" && span.events.is_empty()), "{name}");
        assert_eq!(spans.iter().map(|span| &span.trace).collect::<BTreeSet<_>>().len(), 1, "{name}");
    }
}

const REFERENCE: &str = "\
POST /orders SERVER
  process_order INTERNAL
    validate_order INTERNAL
    check_inventory INTERNAL
      GET CLIENT
        GET /stock/{item} SERVER
    reserve_inventory INTERNAL
      POST CLIENT
        POST /stock/{item}/reserve SERVER
          reserve_stock INTERNAL
            slow_lookup INTERNAL
    charge_payment INTERNAL
      POST CLIENT
        POST /charges SERVER
    send_notification INTERNAL
      POST CLIENT
        POST /notify SERVER
";

/// How many spans the reference has where an order goes wrong.
#[test]
fn an_order_that_stops_early_leaves_the_spans_of_the_steps_before() {
    let counts = [
        ("quantity_0", 3),
        ("price_below_zero", 3),
        ("price_missing", 1),
        ("malformed_json", 1),
        ("short_stock", 6),
        ("unknown_item", 6),
        ("no_such_route", 1),
        ("wrong_method", 1),
        ("health", 0),
        ("payment_is_down", 13),
    ];
    for (name, count) in counts {
        assert_eq!(named(name).len(), count, "{name}");
    }
}

#[test]
fn every_service_is_a_resource_of_its_own() {
    let spans = named("quantity_2");
    let resources: BTreeMap<_, _> = spans.iter().map(|span| (&span.service, &span.resource)).collect();
    assert_eq!(resources.len(), 4);
    let versions = ["2.0.1", "0.9.3", "1.4.2", "1.1.0"];
    for ((service, resource), version) in resources.iter().zip(versions) {
        assert_eq!(resource["service.namespace"], "orders");
        assert_eq!(resource["service.version"], version, "{service}");
        assert_eq!(resource["deployment.environment.name"], "local");
        for key in
            ["service.instance.id", "telemetry.sdk.name", "telemetry.sdk.version", "simhost.guest.digest"]
        {
            assert!(resource[key].as_str().is_some_and(|value| !value.is_empty()), "{service} {key}");
        }
    }
    let instances = resources.values().map(|resource| resource["service.instance.id"].to_string());
    let instances: BTreeSet<_> = instances.collect();
    assert_eq!(instances.len(), 4, "every replica is an instance");
    assert!(spans.iter().all(|span| span.resource == *resources[&span.service]));
}

#[test]
fn a_span_of_http_has_what_the_conventions_require() {
    for case in cases() {
        let (_, spans) = case.run();
        for span in spans.iter().filter(|span| span.kind_name() != "INTERNAL") {
            conventions(span, case.name);
        }
    }
}

/// Attributes that are required, or required on a condition that is met.
fn conventions(span: &Span, case: &str) {
    let what = format!("{case}: {} {}", span.kind_name(), span.name);
    let has = |key: &str| assert!(span.attributes.contains_key(key), "{what} has {key}");
    has("http.request.method");
    let code = span.int("http.response.status_code");
    let failed = match span.kind_name() {
        "SERVER" => {
            has("url.path");
            has("url.scheme");
            assert!(code.is_some(), "{what} has a status code");
            assert_eq!(span.text("http.route").is_some(), span.name.contains(' '), "{what}");
            code >= Some(500)
        }
        _ => {
            ["server.address", "server.port", "url.full"].into_iter().for_each(has);
            assert_eq!(span.name, span.text("http.request.method").expect("a method"));
            code.is_none_or(|code| code >= 400)
        }
    };
    assert_eq!(span.status_text().starts_with("ERROR"), failed, "{what} {}", span.status_text());
    let kind = span.text("error.type");
    assert_eq!(kind.is_some(), failed, "{what}");
    if let Some(code) = code.filter(|_| failed) {
        assert_eq!(kind, Some(code.to_string().as_str()), "{what}");
    }
}

#[test]
fn a_server_span_is_the_child_of_the_call_that_names_its_service() {
    let spans = named("quantity_2");
    for server in spans.iter().filter(|span| span.kind_name() == "SERVER") {
        let Some(parent) = spans.iter().find(|span| span.id == server.parent) else {
            assert_eq!((server.name.as_str(), server.parent.as_str()), ("POST /orders", ""));
            continue;
        };
        assert_eq!(parent.kind_name(), "CLIENT");
        for key in ["service.peer.name", "peer.service", "server.address"] {
            assert_eq!(parent.text(key), Some(server.service.as_str()), "{key}");
        }
        let url = format!("http://{}{}", server.service, server.text("url.path").expect("a path"));
        assert_eq!(parent.text("url.full"), Some(url.as_str()));
    }
}

/// OTLP's flags: 8 bits of trace flags (sampled, random), then whether it is
/// known that the parent is remote, then whether it is.
#[test]
fn flags_tell_a_remote_parent_from_a_local_one() {
    for span in named("quantity_2") {
        let remote = span.kind_name() == "SERVER" && !span.parent.is_empty();
        assert_eq!(span.flags, if remote { 0x303 } else { 0x103 }, "{}", span.name);
    }
}

#[test]
fn an_order_stands_although_its_notification_fails() {
    for (name, kind) in [("notification_fails", "500"), ("notification_is_late", "timeout")] {
        let case = cases().into_iter().find(|case| case.name == name).expect("a case");
        let (answer, spans) = case.run();
        assert!(answer.starts_with("POST /orders answered 201 "), "{answer}");
        let step = spans.iter().find(|span| span.name == "send_notification").expect("the step");
        assert_eq!(step.status_text(), "UNSET");
        let [call] = trace::children(&spans, step)[..] else { panic!("one call") };
        assert!(call.status_text().starts_with("ERROR"), "{}", call.status_text());
        assert_eq!(call.text("error.type"), Some(kind));
        // Who is too late works on, and ends after its parent.
        let [served] = trace::children(&spans, call)[..] else { panic!("one request") };
        assert_eq!(served.end > call.end, name == "notification_is_late");
    }
}

#[test]
fn large_orders_are_slow_in_the_inventory() {
    let lookup = |spans: &[Span]| {
        let span = spans.iter().find(|span| span.name == "slow_lookup").expect("the lookup");
        (span.attributes["inventory.demand"].clone(), (span.end - span.start) / 1_000_000)
    };
    let (demand, took) = lookup(&named("quantity_2"));
    assert_eq!(demand, "normal");
    assert!((20..50).contains(&took), "{took} ms");
    let (demand, took) = lookup(&named("quantity_8"));
    assert_eq!(demand, "high");
    assert!((270..300).contains(&took), "{took} ms");
}

#[test]
fn a_swapped_guest_says_so_in_its_resource() {
    let swap = format!("inventory-service={}", guest("inventory"));
    let (_, records) = Topology::orders().records(&["--request", ORDER, "--guest", &swap]);
    let spans = telemetry::read(&records);
    let inventory = spans.iter().find(|span| span.service == "inventory-service").expect("a span");
    let digest = inventory.resource["simhost.guest.digest"].as_str().expect("a text");
    assert_eq!(digest.len(), 64);
    assert_eq!(inventory.resource["service.version"], format!("2.0.1+{}", &digest[..12]));
    // The others are as they were, and so is every span.
    let mut before = named("quantity_2");
    for span in &mut before {
        if span.service == "inventory-service" {
            span.resource
                .insert("service.version".to_owned(), Value::from(format!("2.0.1+{}", &digest[..12])));
        }
    }
    assert_eq!(spans, before);
}

/// Names and kinds, indented.
fn shape(spans: &[Span]) -> String {
    fn add(text: &mut String, spans: &[Span], span: &Span, depth: usize) {
        text.push_str(&format!("{}{} {}\n", "  ".repeat(depth), span.name, span.kind_name()));
        for child in trace::children(spans, span) {
            add(text, spans, child, depth + 1);
        }
    }
    let mut text = String::new();
    spans.iter().filter(|span| span.parent.is_empty()).for_each(|root| add(&mut text, spans, root, 0));
    text
}

fn count<'a>(names: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    names.fold(BTreeMap::new(), |mut counts, name| {
        *counts.entry(name).or_default() += 1;
        counts
    })
}
