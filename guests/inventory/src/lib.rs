//! The inventory service: what is in stock, and its reservation, which is slow when much is wanted.
//!
//! It shows path parameters, nested spans, simulated work, and state in the memory of a worker.
//!
//! | config | default | |
//! |---|---|---|
//! | `stock.<item>` | `stock.book` is 100 | how much of an item there is; an item without a number is unknown |
//! | `consume-stock` | `false` | whether a reservation takes from the stock, and answers 409 when it is short |
//! | `sleeps` | `true` | whether the lookup takes its time: 20 ms, above a quantity of 5 270 ms, and up to 30 ms more |
//!
//! Memory belongs to a worker, so with `consume-stock` each worker has a shelf of its own, full when it starts. Give
//! the service `workers = 1` and `replicas = 1` to have one truth.

use simhost_sdk::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;

simhost_sdk::service!(routes);

const HIGH_DEMAND: i64 = 5;

fn routes() -> Router {
    config::refuse_unknown();
    config::declare("stock.<item>");
    Router::new()
        .state(Inventory::from_config())
        .route("GET /health", health)
        .route("GET /stock/{item}", stock)
        .route("POST /stock/{item}/reserve", reserve_stock)
}

struct Inventory {
    shelf: RefCell<BTreeMap<String, i64>>,
    consumes: bool,
    sleeps: bool,
}

impl Inventory {
    fn from_config() -> Self {
        let mut shelf = BTreeMap::from([("book".to_owned(), 100)]);
        for (key, _) in config::all() {
            if let Some(item) = key.strip_prefix("stock.") {
                shelf.insert(item.to_owned(), config::parse::<u32>(&key, 0).into());
            }
        }
        Self {
            shelf: RefCell::new(shelf),
            consumes: config::parse("consume-stock", false),
            sleeps: config::parse("sleeps", true),
        }
    }

    fn available(&self, item: &str) -> Result<i64, Error> {
        self.shelf.borrow().get(item).copied().ok_or_else(|| Error::not_found("Unknown item"))
    }

    fn take(&self, item: &str, quantity: i64) -> Result<(), Error> {
        if quantity <= 0 {
            return Err(Error::bad_request("Quantity must be positive"));
        }
        let available = self.available(item)?;
        if available < quantity {
            return Err(Error::conflict("Insufficient stock"));
        }
        self.shelf.borrow_mut().insert(item.to_owned(), available - quantity);
        Ok(())
    }
}

#[derive(Serialize)]
struct Stock {
    item: String,
    available: i64,
}

fn stock(State(inventory): State<Inventory>, Path(item): Path<String>) -> Result<Json<Stock>, Error> {
    let available = inventory.available(&item)?;
    Ok(Json(Stock { item, available }))
}

#[derive(Deserialize)]
struct Reserve {
    quantity: i64,
}

#[derive(Serialize)]
struct Reserved {
    item: String,
    reserved: i64,
}

fn reserve_stock(
    State(inventory): State<Inventory>,
    Path(item): Path<String>,
    Json(Reserve { quantity }): Json<Reserve>,
) -> Result<Json<Reserved>, Error> {
    in_span("reserve_stock", |span| {
        span.set("inventory.item", &item);
        span.set("inventory.quantity", quantity);
        slow_lookup(&inventory, quantity);
        if inventory.consumes {
            inventory.take(&item, quantity)?;
        }
        Ok(Json(Reserved { item, reserved: quantity }))
    })
}

/// The planted defect: what is in demand is slow to find.
fn slow_lookup(inventory: &Inventory, quantity: i64) {
    let is_high = quantity > HIGH_DEMAND;
    let span = Span::start("slow_lookup");
    span.set("inventory.demand", if is_high { "high" } else { "normal" });
    if inventory.sleeps {
        let milliseconds = if is_high { 270.0 } else { 20.0 } + random::uniform(0.0..30.0);
        clock::sleep(Duration::from_secs_f64(milliseconds / 1000.0));
    }
}
