//! No file that a run writes is another one of its files, however it is spelt.

use std::fs;
use std::path::Path;

use crate::support::{Finished, ORDER, Topology, finish, guest};

/// Refused before anything starts, with these words, and the files as they were.
#[track_caller]
fn refused(topology: &Topology, arguments: &[&str], words: &str) {
    let before = files(topology);
    let finished = topology.run(&[&["--virtual", "--request", ORDER], arguments].concat());
    let Finished { code, stdout, stderr } = &finished;
    assert_eq!((*code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
    assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    assert_eq!(before, files(topology), "{arguments:?}");
}

/// Names and contents of all that lies beside the topology.
fn files(topology: &Topology) -> Vec<(String, Vec<u8>)> {
    let folder = topology.path();
    let entries = fs::read_dir(folder.parent().unwrap()).unwrap().map(Result::unwrap);
    let read = |path: &Path| fs::read(path).unwrap_or_default();
    let mut files: Vec<_> =
        entries.map(|entry| (format!("{:?}", entry.path()), read(&entry.path()))).collect();
    files.sort();
    files
}

#[cfg(unix)]
#[test]
fn two_outputs_that_are_one_file_are_refused() {
    use std::os::unix::fs::symlink;
    let topology = Topology::orders();
    // Links to a file that is not there yet, over a folder and over another link.
    symlink("spans.jsonl", topology.beside("link.jsonl")).unwrap();
    symlink("link.jsonl", topology.beside("far.jsonl")).unwrap();
    fs::create_dir(topology.beside("folder")).unwrap();
    symlink("../spans.jsonl", topology.beside("folder/up.jsonl")).unwrap();
    let pairs = [
        ("spans.jsonl", "link.jsonl"),
        ("spans.jsonl", "far.jsonl"),
        ("folder/../spans.jsonl", "folder/up.jsonl"),
    ];
    for (out, truth) in pairs {
        refused(
            &topology,
            &["--out", out, "--truth", truth],
            &format!("--out and --truth both name {truth}"),
        );
    }
    // Two names of one file.
    fs::write(topology.beside("old.jsonl"), "old").unwrap();
    fs::hard_link(topology.beside("old.jsonl"), topology.beside("hard.jsonl")).unwrap();
    let flags = ["--out", "old.jsonl", "--truth", "hard.jsonl"];
    refused(&topology, &flags, "--out and --truth both name hard.jsonl");
    // What a second world writes meanwhile.
    let flags = ["--out", "t.jsonl.shard-1", "--truth", "t.jsonl", "--shards", "2", "--for", "1s"];
    let finished = topology.run(&[&["--virtual"], &flags[..]].concat());
    assert_eq!(finished.code, Some(2), "{}", finished.stderr);
    assert!(finished.stderr.contains("both name t.jsonl.shard-1"), "{}", finished.stderr);
}

/// A folder of files below `/dev`, which is there on Linux.
#[cfg(target_os = "linux")]
#[test]
fn two_outputs_in_shared_memory_that_are_one_file_are_refused() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = folder.path().join("a.jsonl").display().to_string();
    let topology = Topology::orders();
    refused(&topology, &["--out", &path, "--truth", &path], &format!("--out and --truth both name {path}"));
    // Those that are no files, or are open already, may be named twice.
    for device in ["/dev/null", "/dev/stderr"] {
        let flags = ["--virtual", "--request", ORDER, "--out", device, "--truth", device];
        finish(&mut topology.command(&flags)).success();
    }
}

#[cfg(unix)]
#[test]
fn standard_output_that_goes_to_the_file_of_an_output_is_refused() {
    let topology = Topology::orders();
    let report = fs::File::create(topology.beside("spans.jsonl")).unwrap();
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--out", "spans.jsonl"]);
    let output = command.stdout(report).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("standard output and --out both name spans.jsonl"), "{stderr}");
    // As the file that it is asked for, it is one output alone.
    let report = fs::File::create(topology.beside("spans.jsonl")).unwrap();
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--out", "-"]);
    assert!(command.stdout(report).status().unwrap().success());
}

#[cfg(unix)]
#[test]
fn an_output_that_is_a_certificate_or_a_key_of_the_exporter_is_refused() {
    let topology = Topology::orders();
    for name in ["ca.pem", "own.pem", "key.pem"] {
        fs::write(topology.beside(name), name).unwrap();
    }
    fs::hard_link(topology.beside("key.pem"), topology.beside("hard.pem")).unwrap();
    let named = [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem", "ca.pem"),
        ("OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "own.pem", "./own.pem"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key.pem", "hard.pem"),
    ];
    for (name, file, output) in named {
        for flag in ["--out", "--truth"] {
            let mut command = topology.command(&["--virtual", "--request", ORDER, flag, output]);
            let refused = finish(command.env(name, file));
            assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{}", refused.stderr);
            let words = format!("{flag} {output} is the file that {name} names");
            assert!(refused.stderr.contains(&words), "{}", refused.stderr);
            assert_eq!(fs::read_to_string(topology.beside(file)).unwrap(), file);
        }
    }
}

#[cfg(unix)]
#[test]
fn an_output_that_is_an_input_is_refused() {
    use std::os::unix::fs::symlink;
    let loads = "[[load]]\nname = \"recorded\"\nto = \"order-service\"\nrequest = { path = \"/health\" }\n\
                 arrivals = { replay = \"arrivals.txt\" }\nreal-time = false\n";
    let topology = Topology::orders();
    let text = format!("{}\n{loads}", fs::read_to_string(topology.path()).unwrap());
    let topology = Topology::new("orders", text);
    fs::write(topology.beside("arrivals.txt"), "1\n2\n").unwrap();
    fs::copy(guest("payment"), topology.beside("mine.wasm")).unwrap();
    symlink("orders.toml", topology.beside("link.toml")).unwrap();
    fs::hard_link(topology.beside("arrivals.txt"), topology.beside("hard.txt")).unwrap();
    for flag in ["--out", "--truth"] {
        for itself in ["orders.toml", "./orders.toml", "link.toml"] {
            refused(&topology, &[flag, itself], "is the topology itself, and would be lost");
        }
        for recorded in ["arrivals.txt", "hard.txt"] {
            refused(
                &topology,
                &[flag, recorded],
                "is a file that the load recorded reads, and would be lost",
            );
        }
        let swap = ["--guest", "payment-service=mine.wasm", flag, "mine.wasm"];
        refused(&topology, &swap, "is a guest itself, and would be lost");
    }
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--out", "spans.jsonl"]);
    finish(&mut command).success();
}
