//! One hop of a chain: `GET /` calls the service named in `next` at `/` and answers what that answers.
//!
//! | config | default | |
//! |---|---|---|
//! | `next` | none | the service to call; without one the answer is 200 |
//!
//! Chains, cycles and calls to oneself are all a matter of `next`. An error of the call answers 502 or 504 with the
//! error's text.

use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

struct Next(Option<String>);

fn routes() -> Router {
    Router::new().state(Next(config::get("next"))).route("GET /", hop).route("GET /health", health)
}

fn hop(State(next): State<Next>) -> Result<Response, Error> {
    match &next.0 {
        Some(service) => call(service).get("/").send().map_err(Error::gateway),
        None => Ok(Response::new(200)),
    }
}
