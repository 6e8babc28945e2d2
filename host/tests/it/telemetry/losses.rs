//! What does not arrive is said and is an exit code: whole runs of the program, with
//! receivers that refuse, reject and cut.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use simhost::telemetry::exporter::{Exporter as _, Reason};
use tonic::Status;

use crate::support::{Finished, ORDER, Topology, finish};
use crate::telemetry::receiver::{Answer, Receiver, http as answer};
use crate::telemetry::records::{resources, spans};
use crate::telemetry::sending::{
    LONG, export, flush, grpc, http, options, spans as count, start, traces_only,
};
use simhost::telemetry::signal::Count;

/// An order's run in virtual time that exports to `url`.
fn order(url: &str, arguments: &[&str]) -> Finished {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--otlp", url]);
    command.args(arguments).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    tokio::task::block_in_place(|| finish(&mut command))
}

/// An order's run in virtual time that exports to `url` over HTTP.
fn order_over_http(url: &str) -> Finished {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--otlp", url]);
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    tokio::task::block_in_place(|| finish(&mut command))
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_records_are_said_and_an_exit_code_whatever_is_shown() {
    for shown in [&["--show", "none"][..], &["--show", "summary"], &["--json"], &["--json", "--show", "none"]]
    {
        let receiver = Receiver::grpc([Answer::Partial(3, "one was too blue")]).await;
        let Finished { code, stdout, stderr } = order(&receiver.url(), shown);
        let said = format!(
            "error: otlp {}: 3 of 17 records were lost: 3 spans, rejected: one was too blue\n",
            receiver.url()
        );
        assert!(stderr.contains(&said), "{shown:?}: {stderr}");
        assert_eq!(code, Some(1), "{shown:?}");
        match shown {
            ["--show", "none"] => assert_eq!(stdout, ""),
            ["--show", "summary"] => assert!(stdout.contains("\n  rejected: one was too blue\n"), "{stdout}"),
            ["--json"] => {
                let report: Value = serde_json::from_str(&stdout).unwrap();
                let exporter = &report["telemetry"]["exporters"][0];
                assert_eq!((&exporter["rejected"], &exporter["lost"]), (&3.into(), &3.into()));
                assert_eq!(exporter["rejected_reason"], "one was too blue");
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_losses_fits_the_page() {
    let receiver = Receiver::grpc([Answer::Partial(3, "one of them was a good deal too blue")]).await;
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--otlp", &receiver.url()]);
    command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").env("COLUMNS", "80");
    let finished = tokio::task::block_in_place(|| finish(&mut command));
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.lines().all(|line| line.chars().count() <= 80), "{}", finished.stderr);
    assert!(finished.stderr.contains("\n  help: make sure that the receiver"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn losses_that_are_accepted_are_said_all_the_same() {
    let receiver = Receiver::grpc([Answer::Partial(3, "one was too blue")]).await;
    let finished = order(&receiver.url(), &["--lossy", "--show", "none"]);
    finished.success();
    let said = format!("warning: otlp {}: 3 of 17 records were lost: ", receiver.url());
    assert!(finished.stderr.contains(&said), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_says_of_records_that_it_accepts_is_passed_on() {
    let receiver = Receiver::grpc([Answer::Partial(0, "use the new endpoint")]).await;
    let finished = order(&receiver.url(), &["--show", "none"]);
    finished.success();
    let said = format!("warning: otlp {}: the receiver says: use the new endpoint\n", receiver.url());
    assert_eq!(finished.stderr, said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_good_says_so_and_is_not_tried_again() {
    for status in [
        Status::unauthenticated("no"),
        Status::permission_denied("no"),
        Status::unimplemented("no"),
        Status::invalid_argument("no"),
    ] {
        let receiver = Receiver::grpc([Answer::Refuse(status)]).await;
        refused_for_good(&order(&receiver.url(), &[]));
    }
    for status in [400, 401, 403, 404] {
        let receiver = Receiver::http([answer(status, &[], "no")]).await;
        refused_for_good(&order_over_http(&receiver.url()));
    }
}

#[track_caller]
fn refused_for_good(finished: &Finished) {
    let stderr = finished.told();
    assert_eq!(finished.code, Some(1), "{stderr}");
    assert!(stderr.contains(": 17 of 17 records were lost: 17 spans, refused for good: "), "{stderr}");
    assert!(!stderr.contains("tries again"), "{stderr}");
}

/// Its faults are a part of the system that is simulated, as it is asked for.
#[test]
fn what_a_fault_of_the_topology_keeps_from_the_receivers_is_no_loss() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../topologies/faults/collector-down.toml");
    let topology = Topology::new("collector-down", std::fs::read_to_string(path).unwrap());
    let mut command = topology.command(&["--for", "60s", "--seed", "7"]);
    command.env("OTEL_BSP_MAX_QUEUE_SIZE", "500");
    let (finished, _) = topology.records_of(&mut command);
    assert!(finished.success().contains("the receivers were down"), "{}", finished.stdout);
    assert!(!finished.stderr.contains("lost"), "{}", finished.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_arrives_in_parts() {
    let mut batch = spans(100);
    batch.spans[30].name = "x".repeat(2_000).into();
    for is_grpc in [true, false] {
        let (mut receiver, endpoint) = if is_grpc {
            let receiver = Receiver::grpc_up_to(1_500).await;
            let endpoint = grpc(&receiver.url());
            (receiver, endpoint)
        } else {
            let receiver = Receiver::http_up_to(1_500).await;
            let endpoint = http(&receiver.url());
            (receiver, endpoint)
        };
        let totals = export(&traces_only(endpoint), &options(), &[batch.clone(), spans(50)]);
        assert_eq!((totals.exported, totals.rejected.count), (count(149), count(1)), "{totals:?}");
        assert_eq!(totals.dropped.len(), 0, "{totals:?}");
        let reason = totals.rejected.message.unwrap();
        assert!(reason.contains("too large") || reason.contains("413"), "{reason}");
        let names: Vec<_> =
            receiver.rest().into_iter().flat_map(crate::telemetry::receiver::Got::span_names).collect();
        assert_eq!(names.len(), 149, "each once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_request_that_is_accepted_is_no_longer_in_flight() {
    let receiver = Receiver::grpc_up_to(1_500).await;
    let mut exporter = start(&traces_only(grpc(&receiver.url())), &options());
    let account = exporter.account();
    let (of, seen) = (Arc::clone(&account), Arc::new(Mutex::new(Vec::new())));
    let all = Arc::clone(&seen);
    account.traffic.watch(move |_| {
        let (exported, in_flight) = (of.totals().exported.records(), of.traffic.in_flight().records());
        all.lock().unwrap().push((exported, exported + in_flight, of.traffic.set_out().records()));
    });
    exporter.export(&spans(100), &resources());
    flush(&mut exporter, LONG);
    let seen = seen.lock().unwrap();
    assert!(seen.iter().any(|(exported, ..)| (1..100).contains(exported)), "{seen:?}");
    assert!(seen.iter().all(|(_, all, set_out)| (*all, *set_out) == (100, 100)), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_receivers_of_other_makes_say_of_a_large_request_is_understood() {
    let said = Status::resource_exhausted("grpc: received message larger than max (5242880 vs. 4194304)");
    let mut receiver = Receiver::grpc([Answer::Refuse(said)]).await;
    let totals = export(&traces_only(grpc(&receiver.url())), &options(), &[spans(9)]);
    assert_eq!((totals.exported, totals.retried, totals.trouble.is_some()), (count(9), 1, true));
    let records: Vec<_> = receiver.rest().into_iter().map(|got| got.span_names().len()).collect();
    assert_eq!(records, [9, 4, 5]);
    assert_eq!(totals.lost(), Count::default());
    assert!(!totals.dropped.contains_key(&Reason::Refused));
}
