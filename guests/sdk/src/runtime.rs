//! What [`service!`](crate::service) expands to calls: one router for each worker, built when first needed.

use crate::Router;
use crate::bindings::exports::simhost::service::handler::Route;
use crate::bindings::simhost::service::http;
use crate::extract::Context;
use std::cell::OnceCell;

thread_local! {
    static ROUTER: OnceCell<Router> = const { OnceCell::new() };
}

/// The routes of the service that `build` describes.
pub fn routes(build: fn() -> Router) -> Vec<Route> {
    ROUTER.with(|router| router.get_or_init(build).describe())
}

/// Serves one request.
pub fn handle(build: fn() -> Router, route: Option<u32>) -> http::Response {
    ROUTER.with(|router| {
        let router = router.get_or_init(build);
        router.dispatch(route, &Context::incoming(router.states())).into()
    })
}
