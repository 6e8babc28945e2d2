//! Faults that change what a message says.

use serde_json::Value;

use crate::message::Headers;
use crate::rng::{Key, Unit};

use super::account::Suppression;

/// The content of a message.
pub struct Content<'a> {
    pub headers: &'a mut Headers,
    pub body: &'a mut Vec<u8>,
}

impl Content<'_> {
    /// Changes a share of the body's bytes, one at least; says how many.
    ///
    /// # Errors
    /// There is no byte to change.
    pub fn corrupt(&mut self, share: f64, key: Key) -> Result<u64, Suppression> {
        let length = self.body.len();
        if length == 0 {
            return Err(Suppression::NoBody);
        }
        let wanted = ((length as f64 * share).round() as usize).clamp(1, length);
        let (mut stream, mut left) = (key.stream(), wanted);
        // Each byte by its chance among those to come: `wanted` different ones, in one
        // pass (Knuth, The Art of Computer Programming, 3.4.2, algorithm S).
        for (index, byte) in self.body.iter_mut().enumerate() {
            if stream.unit() * ((length - index) as f64) < left as f64 {
                // Never by zero, which would change nothing.
                *byte ^= 1 + (stream.unit() * 255.0) as u8;
                left -= 1;
            }
        }
        Ok(wanted as u64)
    }

    /// Sets values of a JSON body: JSON pointers (RFC 6901) and what is to stand there.
    ///
    /// # Errors
    /// The body is no JSON, or has none of these places.
    pub fn mutate(&mut self, set: &[(String, Value)]) -> Result<(), Suppression> {
        let Ok(mut document) = serde_json::from_slice(self.body) else { return Err(Suppression::NotJson) };
        let done = set.iter().filter(|(pointer, value)| put(&mut document, pointer, value)).count();
        if done == 0 {
            return Err(Suppression::NotJson);
        }
        *self.body = document.to_string().into_bytes();
        if self.headers.get(LENGTH).is_some() {
            self.headers.set(LENGTH, self.body.len().to_string());
        }
        Ok(())
    }
}

const LENGTH: &str = "content-length";

/// Sets one value: in place of another, as a new member of an object, or behind the
/// last of an array. False: there is no such place.
fn put(document: &mut Value, pointer: &str, value: &Value) -> bool {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value.clone();
        return true;
    }
    let Some((parent, token)) = pointer.rsplit_once('/') else { return false };
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(token.replace("~1", "/").replace("~0", "~"), value.clone());
            true
        }
        Some(Value::Array(values)) if token == "-" || token == values.len().to_string() => {
            values.push(value.clone());
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn corrupted(length: usize, share: f64) -> (u64, Vec<u8>) {
        let (mut headers, mut body) = (Headers::default(), vec![0; length]);
        let mut content = Content { headers: &mut headers, body: &mut body };
        let changed = content.corrupt(share, Key::new(7, Purpose::Fault)).expect("there are bytes");
        (changed, body)
    }

    #[test]
    fn so_many_bytes_are_changed_as_are_to_be() {
        for (length, share, expected) in [(1, 0.01, 1), (1_000, 0.01, 10), (1_000, 1.0, 1_000), (3, 0.5, 2)] {
            let (changed, body) = corrupted(length, share);
            assert_eq!(changed, expected, "{share} of {length}");
            assert_eq!(body.iter().filter(|byte| **byte != 0).count() as u64, expected);
        }
    }

    #[test]
    fn an_empty_body_cannot_be_corrupted() {
        let mut content = Content { headers: &mut Headers::default(), body: &mut Vec::new() };
        assert_eq!(content.corrupt(1.0, Key::new(7, Purpose::Fault)), Err(Suppression::NoBody));
    }

    #[test]
    fn values_are_set_where_pointers_lead() {
        let set = |pointer: &str, body: &str| {
            let (mut headers, mut body) = (Headers::default(), body.as_bytes().to_vec());
            headers.push(LENGTH, "2");
            let mut content = Content { headers: &mut headers, body: &mut body };
            content.mutate(&[(pointer.to_owned(), Value::from(5))])?;
            assert_eq!(headers.get(LENGTH), Some(body.len().to_string().as_str()));
            Ok(String::from_utf8(body).expect("JSON is text"))
        };
        let done = |text: &str| Ok(text.to_owned());
        assert_eq!(set("/a", r#"{"a":1}"#), done(r#"{"a":5}"#));
        assert_eq!(set("/b~1c", r#"{"a":1}"#), done(r#"{"a":1,"b/c":5}"#));
        assert_eq!(set("/a/-", r#"{"a":[1]}"#), done(r#"{"a":[1,5]}"#));
        assert_eq!(set("/a/1", r#"{"a":[1]}"#), done(r#"{"a":[1,5]}"#));
        assert_eq!(set("", "[]"), done("5"));
        for (pointer, body) in
            [("/a/7", r#"{"a":[1]}"#), ("/a/b", r#"{"a":1}"#), ("/a", "no JSON"), ("/a", "")]
        {
            assert_eq!(set(pointer, body), Err(Suppression::NotJson), "{pointer} in {body}");
        }
    }
}
