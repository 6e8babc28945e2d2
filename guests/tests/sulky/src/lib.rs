//! Traps when it is asked for its routes: a guest that cannot be loaded.

#![allow(missing_docs, reason = "generated; the documentation is in the WIT file")]

wit_bindgen::generate!({ path: "../../wit", world: "service" });

use exports::simhost::service::handler::{Guest, Problem, Response, Route};

struct Sulky;

impl Guest for Sulky {
    fn routes() -> Result<Vec<Route>, Vec<Problem>> {
        panic!("no routes today")
    }

    fn handle(_route: Option<u32>) -> Response {
        Response { status: 200, headers: Vec::new(), body: Vec::new() }
    }
}

export!(Sulky);
