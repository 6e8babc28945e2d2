//! Recordings that no system makes: whatever is imported is a topology that `check --strict` accepts.

use serde_json::{Value, json};

use super::Desk;

/// Values that an attribute may have in such a recording.
const ATTRIBUTES: [(&str, &[&str]); 15] = [
    ("http.request.method", &["GET", "POST", "get", "", "X Y", "_OTHER"]),
    ("http.route", &["/", "/a/{id}", "/a/:key", "/a/*", "/{x}/{x}", "a", "//", "/{", "/health", ""]),
    ("url.path", &["/1", "/ü", "/a b"]),
    ("server.address", &["b", "B", "x.y", "", "[::1]", "a/b"]),
    ("db.system.name", &["postgresql", "redis", "mysql", "mongodb", ""]),
    ("db.namespace", &["d", "D", "", "a.b"]),
    ("db.operation.name", &["GET", "SET", "DEL", ""]),
    (
        "db.query.text",
        &[
            "SELECT a FROM t WHERE b = ?",
            "GET k",
            "BEGIN",
            "COMMIT",
            "INSERT INTO t VALUES (?,?)",
            "UPDATE t SET a=a+1 WHERE b=$1",
            "SELECT * FROM \"T\" JOIN u ON T.a=u.b ORDER BY c LIMIT 3",
            "SELECT count(*) FROM x.y",
            "INSERT INTO t (a,b) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET b = 1 RETURNING a",
        ],
    ),
    ("messaging.system", &["kafka", "rabbitmq", "zzz"]),
    ("messaging.destination.name", &["t1", "t2", "T1", "a b", ""]),
    ("messaging.operation.type", &["send", "process", "receive", "settle", "create"]),
    ("messaging.consumer.group.name", &["g", "G", ""]),
    ("service.peer.name", &["a", "q"]),
    ("rpc.method", &["M", "a/b"]),
    ("rpc.service", &["S"]),
];

const NAMES: [&str; 7] = ["GET /", "x", "SELECT t", "process t1", "process", "", "éééé"];

/// Draws that are the same in each run: SplitMix64.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn one_of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    /// Spans of one trace among two hundred: their parents are others of the line, of any line, or none.
    fn line(&mut self) -> String {
        let (trace, count) = (self.below(200) + 1, self.below(12) + 1);
        let ids: Vec<_> = (0..count).map(|_| self.below(300) + 1).collect();
        let spans: Vec<Value> = ids.iter().map(|id| self.span(trace, *id, &ids)).collect();
        let service = self.one_of(&["a", "b", "c", "A", "d e"]);
        let name = json!([{ "key": "service.name", "value": { "stringValue": service } }]);
        let of_service = json!({ "resource": { "attributes": name }, "scopeSpans": [{ "spans": spans }] });
        format!("{}\n", json!({ "resourceSpans": [of_service] }))
    }

    fn span(&mut self, trace: usize, id: usize, ids: &[usize]) -> Value {
        let parent = match self.below(3) {
            0 => String::new(),
            1 => format!("{:016x}", ids[self.below(ids.len())]),
            _ => format!("{:016x}", self.below(300) + 1),
        };
        let start = 1_700_000_000_000_000_000_u64 + self.below(10_000_000_000) as u64;
        let end = start + [0, 1, 1_000_000, 1_000_000_000, 1_000_000_000_000][self.below(5)];
        let mut attributes = Vec::new();
        for (key, values) in ATTRIBUTES {
            if self.below(10) < 3 {
                attributes.push(json!({ "key": key, "value": { "stringValue": self.one_of(values) } }));
            }
        }
        json!({
            "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "parentSpanId": parent,
            "kind": self.below(6), "name": self.one_of(&NAMES), "attributes": attributes,
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
            "status": { "code": self.below(3) },
        })
    }
}

#[test]
fn whatever_is_recorded_gives_a_topology_that_check_accepts() {
    let desk = Desk::new();
    for seed in 0..40 {
        let mut draws = Draws(seed);
        let lines = [5, 50, 300][draws.below(3)];
        // One request that is whole, so that each file has one.
        let whole = json!({
            "traceId": format!("{:032x}", 999), "spanId": "0000000000000001", "kind": 2, "name": "GET /",
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000001000000",
        });
        let whole = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [whole] }] }] });
        let text: String = (0..lines).map(|_| draws.line()).collect();
        desk.import(&desk.write(&format!("seed-{seed}.jsonl"), format!("{whole}\n{text}")));
    }
}

fn server(id: u8, parent: u8, service: &str, route: &str) -> Value {
    let text = |key: &str, value: &str| json!([{ "key": key, "value": { "stringValue": value } }]);
    let parent = if parent == 0 { String::new() } else { format!("{parent:016x}") };
    let span = json!({
        "traceId": format!("{:032x}", 1), "spanId": format!("{id:016x}"), "parentSpanId": parent, "kind": 2,
        "name": "GET", "attributes": text("http.route", route),
        "startTimeUnixNano": format!("170000000000{id}000000"), "endTimeUnixNano": "1700000000100000000",
    });
    json!({ "resource": { "attributes": text("service.name", service) }, "scopeSpans": [{ "spans": [span] }] })
}

#[test]
fn spans_that_are_each_others_parent_begin_with_the_earlier_one() {
    let desk = Desk::new();
    let spans = [server(1, 2, "a", "/a"), server(2, 1, "b", "/b")];
    let traces = desk.write("circle.jsonl", json!({ "resourceSpans": spans }).to_string());
    let (topology, _) = desk.import(&traces);
    let text = std::fs::read_to_string(topology).expect("a topology");
    let table: toml::Table = text.parse().expect("TOML");
    assert_eq!(table["ingress"]["to"].as_str(), Some("a"), "{text}");
    assert!(text.contains("calls = \"b/b\""), "{text}");
}
