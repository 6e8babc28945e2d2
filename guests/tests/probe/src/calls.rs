//! Calls, and all that can come of them.

use simhost_sdk::Cause;
use simhost_sdk::bindings::simhost::service::{bus, http};
use simhost_sdk::prelude::*;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Target {
    service: String,
    path: Option<String>,
    method: Option<String>,
    body: Option<String>,
    timeout_ms: Option<u64>,
}

pub fn call_any(Query(target): Query<Target>) -> Json<Value> {
    let method = target.method.as_deref().unwrap_or("GET");
    let mut request = call(target.service).request(method, target.path.as_deref().unwrap_or("/"));
    if let Some(body) = target.body {
        request = request.body(body);
    }
    if let Some(timeout) = target.timeout_ms {
        request = request.timeout(Duration::from_millis(timeout));
    }
    Json(outcome(request.send()))
}

#[derive(Deserialize)]
pub struct Sleep {
    ms: Option<u64>,
}

pub fn parallel(Query(Sleep { ms }): Query<Sleep>) -> Result<Json<Value>, Error> {
    let path = format!("/sleep/{}", ms.unwrap_or(50));
    let next = next()?;
    let before = clock::now();
    let pending: Vec<_> = (0..3).map(|_| call(&next).get(&path).start()).collect();
    let results: Vec<Value> = wait_all(pending).into_iter().map(outcome).collect();
    let elapsed = clock::now() - before;
    Ok(Json(json!({ "elapsed_ns": elapsed.as_nanos() as u64, "results": results })))
}

pub fn fire_and_forget() -> Result<Json<Value>, Error> {
    let before = clock::now();
    drop(call(next()?).get("/sleep/50").start());
    let elapsed = clock::now() - before;
    Ok(Json(json!({ "elapsed_ns": elapsed.as_nanos() as u64 })))
}

/// By the raw contract: the SDK's `wait` takes the call.
pub fn double_wait() -> Result<Json<Value>, Error> {
    let request = http::Request {
        method: "GET".into(),
        path_and_query: "/now".into(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let next = next()?;
    let pending = bus::Pending::new(&next, &request, bus::CallOptions { timeout_ns: None });
    let wait = || outcome(pending.wait().map(Response::from).map_err(|cause| CallError::new(&next, cause)));
    Ok(Json(json!([wait(), wait()])))
}

pub fn next() -> Result<String, Error> {
    config::get("next").ok_or_else(|| Error::internal("config `next` names no service to call"))
}

pub fn outcome(result: Result<Response, CallError>) -> Value {
    match result {
        Ok(response) => {
            let headers: Vec<_> = response.headers().iter().collect();
            json!({ "status": response.status(), "headers": headers, "body": response.text() })
        }
        Err(error) => json!({ "error": name(error.cause()), "message": error.to_string() }),
    }
}

/// The name that the contract gives to the error.
fn name(cause: &Cause) -> &'static str {
    match cause {
        Cause::UnknownService(_) => "unknown-service",
        Cause::Timeout => "timeout",
        Cause::DeadlineExceeded => "deadline-exceeded",
        Cause::Refused(_) => "refused",
        Cause::Reset(_) => "reset",
        Cause::CircuitOpen(_) => "circuit-open",
        Cause::BulkheadFull(_) => "bulkhead-full",
        Cause::DepthExceeded(_) => "depth-exceeded",
        Cause::MemoryExceeded(_) => "memory-exceeded",
        Cause::Invalid(_) => "invalid",
        Cause::Other(_) => "other",
    }
}
