//! The order service of the checkout: it validates an order, and has its items reserved.
//!
//! It shows a span whose error is recorded and whose status has a text of its own, an answer of another service that
//! the client learns, and a log record in the context of its span.
//!
//! | config | default | |
//! |---|---|---|
//! | `inventory` | `inventory-service` | the service that reserves |
//! | `timeout` | `5s` | how long a reservation may take |
//! | `validation` | `2ms +/- 0.3ms` | how long validating takes |

use simhost_sdk::metrics::{Counter, meter};
use simhost_sdk::prelude::*;
use simhost_sdk::{Distribution, Status};
use std::sync::LazyLock;

simhost_sdk::service!(routes);

static CONFIRMED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let confirmed = meter().u64_counter("orders.confirmed").with_unit("{order}");
    confirmed.with_description("Orders whose items are reserved.").build()
});

fn routes() -> Router {
    config::refuse_unknown();
    Router::new()
        .state(Settings::from_config())
        .route("GET /health", health)
        .route("POST /orders", create_order)
}

struct Settings {
    inventory: String,
    timeout: Duration,
    validation: Distribution,
}

impl Settings {
    fn from_config() -> Self {
        let (mean, stddev) = (Duration::from_millis(2), Duration::from_micros(300));
        Self {
            inventory: config::text("inventory", "inventory-service"),
            timeout: config::duration("timeout", Duration::from_secs(5)),
            validation: config::distribution("validation", Distribution::Normal { mean, stddev }),
        }
    }
}

#[derive(Deserialize)]
struct Order {
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default = "standard")]
    tier: String,
}

fn standard() -> String {
    "standard".to_owned()
}

#[derive(Deserialize, Serialize)]
struct Item {
    sku: String,
    qty: i64,
}

#[derive(Serialize)]
struct Reservation {
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Confirmed {
    order_id: String,
    status: &'static str,
}

fn create_order(
    State(settings): State<Settings>,
    Json(order): Json<Order>,
) -> Result<Json<Confirmed>, Error> {
    let Order { items, tier } = order;
    validate(&settings, &items, &tier)?;
    let count = items.len();
    let reservation = call(&settings.inventory).post("/reserve").json(&Reservation { items });
    let answer = reservation.timeout(settings.timeout).send().map_err(Error::gateway)?;
    match answer.status() {
        200 => {}
        status @ (404 | 409 | 422) => return Err(Error::new(status, detail(&answer))),
        status => return Err(Error::bad_gateway(format!("the inventory answered {status}"))),
    }
    let order_id = format!("ord_{}", &random::uuid_v4()[..8]);
    CONFIRMED.add(1, attributes!["order.customer_tier" => &tier]);
    let attributes = attributes!["order.id" => &order_id, "order.item_count" => count as i64];
    log::write(log::Level::Info, "order confirmed", attributes);
    Ok(Json(Confirmed { order_id, status: "confirmed" }))
}

fn validate(settings: &Settings, items: &[Item], tier: &str) -> Result<(), Error> {
    let span = Span::start("validate-order");
    span.set("order.item_count", items.len() as i64).set("order.customer_tier", tier);
    clock::sleep(settings.validation.sample());
    if items.is_empty() {
        span.status(Status::Error, "empty order").exception("ValueError", "Order has no items");
        return Err(Error::bad_request("Order must contain at least one item"));
    }
    if let Some(item) = items.iter().find(|item| item.qty <= 0) {
        span.status(Status::Error, "bad quantity").exception("ValueError", "Quantity is not positive");
        return Err(Error::unprocessable(format!("{}: the quantity must be positive", item.sku)));
    }
    Ok(())
}

/// What the inventory says to its client.
fn detail(answer: &Response) -> String {
    #[derive(Deserialize)]
    struct Body {
        detail: String,
    }
    answer.json().map_or_else(|_| answer.text(), |Body { detail }| detail)
}
