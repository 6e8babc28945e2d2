//! Parts of the JSON Schema of a topology (2020-12).

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

/// What places of the schema refer to, and the tables of the reference that say the same.
#[derive(Debug, Default)]
pub(crate) struct Defs {
    schemas: BTreeMap<&'static str, Json>,
    /// By the name of what has the keys, in the order in which the schema comes to them: Markdown.
    pub tables: Vec<(&'static str, String)>,
}

impl Defs {
    /// The schemas, by name.
    pub fn into_json(self) -> Json {
        json!(self.schemas)
    }

    /// Refers to what `make` describes under this name.
    pub fn refer(&mut self, name: &'static str, make: impl FnOnce(&mut Self) -> Json) -> Json {
        if !self.schemas.contains_key(name) {
            let schema = make(self);
            self.schemas.insert(name, schema);
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }
}

/// A string of this form.
pub(crate) fn text(pattern: &str) -> Json {
    json!({ "type": "string", "pattern": format!("^{pattern}$") })
}

/// A string of this form, such as this one.
pub(crate) fn text_like(pattern: &str, example: &str) -> Json {
    let mut schema = text(pattern);
    schema["examples"] = json!([example]);
    schema
}

/// Any of these.
pub(crate) fn any<const N: usize>(of: [Json; N]) -> Json {
    json!({ "anyOf": of.as_slice() })
}

/// A phrase of the reference as a sentence without links.
pub(crate) fn sentence(phrase: &str) -> String {
    let plain = plain(phrase);
    let mut letters = plain.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let sentence: String = first.chain(letters).collect();
    if sentence.is_empty() || sentence.ends_with('.') { sentence } else { sentence + "." }
}

/// Markdown with the words of its links in place of the links.
pub(crate) fn plain(markdown: &str) -> String {
    let Some((before, behind)) = markdown.split_once("](") else { return markdown.to_owned() };
    let Some((_, behind)) = behind.split_once(')') else { return markdown.to_owned() };
    // The words of a link may have brackets of their own.
    let mut open = 1;
    let start = before.rfind(|c| {
        open += i32::from(c == ']') - i32::from(c == '[');
        open == 0
    });
    let Some(start) = start else { return markdown.to_owned() };
    [&before[..start], &before[start + 1..], &plain(behind)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_becomes_a_sentence_without_links() {
        assert_eq!(
            sentence("those of [`[limits]`](a.md#b), or [x], [see](c.md)"),
            "Those of `[limits]`, or [x], see."
        );
    }
}
