//! One hop of a chain: `GET /` calls the service named in `next` at `/` and answers what that answers.
//!
//! | config | default | |
//! |---|---|---|
//! | `next` | none | the service to call; without one the answer is 200 |
//! | `clock-reads` | 0 | how often it reads the clock first: to measure what a call of the host costs |
//!
//! Chains, cycles and calls to oneself are all a matter of `next`. An error of the call answers 502 or 504 with the
//! error's text.

use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

struct Settings {
    next: Option<String>,
    clock_reads: u32,
}

fn routes() -> Router {
    config::refuse_unknown();
    let settings = Settings { next: config::get("next"), clock_reads: config::parse("clock-reads", 0) };
    Router::new().state(settings).route("GET /", hop).route("GET /health", health)
}

fn hop(State(settings): State<Settings>) -> Result<Response, Error> {
    for _ in 0..settings.clock_reads {
        clock::now();
    }
    match &settings.next {
        Some(service) => call(service).get("/").send().map_err(Error::gateway),
        None => Ok(Response::new(200)),
    }
}
