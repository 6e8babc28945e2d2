//! The product page: it asks four services for their parts, and puts the page together.
//!
//! The parts `details` and `price` are the page: without one of them there is none. `reviews` and `similar` are
//! optional.

use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    config::refuse_unknown();
    Router::new().route("GET /products/{id}", product)
}

#[derive(Serialize)]
struct Page {
    details: Value,
    price: Value,
    reviews: Option<Value>,
    similar: Option<Value>,
    /// The names of the optional parts that the page is without.
    missing: Vec<&'static str>,
}

fn product(Path(id): Path<String>) -> Result<Json<Page>, Error> {
    let id = percent_encode(&id);
    let (details, price) = (ask("details", &id), ask("price", &id));
    // They go on by themselves: the page does not wait for them.
    drop((ask("reviews", &id), ask("similar", &id)));
    let (details, price) = (part("details", details)?, part("price", price)?);
    Ok(Json(Page { details, price, reviews: None, similar: None, missing: vec!["reviews", "similar"] }))
}

/// Begins to ask the service of this name for its part of the page.
fn ask(service: &str, id: &str) -> simhost_sdk::Pending {
    call(service).get(&format!("/{service}/{id}")).timeout(Duration::from_millis(200)).start()
}

fn part(service: &str, pending: simhost_sdk::Pending) -> Result<Value, Error> {
    content(service, &pending.wait().map_err(Error::gateway)?)
}

/// What a service has answered: its JSON, or null if it has no body.
fn content(service: &str, answer: &Response) -> Result<Value, Error> {
    if !answer.is_success() {
        return Err(Error::bad_gateway(format!("{service} answered {}", answer.status())));
    }
    if answer.bytes().is_empty() { Ok(Value::Null) } else { answer.json() }
}
