//! What metrics say of requests on both sides.

use opentelemetry_semantic_conventions::attribute;

use crate::metrics::RequestKey;
use crate::telemetry::record::KeyValue;

use super::spans::status_text;

/// Adds what both sides say of how a request has ended. From status `least` on the status is the error.
pub(super) fn describe(attributes: &mut Vec<KeyValue>, key: &RequestKey, least: u16) {
    let RequestKey { version, status, error, .. } = *key;
    if status > 0 {
        attributes.push(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
    }
    match error {
        Some(error) => attributes.push(KeyValue::new(attribute::ERROR_TYPE, error)),
        None if status >= least => {
            attributes.push(KeyValue::new(attribute::ERROR_TYPE, status_text(status)));
        }
        None => {}
    }
    let version = version.name();
    attributes.extend(version.map(|version| KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version)));
}
