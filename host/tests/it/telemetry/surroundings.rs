//! What the environment and the system do to a run's telemetry: variables that are wrong, misspelt or
//! in vain, receivers that are none, files that may grow no more.

#[cfg(unix)]
use std::ffi::OsStr;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::support::{Finished, ORDER, Topology, finish, said, simhost};
use crate::telemetry::receiver::{Receiver, http as answer};

/// An order's run in virtual time, with these variables and flags.
fn order(variables: &[(&str, &str)], flags: &[&str]) -> Finished {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--show", "none"]);
    command.args(flags).env_remove("OTEL_METRICS_EXPORTER").envs(variables.iter().copied());
    tokio::task::block_in_place(|| finish(&mut command))
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_no_utf_8_is_refused_by_its_name() {
    let topology = Topology::orders();
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER", "OTEL_TRACES_SAMPLER"] {
        let mut command = topology.command(&["--virtual", "--request", ORDER]);
        let finished = finish(command.env(name, OsStr::from_bytes(b"a\xff\xfe5")));
        assert_eq!(finished.code, Some(2), "{name}");
        said(&finished, &[&format!("{name} is not UTF-8"), "write it as UTF-8, or unset it"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_for_receivers_are_checked_where_there_is_none() {
    let wrong = [
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "zz"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a"),
        ("OTEL_EXPORTER_OTLP_LOGS_INSECURE", "maybe"),
    ];
    let finished = order(&wrong, &[]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    wrong.iter().for_each(|(name, _)| said(&finished, &[name]));
    let finished = order(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")], &[]);
    finished.success();
    said(&finished, &["note: OTEL_EXPORTER_OTLP_COMPRESSION has no effect: no OTLP receiver is named"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_variable_is_told_from_those_of_other_programs() {
    let set = [
        ("OTEL_METRICS_EXPORTR", "none"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY", "delta"),
        ("OTEL_PYTHON_LOG_CORRELATION", "true"),
        ("OTEL_LOG_LEVEL", "info"),
    ];
    let finished = order(&set, &[]);
    finished.success();
    let told = finished.told();
    for note in [
        "note: OTEL_METRICS_EXPORTR has no effect: did you mean OTEL_METRICS_EXPORTER?",
        "note: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY has no effect: did you mean",
    ] {
        assert!(told.contains(note), "{told}");
    }
    assert_eq!(told.matches("did you mean").count(), 2, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_of_time_is_refused_with_its_unit() {
    let finished = order(&[("OTEL_METRIC_EXPORT_INTERVAL", "5s")], &[]);
    assert_eq!(finished.code, Some(2), "{finished:?}");
    said(&finished, &["OTEL_METRIC_EXPORT_INTERVAL is `5s`", "milliseconds, a whole number from 1 to"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_on_the_command_line_undoes_a_disabled_sdk() {
    for (variable, value) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_ENABLED", "false")] {
        let topology = Topology::orders();
        let out = topology.beside("records.jsonl");
        let finished = order(&[(variable, value)], &["--out", out.to_str().expect("a path")]);
        finished.success();
        said(&finished, &[&format!("note: {variable} has no effect: --out was given")]);
        assert!(std::fs::metadata(out).expect("the file is there").len() > 1_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_on_the_command_line_undoes_a_disabled_sdk() {
    let mut receiver = Receiver::http([]).await;
    let url = receiver.url();
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let finished = order(&[("OTEL_ENABLED", "false"), http], &["--otlp", &url]);
    finished.success();
    said(&finished, &["note: OTEL_ENABLED has no effect: --otlp was given"]);
    let paths: Vec<String> = receiver.rest().into_iter().map(|got| got.http().0).collect();
    assert!(paths.iter().any(|path| path == "/v1/traces"), "{paths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signal_can_be_left_out_beside_a_receiver_on_the_command_line() {
    let receiver = Receiver::http([]).await;
    let url = receiver.url();
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let finished = order(&[("OTEL_TRACES_EXPORTER", "none"), http], &["--otlp", &url]);
    finished.success();
    said(&finished, &["note: OTEL_TRACES_EXPORTER leaves the spans out, also with --otlp"]);
    let mut receiver = receiver;
    let paths: Vec<String> = receiver.rest().into_iter().map(|got| got.http().0).collect();
    assert!(paths.iter().any(|path| path == "/v1/metrics"), "{paths:?}");
    assert!(paths.iter().all(|path| path != "/v1/traces"), "{paths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_called_by_its_signal() {
    let receiver = Receiver::http_of(|path| match path {
        "/v1/metrics" => answer(400, &[], "no\ndigest: 00\nerror: all is lost"),
        _ => answer(200, &[("content-type", "application/x-protobuf")], ""),
    })
    .await;
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let finished = order(&[http], &["--otlp", &receiver.url()]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let told = finished.told();
    let points = " data points, refused for good: ";
    assert!(told.contains(points) && !told.contains("v1/traces"), "{told}");
    assert!(told.contains("no digest: 00 error: all is lost"), "{told}");
    assert!(told.lines().all(|line| !line.starts_with("digest") && line != "error: all is lost"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_receiver_is_warned_of() {
    let receiver = Receiver::http_of(|_| answer(200, &[("content-type", "text/html")], "<html>Log in")).await;
    let http = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    let finished = order(&[http], &["--otlp", &receiver.url()]);
    finished.success();
    said(&finished, &["warning: otlp ", "the answer is not OTLP", "check that it is an OTLP receiver"]);
    assert!(!finished.told().contains("tries again"), "{}", finished.told());
}

/// `ulimit -f`: the system sends SIGXFSZ, which ends who does not expect it.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_grow_no_more_is_an_error_with_whole_lines() {
    let topology = Topology::orders();
    let out = topology.beside("records.jsonl");
    let program = simhost().get_program().to_owned();
    let run = format!(
        "ulimit -f 6000; exec {:?} run {:?} --virtual --for 20s --load shoppers=on --show none --out {:?}",
        program,
        topology.path(),
        out
    );
    let finished = finish(Command::new("sh").args(["-c", &run]));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    said(&finished, &["File too large"]);
    let text = std::fs::read_to_string(out).expect("the file");
    assert!(text.ends_with('\n') && text.len() > 100_000, "{} bytes", text.len());
}
