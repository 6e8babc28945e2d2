//! Log records as lines: `--log-format`, `--log-out` and `--log-level`, with real guests.

use std::fs;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use crate::support::telemetry::{Log, Records};
use crate::support::{Finished, Topology, World, finish, refused, said};

/// A run of a guest that prints and logs, with these flags and a file of OTLP; standard error, and the file
/// of `--log-out logs`.
fn printing(flags: &[&str]) -> (Finished, Vec<Log>, String) {
    let world = World::of("probe", "").flags(flags);
    let (folder, mut command) = world.virtual_command(&["GET /print"]);
    let finished = finish(&mut command);
    let otlp = fs::read_to_string(folder.path().join(crate::support::OUT)).expect("OTLP");
    let lines = fs::read_to_string(folder.path().join("logs")).unwrap_or_default();
    (finished, Records::parse(&otlp).logs, lines)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// What the line of a log record is to be.
fn expected(log: &Log) -> Value {
    let time = jiff::Timestamp::from_nanosecond(log.time.into()).expect("an instant");
    let mut line = json!({
        "timestamp": format!("{time:.9}"),
        "level": log.severity,
        "service": log.service,
        "message": log.body,
        "trace_id": log.trace,
        "span_id": log.span,
    });
    if !log.attributes.is_empty() {
        line["attributes"] = log.attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    }
    line
}

#[test]
fn a_json_line_says_what_otlp_says_of_the_same_record() {
    let (finished, logs, text) = printing(&["--log-out", "logs"]);
    finished.success();
    assert_eq!(logs.len(), 9);
    assert_eq!(lines(&text), logs.iter().map(expected).collect::<Vec<_>>());
    assert!(text.starts_with(r#"{"timestamp":"2026-01-01T00:00:00."#), "{text}");
    assert!(finished.stdout.contains("file logs: 9 log records exported\n"), "{}", finished.stdout);
}

#[test]
fn standard_error_gets_the_same_lines_and_standard_output_the_report() {
    let (_, _, text) = printing(&["--log-out", "logs"]);
    let (finished, ..) = printing(&["--log-format", "json"]);
    finished.success();
    assert_eq!(finished.stderr, text);
    let (finished, ..) = printing(&["--log-out", "-"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), text.as_str()));
    said(&finished, &["tests: 1 request in", "standard output: 9 log records exported"]);
}

#[test]
fn a_text_line_has_the_same_for_a_person() {
    let (finished, logs, text) = printing(&["--log-out", "logs", "--log-format", "text"]);
    finished.success();
    let time = jiff::Timestamp::from_nanosecond(logs[6].time.into()).expect("an instant");
    let (trace, span) = (&logs[6].trace, &logs[6].span);
    let line = format!(
        "{time:.9} WARN  front a record with attributes print.text=text print.int=7 print.float=0.5 \
         print.bool=true print.texts=\"a, b\" print.ints=\"1, 2\" trace_id={trace} span_id={span}"
    );
    assert_eq!(text.lines().nth(6), Some(line.as_str()));
    assert_eq!(text.lines().count(), logs.len());
}

#[test]
fn lines_below_the_severity_are_left_out_and_nothing_else_is() {
    let (finished, logs, text) = printing(&["--log-out", "logs", "--log-level", "warn", "--json"]);
    finished.success();
    let levels: Vec<_> = lines(&text).iter().map(|line| line["level"].clone()).collect();
    assert_eq!((levels, logs.len()), (vec![json!("ERROR"), json!("WARN")], 9));
    let exporters = &finished.json()["telemetry"]["exporters"];
    let row = exporters.as_array().expect("a list").iter().find(|row| row["name"] == "file logs");
    let row = row.expect("the row of the lines");
    assert_eq!((&row["exported_logs"], &row["dropped"], &row["lost"]), (&json!(2), &json!(0), &json!(0)));
}

#[test]
fn lines_of_a_span_that_is_not_sampled_have_its_ids_all_the_same() {
    let world = World::of("probe", "").env("OTEL_TRACES_SAMPLER", "always_off");
    let (folder, mut command) = world.flags(&["--log-out", "logs"]).virtual_command(&["GET /print"]);
    finish(&mut command).success();
    let text = fs::read_to_string(folder.path().join("logs")).expect("lines");
    assert!(
        lines(&text).iter().all(|line| line["trace_id"].as_str().is_some_and(|id| id.len() == 32)),
        "{text}"
    );
}

#[test]
fn an_exception_is_a_line_with_its_attributes() {
    let world = World::of("trouble", "").env("OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN", "logs");
    let (folder, mut command) = world.flags(&["--log-out", "logs"]).virtual_command(&["GET /unreachable"]);
    finish(&mut command).success();
    let text = fs::read_to_string(folder.path().join("logs")).expect("lines");
    let all = lines(&text);
    let line = all.iter().find(|line| line["event_name"] == "http.server.request.exception").expect("a line");
    assert_eq!(
        (&line["level"], &line["attributes"]["exception.type"]),
        (&json!("ERROR"), &json!("guest_trap"))
    );
    assert_eq!(line["message"], line["attributes"]["exception.message"]);
    let stack = line["attributes"]["exception.stacktrace"].as_str().expect("a text");
    assert!(stack.contains('\n') && text.lines().count() == all.len(), "{text}");
}

#[test]
fn a_file_is_compressed_as_its_name_ends() {
    let (_, _, text) = printing(&["--log-out", "logs"]);
    for name in ["logs.gz", "logs.zst"] {
        let world = World::of("probe", "").flags(&["--log-out", name]);
        let (folder, mut command) = world.virtual_command(&["GET /print"]);
        finish(&mut command).success();
        let packed = fs::read(folder.path().join(name)).expect("the file");
        let mut unpacked = Vec::new();
        match name {
            "logs.gz" => drop(MultiGzDecoder::new(&packed[..]).read_to_end(&mut unpacked).expect("gzip")),
            _ => unpacked = zstd::stream::decode_all(&packed[..]).expect("zstd"),
        }
        assert_eq!(String::from_utf8_lossy(&unpacked), text, "{name}");
    }
}

/// A load on a service that logs each request, and warns of some.
fn logging(more: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"logging\"\n[ingress]\nto = \"shop\"\n[services.shop]\nguest = \"service\"\n\
         config = {{ work = \"2ms\", log = \"served\", warn = \"10% slow\" }}\n[[load]]\nname = \"visitors\"\nto = \"shop\"\n\
         request = {{ path = \"/\" }}\narrivals = {{ poisson = \"100/s\" }}\n{more}"
    );
    Topology::new("logging", text)
}

#[test]
fn a_line_that_is_lost_is_counted_and_fails_the_run() {
    let topology = logging("");
    let flags = ["--virtual", "--for", "2s", "--log-out", "/dev/full"];
    let finished = topology.run(&flags);
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    said(&finished, &["error: file /dev/full:", "records were lost", "No space left on device"]);
    let finished = topology.run(&[&flags[..], &["--lossy"]].concat());
    finished.success();
    said(&finished, &["warning: file /dev/full:"]);
}

#[test]
fn a_log_is_in_the_order_of_time_and_several_worlds_write_the_same_one_every_time() {
    let topology = logging("");
    let run = |name: &str, shards: &str| {
        topology.run(&["--virtual", "--for", "3s", "--shards", shards, "--log-out", name]).success();
        fs::read_to_string(topology.beside(name)).expect("lines")
    };
    let text = run("one", "1");
    let times: Vec<_> = lines(&text).iter().map(|line| line["timestamp"].to_string()).collect();
    assert!(times.len() > 250 && times.is_sorted(), "{} lines", times.len());
    let three = run("three", "3");
    assert!(three.lines().count() > 750, "{three}");
    assert_eq!(three, run("again", "3"));
}

#[test]
fn a_log_lies_beside_its_service_and_needs_no_receiver_that_is_up() {
    let down =
        "[[faults]]\nname = \"restarts\"\nkind = \"collector-down\"\nwhen = { at = \"1s\", for = \"2s\" }\n";
    let topology = logging(down);
    let mut command = topology.command(&["--for", "4s", "--log-out", "logs", "--json"]);
    let (finished, otlp) = topology.records_of(command.env("OTEL_BSP_MAX_QUEUE_SIZE", "20"));
    finished.success();
    let text = fs::read_to_string(topology.beside("logs")).expect("lines");
    let recorded = finished.json()["telemetry"]["logs"].as_u64().expect("a number") as usize;
    assert_eq!(lines(&text).len(), recorded);
    assert!(Records::parse(&otlp).logs.len() < recorded, "the file of OTLP stands for a receiver");
}

#[test]
fn in_real_time_lines_come_too() {
    let finished = logging("").run(&["--request", "GET /", "--log-format", "text"]);
    finished.success();
    said(&finished, &["INFO shop served trace_id="]);
}

#[test]
fn a_place_or_a_severity_that_cannot_be_meant_is_refused() {
    let topology = logging("");
    let run = |flags: &[&str]| topology.run(&[&["--virtual", "--for", "1s"], flags].concat());
    refused(&run(&["--out", "x", "--log-out", "./x"]), &["--out and --log-out both name ./x"]);
    refused(&run(&["--out", "-", "--log-out", "-"]), &["--out - and --log-out - both want standard output"]);
    refused(&run(&["--log-out", "logging.toml"]), &["--log-out logging.toml is the topology itself"]);
    refused(
        &run(&["--log-out", "no/such/folder"]),
        &["--log-out no/such/folder: ", "name a file in a folder"],
    );
    let level = run(&["--log-level", "warn"]);
    refused(
        &level,
        &["--log-level warn is asked for, and no log records are written", "add --log-format json"],
    );
    let wrong = run(&["--log-format", "json", "--log-level", "warning"]);
    refused(&wrong, &["invalid value 'warning'", "'warn'"]);
}

#[test]
fn lines_on_standard_error_are_not_written_over_a_file() {
    let topology = logging("");
    let flags = ["--virtual", "--for", "1s", "--log-format", "json", "--out", "x"];
    let finished = finish(&mut topology.in_shell("exec 2>x", &flags));
    assert_eq!(finished.code, Some(2));
    let text = fs::read_to_string(topology.beside("x")).expect("the file");
    assert!(text.contains("standard error and --out both name x"), "{text}");
}

/// What a run writes beside the lines is the same.
#[test]
fn lines_change_neither_the_digest_nor_the_report() {
    let topology = logging("");
    let digest = |flags: &[&str]| {
        let finished = topology.run(&[&["--virtual", "--for", "2s", "--json"], flags].concat());
        finished.success();
        finished.json()["digest"].clone()
    };
    assert_eq!(digest(&[]), digest(&["--log-out", "logs", "--log-level", "fatal"]));
}
