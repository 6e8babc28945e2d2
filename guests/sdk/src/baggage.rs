//! W3C Baggage: values that travel with the request, and on with every call that it causes.

use crate::bindings::simhost::service::tracing;

/// The value that came with the request or was set since.
pub fn get(key: &str) -> Option<String> {
    tracing::get_baggage(key)
}

/// Sets a value, which goes out with the calls that follow.
pub fn set(key: &str, value: &str) {
    tracing::set_baggage(key, value);
}
