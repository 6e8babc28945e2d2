//! Consumers that send at least as many messages as they get: the run ends all the same, and says why.

use serde_json::Value;

use crate::support::{Finished, Topology, finish, interrupt, said, telemetry};

/// `shop` sends one message for each request, and `mailer` does what `mail` says at each message of `orders`.
fn shop(rate: &str, mail: &str, partitions: u32) -> Topology {
    Topology::new("shop", text(rate, mail, partitions))
}

fn text(rate: &str, mail: &str, partitions: u32) -> String {
    format!(
        "[topology]\nname = \"shop\"\n\
         [services.shop]\nguest = \"service\"\n\
         config.place = {{ route = \"POST /orders/{{id}}\", publish = \"orders/{{id}}\" }}\n\
         [services.mailer]\nguest = \"service\"\nconfig.mail = {{ topic = \"orders\", {mail} }}\n\
         [topics.orders]\npartitions = {partitions}\n\
         [[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n\
         [[load]]\nname = \"shoppers\"\nto = \"shop\"\narrivals.constant = \"{rate}\"\n\
         request = {{ method = \"POST\", path = \"/orders/{{n}}\" }}\nvalues.n = {{ range = [1, 100] }}\n"
    )
}

const TWICE: &str = "publish = \"orders/{key}, orders/{key}\"";

fn seconds(report: &Value, key: &str) -> u64 {
    report[key].as_u64().expect("a number") / 1_000_000_000
}

/// How many messages each topic has got.
fn published(report: &Value) -> Vec<(&str, u64)> {
    let topics = report["topics"].as_array().expect("topics").iter();
    topics
        .map(|topic| {
            (topic["topic"].as_str().unwrap_or_default(), topic["published"].as_u64().unwrap_or_default())
        })
        .collect()
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
            "after the last request messages still go round (orders -> orders); the group \"mailer\" has",
            "messages of the topic \"orders\" left",
            "or send to a topic outside of the ring",
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
            "1 request or run of a job led to 110,001 messages that go round (orders -> orders), and 110,000 are the \
             most; the group \"mailer\" has",
        ],
    );
    // The first leads back to no other.
    assert_eq!(report["topics"][0]["published"], 110_002, "{report}");
}

#[test]
fn messages_beside_a_ring_of_several_topics_count_with_its_own() {
    let ring = text("1/s", "publish = \"100x mails/{key}\"", 100)
        + "[services.back]\nguest = \"service\"\n\
           config.mail = { topic = \"mails\", publish = \"orders/{key}, audit/{key}\" }\n\
           [topics.mails]\n[topics.audit]\n[[subscriptions]]\ntopic = \"mails\"\nservice = \"back\"\n";
    let report = cut_off(
        &Topology::new("ring", ring).run(&["--virtual", "--for", "1s", "--json"]),
        &["led to 110,001 messages that go round (", " -> mails -> ", "), and 110,000 are the most; "],
    );
    // One order, a hundred mails and as many for the audit come before any that leads back.
    let published = published(&report);
    assert_eq!(published.iter().map(|(_, published)| published).sum::<u64>(), 110_202, "{published:?}");
    assert!(
        published.iter().any(|(topic, published)| *topic == "audit" && *published > 1_000),
        "{published:?}"
    );
}

#[test]
fn as_many_messages_as_the_bound_of_one_request_are_all_sent_beside_its_own() {
    let fan = text("1/s", "publish = \"200x mails/{key}\"", 10) + "[topics.mails]\n";
    let fan = fan.replace("publish = \"orders/{id}\"", "publish = \"1000x orders/{id}\"");
    let finished = Topology::new("fan", fan).run(&["--virtual", "--for", "1s", "--json"]);
    finished.success();
    let report = finished.json();
    assert_eq!(published(&report), [("orders", 1_000), ("mails", 200_000)]);
    assert_eq!(report["topics"][0]["groups"][0]["done"], 1_000);
}

#[test]
fn a_consumer_that_sends_a_great_many_for_each_message_ends_the_run() {
    let fan = text("1/s", "publish = \"1000x mails/{key}\"", 100) + "[topics.mails]\npartitions = 100\n";
    let fan = fan.replace("publish = \"orders/{id}\"", "publish = \"1000x orders/{id}\"");
    let topology = Topology::new("fan", fan);
    let mut command = topology.command(&["--virtual", "--for", "1s", "--json"]);
    let report = cut_off(
        &finish(command.env("OTEL_SDK_DISABLED", "true")),
        &[
            "1 request or run of a job led to 200,001 messages that consumers sent, the last by \"mailer\" to the topic \
             \"mails\" (shop -> orders -> mailer -> mails), and 200,000 are the most; the group \"mailer\" has",
            "messages of the topic \"orders\" left",
            "let a consumer send fewer messages for each one that it takes",
        ],
    );
    let published = published(&report);
    assert_eq!(published[1], ("mails", 200_001), "{published:?}");
    assert!(published[0].1 <= 1_000, "{published:?}");
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

/// Requests that take the machine more than a second each follow each other, so that the signal comes while
/// one is under way.
#[test]
fn one_signal_gives_up_no_request_where_groups_have_work_too() {
    let tables = ["a", "b"].map(|table| {
        format!(
            "CREATE TABLE {table} (n int); INSERT INTO {table} SELECT n FROM generate_series(1, 600) AS n; "
        )
    });
    let text = format!(
        "[topology]\nname = \"slow\"\n[limits]\nrequest-time = \"1h\"\n\
         [services.front]\nguest = \"service\"\nconfig = {{ calls = \"100x shop\", publish = \"orders\" }}\n\
         [services.shop]\nguest = \"service\"\ndatabases.shop = {{}}\n\
         config = {{ sql-in = \"shop\", sql = \"SELECT count(*) FROM a, b WHERE a.n + b.n = 7\" }}\n\
         [services.mailer]\nguest = \"service\"\nconfig.mail = {{ topic = \"orders\" }}\n\
         [databases.shop]\ntables = \"{}\"\n[topics.orders]\n\
         [[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n\
         [[load]]\nname = \"one\"\nto = \"front\"\nrequest = {{ path = \"/\" }}\narrivals.constant = \"0.05/s\"\n",
        tables.concat()
    );
    let topology = Topology::new("slow", text);
    let mut command = topology.command(&["--virtual", "--for", "8000h", "--out", "-", "--show", "summary"]);
    // Records leave without waiting for further ones.
    let (finished, text) =
        interrupt(command.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1").env("OTEL_BSP_MAX_QUEUE_SIZE", "1"));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(!finished.stderr.contains("given up"), "{}", finished.stderr);
    said(&finished, &["finishing what is under way", "front GET /", "mailer orders"]);
    // A request has its own span, three for each call, one that sends, and one of the mailer.
    let spans = telemetry::read(&text);
    let requests = spans.iter().filter(|span| span.name == "send orders").count();
    assert!(requests > 0 && spans.len() == 303 * requests, "{requests} requests of {} spans", spans.len());
}

#[test]
fn one_signal_ends_a_run_in_which_messages_lead_to_messages() {
    let topology = shop("50/s", TWICE, 100);
    let mut command = topology.command(&["--virtual", "--for", "10m", "--out", "-", "--show", "summary"]);
    let (finished, _) = interrupt(&mut command);
    // One that its bound ends fails.
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    said(&finished, &["finishing what is under way", "mailer orders", " left "]);
}
