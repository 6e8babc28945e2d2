//! Messages that HTTP does not have, or that are too large.

use simhost_sdk::bindings::simhost::service::{bus, http};
use simhost_sdk::prelude::*;

pub fn status(Path(code): Path<u16>) -> Response {
    Response::new(code)
}

pub fn bad_headers() -> Response {
    Response::new(200)
        .header("two words", "a name with a space")
        .header("new\nline", "a name with a newline")
        .header("", "no name")
        .header("x-split", "a\r\nset-cookie: injected=1")
        .header("x-nul", "a\0b")
        .header("content-length", "3")
        .header("transfer-encoding", "chunked")
        .header("x-good", "kept")
}

pub fn header_flood(Path(n): Path<u32>) -> Response {
    (0..n).fold(Response::new(200), |response, number| response.header(&format!("x-{number}"), "flood"))
}

pub fn body(Path(bytes): Path<usize>) -> Response {
    Response::new(200).body(vec![b'x'; bytes])
}

pub fn big_call(Path(bytes): Path<usize>) -> Result<Response, Error> {
    call(next()?).post("/").body(vec![b'x'; bytes]).send().map_err(Error::gateway)
}

/// By the raw contract: the SDK's own lower-cases names of headers.
pub fn bad_call() -> Result<String, Error> {
    let request = http::Request {
        method: "GET IT".into(),
        path_and_query: "no slash\r\n".into(),
        headers: vec![("Two Words".into(), "a\r\nb".into())],
        body: Vec::new(),
    };
    let result = bus::call(&next()?, &request, bus::CallOptions { timeout_ns: None });
    Ok(match result {
        Ok(response) => format!("status {}", response.status),
        Err(error) => error.to_string(),
    })
}

fn next() -> Result<String, Error> {
    config::get("next").ok_or_else(|| Error::internal("config `next` names no service to call"))
}
