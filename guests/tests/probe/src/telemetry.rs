//! Spans and baggage.

use crate::calls::{next, outcome};
use simhost_sdk::bindings::simhost::service::tracing::{Status, Value as Attribute};
use simhost_sdk::prelude::*;
use simhost_sdk::{SpanContext, annotate, current};

pub fn spans() -> Json<Value> {
    // The last two are for the host to say.
    annotate(
        attributes!["probe.annotated" => true, "http.route" => "/lie", "http.response.status_code" => 0],
    );
    let server = ids(current());
    let nested = nested();
    out_of_order();
    // Never dropped: the simulator ends it with the request.
    std::mem::forget(Span::start("leaked"));
    let leaked_is_current = ids(current());
    Json(json!({ "server": server, "nested": nested, "leaked_is_current": leaked_is_current }))
}

fn nested() -> Value {
    let outer = Span::build("outer").kind(SpanKind::Producer).set("probe.early", "set at the start").start();
    outer.set_all(attributes![
        "probe.text" => "text",
        "probe.bool" => true,
        "probe.int" => i64::MIN,
        "probe.float" => -0.5,
        "probe.texts" => &["a", "b"][..],
        "probe.ints" => vec![1_i64, -2],
        "probe.empty" => Attribute::Texts(Vec::new()),
        "probe.replaced" => 1,
    ]);
    outer.set("probe.replaced", 2).event("an event", attributes!["event.number" => 1]);
    let failed = in_span("inner", |inner| {
        inner.set("probe.level", 2);
        in_span("innermost", |_| -> Result<(), Error> { Err(Error::new(418, "short and stout")) })
    });
    let renamed = Span::start("to be renamed");
    renamed.rename("renamed").exception("Handled", "recorded without a status").status(Status::Ok, "");
    let inside = ids(current());
    drop(renamed);
    json!({
        "outer": ids(Some(outer.context())),
        "renamed_is_current": inside,
        "error": failed.err().map(|error| error.to_string()),
    })
}

/// The first ends before the second, which is its child.
fn out_of_order() {
    let first = Span::start("first to end");
    let second = Span::start("second to end");
    drop(first);
    second.event("still open", []);
    let third = Span::start("child of the second");
    drop(second);
    drop(third);
}

fn ids(context: Option<SpanContext>) -> Value {
    context.map_or(Value::Null, |context| {
        json!({ "trace_id": context.trace_id, "span_id": context.span_id, "sampled": context.sampled })
    })
}

#[derive(Deserialize)]
pub struct Entry {
    key: String,
    value: Option<String>,
}

pub fn baggage(carried: Baggage, Query(entry): Query<Entry>) -> Result<Json<Value>, Error> {
    let before = carried.get(&entry.key);
    let Some(value) = entry.value else { return Ok(Json(json!({ "got": before }))) };
    carried.set(&entry.key, &value);
    let onward = call(next()?).get("/baggage").query("key", &entry.key).send();
    Ok(Json(json!({ "got": before, "set": carried.get(&entry.key), "next": outcome(onward) })))
}
