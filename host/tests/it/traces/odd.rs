//! `simhost traces` of files that are odd: what it leaves out or has to guess is said.

use crate::support::{Topology, finish, simhost};

use super::{root, traces_of};

/// What is said, in one line.
fn told(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn spans_without_ids_and_without_an_end_are_counted() {
    let (whole, nameless) = (root(1, "GET /", 0, 5), root(2, "GET /a", 0, 5));
    let nameless = nameless.replace("00000000000000000000000000000002", "");
    let (backwards, endless) = (root(3, "GET /b", 9, 5), root(4, "GET /c", 9, 5));
    let end = endless.find("\"endTimeUnixNano\"").expect("an end");
    let behind = end + endless[end..].find(',').expect("more keys");
    let endless = format!("{}{}", &endless[..end], &endless[behind + 1..]);
    let found = traces_of(&(whole + &nameless + &backwards + &endless), 100, &["--list"]);
    let said = told(found.success());
    assert!(said.contains("3 traces "), "{said}");
    assert!(said.contains("1 span left out: no trace id or span id"), "{said}");
    assert!(said.contains("2 spans drawn without a length: no end, or one before the start"), "{said}");
}

/// OTLP has 0 where a time is not known.
#[test]
fn a_span_without_a_start_moves_no_other_trace() {
    let startless = root(3, "GET /", 0, 5);
    let behind = startless.find("\"startTimeUnixNano\"").expect("a start") + "\"startTimeUnixNano\"".len();
    let end = behind + startless[behind..].find(',').expect("more keys");
    let startless = format!("{}:\"0\"{}", &startless[..behind], &startless[end..]);
    let text = root(1, "GET /", 0, 5) + &root(2, "GET /a", 90_000, 90_005) + &startless;
    let found = traces_of(&text, 100, &["--between", "1m", "2m", "--list"]);
    let said = told(found.success());
    assert!(said.contains("1 of 2 traces 1 span left out: no start"), "{said}");
    let slowest = traces_of(&text, 100, &["--slowest", "1"]);
    assert!(
        told(slowest.success()).contains("1 of 2 traces 1 span left out: no start"),
        "{}",
        slowest.stdout
    );
    assert!(!slowest.stdout.contains(&format!("{:032x}", 3)), "{}", slowest.stdout);
}

#[test]
fn numbers_that_json_has_not_are_read() {
    let line = root(1, "GET /", 0, 5);
    for (value, shown) in [("\"NaN\"", "NaN"), ("\"-Infinity\"", "-Infinity"), ("\"1.5\"", "1.5")] {
        let text = line.replace("{\"stringValue\":\"\"}", &format!("{{\"doubleValue\":{value}}}"));
        assert_ne!(text, line);
        let found = traces_of(&text, 100, &["--query", "{ span.note != nil }"]);
        let said = told(found.success());
        assert!(said.contains("1 of 1 trace") && said.contains(&format!("note={shown}")), "{said}");
    }
}

#[test]
fn scopes_of_before_0_15_and_values_of_null_are_read() {
    let line = root(1, "GET /", 0, 5);
    let old = line.replace("\"scopeSpans\"", "\"instrumentationLibrarySpans\"");
    let null = line.replace("\"parentSpanId\":\"\"", "\"parentSpanId\":null,\"events\":null");
    for text in [old, null] {
        assert_ne!(text, line);
        let found = traces_of(&text, 100, &[]);
        assert!(
            found.success().contains("GET /") && found.stdout.ends_with("\n1 trace\n"),
            "{}",
            found.stdout
        );
    }
}

#[test]
fn spans_that_are_in_a_file_twice_are_drawn_once() {
    let text = root(1, "GET /", 0, 5);
    let found = traces_of(&(text.clone() + &text + &text), 100, &["--slowest", "1"]);
    assert!(found.success().contains("2 spans left out: in the file before"), "{}", found.stdout);
    assert!(found.stdout.contains("  1 span  "), "{}", found.stdout);
}

#[test]
fn what_is_no_text_is_refused_with_the_formats_that_are_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spans.bin");
    let utf16: Vec<u8> = root(1, "GET /", 0, 5).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let protobuf = [0, 0, 1, 0x2c, 0x0a, 0xa9, 0x02, 0x0a, 0x20, 0x0a, 0x1e].to_vec();
    // As the Collector compresses each record by itself, behind its length.
    let framed = [&[0, 0, 0, 9, 0x28, 0xb5, 0x2f, 0xfd][..], &[0; 5]].concat();
    for bytes in [[vec![0xff, 0xfe], utf16].concat(), protobuf, framed] {
        std::fs::write(&path, &bytes).expect("a file");
        for command in ["traces", "metrics", "import"] {
            let found = finish(simhost().arg(command).arg(&path));
            assert_eq!((found.code, &*found.stdout), (Some(2), ""), "{command} {bytes:?}");
            let said = told(&found.stderr);
            assert!(said.contains("is OTLP as JSON: it is no text in UTF-8"), "{command}: {said}");
            assert!(said.contains("the Collector's file exporter with format: json"), "{command}: {said}");
        }
    }
}

/// A log of a program that writes colours is a text.
#[test]
fn a_log_with_colours_is_no_binary_file() {
    let found = traces_of("\u{1b}[32m INFO\u{1b}[0m listening\u{7}\n", 100, &[]);
    let said = told(&found.stderr);
    assert_eq!((found.code, &*found.stdout), (Some(2), ""));
    assert!(
        said.contains("is OTLP as JSON") && said.contains("name a file that --out has written"),
        "{said}"
    );
    assert!(!said.contains("UTF-8"), "{said}");
}

#[test]
fn an_interval_beside_the_traces_is_told_with_where_they_are_and_a_turned_one_is_refused() {
    let text = root(1, "GET /", 0, 5) + &root(2, "GET /", 90_000, 90_005);
    let beside = traces_of(&text, 100, &["--between", "10m", "1h"]);
    let said = told(beside.success());
    assert!(said.starts_with("0 of 2 traces "), "{said}");
    let where_they_are = "no trace begins in the interval of --between: they begin from 0s to 1m30s after the first \
                          span, 2026-01-01T00:00:00.000Z";
    assert!(said.contains(where_they_are), "{said}");
    let within = traces_of(&text, 100, &["--between", "1m", "2026-01-01T00:02:00Z", "--list"]);
    assert!(within.success().contains("\n1 of 2 traces\n"), "{}", within.stdout);
    let turned = traces_of(&text, 100, &["--between", "2026-01-01T00:02:00Z", "1m"]);
    assert_eq!((turned.code, &*turned.stdout), (Some(2), ""));
    let said = told(&turned.stderr);
    assert!(said.contains("--between 2026-01-01T00:02:00.000Z 1m: its end is not after its start"), "{said}");
    assert!(said.contains("the first span of the file begins at 2026-01-01T00:00:00.000Z"), "{said}");
    let negative = traces_of(&text, 100, &["--between", "-1m", "1m"]);
    assert!(negative.stderr.contains("a length of time cannot be negative: \"-1m\""), "{}", negative.stderr);
}

/// The run's traces are not known before; its start is.
#[test]
fn a_run_tells_of_an_interval_that_is_turned_once_its_start_is_known_and_of_unknown_roots() {
    let orders = Topology::orders();
    let between = ["--virtual", "--for", "1s", "--between", "2026-01-01T00:02:00Z", "1m"];
    let said = told(&orders.run(&between).stderr);
    assert!(said.contains("2026-01-01T00:02:00.000Z 1m: its end is not after its start"), "{said}");
    assert!(said.contains("the run begins at 2026-01-01T00:00:00.000Z"), "{said}");
    let said = told(&orders.run(&["--virtual", "--for", "1s", "--root", "order-servise"]).stderr);
    assert!(said.contains("--root names the service \"order-servise\""), "{said}");
}
