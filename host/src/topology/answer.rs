//! Answers that a topology gives in place of a service: their headers and bodies.

use super::load::json;
use super::reader::Value;
use crate::error::{Problem, quote};
use crate::message::is_token;

const TYPE: &str = "content-type";

/// Names and values.
type Headers = Vec<(String, String)>;

/// The keys `json`, `body` and `headers`, as the bytes of a body and its headers;
/// names are lower-case. `what` is what has them, in messages.
pub(super) fn answer(what: &str, keys: [Option<Value<'_>>; 3]) -> Option<(Option<String>, Headers)> {
    let [json_value, body, headers_value] = keys;
    let mut headers = headers_value.map_or(Some(Vec::new()), |value| headers_of(&value));
    let body = match (json_value, body) {
        (Some(json), Some(_)) => json.refuse_key(
            Problem::new(format!("{what} has both json and body"))
                .label("a body is given as well")
                .help("keep json for a body of JSON, or body for any other text"),
        ),
        (Some(value), None) => {
            let is_typed = |headers: &Headers| headers.iter().any(|(name, _)| name == TYPE);
            if let Some(headers) = headers.as_mut().filter(|headers| !is_typed(headers)) {
                headers.push((TYPE.to_owned(), "application/json".to_owned()));
            }
            json(&value).map(Some)
        }
        (None, Some(value)) => value.text().map(|text| Some(text.to_owned())),
        (None, None) => Some(None),
    };
    Some((body?, headers?))
}

fn headers_of(value: &Value<'_>) -> Option<Headers> {
    let table = value.table("the headers")?;
    let header = |entry: &Value<'_>| {
        let name = header_name(entry, entry.key)?;
        let text = entry.text()?;
        if text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
            let problem = Problem::new(format!("{} cannot be in a header", quote(text)));
            let problem = problem.label("has control characters");
            return entry.refuse(problem.help("leave line breaks and other control characters out"));
        }
        if name == "retry-after" && !is_retry_after(text) {
            let problem =
                Problem::new(format!("{} is neither seconds nor a date: clients ignore it", quote(text)));
            let help = r#"write seconds, retry-after = "3", or a date as in "Thu, 01 Jan 2026 00:00:03 GMT""#;
            entry.doubt(problem.label("has no effect").help(help));
        }
        Some((name, text.to_owned()))
    };
    let read: Vec<_> = table.entries().iter().map(header).collect();
    read.into_iter().collect()
}

/// Whether a client can read a `Retry-After` (RFC 9110, section 10.2.3).
fn is_retry_after(text: &str) -> bool {
    let is_seconds = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_seconds || httpdate::parse_http_date(text).is_ok()
}

/// The name of a header that stands in the key of `entry`, in lower case.
pub(super) fn header_name(entry: &Value<'_>, name: &str) -> Option<String> {
    if is_token(name) {
        return Some(name.to_ascii_lowercase());
    }
    let problem = Problem::new(format!("{} is not the name of a header", quote(name)));
    entry.refuse_key(problem.label("not a name").help("write it as in \"x-cache\" = \"stale\""))
}
