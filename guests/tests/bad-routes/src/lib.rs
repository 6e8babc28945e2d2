//! Describes itself with routes that no host can serve, and with one good one. Without the SDK, which refuses them.

#![allow(missing_docs, reason = "generated; the documentation is in the WIT file")]

wit_bindgen::generate!({ path: "../../wit", world: "service" });

use exports::simhost::service::handler::{Guest, Problem, Response, Route};

const ROUTES: [(&str, &str); 9] = [
    ("GET", "/health"),
    ("POST", "orders"),
    ("GET", "/x/{"),
    ("GET", "/twice"),
    ("GET", "/twice"),
    ("GET", "/items/{a}"),
    ("GET", "/items/{b}"),
    ("get it", "/method"),
    ("GET", "/{*rest}/after"),
];

struct BadRoutes;

impl Guest for BadRoutes {
    fn routes() -> Result<Vec<Route>, Vec<Problem>> {
        Ok(ROUTES.map(|(method, path)| Route { method: method.into(), path: path.into() }).into())
    }

    fn handle(_route: Option<u32>) -> Response {
        Response { status: 200, headers: Vec::new(), body: Vec::new() }
    }
}

export!(BadRoutes);
