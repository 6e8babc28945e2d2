//! The answer to a request that cannot be served.

use crate::call::CallError;
use crate::http::{IntoResponse, Response};
use crate::log;
use serde::Serialize;
use std::any::Any;
use std::borrow::Cow;
use std::fmt;

/// An answer other than the one hoped for: a status, a detail for the client, and a kind for the trace.
///
/// There are two sorts, as in most frameworks:
/// - **Chosen**: `Err(Error::conflict("Insufficient stock"))` answers 409 with `{"detail":"Insufficient stock"}`.
/// - **Unexpected**: `?` turns any other error, a [`CallError`] too, into a 500 whose client learns nothing more; its
///   message goes to the trace and, as a log record, to whoever runs the service. To answer 502 or 504 for a failed
///   call, choose it: `.map_err(Error::gateway)?`.
///
/// A span that an error crosses (see [`in_span`](crate::in_span)) records both sorts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    status: u16,
    kind: Cow<'static, str>,
    detail: String,
    is_expected: bool,
}

macro_rules! statuses {
    ($($name:ident $status:literal $title:literal;)*) => {
        $(
            #[doc = concat!(stringify!($status), " ", $title, ".")]
            pub fn $name(detail: impl Into<String>) -> Self {
                Self::new($status, detail)
            }
        )*
    };
}

impl Error {
    /// An error that answers `status` with `{"detail": detail}`. Its kind is `HttpError`.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { status, kind: "HttpError".into(), detail: detail.into(), is_expected: true }
    }

    statuses! {
        bad_request 400 "Bad Request";
        unauthorized 401 "Unauthorized";
        forbidden 403 "Forbidden";
        not_found 404 "Not Found";
        conflict 409 "Conflict";
        unprocessable 422 "Unprocessable Content";
        too_many_requests 429 "Too Many Requests";
        internal 500 "Internal Server Error";
        bad_gateway 502 "Bad Gateway";
        unavailable 503 "Service Unavailable";
        gateway_timeout 504 "Gateway Timeout";
    }

    /// An error that nobody foresaw: 500, with a message that the client does not see.
    pub fn unexpected(kind: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status: 500, kind: kind.into(), detail: message.into(), is_expected: false }
    }

    /// For a call that failed: 504 if it took too long, else 502. Use it as `.map_err(Error::gateway)?`.
    pub fn gateway(error: CallError) -> Self {
        let status = if error.is_timeout() { 504 } else { 502 };
        Self::new(status, error.to_string()).with_kind(error.kind().to_owned())
    }

    /// The same error with another kind, the `exception.type` of the trace.
    pub fn with_kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// The status of the response.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// What went wrong.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The class of the error, the `exception.type` of the trace.
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

/// The `exception.message` of the trace: `409: Insufficient stock`, or the bare message of an unexpected error.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_expected {
            write!(f, "{}: ", self.status)?;
        }
        f.write_str(&self.detail)
    }
}

/// An [unexpected](Error::unexpected) error, its kind the name of its type.
///
/// `Error` itself is no [`std::error::Error`], or this would say that it converts into itself twice.
impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let call = (&error as &dyn Any).downcast_ref::<CallError>();
        let kind = match call {
            Some(call) => Cow::Owned(call.kind().to_owned()),
            None => Cow::Borrowed(short_type_name::<E>()),
        };
        Self::unexpected(kind, error.to_string())
    }
}

/// `ParseIntError` for `core::num::error::ParseIntError`.
fn short_type_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let name = name.split('<').next().unwrap_or(name);
    name.rsplit(':').next().unwrap_or(name)
}

#[derive(Serialize)]
struct Body<'a> {
    detail: &'a str,
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if !self.is_expected {
            let attributes =
                crate::attributes!["exception.type" => &*self.kind, "exception.message" => &self.detail];
            log::write(log::Level::Error, &format!("{}: {self}", self.kind), attributes);
        }
        let detail = if self.is_expected { &self.detail } else { "Internal Server Error" };
        Response::from_json(self.status, &Body { detail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Cause;

    #[test]
    fn a_chosen_error_tells_its_detail() {
        let error = Error::bad_request("Quantity must be positive");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            ("HttpError", "400: Quantity must be positive")
        );
        let response = error.into_response();
        assert_eq!(
            (response.status(), response.text()),
            (400, r#"{"detail":"Quantity must be positive"}"#.into())
        );
    }

    #[test]
    fn an_unexpected_error_keeps_its_message_from_the_client() {
        let parse = || -> Result<i32, Error> { Ok("x".parse()?) };
        let error = parse().unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            ("ParseIntError", "invalid digit found in string")
        );
        let response = error.into_response();
        assert_eq!(
            (response.status(), response.text()),
            (500, r#"{"detail":"Internal Server Error"}"#.into())
        );
    }

    #[test]
    fn a_failed_call_is_500_unless_the_handler_acts_as_a_gateway() {
        let timeout = || CallError::new("payment-service", Cause::Timeout);
        let error = Error::from(timeout());
        assert_eq!((error.status(), error.kind()), (500, "Timeout"));
        assert_eq!(error.to_string(), "payment-service: no response in time");
        assert_eq!(Error::gateway(timeout()).status(), 504);
        let refused = CallError::new("payment-service", Cause::Refused("no replica".into()));
        assert_eq!(
            Error::gateway(refused).to_string(),
            "502: payment-service: connection refused: no replica"
        );
    }
}
