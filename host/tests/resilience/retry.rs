//! Attempts after one that failed.

use serde_json::{Value, json};

use crate::support::SpanKind;
use crate::support::telemetry::StatusCode;
use crate::{CALL, answers, attempts, windows, world};

#[test]
fn a_failure_is_tried_again_after_a_backoff_that_grows() {
    let world = world("retry = { attempts = 4, backoff = \"50ms\", jitter = 0.0 }").with(&answers(503, ""));
    let run = world.virtually(&[CALL]);
    assert_eq!(run.answers[0].json()["status"], 503);
    assert_eq!(windows(&run), [(0, 0), (50, 50), (150, 150), (350, 350)]);
    let attempts = attempts(&run);
    let counts: Vec<_> = attempts.iter().map(|span| span.get("http.request.resend_count")).collect();
    assert_eq!(counts, [&Value::Null, &json!(1), &json!(2), &json!(3)]);
    let waits: Vec<_> = attempts.iter().map(|span| span.get("simhost.link.retry.backoff")).collect();
    assert_eq!(waits, [&Value::Null, &json!(0.05), &json!(0.1), &json!(0.2)]);
    let servers = run.of("back", SpanKind::Server);
    assert_eq!(servers.len(), 4);
    for (client, server) in attempts.iter().zip(servers) {
        assert_eq!(client.parent, attempts[0].parent, "attempts are siblings");
        assert_eq!(server.parent, client.id, "each has its own callee");
        assert_eq!((client.status, client.error_type()), (StatusCode::Error, &json!("503")));
    }
}
