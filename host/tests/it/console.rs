//! What the console prints, as a person sees it: golden pictures beside this file.

mod orders;
mod story;

use insta::assert_snapshot;
use orders::order;
use simhost::telemetry::console::{MAX_ROWS, MAX_SPANS, Style};
use simhost::telemetry::record::Severity;
use simhost::telemetry::signal::Batch;
use story::{
    Client, INVENTORY, Internal, NOTIFICATION, ORDER, PAYMENT, Server, Story, at, span_id, told, trace_id,
};

const PAPER: Style = Style {
    width: 100,
    colour: false,
    unicode: true,
    plain: false,
    wraps: true,
    attributes: true,
    logs: false,
};

#[test]
fn a_small_order_is_quick() {
    assert_snapshot!(order(2).told(PAPER));
}

#[test]
fn a_large_order_is_slow_in_one_place() {
    assert_snapshot!(order(8).told(PAPER));
}

#[test]
fn an_order_fits_on_terminals_of_every_width() {
    for width in [60, 80, 140] {
        assert_snapshot!(format!("{width}_columns"), order(8).told(Style { width, ..PAPER }));
    }
}

#[test]
fn what_happened_can_stand_among_the_spans_at_its_time() {
    let mut story = order(8);
    story.log(1, Severity::Info, 100, "order received");
    story.log(
        1,
        Severity::Error,
        306_000,
        "a message that is longer than a line has room for, and therefore is cut",
    );
    story.log(5, Severity::Warn, 3_000, "stock is low");
    for (name, style) in [
        ("moments", PAPER),
        ("moments_60_columns", Style { width: 60, ..PAPER }),
        ("moments_plain", Style { plain: true, unicode: false, ..PAPER }),
    ] {
        assert_snapshot!(name, story.told(Style { logs: true, ..style }));
    }
}

#[test]
fn a_terminal_without_unicode_gets_ascii() {
    let mut story = order(8);
    story.span(ORDER, Internal, "größe_prüfen", 2, 306_400, 100);
    let text = story.told(Style { unicode: false, ..PAPER });
    assert!(text.is_ascii());
    assert_snapshot!(text);
}

#[test]
fn colours_tell_services_apart_and_mark_what_failed() {
    let text = failed_order().told(Style { colour: true, ..PAPER });
    assert_snapshot!(text.replace('\x1b', "␛"));
}

#[test]
fn attributes_can_be_left_out() {
    let text = order(8).told(Style { attributes: false, ..PAPER });
    assert!(!text.contains("order.quantity"));
    assert_eq!(text.lines().count(), 4 + 17);
}

/// Inventory refuses, and the exception crosses two spans of the order service.
fn failed_order() -> Story {
    let mut story = Story::default();
    let exception = |story: &mut Story, time| {
        let error = "HTTPException: 502: Inventory check failed";
        story.fails(error, "HTTPException").event(
            "exception",
            time,
            &[
                ("exception.type", "fastapi.exceptions.HTTPException"),
                ("exception.message", "502: Inventory check failed"),
                ("exception.stacktrace", "Traceback (most recent call last):\n  File …"),
            ],
        );
    };
    let root = story.span(ORDER, Server, "POST /orders", 0, 0, 9_800);
    story.code(502);
    let process = story.span(ORDER, Internal, "process_order", root, 900, 8_400);
    story.with("order.item", "bok").with("order.quantity", 2);
    exception(&mut story, 9_200);
    story.span(ORDER, Internal, "validate_order", process, 970, 20);
    let check = story.span(ORDER, Internal, "check_inventory", process, 1_040, 8_000);
    exception(&mut story, 9_000);
    let call = story.span(ORDER, Client, "GET", check, 1_800, 5_400);
    story.code(404);
    let served = story.span(INVENTORY, Server, "GET /stock/{item}", call, 3_400, 2_500);
    story.code(404).event("cache.miss", 3_900, &[("cache.key", "stock/bok")]);
    story.log(served, Severity::Warn, 4_200, "no such item: bok");
    story.log(check, Severity::Error, 8_100, "inventory answered 404 Not Found for an item that the shop sells, so the order is given up: {\"detail\":\"Item not found\"}");
    story.log(root, Severity::Info, 9_500, "POST /orders 502\n");
    story
}

#[test]
fn an_error_says_what_went_wrong_where() {
    assert_snapshot!(failed_order().told(PAPER));
}

#[test]
fn a_callee_may_outlive_the_call() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "POST /orders", 0, 0, 900_000);
    story.code(201);
    let notify = story.span(ORDER, Internal, "send_notification", root, 10_000, 501_000);
    let call = story.span(ORDER, Client, "POST", notify, 10_300, 500_000);
    story.fails("no answer within 500ms", "timeout");
    story.span(NOTIFICATION, Server, "POST /notify", call, 10_600, 800_000);
    story.code(200);
    story.span(ORDER, Internal, "write_receipt", root, 512_000, 380_000);
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn what_ends_after_its_trace_was_shown_is_added() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "POST /orders", 0, 0, 512_000);
    story.code(201);
    let call = story.span(ORDER, Client, "POST", root, 10_300, 500_000);
    story.fails("no answer within 500ms", "timeout");
    let served = story.span(NOTIFICATION, Server, "POST /notify", call, 10_600, 800_000);
    story.code(200);
    let send = story.span(NOTIFICATION, Internal, "send_mail", served, 11_000, 799_000);
    story.log(send, Severity::Warn, 809_000, "mail server is slow");
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn parallel_calls_stand_below_each_other() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "GET /offer", 0, 0, 42_000);
    story.code(200);
    for (service, path, start, duration) in [
        (INVENTORY, "GET /stock", 1_000, 22_000),
        (PAYMENT, "GET /rates", 1_010, 39_000),
        (NOTIFICATION, "GET /channels", 1_020, 11_500),
    ] {
        let call = story.span(ORDER, Client, "GET", root, start, duration);
        story.code(200);
        story.span(service, Server, path, call, start + 300, duration - 600);
        story.code(200);
    }
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn a_span_without_its_parent_stands_under_the_root() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "POST /orders", 0, 0, 10_000);
    story.code(201);
    story.span(ORDER, Internal, "process_order", root, 100, 9_000);
    let lost = story.span(INVENTORY, Server, "GET /stock/{item}", 0xdead, 2_000, 3_000);
    story.span(INVENTORY, Internal, "look_up", lost, 2_100, 2_500);
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn a_deep_trace_keeps_its_names() {
    let mut story = Story::default();
    let mut parent = 0;
    for depth in 0..60 {
        let kind = if depth == 0 { Server } else { Internal };
        parent =
            story.span(ORDER, kind, &format!("level_{depth}"), parent, depth * 100, 20_000 - depth * 200);
    }
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn a_wide_trace_is_summed_up() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "GET /catalogue", 0, 0, 400_000);
    story.code(200);
    for at in 0..300 {
        // The slowest of them is among those that would be folded away.
        let duration = if at == 250 { 90_000 } else { 900 };
        let call = story.span(ORDER, Client, "GET", root, 1_000 + at * 1_000, duration);
        story.code(200);
        story.span(INVENTORY, Server, "GET /stock/{item}", call, 1_100 + at * 1_000, duration - 200);
        story.code(if at % 100 == 99 { 500 } else { 200 });
    }
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn a_picture_has_a_bound() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "GET /all", 0, 0, 900_000);
    for at in 0..5_000 {
        story.span(ORDER, Internal, &format!("step_{at}"), root, at * 100, 1 + at % 90);
    }
    let text = story.told(PAPER);
    assert_eq!(text.lines().count(), 4 + MAX_ROWS + 2);
    assert!(text.contains("5001 spans"), "{text}");
    assert!(text.contains(&format!("{} spans more below", MAX_SPANS - MAX_ROWS)), "{text}");
    assert!(text.contains(&format!("{} of its shortest spans were not kept", 5_001 - MAX_SPANS)), "{text}");
}

#[test]
fn spans_that_are_not_kept_leave_room_for_other_traces() {
    // 80 MiB of one trace that goes on, of which a fifth is held at most.
    let name = "x".repeat(8_192);
    let mut later = Story::default();
    later.span(ORDER, Server, "GET /later", 0, 9_000, 1_000);
    later.spans[0].trace_id = trace_id(7);
    let text = told(PAPER, |console| {
        for number in 1..=10_000 {
            let mut story = Story::default();
            story.span(ORDER, Internal, &name, u64::MAX, number % 100, 10);
            story.spans[0].span_id = span_id(number);
            console.export(&story.batch());
        }
        console.export(&later.batch());
    });
    assert!(text.contains("GET /later") && !text.contains("Not shown"), "{text}");
}

#[test]
fn a_trace_can_be_one_span() {
    let mut story = Story::default();
    story.span(INVENTORY, Server, "GET /health", 0, 0, 180);
    story.code(200);
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn a_trace_can_take_no_time() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "POST /orders", 0, 0, 0);
    let call = story.span(ORDER, Client, "POST", root, 0, 0);
    story.span(PAYMENT, Server, "POST /charges", call, 0, 0);
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn a_guest_cannot_write_to_the_terminal() {
    let mut story = Story::default();
    let root = story.span(ORDER, Server, "POST /\x1b[2J\x1b]0;owned\x07", 0, 0, 10_000);
    story.with("note", "line one\nline two\r\x1b[31mred").fails("\u{202e}drawkcab\u{200b}", "e\u{9b}2J");
    story.span(ORDER, Internal, "訂單處理服務 처리 注文 Bücher 📚📚", root, 1_000, 4_000);
    story.with("kéy\t", "値=値");
    let long = story.span(PAYMENT, Internal, &"x".repeat(10_000), root, 2_000, 5_000);
    story.with("long", "y".repeat(10_000)).event(&"e\u{301}\u{301}\u{301}\u{301}".repeat(200), 3_000, &[]);
    story.log(long, Severity::Error, 3_100, &"many words \x08 ".repeat(500));
    let text = story.told(PAPER);
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()));
    assert_snapshot!(text);
}

#[test]
fn a_client_can_bring_the_context() {
    let mut story = order(2);
    story.spans[0].parent = Some(span_id(0xc11e47));
    story.spans[0].remote_parent = true;
    let shown =
        |batches: &[Batch]| told(PAPER, |console| batches.iter().for_each(|batch| console.export(batch)));
    let mut later = Story::default();
    later.span(ORDER, Server, "GET /later", 0, 9_000_000, 1_000);
    later.spans[0].trace_id = trace_id(7);
    // Time that passes, silence and the end all say that nothing more comes.
    let by_time = shown(&[story.batch(), later.batch()]);
    let by_silence = shown(&[story.batch(), Batch::default(), later.batch()]);
    assert_eq!(by_time, by_silence);
    assert!(by_time.starts_with(&shown(&[story.batch()])));
    assert!(by_time.find("POST /orders  48.62ms") < by_time.find("GET /later"));
}

#[test]
fn a_trace_whose_root_never_ends_is_shown_at_the_end() {
    let mut story = order(2);
    story.spans.remove(0);
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn log_lines_outside_of_traces_are_shown_at_once() {
    let mut story = Story::default();
    let root = story.span(PAYMENT, Server, "POST /charges", 0, 0, 1_000);
    story.log(
        root,
        Severity::Info,
        0,
        "ready, with a long list of currencies: EUR USD GBP JPY CHF SEK NOK DKK PLN CZK HUF",
    );
    story.logs[0].span = None;
    assert_snapshot!(story.told(PAPER));
}

#[test]
fn where_batches_end_changes_nothing() {
    let mut story = failed_order();
    let late = story.span(PAYMENT, Server, "POST /charges", 5, 7_000, 9_000);
    story.log(late, Severity::Info, 12_000, "charged");
    let whole = story.batch();
    let mut ones = Vec::new();
    let mut logs = whole.logs.clone().into_iter().peekable();
    for span in &whole.spans {
        let mut batch = Batch::from(vec![span.clone()]);
        while let Some(log) = logs.next_if(|log| log.time <= span.end) {
            batch.logs.push(log);
        }
        ones.push(batch);
    }
    let by_ones = told(PAPER, |console| ones.iter().for_each(|batch| console.export(batch)));
    assert_eq!(by_ones, told(PAPER, |console| console.export(&whole)));
    assert!(at(0) < whole.spans[0].end);
}

#[test]
fn traces_without_room_are_counted() {
    let mut batch = Batch::default();
    for id in 1..=2_000 {
        let mut story = Story::default();
        story.span(ORDER, Internal, "work", 0xabc, id, 10);
        story.spans[0].trace_id = trace_id(u128::from(id));
        batch.spans.append(&mut story.spans);
    }
    let text = told(PAPER, |console| console.export(&batch));
    assert_eq!(text.matches("\nTrace ").count(), 1_024);
    assert!(text.contains("Not shown: 976 spans and 0 log lines"));
}

mod any_links {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use simhost::telemetry::record::SpanRecord;

    use super::*;

    /// Spans with ids, parents and times of all kinds: doubled, missing, circular.
    fn spans() -> impl Strategy<Value = Vec<SpanRecord>> {
        let link = (1u64..30, 0u64..40, any::<bool>(), 0u32..6, 0u64..50_000, 0u64..50_000);
        vec(link, 1..60).prop_map(|links| {
            let mut story = Story::default();
            for (at, (id, parent, remote, service, start, duration)) in links.into_iter().enumerate() {
                story.span(
                    service,
                    if remote { Server } else { Client },
                    &format!("s{at}x"),
                    parent,
                    start,
                    duration,
                );
                let span = story.spans.last_mut().expect("just told");
                span.span_id = span_id(id);
                span.remote_parent = remote && parent != 0;
                if at % 7 == 0 {
                    story.fails("failed", "timeout").with("key", "value");
                }
            }
            story.batch().spans
        })
    }

    proptest! {
        #[test]
        fn every_span_appears_once_and_every_line_fits(
            spans in spans(),
            cuts in vec(1usize..20, 0..8),
            width in 60u16..=200,
            unicode: bool,
        ) {
            let mut rest = &spans[..];
            let mut batches = Vec::new();
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                batches.push(Batch::from(head.to_vec()));
                rest = tail;
            }
            batches.push(Batch::from(rest.to_vec()));
            // An empty one would say that nothing more comes.
            batches.retain(|batch| !batch.is_empty());
            let style = Style { width, unicode, ..PAPER };
            let text = told(style, |console| batches.iter().for_each(|batch| console.export(batch)));
            let tree = || text.lines().filter(|line| line.starts_with('['));
            prop_assert_eq!(tree().count(), spans.len(), "{}", &text);
            for span in &spans {
                let name = format!("{} ", &*span.name);
                prop_assert_eq!(tree().filter(|line| line.contains(&name)).count(), 1, "{}\n{}", name, &text);
            }
            for line in text.lines() {
                prop_assert!(line.chars().count() <= usize::from(width), "{}", line);
            }
        }

        #[test]
        fn text_of_any_kind_fits_and_obeys_no_one(
            name: String,
            value in "\\PC*",
            log: String,
            width in 60u16..=200,
        ) {
            let mut story = Story::default();
            let root = story.span(ORDER, Server, &name, 0, 0, 1_000);
            story.with("key", value).event(&log, 10, &[]);
            story.log(root, Severity::Info, 20, &log);
            story.span(PAYMENT, Internal, &name, root, 100, 500);
            let text = story.told(Style { width, ..PAPER });
            prop_assert!(text.chars().all(|char| char == '\n' || !char.is_control()));
            for line in text.lines() {
                let columns = unicode_width::UnicodeWidthStr::width(line);
                prop_assert!(columns <= usize::from(width), "{columns}: {line}");
            }
        }
    }
}
