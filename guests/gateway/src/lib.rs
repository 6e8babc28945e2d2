//! A gateway: it passes requests on to the services behind it, and their responses back.
//!
//! It shows a guest whose routes stand in its configuration, a reverse proxy by RFC 9110, and a check of every request
//! by another service.
//!
//! ```toml
//! [services.api-gateway]
//! guest = "gateway"
//! config.timeout = "10s"
//! config.orders = { route = "POST /orders", to = "order-service" }
//! config.show = { route = "GET /orders/{id}", to = "order-service", auth = "auth-service/verify" }
//! ```
//!
//! Each table is a route. What stands beside the tables holds for all that do not say otherwise:
//!
//! | config | default | |
//! |---|---|---|
//! | `route` | required | the route, in tables only |
//! | `to` | required | the service that gets its requests |
//! | `path` | that of the request | another path there; a name in braces stands for the parameter of that name |
//! | `auth` | none | a service and a path, `"auth-service/verify"`, that lets requests pass, below |
//! | `timeout` | `30s` | how long each call may take |
//! | `work` | `0ms` | how long it takes itself before it calls: a time or a distribution |
//!
//! `auth` is asked with a GET that has the headers of the request. Its answer 2xx lets the request pass; any other is
//! the answer to the request. A call without a response answers 502, or 504 if
//! it took too long. Headers that end at each hop (RFC 9110, section 7.6.1) are not passed on.

mod proxy;

use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;

simhost_sdk::service!(routes);

fn routes() -> Router {
    config::refuse_unknown();
    let router = Router::new().route("GET /health", health);
    let proxies = proxy::read();
    if proxies.is_empty() {
        let problem = Problem::new("a gateway without routes passes nothing on");
        config::refuse(
            problem.remedy("write config.all = { route = \"POST /orders\", to = \"order-service\" }"),
        );
    }
    proxies.into_iter().fold(router, |router, proxy| {
        let (key, route) = (proxy.key.clone(), proxy.route.clone());
        router.configured_route(&key, &route, move |params: Params, request: Request| {
            proxy.serve(&params, &request)
        })
    })
}
