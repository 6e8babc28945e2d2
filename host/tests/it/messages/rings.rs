//! Consumers that send at least as many messages as they get: the run ends all the same, and says why.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Finished, Topology, interrupt, said};

/// `shop` sends one message for each request, and `mailer` does what `mail` says at each message of `orders`.
fn shop(rate: &str, mail: &str, partitions: u32) -> Topology {
    let text = format!(
        "[topology]\nname = \"shop\"\n\
         [services.shop]\nguest = \"service\"\n\
         config.place = {{ route = \"POST /orders/{{id}}\", publish = \"orders/{{id}}\" }}\n\
         [services.mailer]\nguest = \"service\"\nconfig.mail = {{ topic = \"orders\", {mail} }}\n\
         [topics.orders]\npartitions = {partitions}\n\
         [[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n\
         [[load]]\nname = \"shoppers\"\nto = \"shop\"\narrivals.constant = \"{rate}\"\n\
         request = {{ method = \"POST\", path = \"/orders/{{n}}\" }}\nvalues.n = {{ range = [1, 100] }}\n"
    );
    Topology::new("shop", text)
}

const TWICE: &str = "publish = \"orders/{key}, orders/{key}\"";

fn seconds(report: &Value, key: &str) -> u64 {
    report[key].as_u64().expect("a number") / 1_000_000_000
}

#[track_caller]
fn cut_off(finished: &Finished, words: &[&str]) -> Value {
    assert_eq!(finished.code, Some(1), "{}", finished.stderr);
    said(finished, words);
    finished.json()
}

#[test]
fn messages_that_lead_to_messages_do_so_for_a_day_after_the_last_request() {
    let topology = shop("1/s", &format!("work = \"30s\", {TWICE}"), 1);
    let report = cut_off(
        &topology.run(&["--virtual", "--for", "5s", "--json"]),
        &[
            "after the last request messages still lead to messages; the group \"mailer\" has",
            "messages of the topic \"orders\" left",
            "simhost check names the ring",
        ],
    );
    let hours = seconds(&report, "simulated_ns") / 3_600;
    assert!((24..=26).contains(&hours), "{hours} hours");
    assert!(report["topics"][0]["groups"][0]["lag_end"].as_u64() > Some(2_000), "{report}");
}

#[test]
fn messages_that_become_a_great_many_end_the_run() {
    let topology = shop("1/s", "publish = \"100x orders/{key}\"", 1_000);
    let report = cut_off(
        &topology.run(&["--virtual", "--for", "1s", "--json"]),
        &[
            "1 request or run of a job led to 110,001 messages, and 110,000 are the most; the group \"mailer\" has",
        ],
    );
    assert_eq!(report["topics"][0]["published"], 110_001, "{report}");
}

#[test]
fn a_backlog_is_worked_off_however_long_that_takes() {
    let topology = shop("50/s", "work = \"50s\"", 1);
    let finished = topology.run(&["--virtual", "--for", "40s", "--json"]);
    finished.success();
    let report = finished.json();
    let group = &report["topics"][0]["groups"][0];
    assert_eq!((&group["done"], &group["lag_end"]), (&2_000.into(), &0.into()));
    assert!(seconds(&report, "simulated_ns") > 2_000 * 50 - 50, "{report}");
}

#[test]
fn one_signal_ends_a_run_in_which_messages_lead_to_messages() {
    let topology = shop("50/s", TWICE, 100);
    let mut command = topology.command(&["--virtual", "--for", "10m", "--out", "-", "--show", "summary"]);
    let began = Instant::now();
    let (finished, _) = interrupt(&mut command);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    said(&finished, &["finishing what is under way", "mailer orders", " left "]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}
