//! What becomes of the truth when somebody wants it who cannot have it, or is killed.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::Topology;
use crate::support::server::Server;

use super::{BOTH, lines, records, told, written};

#[test]
fn a_full_disk_is_told_once_and_the_run_goes_on() {
    let topology = Topology::orders();
    let flags = [&["--virtual", "--for", "2s", "--truth", "/dev/full"], &BOTH[..]].concat();
    let finished = topology.run(&flags);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    assert!(finished.stdout.contains("fault slow-index-scan: matched"), "{}", finished.stdout);
    let (whole, lines) = told(&topology, &["--for", "2s"]);
    assert_eq!(whole.stdout, finished.stdout);
    let said = format!("error: --truth /dev/full: {} lines were lost: No space left on device", lines.len());
    assert_eq!(finished.stderr.matches(&said).count(), 1, "{}", finished.stderr);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_failure() {
    let topology = Topology::orders();
    let flags = [&["--virtual", "--for", "5s", "--truth", "-"], &BOTH[..]].concat();
    let mut command = topology.command(&flags);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut first).expect("a line");
    assert!(first.starts_with("{\"record\":\"run\""), "{first}");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_file_that_cannot_be_is_refused_before_anything_runs() {
    let topology = Topology::orders();
    let itself = topology.path();
    let itself = itself.to_str().expect("a path in text");
    let cases: [(&[&str], &str); 7] = [
        (&["--truth", "nowhere/truth.jsonl"], "--truth nowhere/truth.jsonl: No such file"),
        (&["--truth", "-", "--out", "-"], "both want standard output"),
        (&["--truth", "x.jsonl", "--out", "x.jsonl"], "--out and --truth both name x.jsonl"),
        (&["--truth", "./x.jsonl", "--out", "x.jsonl"], "--out and --truth both name ./x.jsonl"),
        (&["--truth", itself], "is the topology itself, and would be lost"),
        (&["--out", itself], "is the topology itself, and would be lost"),
        (&["--truth", "-", "--shards", "2"], "several shards cannot share standard output"),
    ];
    for (flags, said) in cases {
        let finished = topology.run(&[&["--virtual", "--for", "1s"], flags].concat());
        assert_eq!(finished.code, Some(2), "{flags:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(said), "{}", finished.stderr);
        assert_eq!(finished.stdout, "");
    }
}

/// Every line is out when the answer is: no buffer has it.
#[test]
fn a_run_that_is_killed_leaves_all_that_has_happened() {
    let topology = Topology::orders();
    let server = Server::start(&topology, &[&["--truth", "truth.jsonl"], &BOTH[..]].concat());
    let mut connection = server.connect();
    for _ in 0..3 {
        connection.order(2, &[]);
    }
    server.signal("-KILL");
    assert_eq!(server.ended().code, None);
    let lines = lines(&written(&topology));
    let slow = records(&lines, "firing").into_iter().filter(|line| line["fault"] == "slow-index-scan");
    assert_eq!(slow.count(), 3);
    assert!(records(&lines, "summary").is_empty());
}
