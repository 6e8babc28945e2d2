//! Topics under load, faults and other circumstances: what is lost, what comes twice, what lags.

mod rings;

use std::collections::BTreeSet;

use serde_json::Value;
use simhost::clock::VIRTUAL_START;

use crate::support::{Run, SpanKind, Topology, World, finish};

const SECOND: u64 = 1_000_000_000;

/// `front` sends letters at this rate for as long as the flags say, and `back` gets them.
fn post(rate: &str, back: &str, sections: &str) -> World {
    let load = format!(
        "[[load]]\nname = \"post\"\nto = \"front\"\narrivals.constant = \"{rate}\"\n\
         [load.request]\nmethod = \"POST\"\npath = \"/send/letters\"\nbody = \"{{}}\"\n"
    );
    World::of("mailbox", "").and("back", "mailbox", back).with(&load).with(sections)
}

fn topic(topic: &str, subscription: &str) -> String {
    format!(
        "[topics.letters]\n{topic}\n[[subscriptions]]\ntopic = \"letters\"\nservice = \"back\"\n{subscription}\n"
    )
}

fn run(world: World, time: &str) -> Run {
    world.flags(&["--for", time, "--json"]).virtually(&[])
}

fn group(run: &Run) -> Value {
    run.json()["topics"][0]["groups"][0].clone()
}

/// The partitions and offsets of the messages that were processed.
fn processed(run: &Run) -> Vec<(String, i64)> {
    let spans = run.of("back", SpanKind::Consumer).into_iter().filter(|span| span.error_type().is_null());
    let place = |span: &crate::support::Span| {
        let partition = span.text("messaging.destination.partition.id").expect("a partition").to_owned();
        (partition, span.int("messaging.kafka.offset").expect("an offset"))
    };
    spans.map(place).collect()
}

#[test]
fn every_message_is_processed_once_where_nothing_fails() {
    let run = run(post("50/s", "replicas = 3", &topic("partitions = 4", "")), "10s");
    let row = run.json()["topics"][0].clone();
    assert_eq!((&row["published"], &row["kept"], &row["partitions"]), (&500.into(), &500.into(), &4.into()));
    let group = group(&run);
    assert_eq!(
        (&group["done"], &group["delivered"], &group["lag_end"]),
        (&500.into(), &500.into(), &0.into())
    );
    let places = processed(&run);
    assert_eq!((places.len(), places.iter().collect::<BTreeSet<_>>().len()), (500, 500));
    let replicas: BTreeSet<_> =
        run.of("back", SpanKind::Consumer).iter().map(|span| &span.instance).collect();
    assert_eq!(replicas.len(), 3);
}

#[test]
fn what_a_replica_had_when_it_crashed_is_processed_by_another_when_its_session_has_timed_out() {
    let crash = "[[faults]]\nname = \"it\"\nkind = \"crash\"\nrestart = \"30s\"\n\
                 target = { service = \"back\", replica = 1 }\nwhen = { at = \"3s\" }";
    let sections = topic("partitions = 2", "session-timeout = \"4s\"") + crash;
    let run = run(post("20/s", "replicas = 2\nconfig.lasts = \"80ms\"", &sections), "10s");
    let places = processed(&run);
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), 200, "at least once");
    let group = group(&run);
    assert_eq!(
        (&group["done"], &group["redelivered"], &group["lag_end"]),
        (&200.into(), &1.into(), &0.into())
    );
    // Both at the start; then the one that died leaves.
    assert_eq!(group["rebalances"], 4, "its session has timed out, and it has come back");
    let of_lost = run.of("back", SpanKind::Consumer).into_iter();
    let of_lost = of_lost.filter(|span| span.text("messaging.destination.partition.id") == Some("1"));
    let starts: Vec<_> = of_lost.map(|span| span.start - VIRTUAL_START).collect();
    let gap = starts.windows(2).map(|pair| pair[1] - pair[0]).max().expect("spans");
    assert!((3_900_000_000..4_200_000_000).contains(&gap), "{gap}");
}

#[test]
fn a_replica_that_is_back_soon_gets_its_partitions_when_the_session_of_the_dead_one_has_timed_out() {
    let crash = "[[faults]]\nname = \"it\"\nkind = \"crash\"\nrestart = \"100ms\"\n\
                 target = { service = \"back\" }\nwhen = { at = \"3s\" }";
    let sections = topic("", "session-timeout = \"2s\"") + crash;
    let run = run(post("20/s", "config.lasts = \"20ms\"", &sections), "10s");
    assert_eq!(processed(&run).iter().collect::<BTreeSet<_>>().len(), 200);
    let starts: Vec<_> =
        run.of("back", SpanKind::Consumer).iter().map(|span| span.start - VIRTUAL_START).collect();
    let waited = starts.iter().filter(|start| (3 * SECOND..5 * SECOND).contains(*start)).count();
    assert!(waited <= 1, "{starts:?}");
    assert_eq!(group(&run)["lag_end"], 0);
}

/// Two replicas, one of which stands still from 3 s on, for a time.
fn paused(time: &str, flags: &[&str]) -> Run {
    let pause = format!(
        "[[faults]]\nname = \"it\"\nkind = \"pause\"\ntarget = {{ service = \"back\", replica = 1 }}\n\
         when = {{ at = \"3s\", for = \"{time}\" }}"
    );
    let sections = topic("partitions = 2", "session-timeout = \"4s\"") + &pause;
    post("20/s", "replicas = 2\nconfig.lasts = \"80ms\"", &sections)
        .flags(flags)
        .flags(&["--json"])
        .virtually(&[])
}

#[test]
fn a_replica_that_stands_still_for_longer_than_its_session_loses_its_partitions_and_what_it_had() {
    let run = paused("10s", &["--for", "20s"]);
    let group = group(&run);
    // What it had when it stopped counts for nothing when it goes on: another has done it.
    assert_eq!((&group["done"], &group["revoked"], &group["lag_end"]), (&400.into(), &1.into(), &0.into()));
    let places = processed(&run);
    assert_eq!((places.len(), places.iter().collect::<BTreeSet<_>>().len()), (401, 400));
    // Both at the start; then the session times out; then the replica is back.
    assert_eq!(group["rebalances"], 4, "{group}");
    let back: Vec<_> = run.of("back", SpanKind::Consumer);
    let still =
        &back.iter().find(|span| span.end - span.start > 5 * SECOND).expect("it stood still").instance;
    let seconds = |is_still: bool| {
        let of = back.iter().filter(move |span| (span.instance == *still) == is_still);
        of.map(|span| (span.start - VIRTUAL_START) as f64 / 1e9).collect::<Vec<_>>()
    };
    assert!(seconds(true).iter().all(|at| !(3.0..13.0).contains(at)), "{:?}", seconds(true));
    assert!(seconds(true).iter().any(|at| *at > 13.0), "it has partitions again");
    // The partition of the other one waits for nothing, and the taken one until the session is over.
    let of_taken = back.iter().filter(|span| span.text("messaging.destination.partition.id") == Some("1"));
    let starts: Vec<_> = of_taken.map(|span| span.start - VIRTUAL_START).collect();
    let gap = starts.windows(2).map(|pair| pair[1] - pair[0]).max().expect("spans");
    assert!((3_900_000_000..4_200_000_000).contains(&gap), "{gap}");
}

#[test]
fn a_replica_that_stands_still_for_less_than_its_session_stays_a_member() {
    let run = paused("2s", &["--for", "10s"]);
    let group = group(&run);
    let counts = ["done", "revoked", "rebalances", "lag_end"].map(|key| group[key].as_u64());
    assert_eq!(counts, [Some(200), Some(0), Some(2), Some(0)]);
    assert_eq!(processed(&run).len(), 200);
}

#[test]
fn messages_of_a_group_whose_only_replica_stands_still_wait_for_it() {
    let pause = "[[faults]]\nname = \"it\"\nkind = \"pause\"\ntarget = { service = \"back\" }\n\
                 when = { at = \"3s\", for = \"20s\" }";
    let sections = topic("", "session-timeout = \"4s\"") + pause;
    let run = run(post("20/s", "", &sections), "10s");
    let group = group(&run);
    assert_eq!((&group["done"], &group["lag_end"]), (&200.into(), &0.into()), "{group}");
    assert_eq!(group["rebalances"], 3, "one at the start, one as it is gone, one as it is back: {group}");
}

#[test]
fn after_requests_of_the_command_line_the_lag_is_that_at_the_end() {
    let lasts = "config.lasts = \"80ms\"";
    let world = World::of("mailbox", "").and("back", "mailbox", lasts).with(&topic("", ""));
    let (_folder, mut command) = world.flags(&["--json"]).virtual_command(&["POST /send/letters {}"]);
    let asked: Value = serde_json::from_str(finish(&mut command).success()).expect("JSON");
    let of_asked = &asked["topics"][0]["groups"][0];
    assert_eq!((&of_asked["done"], &of_asked["lag"]), (&1.into(), &0.into()), "{of_asked}");
    // A load ends while its messages wait.
    let loaded = group(&run(post("20/s", lasts, &topic("", "")), "2s"));
    assert!(loaded["lag"].as_u64() > Some(0) && loaded["lag_end"] == 0, "{loaded}");
}

#[test]
fn the_table_of_groups_fits_a_narrow_page() {
    let crash = "[[faults]]\nname = \"it\"\nkind = \"rebalance-storm\"\nevery = \"1s\"\ntakes = \"200ms\"\n\
                 target = { topic = \"letters\" }\n[topics.lost]\n\
                 [[faults]]\nname = \"other\"\nkind = \"error\"\nstatus = 503\ntarget = { service = \"back\" }\n\
                 probability = 0.4\n";
    let more = "retry = { attempts = 2, backoff = \"10ms\" }\ndead-letter = \"lost\"\n\
                group = \"letters-of-the-back-office\"";
    let sections = topic("retain.messages = 8", more) + crash;
    let run =
        post("40/s", "config.lasts = \"60ms\"", &sections).env("COLUMNS", "80").flags(&["--for", "10s"]);
    let run = run.virtually(&[]);
    let said = &run.report;
    let table: Vec<_> = said.lines().skip_while(|line| !line.starts_with(" group ")).take(2).collect();
    assert!(table.len() == 2 && said.lines().all(|line| line.chars().count() <= 80), "{said}");
    for head in ["done", "given up", "lag max"] {
        assert!(table[0].contains(head), "{said}");
    }
    assert!(said.contains("left out of some tables"), "{said}");
}

#[test]
fn slow_consumers_lag_and_the_log_keeps_as_much_as_it_may() {
    let sections = topic("retain.messages = 100", "");
    let run = run(post("100/s", "config.lasts = \"50ms\"", &sections), "10s");
    let (row, group) = (run.json()["topics"][0].clone(), group(&run));
    let number = |value: &Value| value.as_u64().expect("a number");
    assert_eq!((number(&row["published"]), number(&row["kept"])), (1_000, 100));
    let (dropped, missed, done) = (number(&row["dropped"]), number(&group["missed"]), number(&group["done"]));
    assert_eq!((dropped, missed + done), (900, 1_000));
    assert!((195..=205).contains(&(done - 100)), "20 for each second, and those that were left: {done}");
    assert!((95..=105).contains(&number(&group["lag"])), "{group}");
    assert!(number(&group["lag_max"]) <= 110, "{group}");
}

#[test]
fn two_runs_have_one_digest_and_a_later_start_moves_no_message() {
    let world = || post("20/s", "replicas = 2", &topic("partitions = 3", "batch = 4\ncontext = \"link\""));
    let first = run(world(), "5s");
    assert_eq!(first.json()["digest"], run(world(), "5s").json()["digest"]);
    let later = run(world().flags(&["--start", "2026-06-01T00:00:00Z"]), "5s");
    let places = |run: &Run| {
        let spans = run.of("back", SpanKind::Consumer);
        let start = spans[0].start;
        spans.iter().map(|span| (span.start - start, span.links.len())).collect::<Vec<_>>()
    };
    assert_eq!(places(&first), places(&later));
}

#[test]
fn metrics_say_what_was_sent_and_processed_and_brokers_how_far_groups_are() {
    let sections = topic("partitions = 2\nbroker = \"main\"", "");
    let run = run(post("10/s", "config.lasts = \"20ms\"", &sections).measured(60_000), "5s");
    let points = run.points();
    let of = |service: &str, metric: &str| {
        let all = points.iter().filter(|point| point.service == service && point.metric == metric);
        all.collect::<Vec<_>>()
    };
    assert_eq!(of("front", "messaging.client.sent.messages")[0].number(), 50.0);
    let sending = of("front", "messaging.client.operation.duration")[0];
    assert_eq!(
        (sending.histogram().count, &sending.attributes["messaging.operation.name"]),
        (50, &"send".into())
    );
    assert_eq!(of("back", "messaging.client.consumed.messages")[0].number(), 50.0);
    let processing = of("back", "messaging.process.duration")[0];
    assert_eq!(processing.histogram().count, 50);
    assert_eq!(processing.attributes["messaging.consumer.group.name"], "back");
    assert!(!processing.exemplars.is_empty());
    assert_eq!(of("main", "kafka.brokers")[0].number(), 1.0);
    assert_eq!(of("main", "kafka.topic.partitions")[0].number(), 2.0);
    assert_eq!(of("main", "kafka.consumer_group.members")[0].number(), 1.0);
    let lags = of("main", "kafka.consumer_group.lag");
    assert_eq!(lags.iter().map(|point| point.number()).collect::<Vec<_>>(), [0.0, 0.0]);
    assert_eq!(lags[1].attributes["partition"], 1);
    let sums = |metric: &str| of("main", metric).iter().map(|point| point.number()).sum::<f64>();
    assert_eq!((sums("kafka.partition.current_offset"), sums("kafka.consumer_group.offset")), (50.0, 50.0));
}

#[test]
fn a_service_that_fails_by_a_fault_gets_its_messages_again() {
    let error = "[[faults]]\nname = \"it\"\nkind = \"error\"\nstatus = 503\ntarget = { service = \"back\" }\n\
                 fail-first = 2";
    let sections = topic("", "retry.backoff = \"100ms\"") + error;
    let run = run(post("5/s", "", &sections), "2s");
    let group = group(&run);
    assert_eq!((&group["redelivered"], &group["done"]), (&2.into(), &10.into()));
    let failed = run.of("back", SpanKind::Consumer);
    assert_eq!(failed.iter().filter(|span| span.error_type() == "retry").count(), 2);
}

#[test]
fn a_service_without_code_sends_messages_and_processes_them() {
    let front = "config.place = { route = 'POST /orders/{id}', publish = 'letters/{id}', message-bytes = 7 }";
    let back =
        "config.read = { topic = 'letters', calls = 'desk/orders/{key}', attributes = { who = '{key}' } }";
    let desk = "config.show = { route = 'GET /orders/{id}' }";
    let world = World::of_services(&[("front", front), ("back", back), ("desk", desk)]);
    let run = world.with(&topic("", "")).virtually(&["POST /orders/a%20b"]);
    assert_eq!(run.statuses(), [200]);
    let sent = run.span("send letters");
    assert_eq!(sent.text("messaging.kafka.message.key"), Some("a b"));
    let shown = run.span("GET /orders/{id}");
    assert_eq!(shown.text("url.path"), Some("/orders/a%20b"));
    let read = run.span("process letters");
    assert_eq!((&shown.trace, &read.parent, read.text("who")), (&sent.trace, &sent.id, Some("a b")));
}

#[test]
fn what_fails_in_a_service_without_code_is_asked_for_once_more_and_given_up_at_last() {
    let front = "config.publish = 'letters, lost?'";
    let back = "config.read = { topic = 'letters', errors = 1 }";
    let world = World::of_services(&[("front", front), ("back", back)]);
    let sections = topic("", "retry = { attempts = 4, backoff = '1s' }") + "[topics.lost]\n";
    let run = world.with(&sections).virtually(&["GET /"]);
    let spans = run.of("back", SpanKind::Consumer);
    assert!(spans.iter().all(|span| span.error_type() == "retry"), "{spans:#?}");
    assert_eq!((run.statuses(), spans.len()), (vec![200], 4));
}

/// Its session has not timed out when the replica dies again: nobody ever has its partitions.
#[test]
fn a_group_that_never_gets_on_does_not_keep_a_run_in_virtual_time_from_its_end() {
    let crash = "[[faults]]\nname = \"crash\"\nkind = \"crash\"\nrestart = \"1s\"\n\
                 target = { service = \"back\" }\nwhen = { at = \"1s\", for = \"1s\", every = \"5s\" }\n";
    let run = run(post("20/s", "", &(topic("", "session-timeout = \"30s\"") + crash)), "4s");
    let group = group(&run);
    assert!(group["lag"].as_u64() > Some(30), "{group}");
    let drain = run.json()["drain_ns"].as_u64().expect("a number");
    assert!(drain <= 2 * 3_600 * SECOND + 10 * SECOND, "{drain}");
}

#[test]
fn baggage_goes_with_a_message_unless_its_context_is_lost() {
    let fault = "[[faults]]\nname = \"struck\"\nkind = \"error\"\nstatus = 503\n\
                 match = { \"baggage.user.id\" = \"42\" }\ntarget = { service = \"smtp\" }\n";
    let load = "[[load]]\nname = \"post\"\nto = \"front\"\narrivals.constant = \"5/s\"\n\
                request = { path = \"/\", headers = { baggage = \"user.id=42\" } }\n";
    for (context, goes_on) in [("parent", true), ("link", true), ("none", false)] {
        let subscription = format!(
            "[topics.letters]\n[[subscriptions]]\ntopic = \"letters\"\nservice = \"back\"\n\
             context = \"{context}\"\n"
        );
        let world = World::default()
            .with_guest("front", "service", "config.send = { route = \"GET /\", publish = \"letters\" }")
            .with_guest("back", "service", "config.mail = { topic = \"letters\", calls = \"smtp\" }")
            .with_guest("smtp", "service", "")
            .with(&subscription)
            .with(load)
            .with(fault);
        let struck = run(world, "4s").json()["faults"][0]["injected"].as_u64();
        assert_eq!(struck > Some(0), goes_on, "{context}: {struck:?}");
    }
}

#[test]
fn what_is_worked_off_after_the_last_request_is_in_no_rate() {
    let text = "[topology]\nname = \"shop\"\n[services.shop]\nguest = \"service\"\n\
                config.place = { route = \"POST /orders\", publish = \"orders\" }\n\
                [services.mailer]\nguest = \"service\"\nworkers = 1\ndatabases.mails = {}\n\
                config.mail = { topic = \"orders\", work = \"1s\", sql-in = \"mails\", \
                sql = \"INSERT INTO sent (at) VALUES ({1..9})\", calls = \"texts\", publish = \"sent\" }\n\
                [services.texts]\nguest = \"service\"\ncaches = [\"rendered\"]\n\
                config.cache = \"1h\"\nconfig.cache-in = \"rendered\"\n[caches.rendered]\n\
                [databases.mails]\ntables = \"CREATE TABLE sent (at int)\"\n[topics.orders]\n[topics.sent]\n\
                [[subscriptions]]\ntopic = \"orders\"\nservice = \"mailer\"\n\
                [[load]]\nname = \"shoppers\"\nto = \"shop\"\narrivals.constant = \"10/s\"\n\
                request = { method = \"POST\", path = \"/orders\" }\n";
    let topology = Topology::new("shop", text);
    let finished = topology.run(&["--virtual", "--for", "10s", "--json"]);
    finished.success();
    let report = finished.json();
    let [orders, sent] = [0, 1].map(|topic| report["topics"][topic].clone());
    assert_eq!((&orders["groups"][0]["done"], &sent["published"]), (&100.into(), &100.into()), "{report}");
    let rate = |row: &Value| row["rate"].as_f64().expect("a rate");
    assert_eq!(rate(&orders), 10.0);
    let statement = &report["databases"][0]["statements"][0];
    let cache = &report["caches"][0];
    assert_eq!((&statement["count"], &cache["hits"]), (&100.into(), &99.into()), "{report}");
    // One message takes a second.
    let slow = [&orders["groups"][0], &sent, statement, &report["routes"][1]].map(rate);
    assert!(slow.iter().all(|rate| (0.8..=1.0).contains(rate)), "{slow:?}");
    // A lookup for each, and what is put there for the first.
    assert!((0.9..=1.1).contains(&rate(cache)), "{cache}");
}
