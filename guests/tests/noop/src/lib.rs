//! Answers 200 with nothing, on `GET /` and `POST /`: the floor of what a request can cost. Without the SDK.

// The generated code has no documentation but the contract's.
#![allow(missing_docs, reason = "generated; the documentation is in the WIT file")]

wit_bindgen::generate!({ path: "../../wit", world: "service" });

use exports::simhost::service::handler::{Guest, Problem, Response, Route};
use simhost::service::config;

struct Noop;

impl Guest for Noop {
    fn routes() -> Result<Vec<Route>, Vec<Problem>> {
        let unknown = config::all().into_iter().map(|(key, _)| Problem {
            key: Some(key),
            message: "unknown key".into(),
            remedy: Some("leave it out: this service has no configuration".into()),
        });
        let problems: Vec<_> = unknown.collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(["GET", "POST"].map(|method| Route { method: method.into(), path: "/".into() }).into())
    }

    fn handle(_route: Option<u32>) -> Response {
        Response { status: 200, headers: Vec::new(), body: Vec::new() }
    }
}

export!(Noop);
