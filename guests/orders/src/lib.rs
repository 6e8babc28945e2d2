//! The order service: one `POST /orders` fans out to inventory, payment and notification.
//!
//! It shows a handler of several steps, each in a span of its own; errors that stop the order (a step's span and
//! `process_order` record them); a call whose failure is nobody's business, the notification; and what it measures of
//! each order that it takes: `orders.placed` and `orders.items`.
//!
//! | config | default | |
//! |---|---|---|
//! | `inventory` | `inventory-service` | the service to ask for stock |
//! | `payment` | `payment-service` | the service to charge |
//! | `notification` | `notification-service` | the service to tell |
//! | `notify-timeout` | `500ms` | how long the notification may take |

use simhost_sdk::metrics::{Counter, Histogram, meter};
use simhost_sdk::prelude::*;
use std::sync::LazyLock;

simhost_sdk::service!(routes);

static PLACED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    meter()
        .u64_counter("orders.placed")
        .with_unit("{order}")
        .with_description("Orders that were taken.")
        .build()
});

static ITEMS: LazyLock<Histogram<u64>> = LazyLock::new(|| {
    let items =
        meter().u64_histogram("orders.items").with_unit("{item}").with_description("Items of an order.");
    items.with_boundaries([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]).build()
});

fn routes() -> Router {
    config::refuse_unknown();
    Router::new()
        .state(Services::from_config())
        .route("GET /health", health)
        .route("POST /orders", create_order)
}

struct Services {
    inventory: String,
    payment: String,
    notification: String,
    notify_timeout: Duration,
}

impl Services {
    fn from_config() -> Self {
        Self {
            inventory: config::text("inventory", "inventory-service"),
            payment: config::text("payment", "payment-service"),
            notification: config::text("notification", "notification-service"),
            notify_timeout: config::duration("notify-timeout", Duration::from_millis(500)),
        }
    }
}

#[derive(Deserialize)]
struct Order {
    item: String,
    quantity: i64,
    price: f64,
}

#[derive(Deserialize)]
struct Stock {
    available: i64,
}

#[derive(Serialize)]
struct Reserve {
    quantity: i64,
}

#[derive(Serialize)]
struct Charge<'a> {
    item: &'a str,
    amount: f64,
}

#[derive(Serialize)]
struct Notice<'a> {
    order_id: &'a str,
    item: &'a str,
}

#[derive(Serialize)]
struct Created {
    order_id: String,
    status: &'static str,
}

fn create_order(
    State(services): State<Services>,
    Json(order): Json<Order>,
) -> Result<(u16, Json<Created>), Error> {
    in_span("process_order", |span| {
        span.set("order.item", &order.item);
        span.set("order.quantity", order.quantity);

        in_span("validate_order", |_| validate(&order))?;
        in_span("check_inventory", |_| check_inventory(&services, &order))?;
        in_span("reserve_inventory", |_| reserve_inventory(&services, &order))?;
        in_span("charge_payment", |_| charge_payment(&services, &order))?;

        let order_id = random::uuid_v4();
        span.set("order.id", &order_id);
        PLACED.add(1, attributes!["order.item" => &order.item]);
        ITEMS.record(order.quantity.unsigned_abs(), []);
        send_notification(&services, &order, &order_id);

        Ok((201, Json(Created { order_id, status: "created" })))
    })
}

fn validate(order: &Order) -> Result<(), Error> {
    if order.quantity <= 0 {
        return Err(Error::bad_request("Quantity must be positive"));
    }
    if order.price < 0.0 {
        return Err(Error::bad_request("Price must be non-negative"));
    }
    Ok(())
}

fn check_inventory(services: &Services, order: &Order) -> Result<(), Error> {
    let path = format!("/stock/{}", percent_encode(&order.item));
    let response = call(&services.inventory).get(&path).send()?;
    if response.status() != 200 {
        return Err(Error::bad_gateway("Inventory check failed"));
    }
    let stock: Stock = response.json()?;
    if stock.available < order.quantity {
        return Err(Error::conflict("Insufficient stock"));
    }
    Ok(())
}

fn reserve_inventory(services: &Services, order: &Order) -> Result<(), Error> {
    let path = format!("/stock/{}/reserve", percent_encode(&order.item));
    let response =
        call(&services.inventory).post(&path).json(&Reserve { quantity: order.quantity }).send()?;
    if response.status() != 200 {
        return Err(Error::bad_gateway("Inventory reserve failed"));
    }
    Ok(())
}

fn charge_payment(services: &Services, order: &Order) -> Result<(), Error> {
    let charge = Charge { item: &order.item, amount: order.price * order.quantity as f64 };
    let response = call(&services.payment).post("/charges").json(&charge).send()?;
    if response.status() != 200 {
        return Err(Error::bad_gateway("Payment failed"));
    }
    Ok(())
}

/// The order stands whether or not anybody hears of it: the call's own span tells if it failed.
fn send_notification(services: &Services, order: &Order, order_id: &str) {
    let _span = Span::start("send_notification");
    let notice = Notice { order_id, item: &order.item };
    let _ =
        call(&services.notification).post("/notify").json(&notice).timeout(services.notify_timeout).send();
}
