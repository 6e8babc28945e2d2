//! `simhost traces`: traces of a file, chosen and drawn, by the real program.

use std::process::Stdio;

use crate::support::{Finished, Topology, finish, simhost};

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
    let whole = traces(&[&file, "--list", "--limit", "100000"]);
    let rows = whole.success().lines().filter(|line| line.contains("order-service POST /orders"));
    assert_eq!(rows.count(), count);
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
    assert_eq!(matched(&["--query", "{}"]), all);
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
    let choices: [&[&str]; 6] = [
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
fn traces_that_are_chosen_and_not_shown_are_refused() {
    let refused = Topology::orders().run(&["--virtual", "--for", "4s", "--errors", "--show", "summary"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.stderr.contains("traces are chosen, and --show summary shows none"),
        "{}",
        refused.stderr
    );
}
