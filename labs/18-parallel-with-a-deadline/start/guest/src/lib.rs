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
    let details = part("details", &id)?;
    let price = part("price", &id)?;
    let reviews = part("reviews", &id)?;
    let similar = part("similar", &id)?;
    Ok(Json(Page { details, price, reviews: Some(reviews), similar: Some(similar), missing: Vec::new() }))
}

/// A part of the page, from the service of its name.
fn part(service: &str, id: &str) -> Result<Value, Error> {
    let answer = call(service).get(&format!("/{service}/{id}")).send().map_err(Error::gateway)?;
    content(service, &answer)
}

/// What a service has answered: its JSON, or null if it has no body.
fn content(service: &str, answer: &Response) -> Result<Value, Error> {
    if !answer.is_success() {
        return Err(Error::bad_gateway(format!("{service} answered {}", answer.status())));
    }
    if answer.bytes().is_empty() { Ok(Value::Null) } else { answer.json() }
}
