//! Messages, as HTTP sees them, and what can be made into one.

use crate::Error;
use crate::bindings::simhost::service::http;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The fields of a message's header, in order. Names are lower-case; looking one up ignores case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every value of a name.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Sets a name to one value, whatever it had.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.0.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.append(name, value);
    }

    /// Adds a value to those that the name has.
    pub fn append(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_ascii_lowercase(), value.into()));
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    method: String,
    path_and_query: String,
    headers: Headers,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers or body. The path begins with `/` and may have a query.
    pub fn new(method: &str, path_and_query: &str) -> Self {
        Self {
            method: method.to_owned(),
            path_and_query: path_and_query.to_owned(),
            headers: Headers::default(),
            body: Vec::new(),
        }
    }

    /// The same request with a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same request with another path and query, made from the present one.
    pub(crate) fn with_path_and_query(mut self, change: impl FnOnce(&str) -> String) -> Self {
        self.path_and_query = change(&self.path_and_query);
        self
    }

    /// The method, in capitals.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Path and query, percent-encoded as they were sent.
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The path, percent-encoded as it was sent.
    pub fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// What follows the `?`, percent-encoded as it was sent; empty if there is none.
    pub fn query(&self) -> &str {
        self.path_and_query.split_once('?').map_or("", |(_, query)| query)
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The headers, to change them.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }
}

/// A response: what a handler gives, and what a call receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

impl Response {
    /// A response without headers or body. The status is 200 to 599; for any other the simulator answers 500.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Headers::default(), body: Vec::new() }
    }

    /// A response with a JSON body. A value that JSON cannot hold makes it a 500.
    pub fn from_json(status: u16, value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self::new(status).header("content-type", "application/json").body(body),
            Err(error) => Error::from(error).into_response(),
        }
    }

    /// The same response with another status.
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same response with one more header.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The same response with a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text; what is not UTF-8 becomes U+FFFD.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as a value, whatever the status is.
    ///
    /// # Errors
    /// If it is not JSON, or not a `T`: an [unexpected](Error::unexpected) error, so `?` answers 500.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Error::unexpected("DecodeError", format!("body of a {} response: {error}", self.status))
        })
    }

    /// The response itself if its status is below 400.
    ///
    /// # Errors
    /// A [502](Error::bad_gateway) that names the status.
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.status < 400 {
            return Ok(self);
        }
        Err(Error::bad_gateway(format!("a service called answered {}", self.status)))
    }
}

/// What a handler may give.
pub trait IntoResponse {
    /// The response that stands for the value.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

/// 200 without a body.
impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(200)
    }
}

/// A status without a body.
impl IntoResponse for u16 {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::new(200).header("content-type", "text/plain; charset=utf-8").body(self)
    }
}

impl IntoResponse for &str {
    fn into_response(self) -> Response {
        self.to_owned().into_response()
    }
}

impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        Response::new(200).header("content-type", "application/octet-stream").body(self)
    }
}

/// The response of the second with the status of the first.
impl<T: IntoResponse> IntoResponse for (u16, T) {
    fn into_response(self) -> Response {
        self.1.into_response().with_status(self.0)
    }
}

impl<T: IntoResponse, E: IntoResponse> IntoResponse for Result<T, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => error.into_response(),
        }
    }
}

impl From<Vec<(String, String)>> for Headers {
    /// Takes the fields as they are: names are lower-case.
    fn from(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }
}

impl From<Request> for http::Request {
    fn from(request: Request) -> Self {
        let Request { method, path_and_query, headers, body } = request;
        Self { method, path_and_query, headers: headers.0, body }
    }
}

impl From<http::Response> for Response {
    fn from(response: http::Response) -> Self {
        Self { status: response.status, headers: Headers(response.headers), body: response.body }
    }
}

impl From<Response> for http::Response {
    fn from(response: Response) -> Self {
        Self { status: response.status, headers: response.headers.0, body: response.body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_ignore_case_and_keep_several_values() {
        let mut headers = Headers::default();
        headers.append("Set-Cookie", "a=1");
        headers.append("set-cookie", "b=2");
        headers.set("X-Tier", "gold");
        headers.set("x-tier", "silver");
        assert_eq!(headers.get_all("SET-COOKIE").collect::<Vec<_>>(), ["a=1", "b=2"]);
        assert_eq!(headers.get("X-Tier"), Some("silver"));
        assert_eq!(headers.iter().count(), 3);
    }

    #[test]
    fn a_request_knows_its_path_and_its_query() {
        let request = Request::new("GET", "/stock/a%20b?verbose=1?");
        assert_eq!((request.path(), request.query()), ("/stock/a%20b", "verbose=1?"));
        assert_eq!((Request::new("GET", "/").path(), Request::new("GET", "/").query()), ("/", ""));
    }

    #[test]
    fn only_statuses_from_400_are_errors() {
        assert!(Response::new(302).error_for_status().is_ok());
        let error = Response::new(404).error_for_status().unwrap_err();
        assert_eq!((error.status(), error.detail()), (502, "a service called answered 404"));
    }
}
