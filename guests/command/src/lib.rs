//! The server of the dispatch system: it handles commands, processes messages, and has a job.
//!
//! It shows one service with all three entries: requests have a SERVER span by themselves, messages and jobs begin with
//! a span that the code makes, and calls made in these are their children.
//!
//! | config | default | |
//! |---|---|---|
//! | `work` | `8ms +/- 2ms` | how long a command takes |
//! | `downstream` | none | the service that messages and the job `sweep` call: `POST /command` |

use simhost_sdk::Distribution;
use simhost_sdk::prelude::*;
use std::rc::Rc;

simhost_sdk::service!(routes = routes, consumers = consumers, jobs = jobs);

struct Settings {
    work: Distribution,
    downstream: String,
}

impl Settings {
    fn from_config() -> Self {
        config::refuse_unknown();
        let (mean, stddev) = (Duration::from_millis(8), Duration::from_millis(2));
        Self {
            work: config::distribution("work", Distribution::Normal { mean, stddev }),
            downstream: config::text("downstream", ""),
        }
    }

    /// Any call that is made in a span is its child.
    fn dispatch_downstream(&self, payload: &Value) -> Result<(), Error> {
        if !self.downstream.is_empty() {
            call(&self.downstream).post("/command").json(payload).send()?.error_for_status()?;
        }
        Ok(())
    }
}

fn routes() -> Router {
    Router::new()
        .state(Settings::from_config())
        .route("GET /health", health)
        .route("POST /command", handle_command)
}

fn handle_command(State(settings): State<Settings>, Json(payload): Json<Value>) -> Json<Value> {
    clock::sleep(settings.work.sample());
    let request_id = payload.get("request_id").and_then(Value::as_str).unwrap_or_default();
    log::write(log::Level::Info, "command handled", attributes!["request.id" => request_id]);
    Json(json!({ "status": "ok" }))
}

fn consumers() -> Consumers {
    let settings = Rc::new(Settings::from_config());
    Consumers::new().others(move |delivery| {
        delivery.messages.iter().try_for_each(|message| handle_incoming_message(&settings, message))
    })
}

fn handle_incoming_message(settings: &Settings, message: &Message) -> Result<(), Error> {
    in_span("process-message", |span| {
        let payload: Value = message.json()?;
        let request_id = payload.get("request_id").and_then(Value::as_str).unwrap_or_default();
        span.set("request.id", request_id);
        log::write(log::Level::Info, "message processed", attributes!["request.id" => request_id]);
        settings.dispatch_downstream(&payload)
    })
}

fn jobs() -> Jobs {
    let settings = Rc::new(Settings::from_config());
    Jobs::new().job("sweep", move || {
        in_span("sweep", |_| {
            log::info("sweeping");
            settings.dispatch_downstream(&json!({ "command": "sweep" }))
        })
    })
}
