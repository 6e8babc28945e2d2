//! The line on a terminal that says how far a run has come.

use std::os::fd::OwnedFd;
use std::process::Stdio;

use crate::support::{ORDER, Topology, terminal};

/// What a run writes to a terminal that is its standard error, and what it prints.
fn on_terminal(arguments: &[&str]) -> (String, String) {
    let (terminal, stderr) = terminal::open();
    let topology = Topology::orders();
    let mut command = topology.command(arguments);
    command.env("TERM", "xterm").stdout(Stdio::piped()).stderr(OwnedFd::from(stderr));
    let child = command.spawn().expect("the program starts");
    // It holds the terminal's other side, and would keep it open.
    drop(command);
    let written = terminal::read(terminal);
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0), "{written}");
    (written, String::from_utf8_lossy(&output.stdout).into_owned())
}

const CLEAR_LINE: &str = "\u{1b}[2K";

#[test]
fn a_run_on_a_terminal_says_how_far_it_has_come_and_clears_the_line() {
    let arguments = ["--listen", "127.0.0.1:0", "--for", "1200ms", "--show", "summary", "--out", "spans"];
    let (terminal, stdout) = on_terminal(&arguments);
    assert!(terminal.contains(" of 1.2s, 0 requests, 0 errors, 0 spans exported, 0 waiting"), "{terminal:?}");
    assert!(terminal.contains("listening on http://127.0.0.1:"), "{terminal:?}");
    let (before, after) = terminal.rsplit_once(CLEAR_LINE).expect("the line is cleared");
    assert!(before.contains(" of 1.2s, ") && !after.contains(" of 1.2s, "), "{terminal:?}");
    assert!(stdout.starts_with("orders: 0 requests in 1.2"), "{stdout}");
}

#[test]
fn traces_and_short_runs_show_no_line() {
    let (terminal, _) = on_terminal(&["--virtual", "--request", ORDER]);
    assert_eq!(terminal, "");
    let traces = ["--listen", "127.0.0.1:0", "--for", "1200ms", "--show", "traces"];
    let (terminal, _) = on_terminal(&traces);
    assert!(!terminal.contains(" of 1.2s, ") && !terminal.contains(CLEAR_LINE), "{terminal:?}");
}
