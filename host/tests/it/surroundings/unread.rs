//! Who closes the pipe has seen enough: the run ends, and says nothing more.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::support::{PATIENCE, Topology};

/// Runs it until it has written a line, and closes the pipe; its exit code and what
/// standard error says.
fn closed(command: &mut Command) -> (Option<i32>, String) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert!(!line.is_empty());
    drop(stdout);
    let (tell, told) = std::sync::mpsc::channel();
    let mut stderr = child.stderr.take().expect("a pipe");
    std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).expect("text");
        tell.send(text).ok();
    });
    let said = told.recv_timeout(PATIENCE);
    if said.is_err() {
        child.kill().expect("it can be ended");
    }
    (child.wait().expect("it ends").code(), said.expect("it ends by itself"))
}

/// It would take days.
#[test]
fn a_run_ends_when_its_traces_are_read_no_more() {
    let real = ["--speed", "100", "--for", "8000h", "--listen", "127.0.0.1:0", "--load", "shoppers=on"];
    for time in [&["--virtual", "--for", "8000h"][..], &real] {
        let topology = Topology::orders();
        let (code, said) = closed(topology.command(time).args(["--show", "traces"]));
        assert_eq!(code, Some(0), "{said}");
        let said: Vec<_> = said.lines().filter(|line| !line.starts_with("listening on ")).collect();
        assert_eq!(said, Vec::<&str>::new(), "{time:?}");
    }
}

#[test]
fn a_run_ends_when_its_records_or_its_truth_are_read_no_more() {
    let topology = Topology::orders();
    for flag in ["--out", "--truth"] {
        let mut command =
            topology.command(&["--virtual", "--for", "8000h", "--fault", "slow-index-scan=on", flag, "-"]);
        let (code, said) = closed(&mut command);
        assert_eq!(code, Some(0), "{flag}: {said}");
        assert!(said.contains("orders: "), "the report is on standard error: {said}");
        for spurious in ["warning", "finishing", "times real time"] {
            assert!(!said.contains(spurious), "{flag}: {said}");
        }
    }
}
