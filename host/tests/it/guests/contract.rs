//! The versions of the contract: which guests run, and what is said of those that do not.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::component::{component_with, module};
use crate::support::{SpanKind, World, guests};

/// A guest that was built when the contract was 0.1: see the note beside it.
fn of_0_1() -> String {
    built_for_0_1("hop.wasm")
}

fn built_for_0_1(file: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract-0.1").join(file).display().to_string()
}

/// `front`, with this guest, calls `back`, which is slow, over a link with a breaker.
fn impatient(guest: &str) -> World {
    let front = World::default().with_guest("front", guest, "config.next = 'back'");
    front.with_guest("back", "service", "config.work = '50ms'").with(
        "[[links]]\nfrom = \"front\"\nto = \"back\"\ntimeout = \"10ms\"\n\
         breaker = { failures = 1, open-for = \"5s\" }",
    )
}

#[test]
fn a_guest_of_0_1_runs_unchanged() {
    let front = World::default().with_guest("front", &of_0_1(), "config.next = 'back'");
    let run = front.with_guest("back", "noop", "").virtually(&["GET /", "GET /health"]);
    assert_eq!(run.statuses(), [200, 200]);
    assert_eq!(run.of("front", SpanKind::Client).len(), 1);
    assert_eq!(run.of("back", SpanKind::Server).len(), 1);
}

#[test]
fn a_guest_of_0_1_sees_an_open_circuit_as_a_refused_connection() {
    let run = impatient(&of_0_1()).virtually(&["GET /", "GET /"]);
    assert_eq!(run.statuses(), [504, 502]);
    let said = run.answers[1].json()["detail"].clone();
    assert_eq!(said, "back: connection refused: circuit open: no attempt for another 5s");
}

#[test]
fn a_guest_of_0_1_waits_for_several_calls_and_sees_too_many_as_an_invalid_one() {
    let hostile = built_for_0_1("hostile.wasm");
    let front = World::default().with_guest("front", &hostile, "limits.host-memory = '10MiB'");
    let world = front.with_guest("back", &hostile, "workers = 64");
    let run = world.virtually(&["GET /hoard/2/1000", "GET /hoard/20/1000000"]);
    assert_eq!(run.bodies()[0], "2 calls");
    let said = run.bodies()[1];
    assert!(said.contains("CallError::Invalid(\"host memory exceeded: "), "{said}");
}

/// Guests that were built for an earlier version of 0.2 import less than there is.
#[test]
fn a_guest_of_an_earlier_0_2_runs_unchanged() {
    for version in ["0.2.0", "0.2.1", "0.2.2"] {
        let file = format!("tests/contract-{version}/hop.wasm");
        let hop = Path::new(env!("CARGO_MANIFEST_DIR")).join(file).display().to_string();
        let front = World::default().with_guest("front", &hop, "config.next = 'back'");
        let run = front.with_guest("back", "hop", "").virtually(&["GET /", "GET /health"]);
        assert_eq!(run.statuses(), [200, 200], "{version}");
        assert_eq!(run.of("back", SpanKind::Server).len(), 1);
    }
}

#[test]
fn a_guest_of_today_sees_an_open_circuit_as_what_it_is() {
    let run = impatient("hop").virtually(&["GET /", "GET /"]);
    assert_eq!(run.statuses(), [504, 502]);
    assert_eq!(run.answers[1].json()["detail"], "back: circuit open: no attempt for another 5s");
}

#[test]
fn guests_of_both_versions_run_where_spans_may_be_delayed() {
    let fault = "[[faults]]\nname = \"slow\"\nkind = \"latency\"\non = \"span\"\ndelay = \"40ms\"\n\
                 target = { service = \"front\", span = \"work\" }";
    let world = World::default().with_guest("front", &of_0_1(), "").with_guest("back", "hop", "");
    assert_eq!(world.with(fault).virtually(&["GET /"]).statuses(), [200]);
}

/// The test guest `noop` as it would be if built against another version of the contract: only names have the
/// version.
fn noop_of(version: &str) -> (TempDir, PathBuf) {
    let mut bytes = fs::read(guests().join("noop.wasm")).expect("the guest is built");
    let wit = include_str!("../../../assets/wit/service.wit");
    let package = wit.lines().find_map(|line| line.strip_prefix("package simhost:service"));
    let now =
        package.and_then(|version| version.strip_suffix(';')).expect("the WIT has a version").as_bytes();
    let prefix = b"simhost:service/";
    assert_eq!(version.len(), now.len() - 1, "the names keep their lengths");
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(prefix.len()).position(|window| window == prefix) {
        at += found + prefix.len();
        let end = bytes[at..].iter().position(|byte| *byte == b'@').expect("a version") + at;
        assert_eq!(&bytes[end..end + now.len()], now, "dist/ is built from this contract");
        bytes[end + 1..end + now.len()].copy_from_slice(version.as_bytes());
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.wasm");
    fs::write(&file, bytes).expect("the guest is written");
    (folder, file)
}

fn front(file: &Path) -> World {
    World::default().with_guest("front", &file.display().to_string(), "")
}

#[test]
fn a_guest_of_any_0_2_runs() {
    let (_folder, file) = noop_of("0.2.9");
    assert_eq!(front(&file).virtually(&["GET /"]).statuses(), [200]);
}

#[test]
fn a_guest_of_a_later_contract_is_told_to_wait_for_a_later_simhost() {
    let (_folder, file) = noop_of("0.3.0");
    let report = front(&file).refusal();
    assert!(
        report.contains("mine.wasm needs simhost:service/config@0.3.0, simhost:service/handler@0.3.0"),
        "{report}"
    );
    assert!(report.contains("this simhost has simhost:service 0.1.0 and 0.2.3"), "{report}");
    assert!(report.contains("help: update simhost"), "{report}");
    assert!(!report.contains("is not a guest"), "{report}");
}

/// What is said of a guest with these imports.
fn refused(imports: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mine.wasm");
    fs::write(&file, component_with(imports, &module(""))).expect("the guest is written");
    front(&file).refusal()
}

#[test]
fn an_interface_that_a_later_simhost_has_is_named_with_its_version() {
    let report = refused("(import \"simhost:service/database@0.3.0\" (instance))");
    assert!(report.contains("mine.wasm needs simhost:service/database@0.3.0; this simhost has"), "{report}");
    let report = refused("(import \"simhost:service/leaps@0.2.99\" (instance))");
    assert!(report.contains("mine.wasm needs simhost:service/leaps@0.2.99; this simhost has"), "{report}");
}

#[test]
fn a_function_that_a_later_simhost_has_is_told_from_one_that_is_wrong() {
    let import =
        |version| format!("(import \"simhost:service/clock@{version}\" (instance (export \"leap\" (func))))");
    let report = refused(&import("0.2.9"));
    assert!(report.contains("needs `leap` of simhost:service/clock@0.2.9; this simhost has"), "{report}");
    let report = refused(&import("0.2.0"));
    assert!(report.contains("is not a guest: it does not fit the contract"), "{report}");
    // Only the interface that lacks something is named, and only what is missing is of a later simhost.
    let config = "(import \"simhost:service/config@0.2.9\" (instance))";
    let report = refused(&format!("{config}{}", import("0.2.9")));
    assert!(report.contains("needs `leap` of simhost:service/clock@0.2.9; this simhost has"), "{report}");
    let report = refused(
        "(import \"simhost:service/clock@0.2.9\" (instance (export \"now\" (func (result string)))))",
    );
    assert!(report.contains("is not a guest: it does not fit the contract"), "{report}");
    assert!(report.contains("simhost:service/clock@0.2.9") && !report.contains("update simhost"), "{report}");
}

#[test]
fn what_is_of_no_version_is_named_beside_what_is_of_a_later_one() {
    let report = refused(
        "(import \"simhost:service/sql@0.3.0\" (instance)) (import \"wasi:http/types@0.2.0\" (instance))",
    );
    assert!(report.contains("needs simhost:service/sql@0.3.0; this simhost has"), "{report}");
    assert!(
        report.contains("it also imports what simhost does not offer: wasi:http/types@0.2.0"),
        "{report}"
    );
}

#[test]
fn an_interface_that_a_known_version_lacks_is_told_from_those_that_it_has() {
    for version in ["0.1.7", "0.2.0"] {
        let report = refused(&format!("(import \"simhost:service/clocks@{version}\" (instance))"));
        let expected = format!("imports what simhost does not offer: simhost:service/clocks@{version}");
        assert!(report.contains(&expected), "{report}");
        assert!(
            report.contains("did you mean \"clock\"? Known interfaces of simhost:service 0."),
            "{report}"
        );
        assert!(!report.contains("update simhost"), "{report}");
    }
}

#[test]
fn a_guest_that_no_update_helps_is_told_what_to_build_it_for() {
    let (_folder, file) = noop_of("0.0.9");
    let report = front(&file).refusal();
    assert!(report.contains("it is too old: it exports simhost:service/handler@0.0.9"), "{report}");
    assert!(report.contains("help: build the guest for simhost:service 0.1.0 or 0.2.3"), "{report}");
    let exporting = |name: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mine.wasm");
        let text = format!("(component (instance $handler) (export \"{name}\" (instance $handler)))");
        fs::write(&file, wat::parse_str(text).expect("a component")).expect("the guest is written");
        front(&file).refusal()
    };
    let report = exporting("simhost:service/handler@0.2.0-rc.1");
    assert!(
        report.contains("a version that was not released: simhost:service/handler@0.2.0-rc.1"),
        "{report}"
    );
    let report = exporting("simhost:service/handler");
    assert!(report.contains("it exports simhost:service/handler without a version"), "{report}");
    assert!(report.contains("help: write `package simhost:service@0.2.3;` in its WIT file"), "{report}");
}

#[test]
fn a_handler_that_is_not_that_of_its_version_is_refused_by_function_and_version() {
    let (_folder, file) = noop_of("0.1.0");
    let report = front(&file).refusal();
    let expected = "it does not fit the contract: its function `routes` is not that of \
                    simhost:service/handler@0.1.0: expected `list` found `result`";
    assert!(report.contains(expected), "{report}");
}

#[test]
fn an_interface_that_there_never_was_is_not_offered() {
    let report = refused("(import \"simhost:service/telepathy@0.1.0\" (instance))");
    assert!(
        report.contains("it imports what simhost does not offer: simhost:service/telepathy@0.1.0"),
        "{report}"
    );
}

/// Every function of contract 0.1, as its WIT file has it.
const ALL_OF_0_1: &str = r#"
  (import "simhost:service/incoming@0.1.0" (instance
    (export "method" (func (result string)))
    (export "path-and-query" (func (result string)))
    (export "params" (func (result (list (tuple string string)))))
    (export "headers" (func (result (list (tuple string string)))))
    (export "header" (func (param "name" string) (result (option string))))
    (export "body" (func (result (list u8))))
  ))
  (import "simhost:service/bus@0.1.0" (instance
    (type $request' (record (field "method" string) (field "path-and-query" string)
      (field "headers" (list (tuple string string))) (field "body" (list u8))))
    (export "request" (type $request (eq $request')))
    (type $response' (record (field "status" u16) (field "headers" (list (tuple string string)))
      (field "body" (list u8))))
    (export "response" (type $response (eq $response')))
    (type $options' (record (field "timeout-ns" (option u64))))
    (export "call-options" (type $options (eq $options')))
    (type $error' (variant (case "unknown-service" string) (case "timeout") (case "refused" string)
      (case "reset" string) (case "depth-exceeded" u32) (case "invalid" string)))
    (export "call-error" (type $error (eq $error')))
    (export "pending" (type $pending (sub resource)))
    (type $answer (result $response (error $error)))
    (export "call" (func (param "service" string) (param "request" $request) (param "options" $options)
      (result $answer)))
    (export "[constructor]pending" (func (param "service" string) (param "request" $request)
      (param "options" $options) (result (own $pending))))
    (export "[method]pending.wait" (func (param "self" (borrow $pending)) (result $answer)))
  ))
  (import "simhost:service/tracing@0.1.0" (instance
    (type $value' (variant (case "text" string) (case "bool" bool) (case "int" s64) (case "float" f64)
      (case "texts" (list string)) (case "ints" (list s64))))
    (export "value" (type $value (eq $value')))
    (type $attributes (list (tuple string $value)))
    (type $kind' (enum "internal" "client" "server" "producer" "consumer"))
    (export "span-kind" (type $kind (eq $kind')))
    (type $status' (enum "unset" "ok" "error"))
    (export "status" (type $status (eq $status')))
    (type $context' (record (field "trace-id" string) (field "span-id" string) (field "sampled" bool)))
    (export "span-context" (type $context (eq $context')))
    (export "span" (type $span (sub resource)))
    (export "[constructor]span" (func (param "name" string) (param "kind" $kind)
      (param "attributes" $attributes) (result (own $span))))
    (export "[method]span.set-attributes" (func (param "self" (borrow $span)) (param "attributes" $attributes)))
    (export "[method]span.add-event" (func (param "self" (borrow $span)) (param "name" string)
      (param "attributes" $attributes)))
    (export "[method]span.record-error" (func (param "self" (borrow $span)) (param "kind" string)
      (param "message" string)))
    (export "[method]span.set-status" (func (param "self" (borrow $span)) (param "status" $status)
      (param "description" string)))
    (export "[method]span.update-name" (func (param "self" (borrow $span)) (param "name" string)))
    (export "[method]span.context" (func (param "self" (borrow $span)) (result $context)))
    (export "current" (func (result (option $context))))
    (export "annotate" (func (param "attributes" $attributes)))
    (export "get-baggage" (func (param "key" string) (result (option string))))
    (export "set-baggage" (func (param "key" string) (param "value" string)))
  ))
  (import "simhost:service/logging@0.1.0" (instance
    (type $value' (variant (case "text" string) (case "bool" bool) (case "int" s64) (case "float" f64)
      (case "texts" (list string)) (case "ints" (list s64))))
    (export "value" (type $value (eq $value')))
    (type $level' (enum "trace" "debug" "info" "warn" "error" "fatal"))
    (export "level" (type $level (eq $level')))
    (export "log" (func (param "level" $level) (param "message" string)
      (param "attributes" (list (tuple string $value)))))
  ))
  (import "simhost:service/clock@0.1.0" (instance
    (export "now" (func (result u64)))
    (export "sleep" (func (param "ns" u64)))
  ))
  (import "simhost:service/config@0.1.0" (instance
    (export "get" (func (param "key" string) (result (option string))))
    (export "all" (func (result (list (tuple string string)))))
  ))"#;

#[test]
fn every_function_of_0_1_is_still_there_with_its_types() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("all.wasm");
    fs::write(&file, component_with(ALL_OF_0_1, &module(""))).expect("the guest is written");
    assert_eq!(front(&file).virtually(&["GET /"]).statuses(), [200]);
}
