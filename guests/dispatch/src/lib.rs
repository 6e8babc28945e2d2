//! The caller of the dispatch system: it passes a command on over HTTP, and tells of it by a message.
//!
//! It shows a call whose context travels by itself, an id of the business that log records, spans and messages share,
//! and log records with the ids of their trace.
//!
//! | config | default | |
//! |---|---|---|
//! | `server` | `my-server` | the service that handles commands: `POST /command` |
//! | `topic` | none | the topic that learns of each command |

use simhost_sdk::annotate;
use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    config::refuse_unknown();
    Router::new()
        .state(Settings { server: config::text("server", "my-server"), topic: config::text("topic", "") })
        .route("GET /health", health)
        .route("POST /dispatch", dispatch)
}

struct Settings {
    server: String,
    topic: String,
}

#[derive(Serialize)]
struct Dispatched {
    upstream_status: u16,
}

fn dispatch(State(settings): State<Settings>, Json(payload): Json<Value>) -> Result<Json<Dispatched>, Error> {
    let given = payload.get("request_id").and_then(Value::as_str).map(str::to_owned);
    let request_id = given.unwrap_or_else(random::uuid_v4);
    annotate(attributes!["request.id" => &request_id]);
    log::write(log::Level::Info, "dispatching", attributes!["request.id" => &request_id]);
    let response = call(&settings.server).post("/command").json(&payload).send().map_err(Error::gateway)?;
    if !settings.topic.is_empty() {
        let event = json!({ "request_id": request_id, "status": response.status() });
        publish(&settings.topic).key(request_id).json(&event).send()?;
    }
    Ok(Json(Dispatched { upstream_status: response.status() }))
}
