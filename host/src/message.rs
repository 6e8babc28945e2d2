//! HTTP messages as the bus carries them: whole bodies, text headers.

use std::fmt;

/// The header that says for how long the sender of a request waits for its answer:
/// whole milliseconds from its arrival on, as `grpc-timeout` does.
pub const DEADLINE: &str = "x-simhost-deadline";

/// What a header field takes in memory besides its name and value: bytes, roughly.
const FIELD_BYTES: usize = size_of::<(String, String)>() + 16;

/// Header fields in order of arrival. Names are lower-case; several fields of
/// one name stay separate, as W3C Trace Context wants for `tracestate`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of `name` (lower-case).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of `name` (lower-case), in order.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Adds a field behind those that are there. `name` is lower-case.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Removes every field of `name` (lower-case).
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// For how many more milliseconds the sender waits, as `x-simhost-deadline` says; none
    /// where it says nothing that makes sense.
    pub fn deadline(&self) -> Option<u64> {
        let value = self.get(DEADLINE)?;
        value.parse().ok().filter(|_| value.bytes().all(|byte| byte.is_ascii_digit()))
    }

    /// Sets the field, in place of any that is there. `name` is lower-case.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.push(name, value);
    }

    /// Says for how many more milliseconds the sender waits, or nothing, in place of
    /// what is there: a guest that copies its headers does not mean it.
    pub fn set_deadline(&mut self, allowed: Option<u64>) {
        self.remove(DEADLINE);
        if let Some(allowed) = allowed {
            self.push(DEADLINE, allowed.to_string());
        }
    }

    /// Lower-cases names and refuses what HTTP does not allow (RFC 9110, section 5):
    /// names that are no tokens, values with control characters.
    pub fn normalise(&mut self) -> Result<(), String> {
        for (name, value) in &mut self.0 {
            name.make_ascii_lowercase();
            if !is_token(name) {
                return Err(format!("{name:?} is not a header name"));
            }
            if !value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f)) {
                return Err(format!("the value {value:?} of header {name:?} has control characters"));
            }
        }
        Ok(())
    }

    /// What the fields take in an HTTP/1.1 head, in bytes: `name: value\r\n` each.
    pub fn size(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum()
    }

    /// What the fields take in memory: bytes, roughly.
    pub fn footprint(&self) -> usize {
        self.size() + self.0.len() * FIELD_BYTES
    }

    /// The largest [`footprint`](Self::footprint) of fields whose [`size`](Self::size) is `size`.
    pub const fn largest_footprint(size: u64) -> u64 {
        const FIELD_AT_LEAST: u64 = "a".len() as u64 + 4;
        size + size / FIELD_AT_LEAST * FIELD_BYTES as u64
    }
}

/// Which bytes a text may have: asked of every byte of every message, so it is a table.
struct Alphabet([bool; 256]);

impl Alphabet {
    /// ASCII letters and digits, and these.
    const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            table[others[at] as usize] = true;
            at += 1;
        }
        Self(table)
    }

    fn spells(&self, text: &str) -> bool {
        text.bytes().all(|byte| self.0[usize::from(byte)])
    }
}

/// Whether a text is a token (RFC 9110, section 5.6.2): a method, a header name.
pub fn is_token(text: &str) -> bool {
    static TCHAR: Alphabet = Alphabet::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    !text.is_empty() && TCHAR.spells(text)
}

/// Whether a text is a path, with a query perhaps, percent-encoded as RFC 3986,
/// section 3.3 wants it: what is left to the eye and means nothing else.
pub fn is_target(text: &str) -> bool {
    static VISIBLE: Alphabet = Alphabet::alphanumeric_and(b"!$%&'()*+,-./:;=?@[]_~");
    text.starts_with('/') && VISIBLE.spells(text)
}

/// A request on its way to a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Upper-case, for example `POST`.
    pub method: String,
    /// Origin form, percent-encoded as sent: `/stock/book?verbose=1`.
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Request {
    /// The target without its query.
    pub fn path(&self) -> &str {
        self.query_mark().map_or(self.target.as_str(), |at| &self.target[..at])
    }

    /// The part of the target after `?`, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.query_mark().map(|at| &self.target[at + 1..])
    }

    /// Where the `?` is. Targets are short: looking at each byte is quicker than a search.
    fn query_mark(&self) -> Option<usize> {
        self.target.bytes().position(|byte| byte == b'?')
    }
}

/// A response on its way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 599.
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Response {
    /// The answer that servers give to `status` when they have nothing to add.
    pub fn standard(status: u16) -> Self {
        let known = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        Self::detail(status, known.unwrap_or("Error"))
    }

    /// A response of the host's own: `{"detail": …}`, as the guests' SDK answers errors.
    pub fn detail(status: u16, detail: impl fmt::Display) -> Self {
        Self::json(status, &serde_json::json!({ "detail": detail.to_string() }))
    }

    /// The answer to a request beyond a bound: `{"detail": …, "bound": "limits.body"}`. The bound
    /// has the name that topologies write, or that of a header.
    pub fn bounded(status: u16, bound: &str, detail: impl fmt::Display) -> Self {
        Self::json(status, &serde_json::json!({ "detail": detail.to_string(), "bound": bound }))
    }

    fn json(status: u16, body: &serde_json::Value) -> Self {
        let headers = Headers(vec![("content-type".into(), "application/json".into())]);
        Self { status, headers, body: body.to_string().into_bytes() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_are_lower_cased_and_held_to_http() {
        let mut headers = Headers(vec![("X-Tier".into(), "gold\tsilver é".into())]);
        assert_eq!(headers.normalise(), Ok(()));
        assert_eq!(headers.get("x-tier"), Some("gold\tsilver é"));
        for (name, value) in
            [("", "x"), ("a b", "x"), ("a\n", "x"), ("ä", "x"), ("a", "x\r\ny: z"), ("a", "\0")]
        {
            assert!(Headers(vec![(name.into(), value.into())]).normalise().is_err(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn a_deadline_is_whole_milliseconds_and_replaces_another() {
        let mut headers = Headers(vec![("x-a".into(), "1".into())]);
        assert_eq!(headers.deadline(), None);
        headers.set_deadline(Some(250));
        headers.set_deadline(Some(80));
        assert_eq!((headers.deadline(), headers.0.len()), (Some(80), 2));
        headers.set_deadline(None);
        assert_eq!(headers.0.len(), 1);
        for text in ["", "-1", "+1", "1.5", "1e3", "soon", "99999999999999999999"] {
            assert_eq!(Headers(vec![(DEADLINE.into(), text.into())]).deadline(), None, "{text}");
        }
    }

    #[test]
    fn a_target_is_a_percent_encoded_path() {
        assert!(["/", "/a/b%20c", "/a?b=c&d=/x?", "/~a;b=1,2:@!$'()*+"].into_iter().all(is_target));
        assert!(!["", "a", "/a b", "/a#b", "/\u{e9}", "/a\r\n", "http://x/"].into_iter().any(is_target));
    }
}
