//! Traces of other recorders: their conventions, what they lack, and how their files are written.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Desk, import};
use crate::support::golden;

/// 2026-01-01T00:00:00Z, in milliseconds.
const START: u64 = 1_767_225_600_000;

const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const PRODUCER: u8 = 4;
const CONSUMER: u8 = 5;

/// Ids of trace, span and parent; kind; milliseconds from the start of its trace.
type Ids = (u64, u64, u64);
type Times = (u64, u64);

/// A span; trace N begins N times 100 ms after the start.
fn span((trace, id, parent): Ids, kind: u8, name: &str, (start, end): Times, attributes: Value) -> Value {
    let attribute = |(key, value): (&String, &Value)| match value {
        Value::Number(number) => json!({ "key": key, "value": { "intValue": number.to_string() } }),
        _ => json!({ "key": key, "value": { "stringValue": value } }),
    };
    let attributes: Vec<_> = attributes.as_object().expect("a table").iter().map(attribute).collect();
    let nanos = |at: u64| ((START + trace * 100 + at) * 1_000_000).to_string();
    let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
    json!({
        "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "parentSpanId": parent,
        "kind": kind, "name": name, "attributes": attributes,
        "startTimeUnixNano": nanos(start), "endTimeUnixNano": nanos(end),
    })
}

fn of(service: &str, instance: &str, spans: Vec<Value>) -> Value {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let resource = [text("service.name", service), text("service.instance.id", instance)];
    json!({ "resource": { "attributes": resource }, "scopeSpans": [{ "spans": spans }] })
}

fn line(resources: Vec<Value>) -> String {
    json!({ "resourceSpans": resources }).to_string() + "\n"
}

/// A hundred requests as a Collector writes them: several services in a line, the conventions before those of
/// HTTP were stable, a database, a message, a callee without spans, a consumer of its own.
fn old_conventions() -> String {
    let trace = |number: u64| {
        let failed = number.is_multiple_of(20);
        let front = vec![
            span(
                (number, 1, 0),
                SERVER,
                "/shop/:id",
                (0, 40),
                json!({
                    "http.method": "GET", "http.target": format!("/shop/{number}?a=b"), "http.route": "/shop/:id",
                    "http.status_code": if failed { 502 } else { 200 },
                }),
            ),
            span(
                (number, 2, 1),
                CLIENT,
                "HTTP GET",
                (2, 14),
                json!({
                    "http.method": "GET", "http.url": format!("http://Stock-API:80/stock/{number}"),
                    "net.peer.name": "Stock-API",
                }),
            ),
            span(
                (number, 3, 1),
                CLIENT,
                "HTTP POST",
                (16, 26),
                json!({
                    "http.method": "POST", "http.url": "http://mailer.example:25/mails", "peer.service": "mailer",
                    "http.status_code": 202,
                }),
            ),
            span(
                (number, 4, 1),
                PRODUCER,
                "orders publish",
                (27, 28),
                json!({ "messaging.system": "kafka" }),
            ),
        ];
        let stock = vec![
            span(
                (number, 5, 2),
                SERVER,
                "GET /stock/{sku}",
                (3, 13),
                json!({
                    "http.method": "GET", "http.status_code": if failed { 500 } else { 200 },
                    "http.response_content_length": 2048,
                }),
            ),
            span(
                (number, 6, 5),
                CLIENT,
                "SELECT stock",
                (4, 12),
                json!({
                    "db.system": "postgresql", "db.name": "stock", "net.peer.name": "stock-db", "net.peer.port": 5432,
                }),
            ),
        ];
        let consumer = vec![span(
            (number, 7, 4),
            CONSUMER,
            "orders process",
            (60, 65),
            json!({
                "messaging.system": "kafka",
            }),
        )];
        let instance = format!("stock-{}", number % 2);
        line(vec![
            of("Web Shop", "web-1", front),
            of("stock-api", &instance, stock),
            of("ledger", "l-1", consumer),
        ])
    };
    (1..=100).map(trace).collect()
}

#[test]
fn the_files_of_a_collector_and_the_old_conventions_are_understood() {
    let desk = Desk::new();
    let traces = desk.write("collected.jsonl", old_conventions());
    let (topology, imported) = desk.import(&traces);
    let text = std::fs::read_to_string(topology).expect("a topology");
    golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/import/collected.toml"), &text);
    assert_eq!(imported.told(), "");
}

/// The same span, linked to others: traces and spans.
fn linked(mut span: Value, to: &[(u64, u64)]) -> Value {
    let link = |(trace, id): &(u64, u64)| json!({ "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}") });
    span["links"] = to.iter().map(link).collect();
    span
}

/// What is written for traces 1 to 100, and the notes.
fn sketch(trace: impl Fn(u64) -> String) -> (String, String) {
    let desk = Desk::new();
    let traces = desk.write("t.jsonl", (1..=100).map(trace).collect::<String>());
    let (topology, imported) = desk.import(&traces);
    (std::fs::read_to_string(topology).expect("a topology"), imported.told())
}

fn request(number: u64, children: Vec<Value>) -> Value {
    let route = json!({ "http.request.method": "POST", "http.route": "/orders/{id}" });
    let mut spans = vec![span((number, 1, 0), SERVER, "POST /orders/{id}", (0, 30), route)];
    spans.extend(children);
    of("shop", "1", spans)
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}

#[test]
fn a_consumer_that_is_only_linked_hears_of_the_topic_of_its_links() {
    let (text, told) = sketch(|number| {
        let sent = json!({
            "messaging.system": "kafka", "messaging.destination": "orders", "messaging.kafka.message_key": "k",
        });
        let taken = json!({
            "messaging.system": "kafka", "messaging.destination": "orders", "messaging.operation": "process",
            "messaging.kafka.consumer_group": "billing", "messaging.kafka.partition": number % 4,
        });
        let consumer = span((number + 1000, 9, 0), CONSUMER, "orders process", (40, 45), taken);
        line(vec![
            request(number, vec![span((number, 2, 1), PRODUCER, "orders send", (20, 24), sent)]),
            of("ledger", "1", vec![linked(consumer, &[(number, 2)])]),
        ])
    });
    let parts = [
        "work = \"26ms\"\npublish = \"orders/{key}\"\n",
        "[topics.\"orders\"]\npartitions = 4\npublish = \"4ms\"\n",
        "topic = \"orders\"\nwork = \"5ms\"\n",
        "service = \"ledger\"\ngroup = \"billing\"\ncontext = \"link\"\n",
    ];
    assert_has(&text, &parts);
    assert_eq!(told, "");
}

#[test]
fn a_batch_is_received_and_each_of_its_messages_processed() {
    let (text, _) = sketch(|number| {
        let of_kafka = |operation: &str, count: u64| {
            json!({
                "messaging.system": "kafka", "messaging.destination.name": "orders",
                "messaging.operation.type": operation, "messaging.batch.message_count": count,
            })
        };
        let sent = vec![span((number, 2, 1), PRODUCER, "send orders", (20, 24), of_kafka("send", 1))];
        let mut taken = Vec::new();
        if number.is_multiple_of(5) {
            let trace = number + 1000;
            taken.push(span((trace, 9, 0), CLIENT, "poll orders", (40, 41), of_kafka("receive", 5)));
            let batch = span((trace, 10, 0), CONSUMER, "process orders", (41, 61), of_kafka("process", 5));
            let links: Vec<_> = (number - 4..=number).map(|sent| (sent, 2)).collect();
            taken.push(linked(batch, &links));
        }
        line(vec![request(number, sent), of("ledger", "1", taken)])
    });
    // A message takes a fifth of the 20 ms of its batch.
    assert_has(&text, &["topic = \"orders\"\nwork = \"4ms\"\n", "\nbatch = 5\n", "context = \"link\"\n"]);
}

#[test]
fn a_topic_with_one_end_in_the_file_has_a_guessed_other_end() {
    let attributes = || json!({ "messaging.system": "rabbitmq", "messaging.destination.name": "mails" });
    let (text, told) = sketch(|number| {
        let sent = span((number, 2, 1), PRODUCER, "mails publish", (20, 24), attributes());
        line(vec![request(number, vec![sent])])
    });
    let parts = [
        "system = \"rabbitmq\"",
        "# guessed: no span consumes the topic\n[services.mails-consumer]",
        "service = \"mails-consumer\"",
    ];
    assert_has(&text, &parts);
    assert_eq!(told, "");
    let (text, told) = sketch(|number| {
        let taken = span((number, 2, 0), CONSUMER, "mails process", (0, 4), attributes());
        line(vec![of("mailer", "1", vec![taken])])
    });
    assert!(text.contains("route = \"POST /mails-process\"") && !text.contains("[topics"), "{text}");
    assert_eq!(told, "note: 100 messages drawn as requests: no span sends them");
}

/// A command for Redis, without an address.
fn command(number: u64, id: u64, operation: &str, times: Times) -> Value {
    let attributes = json!({
        "db.system": "redis", "db.operation": operation, "db.statement": format!("{operation} page:7"),
    });
    span((number, id, 1), CLIENT, operation, times, attributes)
}

fn rendering(number: u64) -> Value {
    let call = json!({ "http.request.method": "GET", "url.full": "http://pages/render" });
    span((number, 3, 1), CLIENT, "GET", (4, 14), call)
}

#[test]
fn a_cache_is_drawn_where_an_entry_stands_for_the_whole_answer() {
    let (text, told) = sketch(|number| {
        let mut spans = vec![command(number, 2, "GET", (1, 3))];
        // One in four is not there.
        if number.is_multiple_of(4) {
            spans.extend([rendering(number), command(number, 4, "SET", (15, 17))]);
        }
        line(vec![request(number, spans)])
    });
    let parts = [
        "caches = [\"redis\"]",
        "calls = \"pages/render\"",
        "75.0 %",
        "cache-in = \"redis\"",
        "[caches.redis]\nlatency = \"1ms\"",
    ];
    assert_has(&text, &parts);
    assert_eq!(told, "");
}

#[test]
fn an_entry_that_a_request_only_begins_with_stays_part_of_its_work() {
    let (text, told) = sketch(|number| {
        line(vec![request(number, vec![command(number, 2, "GET", (1, 3)), rendering(number)])])
    });
    assert!(text.contains("span = \"GET\"\ndatabase = \"redis\"") && !text.contains("[caches"), "{text}");
    assert_eq!(told, "");
}

#[test]
fn an_entry_that_stands_for_a_part_of_the_answer_is_named_in_a_comment() {
    let (text, told) = sketch(|number| {
        let statement = json!({
            "db.system": "postgresql", "db.name": "shop", "db.statement": "SELECT a FROM t WHERE id = 7",
        });
        let mut spans = vec![command(number, 2, "GET", (1, 3)), rendering(number)];
        // One in four is not there. All need the rendering.
        if number.is_multiple_of(4) {
            spans.extend([
                span((number, 5, 1), CLIENT, "SELECT t", (15, 17), statement),
                command(number, 4, "SET", (18, 19)),
            ]);
        }
        line(vec![request(number, spans)])
    });
    let parts = [
        "# not drawn: the cache \"redis\", in which 75.0 % of the requests find what they look up: the guest\n# keeps",
        "calls = \"pages/render\"",
    ];
    assert_has(&text, &parts);
    assert!(!text.contains("cache-in"), "{text}");
    assert!(told.contains("25 commands not drawn by themselves: a route keeps its whole answer"), "{told}");
}

#[test]
fn a_second_database_of_a_route_is_named_in_a_comment() {
    let (text, told) = sketch(|number| {
        let asked = |id: u64, database: &str, times: Times| {
            let text = format!("SELECT a FROM t{id} WHERE id = 7");
            let attributes = json!({ "db.system": "postgresql", "db.name": database, "db.statement": text });
            span((number, id, 1), CLIENT, database, times, attributes)
        };
        line(vec![request(
            number,
            vec![asked(2, "shop", (1, 9)), asked(3, "audit", (10, 13)), asked(4, "audit", (14, 15))],
        )])
    });
    let parts = [
        "# not drawn: the database \"audit\", asked 2.00 times a request: a route asks one database",
        "span = \"audit\"\n",
        "sql-in = \"shop-db\"",
        "sql = \"SELECT a FROM t2 WHERE id = {id}\"",
    ];
    assert_has(&text, &parts);
    assert!(!text.contains("[databases.audit]"), "{text}");
    assert!(told.contains("100 database spans of a second database not drawn: a route asks one"), "{told}");
}

#[test]
fn a_statement_of_another_dialect_is_asked_of_tables_that_it_names() {
    let (text, told) = sketch(|number| {
        let asked = |id: u64, text: String, times: Times| {
            let attributes = json!({ "db.system": "mysql", "db.name": "shop", "db.statement": text });
            span((number, id, 1), CLIENT, "shop", times, attributes)
        };
        let select = format!("SELECT `name`, `price` FROM `shop`.`items` WHERE `id` = {number} LIMIT 1");
        let insert = format!("INSERT INTO log (item, at) VALUES ({number}, now())");
        let statements = vec![
            asked(2, select, (1, 3)),
            asked(3, insert, (4, 14)),
            asked(4, "SELECT MAKE_SET(1, 'a')".to_owned(), (15, 16)),
        ];
        line(vec![request(number, statements)])
    });
    let parts = [
        "# \"mysql\" in the traces.",
        "span = \"shop\"\ndatabase = { system = \"mysql\", namespace = \"shop\" }\n",
        "[databases.shop-db]\ntables = '''\nCREATE TABLE \"items\" (\n  \"id\" BIGSERIAL,\n",
        "  \"at\" TIMESTAMPTZ DEFAULT now()",
        "  SELECT \"name\", \"price\" FROM \"items\" WHERE \"id\" = {id} LIMIT 1;\n",
        "  INSERT INTO log (item, at) VALUES ({1..1000}, now())\n",
        // 30 ms without 2 ms and 10 ms.
        "work = \"18ms\"",
        "latency = \"99",
        "commit = \"8.00",
    ];
    assert_has(&text, &parts);
    let note = "note: 100 statements without SQL that can be drawn: the tables that it names do not take it";
    assert_eq!(told, note);
}

#[test]
fn server_spans_alone_show_who_calls_whom() {
    let trace = |number: u64| {
        let route = |route: &str| json!({ "http.request.method": "GET", "http.route": route });
        line(vec![
            of("a", "1", vec![span((number, 1, 0), SERVER, "GET /", (0, 30), route("/"))]),
            of("b", "1", vec![span((number, 2, 1), SERVER, "GET /b", (5, 25), route("/b"))]),
            of("c", "1", vec![span((number, 3, 1), SERVER, "GET /c", (6, 20), route("/c"))]),
        ])
    };
    let desk = Desk::new();
    let (topology, _) = desk.import(&desk.write("t.jsonl", (1..=10).map(trace).collect::<String>()));
    let text = std::fs::read_to_string(topology).expect("a topology");
    assert!(text.contains("calls = \"b/b & c/c\""), "{text}");
    assert!(text.contains("# guessed: no call has the spans of both ends"), "{text}");
}

#[test]
fn client_spans_alone_show_who_calls_whom() {
    let trace = |number: u64| {
        let call = |path: &str| json!({ "http.request.method": "GET", "server.address": "b", "url.full": format!("http://b{path}") });
        line(vec![of(
            "a",
            "1",
            vec![
                span((number, 2, 1), CLIENT, "GET", (5, 15), call("/items/17")),
                span((number, 3, 1), CLIENT, "GET", (15, 19), call("/prices")),
            ],
        )])
    };
    let desk = Desk::new();
    let (topology, _) = desk.import(&desk.write("t.jsonl", (1..=10).map(trace).collect::<String>()));
    let text = std::fs::read_to_string(topology).expect("a topology");
    assert!(text.contains("calls = \"b/items/{id}, b/prices\""), "{text}");
    assert!(text.contains("# guessed: no span is of this service"), "{text}");
    assert!(text.contains("route = \"GET /items/{id}\"\nwork = \"10ms\""), "{text}");
}

#[test]
fn requests_without_their_parents_come_from_outside_and_are_counted() {
    let trace = |number: u64| {
        let attributes = json!({ "http.request.method": "GET", "url.path": format!("/users/{number}") });
        line(vec![of("a", "1", vec![span((number, 2, 99), SERVER, "GET", (0, 5), attributes)])])
    };
    let desk = Desk::new();
    let (topology, imported) = desk.import(&desk.write("t.jsonl", (1..=10).map(trace).collect::<String>()));
    let text = std::fs::read_to_string(topology).expect("a topology");
    assert!(text.contains("request = { method = \"GET\", path = \"/users/{id}\" }"), "{text}");
    assert_eq!(
        imported.told(),
        "note: 10 requests drawn as from outside: the file does not have their parents"
    );
}

#[test]
fn clocks_that_differ_do_not_make_the_network_slow() {
    // The callee's clock is 50 ms ahead; the way takes 2 ms.
    let trace = |number: u64| {
        let route = |route: &str| json!({ "http.request.method": "GET", "http.route": route });
        let call = json!({ "http.request.method": "GET", "server.address": "b" });
        line(vec![
            of(
                "a",
                "1",
                vec![
                    span((number, 1, 0), SERVER, "GET /", (0, 30), route("/")),
                    span((number, 2, 1), CLIENT, "GET", (5, 25), call),
                ],
            ),
            of("b", "1", vec![span((number, 3, 2), SERVER, "GET /b", (57, 73), route("/b"))]),
        ])
    };
    let desk = Desk::new();
    let (topology, _) = desk.import(&desk.write("t.jsonl", (1..=10).map(trace).collect::<String>()));
    let text = std::fs::read_to_string(topology).expect("a topology");
    assert!(text.contains("[network]\nlatency = \"2ms\""), "{text}");
}

#[test]
fn compressed_files_standard_input_and_a_second_reading_give_the_same_bytes() {
    let desk = Desk::new();
    let plain = desk.write("t.jsonl", old_conventions());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(old_conventions().as_bytes()).expect("memory");
    let gzip = desk.write("t.jsonl.gz", gzip.finish().expect("memory"));
    let of = |path: &Path| import(&[path.to_str().expect("UTF-8"), "--name", "t"]);
    let body = |text: &str| text.split_once('\n').expect("a first line").1.to_owned();
    let (first, second) = (of(&plain), of(&plain));
    assert_eq!(first.success(), second.success());
    assert_eq!(body(first.success()), body(of(&gzip).success()));
    let mut command = crate::support::simhost();
    command.args(["import", "-", "--name", "t"]).stdin(std::fs::File::open(&plain).expect("a file"));
    let piped = crate::support::finish(&mut command);
    assert_eq!(body(first.success()), body(piped.success()));
}
