//! Documents of JSON that are spread over lines, or stand in a list: each is a text of its own.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde_json::error::Category;

/// With one of these a line ends whose document goes on.
const GOES_ON: [char; 4] = ['{', '[', ',', ':'];

/// What a document of OTLP/JSON has.
const SIGNALS: [&str; 3] = ["resourceSpans", "resourceMetrics", "resourceLogs"];

/// Whether the first line of a file begins a list, or may begin a document that has more lines. The last line
/// of a file that was cut off mostly ends elsewhere.
pub fn begins(first: &str) -> bool {
    let read = || serde_json::from_str::<IgnoredAny>(first);
    let is_open = || read().is_err_and(|error| error.classify() == Category::Eof);
    match first.chars().next() {
        Some('[') => read().is_ok() || is_open(),
        Some('{') => first.ends_with(GOES_ON) && is_open(),
        _ => false,
    }
}

/// Whether a line is a document by itself: the one before it was cut off then.
pub fn is_document(line: &str) -> bool {
    let read = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(line);
    read.is_ok_and(|keys| SIGNALS.iter().any(|signal| keys.contains_key(*signal)))
}

/// Finds where documents begin and end.
#[derive(Debug)]
pub struct Documents {
    /// Bytes of a document, at most.
    most: usize,
    /// Of the document that has begun.
    text: Vec<u8>,
    /// Braces and brackets that are open in it.
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
    /// It has more bytes than it may.
    is_long: bool,
    pub found: u64,
    /// Documents that are too long.
    pub long: u64,
}

impl Documents {
    const fn new(most: usize) -> Self {
        Self {
            most,
            text: Vec::new(),
            depth: 0,
            is_in_string: false,
            is_escaped: false,
            is_long: false,
            found: 0,
            long: 0,
        }
    }

    /// After the beginning of a file: each document that ends in it is given to `take`. A document has
    /// `most` bytes.
    pub fn of(most: usize, beginning: &[&[u8]], take: &mut impl FnMut(&str)) -> Self {
        let mut documents = Self::new(most);
        beginning.iter().for_each(|bytes| documents.feed(bytes, take));
        documents
    }

    /// Takes further bytes, and gives each document that ends in them to `take`.
    pub fn feed(&mut self, bytes: &[u8], take: &mut impl FnMut(&str)) {
        for byte in bytes {
            if self.is_in_string {
                self.is_in_string = self.is_escaped || *byte != b'"';
                self.is_escaped = !self.is_escaped && *byte == b'\\';
                self.keep(*byte);
                continue;
            }
            match byte {
                // The brackets of a list are no part of its documents.
                b'{' => self.depth += 1,
                b'[' if self.depth > 0 => self.depth += 1,
                b'"' if self.depth > 0 => self.is_in_string = true,
                _ => {}
            }
            if self.depth == 0 {
                continue;
            }
            self.keep(*byte);
            if matches!(byte, b'}' | b']') {
                self.depth -= 1;
                if self.depth == 0 {
                    self.end(take);
                }
            }
        }
    }

    /// Gives the document that has begun, if there is one: all of it, or what the file has of it.
    pub fn end(&mut self, take: &mut impl FnMut(&str)) {
        if self.is_long {
            self.long += 1;
        } else if !self.text.is_empty() {
            self.found += 1;
            take(String::from_utf8_lossy(&self.text).trim());
        }
        *self = Self { found: self.found, long: self.long, ..Self::new(self.most) };
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() >= self.most {
            self.is_long = true;
        } else {
            self.text.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(most: usize, parts: &[&str]) -> (Vec<String>, u64) {
        let (mut documents, mut found) = (Documents::new(most), Vec::new());
        let mut take = |text: &str| found.push(text.to_owned());
        parts.iter().for_each(|part| documents.feed(part.as_bytes(), &mut take));
        documents.end(&mut take);
        let long = documents.long;
        (found, long)
    }

    #[test]
    fn documents_end_where_their_braces_do() {
        let parts = ["[{\"a\":\n[1,{}]", "},\n{\"b\\\"}\":\"[{\"}]\n", "{\"c\":1"];
        let (found, long) = documents(100, &parts);
        assert_eq!(found, ["{\"a\":\n[1,{}]}", "{\"b\\\"}\":\"[{\"}", "{\"c\":1"]);
        assert_eq!(long, 0);
    }

    #[test]
    fn a_document_that_is_too_long_is_counted_and_the_next_one_is_found() {
        let (found, long) = documents(8, &["{\"a\":12345}", "{\"b\":1}"]);
        assert_eq!((found, long), (vec!["{\"b\":1}".to_owned()], 1));
    }

    #[test]
    fn a_line_that_is_whole_or_cut_off_begins_nothing() {
        let begun = ["{", "{\"resourceSpans\": [", "[{\"a\":1}]", "["].map(begins);
        assert_eq!(begun, [true; 4]);
        let whole = ["{\"a\":1}", "{\"a\":\"cut", "{broken,", "hello", "", "[INFO] {"].map(begins);
        assert_eq!(whole, [false; 6]);
    }

    #[test]
    fn a_line_with_a_signal_is_a_document_and_a_part_of_one_is_none() {
        assert!(is_document("{\"resourceSpans\":[]}"));
        let parts = ["{\"resource\":{}}", "{\"resourceSpans\":[", "\"resourceSpans\"", "]"].map(is_document);
        assert_eq!(parts, [false; 4]);
    }
}
