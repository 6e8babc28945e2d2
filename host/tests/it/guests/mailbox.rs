//! A guest that sends messages and consumes them.

use serde_json::{Value, json};

use crate::support::{Run, Span, SpanKind, World};

/// `front` sends letters, `back` gets them; `subscription` are further lines of what it has of the topic.
fn letters(back: &str, topic: &str, subscription: &str) -> World {
    let topics = format!(
        "[topics.letters]\n{topic}\n[[subscriptions]]\ntopic = \"letters\"\nservice = \"back\"\n{subscription}"
    );
    World::of("mailbox", "").and("back", "mailbox", back).with(&topics)
}

fn answers(run: &Run) -> Vec<Value> {
    run.answers.iter().map(|answer| answer.json()).collect()
}

/// What the consumer has logged, in order.
fn received(run: &Run) -> Vec<&str> {
    let lines = run.logs().iter().filter(|log| log.service == "back" && log.body.contains(" has "));
    lines.map(|log| log.body.as_str()).collect()
}

fn consumers(run: &Run) -> Vec<&Span> {
    run.of("back", SpanKind::Consumer)
}

#[test]
fn a_guest_learns_where_its_messages_are_or_why_they_were_not_sent() {
    let world = letters("", "partitions = 3\nmessage-size = \"100B\"", "");
    let long = format!("POST /send/letters {{\"body\":\"{}\"}}", "x".repeat(101));
    let run = world.virtually(&[
        r#"POST /send/letters {"key":"order-7","times":3}"#,
        r#"POST /batch/letters {"key":"order-7","times":2}"#,
        r#"POST /send/nothing {}"#,
        &long,
        r#"POST /send/letters {"header":["bad name","x"]}"#,
        r#"POST /batch/letters {"times":129}"#,
        r#"POST /batch/letters {"times":0}"#,
    ]);
    assert_eq!(run.statuses(), [200, 200, 404, 413, 400, 413, 200], "{:?}", run.bodies());
    let answers = answers(&run);
    let partition = answers[0][0][0].clone();
    assert_eq!(answers[0], json!([[partition, 0], [partition, 1], [partition, 2]]));
    assert_eq!(answers[1], json!([[partition, 3], [partition, 4]]));
    assert_eq!(answers[6], json!([]));
    let said = |place: usize| answers[place]["detail"].as_str().expect("a detail");
    assert!(said(2).contains("known topics: \"letters\""), "{}", said(2));
    assert!(said(3).contains("larger than message-size = 100"), "{}", said(3));
    assert!(said(5).contains("129 messages are more than 128"), "{}", said(5));
    assert_eq!(received(&run).len(), 5);
}

#[test]
fn messages_of_one_key_are_processed_in_their_order_one_at_a_time() {
    let world = letters("replicas = 3\nconfig.lasts = \"30ms\"", "partitions = 4", "");
    let run = world.virtually(&[
        r#"POST /batch/letters {"key":"a","body":"a","times":5}"#,
        r#"POST /batch/letters {"key":"b","body":"b","times":5}"#,
    ]);
    for key in ["a", "b"] {
        let spans: Vec<_> = consumers(&run)
            .into_iter()
            .filter(|span| span.text("messaging.kafka.message.key") == Some(key))
            .collect();
        assert_eq!(spans.len(), 5);
        assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start), "{spans:?}");
        let offsets: Vec<_> = spans.iter().map(|span| span.int("messaging.kafka.offset")).collect();
        assert!(offsets.is_sorted(), "{offsets:?}");
    }
}

#[test]
fn a_message_is_a_child_of_what_sent_it_and_linked_to_it() {
    let run = letters("", "publish = \"2ms\"", "fetch = \"1ms\"");
    let run = run.virtually(&[r#"POST /send/letters {"key":"k"}"#]);
    let (sent, processed) = (run.span("send letters"), run.span("process letters"));
    assert_eq!((sent.kind, processed.kind), (SpanKind::Producer, SpanKind::Consumer));
    assert_eq!((&processed.trace, &processed.parent), (&sent.trace, &sent.id));
    assert_eq!(processed.links, [(sent.trace.clone(), sent.id.clone())]);
    assert_eq!(sent.parent, run.of("front", SpanKind::Server)[0].id);
    // 2 ms to the broker, and another to the consumer.
    assert_eq!((sent.duration(), processed.start - sent.end), (2_000_000, 1_000_000));
    let common = json!({
        "messaging.system": "kafka",
        "messaging.destination.name": "letters",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.kafka.message.key": "k",
        "server.address": "kafka",
        "server.port": 9092,
    });
    for (span, operation) in [(sent, "send"), (processed, "process")] {
        let mut expected = common.clone();
        expected["messaging.operation.name"] = operation.into();
        expected["messaging.operation.type"] = operation.into();
        if operation == "process" {
            expected["messaging.consumer.group.name"] = "back".into();
        }
        assert_eq!(json!(span.attributes), expected);
    }
    let work = run.span("work");
    assert_eq!((&work.parent, &work.trace), (&processed.id, &processed.trace));
}

#[test]
fn a_subscription_says_whether_a_message_goes_on_with_its_trace() {
    for (context, goes_on, links) in [("parent", true, 1), ("link", false, 1), ("none", false, 0)] {
        let run = letters("", "", &format!("context = \"{context}\"")).virtually(&["POST /send/letters {}"]);
        let (sent, processed) = (run.span("send letters"), run.span("process letters"));
        assert_eq!(processed.trace == sent.trace, goes_on, "{context}");
        assert_eq!(processed.parent.is_empty(), !goes_on, "{context}");
        assert_eq!(processed.links.len(), links, "{context}");
    }
}

#[test]
fn messages_that_are_sent_together_have_a_span_each_and_are_linked() {
    let run = letters("", "", "batch = 3\npoll = \"50ms\"\nfetch = \"1ms\"")
        .virtually(&[r#"POST /batch/letters {"times":4}"#]);
    let created = run.named("create letters");
    assert!(created.iter().all(|span| span.kind == SpanKind::Producer));
    let sent = run.span("send letters");
    assert_eq!((sent.kind, sent.int("messaging.batch.message_count")), (SpanKind::Client, Some(4)));
    let ids: Vec<_> = created.iter().map(|span| (span.trace.clone(), span.id.clone())).collect();
    assert_eq!(sent.links.iter().collect::<std::collections::BTreeSet<_>>(), ids.iter().collect());
    let processed = consumers(&run);
    let sizes: Vec<_> = processed.iter().map(|span| span.links.len()).collect();
    assert_eq!(sizes, [3, 1], "the last one waits for others in vain");
    let whole = processed[0];
    assert!(whole.parent.is_empty() && whole.trace != sent.trace);
    assert_eq!(whole.int("messaging.batch.message_count"), Some(3));
    assert_eq!(processed[1].start - sent.end, 51_000_000);
    // One message is a child again.
    assert_eq!(processed[1].trace, sent.trace);
}

#[test]
fn what_fails_is_delivered_again_after_growing_waits_and_then_goes_to_the_dead_letters() {
    let dead = "dead-letter = \"dead\"\nretry = { attempts = 3, backoff = \"100ms\" }\n[topics.dead]\n\
                [[subscriptions]]\ntopic = \"dead\"\nservice = \"back\"\ngroup = \"undertaker\"";
    for (body, error, deliveries) in
        [("retry", "retry", 3), ("reject", "reject", 1), ("trap", "guest_trap", 3), ("recover", "retry", 2)]
    {
        let request = format!("POST /send/letters {{\"body\":\"{body}\",\"header\":[\"x-shop\",\"7\"]}}");
        let run = letters("config.lasts = \"1ms\"", "", dead)
            .virtually(&[&request, "POST /send/letters {\"body\":\"next\"}"]);
        let processed: Vec<_> = run.named("process letters").into_iter().collect();
        assert_eq!(processed.len(), deliveries + 1, "{body}");
        let failed: Vec<_> = processed.iter().filter(|span| !span.error_type().is_null()).collect();
        assert!(failed.iter().all(|span| span.error_type() == error), "{body}: {failed:?}");
        let waits: Vec<_> =
            processed.windows(2).take(deliveries - 1).map(|pair| pair[1].start - pair[0].end).collect();
        assert_eq!(waits, [100_000_000, 200_000_000][..deliveries - 1], "{body}");
        assert_eq!(processed.iter().filter(|span| span.parent == processed[0].parent).count(), deliveries);
        let buried = run.named("process dead").len();
        assert_eq!(buried > 0, body != "recover", "{body}");
        if body != "recover" {
            let letter = run.span("send dead");
            assert_eq!((letter.kind, &letter.service), (SpanKind::Producer, &"back".to_owned()));
            let last = failed.last().expect("a delivery that failed");
            assert_eq!((&letter.parent, &letter.trace), (&last.id, &last.trace));
        }
        // What stands behind it is processed afterwards.
        assert!(received(&run).iter().any(|line| line.contains("\"next\"")), "{body}");
    }
}

#[test]
fn a_worker_that_a_message_has_stopped_is_replaced() {
    let world = letters(
        "workers = 1\nlimits = { cpu-time = \"50ms\" }",
        "",
        "retry = { attempts = 2, backoff = \"10ms\" }",
    );
    let run = world.virtually(&["POST /send/letters {\"body\":\"spin\"}", "POST /send/letters {}"]);
    let errors: Vec<_> = consumers(&run).into_iter().map(|span| span.error_type().clone()).collect();
    assert_eq!(errors, [json!("cpu_time_exceeded"), json!("cpu_time_exceeded"), Value::Null]);
    let exception = &consumers(&run)[0].exception()["exception.type"];
    assert_eq!(exception, "cpu_time_exceeded");
}

#[test]
fn a_guest_with_messages_has_no_request() {
    let run = letters("", "", "retry.attempts = 1").virtually(&["POST /send/letters {\"body\":\"look\"}"]);
    let why = &run.span("process letters").exception()["exception.message"];
    assert_eq!(why, "the guest asked for the request while it served none");
}

#[test]
fn messages_that_lead_to_messages_for_ever_are_cut_off() {
    let world = letters("", "", "").with("[limits]\ncall-depth = 4");
    let run = world.virtually(&["POST /send/letters {\"body\":\"forward letters\"}"]);
    let depth: Vec<_> = consumers(&run).iter().map(|span| span.error_type().clone()).collect();
    assert_eq!(depth, [Value::Null, Value::Null, Value::Null, json!("reject")]);
    let said = "no message to letters: more than 4 calls and messages led to it";
    assert!(run.logs().iter().any(|log| log.body == said), "{:?}", run.logs());
    assert_eq!(
        run.spans().iter().map(|span| &span.trace).collect::<std::collections::BTreeSet<_>>().len(),
        1
    );
}

#[test]
fn calls_for_a_message_are_within_its_trace() {
    let world = letters("config.next = \"shop\"", "", "").and("shop", "noop", "");
    let run = world.virtually(&["POST /send/letters {}"]);
    let call = run.of("back", SpanKind::Client)[0];
    assert_eq!(call.parent, run.span("work").id);
    assert_eq!(run.of("shop", SpanKind::Server)[0].parent, call.id);
}

#[test]
fn a_queue_that_is_full_refuses_messages() {
    let world = letters("config.lasts = \"1s\"", "overflow = \"refuse\"\nretain.messages = 2", "");
    let run = world.virtually(&[r#"POST /batch/letters {"times":5}"#, "POST /send/letters {}"]);
    assert_eq!(run.statuses(), [429, 429]);
    let sent = &run.of("front", SpanKind::Client)[0];
    assert_eq!((sent.error_type(), &*sent.description), (&json!("full"), "partition 0 is full"));
    assert_eq!(received(&run).len(), 2, "those in front of the one that was refused were sent");
}

#[test]
fn subscriptions_are_compared_with_what_guests_consume() {
    let subscription = "[topics.letters]\n[[subscriptions]]\ntopic = \"letters\"\nservice = \"front\"";
    let report = World::of("noop", "").with(subscription).refusal();
    let said = "\"front\" consumes \"letters\", and its guest does not export `consumer`";
    assert!(report.contains(said), "{report}");
    let report = World::of("mailbox", "config.topic = \"leters\"").with(subscription).refusal();
    let said = "\"front\" consumes \"letters\", and its guest takes no messages of that topic";
    assert!(report.contains(said) && report.contains("topics of the guest: \"leters\""), "{report}");
    let report = World::of("mailbox", "config.topix = \"letters\"").with(subscription).refusal();
    assert_eq!(report.matches("unknown key").count(), 1, "{report}");
}

#[test]
fn a_topic_that_nobody_consumes_is_doubtful() {
    let run = World::of("mailbox", "").with("[topics.letters]").virtually(&["POST /send/letters {}"]);
    assert!(run.told.contains("nobody consumes the topic \"letters\""), "{}", run.told);
    assert_eq!(run.statuses(), [200]);
}
