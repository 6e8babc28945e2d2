//! What [`service!`](crate::service) expands to calls: one router for each worker, built when first needed.

use crate::bindings::exports::simhost::service::handler::Route;
use crate::bindings::simhost::service::http;
use crate::extract::Context;
use crate::problem::Problem;
use crate::{Router, config};
use std::cell::OnceCell;

thread_local! {
    static SERVICE: OnceCell<(Router, Vec<Problem>)> = const { OnceCell::new() };
}

/// Builds the router, and finds all that is wrong with it and with the configuration.
fn build(build: fn() -> Router) -> (Router, Vec<Problem>) {
    let (router, mut problems) = config::collect(build);
    problems.extend(router.problems());
    (router, problems)
}

/// The routes of the service that `make` describes, or what is wrong with it.
pub fn routes(make: fn() -> Router) -> Result<Vec<Route>, Vec<Problem>> {
    SERVICE.with(|service| {
        let (router, problems) = service.get_or_init(|| build(make));
        if problems.is_empty() { Ok(router.describe()) } else { Err(problems.clone()) }
    })
}

/// Serves one request.
pub fn handle(make: fn() -> Router, route: Option<u32>) -> http::Response {
    SERVICE.with(|service| {
        let (router, problems) = service.get_or_init(|| build(make));
        // The simulator has asked for the routes before, with the same configuration.
        if let Some(problem) = problems.first() {
            panic!("{}", config::described(problem));
        }
        router.dispatch(route, &Context::incoming(router.states())).into()
    })
}
