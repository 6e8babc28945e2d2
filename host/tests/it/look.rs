//! What people read fits the page they read it on: narrow ones, files, screen readers.

use crate::support::{Finished, ORDER, Topology, finish, simhost, terminal};

/// A run with tables, a timeline, errors and a trace.
fn run(columns: &str, flags: &[&str]) -> Finished {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--for", "20s", "--fault", "payment-errors=on"]);
    finish(command.args(flags).env("COLUMNS", columns))
}

#[test]
fn the_report_fits_the_page_and_its_numbers_are_whole() {
    for columns in [60, 80, 100] {
        let finished = run(&columns.to_string(), &["--show", "summary"]);
        let report = finished.success();
        let tables = report.split("\nfault ").next().expect("tables");
        for line in tables.lines() {
            assert!(line.chars().count() <= columns, "{columns}: {line}");
        }
        // The columns that people look at first are always there.
        for head in ["requests", "p95", "errors"] {
            assert!(tables.lines().any(|line| line.contains(head)), "{columns}, {head}: {tables}");
        }
        let is_narrow = tables.contains("left out of some tables");
        assert!(is_narrow || columns > 60, "{tables}");
    }
}

/// What was drawn on a terminal has its colours, and no escape in letters.
fn coloured(drawn: &str) {
    assert!(drawn.contains("\u{1b}["), "{drawn:?}");
    for letters in ["\\u001b", "\\x1b", "?["] {
        assert!(!drawn.contains(letters), "{letters}: {drawn:?}");
    }
}

#[test]
fn traces_and_differences_have_their_colours_on_a_terminal() {
    let topology = Topology::orders();
    topology.run(&["--virtual", "--for", "4s", "--out", "spans.jsonl", "--show", "none"]).success();
    let mut traces = simhost();
    traces.arg("traces").arg(topology.beside("spans.jsonl")).args(["--slowest", "1"]);
    let mut diff = simhost();
    diff.arg("diff").arg(topology.path()).args(["--with", "slow-index-scan", "--for", "4s"]);
    let run = topology.command(&["--virtual", "--for", "4s", "--slowest", "1"]);
    for command in [traces, diff, run] {
        let shown = terminal::shown(command);
        coloured(&shown);
        assert!(shown.contains("POST /orders"), "{shown:?}");
    }
}

#[test]
fn a_difference_and_what_is_said_of_it_fit_the_page() {
    let topology = Topology::orders();
    let mut command = simhost();
    command.arg("diff").arg(topology.path()).args(["--with", "slow-index-scan", "--for", "20s"]);
    let finished = finish(command.env("COLUMNS", "80"));
    for line in finished.success().lines().chain(finished.stderr.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn plain_output_has_no_lines_bars_or_symbols() {
    let topology = Topology::orders();
    let traces = topology.run(&["--virtual", "--plain", "--request", ORDER]);
    let report = run("100", &["--show", "summary", "--plain"]);
    for text in [traces.success(), report.success()] {
        let drawn = text.chars().find(|char| matches!(char, '\u{2190}'..='\u{27ff}'));
        assert_eq!(drawn, None, "{text}");
    }
    assert!(traces.stdout.contains("serves POST /orders 201"), "{}", traces.stdout);
    assert!(report.stdout.contains("timeline: of intervals of"), "{}", report.stdout);

    let wrong = Topology::new(
        "wrong",
        "[topology]\nname = \"wrong\"\n[services.a]\nguest = \"service\"\nworker = 1\n",
    );
    let refused = wrong.run(&["--plain"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("did you mean \"workers\"?"), "{}", refused.stderr);
    assert!(!refused.stderr.contains(['╭', '│', '×']), "{}", refused.stderr);
}

#[test]
fn colours_are_used_where_they_are_asked_for() {
    let topology = Topology::orders();
    let has_colours = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = topology.command(&["--virtual", "--request", ORDER]);
        let finished = finish(command.args(flags).envs(variables.iter().copied()));
        finished.success().contains("\u{1b}[")
    };
    assert!(!has_colours(&[], &[]));
    assert!(has_colours(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(!has_colours(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(has_colours(&[], &[("CLICOLOR_FORCE", "1")]));
}
