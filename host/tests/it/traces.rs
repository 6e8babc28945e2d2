//! `simhost traces`: traces of a file, chosen and drawn, by the real program.

mod links;
mod odd;

use std::path::Path;
use std::process::Stdio;

use crate::support::{Finished, Topology, finish, refused, simhost};

/// A run of orders of which some are large, and slow, and some fail; with the file it has written.
fn orders(file: &str) -> (Topology, String) {
    let topology = Topology::orders();
    let flags =
        ["--virtual", "--for", "20s", "--fault", "payment-errors=on", "--out", file, "--show", "none"];
    topology.run(&flags).success();
    let path = topology.beside(file).to_string_lossy().into_owned();
    (topology, path)
}

fn traces(arguments: &[&str]) -> Finished {
    finish(simhost().arg("traces").args(arguments))
}

/// The first lines of the traces that were drawn.
fn headers(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("Trace ")).collect()
}

#[test]
fn the_slowest_traces_come_first_and_each_can_be_drawn_by_its_id() {
    let (_topology, file) = orders("spans.jsonl");
    let found = traces(&[&file, "--slowest", "3"]);
    let headers = headers(found.success());
    assert_eq!(headers.len(), 3, "{}", found.stdout);
    // Each has its id, the instant at which it begins, and its time.
    let fields: Vec<Vec<&str>> = headers.iter().map(|line| line.split("  ").collect()).collect();
    let times: Vec<f64> = fields
        .iter()
        .map(|fields| fields[3].trim_end_matches("ms").parse().unwrap_or_else(|_| panic!("{fields:?}")))
        .collect();
    assert!(times.is_sorted_by(|one, next| one >= next) && times[0] > 280.0, "{times:?}");
    assert!(fields[0][1].starts_with("2026-01-01T00:00:") && fields[0][1].ends_with('Z'), "{fields:?}");
    let id = headers[0].split_whitespace().nth(1).expect("an id");
    let one = traces(&[&file, "--id", &id[..12].to_uppercase()]);
    let (_, tree) = found.stdout.split_once("Trace ").expect("a tree");
    let tree = tree.split("\n\n").next().expect("a tree");
    assert!(one.success().contains(tree), "{}", one.stdout);
    assert_eq!(self::headers(&one.stdout).len(), 1);
}

#[test]
fn without_a_choice_the_traces_are_listed() {
    let (_topology, file) = orders("spans.jsonl");
    let all = traces(&[&file]);
    let lines: Vec<_> = all.success().lines().collect();
    assert!(lines[0].contains("trace id") && lines[0].contains("root"), "{}", all.stdout);
    let rows: Vec<_> = lines.iter().filter(|line| line.contains("order-service POST /orders")).collect();
    assert_eq!(rows.len(), 30, "{}", all.stdout);
    let sum = lines.iter().find(|line| line.contains(" traces, 30 shown: --limit shows more"));
    let count: usize =
        sum.and_then(|line| line.split(' ').next()?.replace(',', "").parse().ok()).expect("a sum");
    assert!(count > 900, "{}", all.stdout);
    let told = all.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(&format!(": --limit {count} lists all of them, --between ")), "{told}");
    let whole = |flags: &[&str]| -> usize {
        let listed = traces(&[&[file.as_str(), "--list", "--limit", "100000"][..], flags].concat());
        listed.success().lines().filter(|line| line.contains("order-service POST /orders")).count()
    };
    assert_eq!(whole(&[]), count);
    let (_, window) = told.split_once("--between ").expect("a window");
    let window: Vec<_> = window.split(' ').take(2).collect();
    assert!(whole(&["--between", window[0], window[1]]) >= count - 30, "{window:?}");
}

#[test]
fn traces_are_chosen_by_what_one_of_their_spans_is() {
    let (_topology, file) = orders("spans.jsonl");
    let matched = |arguments: &[&str]| -> usize {
        let found = traces(&[&[file.as_str(), "--list"], arguments].concat());
        let line = found.success().lines().find(|line| line.contains(" traces")).expect("a sum");
        line.split(' ').next().expect("a number").replace(',', "").parse().expect("a number")
    };
    let all = matched(&[]);
    let failed = matched(&["--errors"]);
    assert!(failed > all / 10 && failed < all / 2, "{failed} of {all}");
    for same in [
        "{ status = error }",
        "{ span.http.response.status_code = 503 }",
        "{ resource.service.name = \"payment-service\" && kind = server && status != unset }",
        "{ .http.response.status_code >= 500 && (name =~ \"POST.*\" || name = \"none\") }",
    ] {
        assert_eq!(matched(&["--query", same]), failed, "{same}");
    }
    let slow = matched(&["--query", "{ name = \"slow_lookup\" && duration > 250ms }"]);
    assert_eq!(slow, matched(&["--query", "{ span.inventory.demand = \"high\" }"]));
    assert!(slow > 0 && slow < all / 2, "{slow}");
    // Both of one span: the inventory never fails.
    assert_eq!(matched(&["--errors", "--service", "inventory-service"]), 0);
    assert_eq!(matched(&["--errors", "--service", "payment-service", "--route", "/charges"]), failed);
    let (early, late) = (matched(&["--between", "0s", "10s"]), matched(&["--between", "10s", "1h"]));
    assert!(early > 0 && late > 0 && early + late == all, "{early} and {late} of {all}");
    assert_eq!(matched(&["--between", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]), all);
    for every in ["{}", "{ name != nil && duration != nil }", "{ status != nil && kind != nil }"] {
        assert_eq!(matched(&["--query", every]), all, "{every}");
    }
    assert_eq!(matched(&["--query", "{ name = nil || duration = nil || kind = nil || status = nil }"]), 0);
}

#[test]
fn a_compressed_file_a_pipe_and_a_file_that_was_cut_off_are_read() {
    let (_topology, plain) = orders("spans.jsonl");
    let wanted = traces(&[&plain, "--slowest", "2"]);
    for name in ["spans.jsonl.gz", "spans.jsonl.zst"] {
        let (_topology, packed) = orders(name);
        assert_eq!(traces(&[&packed, "--slowest", "2"]).success(), wanted.success(), "{name}");
    }
    let mut command = simhost();
    command.args(["traces", "-", "--slowest", "2"]).stdin(std::fs::File::open(&plain).expect("the file"));
    assert_eq!(finish(command.stdout(Stdio::piped())).success(), wanted.success());

    let text = std::fs::read(&plain).expect("the file");
    std::fs::write(&plain, &text[..text.len() - 100]).expect("the file");
    let cut = traces(&[&plain]);
    assert!(cut.success().contains("1 line left out: no OTLP as JSON"), "{}", cut.stdout);
}

#[test]
fn what_cannot_be_read_or_understood_is_refused() {
    let missing = traces(&["missing.jsonl"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(2), ""));
    assert!(missing.stderr.starts_with("error: cannot read \"missing.jsonl\": "), "{}", missing.stderr);
    let wrong = traces(&["missing.jsonl", "--query", "{ duration > }"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("  { duration > }\n               ^\n"), "{}", wrong.stderr);
    // The caret is below its place whatever stands before it.
    for (query, shown, column) in [
        ("{ name = \"日本\" && nam }", "{ name = \"日本\" && nam }", 19),
        ("{ name = \"e\u{301}\" && nam }", "{ name = \"e\u{301}\" && nam }", 16),
        ("{ name = \"x\" &&\n\tnam }", " nam }", 1),
    ] {
        let wrong = traces(&["missing.jsonl", "--query", query]);
        let drawn = format!("\n  {shown}\n  {:column$}^\n", "");
        assert!(wrong.stderr.contains(&drawn), "{}", wrong.stderr);
    }
    let wrong = traces(&["missing.jsonl", "--id", "xyz"]);
    assert!(wrong.stderr.contains("write up to 32 hexadecimal digits"), "{}", wrong.stderr);
}

/// The trees that were drawn, without the lines around them.
fn trees(text: &str) -> Vec<&str> {
    text.split("\n\n").map(str::trim).filter(|part| part.starts_with("Trace ")).collect()
}

/// The ids of the traces that were drawn, in order.
fn drawn_ids(text: &str) -> Vec<String> {
    headers(text).iter().map(|line| line.split_whitespace().nth(1).expect("an id").to_owned()).collect()
}

#[test]
fn a_run_shows_those_traces_that_its_file_would_show() {
    let topology = Topology::orders();
    let file = topology.beside("spans.jsonl").to_string_lossy().into_owned();
    let choices: [&[&str]; 7] = [
        &["--root", "order-service", "--slowest", "2"],
        &["--slowest", "3"],
        &["--errors"],
        &["--service", "notification-service", "--slowest", "5"],
        &["--errors", "--route", "/charges"],
        &["--query", "{ name = \"slow_lookup\" && duration > 250ms }"],
        &["--between", "1s", "1500ms"],
    ];
    for choice in choices {
        let run = ["--virtual", "--for", "4s", "--fault", "payment-errors=on", "--out", &file];
        let shown = topology.run(&[&run[..], choice].concat());
        let found = traces(&[&[file.as_str(), "--limit", "100000"], choice].concat());
        let (mut of_run, mut of_file) = (drawn_ids(shown.success()), drawn_ids(found.success()));
        assert!(!of_run.is_empty(), "{choice:?}: {}", shown.stdout);
        if !choice.contains(&"--slowest") {
            // A run draws them as they end, a file as they begin.
            of_run.sort();
            of_file.sort();
        }
        // The file's origin is its first span, some milliseconds after the start of the run.
        if !choice.contains(&"--between") {
            assert_eq!(of_run, of_file, "{choice:?}");
        }
        let (mut of_run, mut of_file) = (trees(&shown.stdout), trees(&found.stdout));
        of_run.sort_unstable();
        of_file.sort_unstable();
        if !choice.contains(&"--between") {
            assert_eq!(of_run, of_file, "{choice:?}");
        }
        let sum = shown.stdout.lines().find(|line| line.contains(" of ") && line.ends_with(" traces"));
        assert!(sum.is_some_and(|line| line.starts_with(&of_run.len().to_string())), "{}", shown.stdout);
    }
}

/// A run of orders whose mails wait for twenty seconds, with the file that it has written.
fn paused(flags: &[&str]) -> (Topology, String, Finished) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies/faults/consumer-pause.toml");
    let topology = Topology::new("paused", std::fs::read_to_string(path).expect("a topology"));
    let file = topology.beside("spans.jsonl").to_string_lossy().into_owned();
    let run = ["--virtual", "--for", "45s", "--out", &file];
    let finished = topology.run(&[&run[..], flags].concat());
    (topology, file, finished)
}

#[test]
fn a_run_draws_a_trace_with_late_messages_in_the_parts_in_which_its_file_draws_it() {
    for choice in [&["--slowest", "2"][..], &["--service", "mailer", "--slowest", "1"]] {
        let (_topology, file, shown) = paused(choice);
        let found = traces(&[&[file.as_str()], choice].concat());
        let (of_run, of_file) = (trees(shown.success()), trees(found.success()));
        assert_eq!(of_run, of_file, "{choice:?}");
        let late = of_run.iter().filter(|tree| tree.contains("ended after the rest of the trace"));
        assert_eq!(late.count() * 2, of_run.len(), "{}", shown.stdout);
        assert!(!shown.stdout.contains("until its last span ended"), "{}", shown.stdout);
    }
}

#[test]
fn a_message_has_its_key_and_its_partition_on_a_narrow_page_too() {
    let (_topology, file, _) = paused(&["--show", "none"]);
    for columns in ["80", "100"] {
        let drawn =
            finish(simhost().arg("traces").arg(&file).args(["--slowest", "1"]).env("COLUMNS", columns));
        let text = drawn.success();
        for key in ["destination.partition.id=", "kafka.offset=", "kafka.message.key="] {
            // One that was sent, and one for each group.
            assert_eq!(text.matches(key).count(), 3, "{columns}, {key}: {text}");
        }
        assert!(text.contains("messaging.consumer.group.name=mails"), "{text}");
        // The name of the span has these: send order-events.
        assert!(!text.contains("messaging.operation.") && !text.contains("destination.name="), "{text}");
    }
}

#[test]
fn attributes_that_a_query_names_are_shown_where_others_of_their_kind_are_not() {
    let (_topology, file, of_run) = paused(&["--query", "{ resource.service.version = \"1.4.0\" }"]);
    let of_file = traces(&[&file, "--limit", "2", "--query", "{ resource.service.version = \"1.4.0\" }"]);
    for text in [of_run.success(), of_file.success()] {
        // Of each service, as far as it has one.
        assert!(text.contains(" resource.service.version=1.4.0\n"), "{text}");
        assert!(text.contains(" resource.service.version=3.2.0\n"), "{text}");
    }
    let either =
        traces(&[&file, "--limit", "1", "--query", "{ .http.route != nil && .service.version != nil }"]);
    assert!(
        either.success().contains(" http.route=/orders/{id} resource.service.version=3.2.0\n"),
        "{}",
        either.stdout
    );
    // Each line has its service, and what is shown anyway is not there twice.
    let known = "{ resource.service.name = \"shop\" && span.messaging.system = \"kafka\" }";
    let known = traces(&[&file, "--limit", "1", "--query", known]);
    assert!(!known.success().contains("resource.service.name="), "{}", known.stdout);
    let sent = known.stdout.lines().filter(|line| line.contains("messaging.system=kafka")).count();
    assert_eq!(
        sent,
        known.stdout.lines().filter(|line| line.contains(" order-events")).count(),
        "{}",
        known.stdout
    );
}

#[test]
fn a_run_draws_one_trace_by_its_id_and_says_so_if_there_is_none() {
    let topology = Topology::orders();
    let run = ["--virtual", "--for", "4s"];
    let slowest = topology.run(&[&run[..], &["--slowest", "1"]].concat());
    let id = drawn_ids(slowest.success())[0].clone();
    let one = topology.run(&[&run[..], &["--id", &id[..12]]].concat());
    assert_eq!(trees(one.success()), trees(&slowest.stdout));
    let none = topology.run(&[&run[..], &["--id", "00000000000000000000000000000000"]].concat());
    assert_eq!(drawn_ids(none.success()), Vec::<String>::new());
    assert!(none.stdout.contains("\n0 of "), "{}", none.stdout);
}

#[test]
fn a_run_tells_of_a_service_and_a_route_that_its_topology_does_not_have() {
    let notes = |arguments: &[&str]| {
        let run = Topology::orders().run(&[&["--virtual", "--for", "1s"][..], arguments].concat());
        run.success();
        run.told()
    };
    let said = notes(&["--service", "payment-servce", "--route", "/ordrs", "--root", "order-servce"]);
    for note in [
        "note: --service names the service \"payment-servce\", which the topology does not have: did you mean \
         \"payment-service\"? Known services: \"",
        "note: --root names the service \"order-servce\", which the topology does not have: did you mean \
         \"order-service\"?",
        "note: --route names the route \"/ordrs\", which no service has: did you mean \"/orders\"?",
    ] {
        assert!(said.contains(note), "{said}");
    }
    // The second is the name of a guest's own span.
    for known in [&["--service", "order-service", "--route", "/stock"][..], &["--route", "slow_lookup"]] {
        assert_eq!(notes(known), "", "{known:?}");
    }
}

#[test]
fn an_attribute_that_nothing_has_is_told_with_the_nearest_that_something_has() {
    let (topology, file) = orders("spans.jsonl");
    let said = |query: &str| {
        let of_file = traces(&[&file, "--query", query]);
        let of_run = topology.run(&["--virtual", "--for", "1s", "--query", query]);
        [of_file, of_run].map(|finished| finished.success().replace('\n', " "))
    };
    let wrong = [
        (
            "{ span.http.rout = \"/orders\" }",
            "no span has the attribute \"http.rout\": did you mean \"http.route\"?",
        ),
        (
            "{ resource.service.nme = \"a\" || name = \"none\" }",
            "no resource has the attribute \"service.nme\": did you mean \"service.name\"?",
        ),
        ("{ .retry != nil }", "no span and no resource has the attribute \"retry\": known attributes: "),
        // Names that the conventions have replaced.
        (
            "{ .http.status_code = 500 }",
            "the attribute \"http.status_code\": did you mean \"http.response.status_code\"?",
        ),
        ("{ span.net.peer.name = \"a\" }", "\"net.peer.name\": did you mean \"server.address\"?"),
    ];
    for (query, note) in wrong {
        for text in said(query) {
            assert!(text.contains("0 of ") && text.contains(note), "{query}: {text}");
        }
    }
    for query in ["{ span.http.route = \"/none\" }", "{ .retry = nil && name = \"none\" }"] {
        for text in said(query) {
            assert!(text.contains("0 of ") && !text.contains("attribute"), "{query}: {text}");
        }
    }
}

#[test]
fn the_new_name_of_an_attribute_leads_to_the_old_one_of_a_file() {
    let line = Line { trace: 7, span: 1, parent: None, name: "GET /books", start: 0, end: 5 };
    let found = traces_of(
        &line.json("http.status_code", "500"),
        200,
        &["--query", "{ .http.response.status_code = 500 }"],
    );
    let note = "the attribute \"http.response.status_code\": did you mean \"http.status_code\"?";
    assert!(found.success().contains(note), "{}", found.stdout);
}

#[test]
fn traces_that_are_chosen_and_not_shown_are_refused() {
    let refused = Topology::orders().run(&["--virtual", "--for", "4s", "--errors", "--show", "summary"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("traces are chosen, and --show summary shows none"),
        "{}",
        refused.stderr
    );
}

#[test]
fn traces_are_chosen_by_the_service_and_the_name_of_their_root() {
    let of =
        |service: &str, line: &Line<'_>| line.json("note", "").replace("\"shop\"", &format!("{service:?}"));
    let line =
        |trace, span, parent, name| Line { trace, span, parent, name, start: u64::from(span), end: 50 };
    // The second half of a trace of which nobody knows the first: its root has a parent elsewhere.
    let text = of("shop", &line(1, 1, None, "GET /"))
        + &of("stock", &line(1, 2, Some(1), "GET /items"))
        + &of("stock", &line(2, 3, None, "GET /items"))
        + &of("mail", &line(3, 5, Some(4), "send"))
        + &of("mail", &line(3, 4, Some(9), "receive"));
    let ids = |arguments: &[&str]| -> Vec<String> {
        let found = traces_of(&text, 120, &[&["--list"], arguments].concat());
        let rows = found.success().lines().filter_map(|line| line.trim_start().split(' ').next());
        rows.filter(|word| word.len() == 32).map(|id| id.trim_start_matches('0').to_owned()).collect()
    };
    assert_eq!(ids(&["--root", "shop"]), ["1"]);
    assert_eq!(ids(&["--root", "shop", "--root", "mail"]), ["1", "3"]);
    assert_eq!(ids(&["--not-root", "shop"]), ["2", "3"]);
    assert_eq!(ids(&["--not-root", "shop", "--not-root", "mail"]), ["2"]);
    assert_eq!(ids(&["--service", "stock", "--not-root", "stock"]), ["1"]);
    for (query, wanted) in [
        ("{ rootServiceName = \"stock\" }", &["2"][..]),
        ("{ rootServiceName != \"shop\" && name = \"GET /items\" }", &["2"]),
        (
            "{ (rootName =~ \"GET.*\" || trace:rootService = \"mail\") && name != \"GET /\" }",
            &["1", "2", "3"],
        ),
        ("{ rootName = \"receive\" }", &["3"]),
        ("{ rootName = nil }", &[]),
    ] {
        assert_eq!(ids(&["--query", query]), wanted, "{query}");
    }
    let unknown = traces_of(&text, 100, &["--not-root", "shpo"]);
    let note = "no span of the file is of service \"shpo\": did you mean \"shop\"?";
    assert!(unknown.success().contains(note), "{}", unknown.stdout);
    let mixed = traces_of(&text, 100, &["--query", "{ rootName = \"x\" || duration > 1s }"]);
    assert_eq!(mixed.code, Some(2));
    assert!(mixed.stderr.contains("can be put together by && only"), "{}", mixed.stderr);
}

/// A span as a line of its own. Instants are milliseconds after the start of 2026.
struct Line<'a> {
    trace: u32,
    span: u32,
    parent: Option<u32>,
    name: &'a str,
    start: u64,
    end: u64,
}

/// 2026-01-01T00:00:00Z, in milliseconds.
const NEW_YEAR: u64 = 1_767_225_600_000;

impl Line<'_> {
    /// The line in OTLP as JSON, with one more attribute.
    fn json(&self, key: &str, value: &str) -> String {
        let Self { trace, span, parent, name, start, end } = self;
        let parent = parent.map_or(String::new(), |parent| format!("{parent:016x}"));
        let line = serde_json::json!({"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"spans": [{
                "traceId": format!("{trace:032x}"),
                "spanId": format!("{span:016x}"),
                "parentSpanId": parent,
                "name": name,
                "kind": 2,
                "startTimeUnixNano": format!("{}000000", NEW_YEAR + start),
                "endTimeUnixNano": format!("{}000000", NEW_YEAR + end),
                "attributes": [{"key": key, "value": {"stringValue": value}}],
            }]}],
        }]});
        line.to_string() + "\n"
    }
}

fn root(trace: u32, name: &str, start: u64, end: u64) -> String {
    Line { trace, span: 1, parent: None, name, start, end }.json("note", "")
}

/// `simhost traces` of a file with this text.
fn traces_of(text: &str, columns: u16, arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.jsonl");
    std::fs::write(&path, text).expect("a file");
    finish(simhost().arg("traces").arg(&path).args(arguments).env("COLUMNS", columns.to_string()))
}

#[test]
fn names_in_a_file_cannot_steer_the_terminal_or_forge_rows() {
    let name = "GET /\u{1b}[2J\u{1b}]0;owned\u{7}\n 00000000000000000000000000000000  forged\u{202e}";
    let long = "x".repeat(100_000);
    let text = root(1, name, 0, 5) + &root(2, &long, 1, 5);
    for arguments in [&["--list"][..], &["--slowest", "2"]] {
        let found = traces_of(&text, 200, arguments);
        let steers = |char: char| char != '\n' && (char.is_control() || char == '\u{202e}');
        assert!(!found.success().contains(steers), "{:?}", found.stdout);
        assert!(found.stdout.contains("\\x1b[2J"), "{}", found.stdout);
        assert!(
            !found
                .stdout
                .lines()
                .any(|line| line.trim_start().starts_with("0000000000000000000000000000000000"))
        );
    }
    let list = traces_of(&text, 100, &["--list"]);
    // Two heads, two rows, a blank, the sum.
    assert!(list.success().lines().all(|line| line.chars().count() <= 100), "{}", list.stdout);
}

#[test]
fn what_a_line_holds_goes_by_its_keys_and_not_by_its_values() {
    for value in ["resourceLogs", "resourceMetrics", "\"resourceLogs\""] {
        let line = Line { trace: 7, span: 1, parent: None, name: "GET /books", start: 0, end: 5 };
        let found = traces_of(&line.json(value, value), 100, &[]);
        assert!(found.success().contains("GET /books") && found.stdout.contains("\n1 trace\n"), "{value}");
    }
    let found = traces_of("{\"resourceMetrics\":[{\"scopeMetrics\":[]}]}\n{\"spans\":[]}\n[1]\n", 100, &[]);
    assert!(found.success().contains("2 lines left out: no OTLP as JSON"), "{}", found.stdout);
}

#[test]
fn a_service_or_a_route_that_the_file_does_not_have_is_told_with_those_that_it_has() {
    let (_topology, file) = orders("spans.jsonl");
    let found = traces(&[&file, "--service", "payment-servce"]);
    let told = |found: &Finished| found.success().split_whitespace().collect::<Vec<_>>().join(" ");
    let note = "no span of the file is of service \"payment-servce\": did you mean \"payment-service\"? \
                Known services: \"";
    assert!(found.success().starts_with("0 of ") && told(&found).contains(note), "{}", found.stdout);
    let found = traces(&[&file, "--route", "/nope"]);
    let note = "no span of the file is of route \"/nope\": ";
    assert!(told(&found).contains(note) && told(&found).contains("nown routes: \"/"), "{}", found.stdout);
    let found = traces(&[&file, "--service", "order-service", "--between", "1h", "2h"]);
    assert!(found.success().starts_with("0 of ") && !found.stdout.contains("no span"), "{}", found.stdout);
}

#[test]
fn a_file_without_a_line_of_otlp_is_refused() {
    let refused = |text: &str, help: &str| {
        let found = traces_of(text, 100, &[]);
        assert_eq!(found.code, Some(2), "{found:?}");
        assert!(
            found.stderr.contains("is OTLP as JSON\n") && found.stderr.contains(help),
            "{}",
            found.stderr
        );
    };
    refused(
        "{\"spans\":[]}\n[1]\n",
        "help: name a file that --out has written; of one that is cut off, whole lines are read\n",
    );
    let topology = Topology::orders();
    topology.run(&["--virtual", "--for", "1s", "--truth", "truth.jsonl", "--show", "none"]).success();
    let truth = std::fs::read_to_string(topology.beside("truth.jsonl")).expect("the truth");
    refused(&truth, "help: this is the truth of a run, as --truth writes it: name the file of its --out\n");
    assert!(traces_of("", 100, &[]).success().ends_with("0 traces\n"));
}

#[test]
fn of_a_trace_with_very_many_spans_the_root_and_the_longest_are_drawn() {
    let child = |span: u32| {
        let end = if span == 23_456 { 900 } else { 101 };
        Line { trace: 1, span: span + 2, parent: Some(1), name: "step", start: 100, end }.json("note", "")
    };
    let mut text: String = (0..25_000).map(child).collect();
    text += &root(1, "GET /all", 0, 1_000);
    let found = traces_of(&text, 100, &["--slowest", "1"]);
    let header = headers(found.success());
    assert!(header.len() == 1 && header[0].contains("GET /all"), "{}", found.stdout);
    assert!(header[0].contains("25001 spans"), "{}", found.stdout);
    assert!(found.stdout.contains("24001 of its shortest spans were not kept"), "{}", found.stdout);
    assert!(found.stdout.contains("800.00ms"), "{}", found.stdout);
}

#[test]
fn the_list_fits_its_page_and_says_what_it_leaves_out() {
    let text = root(1, "POST /orders/{order}/lines/{line}", 0, 1_234) + &root(2, "GET /", 100, 200);
    for (columns, left_out) in
        [(60, Some("spans, start, errors")), (80, Some("spans, start")), (84, Some("spans")), (100, None)]
    {
        let found = traces_of(&text, columns, &["--list"]);
        let lines: Vec<_> = found.success().lines().take_while(|line| !line.is_empty()).collect();
        assert!(lines.iter().all(|line| line.chars().count() <= usize::from(columns)), "{lines:#?}");
        assert!(lines[1].starts_with(" 000000000000  ") && lines[1].contains("1.23s"), "{lines:#?}");
        let note = left_out.map(|left_out| format!(" left out, as the page is narrow: {left_out}"));
        assert_eq!(lines.get(3).map(|line| (*line).to_owned()), note);
    }
    let wide = traces_of(&text, 120, &["--list"]);
    assert!(!wide.success().contains("left out"), "{}", wide.stdout);
}

#[test]
fn a_list_that_ends_early_names_the_interval_of_the_others() {
    let text: String = (0..60).map(|at| root(at + 1, "GET /", u64::from(at) * 10, 60_000)).collect();
    let found = traces_of(&text, 100, &["--list", "--limit", "50"]);
    let said = found.success().split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("within the first 490ms of 590ms: --limit 60"), "{said}");
    assert!(said.contains("--between 490ms 1s later ones"), "{said}");
    let later = traces_of(&text, 100, &["--list", "--between", "490ms", "1s"]);
    assert!(later.success().contains("\n11 of 60 traces\n"), "{}", later.stdout);
}

#[test]
fn the_list_has_the_day_where_there_are_several() {
    let day = 24 * 3_600_000;
    let one = root(1, "GET /", 1, 2) + &root(2, "GET /", day - 1, day);
    let found = traces_of(&one, 120, &["--list"]);
    assert!(
        found.success().contains("  00:00:00.001  ") && found.stdout.contains("  23:59:59.999  "),
        "{found:?}"
    );
    let found = traces_of(&(one + &root(3, "GET /", day, day + 1)), 120, &["--list"]);
    for start in ["2026-01-01T00:00:00.001Z", "2026-01-01T23:59:59.999Z", "2026-01-02T00:00:00.000Z"] {
        assert!(found.success().contains(start), "{found:?}");
    }
}

#[test]
fn an_interval_leaves_the_whole_as_it_is_and_must_not_be_empty() {
    let text: String =
        (0..60).map(|number| root(number + 1, "GET /", u64::from(number) * 1_000, 60_000)).collect();
    let found = traces_of(&text, 100, &["--list", "--between", "10s", "20s"]);
    assert!(found.success().contains("\n10 of 60 traces\n"), "{}", found.stdout);
    let found = traces_of(&text, 100, &["--list", "--slowest", "50"]);
    assert!(found.success().ends_with("\n50 of 60 traces\n"), "{}", found.stdout);
    assert_eq!(found.stdout.matches("shop GET /").count(), 50);
    let orders = Topology::orders();
    for between in [["20s", "10s"], ["1m", "60s"], ["2026-01-01T00:01:00Z", "2026-01-01T00:00:00Z"]] {
        let arguments = ["--between", between[0], between[1]];
        let run = orders.run(&[&["--virtual", "--for", "1s"], &arguments[..]].concat());
        for finished in [traces_of(&text, 100, &arguments), run] {
            refused(&finished, &["its end is not after its start"]);
        }
    }
}

#[test]
fn a_long_line_without_an_end_is_told_of() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.jsonl.gz");
    // 65 MiB, and then nothing: of a run that was killed.
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(root(1, "GET /", 0, 5).as_bytes()).expect("memory");
    packed.write_all(&vec![b'x'; 65 << 20]).expect("memory");
    let packed = packed.finish().expect("memory");
    std::fs::write(&path, &packed[..packed.len() - 200]).expect("a file");
    let found = finish(simhost().arg("traces").arg(&path));
    assert!(found.success().contains("GET /"), "{}", found.stdout);
    assert!(found.stdout.contains("1 line left out: longer than 64 MiB\n"), "{}", found.stdout);
    assert!(found.stdout.contains("the end of the file could not be read"), "{}", found.stdout);
}

/// A trace of `levels` spans, each below the one before.
fn chain(levels: u32) -> String {
    let span = |at: u32| {
        let (parent, start) = ((at > 1).then(|| at - 1), u64::from(at));
        Line { trace: 7, span: at, parent, name: "GET /articles/{article}", start, end: 900 }.json("n", "1")
    };
    (1..=levels).map(span).collect()
}

#[test]
fn what_is_said_of_a_trace_keeps_to_the_columns_of_the_page() {
    let found = traces_of(&chain(3), 80, &["--slowest", "1"]);
    assert!(found.success().contains("3 spans") && found.stdout.contains("no errors"), "{}", found.stdout);
    let widest = found.stdout.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?}: {}", found.stdout);
    assert!(!found.stdout.contains('⋯'), "{}", found.stdout);
}

#[test]
fn a_level_in_place_of_the_lines_of_a_tree_is_explained() {
    let found = traces_of(&chain(30), 60, &["--slowest", "1"]);
    let first = found.success().lines().find_map(|line| line.split_once('⋯')).expect("a level").1;
    let level = first.split_whitespace().next().expect("a number");
    let note = format!("… ⋯{level} is level {level} of the tree");
    assert!(found.stdout.contains(&note), "{note}: {}", found.stdout);
}
