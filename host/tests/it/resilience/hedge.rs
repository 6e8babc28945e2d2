//! A second request where the first has no answer yet.

use serde_json::{Value, json};

use crate::resilience::{CALL, MS, answers, attempts, windows, world};
use crate::support::{Run, Span, SpanKind, World};

/// `back` takes 300 ms longer for half of its requests.
fn at_times_slow(link: &str) -> World {
    world(link).with(
        "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = \"300ms\"\n\
         target = { service = \"back\" }\nprobability = 0.5",
    )
}

/// The attempts of each call, in their order.
fn calls(run: &Run) -> Vec<Vec<&Span>> {
    let attempts = |server: &Span| {
        let mut attempts = run.children(server);
        attempts.sort_by_key(|span| span.start);
        attempts
    };
    run.of("front", SpanKind::Server).into_iter().map(attempts).collect()
}

#[test]
fn the_first_answer_counts_and_the_loser_is_cancelled() {
    let run = at_times_slow("hedge = { after = \"100ms\" }").virtually(&[CALL; 24]);
    let (mut alone, mut saved) = (0, 0);
    for attempts in calls(&run) {
        let [first, rest @ ..] = &attempts[..] else { panic!("no attempt") };
        let Some(second) = rest.first() else {
            assert_eq!(first.duration(), 1);
            alone += 1;
            continue;
        };
        assert_eq!(second.start - first.start, 100 * MS);
        assert_eq!(
            (first.get("simhost.link.hedge"), second.get("simhost.link.hedge")),
            (&Value::Null, &json!(true))
        );
        assert_eq!(second.get("http.request.resend_count"), &json!(1));
        assert_eq!(first.end, second.end, "the loser ends with the winner");
        let (winner, loser) =
            if second.error_type() == "cancelled" { (first, second) } else { (second, first) };
        assert_eq!((winner.error_type(), loser.error_type()), (&Value::Null, &json!("cancelled")));
        let [server] = run.children(loser)[..] else { panic!("the loser's request has arrived") };
        assert!(server.end > loser.end, "its callee works on");
        saved += u32::from(winner.id == second.id);
    }
    assert!(alone > 4 && saved > 2, "{alone} alone, {saved} saved");
    assert!(run.answers.iter().all(|answer| answer.json()["status"] == 200));
}

#[test]
fn a_hedge_is_only_sent_where_a_request_may_be_repeated() {
    let attempts_of = |link: &str, path: &str| {
        attempts(&world(link).virtually(&[&format!("GET /call?service=back&path={path}")])).len()
    };
    let (hedge, all) = ("hedge = { after = \"10ms\" }", "hedge = { after = \"10ms\", methods = \"all\" }");
    assert_eq!(attempts_of(hedge, "/sleep/50"), 2);
    assert_eq!(attempts_of(hedge, "/sleep/5"), 1);
    assert_eq!(attempts_of(hedge, "/sleep/50&method=POST"), 1);
    // It is answered 405 at once.
    assert_eq!(attempts_of(all, "/sleep/50&method=POST"), 1);
}

#[test]
fn three_attempts_are_sent_one_interval_after_the_other() {
    let run = world("timeout = \"100ms\"\nhedge = { after = \"30ms\", attempts = 3 }");
    let run = run.virtually(&["GET /call?service=back&path=/sleep/80"]);
    assert_eq!(windows(&run), [(0, 80), (30, 80), (60, 80)]);
    assert_eq!(run.answers[0].took, "80ms");
}

#[test]
fn a_failure_is_an_answer_unless_the_hedge_says_otherwise() {
    let outcomes = |on: &str| {
        let world = world(&format!("hedge = {{ after = \"10ms\", attempts = 3{on} }}"));
        let run = world.with(&answers(503, "")).virtually(&[CALL]);
        (windows(&run), run.answers[0].json()["status"].clone())
    };
    assert_eq!(outcomes(""), (vec![(0, 0)], json!(503)));
    // Each failure sends the next at once; the last one's is what is left.
    assert_eq!(outcomes(", on = [\"5xx\"]"), (vec![(0, 0); 3], json!(503)));
}

#[test]
fn a_loser_gives_its_place_back() {
    let link = "hedge = { after = \"10ms\" }\nbulkhead = { max-concurrent = 2 }";
    let run = world(link).virtually(&["GET /call?service=back&path=/sleep/50"; 3]);
    let attempts = attempts(&run);
    let errors: Vec<_> = attempts.iter().map(|span| span.error_type().as_str()).collect();
    assert_eq!(errors, [None, Some("cancelled")].repeat(3));
}

#[test]
fn a_hedge_that_is_refused_does_not_win() {
    let link = "hedge = { after = \"10ms\", attempts = 2 }\nbulkhead = { max-concurrent = 1 }";
    let run = world(link).virtually(&["GET /call?service=back&path=/sleep/50"]);
    assert_eq!(windows(&run), [(0, 50), (10, 10)]);
    assert_eq!(attempts(&run)[1].error_type(), "bulkhead_full");
    assert_eq!(run.answers[0].json()["status"], 200);
}
