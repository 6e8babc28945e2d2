//! The payment service: it charges whatever it is told to. The smallest service that takes and gives JSON.
//!
//! It has no configuration.

use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    config::refuse_unknown();
    Router::new().route("GET /health", health).route("POST /charges", charge)
}

#[derive(Deserialize)]
struct Charge {
    item: String,
    amount: f64,
}

#[derive(Serialize)]
struct Charged {
    status: &'static str,
    item: String,
    amount: f64,
}

fn charge(Json(Charge { item, amount }): Json<Charge>) -> Json<Charged> {
    Json(Charged { status: "charged", item, amount })
}
