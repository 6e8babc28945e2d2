//! The least that a guest can be, written without the SDK.

use crate::support::{SpanKind, World};

#[test]
fn a_guest_needs_no_sdk() {
    let run = World::of("noop", "").virtually(&["GET /", "POST / anything"]);
    assert_eq!(run.statuses(), [200, 200]);
    assert_eq!(run.bodies(), ["", ""]);
    for name in ["GET /", "POST /"] {
        let span = run.span(name);
        assert_eq!((span.kind, span.parent.as_str()), (SpanKind::Server, ""));
        assert_eq!(*span.get("http.response.status_code"), 200);
    }
}

#[test]
fn the_host_answers_for_paths_and_methods_that_the_guest_does_not_have() {
    let server = World::of("noop", "").serve();
    assert_eq!(server.get("/elsewhere").status, 404);
    let refused = server.send(crate::support::client::Request {
        method: "DELETE",
        target: "/",
        headers: &[],
        body: "",
    });
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, POST")));
    let run = server.stop();
    // Without a route the span is named by the method alone; a client's mistake is no error of the server.
    for (name, status, route) in [("GET", 404, None), ("DELETE /", 405, Some("/"))] {
        let span = run.span(name);
        assert_eq!(*span.get("http.response.status_code"), status);
        assert_eq!(span.get("http.route").as_str(), route);
        assert_eq!(*span.error_type(), serde_json::Value::Null);
    }
}
