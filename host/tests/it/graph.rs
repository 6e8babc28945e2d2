//! `simhost graph`: who calls whom, in three notations.

use std::process::Command;

use crate::support;
use crate::support::{Finished, Topology, finish, simhost};

fn graph(topology: &Topology, arguments: &[&str]) -> Finished {
    finish(simhost().arg("graph").arg(topology.path()).args(arguments))
}

fn drawn(topology: &Topology, format: &str) -> String {
    let finished = graph(topology, &["--format", format]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    finished.stdout
}

/// A shop with something of everything, and names that need escaping.
fn shop() -> Topology {
    let text = r#"[topology]
name = "shop"

[ingress]
listen = "127.0.0.1:8080"
to = "shop"

[services.shop]
guest = "service"
version = "1.0 <beta> \"x\""
config.show = { route = "GET /products/{id}", calls = "stock/items/{id}, 10% POST stock/items?" }

[services.stock]
guest = "service"
replicas = 3
config.item = { route = "GET /items/{id}", span = "SELECT items", database = "postgresql" }
config.add = { route = "POST /items" }

[services.bank]
url = "http://127.0.0.1:9"

[services.probe]
guest = "PROBE"

[[links]]
from = "probe"
to = "bank"
timeout = "1s"

[[load]]
name = "users"
to = "shop"
values = { id = { range = [1, 9] } }
request = { path = "/products/{id}" }
arrivals = { constant = "10/s" }
"#;
    Topology::new("shop", text.replace("PROBE", &support::guest("tests/probe")))
}

#[test]
fn mermaid_shows_what_is_known_with_lines_and_what_is_only_linked_dashed() {
    let expected = r##"flowchart LR
    n0(["clients<br/>http://127.0.0.1:8080"])
    n1(["users<br/>load"])
    n2["shop<br/>service 1.0 #60;beta#62; #34;x#34;"]
    n3["stock<br/>service, 3 replicas"]
    n4{{"bank<br/>http://127.0.0.1:9"}}
    n5["probe<br/>probe.wasm"]
    n6[("postgresql<br/>stock")]
    n0 -.-> n2
    n1 -->|"GET /products/{id}"| n2
    n2 -->|"GET /items/{id}<br/>POST /items"| n3
    n5 -.-> n4
    n3 --> n6
"##;
    assert_eq!(graph(&shop(), &[]).stdout, expected);
}

#[test]
fn databases_and_caches_of_the_topology_are_drawn_once_for_all_that_use_them() {
    let text = r#"[topology]
name = "shop"

[ingress]
to = "stock"

[services.stock]
guest = "stock"
databases.inventory = {}

[services.reports]
guest = "stock"
databases.inventory = {}
caches = ["pages"]

[databases.inventory]
schema = "inventory.sql"

[caches.pages]
"#;
    let topology = Topology::new("shop", text);
    let schema = "CREATE TABLE stock (sku TEXT, available INTEGER, reserved INTEGER);";
    std::fs::write(topology.path().with_file_name("inventory.sql"), schema).expect("a schema");
    let expected = r#"flowchart LR
    n0(["clients<br/>http://127.0.0.1:8080"])
    n1["stock<br/>stock"]
    n2["reports<br/>stock"]
    n3[("postgresql<br/>inventory")]
    n4[("redis<br/>pages")]
    n0 -.-> n1
    n1 --> n3
    n2 --> n3
    n2 --> n4
"#;
    assert_eq!(graph(&topology, &[]).stdout, expected);
}

#[test]
fn topics_are_drawn_between_those_that_send_and_those_that_consume() {
    let text = r#"[topology]
name = "shop"

[ingress]
to = "shop"

[services.shop]
guest = "service"
config.place = { route = "POST /orders/{id}", publish = "orders/{id}, 10% audit?" }

[services.mailer]
guest = "service"
config.mail = { topic = "orders", work = "5ms" }

[topics.orders]

[topics.audit]
system = "rabbitmq"

[[subscriptions]]
topic = "orders"
service = "mailer"
group = "mails"
dead-letter = "audit"
"#;
    let expected = r#"flowchart LR
    n0(["clients<br/>http://127.0.0.1:8080"])
    n1["shop<br/>service"]
    n2["mailer<br/>service"]
    n3[["orders<br/>kafka"]]
    n4[["audit<br/>rabbitmq"]]
    n0 -.-> n1
    n1 --> n3
    n1 --> n4
    n3 -->|"group mails"| n2
    n2 -->|"dead letters"| n4
"#;
    assert_eq!(graph(&Topology::new("shop", text), &[]).stdout, expected);
}

#[test]
fn dot_has_the_same_nodes_and_edges() {
    let dot = drawn(&shop(), "dot");
    let lines = [
        "digraph \"shop\" {",
        r#"    n2 [shape = box, label = "shop\nservice 1.0 <beta> \"x\""];"#,
        r#"    n6 [shape = cylinder, label = "postgresql\nstock"];"#,
        r#"    n2 -> n3 [label = "GET /items/{id}\nPOST /items"];"#,
        "    n5 -> n4 [style = dashed];",
        "    n3 -> n6;",
    ];
    for line in lines {
        assert!(dot.lines().any(|other| other == line), "{line} is missing in\n{dot}");
    }
}

#[test]
fn svg_is_well_formed_and_the_same_each_time() {
    let svg = drawn(&shop(), "svg");
    assert_eq!(svg, drawn(&shop(), "svg"));
    assert!(svg.contains("service 1.0 &lt;beta&gt; &quot;x&quot;"), "{svg}");
    assert_eq!(svg.matches("class=\"node ").count(), 7);
    assert_eq!(svg.matches("marker-end").count(), 5);
    assert_eq!(svg.matches("class=\"edge unknown\"").count(), 2);
    // Every tag is closed, in order.
    let mut open = Vec::new();
    for tag in svg.split('<').skip(1) {
        let tag = &tag[..tag.find('>').expect("a tag ends")];
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().expect("a name")),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn the_file_says_by_its_name_how_it_is_written() {
    let topology = shop();
    for (name, beginning) in [("a.svg", "<svg "), ("a.dot", "digraph "), ("a.md", "flowchart ")] {
        let path = topology.beside(name);
        let finished = graph(&topology, &["--out", path.to_str().expect("text")]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{}", finished.stderr);
        assert!(std::fs::read_to_string(&path).expect("a file").starts_with(beginning), "{name}");
    }
    let finished = graph(&topology, &["--out", "no/such/folder/a.svg"]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("--out no/such/folder/a.svg: "), "{}", finished.stderr);
}

#[test]
fn no_file_that_the_topology_reads_is_overwritten() {
    let topology = shop();
    let text = std::fs::read_to_string(topology.path()).expect("text");
    let path = topology.path().display().to_string();
    let finished = graph(&topology, &["--out", &path]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    let said = finished.told();
    assert!(said.contains("is the topology itself, and would be lost"), "{said}");
    assert_eq!(std::fs::read_to_string(topology.path()).expect("text"), text);
    let guest = topology.beside("mine.wasm");
    std::fs::copy(support::guest("payment"), &guest).expect("a guest");
    let (swap, guest) = (format!("stock={}", guest.display()), guest.display().to_string());
    let finished = graph(&topology, &["--guest", &swap, "--out", &guest]);
    assert!(finished.stderr.contains("is a guest itself"), "{}", finished.stderr);
    assert!(graph(&topology, &["--out", "-"]).success().starts_with("flowchart"));
}

/// A deployment whose guest calls the bank.
fn deploying() -> Topology {
    let text = std::fs::read_to_string(shop().path()).expect("text");
    let fault = "\n[[faults]]\nname = \"secret\"\nkind = \"bad-deploy\"\nguest = \"service\"\nenabled = false\n\
                 config.item.calls = \"shop/products/{id}\"\ntarget = { service = \"stock\" }\n";
    Topology::new("shop", text + fault)
}

#[test]
fn what_only_the_guest_of_a_fault_calls_is_dashed_and_has_its_name() {
    let mermaid = drawn(&deploying(), "mermaid");
    let line = "    n3 -.->|\"GET /products/{id} (fault secret)\"| n2\n";
    assert!(mermaid.contains(line), "{mermaid}");
    let blind = graph(&deploying(), &["--blind"]);
    assert_eq!((blind.success(), blind.stderr.as_str()), (drawn(&shop(), "mermaid").as_str(), ""));
}

#[test]
fn no_control_character_gets_into_a_picture() {
    let text = std::fs::read_to_string(shop().path()).expect("text");
    let topology = Topology::new("shop", text.replace("1.0 <beta>", "1.0\\u0001\\u001b[31m\\uFFFF <beta>"));
    for format in ["svg", "dot"] {
        let drawn = drawn(&topology, format);
        // XML 1.0, section 2.2.
        let is_allowed = |c: char| c == '\n' || !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
        assert!(drawn.chars().all(is_allowed), "{drawn:?}");
        assert!(drawn.contains("1.0\u{fffd}\u{fffd}[31m\u{fffd} "), "{drawn}");
    }
}

#[test]
fn what_the_topology_only_may_have_is_a_warning_here_too_and_what_is_wrong_is_refused() {
    let topology = Topology::orders().with("[ingress]", "lisn = 1");
    let finished = graph(&topology, &[]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    assert!(finished.stderr.contains("\"lisn\""), "{}", finished.stderr);
}

#[test]
fn a_thousand_services_are_drawn_without_labels() {
    let path = format!("{}/../topologies/generated/services-1000.toml", env!("CARGO_MANIFEST_DIR"));
    let svg = finish(Command::new(simhost().get_program()).args(["graph", &path, "--format", "svg"]));
    assert_eq!(svg.code, Some(0), "{}", svg.stderr);
    assert!(svg.stdout.matches("class=\"node ").count() >= 1_000);
    assert!(!svg.stdout.contains("class=\"label"));
    assert!(svg.stdout.len() < 5_000_000, "{} bytes", svg.stdout.len());
    let mermaid = finish(simhost().args(["graph", &path]));
    assert!(mermaid.stderr.contains("mermaid draws 500 edges"), "{}", mermaid.stderr);
}

#[test]
fn a_name_that_ends_as_an_image_is_refused_where_no_notation_is_named() {
    let topology = Topology::orders();
    let refused = graph(&topology, &["--out", "g.PNG"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    for part in ["no graph is written as .png", "\"g.PNG\"", ".svg, .dot or .mmd"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
}
