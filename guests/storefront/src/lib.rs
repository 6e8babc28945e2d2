//! The order service of the storefront: it stores an order, checks the inventory, charges the customer, and tells
//! everybody else by a message.
//!
//! It shows nested spans with the attributes that people search for, an event at a moment, an error of the trade that
//! ends a span and the request, and a message that takes the trace along.
//!
//! | config | default | |
//! |---|---|---|
//! | `database` | `orders` | the database with the table `orders` (`id`, `user_id`, `source`) |
//! | `inventory` | `inventory-service` | the service that knows what is there: `GET /items/{order}` |
//! | `payment` | `payment-service` | the service to charge: `POST /charges` |
//! | `provider` | `stripe` | the attribute `payment.provider` |
//! | `topic` | `order-events` | the topic that learns of each order |

use simhost_sdk::prelude::*;
use simhost_sdk::sql;

simhost_sdk::service!(routes);

const INSERT: &str = "INSERT INTO orders (id, user_id, source) VALUES ($1, $2, $3)";

fn routes() -> Router {
    config::refuse_unknown();
    Router::new()
        .state(Settings::from_config())
        .route("GET /health", health)
        .route("POST /orders", create_order)
}

struct Settings {
    database: String,
    inventory: String,
    payment: String,
    provider: String,
    topic: String,
}

impl Settings {
    fn from_config() -> Self {
        Self {
            database: config::text("database", "orders"),
            inventory: config::text("inventory", "inventory-service"),
            payment: config::text("payment", "payment-service"),
            provider: config::text("provider", "stripe"),
            topic: config::text("topic", "order-events"),
        }
    }
}

#[derive(Deserialize)]
struct Order {
    user_id: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    price: f64,
    #[serde(default = "one")]
    quantity: u32,
}

fn one() -> u32 {
    1
}

impl Order {
    fn total(&self) -> f64 {
        self.items.iter().map(|item| item.price * f64::from(item.quantity)).sum()
    }
}

#[derive(Serialize)]
struct Charge<'a> {
    payment_id: &'a str,
    user_id: &'a str,
    amount: f64,
}

#[derive(Serialize)]
struct Placed<'a> {
    order_id: &'a str,
    user_id: &'a str,
    total: f64,
}

#[derive(Serialize)]
struct Confirmed {
    order_id: String,
    status: &'static str,
}

fn create_order(
    State(settings): State<Settings>,
    Json(order): Json<Order>,
) -> Result<(u16, Json<Confirmed>), Error> {
    let order_id = random::uuid_v4();
    in_span("process_order", |span| {
        span.set("order.id", &order_id).set("user.id", &order.user_id).set("order.source", "api");
        process(&settings, &order, &order_id, span)
    })?;
    let placed = Placed { order_id: &order_id, user_id: &order.user_id, total: order.total() };
    announce(&settings, &placed)?;
    Ok((201, Json(Confirmed { order_id, status: "confirmed" })))
}

fn process(settings: &Settings, order: &Order, order_id: &str, span: &Span) -> Result<(), Error> {
    let params = [order_id.into(), order.user_id.as_str().into(), "api".into()];
    sql::query(&settings.database, INSERT, &params)?;
    in_span("validate_inventory", |span| {
        let call = call(&settings.inventory).get(&format!("/items/{order_id}"));
        let status = call.send().map_err(Error::gateway)?.status();
        span.set("inventory.available", status == 200);
        match status {
            200 => Ok(()),
            409 => Err(Error::conflict("Insufficient stock")),
            other => Err(Error::bad_gateway(format!("the inventory answered {other}"))),
        }
    })?;
    // The order service names the payment, so that a charge that is sent twice is one charge.
    let payment_id = format!("pay_{}", &random::uuid_v4()[..8]);
    in_span("charge_payment", |span| {
        span.set("payment.provider", &settings.provider).set("payment.id", &payment_id);
        let charge = Charge { payment_id: &payment_id, user_id: &order.user_id, amount: order.total() };
        match call(&settings.payment).post("/charges").json(&charge).send().map_err(Error::gateway)?.status()
        {
            200 => Ok(()),
            402 => Err(Error::new(402, "Payment declined").with_kind("PaymentDeclined")),
            other => Err(Error::bad_gateway(format!("the payment service answered {other}"))),
        }
    })?;
    span.event("order_confirmed", attributes!["payment_id" => &payment_id, "total" => order.total()]);
    Ok(())
}

/// Sends the message in a span of its own, as code without an instrumented client does.
fn announce(settings: &Settings, placed: &Placed<'_>) -> Result<(), Error> {
    in_span(&format!("kafka.produce {}", settings.topic), |span| {
        span.set("messaging.system", "kafka").set("messaging.destination.name", &settings.topic);
        publish(&settings.topic).key(placed.user_id).json(placed).send()?;
        Ok(())
    })
}
