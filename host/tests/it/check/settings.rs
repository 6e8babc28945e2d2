//! Settings that contradict each other, or what they need of the topology.

use super::{check, warned};
use crate::support::{Topology, refused};

/// A shop with these settings of a route, and `more` of the topology.
fn shop(settings: &str, more: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"shop\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"shop\"\n\
         [services.stock]\nguest = \"service\"\nconfig.calls = \"\"\n\
         [services.shop]\nguest = \"service\"\n{settings}\n{more}\n"
    );
    Topology::new("shop", text)
}

/// The settings of `GET /items/{id}`.
fn show(settings: &str) -> String {
    format!("config.show = {{ route = \"GET /items/{{id}}\", {settings} }}")
}

#[track_caller]
fn accepted(topology: &Topology) {
    let checked = check(topology, &["--strict"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

const MAIL: &str = "[services.mailer]\nguest = \"service\"\nconfig.mail = { topic = \"t\" }\n\
                    [[subscriptions]]\ntopic = \"t\"\nservice = \"mailer\"\n";

#[test]
fn a_message_that_its_topic_refuses_is_named_with_both_bounds() {
    let topic = format!("{MAIL}[topics.t]\nmessage-size = \"4KiB\"\n");
    let of =
        |bytes: u32| shop(&show(&format!("publish = \"10% t/{{id}}?\", message-bytes = {bytes}")), &topic);
    warned(
        &of(4096),
        &[
            "config.show.message-bytes of \"shop\": 4096 bytes and a key are more than a message of the topic \"t\" may",
            "have: 4KiB",
            "raise message-size of [topics.\"t\"]",
            "refused each time",
        ],
    );
    accepted(&of(4095));
}

#[test]
fn an_answer_that_its_cache_cannot_keep_is_named() {
    let of = |bytes: u32, memory: &str| {
        let settings =
            format!("calls = \"stock\", cache = \"10s\", cache-in = \"c\", response-bytes = {bytes}");
        shop(
            &format!("caches = [\"c\"]\n{}", show(&settings)),
            &format!("[caches.c]\nmemory = \"{memory}\"\n"),
        )
    };
    warned(
        &of(1_048_577, "64MiB"),
        &["1048577 bytes are more than the cache \"c\" keeps: an entry has 1MiB at most"],
    );
    warned(
        &of(2_000, "2000B"),
        &["2000 bytes are more than the cache \"c\" keeps: it has 2000B", "raise memory of [caches.c]"],
    );
    accepted(&of(1_048_576, "64MiB"));
}

#[test]
fn a_time_of_zero_for_which_answers_are_kept_is_named() {
    let kept = |settings: &str| shop(&format!("caches = [\"c\"]\n{settings}"), "[caches.c]\n");
    let own = kept(&show("calls = \"stock\", cache = \"0s\", cache-in = \"c\""));
    refused(
        &check(&own, &[]),
        &["config.show.cache of \"shop\": \"0s\" keeps no answer", "write cache = \"10s\""],
    );
    let shared = kept("config.cache-in = \"c\"\nconfig.cache = \"0ms\"\nconfig.calls = \"stock\"");
    refused(&check(&shared, &[]), &["config.cache of \"shop\": \"0ms\" keeps no answer"]);
    let none = kept(&show("calls = \"stock\", cache-in = \"c\""));
    refused(
        &check(&none, &[]),
        &["config.show.cache-in of \"shop\"", "there is no `cache` that says how long"],
    );
    warned(
        &shop(&show("calls = \"stock\", cache = \"0s\""), ""),
        &["config.show.cache of \"shop\" = \"0s\" keeps no answer"],
    );
    // One route is not kept, the others are.
    let switched_off = format!(
        "config.cache = \"9s\"\nconfig.calls = \"stock\"\n{}\nconfig.list.route = \"GET /\"",
        show("cache = \"0s\"")
    );
    accepted(&shop(&switched_off, ""));
}

#[test]
fn what_no_request_can_be_answered_with_is_named() {
    let large = |bytes: u32| shop(&show(&format!("response-bytes = {bytes}")), "");
    warned(
        &large(4_194_305),
        &["4194305 bytes are more than a body may have, limits.body = 4MiB", "answered 500"],
    );
    accepted(&large(4_194_304));
    let long = |work: &str| {
        shop(&format!("limits.request-time = \"5s\"\n{}", show(&format!("work = \"{work}\""))), "")
    };
    warned(
        &long("5s"),
        &["config.show.work of \"shop\": 5s are no less than a request may take, limits.request-time = 5s"],
    );
    accepted(&long("4.9s"));
}

#[test]
fn a_name_in_a_statement_or_a_key_that_is_misspelt_is_named_with_the_nearest() {
    let stored = |names: &str| {
        let settings = format!("sql = \"INSERT INTO sold (item) VALUES ({names})\"");
        let databases = "[databases.d]\ntables = \"CREATE TABLE sold (item INTEGER)\"\n";
        shop(&format!("databases.d = {{}}\nconfig.sql-in = \"d\"\n{}", show(&settings)), databases)
    };
    let said = "config.show.sql of \"shop\" has a number for {idd}, which its route \"GET /items/{id}\" does";
    warned(&stored("{idd}"), &[said, "did you mean {id}?"]);
    accepted(&stored("{id}"));
    accepted(&stored("{price}"));
    let sent = |key: &str| shop(&show(&format!("publish = \"t/{{{key}}}\"")), &format!("{MAIL}[topics.t]\n"));
    warned(&sent("idd"), &["config.show.publish of \"shop\" has a number for {idd}"]);
    accepted(&sent("id"));
}

#[test]
fn a_setting_that_does_nothing_is_named_with_what_it_needs() {
    for (settings, words) in [
        ("message-bytes = 9", "config.show.message-bytes of \"shop\" does nothing: no message is sent"),
        (
            "slow-query = \"1s\"",
            "config.show.slow-query of \"shop\" does nothing: there is no span for the event",
        ),
        ("transaction = true", "config.show.transaction of \"shop\" does nothing: there is no statement"),
        ("parallel = 3", "config.show.parallel of \"shop\" does nothing: there are no calls"),
        ("cache = \"9s\"", "config.show.cache of \"shop\" does nothing: an answer that is kept saves calls"),
    ] {
        warned(&shop(&show(settings), ""), &[words]);
    }
    // What stands beside the tables does something for one of them.
    let one = format!("config.parallel = 3\n{}\nconfig.list.route = \"GET /\"", show("calls = \"stock\""));
    accepted(&shop(&one, ""));
    let none = format!("config.parallel = 3\n{}\nconfig.list.route = \"GET /\"", show("work = \"1ms\""));
    warned(&shop(&none, ""), &["config.parallel of \"shop\" does nothing", "1 warning"]);
}

#[test]
fn timeouts_batches_and_waits_that_never_come_are_named() {
    let database = |lock: &str| {
        let tables = format!(
            "[databases.d]\ntables = \"CREATE TABLE t (id int)\"\nlock-timeout = \"{lock}\"\nstatement-timeout = \"2s\"\n"
        );
        shop(&format!("databases.d = {{}}\n{}", show("sql-in = \"d\", sql = \"SELECT id FROM t\"")), &tables)
    };
    warned(
        &database("2s"),
        &["lock-timeout = 2s of the database \"d\" never ends a wait: statement-timeout = 2s"],
    );
    accepted(&database("1s"));
    let topic = |subscription: &str, topic: &str| {
        shop(&show("publish = \"t\""), &format!("{MAIL}{subscription}\n[topics.t]\n{topic}\n"))
    };
    warned(
        &topic("batch = 20", "retain.messages = 19"),
        &["a batch of the group \"mailer\" is never full: batch = 20, and a partition of \"t\" keeps 19"],
    );
    accepted(&topic("batch = 20", "retain.messages = 20"));
    warned(
        &topic("retry = { backoff = \"9s\", max-backoff = \"1s\" }", ""),
        &["waits 1s in place of retry.backoff = 9s"],
    );
    // The second delivery comes after 1 s, the third one after 2 s more.
    warned(
        &topic("", "retain.for = \"2s\""),
        &["removes messages after retain.for = 2s", "for the last time after", "3s"],
    );
    accepted(&topic("", "retain.for = \"3s\""));
}
