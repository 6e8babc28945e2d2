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

/// How long the services may take for a page.
const BUDGET: Duration = Duration::from_millis(200);

fn product(Path(id): Path<String>) -> Result<Json<Page>, Error> {
    let id = percent_encode(&id);
    let (details, price) = (part("details", &id), part("price", &id));
    let mut missing = Vec::new();
    let reviews = optional("reviews", part("reviews", &id), &mut missing);
    let similar = optional("similar", part("similar", &id), &mut missing);
    Ok(Json(Page { details: details?, price: price?, reviews, similar, missing }))
}

/// A part of the page. It is waited for where it is begun.
fn part(service: &str, id: &str) -> Result<Value, Error> {
    let answer = call(service).get(&format!("/{service}/{id}")).timeout(BUDGET).start().wait();
    content(service, &answer.map_err(Error::gateway)?)
}

/// A part that the page can be without: then its name is among the missing ones.
fn optional(
    name: &'static str,
    part: Result<Value, Error>,
    missing: &mut Vec<&'static str>,
) -> Option<Value> {
    if let Err(error) = &part {
        log::warn(format!("without {name}: {error}"));
        missing.push(name);
    }
    part.ok()
}

/// What a service has answered: its JSON, or null if it has no body.
fn content(service: &str, answer: &Response) -> Result<Value, Error> {
    if !answer.is_success() {
        return Err(Error::bad_gateway(format!("{service} answered {}", answer.status())));
    }
    if answer.bytes().is_empty() { Ok(Value::Null) } else { answer.json() }
}
