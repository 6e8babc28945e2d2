//! Asks for the request while it is asked for its routes: there is none. Without the SDK.

#![allow(missing_docs, reason = "generated; the documentation is in the WIT file")]

wit_bindgen::generate!({ path: "../../wit", world: "service" });

use exports::simhost::service::handler::{Guest, Problem, Response, Route};
use simhost::service::incoming;

struct Early;

impl Guest for Early {
    fn routes() -> Result<Vec<Route>, Vec<Problem>> {
        Ok(vec![Route { method: incoming::method(), path: "/".into() }])
    }

    fn handle(_route: Option<u32>) -> Response {
        Response { status: 200, headers: Vec::new(), body: Vec::new() }
    }
}

export!(Early);
