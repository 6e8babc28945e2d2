//! Calls to other services.

use crate::bindings::simhost::service::bus;
use crate::clock::nanoseconds;
use crate::http::{Request, Response};
use crate::percent::percent_encode;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// Why a call has no response, as the contract has it.
pub use bus::CallError as Cause;
/// A reason that this version of the contract does not name.
pub use bus::OtherError as OtherCause;

/// Begins a call to a service of the topology, by its name; or to `http://host:port` where the topology allows it.
///
/// ```no_run
/// # use simhost_sdk::prelude::*;
/// # fn main() -> Result<(), Error> {
/// let stock: Value = call("inventory-service").get("/stock/book").send()?.json()?;
/// call("payment-service").post("/charges").json(&json!({"amount": 9.99})).timeout(Duration::from_secs(1)).send()?;
/// # Ok(()) }
/// ```
pub fn call(service: impl Into<String>) -> Service {
    Service { name: service.into() }
}

/// A service that is about to be called.
pub struct Service {
    name: String,
}

impl Service {
    /// A GET. The path begins with `/`; encode what you put into it with [`percent_encode`].
    pub fn get(self, path: &str) -> Call {
        self.request("GET", path)
    }

    /// A POST.
    pub fn post(self, path: &str) -> Call {
        self.request("POST", path)
    }

    /// A PUT.
    pub fn put(self, path: &str) -> Call {
        self.request("PUT", path)
    }

    /// A DELETE.
    pub fn delete(self, path: &str) -> Call {
        self.request("DELETE", path)
    }

    /// A request with any method.
    pub fn request(self, method: &str, path: &str) -> Call {
        self.forward(Request::new(method, path))
    }

    /// A request that is at hand already, such as the one being served.
    pub fn forward(self, request: Request) -> Call {
        Call { service: self.name, request: Ok(request), timeout: None }
    }
}

/// A call that is being put together.
#[must_use = "a call does nothing until `send` or `start`"]
pub struct Call {
    service: String,
    /// The request, or why there can be none: the error is worth more where the call is sent.
    request: Result<Request, String>,
    timeout: Option<Duration>,
}

impl Call {
    /// Gives the request a JSON body. A value that JSON cannot hold makes the call [invalid](Cause::Invalid).
    pub fn json(self, value: &impl Serialize) -> Self {
        self.change(|request| match serde_json::to_vec(value) {
            Ok(body) => Ok(set_header(request, "content-type", "application/json").body(body)),
            Err(error) => Err(format!("the body cannot be JSON: {error}")),
        })
    }

    /// Gives the request a body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.change(|request| Ok(request.body(body)))
    }

    /// Sets a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.change(|request| Ok(set_header(request, name, value)))
    }

    /// Adds a field to the query, percent-encoded here.
    pub fn query(self, name: &str, value: impl fmt::Display) -> Self {
        self.change(|request| {
            let mark = if request.path_and_query().contains('?') { '&' } else { '?' };
            let (name, value) = (percent_encode(name), percent_encode(&value.to_string()));
            Ok(request.with_path_and_query(|path| format!("{path}{mark}{name}={value}")))
        })
    }

    /// Gives up after this long. The link's own timeout holds too: the shorter one counts.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends the request and waits for the response. A response of any status is no error here: see
    /// [`Response::error_for_status`].
    ///
    /// # Errors
    /// If no response came.
    pub fn send(self) -> Result<Response, CallError> {
        let Self { service, request, timeout } = self;
        let sent = request
            .map_err(Cause::Invalid)
            .and_then(|request| bus::call(&service, &request.into(), options(timeout)));
        sent.map(Response::from).map_err(|cause| CallError { service, cause })
    }

    /// Sends the request and goes on: several calls run at the same time. See also [`wait_all`].
    pub fn start(self) -> Pending {
        let Self { service, request, timeout } = self;
        let raw = request.map(|request| bus::Pending::new(&service, &request.into(), options(timeout)));
        Pending { service, raw: raw.map_err(Cause::Invalid) }
    }

    fn change(mut self, change: impl FnOnce(Request) -> Result<Request, String>) -> Self {
        self.request = self.request.and_then(change);
        self
    }
}

fn set_header(mut request: Request, name: &str, value: &str) -> Request {
    request.headers_mut().set(name, value);
    request
}

fn options(timeout: Option<Duration>) -> bus::CallOptions {
    bus::CallOptions { timeout_ns: timeout.map(nanoseconds) }
}

/// A call under way. Dropping it lets it run on: fire and forget.
pub struct Pending {
    service: String,
    raw: Result<bus::Pending, Cause>,
}

impl Pending {
    /// Waits for the response.
    ///
    /// # Errors
    /// If none came.
    pub fn wait(self) -> Result<Response, CallError> {
        let Self { service, raw } = self;
        raw.and_then(|pending| pending.wait())
            .map(Response::from)
            .map_err(|cause| CallError { service, cause })
    }
}

/// Waits for all calls, in the order given: the results are in that order too.
pub fn wait_all(calls: impl IntoIterator<Item = Pending>) -> Vec<Result<Response, CallError>> {
    calls.into_iter().map(Pending::wait).collect()
}

/// Why a call has no response.
///
/// With `?` it becomes an [unexpected](crate::Error::unexpected) error, so the handler answers 500. To answer for
/// the service called, use [`Error::gateway`](crate::Error::gateway).
#[derive(Clone, Debug)]
pub struct CallError {
    service: String,
    cause: Cause,
}

impl CallError {
    /// An error as a call gives it.
    pub fn new(service: impl Into<String>, cause: Cause) -> Self {
        Self { service: service.into(), cause }
    }

    /// The service that was called.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// What happened, to match on.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// Whether the response did not come in time: that of the call, or of the request that is being served.
    pub fn is_timeout(&self) -> bool {
        matches!(self.cause, Cause::Timeout | Cause::DeadlineExceeded)
    }

    /// The class of the error, the `exception.type` of the trace.
    pub fn kind(&self) -> &str {
        match &self.cause {
            Cause::UnknownService(_) => "UnknownService",
            Cause::Timeout => "Timeout",
            Cause::DeadlineExceeded => "DeadlineExceeded",
            Cause::Refused(_) => "ConnectionRefused",
            Cause::Reset(_) => "ConnectionReset",
            Cause::CircuitOpen(_) => "CircuitOpen",
            Cause::BulkheadFull(_) => "BulkheadFull",
            Cause::DepthExceeded(_) => "DepthExceeded",
            Cause::MemoryExceeded(_) => "MemoryExceeded",
            Cause::Invalid(_) => "InvalidRequest",
            Cause::Other(OtherCause { kind, .. }) => kind,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.service)?;
        match &self.cause {
            Cause::UnknownService(text) => write!(f, "unknown service: {text}"),
            Cause::Timeout => write!(f, "no response in time"),
            Cause::DeadlineExceeded => write!(f, "the deadline has passed"),
            Cause::Refused(text) => write!(f, "connection refused: {text}"),
            Cause::Reset(text) => write!(f, "connection reset: {text}"),
            Cause::CircuitOpen(text) => write!(f, "circuit open: {text}"),
            Cause::BulkheadFull(text) => write!(f, "bulkhead full: {text}"),
            Cause::MemoryExceeded(text) => write!(f, "host memory exceeded: {text}"),
            Cause::DepthExceeded(depth) => write!(f, "the chain of calls is deeper than {depth}"),
            Cause::Invalid(text) => write!(f, "invalid request: {text}"),
            Cause::Other(OtherCause { message, .. }) => f.write_str(message),
        }
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_builds_its_request() {
        let call = call("inventory").post("/stock").query("item", "a b").query("n", 2).json(&[1, 2]);
        let request = call.header("X-Tier", "gold").request.unwrap();
        assert_eq!((request.method(), request.path_and_query()), ("POST", "/stock?item=a%20b&n=2"));
        assert_eq!(request.bytes(), b"[1,2]");
        assert_eq!(request.headers().get("content-type"), Some("application/json"));
        assert_eq!(request.headers().get("x-tier"), Some("gold"));
    }

    #[test]
    fn a_reason_of_a_later_host_has_the_kind_and_the_words_that_it_comes_with() {
        let later = OtherCause { kind: "rate_limited".into(), message: "wait for 2s".into() };
        let error = CallError::new("inventory", Cause::Other(later));
        assert_eq!((error.kind(), error.to_string().as_str()), ("rate_limited", "inventory: wait for 2s"));
        assert!(!error.is_timeout());
        assert_eq!(crate::Error::gateway(error).kind(), "rate_limited");
    }

    #[test]
    fn a_body_that_json_cannot_hold_makes_the_call_invalid() {
        let value = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = call("inventory").post("/").json(&value).header("a", "b").send().unwrap_err();
        assert!(matches!(error.cause(), Cause::Invalid(_)), "{error}");
    }
}
